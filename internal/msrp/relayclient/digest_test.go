package relayclient

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// scripted is a relay that answers AUTHs as a test says.
type scripted struct {
	mu    sync.Mutex
	asked []string // Authorization of each AUTH, "" without
	to    []string // To-Path of each AUTH
	heads []string // all header fields of each AUTH
	port  uint16
}

// startScript runs one over TCP, or TLS with a config. Answer gives the code and further header lines, as names and
// values in turn, for the nth AUTH.
func startScript(t *testing.T, config *tls.Config, answer func(n int, authorization string) (code int, fields []string)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &scripted{port: uint16(l.Addr().(*net.TCPAddr).Port)}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(nc, answer)
		}
	}()
	return s
}

func (s *scripted) serve(nc net.Conn, answer func(int, string) (int, []string)) {
	defer nc.Close()
	r := wire.NewReader(nc, wire.Limits{})
	for {
		h, err := r.Next()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.asked = append(s.asked, string(h.Get("authorization")))
		s.to = append(s.to, string(h.To))
		all := ""
		for _, f := range h.Fields {
			all += string(f.Name) + ": " + string(f.Value) + "\n"
		}
		s.heads = append(s.heads, all)
		code, fields := answer(len(s.asked), string(h.Get("authorization")))
		s.mu.Unlock()
		nc.Write(wire.AppendAnswer(nil, h, code, fields...))
	}
}

func (s *scripted) uri() wire.URI { return wire.URI{Host: "127.0.0.1", Port: s.port, Transport: "tcp"} }

const challenge = `Digest realm="example.com", qop="auth", nonce="dcd98b71"`

func param(authorization, name string) string {
	m := regexp.MustCompile(`(?:^|[ ,])` + name + `="?([^",]*)"?`).FindStringSubmatch(authorization)
	if m == nil {
		return ""
	}
	return m[1]
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// proof is the Authentication-Info of a relay that knows the password.
func proof(authorization string) string {
	ha2 := sum(":" + param(authorization, "uri"))
	rsp := sum(strings.Join([]string{sum("alice:example.com:secret"), param(authorization, "nonce"), param(authorization, "nc"), param(authorization, "cnonce"), "auth", ha2}, ":"))
	return fmt.Sprintf(`rspauth="%s",cnonce="%s",nc=%s,qop=auth`, rsp, param(authorization, "cnonce"), param(authorization, "nc"))
}

func granting(authorization string) []string {
	return []string{"Use-Path", "msrp://127.0.0.1:9000/jui787s2f;tcp", "Expires", "900", "Authentication-Info", proof(authorization)}
}

// usual challenges once and then grants.
func usual(n int, authorization string) (int, []string) {
	if authorization == "" {
		return 401, []string{"WWW-Authenticate", challenge}
	}
	return 200, granting(authorization)
}

func authWith(t *testing.T, s *scripted) (*Grant, error) {
	t.Helper()
	g, err := newClient(t, "alice", newNode(t), s.uri()).Auth(t.Context())
	if err == nil {
		t.Cleanup(g.Release)
	}
	return g, err
}

func TestDigest(t *testing.T) {
	t.Run("MSRPR-009 the first AUTH shows nothing, the second answers the challenge", func(t *testing.T) {
		s := startScript(t, nil, usual)
		g, err := authWith(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.asked) != 2 || s.asked[0] != "" || g.Expires != 900*time.Second || g.UsePath.String() != "msrp://127.0.0.1:9000/jui787s2f;tcp" {
			t.Errorf("%q %+v", s.asked, g)
		}
		if strings.Contains(s.heads[0], "Expires") {
			t.Error("a time was asked for")
		}
	})
	t.Run("MSRPR-009 a wrong password is tried once, and a stale nonce leads to one more", func(t *testing.T) {
		s := startScript(t, nil, func(n int, _ string) (int, []string) {
			return 401, []string{"WWW-Authenticate", strings.Replace(challenge, "dcd9", fmt.Sprint(n), 1)}
		})
		if _, err := authWith(t, s); !errors.Is(err, digest.ErrRejected) || len(s.asked) != 2 {
			t.Errorf("%v after %d AUTHs", err, len(s.asked))
		}
		s = startScript(t, nil, func(n int, a string) (int, []string) {
			if n == 2 {
				return 401, []string{"WWW-Authenticate", strings.Replace(challenge, "dcd9", "new", 1) + ", stale=true"}
			}
			return usual(n, a)
		})
		if _, err := authWith(t, s); err != nil || len(s.asked) != 3 {
			t.Errorf("%v after %d AUTHs", err, len(s.asked))
		}
	})
	t.Run("MSRPR-018 Basic is not tried", func(t *testing.T) { refusedChallenge(t, `Basic realm="example.com"`) })
	t.Run("MSRPR-020 MD5-sess is refused", func(t *testing.T) { refusedChallenge(t, challenge+", algorithm=MD5-sess") })
	t.Run("MSRPR-019 a challenge without qop=auth is refused", func(t *testing.T) {
		refusedChallenge(t, `Digest realm="example.com", nonce="dcd98b71"`)
		refusedChallenge(t, `Digest realm="example.com", qop="auth-int", nonce="dcd98b71"`)
	})
	t.Run("MSRPR-019 MSRPR-021 qop is a token, nc counts, and there is a cnonce", func(t *testing.T) {
		s := startScript(t, nil, usual)
		c := newClient(t, "alice", newNode(t), s.uri())
		for range 2 {
			g, err := c.Auth(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer g.Release()
		}
		if len(s.asked) != 3 || !strings.Contains(s.asked[1], "nc=00000001") || !strings.Contains(s.asked[2], "nc=00000002") {
			t.Errorf("%q", s.asked)
		}
		if !strings.Contains(s.asked[1], "qop=auth,") || param(s.asked[1], "cnonce") == "" {
			t.Errorf("%q", s.asked[1])
		}
	})
	t.Run("MSRPR-022 MSRPR-023 the response is of the rightmost URI, which is quoted", func(t *testing.T) {
		s := startScript(t, nil, usual)
		if _, err := authWith(t, s); err != nil {
			t.Fatal(err)
		}
		a := s.asked[1]
		want := sum(strings.Join([]string{sum("alice:example.com:secret"), "dcd98b71", "00000001", param(a, "cnonce"), "auth", sum("AUTH:" + s.uri().String())}, ":"))
		if param(a, "response") != want || s.to[1] != s.uri().String() || !strings.Contains(a, `uri="`+s.uri().String()+`"`) {
			t.Errorf("%s", a)
		}
		if regexp.MustCompile(`,[^ ]|, {2}`).MatchString(a) {
			t.Errorf("not separated by a comma and one space: %s", a)
		}
	})
	t.Run("MSRPR-024 the domain of a challenge is ignored", func(t *testing.T) {
		s := startScript(t, nil, func(n int, a string) (int, []string) {
			if a == "" {
				return 401, []string{"WWW-Authenticate", challenge + `, domain="msrps://elsewhere.example.net;tcp"`}
			}
			return usual(n, a)
		})
		if _, err := authWith(t, s); err != nil {
			t.Error(err)
		}
	})
	t.Run("MSRPR-025 a relay that does not know the password is left", func(t *testing.T) {
		for _, change := range []func(string) string{
			func(s string) string { return strings.Replace(s, `rspauth="`, `rspauth="0`, 1) },
			func(s string) string { return s[strings.Index(s, ",")+1:] },
			func(string) string { return "" },
		} {
			s := startScript(t, nil, func(n int, a string) (int, []string) {
				code, fields := usual(n, a)
				if code == 200 {
					if fields[5] = change(fields[5]); fields[5] == "" {
						fields = fields[:4]
					}
				}
				return code, fields
			})
			if _, err := authWith(t, s); !errors.Is(err, ErrUnproven) {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("MCON-034 MCON-035 a client that is known by other means is not challenged", func(t *testing.T) {
		s := startScript(t, nil, func(int, string) (int, []string) { return 200, granting("")[:4] })
		if _, err := authWith(t, s); err != nil || len(s.asked) != 1 {
			t.Errorf("%v after %d AUTHs", err, len(s.asked))
		}
	})
}

func refusedChallenge(t *testing.T, value string) {
	t.Helper()
	s := startScript(t, nil, func(int, string) (int, []string) { return 401, []string{"WWW-Authenticate", value} })
	if _, err := authWith(t, s); !errors.Is(err, digest.ErrUnanswerable) || len(s.asked) != 1 {
		t.Errorf("%s: %v after %d AUTHs", value, err, len(s.asked))
	}
}

func TestFinding(t *testing.T) {
	t.Run("MSRPR-004 a relay without TLS is for this machine only", func(t *testing.T) {
		u := wire.URI{Host: "relay.example.com", Port: 2855, Transport: "tcp"}
		if _, err := New(Config{Relays: []wire.URI{u}}); !errors.Is(err, ErrInsecure) {
			t.Errorf("%v", err)
		}
		for _, c := range []Config{{Relays: []wire.URI{u}, Insecure: true}, {Relays: []wire.URI{{Host: "::1", Port: 1, Transport: "tcp"}}}} {
			if _, err := New(c); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("MSRPR-002 MSRPR-005 MSRPR-006 a relay is found by SRV, or at port 2855", func(t *testing.T) {
		s := startScript(t, serverTLS(t), usual)
		var dialled, looked []string
		node := session.New(session.Config{ClientTLS: clientTLS, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialled = append(dialled, addr)
			return new(net.Dialer).DialContext(ctx, network, s.uri().Address())
		}})
		defer node.Close()
		u := wire.URI{Secure: true, Host: "localhost", Transport: "tcp"}
		for _, records := range [][]*net.SRV{{{Target: "127.0.0.1.", Port: 4711}}, nil} {
			c := newClient(t, "alice", node, u)
			c.cfg.LookupSRV = func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
				looked = append(looked, "_"+service+"._"+proto+"."+name)
				if records == nil {
					return "", nil, &net.DNSError{Err: "no such host", IsNotFound: true}
				}
				return "", records, nil
			}
			g, err := c.Auth(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer g.Release()
			if s.to[len(s.to)-1] != "msrps://localhost;tcp" {
				t.Errorf("To-Path %s", s.to[0])
			}
		}
		if strings.Join(looked, " ") != "_msrps._tcp.localhost _msrps._tcp.localhost" {
			t.Errorf("looked up %v", looked)
		}
		if _, port, _ := net.SplitHostPort(dialled[len(dialled)-1]); dialled[0] != "127.0.0.1:4711" || port != "2855" {
			t.Errorf("connected to %v", dialled)
		}
		if _, err := New(Config{Relays: []wire.URI{{Secure: true, Host: "192.0.2.1", Transport: "tcp"}}}); err == nil {
			t.Error("a numeric address without a port is taken")
		}
		if _, err := granted2(t, "msrps://relay.example.com/jui787s2f;tcp"); err == nil {
			t.Error("a Use-Path without a port is taken")
		}
	})
	t.Run("MSRPR-007 a relay with another name is not shown credentials", func(t *testing.T) {
		s := startScript(t, serverTLS(t), usual)
		node := session.New(session.Config{ClientTLS: clientTLS, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.uri().Address())
		}})
		defer node.Close()
		c := newClient(t, "alice", node, wire.URI{Secure: true, Host: "127.0.0.2", Port: 2855, Transport: "tcp"})
		var wrong *tls.CertificateVerificationError
		if _, err := c.Auth(t.Context()); !errors.As(err, &wrong) || len(s.asked) != 0 {
			t.Errorf("%v after %d AUTHs", err, len(s.asked))
		}
	})
	t.Run("MSRPR-011 MSRPR-003 a time out of bounds is asked for again within them", func(t *testing.T) {
		s := startScript(t, nil, func(n int, a string) (int, []string) {
			if n == 1 {
				return 423, []string{"Min-Expires", "60"}
			}
			return 200, granting("")[:4]
		})
		c := newClient(t, "alice", newNode(t), s.uri())
		c.cfg.Expires = 10 * time.Second
		g, err := c.Auth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer g.Release()
		if !strings.Contains(s.heads[0], "Expires: 10\n") || !strings.Contains(s.heads[1], "Expires: 60\n") {
			t.Errorf("%q", s.heads)
		}
	})
	t.Run("a refusal is told", func(t *testing.T) {
		s := startScript(t, nil, func(int, string) (int, []string) { return 403, nil })
		var status *session.StatusError
		if _, err := authWith(t, s); !errors.As(err, &status) || status.Code != 403 {
			t.Errorf("%v", err)
		}
	})
}

func granted2(t *testing.T, use string) (*Grant, error) {
	t.Helper()
	return authWith(t, startScript(t, nil, func(int, string) (int, []string) { return 200, []string{"Use-Path", use, "Expires", "60"} }))
}
