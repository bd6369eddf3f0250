package stack

import (
	"bytes"
	"sync"
	"time"
)

// Invited is a received INVITE from its handler to the end of its transaction: provisional responses, the final one,
// its repetition until there is an ACK, and CANCEL (RFC 3261 9.2, 13.3.1, 17.2.1).
type Invited struct {
	in  incoming
	tag string

	mu        sync.Mutex
	last      rendered // the response to be repeated
	status    int      // of it; 0 = none yet
	acked     func(bool)
	wait      time.Duration // timer G
	began     time.Time     // of the final response
	timer     *time.Timer
	cancelled chan struct{}
	over      bool
}

// invites holds the INVITE server transactions.
type invites struct {
	mu    sync.Mutex
	table map[key]*Invited
}

func (t *invites) find(k key) *Invited {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.table[k]
}

func (t *invites) add(k key, v *Invited) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.table == nil {
		t.table = make(map[key]*Invited)
	}
	t.table[k] = v
}

func (t *invites) remove(k key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.table, k)
}

// close stops all repetitions.
func (t *invites) close() {
	t.mu.Lock()
	all := t.table
	t.table = nil
	t.mu.Unlock()
	for _, v := range all {
		v.mu.Lock()
		v.stop()
		v.mu.Unlock()
	}
}

// Invited tells the stack that the answer to an INVITE comes later, as Defer does for other requests, and answers 100.
// It must be called before the handler returns, whose answer is then ignored. To tags of all answers are tag.
func (r *Request) Invited(tag string) *Invited {
	in := *r.in
	in.e = r.in.e.clone()
	r.in.deferred = true
	v := &Invited{in: in, tag: tag, cancelled: make(chan struct{})}
	in.s.invites.add(in.key, v)
	v.in.trying()
	return v
}

// Cancelled is closed when the caller has given up; the answer is 487.
func (v *Invited) Cancelled() <-chan struct{} { return v.cancelled }

// Provisional sends a response with a status from 101 to 199; after the final one it does nothing.
func (v *Invited) Provisional(res *Response) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over || v.status >= 200 || res.Status <= 100 || res.Status > 199 {
		return
	}
	v.set(res)
	v.in.send(v.last, false)
}

// Answer sends the final response, and repeats it until it is acknowledged: a 2xx over every transport, a refusal over
// UDP (timers G and H). acked, which may be nil, is told once whether there was an ACK in 64*T1; what it is to a 2xx
// only Acked says. It is called on a goroutine of its own. Only the first answer counts: ok is false for others.
func (v *Invited) Answer(res *Response, acked func(bool)) (ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over || v.status >= 200 {
		return false
	}
	v.set(res)
	v.acked = acked
	s := v.in.s
	if !v.in.flow.kind.stream {
		s.replay.keep(v.in.key, v.last)
	}
	v.in.send(v.last, false)
	res.sent()
	v.began, v.wait = time.Now(), s.cfg.T1
	if res.Status >= 300 && v.in.flow.kind.stream {
		v.wait = 64 * s.cfg.T1 // nothing is lost on a stream
	}
	v.timer = time.AfterFunc(v.wait, v.tick)
	return true
}

// Acked tells that the ACK to a 2xx has come: the answer is repeated no more.
func (v *Invited) Acked() { v.end(true) }

// set renders a response.
func (v *Invited) set(res *Response) {
	r := rendered{status: appendStatus(nil, res.Status, res.Reason), tail: appendTail(nil, v.in.e, res, v.in.s.cfg.Product)}
	if v.in.e.toTag == nil {
		r.tag = []byte(v.tag)
	}
	v.last, v.status = r, res.Status
}

// repeat answers a retransmitted INVITE with the provisional response that was sent last.
func (v *Invited) repeat() {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.status == 0:
		v.in.trying()
	case v.status < 200:
		v.in.send(v.last, false)
	}
}

// tick is timer G, and H at the end.
func (v *Invited) tick() {
	v.mu.Lock()
	t1 := v.in.s.cfg.T1
	if v.over {
		v.mu.Unlock()
		return
	}
	if time.Since(v.began) >= 64*t1 {
		v.mu.Unlock()
		v.end(false)
		return
	}
	v.in.send(v.last, false)
	v.wait = min(2*v.wait, t2PerT1*t1)
	v.timer.Reset(v.wait)
	v.mu.Unlock()
}

// end ends the transaction.
func (v *Invited) end(acked bool) {
	v.mu.Lock()
	if v.over || v.status < 200 {
		v.mu.Unlock()
		return
	}
	v.stop()
	tell := v.acked
	v.mu.Unlock()
	v.in.s.invites.remove(v.in.key)
	if tell != nil {
		v.in.s.spawn(func() { tell(acked) })
	}
}

func (v *Invited) stop() {
	v.over = true
	if v.timer != nil {
		v.timer.Stop()
	}
}

// ackOfRefusal takes the ACK to a refusal, which belongs to the transaction of the INVITE.
func (in *incoming) ackOfRefusal() bool {
	v := in.s.invites.find(in.s.keys.transaction(in.e, []byte("INVITE")))
	if v == nil {
		return false
	}
	v.mu.Lock()
	refused := v.status >= 300
	v.mu.Unlock()
	if refused {
		v.end(true)
	}
	return refused
}

// cancelInvite takes a CANCEL of an INVITE. It has no effect on one that has its final response (RFC 3261 9.2).
func (s *Stack) cancelInvite(e *envelope) *Response {
	v := s.invites.find(s.keys.transaction(e, []byte("INVITE")))
	if v == nil || !bytes.Equal(e.callID, v.in.e.callID) {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.status < 200 {
		select {
		case <-v.cancelled:
		default:
			close(v.cancelled)
		}
	}
	return &Response{Status: 200, ToTag: v.tag}
}
