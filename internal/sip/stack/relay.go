package stack

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// Proxy takes the requests that pass through (RFC 3261 section 16). Stack.Relay sets it.
type Proxy interface {
	// Takes tells whether a request is the proxy's and not a handler's. Request of p is not there yet. It is asked
	// for every request but those to handlers that name neither a Route nor a GRUU.
	Takes(p *Passing) bool
	// Forward forwards a request or answers it. It is called as a Handler is, but nil means that there is nothing to
	// send; p is valid during the call only.
	Forward(ctx context.Context, p *Passing) *Response
}

// relay is what a stack has for a proxy.
type relay struct {
	proxy   Proxy
	reroute func(uri string) (string, Target, bool)
	flows   flowTable
}

// Relay sets the proxy. To be called before Listen.
func (s *Stack) Relay(p Proxy) { s.relay.proxy = p }

// Reroute sets what finds the way to URIs that nobody else can: GRUUs of this server, and contacts in the domain
// invalid. Requests that are sent to such a URI, and have no live flow, go to the URI and the target it gives. To be
// called before Listen.
func (s *Stack) Reroute(find func(uri string) (string, Target, bool)) { s.relay.reroute = find }

// rerouted is o, or what Reroute makes of it.
func (r *relay) rerouted(o *Outgoing) *Outgoing {
	if r.reroute == nil || o.relayed || o.Target.Flow != nil && !o.Target.Flow.Closed() ||
		!strings.Contains(o.URI, ";gr") && !strings.Contains(o.URI, ".invalid") {
		return o
	}
	uri, target, ok := r.reroute(o.URI)
	if !ok {
		return o
	}
	again := *o
	again.URI, again.Target = uri, target
	return &again
}

// takes tells whether the proxy takes a request. For the handlers' own it costs next to nothing.
func (r *relay) takes(in *incoming) bool {
	if r.proxy == nil {
		return false
	}
	e := in.e
	if len(e.routes) == 0 && in.s.handlers[string(e.method)] != nil && !bytes.Contains(e.uri, []byte(";gr")) {
		return false
	}
	return r.proxy.Takes(&Passing{in: in})
}

// relay lets the proxy have a request: a retransmission is absorbed or answered, but for INVITE and what belongs to it,
// for which there is no transaction. That two branches of one request meet here is no error (RFC 3261 16.3).
func (in *incoming) relay() *Response {
	s, e := in.s, in.e
	switch string(e.method) {
	case "INVITE":
	case "ACK":
		// To an answer that this stack made: its tag tells.
		if e.toTag != nil && bytes.Equal(e.toTag, s.makeTag(nil, s.keys.transaction(e, []byte("INVITE")))) {
			return absorbed
		}
	case "CANCEL":
		for _, m := range knownMethods { // INVITE is not among those that are remembered
			if s.replay.known(s.keys.transaction(e, []byte(m))) {
				return Answer(200)
			}
		}
	default:
		if answer := in.again(false); answer != nil {
			return answer
		}
	}
	r, fault := e.request()
	if fault != "" {
		s.malformed(fault, in.flow.kind, in.flow.remote, e.head)
		return badRequest(fault)
	}
	r.Flow, r.in = in.flow, in
	answer := s.relay.proxy.Forward(s.ctx, &Passing{Request: r, in: in})
	r.in = nil
	if answer == nil {
		return absorbed
	}
	return answer
}

// Passing is a request for somebody else, as it was received.
type Passing struct {
	*Request // parsed, for whoever has to know about the sender; Takes does not have it
	in       *incoming
}

// Name is the method, in the case in which it came.
func (p *Passing) Name() string { return string(p.in.e.method) }

// URI is the Request-URI.
func (p *Passing) URI() string { return string(p.in.e.uri) }

// From is the flow that the request came over.
func (p *Passing) From() *Flow { return p.in.flow }

// InDialog tells whether To has a tag.
func (p *Passing) InDialog() bool { return p.in.e.toTag != nil }

// Handled tells whether a handler of this stack takes the method.
func (p *Passing) Handled() bool { return p.in.s.handlers[p.Name()] != nil }

// Hops is the value of Max-Forwards; ok is false when there is none. What is more than 255 counts as that.
func (p *Passing) Hops() (n int, ok bool) {
	for name, field := range p.in.e.fields {
		if fieldOf(name) == fieldMaxForwards {
			v, isNumber := number(content(field))
			if !isNumber || v > 255 {
				v = 255
			}
			return int(v), true
		}
	}
	return 0, false
}

// Ends gives the tag of From, Call-ID, and the number in CSeq: what INVITE, its ACK and its CANCEL share.
func (p *Passing) Ends() (from, callID, number string) {
	e := p.in.e
	return string(e.fromTag), string(e.callID), strconv.FormatUint(uint64(e.cseqNumber), 10)
}

// Parties are the addresses of From and To.
func (p *Passing) Parties() (from, to string) { return party(p.in.e.from), party(p.in.e.to) }

// party is the address in From or To as it can be compared.
func party(value []byte) string {
	text := string(unfold(value))
	a, err := header.ParseAddress(text)
	if err != nil {
		return text
	}
	if u, err := header.ParseURI(a.URI); err == nil && u.Host != "" {
		return u.AOR()
	}
	return a.URI
}

// BehindNAT tells whether the sender is the first hop and says another address than the one it is seen at.
func (p *Passing) BehindNAT() bool {
	e := p.in.e
	return e.oneVia() && !sameHost(e.top.host, p.in.flow.remote.Addr().WithZone(""))
}

// Routes are the Route values in order.
func (p *Passing) Routes() []string { return values(p.in.e.routes) }

// Body is the body as received; it is valid during the call only.
func (p *Passing) Body() []byte { return p.in.e.body }

// values splits the values of list fields.
func values(lines [][]byte) (list []string) {
	for _, line := range lines {
		list = append(list, header.Elements(string(unfold(line)))...)
	}
	return list
}

// unfold makes one line of a folded value.
func unfold(v []byte) []byte {
	if bytes.IndexByte(v, '\n') < 0 {
		return v
	}
	return bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, v)
}

// fields gives every header field in order: its name, and the whole field without the line end.
func (e *envelope) fields(yield func(name, field []byte) bool) {
	_, b := e.line(e.head)
	for {
		var field []byte
		if field, b = e.unfolded(b); len(field) == 0 {
			return
		}
		field = bytes.TrimSuffix(field, lineEnd)
		colon := bytes.IndexByte(field, ':')
		if colon <= 0 {
			return
		}
		if !yield(trimSpace(field[:colon]), field) {
			return
		}
	}
}

// content is the value of a whole field, with any folding.
func content(field []byte) []byte { return trimSpace(field[bytes.IndexByte(field, ':')+1:]) }

// Rewrite says what becomes of the header fields of a request on its way; what it does not name stays byte for byte.
type Rewrite struct {
	MaxForwards  int
	MaxBreadth   int      // RFC 5393; 0 leaves the field as it is
	Routes       []string // all Route values that it has from here on
	RecordRoutes []string // go before those that it has
	// Drop tells which other fields go no further; nil: none.
	Drop func(name, value string) bool
}

// Head renders the header for an Outgoing: the received one, rewritten. The top Via says where the request came from
// (RFC 3261 18.2.1).
func (p *Passing) Head(w *Rewrite) []byte {
	e := p.in.e
	b := make([]byte, 0, len(e.head)+64*(len(w.Routes)+len(w.RecordRoutes)+1))
	b = fmt.Appendf(b, "Max-Forwards: %d\r\n", w.MaxForwards)
	if w.MaxBreadth > 0 {
		b = fmt.Appendf(b, "Max-Breadth: %d\r\n", w.MaxBreadth)
	}
	for _, v := range w.RecordRoutes {
		b = appendField(b, "Record-Route", v)
	}
	for _, v := range w.Routes {
		b = appendField(b, "Route", v)
	}
	top := true
	for name, field := range e.fields {
		switch fieldOf(name) {
		case fieldMaxForwards, fieldRoute, fieldContentLength:
			continue
		case fieldVia:
			if top {
				top = false
				b = appendTopVia(append(b, "Via: "...), &e.top, p.in.flow.remote)
				b = append(append(b, content(field)[len(e.top.raw):]...), lineEnd...)
				continue
			}
		}
		if w.MaxBreadth > 0 && equalFold(name, "max-breadth") {
			continue
		}
		if w.Drop != nil && w.Drop(string(name), string(unfold(content(field)))) {
			continue
		}
		b = append(append(b, field...), lineEnd...)
	}
	return b
}

// Marked tells whether a Via below the top one has the mark behind its branch, which a request has that came through
// here before.
func (p *Passing) Marked(mark string) bool {
	for _, line := range p.in.e.vias {
		if bytes.Contains(line, []byte("."+mark)) {
			return true
		}
	}
	return false
}

// Trusted tells whether this very datagram was let pass before: Trust was called for it. Credentials are good once, and a
// retransmission that goes on without a transaction has them twice.
func (p *Passing) Trusted() bool { return !p.in.flow.Stream() && p.in.s.replay.known(p.trust()) }

// Trust remembers a request for Trusted.
func (p *Passing) Trust() {
	if !p.in.flow.Stream() {
		p.in.s.replay.hold(p.trust())
	}
}

func (p *Passing) trust() key {
	remote, _ := p.in.flow.remote.MarshalBinary()
	return p.in.s.keys.sum(p.in.e.head, p.in.e.body, remote)
}

// Forward starts a client transaction for a request of somebody else, as Send does for one of ours; the Head of o is one
// that Passing.Head made.
func (s *Stack) Forward(o *Outgoing, done func(*Reply, error)) {
	o.relayed = true
	s.Send(o, func(res *sip.Response, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(uncarry(res), nil)
	})
}

// Reply is the final response to a request that was forwarded, as it was received.
type Reply struct {
	Status int
	e      envelope
}

// carry takes the bytes of a response through the transaction.
func carry(e *envelope) *sip.Response {
	res := sip.NewResponse(e.status, "")
	res.SetBody(bytes.Clone(e.message()))
	return res
}

func uncarry(res *sip.Response) *Reply {
	b := res.Body()
	end := headEnd(b, 0)
	r := &Reply{Status: res.StatusCode}
	r.e.scan(b[:end])
	r.e.body = b[end:]
	return r
}

// Challenges gives the fields of a 401 or 407 that ask for credentials.
func (r *Reply) Challenges() (list []Field) {
	for name, field := range r.e.fields {
		if isChallenge(name) {
			list = append(list, Field{string(name), string(unfold(content(field)))})
		}
	}
	return list
}

func isChallenge(name []byte) bool {
	return equalFold(name, "www-authenticate") || equalFold(name, "proxy-authenticate")
}

// Response is the reply as the answer to the request that was forwarded: its own fields but for those that the answer
// echoes, byte for byte, and then more.
func (r *Reply) Response(more ...Field) *Response {
	e := &r.e
	res := &Response{Status: r.Status, ToTag: string(e.toTag), Body: e.body, passed: []byte{}}
	if _, rest, ok := bytes.Cut(e.start, []byte(" ")); ok {
		_, reason, _ := bytes.Cut(rest, []byte(" "))
		res.Reason = string(reason)
	}
	for name, field := range e.fields {
		switch fieldOf(name) {
		case fieldVia, fieldFrom, fieldTo, fieldCallID, fieldCSeq, fieldContentLength:
		default:
			res.passed = append(append(res.passed, field...), lineEnd...)
		}
	}
	for _, f := range more {
		res.passed = appendField(res.passed, f.Name, f.Value)
	}
	return res
}
