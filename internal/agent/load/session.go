package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
)

// Session is load in steps. Each step does one thing many times at a rate of
// its own, whether the server keeps up or not, so that what a server spends on
// that thing can be told. Steps come one after the other.
type Session struct {
	g    *generator
	wire *stack.Stack
}

// Step is what came of one step.
type Step struct {
	Took     time.Duration
	Done     int            // answered 2xx; a subscription also needs its first NOTIFY
	Failed   map[string]int // the others, as in Report
	Missed   int            // changes left out because the one before was without an answer
	Response Latency        // until an operation was done
	Notified int            // NOTIFYs with the new state of a change
	Lost     int            // changes that a watcher did not hear of
	Last     Latency        // from PUBLISH to the NOTIFY at the last watcher of a presentity
	Repeated int            // requests sent again for want of an answer
}

// Open makes a session that has sent nothing yet. Of cfg the rate, the count,
// and the times of warming up and measuring are not used, but publications and
// subscriptions must last as long as those together. Errors are of the stack.
func Open(ctx context.Context, cfg Config) (*Session, error) {
	g := newGenerator(cfg)
	s, err := g.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &Session{g, s}, nil
}

// connect gives the generator a stack, which is to be closed.
func (g *generator) connect(ctx context.Context) (*stack.Stack, error) {
	s := stack.New(g.cfg.Stack)
	s.Handle("NOTIFY", g.notify)
	host := localHost(ctx, g.cfg.Hop.Addr)
	if err := s.Listen(ctx, stack.Endpoint{Transport: "udp", Addr: host}, stack.Endpoint{Transport: "tcp", Addr: host}); err != nil {
		s.Close()
		return nil, err
	}
	g.wire = s
	if g.cfg.Credentials != nil {
		c := identity.NewClient(identity.ClientConfig{Wire: s, Credentials: g.cfg.Credentials})
		g.wire, g.answer = c, c.Answer
	}
	g.repeated = func() int { return int(s.Stats().Retransmits) }
	transport := g.cfg.Hop.Transport
	if transport == "" {
		transport = "udp"
	}
	g.reachable(s.ContactHost(transport, g.cfg.Hop.Addr), transport)
	return s, nil
}

// Publish makes the first publication of every presentity, rate of them a
// second.
func (s *Session) Publish(ctx context.Context, rate float64) (Step, error) {
	return s.g.step(ctx, len(s.g.presentities), rate, func(i int, done func(error)) { s.g.presentities[i].begin(done) })
}

// Subscribe begins every subscription, rate of them a second.
func (s *Session) Subscribe(ctx context.Context, rate float64) (Step, error) {
	return s.g.step(ctx, len(s.g.watchers), rate, s.g.subscribe)
}

// Change publishes n new documents, one presentity after the other, rate of
// them a second, and waits until the watchers know the last.
func (s *Session) Change(ctx context.Context, n int, rate float64) (Step, error) {
	g := s.g
	for i := range g.presentities {
		g.presentities[i].count.Store(0)
	}
	step, err := g.step(ctx, n, rate, func(i int, done func(error)) {
		p := &g.presentities[i%len(g.presentities)]
		if p.busy.Load() {
			done(errBusy)
			return
		}
		p.publish(g.cfg.Expires, done)
	})
	g.settle(ctx)
	var sum Report
	g.fill(&sum)
	step.Notified, step.Lost, step.Last = sum.Notified(), sum.Due-sum.Notified(), g.complete.latency()
	return step, err
}

// Close leaves the server with what was begun, to be asked for no more.
func (s *Session) Close() error { return s.wire.Close() }

var errBusy = errors.New("the change before is without an answer")

// step does op n times at a rate and waits until all have called done, once
// each.
func (g *generator) step(ctx context.Context, n int, rate float64, op func(i int, done func(error))) (step Step, err error) {
	for _, h := range []*histogram{&g.response, &g.notified, &g.complete} {
		h.reset()
	}
	var operation histogram
	step.Failed = map[string]int{}
	results := make(chan error, n)
	repeated, start := g.repeated(), g.now()
	g.since.Store(int64(start))
	defer func() {
		step.Took, step.Response, step.Repeated = g.now()-start, operation.latency(), g.repeated()-repeated
	}()
	take := func(err error) {
		switch {
		case err == nil:
			step.Done++
		case errors.Is(err, errBusy):
			step.Missed++
		default:
			step.Failed[failure(err)]++
		}
	}
	for i := range n {
		due := start + time.Duration(float64(i)/rate*float64(time.Second))
		if !sleep(ctx, due-g.now()) {
			return step, ctx.Err()
		}
		begun := g.now()
		op(i, func(err error) {
			if err == nil {
				operation.add(g.now() - begun)
			}
			results <- err
		})
	}
	for range n {
		select {
		case err := <-results:
			take(err)
		case <-ctx.Done():
			return step, fmt.Errorf("%d of %d answers: %w", step.Done, n, ctx.Err())
		}
	}
	return step, nil
}
