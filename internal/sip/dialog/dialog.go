// Package dialog keeps one side of a SIP dialog (RFC 3261 section 12): its
// identifiers, sequence numbers, route set and remote target, and renders the
// requests sent within it. It knows nothing of what a dialog is used for.
package dialog

import (
	"fmt"
	"strconv"
	"strings"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Dialog is one side of a dialog. Its owner serialises all calls.
type Dialog struct {
	CallID    string
	LocalTag  string
	RemoteTag string

	target  string // remote target URI
	routes  []string
	strict  bool   // the first route is a strict router (RFC 3261 section 12.2.1.1)
	ends    []byte // rendered From, To and Call-ID of requests we send
	flow    *stack.Flow
	local   uint32 // CSeq of the last request sent
	remote  uint32 // CSeq of the last request accepted
	started bool   // remote is set
}

// ErrOutOfOrder is returned by Accept for a request whose CSeq is lower than
// one seen before; the answer is 500 (RFC 3261 section 12.2.2).
var ErrOutOfOrder = fmt.Errorf("CSeq is lower than that of an earlier request of this dialog")

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
	remoteTag, _ := from.Params.Get("tag")
	d := &Dialog{
		CallID:    r.CallID().Value(),
		LocalTag:  localTag,
		RemoteTag: remoteTag,
		local:     localSeq,
		remote:    r.CSeq().SeqNo,
		started:   true,
	}
	if err := d.setTarget(r); err != nil {
		return nil, err
	}
	if d.routes, err = routeSet(r); err != nil {
		return nil, err
	}
	if len(d.routes) > 0 {
		first, err := header.ParseAddress(d.routes[0])
		if err != nil {
			return nil, fmt.Errorf("Record-Route: %w", err)
		}
		u, err := header.ParseURI(first.URI)
		if err != nil {
			return nil, fmt.Errorf("Record-Route: %w", err)
		}
		d.strict = !u.Params.Has("lr")
	}
	d.ends = renderEnds(to, localTag, from, remoteTag, d.CallID)
	return d, nil
}

// renderEnds writes From, To and Call-ID as seen from the local end. Display
// names and other parameters are left out: only URI and tag count (RFC 3261
// section 12.2.1.1), and every byte here is kept per dialog.
func renderEnds(local header.Address, localTag string, remote header.Address, remoteTag, callID string) []byte {
	var b strings.Builder
	b.WriteString("From: <" + local.URI + ">;tag=" + localTag + "\r\nTo: <" + remote.URI + ">")
	if remoteTag != "" {
		b.WriteString(";tag=" + remoteTag)
	}
	b.WriteString("\r\nCall-ID: " + callID + "\r\n")
	return []byte(b.String())
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

// routeSet is the Record-Route list in the order of the request, which is the
// order in which the receiving side uses it.
func routeSet(r *stack.Request) ([]string, error) {
	routes := header.List(r.Request, "Record-Route")
	for _, route := range routes {
		if _, err := header.ParseAddress(route); err != nil {
			return nil, fmt.Errorf("Record-Route: %w", err)
		}
	}
	return routes, nil
}

// setTarget takes remote target and flow from a target-refresh request.
func (d *Dialog) setTarget(r *stack.Request) error {
	contacts := header.List(r.Request, "Contact")
	if len(contacts) != 1 {
		return fmt.Errorf("Contact: one is needed, found %d", len(contacts))
	}
	c, err := header.ParseAddress(contacts[0])
	if err != nil {
		return fmt.Errorf("Contact: %w", err)
	}
	u, err := header.ParseURI(c.URI)
	if err != nil {
		return fmt.Errorf("Contact: %w", err)
	}
	if u.Scheme != "sip" && u.Scheme != "sips" {
		return fmt.Errorf("Contact: a sip or sips URI is needed, found %q", u.Scheme)
	}
	d.target = c.URI
	d.flow = nil
	if r.Flow != nil && r.Flow.Stream() {
		d.flow = r.Flow
	}
	return nil
}

// Accept checks a request received within the dialog: its CSeq must be higher
// than the last one (ErrOutOfOrder otherwise), and the Contact of a
// target-refresh request becomes the new remote target (RFC 3261 section
// 12.2.2). A request without Contact leaves the target as it is.
func (d *Dialog) Accept(r *stack.Request) error {
	seq := r.CSeq().SeqNo
	if d.started && seq <= d.remote {
		return ErrOutOfOrder
	}
	if len(header.Values(r.Request, "Contact")) > 0 {
		if err := d.setTarget(r); err != nil {
			return err
		}
	} else if r.Flow != nil && r.Flow.Stream() {
		d.flow = r.Flow
	}
	d.remote, d.started = seq, true
	return nil
}

// Target is the remote target URI.
func (d *Dialog) Target() string { return d.target }

// Flow is the stream connection that the peer's last request came over, nil
// over UDP.
func (d *Dialog) Flow() *stack.Flow { return d.flow }

// LocalSeq is the CSeq number of the last request sent.
func (d *Dialog) LocalSeq() uint32 { return d.local }

// Request renders the next request of the dialog (RFC 3261 section 12.2.1.1):
// CSeq goes up by one. fields are rendered header fields, each with its line
// end; body is not copied.
func (d *Dialog) Request(method string, fields, body []byte) *stack.Outgoing {
	d.local++
	o := &stack.Outgoing{Method: method, URI: d.target, Body: body}
	routes := d.routes
	var last string
	if d.strict {
		first, _ := header.ParseAddress(routes[0])
		o.URI, routes, last = first.URI, routes[1:], d.target
	}
	size := len(d.ends) + len(fields) + 48
	for _, r := range routes {
		size += len(r) + 10
	}
	b := make([]byte, 0, size+len(last))
	b = append(b, "Max-Forwards: 70\r\n"...)
	for _, r := range routes {
		b = append(b, "Route: "...)
		b = append(b, r...)
		b = append(b, '\r', '\n')
	}
	if last != "" {
		b = append(b, "Route: <"...)
		b = append(b, last...)
		b = append(b, ">\r\n"...)
	}
	b = append(b, d.ends...)
	b = append(b, "CSeq: "...)
	b = strconv.AppendUint(b, uint64(d.local), 10)
	b = append(b, ' ')
	b = append(b, method...)
	b = append(b, '\r', '\n')
	o.Head = append(b, fields...)
	o.Target = d.nextHop()
	return o
}

// nextHop is where requests of the dialog go: down the peer's connection while
// it lives, else to the first route or the remote target.
func (d *Dialog) nextHop() stack.Target {
	hop := d.target
	if len(d.routes) > 0 {
		if a, err := header.ParseAddress(d.routes[0]); err == nil {
			hop = a.URI
		}
	}
	t := Hop(hop)
	if d.flow != nil && !d.flow.Closed() {
		t.Flow = d.flow
	}
	return t
}

// Hop tells where a request for uri is sent: its maddr or host and port, and
// the transport it names (RFC 3263 section 4).
func Hop(uri string) stack.Target {
	u, err := header.ParseURI(uri)
	if err != nil {
		return stack.Target{}
	}
	host := u.Host
	if m, ok := u.Params.Get("maddr"); ok && m != "" {
		host = m
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]" // a maddr parameter may come bare
	}
	if u.Port > 0 {
		host += ":" + strconv.Itoa(u.Port)
	}
	t := stack.Target{Addr: host}
	if tp, ok := u.Params.Get("transport"); ok {
		t.Transport = strings.ToLower(tp)
	}
	return t
}
