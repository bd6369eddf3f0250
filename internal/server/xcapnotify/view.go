package xcapnotify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"imp/internal/doc/xcapdiff"
	"imp/internal/sip/event"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
	"imp/internal/xml/selector"
)

// view is what one subscription has selected and is still to be told. All but what it is made with is guarded by the lock of the
// package.
type view struct {
	p        *Package
	resource string
	list     string // names the list of URIs
	who      usage.Requester
	share    share

	exact map[string]*selection // by key, documents that the list names, or has something of
	keys  []string              // of exact, in the order of the list
	// generated are the documents of collections that the server makes, by key
	generated map[string]*uri.URI
	prefixes  []string     // of keys of collections
	selected  []*selection // elements and attributes

	mode       mode
	documents  map[*document]string // what there is of them: sel of the document, "" when only something in it is selected
	components []watched
	pending    []pending
	weight     int        // bytes that pending keeps
	rendered   event.Mark // what came until then may have been told
	overfull   bool       // collections have more documents than they may
	closed     bool
	name       string // of the full state, as of the last Render
}

// selection is an entry of a list that names a document, or something in one.
type selection struct {
	entry
	key string
}

// watched is a component that an entry has selected.
type watched struct {
	sel       string
	document  *document
	component *component
}

// pending is a change that may not have been told.
type pending struct {
	*change
	sel string
}

func newView(p *Package, r event.Request, list string) *view {
	v := &view{p: p, resource: r.Resource, list: list, mode: modeOf(r.Event), exact: map[string]*selection{}, documents: map[*document]string{}, generated: map[string]*uri.URI{},
		who: usage.Requester{XUI: p.cfg.Naming.Canonical(r.Watcher)}}
	v.who.Trusted = slices.Contains(p.trusted, v.who.XUI)
	return v
}

// choose takes over the entries of a list, each that is there twice once, and has changes told. What nobody may read is left out
// without a word (RFC 5875 section 4.7).
func (v *view) choose(entries []entry) {
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.sel] {
			continue
		}
		seen[e.sel] = true
		if e.collection {
			prefixes := e.prefixes(v.p.cfg.Root, v.who)
			v.prefixes = append(v.prefixes, prefixes...)
			v.collectGenerated(e, prefixes)
			continue
		}
		if !v.reads(e.uri) {
			continue
		}
		s := &selection{entry: e, key: key.Document(v.p.cfg.Root, e.uri)}
		if e.selector != nil {
			v.selected = append(v.selected, s)
		}
		old := v.exact[s.key]
		if old == nil {
			v.keys = append(v.keys, s.key)
			v.p.exact[s.key] = append(v.p.exact[s.key], v)
		}
		if old == nil || old.selector != nil && s.selector == nil { // the first that is for the document
			v.exact[s.key] = s
		}
	}
	slices.Sort(v.prefixes)
	v.prefixes = slices.Compact(v.prefixes)
	for _, prefix := range v.prefixes {
		v.p.collections[prefix] = append(v.p.collections[prefix], v)
	}
}

// reads reports whether the subscriber may read a document (RFC 5875 section 7).
func (v *view) reads(u *uri.URI) bool {
	is, ok := usage.For(u.AUID)
	who := v.who
	if v.p.cfg.Open && v.p.generates(u) {
		who.Trusted = true
	}
	return ok && is.Authorize(u, who, false) == usage.Allow
}

// names reports whether the list names the document, or something in it, by itself; or it is one that the server makes.
func (v *view) names(documentKey string) bool {
	return v.exact[documentKey] != nil || v.generated[documentKey] != nil
}

// attach has the view told of a document that it selects, if the subscriber may read it.
func (v *view) attach(d *document) {
	if _, is := v.documents[d]; is || v.closed || !v.reads(d.uri) || d.generated && !v.names(d.key) {
		return
	}
	if len(v.documents) >= v.p.cfg.MaxDocuments || !v.grow(share{selected: 1}) {
		if !v.overfull {
			v.overfull = true
			v.p.ending = append(v.p.ending, v.resource)
		}
		return
	}
	sel := ""
	switch s := v.exact[d.key]; {
	case s != nil && s.selector == nil:
		sel = s.sel
	case v.collects(d):
		sel = d.path
	}
	v.documents[d] = sel
	d.views = append(d.views, v)
	for _, s := range v.selected {
		if s.key == d.key {
			v.components = append(v.components, watched{s.sel, d, d.component(s)})
		}
	}
}

// collects reports whether a collection has the document.
func (v *view) collects(d *document) bool {
	if d.generated {
		return v.generated[d.key] != nil
	}
	return slices.ContainsFunc(v.prefixes, func(prefix string) bool { return strings.HasPrefix(d.key, prefix+".") })
}

// component gives the component that a selection is for.
func (d *document) component(s *selection) *component {
	name := uri.Relative(s.uri.Steps, s.uri.Bindings)
	c := d.components[name]
	if c == nil {
		c = &component{selector: s.selector, node: xcapdiff.Node{Missing: true}, known: d.current == nil}
		d.components[name] = c
	}
	c.used++
	return c
}

// detach has the view not told of a document any more; what is pending still is.
func (v *view) detach(d *document) {
	delete(v.documents, d)
	v.shrink(share{selected: 1})
	v.components = slices.DeleteFunc(v.components, func(w watched) bool {
		if w.document != d {
			return false
		}
		if w.component.used--; w.component.used == 0 {
			for name, c := range d.components {
				if c == w.component {
					delete(d.components, name)
				}
			}
		}
		return true
	})
	d.views = without(d.views, v)
	if len(d.views) == 0 {
		v.p.hold(d, nil)
		delete(v.p.documents, d.key)
		v.p.source(d, false)
	}
}

// without takes a view out of a list that nobody else reads.
func without(list []*view, v *view) []*view {
	if i := slices.Index(list, v); i >= 0 {
		list[i] = list[len(list)-1]
		list[len(list)-1] = nil
		list = list[:len(list)-1]
	}
	return list
}

// Key implements event.View: what is told depends on what was told.
func (v *view) Key() string { return "" }

// Close implements event.View.
func (v *view) Close(string) {
	p := v.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.closed {
		return
	}
	v.closed = true
	for _, k := range v.keys {
		if p.exact[k] = without(p.exact[k], v); len(p.exact[k]) == 0 {
			delete(p.exact, k)
		}
	}
	for _, prefix := range v.prefixes {
		if p.collections[prefix] = without(p.collections[prefix], v); len(p.collections[prefix]) == 0 {
			delete(p.collections, prefix)
		}
	}
	for d := range v.documents {
		v.detach(d)
	}
	v.drop()
	v.shrink(v.share)
}

// drop forgets what was to be told.
func (v *view) drop() {
	for _, c := range v.pending {
		v.leave(c.change)
	}
	v.pending = nil
}

// keep counts a change that comes into pending.
func (v *view) keep(c *change) {
	v.weight += c.weight()
	v.p.retain(c.from)
	v.p.retain(c.to)
}

// leave counts one that goes from there.
func (v *view) leave(c *change) {
	v.weight -= c.weight()
	v.p.release(c.from)
	v.p.release(c.to)
}

// enqueue notes a change to be told. But in xcap-patching, which tells each, it becomes one with what the document has gone through since
// the last notification was made.
func (v *view) enqueue(c *change, sel string) {
	if v.mode == noPatching {
		c = &change{seq: c.seq, document: c.document, from: stripped(c.from), to: stripped(c.to)}
	}
	if v.mode == xcapPatching || !v.merge(c) {
		v.pending = append(v.pending, pending{c, sel})
		v.keep(c)
	}
	if len(v.pending) > v.p.cfg.MaxSteps || v.weight > v.p.cfg.MaxHistory || v.weight > 0 && v.p.held > v.p.cfg.MaxHeld {
		v.collapse()
	}
}

// merge makes a change one with the last of the same document that cannot have been told yet.
func (v *view) merge(c *change) bool {
	for i := len(v.pending) - 1; i >= 0; i-- {
		old := v.pending[i]
		if old.document.key != c.document.key || old.seq <= v.rendered {
			continue
		}
		v.leave(old.change)
		if old.from == nil && c.to == nil { // it came and went
			v.pending = slices.Delete(v.pending, i, i+1)
			return true
		}
		v.pending[i].change = &change{seq: c.seq, document: c.document, from: old.from, to: c.to}
		v.keep(v.pending[i].change)
		return true
	}
	return false
}

// collapse gives up the history of what cannot have been told yet: what remains is a reference for each document. So a subscriber who is
// slower than the changes costs bounded memory, and fetches (RFC 5875 section 4.7).
func (v *view) collapse() {
	all := v.pending
	v.drop()
	for _, c := range all {
		if c.seq > v.rendered {
			c.change = &change{seq: c.seq, document: c.document, from: stripped(c.from), to: stripped(c.to)}
			if v.merge(c.change) {
				continue
			}
		}
		v.pending = append(v.pending, c)
		v.keep(c.change)
	}
}

// shot is what a rendering is made of, taken at one moment.
type shot struct {
	mode       mode
	mark       event.Mark
	changes    []pending
	documents  []told
	components []told
	full       bool
}

// told is a document or component as the full state has it.
type told struct {
	sel       string
	etag      string // "": there is none
	node      xcapdiff.Node
	attribute bool
	changed   event.Mark
}

// shoot takes what there is to tell since a mark; ok is false when there is nothing.
func (v *view) shoot(since event.Mark) (s shot, ok bool) {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	s = shot{mode: v.mode, mark: v.p.seq, full: since == 0}
	if !s.full {
		v.pending = slices.DeleteFunc(v.pending, func(c pending) bool {
			if c.seq <= since {
				v.leave(c.change)
			}
			return c.seq <= since
		})
		news := slices.ContainsFunc(v.components, func(w watched) bool { return w.component.changed > since })
		if len(v.pending) == 0 && !news {
			return s, false
		}
		s.changes = slices.Clone(v.pending)
	}
	v.rendered = s.mark
	for d, sel := range v.documents {
		if sel != "" && d.current != nil {
			s.documents = append(s.documents, told{sel: sel, etag: d.current.etag})
		}
	}
	for _, w := range v.components {
		n := w.component.node
		n.Sel = w.sel
		s.components = append(s.components, told{sel: w.sel, node: n, attribute: w.component.selector.Kind() == selector.Attribute, changed: w.component.changed})
	}
	slices.SortFunc(s.documents, func(a, b told) int { return strings.Compare(a.sel, b.sel) })
	slices.SortStableFunc(s.components, func(a, b told) int { return strings.Compare(a.sel, b.sel) })
	return s, true
}

// Render implements event.View: the full state names what there is (RFC 5875 section 4.7), what follows it tells changes.
func (v *view) Render(since event.Mark) (event.Body, event.Mark, error) {
	if v.crowd() != nil {
		return event.Body{}, since, errCrowded
	}
	s, ok := v.shoot(since)
	if !ok {
		return event.Body{}, since, nil
	}
	body := s.render(v.p, since)
	v.p.mu.Lock()
	v.name = v.list + s.name()
	v.p.mu.Unlock()
	return event.Body{Type: xcapdiff.MediaType, Bytes: body}, s.mark, nil
}

// State implements event.DeltaView: the name is made of the list and of the full state, so that it means the same for ever and
// everywhere (RFC 5875 section 4.7).
func (v *view) State(event.Mark) string {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	return v.name
}

// name names the full state.
func (s *shot) name() string {
	h := sha256.New()
	for _, d := range s.documents {
		fmt.Fprintf(h, "%q %q\n", d.sel, d.etag)
	}
	for _, c := range s.components {
		fmt.Fprintf(h, "%q %v %q %q\n", c.sel, c.node.Missing, c.node.Content, c.node.Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}
