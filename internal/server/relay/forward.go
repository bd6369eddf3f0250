package relay

import (
	"fmt"
	"strconv"

	"imp/internal/msrp/wire"
)

// stream is a chunk on its way from the connection that it comes from to the next hop, where it may become several.
type stream struct {
	source  *conn
	flow    *flow
	fields  []byte // header lines behind the paths, but for Byte-Range
	failure wire.Failure
	name    [wire.MaxID]byte
	named   uint8
	ranged  bool  // it came with Byte-Range
	start   int64 // first byte of the chunk
	total   int64
	body    bool
	sent    int64 // bytes of it that have been put out
	split   bool  // it goes out in more than one chunk

	// Of the chunk that is open at the next hop:
	id   [idLength]byte
	from int64 // what sent was at its beginning
}

// tracked reports whether the next hop's answer matters.
func (s *stream) tracked() bool { return s.failure != wire.FailureNo }

// take prepares for a SEND.
func (s *stream) take(h *wire.Head, f *flow) {
	*s = stream{source: s.source, fields: s.fields[:0], flow: f, failure: h.FailureReport, ranged: h.HasRange, start: 1, total: wire.Unknown, body: h.Body}
	if h.HasRange {
		s.start, s.total = h.Range.Start, h.Range.Total
	}
	s.named = uint8(copy(s.name[:], h.MessageID))
	for _, f := range h.Fields[2:] {
		if len(f.Name) == len("byte-range") && f.Is("byte-range") {
			continue
		}
		s.fields = append(append(append(append(s.fields, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
}

// send forwards a SEND piece by piece and answers it (RFC 4976 section 6.4.1).
func (c *conn) send(h *wire.Head, f *flow) error {
	s, t := &c.stream, f.target
	s.take(h, f)
	var failed error
	var size uint64
	piece, end := []byte(nil), h.End
	for {
		if h.Body {
			var err error
			if piece, end, err = c.body(); err != nil {
				t.abandon(s)
				return err
			}
			size += uint64(len(piece))
		}
		if failed == nil {
			if failed = t.put(s, piece, end); failed != nil {
				t.abandon(s)
			}
			c.touch(t)
		}
		if end != 0 {
			break
		}
	}
	f.count(size)
	c.relay.totals.sends.Add(1)
	c.relay.totals.bytes.Add(size)
	switch {
	case failed == nil && h.FailureReport == wire.FailureYes:
		c.answer(h, wire.OK)
	case failed != nil && h.FailureReport != wire.FailureNo:
		c.relay.totals.failures.Add(1)
		c.answer(h, wire.Timeout)
	}
	return nil
}

// body reads a piece of a body; a wake-up to free buffers does not end it.
func (c *conn) body() (piece []byte, end wire.Flag, err error) {
	for {
		if piece, end, err = c.rd.Body(); err == nil || !c.awakened(err) {
			return piece, end, err
		}
	}
}

// ownRoom waits while the peer does not read its answers, of whatever kind they are.
func (c *conn) ownRoom() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting() < c.relay.cfg.MaxBacklog {
		return nil
	}
	c.mu.Unlock()
	c.flush()
	c.mu.Lock()
	for !c.closed && c.waiting() >= c.relay.cfg.MaxBacklog {
		c.space.Wait()
	}
	if c.closed {
		return errGone
	}
	return nil
}

// put puts a piece of a chunk out. The piece with the flag is the last one.
func (c *conn) put(s *stream, piece []byte, end wire.Flag) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(s.source); err != nil {
		return err
	}
	paced, err := c.pace(s.source, s.flow)
	if err != nil {
		return err
	}
	for {
		part, flag := piece, end
		if c.framed && len(part) > maxWSBody {
			part, flag = part[:maxWSBody], 0
		}
		n := 0
		if c.open != s {
			n = c.start(s, part, flag)
		} else {
			n = c.guard.Fit(part)
		}
		b := c.buffer()
		*b = append(*b, piece[:n]...)
		s.sent += int64(n)
		if piece = piece[n:]; len(piece) == 0 {
			break
		}
		s.split = true
		c.finish(s, wire.More)
	}
	switch {
	case end != 0:
		c.finish(s, end)
	case c.framed || paced && s.sent-s.from >= pacePiece:
		c.finish(s, wire.More)
	}
	return nil
}

// interruptible is the size from which a chunk must have an open end (RFC 4975 section 7.1.1).
const interruptible = 2048

// start begins a chunk with a piece, and tells how much of that it may hold. The flag is that of the piece. The lock is
// held.
func (c *conn) start(s *stream, piece []byte, end wire.Flag) int {
	b := c.begin()
	c.newID(s.id[:0])
	c.guard.Begin(s.id[:])
	fit := c.guard.Fit(piece)
	if s.from = s.sent; s.tracked() {
		p := c.trans.add(s.flow)
		p.id, p.source, p.from, p.total, p.name, p.named = s.id, s.source, s.start+s.sent, s.total, s.name, s.named
		if s.failure == wire.FailurePartial {
			p.kind = sendPartial
		}
	}
	b = wire.AppendRequest(b, s.id[:], wire.SEND)
	b = wire.AppendField(b, "To-Path", s.flow.newTo)
	b = wire.AppendField(b, "From-Path", s.flow.newFrom)
	ends := end != 0 && fit == len(piece)
	if s.ranged || s.body && (!ends || s.split || s.sent > 0) {
		r := wire.Range{Start: s.start + s.sent, End: wire.Unknown, Total: s.total}
		if ends && end != wire.Abort && fit <= interruptible {
			r.End = r.Start + int64(fit) - 1
		}
		b = wire.AppendRange(b, r)
	}
	b = append(b, s.fields...)
	if s.body {
		b = append(b, "\r\n"...)
	}
	*c.buffer() = b
	c.open = s
	return fit
}

// newID makes the ID of the next transaction.
func (c *conn) newID(b []byte) {
	appendNumber(c.ids.Append(b)[:randomLength], c.trans.next)
}

// finish ends the open chunk. The lock is held.
func (c *conn) finish(s *stream, flag wire.Flag) {
	b := wire.AppendEnd(*c.buffer(), s.id[:], flag, s.body)
	if c.framed {
		b = frameWS(b, c.begun)
	}
	*c.buffer() = b
	if flag == wire.More {
		s.split = true
	}
	if s.tracked() {
		if p := c.trans.find(s.id[:]); p != nil {
			c.trans.wait(p, s.sent-s.from)
		}
	}
	c.open = nil
}

// abandon tells the next hop that a message will not be completed.
func (c *conn) abandon(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.open != s && s.sent == 0 || c.overrun() {
		return
	}
	if c.open != s {
		c.start(s, nil, wire.Abort)
	}
	c.finish(s, wire.Abort)
	c.wake()
}

// whole forwards a request that is not SEND, with its body (RFC 4976 section 6.4.2).
func (c *conn) whole(h *wire.Head, f *flow) error {
	body, end := c.scratch[:0], h.End
	for h.Body && end == 0 {
		piece, flag, err := c.body()
		if err != nil {
			return err
		}
		if len(body)+len(piece) <= maxWhole+1 {
			body = append(body, piece...)
		} else {
			body = append(body[:0], make([]byte, maxWhole+1)...)
		}
		end = flag
	}
	c.scratch = body
	report := h.Method == wire.REPORT
	if len(body) > maxWhole {
		if !report {
			c.answer(h, wire.StopSending)
		}
		return nil
	}
	if err := f.target.pass(c, h, f, body, end); err != nil && !report {
		c.answer(h, wire.Timeout)
	}
	c.touch(f.target)
	if report {
		c.relay.totals.reports.Add(1)
		for _, g := range f.grants {
			g.reports.Add(1)
		}
	}
	return nil
}

// pass puts a whole request out.
func (c *conn) pass(source *conn, h *wire.Head, f *flow, body []byte, end wire.Flag) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(source); err != nil {
		return err
	}
	c.mix(f)
	before := c.begin()
	var id [idLength]byte
	for {
		c.newID(id[:0])
		if c.guard.Begin(id[:]); c.guard.Fit(body) == len(body) {
			break
		}
	}
	b := wire.AppendRequest(before, id[:], h.Method)
	b = wire.AppendField(b, "To-Path", f.newTo)
	b = wire.AppendField(b, "From-Path", f.newFrom)
	for _, field := range h.Fields[2:] {
		b = wire.AppendField(b, string(field.Name), field.Value)
	}
	if h.Body {
		b = append(append(b, "\r\n"...), body...)
	}
	c.done(wire.AppendEnd(b, id[:], end, h.Body))
	if h.Method != wire.REPORT {
		p := c.trans.add(f)
		p.id, p.kind, p.source, p.back = id, other, source, string(h.ID)
		p.credentials = h.Method == wire.AUTH && h.Get("authorization") != nil
	}
	return nil
}

// response handles a response (RFC 4976 section 6.4.3).
func (c *conn) response(h *wire.Head) {
	c.mu.Lock()
	found := c.trans.find(h.ID)
	if found == nil || !c.relay.isOursText(h.To, found.flow.newFrom) {
		c.mu.Unlock()
		return
	}
	p := *found
	if s := c.open; s != nil && s.id == p.id {
		p.size = s.sent - s.from // it is answered before its end
	}
	c.trans.end(found)
	crowd := c.trans.crowded()
	c.trans.trim()
	if crowd || c.pacing > 0 {
		c.space.Broadcast()
	}
	c.mu.Unlock()
	if !c.good.Load() {
		c.good.Store(true)
	}
	switch {
	case p.kind != other && h.Code == wire.OK:
	case p.kind != other:
		c.relay.report(&p, h.Code)
	default:
		c.passBack(h, &p)
	}
}

// passBack forwards a response towards the one who asked.
func (c *conn) passBack(h *wire.Head, p *pending) {
	to, from := h.To, append([]byte(nil), h.From...)
	for range p.flow.grants {
		first, rest := wire.CutPath(to)
		from = append(append(append([]byte(nil), first...), ' '), from...)
		to = rest
	}
	if len(to) == 0 {
		return
	}
	t := p.source
	if p.credentials && h.Code == wire.Unauthorized && !stale(h) && t.authFailed() {
		defer c.relay.running.Go(func() {
			t.linger()
			t.close(errFailures)
		})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.overrun() {
		return
	}
	b := wire.AppendResponse(t.begin(), p.back, h.Code, string(h.Comment))
	b = wire.AppendField(b, "To-Path", to)
	b = wire.AppendField(b, "From-Path", from)
	for _, field := range h.Fields[2:] {
		b = wire.AppendField(b, string(field.Name), field.Value)
	}
	t.done(wire.AppendEnd(b, p.back, wire.Last, false))
	t.wake()
}

// status is the value of Status for a code.
func status(code int) string {
	if text := wire.Comment(code); text != "" {
		return fmt.Sprintf("000 %d %s", code, text)
	}
	return "000 " + strconv.Itoa(code)
}
