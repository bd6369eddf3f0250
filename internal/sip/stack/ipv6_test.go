package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"imp/internal/auth/certs"
)

// needIPv6 skips where there is no ::1.
func needIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	_ = l.Close()
}

// namedHosts is a resolver that knows some names.
type namedHosts map[string]string

func (n namedHosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n[host]; ok {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	return nil, errNoAddress
}

func TestIPv6Transports(t *testing.T) {
	needIPv6(t)
	a := newAuthority(t)
	show := a.issue(certs.Names{IPs: []net.IP{net.IPv6loopback}})
	vias, flows := make(chan string, 1), make(chan *Flow, 1)
	srv := serveAt(t, Config{ServerTLS: server(show)}, func(s *Stack) {
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response {
			vias <- r.Via().Value()
			flows <- r.Flow
			return Answer(200)
		})
	}, "[::1]:0", "tls:[::1]:0", "ws:[::1]:0", "wss:[::1]:0")
	for i, ep := range srv.Addrs() {
		t.Run("NAM-027 IPv6 over "+ep.Transport, func(t *testing.T) {
			c := serveAt(t, Config{ClientTLS: a.trusting(nil), Resolver: namedHosts{"v6.example.com": "::1"}}, nil, "[::1]:0")
			_, port, _ := net.SplitHostPort(ep.Addr)
			for _, addr := range []string{ep.Addr, "v6.example.com:" + port} {
				to := srv.target(i, "::1")
				to.Addr = addr
				if res, err := ask(t, c, outgoing("PUBLISH", to)); err != nil || res.StatusCode != 200 {
					t.Fatal(err)
				}
				via, f := <-vias, <-flows
				if !strings.Contains(via, " [::1]:") && !strings.Contains(via, ".invalid;") || f.Remote().Addr() != netip.IPv6Loopback() {
					t.Errorf("Via %s from %v", via, f.Remote())
				}
				if res, err := ask(t, srv, outgoing("OPTIONS", Target{Flow: f})); err != nil || res.StatusCode != 200 {
					t.Errorf("back over %v: %v", f.Remote(), err)
				}
			}
			if host := srv.ContactHost(ep.Transport, "[::1]:9"); host != ep.Addr {
				t.Errorf("Contact %s", host)
			}
		})
	}
	t.Run("an answer over UDP goes to the source address, without rport too", func(t *testing.T) {
		w := dial(t, srv, "udp")
		port := strings.TrimPrefix(w.conn.LocalAddr().String(), "[::1]:")
		answer := w.ask(msg("PUBLISH", "Via: SIP/2.0/UDP [2001:db8::9]:"+port+";branch=z9hG4bK"+NewTag()))
		wants(t, answer, 200)
		<-vias
		<-flows
		if via := field(answer, "Via"); !strings.HasSuffix(via, ";received=::1") {
			t.Errorf("Via %s", via)
		}
	})
	t.Run("both families on one listener", func(t *testing.T) {
		both := serveAt(t, Config{}, nil, "udp::0")
		_, port, _ := net.SplitHostPort(both.Addrs()[0].Addr)
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			nc, err := net.Dial("udp", host+":"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			w := newWire(t, nc)
			if via := field(w.ask(msg("OPTIONS", "Via: SIP/2.0/UDP x.example.com;rport;branch=z9hG4bK"+NewTag())), "Via"); !strings.HasSuffix(via, ";received="+strings.Trim(host, "[]")) {
				t.Errorf("Via %s", via)
			}
		}
	})
}

// TestAnswersElsewhere: where an answer goes when the connection of its request is gone.
func TestAnswersElsewhere(t *testing.T) {
	a := newAuthority(t)
	for _, tt := range []struct {
		name, transport, sentBy string
		port                    bool
		locates                 bool // to the listener
		want                    string
	}{
		{"NAM-029 the received address with the port of sent-by", "tcp", "client.example.com", true, false, "tcp"},
		{"NAM-029 sent-by without a port is located", "tcp", "client.example.com", false, true, "tcp"},
		{"NAM-029 Via of TLS: over TLS, to who has the name", "tls", "client.example.com", true, false, "tls"},
		{"NAM-029 Via of TLS: nobody else", "tls", "other.example.com", true, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begun, release := make(chan struct{}), make(chan struct{})
			located := make(chan string, 9)
			peer := serveAt(t, Config{ServerTLS: server(a.domains("client.example.com"))}, nil, tt.transport+":127.0.0.1:0")
			s := serveAt(t, Config{
				ServerTLS: server(a.domains("example.com")), ClientTLS: a.trusting(nil), Resolver: namedHosts{},
				Locate: func(_ context.Context, uri string) ([]Target, error) {
					located <- uri
					if !tt.locates {
						return nil, errors.New("located")
					}
					return []Target{peer.target(0, "")}, nil
				},
			}, func(s *Stack) {
				s.kinds[tt.transport].port = 1 // where nobody listens, other than at the real one
				s.Handle("PUBLISH", func(context.Context, *Request) *Response {
					close(begun)
					<-release
					return Answer(200)
				})
			}, tt.transport+":127.0.0.1:0")
			c := client(t, Config{ClientTLS: a.trusting(nil)})
			f, err := c.Connect(t.Context(), "", s.target(0, "example.com"))
			if err != nil {
				t.Fatal(err)
			}
			sentBy := tt.sentBy
			if tt.port {
				_, port, _ := net.SplitHostPort(peer.Addrs()[0].Addr)
				sentBy += ":" + port
			}
			_ = f.conn.send([]byte(msg("PUBLISH", "Via: SIP/2.0/"+strings.ToUpper(tt.transport)+" "+sentBy+";branch=z9hG4bK"+NewTag())), 1)
			<-begun
			_ = c.Close()
			gone := only(s)
			gone.close(errEnded)
			close(release)
			waitUntil(t, func() bool {
				return peer.Stats().Messages[tt.transport].In == 1 || tt.want == "" && s.Stats().Unanswered == 1
			})
			if n := peer.Stats().Stray; tt.want == "" && n != 0 {
				t.Errorf("the answer went to %s", peer.Addrs()[0])
			}
			if tt.locates && <-located != "sip:client.example.com;transport=tcp" {
				t.Error("located in another way")
			}
		})
	}
}
