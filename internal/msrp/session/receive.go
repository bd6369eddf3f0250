package session

import (
	"context"
	"fmt"
	"time"

	"imp/internal/msrp/wire"
)

// Incoming is a message that comes in. It is read like a file, in order, while it arrives; Close is needed.
type Incoming struct {
	ID            string  // Message-ID
	Type          string  // Content-Type
	Disposition   string  // Content-Disposition, "" = render
	Header        []Field // further header fields of its first chunk
	Total         int64   // bytes, or -1 while they are not known
	SuccessReport bool    // its sender wants to know when it has arrived
	Duplicate     bool    // a message with this ID was complete before
	From          string  // From-Path of its first chunk

	s       *Session
	conn    *Conn
	failure wire.Failure
	// Guarded by the lock of s:
	data     []byte // a message that came in one piece
	asm      assembly
	counted  int   // of it in s.unread
	ahead    int   // of it in s.ahead
	runs     int   // of it in s.runs
	total    int64 // fixed by the chunk with the flag $, or -1
	listed   bool  // in s.open
	given    bool  // in s.queue, or out of it
	complete bool
	again    bool // one more chunk of a message that is complete
	waiting  bool // its reader waits
	refusal  int  // code for what still comes
	err      error
	closed   bool
}

// Receive gives the next message: one that is complete, or one that is longer than Own.Stream and still arriving. The
// error is that of the session or of ctx.
func (s *Session) Receive(ctx context.Context) (*Incoming, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(ctx, func() bool { return len(s.queue) > 0 }); err != nil {
		return nil, err
	}
	in := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
	s.wake()
	return in, nil
}

// begin finds or makes the message of a SEND; code is that of a refusal.
func (s *Session) begin(h *wire.Head) (in *Incoming, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in = s.open[string(h.MessageID)]; in != nil {
		return in, 0
	}
	most := s.own.MaxSize
	switch {
	case s.err != nil:
		return nil, wire.NoSuchSession
	case s.isRefused(h):
		return nil, wire.StopSending
	case !s.takes(h.ContentType):
		return nil, wire.UnsupportedMediaType
	case most > 0 && h.HasRange && (h.Range.Total > most || h.Range.Start > most+1 || h.Range.End > most):
		return nil, wire.StopSending
	case len(s.open) >= s.node.cfg.Limits.Messages:
		return nil, wire.StopSending
	}
	in = &Incoming{ID: string(h.MessageID), Type: s.goodFor, Total: wire.Unknown, SuccessReport: h.SuccessReport,
		s: s, failure: h.FailureReport, total: wire.Unknown}
	if h.HasRange {
		in.Total = h.Range.Total
		if total, joined := s.joined.has(h.MessageID); joined && h.Range.Start > 1 && (in.Total < 0 || in.Total == total) {
			in.again, in.total = true, total
		}
	}
	_, in.Duplicate = s.seen.has(h.MessageID)
	in.fields(h)
	return in, 0
}

func (s *Session) isRefused(h *wire.Head) bool {
	_, refused := s.refused.has(h.MessageID)
	return refused
}

// takes reports whether we accept a type, and keeps the last one that we did.
func (s *Session) takes(t []byte) bool {
	if s.goodFor != "" && string(t) == s.goodFor {
		return true
	}
	kind := string(t)
	if s.own.Types != nil && !Accepts(s.own.Types, kind) && !Accepts(MustAccept, kind) {
		return false
	}
	s.goodFor = kind
	return true
}

// fields keeps the header fields that mean nothing here.
func (in *Incoming) fields(h *wire.Head) {
	for _, f := range h.Fields[2:] {
		switch {
		case f.Is("message-id"), f.Is("byte-range"), f.Is("success-report"), f.Is("failure-report"), f.Is("content-type"):
		case f.Is("content-disposition"):
			in.Disposition = string(f.Value)
		default:
			in.Header = append(in.Header, Field{string(f.Name), string(f.Value)})
		}
	}
	if in.SuccessReport || in.s.own.ManualReports {
		in.From = string(h.From)
	}
}

// take takes a piece of a message, the last one of a chunk with its flag; code is that of a refusal. It waits while
// what has come before is not read.
func (in *Incoming) take(c *Conn, at int64, piece []byte, end wire.Flag) (code int) {
	s := in.s
	s.mu.Lock()
	defer s.mu.Unlock()
	in.conn = c
	switch {
	case s.err != nil:
		return wire.NoSuchSession
	case in.refusal != 0:
		return in.refuse(in.refusal, ErrAborted)
	case end == wire.Abort:
		s.discard(in, ErrAborted)
		return 0
	}
	behind := at + int64(len(piece))
	if in.again {
		return 0 // which brings nothing new
	}
	if most := s.own.MaxSize; most > 0 && behind > most {
		return in.refuse(wire.StopSending, fmt.Errorf("the message is larger than %d bytes", most))
	}
	if end == wire.Last && in.total < 0 {
		in.total, in.Total = behind, behind
	}
	if in.total >= 0 && behind > in.total {
		return in.refuse(wire.BadRequest, fmt.Errorf("the message goes on behind its end at %d bytes", in.total))
	}
	if code := in.store(c, at, piece); code != 0 {
		return code
	}
	if in.total >= 0 && in.arrived() == in.total {
		s.finish(in)
	} else {
		s.list(in)
	}
	return 0
}

// arrived is how much has come without a gap.
func (in *Incoming) arrived() int64 {
	if in.data != nil {
		return int64(len(in.data))
	}
	return in.asm.contiguous()
}

// store puts a piece into its place.
func (in *Incoming) store(c *Conn, at int64, piece []byte) (code int) {
	s := in.s
	spill := false
	if at <= in.arrived() && len(piece) > 0 {
		switch s.admit(c, in) {
		case admitted:
		case elsewhere:
			spill = true
		default:
			return in.refuse(wire.StopSending, ErrAborted)
		}
	}
	if s.err != nil {
		return wire.NoSuchSession
	}
	if !in.listed && at == 0 && in.total == int64(len(piece)) {
		in.data = append(make([]byte, 0, len(piece)), piece...)
	} else {
		in.asm.make = s.node.cfg.Spool
		in.asm.room, in.asm.more = s.node.cfg.Limits.Reorder-(s.ahead-in.ahead), s.runs-in.runs
		if err := in.asm.put(at, piece, spill); err != nil {
			return in.refuse(wire.StopSending, err)
		}
	}
	in.count()
	if in.data != nil || in.asm.contiguous() > in.asm.pos {
		in.fed()
	}
	return 0
}

// count keeps account of what can be read and is in memory.
func (in *Incoming) count() {
	n := len(in.data)
	if in.data == nil {
		n = in.asm.readable()
	}
	in.s.unread += n - in.counted
	in.counted = n
	in.countRuns()
}

// countRuns keeps account of what came out of order.
func (in *Incoming) countRuns() {
	in.s.ahead += in.asm.ahead - in.ahead
	in.s.runs += len(in.asm.runs) - in.runs
	in.ahead, in.runs = in.asm.ahead, len(in.asm.runs)
}

const (
	admitted  = iota
	elsewhere // there is no room in memory, and none will be before more comes
	refused
)

// admit waits for room for more of a message. Reading of the connection stops meanwhile, which is how TCP slows the
// sender down; only if that would stop what the reader waits for, or others for too long, the message goes elsewhere.
func (s *Session) admit(c *Conn, in *Incoming) int {
	limits := &s.node.cfg.Limits
	full := func() bool { return s.unread >= limits.Window || len(s.queue) >= limits.Messages }
	if !full() {
		return admitted
	}
	patience, timer := false, (*time.Timer)(nil)
	stalled := false
	defer func() {
		if stalled {
			timer.Stop()
			s.mu.Unlock()
			c.stall(false)
			s.mu.Lock()
		}
	}()
	for full() && s.err == nil && in.refusal == 0 && !in.waiting {
		switch {
		case s.hungry > 0 && s.unread < 4*limits.Window && len(s.queue) < 4*limits.Messages:
			return admitted
		case s.hungry > 0:
			return elsewhere
		case patience:
			return refused
		case s.announce():
			continue
		}
		if !stalled {
			stalled = true
			s.mu.Unlock()
			c.stall(true)
			shared := c.shared()
			s.mu.Lock()
			wait := s.node.cfg.Times.Patience
			if !shared {
				wait = 1 << 62
			}
			timer = time.AfterFunc(wait, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				patience = true
				s.cond.Broadcast()
			})
			continue
		}
		s.waiting++
		s.cond.Wait()
		s.waiting--
	}
	if in.refusal != 0 {
		return refused
	}
	return admitted
}

// announce gives all messages to Receive that are still arriving, and reports whether there was one.
func (s *Session) announce() (some bool) {
	for _, in := range s.open {
		if !in.given && in.counted > 0 {
			s.give(in)
			some = true
		}
	}
	return some
}

func (s *Session) give(in *Incoming) {
	in.given = true
	s.queue = append(s.queue, in)
	s.wake()
}

// list keeps a message that goes on.
func (s *Session) list(in *Incoming) {
	if !in.listed {
		in.listed = true
		if s.open == nil {
			s.open = make(map[string]*Incoming)
		}
		s.open[in.ID] = in
	}
	if !in.given && in.counted >= s.own.Stream {
		s.give(in)
	}
	s.wake()
}

// finish gives a complete message.
func (s *Session) finish(in *Incoming) {
	in.complete = true
	if in.listed {
		delete(s.open, in.ID)
		s.joined.add(in.ID, in.total)
	}
	if s.seen.add(in.ID, in.total) {
		in.Duplicate = true
	}
	if !in.given {
		s.give(in)
	}
	s.wake()
}

// confirm reports a message that is complete, if its sender wants that (RFC 4975 section 7.1.3). It belongs to the
// reading goroutine.
func (in *Incoming) confirm(c *Conn, h *wire.Head) {
	s := in.s
	if !h.SuccessReport || s.own.ManualReports {
		return
	}
	s.mu.Lock()
	complete := (in.complete || in.again) && s.err == nil
	r := wire.Range{Start: 1, End: in.total, Total: in.total}
	s.mu.Unlock()
	if complete {
		c.frameAnswer(func(b []byte) []byte { return s.appendReport(b, c.report.New(), string(h.From), in.ID, r, wire.OK, "") })
	}
}

// discard gives a message up that will not be complete.
func (s *Session) discard(in *Incoming, err error) {
	delete(s.open, in.ID)
	in.err = err
	if !in.given {
		in.free()
	}
	s.wake()
}

// refuse gives a message up and gives the code to answer with; further chunks are answered with 413.
func (in *Incoming) refuse(code int, err error) int {
	in.s.refused.add(in.ID, 0)
	in.s.discard(in, err)
	return code
}

func (in *Incoming) free() {
	in.data = nil
	in.asm.free()
	in.s.unread -= in.counted
	in.counted = 0
	in.countRuns()
}

// appendReport adds a REPORT (RFC 4975 sections 7.1.2 and 7.1.3).
func (s *Session) appendReport(b []byte, id, to, messageID string, r wire.Range, code int, comment string) []byte {
	if comment == "" {
		comment = wire.Comment(code)
	}
	b = wire.AppendRequest(b, id, wire.REPORT)
	b = wire.AppendField(b, "To-Path", to)
	b = wire.AppendField(b, "From-Path", s.own.URI.String())
	b = wire.AppendField(b, "Message-ID", messageID)
	b = wire.AppendRange(b, r)
	b = wire.AppendField(b, "Status", fmt.Sprintf("000 %03d %s", code, comment))
	return wire.AppendEnd(b, id, wire.Last, false)
}

// empty takes a SEND without a body: it is answered, and shown to nobody (RFC 4975 section 7.1).
func (s *Session) empty(c *Conn, h *wire.Head) {
	s.mu.Lock()
	in := s.open[string(h.MessageID)]
	if in != nil && h.End == wire.Abort {
		s.discard(in, ErrAborted)
	}
	s.mu.Unlock()
	c.answer(h, wire.OK)
	if h.SuccessReport && h.MessageID != nil && h.End == wire.Last {
		r := wire.Range{Start: 1}
		c.frameAnswer(func(b []byte) []byte {
			return s.appendReport(b, c.report.New(), string(h.From), string(h.MessageID), r, wire.OK, "")
		})
	}
}
