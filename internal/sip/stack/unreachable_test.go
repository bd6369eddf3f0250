package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"

	sip "github.com/emiago/sipgo/sip"
)

// nobody is an address on loopback where nobody listens over UDP.
func nobody(t *testing.T, host string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skip("no " + host)
	}
	defer pc.Close()
	return pc.LocalAddr().String()
}

func TestRefused(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what became of a datagram")
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run("NAM-026 a refused datagram at "+host, func(t *testing.T) {
			to := nobody(t, host)
			s := New(Config{})
			defer s.Close()
			if err := s.Listen(context.Background(), Endpoint{"udp", net.JoinHostPort(host, "0")}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_, err := s.Do(ctx, outgoing("NOTIFY", Target{Addr: to}))
			if !errors.Is(err, ErrTransport) || !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), to) {
				t.Errorf("ended with %v", err)
			}
		})
	}
	t.Run("a wildcard listener of both families", func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		if err := s.Listen(context.Background(), Endpoint{"udp", ":0"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, host := range []string{"127.0.0.1", "::1"} {
			if _, err := s.Do(ctx, outgoing("NOTIFY", Target{Addr: nobody(t, host)})); !errors.Is(err, ErrTransport) {
				t.Errorf("%s: ended with %v", host, err)
			}
		}
	})
	t.Run("NAM-026 the next server is asked at once", func(t *testing.T) {
		peer := serve(t, Config{}, func(s *Stack) {
			s.Handle("SUBSCRIBE", func(context.Context, *Request) *Response { return Answer(200) })
		})
		g := &guide{targets: []Target{{Transport: "udp", Addr: nobody(t, "127.0.0.1")}, {Transport: "udp", Addr: peer.Addrs()[0].Addr}}}
		s := serve(t, Config{Locate: g.locate}, nil)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if res, err := s.Do(ctx, located()); err != nil || res.StatusCode != 200 {
			t.Errorf("ended with %v, %v", res, err)
		}
	})
	t.Run("others on the same socket notice nothing", func(t *testing.T) {
		peer := serve(t, Config{}, func(s *Stack) {
			s.Handle("NOTIFY", func(context.Context, *Request) *Response { return Answer(200) })
		})
		s := serve(t, Config{}, nil)
		const requests = 400
		dead, alive := Target{Transport: "udp", Addr: nobody(t, "127.0.0.1")}, Target{Transport: "udp", Addr: peer.Addrs()[0].Addr}
		results := make(chan error, 2*requests)
		for range requests {
			s.Send(outgoing("NOTIFY", dead), func(_ *sip.Response, err error) {
				if errors.Is(err, ErrTransport) {
					err = nil
				} else {
					err = errors.Join(errors.New("at the dead port"), err)
				}
				results <- err
			})
			s.Send(outgoing("NOTIFY", alive), func(_ *sip.Response, err error) { results <- err })
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		for range 2 * requests {
			select {
			case err := <-results:
				if err != nil {
					t.Fatal(err)
				}
			case <-ctx.Done():
				t.Fatalf("%d requests have not ended", s.client.pending())
			}
		}
	})
}

// refusing is a socket whose every write tells of refused datagrams.
type refusing struct {
	*net.UDPConn
	cause error
	tries int
}

func (r *refusing) WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error) {
	r.tries++
	return 0, &net.OpError{Op: "write", Net: "udp", Err: r.cause}
}

func TestBelatedErrors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what became of a datagram")
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := New(Config{})
	defer s.Close()
	for _, tt := range []struct {
		cause error
		tries int
		want  error
	}{
		{syscall.ECONNREFUSED, 1 + maxBelated, nil}, // of others: this one counts as lost
		{syscall.ENETUNREACH, 1 + maxBelated, syscall.ENETUNREACH},
		{syscall.EPERM, 1, syscall.EPERM},
	} {
		pc := &refusing{UDPConn: c, cause: tt.cause}
		err := s.newSocket(pc).write([]byte("x"), there)
		if !errors.Is(err, tt.want) || pc.tries != tt.tries {
			t.Errorf("%v: %v after %d tries", tt.cause, err, pc.tries)
		}
	}
}

func TestQuotedBranch(t *testing.T) {
	const id = "z9hG4bK000102030405060708090a0b0c0d0e0f"
	for quoted, want := range map[string]bool{
		"NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:1;branch=" + id + ";rport\r\nFrom":   true,
		"NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:1;branch=" + id + ".x;rport\r\nFrom": true,
		"NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:1;branch=" + id[:20]:                 false,
		"NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:1;branch=" + id:                      false,
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h:1;branch=" + id + ";rport\r\nFrom":           false,
		"NOTIFY sip:a;branch=" + id + " SIP/2.0\r\nFrom: a\r\n":                            false,
		"": false,
	} {
		if _, ok := quotedBranch([]byte(quoted)); ok != want {
			t.Errorf("%q: found %v", quoted, ok)
		}
	}
}

func FuzzQuotedBranch(f *testing.F) {
	f.Add([]byte("NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:1;branch=z9hG4bK000102030405060708090a0b0c0d0e0f;rport\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, ok := quotedBranch(b); ok && !strings.Contains(strings.ToLower(string(b)), strings.ToLower(string(id.append(nil)))) {
			t.Errorf("%q: found %x", b, id)
		}
	})
}
