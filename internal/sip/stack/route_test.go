package stack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pipeConn is one end of a net.Pipe with addresses.
type pipeConn struct {
	net.Conn
	local, remote netip.AddrPort
}

func (p pipeConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(p.local) }
func (p pipeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.remote) }

// network stands for TCP: it hands out one end of a pipe for each address dialled.
type network struct {
	dials []netip.AddrPort
	ends  []net.Conn
	fail  map[netip.AddrPort]error // errSilent = until the context ends
}

var errSilent = errors.New("silent")

func (n *network) use(s *Stack) {
	s.kinds["tcp"].dial = func(ctx context.Context, to netip.AddrPort, _ string) (net.Conn, error) {
		n.dials = append(n.dials, to)
		if err := n.fail[to]; err == errSilent {
			<-ctx.Done()
			return nil, ctx.Err()
		} else if err != nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
		ours, theirs := net.Pipe()
		n.ends = append(n.ends, theirs)
		return pipeConn{ours, netip.AddrPortFrom(here.Addr(), 40000), to}, nil
	}
}

// read takes one request from the peer's end of a connection.
func read(t *testing.T, c net.Conn) string {
	t.Helper()
	var got bytes.Buffer
	buf := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	for {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String()
		}
	}
}

func large(o *Outgoing) *Outgoing {
	o.Body = bytes.Repeat([]byte("x"), 1300)
	return o
}

func TestSize(t *testing.T) {
	to := Target{Addr: there.String()}
	t.Run("EVT-102 a large request leaves over TCP", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			f := fake(t, s)
			n.use(s)
			got := sendOn(t, s, large(outgoing("NOTIFY", to)))
			if len(f.sent()) != 0 || len(n.ends) != 1 || n.dials[0] != there {
				t.Fatalf("dialled %v", n.dials)
			}
			request := read(t, n.ends[0])
			if via := field(request, "Via"); !strings.HasPrefix(via, "SIP/2.0/TCP 192.0.2.1:40000;branch=") || strings.Contains(via, "rport") {
				t.Errorf("top Via %q", via)
			}
			_, _ = io.WriteString(n.ends[0], answerFor(request, "200 OK"))
			if e := got(); e == nil || e.err != nil {
				t.Fatalf("ended with %+v", e)
			}
			sendOn(t, s, large(outgoing("NOTIFY", to)))
			if len(n.dials) != 1 || !strings.HasPrefix(read(t, n.ends[0]), "NOTIFY ") {
				t.Error("the connection was not used again")
			}
			_ = s.Close()
		})
	})
	t.Run("EVT-102 the limit is 1300 bytes of the whole message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			f := fake(t, s)
			n.use(s)
			o := outgoing("NOTIFY", to)
			o.Body = []byte("0123456789")
			sendOn(t, s, o)
			rest := maxUnreliable - len(f.sent()[0].data) + 10 - 2 // Content-Length gets two digits more
			o = outgoing("NOTIFY", to)
			o.Body = make([]byte, rest)
			sendOn(t, s, o)
			if d := f.sent(); len(d) != 1 || len(d[0].data) != maxUnreliable {
				t.Fatalf("1300 bytes were not sent over UDP: %v", d)
			}
			o = outgoing("NOTIFY", to)
			o.Body = make([]byte, rest+1)
			sendOn(t, s, o)
			if len(f.sent()) != 0 || len(n.dials) != 1 {
				t.Error("1301 bytes were not sent over TCP")
			}
			_ = s.Close()
		})
	})
	for _, tt := range []struct {
		name  string
		cause error
		after time.Duration
	}{
		{"refused", syscall.ECONNREFUSED, 0},
		{"silent", errSilent, 2 * time.Second},
	} {
		t.Run("over UDP after all where TCP is "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, n := New(Config{}), &network{fail: map[netip.AddrPort]error{there: tt.cause}}
				f := fake(t, s)
				n.use(s)
				begin := time.Now()
				got := sendOn(t, s, large(outgoing("NOTIFY", to)))
				var d []datagram
				for len(d) == 0 {
					if d = f.sent(); len(d) == 0 {
						time.Sleep(10 * time.Millisecond)
						synctest.Wait()
					}
				}
				if time.Since(begin).Round(20*time.Millisecond) != tt.after || got() != nil {
					t.Errorf("sent after %v", time.Since(begin))
				}
				if via := field(d[0].data, "Via"); !strings.HasPrefix(via, "SIP/2.0/UDP 192.0.2.1:5060;branch=") {
					t.Errorf("top Via %q", via)
				}
				time.Sleep(600 * time.Millisecond)
				synctest.Wait()
				if len(f.sent()) != 1 {
					t.Error("not retransmitted by timer E")
				}
				f.in <- datagram{answerFor(d[0].data, "200 OK"), there}
				if e := got(); e == nil || e.err != nil {
					t.Errorf("ended with %+v", e)
				}
				sendOn(t, s, large(outgoing("NOTIFY", to)))
				if d := f.sent(); len(n.dials) != 1 || len(d) != 1 {
					t.Errorf("the peer without TCP was not remembered: dialled %v, sent %v", n.dials, d)
				}
				time.Sleep(deafTime)
				sendOn(t, s, large(outgoing("NOTIFY", to)))
				if len(n.dials) != 2 {
					t.Error("the peer without TCP was not forgotten")
				}
				_ = s.Close()
			})
		})
	}
	t.Run("no fallback where it is not wanted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{fail: map[netip.AddrPort]error{there: syscall.ECONNREFUSED}}
			f := fake(t, s)
			n.use(s)
			o := large(outgoing("MESSAGE", to))
			o.NoUDPFallback = true
			e := sendOn(t, s, o)()
			if e == nil || !errors.Is(e.err, ErrTransport) || !errors.Is(e.err, syscall.ECONNREFUSED) || len(f.sent()) != 0 {
				t.Errorf("ended with %+v", e)
			}
			s.deaf.add(there, time.Now().Add(deafTime))
			if sendOn(t, s, o)(); len(f.sent()) != 0 {
				t.Error("went over UDP because the peer is known to be without TCP")
			}
			_ = s.Close()
		})
	})
	t.Run("UDP by order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			f := fake(t, s)
			n.use(s)
			a, b := large(outgoing("NOTIFY", to)), large(outgoing("NOTIFY", Target{Addr: there.String(), Transport: "UDP"}))
			a.NoTCP = true
			sendOn(t, s, a)
			sendOn(t, s, b)
			if len(f.sent()) != 2 || len(n.dials) != 0 {
				t.Errorf("dialled %v", n.dials)
			}
			_ = s.Close()
		})
	})
	t.Run("TCP by order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			f := fake(t, s)
			n.use(s)
			sendOn(t, s, outgoing("NOTIFY", Target{Addr: there.String(), Transport: "TCP"}))
			if len(f.sent()) != 0 || len(n.dials) != 1 {
				t.Errorf("dialled %v", n.dials)
			}
			_ = s.Close()
		})
	})
	t.Run("TCP where there is no UDP listener", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			n.use(s)
			sendOn(t, s, outgoing("NOTIFY", to))
			if len(n.dials) != 1 {
				t.Errorf("dialled %v", n.dials)
			}
			_ = s.Close()
		})
	})
}

func TestTargets(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::1")
	t.Run("names", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Resolver: names{"example.com": {v6, there.Addr()}}})
			f := fake(t, s)
			sendOn(t, s, outgoing("NOTIFY", Target{Addr: "example.com"}))
			if d := f.sent(); len(d) != 1 || d[0].peer != netip.AddrPortFrom(there.Addr(), 5060) {
				t.Errorf("sent %v", d)
			}
			_ = s.Close()
		})
	})
	t.Run("the next address of a name when the first does not answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			first := netip.AddrPortFrom(v6, 5070)
			s, n := New(Config{Resolver: names{"example.com": {v6, there.Addr()}}}), &network{fail: map[netip.AddrPort]error{first: syscall.ECONNREFUSED}}
			n.use(s)
			sendOn(t, s, outgoing("NOTIFY", Target{Addr: "example.com:5070", Transport: "tcp"}))
			if len(n.dials) != 2 || n.dials[1] != there || len(n.ends) != 1 {
				t.Errorf("dialled %v", n.dials)
			}
			_ = s.Close()
		})
	})
	t.Run("the flow of a UDP request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{Resolver: names{}}), &network{}
			flows := make(chan *Flow, 1)
			s.Handle("SUBSCRIBE", func(_ context.Context, r *Request) *Response { flows <- r.Flow; return Answer(200) })
			f := fake(t, s)
			n.use(s)
			f.in <- datagram{msg("SUBSCRIBE"), there}
			flow := <-flows
			synctest.Wait()
			f.sent()
			if flow.Stream() || flow.Closed() || flow.Secure() || flow.Transport() != "udp" || flow.Remote() != there || flow.Local() != here {
				t.Errorf("flow %+v", flow)
			}
			sendOn(t, s, outgoing("NOTIFY", Target{Flow: flow, Addr: "192.0.2.9:5060"}))
			if d := f.sent(); len(d) != 1 || d[0].peer != there {
				t.Errorf("sent %v", d)
			}
			sendOn(t, s, large(outgoing("NOTIFY", Target{Flow: flow, Addr: "192.0.2.9:5060"})))
			if len(f.sent()) != 0 || len(n.dials) != 1 || n.dials[0].Addr().String() != "192.0.2.9" {
				t.Errorf("a large request dialled %v", n.dials)
			}
			sendOn(t, s, large(outgoing("NOTIFY", Target{Flow: flow})))
			if len(n.dials) != 2 || n.dials[1] != there {
				t.Errorf("a large request without an address dialled %v", n.dials)
			}
			sendOn(t, s, large(outgoing("NOTIFY", Target{Flow: flow, Addr: "nowhere.invalid"})))
			if d := f.sent(); len(n.dials) != 2 || len(d) != 1 || d[0].peer != there {
				t.Errorf("a large request to a name without address: dialled %v, sent %v", n.dials, d)
			}
			_ = s.Close()
			if !flow.Closed() {
				t.Error("the flow outlives the stack")
			}
		})
	})
	t.Run("the flow of a connection, and the address when that is closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			flows := make(chan *Flow, 9)
			s.Handle("SUBSCRIBE", func(_ context.Context, r *Request) *Response { flows <- r.Flow; return Answer(200) })
			f := fake(t, s)
			n.use(s)
			ours, theirs := net.Pipe()
			accepted := pipeConn{ours, here, there}
			s.addConn(s.newConn(s.kinds["tcp"]), func() (net.Conn, error) { return accepted, nil })
			_, _ = io.WriteString(theirs, msg("SUBSCRIBE"))
			wants(t, read(t, theirs), 200)
			_, _ = io.WriteString(theirs, msg("SUBSCRIBE"))
			wants(t, read(t, theirs), 200)
			flow := <-flows
			if flow != <-flows {
				t.Error("two requests of one connection have different flows")
			}
			got := sendOn(t, s, large(outgoing("NOTIFY", Target{Flow: flow, Addr: "192.0.2.9:5060"})))
			if !strings.HasPrefix(read(t, theirs), "NOTIFY") || len(n.dials) != 0 {
				t.Errorf("dialled %v", n.dials)
			}
			sendOn(t, s, outgoing("NOTIFY", Target{Addr: there.String(), Transport: "tcp"}))
			if !strings.HasPrefix(read(t, theirs), "NOTIFY") || len(n.dials) != 0 {
				t.Errorf("the accepted connection was not used for its peer's address; dialled %v", n.dials)
			}
			_ = theirs.Close()
			if e := got(); e == nil || !errors.Is(e.err, ErrTransport) || e.at > time.Second {
				t.Errorf("the end of the connection ended the transaction with %+v", e)
			}
			if !flow.Closed() {
				t.Error("flow not closed")
			}
			sendOn(t, s, outgoing("NOTIFY", Target{Flow: flow, Addr: "192.0.2.9:5060"}))
			if d := f.sent(); len(d) != 1 || d[0].peer.Addr().String() != "192.0.2.9" {
				t.Errorf("sent %v", d)
			}
			if e := sendOn(t, s, outgoing("NOTIFY", Target{Flow: flow}))(); e == nil || !errors.Is(e.err, ErrTransport) {
				t.Errorf("without an address: ended with %+v", e)
			}
			_ = s.Close()
		})
	})
	t.Run("a connection that has ended and is still known", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			f := fake(t, s)
			n.use(s)
			c, _ := piped(t, s)
			p := c.peer
			c.close(io.EOF)
			if len(s.byPeer) != 0 || len(s.conns) != 0 {
				t.Error("it was not removed")
			}
			s.byPeer[p] = c
			sendOn(t, s, outgoing("NOTIFY", Target{Addr: there.String(), Transport: "tcp"}))
			if len(n.dials) != 1 {
				t.Errorf("dialled %v", n.dials)
			}
			c.dead.Store(false) // as for a moment when it ends just now
			sendOn(t, s, outgoing("NOTIFY", Target{Flow: &c.Flow, Addr: "192.0.2.9:5060"}))
			if d := f.sent(); len(d) != 1 {
				t.Errorf("sent %v", d)
			}
			_ = s.Close()
		})
	})
	t.Run("a connection refused before the request could wait for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, n := New(Config{}), &network{}
			f := fake(t, s)
			n.use(s)
			c := s.newConn(s.kinds["tcp"])
			c.close(syscall.ECONNREFUSED)
			c.dead.Store(false)
			s.byPeer[peer{kind: c.kind, addr: there}] = c
			sendOn(t, s, large(outgoing("NOTIFY", Target{Addr: there.String()})))
			sendOn(t, s, large(outgoing("NOTIFY", Target{Addr: there.String()})))
			if d := f.sent(); len(d) != 2 || len(n.dials) != 0 || !s.deaf.has(there, time.Now()) {
				t.Errorf("sent %v, dialled %v", d, n.dials)
			}
			e := sendOn(t, s, outgoing("NOTIFY", Target{Addr: there.String(), Transport: "tcp"}))()
			if e == nil || !errors.Is(e.err, syscall.ECONNREFUSED) {
				t.Errorf("ended with %+v", e)
			}
			_ = s.Close()
		})
	})
	t.Run("a connection keeps nothing of transactions that have ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			c, theirs := piped(t, s)
			var requests []string
			for range 3 {
				sendOn(t, s, outgoing("NOTIFY", Target{Flow: &c.Flow}))
				requests = append(requests, read(t, theirs))
			}
			for _, i := range []int{1, 0, 2} {
				_, _ = io.WriteString(theirs, answerFor(requests[i], "200 OK"))
				synctest.Wait()
			}
			if c.txs != nil || len(s.client.table) != 0 || len(s.client.timers) != 0 {
				t.Errorf("left: %v, %v", c.txs, s.client.table)
			}
			_ = s.Close()
		})
	})
	t.Run("a transaction that ended while the connection was awaited is not sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{T1: 10 * time.Millisecond, DialTimeout: time.Minute})
			release := make(chan struct{})
			ours, theirs := net.Pipe()
			s.kinds["tcp"].dial = func(context.Context, netip.AddrPort, string) (net.Conn, error) {
				<-release
				return pipeConn{ours, here, there}, nil
			}
			got := sendOn(t, s, outgoing("NOTIFY", Target{Addr: there.String(), Transport: "tcp"}))
			time.Sleep(time.Second)
			if e := got(); e == nil || !errors.Is(e.err, ErrTimeout) {
				t.Errorf("ended with %+v", e)
			}
			close(release)
			synctest.Wait()
			if r := read(t, theirs); r != "" {
				t.Errorf("sent %q", r)
			}
			_ = s.Close()
		})
	})
}
