// Package load puts presence load on a server and measures it: it publishes for
// presentities (RFC 3903), watches each with subscriptions of their own (RFC
// 6665), changes the publications at a rate, and takes the time from PUBLISH to
// its answer and to the NOTIFY at each watcher. Every document carries a number
// and the time it was sent, by which its notifications are known.
//
// It is made to be light beside the server it measures: one stack, nothing
// rendered anew that repeats, no goroutine for a watcher.
//
// RunXCAP does the same with documents of an XCAP server (RFC 4825).
package load

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Config says what load is made.
type Config struct {
	Presentities []string     // URIs; one publication for each
	Watchers     int          // subscriptions to each
	From         string       // URI that publishes and watches
	Hop          stack.Target // where requests go first; without Addr to each URI's host
	Rate         float64      // PUBLISHes a second over all; 0: each as soon as there is an answer to another
	Refresh      int          // this many of a hundred PUBLISHes refresh, without a document
	Renew        int          // and this many come in pairs: one that takes the publication back, one that makes another
	InFlight     int          // requests without an answer at most; one for each presentity at most in any case. 0: 64
	Duration     time.Duration
	Warmup       time.Duration // the same load before, not measured
	Count        int           // PUBLISHes measured at most; 0: as many as Duration has room for
	Settle       time.Duration // how long to wait at most for the last notifications
	Timeout      time.Duration // for all publications and subscriptions to begin, and to end
	Expires      time.Duration // asked for publications and subscriptions
	BodySize     int           // bytes of a document at least
	Stack        stack.Config
	// Credentials gives user name and password for a realm, when a challenge asks
	// for them; nil takes challenges as refusals.
	Credentials func(realm string) (user, password string, err error)
	Tell        func(phase string) // told what begins; nil: nobody
}

// Report is what was measured. Of the notifications that were due, those for
// each watcher of each change of state, Notified came, Skipped were left out by
// the server because a newer state was told instead, and Lost is what the
// watchers still did not know when the settling time was over.
type Report struct {
	Took       time.Duration // of the measurement
	Published  int           // answered 2xx
	Missed     int           // not sent in time for the rate: too many were without an answer
	Failed     map[string]int
	Response   Latency // PUBLISH to its 2xx
	Due        int
	Skipped    int
	Lost       int
	Ended      int           // subscriptions that the server ended
	Notify     Latency       // PUBLISH to NOTIFY
	CPU        time.Duration // of this process, user and system
	Repeated   int           // requests of this process that were sent again for want of an answer (RFC 3261 timer E)
	LeftBehind int           // publications and subscriptions that could not be ended
}

// Notified is the number of notifications that came of those that were due.
func (r *Report) Notified() int { return int(r.Notify.Count) }

// SetupError is a publication or subscription that could not begin. Err may be
// an *event.ResponseError, an error of the stack, a *StateError
// or a *TooShortError.
type SetupError struct {
	Doing string // "publishing for sip:…"
	Err   error
}

// Error gives both.
func (e *SetupError) Error() string { return e.Doing + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *SetupError) Unwrap() error { return e.Err }

// Run makes the load and measures it. When ctx ends while it measures, the
// report tells what was measured until then beside the error of ctx. All that
// was begun is ended before Run returns, also after an error. An error is a
// *SetupError or of the stack.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	g := newGenerator(cfg)
	s, err := g.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return g.run(ctx)
}

// localHost is the address with port 0 of the interface towards the server,
// that of all when there is none to be asked about.
func localHost(ctx context.Context, server string) string {
	if server != "" {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(server, "5060")
		}
		var d net.Dialer
		if c, err := d.DialContext(ctx, "udp", server); err == nil { // sends nothing
			defer c.Close()
			if host, _, err := net.SplitHostPort(c.LocalAddr().String()); err == nil {
				return net.JoinHostPort(host, "0")
			}
		}
	}
	return ":0"
}

// processCPU is the time that this process has had on a processor.
func processCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// refusal is the error of a response other than 2xx; cause is why a challenge
// was not answered.
func refusal(res *sip.Response, cause error) error {
	e := &event.ResponseError{Status: res.StatusCode, Phrase: res.Reason, Cause: cause}
	for _, name := range []string{"Allow-Events", "Accept", "Min-Expires", "Retry-After"} {
		for _, v := range header.Values(res, name) {
			e.Fields = append(e.Fields, stack.Field{Name: name, Value: v})
		}
	}
	return e
}
