package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// way is what a request says about where it goes (RFC 3261 section 16.4), with what is this server's own taken off.
type way struct {
	raw    string     // Request-URI
	uri    header.URI // the same
	routes []string   // Route values of others
	hops   int        // Max-Forwards
	mark   string     // of this request in a branch, to recognise it by

	token  bool            // a route had a right token of this proxy
	target *stack.Target   // where the token leads that does not lead back
	failed *stack.Response // a token was wrong, or its flow has ended
}

const defaultHops = 70

var errStrict = errors.New("the Request-URI is a route of this proxy, and there is no Route")

// read takes what leads to this server off the route.
func (p *Proxy) read(r *stack.Passing) (*way, error) {
	w := &way{raw: r.URI(), routes: r.Routes(), hops: defaultHops}
	if n, ok := r.Hops(); ok {
		w.hops = n
	}
	var err error
	if w.uri, err = header.ParseURI(w.raw); err != nil {
		return nil, err
	}
	if w.uri.Params.Has("lr") && p.isOwn(w.uri) { // from a strict router
		n := len(w.routes)
		if n == 0 {
			return nil, errStrict
		}
		own := w.raw
		last, err := header.ParseAddress(w.routes[n-1])
		if err != nil {
			return nil, err
		}
		w.raw = last.URI
		if w.uri, err = header.ParseURI(w.raw); err != nil {
			return nil, err
		}
		w.routes = append([]string{"<" + own + ">"}, w.routes[:n-1]...)
	}
	return w, p.popRoutes(r, w)
}

// popRoutes removes the routes at the top that are this proxy's own.
func (p *Proxy) popRoutes(r *stack.Passing, w *way) error {
	for len(w.routes) > 0 {
		a, err := header.ParseAddress(w.routes[0])
		if err != nil {
			return err
		}
		u, err := header.ParseURI(a.URI)
		if err != nil {
			return err
		}
		if !p.isOwn(u) && !(u.User == "" && p.cfg.Location.Serves(u) && len(w.routes) == 1) {
			return nil
		}
		w.routes = w.routes[1:]
		if u.User != "" {
			p.takeToken(r, w, u.User)
		}
	}
	return nil
}

// isOwn tells whether a URI is an address of this very server.
func (p *Proxy) isOwn(u header.URI) bool {
	transport, _ := u.Params.Get("transport")
	if u.Scheme == "sips" && transport == "" {
		transport = "tls"
	}
	return (u.Scheme == "sip" || u.Scheme == "sips") && p.cfg.Stack.Own(u.Host, u.Port, transport)
}

// takeToken reads one token: it leads onward, or back to where the request came from (RFC 5626 section 5.3).
func (p *Proxy) takeToken(r *stack.Passing, w *way, token string) {
	d := legOf(r)
	payload, onward := p.open(token, d)
	if !onward {
		if _, back := p.open(token, d.reversed()); !back {
			w.failed = &stack.Response{Status: 403, Reason: "Forged Flow Token"}
			return
		}
	}
	w.token = true
	if w.target != nil || !onward {
		return
	}
	mine := d.from == d.to // only the source tells then which of the user's two devices it comes from
	if payload[0] == addressToken {
		transport, addr, _ := strings.Cut(payload[1:], " ")
		if !mine || !strings.EqualFold(transport, r.From().Transport()) || addr != r.From().Remote().String() {
			w.target = &stack.Target{Transport: transport, Addr: addr}
		}
		return
	}
	flow := p.cfg.Stack.FlowOf([]byte(payload))
	switch {
	case flow == nil:
		w.failed = stack.Answer(430)
	case !mine || !flow.Same(r.From()):
		w.target = &stack.Target{Flow: flow}
	}
}

// addressToken begins what a token says that names an address instead of a flow.
const addressToken = 'a'

const macSize = 12

// leg is the dialog and the direction that a token leads in: requests with this Call-ID, From and To. The sender of the
// first request knows both tokens; without the direction he could send to anybody as the other party.
type leg struct{ callID, from, to string }

func legOf(r *stack.Passing) leg {
	_, callID, _ := r.Ends()
	from, to := r.Parties()
	return leg{callID, from, to}
}

func (d leg) reversed() leg { return leg{d.callID, d.to, d.from} }

// token is what leads requests of a dialog back to where a request came from or went: the name of a flow, or an address,
// that nobody else can have made (RFC 5626 section 5.2). It is good for requests of the leg that it was made for.
func (p *Proxy) token(t stack.Target, d leg) string {
	var payload []byte
	if t.Flow != nil {
		payload = p.cfg.Stack.FlowID(t.Flow)
	} else {
		payload = []byte(string(addressToken) + t.Transport + " " + t.Addr)
	}
	return base64.RawURLEncoding.EncodeToString(append(p.sum("flow", d.callID, d.from, d.to, string(payload)), payload...))
}

func (p *Proxy) open(token string, d leg) (payload string, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= macSize {
		return "", false
	}
	payload = string(b[macSize:])
	return payload, hmac.Equal(b[:macSize], p.sum("flow", d.callID, d.from, d.to, payload))
}

func (p *Proxy) sum(parts ...string) []byte {
	mac := hmac.New(sha256.New, p.secret[:])
	for _, s := range parts {
		mac.Write(strconv.AppendInt(nil, int64(len(s)), 10))
		mac.Write([]byte{':'})
		mac.Write([]byte(s))
	}
	return mac.Sum(nil)[:macSize]
}

// mark is made of all that decides where a request goes and what it is (RFC 3261 section 16.6 step 8): with the same mark
// in a Via it has been here before and is going round. CANCEL and ACK have that of their INVITE, which their branch needs.
func (p *Proxy) mark(r *stack.Passing, w *way) string {
	from, callID, number := r.Ends()
	parts := append([]string{"loop", w.raw, from, callID, number}, r.Routes()...)
	return base64.RawURLEncoding.EncodeToString(p.sum(parts...))
}

// onward is the rest of the way to a contact: its URI, the routes there, and where the request is sent, which only the
// contact says: a sender who wrote the next route could reach anybody through this server. A strict router at the top
// gets the request as it wants it (RFC 3261 section 16.6 step 6).
func (w *way) onward(c Contact) (uri string, routes []string, target stack.Target) {
	uri, target = c.URI, c.Target
	routes = append(append(routes, c.Path...), w.routes...)
	if len(routes) == 0 {
		return uri, nil, target
	}
	first, err := header.ParseAddress(routes[0])
	if err != nil {
		return uri, routes, target
	}
	if target.Flow == nil && len(c.Path) > 0 {
		target = dialog.Hop(first.URI)
	}
	if u, err := header.ParseURI(first.URI); err == nil && !u.Params.Has("lr") {
		return first.URI, append(routes[1:], "<"+uri+">"), target
	}
	return uri, routes, target
}
