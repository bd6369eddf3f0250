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
	Since    time.Time // when the first SUBSCRIBE came
	Name     string    // the watcher's display name, "" without
	Approved bool      // it was pending before
}

// Lifecycle is a change in a subscription's life, what watcher information
// tells of (RFC 3857 section 4.7.1).
type Lifecycle struct {
	Info
	// Cause names the event of that state machine: "subscribe", "approved",
	// "deactivated", "probation", "rejected", "timeout", "giveup" or
	// "noresource". With Lost there is no Info.
	Cause string
	// Was is the state before; of a new subscription, the one it begins with.
	Was State
	// Fetch says that the SUBSCRIBE asked for no time: the subscription ends as
	// it begins.
	Fetch bool
	// Number counts the changes of all subscriptions, from 1.
	Number uint64
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

// Subscriptions gives the live subscriptions to a resource in package pkg, and
// the number of the last change: later ones that Observe tells of are not in
// it, earlier ones are.
func (n *Notifier) Subscriptions(pkg, name string) (infos []Info, last uint64) {
	sh := n.shard(name)
	sh.lock()
	defer sh.unlock()
	if r := sh.resources[resourceKey{n.packages[pkg], name}]; r != nil {
		infos = make([]Info, 0, len(r.subs))
		for _, s := range r.subs {
			if s.state != Terminated {
				infos = append(infos, s.info())
			}
		}
	}
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	return infos, n.news.number
}

// lifecycleQueue carries news from under the shards' locks to the observers.
type lifecycleQueue struct {
	mu        sync.Mutex
	observers []func(Lifecycle)
	pending   []Lifecycle
	number    uint64 // of the last change
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
		q.number++
		l.Number = q.number
		if len(q.pending) == maxNews {
			q.pending = []Lifecycle{{Cause: Lost, Number: l.Number}}
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
