package relay

import (
	"encoding/binary"
	"io"
	"unicode/utf8"

	"imp/internal/transport/websocket"
)

// Bounds of a WebSocket message: of one that comes, and of the body in one that goes out.
const (
	maxWSMessage = 1 << 20
	maxWSBody    = 48 << 10
)

// wsReader gives the messages of a WebSocket as a stream (RFC 7977 section 5.3.1: a message is a frame of MSRP, so
// nothing is lost by it).
type wsReader struct {
	conn   *conn
	frames websocket.Reader
	buf    []byte // buf[at:] was not looked at
	at     int
	rest   []byte // of the message
}

// Read implements io.Reader.
func (w *wsReader) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		f, used, err := w.frames.Next(w.buf[w.at:])
		if err != nil {
			return 0, err
		}
		if used == 0 {
			if err := w.fill(); err != nil {
				return 0, err
			}
			continue
		}
		w.at += used
		switch f.Op {
		case websocket.Text, websocket.Binary:
			w.rest = f.Payload
		case websocket.Ping:
			w.conn.control(websocket.AppendFrame(nil, websocket.Pong, f.Payload, false))
		case websocket.Close:
			w.conn.control(websocket.AppendClose(nil, f.CloseCode(), false))
			return 0, io.EOF
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wsReader) fill() error {
	if w.at == len(w.buf) {
		w.buf, w.at = w.buf[:0], 0
	}
	if cap(w.buf)-len(w.buf) < 2048 {
		grown := make([]byte, len(w.buf)-w.at, max(4096, 2*(len(w.buf)-w.at)))
		copy(grown, w.buf[w.at:])
		w.buf, w.at = grown, 0
	}
	n, err := w.conn.Read(w.buf[len(w.buf):cap(w.buf)])
	w.buf = w.buf[:len(w.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// control puts a control frame out.
func (c *conn) control(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.overrun() {
		return
	}
	b := c.buffer()
	*b = append(*b, frame...)
	c.wake()
}

// headerRoom is what is kept free in front of a message for its header.
const headerRoom = 4

// frameWS makes a message of what was appended behind the room for its header (RFC 6455 section 5.2). It has at most
// 65535 bytes.
func frameWS(b []byte, begun int) []byte {
	payload := b[begun+headerRoom:]
	op := byte(websocket.Text)
	if !utf8.Valid(payload) {
		op = byte(websocket.Binary)
	}
	const final, length16 = 0x80, 126
	b[begun] = final | op
	if n := len(payload); n >= length16 {
		b[begun+1] = length16
		binary.BigEndian.PutUint16(b[begun+2:], uint16(n))
		return b
	}
	b[begun+1] = byte(len(payload))
	copy(b[begun+2:], payload)
	return b[:len(b)-2]
}
