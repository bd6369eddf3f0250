package stack

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	sip "github.com/emiago/sipgo/sip"
)

func TestParseEndpoint(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"udp:127.0.0.1:5060", "udp:127.0.0.1:5060"},
		{"sip+tcp:[::1]:0", "tcp:[::1]:0"},
		{"127.0.0.1:5060", "udp:127.0.0.1:5060 tcp:127.0.0.1:5060"},
		{"[::1]:5070", "udp:[::1]:5070 tcp:[::1]:5070"},
		{"127.0.0.1", "udp:127.0.0.1:5060 tcp:127.0.0.1:5060"},
		{"udp:::1", "udp:[::1]:5060"},
		{"tcp:localhost", "tcp:localhost:5060"},
		{":5060", "udp::5060 tcp::5060"},
		{"sip.example.com:5080", "udp:sip.example.com:5080 tcp:sip.example.com:5080"},
		{"tls:127.0.0.1", "tls:127.0.0.1:5061"},
		{"sip+ws:[::1]", "ws:[::1]:80"},
		{"wss:example.com", "wss:example.com:443"},
		{"sip+sctp:127.0.0.1:0", `endpoint "sip+sctp:127.0.0.1:0": transport "sctp" is not supported; use udp, tcp, tls, ws or wss`},
		{"udp:", `endpoint "udp:": address "" has no host; write host:port, or :port for every address`},
		{"5060", `endpoint "5060": address "5060" has no host; write host:port, or :port for every address`},
		{"127.0.0.1:sip", `endpoint "127.0.0.1:sip": address "127.0.0.1:sip": port "sip" is not a number from 0 to 65535`},
		{"127.0.0.1:65536", `endpoint "127.0.0.1:65536": address "127.0.0.1:65536": port "65536" is not a number from 0 to 65535`},
		{"udp:a:b:1", `endpoint "udp:a:b:1": address "a:b:1" is not host:port; an IPv6 address stands in brackets`},
	} {
		eps, err := ParseEndpoint(tt.in)
		var got []string
		for _, ep := range eps {
			got = append(got, ep.String())
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, strings.Join(got, " "), tt.want)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"udp:127.0.0.1:5060", "sip+tcp:[::1]:0", ":1", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		eps, err := ParseEndpoint(s)
		if err != nil {
			return
		}
		for _, ep := range eps {
			again, err := ParseEndpoint(ep.String())
			if err != nil || len(again) != 1 || again[0] != ep {
				t.Errorf("%q gives %v, which gives %v, %v", s, ep, again, err)
			}
		}
	})
}

func TestListen(t *testing.T) {
	ctx := context.Background()
	port := func(ep Endpoint) string { _, p, _ := net.SplitHostPort(ep.Addr); return p }
	t.Run("port 0 is shared by udp and tcp and by nothing else", func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		eps := []Endpoint{{"tcp", "127.0.0.1:0"}, {"udp", "127.0.0.1:0"}, {"udp", "127.0.0.1:0"}, {"tcp", "localhost:0"}}
		if err := s.Listen(ctx, eps...); err != nil {
			t.Fatal(err)
		}
		got := s.Addrs()
		if len(got) != 4 || got[0].Transport != "tcp" || got[1].Transport != "udp" || port(got[0]) != port(got[1]) ||
			port(got[2]) == port(got[0]) || port(got[0]) == "0" || !strings.HasPrefix(got[3].Addr, "localhost:") {
			t.Errorf("got %v", got)
		}
	})
	t.Run("all or none", func(t *testing.T) {
		taken, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		addr := taken.Addr().String()
		s := New(Config{})
		defer s.Close()
		err = s.Listen(ctx, Endpoint{"udp", addr}, Endpoint{"tcp", addr})
		if !errors.Is(err, ErrInUse) || !strings.HasPrefix(err.Error(), "listen tcp:"+addr+": address already in use") {
			t.Errorf("error %v", err)
		}
		if got := s.Addrs(); len(got) != 0 {
			t.Errorf("listening at %v", got)
		}
		free, err := net.ListenPacket("udp4", addr)
		if err != nil {
			t.Fatalf("the UDP port was not given back: %v", err)
		}
		_ = free.Close()
	})
	t.Run("another port when the one for UDP is taken for TCP", func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		listen := s.kinds["tcp"].listen
		tries := 0
		s.kinds["tcp"].listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
			if tries++; tries < 4 {
				other, err := listen(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				defer other.Close()
			}
			return listen(ctx, network, addr)
		}
		if err := s.Listen(ctx, Endpoint{"udp", "127.0.0.1:0"}, Endpoint{"tcp", "127.0.0.1:0"}); err != nil {
			t.Fatal(err)
		}
		if got := s.Addrs(); tries < 4 || port(got[0]) != port(got[1]) {
			t.Errorf("got %v after %d tries", got, tries)
		}
	})
	t.Run("a wildcard of one family leaves the other free", func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		if err := s.Listen(ctx, Endpoint{"udp", "[::]:0"}); err != nil {
			t.Skipf("no IPv6 here: %v", err)
		}
		if err := s.Listen(ctx, Endpoint{"udp", "0.0.0.0:" + port(s.Addrs()[0])}); err != nil {
			t.Error(err)
		}
	})
	t.Run("after Close", func(t *testing.T) {
		s := New(Config{})
		_ = s.Close()
		if err := s.Listen(ctx, Endpoint{"udp", "127.0.0.1:0"}); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("unknown transport", func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		if err := s.Listen(ctx, Endpoint{"udp", "127.0.0.1:0"}, Endpoint{"sctp", "127.0.0.1:0"}); err == nil {
			t.Error("no error")
		}
	})
}

func TestContactHost(t *testing.T) {
	bindings := func(s *Stack, addrs ...string) {
		var list []*binding
		for _, a := range addrs {
			transport, addr, _ := strings.Cut(a, "=")
			local, err := netip.ParseAddrPort(addr)
			if err != nil {
				local = netip.MustParseAddrPort("[::]" + addr)
			}
			list = append(list, &binding{Endpoint: Endpoint{transport, addr}, kind: s.kinds[transport], local: local})
		}
		s.bindings.Store(&list)
	}
	for _, tt := range []struct {
		name, advertise, listen, transport, to, want string
	}{
		{"the listener", "", "udp=192.0.2.1:5060", "udp", "192.0.2.9:5060", "192.0.2.1:5060"},
		{"that of the transport", "", "udp=192.0.2.1:5060 tcp=192.0.2.1:5070", "TCP", "192.0.2.9", "192.0.2.1:5070"},
		{"that of the family", "", "udp=192.0.2.1:5060 udp=[2001:db8::1]:5062", "udp", "[2001:db8::9]:5060", "[2001:db8::1]:5062"},
		{"loopback for loopback", "", "udp=192.0.2.1:5060 udp=127.0.0.1:5062", "udp", "127.0.0.1:1", "127.0.0.1:5062"},
		{"no loopback for others", "", "udp=127.0.0.1:5062 udp=192.0.2.1:5060", "udp", "192.0.2.9", "192.0.2.1:5060"},
		{"the interface for a wildcard", "", "udp=0.0.0.0:5060", "udp", "127.0.0.1:5070", "127.0.0.1:5060"},
		{"the interface for both families", "", "udp=:5060", "udp", "127.0.0.1:5070", "127.0.0.1:5060"},
		{"advertised", "sip.example.com", "udp=0.0.0.0:5060", "udp", "192.0.2.9", "sip.example.com:5060"},
		{"advertised with a port", "sip.example.com:5080", "udp=0.0.0.0:5060", "udp", "", "sip.example.com:5080"},
		{"advertised IPv6", "2001:db8::1", "udp=0.0.0.0:5060", "udp", "", "[2001:db8::1]:5060"},
		{"no listener", "", "udp=127.0.0.1:5060", "tcp", "127.0.0.1:9", "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Config{Advertise: tt.advertise})
			bindings(s, strings.Fields(tt.listen)...)
			if got := s.ContactHost(tt.transport, tt.to); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestViaOfConnections(t *testing.T) {
	s := New(Config{})
	l := netip.MustParseAddrPort("0.0.0.0:5060")
	s.bindings.Store(&[]*binding{{Endpoint: Endpoint{"tcp", l.String()}, kind: s.kinds["tcp"], local: l}})
	c := s.newConn(s.kinds["tcp"])
	c.local, c.remote = netip.MustParseAddrPort("192.0.2.1:40000"), there
	if got := string(s.appendSentBy(nil, &c.Flow)); got != "192.0.2.1:5060" {
		t.Errorf("sent-by %s: the port must be one where the peer can connect to", got)
	}
}

func TestClose(t *testing.T) {
	before := ours()
	s := New(Config{})
	s.Handle("PUBLISH", func(ctx context.Context, _ *Request) *Response { return Answer(200) })
	eps, _ := ParseEndpoint("127.0.0.1:0")
	if err := s.Listen(t.Context(), eps...); err != nil {
		t.Fatal(err)
	}
	u, w := dial(t, s, "udp"), dial(t, s, "tcp")
	wants(t, u.ask(msg("PUBLISH")), 200)
	wants(t, w.ask(msg("PUBLISH")), 200)
	w.send("PUBLISH sip:half")
	ended := make(chan error, 3)
	for _, to := range []Target{{Addr: u.conn.LocalAddr().String()}, {Addr: "192.0.2.1", Transport: "tcp"}, {Flow: &only(s).Flow}} {
		s.Send(outgoing("NOTIFY", to), func(_ *sip.Response, err error) { ended <- err })
	}
	other := make(chan error)
	go func() { other <- s.Close() }()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-other; err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := <-ended; err == nil {
			t.Error("ended without an error")
		}
	}
	for n := 0; ours() > before; n++ {
		if n > 1e6 {
			buf := make([]byte, 1<<16)
			t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
	for _, ep := range eps {
		if c, err := net.Dial("tcp", ep.Addr); err == nil {
			_ = c.Close()
			t.Errorf("%v still accepts", ep)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

// ours counts the goroutines of stacks.
func ours() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "(*Stack)") +
		strings.Count(string(buf), "(*conn)") + strings.Count(string(buf), "(*socket)")
}

// panics fails the test when the stack logs that something panicked.
func panics(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(failing{t}, &slog.HandlerOptions{Level: slog.LevelError}))
}

type failing struct{ t testing.TB }

func (f failing) Write(b []byte) (int, error) {
	f.t.Errorf("logged: %s", b)
	return len(b), nil
}
