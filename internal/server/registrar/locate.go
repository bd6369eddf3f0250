package registrar

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/proxy"
	"imp/internal/sip/stack"
)

var _ proxy.Location = (*Registrar)(nil)

// Serves tells whether a URI is of a domain served or of an address of the server.
func (r *Registrar) Serves(u header.URI) bool {
	switch u.Scheme {
	case "sip", "sips", "im", "pres":
		return len(r.cfg.Domains) == 0 || r.named(strings.ToLower(u.Host)) || r.own(u)
	}
	return false
}

// IsGRUU tells whether a URI of this server names one device.
func (r *Registrar) IsGRUU(u header.URI) bool {
	v, _ := u.Params.Get("gr")
	return v != "" || isTemporary(u)
}

// Locate gives the contacts of a user, or of the device that a GRUU names, grouped by device. Without any, status is 404
// for a user who does not exist and a GRUU that is not valid, else 480.
func (r *Registrar) Locate(ctx context.Context, u header.URI) (devices [][]proxy.Contact, status int) {
	var epoch string
	if isTemporary(u) {
		aor, e, ok := r.gruus.open(u)
		if !ok {
			return nil, 404
		}
		named, err := header.ParseURI(aor)
		if err != nil {
			return nil, 404
		}
		u.User, u.Host, epoch = named.User, named.Host, e
	}
	aor, domain, ok := r.address(u)
	if !ok || !r.exists(u, domain) {
		return nil, 404
	}
	rec, _, err := r.load(ctx, aor)
	if err != nil {
		r.cfg.Log.Error("reading bindings", "error", err)
		return nil, 500
	}
	bindings := rec.Bindings
	if epoch != "" || r.IsGRUU(u) {
		id, ok := rec.named(u, epoch)
		if !ok {
			return nil, 404
		}
		bindings = slices.DeleteFunc(bindings, func(b *binding) bool { return b.Instance != id })
	}
	if devices = r.devices(bindings); len(devices) == 0 {
		return nil, 480
	}
	return devices, 0
}

// devices groups bindings by device: a device gets a request once (RFC 5626 section 7). The best comes first: the highest
// q, then what was refreshed last.
func (r *Registrar) devices(bindings []*binding) (devices [][]proxy.Contact) {
	slices.SortStableFunc(bindings, func(a, b *binding) int {
		return cmp.Or(cmp.Compare(b.Q, a.Q), cmp.Compare(b.Refreshed, a.Refreshed))
	})
	place := map[string]int{}
	for _, b := range bindings {
		c := r.contact(b)
		if b.Bound && c.Target.Flow == nil {
			continue // it has just ended
		}
		if i, ok := place[b.Instance]; ok && b.Instance != "" {
			devices[i] = append(devices[i], c)
			continue
		}
		place[b.Instance] = len(devices)
		devices = append(devices, []proxy.Contact{c})
	}
	return devices
}

// contact is a binding as a proxy sees it.
func (r *Registrar) contact(b *binding) proxy.Contact {
	c := proxy.Contact{URI: b.URI, Path: b.Path, Bound: b.Bound || b.Prefer || len(b.Path) > 0 && b.Instance != ""}
	if b.Prefer {
		c.Target.Flow = r.stack.FlowOf(b.Flow)
		if c.Target.Flow != nil && !c.Target.Flow.Secure() && strings.HasPrefix(strings.ToLower(b.URI), "sips:") {
			c.Target.Flow = nil
		}
	}
	if !b.Bound {
		next := b.URI
		if len(b.Path) > 0 {
			if a, err := header.ParseAddress(b.Path[0]); err == nil {
				next = a.URI
			}
		}
		flow := c.Target.Flow
		c.Target = dialog.Hop(next)
		c.Target.Flow = flow
	}
	return c
}

// Contact finds a live contact by its URI, by user, host and port. Whoever registers a contact of somebody else must not
// get what is for that one: where the ways of several users to it differ, it is reached by its URI alone, or not at all.
func (r *Registrar) Contact(ctx context.Context, u header.URI) (proxy.Contact, bool) {
	if r.named(strings.ToLower(u.Host)) || r.IsGRUU(u) {
		return proxy.Contact{}, false
	}
	name := contactName(u)
	var found []proxy.Contact // one of each user
	for _, aor := range r.index.owners(name) {
		rec, _, err := r.load(ctx, aor)
		if err != nil {
			continue
		}
		if b := rec.latest(name); b != nil {
			found = append(found, r.contact(b))
		}
	}
	if len(found) == 0 {
		return proxy.Contact{}, false
	}
	c := found[0]
	if slices.ContainsFunc(found[1:], func(o proxy.Contact) bool { return !sameWay(c, o) }) {
		c = proxy.Contact{URI: c.URI, Target: dialog.Hop(c.URI)}
		return c, !proxy.IsInvalid(u.Host)
	}
	return c, true
}

// latest is the binding refreshed last of those for a contact, nil when there is none.
func (rec *record) latest(name string) (best *binding) {
	for _, b := range rec.Bindings {
		own, err := header.ParseURI(b.URI)
		if err == nil && contactName(own) == name && (best == nil || b.Refreshed > best.Refreshed) {
			best = b
		}
	}
	return best
}

// sameWay tells whether requests for two contacts go the same way.
func sameWay(a, b proxy.Contact) bool {
	if a.Target.Flow != nil || b.Target.Flow != nil {
		return a.Target.Flow.Same(b.Target.Flow)
	}
	return a.Target.Transport == b.Target.Transport && a.Target.Addr == b.Target.Addr && slices.Equal(a.Path, b.Path)
}

// contactName is what contacts are looked up by: the parameters of a URI may differ in a dialog.
func contactName(u header.URI) string {
	if u.Scheme == "sips" {
		u.Scheme = "sip"
	}
	return u.AOR()
}

// routeTime bounds the look-up for a request of this server itself.
const routeTime = 5 * time.Second

// Route finds where a URI leads that nobody else can find: a GRUU of a user, or a contact that only its flow leads to.
func (r *Registrar) Route(uri string) (stack.Target, bool) {
	_, target, ok := r.reroute(uri)
	return target, ok
}

// reroute is Route with the URI that the device knows itself by, which takes the place of a GRUU (RFC 5627 section 6.1).
func (r *Registrar) reroute(uri string) (string, stack.Target, bool) {
	u, err := header.ParseURI(uri)
	if err != nil {
		return "", stack.Target{}, false
	}
	ctx, cancel := context.WithTimeout(r.ctx, routeTime)
	defer cancel()
	if r.Serves(u) && r.IsGRUU(u) {
		devices, _ := r.Locate(ctx, u)
		if len(devices) == 0 {
			return "", stack.Target{}, false
		}
		c := devices[0][0]
		return c.URI, c.Target, true
	}
	if c, ok := r.Contact(ctx, u); ok {
		return uri, c.Target, true
	}
	return "", stack.Target{}, false
}
