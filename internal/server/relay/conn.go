package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/msrp/wire"
	"imp/internal/transport/tcp"
	"imp/internal/transport/websocket"
)

// conn is a connection, in either direction.
type conn struct {
	relay     *Relay
	nc        net.Conn
	transport string
	secure    bool
	incoming  bool
	loopback  bool   // what comes in here comes from this machine
	host      string // name of the next hop that an outgoing connection is for
	remote    string
	from      netip.Addr        // counted in Relay.perAddress as this, when it came in
	opener    string            // counted in Relay.perUser as this, otherwise
	cert      *x509.Certificate // verified, of a relay that came in
	began     time.Time

	used atomic.Int64 // nanoseconds, of the last read
	fat  atomic.Bool  // it has read something since it freed what it does not need
	good atomic.Bool  // a request was good
	gone atomic.Bool

	// Of the goroutine that reads:
	rd           *wire.Reader
	ws           *wsReader
	flows        map[string]*flow
	last         *flow
	shared       bool // the flows go to several peers
	stream       stream
	dirty        []*conn // outboxes to be written before the next read
	scratch      []byte
	failures     int
	authFailures atomic.Int32

	outbox
}

// newConn makes a connection that is not in the list yet. nc may be nil until it is connected.
func (r *Relay) newConn(nc net.Conn, secure bool) *conn {
	c := &conn{relay: r, nc: nc, secure: secure, began: time.Now()}
	c.used.Store(c.began.UnixNano())
	c.space.L = &c.mu
	c.ids = wire.NewIDs(r.cfg.Random)
	c.stream.source = c
	if nc != nil {
		c.nc = c.overTCP(nc)
		c.remote = nc.RemoteAddr().String()
	}
	return c
}

// notSent is how much may wait in the kernel to be sent. More would only be in front of what is sent beside a large
// message, where no chunk can be interrupted any more.
const notSent = 128 << 10

// overTCP gives what a connection is read and written by.
func (c *conn) overTCP(nc net.Conn) net.Conn {
	t := tcp.Of(nc)
	if t == nil {
		return nc
	}
	t.SetUnsent(notSent)
	if !c.secure {
		c.plain = t
	}
	return t
}

// serve is the life of a connection that came in.
func (c *conn) serve(config *tls.Config) {
	defer c.relay.running.Done()
	err := c.handshake(config)
	if err == nil {
		c.ready()
		err = c.read()
	}
	c.close(err)
}

func (c *conn) handshake(config *tls.Config) error {
	c.nc.SetDeadline(time.Now().Add(handshakeTime))
	if c.secure {
		t := tls.Server(c.nc, config)
		if err := t.HandshakeContext(c.relay.ctx); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		c.cert = c.relay.verified(t.ConnectionState().PeerCertificates)
		c.setConn(t)
	}
	var from io.Reader = c
	if c.transport == "ws" || c.transport == "wss" {
		s := websocket.Server{Protocol: "msrp", Path: c.relay.cfg.WSPath, Origins: c.relay.cfg.Origins, MaxHeader: 8 << 10}
		rest, err := s.Accept(c.nc)
		if err != nil {
			return fmt.Errorf("WebSocket handshake: %w", err)
		}
		c.ws = &wsReader{conn: c, buf: rest, frames: websocket.Reader{Server: true, Max: maxWSMessage}}
		c.framed = true
		from = c.ws
	}
	c.rd = wire.NewReader(from, wire.Limits{})
	return c.nc.SetDeadline(time.Time{})
}

// verified gives the certificate of a relay, nil when it is none that an authority vouches for.
func (r *Relay) verified(chain []*x509.Certificate) *x509.Certificate {
	if len(chain) == 0 {
		return nil
	}
	opts := x509.VerifyOptions{Roots: r.cfg.Roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}} // public authorities make certificates of servers only
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		r.cfg.Log.Debug("a client's certificate does not make it a relay", "error", err)
		return nil
	}
	return chain[0]
}

// setConn replaces the connection by one over it.
func (c *conn) setConn(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc = nc
}

// Read reads from the connection, after what the last read gave rise to is on its way.
func (c *conn) Read(p []byte) (int, error) {
	c.flush()
	n, err := c.nc.Read(p)
	if n > 0 {
		c.fat.Store(true)
		c.used.Store(time.Now().UnixNano())
	}
	return n, err
}

// flush has the outboxes written that were filled since the last time.
func (c *conn) flush() {
	for i, t := range c.dirty {
		t.writeNow()
		c.dirty[i] = nil
	}
	c.dirty = c.dirty[:0]
}

// touch notes an outbox for the next flush.
func (c *conn) touch(t *conn) {
	for _, d := range c.dirty {
		if d == t {
			return
		}
	}
	c.dirty = append(c.dirty, t)
}

// read handles frame after frame until the connection is of no use any more.
func (c *conn) read() error {
	for {
		h, err := c.rd.Next()
		if c.awakened(err) {
			continue
		}
		var bad *wire.Malformed
		switch {
		case errors.As(err, &bad):
			err = c.malformed(h)
		case err != nil:
			return err
		case h.Method == "":
			c.response(h)
			continue // also while the peer does not read, who may wait for that
		default:
			err = c.request(h)
		}
		if err == nil {
			err = c.ownRoom()
		}
		if err != nil {
			c.flush()
			c.linger()
			return err
		}
	}
}

// linger waits a moment for the last answers to be written.
func (c *conn) linger() {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := false
	timer := time.AfterFunc(time.Second, func() {
		c.mu.Lock()
		late = true
		c.space.Broadcast()
		c.mu.Unlock()
	})
	defer timer.Stop()
	for c.writing && !c.closed && !late {
		c.space.Wait()
	}
}

// awakened reports whether an error of a read is only the wake-up of look, and frees the buffer then.
func (c *conn) awakened(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.gone.Load() {
		return false
	}
	if c.rd.Idle() {
		c.scratch, c.stream.fields, c.dirty = nil, nil, nil
	}
	c.rd.Release()
	c.nc.SetReadDeadline(time.Time{})
	return true
}

var (
	errFailures = errors.New("too many requests that are not good")
	errForeign  = errors.New("a request is for somebody else")
)

// malformed answers a frame that cannot be used (RFC 4975 section 10.2). Responses and REPORTs have no answer.
func (c *conn) malformed(h *wire.Head) error {
	if h.Method != "" && h.Method != wire.REPORT && h.FailureReport != wire.FailureNo && h.To != nil && wellFormed(h.To) && wellFormed(h.From) {
		c.answer(h, wire.BadRequest)
	}
	return c.failed()
}

func wellFormed(path []byte) bool {
	_, err := wire.ParsePath(string(path))
	return err == nil
}

// failed counts a request that was not good. Those who have not shown yet that they belong here may not have many (RFC
// 4976 section 6.1).
func (c *conn) failed() error {
	if c.failures++; c.failures >= maxFailures && c.incoming && !c.good.Load() {
		return errFailures
	}
	return nil
}

// request handles a request with its body.
func (c *conn) request(h *wire.Head) error {
	if h.Method == wire.AUTH && !c.hasMore(h.To) {
		return c.auth(h)
	}
	f, code := c.route(h)
	switch {
	case code == notOurs:
		return errForeign
	case f == nil && (h.Method == wire.REPORT || h.Method == wire.SEND && h.FailureReport == wire.FailureNo):
		return c.failed()
	case f == nil:
		c.relay.totals.failures.Add(1)
		c.answer(h, code)
		return c.failed()
	}
	if !c.good.Load() {
		c.good.Store(true)
	}
	if h.Method == wire.SEND {
		return c.send(h, f)
	}
	return c.whole(h, f)
}

func (c *conn) hasMore(path []byte) bool {
	_, rest := wire.CutPath(path)
	return len(rest) > 0
}

// look ends what has waited too long.
func (c *conn) look(now time.Time) {
	c.mu.Lock()
	late := c.trans.expired(now)
	if len(late) > 0 {
		c.space.Broadcast()
	}
	connected := c.nc != nil
	c.mu.Unlock()
	for i := range late {
		if late[i].kind == sendAcked {
			c.relay.report(&late[i], wire.Timeout)
		}
	}
	quiet := now.Sub(time.Unix(0, c.used.Load()))
	switch {
	case c.incoming && !c.good.Load() && now.Sub(c.began) >= probation:
		c.close(errors.New("no good request in the time for the first one"))
	case quiet >= c.relay.cfg.IdleTime && connected && !c.busy():
		c.close(errors.New("quiet for too long"))
	case quiet >= 5*time.Second && connected && c.fat.Swap(false):
		c.nc.SetReadDeadline(now) // the reader wakes, frees its buffer and goes on
	}
}

// close ends a connection, once. What it has not delivered has failed.
func (c *conn) close(why error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	c.gone.Store(true)
	if c.open != nil { // its sender is told by the answer to it
		if p := c.trans.find(c.open.id[:]); p != nil {
			c.trans.end(p)
		}
	}
	lost := c.trans.takeAll()
	c.open = nil
	nc := c.nc
	c.space.Broadcast()
	if !c.writing {
		c.freeBuffers()
	}
	c.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
	c.relay.forget(c)
	if why != nil && !errors.Is(why, io.EOF) && !errors.Is(why, net.ErrClosed) {
		c.relay.cfg.Log.Debug("connection ends", "transport", c.transport, "remote", c.remote, "error", why)
	}
	for i := range lost {
		if p := &lost[i]; p.kind == sendAcked || p.kind == sendPartial && p.sent == 0 {
			c.relay.report(p, wire.Timeout)
		}
	}
}

// isRelay reports whether the other side has proved that it is the relay with a name (RFC 4976 section 6.3).
func (c *conn) isRelay(host string) bool {
	switch {
	case !c.secure:
		return false
	case c.incoming:
		return c.cert != nil && c.cert.VerifyHostname(host) == nil
	}
	return strings.EqualFold(c.host, host)
}

// Buffers for outboxes.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, bufferSize); return &b }}
