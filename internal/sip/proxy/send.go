package proxy

import (
	"strings"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// outgoing is the request as it goes to one contact, with its breadth, which is 0 for what is not forked.
func (p *Proxy) outgoing(r *stack.Passing, w *way, c Contact, breadth int) *stack.Outgoing {
	uri, routes, target := w.onward(c)
	rewrite := stack.Rewrite{MaxForwards: w.hops - 1, MaxBreadth: breadth, Routes: routes, RecordRoutes: p.recordRoutes(r, w, c, target), Drop: p.consumed}
	return &stack.Outgoing{Method: r.Name(), URI: uri, Head: r.Head(&rewrite), Body: r.Body(), Target: target, Loop: w.mark}
}

// consumed tells which credentials were for this proxy (RFC 3261 section 20.28). All others pass untouched.
func (p *Proxy) consumed(name, value string) bool {
	if p.cfg.Realm == "" || !strings.EqualFold(name, "Proxy-Authorization") {
		return false
	}
	_, params, _ := strings.Cut(strings.TrimSpace(value), " ")
	for _, param := range header.Elements(params) {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "realm") {
			realm, err := header.Unquote(value)
			return err == nil && realm == p.cfg.Realm
		}
	}
	return false
}

// recordRoutes keeps this proxy in the path of a dialog where one of the ends can be reached over its flow alone. There is
// one value for each side, since they may differ in transport; a token in it leads to that side.
func (p *Proxy) recordRoutes(r *stack.Passing, w *way, c Contact, target stack.Target) []string {
	switch r.Name() {
	case "INVITE", "SUBSCRIBE", "REFER":
		if r.InDialog() && !w.token || !c.Bound && !p.boundSource(r) {
			return nil
		}
	case "NOTIFY":
		// It may be what forms the dialog; only where the SUBSCRIBE was kept to this path (RFC 6665 section 4.3).
		if !w.token {
			return nil
		}
	default:
		return nil
	}
	scheme := "sip"
	if isSIPS(c.URI) {
		scheme = "sips"
	}
	d := legOf(r)
	return []string{p.recordRoute(scheme, d, target), p.recordRoute(scheme, d.reversed(), stack.Target{Flow: r.From()})}
}

func (p *Proxy) recordRoute(scheme string, d leg, t stack.Target) string {
	var hostport, transport string
	if t.Flow != nil && !t.Flow.Closed() {
		hostport, transport = p.cfg.Stack.HostPort(t.Flow), t.Flow.Transport()
	} else {
		t.Flow = nil
		transport = t.Transport
		if transport == "" {
			transport = "udp"
		}
		t.Transport = transport
		hostport = p.cfg.Stack.ContactHost(transport, t.Addr)
	}
	if transport == "tls" && scheme == "sips" {
		transport = "tcp" // RFC 3261 section 26.2.2: the scheme says the rest
	}
	return "<" + scheme + ":" + p.token(t, d) + "@" + hostport + ";transport=" + transport + ";lr>"
}

// boundSource tells whether the sender can be reached over the flow alone that it used: its Contact says so, or it is
// behind a NAT, or it is a browser.
func (p *Proxy) boundSource(r *stack.Passing) bool {
	switch r.From().Transport() {
	case "ws", "wss":
		return true
	}
	if r.BehindNAT() {
		return true
	}
	v := header.List(r.Request, "Contact")
	if len(v) == 0 {
		return false
	}
	a, err := header.ParseAddress(v[0])
	if err != nil {
		return false
	}
	u, err := header.ParseURI(a.URI)
	return err == nil && (u.Params.Has("ob") || IsInvalid(u.Host))
}

// IsInvalid tells whether a host is one that never resolves: browsers, which have no address, say so (RFC 7118 appendix
// B.1).
func IsInvalid(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "invalid" || strings.HasSuffix(host, ".invalid")
}

// pass sends a request on without a transaction. nil is returned when that was possible.
func (p *Proxy) pass(r *stack.Passing, w *way, c Contact) *stack.Response {
	err := p.cfg.Stack.Pass(r, p.outgoing(r, w, c, 0), func(err error) {
		p.cfg.Log.Info("a request was not passed on", "error", err)
	})
	if err != nil {
		p.cfg.Log.Info("a request was not passed on", "method", r.Name(), "uri", c.URI, "error", err)
		return stack.Answer(480)
	}
	return nil
}
