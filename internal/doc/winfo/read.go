package winfo

import (
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Parse reads a document. What is of other namespaces is ignored (RFC 3858 section 3), and so is the order of elements. It refuses, with an *Error,
// what is not well-formed and what lacks a required attribute or gives it a value that it cannot have, a version beyond 32 bits included.
func Parse(src []byte) (*Document, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	r := reader{tree: t}
	root := t.Root()
	if err := lexical.WantRoot(t, Space, "watcherinfo"); err != nil {
		return nil, err
	}
	d := &Document{}
	if v, ok := r.number(root, "version", 32); ok {
		d.Version = uint32(v)
	} else {
		r.require(root, "version")
	}
	switch state := r.require(root, "state"); state {
	case "full":
		d.Full = true
	case "partial":
	default:
		r.refuse(root, "state", "full or partial")
	}
	for n := range root.Elements() {
		if n.Is(Space, "watcher-list") {
			d.Lists = append(d.Lists, r.list(n))
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return d, nil
}

// reader keeps the first error.
type reader struct {
	tree *tree.Tree
	err  error
}

func (r *reader) list(n tree.Node) List {
	l := List{Resource: lexical.Trim(r.require(n, "resource")), Package: lexical.Trim(r.require(n, "package"))}
	for c := range n.Elements() {
		if c.Is(Space, "watcher") {
			l.Watchers = append(l.Watchers, r.watcher(c))
		}
	}
	return l
}

func (r *reader) watcher(n tree.Node) Watcher {
	w := Watcher{ID: r.require(n, "id"), URI: lexical.Trim(n.Text())}
	status, event := r.require(n, "status"), r.require(n, "event")
	if w.Status.UnmarshalText([]byte(status)) != nil {
		r.refuse(n, "status", strings.Join(statusNames[:], ", "))
	}
	if w.Event.UnmarshalText([]byte(event)) != nil {
		r.refuse(n, "event", strings.Join(eventNames[:], ", "))
	}
	w.DisplayName, _ = n.Attr("", "display-name")
	w.Lang, _ = n.Attr(tree.XMLSpace, "lang")
	if v, ok := r.number(n, "expiration", 64); ok {
		w.Expires = &v
	}
	if v, ok := r.number(n, "duration-subscribed", 64); ok {
		w.Subscribed = &v
	}
	return w
}

// require returns the value of an attribute that has to be there.
func (r *reader) require(n tree.Node, name string) string {
	v, ok := n.Attr("", name)
	if (!ok || name == "id" && v == "") && r.err == nil {
		r.err = lexical.ErrorAt(r.tree, lexical.StartOf(n), "<"+lexical.Clip(n.Name())+"> has no "+name)
	}
	return v
}

// refuse is for an attribute that is there with a value that it cannot have.
func (r *reader) refuse(n tree.Node, name, want string) {
	if a := n.Attribute("", name); a.Valid() && r.err == nil {
		start, _ := a.Range()
		r.err = lexical.ErrorAt(r.tree, start, name+" is "+strconv.Quote(lexical.Clip(a.Value()))+", expected "+want)
	}
}

// number reads an unsigned number of so many bits if the attribute is there.
func (r *reader) number(n tree.Node, name string, bits int) (uint64, bool) {
	s, ok := n.Attr("", name)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(lexical.Trim(s), "+"), 10, bits)
	if err != nil {
		r.refuse(n, name, "a number of "+strconv.Itoa(bits)+" bits")
	}
	return v, err == nil
}
