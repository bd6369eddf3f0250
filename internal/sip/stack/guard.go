package stack

import (
	"bytes"
	"context"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// Handler answers a request. It runs after the guard, in order of receipt for one stream connection and, over UDP,
// for one Request-URI. It must not wait for other messages of the same connection. A nil answer is sent as 500. The
// answer to ACK is not sent.
type Handler func(ctx context.Context, r *Request) *Response

// Request is a request that has passed the guard.
type Request struct {
	*sip.Request
	Flow *Flow // where it came from and where its answer goes

	uri  string
	ends *ends
	in   *incoming
}

// Defer tells the stack that the answer comes later: what the handler returns is ignored, and the function returned
// here is to be called once, from any goroutine. Until then retransmissions are absorbed, and after a while the sender is told to wait. Defer must be called before
// the handler returns, and at most once.
func (r *Request) Defer() func(*Response) {
	in := *r.in
	in.e = r.in.e.clone()
	r.in.deferred = true
	if in.flow.kind.stream {
		in.held = true
		in.s.replay.hold(in.key)
	}
	slow := time.AfterFunc(7*in.s.cfg.T1, in.trying)
	var once sync.Once
	return func(res *Response) {
		once.Do(func() {
			slow.Stop()
			in.finish(res)
		})
	}
}

// trying answers 100, when the sender's timer E has reached T2 and no sooner (RFC 4320 4.1).
func (in *incoming) trying() {
	if in.e.answerable() {
		in.send(rendered{status: appendStatus(nil, 100, "Trying"), tail: []byte("Content-Length: 0\r\n\r\n")}, false)
	}
}

// incoming is a request on its way to its answer.
type incoming struct {
	s    *Stack
	e    *envelope
	flow *Flow

	key, merged key
	met         bool // replay waits for the answer
	deferred    bool
	held        bool // deferred, over a stream
	finished    bool
}

// knownMethods are those that get 405 where nobody handles them, and not 501 (RFC 3261 8.2.1).
var knownMethods = []string{
	"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER",
	"MESSAGE", "UPDATE",
}

// dispatch takes a framed message, in the order of its flow. e lies in a buffer that is used again afterwards.
func (s *Stack) dispatch(e *envelope, f *Flow) {
	if e.status != 0 {
		s.response(e, f)
		return
	}
	in := incoming{s: s, e: e, flow: f}
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Log.Error("panic while a request was handled", "method", string(e.method), "panic", p,
				"stack", string(debug.Stack()))
			if !in.deferred && !in.finished {
				in.finish(Answer(500))
			}
		}
	}()
	h, answer := in.guard()
	if h != nil {
		answer = in.handle(h)
	}
	if in.deferred || answer == absorbed {
		return
	}
	in.finish(answer)
}

// refuse answers a message that does not even get to the guard.
func (s *Stack) refuse(e *envelope, f *Flow, answer *Response) {
	if e.status != 0 {
		return
	}
	in := incoming{s: s, e: e, flow: f}
	if answer.Status == 400 {
		answer.Reason = e.fault
	}
	in.finish(answer)
}

// absorbed says that there is nothing to be sent.
var absorbed = new(Response)

// guard checks a request in the order of RFC 3261 8.2 and 16.3. It returns the handler or the answer.
func (in *incoming) guard() (Handler, *Response) {
	s, e := in.s, in.e
	switch {
	case e.fault != "":
		s.malformed(e.fault, in.flow.kind, in.flow.remote, e.head)
		return nil, badRequest(e.fault)
	case !bytes.Equal(e.method, e.cseqMethod):
		return nil, badRequest("CSeq method differs from the request's")
	case !equalFold(e.version, "sip/2.0"):
		return nil, Answer(505)
	}
	if answer := checkRequestURI(e.uri); answer != nil {
		return nil, answer
	}
	in.key = s.keys.transaction(e, e.method)
	if s.relay.takes(in) {
		return nil, in.relay()
	}
	if string(e.method) == "ACK" && in.ackOfRefusal() {
		return nil, absorbed
	}
	h := s.handlers[string(e.method)]
	switch {
	case h != nil:
	case string(e.method) == "OPTIONS":
		h = s.answerOptions
	case string(e.method) == "CANCEL":
		return nil, s.answerCancel(e)
	default:
		return nil, s.unhandled(e.method)
	}
	if answer := in.once(); answer != nil {
		return nil, answer
	}
	return h, nil
}

func badRequest(reason string) *Response { return &Response{Status: 400, Reason: reason} }

// checkRequestURI: a sip or sips URI is checked, pres and im (RFC 3859, RFC 3860) are left to the handler.
func checkRequestURI(uri []byte) *Response {
	sch := scheme(uri)
	switch {
	case sch == nil:
		return badRequest("Malformed Request-URI: no scheme")
	case equalFold(sch, "sip"), equalFold(sch, "sips"):
		if fault := checkSIPURI(uri[len(sch)+1:]); fault != "" {
			return badRequest(fault)
		}
		return nil
	case equalFold(sch, "pres"), equalFold(sch, "im"):
		return nil
	}
	return Answer(416)
}

// unhandled refuses a method nobody handles. Methods are case-sensitive (RFC 3261 7.1).
func (s *Stack) unhandled(method []byte) *Response {
	for _, m := range knownMethods {
		if string(method) == m {
			return Answer(405, Field{"Allow", s.allow})
		}
	}
	return Answer(501, Field{"Allow", s.allow})
}

// once lets a request pass that is new: not a retransmission, and not another branch of one that has been handled.
func (in *incoming) once() *Response {
	if string(in.e.method) == "ACK" {
		return nil
	}
	return in.again(in.e.toTag == nil)
}

// again answers a retransmission, and another branch of an initial request.
func (in *incoming) again(initial bool) *Response {
	s, e := in.s, in.e
	in.merged = s.keys.merged(e)
	buf := borrow()
	defer giveBack(buf)
	what, b, kept := s.replay.meet(in.key, in.merged, !in.flow.kind.stream, initial, *buf)
	*buf = b
	switch what {
	case pending:
		s.count.replayed.Add(1)
		if v := s.invites.find(in.key); v != nil {
			v.repeat()
		}
		return absorbed
	case answered:
		s.count.replayed.Add(1)
		in.send(kept, true)
		return absorbed
	case merged:
		s.count.merged.Add(1)
		return Answer(482)
	}
	in.met = true
	return nil
}

// handle makes the request for its handler and runs that.
func (in *incoming) handle(h Handler) *Response {
	s, e := in.s, in.e
	r, fault := e.request()
	if fault != "" {
		s.malformed(fault, in.flow.kind, in.flow.remote, e.head)
		return badRequest(fault)
	}
	if e.require {
		if answer := s.checkRequire(r.Request); answer != nil {
			return answer
		}
	}
	if e.encoded && len(e.body) > 0 {
		if answer := s.inflate(r.Request); answer != nil {
			return answer
		}
	}
	r.Flow, r.in = in.flow, in
	answer := h(s.ctx, r)
	r.in = nil
	return answer
}

// checkRequire refuses extensions that are not understood (RFC 3261 8.2.2.3).
func (s *Stack) checkRequire(m *sip.Request) *Response {
	var unsupported []string
	for _, tag := range header.List(m, "Require") {
		if !containsFold(s.extensions, tag) {
			unsupported = append(unsupported, tag)
		}
	}
	if unsupported == nil {
		return nil
	}
	return Answer(420, Field{"Unsupported", strings.Join(unsupported, ", ")})
}

func containsFold(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(l, s) {
			return true
		}
	}
	return false
}

// answerOptions tells what this stack takes (RFC 3261 11.2).
func (s *Stack) answerOptions(context.Context, *Request) *Response {
	fields := []Field{{"Allow", s.allow}}
	if len(s.extensions) > 0 {
		fields = append(fields, Field{"Supported", strings.Join(s.extensions, ", ")})
	}
	fields = append(fields, Field{"Accept-Encoding", acceptEncoding})
	if s.options != nil {
		fields = append(fields, s.options()...)
	}
	return Answer(200, fields...)
}

// answerCancel: CANCEL of anything but INVITE has no effect but its own answer (RFC 3261 9.2). Over streams a
// transaction has ended before the next message is looked at, unless its answer was deferred.
func (s *Stack) answerCancel(e *envelope) *Response {
	if answer := s.cancelInvite(e); answer != nil {
		return answer
	}
	for _, m := range s.methods {
		if s.replay.known(s.keys.transaction(e, []byte(m))) {
			return Answer(200)
		}
	}
	return Answer(481)
}

// finish sends the answer, and keeps it where the request may be sent again.
func (in *incoming) finish(r *Response) {
	s, e := in.s, in.e
	in.finished = true
	if in.held {
		s.replay.release(in.key)
	}
	if r == nil || r.Status < 200 || r.Status > 699 {
		s.cfg.Log.Error("a handler gave no final answer", "method", string(e.method))
		r = Answer(500)
	}
	// Nobody answers ACK. A 408 to any request but INVITE comes too late to be of use (RFC 4320 4.2).
	silent := string(e.method) == "ACK" || r.Status == 408 && string(e.method) != "INVITE"
	if silent || !e.answerable() {
		if in.met {
			s.replay.forget(in.key, in.merged)
		}
		if !silent {
			s.count.unanswered.Add(1)
		}
		r.sent()
		return
	}
	buf := borrow()
	b := appendStatus(*buf, r.Status, r.Reason)
	statusLen := len(b)
	if r.ToTag != "" {
		b = append(b, r.ToTag...)
	} else if e.toTag == nil {
		b = s.makeTag(b, in.tagKey())
	}
	tagEnd := len(b)
	b = appendTail(b, e, r, s.cfg.Product)
	*buf = b
	whole := rendered{b[:statusLen], b[statusLen:tagEnd], b[tagEnd:]}
	switch {
	case !in.met:
	case r.Status == 401 || r.Status == 407:
		// There are clients that repeat the request with credentials under the same branch and CSeq.
		s.replay.forget(in.key, in.merged)
	case !in.flow.kind.stream:
		s.replay.keep(in.key, whole)
	}
	in.send(whole, r.Sent == nil)
	giveBack(buf)
	r.sent()
}

func (r *Response) sent() {
	if r.Sent != nil {
		r.Sent()
	}
}

// tagKey is what the To tag is made from: the same for all answers to one request, also for those given before the
// guard made a key.
func (in *incoming) tagKey() key {
	if in.key == (key{}) {
		in.key = in.s.keys.transaction(in.e, in.e.method)
	}
	return in.key
}
