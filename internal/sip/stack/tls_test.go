package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/auth/certs"
	"imp/internal/sip/header"
)

// authority issues certificates for a test.
type authority struct {
	*certs.Authority
	t testing.TB
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	a, err := certs.NewAuthority("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return authority{a, t}
}

func (a authority) issue(names certs.Names) *tls.Certificate {
	a.t.Helper()
	certPEM, keyPEM, err := a.Issue(names, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		a.t.Fatal(err)
	}
	return &c
}

func (a authority) domains(list ...string) *tls.Certificate {
	return a.issue(certs.Names{Domains: list})
}

// server is a config that shows a certificate.
func server(c *tls.Certificate) func() *tls.Config {
	return func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{*c}} }
}

// trusting is a config of clients that believe an authority.
func (a authority) trusting(own *tls.Certificate) func(string) *tls.Config {
	return func(domain string) *tls.Config { return certs.Client(domain, a.Pool(), own) }
}

// serveAt is serve for endpoints of choice.
func serveAt(t testing.TB, cfg Config, setup func(*Stack), at ...string) *Stack {
	t.Helper()
	s := New(cfg)
	if setup != nil {
		setup(s)
	}
	for _, a := range at {
		eps, err := ParseEndpoint(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(context.Background(), eps...); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// client is a stack that listens nowhere.
func client(t testing.TB, cfg Config) *Stack { return serveAt(t, cfg, nil) }

func (s *Stack) target(i int, domain string) Target {
	ep := s.Addrs()[i]
	return Target{Transport: ep.Transport, Addr: ep.Addr, Domain: domain}
}

func ask(t testing.TB, s *Stack, o *Outgoing) (*sip.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return s.Do(ctx, o)
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	var via, remote atomic.Value
	srv := serveAt(t, Config{ServerTLS: server(a.domains("example.com", "example.org"))}, func(s *Stack) {
		s.Handle("SUBSCRIBE", func(_ context.Context, r *Request) *Response {
			via.Store(header.List(r.Request, "Via")[0])
			remote.Store(r.Flow)
			return Answer(200)
		})
	}, "tls:127.0.0.1:0")
	c := client(t, Config{ClientTLS: a.trusting(nil)})
	o := outgoing("SUBSCRIBE", srv.target(0, "example.com"))
	o.URI = "sips:bob@example.com"
	t.Run("PRS-028 EVT-115 TLS and sips URIs", func(t *testing.T) {
		if res, err := ask(t, c, o); err != nil || res.StatusCode != 200 {
			t.Fatal(err)
		}
		f := remote.Load().(*Flow)
		if v := via.Load().(string); !strings.HasPrefix(v, "SIP/2.0/TLS 127.0.0.1") || !f.Secure() || f.Transport() != "tls" || f.Certificate() != nil {
			t.Errorf("Via %s", v)
		}
	})
	t.Run("requests of the server come over the connection of the client", func(t *testing.T) {
		if res, err := ask(t, srv, outgoing("OPTIONS", Target{Flow: remote.Load().(*Flow)})); err != nil || res.StatusCode != 200 {
			t.Error(err)
		}
	})
	t.Run("NAM-069 one connection for a name, another for another name", func(t *testing.T) {
		for i, domain := range []string{"EXAMPLE.com.", "example.org", "example.org"} {
			if _, err := ask(t, c, outgoing("SUBSCRIBE", srv.target(0, domain))); err != nil {
				t.Fatal(err)
			}
			if n := c.Stats().Connections; n != 1+min(i, 1) {
				t.Errorf("%d connections after a request for %s", n, domain)
			}
		}
		f, err := c.Connect(t.Context(), "", srv.target(0, "example.org"))
		if err != nil || f.Certificate().URIs[0].String() != "sip:example.com" {
			t.Errorf("the certificate of the server: %v", err)
		}
	})
}

func TestTLSNames(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	for _, tt := range []struct {
		name string
		show *tls.Certificate
		want string // of the error; "" = none
	}{
		{"NAM-028 the domain of the URI", a.domains("example.com"), ""},
		{"NAM-028 only the target's name", a.domains("sip1.example.net"),
			`for "example.com": checking a certificate: it is for ["sip1.example.net"] and not for "example.com"`},
		{"NAM-028 a wildcard", a.issue(certs.Names{Hosts: []string{"*.com"}}), `it is for ["*.com"] and not for "example.com"`},
		{"NAM-028 an address", a.issue(certs.Names{Domains: []string{"example.net"}}), `and not for "example.com"`},
		{"another authority", other.domains("example.com"), `for "example.com": checking a certificate: x509:`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := serveAt(t, Config{ServerTLS: server(tt.show)}, nil, "tls:127.0.0.1:0")
			c := client(t, Config{ClientTLS: a.trusting(nil)})
			_, err := ask(t, c, outgoing("OPTIONS", srv.target(0, "example.com")))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!errors.Is(err, ErrTransport) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("ended with %v", err)
			}
			if n := srv.Stats().Messages["tls"].In; tt.want != "" && n != 0 {
				t.Errorf("%d messages were sent all the same", n)
			}
		})
	}
	t.Run("an unchecked certificate is none", func(t *testing.T) {
		srv := serveAt(t, Config{ServerTLS: server(other.domains("example.com"))}, nil, "tls:127.0.0.1:0")
		c := client(t, Config{ClientTLS: func(string) *tls.Config { return &tls.Config{InsecureSkipVerify: true} }})
		f, err := c.Connect(t.Context(), "", srv.target(0, "example.com"))
		if err != nil || f.Certificate() != nil {
			t.Errorf("%v", err)
		}
	})
}

func TestMutualTLS(t *testing.T) {
	a := newAuthority(t)
	var subject atomic.Value
	cfg := server(a.domains("example.com"))
	srv := serveAt(t, Config{ServerTLS: func() *tls.Config {
		c := cfg()
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool()
		return c
	}}, func(s *Stack) {
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response {
			subject.Store(r.Flow.Certificate().URIs[0].String())
			return Answer(200)
		})
	}, "tls:127.0.0.1:0")
	c := client(t, Config{ClientTLS: a.trusting(a.domains("peer.example"))})
	if _, err := ask(t, c, outgoing("PUBLISH", srv.target(0, "example.com"))); err != nil || subject.Load() != "sip:peer.example" {
		t.Errorf("%v, %v", subject.Load(), err)
	}
	for name, own := range map[string]*tls.Certificate{"none": nil, "of another authority": newAuthority(t).domains("peer.example")} {
		subject.Store("")
		c := client(t, Config{ClientTLS: a.trusting(own)})
		if _, err := ask(t, c, outgoing("PUBLISH", srv.target(0, "example.com"))); !errors.Is(err, ErrTransport) || subject.Load() != "" {
			t.Errorf("a certificate %s: %v", name, err)
		}
	}
}

func TestTLSReload(t *testing.T) {
	a := newAuthority(t)
	var now atomic.Pointer[tls.Certificate]
	now.Store(a.domains("one.example"))
	srv := serveAt(t, Config{ServerTLS: func() *tls.Config { return server(now.Load())() }}, nil, "tls:127.0.0.1:0")
	c := client(t, Config{ClientTLS: a.trusting(nil)})
	for _, domain := range []string{"one.example", "two.example"} {
		now.Store(a.domains(domain))
		if _, err := ask(t, c, outgoing("OPTIONS", srv.target(0, domain))); err != nil {
			t.Error(err)
		}
	}
	if n := c.Stats().Connections; n != 2 {
		t.Errorf("%d connections: the first one shall live on", n)
	}
	if err := New(Config{}).Listen(t.Context(), Endpoint{"tls", "127.0.0.1:0"}); !errors.Is(err, errNoTLS) {
		t.Errorf("without a certificate: %v", err)
	}
}

// TestSlowHandshakes: neither peers that say nothing nor those that stop in the middle keep others from being served,
// and none of them stays.
func TestSlowHandshakes(t *testing.T) {
	a := newAuthority(t)
	srv := serveAt(t, Config{ServerTLS: server(a.domains("example.com")), MaxHandshakes: 3, HandshakeTimeout: time.Second}, nil, "tls:127.0.0.1:0")
	var peers []net.Conn
	for range 10 {
		nc, err := net.Dial("tcp", srv.Addrs()[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		peers = append(peers, nc)
	}
	c := client(t, Config{ClientTLS: a.trusting(nil)})
	if _, err := ask(t, c, outgoing("OPTIONS", srv.target(0, "example.com"))); err != nil {
		t.Errorf("beside peers that say nothing: %v", err)
	}
	if n := srv.Stats().Connections; n != 11 {
		t.Errorf("%d connections: who says nothing takes no turn", n)
	}
	for _, nc := range peers {
		_, _ = io.WriteString(nc, "\x16\x03\x01\x02\x00\x01")
	}
	for _, nc := range peers {
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, context.DeadlineExceeded) {
			t.Error("a slow peer is still connected")
		}
	}
	if _, err := ask(t, c, outgoing("OPTIONS", srv.target(0, "example.com"))); err != nil {
		t.Error(err)
	}
	waitUntil(t, func() bool { return srv.Stats().Connections == 1 })
	if st := srv.Stats(); st.Handshakes != 10 {
		t.Errorf("stats %+v", st)
	}
}

// TestHandshakesOfOnePeer: who begins many handshakes and ends none keeps others from nothing.
func TestHandshakesOfOnePeer(t *testing.T) {
	a := newAuthority(t)
	srv := serveAt(t, Config{ServerTLS: server(a.domains("example.com")), MaxHandshakes: 4, HandshakeTimeout: 10 * patience}, nil, "tls:127.0.0.1:0")
	at := srv.Addrs()[0].Addr
	for range 10 {
		nc, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "\x16\x03\x01\x02\x00\x01")
	}
	waitUntil(t, func() bool { return len(srv.handshakes.all) > 0 && srv.handshakes.waiting() == 10 })
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: patience}
	nc, err := from.Dial("tcp", at)
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Errorf("beside ten handshakes of another peer: %v", err)
	}
}

// waiting is how many have a turn or wait for one.
func (t *turns) waiting() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sites {
		n += s.users
	}
	return n
}

// TestTLSNotReading: a peer that stops to read is disconnected, and nobody waits for the words of farewell.
func TestTLSNotReading(t *testing.T) {
	a := newAuthority(t)
	srv := serveAt(t, Config{ServerTLS: server(a.domains("example.com")), WriteTimeout: 100 * time.Millisecond, MaxWriteQueue: 1 << 16}, func(s *Stack) {
		s.Handle("PUBLISH", func(context.Context, *Request) *Response {
			return &Response{Status: 200, Body: make([]byte, 30_000), ContentType: "text/plain"}
		})
	}, "tls:127.0.0.1:0")
	raw, err := net.Dial("tcp", srv.Addrs()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.(*net.TCPConn).SetReadBuffer(4096)
	bad := tls.Client(raw, a.trusting(nil)("example.com"))
	for err == nil {
		_ = bad.SetWriteDeadline(time.Now().Add(patience))
		_, err = io.WriteString(bad, msg("PUBLISH"))
	}
	if strings.Contains(err.Error(), "timeout") {
		t.Error("the peer that does not read is still connected")
	}
}

func TestCloseDuringHandshake(t *testing.T) {
	a := newAuthority(t)
	s := serveAt(t, Config{ServerTLS: server(a.domains("example.com")), HandshakeTimeout: time.Hour}, nil, "tls:127.0.0.1:0")
	silent, err := net.Dial("tcp", s.Addrs()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	waitUntil(t, func() bool { return s.Stats().Connections == 1 })
	closed := make(chan struct{})
	go func() { _ = s.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("a handshake keeps the stack open")
	}
}
