package stack

import (
	"bytes"
	"sync"
)

// framer finds the messages in what a stream brings (RFC 3261 18.3) and hands them on, in order. It frames on the
// received bytes instead of with the parser's own stream reader, so that a message the parser rejects can be answered
// and the next one found.
type framer struct {
	c        *conn
	e        *envelope // during take
	searched int       // bytes of the current message known not to end its head
	need     int       // length of the current message once its head is complete, else 0
	ends     int       // line ends since the last message
}

// envelopes are lent while something is taken: idle connections need none.
var envelopes = sync.Pool{New: func() any { return new(envelope) }}

func (*framer) held() int { return 0 }

func (*framer) within() bool { return false }

var lineEnd = []byte("\r\n")

// take handles all complete messages in buf and returns how many bytes they had. An error means that the connection
// cannot be used any further.
func (r *framer) take(buf []byte) (used int, err error) {
	r.e = envelopes.Get().(*envelope)
	defer func() { envelopes.Put(r.e); r.e = nil }()
	for {
		used += r.lineEnds(buf[used:])
		b := buf[used:]
		if len(b) == 0 || len(b) == 1 && b[0] == '\r' {
			return used, nil
		}
		r.ends = 0
		if compressed(b) {
			return used, errFraming
		}
		if r.need == 0 {
			done, err := r.headOf(b)
			if err != nil || !done {
				return used, err
			}
		}
		if len(b) < r.need {
			return used, nil
		}
		r.message(b[:r.need])
		used += r.need
		r.searched, r.need = 0, 0
		r.c.throttle()
	}
}

// lineEnds skips line ends before a message (RFC 3261 7.5). Two of them are a ping, one is its pong (RFC 5626 4.4.1).
func (r *framer) lineEnds(b []byte) (n int) {
	for r.need == 0 && r.searched == 0 && len(b) > n {
		switch {
		case b[n] == '\n':
			n++
			continue
		case b[n] == '\r' && len(b) > n+1 && b[n+1] == '\n':
			n += 2
		default:
			return n
		}
		// One alone is the answer to our ping, and no half of the peer's.
		if r.ends++; r.ends == 1 && r.c.pong() && !bytes.HasPrefix(b[n:], lineEnd) {
			r.ends = 0
		}
		if r.ends == 2 {
			r.ends = 0
			_ = r.c.send(lineEnd, 1)
			r.c.throttle()
		}
	}
	return n
}

// headOf looks for the end of the head and learns the length of the message from it.
func (r *framer) headOf(b []byte) (done bool, err error) {
	end := headEnd(b, r.searched)
	if end == 0 {
		r.searched = max(0, len(b)-2)
		if len(b) > maxHead {
			return false, r.lost(b, "header too long", nil)
		}
		return false, nil
	}
	if !r.e.scan(b[:end]) {
		return false, r.lost(b, "not a SIP message", nil)
	}
	e := r.e
	switch {
	case e.lengthBad:
		return false, r.lost(b, e.fault, Answer(400))
	case e.length < 0 && e.typed:
		// Without a length a body has no end; without a body there is nothing to be unsure of.
		e.blame("Missing Content-Length")
		return false, r.lost(b, e.fault, Answer(400))
	case end > maxHead, max(e.length, 0) > r.c.s.cfg.MaxMessage-end:
		return false, r.lost(b, "message too large", Answer(513))
	}
	r.need = end + max(e.length, 0)
	return true, nil
}

// lost gives the connection up, with an answer where one is possible.
func (r *framer) lost(b []byte, why string, answer *Response) error {
	s := r.c.s
	s.trace(false, r.c.kind, r.c.local, r.c.remote, b)
	s.malformed(why, r.c.kind, r.c.remote, b)
	if answer != nil {
		s.count.in(r.c.kind)
		s.refuse(r.e, &r.c.Flow, answer)
	}
	return errFraming
}

func (r *framer) message(b []byte) {
	s := r.c.s
	s.trace(false, r.c.kind, r.c.local, r.c.remote, b)
	s.count.in(r.c.kind)
	// The buffer may have moved since the head was seen.
	end := headEnd(b, 0)
	r.e.scan(b[:end])
	r.e.body = b[end:]
	s.dispatch(r.e, &r.c.Flow)
}
