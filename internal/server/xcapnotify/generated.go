package xcapnotify

import (
	"context"
	"slices"
	"strings"

	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
)

// Generated is what makes the documents that are not in the store, such as the global index of rls-services: the XCAP server. That one
// is another document now is told by Regenerated, where its Sources do not tell it.
type Generated interface {
	// Generated are the URIs of those documents in the global trees, and in the homes of a user.
	Generated(xui string) []*uri.URI
	// Generate returns the entity-tag and the body of a document as GET does, "" and nil when there is none. The URI is canonical.
	Generate(ctx context.Context, u *uri.URI) (etag string, body []byte, err error)
	// Sources are the prefixes of the keys of stored documents that a document is made of; none where Regenerated is called. It
	// does not wait.
	Sources(u *uri.URI) []string
}

// generates reports whether a document is one that the server makes.
func (p *Package) generates(u *uri.URI) bool {
	if p.cfg.Generated == nil {
		return false
	}
	is, ok := usage.For(u.AUID)
	return ok && is.Place(u) == usage.Generated
}

// Regenerated tells that a document that the server makes may be another one now. It does not wait.
func (p *Package) Regenerated(documentKey string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.documents[documentKey]; d != nil && d.generated {
		p.outdate(d)
	}
}

// outdate has a document made anew by Run. The package is locked.
func (p *Package) outdate(d *document) {
	p.stale[d] = true
	select {
	case p.anew <- struct{}{}:
	default: // it is on its way, to this document too
	}
}

// stored notes that a document of the store has changed: those that are made of it may be others now.
func (p *Package) stored(documentKey string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sources) == 0 {
		return
	}
	for i := range len(documentKey) {
		if documentKey[i] == '.' {
			for _, d := range p.sources[documentKey[:i]] {
				p.outdate(d)
			}
		}
	}
}

// source has a document made anew when what it is made of changes; or no more. The package is locked.
func (p *Package) source(d *document, on bool) {
	if !d.generated {
		return
	}
	if !on {
		delete(p.stale, d)
	}
	for _, prefix := range p.cfg.Generated.Sources(d.uri) {
		list := slices.DeleteFunc(p.sources[prefix], func(o *document) bool { return o == d })
		if on {
			list = append(list, d)
		}
		if p.sources[prefix] = list; len(list) == 0 {
			delete(p.sources, prefix)
		}
	}
}

// generate takes over a document as the server makes it now. It is admitted before, so that what changes meanwhile has it made again.
func (p *Package) generate(ctx context.Context, u *uri.URI) ([]string, error) {
	k := key.Document(p.cfg.Root, u)
	p.mu.Lock()
	d := p.admit(k, u.Path(), u)
	if d != nil {
		delete(p.stale, d)
	}
	p.mu.Unlock()
	if d == nil {
		return nil, nil
	}
	etag, body, err := p.cfg.Generated.Generate(ctx, u)
	if err != nil {
		return nil, err
	}
	if etag == "" {
		return p.gone(d), nil
	}
	p.mu.Lock()
	rev := d.rev
	if d.current == nil || d.current.etag != etag {
		rev++
	}
	p.mu.Unlock()
	return p.take(k, rev, key.Value{ETag: etag, Path: d.path, Body: body}, u), nil
}

// regenerate makes the documents anew that may be others now. One that cannot be made is tried again with the next.
func (p *Package) regenerate(ctx context.Context) (changed []string) {
	p.mu.Lock()
	var list []*document
	for d := range p.stale {
		list = append(list, d)
	}
	p.mu.Unlock()
	slices.SortFunc(list, func(a, b *document) int { return strings.Compare(a.key, b.key) })
	for _, d := range list {
		changed = append(changed, p.remake(ctx, d)...)
	}
	return changed
}

func (p *Package) remake(ctx context.Context, d *document) []string {
	changed, err := p.generate(ctx, d.uri)
	if err == nil {
		return changed
	}
	if ctx.Err() == nil {
		p.cfg.Log.Error("making an XCAP document", "document", d.path, "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.documents[d.key] == d {
		p.stale[d] = true
	}
	return nil
}

// collectGenerated adds the documents that the server makes in a collection: global ones, and those in the home that it is in, else in
// that of the subscriber, since those of all users have no end.
func (v *view) collectGenerated(e entry, prefixes []string) {
	if v.p.cfg.Generated == nil {
		return
	}
	home := v.who.XUI
	if e.depth > 2 && !e.uri.Global {
		home = e.uri.XUI
	}
	for _, u := range v.p.cfg.Generated.Generated(home) {
		k := key.Document(v.p.cfg.Root, u)
		if v.reads(u) && slices.ContainsFunc(prefixes, func(prefix string) bool { return store.Under(k, prefix) }) {
			v.generated[k] = u
		}
	}
}
