package event

import (
	"sync"
	"time"
)

// Info describes a subscription.
type Info struct {
	ID       string // local tag of its dialog
	Package  string
	Resource string
	Watcher  string
	State    State
	Reason   string // of a terminated one
	Expires  time.Time
}

// Lifecycle is a change in a subscription's life, what watcher information
// tells of (RFC 3857 section 4.7.1).
type Lifecycle struct {
	Info
	// Cause names the event of that state machine: "subscribe", "approved",
	// "deactivated", "probation", "rejected", "timeout", "giveup" or
	// "noresource". With Lost there is no Info.
	Cause string
}

// Lost is the Cause that says that observers were too slow and news were
// forgotten: Each tells what there is.
const Lost = "lost"

// maxNews bounds the news that wait for observers.
const maxNews = 1 << 16

// Observe has f told of every change in a subscription's life, in order, on a
// goroutine of the notifier; when f takes so long that too many wait, they are
// forgotten and f is told Lost. It is meant to be called before the first
// SUBSCRIBE.
func (n *Notifier) Observe(f func(Lifecycle)) { n.news.observe(f) }

// lifecycleQueue carries news from under the shards' locks to the observers.
type lifecycleQueue struct {
	mu        sync.Mutex
	observers []func(Lifecycle)
	pending   []Lifecycle
	wake      chan struct{}
}

func (q *lifecycleQueue) observe(f func(Lifecycle)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.observers = append(q.observers, f)
}

func (q *lifecycleQueue) put(l Lifecycle) {
	q.mu.Lock()
	if len(q.observers) > 0 {
		if len(q.pending) == maxNews {
			q.pending = []Lifecycle{{Cause: Lost}}
		}
		q.pending = append(q.pending, l)
		select {
		case q.wakeLocked() <- struct{}{}:
		default:
		}
	}
	q.mu.Unlock()
}

func (q *lifecycleQueue) wakeLocked() chan struct{} {
	if q.wake == nil {
		q.wake = make(chan struct{}, 1)
	}
	return q.wake
}

// deliver hands pending news to the observers until stop is closed.
func (q *lifecycleQueue) deliver(stop <-chan struct{}) {
	q.mu.Lock()
	wake := q.wakeLocked()
	q.mu.Unlock()
	for {
		select {
		case <-stop:
			return
		case <-wake:
		}
		q.mu.Lock()
		batch, observers := q.pending, q.observers
		q.pending = nil
		q.mu.Unlock()
		for _, l := range batch {
			for _, f := range observers {
				f(l)
			}
		}
	}
}
