package stack

import "sync"

// crew handles the datagrams of a socket: those in one lane one after the other, in order of receipt, those in
// different lanes at the same time, as far as there are hands. Whoever was busy last goes on or is woken first: while
// handlers do not wait, one goroutine does all that came together, and its stack is what the processor has at hand.
type crew struct {
	handle func(e *envelope, p packet)
	depth  int // packets that wait in a lane at most

	mu     sync.Mutex
	lanes  []lane
	ready  fifo[*lane] // with packets and nobody at them
	idle   []chan struct{}
	called bool // somebody has been woken and has not looked yet
	closed bool
}

// lane is a queue whose packets must not overtake one another.
type lane struct {
	fifo[packet]
	taken bool // it is ready, or somebody handles its first packet
}

func newCrew(lanes, depth int, handle func(*envelope, packet)) *crew {
	return &crew{handle: handle, depth: depth, lanes: make([]lane, lanes)}
}

// put queues a packet; it is false when the lane is full.
func (c *crew) put(p packet, number int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &c.lanes[number]
	if l.len() >= c.depth {
		return false
	}
	l.push(p)
	if !l.taken {
		l.taken = true
		c.ready.push(l)
		c.call()
	}
	return true
}

// call wakes one more hand when there is more to do. There is one on its way at a time, which calls the next: mostly
// those who are awake have done all before.
func (c *crew) call() {
	if last := len(c.idle) - 1; last >= 0 && c.ready.len() > 0 && !c.called {
		c.called = true
		c.idle[last] <- struct{}{}
		c.idle = c.idle[:last]
	}
}

// work is one hand; it returns when the crew is closed and all has been done.
func (c *crew) work() {
	e := new(envelope)
	wake := make(chan struct{}, 1)
	c.mu.Lock()
	for {
		switch {
		case c.ready.len() > 0:
			c.next(e)
		case c.closed:
			c.mu.Unlock()
			return
		default:
			c.idle = append(c.idle, wake)
			c.mu.Unlock()
			<-wake
			c.mu.Lock()
			c.called = false
		}
	}
}

// next handles the first packet of the lane that has been ready for longest. It is called with the lock held, and lets go
// of it meanwhile.
func (c *crew) next(e *envelope) {
	l := c.ready.pop()
	p := l.pop()
	c.call()
	c.mu.Unlock()
	c.handle(e, p)
	c.mu.Lock()
	if l.len() > 0 {
		c.ready.push(l)
	} else {
		l.taken = false
	}
}

// close has the hands leave when nothing is left to do.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, wake := range c.idle {
		wake <- struct{}{}
	}
	c.idle = nil
}

// fifo is a queue that keeps its memory.
type fifo[T any] struct {
	items []T
	first int // of those that have not been popped
}

func (q *fifo[T]) len() int { return len(q.items) - q.first }

func (q *fifo[T]) push(item T) {
	if len(q.items) == cap(q.items) && q.first > len(q.items)/2 {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, item)
}

func (q *fifo[T]) pop() (item T) {
	item, q.items[q.first] = q.items[q.first], item
	if q.first++; q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	}
	return item
}
