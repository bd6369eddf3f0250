package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

// guide stands for location: it notes what it was asked, and knows one list.
type guide struct {
	asked   []string
	targets []Target
	err     error
}

func (g *guide) locate(_ context.Context, uri string) ([]Target, error) {
	g.asked = append(g.asked, uri)
	return g.targets, g.err
}

var (
	first  = netip.MustParseAddrPort("192.0.2.11:5060")
	second = netip.MustParseAddrPort("192.0.2.12:5060")
)

// located is a request whose target nobody knows.
func located(fields ...string) *Outgoing {
	o := outgoing("SUBSCRIBE", Target{})
	o.Head = append(o.Head, strings.Join(append(fields, ""), "\r\n")...)
	return o
}

func TestFailover(t *testing.T) {
	udp := []Target{{Addr: first.String()}, {Addr: second.String()}}
	for _, tt := range []struct {
		name   string
		answer string // of the first server; "" = none
		then   string // later
		wait   time.Duration
		want   int // what the request ends with; 0 = the second server is asked
	}{
		{"NAM-026 a server that is silent", "", "", 32 * time.Second, 0},
		{"NAM-026 a server that answers 503", "503 Service Unavailable", "", 0, 0},
		{"NAM-026 a server that was heard is not left", "100 Trying", "", 32 * time.Second, -1},
		{"NAM-026 a server that was heard and answers 503", "100 Trying", "503 Service Unavailable", 0, 0},
		{"another refusal is an answer", "480 Temporarily Unavailable", "", 0, 480},
		{"200", "200 OK", "", 0, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &guide{targets: udp}
				s := New(Config{Locate: g.locate})
				f := fake(t, s)
				defer s.Close()
				got := sendOn(t, s, located())
				sent := f.sent()
				if len(sent) != 1 || sent[0].peer != first {
					t.Fatalf("sent %v", sent)
				}
				one := sent[0].data
				for _, a := range []string{tt.answer, tt.then} {
					if a != "" {
						f.in <- datagram{answerFor(one, a), first}
						synctest.Wait()
					}
				}
				time.Sleep(tt.wait)
				synctest.Wait()
				var other []datagram
				for _, d := range f.sent() {
					if d.peer == second {
						other = append(other, d)
					} else if d.data != one {
						t.Errorf("NAM-017: the retransmission differs:\n%s", d.data)
					}
				}
				e := got()
				if tt.want != 0 {
					if e == nil || len(other) != 0 {
						t.Fatalf("ended with %+v, the second server got %v", e, other)
					}
					if tt.want > 0 && (e.err != nil || e.res.StatusCode != tt.want) || tt.want < 0 && !errors.Is(e.err, ErrTimeout) {
						t.Errorf("ended with %+v", e)
					}
				} else {
					if e != nil || len(other) != 1 {
						t.Fatalf("ended with %+v, the second server got %v", e, other)
					}
					two := other[0].data
					branchOne, branchTwo := field(one, "Via"), field(two, "Via")
					if branchOne == branchTwo || strings.Replace(one, branchOne, branchTwo, 1) != two {
						t.Errorf("a new branch and nothing else:\n%s\n%s", one, two)
					}
					f.in <- datagram{answerFor(two, "503 Service Unavailable"), second}
					if e := got(); e == nil || e.err != nil || e.res.StatusCode != 503 {
						t.Errorf("the last one's answer: %+v", e)
					}
				}
				if !slices.Equal(g.asked, []string{"sip:bob@example.com"}) {
					t.Errorf("NAM-017: located for %q", g.asked)
				}
				_ = s.Close()
			})
		})
	}
	for _, tt := range []struct {
		name, method, answer string
		wait                 time.Duration // until the second server is asked, or the request ends
		next                 bool
	}{
		{"a silent server is left when patience is over", "SUBSCRIBE", "", 8 * time.Second, true},
		{"one that was heard is not", "SUBSCRIBE", "100 Trying", 32 * time.Second, false},
		{"a MESSAGE waits as long as it may", "MESSAGE", "", 32 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{Locate: (&guide{targets: udp}).locate, Patience: 8 * time.Second})
				f := fake(t, s)
				o := outgoing(tt.method, Target{})
				got := sendOn(t, s, o)
				if tt.answer != "" {
					f.in <- datagram{answerFor(f.sent()[0].data, tt.answer), first}
				}
				time.Sleep(tt.wait - time.Millisecond)
				synctest.Wait()
				for _, d := range f.sent() {
					if d.peer != first {
						t.Fatal("the second server is asked too early")
					}
				}
				if e := got(); e != nil {
					t.Fatalf("it has ended with %+v", e)
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				asked := slices.ContainsFunc(f.sent(), func(d datagram) bool { return d.peer == second })
				if e := got(); asked != tt.next || (e == nil) != tt.next {
					t.Errorf("the second server is asked: %v; ended with %+v", asked, e)
				}
				_ = s.Close()
			})
		})
	}
	t.Run("NAM-026 a server that refuses the connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := &guide{targets: []Target{{Transport: "tcp", Addr: first.String()}, {Transport: "tcp", Addr: second.String()}}}
			s, n := New(Config{Locate: g.locate}), &network{fail: map[netip.AddrPort]error{first: syscall.ECONNREFUSED}}
			n.use(s)
			got := sendOn(t, s, located())
			if got() != nil || !slices.Equal(n.dials, []netip.AddrPort{first, second}) {
				t.Fatalf("dialled %v, ended with %+v", n.dials, got())
			}
			_ = n.ends[0].Close()
			if e := got(); e == nil || !errors.Is(e.err, ErrTransport) || e.at != 0 {
				t.Errorf("when the last one fails: %+v", e)
			}
			_ = s.Close()
		})
	})
	t.Run("NAM-008 each target is tried", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := &guide{}
			for range 5 {
				g.targets = append(g.targets, Target{Addr: "[2001:db8::1]:5060", Transport: "udp"}) // no such listener
			}
			g.targets = append(g.targets, udp[1])
			s := New(Config{Locate: g.locate})
			f := fake(t, s)
			sendOn(t, s, located())
			if sent := f.sent(); len(sent) != 1 || sent[0].peer != second {
				t.Errorf("sent %v", sent)
			}
			_ = s.Close()
		})
	})
	for _, tt := range []struct {
		name   string
		answer []string
		shun   time.Duration
	}{
		{"a dead server", nil, time.Minute},
		{"503 with Retry-After", []string{"503 Service Unavailable", "Retry-After: 90 (soon)"}, 90 * time.Second},
		{"503 without", []string{"503 Service Unavailable"}, 0},
		{"503 for a year", []string{"503 Service Unavailable", "Retry-After: 31536000"}, 10 * time.Minute},
	} {
		t.Run("the next requests go to the next server first: "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{Locate: (&guide{targets: udp}).locate})
				f := fake(t, s)
				defer s.Close()
				sendOn(t, s, located())
				if tt.answer != nil {
					f.in <- datagram{answerFor(f.sent()[0].data, tt.answer[0], tt.answer[1:]...), first}
				} else {
					time.Sleep(32 * time.Second)
				}
				synctest.Wait()
				f.sent()
				firstAsked := func() netip.AddrPort {
					sendOn(t, s, located())
					at := f.sent()[0].peer
					time.Sleep(time.Millisecond)
					return at
				}
				if at := firstAsked(); (at == second) != (tt.shun > 0) {
					t.Errorf("the next request went to %s", at)
				}
				time.Sleep(tt.shun)
				synctest.Wait()
				f.sent()
				if at := firstAsked(); at != first {
					t.Errorf("later a request went to %s", at)
				}
			})
		})
	}
	t.Run("what failed is forgotten in the end", func(t *testing.T) {
		var d shunned[int]
		for i := range 2 * maxShunned {
			d.add(i, time.Now().Add(time.Hour))
		}
		if len(d.until) > maxShunned || !d.has(2*maxShunned-1, time.Now()) {
			t.Errorf("%d are remembered", len(d.until))
		}
	})
	t.Run("too many pending requests are no reason", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Locate: (&guide{targets: udp}).locate, MaxPending: 1})
			fake(t, s)
			sendOn(t, s, located())
			if e := sendOn(t, s, located())(); e == nil || !errors.Is(e.err, errPending) {
				t.Errorf("ended with %+v", e)
			}
			_ = s.Close()
		})
	})
}

func TestLocate(t *testing.T) {
	to := []Target{{Addr: there.String()}}
	for _, tt := range []struct {
		name  string
		o     *Outgoing
		asked string // "" = not at all
	}{
		{"the Request-URI", located(), "sip:bob@example.com"},
		{"NAM-009 a pres URI only tells the next hop", &Outgoing{Method: "SUBSCRIBE", URI: "pres:bob@example.com", Head: located().Head}, "pres:bob@example.com"},
		{"the first Route", located("Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>", "Route: <sip:p3.example.com;lr>"), "sip:p1.example.com;lr"},
		{"the first Route in other spelling", located("route :  \"a, b\" <sip:p1.example.com;LR>;x=y"), "sip:p1.example.com;LR"},
		{"the Request-URI of a strict router", located("Route: <sip:bob@example.net>"), "sip:bob@example.com"},
		{"NAM-011 an outbound proxy", outgoing("SUBSCRIBE", Target{Addr: there.String()}), ""},
		{"a name taken from a URI", outgoing("NOTIFY", Target{Addr: "host.example.com", URI: "sip:host.example.com"}), "sip:host.example.com"},
		{"an address taken from a URI", outgoing("NOTIFY", Target{Addr: there.String(), URI: "sip:" + there.String()}), ""},
		{"an IPv6 address taken from a URI", outgoing("NOTIFY", Target{Addr: "[2001:db8::1]", URI: "sip:[2001:db8::1]"}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &guide{targets: to}
				s, n := New(Config{Locate: g.locate}), &network{}
				f := fake(t, s)
				n.use(s)
				sendOn(t, s, tt.o)
				if got := strings.Join(g.asked, " "); got != tt.asked {
					t.Errorf("located for %q, want %q", got, tt.asked)
				}
				for _, d := range f.sent() {
					if !strings.HasPrefix(d.data, "SUBSCRIBE "+tt.o.URI+" SIP/2.0") && !strings.HasPrefix(d.data, "NOTIFY ") {
						t.Errorf("NAM-017: the Request-URI was changed:\n%s", d.data)
					}
				}
				_ = s.Close()
			})
		})
	}
	t.Run("failures", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, g := range []*guide{{err: errNoAddress}, {}, {err: context.DeadlineExceeded}} {
				s := New(Config{Locate: g.locate})
				if e := sendOn(t, s, located())(); e == nil || !errors.Is(e.err, ErrTransport) || errors.Is(e.err, context.DeadlineExceeded) {
					t.Errorf("ended with %+v", e)
				}
				_ = s.Close()
			}
		})
	})
	t.Run("Close while locating", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Locate: func(ctx context.Context, _ string) ([]Target, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			got := sendOn(t, s, located())
			_ = s.Close()
			if e := got(); e == nil || !errors.Is(e.err, ErrClosed) {
				t.Errorf("ended with %+v", e)
			}
			if e := sendOn(t, s, located())(); e == nil || !errors.Is(e.err, ErrClosed) {
				t.Errorf("afterwards: ended with %+v", e)
			}
		})
	})
	t.Run("locations at one time have a bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Locate: func(ctx context.Context, _ string) ([]Target, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			for range maxLocating {
				s.Send(located(), func(*sip.Response, error) {})
			}
			if e := sendOn(t, s, located())(); e == nil || !errors.Is(e.err, errPending) {
				t.Errorf("ended with %+v", e)
			}
			time.Sleep(lookupTimeout)
			if e := sendOn(t, s, located())(); e != nil {
				t.Errorf("later: ended with %+v", e)
			}
			_ = s.Close()
		})
	})
}

func TestSIPS(t *testing.T) {
	sips := func(to Target, fields ...string) *Outgoing {
		o := located(fields...)
		o.URI, o.Target = "sips:bob@example.com", to
		return o
	}
	for _, tt := range []struct {
		name string
		to   Target
		want bool
	}{
		{"MSG-034 sips over UDP", Target{Transport: "udp", Addr: there.String()}, false},
		{"MSG-034 sips over TCP", Target{Transport: "tcp", Addr: there.String()}, false},
		{"MSG-049 sips over plain WebSocket", Target{Transport: "ws", Addr: there.String()}, false},
		{"MSG-034 sips over a located server without TLS", Target{}, false},
		{"sips takes TLS by itself", Target{Addr: there.String()}, true},
		{"sips over TLS", Target{Transport: "tls", Addr: there.String()}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, n := New(Config{Locate: (&guide{targets: []Target{{Transport: "tcp", Addr: there.String()}}}).locate}), &network{}
				f := fake(t, s)
				n.use(s)
				var dialled []string
				s.kinds["tls"].dial = n.dialler(&dialled)
				e := sendOn(t, s, sips(tt.to))()
				if tt.want && (e == nil || len(dialled) != 1) || !tt.want && (e == nil || !errors.Is(e.err, errInsecure)) {
					t.Errorf("ended with %+v; dialled for TLS: %v", e, dialled)
				}
				if len(f.sent())+len(n.dials) != 0 {
					t.Error("something left without TLS")
				}
				_ = s.Close()
			})
		})
	}
	t.Run("RFC 5630 the route set is sips too", func(t *testing.T) {
		g := &guide{}
		s := New(Config{Locate: g.locate})
		o := sips(Target{}, "Route: <sip:p1.example.com;lr>,<SIP:p2.example.com;lr>", "X: <sip:a>", "Route: <sips:p3.example.com;lr>")
		if hop := nextHop(o); hop != "sips:p1.example.com;lr" {
			t.Errorf("the next hop is %s", hop)
		}
		o.Target = Target{Transport: "tls"}
		secure, err := s.secured(o)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(string(o.Head), "<sip:p", "<sips:p"), "<SIP:p", "<sips:p")
		if got := string(secure.Head); got != want {
			t.Errorf("the header became\n%s\nwant\n%s", got, want)
		}
	})
}

// dialler refuses every connection and notes where it should have led.
func (n *network) dialler(dialled *[]string) func(context.Context, netip.AddrPort, string) (net.Conn, error) {
	return func(_ context.Context, to netip.AddrPort, _ string) (net.Conn, error) {
		*dialled = append(*dialled, to.String())
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
}
