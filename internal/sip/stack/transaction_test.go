package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

// ending is how a transaction ended.
type ending struct {
	res *sip.Response
	err error
	at  time.Duration
}

// sendOn sends and returns a function that tells how it ended, nil when it has not.
func sendOn(t *testing.T, s *Stack, o *Outgoing) func() *ending {
	begin := time.Now()
	var mu sync.Mutex
	var got *ending
	s.Send(o, func(res *sip.Response, err error) {
		mu.Lock()
		defer mu.Unlock()
		if got != nil {
			t.Error("done was called twice")
		}
		got = &ending{res, err, time.Since(begin)}
	})
	synctest.Wait()
	return func() *ending {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func TestTimers(t *testing.T) {
	at := func(ms ...int) (d []time.Duration) {
		for _, m := range ms {
			d = append(d, time.Duration(m)*time.Millisecond)
		}
		return d
	}
	watch := func(t *testing.T, f *fakeUDP, begin time.Time, until time.Duration) (when []time.Duration) {
		for time.Since(begin) < until {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			for range f.sent() {
				when = append(when, time.Since(begin))
			}
		}
		return when
	}
	equal := func(t *testing.T, got, want []time.Duration) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("sent at %v, want %v", got, want)
		}
		for i := range got {
			if got[i].Round(10*time.Millisecond) != want[i] {
				t.Fatalf("sent at %v, want %v", got, want)
			}
		}
	}
	to := Target{Addr: there.String()}
	t.Run("timers E and F", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			f := fake(t, s)
			begin := time.Now()
			got := sendOn(t, s, outgoing("NOTIFY", to))
			first := f.sent()
			if len(first) != 1 || first[0].peer != there {
				t.Fatalf("sent %v", first)
			}
			equal(t, watch(t, f, begin, 31900*time.Millisecond),
				at(500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500))
			if got() != nil {
				t.Fatal("ended before 64*T1")
			}
			time.Sleep(200 * time.Millisecond)
			if e := got(); e == nil || !errors.Is(e.err, ErrTimeout) || e.at.Round(10*time.Millisecond) != 32*time.Second {
				t.Fatalf("ended with %+v", e)
			}
			if st := s.Stats(); st.Pending != 0 || st.Retransmits != 10 {
				t.Errorf("stats %+v", st)
			}
			_ = s.Close()
		})
	})
	t.Run("a provisional response moves timer E to T2", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			f := fake(t, s)
			begin := time.Now()
			sendOn(t, s, outgoing("NOTIFY", to))
			f.in <- datagram{answerFor(f.sent()[0].data, "100 Trying"), there}
			equal(t, watch(t, f, begin, 13*time.Second), at(500, 4500, 8500, 12500))
			_ = s.Close()
		})
	})
	t.Run("a response has no more than what its receiver reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			f := fake(t, s)
			o := outgoing("NOTIFY", to)
			o.Reads = []string{"Contact", "X-Other"}
			got := sendOn(t, s, o)
			f.in <- datagram{answerFor(f.sent()[0].data, "200 OK", "m: <sip:a@a.test>", "SIP-ETag: x", "Contact:\r\n <sip:b@b.test>", "x-other: 1"), there}
			e := got()
			var fields []string
			for _, h := range e.res.Headers() {
				fields = append(fields, h.Name()+": "+strings.TrimSpace(h.Value()))
			}
			want := []string{"Contact: <sip:a@a.test>", "Contact: <sip:b@b.test>", "X-Other: 1"}
			if !slices.Equal(fields, want) || e.res.StatusCode != 200 {
				t.Errorf("%d with %q, not %q", e.res.StatusCode, fields, want)
			}
			_ = s.Close()
		})
	})
	t.Run("a final response ends it and timer K takes in more of them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			f := fake(t, s)
			got := sendOn(t, s, outgoing("NOTIFY", to))
			answer := answerFor(f.sent()[0].data, "202 Accepted", "SIP-ETag: x")
			f.in <- datagram{answer, there}
			e := got()
			if e == nil || e.err != nil || e.res.StatusCode != 202 || e.res.GetHeader("SIP-ETag").Value() != "x" {
				t.Fatalf("ended with %+v", e)
			}
			time.Sleep(4900 * time.Millisecond)
			f.in <- datagram{answer, there}
			synctest.Wait()
			if st := s.Stats(); st.Late != 1 || st.Stray != 0 {
				t.Errorf("stats %+v", st)
			}
			time.Sleep(5200 * time.Millisecond) // twice that is the most
			f.in <- datagram{answer, there}
			synctest.Wait()
			if st := s.Stats(); st.Late != 1 || st.Stray != 1 {
				t.Errorf("stats %+v", st)
			}
			if n := len(f.sent()); n != 0 {
				t.Errorf("%d more requests were sent", n)
			}
			if c := s.client; len(c.table)+len(c.timers) != 0 || c.late != nil || c.later != nil || c.turn != 0 {
				t.Error("the transaction is still there")
			}
			_ = s.Close()
		})
	})
}

func TestResponses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(answer string) string
		stray  uint64
		bad    uint64
	}{
		{"another branch", func(a string) string { return strings.Replace(a, "branch=z9hG4bK", "branch=z9hG4bK0", 1) }, 1, 0},
		{"a branch cut short", func(a string) string {
			i := strings.Index(a, "branch=z9hG4bK") + len("branch=z9hG4bK")
			return a[:i] + a[i+1:]
		}, 1, 0},
		{"another method", func(a string) string { return strings.Replace(a, "7 NOTIFY", "7 PUBLISH", 1) }, 1, 0},
		{"two Via values", func(a string) string { return strings.Replace(a, "From:", "Via: SIP/2.0/UDP h;branch=1\r\nFrom:", 1) }, 0, 1},
		{"two Via values on one line", func(a string) string { return strings.Replace(a, ";rport", ", SIP/2.0/UDP h", 1) }, 0, 1},
		{"CSeq too large", func(a string) string { return strings.Replace(a, "CSeq: 7", "CSeq: 9292394834772304023312", 1) }, 0, 1},
		{"status of four digits", func(a string) string { return strings.Replace(a, "200", "2000", 1) }, 0, 1},
		{"status 700", func(a string) string { return strings.Replace(a, "200", "700", 1) }, 0, 1},
		{"body cut off", func(a string) string { return strings.Replace(a, "Content-Length: 0", "Content-Length: 9", 1) }, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{})
				f := fake(t, s)
				got := sendOn(t, s, outgoing("NOTIFY", Target{Addr: there.String()}))
				answer := answerFor(f.sent()[0].data, "200 OK")
				f.in <- datagram{tt.change(answer), there}
				if e := got(); e != nil {
					t.Fatalf("ended with %+v", e)
				}
				if st := s.Stats(); st.Stray != tt.stray || st.Malformed != tt.bad {
					t.Errorf("stats %+v", st)
				}
				f.in <- datagram{answer, there}
				if e := got(); e == nil || e.err != nil {
					t.Fatalf("the right one ended it with %+v", e)
				}
				_ = s.Close()
			})
		})
	}
	t.Run("a response with fields repeated that are no business of the stack", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			f := fake(t, s)
			got := sendOn(t, s, outgoing("NOTIFY", Target{Addr: there.String()}))
			f.in <- datagram{answerFor(f.sent()[0].data, "200", "Max-Forwards: 10", "Max-Forwards: 9"), there}
			if e := got(); e != nil {
				t.Fatal("a status line without the second space was accepted")
			}
			_ = s.Close()
		})
	})
}

func TestRequestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		f := fake(t, s)
		o := outgoing("PUBLISH", Target{Addr: there.String()})
		o.Body = []byte("body")
		head := string(o.Head)
		sendOn(t, s, o)
		first := f.sent()[0].data
		branch, _, _ := strings.Cut(strings.SplitN(first, "branch=", 2)[1], ";")
		want := "PUBLISH sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=" + branch +
			";rport\r\n" + head + "Content-Length: 4\r\n\r\nbody"
		if first != want {
			t.Errorf("sent %q, want %q", first, want)
		}
		if len(branch) != len("z9hG4bK")+32 {
			t.Errorf("branch %q", branch)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if again := f.sent()[0].data; again != first {
			t.Errorf("retransmitted %q, want %q", again, first)
		}
		_ = s.Close()
	})
}

func TestSendFails(t *testing.T) {
	to := Target{Addr: there.String()}
	for _, tt := range []struct {
		name string
		o    *Outgoing
		cfg  Config
		fail error
		want error
	}{
		{"write error", outgoing("NOTIFY", to), Config{}, errors.New("no route"), ErrTransport},
		{"no address", outgoing("NOTIFY", Target{}), Config{}, nil, ErrTransport},
		{"port no number", outgoing("NOTIFY", Target{Addr: "192.0.2.2:x"}), Config{}, nil, ErrTransport},
		{"unknown transport", outgoing("NOTIFY", Target{Addr: there.String(), Transport: "sctp"}), Config{}, nil, ErrTransport},
		{"no listener of the family", outgoing("NOTIFY", Target{Addr: "[2001:db8::1]:5060", Transport: "udp"}), Config{}, nil, ErrTransport},
		{"name not found", outgoing("NOTIFY", Target{Addr: "nowhere.invalid"}), Config{Resolver: names{}}, nil, ErrTransport},
		{"INVITE", outgoing("INVITE", to), Config{}, nil, errMethod},
		{"too large for UDP", &Outgoing{Method: "NOTIFY", Target: to, NoTCP: true, Body: make([]byte, maxDatagram)}, Config{}, nil, ErrTransport},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(tt.cfg)
				fake(t, s).fail = tt.fail
				e := sendOn(t, s, tt.o)()
				if e == nil || !errors.Is(e.err, tt.want) || e.at != 0 {
					t.Errorf("ended with %+v", e)
				}
				if tt.fail != nil && !errors.Is(e.err, tt.fail) {
					t.Errorf("error %v does not wrap the cause", e.err)
				}
				_ = s.Close()
			})
		})
	}
	t.Run("closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			fake(t, s)
			got := sendOn(t, s, outgoing("NOTIFY", to))
			_ = s.Close()
			if e := got(); e == nil || !errors.Is(e.err, ErrClosed) || errors.Is(e.err, ErrTransport) {
				t.Errorf("pending: ended with %+v", e)
			}
			if e := sendOn(t, s, outgoing("NOTIFY", to))(); e == nil || !errors.Is(e.err, ErrClosed) {
				t.Errorf("afterwards: ended with %+v", e)
			}
		})
	})
	t.Run("too many", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{MaxPending: 1})
			f := fake(t, s)
			got := sendOn(t, s, outgoing("NOTIFY", to))
			if e := sendOn(t, s, outgoing("NOTIFY", to))(); e == nil || !errors.Is(e.err, ErrTransport) {
				t.Errorf("the second ended with %+v", e)
			}
			f.in <- datagram{answerFor(f.sent()[0].data, "200 OK"), there}
			if e := got(); e == nil || e.err != nil {
				t.Errorf("the first ended with %+v", e)
			}
			if e := sendOn(t, s, outgoing("NOTIFY", to))(); e != nil {
				t.Errorf("the third, after the first, ended with %+v", e)
			}
			_ = s.Close()
		})
	})
	t.Run("a panic in done", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			fake(t, s)
			s.Send(outgoing("NOTIFY", Target{}), func(*sip.Response, error) { panic("mistake") })
			synctest.Wait()
			_ = s.Close()
		})
	})
	t.Run("the end of the context ends the waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{})
			fake(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := s.Do(ctx, outgoing("NOTIFY", to)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if s.Stats().Pending != 1 {
				t.Error("the transaction has ended too")
			}
			_ = s.Close()
		})
	})
}

// names is a resolver with a fixed table.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a := n[host]; a != nil {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestManyPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		s := New(Config{})
		f := fake(t, s)
		ended := 0
		done := make(chan error, n)
		for range n {
			s.Send(outgoing("NOTIFY", Target{Addr: there.String()}), func(_ *sip.Response, err error) { done <- err })
		}
		for i, d := range f.sent()[:n/2] {
			f.in <- datagram{answerFor(d.data, "200 OK"), there}
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(33 * time.Second)
		synctest.Wait()
		close(done)
		timeouts := 0
		for err := range done {
			ended++
			if errors.Is(err, ErrTimeout) {
				timeouts++
			}
		}
		if ended != n || timeouts != n/2 {
			t.Errorf("%d ended, %d of them by timeout", ended, timeouts)
		}
		_ = s.Close()
	})
}
