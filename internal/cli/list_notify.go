package cli

import (
	"fmt"
	"mime"

	"github.com/spf13/pflag"

	"imp/internal/cli/kit"
	"imp/internal/doc/lists"
	"imp/internal/doc/pidf"
	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// unknownState is that of a list's resource that nothing is known of yet.
const unknownState = "unknown"

// understandLists has a subscription take lists too (RFC 4662 sections 4.1 and
// 4.3), in packages whose documents imp knows, or where --accept says so.
func understandLists(form *event.SubscribeOptions) {
	if len(form.Accept) == 0 {
		if form.Event.Package != "presence" {
			return
		}
		form.Accept = []string{pidf.MediaType, rlmi.BodyType, rlmi.MediaType}
	}
	accept, err := header.ParseAccept(form.Accept)
	if err != nil || accept.Quality(rlmi.BodyType) == 0 || accept.Quality(rlmi.MediaType) == 0 {
		return
	}
	form.Fields = append(form.Fields, stack.Field{Name: "Supported", Value: "eventlist"})
	form.MultipleDialogs = false // RFC 4662 section 4.7
}

// listFlag has several targets watched in one subscription.
type listFlag struct {
	on     bool
	server string
}

func (l *listFlag) flags(fs *pflag.FlagSet) {
	fs.BoolVar(&l.on, "list", false, "watch all TARGETs in one subscription, as a list")
	fs.StringVar(&l.server, "list-server", "", "with --list: ask `URI`; without it rls of your domain")
}

// apply makes of the targets the one that is subscribed to.
func (l *listFlag) apply(acct *kit.Account, form *event.SubscribeOptions, targets []string) ([]string, error) {
	switch {
	case !l.on && l.server != "":
		return nil, kit.Fail(kit.ExitUsage, "reading --list-server", "there is no --list", "give both, or subscribe to the URI of a list")
	case !l.on:
		return targets, nil
	case form.Body != nil:
		return nil, kit.Fail(kit.ExitUsage, "reading --list", "the list goes where the filter is to go", "leave out --filter")
	}
	server := l.server
	if server == "" {
		server = "rls"
	}
	server, err := acct.Target(server)
	if err != nil {
		return nil, err
	}
	bringList(form, targets)
	return []string{server}, nil
}

// bringList makes one subscription to several targets (RFC 5367 section 3): the
// list goes along to the server that is to watch them.
func bringList(form *event.SubscribeOptions, targets []string) {
	if len(form.Fields) == 0 {
		form.Accept = append(form.Accept, rlmi.BodyType, rlmi.MediaType)
		understandLists(form)
	}
	l := lists.List{}
	for _, t := range targets {
		l.Items = append(l.Items, lists.Item{Kind: lists.Entry, URI: t})
	}
	form.Body, form.BodyType = (&lists.Document{Lists: []lists.List{l}}).Bytes(), lists.MediaType
	form.BodyFields = []stack.Field{{Name: "Require", Value: "recipient-list-subscribe"}, {Name: "Content-Disposition", Value: lists.RecipientList}}
}

// listTables are what is known of the lists of one subscription, by their place:
// nested lists have versions of their own (RFC 4662 section 4.6).
type listTables struct {
	dialog string // another one begins anew
	tables map[string]*rlmi.Table
}

// isList tells whether a body is the state of a list.
func isList(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == rlmi.BodyType
}

// expand reads the body of a list's NOTIFY into events of its resources.
func (l *listTables) expand(k *kit.Kit, e *notifyEvent, dialog string) error {
	b, err := rlmi.ParseBody(e.BodyType, e.body)
	if err != nil {
		return kit.Fail(kit.ExitDocument, "reading the list "+e.Resource, err, "print it as it came with -o raw")
	}
	if l.tables == nil || l.dialog != dialog {
		l.dialog, l.tables = dialog, map[string]*rlmi.Table{}
	}
	e.BodyType = rlmi.BodyType
	e.missed = l.take(k, e, b, "")
	return nil
}

// take applies one list; path is its place among nested ones. It tells whether
// something was missed, which the full state brings (RFC 4662 section 5.6.2).
func (l *listTables) take(k *kit.Kit, e *notifyEvent, b *rlmi.Body, path string) (missed bool) {
	t := l.tables[path]
	if t == nil {
		t = &rlmi.Table{}
		l.tables[path] = t
	}
	outcome := t.Apply(b.List)
	e.Document, e.list, e.known = b.List, b.List, len(t.List().Resources)
	if outcome == rlmi.Discarded {
		return false
	}
	missed = outcome == rlmi.Incomplete
	for i := range b.List.Resources {
		r := &b.List.Resources[i]
		if len(r.Instances) == 0 {
			e.members = append(e.members, e.member(k, r, rlmi.Instance{}, unknownState))
		}
		for _, in := range r.Instances {
			m := e.member(k, r, in, in.State.String())
			e.members = append(e.members, m)
			part := b.Part(in.CID)
			if part == nil {
				continue
			}
			m.BodyType, m.body = part.Type, part.Content
			if ct, err := header.ParseContentType(part.Type); err == nil {
				m.BodyType = ct.MediaType
			}
			if part.Nested != nil {
				missed = l.take(k, m, part.Nested, path+"\n"+r.URI) || missed
			} else if err := m.readBody(); err != nil { // the others are to be seen all the same
				k.Note("%s sends a document that is none: %v", r.URI, err)
				m.Document = string(part.Content)
			}
		}
	}
	return missed
}

// member is the event of a resource of a list.
func (e *notifyEvent) member(k *kit.Kit, r *rlmi.Resource, in rlmi.Instance, state string) *notifyEvent {
	m := &notifyEvent{Head: k.Head("notify"), Resource: r.URI, List: e.Resource, Package: e.Package, State: state, Reason: in.Reason,
		Seq: e.Seq, wall: e.wall, only: e.only, once: e.once, inList: true}
	if len(r.Instances) > 1 {
		m.Instance = in.ID
	}
	if len(r.Names) > 0 {
		m.Name = r.Names[0].Text
	}
	return m
}

// all are the events of a notification, of nested lists too: itself first.
func (e *notifyEvent) all() []*notifyEvent {
	list := []*notifyEvent{e}
	for _, m := range e.members {
		list = append(list, m.all()...)
	}
	return list
}

// facts are the events as --until looks at them, one by one.
func (e *notifyEvent) facts() []kit.Facts {
	var parts []kit.Facts
	for _, m := range e.all() {
		parts = append(parts, m)
	}
	return parts
}

// listTold says how much of a list is told.
func (e *notifyEvent) listTold() string {
	told := fmt.Sprintf("%d of %d resources", len(e.list.Resources), e.known)
	switch {
	case e.list.FullState && e.known == 1:
		told = "1 resource"
	case e.list.FullState:
		told = fmt.Sprintf("%d resources", e.known)
	}
	for _, n := range e.list.Names {
		told += ", " + kit.CleanLine(n.Text)
	}
	return told
}
