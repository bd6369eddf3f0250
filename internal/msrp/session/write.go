package session

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"imp/internal/msrp/wire"
)

const (
	highWater = 128 << 10 // bytes of small messages that wait to be written, then sending waits
	inPlace   = 4 << 10   // a piece of this size is written from where it is
	whole     = 16 << 10  // messages up to this size are one chunk that nothing comes between
	mustStar  = 2048      // a larger chunk has * as its range-end (RFC 4975 section 7.1.1)
)

// occurs reports whether the end-line of a frame is in its body.
func occurs(body, id []byte) bool {
	if len(body) < len(id) {
		return false
	}
	var line [7 + 2*wire.MaxID]byte
	return bytes.Contains(body, append(append(line[:0], "-------"...), id...))
}

// outgoing is a message that is sent in pieces.
type outgoing struct {
	c             *Conn
	sent          *Sent
	before, after []byte // header lines around Byte-Range
	total         int64  // bytes, or wire.Unknown
	chunk         int    // bytes of a chunk, 0: as large as can be
	answers       bool   // responses may come: Failure-Report is not no
	quiet         bool

	// Guarded by the lock of c:
	piece   []byte
	last    bool // with piece the message ends
	offered bool // piece waits for the writing goroutine, which has it until this is false
	queued  bool
	abort   bool

	// Of the writing goroutine:
	at     int64 // bytes written
	open   bool  // a chunk is being written
	length int   // of it
	exact  bool  // its range-end was told
	ended  bool  // the last chunk was written
	id     []byte
	number uint64
	guard  wire.Guard
}

// wait waits on c.room until ready, the end of the connection, or that of ctx. The lock of c is held.
func (c *Conn) wait(ctx context.Context, ready func() bool) error {
	if c.err == nil && !c.shutting && ctx.Err() == nil && ready() {
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.room.Broadcast()
	})
	defer stop()
	for {
		switch {
		case c.err != nil:
			return fmt.Errorf("%w: %w", ErrDisconnected, c.err)
		case c.shutting:
			return ErrClosed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case ready():
			return nil
		}
		c.room.Wait()
	}
}

// answerable reports whether there is room for one more transaction. The lock of c is held.
func (c *Conn) answerable() bool {
	limit := c.node.cfg.Limits.Unanswered
	if c.trans.n >= limit {
		c.trans.trim(limit)
	}
	return c.trans.n < limit
}

// offer gives the next piece to the writing goroutine, once it has taken the one before.
func (o *outgoing) offer(ctx context.Context, piece []byte, last bool) error {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.wait(ctx, func() bool { return !o.offered && (o.abort || !o.answers || c.answerable()) })
	if err != nil {
		return err
	}
	if o.abort {
		return errGivenUp
	}
	o.piece, o.last, o.offered = piece, last, true
	o.queue()
	return nil
}

func (o *outgoing) queue() {
	if !o.queued {
		o.queued = true
		o.c.ready = append(o.c.ready, o)
		o.c.work.Signal()
	}
}

// finish waits until the last piece is written.
func (o *outgoing) finish(ctx context.Context) error {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	return o.c.wait(ctx, func() bool { return !o.offered })
}

// giveUp ends the message with the flag # (RFC 4975 section 7.1), if any of it was sent.
func (o *outgoing) giveUp() {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	if o.c.err == nil && !o.abort {
		o.abort = true
		o.queue()
		o.c.room.Broadcast()
	}
}

// write is the writing goroutine. It takes turns between what is small and each message in pieces; an open chunk is
// interrupted for anything else (RFC 4975 section 7.1.1).
func (c *Conn) write() {
	defer c.node.wait.Done()
	var b batch
	b.c = c
	var spare []byte
	for {
		c.mu.Lock()
		for len(c.out) == 0 && len(c.ready) == 0 && c.err == nil && !c.shutting {
			putBuffer(spare)
			putBuffer(c.out)
			spare, c.out = nil, nil
			c.work.Wait()
		}
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		if len(c.out) == 0 && len(c.ready) == 0 {
			c.mu.Unlock()
			c.endWriting()
			return
		}
		out := c.out
		c.out = spare[:0]
		upTo := c.trans.first + uint64(c.trans.n)
		o, piece, last, abort := c.turn()
		c.room.Broadcast()
		c.mu.Unlock()

		b.compose(out, o, piece, last, abort)
		err := b.flush()
		spare = out[:0]
		if err != nil {
			c.unwritten(err)
			return
		}
		c.written(&b, upTo, o)
	}
}

// turn takes the next message whose turn it is.
func (c *Conn) turn() (o *outgoing, piece []byte, last, abort bool) {
	if len(c.ready) == 0 {
		return nil, nil, false, false
	}
	o = c.ready[0]
	c.ready = c.ready[:copy(c.ready, c.ready[1:])]
	o.queued = false
	return o, o.piece, o.last, o.abort
}

// written notes what has been written, from when on responses are waited for.
func (c *Conn) written(b *batch, upTo uint64, o *outgoing) {
	deadline := c.node.cfg.Now().Add(c.node.cfg.Times.Response)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trans.closed {
		return
	}
	c.trans.stamp(upTo, deadline)
	for _, number := range b.ended {
		c.trans.end(number, deadline)
	}
	if c.trans.n > 0 && c.trans.timer == nil {
		c.arm(deadline)
	}
	if o != nil {
		o.piece, o.offered = nil, false
		c.room.Broadcast()
	}
}

// unwritten ends a connection that cannot be written to. Under TLS the reading goroutine may know more: an alert.
func (c *Conn) unwritten(err error) {
	if c.tls == nil {
		c.fail(err)
		return
	}
	time.AfterFunc(time.Second, func() { c.fail(err) })
}

func (c *Conn) endWriting() {
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
		return // and the reading goroutine waits for the end of what the peer sends
	}
	c.fail(errShut)
}

// batch is what is written in one go.
type batch struct {
	c     *Conn
	open  *outgoing // whose chunk was not ended
	buf   []byte
	start int // of what is not in parts yet
	parts net.Buffers
	chunk []byte // WebSocket: the one that is being made
	ended []uint64
}

func (b *batch) compose(out []byte, o *outgoing, piece []byte, last, abort bool) {
	b.ended = b.ended[:0]
	if b.open != nil && (len(out) > 0 || o != b.open) {
		b.end(b.open, wire.More)
	}
	switch {
	case len(out) == 0:
	case b.c.tls != nil: // one write makes full records
		b.buf = append(b.buf, out...)
	default:
		b.cut()
		b.parts = append(b.parts, out)
	}
	switch {
	case o == nil || o.ended:
	case abort:
		if !o.open && o.at > 0 {
			b.begin(o, nil, false)
		}
		if o.open {
			b.end(o, wire.Abort)
			o.ended = true
		}
	default:
		b.add(o, piece, last)
	}
}

// add writes a piece of a message in one chunk or several.
func (b *batch) add(o *outgoing, piece []byte, last bool) {
	for {
		if !o.open {
			b.begin(o, piece, last)
		}
		n := len(piece)
		if o.chunk > 0 {
			n = min(n, o.chunk-o.length)
		}
		fit := n
		if !o.exact {
			fit = o.guard.Fit(piece[:n])
		}
		b.body(piece[:fit])
		o.length += fit
		o.at += int64(fit)
		piece = piece[fit:]
		switch {
		case len(piece) == 0 && last:
			b.end(o, wire.Last)
			o.ended = true
			return
		case len(piece) > 0 || o.chunk > 0 && o.length >= o.chunk || b.c.ws != nil:
			b.end(o, wire.More)
		}
		if len(piece) == 0 {
			return
		}
	}
}

// begin writes the head of a chunk.
func (b *batch) begin(o *outgoing, piece []byte, last bool) {
	n, ends := len(piece), last
	if o.chunk > 0 && n >= o.chunk {
		n, ends = o.chunk, true
	}
	o.exact = ends && n <= mustStar
	var check []byte
	r := wire.Range{Start: o.at + 1, End: wire.Unknown, Total: o.total}
	if o.exact {
		r.End, check = o.at+int64(n), piece[:n]
	}
	if last {
		r.Total = o.at + int64(len(piece))
	}
	o.id = b.c.begin(o, check)
	w := b.head()
	w = wire.AppendRequest(w, o.id, wire.SEND)
	w = append(w, o.before...)
	w = wire.AppendRange(w, r)
	w = append(append(w, o.after...), "\r\n"...)
	b.setHead(w)
	if !o.exact {
		o.guard.Begin(o.id)
	}
	o.open, o.length, b.open = true, 0, o
}

// begin makes the transaction of a chunk.
func (c *Conn) begin(o *outgoing, body []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !o.answers || c.trans.closed {
		return appendID(o.id[:0], c.ids, 0, body)
	}
	o.sent.expect(1)
	id, number := c.trans.next(o.id[:0], c.ids, body, transaction{sent: o.sent, quiet: o.quiet, writing: true})
	o.number = number
	return id
}

// end writes the end-line of the open chunk.
func (b *batch) end(o *outgoing, flag wire.Flag) {
	b.setHead(wire.AppendEnd(b.head(), o.id, flag, true))
	o.open, b.open = false, nil
	if o.answers {
		b.ended = append(b.ended, o.number)
	}
	if b.c.ws != nil {
		b.buf = b.c.ws.append(b.buf, b.chunk)
		b.chunk = b.chunk[:0]
	}
}

// head is what header lines are appended to, and setHead takes it back.
func (b *batch) head() []byte {
	if b.c.ws != nil {
		return b.chunk
	}
	return b.buf
}

func (b *batch) setHead(w []byte) {
	if b.c.ws != nil {
		b.chunk = w
	} else {
		b.buf = w
	}
}

func (b *batch) body(piece []byte) {
	if len(piece) < inPlace || b.c.tls != nil || b.c.ws != nil {
		b.setHead(append(b.head(), piece...))
		return
	}
	b.cut()
	b.parts = append(b.parts, piece)
}

// cut puts what was made since the last one behind what is to be written.
func (b *batch) cut() {
	if len(b.buf) > b.start {
		b.parts = append(b.parts, b.buf[b.start:])
		b.start = len(b.buf)
	}
}

func (b *batch) flush() (err error) {
	b.cut()
	parts, all := b.parts, b.parts
	if b.c.node.cfg.Trace != nil && b.c.ws == nil {
		for _, p := range parts {
			b.c.trace(true, p)
		}
	}
	switch len(parts) {
	case 0:
	case 1:
		_, err = b.c.nc.Write(parts[0])
	default:
		_, err = parts.WriteTo(b.c.nc)
	}
	clear(all)
	b.parts, b.buf, b.start = all[:0], b.buf[:0], 0
	if cap(b.buf) > 4*segment {
		b.buf = nil
	}
	return err
}

// small writes a message in one chunk.
func (c *Conn) small(ctx context.Context, sent *Sent, m *outgoing, body []byte, bodiless bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.wait(ctx, func() bool { return len(c.out) < highWater && (!m.answers || c.answerable()) })
	if err != nil {
		return err
	}
	var space [wire.MaxID]byte
	id := space[:0]
	if m.answers {
		sent.expect(1)
		id, _ = c.trans.next(id, c.ids, body, transaction{sent: sent, quiet: m.quiet})
	} else {
		id = appendID(id, c.ids, 0, body)
	}
	r := wire.Range{Start: 1, End: int64(len(body)), Total: int64(len(body))}
	if len(body) > mustStar {
		r.End = wire.Unknown
	}
	c.frame(func(b []byte) []byte {
		b = wire.AppendRequest(b, id, wire.SEND)
		b = append(b, m.before...)
		b = wire.AppendRange(b, r)
		b = append(b, m.after...)
		if !bodiless {
			b = append(append(b, "\r\n"...), body...)
		}
		return wire.AppendEnd(b, id, wire.Last, !bodiless)
	})
	return nil
}

// buffers are for connections that have something to write.
var buffers sync.Pool

func getBuffer() []byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, 16<<10)
}

func putBuffer(b []byte) {
	if cap(b) >= 4<<10 && cap(b) <= 1<<20 {
		b = b[:0]
		buffers.Put(&b)
	}
}

// frame adds a frame to what is to be written. The lock of c is held.
func (c *Conn) frame(add func([]byte) []byte) {
	if c.out == nil {
		c.out = getBuffer()
	}
	if c.ws == nil {
		c.out = add(c.out)
	} else {
		c.out = c.ws.append(c.out, add(nil))
	}
	c.work.Signal()
}
