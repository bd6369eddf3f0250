package tree

import "iter"

// Attr is an attribute of an element. As with Node, every method may be called on the zero Attr.
type Attr struct {
	t *Tree
	i int32
}

// Decl is a namespace declaration on an element. As with Node, every method may be called on the zero Decl.
type Decl struct {
	t *Tree
	i int32
}

var (
	noAttr attr
	noDecl decl
)

func (a Attr) data() *attr {
	if a.t == nil || int(a.i) >= len(a.t.attrs) {
		return &noAttr
	}
	return &a.t.attrs[a.i]
}

func (d Decl) data() *decl {
	if d.t == nil || int(d.i) >= len(d.t.decls) {
		return &noDecl
	}
	return &d.t.decls[d.i]
}

// Attrs iterates over the attributes of an element in the order they are written in. Namespace declarations are not
// among them.
func (n Node) Attrs() iter.Seq[Attr] {
	return func(yield func(Attr) bool) {
		for a := (Attr{n.t, n.data().attr}); a.i != 0; a.i = a.data().next {
			if !yield(a) {
				return
			}
		}
	}
}

// Decls iterates over the namespace declarations that are written on an element, in their order.
func (n Node) Decls() iter.Seq[Decl] {
	return func(yield func(Decl) bool) {
		for d := (Decl{n.t, n.data().decl}); d.i != 0; d.i = d.data().next {
			if !yield(d) {
				return
			}
		}
	}
}

// Attribute returns the attribute with this expanded name, the zero Attr when there is none. An attribute without a
// prefix is in no namespace.
func (n Node) Attribute(space, local string) Attr {
	for i := n.data().attr; i != 0; i = n.t.attrs[i].next {
		a := &n.t.attrs[i]
		if n.t.text[a.local:a.nameEnd] == local && n.t.spaces[a.space] == space {
			return Attr{n.t, i}
		}
	}
	return Attr{}
}

// Attr returns the value of the attribute with this expanded name and whether there is one, see Attr.Value.
func (n Node) Attr(space, local string) (value string, ok bool) {
	a := n.Attribute(space, local)
	return a.Value(), a.Valid()
}

// Valid reports whether a is an attribute.
func (a Attr) Valid() bool { return a.data().end != 0 }

// Space returns the namespace name, "" for an attribute without a prefix.
func (a Attr) Space() string {
	if !a.Valid() {
		return ""
	}
	return a.t.spaces[a.data().space]
}

// Local returns the local part of the name.
func (a Attr) Local() string {
	if !a.Valid() {
		return ""
	}
	d := a.data()
	return a.t.text[d.local:d.nameEnd]
}

// Prefix returns the prefix of the name as it is written, without the colon.
func (a Attr) Prefix() string {
	d := a.data()
	if d.local == d.start {
		return ""
	}
	return a.t.text[d.start : d.local-1]
}

// Name returns the name as it is written, prefix included.
func (a Attr) Name() string {
	if !a.Valid() {
		return ""
	}
	d := a.data()
	return a.t.text[d.start:d.nameEnd]
}

// Value returns the value, with references resolved and each white space character made a space (XML 1.0, section
// 3.3.3, for the type CDATA, which every attribute has that no DTD gives another type).
func (a Attr) Value() string {
	if !a.Valid() {
		return ""
	}
	d := a.data()
	raw := a.t.text[d.value : d.end-1]
	if d.flags&coded == 0 {
		return raw
	}
	return attributeValue(raw)
}

// Unresolved reports whether the value refers to an entity that only the document type declaration can know, and where
// the first such reference stands in the source, see Node.Unresolved.
func (a Attr) Unresolved() (offset int, ok bool) {
	d := a.data()
	if d.flags&unresolved == 0 {
		return 0, false
	}
	return a.t.offset(d.value + uint32(unresolvedIn(a.t.text[d.value:d.end-1], false))), true
}

// Range returns where the attribute stands in the source, from its name to its closing quote. It is 0, 0 for one that an
// edit has added or changed.
func (a Attr) Range() (start, end int) {
	d := a.data()
	return a.t.inSource(int(d.start), int(d.end))
}

// ValueRange returns where the value stands in the source, without the quotes. About edits see Range.
func (a Attr) ValueRange() (start, end int) {
	d := a.data()
	if d.end == 0 || int(d.end) > len(a.t.src) {
		return 0, 0
	}
	return int(d.value), int(d.end) - 1
}

// Owner returns the element that the attribute is written on.
func (a Attr) Owner() Node { return a.t.node(a.data().owner) }

// Position returns the line and the column where the attribute starts, see Tree.Position.
func (a Attr) Position() (line, col int) {
	if !a.Valid() || int(a.data().end) > len(a.t.src) {
		return 0, 0
	}
	return a.t.Position(int(a.data().start))
}

// Valid reports whether d is a declaration.
func (d Decl) Valid() bool { return d.data().end != 0 }

// Prefix returns the prefix that is declared, "" for the default namespace.
func (d Decl) Prefix() string {
	const prefixed = uint32(len("xmlns:"))
	p := d.data()
	if p.nameEnd-p.start < prefixed {
		return ""
	}
	return d.t.text[p.start+prefixed : p.nameEnd]
}

// URI returns the namespace name, "" where the default namespace is undeclared.
func (d Decl) URI() string {
	if !d.Valid() {
		return ""
	}
	return d.t.spaces[d.data().space]
}

// Range returns where the declaration stands in the source, from its name to its closing quote. It is 0, 0 for one that
// an edit has added or changed.
func (d Decl) Range() (start, end int) {
	p := d.data()
	return d.t.inSource(int(p.start), int(p.end))
}

// ValueRange returns where the namespace name stands in the source, without the quotes. About edits see Range.
func (d Decl) ValueRange() (start, end int) {
	p := d.data()
	if p.end == 0 || int(p.end) > len(d.t.src) {
		return 0, 0
	}
	return int(p.value), int(p.end) - 1
}

// Owner returns the element that the declaration is written on.
func (d Decl) Owner() Node { return d.t.node(d.data().owner) }

// Position returns the line and the column where the declaration starts, see Tree.Position.
func (d Decl) Position() (line, col int) {
	if !d.Valid() || int(d.data().end) > len(d.t.src) {
		return 0, 0
	}
	return d.t.Position(int(d.data().start))
}
