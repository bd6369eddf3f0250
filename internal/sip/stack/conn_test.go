package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

func TestStreamOrder(t *testing.T) {
	const n = 2000
	handled := make(chan uint32, n)
	s := serve(t, Config{}, func(s *Stack) {
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response {
			handled <- r.CSeq().SeqNo
			return Answer(200)
		})
	})
	w := dial(t, s, "tcp")
	var all strings.Builder
	for i := range n {
		all.WriteString(msgBody("PUBLISH", pidf, fmt.Sprintf("CSeq: %d PUBLISH", i+1)))
	}
	go func() { _, _ = io.WriteString(w.conn, all.String()) }()
	for i := range n {
		if cseq := field(w.receive(), "CSeq"); cseq != fmt.Sprintf("%d PUBLISH", i+1) {
			t.Fatalf("answer %d has CSeq %s", i+1, cseq)
		}
	}
	for i := range n {
		if got := <-handled; got != uint32(i+1) {
			t.Fatalf("request %d was handled as number %d", got, i+1)
		}
	}
}

func TestStreamFraming(t *testing.T) {
	var handled atomic.Int64
	s := serve(t, Config{MaxMessage: 100_000}, func(s *Stack) { s.Handle("PUBLISH", counting(&handled)) })
	t.Run("byte by byte", func(t *testing.T) {
		w := dial(t, s, "tcp")
		for _, b := range []byte(msgBody("PUBLISH", "body")) {
			w.send(string(b))
		}
		wants(t, w.receive(), 200)
	})
	t.Run("a body of 64 kB and the next message", func(t *testing.T) {
		w := dial(t, s, "tcp")
		w.send(msgBody("PUBLISH", repeated('x', 65536)) + msg("PUBLISH"))
		wants(t, w.receive(), 200)
		wants(t, w.receive(), 200)
	})
	t.Run("a message the parser rejects is answered and the next one found", func(t *testing.T) {
		w := dial(t, s, "tcp")
		w.send(msgBody("PUBLISH", "abc", "To: <sip:") + msg("PUBLISH"))
		wants(t, w.receive(), 400)
		wants(t, w.receive(), 200)
	})
	t.Run("without Content-Length when there is no body", func(t *testing.T) {
		w := dial(t, s, "tcp")
		w.send(msg("PUBLISH", "Content-Length") + msg("PUBLISH", "Content-Length"))
		wants(t, w.receive(), 200)
		wants(t, w.receive(), 200)
	})
	t.Run("keep-alive", func(t *testing.T) {
		w := dial(t, s, "tcp")
		pongs := func(n int) {
			t.Helper()
			got := make([]byte, 2*n)
			_ = w.conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(w.r, got); err != nil || string(got) != strings.Repeat("\r\n", n) {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		w.send("\r\n\r\n")
		pongs(1)
		w.send("\r\n\r\n\r\n\r\n\r\n\r\n")
		pongs(3)
		w.send("\r\n\r")
		w.send("\n")
		pongs(1)
		w.send("\r\n") // one alone is no ping
		alive(t, w)
		w.send("\r\n")
		alive(t, w)
		w.send("\r\n\r\n" + msg("PUBLISH"))
		pongs(1)
		wants(t, w.receive(), 200)
	})
	for _, tt := range []struct {
		name   string
		bytes  string
		status string // "" = none
	}{
		{"no Content-Length and a body", msgBody("PUBLISH", "x", "Content-Length", "Content-Type: text/plain"), "400 Missing Content-Length"},
		{"Content-Length negative", msg("PUBLISH", "Content-Length: -5"), "400 Malformed Content-Length"},
		{"Content-Length no number", msg("PUBLISH", "Content-Length: 0x10"), "400 Malformed Content-Length"},
		{"Content-Length beyond 64 bits", msg("PUBLISH", "Content-Length: 99999999999999999999"), "400 Malformed Content-Length"},
		{"two Content-Lengths", msg("PUBLISH", "+l: 5"), "400 Repeated Content-Length"},
		{"message too large", msg("PUBLISH", "Content-Length: 99999"), "513 Message Too Large"},
		{"header too large", msg("PUBLISH", "Subject: "+repeated('x', maxHead)), "513 Message Too Large"},
		{"header without end", strings.TrimSuffix(msg("PUBLISH", "Subject: "+repeated('x', maxHead)), "\r\n"), ""},
		{"not SIP", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", ""},
		{"binary", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n\n", ""},
	} {
		t.Run("closed after "+tt.name, func(t *testing.T) {
			w := dial(t, s, "tcp")
			w.send(tt.bytes)
			if tt.status != "" {
				if got := w.receive(); status(got) != tt.status {
					t.Errorf("got %q", got)
				}
			}
			if got := w.receive(); got != "" {
				t.Errorf("then got %q", got)
			}
			alive(t, dial(t, s, "tcp"))
		})
	}
}

// piped gives a stack an accepted connection and returns the peer's end.
func piped(t *testing.T, s *Stack) (*conn, net.Conn) {
	ours, theirs := net.Pipe()
	c := s.newConn(s.kinds["tcp"])
	if !s.addConn(c, func() (net.Conn, error) { return pipeConn{ours, here, there}, nil }) {
		t.Fatal("refused")
	}
	synctest.Wait()
	return c, theirs
}

func TestStreamTimes(t *testing.T) {
	run := func(name string, f func(*testing.T, *Stack, *conn, net.Conn)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{IdleTimeout: time.Minute, MessageTimeout: 10 * time.Second, WriteTimeout: 5 * time.Second})
				s.Handle("PUBLISH", func(context.Context, *Request) *Response { return Answer(200) })
				c, theirs := piped(t, s)
				f(t, s, c, theirs)
				_ = s.Close()
			})
		})
	}
	closedAfter := func(t *testing.T, c *conn, want time.Duration, cause error) {
		t.Helper()
		begin := time.Now()
		for !c.dead.Load() && time.Since(begin) < 2*want {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if got := time.Since(begin); got < want || got > want+200*time.Millisecond || !errors.Is(c.cause, cause) {
			t.Errorf("closed after %v by %v, want %v by %v", got, c.cause, want, cause)
		}
	}
	run("an idle connection", func(t *testing.T, _ *Stack, c *conn, _ net.Conn) {
		closedAfter(t, c, time.Minute, errIdle)
	})
	run("what is sent keeps it open", func(t *testing.T, s *Stack, c *conn, theirs net.Conn) {
		time.Sleep(50 * time.Second)
		sendOn(t, s, outgoing("NOTIFY", Target{Flow: &c.Flow}))
		read(t, theirs)
		time.Sleep(50 * time.Second)
		if c.dead.Load() {
			t.Errorf("closed by %v", c.cause)
		}
	})
	run("half a message", func(t *testing.T, _ *Stack, c *conn, theirs net.Conn) {
		_, _ = io.WriteString(theirs, msg("PUBLISH")[:50])
		closedAfter(t, c, 10*time.Second, errSlow)
	})
	run("a message that trickles in", func(t *testing.T, _ *Stack, c *conn, theirs net.Conn) {
		go func() {
			for _, b := range []byte(msg("PUBLISH")) {
				time.Sleep(time.Second)
				if _, err := theirs.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		closedAfter(t, c, 11*time.Second, errSlow)
		time.Sleep(time.Second)
	})
	run("half a message behind a whole one gets its own time", func(t *testing.T, _ *Stack, c *conn, theirs net.Conn) {
		m := msg("PUBLISH")
		_, _ = io.WriteString(theirs, m[:50])
		time.Sleep(9 * time.Second)
		_, _ = io.WriteString(theirs, m[50:]+m[:50])
		read(t, theirs)
		closedAfter(t, c, 10*time.Second, errSlow)
	})
	run("half messages share a bound", func(t *testing.T, s *Stack, c *conn, theirs net.Conn) {
		m := strings.Replace(msg("PUBLISH"), "Content-Length: 0", "X: "+strings.Repeat("x", 6*smallBuffer)+"\r\nContent-Length: 0", 1)
		_, _ = io.WriteString(theirs, m)
		read(t, theirs)
		if n := s.partial.Load(); n != 0 {
			t.Errorf("%d bytes are counted after a whole message", n)
		}
		s.partial.Store(maxPartial - smallBuffer)
		go io.WriteString(theirs, m[:2*smallBuffer+100])
		synctest.Wait()
		if !c.dead.Load() || !errors.Is(c.cause, errRoom) {
			t.Errorf("closed is %v, by %v", c.dead.Load(), c.cause)
		}
		if n := s.partial.Load(); n != maxPartial-smallBuffer {
			t.Errorf("%d bytes are counted when the connection has gone", n-maxPartial+smallBuffer)
		}
	})
	run("a peer that does not read", func(t *testing.T, s *Stack, c *conn, _ net.Conn) {
		other, reads := piped(t, s)
		got := sendOn(t, s, outgoing("NOTIFY", Target{Flow: &c.Flow}))
		second := sendOn(t, s, outgoing("NOTIFY", Target{Flow: &c.Flow}))
		sendOn(t, s, outgoing("NOTIFY", Target{Flow: &other.Flow}))
		if !strings.HasPrefix(read(t, reads), "NOTIFY") {
			t.Error("the other connection is held up")
		}
		closedAfter(t, c, 5*time.Second, os.ErrDeadlineExceeded)
		for _, e := range []*ending{got(), second()} {
			if e == nil || !errors.Is(e.err, ErrTransport) {
				t.Errorf("ended with %+v", e)
			}
		}
	})
}

func TestStreamBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{MaxWriteQueue: 10_000, WriteTimeout: time.Hour})
		var handled atomic.Int64
		s.Handle("PUBLISH", counting(&handled))
		c, theirs := piped(t, s)
		failed := 0
		for range 100 {
			s.Send(outgoing("NOTIFY", Target{Flow: &c.Flow}), func(_ *sip.Response, err error) {
				if !errors.Is(err, ErrClosed) {
					failed++
				}
			})
			synctest.Wait()
		}
		if n := len(*c.pending); n > 10_000 || len(c.waiting) == 0 || failed > 0 {
			t.Errorf("%d bytes are queued, %d requests wait, %d of 100 failed", n, len(c.waiting), failed)
		}
		go func() {
			for range 100 {
				_, _ = io.WriteString(theirs, msg("PUBLISH"))
			}
		}()
		synctest.Wait()
		if n := handled.Load(); n > 1 {
			t.Errorf("%d requests were handled while their answers could not be written", n)
		}
		notifies := 0
		for range 200 {
			notifies += strings.Count(read(t, theirs), "NOTIFY sip:")
		}
		if notifies != 100 || len(c.waiting) > 0 {
			t.Errorf("%d of 100 requests reached a peer that reads in the end", notifies)
		}
		if n := handled.Load(); n != 100 {
			t.Errorf("%d of 100 requests were handled in the end", n)
		}
		_ = s.Close()
	})
}

// TestNotReading is TestStreamTimes with real sockets: a peer that floods and does not read is disconnected, others
// are served meanwhile.
func TestNotReading(t *testing.T) {
	s := serve(t, Config{WriteTimeout: 100 * time.Millisecond, MaxWriteQueue: 1 << 16}, func(s *Stack) {
		s.Handle("PUBLISH", func(context.Context, *Request) *Response {
			return &Response{Status: 200, Body: make([]byte, 30_000), ContentType: "text/plain"}
		})
	})
	bad, good := dial(t, s, "tcp"), dial(t, s, "tcp")
	_ = bad.conn.(*net.TCPConn).SetReadBuffer(4096)
	for {
		_ = bad.conn.SetWriteDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(bad.conn, msg("PUBLISH")); err != nil {
			if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
				t.Fatal("the peer that does not read is still connected")
			}
			break
		}
		alive(t, good)
	}
}

func TestConnectionLimit(t *testing.T) {
	s := serve(t, Config{MaxConnections: 2}, nil)
	a, b := dial(t, s, "tcp"), dial(t, s, "tcp")
	alive(t, a)
	alive(t, b)
	if got := dial(t, s, "tcp").receive(); got != "" {
		t.Errorf("the third connection got %q", got)
	}
	if st := s.Stats(); st.Connections != 2 || st.Refused != 1 {
		t.Errorf("stats %+v", st)
	}
	_ = a.conn.Close()
	for s.Stats().Connections != 1 {
		alive(t, b)
	}
	alive(t, dial(t, s, "tcp"))
}

func TestConnectionsOfOneAddress(t *testing.T) {
	s := New(Config{MaxConnections: 100, MaxPerAddress: 2})
	defer s.Close()
	connect := func() (net.Conn, error) {
		<-s.ctx.Done()
		return nil, errEnded
	}
	add := func(addr string) (*conn, bool) {
		c := s.newConn(s.kinds["tcp"])
		return c, s.addAccepted(c, netip.MustParseAddr(addr), connect)
	}
	for _, tt := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.1", false}, {"192.0.2.2", true},
		{"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3%eth0", false}, {"2001:db8:0:1::1", true},
		{"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"::1", true}, {"::1", true}, {"::1", true},
	} {
		if _, got := add(tt.addr); got != tt.want {
			t.Errorf("%s: %v", tt.addr, got)
		}
	}
	c, _ := add("192.0.2.2")
	if _, ok := add("192.0.2.2"); ok {
		t.Error("one too many")
	}
	c.close(errEnded)
	if _, ok := add("192.0.2.2"); !ok {
		t.Error("the place of a connection that has gone is not free")
	}
}

func TestAnswerWithoutConnection(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := serve(t, Config{}, func(s *Stack) {
		s.Handle("PUBLISH", func(context.Context, *Request) *Response {
			close(begun)
			<-release
			return Answer(200)
		})
	})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := dial(t, s, "tcp")
	w.send(msg("PUBLISH", "Via: SIP/2.0/TCP 127.0.0.1:"+strconv.Itoa(l.Addr().(*net.TCPAddr).Port)+";branch=z9hG4bK-gone"))
	<-begun
	_ = w.conn.(*net.TCPConn).SetLinger(0)
	_ = w.conn.Close()
	// The answer is given when the stack can no longer write to the connection of the request.
	for c := only(s); !c.dead.Load(); runtime.Gosched() {
		_ = c.send(lineEnd, 1)
	}
	close(release)
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Run("NAM-029 the answer comes over a new connection to sent-by", func(t *testing.T) {
		wants(t, newWire(t, c).receive(), 200)
	})
}

// only is the one connection of a stack.
func only(s *Stack) (only *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		only = c
	}
	return only
}

func TestCloseWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		var requests sync.WaitGroup
		requests.Add(1)
		s.Handle("NOTIFY", func(context.Context, *Request) *Response {
			return &Response{Status: 200, Sent: requests.Done}
		})
		_, theirs := piped(t, s)
		_, silent := piped(t, s)
		defer silent.Close()
		_, _ = io.WriteString(theirs, msg("NOTIFY"))
		requests.Wait()
		closing := time.Now()
		go s.Close()
		synctest.Wait()
		_ = theirs.SetReadDeadline(time.Now().Add(time.Minute))
		got, err := io.ReadAll(theirs)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, string(got), 200)
		if time.Since(closing) != 0 {
			t.Errorf("closing took %v", time.Since(closing))
		}
		synctest.Wait()
	})
}

// TestHalfClosed: a peer that ends its side gets its answers.
func TestHalfClosed(t *testing.T) {
	s := serve(t, Config{}, nil)
	for range 20 {
		w := dial(t, s, "tcp")
		w.send(msg("OPTIONS") + msg("OPTIONS"))
		_ = w.conn.(*net.TCPConn).CloseWrite()
		for range 2 {
			wants(t, w.receive(), 200)
		}
		if more := w.receive(); more != "" {
			t.Errorf("got %q too", more)
		}
	}
}
