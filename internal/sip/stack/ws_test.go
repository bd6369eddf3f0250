package stack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/transport/websocket"
)

// browser is a WebSocket client that sends and receives exact frames.
type browser struct {
	t    testing.TB
	conn net.Conn
	buf  []byte
	r    websocket.Reader
}

// browse connects to the first endpoint of a stack.
func browse(t testing.TB, s *Stack) *browser {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addrs()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := websocket.Client{Protocol: "sip", Host: "example.com", Path: "/", MaxHeader: 4096}
	_, rest, err := c.Connect(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, conn: nc, buf: rest, r: websocket.Reader{Max: 1 << 24}}
}

func (b *browser) send(frames []byte) {
	b.t.Helper()
	if _, err := b.conn.Write(frames); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) say(m string) { b.send(websocket.AppendMessage(nil, []byte(m), true)) }

// frame is the next frame; Op 0 when the connection has ended.
func (b *browser) frame() websocket.Frame {
	b.t.Helper()
	_ = b.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		f, used, err := b.r.Next(b.buf)
		if err != nil {
			b.t.Fatal(err)
		}
		if used > 0 {
			f.Payload = bytes.Clone(f.Payload)
			b.buf = b.buf[used:]
			return f
		}
		in := make([]byte, 1<<16)
		n, err := b.conn.Read(in)
		b.buf = append(b.buf, in[:n]...)
		if n == 0 && err != nil {
			if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
				b.t.Fatal(err)
			}
			return websocket.Frame{}
		}
	}
}

func (b *browser) receive() string { b.t.Helper(); return string(b.frame().Payload) }

func (b *browser) ask(m string) string { b.t.Helper(); b.say(m); return b.receive() }

// closed fails unless the server closes with the code.
func (b *browser) closed(code int) {
	b.t.Helper()
	if f := b.frame(); f.Op != websocket.Close || f.CloseCode() != code {
		b.t.Errorf("got %v %q, want a close frame with %d", f.Op, f.Payload, code)
	}
	if f := b.frame(); f.Op != 0 {
		b.t.Errorf("then %v", f)
	}
}

func TestWSServer(t *testing.T) {
	bodies, flows := make(chan string, 1), make(chan *Flow, 1)
	s := serveAt(t, Config{MaxMessage: 100_000, Product: "imp"}, func(s *Stack) {
		s.Handle("MESSAGE", func(_ context.Context, r *Request) *Response {
			bodies <- string(r.Body())
			return &Response{Status: 200, Body: r.Body(), ContentType: "text/plain"}
		})
		s.Handle("SUBSCRIBE", func(_ context.Context, r *Request) *Response { flows <- r.Flow; return Answer(200) })
	}, "ws:127.0.0.1:0")
	b := browse(t, s)
	ws := "Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK"
	t.Run("MSG-042 a Via in the domain invalid", func(t *testing.T) {
		answer := b.ask(msg("OPTIONS", ws+NewTag()))
		wants(t, answer, 200)
		if v := field(answer, "Via"); !strings.HasPrefix(v, "SIP/2.0/WS df7jal23ls0d.invalid;") {
			t.Errorf("Via %s", v)
		}
	})
	t.Run("MSG-043 requests to the client take its connection", func(t *testing.T) {
		wants(t, b.ask(msg("SUBSCRIBE", ws+NewTag(), "Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws>")), 200)
		f := <-flows
		o := outgoing("NOTIFY", Target{Flow: f, Addr: "df7jal23ls0d.invalid"})
		o.URI = "sip:alice@df7jal23ls0d.invalid;transport=ws"
		res := make(chan error, 1)
		s.Send(o, func(_ *sip.Response, err error) { res <- err })
		notify := b.receive()
		t.Run("MSG-041 Via says WS", func(t *testing.T) {
			if v := field(notify, "Via"); !strings.HasPrefix(v, "SIP/2.0/WS "+s.Addrs()[0].Addr) || f.Transport() != "ws" || f.Secure() {
				t.Errorf("Via %s", v)
			}
		})
		b.say(answerFor(notify, "200 OK"))
		if err := <-res; err != nil {
			t.Error(err)
		}
	})
	body := func(frame []byte, want string) {
		t.Helper()
		b.send(frame)
		if got := <-bodies; got != want {
			t.Errorf("body %.100q, want %.100q", got, want)
		}
		wants(t, b.receive(), 200)
	}
	t.Run("MSG-037 text and binary", func(t *testing.T) {
		body(websocket.AppendFrame(nil, websocket.Binary, []byte(msgBody("MESSAGE", "Grüße", ws+NewTag())), true), "Grüße")
		b.send(websocket.AppendMessage(nil, []byte(msgBody("MESSAGE", "\xff\x00", ws+NewTag())), true))
		<-bodies
		if f := b.frame(); f.Op != websocket.Binary || !strings.HasSuffix(string(f.Payload), "\r\n\r\n\xff\x00") {
			t.Errorf("answered with %v %q", f.Op, f.Payload)
		}
		b.say(msgBody("MESSAGE", "ü", ws+NewTag()))
		<-bodies
		if f := b.frame(); f.Op != websocket.Text {
			t.Errorf("answered with %v", f.Op)
		}
	})
	t.Run("MSG-039 the frame ends the message", func(t *testing.T) {
		say := func(fields ...string) {
			t.Helper()
			body(websocket.AppendMessage(nil, []byte(msgBody("MESSAGE", "hello", append(fields, ws+NewTag())...)), true), "hello")
		}
		say("Content-Length", "Content-Type: text/plain")
		say("Content-Length: 4")
		say("Content-Length: 6")
		say("Content-Length", "l: 0")
	})
	t.Run("MSG-038 two messages in one", func(t *testing.T) {
		if got := b.ask(msg("OPTIONS", ws+NewTag()) + msg("OPTIONS", ws+NewTag())); status(got) != "400 More than one message in a WebSocket message" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("MSG-038 two messages in two frames of one packet", func(t *testing.T) {
		frame := func() []byte { return websocket.AppendMessage(nil, []byte(msg("OPTIONS", ws+NewTag())), true) }
		b.send(append(frame(), frame()...))
		wants(t, b.receive(), 200)
		wants(t, b.receive(), 200)
	})
	t.Run("fragments, with a ping between them", func(t *testing.T) {
		m := msgBody("MESSAGE", "hello", ws+NewTag())
		first := websocket.AppendFrame(nil, websocket.Text, []byte(m[:50]), true)
		first[0] &^= 0x80
		rest := websocket.AppendFrame(nil, websocket.Continuation, []byte(m[50:]), true)
		b.send(websocket.AppendFrame(first, websocket.Ping, []byte("abc"), true))
		if f := b.frame(); f.Op != websocket.Pong || string(f.Payload) != "abc" {
			t.Errorf("got %v %q", f.Op, f.Payload)
		}
		body(rest, "hello")
	})
	t.Run("byte by byte", func(t *testing.T) {
		frame := websocket.AppendMessage(nil, []byte(msg("OPTIONS", ws+NewTag())), true)
		for i := range frame {
			b.send(frame[i : i+1])
		}
		wants(t, b.receive(), 200)
	})
	t.Run("a body of 64 kB", func(t *testing.T) {
		body(websocket.AppendMessage(nil, []byte(msgBody("MESSAGE", repeated('x', 65536), ws+NewTag())), true), repeated('x', 65536))
	})
	t.Run("MSG-045 pings of both kinds", func(t *testing.T) {
		for ping, pong := range map[string]websocket.Frame{
			string(websocket.AppendFrame(nil, websocket.Ping, nil, true)):         {Op: websocket.Pong},
			string(websocket.AppendFrame(nil, websocket.Ping, []byte("x"), true)): {Op: websocket.Pong, Payload: []byte("x")},
			string(websocket.AppendMessage(nil, []byte("\r\n\r\n"), true)):        {Op: websocket.Text, Payload: []byte("\r\n")},
		} {
			b.send([]byte(ping))
			if f := b.frame(); f.Op != pong.Op || string(f.Payload) != string(pong.Payload) {
				t.Errorf("%q is answered with %v %q", ping, f.Op, f.Payload)
			}
		}
		b.say("\r\n")
		b.send(websocket.AppendFrame(nil, websocket.Pong, []byte("y"), true))
		wants(t, b.ask(msg("OPTIONS", ws+NewTag())), 200)
	})
	for _, tt := range []struct {
		name  string
		bytes []byte
		code  int
	}{
		{"MSG-036 what is not SIP", websocket.AppendMessage(nil, []byte("{\"hello\":1}"), true), websocket.CloseUnsupported},
		{"MSG-036 SIP cut short", websocket.AppendMessage(nil, []byte(msg("OPTIONS")[:90]), true), websocket.CloseUnsupported},
		{"an unmasked frame", websocket.AppendMessage(nil, []byte(msg("OPTIONS")), false), websocket.CloseProtocol},
		{"text that is not UTF-8", websocket.AppendFrame(nil, websocket.Text, []byte("\xff"), true), websocket.CloseInvalid},
		{"a message too large", websocket.AppendFrame(nil, websocket.Text, make([]byte, 100_001), true), websocket.CloseTooBig},
		{"the peer's close frame", websocket.AppendClose(nil, websocket.CloseGoingAway, true), websocket.CloseGoingAway},
	} {
		t.Run(tt.name+" closes the connection", func(t *testing.T) {
			b := browse(t, s)
			go func() { _, _ = b.conn.Write(tt.bytes) }()
			b.closed(tt.code)
		})
	}
	t.Run("Close says good-bye", func(t *testing.T) {
		b := browse(t, s)
		wants(t, b.ask(msg("OPTIONS", ws+NewTag())), 200)
		go s.Close()
		b.closed(websocket.CloseGoingAway)
	})
}

func TestWSHandshakes(t *testing.T) {
	s := serveAt(t, Config{
		WSOrigins: []string{"https://app.example.com"}, WSPath: "/sip", MaxWSHeader: 600, HandshakeTimeout: 300 * time.Millisecond,
		WSAccept: func(r *http.Request) (int, http.Header) {
			if c, err := r.Cookie("session"); err == nil && c.Value == "good" {
				return 0, nil
			}
			if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil {
				t.Error(err)
			}
			return 401, http.Header{"Www-Authenticate": {`Digest realm="web"`}}
		},
	}, nil, "ws:127.0.0.1:0")
	ask := func(path string, h http.Header) error {
		nc, err := net.Dial("tcp", s.Addrs()[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c := websocket.Client{Protocol: "sip", Host: "example.com", Path: path, Header: h, MaxHeader: 4096}
		_, _, err = c.Connect(nc)
		return err
	}
	for _, tt := range []struct {
		name, path, origin, cookie string
		status                     int
	}{
		{"MSG-047 origin and cookie", "/sip", "https://app.example.com", "session=good", 0},
		{"MSG-047 another origin", "/sip", "https://example.net", "session=good", 403},
		{"MSG-047 another cookie", "/sip", "https://app.example.com", "session=bad", 401},
		{"no browser", "/sip", "", "session=good", 0},
		{"another path", "/", "", "session=good", 404},
		{"a long header", "/sip", "", "session=good; x=" + repeated('x', 1000), 431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{"Cookie": {tt.cookie}}
			if tt.origin != "" {
				h.Set("Origin", tt.origin)
			}
			err := ask(tt.path, h)
			var refused *websocket.Refused
			if tt.status == 0 && err != nil || tt.status != 0 && (!errors.As(err, &refused) || refused.Status != tt.status) {
				t.Errorf("ended with %v", err)
			}
		})
	}
	t.Run("a slow one", func(t *testing.T) {
		nc, err := net.Dial("tcp", s.Addrs()[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "GET /sip HTTP/1.1\r\n")
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := nc.Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) || err == nil {
			t.Errorf("still connected: %v", err)
		}
	})
}

// TestWSTimers: as on every reliable transport nothing is sent again.
func TestWSTimers(t *testing.T) {
	t.Run("MSG-040 no retransmission", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{IdleTimeout: time.Hour})
			defer s.Close()
			ours, theirs := net.Pipe()
			c := s.newConn(s.kinds["ws"])
			s.addConn(c, func() (net.Conn, error) { return pipeConn{ours, here, there}, nil })
			synctest.Wait()
			var seen atomic.Int64
			go func() {
				r, buf := websocket.Reader{Max: 1 << 16}, []byte(nil)
				for {
					in := make([]byte, 4096)
					n, err := theirs.Read(in)
					if err != nil {
						return
					}
					buf = append(buf, in[:n]...)
					for {
						f, used, err := r.Next(buf)
						if used == 0 || err != nil {
							break
						}
						if f.Op == websocket.Text {
							seen.Add(1)
						}
						buf = buf[used:]
					}
				}
			}()
			begin := time.Now()
			_, err := s.Do(t.Context(), outgoing("NOTIFY", Target{Flow: &c.Flow}))
			if !errors.Is(err, ErrTimeout) || time.Since(begin) != 32*time.Second || seen.Load() != 1 {
				t.Errorf("%d requests in %v, %v", seen.Load(), time.Since(begin), err)
			}
		})
	})
}

// TestWSHalfMessages: a fragmented message gets no more time than one in one piece.
func TestWSHalfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{MessageTimeout: 10 * time.Second})
		defer s.Close()
		ours, theirs := net.Pipe()
		c := s.newConn(s.kinds["ws"])
		s.addConn(c, func() (net.Conn, error) { return pipeConn{ours, here, there}, nil })
		begin := time.Now()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() {
			op := websocket.Text
			for {
				f := websocket.AppendFrame(nil, op, []byte("x"), true)
				f[0] &^= 0x80
				if _, err := theirs.Write(f); err != nil {
					return
				}
				op = websocket.Continuation
				time.Sleep(time.Second)
			}
		}()
		<-c.Done()
		if d := time.Since(begin); d != 10*time.Second || !errors.Is(c.cause, errSlow) {
			t.Errorf("closed after %v by %v", d, c.cause)
		}
		if n := s.partial.Load(); n != 0 {
			t.Errorf("%d bytes are counted", n)
		}
		time.Sleep(time.Second)
	})
}

// TestWSNotReading: pings are answered to who reads, and others are disconnected before they cost memory.
func TestWSNotReading(t *testing.T) {
	s := serveAt(t, Config{WriteTimeout: 100 * time.Millisecond, MaxWriteQueue: 1 << 16}, nil, "ws:127.0.0.1:0")
	b := browse(t, s)
	b.send(websocket.AppendFrame(nil, websocket.Ping, nil, true))
	if f := b.frame(); f.Op != websocket.Pong {
		t.Fatalf("a ping gets %v", f.Op)
	}
	// To shrink the receive buffer of this end instead would have the kernel drop what arrives beyond it, with the
	// acknowledgements for what is written here.
	c := only(s)
	c.mu.Lock()
	_ = bottom(c.nc).(*net.TCPConn).SetWriteBuffer(4096)
	c.mu.Unlock()
	ping := bytes.Repeat(websocket.AppendFrame(nil, websocket.Ping, make([]byte, 125), true), 100)
	most := 0
	for {
		_ = b.conn.SetWriteDeadline(time.Now().Add(patience))
		if _, err := b.conn.Write(ping); err != nil {
			if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
				t.Fatal("the peer that does not read is still connected")
			}
			break
		}
		if c := only(s); c != nil {
			c.mu.Lock()
			if c.pending != nil {
				most = max(most, len(*c.pending))
			}
			c.mu.Unlock()
		}
	}
	if most > 1<<17 {
		t.Errorf("%d bytes were queued", most)
	}
}

func FuzzWebSocket(f *testing.F) {
	f.Add([]byte(msg("OPTIONS")), false, 7)
	f.Add([]byte(msgBody("PUBLISH", "body", "Content-Length: 2", "+l: 7")), false, 1)
	f.Add([]byte(msg("OPTIONS")+msg("OPTIONS")), false, 1)
	f.Add(websocket.AppendFrame(websocket.AppendMessage(nil, []byte(msg("OPTIONS")), true), websocket.Ping, []byte("x"), true), true, 3)
	f.Fuzz(func(t *testing.T, data []byte, raw bool, piece int) {
		if len(data) > 1<<14 {
			return
		}
		if !raw {
			data = websocket.AppendMessage(nil, data, true)
		}
		whole, pieces := stream(t, "ws", data, len(data)), stream(t, "ws", data, max(piece, 1))
		if whole != pieces {
			t.Errorf("whole: %q\nin pieces of %d: %q", whole, piece, pieces)
		}
	})
}
