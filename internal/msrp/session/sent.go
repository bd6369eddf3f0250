package session

import (
	"context"
	"sync"

	"imp/internal/msrp/wire"
)

// Sent is a message that was sent, and what became of it.
type Sent struct {
	ID           string
	s            *Session
	kind         string
	acknowledged bool // Failure-Report: yes
	reports      bool // Success-Report: yes
	out          *outgoing

	mu      sync.Mutex
	waiting int   // requests without a response
	size    int64 // bytes, once all was written
	spans   []span
	binds   bool // the session fails with it
	refused bool // by a response or a report, or there was none in time
	err     error
	ended   bool
	done    chan struct{}
}

// span is a part that was reported, from and behind.
type span struct{ from, to int64 }

// Done is closed when nothing is waited for any more: all requests have their responses, unless they are not asked for,
// and the whole message was reported if that was asked for; or it failed.
func (m *Sent) Done() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done == nil {
		m.done = make(chan struct{})
		if m.ended {
			close(m.done)
		}
	}
	return m.done
}

// Err tells why the message failed: ErrTimeout, ErrUnreported, a *StatusError, or why the session ended. It is nil when
// it did not fail, or not yet.
func (m *Sent) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Wait waits for Done and gives Err, or the error of ctx.
func (m *Sent) Wait(ctx context.Context) error {
	select {
	case <-m.Done():
		return m.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Acknowledged reports whether every request of the message was answered with 200, whatever became of it later.
func (m *Sent) Acknowledged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.acknowledged && m.size >= 0 && m.waiting == 0 && !m.refused
}

// Reported is how many bytes were reported as received.
func (m *Sent) Reported() (n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.spans {
		n += s.to - s.from
	}
	return n
}

func (m *Sent) expect(n int) {
	m.mu.Lock()
	m.waiting += n
	m.mu.Unlock()
}

// finished tells that all was handed to the connection.
func (m *Sent) finished(size int64) {
	m.mu.Lock()
	m.size = size
	m.settle()
	m.mu.Unlock()
}

// settle ends it if nothing is waited for. The lock is held.
func (m *Sent) settle() {
	if m.ended {
		return
	}
	if m.err == nil {
		if m.size < 0 || m.acknowledged && m.waiting > 0 {
			return
		}
		if m.reports && !(len(m.spans) == 1 && m.spans[0].from <= 0 && m.spans[0].to >= m.size) {
			return
		}
	}
	m.ended, m.out = true, nil
	if m.done != nil {
		close(m.done)
	}
}

// over ends it with an error, unless it has ended.
func (m *Sent) over(err error) {
	m.mu.Lock()
	out := m.out
	if !m.ended {
		if m.err = err; err == ErrClosed && m.size >= 0 && m.reports && m.waiting == 0 {
			m.err = ErrUnreported
		}
		m.settle()
	}
	m.mu.Unlock()
	if out != nil {
		out.giveUp()
	}
}

// binding lets the session fail with this message.
func (m *Sent) binding() {
	m.mu.Lock()
	m.binds = true
	err := m.err
	m.mu.Unlock()
	if err != nil {
		m.s.fail(err)
	}
}

// answered takes the response to one request, or that there was none in time. A message that is still being sent is
// aborted after a failure (RFC 4975 section 7.3.2).
func (m *Sent) answered(err error) {
	m.mu.Lock()
	m.waiting--
	if err == nil {
		m.settle()
		m.mu.Unlock()
		return
	}
	binds := m.binds
	m.refused = true
	m.mu.Unlock()
	m.over(err)
	status, _ := err.(*StatusError)
	switch {
	case binds || status != nil && (status.Code == wire.NoSuchSession || status.Code == wire.WrongConnection):
		m.s.fail(err)
	case status != nil && status.Code == wire.UnsupportedMediaType:
		m.s.refuseType(m.kind)
	}
}

// refuseType remembers that the peer does not take a type (RFC 4975 section 10.6).
func (s *Session) refuseType(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsent == nil {
		s.unsent = make(map[string]bool)
	}
	if len(s.unsent) < maxSent {
		s.unsent[mediaType(kind)] = true
	}
}

// reported takes a REPORT (RFC 4975 section 7.3.2). It is never answered.
func (s *Session) reported(h *wire.Head) {
	s.mu.Lock()
	m := s.sent[string(h.MessageID)]
	s.mu.Unlock()
	if m == nil || h.Status.Namespace != 0 {
		return
	}
	if h.Status.Code == wire.OK {
		m.success(h)
		return
	}
	err := &StatusError{Code: h.Status.Code, Comment: string(h.Status.Comment), Reported: true}
	m.mu.Lock()
	m.refused = true
	m.mu.Unlock()
	m.over(err)
	switch err.Code {
	case wire.StopSending: // which speak of this message, not of what was lost
	case wire.UnsupportedMediaType:
		s.refuseType(m.kind)
	default:
		s.fail(err)
	}
}

// success adds a range that was received.
func (m *Sent) success(h *wire.Head) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended || !m.reports {
		return
	}
	all := max(m.size, 0)
	r := span{0, all}
	if h.HasRange {
		r = span{h.Range.Start - 1, h.Range.End}
		if r.to < 0 {
			r.to = max(h.Range.Total, all)
		}
	}
	m.spans = merge(m.spans, r)
	m.settle()
}

// maxSpans bounds what a peer can make us remember of one message.
const maxSpans = 4096

// merge adds a part to parts in order.
func merge(spans []span, r span) []span {
	if r.to < r.from {
		return spans
	}
	i := 0
	for i < len(spans) && spans[i].to < r.from {
		i++
	}
	j := i
	for j < len(spans) && spans[j].from <= r.to {
		r.from, r.to = min(r.from, spans[j].from), max(r.to, spans[j].to)
		j++
	}
	if i == j && len(spans) >= maxSpans {
		return spans
	}
	return append(spans[:i:i], append([]span{r}, spans[j:]...)...)
}
