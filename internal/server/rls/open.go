package rls

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"imp/internal/doc/lists"
	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// listPackage serves lists whose members are resources of a package.
type listPackage struct {
	s  *Server
	of event.Package
}

// Name implements event.Package.
func (p *listPackage) Name() string { return p.of.Name() }

// Types implements event.Package (RFC 4662 section 4.3).
func (p *listPackage) Types() []string { return []string{rlmi.BodyType} }

// Defaults implements event.Package: they are those of the package (RFC 4662
// section 4.2).
func (p *listPackage) Defaults() event.Defaults { return p.of.Defaults() }

// Open implements event.Package. A refresh keeps the list, and asks again for
// members who refused or were not there.
func (p *listPackage) Open(ctx context.Context, r event.Request) (event.View, event.Decision, error) {
	if err := p.judge(r); err != nil {
		return nil, event.Decision{}, err
	}
	if v, ok := r.Current.(*view); ok {
		v.refresh(ctx, r.Duration)
		return v, event.Decision{}, nil
	}
	v := &view{s: p.s, pkg: p.of.Name(), id: r.ID, watcher: strings.Clone(r.Watcher), service: r.Resource,
		accept: memberAccept(r.Accept), duration: r.Duration, fetch: r.Duration == 0}
	v.updating.Lock()
	defer v.updating.Unlock()
	var err error
	if bringsList(r.Message) {
		v.brought = true
		err = p.s.read(v, r)
	} else {
		err = p.s.resolve(ctx, v)
	}
	if err != nil {
		v.Close("rejected")
		return nil, event.Decision{}, err
	}
	return v, event.Decision{}, nil
}

// judge refuses who does not understand lists (RFC 4662 sections 4.1 and 4.3),
// and bodies in a place where there are none (RFC 5367 section 3.2).
func (p *listPackage) judge(r event.Request) error {
	if !supports(r.Message, "Supported", eventList) && !supports(r.Message, "Require", eventList) {
		return &event.Refusal{Status: 421, Fields: []stack.Field{{Name: "Require", Value: eventList}}}
	}
	types := append([]string{rlmi.BodyType, rlmi.MediaType}, p.of.Types()...)
	_, some := memberAccept(r.Accept).Choose(p.of.Types())
	if r.Accept != nil && (r.Accept.Quality(rlmi.MediaType) == 0 || !some) {
		return &event.Refusal{Status: 406, Fields: []stack.Field{{Name: "Accept", Value: strings.Join(types, ", ")}}}
	}
	if r.Body != nil && (r.Current != nil || !bringsList(r.Message)) {
		return unsupported(r.Current == nil)
	}
	return nil
}

// unsupported refuses a body.
func unsupported(lists bool) error {
	accept := ""
	if lists {
		accept = listType
	}
	return &event.Refusal{Status: 415, Fields: []stack.Field{{Name: "Accept", Value: accept}}}
}

const listType = lists.MediaType

// partialType is that of changes of presence documents (RFC 5262), which are not
// told of members: a NOTIFY has their whole state.
const partialType = "application/pidf-diff+xml"

// memberAccept is what the state of members may be: nil where only the types of
// lists are named.
func memberAccept(a header.Accept) header.Accept {
	var of header.Accept
	for _, r := range a {
		if r.Type != rlmi.BodyType && r.Type != rlmi.MediaType && r.Type != partialType {
			of = append(of, r)
		}
	}
	if of == nil {
		return nil
	}
	of, _ = header.ParseAccept([]string{of.String()}) // of memory that is not the message's
	return of
}

// entry is a member as a list names it.
type entry struct {
	uri   string
	names []rlmi.Name
}

func names(n *lists.Name) []rlmi.Name {
	if n == nil || strings.TrimSpace(n.Text) == "" {
		return nil
	}
	return []rlmi.Name{{Text: n.Text, Lang: n.Lang}}
}

// tooMany refuses a list.
func (s *Server) tooMany(status int) error {
	return &event.Refusal{Status: status, Phrase: fmt.Sprintf("The List Has More Than %d Members", s.cfg.MaxMembers)}
}

// resolve finds out what the service of a view has in it, and follows that.
func (s *Server) resolve(ctx context.Context, v *view) error {
	found, err := s.lookup(ctx, v.service)
	if err != nil {
		return err
	}
	if found == nil {
		return &event.Refusal{Status: 404}
	}
	switch {
	case !found.Allows(v.pkg):
		return &event.Refusal{Status: 489, Fields: []stack.Field{{Name: "Allow-Events", Value: strings.Join(found.Packages, ", ")}}}
	case found.owner != s.cfg.Naming.Canonical(v.watcher): // a list is its owner's own (RFC 4662 section 4.4)
		return &event.Refusal{Status: 403, Phrase: "Not Your List"}
	}
	title, entries, err := s.entries(ctx, v, found)
	if err != nil {
		s.cfg.Log.Info("a list service leads nowhere", "uri", v.service, "error", err)
		return refusalOf(err)
	}
	if len(entries) > v.room() {
		return s.tooMany(403)
	}
	v.update(ctx, v.service, title, entries)
	return nil
}

// refusalOf makes the answer to a list that cannot be resolved (RFC 4826 section
// 4.5).
func refusalOf(err error) error {
	var refusal *event.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return &event.Refusal{Status: 502, Phrase: phrase(err)}
}

// phrase makes an error fit for a reason phrase.
func phrase(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, err.Error())
	return text[:min(len(text), 120)]
}

// slack is how much longer than the list its members are watched, so that the
// list ends first.
const slack = 30 * time.Second
