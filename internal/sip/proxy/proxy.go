// Package proxy is the proxy of RFC 3261 section 16, for the users of one server: what is for them goes to the contacts
// they have registered, with the flows of RFC 5626 section 5 and the GRUUs of RFC 5627 section 6.
//
// Requests with a transaction of their own are forked to all devices, as far as their Max-Breadth allows that (RFC 5393), and
// answered once (section 16.7). INVITE, and the ACK
// and CANCEL that belong to it, go to one device without any state (section 16.11). It is no open proxy: senders
// authenticate, and where a request leads is always a registered contact or a flow that a token of its own names.
package proxy

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Location is where users are: the location service of RFC 3261 section 10. Its methods are called concurrently.
type Location interface {
	// Serves tells whether a URI is one of this server: of a domain that it serves, or of an address of its own.
	Serves(u header.URI) bool
	// IsGRUU tells whether a URI of this server names one device (RFC 5627), valid or not.
	IsGRUU(u header.URI) bool
	// Locate gives the contacts of the user, or of the device that a GRUU names, grouped by device: the best device
	// first, and within one the best way to it. Without any, status says why: 404 or 480.
	Locate(ctx context.Context, u header.URI) (devices [][]Contact, status int)
	// Contact finds a live contact by the URI that it was registered with.
	Contact(ctx context.Context, u header.URI) (Contact, bool)
}

// Contact is one way to a device.
type Contact struct {
	URI    string
	Path   []string // Route values that lead to it (RFC 3327)
	Target stack.Target
	Bound  bool // requests of a dialog reach it through this server only
}

// Config holds what a proxy is told. Stack and Location are needed.
type Config struct {
	Stack    *stack.Stack
	Location Location
	// Identify gives who sent a request, or the response that refuses it; nil believes everybody.
	Identify func(r *stack.Request) (aor string, refusal *stack.Response)
	// Realm is that of credentials which go no further; "": all do.
	Realm string
	// Wait is after what time an answer there is goes back though other devices are silent: it has to come before the
	// sender gives up. 0: 28 s.
	Wait time.Duration
	Log  *slog.Logger // nil discards
}

// Stats counts what a proxy did since New.
type Stats struct {
	Forwarded uint64 // requests, each counted once
	Branches  uint64 // requests sent for them with a transaction
	Refused   uint64 // requests that got an answer of the proxy itself
	Looped    uint64 // of these, those that had come back
}

// Proxy forwards requests. It is a stack.Proxy.
type Proxy struct {
	cfg    Config
	secret [32]byte

	forwarded, branches, refused, looped atomic.Uint64
}

// New makes a proxy and sets it at the stack, which must not listen yet.
func New(cfg Config) *Proxy {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Wait <= 0 {
		cfg.Wait = 28 * time.Second
	}
	p := &Proxy{cfg: cfg}
	_, _ = rand.Read(p.secret[:])
	cfg.Stack.Relay(p)
	return p
}

// Stats returns the counters.
func (p *Proxy) Stats() Stats {
	return Stats{Forwarded: p.forwarded.Load(), Branches: p.branches.Load(), Refused: p.refused.Load(), Looped: p.looped.Load()}
}

// Takes tells whether a request is for a user's device, or passes through. What the handlers of the stack serve is theirs,
// unless a GRUU or a token of a flow names a device.
func (p *Proxy) Takes(r *stack.Passing) bool {
	w, err := p.read(r)
	if err != nil {
		return !r.Handled() || w == nil // the answer is the proxy's where nobody else has one
	}
	switch {
	case w.token, len(w.routes) > 0:
		return true
	case r.Name() == "REGISTER":
		return false
	}
	if p.cfg.Location.Serves(w.uri) {
		if p.cfg.Location.IsGRUU(w.uri) {
			return true
		}
		return w.uri.User != "" && !r.Handled() && !isOwnContact(w.uri)
	}
	return !r.Handled()
}

// isOwnContact recognises the Contact that agents of this server give: a GRUU made by themselves, which has no value
// (RFC 5627 section 4.3).
func isOwnContact(u header.URI) bool {
	v, ok := u.Params.Get("gr")
	return ok && v == ""
}

// Forward forwards or refuses a request (RFC 3261 section 16.3).
func (p *Proxy) Forward(ctx context.Context, r *stack.Passing) *stack.Response {
	refusal := p.forward(ctx, r)
	if refusal == nil {
		p.forwarded.Add(1)
		return nil
	}
	p.refused.Add(1)
	if r.Name() == "CANCEL" && refusal.Status != 483 {
		return stack.Answer(481) // there is no INVITE of that sort
	}
	return refusal
}

func (p *Proxy) forward(ctx context.Context, r *stack.Passing) *stack.Response {
	w, err := p.read(r)
	if err != nil {
		return &stack.Response{Status: 400, Reason: "Malformed Route Or Request-URI"}
	}
	if refusal := p.validate(r, w); refusal != nil {
		return refusal
	}
	if refusal := p.authorize(r, w); refusal != nil {
		return refusal
	}
	devices, refusal := p.targets(ctx, r, w)
	if refusal != nil {
		return refusal
	}
	switch r.Name() {
	case "INVITE", "ACK", "CANCEL":
		return p.pass(r, w, devices[0][0])
	}
	breadth := maxBreadth(r)
	if breadth < len(devices) {
		return stack.Answer(440)
	}
	p.fork(r, w, devices, breadth)
	return nil
}

// defaultBreadth is what a request has that does not say it (RFC 5393 section 5.3.3).
const defaultBreadth = 60

// maxBreadth is how many devices a request may be on its way to at one time, all proxies together (RFC 5393 section 5).
func maxBreadth(r *stack.Passing) int {
	v, there, err := header.Single(r.Request, "Max-Breadth")
	if !there {
		return defaultBreadth
	}
	n, err2 := strconv.ParseUint(strings.TrimSpace(v), 10, 16)
	if err != nil || err2 != nil {
		return 0
	}
	return int(n)
}

// validate makes the checks of RFC 3261 section 16.3 that are left after those of the stack.
func (p *Proxy) validate(r *stack.Passing, w *way) *stack.Response {
	if w.hops == 0 {
		return stack.Answer(483)
	}
	w.mark = p.mark(r, w)
	if r.Marked(w.mark) {
		p.looped.Add(1)
		return stack.Answer(482)
	}
	if r.Name() == "ACK" || r.Name() == "CANCEL" {
		return nil
	}
	if tags := header.List(r.Request, "Proxy-Require"); len(tags) > 0 {
		return stack.Answer(420, stack.Field{Name: "Unsupported", Value: strings.Join(tags, ", ")})
	}
	return nil
}

// authorize lets senders through who say who they are (RFC 3261 section 22.3). Requests within a dialog that this proxy is
// in the path of need not, where a token of its own in their Route leads to the other party. ACK and CANCEL cannot be
// asked.
func (p *Proxy) authorize(r *stack.Passing, w *way) *stack.Response {
	if r.Name() == "ACK" || r.Name() == "CANCEL" || p.cfg.Identify == nil || r.InDialog() && p.toParty(r, w) || r.Trusted() {
		return nil
	}
	if _, refusal := p.cfg.Identify(r.Request); refusal != nil {
		return refusal
	}
	if r.Name() == "INVITE" {
		r.Trust()
	}
	return nil
}

// toParty tells whether a request goes where its token leads, or to the device of the one in To that a GRUU names.
func (p *Proxy) toParty(r *stack.Passing, w *way) bool {
	if w.target == nil {
		return false
	}
	if !p.cfg.Location.Serves(w.uri) || !p.cfg.Location.IsGRUU(w.uri) {
		return true
	}
	_, to := r.Parties()
	return w.uri.AOR() == to
}

// targets finds where a request goes (RFC 3261 section 16.5).
func (p *Proxy) targets(ctx context.Context, r *stack.Passing, w *way) ([][]Contact, *stack.Response) {
	l := p.cfg.Location
	serves := l.Serves(w.uri)
	gruu := serves && l.IsGRUU(w.uri)
	switch {
	case w.failed != nil:
		return nil, w.failed
	case w.target != nil && !gruu:
		return w.secured([][]Contact{{{URI: w.raw, Target: *w.target, Bound: true}}})
	}
	foreign := len(w.routes) > 0 && !w.token
	if c, ok := l.Contact(ctx, w.uri); ok && !foreign {
		c.URI = w.raw
		return w.secured([][]Contact{{c}})
	}
	if !serves || w.uri.User == "" || foreign {
		p.cfg.Log.Info("refusing to forward a request", "method", r.Name(), "uri", w.raw, "source", r.From().Remote())
		return nil, &stack.Response{Status: 403, Reason: "Not A User Of This Server"}
	}
	devices, status := l.Locate(ctx, w.uri)
	if len(devices) == 0 {
		return nil, stack.Answer(status)
	}
	if len(w.routes) > 0 { // RFC 5627 section 6.1: what a dialog's route says replaces the Path
		for _, device := range devices {
			for i := range device {
				device[i].Path = nil
			}
		}
	}
	return w.secured(devices)
}

// secured leaves to a sips URI the contacts that are sips URIs themselves, and gives a sip URI contacts of its own scheme,
// though TLS leads to them all the same (RFC 5630 section 5.3).
func (w *way) secured(devices [][]Contact) ([][]Contact, *stack.Response) {
	if w.uri.Scheme != "sips" {
		for _, device := range devices {
			for i, c := range device {
				if isSIPS(c.URI) {
					device[i].URI = "sip" + c.URI[len("sips"):]
				}
			}
		}
		return devices, nil
	}
	var secure [][]Contact
	for _, device := range devices {
		device = slices.DeleteFunc(slices.Clone(device), func(c Contact) bool {
			return !isSIPS(c.URI) || c.Target.Flow != nil && !c.Target.Flow.Secure() || c.Target.Flow == nil && !isSecure(c.Target.Transport)
		})
		if len(device) > 0 {
			secure = append(secure, device)
		}
	}
	if secure == nil {
		warning := header.Warning{Code: 380, Agent: "imp", Text: "SIPS Not Allowed"}
		return nil, stack.Answer(480, stack.Field{Name: "Warning", Value: warning.String()})
	}
	return secure, nil
}

func isSIPS(uri string) bool { return len(uri) > 5 && strings.EqualFold(uri[:5], "sips:") }

func isSecure(transport string) bool { return transport == "tls" || transport == "wss" }
