package session

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/auth/certs"
	"imp/internal/msrp/wire"
	"imp/internal/transport/websocket"
)

func TestConnections(t *testing.T) {
	t.Run("MSRP-084 MCON-008 the active side sends a SEND at once", func(t *testing.T) {
		s, p := active(t, Config{}, Peer{})
		g := p.next()
		if g.method != "SEND" || g.hasBody || g.kind != "" || g.to != p.from || g.from != s.URI().String() || g.end != '$' {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRP-085 the passive side sends nothing before", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		done := sendAside(t.Context(), s, text("hello"))
		p.write("bind01 SEND", "TO", "FROM", "Message-ID: bind0001", "-------bind01$")
		var first, second got
		if first = p.next(); first.code != 200 {
			second, first = first, p.next()
		} else {
			second = p.next()
		}
		if first.code != 200 || second.body != "hello" {
			t.Errorf("%+v %+v", first, second)
		}
		p.answer(second, 200)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("MSRP-007 the addresses of a name are tried in order", func(t *testing.T) {
		m := newMemory()
		cfg := m.config()
		cfg.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")}, nil
		}
		l, _ := m.listen(t.Context(), "tcp", "192.0.2.2:5000")
		defer l.Close()
		n := New(cfg)
		defer n.Close()
		c, err := n.Connect(t.Context(), HopOf(path(t, "msrp://peer.example.com:5000/p;tcp")[0]))
		if err != nil || strings.Join(m.dialled, " ") != "192.0.2.1:5000 192.0.2.2:5000" {
			t.Fatal(err, m.dialled)
		}
		nc, _ := l.Accept()
		defer nc.Close()
		c.Release()
	})
	t.Run("MSRP-086 MSRP-088 sessions share a connection, and it outlives the first that ends", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		a2, b2 := r.pair(Own{}, Own{})
		if r.a.Conn() == nil || r.a.Conn() != a2.Conn() {
			t.Error("two connections")
		}
		r.a.Close()
		done := sendAside(t.Context(), a2, text("still"))
		if _, b := read(t, b2); b != "still" {
			t.Error(b)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("MSRP-087 all sessions of a connection that is lost have failed", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		a2, b2 := r.pair(Own{}, Own{})
		for _, s := range []*Session{r.b, b2} {
			if err := s.Bound(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r.a.Conn().nc.Close()
		for _, s := range []*Session{r.a, a2, r.b, b2} {
			<-s.Done()
			if _, err := s.Send(t.Context(), text("x")); !errors.Is(err, ErrDisconnected) {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("MSRP-070 MSRP-071 MCON-033 requests have the whole path and go to its first URI, whatever the others are", func(t *testing.T) {
		m := newMemory()
		n := New(m.config())
		defer n.Close()
		l, _ := m.listen(t.Context(), "tcp", "192.0.2.2:2855")
		uri, _ := n.NewURI("tcp", "127.0.0.1:2855")
		s, _ := n.Open(Own{URI: uri})
		to := "msrp://192.0.2.2:2855/r;tcp msrps://10.1.1.1:9/x;dc msrps://df7jal23ls0d.invalid:2855/98cjs;ws"
		if err := s.Start(t.Context(), Peer{Path: path(t, to), Decision: Decision{Active: true}}); err != nil {
			t.Fatal(err)
		}
		nc, _ := l.Accept()
		if g := newRaw(t, nc, "").next(); g.to != to || strings.Join(m.dialled, " ") != "192.0.2.2:2855" {
			t.Errorf("%+v %v", g, m.dialled)
		}
	})
	t.Run("MCON-018 the address of the c= and m= lines is connected to, and To-Path has the path", func(t *testing.T) {
		m := newMemory()
		n := New(m.config())
		defer n.Close()
		l, _ := m.listen(t.Context(), "tcp", "198.51.100.1:6000")
		uri, _ := n.NewURI("tcp", "127.0.0.1:2855")
		s, _ := n.Open(Own{URI: uri})
		d := Decision{Active: true, Connect: "198.51.100.1:6000", Model: "RFC 6714"}
		if err := s.Start(t.Context(), Peer{Path: path(t, peerPath), Decision: d}); err != nil {
			t.Fatal(err)
		}
		nc, _ := l.Accept()
		if g := newRaw(t, nc, "").next(); g.to != peerPath {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MCON-011 MSRPR-016 behind a relay the connection is there in any case, and a SEND only if we are active", func(t *testing.T) {
		m := newMemory()
		n := New(m.config())
		defer n.Close()
		l, _ := m.listen(t.Context(), "tcp", "192.0.2.3:2855")
		uri, _ := n.NewURI("tcp", "127.0.0.1:2855")
		s, _ := n.Open(Own{URI: uri, UsePath: path(t, useOne)})
		if err := s.Start(t.Context(), Peer{Path: path(t, peerPath)}); err != nil {
			t.Fatal(err)
		}
		nc, _ := l.Accept()
		p := newRaw(t, nc, uri.String())
		p.quiet()
		uri, _ = n.NewURI("tcp", "127.0.0.1:2855")
		s, _ = n.Open(Own{URI: uri, UsePath: path(t, useOne)})
		if err := s.Start(t.Context(), Peer{Path: path(t, peerPath), Decision: Decision{Active: true}}); err != nil {
			t.Fatal(err)
		}
		if g := p.next(); g.to != useOne+" "+peerPath {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRP-095 there is no transport without congestion control", func(t *testing.T) {
		n := New(Config{})
		defer n.Close()
		if _, err := n.Listen(t.Context(), "udp", "127.0.0.1:0"); err == nil {
			t.Error("udp is listened on")
		}
		m := newMemory()
		l, _ := m.listen(t.Context(), "tcp", "127.0.0.1:1")
		defer l.Close()
		n = New(m.config())
		defer n.Close()
		if _, err := n.Connect(t.Context(), Hop{Transport: "udp", Addr: "127.0.0.1:1"}); err == nil {
			t.Error("udp is connected to")
		}
	})
	t.Run("MSRP-103 a peer that connects before Start waits for it, for a while", func(t *testing.T) {
		for _, started := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				cfg := m.config()
				cfg.Times.Hold = 20 * time.Second
				n := New(cfg)
				defer n.Close()
				n.Listen(t.Context(), "tcp", "127.0.0.1:2855")
				uri, _ := n.NewURI("tcp", "127.0.0.1:2855")
				s, _ := n.Open(Own{URI: uri})
				p := connectRaw(t, m, s)
				go p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "-------tid1$")
				begin := time.Now()
				time.Sleep(10 * time.Second)
				want, after := 200, 10*time.Second
				if started {
					s.Start(t.Context(), Peer{})
				} else {
					want, after = 481, 20*time.Second
				}
				if g := p.next(); g.code != want || time.Since(begin) != after {
					t.Errorf("%d after %v", g.code, time.Since(begin))
				}
				s.Close()
			})
		}
	})
	t.Run("a connection that nobody uses is closed after a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := active(t, Config{}, Peer{})
			p.answer(p.next(), 200)
			s.Close()
			begin := time.Now()
			if _, err := p.read(); err == nil || time.Since(begin) < 5*time.Minute || time.Since(begin) > 5*time.Minute+3*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		})
	})
}

// named gives a config with a certificate for a name, of an authority that ClientTLS trusts.
func named(t *testing.T, host string, now time.Time, valid time.Duration, trusted bool) (server, client Config) {
	t.Helper()
	authority, err := certs.NewAuthority("test", now, valid)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.Issue(certs.Names{Hosts: []string{host}}, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server.Certificate = &pair
	client.ClientTLS = func(host string) *tls.Config {
		if !trusted {
			return &tls.Config{ServerName: host}
		}
		return &tls.Config{ServerName: host, RootCAs: authority.Pool()}
	}
	client.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return server, client
}

func TestTLS(t *testing.T) {
	listenTLS := func(t *testing.T, cfg Config, transport string) (*Node, *Listener) {
		t.Helper()
		n := New(cfg)
		t.Cleanup(func() { n.Close() })
		l, err := n.Listen(t.Context(), transport, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return n, l
	}
	t.Run("MSRP-008 MSRP-090 MCON-027 a peer that is known by name", func(t *testing.T) {
		now := time.Now()
		for _, c := range []struct {
			what, host string
			when       time.Time
			trusted    bool
			good       bool
		}{
			{"right", "peer.example.com", now, true, true},
			{"another name", "other.example.com", now, true, false},
			{"expired", "peer.example.com", now.Add(-48 * time.Hour), true, false},
			{"unknown authority", "peer.example.com", now, false, false},
		} {
			for _, transport := range []string{"tls", "wss"} {
				server, client := named(t, c.host, c.when, 24*time.Hour, c.trusted)
				_, l := listenTLS(t, server, transport)
				n := New(client)
				_, port, _ := net.SplitHostPort(l.Addr())
				conn, err := n.Connect(t.Context(), Hop{Transport: transport, Addr: "peer.example.com:" + port})
				if (err == nil) != c.good {
					t.Errorf("%s over %s: %v", c.what, transport, err)
				}
				if err == nil && conn.tls.ServerName != "peer.example.com" {
					t.Errorf("MSRP-089 the name shown was %q", conn.tls.ServerName)
				}
				n.Close()
			}
		}
	})
	t.Run("MSRP-089 no TLS below 1.2", func(t *testing.T) {
		_, l := listenTLS(t, Config{Certificate: certificate}, "tls")
		cfg := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
		if _, err := tls.Dial("tcp", l.Addr(), cfg); err == nil {
			t.Error("TLS 1.1 is taken")
		}
		old, _ := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*certificate}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
		defer old.Close()
		go func() {
			if c, err := old.Accept(); err == nil {
				c.(*tls.Conn).Handshake()
			}
		}()
		n := New(Config{ClientTLS: func(string) *tls.Config { return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10} }})
		defer n.Close()
		if _, err := n.Connect(t.Context(), Hop{Transport: "tls", Addr: old.Addr().String()}); err == nil {
			t.Error("TLS 1.1 is used")
		}
	})
	t.Run("MSRP-091 MCON-009 the certificate of the passive side is the one of its description", func(t *testing.T) {
		other, _ := NewCertificate(time.Now(), time.Hour)
		sha1 := Fingerprint{"sha-1", make([]byte, 20)}
		for _, c := range []struct {
			what string
			want []Fingerprint
			good bool
		}{
			{"right", []Fingerprint{FingerprintOf(certificate.Certificate[0])}, true},
			{"one of two", []Fingerprint{FingerprintOf(other.Certificate[0]), FingerprintOf(certificate.Certificate[0])}, true},
			{"another", []Fingerprint{FingerprintOf(other.Certificate[0])}, false},
			{"none", nil, false},
			{"SHA-1 alone", []Fingerprint{sha1}, false},
		} {
			nb, l := listenTLS(t, Config{Certificate: certificate}, "tls")
			na := New(Config{Certificate: certificate})
			ub, _ := nb.NewURI("tls", l.Addr())
			ua, _ := na.NewURI("tls", "127.0.0.1:9")
			b, _ := nb.Open(Own{URI: ub})
			a, _ := na.Open(Own{URI: ua})
			b.Start(t.Context(), Peer{Path: a.Path(), Fingerprints: []Fingerprint{FingerprintOf(certificate.Certificate[0])}})
			err := a.Start(t.Context(), Peer{Path: b.Path(), Fingerprints: c.want, Decision: Decision{Active: true}})
			if (err == nil) != c.good {
				t.Errorf("%s: %v", c.what, err)
			}
			na.Close()
		}
	})
	t.Run("MSRP-103 the active side must show its certificate, and the right one", func(t *testing.T) {
		other, _ := NewCertificate(time.Now(), time.Hour)
		for _, cert := range []*tls.Certificate{nil, &other} {
			nb, l := listenTLS(t, Config{Certificate: certificate}, "tls")
			na := New(Config{Certificate: cert})
			ub, _ := nb.NewURI("tls", l.Addr())
			ua, _ := na.NewURI("tls", "127.0.0.1:9")
			b, _ := nb.Open(Own{URI: ub})
			a, _ := na.Open(Own{URI: ua})
			b.Start(t.Context(), Peer{Path: a.Path(), Fingerprints: []Fingerprint{FingerprintOf(certificate.Certificate[0])}})
			a.Start(t.Context(), Peer{Path: b.Path(), Fingerprints: []Fingerprint{FingerprintOf(certificate.Certificate[0])}, Decision: Decision{Active: true}})
			<-a.Done()
			if a.Err() == nil || !strings.Contains(a.Err().Error(), "bad certificate") {
				t.Errorf("%v", a.Err())
			}
			if b.Conn() != nil {
				t.Error("it is bound")
			}
			na.Close()
		}
	})
	t.Run("MSRP-091 a session is torn down when its peer has the certificate of another one", func(t *testing.T) {
		other, _ := NewCertificate(time.Now(), time.Hour)
		nb, l := listenTLS(t, Config{Certificate: certificate}, "tls")
		na := New(Config{Certificate: &other})
		defer na.Close()
		ub, _ := nb.NewURI("tls", l.Addr())
		uc, _ := nb.NewURI("tls", l.Addr())
		ua, _ := na.NewURI("tls", "127.0.0.1:9")
		b, _ := nb.Open(Own{URI: ub})
		waiting, _ := nb.Open(Own{URI: uc})
		a, _ := na.Open(Own{URI: ua})
		waiting.Start(t.Context(), Peer{Fingerprints: []Fingerprint{FingerprintOf(other.Certificate[0])}})
		b.Start(t.Context(), Peer{Path: a.Path(), Fingerprints: []Fingerprint{FingerprintOf(certificate.Certificate[0])}})
		a.Start(t.Context(), Peer{Path: b.Path(), Fingerprints: []Fingerprint{FingerprintOf(certificate.Certificate[0])}, Decision: Decision{Active: true}})
		<-b.Done()
		<-a.Done()
		if !errors.Is(b.Err(), ErrFingerprint) {
			t.Errorf("%v", b.Err())
		}
	})
	t.Run("MSRP-092 a session has a certificate of its own if it wants", func(t *testing.T) {
		anonymous, _ := NewCertificate(time.Now(), time.Hour)
		nb, l := listenTLS(t, Config{Certificate: certificate}, "tls")
		na := New(Config{Certificate: certificate})
		defer na.Close()
		shown := map[string]bool{}
		for _, own := range []*tls.Certificate{nil, &anonymous} {
			ub, _ := nb.NewURI("tls", l.Addr())
			ua, _ := na.NewURI("tls", "127.0.0.1:9")
			b, _ := nb.Open(Own{URI: ub})
			a, _ := na.Open(Own{URI: ua, Certificate: own})
			b.Start(t.Context(), Peer{Path: a.Path()})
			if err := a.Start(t.Context(), Peer{Path: b.Path(), Fingerprints: []Fingerprint{FingerprintOf(certificate.Certificate[0])}, Decision: Decision{Active: true}}); err != nil {
				t.Fatal(err)
			}
			if err := b.Bound(t.Context()); err != nil {
				t.Fatal(err)
			}
			shown[FingerprintOf(b.Conn().tls.PeerCertificates[0].Raw).String()] = true
		}
		if len(shown) != 2 {
			t.Errorf("%v", shown)
		}
	})
	t.Run("MSRP-091 the form of a fingerprint", func(t *testing.T) {
		f := FingerprintOf([]byte("certificate"))
		s := f.String()
		if !strings.HasPrefix(s, "sha-256 ") || len(s) != len("sha-256 ")+32*3-1 || strings.ToUpper(s[8:]) != s[8:] {
			t.Error(s)
		}
		if g, err := ParseFingerprint(strings.ToLower(s)); err != nil || string(g.Sum) != string(f.Sum) {
			t.Error(g, err)
		}
		for _, bad := range []string{"", "sha-256", "sha-256 4A:AD", "sha-256 xx", "sha-256 4AAD"} {
			if _, err := ParseFingerprint(bad); err == nil {
				t.Errorf("%q is taken", bad)
			}
		}
		if g, err := ParseFingerprint("md5 4A:AD"); err != nil || matches([]Fingerprint{g}, nil) {
			t.Error("MD5 is used", err)
		}
	})
}

func TestClose(t *testing.T) {
	t.Run("a peer in the middle of a handshake does not hold Close up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			cfg := m.config()
			cfg.Certificate = certificate
			n := New(cfg)
			n.Listen(t.Context(), "tls", "127.0.0.1:2855")
			nc, _ := m.dial(t.Context(), "tcp", "127.0.0.1:2855")
			defer nc.Close()
			synctest.Wait()
			begin := time.Now()
			n.Close()
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("it takes %v", d)
			}
		})
	})
	t.Run("what was sent before Close is written", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		if err := r.b.Bound(t.Context()); err != nil {
			t.Fatal(err)
		}
		const count = 100
		for range count {
			m := text("hello")
			m.FailureReport = wire.FailureNo
			if _, err := r.a.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		go r.na.Close()
		for range count {
			if _, b := read(t, r.b); b != "hello" {
				t.Error(b)
			}
		}
	})
}

// FuzzPeer is a peer that writes anything.
func FuzzPeer(f *testing.F) {
	f.Add("MSRP tid1 SEND\r\nTo-Path: OWN\r\nFrom-Path: msrp://a:1/b;tcp\r\nMessage-ID: m001\r\nByte-Range: 2-*/4\r\nSuccess-Report: yes\r\nContent-Type: a/b\r\n\r\nab\r\n-------tid1$\r\n")
	f.Add("MSRP tid1 REPORT\r\nTo-Path: OWN\r\nFrom-Path: msrp://a:1/b;tcp\r\nMessage-ID: m001\r\nStatus: 000 408\r\n-------tid1$\r\n")
	f.Add("MSRP tid1 200 OK\r\nTo-Path: OWN\r\nFrom-Path: msrp://a:1/b;tcp\r\n-------tid1$\r\n")
	f.Add("MSRP tid1 FOO\r\nTo-Path: OWN\r\n\r\n-------tid1#\r\nMSRP")
	f.Fuzz(func(t *testing.T, input string) {
		s, p := passive(t, Config{}, Own{Stream: 1}, Peer{})
		go io.Copy(io.Discard, p.nc)
		go func() {
			for {
				in, err := s.Receive(t.Context())
				if err != nil {
					return
				}
				go func() { io.Copy(io.Discard, in); in.Close() }()
			}
		}()
		io.WriteString(p.nc, strings.ReplaceAll(input, "OWN", s.URI().String()))
		p.nc.Close()
		s.Close()
	})
}

func TestWebSocket(t *testing.T) {
	client := func(t *testing.T) (*Session, net.Conn) {
		t.Helper()
		m := newMemory()
		n := New(m.config())
		t.Cleanup(func() { n.Close() })
		n.Listen(t.Context(), "ws", "127.0.0.1:2855")
		uri, _ := n.NewURI("ws", "127.0.0.1:2855")
		s, _ := n.Open(Own{URI: uri})
		s.Start(t.Context(), Peer{})
		nc, _ := m.dial(t.Context(), "tcp", "127.0.0.1:2855")
		t.Cleanup(func() { nc.Close() })
		c := websocket.Client{Protocol: "msrp", Host: "127.0.0.1:2855", Path: "/", MaxHeader: 8192}
		if _, _, err := c.Connect(nc); err != nil {
			t.Fatal(err)
		}
		return s, nc
	}
	chunk := func(s *Session, id, body string) string {
		return "MSRP " + id + " SEND\r\nTo-Path: " + s.URI().String() + "\r\nFrom-Path: msrps://x.invalid:2855/y;ws\r\nMessage-ID: " + id +
			"\r\nContent-Type: a/b\r\n\r\n" + body + "\r\n-------" + id + "$\r\n"
	}
	t.Run("MCON-028 MCON-030 one chunk in a message of either kind, in fragments too", func(t *testing.T) {
		s, nc := client(t)
		go io.Copy(io.Discard, nc)
		for i, op := range []websocket.Op{websocket.Text, websocket.Binary} {
			nc.Write(websocket.AppendFrame(nil, op, []byte(chunk(s, "tid"+string(rune('a'+i)), "hello")), true))
			if _, b := read(t, s); b != "hello" {
				t.Error(b)
			}
		}
		all := []byte(chunk(s, "tidz", "fragments"))
		first := websocket.AppendFrame(nil, websocket.Binary, all[:40], true)
		first[0] &^= 0x80
		nc.Write(first)
		nc.Write(websocket.AppendFrame(nil, websocket.Continuation, all[40:], true))
		if _, b := read(t, s); b != "fragments" {
			t.Error(b)
		}
	})
	for _, c := range []struct {
		what  string
		frame func(s *Session) []byte
	}{
		{"two chunks in a message", func(s *Session) []byte { return []byte(chunk(s, "tid1", "one") + chunk(s, "tid2", "two")) }},
		{"half a chunk in a message", func(s *Session) []byte { return []byte(chunk(s, "tid1", "one"))[:60] }},
	} {
		t.Run("MCON-028 "+c.what+" ends the connection", func(t *testing.T) {
			s, nc := client(t)
			go func() {
				nc.Write(websocket.AppendFrame(nil, websocket.Binary, c.frame(s), true))
				nc.Write(websocket.AppendFrame(nil, websocket.Binary, c.frame(s), true))
			}()
			if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
		})
	}
	t.Run("MCON-025 a handshake without the sub-protocol is refused", func(t *testing.T) {
		m := newMemory()
		n := New(m.config())
		defer n.Close()
		n.Listen(t.Context(), "ws", "127.0.0.1:2855")
		nc, _ := m.dial(t.Context(), "tcp", "127.0.0.1:2855")
		defer nc.Close()
		c := websocket.Client{Protocol: "sip", Host: "127.0.0.1:2855", Path: "/", MaxHeader: 8192}
		if _, _, err := c.Connect(nc); err == nil {
			t.Error("it is taken")
		}
	})
	t.Run("MCON-027 no listener without TLS is open to other machines", func(t *testing.T) {
		n := New(Config{})
		defer n.Close()
		for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0"} {
			if _, err := n.Listen(t.Context(), "ws", addr); err == nil {
				t.Errorf("%s is listened on", addr)
			}
		}
	})
	t.Run("MCON-032 our URI with ws is the last of the path, after that of the relay", func(t *testing.T) {
		n := New(Config{})
		defer n.Close()
		own, _ := n.NewURI("wss", "df7jal23ls0d.invalid:2855")
		s, err := n.Open(Own{URI: own, UsePath: path(t, "msrps://relay.example.com:2855/r;tcp")})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Path().String(); got != "msrps://relay.example.com:2855/r;tcp "+own.String() || !strings.HasSuffix(got, ";ws") {
			t.Error(got)
		}
	})
	t.Run("MCON-037 a ping is answered", func(t *testing.T) {
		_, nc := client(t)
		go nc.Write(websocket.AppendFrame(nil, websocket.Ping, []byte("hi"), true))
		b := make([]byte, 100)
		if n, err := nc.Read(b); err != nil || b[0] != 0x8a || string(b[2:n]) != "hi" {
			t.Errorf("%x %v", b[:n], err)
		}
	})
}
