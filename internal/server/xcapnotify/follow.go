package xcapnotify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"imp/internal/doc/xcapdiff"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// Run takes over what the watch of the store tells and has n notify the subscribers, until ctx is done. ready, when not nil, is called
// once SUBSCRIBE can be answered. The error is that of the store's Watch.
func (p *Package) Run(ctx context.Context, n Notifier, ready func()) error {
	defer close(p.ended)
	for again := false; ; again = true {
		events, err := p.cfg.Store.Watch(ctx, key.Root(p.cfg.Root))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if again {
			p.reset()
		}
		if ready != nil {
			ready()
			ready = nil
		}
		if err := p.follow(ctx, events, n); err != nil {
			return err
		}
	}
}

// follow handles events until their channel is closed, and calls of do in between.
func (p *Package) follow(ctx context.Context, events <-chan store.Event, n Notifier) error {
	for {
		var changed []string
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-p.calls:
			changed = f()
		case <-p.anew:
			changed = p.regenerate(ctx)
		case e, ok := <-events:
			if !ok {
				return nil
			}
			switch e.Kind {
			case store.Reset:
				p.reset()
			case store.Synced:
				changed = p.synced(ctx)
			case store.Put:
				p.stored(e.Entry.Key)
				changed = p.put(e.Entry)
			case store.Delete, store.Expire:
				p.stored(e.Entry.Key)
				changed = p.confirm(ctx, e.Entry.Key)
			}
		}
		p.mu.Lock()
		changed = append(changed, p.ending...)
		p.ending = nil
		p.mu.Unlock()
		for _, resource := range changed {
			n.Changed(Name, resource)
		}
	}
}

// put takes over a document as the store has it. It returns the resources whose subscriptions have something to tell.
func (p *Package) put(e store.Entry) []string {
	if !p.selected(e.Key) {
		return nil
	}
	v, u, err := parse(e)
	if err != nil {
		p.cfg.Log.Error("reading an XCAP document of the store", "key", e.Key, "error", err)
		return nil
	}
	return p.take(e.Key, e.Rev, v, u)
}

// take takes over a version of a document. It returns the resources whose subscriptions have something to tell.
func (p *Package) take(documentKey string, rev store.Rev, v key.Value, u *uri.URI) []string {
	p.mu.Lock()
	d := p.admit(documentKey, v.Path, u)
	if d == nil {
		p.mu.Unlock()
		return nil
	}
	d.void = false
	newer, same := rev > d.rev, rev == d.rev
	list := make([]*component, 0, len(d.components))
	for _, c := range d.components {
		if newer || same && !c.known {
			list = append(list, c)
		}
	}
	next := &version{etag: v.ETag, body: v.Body}
	if same {
		p.refill(d, next)
	}
	p.mu.Unlock()
	if !newer && len(list) == 0 {
		return nil
	}
	nodes := evaluate(list, next, p.cfg.MaxElement)
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := p.show(list, nodes)
	if !newer {
		return nil
	}
	d.rev = rev
	if d.current != nil && d.current.etag == next.etag {
		return nil // written again as it was
	}
	steps, known := d.between(v)
	d.forget(v.ETag)
	for _, step := range steps {
		p.advance(d, step, true, nil)
	}
	return p.advance(d, next, known || d.current == nil, shown)
}

// selected reports whether anybody has selected a document, or something that has it.
func (p *Package) selected(documentKey string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.selecting(documentKey) {
		return true
	}
	return false
}

// selecting are the views that have selected the document with a key, perhaps more than once. The package is locked.
func (p *Package) selecting(documentKey string) iter.Seq[*view] {
	return func(yield func(*view) bool) {
		for _, v := range p.exact[documentKey] {
			if !yield(v) {
				return
			}
		}
		for i := range len(documentKey) {
			if documentKey[i] != '.' {
				continue
			}
			for _, v := range p.collections[documentKey[:i]] {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// admit gives the document with a key, with all on it who have selected it and may read it; nil when there is nobody. The package is
// locked.
func (p *Package) admit(documentKey, path string, u *uri.URI) *document {
	d := p.documents[documentKey]
	if d == nil {
		d = &document{key: documentKey, path: path, uri: u.Canonical(p.cfg.Naming), components: map[string]*component{}, generated: p.generates(u)}
	}
	for v := range p.selecting(documentKey) {
		v.attach(d)
	}
	if len(d.views) == 0 {
		return nil
	}
	if p.documents[documentKey] == nil {
		p.documents[documentKey] = d
		p.source(d, true)
	}
	return d
}

// confirm looks up a document of which the watch has told that it is gone: it may be there again.
func (p *Package) confirm(ctx context.Context, documentKey string) []string {
	p.mu.Lock()
	d := p.documents[documentKey]
	p.mu.Unlock()
	if d == nil {
		return nil
	}
	if d.generated {
		return p.remake(ctx, d)
	}
	e, err := p.cfg.Store.Get(ctx, documentKey)
	if err == nil {
		return p.put(e)
	}
	if !errors.Is(err, store.ErrNotFound) {
		p.cfg.Log.Error("looking up an XCAP document", "key", documentKey, "error", err)
		return nil
	}
	return p.gone(d)
}

// gone takes over that there is no document any more.
func (p *Package) gone(d *document) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.void = false; d.current == nil {
		return nil
	}
	list := slices.Collect(maps.Values(d.components))
	return p.advance(d, nil, true, p.show(list, evaluate(list, nil, 0)))
}

// reset notes that the watch has lost events: what it does not tell of again is to be looked up.
func (p *Package) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.documents {
		d.void = true
	}
}

// synced looks up the documents that the watch has not told of again.
func (p *Package) synced(ctx context.Context) (changed []string) {
	p.mu.Lock()
	var void []string
	for k, d := range p.documents {
		if d.void {
			void = append(void, k)
		}
	}
	p.mu.Unlock()
	slices.Sort(void)
	for _, k := range void {
		changed = append(changed, p.confirm(ctx, k)...)
	}
	return changed
}

// show takes over what components are in the version that comes next, and tells which there is something to tell of. The package is
// locked.
func (p *Package) show(list []*component, nodes []xcapdiff.Node) map[*component]bool {
	shown := map[*component]bool{}
	for i, c := range list {
		if c.known && !same(&c.node, &nodes[i], c.selector.Kind()) {
			c.changed = p.seq + 1
			shown[c] = true
		}
		c.node, c.known = nodes[i], true
	}
	return shown
}

// advance makes next the version of a document, nil when it is gone, and returns the resources whose subscriptions have something to
// tell. The package is locked.
func (p *Package) advance(d *document, next *version, single bool, shown map[*component]bool) []string {
	p.seq++
	if next != nil && !p.keeps(d, next) {
		next = stripped(next)
	}
	c := &change{seq: p.seq, document: d, from: d.current, to: next, single: single}
	p.hold(d, next)
	resources := map[string]bool{}
	for _, v := range slices.Clone(d.views) {
		if sel := v.documents[d]; sel != "" {
			v.enqueue(c, sel)
			resources[v.resource] = true
		}
		for _, w := range v.components {
			if shown[w.component] {
				resources[v.resource] = true
			}
		}
		if next == nil && !v.names(d.key) {
			v.detach(d)
		}
	}
	return slices.Collect(maps.Keys(resources))
}

// keeps reports whether the body of a version is needed for patches, and fits. The package is locked.
func (p *Package) keeps(d *document, next *version) bool {
	was := int64(0)
	if d.current != nil && d.current.holders == 1 {
		was = int64(len(d.current.body))
	}
	if p.held-was+int64(len(next.body)) > p.cfg.MaxHeld {
		return false
	}
	return slices.ContainsFunc(d.views, func(v *view) bool { return v.mode != noPatching && v.documents[d] != "" })
}

// refill gives the current version its body where nobody has needed it before. The package is locked.
func (p *Package) refill(d *document, read *version) {
	if d.current != nil && d.current.body == nil && d.current.etag == read.etag && p.keeps(d, read) {
		p.hold(d, read)
	}
}

// hold makes a version the current one. The package is locked.
func (p *Package) hold(d *document, next *version) {
	p.retain(next)
	p.release(d.current)
	d.current = next
}

// retain counts one more who keeps a version, which may be nil. The package is locked.
func (p *Package) retain(v *version) {
	if v == nil {
		return
	}
	if v.holders++; v.holders == 1 {
		p.held += int64(len(v.body))
	}
}

// release counts one less. The package is locked.
func (p *Package) release(v *version) {
	if v == nil {
		return
	}
	if v.holders--; v.holders == 0 {
		p.held -= int64(len(v.body))
	}
}

// enter makes a view one that is told of changes, and reads what it selects.
func (p *Package) enter(ctx context.Context, v *view, entries []entry) (changed []string, err error) {
	p.mu.Lock()
	taken := v.grow(share{1, weigh(entries)})
	if taken {
		v.choose(entries)
	}
	p.mu.Unlock()
	if !taken {
		return nil, errFull
	}
	defer func() {
		if err != nil {
			v.Close("")
		}
	}()
	for _, k := range v.keys {
		more, err := p.look(ctx, v, k)
		if err != nil {
			return changed, err
		}
		changed = append(changed, more...)
	}
	for _, u := range v.generated {
		more, err := p.generate(ctx, u)
		if err != nil {
			return changed, fmt.Errorf("making a document of a collection: %w", err)
		}
		changed = append(changed, more...)
	}
	for _, prefix := range v.prefixes {
		for e, err := range p.cfg.Store.Scan(ctx, prefix) {
			if err != nil {
				return changed, fmt.Errorf("reading a collection: %w", err)
			}
			changed = append(changed, p.put(e)...)
			if err := v.crowd(); err != nil {
				return changed, err
			}
		}
	}
	p.mu.Lock()
	v.drop() // the full state comes first
	p.mu.Unlock()
	return changed, v.crowd()
}

// look reads a document that a list names; it may be missing.
func (p *Package) look(ctx context.Context, v *view, documentKey string) ([]string, error) {
	if u := v.exact[documentKey].uri; p.generates(u) {
		changed, err := p.generate(ctx, u)
		if err != nil {
			err = fmt.Errorf("making a document: %w", err)
		}
		return changed, err
	}
	e, err := p.cfg.Store.Get(ctx, documentKey)
	switch {
	case err == nil:
		return p.put(e), nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("reading a document: %w", err)
	}
	u := v.exact[documentKey].uri
	p.mu.Lock()
	d := p.admit(documentKey, u.Path(), u)
	there := d != nil && d.current != nil
	p.mu.Unlock()
	if there {
		return p.confirm(ctx, documentKey), nil
	}
	return nil, nil
}

// change gives a view another mode. Where it needs versions that were not kept, they are read.
func (p *Package) change(ctx context.Context, v *view, m mode) error {
	p.mu.Lock()
	v.mode = m
	var bare []*document
	for d, sel := range v.documents {
		if m != noPatching && sel != "" && d.current != nil && d.current.body == nil {
			bare = append(bare, d)
		}
	}
	p.mu.Unlock()
	for _, d := range bare {
		read, err := p.version(ctx, d)
		if err != nil {
			return fmt.Errorf("reading a document: %w", err)
		}
		p.mu.Lock()
		if read != nil && p.documents[d.key] == d {
			p.refill(d, read)
		}
		p.mu.Unlock()
	}
	return nil
}

// version reads a document as it is now; nil when it is gone or cannot be read.
func (p *Package) version(ctx context.Context, d *document) (*version, error) {
	if d.generated {
		etag, body, err := p.cfg.Generated.Generate(ctx, d.uri)
		return &version{etag: etag, body: body}, err
	}
	e, err := p.cfg.Store.Get(ctx, d.key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, _, err := parse(e)
	if err != nil {
		return nil, nil
	}
	return &version{etag: v.ETag, body: v.Body}, nil
}
