package stack

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"imp/internal/auth/certs"
	"imp/internal/sip/header"
)

func TestWSClient(t *testing.T) {
	a := newAuthority(t)
	show := a.issue(certs.Names{Domains: []string{"example.com"}, Hosts: []string{"*.example.net"}})
	vias, flows := make(chan string, 10), make(chan *Flow, 10)
	srv := serveAt(t, Config{ServerTLS: server(show)}, func(s *Stack) {
		s.Handle("REGISTER", func(_ context.Context, r *Request) *Response {
			vias <- header.List(r.Request, "Via")[0]
			flows <- r.Flow
			return Answer(200)
		})
	}, "ws:127.0.0.1:0", "wss:127.0.0.1:0")
	for i, want := range []string{"WS", "WSS"} {
		t.Run("MSG-041 MSG-043 a client over "+want, func(t *testing.T) {
			s := client(t, Config{ClientTLS: a.trusting(nil)})
			to := srv.target(i, "sip.example.net")
			if _, err := ask(t, s, outgoing("REGISTER", to)); err != nil {
				t.Fatal(err)
			}
			host := s.ContactHost(to.Transport, to.Addr)
			if via := <-vias; !strings.HasPrefix(via, "SIP/2.0/"+want+" "+host+";branch=") || !strings.HasSuffix(host, ".invalid") {
				t.Errorf("Via %s, Contact %s", via, host)
			}
			f := <-flows
			if f.Secure() != (i == 1) {
				t.Errorf("secure is %v", f.Secure())
			}
			if res, err := ask(t, srv, outgoing("OPTIONS", Target{Flow: f})); err != nil || res.StatusCode != 200 {
				t.Errorf("a request of the server: %v", err)
			}
			mine, err := s.Connect(t.Context(), "", to)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := mine.Ping(t.Context()); err != nil {
				t.Errorf("MSG-045 a ping: %v", err)
			}
			if n := s.Stats().Connections; n != 1 {
				t.Errorf("NAM-069 %d connections", n)
			}
		})
	}
	t.Run("MSG-050 certificates by the rules of HTTPS", func(t *testing.T) {
		for domain, good := range map[string]bool{"sip.example.net": true, "example.com": true, "example.net": false, "sip.example.com": false} {
			s := client(t, Config{ClientTLS: a.trusting(nil)})
			if _, err := s.Connect(t.Context(), "", srv.target(1, domain)); (err == nil) != good || err != nil && !errors.Is(err, ErrTransport) {
				t.Errorf("%s: %v", domain, err)
			}
		}
		s := client(t, Config{ClientTLS: newAuthority(t).trusting(nil)})
		if _, err := s.Connect(t.Context(), "", srv.target(1, "example.com")); !errors.Is(err, ErrTransport) || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("another authority: %v", err)
		}
	})
	t.Run("MSG-034 MSG-049 sips never goes over WS", func(t *testing.T) {
		s := client(t, Config{ClientTLS: a.trusting(nil)})
		o := outgoing("REGISTER", srv.target(0, ""))
		o.URI = "sips:example.com"
		if _, err := ask(t, s, o); !errors.Is(err, ErrTransport) {
			t.Errorf("over ws: %v", err)
		}
		o = outgoing("REGISTER", srv.target(1, "example.com"))
		o.URI = "sips:example.com"
		if _, err := ask(t, s, o); err != nil {
			t.Errorf("over wss: %v", err)
		}
	})
	t.Run("MSG-043 without the connection nobody is asked for the name", func(t *testing.T) {
		s := client(t, Config{Resolver: noResolver{t}, Locate: func(context.Context, string) ([]Target, error) {
			t.Error("located")
			return nil, nil
		}})
		o := outgoing("NOTIFY", Target{Transport: "ws", Addr: "abc.INVALID.", URI: "sip:alice@abc.INVALID.;transport=ws"})
		if _, err := ask(t, s, o); !errors.Is(err, ErrTransport) || !errors.Is(err, errInvalid) {
			t.Errorf("ended with %v", err)
		}
		o = outgoing("NOTIFY", Target{})
		o.URI = "sip:alice@abc.invalid;transport=ws"
		if _, err := ask(t, s, o); !errors.Is(err, ErrTransport) || !errors.Is(err, errInvalid) {
			t.Errorf("ended with %v", err)
		}
	})
}

type noResolver struct{ t *testing.T }

func (r noResolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	r.t.Errorf("%s was looked up", host)
	return nil, errNoAddress
}

func TestWSClientCredentials(t *testing.T) {
	var tries atomic.Int64
	srv := serveAt(t, Config{WSAccept: func(r *http.Request) (int, http.Header) {
		tries.Add(1)
		h := http.Header{"Set-Cookie": {"session=abc"}, "Www-Authenticate": {`Digest realm="web", nonce="n"`}}
		if c, err := r.Cookie("session"); err != nil || c.Value != "abc" || r.Header.Get("Authorization") != "Digest x" {
			return 401, h
		}
		return 0, nil
	}}, nil, "ws:127.0.0.1:0")
	jar, _ := cookiejar.New(nil)
	to := srv.target(0, "")
	t.Run("MSG-046 401 and stored cookies", func(t *testing.T) {
		s := client(t, Config{WSPath: "/sip", WSCookies: jar, WSHeader: func(url string, status int, h http.Header) http.Header {
			if url != "http://"+to.Addr+"/sip" {
				t.Errorf("asked for %s", url)
			}
			if status == 0 {
				return nil
			}
			if status != 401 || !strings.Contains(h.Get("Www-Authenticate"), "nonce") {
				t.Errorf("asked for %d %v", status, h)
			}
			return http.Header{"Authorization": {"Digest x"}}
		}})
		if _, err := s.Connect(t.Context(), "", to); err != nil || tries.Load() != 2 {
			t.Errorf("after %d handshakes: %v", tries.Load(), err)
		}
	})
	t.Run("MSG-035 a refusal fails the request", func(t *testing.T) {
		s := client(t, Config{WSHeader: func(string, int, http.Header) http.Header { return nil }})
		if _, err := ask(t, s, outgoing("REGISTER", to)); !errors.Is(err, ErrTransport) || !strings.Contains(err.Error(), "401") {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestWSForeignServer: a client of ours at a server that speaks another way.
func TestWSForeignServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			req, _ := http.ReadRequest(bufio.NewReader(nc))
			if key, err := base64.StdEncoding.DecodeString(req.Header.Get("Sec-WebSocket-Key")); err != nil || len(key) != 16 {
				t.Errorf("key %v", err)
			}
			fmt.Fprint(nc, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			_ = nc.Close()
		}
	}()
	s := client(t, Config{})
	to := Target{Transport: "ws", Addr: l.Addr().String()}
	t.Run("MSG-035 no 101 fails the request", func(t *testing.T) {
		if _, err := ask(t, s, outgoing("REGISTER", to)); !errors.Is(err, ErrTransport) || !strings.Contains(err.Error(), "200") {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestURITransport(t *testing.T) {
	t.Run("MSG-041 transport=ws for both", func(t *testing.T) {
		for in, want := range map[string]string{"ws": "ws", "wss": "ws", "tls": "tls", "udp": "udp"} {
			if got := URITransport(in); got != want {
				t.Errorf("%s: %s", in, got)
			}
		}
	})
}

func TestWebURL(t *testing.T) {
	s := New(Config{WSPath: "/sip"})
	defer s.Close()
	for _, tt := range []struct {
		transport, name string
		port            uint16
		want            string
	}{
		{"ws", "example.com", 80, "http://example.com/sip"}, {"wss", "example.com", 443, "https://example.com/sip"},
		{"wss", "example.com", 80, "https://example.com:80/sip"}, {"ws", "2001:db8::1", 80, "http://[2001:db8::1]/sip"},
		{"ws", "2001:db8::1", 8080, "http://[2001:db8::1]:8080/sip"},
	} {
		c := s.newConn(s.kinds[tt.transport])
		c.name = tt.name
		if got := c.webURL(tt.port).String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
