package event

import (
	"sync"
	"sync/atomic"
)

// readyQueue is the queue of subscriptions with something to send. Each
// stands in it once, so it is bounded by their number. It gives out no more
// than may be under way at one time.
type readyQueue struct {
	mu       sync.Mutex
	some     sync.Cond
	ring     []*subscription
	head     int
	count    int
	underWay atomic.Int64 // taken and not done
	most     int64
	closed   bool
}

// ringSize is the length that the ring begins with and shrinks to.
const ringSize = 64

func (q *readyQueue) init(most int) {
	q.some.L = &q.mu
	q.most = int64(most)
	q.ring = make([]*subscription, ringSize)
}

func (q *readyQueue) put(s *subscription) {
	q.mu.Lock()
	if q.count == len(q.ring) {
		q.resize(2 * len(q.ring))
	}
	q.ring[(q.head+q.count)%len(q.ring)] = s
	q.count++
	q.mu.Unlock()
	q.some.Signal()
}

func (q *readyQueue) resize(size int) {
	ring := make([]*subscription, size)
	for i := range q.count {
		ring[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = ring, 0
}

// take waits for a subscription; nil when the queue is closed. Each needs a
// call of done.
func (q *readyQueue) take() *subscription {
	q.mu.Lock()
	defer q.mu.Unlock()
	for (q.count == 0 || q.underWay.Load() >= q.most) && !q.closed {
		q.some.Wait()
	}
	if q.closed {
		return nil
	}
	s := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) % len(q.ring)
	q.count--
	q.underWay.Add(1)
	if q.count == 0 && len(q.ring) > ringSize {
		q.resize(len(q.ring) / 2)
	}
	return s
}

// done tells that what take gave is over.
func (q *readyQueue) done() {
	if q.underWay.Add(-1) >= q.most-1 {
		q.mu.Lock() // so that nobody is between looking and waiting
		q.some.Signal()
		q.mu.Unlock()
	}
}

func (q *readyQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.some.Broadcast()
}
