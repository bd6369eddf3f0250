// Package dialog keeps one side of a SIP dialog (RFC 3261 section 12): its
// identifiers, sequence numbers, route set and remote target, and renders the
// requests sent within it. It knows nothing of what a dialog is used for.
package dialog

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Dialog is one side of a dialog. Its owner serialises all calls. What
// requests repeat is kept rendered, so that sending one parses nothing.
type Dialog struct {
	ends   string  // rendered From, To and Call-ID
	target string  // remote target URI
	routes *routes // nil: there are none, as mostly

	// Where requests go.
	flow      *stack.Flow
	addr      string
	transport string

	localTag, remoteTag, callID part   // of ends
	local                       uint32 // CSeq of the last request sent
	remote                      uint32 // CSeq of the last request accepted
	named                       bool   // addr was only read from the URI of the next hop
}

// routes is a route set.
type routes struct {
	fields string // rendered Route fields, without the target that ends those of a strict router
	strict string // URI of the first route when it is a strict router (RFC 3261 section 12.2.1.1)
}

// part is a part of a string, which costs less to keep than a string of its
// own.
type part struct{ at, end uint32 }

func (p part) of(s string) string { return s[p.at:p.end] }

// Kept gives s as a part of what the dialog keeps anyway, where it stands there.
func (d *Dialog) Kept(s string) string {
	if at := strings.Index(d.ends, s); at >= 0 {
		return d.ends[at : at+len(s)]
	}
	return s
}

// CallID is the value of Call-ID.
func (d *Dialog) CallID() string { return d.callID.of(d.ends) }

// LocalTag is the tag of this side.
func (d *Dialog) LocalTag() string { return d.localTag.of(d.ends) }

// RemoteTag is that of the other side, "" when it has none.
func (d *Dialog) RemoteTag() string { return d.remoteTag.of(d.ends) }

// ErrOutOfOrder is returned by Accept for a request whose CSeq is not higher
// than that of one seen before; the answer is 500 (RFC 3261 section 12.2.2).
var ErrOutOfOrder = errors.New("CSeq is not higher than that of an earlier request of this dialog")

// FromRequest makes the dialog that request r forms at the side that received
// it: the notifier for a SUBSCRIBE (RFC 3261 section 12.1.1) and the subscriber
// for the first NOTIFY, which is what creates the usage there (RFC 6665 section
// 4.4.1). localTag is the tag of the receiving side; localSeq the CSeq number
// that this side has used already.
func FromRequest(r *stack.Request, localTag string, localSeq uint32) (*Dialog, error) {
	from, err := single(r, "From")
	if err != nil {
		return nil, err
	}
	to, err := single(r, "To")
	if err != nil {
		return nil, err
	}
	d := &Dialog{local: localSeq, remote: r.CSeq().SeqNo}
	d.setEnds(to.URI, localTag, from.URI, from.Tag(), r.CallID().Value())
	if err := d.setRoutes(header.List(r.Request, "Record-Route")); err != nil {
		return nil, err
	}
	if err := d.setTarget(header.List(r.Request, "Contact")); err != nil {
		return nil, err
	}
	d.setFlow(r)
	return d, nil
}

// Internal is a dialog without another side: one with a local tag that nothing
// is sent in.
func Internal(localTag string) *Dialog {
	d := &Dialog{}
	d.setEnds("", localTag, "", "", "")
	return d
}

func single(r *stack.Request, name string) (header.Address, error) {
	v, ok, err := header.Single(r.Request, name)
	if err != nil {
		return header.Address{}, err
	}
	if !ok {
		return header.Address{}, fmt.Errorf("%s is missing", name)
	}
	return header.ParseAddress(v)
}

// setEnds renders From, To and Call-ID as seen from the local end. Display
// names and other parameters are left out: only URI and tag count (RFC 3261
// section 12.2.1.1), and every byte here is kept per dialog.
func (d *Dialog) setEnds(local, localTag, remote, remoteTag, callID string) {
	var b strings.Builder
	b.Grow(len("From: <>;tag=\r\nTo: <>;tag=\r\nCall-ID: \r\n") + len(local) + len(localTag) + len(remote) + len(remoteTag) + len(callID))
	write := func(s string) part {
		at := uint32(b.Len())
		b.WriteString(s)
		return part{at, uint32(b.Len())}
	}
	write("From: <")
	write(local)
	write(">;tag=")
	d.localTag = write(localTag)
	write("\r\nTo: <")
	write(remote)
	write(">")
	if remoteTag != "" {
		write(";tag=")
		d.remoteTag = write(remoteTag)
	}
	write("\r\nCall-ID: ")
	d.callID = write(callID)
	write("\r\n")
	d.ends = b.String()
}

// setHop takes the way to the next hop.
func (d *Dialog) setHop(t stack.Target) {
	d.addr, d.transport, d.named = t.Addr, t.Transport, t.URI != ""
	if at := strings.Index(d.target, d.addr); at >= 0 {
		d.addr = d.target[at : at+len(d.addr)] // which mostly names it, so that it need not be kept twice
	}
}

// hop is the way to the next hop.
func (d *Dialog) hop() stack.Target {
	t := stack.Target{Flow: d.flow, Addr: d.addr, Transport: d.transport}
	switch {
	case !d.named:
	case d.routes != nil && d.routes.strict != "":
		t.URI = d.routes.strict
	case d.routes != nil:
		first, _, _ := strings.Cut(strings.TrimPrefix(d.routes.fields, "Route: "), "\r\n")
		if a, err := header.ParseAddress(first); err == nil {
			t.URI = a.URI
		}
	default:
		t.URI = d.target
	}
	return t
}

// setRoutes takes the Record-Route list in the order of the request, which is
// the order in which the receiving side uses it. It stays for the life of the
// dialog.
func (d *Dialog) setRoutes(list []string) error {
	if len(list) == 0 {
		return nil
	}
	var (
		r routes
		b strings.Builder
	)
	for i, route := range list {
		a, err := header.ParseAddress(route)
		if err != nil {
			return fmt.Errorf("reading Record-Route: %w", err)
		}
		u, err := header.ParseURI(a.URI)
		if err != nil {
			return fmt.Errorf("reading Record-Route: %w", err)
		}
		if i == 0 {
			d.setHop(hop(u, requestURI(u, a.URI)))
			if !u.Params.Has("lr") {
				r.strict = strings.Clone(requestURI(u, a.URI))
				continue
			}
		}
		b.WriteString("Route: " + route + "\r\n")
	}
	r.fields = b.String()
	d.routes = &r
	return nil
}

// setTarget takes the remote target from the Contact list of a target-refresh
// request or of the answer to one.
func (d *Dialog) setTarget(contacts []string) error {
	if len(contacts) != 1 {
		return fmt.Errorf("one Contact is needed, found %d", len(contacts))
	}
	c, err := header.ParseAddress(contacts[0])
	if err != nil {
		return fmt.Errorf("reading Contact: %w", err)
	}
	u, err := header.ParseURI(c.URI)
	if err != nil {
		return fmt.Errorf("reading Contact: %w", err)
	}
	if u.Scheme != "sip" && u.Scheme != "sips" {
		return fmt.Errorf("a sip or sips URI is needed in Contact, found %q", u.Scheme)
	}
	target := requestURI(u, c.URI)
	if target == d.target {
		return nil // and so is the way there
	}
	d.target = strings.Clone(target)
	if !d.routed() {
		d.setHop(hop(u, d.target))
	}
	return nil
}

// setFlow takes the connection that a request came over for those that go
// back, when what is at its other end is the next hop: the peer himself, or the
// proxy that he is reached by. A datagram leaves no connection; where it came
// from counts when the target names no host.
func (d *Dialog) setFlow(r *stack.Request) {
	d.flow = nil
	if r.Flow == nil || !d.routed() && len(header.List(r.Request, "Via")) != 1 {
		return
	}
	switch {
	case r.Flow.Stream():
		d.flow = r.Flow
	case !d.routed() && hostless(d.target):
		d.setHop(stack.Target{Addr: r.Flow.Remote().String(), Transport: r.Flow.Transport()})
	}
}

// hostless tells a target whose host is not where its user agent is: a GRUU
// (RFC 5627) names a domain, and what is in the domain invalid nothing.
func hostless(target string) bool {
	if !strings.Contains(target, ";gr") && !strings.Contains(target, ".invalid") {
		return false // which nearly all are
	}
	u, err := header.ParseURI(target)
	return err == nil && (u.Params.Has("gr") || strings.HasSuffix(strings.ToLower(u.Host), ".invalid"))
}

func (d *Dialog) routed() bool { return d.routes != nil }

// Accept checks a request received within the dialog: its CSeq must be higher
// than the last one (ErrOutOfOrder otherwise), and the Contact of a
// target-refresh request becomes the new remote target (RFC 3261 section
// 12.2.2). A request without Contact leaves the target as it is. After an error
// nothing has changed.
func (d *Dialog) Accept(r *stack.Request) error {
	seq := r.CSeq().SeqNo
	if seq <= d.remote {
		return ErrOutOfOrder
	}
	contacts := header.List(r.Request, "Contact")
	if contacts != nil {
		if err := d.setTarget(contacts); err != nil {
			return err
		}
	}
	if contacts != nil || r.Flow != nil && r.Flow.Stream() {
		d.setFlow(r)
	}
	d.remote = seq
	return nil
}

// Answered takes the Contact of a 2xx to a target-refresh request sent within
// the dialog as the new remote target (RFC 3261 section 12.2.1.2). One that is
// no target is ignored: the request has succeeded all the same.
func (d *Dialog) Answered(res *sip.Response) {
	if !res.IsSuccess() {
		return
	}
	if contacts := header.List(res, "Contact"); contacts != nil {
		_ = d.setTarget(contacts)
	}
}

// Target is the remote target URI.
func (d *Dialog) Target() string { return d.target }

// Flow is the stream connection that the peer's last request came over, nil
// over UDP and when a proxy that does not stay in the path was in between.
func (d *Dialog) Flow() *stack.Flow { return d.flow }

// LocalSeq is the CSeq number of the last request sent.
func (d *Dialog) LocalSeq() uint32 { return d.local }

// Request renders the next request of the dialog (RFC 3261 section 12.2.1.1):
// CSeq goes up by one. fields are rendered header fields, each with its line
// end, and copied; body is not.
func (d *Dialog) Request(method string, fields, body []byte) *stack.Outgoing {
	d.local++
	if d.flow != nil && d.flow.Closed() {
		d.flow = nil // it would only keep the connection's memory
	}
	o := &stack.Outgoing{Method: method, URI: d.target, Body: body, Target: d.hop()}
	const fixed = len("Max-Forwards: 70\r\nRoute: <>\r\nCSeq: 4294967295 \r\n")
	var r routes
	if d.routes != nil {
		r = *d.routes
	}
	b := make([]byte, 0, fixed+len(r.fields)+len(d.target)+len(d.ends)+len(method)+len(fields))
	b = append(b, "Max-Forwards: 70\r\n"...)
	b = append(b, r.fields...)
	if r.strict != "" {
		o.URI = r.strict
		b = append(append(append(b, "Route: <"...), d.target...), ">\r\n"...)
	}
	b = append(b, d.ends...)
	b = strconv.AppendUint(append(b, "CSeq: "...), uint64(d.local), 10)
	b = append(append(append(b, ' '), method...), "\r\n"...)
	o.Head = append(b, fields...)
	return o
}

// requestURI is a URI without what a Request-URI may not have: header fields
// and the method parameter (RFC 3261 section 19.1.1). raw is the URI as it was
// written.
func requestURI(u header.URI, raw string) string {
	if len(u.Headers) == 0 && !u.Params.Has("method") {
		return raw
	}
	u.Headers, u.Params = nil, u.Params.Del("method")
	return u.String()
}

// Hop tells where a request for uri is sent: its maddr or host and port, and
// the transport it names or needs (RFC 3263 section 4). It is zero for what is
// no URI.
func Hop(uri string) stack.Target {
	u, err := header.ParseURI(uri)
	if err != nil {
		return stack.Target{}
	}
	return hop(u, uri)
}

// hop is Hop for a URI that has been read. A host name is known to come from
// the URI, so that the stack can look further than its addresses.
func hop(u header.URI, raw string) stack.Target {
	host := u.Host
	if m, ok := u.Params.Get("maddr"); ok && m != "" {
		host = m
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err == nil {
		raw = ""
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]" // a maddr parameter may come bare
	}
	if u.Port > 0 {
		host += ":" + strconv.Itoa(u.Port)
	}
	tp, _ := u.Params.Get("transport")
	return stack.Target{Addr: strings.Clone(host), Transport: transport(tp, u.Scheme == "sips"),
		URI: strings.Clone(raw)}
}

// transport is the name of a transport as the stack knows it. A sips URI is
// reached over TLS, whatever it names (RFC 3261 sections 19.1.2 and 26.2.2).
func transport(name string, secure bool) string {
	if secure {
		if strings.EqualFold(name, "ws") || strings.EqualFold(name, "wss") {
			return "wss"
		}
		return "tls"
	}
	for _, known := range [...]string{"", "udp", "tcp", "tls", "ws", "wss"} {
		if strings.EqualFold(name, known) {
			return known // one string for all dialogs
		}
	}
	return strings.Clone(strings.ToLower(name))
}
