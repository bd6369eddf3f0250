package rlmi

import (
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Parse reads a document. What is of other namespaces is ignored, and so is the order of elements. It refuses, with an *Error, what is not well-formed
// and what lacks a required attribute or gives it a value that it cannot have, a version beyond 32 bits included. What Check demands beyond that is not
// demanded here.
func Parse(src []byte) (*List, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	r := reader{tree: t}
	root := t.Root()
	if err := lexical.WantRoot(t, Space, "list"); err != nil {
		return nil, err
	}
	l := &List{URI: lexical.Trim(r.require(root, "uri")), CID: cid(root)}
	version := r.require(root, "version")
	if v, err := strconv.ParseUint(strings.TrimPrefix(lexical.Trim(version), "+"), 10, 32); err == nil {
		l.Version = uint32(v)
	} else {
		r.refuse(root, "version", "a number of 32 bits")
	}
	switch lexical.Trim(r.require(root, "fullState")) {
	case "true", "1":
		l.FullState = true
	case "false", "0":
	default:
		r.refuse(root, "fullState", "true or false")
	}
	for n := range root.Elements() {
		switch {
		case n.Is(Space, "name"):
			l.Names = append(l.Names, readName(n))
		case n.Is(Space, "resource"):
			l.Resources = append(l.Resources, r.resource(n))
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return l, nil
}

// reader keeps the first error.
type reader struct {
	tree *tree.Tree
	err  error
}

func (r *reader) resource(n tree.Node) Resource {
	res := Resource{URI: lexical.Trim(r.require(n, "uri"))}
	for c := range n.Elements() {
		switch {
		case c.Is(Space, "name"):
			res.Names = append(res.Names, readName(c))
		case c.Is(Space, "instance"):
			res.Instances = append(res.Instances, r.instance(c))
		}
	}
	return res
}

func (r *reader) instance(n tree.Node) Instance {
	in := Instance{ID: r.require(n, "id"), CID: cid(n)}
	if in.State.UnmarshalText([]byte(r.require(n, "state"))) != nil {
		r.refuse(n, "state", "pending, active or terminated")
	}
	in.Reason, _ = n.Attr("", "reason")
	return in
}

func readName(n tree.Node) Name {
	lang, _ := n.Attr(tree.XMLSpace, "lang")
	return Name{Text: n.Text(), Lang: lang}
}

// cid returns the Content-ID without the angle brackets and the scheme that some notifiers leave on it.
func cid(n tree.Node) string {
	v, _ := n.Attr("", "cid")
	v = lexical.Trim(v)
	if len(v) > 4 && strings.EqualFold(v[:4], "cid:") {
		v = v[4:]
	}
	if inner, ok := strings.CutPrefix(v, "<"); ok && strings.HasSuffix(inner, ">") {
		v = inner[:len(inner)-1]
	}
	return v
}

// require returns the value of an attribute that has to be there.
func (r *reader) require(n tree.Node, name string) string {
	v, ok := n.Attr("", name)
	if !ok && r.err == nil {
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
