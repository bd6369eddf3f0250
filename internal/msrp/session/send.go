package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"imp/internal/msrp/wire"
)

var errGivenUp = errors.New("the message was given up")

// Send sends a message. It waits until requests can be sent, and returns when the last byte was handed to the
// connection; Sent tells what becomes of it. When ctx ends before, the message is aborted. The error is ErrType or
// ErrSize of a message that the peer would refuse, that of Body, or of the session.
func (s *Session) Send(ctx context.Context, m Message) (*Sent, error) {
	if m.Body == nil {
		m.Body, m.Size = strings.NewReader(""), 0
	}
	if err := check(&m); err != nil {
		return nil, err
	}
	o, err := s.prepare(ctx, &m)
	if err != nil {
		return nil, err
	}
	if m.Size >= 0 && m.Size <= whole && (m.Chunk <= 0 || int64(m.Chunk) >= m.Size) {
		err = s.sendWhole(ctx, &m, o)
	} else {
		err = s.sendPieces(ctx, &m, o)
	}
	if err != nil {
		if failed := o.sent.Err(); failed != nil {
			err = failed
		}
		o.sent.over(err)
		return nil, err
	}
	return o.sent, nil
}

// check refuses what would break a frame.
func check(m *Message) error {
	if m.ID != "" && !wire.IsIdent(m.ID) {
		return fmt.Errorf("Message-ID %q is not of 4 to 32 letters, digits and .-+%%=", m.ID)
	}
	for _, f := range append([]Field{{"Content-Type", m.Type}, {"Content-Disposition", m.Disposition}}, m.Header...) {
		if f.Name == "" || strings.ContainsAny(f.Name, ": \r\n") || strings.ContainsAny(f.Value, "\r\n\x00") {
			return fmt.Errorf("header field %q has a character that it may not have", f.Name)
		}
	}
	if m.Type == "" && m.Size != 0 {
		return errors.New("a message with a body has no type")
	}
	return nil
}

// prepare waits for the peer and makes what all chunks have.
func (s *Session) prepare(ctx context.Context, m *Message) (*outgoing, error) {
	if m.ID == "" {
		m.ID = s.node.NewID()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(ctx, func() bool { return s.started && s.err == nil }); err != nil {
		return nil, err
	}
	if m.Type != "" {
		if !s.peer.accepts(m.Type, m.Wrapped) || s.unsent[mediaType(m.Type)] {
			return nil, fmt.Errorf("%w: %s", ErrType, m.Type)
		}
	}
	if s.peer.MaxSize > 0 && m.Size > s.peer.MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrSize, m.Size, s.peer.MaxSize)
	}
	if err := s.await(ctx, func() bool { return s.bound && s.err == nil }); err != nil {
		return nil, err
	}
	o := &outgoing{c: s.conn, total: m.Size, chunk: m.Chunk, answers: m.FailureReport != wire.FailureNo, quiet: m.FailureReport == wire.FailurePartial}
	o.before = wire.AppendField(append(make([]byte, 0, len(s.paths)+64), s.paths...), "Message-ID", m.ID)
	o.after = appendFields(nil, m)
	o.sent = &Sent{ID: m.ID, s: s, kind: m.Type, acknowledged: m.FailureReport == wire.FailureYes, reports: m.SuccessReport, size: wire.Unknown}
	s.remember(o.sent)
	return o, nil
}

func mediaType(t string) string {
	t, _, _ = strings.Cut(t, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// appendFields adds what comes behind Byte-Range; Content-Type is the last (RFC 4975 section 9).
func appendFields(b []byte, m *Message) []byte {
	if m.SuccessReport {
		b = wire.AppendField(b, "Success-Report", "yes")
	}
	if m.FailureReport != wire.FailureYes {
		b = wire.AppendField(b, "Failure-Report", m.FailureReport.String())
	}
	for _, f := range m.Header {
		b = wire.AppendField(b, f.Name, f.Value)
	}
	if m.Disposition != "" {
		b = wire.AppendField(b, "Content-Disposition", m.Disposition)
	}
	if m.Type != "" {
		b = wire.AppendField(b, "Content-Type", m.Type)
	}
	return b
}

// remember keeps a message for reports about it.
func (s *Session) remember(m *Sent) {
	if s.sent == nil {
		s.sent = make(map[string]*Sent)
	}
	if len(s.order) >= maxSent {
		oldest := s.sent[s.order[0]]
		delete(s.sent, s.order[0])
		s.order = s.order[1:]
		if oldest != nil {
			go oldest.over(ErrUnreported)
		}
	}
	if s.sent[m.ID] == nil {
		s.order = append(s.order, m.ID)
	}
	s.sent[m.ID] = m
}

var wholes = sync.Pool{New: func() any { return new([whole]byte) }}

func (s *Session) sendWhole(ctx context.Context, m *Message, o *outgoing) error {
	space := wholes.Get().(*[whole]byte)
	defer wholes.Put(space)
	body := space[:m.Size]
	if n, err := io.ReadFull(m.Body, body); err != nil {
		return short(int64(n), m.Size, err)
	}
	if err := o.c.small(ctx, o.sent, o, body, m.Type == ""); err != nil {
		return err
	}
	o.sent.finished(m.Size)
	if m.Progress != nil {
		m.Progress(m.Size)
	}
	return nil
}

func short(n, size int64, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the content ended after %d of %d bytes", n, size)
	}
	return fmt.Errorf("reading the content: %w", err)
}

func (s *Session) sendPieces(ctx context.Context, m *Message, o *outgoing) error {
	o.sent.mu.Lock()
	o.sent.out = o
	o.sent.mu.Unlock()
	if err := s.pump(ctx, m, o); err != nil {
		o.giveUp()
		return err
	}
	return nil
}

// pump reads the body and offers it in pieces: while one is written the next one is read.
func (s *Session) pump(ctx context.Context, m *Message, o *outgoing) error {
	p := newPieces(m)
	var buf, next *[segment + 1]byte // not given back after an error: the writing goroutine may have one
	told := int64(0)
	for last := false; !last; {
		if buf == nil {
			buf = pieceBuffers.Get().(*[segment + 1]byte)
		}
		var piece []byte
		var err error
		if piece, last, err = p.next(buf[:p.length+1]); err != nil {
			return err
		}
		if most := s.peer.MaxSize; most > 0 && p.done > most {
			return fmt.Errorf("%w: more than %d", ErrSize, most)
		}
		if err := o.offer(ctx, piece, last); err != nil {
			return err
		}
		if m.Progress != nil && told > 0 {
			m.Progress(told)
		}
		told = p.done
		buf, next = next, buf
	}
	if err := o.finish(ctx); err != nil {
		return err
	}
	for _, b := range []*[segment + 1]byte{buf, next} {
		if b != nil {
			pieceBuffers.Put(b)
		}
	}
	o.sent.finished(p.done)
	if m.Progress != nil {
		m.Progress(p.done)
	}
	return nil
}

var pieceBuffers = sync.Pool{New: func() any { return new([segment + 1]byte) }}

// pieces cuts a body. One of unknown size is always a byte ahead, so that its last chunk is never an empty one.
type pieces struct {
	r       io.Reader
	size    int64 // negative: unknown
	length  int   // of a piece at most
	full    bool  // pieces are of that length, but for the last one
	done    int64
	carried []byte
}

func newPieces(m *Message) *pieces {
	p := &pieces{r: m.Body, size: m.Size, length: segment}
	if m.Chunk > 0 {
		p.length, p.full = m.Chunk*max(1, min(segment/m.Chunk, 32)), true
		if m.Chunk > segment {
			p.length = segment
		}
	}
	return p
}

// next gives the next piece, in buf.
func (p *pieces) next(buf []byte) (piece []byte, last bool, err error) {
	if p.size >= 0 {
		buf = buf[:min(int64(p.length), p.size-p.done)]
	}
	n := copy(buf, p.carried)
	atLeast := len(buf)
	if !p.full {
		atLeast = min(atLeast, mustStar+1)
	}
	m := 0
	if n < atLeast {
		m, err = io.ReadAtLeast(p.r, buf[n:], atLeast-n)
	}
	n += m
	ended := err == io.EOF || err == io.ErrUnexpectedEOF
	switch {
	case err != nil && (!ended || p.size >= 0):
		return nil, false, short(p.done+int64(n), p.size, err)
	case p.size >= 0:
		p.done += int64(n)
		return buf[:n], p.done == p.size, nil
	case ended:
		p.done += int64(n)
		return buf[:n], true, nil
	}
	p.carried = append(p.carried[:0], buf[n-1])
	p.done += int64(n - 1)
	return buf[:n-1], false, nil
}
