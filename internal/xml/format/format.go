// Package format lays documents out for people: an element a line, indented by depth.
//
// Only white space that cannot be content changes: between the children of elements that hold no text of their own, and
// inside of tags. Everything else stays as it is written: values with their quotes and references, CDATA sections, mixed
// content, and all that is in the scope of xml:space="preserve" (XML 1.0, section 2.10).
package format

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"imp/internal/xml/tree"
)

// Options of the layout. The zero value is what most want.
type Options struct {
	Indent string // of one level; default two spaces
	Width  int    // a start tag that reaches beyond it, in characters, has one attribute a line; default 120
}

// Append appends the document in its layout to dst. It must not have been edited. Lines end the way the first one of the
// source does, and the document ends with a line end. A byte order mark is left out.
func Append(dst []byte, t *tree.Tree, opt Options) []byte {
	if opt.Indent == "" {
		opt.Indent = "  "
	}
	if opt.Width <= 0 {
		opt.Width = 120
	}
	w := writer{dst: dst, src: t.Source(), opt: opt, eol: "\n"}
	if i := bytes.IndexByte(w.src, '\n'); i > 0 && w.src[i-1] == '\r' {
		w.eol = "\r\n"
	}
	w.document(t)
	return w.dst
}

type writer struct {
	dst []byte
	src []byte
	opt Options
	eol string

	parts []part // of the tag being written
}

// document writes what stands beside the root element too: the XML declaration and the document type declaration are
// in the gaps between the nodes.
func (w *writer) document(t *tree.Tree) {
	at := 0
	for n := range t.Document().Children() {
		start, end := n.Range()
		w.gap(w.src[at:start], t.Doctype())
		if n.Kind() == tree.Element {
			w.content(n)
		} else {
			w.dst = append(w.dst, w.src[start:end]...)
		}
		w.dst = append(w.dst, w.eol...)
		at = end
	}
}

func (w *writer) gap(gap, doctype []byte) {
	gap = bytes.TrimPrefix(gap, []byte("\uFEFF"))
	before, after := gap, []byte(nil)
	if i := bytes.Index(gap, doctype); doctype != nil && i >= 0 {
		before, after = gap[:i], gap[i:]
	}
	for _, part := range [][]byte{before, after} {
		if part = bytes.TrimSpace(part); len(part) > 0 {
			w.dst = append(append(w.dst, part...), w.eol...)
		}
	}
}

// content writes an element that may be laid out, and what is in it. It goes by links, so depth costs no stack.
func (w *writer) content(root tree.Node) {
	depth := 0
	for n := root; ; {
		if first := w.open(n, depth); first.Valid() {
			depth++
			n = first
			w.line(depth)
			continue
		}
		for n != root && !next(n).Valid() {
			n = n.Parent()
			depth--
			w.line(depth)
			w.dst = append(append(append(w.dst, "</"...), n.Name()...), '>')
		}
		if n == root {
			return
		}
		n = next(n)
		w.line(depth)
	}
}

func (w *writer) line(depth int) {
	w.dst = append(w.dst, w.eol...)
	for range depth {
		w.dst = append(w.dst, w.opt.Indent...)
	}
}

// open writes a node whole, or its start tag only when its children get lines of their own; then it returns the first.
func (w *writer) open(n tree.Node, depth int) tree.Node {
	if n.Kind() != tree.Element {
		w.dst = append(w.dst, n.Bytes()...)
		return tree.Node{}
	}
	first := n.FirstChild()
	if first.Valid() && w.loose(n) {
		w.startTag(n, depth, ">")
		return visible(first)
	}
	inner, innerEnd := n.Inner()
	if inner == innerEnd {
		w.startTag(n, depth, "/>")
		return tree.Node{}
	}
	w.startTag(n, depth, ">")
	w.dst = append(w.dst, w.src[inner:innerEnd]...)
	w.dst = append(append(append(w.dst, "</"...), n.Name()...), '>')
	return tree.Node{}
}

// loose reports whether white space in an element is layout: it has children, none of them text that says anything, and
// nobody asks to preserve it.
func (w *writer) loose(n tree.Node) bool {
	if v, _ := n.Attr(tree.XMLSpace, "space"); v == "preserve" {
		return false
	}
	other := false
	for c := range n.Children() {
		start, end := c.Range()
		switch {
		case c.Kind() != tree.Text:
			other = true
		case !c.Blank() || bytes.ContainsAny(w.src[start:end], "&<"):
			return false
		}
	}
	return other
}

// startTag writes a tag with its declarations and attributes in their order.
func (w *writer) startTag(n tree.Node, depth int, end string) {
	w.dst = append(append(w.dst, '<'), n.Name()...)
	w.readParts(n)
	width := depth*utf8.RuneCountInString(w.opt.Indent) + len("<") + utf8.RuneCountInString(n.Name()) + len(end)
	for _, p := range w.parts {
		width += len(" =") + utf8.RuneCount(p.name) + utf8.RuneCount(p.value)
	}
	for _, p := range w.parts {
		if width > w.opt.Width && len(w.parts) > 1 {
			w.line(depth + 2)
		} else {
			w.dst = append(w.dst, ' ')
		}
		w.dst = append(append(append(w.dst, p.name...), '='), p.value...)
	}
	w.dst = append(w.dst, end...)
}

// part is a declaration or an attribute as written, the value with its quotes.
type part struct {
	start       int
	name, value []byte
}

func (w *writer) readParts(n tree.Node) {
	w.parts = w.parts[:0]
	for d := range n.Decls() {
		start, end := d.Range()
		value, _ := d.ValueRange()
		w.part(start, value, end)
	}
	for a := range n.Attrs() {
		start, end := a.Range()
		value, _ := a.ValueRange()
		w.part(start, value, end)
	}
	slices.SortFunc(w.parts, func(a, b part) int { return a.start - b.start })
}

func (w *writer) part(start, value, end int) {
	name, _, _ := bytes.Cut(w.src[start:value], []byte("="))
	w.parts = append(w.parts, part{start, bytes.TrimRight(name, " \t\r\n"), w.src[value-1 : end]})
}

// next returns the following sibling that gets a line.
func next(n tree.Node) tree.Node { return visible(n.NextSibling()) }

// visible returns n, or what follows when it is text, which is layout among the children of a loose element.
func visible(n tree.Node) tree.Node {
	for n.Kind() == tree.Text {
		n = n.NextSibling()
	}
	return n
}
