package load

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// wire is what the generator needs of a SIP stack.
type wire interface {
	Send(o *stack.Outgoing, done func(*sip.Response, error))
}

// generator is one run.
type generator struct {
	cfg       Config
	wire      wire
	answer    event.Authenticator // nil: challenges are refusals
	cpu       func() time.Duration
	repeated  func() int
	id        string    // of the run, in everything it sends
	epoch     time.Time // times are counted from it
	contact   string    // host and parameters of the watchers' Contact
	transport string

	presentities []presentity
	watchers     []watcher // those of presentity i begin at i*cfg.Watchers

	idle  chan *presentity // that may publish
	slots chan struct{}    // one for each PUBLISH without an answer

	since        atomic.Int64 // what was sent from this time on is measured
	lastAccepted atomic.Int64 // when the last document was accepted
	response     histogram
	notified     histogram
	complete     histogram // until the last watcher of a presentity was notified
	missed       int       // by the goroutine that drives, as is turn
	turn         int       // of the kinds of PUBLISH
	ended        atomic.Int64
	mu           sync.Mutex
	failed       map[string]int
}

const (
	usualInFlight = 64
	never         = time.Duration(1<<63 - 1)
	// farewell bounds the end of a run that was interrupted.
	farewell = 3 * time.Second
	// rest is the pause of a presentity whose PUBLISH failed, unless the server
	// asks for more.
	rest = time.Second
)

func newGenerator(cfg Config) *generator {
	if cfg.InFlight <= 0 {
		cfg.InFlight = usualInFlight
	}
	g := &generator{cfg: cfg, cpu: processCPU, repeated: func() int { return 0 }, id: strings.ToLower(stack.NewTag()[:10]), epoch: time.Now(),
		presentities: make([]presentity, len(cfg.Presentities)), watchers: make([]watcher, len(cfg.Presentities)*cfg.Watchers),
		idle: make(chan *presentity, len(cfg.Presentities)), slots: make(chan struct{}, cfg.InFlight), failed: map[string]int{}}
	g.since.Store(int64(never))
	for i := range g.presentities {
		g.presentities[i].init(g, i, cfg.Presentities[i])
	}
	return g
}

// reachable says where the watchers are reached.
func (g *generator) reachable(host, transport string) {
	g.contact, g.transport = host, transport
	if transport != "udp" {
		g.contact += ";transport=" + transport
	}
}

// send sends o and answers challenges to it; renumber gives the next CSeq.
func (g *generator) send(o *stack.Outgoing, renumber func() uint32, done func(*sip.Response, error)) {
	if g.answer == nil {
		g.wire.Send(o, done)
		return
	}
	challenges := 0
	var answered func(res *sip.Response, err error)
	answered = func(res *sip.Response, err error) {
		challenged := err == nil && (res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired)
		if !challenged || challenges == maxChallenges {
			done(res, err)
			return
		}
		challenges++
		go func() { // somebody may have to type a password
			retry, err := g.answer(res, o)
			if err != nil {
				done(nil, refusal(res, err))
				return
			}
			o = uac.Renumber(retry, renumber())
			g.wire.Send(o, answered)
		}()
	}
	g.wire.Send(o, answered)
}

// maxChallenges bounds the tries with credentials for one request.
const maxChallenges = 4

func (g *generator) tell(phase string) {
	if g.cfg.Tell != nil {
		g.cfg.Tell(phase)
	}
}

// now is the time since the epoch.
func (g *generator) now() time.Duration { return time.Since(g.epoch) }

// measured tells whether what was sent at a time counts.
func (g *generator) measured(sent time.Duration) bool { return int64(sent) >= g.since.Load() }

// run goes through the phases.
func (g *generator) run(ctx context.Context) (*Report, error) {
	begun, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	err := g.beginAll(begun)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	report := &Report{}
	if err == nil {
		err = g.measure(ctx, report)
	}
	bound := g.cfg.Timeout
	if ctx.Err() != nil {
		bound = min(bound, farewell)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	report.LeftBehind = g.endAll(ending)
	return report, err
}

// beginAll makes all publications, then all subscriptions.
func (g *generator) beginAll(ctx context.Context) error {
	g.tell(fmt.Sprintf("publishing for %d presentities", len(g.presentities)))
	err := g.each(ctx, len(g.presentities), func(i int, done func(error)) { g.presentities[i].begin(done) })
	if err != nil {
		return err
	}
	for i := range g.presentities {
		g.idle <- &g.presentities[i]
	}
	if len(g.watchers) == 0 {
		return nil
	}
	g.tell(fmt.Sprintf("subscribing %d watchers", len(g.watchers)))
	return g.each(ctx, len(g.watchers), g.subscribe)
}

// endAll ends what was begun and gives the number of what could not be ended.
func (g *generator) endAll(ctx context.Context) (left int) {
	g.tell("ending subscriptions and publications")
	g.drain(ctx)
	var ended atomic.Int64
	count := func(done func(error)) func(error) {
		return func(err error) {
			if err == nil {
				ended.Add(1)
			}
			done(nil) // the others are ended all the same
		}
	}
	_ = g.each(ctx, len(g.watchers), func(i int, done func(error)) { g.unsubscribe(i, count(done)) })
	_ = g.each(ctx, len(g.presentities), func(i int, done func(error)) { g.presentities[i].end(count(done)) })
	return len(g.watchers) + len(g.presentities) - int(ended.Load())
}

// each starts op for 0 to n-1, as many at a time as may be in flight, and waits
// until all have called done, once each. After the first error no more are
// started.
func (g *generator) each(ctx context.Context, n int, op func(i int, done func(error))) error {
	results := make(chan error, n)
	done := func(err error) { results <- err }
	var failed error
	for begun, ended := 0, 0; ended < begun || begun < n && failed == nil; {
		if begun < n && failed == nil && begun-ended < g.cfg.InFlight {
			op(begun, done)
			begun++
			continue
		}
		select {
		case err := <-results:
			ended++
			if failed == nil {
				failed = err
			}
		case <-ctx.Done():
			if failed == nil {
				failed = &SetupError{Doing: fmt.Sprintf("waiting for %d answers", begun-ended), Err: stack.ErrTimeout}
			}
			return failed
		}
	}
	return failed
}

// fail counts a PUBLISH that failed.
func (g *generator) fail(what string) {
	g.mu.Lock()
	g.failed[what]++
	g.mu.Unlock()
}

// lifetime is what a publication or subscription must last for the run.
func (g *generator) lifetime() time.Duration {
	return g.cfg.Warmup + g.cfg.Duration + 2*g.cfg.Settle
}
