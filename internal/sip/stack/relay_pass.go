package stack

import (
	"context"
	"errors"
	"net/netip"
	"slices"
)

// errNotPassed says why a request could not go on.
var errNotPassed = errors.New("the flow is closed and there is no address")

// Pass sends a request on without a transaction (RFC 3261 16.11). Its branch is made of what does not change when the
// request comes again, and tells where answers go. What cannot be sent at once goes to failed, which may be nil.
func (s *Stack) Pass(p *Passing, o *Outgoing, failed func(error)) error {
	again := *o
	again.relayed, again.branch = true, s.passBranch(p.in)
	return s.pass(&again, failed)
}

// pass sends a request without a transaction.
func (s *Stack) pass(o *Outgoing, failed func(error)) error {
	if failed == nil {
		failed = func(error) {}
	}
	t := &o.Target
	if t.Flow != nil && !t.Flow.Closed() {
		return s.passOver(o, t.Flow)
	}
	if s.unlocated(t) {
		return s.passLocated(o, failed)
	}
	return s.passResolved(o, failed)
}

func (s *Stack) passResolved(o *Outgoing, failed func(error)) error {
	if o.Target.Addr == "" {
		return errNotPassed
	}
	return s.resolved(&o.Target, func(to []netip.AddrPort, name string) error { return s.passTo(o, to, name, failed) }, failed)
}

// passLocated sends to the first target that Config.Locate gives: without a transaction nobody knows whether it is there.
func (s *Stack) passLocated(o *Outgoing, failed func(error)) error {
	if s.locating.Add(1) > maxLocating {
		s.locating.Add(-1)
		return errPending
	}
	ok := s.spawn(func() {
		ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
		targets, err := s.cfg.Locate(ctx, nextHop(o))
		cancel()
		s.locating.Add(-1)
		if err == nil && len(targets) == 0 {
			err = errNowhere
		}
		if err == nil {
			o.Target = targets[0]
			err = s.passResolved(o, failed)
		}
		if err != nil {
			failed(err)
		}
	})
	if !ok {
		s.locating.Add(-1)
		return ErrClosed
	}
	return nil
}

// passOver sends over a flow.
func (s *Stack) passOver(o *Outgoing, f *Flow) error {
	b := s.appendRequest(nil, o, branch{}, f)
	if f.conn != nil {
		return f.conn.send(b, 2)
	}
	if len(b) > maxDatagram {
		return errTooLarge
	}
	return f.socket.write(b, f.remote)
}

// passTo sends to an address.
func (s *Stack) passTo(o *Outgoing, to []netip.AddrPort, name string, failed func(error)) error {
	k, err := s.kindOf(o.Target.Transport)
	if err != nil {
		return err
	}
	if !k.stream {
		for _, a := range to {
			if u := s.socketFor(a.Addr()); u != nil {
				return s.passOver(o, &Flow{kind: k, local: u.local, remote: a, socket: u})
			}
		}
		if o.Target.Transport != "" {
			return errNoSocket
		}
		k = s.kinds["tcp"]
	}
	c, err := s.connTo(k, to, name)
	if err != nil {
		return err
	}
	return c.submitAnswer(outbound{answer: s.appendRequest(nil, o, branch{}, &c.Flow), lost: func() { failed(errEnded) }})
}

// appendBranch writes the branch of a request.
func (o *Outgoing) appendBranch(b []byte, id branch) []byte {
	if o.branch != "" {
		b = append(b, o.branch...)
	} else {
		b = id.append(b)
	}
	if o.Loop != "" {
		b = append(append(b, '.'), o.Loop...)
	}
	return b
}

// passBack passes a response on that belongs to a request passed on without a transaction: the top Via is ours and goes
// (RFC 3261 16.11).
func (s *Stack) passBack(e *envelope) bool {
	f, ours := s.passedFrom(e.top.branch)
	if !ours {
		return false
	}
	b, next := e.popVia()
	if f == nil || e.fault != "" || next == nil {
		s.count.stray.Add(1)
		return true
	}
	if f.conn != nil {
		if f.conn.send(b, 2) != nil {
			s.count.unanswered.Add(1)
		}
		return true
	}
	below := envelope{top: *next}
	if f.socket.write(b, answerTo(&below, f.remote)) != nil {
		s.count.unanswered.Add(1)
	}
	return true
}

// popVia renders a message without its first Via value, and reads the next.
func (e *envelope) popVia() (msg []byte, next *via) {
	lines := slices.Clone(e.vias)
	if rest := lines[0][len(e.top.raw):]; len(rest) > 0 {
		lines[0] = trimSpace(trimSpace(rest)[1:])
	} else {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return nil, nil
	}
	v, _, ok := parseVia(lines[0])
	if !ok {
		return nil, nil
	}
	msg = append(append(make([]byte, 0, len(e.head)+len(e.body)), e.start...), lineEnd...)
	first := true
	for name, field := range e.fields {
		if fieldOf(name) == fieldVia && first {
			first = false
			if len(lines) == len(e.vias) {
				msg = append(append(append(msg, "Via: "...), lines[0]...), lineEnd...)
			}
			continue
		}
		msg = append(append(msg, field...), lineEnd...)
	}
	return append(append(msg, lineEnd...), e.body...), &v
}
