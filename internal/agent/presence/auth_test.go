package presence

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// gate is a server that lets alice through as a proxy, as a server, or as both.
type gate struct {
	t      *testing.T
	ctx    context.Context
	stack  *stack.Stack
	server *digest.Verifier
	proxy  *digest.Verifier

	mu    sync.Mutex
	final *stack.Response // to whom came through
	cut   bool            // claims a password of its own in Authentication-Info
	seen  []*sip.Request
}

func newGate(t *testing.T, asServer, asProxy bool) *gate {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	g := &gate{t: t, ctx: ctx, stack: stack.New(stack.Config{}), final: stack.Answer(200, stack.Field{Name: "SIP-ETag", Value: "e1"}, stack.Field{Name: "Expires", Value: "100"})}
	if asServer {
		g.server = verifier(t, "server.example.com")
	}
	if asProxy {
		g.proxy = verifier(t, "proxy.example.com")
	}
	for _, m := range []string{"PUBLISH", "SUBSCRIBE"} {
		g.stack.Handle(m, g.handle)
	}
	both, _ := stack.ParseEndpoint("127.0.0.1:0")
	if err := g.stack.Listen(ctx, both...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.stack.Close() })
	return g
}

func verifier(t *testing.T, realm string) *digest.Verifier {
	t.Helper()
	source, err := users.New(users.Config{Realms: []string{realm}, Entries: []string{"alice:wonderland"}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := digest.NewVerifier(digest.Config{Realm: realm, Users: source})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (g *gate) handle(_ context.Context, r *stack.Request) *stack.Response {
	g.mu.Lock()
	g.seen = append(g.seen, r.Request)
	final, cut := *g.final, g.cut
	g.mu.Unlock()
	var info string
	for _, c := range []struct {
		v                 *digest.Verifier
		status            int
		challenge, answer string
	}{{g.proxy, 407, "Proxy-Authenticate", "Proxy-Authorization"}, {g.server, 401, "WWW-Authenticate", "Authorization"}} {
		if c.v == nil {
			continue
		}
		res, err := c.v.Verify(header.Values(r.Request, c.answer), string(r.Method), r.Recipient.String(), r.Body())
		if err != nil {
			var why *digest.Refusal
			errors.As(err, &why)
			refusal := stack.Answer(c.status)
			for _, v := range c.v.Challenge(why.Verdict.Stale()) {
				refusal.Fields = append(refusal.Fields, stack.Field{Name: c.challenge, Value: v})
			}
			return refusal
		}
		info = c.v.Info(res, nil, true)
	}
	if cut {
		info = strings.Replace(info, `rspauth="`, `rspauth="0`, 1)
	}
	final.Fields = append(slices.Clone(final.Fields), stack.Field{Name: "Authentication-Info", Value: info})
	return &final
}

// change changes what the gate does from now on.
func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// requests are those seen so far.
func (g *gate) requests() []*sip.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}

func (g *gate) agent(change func(*Config)) *Agent {
	g.t.Helper()
	cfg := Config{AOR: header.Address{URI: "sip:alice@example.com"}, Proxy: stack.Target{Addr: g.stack.Addrs()[0].Addr, Transport: "udp"},
		Credentials: func(string) (string, string, error) { return "alice", "wonderland", nil }}
	if change != nil {
		change(&cfg)
	}
	a, err := Start(g.ctx, cfg)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { a.Close() })
	return a
}

func (g *gate) publisher(a *Agent) *event.Publisher {
	g.t.Helper()
	p, err := a.Publisher(PublishOptions{Presentity: "sip:alice@example.com", Event: header.Event{Package: "presence"}})
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

var doc = event.Doc{Type: "application/pidf+xml", Body: []byte(`<presence/>`)}

func TestPublisherAuthenticates(t *testing.T) {
	for _, c := range []struct {
		name          string
		server, proxy bool
		sent          int
	}{
		{"PUB-020 PUB-053 a server asks", true, false, 2},
		{"PUB-020 a proxy asks", false, true, 2},
		{"PUB-020 NAM-034 a proxy asks, then a server", true, true, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t, c.server, c.proxy)
			p := g.publisher(g.agent(nil))
			if _, err := p.Publish(g.ctx, doc); err != nil {
				t.Fatal(err)
			}
			if n := len(g.requests()); n != c.sent {
				t.Fatalf("%d requests for the first PUBLISH", n)
			}
			// NAM-046: what follows has credentials at once.
			for range 3 {
				if _, err := p.Publish(g.ctx, doc); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(g.requests()); n != c.sent+3 {
				t.Fatalf("%d requests in all", n)
			}
			for _, r := range g.requests() {
				if len(header.Values(r, "Authorization")) > 1 || len(header.Values(r, "Proxy-Authorization")) > 1 {
					t.Errorf("old credentials are sent along:\n%s", r)
				}
			}
		})
	}
	t.Run("NAM-044 the retry keeps Call-ID, From and To, with the next CSeq and a new branch", func(t *testing.T) {
		g := newGate(t, true, false)
		if _, err := g.publisher(g.agent(nil)).Publish(g.ctx, doc); err != nil {
			t.Fatal(err)
		}
		first, retry := g.requests()[0], g.requests()[1]
		for _, name := range []string{"Call-ID", "From", "To"} {
			if a, b := header.Values(first, name)[0], header.Values(retry, name)[0]; a != b {
				t.Errorf("%s: %q, then %q", name, a, b)
			}
		}
		if a, b := first.CSeq().SeqNo, retry.CSeq().SeqNo; b != a+1 {
			t.Errorf("CSeq %d, then %d", a, b)
		}
		if a, b := header.Values(first, "Via")[0], header.Values(retry, "Via")[0]; a == b {
			t.Errorf("Via %q twice", a)
		}
		if string(retry.Body()) != string(doc.Body) {
			t.Errorf("body %q", retry.Body())
		}
	})
	t.Run("NAM-043 a wrong password is tried once", func(t *testing.T) {
		g := newGate(t, true, false)
		asked := 0
		a := g.agent(func(c *Config) {
			c.Credentials = func(string) (string, string, error) { asked++; return "alice", "guess", nil }
		})
		_, err := g.publisher(a).Publish(g.ctx, doc)
		var refused *event.ResponseError
		if !errors.As(err, &refused) || refused.Status != 401 || !errors.Is(err, digest.ErrRejected) {
			t.Errorf("error %v", err)
		}
		if n := len(g.requests()); n != 2 || asked != 1 {
			t.Errorf("%d requests, asked %d times", n, asked)
		}
	})
	t.Run("without a password the reason is told", func(t *testing.T) {
		g := newGate(t, true, false)
		none := errors.New("there is none")
		a := g.agent(func(c *Config) { c.Credentials = func(string) (string, string, error) { return "", "", none } })
		if _, err := g.publisher(a).Publish(g.ctx, doc); !errors.Is(err, none) || len(g.requests()) != 1 {
			t.Errorf("error %v after %d requests", err, len(g.requests()))
		}
	})
	t.Run("NAM-045 a server that does not prove itself is told of", func(t *testing.T) {
		for _, wrong := range []bool{false, true} {
			g := newGate(t, true, false)
			g.change(func() { g.cut = wrong })
			told := make(chan error, 10)
			a := g.agent(func(c *Config) { c.Unproven = func(err error) { told <- err } })
			if _, err := g.publisher(a).Publish(g.ctx, doc); err != nil {
				t.Fatal(err)
			}
			if got := len(told) > 0; got != wrong {
				t.Errorf("told %v with wrong proof %v", got, wrong)
			}
		}
	})
}

func TestSubscriberAuthenticates(t *testing.T) {
	t.Run("PRS-008 somebody may take his time with the password", func(t *testing.T) {
		g := newGate(t, true, false)
		g.change(func() { g.final = stack.Answer(489) })
		typing, typed := make(chan bool), make(chan bool)
		a := g.agent(func(c *Config) {
			c.Proxy.Transport = "tcp" // one connection for all
			c.Credentials = func(string) (string, string, error) { typing <- true; <-typed; return "alice", "wonderland", nil }
		})
		go func() {
			<-typing
			// Meanwhile the stack goes on.
			_, err := a.Stack.Do(g.ctx, &stack.Outgoing{Method: "OPTIONS", URI: "sip:example.com", Target: a.Proxy,
				Head: []byte("Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:example.com>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n")})
			if err != nil {
				t.Error(err)
			}
			typed <- true
		}()
		_, err := a.Subscribe(g.ctx, event.SubscribeOptions{Target: "sip:alice@example.com", Event: header.Event{Package: "presence"}})
		var refused *event.ResponseError
		if !errors.As(err, &refused) || refused.Status != 489 {
			t.Errorf("error %v", err)
		}
		if n := len(g.requests()); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("PRS-008 NAM-043 a wrong password is tried once", func(t *testing.T) {
		g := newGate(t, true, false)
		a := g.agent(func(c *Config) {
			c.Credentials = func(string) (string, string, error) { return "alice", "guess", nil }
		})
		_, err := a.Subscribe(g.ctx, event.SubscribeOptions{Target: "sip:alice@example.com", Event: header.Event{Package: "presence"}})
		if !errors.Is(err, digest.ErrRejected) || len(g.requests()) != 2 {
			t.Errorf("error %v after %d requests", err, len(g.requests()))
		}
	})
}
