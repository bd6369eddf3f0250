package registrar

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/auth/certs"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// client is a user agent over a transport that takes more than bytes: its requests come to a channel and get 200.
type client struct {
	t     *testing.T
	stack *stack.Stack
	to    stack.Target
	got   chan *stack.Request
	seq   int
}

// secureSite is a site with TLS and WebSocket, at the endpoints in that order, and UDP.
func secureSite(t *testing.T) (*site, func(transport string) *client) {
	t.Helper()
	ca, err := certs.NewAuthority("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := ca.Issue(certs.Names{Domains: []string{"example.com"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	s := newSiteAt(t, nil, stack.Config{ServerTLS: func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{pair}} }},
		"udp:127.0.0.1:0", "tls:127.0.0.1:0", "ws:127.0.0.1:0")
	return s, func(transport string) *client {
		t.Helper()
		c := &client{t: t, got: make(chan *stack.Request, 10)}
		c.stack = stack.New(stack.Config{ClientTLS: func(string) *tls.Config { return certs.Client("example.com", ca.Pool(), nil) }})
		for _, method := range []string{"MESSAGE", "INVITE"} {
			c.stack.Handle(method, func(_ context.Context, r *stack.Request) *stack.Response {
				c.got <- r
				return stack.Answer(200)
			})
		}
		for _, e := range s.stack.Addrs() {
			if e.Transport == transport {
				c.to = stack.Target{Transport: transport, Addr: e.Addr, Domain: "example.com"}
			}
		}
		t.Cleanup(func() { c.stack.Close() })
		return c
	}
}

// register sends a REGISTER with a contact.
func (c *client) register(scheme, contact string, fields ...string) *sip.Response {
	c.t.Helper()
	c.seq++
	head := fmt.Sprintf("From: <sip:bob@example.com>;tag=f\r\nTo: <sip:bob@example.com>\r\nCall-ID: %p\r\nCSeq: %d REGISTER\r\nContact: %s\r\n", c, c.seq, contact)
	for _, f := range fields {
		head += f + "\r\n"
	}
	res, err := c.stack.Do(c.t.Context(), &stack.Outgoing{Method: "REGISTER", URI: scheme + ":example.com", Head: []byte(head), Target: c.to})
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

func (c *client) receive() *stack.Request {
	c.t.Helper()
	select {
	case r := <-c.got:
		return r
	case <-time.After(patience):
		c.t.Fatal("nothing came")
	}
	return nil
}

func TestBrowser(t *testing.T) {
	s, client := secureSite(t)
	alice, bob := s.phone("alice", "udp"), client("ws")
	if res := bob.register("sip", "<sip:x@abc.invalid;transport=ws>"); res.StatusCode != 200 {
		t.Fatal(res)
	}
	wants(t, alice.ask("MESSAGE", "sip:bob@example.com"), 200)
	if r := bob.receive(); r.Recipient.String() != "sip:x@abc.invalid;transport=ws" {
		t.Errorf("sent to %s", r.Recipient.String())
	}
	t.Run("the path of a dialog has both sides", func(t *testing.T) {
		alice.send(alice.request("INVITE", "sip:bob@example.com", ""))
		rr := header.List(bob.receive().Request, "Record-Route")
		if len(rr) != 2 {
			t.Fatalf("Record-Route: %q", rr)
		}
		for i, transport := range []string{"ws", "udp"} {
			a, err := header.ParseAddress(rr[i])
			if err != nil {
				t.Fatal(err)
			}
			u, err := header.ParseURI(a.URI)
			if got, _ := u.Params.Get("transport"); err != nil || got != transport || !u.Params.Has("lr") {
				t.Errorf("%s for %s", rr[i], transport)
			}
		}
	})
}

func TestSIPS(t *testing.T) {
	s, client := secureSite(t)
	alice, bob, plain := s.phone("alice", "udp"), client("tls"), s.phone("bob", "udp")
	contact := "<sips:bob@127.0.0.1:9>;+sip.instance=\"<urn:x:1>\""
	if res := bob.register("sip", contact); res.StatusCode != 400 {
		t.Errorf("a sips contact over a sip URI: %d", res.StatusCode)
	}
	if res := bob.register("sips", contact, "Path: <sip:p.example.net;lr>"); res.StatusCode != 400 {
		t.Errorf("a sips contact over a sip Path: %d", res.StatusCode)
	}
	plain.registered()
	t.Run("MSG-034 a sips URI leads over TLS or nowhere", func(t *testing.T) {
		got := alice.ask("MESSAGE", "sips:bob@example.com")
		wants(t, got, 480)
		if field(got, "Warning") != `380 imp "SIPS Not Allowed"` {
			t.Errorf("got %q", got)
		}
		plain.quiet()
		res := bob.register("sips", contact, "Supported: gruu")
		if res.StatusCode != 200 {
			t.Fatal(res)
		}
		var gruu string
		for _, v := range header.List(res, "Contact") {
			if a, err := header.ParseAddress(v); err == nil {
				if g, ok := a.Params.Get("pub-gruu"); ok {
					gruu = g
				}
			}
		}
		if gruu != "sips:bob@example.com;gr=urn:x:1" {
			t.Errorf("GRUU %s", gruu)
		}
		for _, uri := range []string{"sips:bob@example.com", gruu} {
			wants(t, alice.ask("MESSAGE", uri), 200)
			if r := bob.receive(); r.Recipient.String() != "sips:bob@127.0.0.1:9" || !r.Flow.Secure() {
				t.Errorf("%s over %s", r.Recipient.String(), r.Flow.Transport())
			}
			plain.quiet()
		}
	})
	t.Run("a sip URI never becomes a sips URI, and TLS is used all the same", func(t *testing.T) {
		alice.send(alice.request("MESSAGE", "sip:bob@example.com;gr=urn:x:1", ""))
		if r := bob.receive(); r.Recipient.String() != "sip:bob@127.0.0.1:9" || !r.Flow.Secure() {
			t.Errorf("%s over %s", r.Recipient.String(), r.Flow.Transport())
		}
	})
}
