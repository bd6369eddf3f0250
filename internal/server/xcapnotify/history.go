package xcapnotify

import (
	"slices"

	"imp/internal/xcap/key"
)

// heard is a version that is about to be stored, or was stored and not yet told of by the watch.
type heard struct {
	previous string
	body     []byte
}

// maxHeard bounds how many versions of a document are heard of before the watch tells of one.
const maxHeard = 1024

// Storing tells of a version before it is stored, be it with success or not. A watch of the store may leave versions out, and
// xcap-patching tells every one (RFC 5875 section 4.3); those of which Storing was not told are told of as one step, to be fetched. It
// is meant as the Storing of an XCAP server's config in the same process, and does not wait.
func (p *Package) Storing(documentKey string, v key.Value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.documents[documentKey]
	if d == nil || !slices.ContainsFunc(d.views, func(w *view) bool { return w.mode == xcapPatching && w.documents[d] != "" }) {
		return
	}
	if len(d.heard) >= maxHeard || d.heardBytes+len(v.Body) > p.cfg.MaxHistory {
		d.heard, d.heardBytes = nil, 0
	}
	if d.heard == nil {
		d.heard = map[string]heard{}
	}
	d.heard[v.ETag] = heard{v.Previous, v.Body}
	d.heardBytes += len(v.Body)
}

// between are the versions between the current one and next; not ok when there is one that nobody has told of. The package is locked.
func (d *document) between(next key.Value) (list []*version, ok bool) {
	if d.current == nil {
		return nil, false
	}
	for at := next.Previous; at != "" && len(list) <= len(d.heard); {
		if at == d.current.etag {
			slices.Reverse(list)
			return list, true
		}
		h, ok := d.heard[at]
		if !ok {
			return nil, false
		}
		list = append(list, &version{etag: at, body: h.body})
		at = h.previous
	}
	return nil, false
}

// forget drops what was heard but what follows the version with an entity-tag. The package is locked.
func (d *document) forget(etag string) {
	if len(d.heard) == 0 {
		return
	}
	children := map[string][]string{}
	for tag, h := range d.heard {
		children[h.previous] = append(children[h.previous], tag)
	}
	kept := map[string]heard{}
	d.heardBytes = 0
	for todo := children[etag]; len(todo) > 0; {
		tag := todo[0]
		todo = todo[1:]
		if _, twice := kept[tag]; twice {
			continue
		}
		kept[tag] = d.heard[tag]
		d.heardBytes += len(kept[tag].body)
		todo = append(todo, children[tag]...)
	}
	d.heard = kept
}
