package patch

import (
	"fmt"
	"slices"
	"strings"

	"imp/internal/xml/tree"
)

// Frame tells what document to put operations into.
type Frame struct {
	Vocabulary Vocabulary
	// Of a partial PIDF: the presentity and the number of the state that the patch leads to, each left out when "".
	Entity, Version string
	// Of an XCAP diff: the root, the path of the document below it, and its entity-tags. Operations are only written when
	// both tags are there, as the state before has to be known by its tag (RFC 5874, section 3).
	XCAPRoot, Document, PreviousETag, NewETag string
}

// free appends the bindings that the names in a node take from outside of it.
func free(to []binding, top tree.Node) []binding {
	var local []binding
	need := func(prefix, uri string) {
		b := binding{prefix: prefix, uri: uri}
		inside := slices.ContainsFunc(local, func(l binding) bool { return l.prefix == prefix })
		if !inside && uri != tree.XMLSpace && !slices.Contains(to, b) {
			to = append(to, b)
		}
	}
	var marks []int
	for n := top; ; {
		marks = append(marks, len(local))
		for d := range n.Decls() {
			local = append(local, binding{prefix: d.Prefix()})
		}
		if n.Kind() == tree.Element {
			need(n.Prefix(), n.Space())
		}
		for a := range n.Attrs() {
			if a.Prefix() != "" {
				need(a.Prefix(), a.Space())
			}
		}
		if first := n.FirstChild(); first.Valid() {
			n = first
			continue
		}
		for {
			local = local[:marks[len(marks)-1]]
			marks = marks[:len(marks)-1]
			if n == top {
				return to
			}
			if next := n.NextSibling(); next.Valid() {
				n = next
				break
			}
			n = n.Parent()
		}
	}
}

// Append appends a document with the operations. The elements of the vocabulary have a prefix, because as default
// namespace it would be that of the names in selectors too (RFC 5261, section 4.2.1). An XCAP diff without operations says
// that only the entity-tag has changed (RFC 5874, section 3).
func (e *Edits) Append(dst []byte, f Frame) []byte {
	scope := e.scope()
	p := Prefix(e)
	root := roots[f.Vocabulary]
	w := frameWriter{dst: append(dst, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...), prefix: p}
	w.open(root.local)
	w.declare(binding{prefix: p, uri: root.space})
	for _, b := range scope {
		w.declare(b)
	}
	indent := "\n  "
	switch f.Vocabulary {
	case PIDFDiff:
		w.attribute("entity", f.Entity)
		w.attribute("version", f.Version)
	case XCAPDiff:
		w.attribute("xcap-root", f.XCAPRoot)
		w.dst = append(w.dst, ">\n  "...)
		w.open("document")
		w.attribute("sel", f.Document)
		w.attribute("previous-etag", f.PreviousETag)
		w.attribute("new-etag", f.NewETag)
		indent = "\n    "
	}
	w.dst = append(w.dst, '>')
	tagged := f.PreviousETag != "" && f.NewETag != ""
	for i := range e.list {
		if f.Vocabulary != XCAPDiff || tagged {
			w.dst = append(w.dst, indent...)
			w.operation(&e.list[i], scope)
		}
	}
	if f.Vocabulary == XCAPDiff {
		if len(e.list) == 0 && tagged {
			w.dst = append(w.dst, indent...)
			w.open("body-not-changed")
			w.dst = append(w.dst, "/>"...)
		}
		w.dst = append(w.dst, "\n  "...)
		w.close("document")
	}
	w.dst = append(w.dst, '\n')
	w.close(root.local)
	return append(w.dst, '\n')
}

// scope chooses the declarations for the root element: of each prefix the one that is needed first.
func (e *Edits) scope() []binding {
	var scope []binding
	for i := range e.list {
		for _, b := range e.list[i].free {
			if b.uri != "" && !slices.ContainsFunc(scope, func(s binding) bool { return s.prefix == b.prefix }) {
				scope = append(scope, b)
			}
		}
	}
	return scope
}

// Prefix chooses a prefix for the elements of a vocabulary that none of the operations uses for anything else.
func Prefix(edits ...*Edits) string {
	prefix := "p"
	taken := func(b binding) bool { return b.prefix == prefix }
	used := func(o edit) bool { return slices.ContainsFunc(o.free, taken) }
	for i := 1; slices.ContainsFunc(edits, func(e *Edits) bool { return slices.ContainsFunc(e.list, used) }); i++ {
		prefix = fmt.Sprintf("p%d", i)
	}
	return prefix
}

// AppendOperations appends the operations alone, each with the declarations that it needs, for a document without a default
// namespace in which the vocabulary has this prefix, see Prefix. Indent goes before each.
func (e *Edits) AppendOperations(dst []byte, prefix, indent string) []byte {
	w := frameWriter{dst: dst, prefix: prefix}
	for i := range e.list {
		w.dst = append(w.dst, indent...)
		w.operation(&e.list[i], nil)
	}
	return w.dst
}

type frameWriter struct {
	dst    []byte
	prefix string
}

func (w *frameWriter) name(local string) {
	w.dst = append(w.dst, w.prefix...)
	w.dst = append(w.dst, ':')
	w.dst = append(w.dst, local...)
}

func (w *frameWriter) open(local string) {
	w.dst = append(w.dst, '<')
	w.name(local)
}

func (w *frameWriter) close(local string) {
	w.dst = append(w.dst, "</"...)
	w.name(local)
	w.dst = append(w.dst, '>')
}

// attribute writes an attribute that has a value.
func (w *frameWriter) attribute(name, value string) {
	if value != "" {
		w.assign(name, value)
	}
}

func (w *frameWriter) assign(name, value string) {
	w.dst = append(w.dst, ' ')
	w.dst = append(w.dst, name...)
	w.dst = append(w.dst, `="`...)
	w.dst = tree.AppendValue(w.dst, value, '"')
	w.dst = append(w.dst, '"')
}

func (w *frameWriter) declare(b binding) { w.assign(strings.TrimSuffix("xmlns:"+b.prefix, ":"), b.uri) }

func (w *frameWriter) operation(o *edit, scope []binding) {
	verb := o.verb.String()
	w.open(verb)
	for _, b := range o.free {
		i := slices.IndexFunc(scope, func(s binding) bool { return s.prefix == b.prefix })
		if i >= 0 && scope[i] != b || i < 0 && b.uri != "" {
			w.declare(b)
		}
	}
	w.assign("sel", o.sel)
	if o.verb == Remove {
		w.attribute("ws", o.position.String())
	} else {
		w.attribute("pos", o.position.String())
	}
	w.attribute("type", o.kind)
	if o.content == "" {
		w.dst = append(w.dst, "/>"...)
		return
	}
	w.dst = append(w.dst, '>')
	w.dst = append(w.dst, o.content...)
	w.close(verb)
}
