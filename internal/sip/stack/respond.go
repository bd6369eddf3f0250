package stack

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// send sends an answer: over UDP to the source, at the port that Via says (RFC 3261 18.2.2, RFC 3581 4), otherwise on
// the connection of the request, and when that is gone to where sent-by leads.
// Those of a busy UDP listener may go together, unless somebody waits until this one has gone.
func (in *incoming) send(r rendered, together bool) {
	s, e, f := in.s, in.e, in.flow
	buf := borrow()
	*buf = appendAnswer(*buf, e, f.remote, r)
	if f.socket != nil {
		f.socket.answer(buf, answerTo(e, f.remote), together)
		return
	}
	defer giveBack(buf)
	// Twice the usual bound: requests of ours may fill the queue, answers shall pass.
	if err := f.conn.send(*buf, 2); err == nil {
		return
	}
	if !f.Closed() || f.kind.framed {
		s.count.unanswered.Add(1)
		return
	}
	answer := append([]byte(nil), *buf...)
	host, port := string(e.top.host), e.top.port
	received := netip.AddrPortFrom(f.remote.Addr(), port)
	if port == 0 {
		received = netip.AddrPortFrom(f.remote.Addr(), f.kind.port)
	}
	s.redeliver(f.kind, answer, []netip.AddrPort{received}, host, func() { s.toSentBy(f.kind, host, port, received, answer) })
}

// answerTo is the address of an answer over UDP.
func answerTo(e *envelope, source netip.AddrPort) netip.AddrPort {
	if e.top.rport != nil {
		return source
	}
	port := e.top.port
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(source.Addr(), port)
}

// redeliver sends an answer over another connection, existing or new, to who proves the name where that is secure.
func (s *Stack) redeliver(k *kind, answer []byte, to []netip.AddrPort, name string, lost func()) {
	c, err := s.connTo(k, to, name)
	if err == nil {
		err = c.submitAnswer(outbound{answer: answer, lost: lost})
	}
	if err != nil {
		s.count.unanswered.Add(1)
	}
}

// toSentBy is the last resort for an answer: where sent-by leads (RFC 3263 5), but for failed, which has been tried.
func (s *Stack) toSentBy(k *kind, host string, port uint16, failed netip.AddrPort, answer []byte) {
	undelivered := func() { s.count.unanswered.Add(1) }
	if s.seeking.Add(1) > maxSeeking {
		s.seeking.Add(-1)
		undelivered()
		return
	}
	ok := s.spawn(func() {
		defer s.seeking.Add(-1)
		ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
		defer cancel()
		to, err := s.sentBy(ctx, k, host, port)
		to = slices.DeleteFunc(to, func(a netip.AddrPort) bool { return a == failed })
		if err != nil || len(to) == 0 {
			undelivered()
			return
		}
		s.redeliver(k, answer, to, host, undelivered)
	})
	if !ok {
		s.seeking.Add(-1)
		undelivered()
	}
}

// sentBy finds the addresses of a sent-by: with a port by A and AAAA, else by SRV where Config.Locate knows about that.
func (s *Stack) sentBy(ctx context.Context, k *kind, host string, port uint16) (to []netip.AddrPort, err error) {
	_, literal := netip.ParseAddr(host)
	if port != 0 || s.cfg.Locate == nil || literal == nil || invalidHost(host) {
		if port == 0 {
			port = k.port
		}
		return s.lookup(ctx, host, port)
	}
	targets, err := s.cfg.Locate(ctx, "sip:"+host+";transport="+k.name)
	for _, t := range targets {
		if a, err := netip.ParseAddrPort(t.Addr); err == nil && t.Transport == k.name {
			to = append(to, a)
		}
	}
	return to, err
}

const (
	lookupTimeout = 5 * time.Second // of one name lookup
	maxSeeking    = 100             // name lookups for answers at one time
)

// errInvalid says that only the connection of a WebSocket client would have led to it.
var errInvalid = errors.New("the connection to the peer is gone, and its name is in the domain invalid")

// invalidHost tells names that no resolver may be asked for (RFC 7118 5.3, RFC 2606).
func invalidHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "invalid" || strings.HasSuffix(host, ".invalid")
}

// lookup turns host into addresses; a literal needs no resolver.
func (s *Stack) lookup(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), port)}, nil
	}
	if invalidHost(host) {
		return nil, errInvalid
	}
	found, err := s.cfg.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errNoAddress
	}
	to := make([]netip.AddrPort, len(found))
	for i, a := range found {
		to[i] = netip.AddrPortFrom(a.Unmap(), port)
	}
	return to, nil
}
