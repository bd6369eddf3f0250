package stack

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/transport/websocket"
)

// conn is one stream connection, accepted or dialled. One goroutine establishes it, reads, and handles message after
// message; another one exists while there is something to write, so that nobody who sends waits for the peer.
type conn struct {
	Flow        // its address is the flow of every message of the connection
	s           *Stack
	name        string            // host name dialled
	certificate *x509.Certificate // proved by the peer; set before the state is open
	dialled     bool              // by this end
	peer        peer              // under which it is in Stack.byPeer; guarded by Stack.mu
	from        netip.Addr        // counted in Stack.perAddr as this; guarded by Stack.mu

	mu      sync.Mutex
	state   connState
	cause   error // why it is closed
	nc      net.Conn
	waiting []outbound      // until the connection is there, or until there is room in pending
	pending *[]byte         // not yet given to the writer; nil = nothing
	marks   []mark          // where in pending things begin, when they are traced or framed
	writing bool            // there is a writer
	leaving bool            // a close frame is queued: nothing may follow
	drained sync.Cond       // pending became shorter, or the connection is closed
	txs     *clientTx       // transactions whose request went this way
	ready   []chan struct{} // of those who wait until it is open or closed
	pongs   []chan struct{} // of those who wait for an answer to a ping
	gone    chan struct{}   // closed at the end, nil = nobody has asked for it

	dead    atomic.Bool  // the state is closed
	lastOut atomic.Int64 // when something was written, in Unix nanoseconds
}

// mark is where something begins in the queue, and what it is.
type mark struct {
	from int
	op   websocket.Op
}

// message marks what is a SIP message, or a keep-alive that stands in place of one.
const message = websocket.Continuation

type connState int

const (
	connecting connState = iota
	open
	closed
)

// outbound is a message for a connection that is not there yet: a request, or an answer whose own connection is gone.
type outbound struct {
	tx     *clientTx
	answer []byte
	lost   func() // the answer could not be delivered
}

var (
	errTooMany = errors.New("too many connections are open")
	errBacklog = errors.New("the peer does not read: too much is waiting to be written")
	errEnded   = errors.New("connection ended")
	errFraming = errors.New("the end of a message cannot be found")
	errIdle    = errors.New("idle")
	errSlow    = errors.New("a message did not arrive completely in time")
	errRoom    = errors.New("too much is waiting for the rest of its message, on all connections together")
)

const (
	smallBuffer = 4 << 10
	maxHead     = 64 << 10 // start line and header of one message on a stream
	maxPartial  = 64 << 20 // buffers of incomplete messages beyond the small ones, of all streams together
	writeChunk  = 64 << 10 // written under one deadline
	lingerTime  = time.Second
	lingerBytes = 256 << 10
	maxWaiting  = 1 << 16 // messages waiting for one connection to be established or to have room
)

func (s *Stack) newConn(k *kind) *conn {
	c := &conn{s: s}
	c.kind = k
	c.conn = c
	c.drained.L = &c.mu
	return c
}

// run lives as long as the connection: connect establishes it.
func (c *conn) run(connect func() (net.Conn, error)) {
	nc, err := connect()
	if err != nil && !c.dialled {
		c.s.count.handshakes.Add(1)
		if c.s.mayLog() {
			c.s.cfg.Log.Debug("handshake failed", "transport", c.kind.name, "remote", c.remote, "error", err)
		}
	}
	if err != nil {
		c.close(err)
		return
	}
	if !c.opened(nc) {
		_ = nc.Close()
		return
	}
	c.s.known(c)
	c.close(c.read())
}

// opened sends what has been waiting.
func (c *conn) opened(nc net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == closed {
		return false
	}
	c.nc, c.state = nc, open
	c.local, c.remote = addrPort(nc.LocalAddr()), addrPort(nc.RemoteAddr())
	c.admit()
	c.settled()
	return true
}

// admit queues what has been waiting, as far as there is room.
func (c *conn) admit() {
	for len(c.waiting) > 0 && !c.full(0, 1) {
		o := c.waiting[0]
		c.waiting[0] = outbound{}
		c.waiting = c.waiting[1:]
		if o.tx != nil {
			c.request(o.tx)
		} else {
			c.append(o.answer)
		}
	}
	if len(c.waiting) == 0 {
		c.waiting = nil
	}
}

// send queues one message. more is by how many times the usual bound of the queue may be exceeded.
func (c *conn) send(b []byte, more int) error { return c.queue(b, message, more) }

func (c *conn) sendOp(b []byte, op websocket.Op) error { return c.queue(b, op, 1) }

func (c *conn) queue(b []byte, op websocket.Op, more int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open || c.leaving {
		return errEnded
	}
	if c.full(len(b), more) {
		return errBacklog
	}
	c.appendOp(b, op)
	return nil
}

// submit sends the request of a transaction, at once or when the connection is there and has room: a peer that reads
// loses nothing however much there is for it, as with a list of many watchers behind one proxy. The transaction ends
// when the connection does. errEnded says that there is no connection any more.
func (c *conn) submit(tx *clientTx, o *Outgoing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == closed && c.nc == nil:
		// The attempt failed before the request could wait for it.
		c.s.spawn(func() { c.s.unreachable(tx, c.cause) })
		return nil
	case c.state == closed, c.leaving:
		return errEnded
	case c.state == connecting, len(c.waiting) > 0, c.full(len(o.Head)+len(o.Body)+viaRoom, 1):
		return c.wait(outbound{tx: tx})
	}
	c.request(tx)
	return nil
}

// submitAnswer is submit for an answer.
func (c *conn) submitAnswer(o outbound) error {
	c.mu.Lock()
	if c.state == connecting {
		defer c.mu.Unlock()
		return c.wait(o)
	}
	c.mu.Unlock()
	return c.send(o.answer, 1)
}

func (c *conn) wait(o outbound) error {
	if len(c.waiting) >= maxWaiting {
		return errBacklog
	}
	c.waiting = append(c.waiting, o)
	return nil
}

// full tells whether n more bytes are too many. A single message always fits.
func (c *conn) full(n, more int) bool {
	return c.pending != nil && len(*c.pending)+n > c.s.cfg.MaxWriteQueue*more
}

// request renders the request of tx straight into the queue.
func (c *conn) request(tx *clientTx) {
	o := c.s.client.attach(tx, c)
	if o == nil {
		return // it has ended while waiting
	}
	tx.next = c.txs
	if c.txs != nil {
		c.txs.prev = tx
	}
	c.txs = tx
	if c.pending == nil {
		c.pending = borrow()
	}
	from := len(*c.pending)
	*c.pending = c.s.appendRequest(*c.pending, o, tx.branch, &c.Flow)
	c.queued(from, message)
}

func (c *conn) append(b []byte) { c.appendOp(b, message) }

func (c *conn) appendOp(b []byte, op websocket.Op) {
	if c.leaving {
		return
	}
	if c.pending == nil {
		c.pending = borrow()
	}
	from := len(*c.pending)
	*c.pending = append(*c.pending, b...)
	c.queued(from, op)
}

// queued takes notice of what stands in the queue from offset from on, and sees to it that it gets written.
func (c *conn) queued(from int, op websocket.Op) {
	sip := op == message && !isKeepAlive((*c.pending)[from:])
	if sip {
		c.s.count.out(c.kind)
	}
	if c.kind.framed || sip && c.s.cfg.Trace != nil {
		c.marks = append(c.marks, mark{from, op})
	}
	if !c.writing {
		c.writing = true
		c.s.goes.Go(c.flush)
	}
}

func isKeepAlive(b []byte) bool { return len(b) <= 2*len(lineEnd) }

// unlink forgets a transaction that has ended.
func (c *conn) unlink(tx *clientTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tx.prev != nil {
		tx.prev.next = tx.next
	} else if c.txs == tx {
		c.txs = tx.next
	}
	if tx.next != nil {
		tx.next.prev = tx.prev
	}
	tx.prev, tx.next = nil, nil
}

// flush writes until nothing is pending.
func (c *conn) flush() {
	for {
		c.mu.Lock()
		if c.state == open {
			c.admit()
		}
		buf, marks := c.pending, c.marks
		c.pending, c.marks = nil, nil
		if buf == nil || c.state != open {
			c.writing = false
			c.drained.Broadcast()
			c.mu.Unlock()
			return
		}
		c.drained.Broadcast()
		c.mu.Unlock()
		buf = c.rendered(buf, marks)
		err := c.write(*buf)
		giveBack(buf)
		if err != nil {
			t := bottom(c.nc)
			if t, ok := t.(*net.TCPConn); ok {
				_ = t.SetLinger(0) // the peer does not take it; the kernel need not keep it either
			}
			_ = t.Close()
			c.close(fmt.Errorf("writing: %w", err))
		}
	}
}

// rendered shows what is to be written to the trace, and gives it as it goes out.
func (c *conn) rendered(buf *[]byte, marks []mark) *[]byte {
	out := buf
	if c.kind.framed {
		out = borrow()
		defer giveBack(buf)
	}
	for i, m := range marks {
		to := len(*buf)
		if i+1 < len(marks) {
			to = marks[i+1].from
		}
		b := (*buf)[m.from:to]
		if m.op == message && !isKeepAlive(b) {
			c.s.trace(true, c.kind, c.local, c.remote, b)
		}
		if c.kind.framed {
			*out = c.encode(*out, b, m.op)
		}
	}
	return out
}

func (c *conn) write(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), writeChunk)
		now := time.Now()
		c.lastOut.Store(now.UnixNano())
		_ = c.nc.SetWriteDeadline(now.Add(c.s.cfg.WriteTimeout))
		if _, err := c.nc.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// throttle makes the reader wait while its peer does not take the answers.
func (c *conn) throttle() {
	c.mu.Lock()
	for c.state == open && c.pending != nil && len(*c.pending) > c.s.cfg.MaxWriteQueue/2 {
		c.drained.Wait()
	}
	c.mu.Unlock()
}

// finish lets what is queued go out before the connection is closed, and takes in what the peer is still sending: to
// close with unread bytes would reset the connection and might destroy the last answer.
func (c *conn) finish() {
	c.mu.Lock()
	for c.state == open && c.writing {
		c.drained.Wait()
	}
	nc := c.nc
	c.mu.Unlock()
	if h, ok := nc.(interface{ CloseWrite() error }); ok && h.CloseWrite() == nil {
		_ = nc.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, nc, lingerBytes)
	}
}

// shutdown closes when what is queued has been written, or after lingerTime.
func (c *conn) shutdown() {
	if c.kind.framed {
		c.farewell(websocket.CloseGoingAway)
	}
	c.drain(ErrClosed)
	c.close(ErrClosed)
}

// drain waits until what is queued has been written, and closes after lingerTime.
func (c *conn) drain(cause error) {
	timer := time.AfterFunc(lingerTime, func() { c.close(cause) })
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.state == open && c.writing {
		c.drained.Wait()
	}
}

// close ends the connection and everything that depends on it. Only the first call counts.
func (c *conn) close(cause error) {
	c.mu.Lock()
	if c.state == closed {
		c.mu.Unlock()
		return
	}
	c.state, c.cause = closed, cause
	c.dead.Store(true)
	nc, waiting := c.nc, c.waiting
	var txs []*clientTx
	for tx := c.txs; tx != nil; {
		next := tx.next
		tx.prev, tx.next = nil, nil
		txs = append(txs, tx)
		tx = next
	}
	c.txs, c.waiting, c.pending, c.marks = nil, nil, nil, nil
	c.drained.Broadcast()
	c.settled()
	if c.gone != nil {
		close(c.gone)
	}
	c.mu.Unlock()

	if nc != nil {
		defer hangUp(nc)
	}
	c.s.removeConn(c)
	for _, tx := range txs {
		c.s.fail(tx, cause)
	}
	for _, o := range waiting {
		if o.tx != nil {
			c.s.unreachable(o.tx, cause)
		} else {
			o.lost()
		}
	}
}

// hangUp closes; the last words of TLS must not wait for a peer that does not read.
func hangUp(nc net.Conn) {
	if b := bottom(nc); b != nc {
		timer := time.AfterFunc(lingerTime, func() { _ = b.Close() })
		defer timer.Stop()
	}
	_ = nc.Close()
}
