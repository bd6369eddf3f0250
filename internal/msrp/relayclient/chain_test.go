package relayclient

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"
	"time"

	"imp/internal/auth/certs"
	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
	"imp/internal/server/relay"
)

var authority = func() *certs.Authority {
	a, err := certs.NewAuthority("test", time.Now(), 24*time.Hour)
	if err != nil {
		panic(err)
	}
	return a
}()

// serverTLS is a certificate for localhost.
func serverTLS(t *testing.T) *tls.Config {
	cert, key, err := authority.Issue(certs.Names{Hosts: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func clientTLS(host string) *tls.Config {
	return &tls.Config{RootCAs: authority.Pool(), ServerName: host}
}

// startRelay starts one that alice and bob may use, and gives its URI.
func startRelay(t *testing.T, transport string) wire.URI {
	t.Helper()
	return newSplitting(t).relay(t, transport)
}

// relay is startRelay with connections that are read in random pieces.
func (s splitting) relay(t *testing.T, transport string) wire.URI {
	t.Helper()
	known, err := users.New(users.Config{Realms: []string{"example.com"}, Algorithms: []string{"MD5", "SHA-256"}, Entries: []string{"alice:secret", "bob:secret"}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port)
	r, err := relay.New(relay.Config{Host: "localhost", Port: uint16(n), ClientTLS: clientTLS, Dial: s.dial,
		Auth: &relay.Auth{Realm: "example.com", Users: known, Algorithms: []digest.Algorithm{digest.SHA256, digest.MD5}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	tr := relay.Transport{Name: transport}
	u := wire.URI{Host: "localhost", Port: uint16(n), Transport: "tcp"}
	if transport == "tls" || transport == "wss" {
		tr.TLS, u.Secure = serverTLS(t), true
	}
	if transport == "wss" {
		u.Transport = "ws"
	}
	go r.Serve(l, tr)
	return u
}

func newNode(t *testing.T) *session.Node {
	n := session.New(session.Config{ClientTLS: clientTLS})
	t.Cleanup(func() { n.Close() })
	return n
}

func newClient(t *testing.T, user string, node *session.Node, relays ...wire.URI) *Client {
	t.Helper()
	c, err := New(Config{Node: node, Relays: relays, Credentials: func(string) (string, string, error) { return user, "secret", nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// behind opens a session behind relays.
func behind(t *testing.T, node *session.Node, c *Client) *session.Session {
	t.Helper()
	g, err := c.Auth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Release)
	if g.Expires <= 0 || !g.Renew().Before(g.Until) {
		t.Errorf("the grant expires after %v, and is renewed at %v of %v", g.Expires, g.Renew(), g.Until)
	}
	s, err := node.Open(session.Own{URI: g.URI, UsePath: g.UsePath, Relay: g.Conn, Stream: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t *testing.T, a, b *session.Session) {
	t.Helper()
	if err := b.Start(t.Context(), session.Peer{Path: a.Path()}); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context(), session.Peer{Path: b.Path(), Decision: session.Decision{Active: true}}); err != nil {
		t.Fatal(err)
	}
}

// TestThroughRelays sends messages of all sizes through one relay and two.
func TestThroughRelays(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		one, two := startRelay(t, transport), startRelay(t, transport)
		na, nb := newNode(t), newNode(t)
		t.Run("one relay over "+transport, func(t *testing.T) {
			a := behind(t, na, newClient(t, "alice", na, one))
			b := behind(t, nb, newClient(t, "bob", nb, one))
			start(t, a, b)
			exchange(t, a, b)
		})
		t.Run("MSRPR-010 MSRPR-013 MSRPR-014 two relays in a row over "+transport, func(t *testing.T) {
			a := behind(t, na, newClient(t, "alice", na, one, two))
			b := behind(t, nb, newClient(t, "bob", nb, one))
			path := a.Path()
			if len(path) != 3 || path[0].Port != two.Port || path[1].Port != one.Port || !path[2].Equal(a.URI()) {
				t.Fatalf("path %s", path)
			}
			start(t, a, b)
			exchange(t, a, b)
		})
		t.Run("MSRPR-016 MSRPR-012 one connection to the relay, a URI for each session over "+transport, func(t *testing.T) {
			c := newClient(t, "alice", na, one)
			first, second := behind(t, na, c), behind(t, na, c)
			if first.Path()[0].Equal(second.Path()[0]) {
				t.Error("two sessions have the same URI of the relay")
			}
			b1, b2 := behind(t, nb, newClient(t, "bob", nb, one)), behind(t, nb, newClient(t, "bob", nb, one))
			start(t, first, b1)
			start(t, second, b2)
			if first.Conn() != second.Conn() {
				t.Error("two connections")
			}
		})
	}
}

// exchange sends messages of many sizes from a to b.
func exchange(t *testing.T, a, b *session.Session) {
	t.Helper()
	random := newSplitting(t).random()
	for _, size := range []int64{0, 1, 2047, 2048, 2049, 300_000} {
		for _, chunk := range []int{0, 2048, 65536} {
			cross(t, random, a, b, size, chunk)
		}
	}
}

func TestWebSocket(t *testing.T) {
	t.Run("MCON-025 MCON-026 MCON-031 two WebSocket clients talk through the relay", func(t *testing.T) {
		u := startRelay(t, "wss")
		na, nb := newNode(t), newNode(t)
		a, b := behind(t, na, newClient(t, "alice", na, u)), behind(t, nb, newClient(t, "bob", nb, u))
		start(t, a, b)
		if own := a.URI(); own.Transport != "ws" || !own.Secure || own.Port != Port || len(own.Host) < len("x.invalid") {
			t.Errorf("our URI is %s", own)
		}
		exchange(t, a, b)
	})
}
