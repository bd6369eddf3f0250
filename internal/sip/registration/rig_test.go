package registration_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/registration"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac/uactest"
)

const instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"

// rig is a registration against a registrar that the test plays, over flows
// that it plays too.
type rig struct {
	*registration.Registration
	t      *testing.T
	wire   *uactest.Wire
	mu     sync.Mutex
	dialed []string
	refuse map[string]error // by transport
	flows  []*fakeFlow
	events []registration.Event
	over   chan error // of Run
	stop   context.CancelFunc
}

// fakeFlow is a flow that the test can break.
type fakeFlow struct {
	done  chan struct{}
	fail  chan error
	deaf  bool // does not answer pings
	mu    sync.Mutex
	pings int
	every []time.Duration
}

func (f *fakeFlow) Ping(context.Context) (netip.AddrPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pings++
	if f.deaf {
		return netip.AddrPort{}, stack.ErrTransport
	}
	return netip.AddrPort{}, nil
}

func (f *fakeFlow) KeepAlive(ctx context.Context, every time.Duration) error {
	f.mu.Lock()
	f.every = append(f.every, every)
	f.mu.Unlock()
	select {
	case err := <-f.fail:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeFlow) Done() <-chan struct{} { return f.done }

func (f *fakeFlow) counted() (pings, kept int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pings, len(f.every)
}

func (r *rig) connect(_ context.Context, uri string, hop stack.Target) (stack.Target, registration.Flow, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialed = append(r.dialed, hop.Transport+":"+hop.Addr)
	if err := r.refuse[hop.Transport]; err != nil {
		return stack.Target{}, nil, err
	}
	f := &fakeFlow{done: make(chan struct{}), fail: make(chan error, 1), deaf: r.refuse["deaf"] != nil}
	r.flows = append(r.flows, f)
	return hop, f, nil
}

func (r *rig) flow(n int) *fakeFlow {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.flows) != n {
		r.t.Fatalf("%d flows were made, want %d", len(r.flows), n)
	}
	return r.flows[n-1]
}

// config is that of alice behind one proxy over TCP.
func config() registration.Config {
	return registration.Config{
		AOR:      header.Address{Display: "Alice", URI: "sip:alice@example.com"},
		Proxies:  []stack.Target{{Transport: "tcp", Addr: "192.0.2.9:5060"}},
		Contact:  func(stack.Target) string { return "sip:alice@192.0.2.1:5060;transport=tcp" },
		Instance: instance, Expires: time.Hour, Random: func() float64 { return 0 },
	}
}

func with(t *testing.T, cfg registration.Config, f func(*testing.T, *rig)) {
	t.Helper()
	withVia(t, "SIP/2.0/TCP 192.0.2.1:5060", cfg, f)
}

func withVia(t *testing.T, via string, cfg registration.Config, f func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, wire: uactest.New(t, via), refuse: map[string]error{}}
		cfg.Wire, cfg.Connect = r.wire, r.connect
		var err error
		if r.Registration, err = registration.New(cfg); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if r.stop != nil {
				r.stop()
				r.wire.Close()
				<-r.over
			}
			r.wire.Close()
		}()
		f(t, r)
	})
}

// answered is what an operation came to.
type answered struct {
	t    *testing.T
	done chan struct{}
	got  []registration.Registered
	all  []registration.Binding
	err  error
}

func (r *rig) start(f func(context.Context, *answered)) *answered {
	a := &answered{t: r.t, done: make(chan struct{})}
	go func() { f(r.t.Context(), a); close(a.done) }()
	synctest.Wait()
	return a
}

func (r *rig) register() *answered {
	return r.start(func(ctx context.Context, a *answered) { a.got, a.err = r.Register(ctx) })
}

func (r *rig) remove() *answered {
	return r.start(func(ctx context.Context, a *answered) { a.err = r.Remove(ctx) })
}

func (a *answered) over() {
	a.t.Helper()
	synctest.Wait()
	select {
	case <-a.done:
	default:
		a.t.Fatal("still waits")
	}
}

func (a *answered) ok() []registration.Registered {
	a.t.Helper()
	if a.over(); a.err != nil {
		a.t.Fatal(a.err)
	}
	return a.got
}

func (a *answered) failed() error {
	a.t.Helper()
	if a.over(); a.err == nil {
		a.t.Fatal("succeeded")
	}
	return a.err
}

// run starts Run.
func (r *rig) run() {
	ctx, stop := context.WithCancel(r.t.Context())
	r.stop, r.over = stop, make(chan error, 1)
	go func() {
		r.over <- r.Run(ctx, func(e registration.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		})
	}()
	synctest.Wait()
}

// told is the only event since it was asked last.
func (r *rig) told() registration.Event {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != 1 {
		r.t.Fatalf("%d events: %+v", len(r.events), r.events)
	}
	e := r.events[0]
	r.events = nil
	return e
}

// granting answers a REGISTER with its own Contact and further parameters.
func granting(c *uactest.Call, params string, lines ...string) {
	contact := c.Address("Contact")
	c.Answer(200, append([]string{"Contact: " + contact.String() + params}, lines...)...)
}

const outbound = "Require: outbound"

func has(t *testing.T, c *uactest.Call, param, want string) {
	t.Helper()
	if got, _ := c.Address("Contact").Params.Get(param); got != want {
		t.Fatalf("%s of Contact is %q, want %q: %s", param, got, want, c.One("Contact"))
	}
}
