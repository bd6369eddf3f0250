package event

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Authenticator answers a challenge: res is a 401 or 407 to o. It returns o
// with credentials added, or why it has none to try, which becomes the Cause of
// the ResponseError. o itself must not be changed, and the CSeq of what is
// returned is raised by the caller. It may take its time, as somebody who types
// a password does.
type Authenticator func(res *sip.Response, o *stack.Outgoing) (retry *stack.Outgoing, err error)

// maxChallenges bounds the tries with credentials for one request: a proxy and
// the server may challenge, each with a stale nonce once.
const maxChallenges = 4

// reaction is what comes of a response: the request to send again with
// credentials, or why a challenge is not answered. Both are nil for a response
// that is no challenge.
type reaction struct {
	retry *stack.Outgoing
	cause error
}

// asked tells whether res is a challenge that a has to look at.
func (a Authenticator) asked(res *sip.Response) bool {
	return a != nil && res != nil && (res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired)
}

// react looks at the final response to o.
func (a Authenticator) react(res *sip.Response, o *stack.Outgoing) reaction {
	if !a.asked(res) {
		return reaction{}
	}
	retry, err := a(res, o)
	if err != nil {
		return reaction{cause: err}
	}
	return reaction{retry: retry}
}

// Route says how requests outside dialogs reach their target.
type Route struct {
	// Hop is where they are sent; the zero value takes the first of Route, or
	// else the Request-URI.
	Hop stack.Target
	// Set is the preset route set: values of Route, each of a loose router.
	Set []string
}

// hop is where a request for uri is sent.
func (r Route) hop(uri string) (stack.Target, error) {
	if r.Hop != (stack.Target{}) {
		return r.Hop, nil
	}
	if len(r.Set) > 0 {
		first, err := header.ParseAddress(r.Set[0])
		if err != nil {
			return stack.Target{}, fmt.Errorf("route %q: %w", r.Set[0], err)
		}
		uri = first.URI
	}
	return dialog.Hop(uri), nil
}

// outside is a chain of requests outside dialogs (RFC 3261 section 8.1): equal
// To, From, tag and Call-ID, growing CSeq.
type outside struct {
	method string
	uri    string
	callID string
	tag    string
	head   []byte // rendered fields that all share
	hop    stack.Target
	seq    uint32
}

// newOutside begins a chain to uri, which is the Request-URI and the URI of To.
func newOutside(method, uri string, from header.Address, route Route) (*outside, error) {
	if _, err := header.ParseURI(uri); err != nil {
		return nil, fmt.Errorf("target %q: %w", uri, err)
	}
	if _, err := header.ParseURI(from.URI); err != nil {
		return nil, fmt.Errorf("identity %q: %w", from.URI, err)
	}
	for _, r := range route.Set {
		if _, err := header.ParseAddress(r); err != nil {
			return nil, fmt.Errorf("route %q: %w", r, err)
		}
	}
	hop, err := route.hop(uri)
	if err != nil {
		return nil, err
	}
	c := &outside{method: method, uri: uri, callID: stack.NewCallID(), tag: stack.NewTag(), hop: hop}
	from.Params = header.Params{{Name: "tag", Value: c.tag}}
	b := []byte("Max-Forwards: 70\r\n")
	for _, r := range route.Set {
		b = append(append(append(b, "Route: "...), r...), "\r\n"...)
	}
	b = append(from.AppendTo(append(b, "From: "...)), "\r\nTo: <"...)
	b = append(append(b, uri...), ">\r\nCall-ID: "...)
	c.head = append(append(b, c.callID...), "\r\n"...)
	return c, nil
}

// request renders the next request of the chain. fields are rendered header
// fields, each with its line end.
func (c *outside) request(fields, body []byte) *stack.Outgoing {
	c.seq++
	b := make([]byte, 0, len(c.head)+len(fields)+32)
	b = strconv.AppendUint(append(append(b, c.head...), "CSeq: "...), uint64(c.seq), 10)
	b = append(append(append(b, ' '), c.method...), "\r\n"...)
	return &stack.Outgoing{Method: c.method, URI: c.uri, Head: append(b, fields...), Body: body, Target: c.hop}
}

// repeat is o as the next request of the chain.
func (c *outside) repeat(o *stack.Outgoing) *stack.Outgoing {
	c.seq++
	return Renumber(o, c.seq)
}

// Renumber is o with another CSeq number.
func Renumber(o *stack.Outgoing, seq uint32) *stack.Outgoing {
	again := *o
	before, rest, _ := bytes.Cut(o.Head, []byte("\r\nCSeq: "))
	_, after, _ := bytes.Cut(rest, []byte("\r\n"))
	again.Head = fmt.Appendf(nil, "%s\r\nCSeq: %d %s\r\n%s", before, seq, o.Method, after)
	return &again
}

// appendField appends a header field with its line end.
func appendField(b []byte, name, value string) []byte {
	return append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
}

// appendExpires appends Expires, unless d is noExpires.
func appendExpires(b []byte, d time.Duration) []byte {
	if d == noExpires {
		return b
	}
	return appendField(b, "Expires", strconv.FormatInt(seconds(d), 10))
}

// noExpires is the duration that is not told: the other side chooses.
const noExpires time.Duration = -1

// renderFields renders fields that a caller of this package has chosen, and
// refuses those that would break the message.
func renderFields(fields []stack.Field) ([]byte, error) {
	var b []byte
	for _, f := range fields {
		if !header.IsToken(f.Name) || strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("header field %q: the name must be a token and the value one line", f.Name)
		}
		b = appendField(b, f.Name, f.Value)
	}
	return b, nil
}

// renderEvent renders the Event field.
func renderEvent(e header.Event) ([]byte, error) {
	v := e.String()
	if _, err := header.ParseEvent(v); err != nil {
		return nil, err
	}
	return appendField(nil, "Event", v), nil
}

// grantedExpires is the Expires of a 2xx, which is never longer than what was
// asked for; without a legible one it is what was asked for, or usual when
// that was not told.
func grantedExpires(res *sip.Response, asked, usual time.Duration) time.Duration {
	if asked != noExpires {
		usual = asked
	}
	v, ok, err := header.Single(res, "Expires")
	if err != nil || !ok {
		return usual
	}
	s, err := header.ParseExpires(v)
	if err != nil {
		return usual
	}
	d := time.Duration(s) * time.Second
	if asked != noExpires {
		return min(d, asked)
	}
	return d
}

// raisedExpires is the Min-Expires of a 423, when that is more than asked.
func raisedExpires(res *sip.Response, asked time.Duration) (time.Duration, bool) {
	v, _, err := header.Single(res, "Min-Expires")
	if err != nil || res.StatusCode != sip.StatusIntervalToBrief {
		return 0, false
	}
	s, err := header.ParseMinExpires(v)
	d := time.Duration(s) * time.Second
	return d, err == nil && d > asked
}

// refreshLead is how long before the end of duration d it is refreshed: a tenth of
// it, and where there is room for that at least as long as a transaction may
// take; half of a short one.
func refreshLead(d, transaction time.Duration) time.Duration {
	return max(d/10, min(transaction, d/2))
}

// transactionTime is 64*T1: timer F of RFC 3261 and timer N of RFC 6665.
func transactionTime(t1 time.Duration) time.Duration {
	if t1 == 0 {
		t1 = 500 * time.Millisecond
	}
	return 64 * t1
}
