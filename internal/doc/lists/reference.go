package lists

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// The application usages of the documents (RFC 4826 sections 3.4.1 and 4.4.1).
const (
	AUID         = "resource-lists"
	ServicesAUID = "rls-services"
)

// Resolve makes an absolute URI of the value of a ref, which is relative to the XCAP root of its document (RFC 4826 section 3.1). It refuses what is no
// relative path, and one that leads out of the root.
func Resolve(root, ref string) (string, error) {
	base, err := url.Parse(strings.TrimSuffix(root, "/") + "/")
	if err != nil || !base.IsAbs() || base.Host == "" {
		return "", errors.New("resolving a reference: " + lexical.Clip(root) + " is no absolute URI; give the XCAP root")
	}
	path, err := url.Parse(ref)
	if err != nil || !relativePath(ref) {
		return "", errors.New("resolving a reference: " + lexical.Clip(ref) + " is no relative path")
	}
	uri := base.ResolveReference(path).String()
	if !strings.HasPrefix(uri, base.String()) {
		return "", errors.New("resolving a reference: " + lexical.Clip(ref) + " leads out of " + lexical.Clip(root))
	}
	return uri, nil
}

// CheckReference reports that a URI does not lead where a reference of its kind has to: that of an EntryRef to an entry, that of an External, or of the
// resource-list of a service, to a list, each in a resource-lists document (RFC 4826 sections 3.1 and 4.1). What the URI alone does not tell is let be.
func CheckReference(kind Kind, uri string) error {
	want := "entry"
	if kind == External {
		want = "list"
	}
	uri, _, _ = strings.Cut(uri, "?")
	document, node, ok := strings.Cut(uri, "/~~/")
	if !ok {
		return errors.New("checking a reference: " + lexical.Clip(uri) + " leads to no element; expected one of a " + want + " behind /~~/")
	}
	if !strings.HasPrefix(document, AUID+"/") && !strings.Contains(document, "/"+AUID+"/") {
		return errors.New("checking a reference: " + lexical.Clip(document) + " is no document of " + AUID)
	}
	node, err := url.PathUnescape(node)
	if err != nil {
		return errors.New("checking a reference: " + lexical.Clip(uri) + " has an escape that is none")
	}
	sel, err := selector.ParseXCAP(node, anyPrefix{})
	if err != nil {
		return fmt.Errorf("checking a reference: %w", err)
	}
	steps := sel.Steps()
	if last := steps[len(steps)-1]; last.Kind != selector.Element || !last.Any && last.Local != want {
		return errors.New("checking a reference: " + lexical.Clip(node) + " leads to no " + want)
	}
	return nil
}

// anyPrefix is for selectors whose bindings are not looked at.
type anyPrefix struct{}

func (anyPrefix) Lookup(string) (string, bool) { return Space, true }

// ParseElement reads an element that a reference leads to, an entry or a list, as the body of application/xcap-el+xml has it. It refuses what Parse refuses
// of a document.
func ParseElement(src []byte) (*Item, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	root, kind := t.Root(), Entry
	switch {
	case root.Is(Space, "entry"):
	case root.Is(Space, "list"), root.Is(ServicesSpace, "list"):
		kind = Nested
	default:
		return nil, lexical.ErrorAt(t, lexical.StartOf(root), "the root is {"+lexical.Clip(root.Space())+"}"+lexical.Clip(root.Local())+", not an entry or a list of "+Space)
	}
	g, _ := grammar.For(root.Space(), root.Local())
	if err := g.Validate(t); err != nil {
		return nil, err
	}
	r := reader{tree: t}
	it := r.item(root, kind)
	if r.err != nil {
		return nil, r.err
	}
	return &it, nil
}

// Bounds of Expand.
const (
	MaxEntries    = 10000 // of a flat list
	MaxReferences = 1000  // that are fetched
)

// ErrLoop is the reason why a list that is in itself is not expanded.
var ErrLoop = errors.New("the list is in itself, or referred to twice")

// Expand makes the flat list of a list (RFC 4826 section 4.5): the entries that can be subscribed to, once by their URIs as strings, with those that references
// lead to. Root is the XCAP root of the document. Fetch returns the element at a URI; nil without an error leaves the reference out. An error of
// fetch, an element of another name, a list that is referred to twice (ErrLoop) and more than MaxEntries or MaxReferences end the work with an error that
// names the reference.
func Expand(l *List, root string, fetch func(uri string) ([]byte, error)) ([]*Item, error) {
	e := expansion{root: root, fetch: fetch, seen: map[string]bool{}, traversed: map[string]bool{}}
	if err := e.list(l, 0); err != nil {
		return nil, err
	}
	return e.entries, nil
}

type expansion struct {
	root            string
	fetch           func(string) ([]byte, error)
	entries         []*Item
	seen, traversed map[string]bool
	references      int
}

func (e *expansion) list(l *List, depth int) (err error) {
	if depth > MaxReferences {
		return errors.New("expanding a list: it is nested too deep")
	}
	for i := 0; i < len(l.Items) && err == nil; i++ {
		switch it := &l.Items[i]; it.Kind {
		case Entry:
			err = e.entry(it)
		case Nested:
			if it.List != nil {
				err = e.list(it.List, depth+1)
			}
		case EntryRef:
			err = e.entryRef(it.URI)
		case External:
			err = e.external(it.URI, depth)
		}
	}
	return err
}

func (e *expansion) entry(it *Item) error {
	if !Subscribable(it.URI) || e.seen[it.URI] {
		return nil
	}
	if len(e.entries) == MaxEntries {
		return fmt.Errorf("expanding a list: it has more than %d entries", MaxEntries)
	}
	e.seen[it.URI] = true
	e.entries = append(e.entries, it)
	return nil
}

func (e *expansion) entryRef(ref string) error {
	uri, err := Resolve(e.root, ref)
	if err != nil {
		return err
	}
	it, err := e.get(uri, Entry)
	if it == nil || err != nil {
		return err
	}
	return e.entry(it)
}

func (e *expansion) external(anchor string, depth int) error {
	if e.traversed[anchor] {
		return fmt.Errorf("expanding a list: %s: %w", lexical.Clip(anchor), ErrLoop)
	}
	e.traversed[anchor] = true
	it, err := e.get(anchor, Nested)
	if it == nil || err != nil {
		return err
	}
	return e.list(it.List, depth+1)
}

func (e *expansion) get(uri string, kind Kind) (*Item, error) {
	if e.references++; e.references > MaxReferences {
		return nil, fmt.Errorf("expanding a list: it has more than %d references", MaxReferences)
	}
	src, err := e.fetch(uri)
	if src == nil && err == nil {
		return nil, nil
	}
	var it *Item
	if err == nil {
		it, err = ParseElement(src)
	}
	if err != nil {
		return nil, fmt.Errorf("expanding a list: %s: %w", lexical.Clip(uri), err)
	}
	if it.Kind != kind {
		return nil, errors.New("expanding a list: " + lexical.Clip(uri) + " leads to <" + it.Kind.String() + ">, expected <" + kind.String() + ">")
	}
	return it, nil
}
