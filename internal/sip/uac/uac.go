// Package uac implements the user agent client of RFC 3261 section 8.1 for requests outside dialogs: it numbers and
// renders them, answers challenges (section 22), and tells what refused them.
package uac

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

// Wire is what requests are sent through: non-INVITE client transactions.
// done is called once, with a final response or an error.
type Wire interface {
	Send(o *stack.Outgoing, done func(*sip.Response, error))
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

// Chain is a series of requests outside dialogs (RFC 3261 section 8.1) with
// equal To, From, tag and Call-ID, and growing CSeq. Its owner serialises all
// calls.
type Chain struct {
	CallID string
	Tag    string // of From
	Hop    stack.Target
	Seq    uint32 // CSeq of the last request

	method string
	uri    string
	head   []byte // rendered fields that all share
}

// ChainConfig says what the requests of a chain have in common.
type ChainConfig struct {
	Method string
	URI    string         // Request-URI
	To     string         // URI; "" = that of the request
	From   header.Address // URI and display name; its parameters are not used
	Route  Route
	CallID string // "" = a new one
}

// NewChain begins a chain. The error is that of a config that makes no
// well-formed request.
func NewChain(cfg ChainConfig) (*Chain, error) {
	if cfg.To == "" {
		cfg.To = cfg.URI
	}
	for _, uri := range []string{cfg.URI, cfg.To} {
		if _, err := header.ParseURI(uri); err != nil {
			return nil, fmt.Errorf("target %q: %w", uri, err)
		}
	}
	if _, err := header.ParseURI(cfg.From.URI); err != nil {
		return nil, fmt.Errorf("identity %q: %w", cfg.From.URI, err)
	}
	for _, r := range cfg.Route.Set {
		if _, err := header.ParseAddress(r); err != nil {
			return nil, fmt.Errorf("route %q: %w", r, err)
		}
	}
	hop, err := cfg.Route.hop(cfg.URI)
	if err != nil {
		return nil, err
	}
	if cfg.CallID == "" {
		cfg.CallID = stack.NewCallID()
	}
	c := &Chain{method: cfg.Method, uri: cfg.URI, CallID: cfg.CallID, Tag: stack.NewTag(), Hop: hop}
	cfg.From.Params = header.Params{{Name: "tag", Value: c.Tag}}
	b := []byte("Max-Forwards: 70\r\n")
	for _, r := range cfg.Route.Set {
		b = AppendField(b, "Route", r)
	}
	b = append(cfg.From.AppendTo(append(b, "From: "...)), "\r\nTo: <"...)
	b = append(append(b, cfg.To...), ">\r\nCall-ID: "...)
	c.head = append(append(b, c.CallID...), "\r\n"...)
	return c, nil
}

// Request renders the next request of the chain. fields are rendered header
// fields, each with its line end.
func (c *Chain) Request(fields, body []byte) *stack.Outgoing {
	c.Seq++
	b := make([]byte, 0, len(c.head)+len(fields)+32)
	b = strconv.AppendUint(append(append(b, c.head...), "CSeq: "...), uint64(c.Seq), 10)
	b = append(append(append(b, ' '), c.method...), "\r\n"...)
	return &stack.Outgoing{Method: c.method, URI: c.uri, Head: append(b, fields...), Body: body, Target: c.Hop}
}

// Repeat is o as the next request of the chain.
func (c *Chain) Repeat(o *stack.Outgoing) *stack.Outgoing {
	c.Seq++
	return Renumber(o, c.Seq)
}

// Exchange sends o, a request of the chain, and waits for its final response;
// it answers challenges on the way. cause is why it did not answer the last
// one. err is one of the stack.
func (c *Chain) Exchange(w Wire, auth Authenticator, o *stack.Outgoing) (res *sip.Response, cause, err error) {
	type result struct {
		res *sip.Response
		err error
	}
	done := make(chan result, 1)
	for tries := 0; ; tries++ {
		w.Send(o, func(res *sip.Response, err error) { done <- result{res, err} })
		r := <-done
		if r.err != nil {
			return nil, nil, r.err
		}
		re := auth.React(r.res, o)
		if re.Retry == nil || tries == MaxChallenges {
			return r.res, re.Cause, nil
		}
		o = c.Repeat(re.Retry)
	}
}

// Renumber is o with another CSeq number.
func Renumber(o *stack.Outgoing, seq uint32) *stack.Outgoing {
	again := *o
	before, rest, _ := bytes.Cut(o.Head, []byte("\r\nCSeq: "))
	_, after, _ := bytes.Cut(rest, []byte("\r\n"))
	again.Head = fmt.Appendf(nil, "%s\r\nCSeq: %d %s\r\n%s", before, seq, o.Method, after)
	return &again
}

// AppendField appends a header field with its line end.
func AppendField(b []byte, name, value string) []byte {
	return append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
}

// RenderFields renders fields that came from outside, and refuses those that
// would break the message.
func RenderFields(fields []stack.Field) ([]byte, error) {
	var b []byte
	for _, f := range fields {
		if !header.IsToken(f.Name) || strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("header field %q: the name must be a token and the value one line", f.Name)
		}
		b = AppendField(b, f.Name, f.Value)
	}
	return b, nil
}

// Raised is the Min-Expires of a 423, when that is more than asked.
func Raised(res *sip.Response, asked time.Duration) (time.Duration, bool) {
	v, _, err := header.Single(res, "Min-Expires")
	if err != nil || res.StatusCode != sip.StatusIntervalToBrief {
		return 0, false
	}
	s, err := header.ParseMinExpires(v)
	d := time.Duration(s) * time.Second
	return d, err == nil && d > asked
}

// RefreshLead is how long before its end what lasts d is refreshed: a tenth of
// it, and where there is room for that at least as long as a transaction may
// take; half of a short one.
func RefreshLead(d, transaction time.Duration) time.Duration {
	return max(d/10, min(transaction, d/2))
}

// TransactionTime is 64*T1, the longest that a transaction lasts: timer F of
// RFC 3261 and timer N of RFC 6665. T1 0 is 500 ms.
func TransactionTime(t1 time.Duration) time.Duration {
	if t1 == 0 {
		t1 = 500 * time.Millisecond
	}
	return 64 * t1
}
