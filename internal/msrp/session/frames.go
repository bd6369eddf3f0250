package session

import (
	"errors"
	"io"
	"time"

	"imp/internal/transport/websocket"
)

// maxWebSocket bounds the messages of a WebSocket, each of which is one chunk.
const maxWebSocket = 4 << 20

// frames are the WebSocket of a connection (RFC 7977 section 5.1): each message is exactly one chunk.
type frames struct {
	c      *Conn
	client bool
	reader websocket.Reader
	buf    []byte
	from   int    // buf[from:] has not been looked at
	left   []byte // of the message that is being read
	begun  int    // messages
	chunks int
}

func newFrames(c *Conn, server bool, rest []byte) *frames {
	return &frames{c: c, client: !server, reader: websocket.Reader{Server: server, Max: maxWebSocket}, buf: append([]byte(nil), rest...)}
}

// append adds a chunk as one message: as text, or as binary when it is not UTF-8.
func (f *frames) append(b, chunk []byte) []byte {
	f.c.trace(true, chunk)
	return websocket.AppendMessage(b, chunk, f.client)
}

func (f *frames) appendClose(b []byte) []byte {
	return websocket.AppendClose(b, websocket.CloseNormal, f.client)
}

var errChunk = errors.New("a WebSocket message is not exactly one chunk")

// Read gives what is in the messages of the peer.
func (f *frames) Read(p []byte) (int, error) {
	for len(f.left) == 0 {
		if !f.c.reader.Idle() {
			return 0, f.refuse(websocket.CloseProtocol, errChunk)
		}
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}

// next finds the next message.
func (f *frames) next() error {
	for {
		frame, used, err := f.reader.Next(f.buf[f.from:])
		if err != nil {
			var breach *websocket.Error
			if errors.As(err, &breach) {
				return f.refuse(breach.Code, err)
			}
			return err
		}
		if used == 0 {
			if err := f.fill(); err != nil {
				return err
			}
			continue
		}
		f.from += used
		switch frame.Op {
		case websocket.Text, websocket.Binary:
			if len(frame.Payload) > 0 {
				f.left = frame.Payload
				f.begun++
				return nil
			}
		case websocket.Ping:
			f.control(websocket.AppendFrame(nil, websocket.Pong, frame.Payload, f.client))
		case websocket.Close:
			f.control(f.appendClose(nil))
			return io.EOF
		}
	}
}

// fill reads more. Payloads that were given out lie in the buffer and are used up by now.
func (f *frames) fill() error {
	f.buf = f.buf[:copy(f.buf, f.buf[f.from:])]
	f.from = 0
	if len(f.buf) == cap(f.buf) {
		f.buf = append(make([]byte, 0, max(4096, 2*cap(f.buf))), f.buf...)
	}
	n, err := f.c.nc.Read(f.buf[len(f.buf):cap(f.buf)])
	f.buf = f.buf[:len(f.buf)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// chunk counts one more, which must be the only one in its message.
func (f *frames) chunk() error {
	if f.chunks++; f.chunks != f.begun {
		return f.refuse(websocket.CloseProtocol, errChunk)
	}
	return nil
}

// refuse tells the peer why the connection ends, and gives the error.
func (f *frames) refuse(code int, err error) error {
	f.control(websocket.AppendClose(nil, code, f.client))
	f.c.mu.Lock()
	f.c.shutting = true
	f.c.nc.SetDeadline(f.c.node.cfg.Now().Add(2 * time.Second))
	f.c.work.Signal()
	f.c.mu.Unlock()
	io.Copy(io.Discard, f.c.nc)
	return err
}

func (f *frames) control(frame []byte) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) < c.node.cfg.Limits.Responses {
		c.out = append(c.out, frame...)
		c.work.Signal()
	}
}
