package event

import (
	"context"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Lists serves subscriptions to lists of resources (RFC 4662). They can be made
// in every event package, beside those to single resources, and a subscription
// stays what it is.
type Lists interface {
	// Serve tells whose lists these are, before the first SUBSCRIBE: the
	// notifier, and which resources it has.
	Serve(n *Notifier, resources Resources)
	// Package is what serves lists of resources of p: a package of that name.
	Package(p Package) Package
	// List tells whether a SUBSCRIBE outside a dialog is for a list, and the
	// canonical name of that; it comes before the resource is looked up.
	List(ctx context.Context, r *stack.Request, uri header.URI) (name string, ok bool)
}

// eventList is the option tag of lists (RFC 4662 section 4.1).
const eventList = "eventlist"

// useLists makes the packages of lists.
func (n *Notifier) useLists(packages []Package) {
	if n.cfg.Lists == nil {
		return
	}
	n.lists = map[string]*served{}
	for _, p := range packages {
		l := n.cfg.Lists.Package(p)
		n.lists[l.Name()] = &served{Package: l, name: l.Name(), interval: n.interval(l), require: eventList}
	}
	n.cfg.Lists.Serve(n, n.cfg.Resources)
}

// resource finds out what a SUBSCRIBE outside a dialog is for: the canonical
// name, and the packages that serve it.
func (n *Notifier) resource(ctx context.Context, r *stack.Request, uri header.URI) (name string, packages map[string]*served, ok bool) {
	if n.cfg.Lists != nil {
		if name, ok := n.cfg.Lists.List(ctx, r, uri); ok {
			return name, n.lists, true
		}
	}
	name, ok = n.cfg.Resources.Resource(uri)
	return name, n.packages, ok
}

// Touch tells that the state changed that one subscription shows, as Changed
// does for all of a resource.
func (n *Notifier) Touch(id string) {
	sh := n.shardOfTag(id)
	if sh == nil {
		return
	}
	sh.lock()
	defer sh.unlock()
	if s := sh.subs[id]; s != nil {
		s.resource.generation++
		s.want |= wantChange
		s.enqueue()
	}
}
