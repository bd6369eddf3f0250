package stack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/transport/stun"
)

// answersPings reads what a stack sends and answers pings until told otherwise; it tells when each came.
func answersPings(peer net.Conn, pings chan<- time.Time, deafAfter int) {
	buf := make([]byte, 100)
	for n := 1; ; n++ {
		m, err := peer.Read(buf)
		if err != nil || string(buf[:m]) != "\r\n\r\n" {
			close(pings)
			return
		}
		pings <- time.Now()
		if n < deafAfter {
			_, _ = io.WriteString(peer, "\r\n")
		}
	}
}

func TestStreamKeepAlive(t *testing.T) {
	for name, every := range map[string]time.Duration{"NAM-070 NAM-071 double CRLF, pong, failure": 0, "NAM-071 as told": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{IdleTimeout: time.Hour})
				defer s.Close()
				c, theirs := piped(t, s)
				pings := make(chan time.Time, 10)
				go answersPings(theirs, pings, 5)
				begin := time.Now()
				err := c.Flow.KeepAlive(t.Context(), every)
				if !errors.Is(err, ErrTransport) || !errors.Is(err, errNoPong) {
					t.Errorf("ended with %v", err)
				}
				ended := time.Now()
				high := every
				if high == 0 {
					high = 120 * time.Second
				}
				last := begin
				for range 5 {
					at := <-pings
					if gap := at.Sub(last); gap < high*8/10 || gap > high {
						t.Errorf("an interval of %v", gap)
					}
					last = at
				}
				if ended.Sub(last) != 10*time.Second {
					t.Errorf("given up %v after the ping", ended.Sub(last))
				}
				if !c.Flow.Closed() {
					t.Error("the flow is still used")
				}
				<-c.Flow.Done()
			})
		})
	}
	t.Run("the end of the connection ends it at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			defer s.Close()
			c, theirs := piped(t, s)
			begin := time.Now()
			time.AfterFunc(time.Second, func() { _ = theirs.Close() })
			if err := c.Flow.KeepAlive(t.Context(), 0); !errors.Is(err, ErrTransport) || time.Since(begin) != time.Second {
				t.Errorf("ended with %v after %v", err, time.Since(begin))
			}
		})
	})
	t.Run("the context ends it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			defer s.Close()
			c, _ := piped(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := c.Flow.KeepAlive(ctx, 0); !errors.Is(err, context.DeadlineExceeded) || c.Flow.Closed() {
				t.Errorf("ended with %v", err)
			}
		})
	})
	t.Run("NAM-070 pings of both sides at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			defer s.Close()
			c, theirs := piped(t, s)
			done := make(chan error, 1)
			go func() { _, err := c.Flow.Ping(t.Context()); done <- err }()
			if got := read(t, theirs); got != "\r\n\r\n" {
				t.Errorf("got %q", got)
			}
			_, _ = io.WriteString(theirs, "\r\n\r\n")
			if got := read(t, theirs); got != "\r\n" {
				t.Errorf("the peer's ping is answered with %q", got)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("NAM-070 a ping does not split a message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			defer s.Close()
			c, theirs := piped(t, s)
			sendOn(t, s, outgoing("NOTIFY", Target{Flow: &c.Flow}))
			go func() { _, _ = c.Flow.Ping(t.Context()) }()
			synctest.Wait()
			first, second := read(t, theirs), read(t, theirs)
			if all := first + second; !strings.HasSuffix(all, "\r\n\r\n\r\n\r\n") || strings.Count(all, "\r\n\r\n\r\n") != 1 {
				t.Errorf("got %q, %q", first, second)
			}
			if st := s.Stats().Messages["tcp"]; st.Out != 1 {
				t.Errorf("%d messages are counted", st.Out)
			}
		})
	})
}

func TestSTUNAnswer(t *testing.T) {
	s := serve(t, Config{}, nil)
	w := dial(t, s, "udp")
	id := stun.ID{1, 2, 3}
	t.Run("NAM-088 a SIP port answers STUN Binding requests", func(t *testing.T) {
		m, err := stun.Parse([]byte(w.ask(string(stun.AppendRequest(nil, id)))))
		if err != nil || m.Type != stun.BindingSuccess || m.ID != id || m.Mapped.String() != w.conn.LocalAddr().String() {
			t.Errorf("got %+v, %v", m, err)
		}
	})
	request := append(stun.AppendRequest(nil, id), 0, 6, 0, 1, 'a', 0, 0, 0)
	request[3] = 8
	if m, err := stun.Parse([]byte(w.ask(string(request)))); err != nil || m.Code != 420 {
		t.Errorf("a request with a user name: %+v, %v", m, err)
	}
	w.send(string(request[:24])) // malformed
	alive(t, w)
	if st := s.Stats(); st.Malformed != 1 || st.Messages["udp"].In != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestDatagramKeepAlive(t *testing.T) {
	// run lets a peer answer the pings with what answer gives, until KeepAlive ends.
	run := func(t *testing.T, answer func(n int, id stun.ID) []byte) (at []time.Duration, took time.Duration, err error) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			udp := fake(t, s)
			defer s.Close()
			f, err2 := s.Connect(t.Context(), "", Target{Addr: there.String()})
			if err2 != nil {
				t.Fatal(err2)
			}
			done := make(chan struct{})
			begin := time.Now()
			go func() {
				defer close(done)
				err = f.KeepAlive(t.Context(), 0)
				took = time.Since(begin)
			}()
			for n := 0; ; {
				time.Sleep(time.Millisecond)
				synctest.Wait()
				for _, d := range udp.sent() {
					m, err := stun.Parse([]byte(d.data))
					if err != nil || d.peer != there || m.Type != stun.BindingRequest {
						t.Fatalf("sent %+v to %v, %v", m, d.peer, err)
					}
					at = append(at, time.Since(begin))
					if b := answer(n, m.ID); b != nil {
						udp.in <- datagram{string(b), there}
					}
					n++
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		return at, took, err
	}
	t.Run("NAM-072 STUN on the SIP port, seven requests without an answer", func(t *testing.T) {
		at, took, err := run(t, func(n int, id stun.ID) []byte {
			if n < 3 {
				return stun.AppendSuccess(nil, id, netip.MustParseAddrPort("198.51.100.1:1024"))
			}
			return nil
		})
		if !errors.Is(err, ErrTransport) || !errors.Is(err, errNoPong) || len(at) != 3+7 {
			t.Fatalf("ended with %v after %d requests", err, len(at))
		}
		for i := 1; i < 4; i++ {
			if gap := at[i] - at[i-1]; gap < 23*time.Second || gap > 29*time.Second+time.Millisecond {
				t.Errorf("an interval of %v", gap)
			}
		}
		if gap := took - at[3]; gap.Round(time.Second/10) != 39500*time.Millisecond {
			t.Errorf("given up after %v", gap)
		}
	})
	t.Run("NAM-072 another mapped address", func(t *testing.T) {
		_, _, err := run(t, func(n int, id stun.ID) []byte {
			return stun.AppendSuccess(nil, id, netip.AddrPortFrom(there.Addr(), uint16(1024+n/2)))
		})
		if !errors.Is(err, ErrTransport) || !errors.Is(err, errMoved) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("NAM-072 an error response", func(t *testing.T) {
		at, _, err := run(t, func(n int, id stun.ID) []byte { return stun.AppendUnknown(nil, id, nil) })
		if !errors.Is(err, ErrTransport) || !strings.Contains(err.Error(), "420") || len(at) != 1 {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("an answer to nothing, and one of another transaction", func(t *testing.T) {
		at, _, err := run(t, func(n int, id stun.ID) []byte { id[0]++; return stun.AppendSuccess(nil, id, there) })
		if !errors.Is(err, errNoPong) || len(at) != 7 {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestConnect(t *testing.T) {
	s, peer := serve(t, Config{}, nil), serve(t, Config{}, nil)
	to := Target{Transport: "tcp", Addr: peer.Addrs()[1].Addr}
	t.Run("NAM-069 an existing flow to the same address and protocol is used", func(t *testing.T) {
		f, err := s.Connect(t.Context(), "", to)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Connect(t.Context(), "", to)
		if err != nil || again != f {
			t.Errorf("another flow, %v", err)
		}
		if _, err := s.Do(t.Context(), outgoing("OPTIONS", to)); err != nil {
			t.Error(err)
		}
		if _, err := f.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if n := s.Stats().Connections; n != 1 {
			t.Errorf("%d connections", n)
		}
		if same, err := s.Connect(t.Context(), "", Target{Flow: f}); same != f || err != nil {
			t.Errorf("%v", err)
		}
	})
	_ = peer.Close()
	f, _ := s.Connect(t.Context(), "", to)
	if f != nil {
		<-f.Done()
	}
	if _, err := s.Connect(t.Context(), "sip:bob@example.com", to); !errors.Is(err, ErrTransport) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("without a listener: %v", err)
	}
	if _, err := s.Connect(t.Context(), "sip:bob@example.com", Target{}); !errors.Is(err, ErrTransport) {
		t.Errorf("without a target: %v", err)
	}
	s.cfg.Locate = func(_ context.Context, uri string) ([]Target, error) {
		if uri != "sip:bob@example.com" {
			return nil, errors.New(uri)
		}
		return []Target{to, {Addr: s.Addrs()[1].Addr, Transport: "tcp"}}, nil
	}
	if f, err := s.Connect(t.Context(), "sip:bob@example.com", Target{}); err != nil || f.Remote().String() != s.Addrs()[1].Addr {
		t.Errorf("the second of two located: %v", err)
	}
}
