package tree

import (
	"iter"
	"slices"
	"strings"
)

// Node is a node of a tree. The zero Node is no node: every method may be called on it and answers with zero values.
// Nodes of one tree are equal when they are the same node.
type Node struct {
	t *Tree
	i int32
}

var noNode node

func (t *Tree) node(i int32) Node {
	if i == 0 {
		return Node{}
	}
	return Node{t, i}
}

func (n Node) data() *node {
	if n.t == nil || int(n.i) >= len(n.t.nodes) {
		return &noNode
	}
	return &n.t.nodes[n.i]
}

// Kind returns what kind of node n is, None for the zero Node.
func (n Node) Kind() Kind { return n.data().kind }

// Valid reports whether n is a node.
func (n Node) Valid() bool { return n.Kind() != None }

// Index returns the number of n in its tree, 0 for the zero Node. It is below Tree.Count and never changes, so it serves to
// keep a table beside a tree.
func (n Node) Index() int { return int(n.i) }

// Tree returns the tree that n belongs to, nil for the zero Node.
func (n Node) Tree() *Tree { return n.t }

// Space returns the namespace name of an element, "" when it is in none.
func (n Node) Space() string {
	d := n.data()
	if d.kind != Element {
		return ""
	}
	return n.t.spaces[d.space]
}

// Local returns the local part of an element's name.
func (n Node) Local() string {
	d := n.data()
	if d.kind != Element {
		return ""
	}
	return n.t.text[d.local:d.nameEnd]
}

// Prefix returns the prefix of an element's name as it is written, without the colon.
func (n Node) Prefix() string {
	d := n.data()
	if d.kind != Element || d.local == d.start+1 {
		return ""
	}
	return n.t.text[d.start+1 : d.local-1]
}

// Name returns the name of an element as it is written, prefix included.
func (n Node) Name() string {
	d := n.data()
	if d.kind != Element {
		return ""
	}
	return n.t.text[d.start+1 : d.nameEnd]
}

// Is reports whether n is an element with this expanded name.
func (n Node) Is(space, local string) bool {
	d := n.data()
	return d.kind == Element && n.t.text[d.local:d.nameEnd] == local && n.t.spaces[d.space] == space
}

// Parent returns the element or document that n is a child of.
func (n Node) Parent() Node { return n.t.node(n.data().parent) }

// FirstChild returns the first child of any kind.
func (n Node) FirstChild() Node { return n.t.node(n.data().first) }

// LastChild returns the last child of any kind.
func (n Node) LastChild() Node { return n.t.node(n.data().last) }

// NextSibling returns the node of any kind that follows n below the same parent.
func (n Node) NextSibling() Node { return n.t.node(n.data().next) }

// PrevSibling returns the node of any kind that precedes n below the same parent.
func (n Node) PrevSibling() Node { return n.t.node(n.data().prev) }

// Children iterates over the children of all kinds, in document order.
func (n Node) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for c := n.FirstChild(); c.i != 0; c = c.NextSibling() {
			if !yield(c) {
				return
			}
		}
	}
}

// Elements iterates over the children that are elements, in document order.
func (n Node) Elements() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for c := n.FirstChild(); c.i != 0; c = c.NextSibling() {
			if c.Kind() == Element && !yield(c) {
				return
			}
		}
	}
}

// Element returns the first child element with this expanded name.
func (n Node) Element(space, local string) Node {
	for c := n.FirstChild(); c.i != 0; c = c.NextSibling() {
		if c.Is(space, local) {
			return c
		}
	}
	return Node{}
}

// Text returns the string-value of n (XPath 1.0, section 5): of an element and of the document all text below it, of a
// text node its characters with references, CDATA sections and line ends resolved, of a comment and of a processing
// instruction its content.
func (n Node) Text() string {
	switch n.Kind() {
	case Document, Element:
		return n.textBelow()
	case None:
		return ""
	}
	if n.data().flags&coded == 0 {
		return n.raw()
	}
	var b strings.Builder
	b.Grow(len(n.raw()))
	n.writeText(&b)
	return b.String()
}

// raw returns the source of the content of anything but an element.
func (n Node) raw() string {
	start, end := n.inner()
	return n.t.text[start:end]
}

func (n Node) writeText(b *strings.Builder) {
	switch d := n.data(); {
	case d.flags&coded == 0:
		b.WriteString(n.raw())
	case d.kind == Text:
		writeCharacters(b, n.raw())
	default:
		writeLines(b, n.raw())
	}
}

// textBelow walks the subtree by its links, so that depth costs no stack. A single text node is returned as it is.
func (n Node) textBelow() string {
	first := n.textFrom(n.FirstChild())
	second := first.textAfter(n)
	if second.i == 0 {
		return first.Text()
	}
	size := len(first.raw())
	for c := second; c.i != 0; c = c.textAfter(n) {
		size += len(c.raw())
	}
	var b strings.Builder
	b.Grow(size)
	for c := first; c.i != 0; c = c.textAfter(n) {
		c.writeText(&b)
	}
	return b.String()
}

// textFrom returns the first text node below n from c on in document order.
func (n Node) textFrom(c Node) Node {
	for c.i != 0 && c.Kind() != Text {
		c = c.following(n)
	}
	return c
}

func (n Node) textAfter(top Node) Node {
	if n.i == 0 {
		return n
	}
	return top.textFrom(n.following(top))
}

// following returns the next node in document order below top.
func (n Node) following(top Node) Node {
	if c := n.FirstChild(); c.i != 0 {
		return c
	}
	for ; n != top; n = n.Parent() {
		if s := n.NextSibling(); s.i != 0 {
			return s
		}
	}
	return Node{}
}

// Target returns the target of a processing instruction.
func (n Node) Target() string {
	d := n.data()
	if d.kind != PI {
		return ""
	}
	return n.t.text[d.start+2 : d.nameEnd]
}

// Blank reports whether n is a text node of white space only, in whatever way that is written.
func (n Node) Blank() bool { return n.data().flags&blank != 0 }

// Unresolved reports whether n, or anything below it, attributes included, refers to an entity that only the document
// type declaration can know (Options.AllowDTD). Such a reference stays in the value as it is written, so a caller that
// needs the value has to refuse. The offset is where the first such reference stands in the source.
func (n Node) Unresolved() (offset int, ok bool) {
	for c := n; c.i != 0; c = c.following(n) {
		for a := range c.Attrs() {
			if offset, ok := a.Unresolved(); ok {
				return offset, true
			}
		}
		if d := c.data(); d.flags&unresolved != 0 {
			return c.t.offset(d.start + uint32(unresolvedIn(c.t.text[d.start:d.end], true))), true
		}
	}
	return 0, false
}

// LookupPrefix returns the namespace name that a prefix is bound to at n, "" meaning the default namespace. It is not ok
// when the prefix is not bound there, as for "" where no default namespace is declared. The prefix xml is always bound;
// xmlns, which no name may use, never.
func (n Node) LookupPrefix(prefix string) (uri string, ok bool) {
	if prefix == "xml" && n.Valid() {
		return XMLSpace, true
	}
	for e := n; e.i != 0; e = e.Parent() {
		for d := range e.Decls() {
			if d.Prefix() == prefix {
				return d.URI(), d.URI() != ""
			}
		}
	}
	return "", false
}

// InScope iterates over all prefixes in scope at n and the namespace names that they are bound to, those of the nearest
// element first; the prefix xml comes last.
func (n Node) InScope() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var near []string
		var many map[string]bool
		for e := n; e.i != 0; e = e.Parent() {
			for d := range e.Decls() {
				prefix := d.Prefix()
				if prefix == "xml" || many[prefix] || many == nil && slices.Contains(near, prefix) {
					continue
				}
				if near = append(near, prefix); len(near) > few {
					if many == nil {
						many = make(map[string]bool)
						for _, p := range near {
							many[p] = true
						}
					}
					many[prefix] = true
				}
				if d.URI() != "" && !yield(prefix, d.URI()) {
					return
				}
			}
		}
		if n.Valid() {
			yield("xml", XMLSpace)
		}
	}
}

// Range returns where n stands in the source, tags included. It is 0, 0 for what an edit has added, and for a text node
// that an edit has changed; edits of what is in an element do not change its range.
func (n Node) Range() (start, end int) {
	d := n.data()
	return n.t.inSource(int(d.start), int(d.end))
}

// Inner returns where the content of n stands in the source: of an element what is between its tags, of a comment and
// of a processing instruction what Text returns, of others the same as Range. For an empty-element tag it is the empty
// range before its "/>". About edits see Range.
func (n Node) Inner() (start, end int) { return n.t.inSource(n.inner()) }

func (n Node) inner() (start, end int) {
	d := n.data()
	switch d.kind {
	case Element:
		if d.inner == d.end {
			return int(d.end) - 2, int(d.end) - 2
		}
		return int(d.inner), int(n.t.endTag(d).start)
	case Comment:
		return int(d.start) + len("<!--"), int(d.end) - len("-->")
	case PI:
		return int(d.inner), int(d.end) - len("?>")
	}
	return int(d.start), int(d.end)
}

// inSource makes a range of text one of the source.
func (t *Tree) inSource(start, end int) (int, int) {
	if t == nil || end > len(t.src) {
		return 0, 0
	}
	return start, end
}

func (t *Tree) offset(at uint32) int {
	if int(at) > len(t.src) {
		return 0
	}
	return int(at)
}

// Bytes returns what n is written as, with all that is in it: a part of the source where no edit has changed anything.
func (n Node) Bytes() []byte {
	d := n.data()
	switch {
	case d.kind == None:
		return nil
	case d.flags&edited == 0 && int(d.end) <= len(n.t.src):
		return slices.Clip(n.t.src[d.start:d.end])
	}
	return n.t.write(nil, n.i)
}

// Position returns the line and the column where n starts, see Tree.Position, and 0, 0 where Range does.
func (n Node) Position() (line, col int) {
	d := n.data()
	if d.kind == None || int(d.end) > len(n.t.src) {
		return 0, 0
	}
	return n.t.Position(int(d.start))
}
