package relay

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"imp/internal/transport/websocket"
)

// wsPeer is a client over WebSocket: what it writes is one message, and messages are read as a stream, their sizes noted.
type wsPeer struct {
	net.Conn
	in    *bufio.Reader
	rest  []byte
	sizes []int
	ops   []websocket.Op
}

func (w *wsPeer) Write(p []byte) (int, error) {
	if _, err := w.Conn.Write(websocket.AppendMessage(nil, p, true)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *wsPeer) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		var head [2]byte
		if _, err := io.ReadFull(w.in, head[:]); err != nil {
			return 0, err
		}
		if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
			return 0, fmt.Errorf("a fragment, or masked: %x", head)
		}
		n := int(head[1])
		if n == 127 {
			return 0, fmt.Errorf("a message of more than 65535 bytes")
		}
		if n == 126 {
			var long [2]byte
			io.ReadFull(w.in, long[:])
			if n = int(long[0])<<8 | int(long[1]); n < 126 {
				return 0, fmt.Errorf("length %d is not written in the shortest form", n)
			}
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return 0, err
		}
		w.ops = append(w.ops, websocket.Op(head[0]&0xf))
		if head[0]&0x8 == 0 {
			w.rest, w.sizes = payload, append(w.sizes, n)
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func dialWS(t *testing.T, r *Relay, name string) (*peer, *wsPeer) {
	t.Helper()
	nc, err := net.Dial("tcp", r.at("ws"))
	if err != nil {
		t.Fatal(err)
	}
	c := websocket.Client{Protocol: "msrp", Host: r.at("ws"), Path: "/", MaxHeader: 8192}
	_, rest, err := c.Connect(nc)
	if err != nil {
		t.Fatal(err)
	}
	w := &wsPeer{Conn: nc, in: bufio.NewReader(io.MultiReader(bytes.NewReader(rest), nc))}
	p := peerOver(t, w, name)
	p.uri = "msrp://" + name + ".invalid:9/" + name + ";ws"
	return p, w
}

func TestWebSocket(t *testing.T) {
	r := running(t, Config{})
	serve(t, r, "ws", nil)
	alice, frames := dialWS(t, r, "alice")
	alice.request("AUTH", "msrp://alice@localhost:"+strings.TrimPrefix(r.at("ws"), "127.0.0.1:")+";ws", alice.uri, "-")
	g := alice.next()
	if alice.path = g.fields["use-path"]; g.code != 200 || !strings.HasSuffix(alice.path, ";tcp") {
		t.Fatalf("%+v", g)
	}
	bob := dial(t, r.at("tcp"), "bob")
	for size, op := range map[int]websocket.Op{0: websocket.Text, 100: websocket.Text, 5000: websocket.Text, 200000: websocket.Binary} {
		body := strings.Repeat("ä", size/2)
		if op == websocket.Binary {
			body = strings.Repeat("\xff", size)
		}
		id := fmt.Sprintf("to%d", size)
		frames.sizes, frames.ops = nil, nil
		go bob.nc.Write([]byte(requestText(id+"x", "SEND", alice.path+" "+alice.uri, bob.uri, body, "$", "Message-ID: "+id+"abcd")))
		m := alice.receive(id + "abcd")
		if string(m.body) != body || len(frames.sizes) != m.chunks {
			t.Errorf("%d bytes: %d came, in %d chunks and %d messages", size, len(m.body), m.chunks, len(frames.sizes))
		}
		if size < 2000 && frames.ops[0] != op {
			t.Errorf("%d bytes in %d chunks, opcodes %v", size, m.chunks, frames.ops)
		}
		if g := bob.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
		go alice.request("SEND", alice.path+" "+bob.uri, alice.uri, body, "Message-ID: "+id+"back")
		if m := bob.receive(id + "back"); string(m.body) != body {
			t.Errorf("%d bytes back: %d", size, len(m.body))
		}
		if g := alice.next(); g.code != 200 || g.from != alice.path {
			t.Errorf("%+v", g)
		}
	}
	frames.Conn.Write(websocket.AppendFrame(nil, websocket.Ping, []byte("hi"), true))
	alice.auth(r)
	found := false
	for _, op := range frames.ops {
		found = found || op == websocket.Pong
	}
	if !found {
		t.Error("a ping was not answered")
	}
	frames.Conn.Write(websocket.AppendClose(nil, websocket.CloseNormal, true))
	for range 10 {
		if _, err := alice.rd.Next(); err != nil {
			return
		}
	}
	t.Error("a close was not answered")
}

func TestRechunksForWebSocket(t *testing.T) {
	r := running(t, Config{})
	serve(t, r, "ws", nil)
	alice, frames := dialWS(t, r, "alice")
	alice.auth(r)
	bob := dial(t, r.at("tcp"), "bob")
	t.Run("MCON-029 a large chunk of a TCP peer arrives in several messages", func(t *testing.T) {
		body := strings.Repeat("0123456789abcdef\r\n-------", 10_000_000/25)
		frames.sizes = nil
		go bob.nc.Write([]byte(requestText("large", "SEND", alice.path+" "+alice.uri, bob.uri, body, "$", "Message-ID: large")))
		m := alice.receive("large")
		if string(m.body) != body {
			t.Errorf("%d bytes came, and not what was sent", len(m.body))
		}
		if len(frames.sizes) != m.chunks || m.chunks < len(body)/maxWSBody || m.largest > maxWSBody {
			t.Errorf("%d chunks in %d messages, the largest of %d bytes", m.chunks, len(frames.sizes), m.largest)
		}
		if g := bob.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
	})
}

func TestFrameWS(t *testing.T) {
	for _, n := range []int{0, 125, 126, 127, 65535} {
		b := frameWS(append(make([]byte, 7), bytes.Repeat([]byte("x"), n)...), 3)
		rd := websocket.Reader{Max: 1 << 20}
		if f, used, err := rd.Next(b[3:]); err != nil || used != len(b)-3 || len(f.Payload) != n || f.Op != websocket.Text {
			t.Errorf("%d bytes: %d used of %d, %v", n, used, len(b)-3, err)
		}
	}
}
