package relay

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"imp/internal/auth/certs"
)

// authority issues certificates for tests.
type authority struct {
	t *testing.T
	*certs.Authority
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	ca, err := certs.NewAuthority("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return authority{t, ca}
}

func (a authority) cert(hosts ...string) tls.Certificate {
	a.t.Helper()
	cert, key, err := a.Issue(certs.Names{Hosts: hosts}, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// secured is a relay with TLS whose certificate has a name, which is one of this machine.
func (a authority) secured(cfg Config, host string) *Relay {
	a.t.Helper()
	cert := a.cert(host)
	cfg.Host, cfg.Roots = host, a.Pool()
	cfg.ClientTLS = func(name string) *tls.Config {
		return &tls.Config{ServerName: name, RootCAs: a.Pool(), Certificates: []tls.Certificate{cert}}
	}
	r := running(a.t, cfg)
	own := &tls.Config{Certificates: []tls.Certificate{cert}}
	serve(a.t, r, "tls", &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return own, nil }})
	return r
}

// dial connects by TLS, with a certificate or without.
func (a authority) dial(r *Relay, name string, own ...tls.Certificate) *peer {
	a.t.Helper()
	nc, err := tls.Dial("tcp", r.at("tls"), &tls.Config{ServerName: r.cfg.Host, RootCAs: a.Pool(), Certificates: own})
	if err != nil {
		a.t.Fatal(err)
	}
	p := peerOver(a.t, nc, name)
	p.uri = strings.Replace(p.uri, "msrp:", "msrps:", 1)
	return p
}

func TestPeerRelays(t *testing.T) {
	a := newAuthority(t)
	r := a.secured(withUsers(t, Config{}), "localhost")
	behind := "msrps://alice.example.com:9892/98cjs;tcp"
	inner := "msrps://inner.example:2855/in;tcp"
	to := "msrps://alice@localhost;tcp"
	authorized := func(p *peer, from string) got {
		p.request("AUTH", to, from, "-")
		g := p.next()
		if g.code != 401 {
			return g
		}
		p.request("AUTH", to, from, "-", answerTo(g.fields["www-authenticate"], "alice", "secret", to, "00000001"))
		return p.next()
	}
	t.Run("MSRPR-028 a certificate is asked for, and clients need none", func(t *testing.T) {
		asked := false
		nc, err := tls.Dial("tcp", r.at("tls"), &tls.Config{ServerName: "localhost", RootCAs: a.Pool(),
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return &tls.Certificate{}, nil
			}})
		if err != nil || !asked {
			t.Fatal(err, asked)
		}
		p := peerOver(t, nc, "alice")
		if g := authorized(p, p.uri); g.code != 200 || !strings.HasPrefix(g.fields["use-path"], "msrps://localhost:") {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-028 MSRPR-029 the certificate is that of the first URI in From-Path", func(t *testing.T) {
		if g := authorized(a.dial(r, "other", a.cert("other.example")), inner+" "+behind); g.code != 403 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-028 a certificate of no authority is that of a client", func(t *testing.T) {
		foreign := newAuthority(t)
		p := a.dial(r, "alice", foreign.cert("inner.example"))
		if g := authorized(p, inner+" "+behind); g.code != 200 {
			t.Fatalf("%+v", g)
		} else if p.path = g.fields["use-path"]; !strings.HasPrefix(p.path, inner+" ") {
			t.Error(p.path)
		}
		_, own, _ := strings.Cut(p.path, " ")
		q := a.dial(r, "alice2", foreign.cert("inner.example"))
		q.request("SEND", own+" msrps://far.example:1/x;tcp", inner+" "+behind, "x", "Message-ID: 12345")
		if g := q.next(); g.code != 403 {
			t.Errorf("MSRPR-029 the rights of a relay: %+v", g)
		}
	})
	var path string
	first := a.dial(r, "inner", a.cert("inner.example"))
	t.Run("MSRPR-038 Use-Path in the order of To-Path", func(t *testing.T) {
		g := authorized(first, inner+" "+behind)
		if path = g.fields["use-path"]; g.code != 200 || !strings.HasPrefix(path, inner+" msrps://localhost:") || g.to != inner+" "+behind {
			t.Fatalf("%+v", g)
		}
	})
	_, own, _ := strings.Cut(path, " ")
	t.Run("MSRPR-040 good on each connection of the relay", func(t *testing.T) {
		second := a.dial(r, "inner", a.cert("inner.example"))
		_, far := listener(t)
		second.request("SEND", own+" "+far, inner+" "+behind, "x", "Message-ID: 12345")
		if g := second.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
		bob := dial(t, r.at("tcp"), "bob")
		bob.request("SEND", own+" "+inner+" "+behind, bob.uri, "hello", "Message-ID: 12345")
		if g := first.next(); g.body != "hello" || g.to != inner+" "+behind {
			t.Errorf("%+v", g)
		}
		first.nc.Close()
		second.request("SEND", own+" "+far, inner+" "+behind, "x", "Message-ID: 12345")
		if g := second.next(); g.code != 200 {
			t.Errorf("after the first connection: %+v", g)
		}
	})
}

func TestNextHopTLS(t *testing.T) {
	a := newAuthority(t)
	r := a.secured(Config{}, "localhost")
	alice := a.dial(r, "alice")
	alice.auth(r)
	l, far := listener(t)
	far = strings.Replace(strings.Replace(far, "127.0.0.1", "localhost", 1), "msrp:", "msrps:", 1)
	names := make(chan string, 4)
	connect := func(cert tls.Certificate) *tls.Conn {
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return tls.Server(nc, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool(),
			GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { names <- h.ServerName; return &cert, nil }})
	}
	t.Run("MSRPR-029 MSRP-008 MSRP-090 the next hop's name is checked", func(t *testing.T) {
		alice.request("SEND", alice.path+" "+far, alice.uri, "secret", "Message-ID: 12345")
		alice.next()
		c := connect(a.cert("other.example"))
		err := c.Handshake()
		if err == nil { // the client's alert comes with the first read
			_, err = c.Read(make([]byte, 1))
		}
		var alert *net.OpError
		if err == nil || !errors.As(err, &alert) && !strings.Contains(err.Error(), "EOF") {
			t.Errorf("%v", err)
		}
		if g := alice.next(); g.method != "REPORT" {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-029 and the relay shows its own", func(t *testing.T) {
		r.mu.Lock()
		clear(r.unreachable)
		r.mu.Unlock()
		alice.request("SEND", alice.path+" "+far, alice.uri, "secret", "Message-ID: 12345")
		alice.next()
		c := connect(a.cert("localhost"))
		p := peerOver(t, c, "far")
		if g := p.next(); g.body != "secret" {
			t.Errorf("%+v", g)
		}
		if s := c.ConnectionState(); len(s.PeerCertificates) == 0 || s.PeerCertificates[0].VerifyHostname("localhost") != nil || s.Version < tls.VersionTLS12 {
			t.Error("MSRP-089 no certificate of the relay, or old TLS")
		}
		for range 2 {
			if name := <-names; name != "localhost" {
				t.Errorf("MSRP-089 server name %q", name)
			}
		}
	})
}

// TestChain has two relays between client and peer, with TLS between them.
func TestChain(t *testing.T) {
	a := newAuthority(t)
	inner, outer := a.secured(Config{}, "localhost"), a.secured(withUsers(t, Config{}), "localhost")
	alice := a.dial(inner, "alice")
	alice.auth(inner)
	to := "msrps://alice@localhost:" + strings.TrimPrefix(outer.at("tls"), "127.0.0.1:") + ";tcp"
	alice.request("AUTH", alice.path+" "+to, alice.uri, "-")
	g := alice.next()
	if g.code != 401 || g.to != alice.uri || g.from != alice.path+" "+to {
		t.Fatalf("MSRPR-060 %+v", g)
	}
	id := alice.request("AUTH", alice.path+" "+to, alice.uri, "-", answerTo(g.fields["www-authenticate"], "alice", "secret", to, "00000001"))
	g = alice.next()
	t.Run("MSRPR-060 AUTH through an inner relay", func(t *testing.T) {
		if g.code != 200 || g.id != id || g.to != alice.uri || g.from != alice.path+" "+to {
			t.Fatalf("%+v", g)
		}
	})
	use := strings.Fields(g.fields["use-path"])
	t.Run("MSRPR-038 two relays, innermost first", func(t *testing.T) {
		if len(use) != 2 || use[0] != alice.path {
			t.Fatalf("%q", use)
		}
	})
	t.Run("MSRPR-044 there and back through both", func(t *testing.T) {
		bob := dial(t, outer.at("tcp"), "bob")
		bob.request("SEND", use[1]+" "+use[0]+" "+alice.uri, bob.uri, "hello", "Message-ID: 12345", "Success-Report: yes")
		g := alice.next()
		if g.body != "hello" || g.to != alice.uri || g.from != use[0]+" "+use[1]+" "+bob.uri {
			t.Errorf("%+v", g)
		}
		if g := bob.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
		alice.ok(g)
		alice.request("REPORT", g.from, alice.uri, "-", "Message-ID: 12345", "Byte-Range: 1-5/5", "Status: 000 200 OK")
		if g := bob.next(); g.method != "REPORT" || g.to != bob.uri || g.from != use[1]+" "+use[0]+" "+alice.uri {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-032 wrong passwords for a relay further on", func(t *testing.T) {
		for range 3 {
			alice.request("AUTH", alice.path+" "+to, alice.uri, "-", answerTo(g.fields["www-authenticate"]+`realm="example.com", nonce="x"`, "alice", "wrong", to, "00000001"))
			alice.next()
		}
		alice.ended("three that failed")
	})
}
