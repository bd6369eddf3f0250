package session

import (
	"context"
	"io"

	"imp/internal/msrp/wire"
)

// Complete reports whether all of the message is here.
func (in *Incoming) Complete() bool {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	return in.complete
}

// Read implements io.Reader. The error is io.EOF behind the last byte; ErrAborted, with the reason, tells that the
// message will not be complete.
func (in *Incoming) Read(p []byte) (n int, err error) {
	s := in.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case in.closed:
			return 0, ErrClosed
		case in.data != nil:
			n = copy(p, in.data)
			in.data = in.data[n:]
		case len(p) > 0:
			n, err = in.asm.read(p)
		}
		if n > 0 || err != nil {
			in.count()
			s.wake()
			return n, err
		}
		switch {
		case in.complete && len(in.data) == 0:
			return 0, io.EOF
		case in.err != nil:
			return 0, in.err
		case len(p) == 0:
			return 0, nil
		}
		in.waiting = true
		s.hungry++
		s.waiting++
		s.cond.Broadcast()
		s.cond.Wait()
		s.waiting--
		in.fed()
	}
}

// fed tells that the reader of a message need not wait any more, also while it has not woken up yet.
func (in *Incoming) fed() {
	if in.waiting {
		in.waiting = false
		in.s.hungry--
	}
}

// WriteTo implements io.WriterTo.
func (in *Incoming) WriteTo(w io.Writer) (written int64, err error) {
	space := segments.Get().(*[segment]byte)
	defer segments.Put(space)
	for {
		n, err := in.Read(space[:])
		if n > 0 {
			m, err := w.Write(space[:n])
			written += int64(m)
			if err != nil {
				return written, err
			}
		}
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
	}
}

// Refuse tells the sender to stop, with this code, as soon as more of the message comes (RFC 4975 section 10.5). It
// does nothing to a message that is complete.
func (in *Incoming) Refuse(code int) {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if !in.complete && in.err == nil && in.refusal == 0 {
		in.refusal = code
		in.s.cond.Broadcast()
	}
}

// Report sends a REPORT about the whole message, with Own.ManualReports: 200 if its sender wants to know of success;
// another code tells of a failure that was found late, unless its sender does not want to know (RFC 4975 section
// 7.1.4). The error is that of the session.
func (in *Incoming) Report(code int, comment string) error {
	if code == wire.OK && !in.SuccessReport || code != wire.OK && in.failure == wire.FailureNo {
		return nil
	}
	s := in.s
	s.mu.Lock()
	c, err := in.conn, s.err
	r := wire.Range{Start: 1, End: in.arrived(), Total: in.total}
	if in.complete {
		r.End = in.total
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	id := s.node.NewID()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.wait(context.Background(), func() bool { return len(c.out) < c.node.cfg.Limits.Responses }); err != nil {
		return err
	}
	c.frame(func(b []byte) []byte { return s.appendReport(b, id, in.From, in.ID, r, code, comment) })
	return nil
}

// Close frees what is held of the message. The sender of one that is not complete is told to stop with 413.
func (in *Incoming) Close() error {
	in.Refuse(wire.StopSending)
	s := in.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !in.closed {
		in.closed = true
		in.free()
		s.cond.Broadcast()
	}
	return nil
}
