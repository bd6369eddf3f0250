package kit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// Wait says when a watch ends. Without any of the fields it goes on until it is interrupted or the other side ends it.
type Wait struct {
	Count   int           // end with 0 after that many events; 0 = no matter
	Until   []string      // end with 0 after an event at which all of these hold
	For     time.Duration // end with 0 after that time; 0 = never
	Timeout time.Duration // end with 4 after that time; 0 = never
	NS      []string      // PREFIX=URI for the XPath in Until
	Keys    []string      // the keys that Until may use; nil = any
}

// Facts is one event as --until sees it.
type Facts interface {
	// Fact returns the values of a key of imp-json(7), none when it is absent, several when there are several tuples or persons.
	Fact(key string) []string
	// XML returns the well-formed document that XPath is evaluated on; nil = there is none, and XPath is false.
	XML() []byte
}

// WaitFlags adds --count, --until, --for and --ns to a command that watches and fills w with them. Keys are those that --until may use. The timeout of w is that of --timeout if it is given.
func (k *Kit) WaitFlags(cmd *cobra.Command, w *Wait, keys ...string) {
	fs := cmd.Flags()
	fs.IntVar(&w.Count, "count", 0, "end after `N` events")
	fs.StringArrayVar(&w.Until, "until", nil, "end when `EXPR` holds: key=value, key!=value or XPath; when given more than once, all must hold")
	fs.Var((*Duration)(&w.For), "for", "end with status 0 after `DURATION`")
	fs.StringArrayVar(&w.NS, "ns", nil, "bind `PREFIX=URI` for XPath")
	w.Keys = keys
}

// The causes for which a watch ends.
var (
	errMet     = errors.New("the wait is met")
	errFor     = errors.New("the time of --for is over")
	errTimeout = errors.New("the time of --timeout is over")
	errStopped = errors.New("the watch was stopped")
)

// Watch is a running Wait.
type Watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	until  []Matcher
	count  int
	seen   int
	unmet  bool // --count or --until is given
}

// Watch starts the time of the wait. The caller gives every event to Seen, ends when Done is closed, cleans up, and returns Err. Stop frees the timers.
//
//	watch, err := k.Watch(ctx, o.Wait)
//	if err != nil {
//		return err
//	}
//	defer watch.Stop()
//	for {
//		select {
//		case <-watch.Done():
//			…unsubscribe with kit.Cleanup(ctx)…
//			return watch.Err()
//		case n := <-notifications:
//			if err := k.Emit(n); err != nil {…}
//			watch.Seen(n)
//		}
//	}
func (k *Kit) Watch(ctx context.Context, w Wait) (*Watch, error) {
	if w.Count < 0 {
		return nil, Fail(ExitUsage, "--count", fmt.Sprintf("%d is negative", w.Count), "0 sets no limit")
	}
	if w.Timeout == 0 && k.TimeoutSet {
		w.Timeout = k.Timeout.Std()
	}
	k.watchReader(k.Out)
	watch := &Watch{count: w.Count, unmet: w.Count > 0 || len(w.Until) > 0}
	for _, expr := range w.Until {
		m, err := ParseUntil(expr, w.NS, w.Keys...)
		if err != nil {
			return nil, err
		}
		watch.until = append(watch.until, m)
	}
	watch.ctx, watch.cancel = context.WithCancelCause(ctx)
	watch.after(w.For, errFor)
	watch.after(w.Timeout, errTimeout)
	return watch, nil
}

func (w *Watch) after(d time.Duration, cause error) {
	if d > 0 {
		t := time.AfterFunc(d, func() { w.cancel(cause) })
		context.AfterFunc(w.ctx, func() { t.Stop() })
	}
}

// Seen counts an event, and reports whether the watch has what it waits for: of an event of several parts, one has to be as --until wants it. It is not to be called by several
// goroutines at once.
func (w *Watch) Seen(parts ...Facts) bool {
	w.seen++
	met := w.count > 0 && w.seen >= w.count
	for i := 0; i < len(parts) && !met && len(w.until) > 0; i++ {
		met = true
		for _, m := range w.until {
			met = met && m.Match(parts[i])
		}
	}
	if met {
		w.cancel(errMet)
	}
	return met
}

// Context is done when the watch is over.
func (w *Watch) Context() context.Context { return w.ctx }

// Done is closed when the watch is over: met, out of time, or interrupted.
func (w *Watch) Done() <-chan struct{} { return w.ctx.Done() }

// Stop ends the watch if it still runs.
func (w *Watch) Stop() { w.cancel(errStopped) }

// Err tells how the watch ended: nil when it was met, when --for is over, when it was interrupted without anything to wait for, or while it still runs; an Error with status 4 when
// --timeout is over; with 130 or 143 when it was interrupted before it was met.
func (w *Watch) Err() error {
	switch cause := context.Cause(w.ctx); cause {
	case nil, errMet, errFor, errStopped, errPipe:
		return nil
	case errTimeout:
		if w.unmet {
			return Fail(ExitTimeout, "waiting", w.state(), "--timeout gives it more time")
		}
		return Fail(ExitTimeout, "watching", "the time of --timeout is over", "--for ends a watch with status 0")
	}
	if !w.unmet {
		return nil
	}
	if err := Interrupted(w.ctx); err != nil {
		return err
	}
	return Fail(0, "waiting", context.Cause(w.ctx), "")
}

// Unmet returns the error for a watch that the other side ended: nil when it had nothing to wait for, else status 4 with the reason.
func (w *Watch) Unmet(reason string) error {
	if !w.unmet || context.Cause(w.ctx) == errMet {
		return nil
	}
	return Fail(ExitTimeout, "waiting", reason+", "+w.state(), "look with -s what the server said")
}

// state says what is missing.
func (w *Watch) state() string {
	if w.count > 0 && len(w.until) == 0 {
		return fmt.Sprintf("%d of %d events came", w.seen, w.count)
	}
	if w.seen == 0 {
		return "no event came"
	}
	if w.seen == 1 {
		return "--until did not hold at the only event"
	}
	return fmt.Sprintf("--until did not hold at any of %d events", w.seen)
}
