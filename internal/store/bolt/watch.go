package bolt

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"imp/internal/store"
)

// maxQueue is how many changed keys wait for a watcher. One that falls further
// behind is told so by Reset and begins anew.
const maxQueue = 1 << 16

// keepQueue is the longest queue whose memory a watcher keeps once it has
// caught up.
const keepQueue = 4096

// watcher is one open watch. Until it is synced it walks the keys in order:
// what changes ahead of its cursor the walk will meet, so only what changes
// behind it is queued. The queue holds keys alone, each once; their state is
// read when it is their turn.
type watcher struct {
	prefix string
	out    chan store.Event
	more   chan struct{} // holds one token when there is something to fetch
	cancel context.CancelFunc

	mu      sync.Mutex
	limit   int  // of the queue
	synced  bool // the walk is over
	walking bool // a page is being read: its end, and so the cursor, is unknown
	lost    bool // changes were not queued
	cursor  string
	queue   []string
	kinds   map[string]store.Kind // of the newest change of each key in queue
}

// Watch implements [store.KV]. It sends Reset to a watcher that falls more than
// 65536 keys behind.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan store.Event, error) {
	return s.watch(ctx, prefix, maxQueue)
}

func (s *Store) watch(ctx context.Context, prefix string, limit int) (<-chan store.Event, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrUnavailable
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{
		prefix: prefix,
		out:    make(chan store.Event, pageSize),
		more:   make(chan struct{}, 1),
		cancel: cancel,
		limit:  limit,
		kinds:  make(map[string]store.Kind),
	}
	s.watchers = append(s.watchers, w)
	s.running.Add(1)
	go s.deliver(ctx, w)
	return w.out, nil
}

// deliver feeds w until ctx ends or the file cannot be read.
func (s *Store) deliver(ctx context.Context, w *watcher) {
	defer s.running.Done()
	defer close(w.out)
	defer s.dismiss(w)
	store.Deliver(ctx, w.out, w.more, pageSize, func(events []store.Event) ([]store.Event, error) { return s.fetch(w, events) })
}

func (s *Store) dismiss(w *watcher) {
	w.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = slices.DeleteFunc(s.watchers, func(o *watcher) bool { return o == w })
}

// publish queues changes for all watchers.
func (s *Store) publish(changes []change) {
	if len(changes) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watchers {
		w.add(changes)
	}
}

func (w *watcher) add(changes []change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		if w.lost || !store.Under(c.key, w.prefix) || !w.synced && !w.walking && c.key > w.cursor {
			continue
		}
		if _, queued := w.kinds[c.key]; !queued {
			if len(w.queue) == w.limit {
				w.lost, w.queue, w.kinds = true, nil, make(map[string]store.Kind)
				continue
			}
			w.queue = append(w.queue, c.key)
		}
		w.kinds[c.key] = c.kind
	}
	if w.lost || len(w.queue) > 0 {
		select {
		case w.more <- struct{}{}:
		default:
		}
	}
}

// fetch appends the next events for w, about a page, none when there is nothing
// to tell.
func (s *Store) fetch(w *watcher, events []store.Event) ([]store.Event, error) {
	w.mu.Lock()
	if w.lost {
		w.lost, w.synced, w.cursor = false, false, ""
		w.mu.Unlock()
		return append(events, store.Event{Kind: store.Reset}), nil
	}
	synced := w.synced
	w.walking = !synced
	cursor := w.cursor
	w.mu.Unlock()
	if !synced {
		return s.walk(w, cursor, events)
	}
	changes := w.take()
	if len(changes) == 0 {
		return events, nil
	}
	err := s.view(func(tx *bbolt.Tx) error {
		entries, now := tx.Bucket(entriesBucket), time.Now().UnixNano()
		for _, c := range changes {
			r, found, err := lookup(entries, []byte(c.key))
			switch {
			case err != nil:
				return err
			case found && !r.expired(now):
				events = append(events, store.Event{Kind: store.Put, Entry: r.entry(c.key)})
			case c.kind != store.Put:
				events = append(events, store.Event{Kind: c.kind, Entry: store.Entry{Key: c.key}})
			}
			// A key that was put and is gone by now is still to be queued
			// for its end.
		}
		return nil
	})
	if err == nil && len(events) == 0 {
		return s.fetch(w, events)
	}
	return events, err
}

// walk reads the next page of the snapshot.
func (s *Store) walk(w *watcher, cursor string, events []store.Event) ([]store.Event, error) {
	page, more, err := s.page(w.prefix, cursor, nil)
	for _, e := range page {
		events = append(events, store.Event{Kind: store.Put, Entry: e})
		cursor = e.Key
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.walking, w.cursor = false, cursor
	if !more && err == nil {
		w.synced, w.cursor = true, ""
		events = append(events, store.Event{Kind: store.Synced})
	}
	return events, err
}

// take removes the first page from the queue.
func (w *watcher) take() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), pageSize)
	changes := make([]change, n)
	for i, key := range w.queue[:n] {
		changes[i] = change{key, w.kinds[key]}
		delete(w.kinds, key)
	}
	clear(w.queue[:n])
	w.queue = w.queue[n:]
	if len(w.queue) == 0 && cap(w.queue) > keepQueue {
		w.queue, w.kinds = nil, make(map[string]store.Kind)
	}
	return changes
}
