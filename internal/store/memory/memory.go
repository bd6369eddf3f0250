// Package memory is the in-process back end of the contract in package store:
// a hash map for single keys, a B-tree for prefixes, a heap for expiry. What
// it holds dies with the process.
//
// One mutex guards everything, for Get and Put well under a microsecond, and
// never while a watcher or a caller's loop runs. On two processors that carries
// more puts than a server can make, with a watcher reading along; shards would
// only pay on more.
package memory

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"imp/internal/store"
)

// maxValue is the longest value that Put takes: room for the largest document
// that a server accepts, and what the replicated engines take by default.
const maxValue = 1 << 20

// pageSize is how many entries are copied out under one hold of the lock.
const pageSize = 64

// firstPage is how many there is room for at first: most prefixes have few.
const firstPage = 2

// Store is an in-process [store.KV]. Make one with [New] and end it with
// [Store.Close].
type Store struct {
	base time.Time // deadlines count from here, on the monotonic clock

	mu       sync.Mutex
	room     int64 // bytes of keys and values that may still come
	closed   bool
	rev      store.Rev // of the last write; shared by all keys, so never reused
	nodes    map[string]*node
	order    *btree.BTreeG[*node]
	expiry   expiryHeap
	timer    *time.Timer
	wake     int64 // when timer fires; 0 when it is not set
	watchers []*watcher
	running  sync.WaitGroup // one per watcher
}

// node is one key. Its fields change under the lock of the store.
type node struct {
	key      string
	value    []byte
	rev      store.Rev
	deadline int64 // nanoseconds after base; 0 when the entry stays
	slot     int32 // place in the expiry heap plus one; 0 when it is not there
	dead     store.Kind
}

var _ store.KV = (*Store)(nil)

// DefaultRoom is how many bytes of keys and values a store takes unless it is
// told otherwise: 1 GiB.
const DefaultRoom = 1 << 30

// New returns an empty store with DefaultRoom.
func New() *Store { return NewBounded(DefaultRoom) }

// NewBounded returns an empty store for room bytes of keys and values. A Put
// beyond them is refused with store.ErrUnavailable until something has gone,
// so that whoever fills it costs bounded memory.
func NewBounded(room int64) *Store {
	less := func(a, b *node) bool { return a.key < b.key }
	return &Store{
		base:  time.Now(),
		room:  room,
		nodes: make(map[string]*node),
		order: btree.NewBTreeGOptions(less, btree.Options{NoLocks: true}),
	}
}

// Close ends all watches, forgets all entries and returns when no goroutine of
// the store is left. Every later call returns store.ErrUnavailable. It always
// returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.nodes, s.expiry = nil, nil
	s.order.Clear()
	if s.timer != nil {
		s.timer.Stop()
	}
	for _, w := range s.watchers {
		w.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// Limits implements [store.KV].
func (s *Store) Limits() store.Limits {
	return store.Limits{MaxValue: maxValue, TTLStep: time.Second}
}

// now is the present on the store's own clock, never 0.
func (s *Store) now() int64 { return int64(time.Since(s.base)) + 1 }

// expired reports whether n has outlived its time and only waits to be removed.
func (n *node) expired(now int64) bool { return n.deadline != 0 && n.deadline <= now }

// entry is n as callers see it.
func (s *Store) entry(n *node) store.Entry {
	e := store.Entry{Key: n.key, Value: n.value, Rev: n.rev}
	if n.deadline != 0 {
		e.Expires = s.base.Add(time.Duration(n.deadline - 1))
	}
	return e
}

// Get implements [store.KV].
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := ctx.Err(); err != nil {
		return store.Entry{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.Entry{}, store.ErrUnavailable
	}
	n := s.nodes[key]
	if n == nil || n.expired(s.now()) {
		return store.Entry{}, store.ErrNotFound
	}
	return s.entry(n), nil
}

// Put implements [store.KV]. A refresh of a key that exists allocates nothing.
func (s *Store) Put(ctx context.Context, key string, val []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	if err := checkPut(key, val, ttl); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ttl = s.Limits().Round(ttl)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, store.ErrUnavailable
	}
	now := s.now()
	n := s.live(key, now)
	if !matches(n, want) {
		return 0, store.ErrConflict
	}
	known := n != nil
	grows := int64(len(val))
	if known {
		grows -= int64(len(n.value))
	} else {
		grows += int64(len(key))
	}
	if grows > 0 && grows > s.room {
		return 0, fmt.Errorf("%w: put %s: the store is full", store.ErrUnavailable, key)
	}
	s.room -= grows
	if !known {
		n = &node{key: key}
		s.nodes[key] = n
		s.order.Set(n)
	}
	s.rev++
	n.value, n.rev = val, s.rev
	s.setDeadline(n, now, ttl)
	s.changed(n, known)
	return s.rev, nil
}

func checkPut(key string, val []byte, ttl time.Duration) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	if ttl < 0 {
		return fmt.Errorf("%w: put %s: negative time to live %v", store.ErrInvalid, key, ttl)
	}
	if len(val) > maxValue {
		return fmt.Errorf("%w: put %s: %d bytes, at most %d", store.ErrTooLarge, key, len(val), maxValue)
	}
	return nil
}

// matches reports whether a write that wants a revision may go ahead.
func matches(n *node, want store.Rev) bool {
	switch {
	case want == store.AnyRev:
		return true
	case n == nil:
		return want == 0
	}
	return n.rev == want
}

// live returns the node of key, nil when there is none. One that has expired
// is removed first, so that watchers hear of the end before a new beginning.
func (s *Store) live(key string, now int64) *node {
	n := s.nodes[key]
	if n != nil && n.expired(now) {
		s.remove(n, store.Expire)
		return nil
	}
	return n
}

// remove takes n out of the store and tells the watchers why.
func (s *Store) remove(n *node, why store.Kind) {
	delete(s.nodes, n.key)
	s.order.Delete(n)
	s.expiry.remove(n)
	s.room += int64(len(n.key) + len(n.value))
	n.dead = why
	n.value = nil
	s.changed(n, true)
}

// Delete implements [store.KV].
func (s *Store) Delete(ctx context.Context, key string, want store.Rev) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrUnavailable
	}
	n := s.live(key, s.now())
	if n == nil {
		return store.ErrNotFound
	}
	if !matches(n, want) {
		return store.ErrConflict
	}
	s.remove(n, store.Delete)
	return nil
}

// Scan implements [store.KV], in the order of the keys.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(store.Entry{}, err)
			return
		}
		page := make([]store.Entry, 0, firstPage)
		for after, more := "", true; more; {
			err := ctx.Err()
			if err == nil {
				page, err = s.nextPage(prefix, after, page[:0])
			}
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if more = len(page) == pageSize; more {
				after = page[len(page)-1].Key
			}
		}
	}
}

func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return store.CheckKey(prefix)
}

func (s *Store) nextPage(prefix, after string, page []store.Entry) ([]store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrUnavailable
	}
	s.ascend(prefix, after, func(n *node) bool {
		page = append(page, s.entry(n))
		return len(page) < pageSize
	})
	return page, nil
}

// ascend calls yield with the live nodes under prefix whose key is greater
// than after, in order, until yield returns false. An after of "" begins at
// the first.
func (s *Store) ascend(prefix, after string, yield func(*node) bool) {
	from, now := "", s.now()
	if prefix != "" {
		// The prefix itself is no neighbour of what lies under it: other
		// keys may stand between "a" and "a.".
		n := s.nodes[prefix]
		if after == "" && n != nil && !n.expired(now) && !yield(n) {
			return
		}
		from = prefix + "."
	}
	s.order.Ascend(&node{key: max(from, after)}, func(n *node) bool {
		switch {
		case !store.Under(n.key, prefix):
			return false
		case n.key == after, n.expired(now):
			return true
		}
		return yield(n)
	})
}
