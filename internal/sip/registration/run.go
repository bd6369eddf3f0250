package registration

import (
	"context"
	"errors"
	"sync"
	"time"

	"imp/internal/sip/uac"
	"imp/internal/sip/useragent"
)

// Event is what happened to the registration over one flow while Run keeps it.
type Event struct {
	Registered               // what the registrar answered, when Err is nil
	Err        error         // why it failed, or that the flow did
	Retry      time.Duration // after an Err: until the next attempt; negative: there is none
	Again      bool          // the binding is made anew over a new flow, not renewed
}

// Run keeps the registration alive until ctx is done, and then returns nil; the
// bindings are left as they are. It registers over flows that are not
// registered yet, renews bindings before they run out, keeps flows alive and
// replaces those that fail, with the waits of RFC 5626 section 4.5. All is told
// to report, when that is not nil, one event at a time. A refusal that would be
// the same again ends the flow, and when it was the last one it is returned.
func (r *Registration) Run(ctx context.Context, report func(Event)) error {
	var one sync.Mutex
	tell := func(e Event) {
		if report != nil {
			one.Lock()
			defer one.Unlock()
			report(e)
		}
	}
	errs := make([]error, len(r.flows))
	var all, looking sync.WaitGroup
	look, stop := context.WithCancel(ctx)
	looking.Go(func() { useragent.Slept(look, r.cfg.Wall, r.Awake) })
	for i, f := range r.flows {
		all.Go(func() { errs[i] = f.run(ctx, tell) })
	}
	all.Wait()
	stop()
	looking.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errs[0]
}

// run keeps one flow.
func (f *flow) run(ctx context.Context, tell func(Event)) error {
	for again := false; ; {
		if f.registered() {
			if lost, proven := f.watch(ctx); lost != nil {
				again = true
				tell(Event{Registered: Registered{Flow: f.id}, Err: lost, Retry: f.lost(proven)})
			}
		}
		if !f.pause(ctx) {
			return nil
		}
		got, err := f.inTurn(ctx, f.register)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			tell(Event{Registered: got, Again: again})
			again = false
		case !uac.Transient(err):
			f.ended()
			tell(Event{Registered: Registered{Flow: f.id}, Err: err, Retry: -1})
			return err
		default:
			again = true
			tell(Event{Registered: Registered{Flow: f.id}, Err: err, Retry: f.failed(err)})
		}
	}
}

// pause waits as long as failures demand; it is false when ctx is done first.
func (f *flow) pause(ctx context.Context) bool {
	f.r.mu.Lock()
	at := f.retryAt
	f.r.mu.Unlock()
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// watch waits until the binding is to be renewed or ctx is done, and then
// returns nil, or the error that the flow has failed with. proven tells whether
// the flow had worked: when keep-alives were agreed on, that one was answered.
func (f *flow) watch(ctx context.Context) (lost error, proven bool) {
	f.r.mu.Lock()
	conn, outbound, every, at := f.conn, f.outbound, f.every, f.refreshAt
	f.r.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	answered, failed := make(chan struct{}), make(chan error, 1)
	if outbound {
		go func() {
			_, err := conn.Ping(ctx)
			if err == nil {
				close(answered)
				err = conn.KeepAlive(ctx, every)
			}
			failed <- err
		}()
	} else {
		close(answered)
	}
	select {
	case <-timer.C:
	case <-f.wake:
	case <-ctx.Done():
	case lost = <-failed:
		if ctx.Err() != nil {
			lost = nil
		}
	case <-conn.Done():
		lost = errFlowClosed
	}
	select {
	case <-answered:
		f.prove()
		return lost, true
	default:
		return lost, false
	}
}

// Awake renews all bindings now, over flows that still live: they may have run
// out while the machine slept. Run calls it by itself.
func (r *Registration) Awake() {
	for _, f := range r.flows {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// prove notes that the flow of the last success works.
func (f *flow) prove() {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	if f.unproven {
		f.failures, f.unproven = 0, false
	}
}

var errFlowClosed = errors.New("the connection was closed")

// lost notes that the flow has failed, and gives the wait before the next: none
// after one that had worked.
func (f *flow) lost(proven bool) time.Duration {
	f.turn <- struct{}{}
	f.drop()
	<-f.turn
	f.r.mu.Lock()
	f.until = time.Time{} // nothing comes this way any more, whatever the registrar thinks
	f.r.mu.Unlock()
	if proven {
		return 0
	}
	return f.failed(nil)
}

// The waits of RFC 5626 section 4.5.
const (
	baseAllFailed = 30 * time.Second
	baseSomeLive  = 90 * time.Second
	maxRetry      = 1800 * time.Second
)

// failed counts a failure and gives the wait before the next attempt. err may
// ask for a longer one.
func (f *flow) failed(err error) time.Duration {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	f.failures++
	if err != nil && f.conn == nil {
		f.until = time.Time{}
	}
	base := baseAllFailed
	for _, other := range f.r.flows {
		if other != f && other.failures == 0 && other.until.After(time.Now()) {
			base = baseSomeLive
		}
	}
	bound := min(maxRetry, base<<min(f.failures, 10))
	wait := bound/2 + time.Duration(f.r.cfg.Random()*float64(bound/2))
	var refused *uac.ResponseError
	if errors.As(err, &refused) {
		if after, ok := refused.RetryAfter(); ok {
			wait = max(wait, after)
		}
	}
	f.retryAt = time.Now().Add(wait)
	f.refreshAt = f.retryAt // a flow that lives is kept alive meanwhile
	return wait
}
