package memory

import (
	"math"
	"time"

	"imp/internal/store"
)

// expiryHeap holds the nodes that expire, the soonest first. The due time of a
// slot may be earlier than the deadline of its node, never later: a refresh
// only moves the deadline, and the slot follows when it comes up. So a refresh
// costs nothing here.
type expiryHeap []expirySlot

type expirySlot struct {
	due  int64
	node *node
}

// reapBatch is how many entries expire under one hold of the lock.
const reapBatch = 256

// setDeadline makes n expire after ttl, or never when ttl is 0.
func (s *Store) setDeadline(n *node, now int64, ttl time.Duration) {
	if ttl == 0 {
		n.deadline = 0
		s.expiry.remove(n)
		return
	}
	deadline := now + int64(ttl)
	if deadline < now {
		deadline = math.MaxInt64
	}
	later := n.slot != 0 && deadline >= n.deadline
	n.deadline = deadline
	if later {
		return // the slot is due soon enough
	}
	s.expiry.add(n)
	s.schedule(now)
}

// schedule sets the timer to the first slot unless it fires by then anyway.
func (s *Store) schedule(now int64) {
	if len(s.expiry) == 0 {
		return
	}
	due := s.expiry[0].due
	if s.wake != 0 && s.wake <= due {
		return
	}
	s.wake = due
	wait := time.Duration(max(due-now, 0))
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.reap)
		return
	}
	s.timer.Reset(wait)
}

// reap removes what has expired and sets the timer anew.
func (s *Store) reap() {
	for more := true; more; {
		s.mu.Lock()
		more = s.reapSome()
		s.mu.Unlock()
	}
}

// reapSome reports whether there is more to remove at once.
func (s *Store) reapSome() bool {
	now := s.now()
	s.wake = 0
	for range reapBatch {
		if len(s.expiry) == 0 || s.closed {
			return false
		}
		if s.expiry[0].due > now {
			s.schedule(now)
			return false
		}
		if n := s.expiry[0].node; n.deadline <= now {
			s.remove(n, store.Expire)
		} else {
			s.expiry[0].due = n.deadline
			s.expiry.down(0)
		}
	}
	return true
}

// add takes n in, or brings its slot forward when its deadline is sooner now.
func (h *expiryHeap) add(n *node) {
	if n.slot == 0 {
		*h = append(*h, expirySlot{node: n, due: n.deadline})
		n.slot = int32(len(*h))
		h.up(len(*h) - 1)
		return
	}
	if i := int(n.slot) - 1; n.deadline < (*h)[i].due {
		(*h)[i].due = n.deadline
		h.up(i)
	}
}

// remove takes n out; nothing happens when it is not in.
func (h *expiryHeap) remove(n *node) {
	if n.slot == 0 {
		return
	}
	i, last := int(n.slot)-1, len(*h)-1
	n.slot = 0
	moved := (*h)[last]
	(*h)[last] = expirySlot{}
	*h = (*h)[:last]
	if i == last {
		return
	}
	h.put(i, moved)
	h.up(i)
	h.down(int(moved.node.slot) - 1)
}

func (h expiryHeap) put(i int, s expirySlot) {
	h[i] = s
	s.node.slot = int32(i) + 1
}

func (h expiryHeap) up(i int) {
	s := h[i]
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].due <= s.due {
			break
		}
		h.put(i, h[parent])
		i = parent
	}
	h.put(i, s)
}

func (h expiryHeap) down(i int) {
	s := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if right := child + 1; right < len(h) && h[right].due < h[child].due {
			child = right
		}
		if s.due <= h[child].due {
			break
		}
		h.put(i, h[child])
		i = child
	}
	h.put(i, s)
}
