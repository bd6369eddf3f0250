package stack

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

// ringLimit bounds how long an INVITE that got a provisional response waits for its final one. Who invites usually
// gives up sooner, with Cancel.
const ringLimit = time.Hour

// Invitation is an INVITE on its way: its client transaction (RFC 3261 17.1.1, RFC 6026), or one after the other where
// Config.Locate gives several targets.
type Invitation struct {
	s     *Stack
	heard func(*sip.Response, error)

	mu        sync.Mutex
	tx        *clientTx // of the target being tried
	o         *Outgoing // as sent to it
	cancelled bool      // CANCEL has been asked for
	told      bool      // and was sent
	ack       []byte    // of the final response, when that is a refusal
}

// Invite starts an INVITE client transaction and returns at once. heard is called on a goroutine of the stack, and must
// not block: with each provisional response, and then with the final one, or with an error as in Send. It is called
// again for each further 2xx in the next 64*T1, retransmitted or of another branch: every one wants its ACK from the
// caller (RFC 3261 13.2.2.4). Refusals are acknowledged here.
func (s *Stack) Invite(o *Outgoing, heard func(*sip.Response, error)) *Invitation {
	inv := &Invitation{s: s, heard: heard}
	again := *o
	again.invite = inv
	if s.unlocated(&again.Target) {
		s.locate(&again, heard)
	} else {
		s.begin(&again, heard)
	}
	return inv
}

// Ack sends the ACK to a 2xx (RFC 3261 13.2.2.4), which has no transaction. What cannot be sent at once goes to
// failed, which may be nil.
func (s *Stack) Ack(o *Outgoing, failed func(error)) error {
	again := *o
	if isSIPS(again.URI) {
		secure, err := s.secured(&again)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrTransport, err)
		}
		again = *secure
	}
	again.branch = string(newBranch().append(nil))
	return s.pass(&again, failed)
}

// Cancel asks the peer to give up an INVITE that it has not answered yet (RFC 3261 9.1). CANCEL goes as soon as there
// is a provisional response; then heard gets a 487, or after all a 2xx, or after 64*T1 nothing but ErrTimeout.
func (inv *Invitation) Cancel() {
	inv.mu.Lock()
	inv.cancelled = true
	inv.mu.Unlock()
	inv.cancel()
}

// began notes the transaction for another target.
func (inv *Invitation) began(tx *clientTx, o *Outgoing) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.tx, inv.o, inv.told = tx, o, false
}

// cancel sends CANCEL when that is wanted and possible.
func (inv *Invitation) cancel() {
	inv.mu.Lock()
	tx, o := inv.tx, inv.o
	if !inv.cancelled || inv.told || tx == nil {
		inv.mu.Unlock()
		return
	}
	c := inv.s.client
	c.mu.Lock()
	ringing, conn := tx.state == proceeding, tx.conn
	if ringing {
		tx.end = c.now() + 64*c.t1
		c.schedule(tx, tx.end)
	}
	c.mu.Unlock()
	inv.told = ringing
	inv.mu.Unlock()
	if !ringing {
		return
	}
	out := &Outgoing{Method: "CANCEL", URI: o.URI, Head: derivedHead(o.Head, "CANCEL", nil), Target: o.Target,
		branch: string(tx.branch.append(nil)), Loop: o.Loop}
	cancel := &clientTx{o: out, done: func(*sip.Response, error) {}, branch: tx.branch.ofCancel(), socket: tx.socket, to: tx.to}
	s := inv.s
	if s.client.add(cancel) != nil {
		return
	}
	var err error
	if conn != nil {
		err = conn.submit(cancel, out)
	} else {
		err = s.overUDP(cancel, out)
	}
	if err != nil {
		s.spawn(func() { s.fail(cancel, err) })
	}
}

// ofCancel is what the transaction of a CANCEL is found by: on the wire it has the branch of what it cancels.
func (b branch) ofCancel() branch {
	b[0] ^= 0xff
	return b
}

// derivedHead is the header of an ACK to a refusal, or of a CANCEL, which repeat what they belong to (RFC 3261 9.1,
// 17.1.1.3). to is another value of To, nil = the same.
func derivedHead(head []byte, method string, to []byte) []byte {
	b := make([]byte, 0, len(head)+len(to))
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, lineEnd)
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			continue
		}
		switch fieldOf(trimSpace(line[:colon])) {
		case fieldTo:
			if to != nil {
				line = append([]byte("To: "), to...)
			}
		case fieldCSeq:
			number, _, _ := bytes.Cut(trimSpace(line[colon+1:]), []byte(" "))
			line = fmt.Appendf(nil, "CSeq: %s %s", number, method)
		case fieldFrom, fieldCallID, fieldRoute, fieldMaxForwards:
		default:
			continue
		}
		b = append(append(b, line...), lineEnd...)
	}
	return b
}

// rang takes a provisional response; clients.mu is held. Timers A and B end.
func (c *clients) rang(tx *clientTx) {
	if tx.state == trying {
		tx.end = c.now() + ringLimit
		c.schedule(tx, tx.end)
	}
	tx.state = proceeding
}

// responded takes a response to an INVITE of ours, over f.
func (s *Stack) responded(tx *clientTx, e *envelope) {
	inv := tx.invite
	if e.status < 200 {
		inv.heard(e.response(), nil)
		inv.cancel()
		return
	}
	c := s.client
	c.mu.Lock()
	first, conn, o := tx.state <= proceeding, tx.conn, tx.o
	var out *outcome
	if first {
		var linger time.Duration
		if e.status < 300 || conn == nil {
			linger = 64 * c.t1 // timers M and D
		}
		out = c.conclude(tx, linger)
	}
	c.mu.Unlock()
	if e.status >= 300 {
		s.acknowledge(tx, e, conn, o)
	}
	switch {
	case first:
		c.report(out, e.response(), nil)
	case e.status < 300:
		inv.heard(e.response(), nil)
	}
}

// acknowledge sends the ACK to a refusal the way the INVITE went, for the first time or again (RFC 3261 17.1.1.3).
func (s *Stack) acknowledge(tx *clientTx, e *envelope, conn *conn, o *Outgoing) {
	inv := tx.invite
	f := tx.udpFlow()
	if conn != nil {
		f = &conn.Flow
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if o != nil && f != nil {
		ack := &Outgoing{Method: "ACK", URI: o.URI, Head: derivedHead(o.Head, "ACK", unfold(e.to)), Loop: o.Loop}
		inv.ack = s.appendRequest(nil, ack, tx.branch, f)
	}
	switch {
	case inv.ack == nil || f == nil:
	case conn != nil:
		_ = conn.send(inv.ack, 2)
	default:
		_ = f.socket.write(inv.ack, f.remote)
	}
}

// udpFlow is flow, nil when the request did not go over UDP.
func (tx *clientTx) udpFlow() *Flow {
	if tx.socket == nil {
		return nil
	}
	return tx.flow()
}
