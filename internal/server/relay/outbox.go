package relay

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/msrp/wire"
	"imp/internal/transport/tcp"
)

// outbox is what waits for being written to a connection, and what has been written and has no answer yet.
type outbox struct {
	mu      sync.Mutex
	space   sync.Cond // signalled when there is room again
	ids     *wire.IDs
	fill    *[]byte   // what waits
	writing bool      // a goroutine writes
	able    bool      // the connection is there
	plain   *tcp.Conn // the connection, when it is one over TCP alone
	closed  bool
	stalled bool    // somebody lost patience with it
	framed  bool    // each MSRP frame is a WebSocket message
	begun   int     // where the WebSocket message begins
	open    *stream // the chunk that is not ended
	guard   wire.Guard
	trans   transactions
	recent  *flow     // that put something in last
	mixed   time.Time // when one put something in behind another one
	pacing  int       // flows that wait in pace
	grants  map[*grant]struct{}

	progress atomic.Uint64 // parts that the peer has taken
}

var (
	errGone    = errors.New("the connection has ended")
	errStalled = errors.New("the next hop does not read")
)

// ready begins writing.
func (c *conn) ready() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.able = true
	c.wake()
}

// batch is what is written at once.
type batch struct {
	bytes *[]byte
	done  int    // bytes that have been written
	sent  uint32 // number of the transaction behind those that are in it
}

// toWrite reports whether there is something to be written and nobody who does it, and makes the caller the one who does.
// The lock is held.
func (c *conn) toWrite() bool {
	if c.writing || !c.able || c.closed || c.waiting() == 0 {
		return false
	}
	c.writing = true
	return true
}

// wake starts a goroutine that writes if there is something to be written. The lock is held.
func (c *conn) wake() {
	if c.toWrite() {
		go c.write(c.takeBatch())
	}
}

// writeNow writes what can be written without waiting. If there is more, a goroutine writes the rest.
func (c *conn) writeNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.toWrite() {
		return
	}
	b := c.takeBatch()
	if c.plain == nil {
		go c.write(b)
		return
	}
	c.mu.Unlock()
	var err error
	if b.done, err = c.plain.TryWrite(*b.bytes); err == nil && b.done < len(*b.bytes) {
		c.mu.Lock()
		go c.write(b)
		return
	}
	c.written(b, err)
	c.writing = false
	if c.wake(); !c.writing {
		c.endWriting()
	}
}

// write writes a batch, and then until there is nothing left.
func (c *conn) write(b batch) {
	for more := true; more; {
		c.written(b, c.writeAll(c.nc, (*b.bytes)[b.done:]))
		if more = !c.closed && c.waiting() > 0; more {
			b = c.takeBatch()
		} else {
			c.endWriting()
		}
		c.mu.Unlock()
	}
}

// takeBatch takes what waits. The lock is held.
func (c *conn) takeBatch() batch {
	b := batch{bytes: c.fill, sent: c.trans.next}
	if c.open != nil && c.open.tracked() {
		b.sent--
	}
	c.fill, c.begun = nil, 0
	c.space.Broadcast()
	return b
}

// written notes what became of a batch. It takes the lock and keeps it.
func (c *conn) written(b batch, err error) {
	putBuffer(b.bytes)
	if err != nil {
		c.close(err)
		c.mu.Lock()
		return
	}
	now := time.Now()
	c.mu.Lock()
	c.stalled = false
	c.trans.stamp(b.sent, now)
}

// endWriting is called when there is nothing to be written any more. The lock is held.
func (c *conn) endWriting() {
	c.writing = false
	c.freeBuffers()
	c.space.Broadcast()
}

// writeAll writes in parts, to see that the peer takes them.
func (c *conn) writeAll(nc net.Conn, batch []byte) error {
	for len(batch) > 0 {
		part := batch[:min(len(batch), bufferSize)]
		nc.SetWriteDeadline(time.Now().Add(c.relay.cfg.StallTime))
		if _, err := nc.Write(part); err != nil {
			return err
		}
		c.progress.Add(1)
		batch = batch[len(part):]
	}
	return nil
}

func (c *conn) freeBuffers() {
	if c.fill != nil {
		putBuffer(c.fill)
		c.fill = nil
	}
}

func putBuffer(b *[]byte) {
	if n := cap(*b); n >= bufferSize && n <= 8*bufferSize {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// buffer is where to append.
func (c *conn) buffer() *[]byte {
	switch {
	case c.fill != nil:
	case c.able:
		c.fill = buffers.Get().(*[]byte)
	default:
		c.fill = new([]byte) // a connection that may never be there holds no more than it needs
	}
	return c.fill
}

func (c *conn) waiting() int {
	if c.fill == nil {
		return 0
	}
	return len(*c.fill)
}

// busy reports whether something waits here.
func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing || c.trans.first != c.trans.next
}

// crowded reports whether no more may be put in. The lock is held.
func (c *conn) crowded() bool {
	return c.waiting() >= c.relay.cfg.MaxBacklog || c.trans.full()
}

// room waits until there is room for what source sends. A source that serves several peers does not wait for long, so
// that one which does not read cannot stop the others. The lock is held.
func (c *conn) room(source *conn) error {
	if c.closed {
		return errGone
	}
	if !c.crowded() {
		return nil
	}
	shared := source.severalPeers()
	if shared && c.stalled {
		return errStalled
	}
	c.mu.Unlock()
	source.flush()
	c.mu.Lock()
	c.wake()
	late := false
	if shared {
		seen := c.progress.Load()
		var timer *time.Timer
		timer = time.AfterFunc(c.relay.cfg.Patience, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if now := c.progress.Load(); now != seen {
				seen = now
				timer.Reset(c.relay.cfg.Patience)
				return
			}
			late = true
			c.space.Broadcast()
		})
		defer timer.Stop()
	}
	for !c.closed && c.crowded() {
		if late {
			c.stalled = true
			return errStalled
		}
		c.space.Wait()
	}
	if c.closed {
		return errGone
	}
	return nil
}

// begin prepares for a frame: the open chunk is interrupted. The lock is held.
func (c *conn) begin() []byte {
	if c.open != nil {
		c.finish(c.open, wire.More)
	}
	b := *c.buffer()
	if c.framed {
		c.begun = len(b)
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

// done takes what was appended to the result of begin.
func (c *conn) done(b []byte) {
	if c.framed {
		b = frameWS(b, c.begun)
	}
	*c.buffer() = b
}

// answer answers a request that came over the connection.
func (c *conn) answer(h *wire.Head, code int, fields ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.done(wire.AppendAnswer(c.begin(), h, code, fields...))
	c.touch(c)
}

// overrun closes a connection whose peer lets too many responses and REPORTs wait.
func (c *conn) overrun() bool { return c.waiting() > maxControl }

// report tells the sender of a SEND what became of it (RFC 4976 sections 6.4.1 and 6.4.3). If the way back is gone,
// nobody can be told.
func (r *Relay) report(p *pending, code int) {
	f, t := p.flow, p.source
	for _, g := range f.grants {
		g.failures.Add(1)
	}
	r.totals.failures.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.overrun() {
		return
	}
	var id [idLength]byte
	t.newID(id[:0])
	b := wire.AppendRequest(t.begin(), id[:], wire.REPORT)
	b = wire.AppendField(b, "To-Path", f.from)
	b = wire.AppendField(b, "From-Path", f.ours)
	if p.named > 0 {
		b = wire.AppendField(b, "Message-ID", p.name[:p.named])
	}
	b = wire.AppendRange(b, wire.Range{Start: p.from, End: p.from + p.size - 1, Total: p.total})
	b = wire.AppendField(b, "Status", status(code))
	t.done(wire.AppendEnd(b, id[:], wire.Last, false))
	t.wake()
}
