package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/xcap/uri"
)

// xcapConn is a connection with the list that it reads and writes. It speaks just enough HTTP for that: the client is not to be what
// is measured.
type xcapConn struct {
	cfg     *XCAPConfig
	target  target
	name    string
	path    string // of the list, as in a request line
	element string // of an entry
	list    []byte
	at      int // where in the list the number of the change is
	entry   []byte
	entryAt int
	change  int
	made    bool
	etag    string

	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	answer xcapAnswer
}

// xcapAnswer is what is read of an answer.
type xcapAnswer struct {
	status     int
	length     int  // of the body, -1 when it is not told
	chunked    bool // the body comes in chunks
	last       bool // the connection ends with it
	challenges []string
}

const changeSize = 8 // digits of the number of a change

func newXCAPConn(cfg *XCAPConfig, t target, i int) *xcapConn {
	c := &xcapConn{cfg: cfg, target: t, name: cfg.Name + "-" + strconv.Itoa(i+1)}
	u := &uri.URI{AUID: "resource-lists", XUI: cfg.XUI, Document: []string{c.name}}
	c.path = cfg.Root.Path() + "/" + u.Path()
	middle := fmt.Sprintf("sip:user%03d@example.com", cfg.Entries/2)
	u.Steps = []string{"resource-lists", `list[@name="bench"]`, `entry[@uri="` + middle + `"]`}
	c.element = cfg.Root.Path() + "/" + u.String()
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">` + "\n" + ` <list name="bench">` + "\n" + `  <display-name>`)
	c.at = b.Len()
	b.WriteString(strings.Repeat("0", changeSize) + "</display-name>\n")
	for n := range cfg.Entries {
		fmt.Fprintf(&b, "  <entry uri=\"sip:user%03d@example.com\"><display-name>User %03d</display-name></entry>\n", n, n)
	}
	b.WriteString(" </list>\n</resource-lists>\n")
	c.list = b.Bytes()
	before := `<entry uri="` + middle + `"><display-name>`
	c.entry, c.entryAt = []byte(before+strings.Repeat("0", changeSize)+"</display-name></entry>"), len(before)
	return c
}

// number makes a body another one than all before.
func (c *xcapConn) number(body []byte, at int) []byte {
	c.change++
	n := c.change
	for i := changeSize - 1; i >= 0; i-- {
		body[at+i] = byte('0' + n%10)
		n /= 10
	}
	return body
}

// ask sends a request of a kind and reads the answer.
func (c *xcapConn) ask(kind XCAPKind) (status int, err error) {
	switch kind {
	case GetDocument:
		return c.exchange("GET", c.path, "", nil)
	case GetUnchanged:
		return c.exchange("GET", c.path, "If-None-Match: "+c.etag+"\r\n", nil)
	case GetElement:
		return c.exchange("GET", c.element, "", nil)
	case PutDocument:
		return c.exchange("PUT", c.path, "Content-Type: application/resource-lists+xml\r\n", c.number(c.list, c.at))
	}
	return c.exchange("PUT", c.element, "Content-Type: application/xcap-el+xml\r\n", c.number(c.entry, c.entryAt))
}

// remove deletes the list.
func (c *xcapConn) remove(limit time.Duration) (status int, err error) {
	cfg := *c.cfg
	cfg.Timeout = limit
	c.cfg = &cfg
	return c.exchange("DELETE", c.path, "", nil)
}

// exchange sends a request, again with credentials when they are asked for.
func (c *xcapConn) exchange(method, path, fields string, body []byte) (status int, err error) {
	var credentials *digest.Request
	if c.cfg.Digest != nil {
		credentials = c.cfg.Digest.Request(method, path, body)
	}
	for {
		authorization := ""
		if credentials != nil {
			if values := credentials.Authorization(); len(values) > 0 {
				authorization = values[0]
			}
		}
		if err := c.send(method, path, fields, authorization, body); err != nil {
			c.close()
			return 0, err
		}
		if c.answer.status != 401 || credentials == nil {
			return c.answer.status, nil
		}
		if err := credentials.Challenged(c.answer.challenges); err != nil {
			return 401, nil
		}
	}
}

func (c *xcapConn) send(method, path, fields, authorization string, body []byte) error {
	if err := c.connect(); err != nil {
		return err
	}
	b := append(c.out[:0], method...)
	b = append(append(append(b, ' '), path...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, c.target.host...), "\r\n"...)
	if authorization != "" {
		b = append(append(append(b, "Authorization: "...), authorization...), "\r\n"...)
	}
	b = append(b, fields...)
	if body != nil {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	c.out = append(append(b, "\r\n"...), body...)
	if err := c.conn.SetDeadline(time.Now().Add(c.cfg.Timeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	return c.read()
}

func (c *xcapConn) connect() error {
	if c.conn != nil {
		return nil
	}
	d := net.Dialer{Timeout: c.cfg.Timeout}
	var err error
	if c.target.secure {
		c.conn, err = tls.DialWithDialer(&d, "tcp", c.target.addr, c.cfg.TLS)
	} else {
		c.conn, err = d.Dial("tcp", c.target.addr)
	}
	if err != nil {
		c.conn = nil
		return err
	}
	c.in = bufio.NewReaderSize(c.conn, 16<<10)
	return nil
}

func (c *xcapConn) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

var errHTTP = errors.New("the answer is no HTTP that this client reads")

// read reads an answer and drops its body.
func (c *xcapConn) read() error {
	c.answer = xcapAnswer{length: -1, challenges: c.answer.challenges[:0]}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return errHTTP
	}
	if c.answer.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return errHTTP
	}
	c.answer.last = line[7] == '0'
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if err := c.field(line); err != nil {
			return err
		}
	}
	if err := c.drop(); err != nil {
		return err
	}
	if c.answer.last {
		c.close()
	}
	return nil
}

// drop reads past the body.
func (c *xcapConn) drop() error {
	switch a := &c.answer; {
	case a.status == 304 || a.status == 204:
	case a.chunked:
		return c.dropChunks()
	case a.length >= 0:
		_, err := c.in.Discard(a.length)
		return err
	default:
		a.last = true
		_, err := io.Copy(io.Discard, c.in)
		return err
	}
	return nil
}

// dropChunks reads past chunks and the lines behind them (RFC 9112 section 7.1).
func (c *xcapConn) dropChunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			return errHTTP
		}
		if n == 0 {
			break
		}
		if _, err := c.in.Discard(int(n) + len("\r\n")); err != nil {
			return err
		}
	}
	for {
		if line, err := c.in.ReadSlice('\n'); err != nil || len(line) <= len("\r\n") {
			return err
		}
	}
}

// field reads a line of the header.
func (c *xcapConn) field(line []byte) (err error) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimSpace(value)
	switch {
	case is(name, "Content-Length"):
		if c.answer.length, err = strconv.Atoi(string(value)); err != nil || c.answer.length < 0 {
			return errHTTP
		}
	case is(name, "Transfer-Encoding"):
		c.answer.chunked = true
	case is(name, "Connection"):
		c.answer.last = c.answer.last || is(value, "close")
	case is(name, "ETag"):
		if c.etag != string(value) {
			c.etag = string(value)
		}
	case is(name, "WWW-Authenticate"):
		c.answer.challenges = append(c.answer.challenges, string(value))
	}
	return nil
}

func is(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}
