package websocket

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// guid is the constant of RFC 6455 section 1.3.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const version = "13"

var (
	errHeader   = errors.New("the header is too long")
	errAccept   = errors.New("the server has not understood the handshake: Sec-WebSocket-Accept is wrong")
	errProtocol = errors.New("the server does not speak the sub-protocol")
	errUpgrade  = errors.New("the server has not upgraded the connection")
	errExtra    = errors.New("the server uses an extension that was not offered")
)

// Server does the handshake of a server (RFC 6455 section 4.2).
type Server struct {
	Protocol  string   // sub-protocol that clients must offer
	Path      string   // "" = every path
	Origins   []string // of browsers; empty = any. Requests without Origin are not from browsers
	MaxHeader int      // bytes of the request
	// Check may refuse a request that is otherwise good, with the status and header fields to answer; 0 = it is taken.
	Check func(*http.Request) (status int, fields http.Header)
}

// Refused is the error of a handshake that was answered with another status than 101.
type Refused struct {
	Status int
	Reason string
	Header http.Header // of the answer, at a client
}

func (r *Refused) Error() string {
	return fmt.Sprintf("WebSocket handshake refused: %d %s", r.Status, r.Reason)
}

// Accept reads the request of a client and answers it. rest is what the client has sent behind it. A *Refused error
// has been told to the client.
func (s *Server) Accept(rw io.ReadWriter) (rest []byte, err error) {
	head, rest, err := readHead(rw, s.MaxHeader)
	if err == errHeader {
		return nil, answer(rw, &Refused{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: err.Error()})
	}
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, answer(rw, &Refused{Status: http.StatusBadRequest, Reason: err.Error()})
	}
	if refused := s.judge(req); refused != nil {
		return nil, answer(rw, refused)
	}
	_, err = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n", acceptOf(req.Header.Get("Sec-WebSocket-Key")), s.Protocol)
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	return rest, nil
}

// judge checks a request in the order of RFC 6455 section 4.2.1.
func (s *Server) judge(req *http.Request) *Refused {
	bad := func(reason string) *Refused { return &Refused{Status: http.StatusBadRequest, Reason: reason} }
	h := req.Header
	key, err := base64.StdEncoding.DecodeString(h.Get("Sec-WebSocket-Key"))
	switch {
	case req.Method != http.MethodGet || !req.ProtoAtLeast(1, 1):
		return &Refused{Status: http.StatusMethodNotAllowed, Reason: "not a GET of HTTP/1.1", Header: http.Header{"Allow": {"GET"}}}
	case s.Path != "" && req.URL.Path != s.Path:
		return &Refused{Status: http.StatusNotFound, Reason: "no such path"}
	case req.Host == "":
		return bad("no Host")
	case !hasToken(h, "Upgrade", "websocket") || !hasToken(h, "Connection", "upgrade"):
		return &Refused{Status: http.StatusUpgradeRequired, Reason: "not an upgrade", Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}}
	case h.Get("Sec-WebSocket-Version") != version:
		return &Refused{Status: http.StatusUpgradeRequired, Reason: "version", Header: http.Header{"Sec-WebSocket-Version": {version}}}
	case err != nil || len(key) != 16:
		return bad("Sec-WebSocket-Key is not 16 bytes in base64")
	case !slices.Contains(list(h, "Sec-WebSocket-Protocol"), s.Protocol):
		return bad("sub-protocol " + s.Protocol + " is not offered")
	}
	if origin, given := h["Origin"]; given && len(s.Origins) > 0 && !slices.ContainsFunc(s.Origins, sameOrigin(origin[0])) {
		return &Refused{Status: http.StatusForbidden, Reason: "Origin is not allowed"}
	}
	if s.Check != nil {
		if status, fields := s.Check(req); status != 0 && status != http.StatusSwitchingProtocols {
			return &Refused{Status: status, Reason: "by policy", Header: fields}
		}
	}
	return nil
}

func sameOrigin(a string) func(string) bool {
	return func(b string) bool { return strings.EqualFold(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/")) }
}

// answer tells the client why it is refused, as far as that can be told.
func answer(w io.Writer, r *Refused) error {
	h := r.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Set("Content-Length", "0")
	if !hasToken(h, "Connection", "upgrade") {
		h.Set("Connection", "close")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status))
	_ = h.Write(&b)
	b.WriteString("\r\n")
	_, _ = w.Write(b.Bytes())
	return r
}

// Client does the handshake of a client (RFC 6455 section 4.1).
type Client struct {
	Protocol  string
	Host      string // with the port, unless that is the default one
	Path      string
	Header    http.Header // further fields: Cookie, Authorization, Origin
	MaxHeader int         // bytes of the answer
}

// Connect asks the server and checks its answer, whose header it returns. rest is what the server has sent behind it.
// An answer other than 101 gives a *Refused error.
func (c *Client) Connect(rw io.ReadWriter) (header http.Header, rest []byte, err error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"+
		"Sec-WebSocket-Version: %s\r\nSec-WebSocket-Protocol: %s\r\n", c.Path, c.Host, key, version, c.Protocol)
	_ = c.Header.Write(&b)
	b.WriteString("\r\n")
	if _, err := rw.Write(b.Bytes()); err != nil {
		return nil, nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	head, rest, err := readHead(rw, c.MaxHeader)
	if err == nil {
		header, err = c.check(head, key)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	return header, rest, nil
}

func (c *Client) check(head []byte, key string) (http.Header, error) {
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return nil, err
	}
	h := res.Header
	switch {
	case res.StatusCode != http.StatusSwitchingProtocols:
		return nil, &Refused{Status: res.StatusCode, Reason: http.StatusText(res.StatusCode), Header: h}
	case !hasToken(h, "Upgrade", "websocket") || !hasToken(h, "Connection", "upgrade"):
		return nil, errUpgrade
	case h.Get("Sec-WebSocket-Accept") != acceptOf(key):
		return nil, errAccept
	case h.Get("Sec-WebSocket-Protocol") != c.Protocol:
		return nil, errProtocol
	case h.Get("Sec-WebSocket-Extensions") != "":
		return nil, errExtra
	}
	return h, nil
}

func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + guid))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// readHead reads as far as the empty line; rest is what came with it.
func readHead(r io.Reader, limit int) (head, rest []byte, err error) {
	buf := make([]byte, 0, 1024)
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= limit {
				return nil, nil, errHeader
			}
			buf = append(make([]byte, 0, min(2*cap(buf), max(limit, cap(buf)+1))), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		from := max(0, len(buf)-3)
		buf = buf[:len(buf)+n]
		if i := bytes.Index(buf[from:], []byte("\r\n\r\n")); i >= 0 {
			end := from + i + 4
			if end > limit {
				return nil, nil, errHeader
			}
			return buf[:end], bytes.Clone(buf[end:]), nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// list splits the values of a header field at their commas.
func list(h http.Header, name string) (all []string) {
	for _, v := range h[http.CanonicalHeaderKey(name)] {
		for _, part := range strings.Split(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(list(h, name), func(v string) bool { return strings.EqualFold(v, token) })
}
