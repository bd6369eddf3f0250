package event

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// shard holds the subscriptions of a part of the resources and their timers.
type shard struct {
	n         *Notifier
	index     int
	mu        sync.Mutex
	subs      map[string]*subscription // by local tag
	resources map[resourceKey]*resource
	due       dueHeap
	timer     *time.Timer
	armed     instant // when timer fires; zero: not armed
	closed    bool
	reviews   atomic.Uint64 // that have begun
}

func (sh *shard) init(n *Notifier, index int) {
	sh.n, sh.index = n, index
	sh.subs = map[string]*subscription{}
	sh.resources = map[resourceKey]*resource{}
}

func (sh *shard) lock()   { sh.mu.Lock() }
func (sh *shard) unlock() { sh.mu.Unlock() }

// close forgets all subscriptions and lets no more in; the views are the
// caller's to close.
func (sh *shard) close() (views []View) {
	sh.lock()
	defer sh.unlock()
	sh.closed = true
	if sh.timer != nil {
		sh.timer.Stop()
	}
	for _, s := range sh.subs {
		sh.remove(s)
		views = append(views, s.view)
	}
	return views
}

// add puts a new subscription under its resource; false when there are too
// many or no new ones are wanted.
func (sh *shard) add(s *subscription, pkg *served, name string) bool {
	n := sh.n
	if sh.closed || n.draining.Load() {
		return false
	}
	key := resourceKey{pkg, name}
	r := sh.resources[key]
	if r != nil && len(r.subs) >= n.cfg.MaxPerResource {
		return false
	}
	if n.live.Add(1) > int64(n.cfg.MaxSubscriptions) {
		n.live.Add(-1)
		return false
	}
	if r == nil {
		r = &resource{key: key}
		sh.resources[key] = r
	}
	s.resource, s.at = r, int32(len(r.subs))
	r.subs = append(r.subs, s)
	r.alone.Store(len(r.subs) == 1)
	sh.subs[s.tag()] = s
	return true
}

// remove forgets a subscription and what only it used. Its view is the
// caller's to close, once the shard is unlocked.
func (sh *shard) remove(s *subscription) {
	s.removed = true
	delete(sh.subs, s.tag())
	r := s.resource
	last := r.subs[len(r.subs)-1]
	r.subs[s.at], last.at = last, s.at
	r.subs[len(r.subs)-1] = nil
	r.subs = r.subs[:len(r.subs)-1]
	r.alone.Store(len(r.subs) == 1)
	if len(r.subs) == 0 {
		delete(sh.resources, r.key)
	}
	if s.dueAt >= 0 {
		heap.Remove(&sh.due, int(s.dueAt))
	}
	if sh.n.live.Add(-1) == 0 {
		sh.n.tellIdle()
	}
}

// wakeAt has the subscription looked at again at t.
func (sh *shard) wakeAt(s *subscription, t instant) {
	s.due = t
	if s.dueAt >= 0 {
		heap.Fix(&sh.due, int(s.dueAt))
	} else {
		heap.Push(&sh.due, s)
	}
	sh.arm()
}

// arm sets the timer for the earliest due subscription.
func (sh *shard) arm() {
	if len(sh.due) == 0 || sh.closed {
		return
	}
	first := sh.due[0].due
	if sh.armed != 0 && first >= sh.armed {
		return
	}
	sh.armed = first
	wait := max(first.sub(sh.n.now()), 0)
	if sh.timer == nil {
		sh.timer = time.AfterFunc(wait, sh.tick)
	} else {
		sh.timer.Reset(wait)
	}
}

// tick handles all that is due.
func (sh *shard) tick() {
	sh.lock()
	defer sh.unlock()
	sh.armed = 0
	now := sh.n.now()
	for len(sh.due) > 0 && sh.due[0].due <= now {
		s := sh.due[0]
		heap.Pop(&sh.due)
		s.wake(now)
	}
	sh.arm()
}

// dueHeap orders subscriptions by due time.
type dueHeap []*subscription

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].dueAt, h[j].dueAt = int32(i), int32(j)
}
func (h *dueHeap) Push(x any) {
	s := x.(*subscription)
	s.dueAt = int32(len(*h))
	*h = append(*h, s)
}
func (h *dueHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.dueAt = -1
	return s
}
