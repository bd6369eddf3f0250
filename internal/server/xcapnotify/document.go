package xcapnotify

import (
	"bytes"
	"sync"

	"imp/internal/doc/xcapdiff"
	"imp/internal/sip/event"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xml/patch"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// document is a document that somebody has selected, be it there or not. All is guarded by the lock of the package.
type document struct {
	key        string
	path       string // below the root
	uri        *uri.URI
	rev        store.Rev // of what is known of it
	current    *version  // nil: there is none
	views      []*view   // who may read it and has selected it, or something in it
	components map[string]*component
	generated  bool             // by the XCAP server, it is not in the store
	void       bool             // it was not told of again since the watch has lost events
	heard      map[string]heard // by entity-tag
	heardBytes int
}

// version is a version of a document.
type version struct {
	etag string
	body []byte // nil: not kept

	holders int // documents and changes to be told; guarded by the lock of the package

	mu    sync.Mutex
	diffs map[string]*diff // by the entity-tag of the version that it leads from
}

// diff is what leads from one version to another.
type diff struct {
	once  sync.Once
	edits *patch.Edits // nil: it cannot be told, or not so that the outcome is the same byte by byte
	size  int          // about how many bytes it takes
}

// maxDiffs bounds how many diffs are kept for a version; notifications of many subscribers need the same few.
const maxDiffs = 8

// component is an element or attribute that somebody has selected, as it is now.
type component struct {
	selector *selector.Selector
	node     xcapdiff.Node
	changed  event.Mark // 0: not since it is known
	used     int        // by how many entries
	known    bool       // node tells something
}

// change is what a document has gone through; it is never altered once a subscription has it.
type change struct {
	seq      event.Mark
	document *document
	from, to *version // nil: there was, or is, none
	single   bool     // by one request, so that it may be told as a step of the full history
}

// stripped is a version without its body.
func stripped(v *version) *version {
	if v == nil || v.body == nil {
		return v
	}
	return &version{etag: v.etag}
}

// weight is how many bytes a change keeps.
func (c *change) weight() (n int) {
	for _, v := range []*version{c.from, c.to} {
		if v != nil {
			n += len(v.body)
		}
	}
	return n
}

// diff is what leads to the version from another one, made once for all who ask at about the same time. It is nil where a body is
// missing.
func (v *version) diff(from *version) *diff {
	if from.body == nil || v.body == nil {
		return nil
	}
	v.mu.Lock()
	d := v.diffs[from.etag]
	if d == nil {
		d = &diff{}
		if v.diffs == nil || len(v.diffs) >= maxDiffs {
			v.diffs = map[string]*diff{}
		}
		v.diffs[from.etag] = d
	}
	v.mu.Unlock()
	d.once.Do(func() { d.make(from, v) })
	return d
}

// make compares two versions. What it finds is tried out, as a client will: RFC 5874 promises a client the same canonical form only,
// but an entity-tag stands for the very bytes, so where the outcome differs in any the document is to be fetched.
func (d *diff) make(from, to *version) {
	if bytes.Equal(from.body, to.body) {
		d.edits = &patch.Edits{}
		return
	}
	a, err := tree.Parse(from.body, tree.Options{})
	if err != nil {
		return
	}
	b, err := tree.Parse(to.body, tree.Options{})
	if err != nil {
		return
	}
	edits, err := patch.Diff(a, b)
	if err != nil || edits.Len() == 0 {
		return
	}
	try := xcapdiff.Document{Root: "http://root.invalid", Changes: []xcapdiff.Change{{Sel: "a", PreviousETag: "a", NewETag: "b", Edits: edits}}}
	written := try.Bytes()
	read, err := xcapdiff.Parse(written)
	if err != nil {
		return
	}
	client := xcapdiff.Cached{ETag: "a", Doc: from.body}
	if _, err := client.Take(&read.Changes[0]); err == nil && bytes.Equal(client.Doc, to.body) {
		d.edits, d.size = edits, len(written)
	}
}

// evaluate tells what the components of a document are in a version of it.
func evaluate(list []*component, v *version, most int) []xcapdiff.Node {
	if len(list) == 0 {
		return nil
	}
	var t *tree.Tree
	if v != nil {
		t, _ = tree.Parse(v.body, tree.Options{})
	}
	nodes := make([]xcapdiff.Node, len(list))
	for i, c := range list {
		n, err := xcapdiff.Of(c.selector, t, most)
		if err != nil { // several nodes: what cannot be located waits (RFC 5875 section 4.7)
			n = xcapdiff.Node{Missing: true}
		}
		nodes[i] = n
	}
	return nodes
}

// same reports whether there is nothing to tell of a node. An element that is too large to be shown may have changed.
func same(a, b *xcapdiff.Node, selects selector.Kind) bool {
	if a.Missing || b.Missing {
		return a.Missing && b.Missing
	}
	if selects == selector.Element && a.Content == nil {
		return false
	}
	return bytes.Equal(a.Content, b.Content) && a.Value == b.Value
}

// parse reads a value of the store.
func parse(e store.Entry) (key.Value, *uri.URI, error) {
	v, err := key.Parse(e.Value)
	if err != nil {
		return v, nil, err
	}
	u, err := v.URI()
	return v, u, err
}
