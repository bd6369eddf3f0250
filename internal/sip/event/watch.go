package event

import (
	"context"
	"strings"
	"sync"
	"time"

	"imp/internal/store"
)

// Change is one change of published state, as the store's watch tells it.
type Change struct {
	// Resource is the resource in the form it has in keys, store.Key(name).
	Resource string
	// ID is the publication's; "" means that changes were lost and all that is
	// held is to be read anew, from Publications. Resource is "" then too.
	ID string
	// Publication is the state now, nil when it is gone. A refresh comes as a
	// change too, with the same Published.
	Publication *Publication
}

// OnChange has f told of every change to publications of the event, on the
// goroutine of Run. It is meant to be called before Run.
func (c *Compositor) OnChange(event string, f func(Change)) {
	c.sinks[store.Key(event)] = f
}

// watchPause is how long Run waits before it watches anew when the store has
// closed the watch.
const watchPause = 100 * time.Millisecond

// Run watches the store and hands changes to the sinks until ctx is done. It
// must run for publications to reach watchers; ready, when not nil, is called
// once all state there was at the start has been handed over. An error of the
// store's Watch ends it.
func (c *Compositor) Run(ctx context.Context, ready func()) error {
	for lost := false; ; lost = true {
		events, err := c.cfg.Store.Watch(ctx, "pub")
		if err != nil {
			return err
		}
		c.echo.start()
		for e := range events {
			switch e.Kind {
			case store.Reset:
				lost = true
			case store.Synced:
				// Only now does the watch know all there is: of what is read
				// earlier and vanishes it might never tell.
				if lost {
					c.tellLost()
				}
				if ready != nil {
					ready()
					ready = nil
				}
			default:
				c.deliver(e)
				c.echo.arrived(e)
			}
		}
		c.echo.stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchPause):
		}
	}
}

// tellLost has the sinks read anew what they hold.
func (c *Compositor) tellLost() {
	for _, sink := range c.sinks {
		sink(Change{})
	}
}

// deliver hands a change to the sink of its event.
func (c *Compositor) deliver(e store.Event) {
	parts := strings.Split(e.Entry.Key, ".")
	if len(parts) != 4 {
		return
	}
	sink := c.sinks[parts[2]]
	if sink == nil {
		return
	}
	change := Change{Resource: parts[1], ID: parts[3]}
	if e.Kind == store.Put {
		pub, err := decodePublication(parts[3], e.Entry)
		if err != nil {
			c.cfg.Log.Error("reading a publication", "key", e.Entry.Key, "error", err)
			return
		}
		change.Publication = &pub
	}
	sink(change)
}

// echo lets a writer wait until the watch has delivered its own write.
type echo struct {
	mu      sync.Mutex
	running bool
	waiting map[string][]*echoWait
}

type echoWait struct {
	key  string
	seen store.Rev
	gone bool // or nothing will be seen any more
	wake chan struct{}
}

// echoPatience bounds the wait: the write is done, only its view lags.
const echoPatience = time.Second

func (w *echo) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = true
	if w.waiting == nil {
		w.waiting = map[string][]*echoWait{}
	}
}

// stop lets all writers go, now that nothing arrives any more.
func (w *echo) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	for _, list := range w.waiting {
		for _, x := range list {
			x.tell(0, true)
		}
	}
}

// expect begins to look out for key; nil when no watch runs.
func (w *echo) expect(key string) *echoWait {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return nil
	}
	e := &echoWait{key: key, wake: make(chan struct{}, 1)}
	w.waiting[key] = append(w.waiting[key], e)
	return e
}

func (w *echo) forget(e *echoWait) {
	if e == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.waiting[e.key]
	for i, x := range list {
		if x == e {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(w.waiting, e.key)
	} else {
		w.waiting[e.key] = list
	}
}

func (w *echo) arrived(e store.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.waiting[e.Entry.Key] {
		x.tell(e.Entry.Rev, e.Kind != store.Put)
	}
}

// tell lets a writer know what the watch has come to.
func (x *echoWait) tell(seen store.Rev, gone bool) {
	x.seen = max(x.seen, seen)
	x.gone = x.gone || gone
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// wait returns when the watch has delivered revision rev of the key, or that
// it is gone, or after echoPatience.
func (w *echo) wait(ctx context.Context, e *echoWait, rev store.Rev) {
	if e == nil {
		return
	}
	var patience *time.Timer
	for {
		w.mu.Lock()
		done := e.gone || e.seen >= rev
		w.mu.Unlock()
		if done {
			return
		}
		if patience == nil {
			patience = time.NewTimer(echoPatience)
			defer patience.Stop()
		}
		select {
		case <-e.wake:
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
