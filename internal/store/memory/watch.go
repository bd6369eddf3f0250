package memory

import (
	"context"
	"slices"

	"imp/internal/store"
)

// watcher is one open watch. Until it is synced it walks the keys in order:
// what changes ahead of its cursor the walk will meet, so only what changes
// behind it is queued. The queue holds a key at most once, and a key that the
// watcher was never told of leaves it again when it is deleted; so the queue
// never outgrows the keys the watcher knows and those that exist.
type watcher struct {
	prefix string
	out    chan store.Event
	more   chan struct{} // holds one token when there is something to fetch
	cancel context.CancelFunc

	// The rest is guarded by the lock of the store.
	synced bool
	cursor string // last key that the walk has passed
	queue  []change
	head   int            // queue[:head] was fetched
	moved  int            // how far the queue has moved to the front, in all
	index  map[string]int // key → place in the queue plus moved
}

// keepQueue is the longest queue, in changes, whose memory a watcher keeps once
// it has caught up.
const keepQueue = 4096

// change is a key whose present state the watcher must be told.
type change struct {
	node  *node
	known bool // the watcher was told that the key exists
}

// Watch implements [store.KV]. It never sends Reset: a slow watcher's changes
// coalesce to the newest of each key.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan store.Event, error) {
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
		index:  make(map[string]int),
	}
	s.watchers = append(s.watchers, w)
	s.running.Add(1)
	go s.deliver(ctx, w)
	return w.out, nil
}

// deliver feeds w until ctx ends.
func (s *Store) deliver(ctx context.Context, w *watcher) {
	defer s.running.Done()
	defer close(w.out)
	defer s.drop(w)
	store.Deliver(ctx, w.out, w.more, pageSize, func(events []store.Event) ([]store.Event, error) { return s.fetch(w, events), nil })
}

func (s *Store) drop(w *watcher) {
	w.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = slices.DeleteFunc(s.watchers, func(o *watcher) bool { return o == w })
}

// fetch appends the next events for w, at most a page, none when there is
// nothing to tell.
func (s *Store) fetch(w *watcher, events []store.Event) []store.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return events
	}
	if w.synced {
		return s.takeChanges(w, events)
	}
	s.ascend(w.prefix, w.cursor, func(n *node) bool {
		events = append(events, store.Event{Kind: store.Put, Entry: s.entry(n)})
		w.cursor = n.key
		return len(events) < pageSize
	})
	if len(events) < pageSize {
		w.synced, w.cursor = true, ""
		events = append(events, store.Event{Kind: store.Synced})
	}
	return events
}

func (s *Store) takeChanges(w *watcher, events []store.Event) []store.Event {
	page := w.queue[w.head:]
	page = page[:min(len(page), pageSize)]
	for _, c := range page {
		if c.node.dead != 0 {
			events = append(events, store.Event{Kind: c.node.dead, Entry: store.Entry{Key: c.node.key}})
		} else {
			events = append(events, store.Event{Kind: store.Put, Entry: s.entry(c.node)})
		}
		delete(w.index, c.node.key)
	}
	clear(page)
	w.head += len(page)
	w.compact()
	return events
}

// compact gives the fetched front of the queue back: all of it when nothing is
// left, else once it is the greater part, so that a change is moved but once
// or twice.
func (w *watcher) compact() {
	left := len(w.queue) - w.head
	switch {
	case left > w.head:
		return
	case left == 0 && cap(w.queue) > keepQueue:
		w.queue, w.index = nil, make(map[string]int)
	default:
		copy(w.queue, w.queue[w.head:])
		clear(w.queue[left:])
		w.queue = w.queue[:left]
	}
	w.moved += w.head
	w.head = 0
}

// changed queues n for every watcher that must hear of it. Known tells that
// the key existed before.
func (s *Store) changed(n *node, known bool) {
	for _, w := range s.watchers {
		if store.Under(n.key, w.prefix) && (w.synced || n.key <= w.cursor) {
			w.add(n, known)
		}
	}
}

func (w *watcher) add(n *node, known bool) {
	at, queued := w.index[n.key]
	if !queued {
		w.index[n.key] = len(w.queue) + w.moved
		w.queue = append(w.queue, change{n, known})
		if len(w.queue)-w.head == 1 {
			select {
			case w.more <- struct{}{}:
			default:
			}
		}
		return
	}
	c := &w.queue[at-w.moved]
	if n.dead == 0 || c.known {
		c.node = n
		return
	}
	// The watcher never knew the key. The last change closes the gap: order
	// counts only within a key, and a key is queued once.
	last := len(w.queue) - 1
	*c = w.queue[last]
	w.index[c.node.key] = at
	delete(w.index, n.key)
	w.queue[last] = change{}
	w.queue = w.queue[:last]
}
