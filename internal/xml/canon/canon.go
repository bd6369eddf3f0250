// Package canon writes documents in the form of Canonical XML 1.0 and of Exclusive XML Canonicalization 1.0.
//
// Two documents with the same inclusive form with comments are equal for RFC 5261, section 3, and RFC 5874, section 3.
package canon

import (
	"bytes"
	"slices"
	"strings"

	"imp/internal/xml/tree"
)

// Options choose the form. The zero value is Canonical XML 1.0 without comments.
type Options struct {
	Comments  bool // keep comments
	Exclusive bool // Exclusive XML Canonicalization 1.0: only declarations that are visibly used
	// Inclusive lists prefixes, "" for the default namespace, whose declarations the exclusive form keeps as the inclusive
	// form does.
	Inclusive []string
}

// Append appends the canonical form of n to dst: of the whole document for the document node, else of n and all that is
// below it, with what an element takes over from the elements around it (Canonical XML 1.0, section 2.4; Exclusive XML
// Canonicalization 1.0, section 3). Of the zero Node nothing is written. References that only a document type declaration
// could resolve (tree.Node.Unresolved) are written as the text that they are.
func Append(dst []byte, n tree.Node, opt Options) []byte {
	w := writer{dst: dst, opt: opt, top: n}
	for c := n; c.Valid(); {
		w.open(c)
		if first := c.FirstChild(); first.Valid() {
			c = first
			continue
		}
		w.close(c)
		for c != n && !c.NextSibling().Valid() {
			c = c.Parent()
			w.close(c)
		}
		if c == n {
			break
		}
		c = c.NextSibling()
	}
	return w.dst
}

// Equal reports whether a and b have the same inclusive canonical form with comments.
func Equal(a, b tree.Node) bool {
	opt := Options{Comments: true}
	return bytes.Equal(Append(nil, a, opt), Append(nil, b, opt))
}

type writer struct {
	dst      []byte
	opt      Options
	top      tree.Node
	root     bool // the root element has been written
	rendered scope
	decls    []declaration
	attrs    []tree.Attr
}

type declaration struct{ prefix, uri string }

func (w *writer) open(n tree.Node) {
	switch n.Kind() {
	case tree.Element:
		w.startTag(n)
	case tree.Text:
		w.dst = appendText(w.dst, n.Text())
	case tree.Comment:
		if w.opt.Comments {
			w.beside(n, func() {
				w.dst = append(w.dst, "<!--"...)
				w.dst = append(w.dst, n.Text()...)
				w.dst = append(w.dst, "-->"...)
			})
		}
	case tree.PI:
		w.beside(n, func() {
			w.dst = append(w.dst, "<?"...)
			w.dst = append(w.dst, n.Target()...)
			if data := n.Text(); data != "" {
				w.dst = append(w.dst, ' ')
				w.dst = append(w.dst, data...)
			}
			w.dst = append(w.dst, "?>"...)
		})
	}
}

// beside sets what stands beside the root element on a line of its own.
func (w *writer) beside(n tree.Node, write func()) {
	outside := w.top.Kind() == tree.Document && n.Parent() == w.top
	if outside && w.root {
		w.dst = append(w.dst, '\n')
	}
	write()
	if outside && !w.root {
		w.dst = append(w.dst, '\n')
	}
}

func (w *writer) close(n tree.Node) {
	if n.Kind() != tree.Element {
		return
	}
	w.dst = append(w.dst, "</"...)
	w.dst = append(w.dst, n.Name()...)
	w.dst = append(w.dst, '>')
	w.rendered.leave()
	if n.Parent() == w.top {
		w.root = true
	}
}

func (w *writer) startTag(n tree.Node) {
	w.dst = append(w.dst, '<')
	w.dst = append(w.dst, n.Name()...)
	w.rendered.enter()
	w.decls, w.attrs = w.decls[:0], w.attrs[:0]
	for a := range n.Attrs() {
		w.attrs = append(w.attrs, a)
	}
	if w.opt.Exclusive {
		w.usedDeclarations(n)
	} else {
		w.allDeclarations(n)
	}
	slices.SortFunc(w.decls, func(a, b declaration) int { return strings.Compare(a.prefix, b.prefix) })
	for _, d := range w.decls {
		w.dst = append(w.dst, " xmlns"...)
		if d.prefix != "" {
			w.dst = append(w.dst, ':')
			w.dst = append(w.dst, d.prefix...)
		}
		w.value(d.uri)
	}
	slices.SortFunc(w.attrs, func(a, b tree.Attr) int {
		if c := strings.Compare(a.Space(), b.Space()); c != 0 {
			return c
		}
		return strings.Compare(a.Local(), b.Local())
	})
	for _, a := range w.attrs {
		w.dst = append(w.dst, ' ')
		w.dst = append(w.dst, a.Name()...)
		w.value(a.Value())
	}
	w.dst = append(w.dst, '>')
}

func (w *writer) value(s string) {
	w.dst = append(w.dst, `="`...)
	w.dst = appendValue(w.dst, s)
	w.dst = append(w.dst, '"')
}

// declare notes a declaration unless what is written around it says the same.
func (w *writer) declare(prefix, uri string) {
	if prefix != "xml" && w.rendered.lookup(prefix) != uri {
		w.rendered.bind(prefix, uri)
		w.decls = append(w.decls, declaration{prefix, uri})
	}
}

func (w *writer) allDeclarations(n tree.Node) {
	if n != w.top || n.Parent().Kind() != tree.Element {
		for d := range n.Decls() {
			w.declare(d.Prefix(), d.URI())
		}
		return
	}
	for prefix, uri := range n.InScope() {
		w.declare(prefix, uri)
	}
	w.inheritXML(n)
}

// inheritXML adds the attributes of the namespace xml, such as xml:lang, that the elements around n have.
func (w *writer) inheritXML(n tree.Node) {
	seen := map[string]bool{}
	for e := n; e.Valid(); e = e.Parent() {
		for a := range e.Attrs() {
			if a.Space() == tree.XMLSpace && !seen[a.Local()] {
				seen[a.Local()] = true
				if e != n {
					w.attrs = append(w.attrs, a)
				}
			}
		}
	}
}

func (w *writer) usedDeclarations(n tree.Node) {
	w.declare(n.Prefix(), n.Space())
	for _, a := range w.attrs {
		if prefix := a.Prefix(); prefix != "" {
			w.declare(prefix, a.Space())
		}
	}
	switch {
	case len(w.opt.Inclusive) == 0:
	case n == w.top:
		for _, prefix := range w.opt.Inclusive {
			uri, _ := n.LookupPrefix(prefix)
			if uri != "" {
				w.declare(prefix, uri)
			}
		}
	default:
		for d := range n.Decls() {
			if slices.Contains(w.opt.Inclusive, d.Prefix()) {
				w.declare(d.Prefix(), d.URI())
			}
		}
	}
}
