package stack

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"imp/internal/transport/websocket"
)

// wsProtocol is the sub-protocol of RFC 7118 4.1.
const wsProtocol = "sip"

// errClosing says that the peer has closed the WebSocket.
var errClosing = errors.New("closed by the peer")

// greetWS does the WebSocket handshake of an accepted connection; below is its TLS or TCP connection.
func (c *conn) greetWS(nc net.Conn) (net.Conn, error) {
	cfg := &c.s.cfg
	server := websocket.Server{Protocol: wsProtocol, Path: cfg.WSPath, Origins: cfg.WSOrigins, MaxHeader: cfg.MaxWSHeader}
	if cfg.WSAccept != nil {
		server.Check = func(r *http.Request) (int, http.Header) {
			r.RemoteAddr = nc.RemoteAddr().String()
			return cfg.WSAccept(r)
		}
	}
	rest, err := server.Accept(nc)
	if err != nil {
		return nil, err
	}
	return resume(nc, rest), nil
}

// introduceWS does the WebSocket handshake of a connection that was dialled. refused is an answer to an earlier attempt.
func (c *conn) introduceWS(nc net.Conn, refused *websocket.Refused) (net.Conn, error) {
	cfg := &c.s.cfg
	at := c.webURL(addrPort(nc.RemoteAddr()).Port())
	client := websocket.Client{Protocol: wsProtocol, Host: at.Host, Path: at.Path, MaxHeader: cfg.MaxWSHeader, Header: make(http.Header)}
	if cfg.WSCookies != nil {
		r := http.Request{Header: client.Header}
		for _, cookie := range cfg.WSCookies.Cookies(at) {
			r.AddCookie(cookie)
		}
	}
	if cfg.WSHeader != nil {
		var status int
		var answer http.Header
		if refused != nil {
			status, answer = refused.Status, refused.Header
		}
		for name, values := range cfg.WSHeader(at.String(), status, answer) {
			client.Header[name] = values
		}
	}
	header, rest, err := client.Connect(nc)
	if again := (*websocket.Refused)(nil); errors.As(err, &again) {
		header = again.Header
	}
	if cfg.WSCookies != nil && header != nil {
		cfg.WSCookies.SetCookies(at, (&http.Response{Header: header}).Cookies())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return resume(nc, rest), nil
}

// webURL is where the handshake of a client asks, as http or https URL: cookies know those.
func (c *conn) webURL(port uint16) *url.URL {
	u := &url.URL{Scheme: "http", Host: c.name, Path: c.s.cfg.WSPath}
	if c.kind.secure {
		u.Scheme = "https"
	}
	switch {
	case port != c.kind.port:
		u.Host = net.JoinHostPort(c.name, strconv.Itoa(int(port)))
	case strings.Contains(c.name, ":"):
		u.Host = "[" + c.name + "]"
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u
}

// challenged tells whether a handshake was refused for want of credentials that there may be.
func (c *conn) challenged(err error) *websocket.Refused {
	var refused *websocket.Refused
	if c.s.cfg.WSHeader == nil || !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		return nil
	}
	return refused
}

// frames finds SIP messages in what a WebSocket brings: one in each of its messages (RFC 7118 5).
type frames struct {
	c *conn
	e *envelope // during take
	r websocket.Reader
}

func newFrames(c *conn) *frames {
	return &frames{c: c, r: websocket.Reader{Server: !c.dialled, Max: c.s.cfg.MaxMessage}}
}

func (f *frames) held() int { return f.r.Pending() }

func (f *frames) within() bool { return f.r.Fragmented() }

// take handles all complete frames in buf, as framer.take does.
func (f *frames) take(buf []byte) (used int, err error) {
	f.e = envelopes.Get().(*envelope)
	defer func() { envelopes.Put(f.e); f.e = nil }()
	for {
		frame, n, err := f.r.Next(buf[used:])
		if err != nil {
			f.c.s.malformed(err.Error(), f.c.kind, f.c.remote, buf[used:])
			var breach *websocket.Error
			errors.As(err, &breach)
			f.c.farewell(breach.Code)
			return used, err
		}
		if n == 0 {
			return used, nil
		}
		used += n
		if err := f.frame(frame); err != nil {
			return used, err
		}
		f.c.throttle()
	}
}

func (f *frames) frame(frame websocket.Frame) error {
	switch c := f.c; frame.Op {
	case websocket.Text, websocket.Binary:
		return f.message(frame.Payload)
	case websocket.Ping:
		_ = c.sendOp(frame.Payload, websocket.Pong)
	case websocket.Pong:
		c.pong()
	case websocket.Close:
		c.farewell(frame.CloseCode())
		return errClosing
	}
	return nil
}

// message takes one SIP message or a keep-alive. Anything else ends the connection (RFC 7118 4.1).
func (f *frames) message(b []byte) error {
	c, s := f.c, f.c.s
	switch string(b) {
	case "\r\n\r\n":
		c.pong()
		_ = c.send(lineEnd, 1)
		return nil
	case "\r\n":
		c.pong()
		return nil
	}
	s.trace(false, c.kind, c.local, c.remote, b)
	end := headEnd(b, 0)
	if end == 0 || end > maxHead || !f.e.scan(b[:end]) {
		if !compressed(b) {
			s.malformed("not a SIP message", c.kind, c.remote, b)
		}
		c.farewell(websocket.CloseUnsupported)
		return errFraming
	}
	s.count.in(c.kind)
	f.e.body = b[end:] // whatever Content-Length says, unless it says that another message follows
	if n := f.e.length; n >= 0 && n < len(f.e.body) && new(envelope).scan(f.e.body[n:]) {
		f.e.blame("More than one message in a WebSocket message")
	}
	s.dispatch(f.e, &c.Flow)
	return nil
}

// encode makes frames of what is to be written.
func (c *conn) encode(out, b []byte, op websocket.Op) []byte {
	if op == message {
		return websocket.AppendMessage(out, b, c.dialled)
	}
	return websocket.AppendFrame(out, op, b, c.dialled)
}

// farewell queues a close frame; nothing is sent behind it.
func (c *conn) farewell(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == open && !c.leaving {
		c.appendOp([]byte{byte(code >> 8), byte(code)}, websocket.Close)
		c.leaving = true
	}
}
