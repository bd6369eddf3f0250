package stack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds what a test waits for; nothing takes that long unless it fails.
const patience = 10 * time.Second

// serve starts a stack on a loopback port shared by UDP and TCP.
func serve(t testing.TB, cfg Config, setup func(*Stack)) *Stack {
	t.Helper()
	s := New(cfg)
	if setup != nil {
		setup(s)
	}
	eps, err := ParseEndpoint("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(context.Background(), eps...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wire is a peer that sends exact bytes and reads whole messages.
type wire struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader // of streams
}

func dial(t testing.TB, s *Stack, transport string) *wire {
	t.Helper()
	for _, ep := range s.Addrs() {
		if ep.Transport == transport {
			c, err := net.Dial(transport, ep.Addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return newWire(t, c)
		}
	}
	t.Fatalf("no %s listener", transport)
	return nil
}

func newWire(t testing.TB, c net.Conn) *wire {
	w := &wire{t: t, conn: c}
	if c.LocalAddr().Network() == "tcp" {
		w.r = bufio.NewReader(c)
	}
	return w
}

func (w *wire) send(msg string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, msg); err != nil {
		w.t.Fatal(err)
	}
}

// receive returns the next message, "" when the connection has ended.
func (w *wire) receive() string {
	w.t.Helper()
	_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	if w.r == nil {
		buf := make([]byte, 1<<16)
		n, err := w.conn.Read(buf)
		if err != nil {
			w.t.Fatalf("no datagram: %v", err)
		}
		return string(buf[:n])
	}
	var msg strings.Builder
	length := 0
	for {
		line, err := w.r.ReadString('\n')
		msg.WriteString(line)
		if err != nil {
			if err != io.EOF && !strings.Contains(err.Error(), "reset") {
				w.t.Fatalf("no message: %v (so far %q)", err, msg.String())
			}
			return ""
		}
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if line == "\r\n" {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(w.r, body); err != nil {
		w.t.Fatal(err)
	}
	return msg.String() + string(body)
}

// ask sends a message and returns what comes next.
func (w *wire) ask(msg string) string {
	w.t.Helper()
	w.send(msg)
	return w.receive()
}

var serial atomic.Int64

// msg is a request of its own, with ids that nothing else has. Fields given replace those of the same name or are
// added; a field of the form "Name" alone is left out.
func msg(method string, fields ...string) string { return msgBody(method, "", fields...) }

func msgBody(method, body string, fields ...string) string {
	n := serial.Add(1)
	head := []string{
		fmt.Sprintf("Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-%d;rport", n),
		fmt.Sprintf("From: <sip:alice@example.com>;tag=f%d", n),
		"To: <sip:bob@example.com>",
		fmt.Sprintf("Call-ID: c%d@example.com", n),
		"CSeq: 1 " + method,
		"Max-Forwards: 70",
		"Content-Length: " + strconv.Itoa(len(body)),
	}
	uri, version := "sip:bob@example.com", "SIP/2.0"
next:
	for _, f := range fields {
		name, value, given := strings.Cut(f, ":")
		switch name {
		case "URI":
			uri = strings.TrimSpace(value)
			continue
		case "Version":
			version = strings.TrimSpace(value)
			continue
		}
		for i, h := range head {
			if strings.HasPrefix(h, name+":") {
				head[i] = f
				if !given {
					head = append(head[:i], head[i+1:]...)
				}
				continue next
			}
		}
		head = append(head, strings.TrimPrefix(f, "+"))
	}
	return method + " " + uri + " " + version + "\r\n" + strings.Join(head, "\r\n") + "\r\n\r\n" + body
}

// field returns the value of the first field of that name in a message.
func field(msg, name string) string {
	head, _, _ := strings.Cut(msg, "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n")[1:] {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return v
		}
	}
	return ""
}

// status returns the status line without the version.
func status(msg string) string {
	line, _, _ := strings.Cut(msg, "\r\n")
	return strings.TrimPrefix(line, "SIP/2.0 ")
}

// wants fails unless the answer has the status.
func wants(t testing.TB, answer string, code int) {
	t.Helper()
	if !strings.HasPrefix(status(answer), strconv.Itoa(code)+" ") {
		t.Fatalf("want %d, got %q", code, answer)
	}
}

// alive fails unless the stack still answers OPTIONS, and tells that nothing else is waiting to be read.
func alive(t testing.TB, w *wire) {
	t.Helper()
	ask := msg("OPTIONS")
	answer := w.ask(ask)
	wants(t, answer, 200)
	if field(answer, "Call-ID") != field(ask, "Call-ID") {
		t.Fatalf("got another answer: %q", answer)
	}
}

// counting is a handler that answers 200 with a number that goes up.
func counting(n *atomic.Int64) Handler {
	return func(_ context.Context, r *Request) *Response {
		return Answer(200, Field{"SIP-ETag", strconv.FormatInt(n.Add(1), 10)})
	}
}

func repeated(c byte, n int) string { return string(bytes.Repeat([]byte{c}, n)) }

// waitUntil waits for what happens on another goroutine.
func waitUntil(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}
