// Package xcapdiff implements the XCAP diff format (RFC 5874): reading, building and showing documents that tell which XCAP
// resources have changed and how, and what a client does with them. It knows nothing of HTTP and SIP.
package xcapdiff

import (
	"fmt"
	"slices"

	"imp/internal/xml/lexical"
	"imp/internal/xml/patch"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 5874 section 8.1).
const MediaType = patch.TypeXCAPDiff

// Space is the namespace of the documents (RFC 5874 section 3).
const Space = patch.SpaceXCAPDiff

// options bound what a document may ask of the reader.
var options = tree.Options{Limits: tree.Limits{Size: 16 << 20, Depth: 500, Declarations: 500, Attributes: 256}}

// Document is an XCAP diff document (RFC 5874 section 3).
type Document struct {
	Root       string   // XCAP root URI
	Changes    []Change // of documents, in their order
	Elements   []Node
	Attributes []Node
}

// Change tells what has become of a document.
type Change struct {
	Sel                   string // path of the document below the XCAP root
	PreviousETag, NewETag string // "" when absent
	BodyNotChanged        bool   // only the entity-tag is another one
	// Edits are the operations to write; none with both entity-tags is BodyNotChanged, nil means that the document has to be fetched.
	Edits *patch.Edits

	patch patch.Changes // as read
}

// Operations returns the operations of a change that was read.
func (c *Change) Operations() []patch.Operation { return c.patch.Operations }

// Parse reads a document. What is of other namespaces is ignored. It refuses what is not well-formed UTF-8, a missing
// xcap-root or sel, a sel of a document that leads out of the root, operations without both entity-tags or beside
// body-not-changed, and combinations of entity-tags that mean nothing. The error is a *patch.Error or a *tree.Error. Src must
// not change as long as the Document is used.
func Parse(src []byte) (*Document, error) {
	p, err := patch.Parse(src, options)
	if err != nil {
		return nil, err
	}
	root := p.Root()
	if p.Vocabulary != patch.XCAPDiff {
		return nil, lexical.ErrorIn(root, "the root is <"+lexical.Clip(root.Name())+">, not the xcap-diff of "+Space)
	}
	d := &Document{Root: p.XCAPRoot}
	for i, c := range p.Changes {
		d.Changes = append(d.Changes, Change{Sel: c.Document, PreviousETag: c.PreviousETag, NewETag: c.NewETag, BodyNotChanged: c.BodyNotChanged, patch: c})
		if d.Changes[i].Action() == Unknown {
			return nil, lexical.ErrorIn(documents(root)[i], "the entity-tags of <document> mean nothing: there is none, or body-not-changed without both")
		}
	}
	for n := range root.Elements() {
		switch {
		case n.Is(Space, "element"):
			err = read(&d.Elements, n)
		case n.Is(Space, "attribute"):
			err = read(&d.Attributes, n)
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func documents(root tree.Node) (list []tree.Node) {
	for n := range root.Elements() {
		if n.Is(Space, "document") {
			list = append(list, n)
		}
	}
	return list
}

// read reads an element or attribute.
func read(list *[]Node, n tree.Node) error {
	var made Node
	var ok bool
	if made.Sel, ok = n.Attr("", "sel"); !ok {
		return lexical.ErrorIn(n, "<"+lexical.Clip(n.Name())+"> has no sel")
	}
	if _, _, err := made.split(); err != nil {
		return lexical.ErrorIn(n, err.Error())
	}
	switch v, _ := n.Attr("", "exists"); lexical.Trim(v) {
	case "", "true", "1":
	case "false", "0":
		made.Missing = true
	default:
		return lexical.ErrorIn(n, "exists is "+lexical.Clip(v)+", expected true or false")
	}
	if n.Local() == "attribute" {
		made.Value = n.Text()
	} else if child := slices.Collect(n.Elements()); len(child) > 1 {
		return lexical.ErrorIn(n, "<"+lexical.Clip(n.Name())+"> has several elements")
	} else if len(child) == 1 {
		made.Content = whole(child[0])
	}
	*list = append(*list, made)
	return nil
}

// Bytes writes the document. Selectors in operations do not depend on the namespaces of the document around them.
func (d *Document) Bytes() []byte {
	edits := make([]*patch.Edits, 0, len(d.Changes))
	for i := range d.Changes {
		if d.Changes[i].Edits != nil {
			edits = append(edits, d.Changes[i].Edits)
		}
	}
	w := writer{prefix: patch.Prefix(edits...)}
	w.dst = append(w.dst, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...)
	w.open("xcap-diff")
	w.attribute("xmlns:"+w.prefix, Space)
	w.attribute("xcap-root", d.Root)
	w.dst = append(w.dst, '>')
	for i := range d.Changes {
		w.change(&d.Changes[i])
	}
	for _, n := range d.Elements {
		w.node("element", n, n.Content)
	}
	for _, n := range d.Attributes {
		w.node("attribute", n, tree.AppendText(nil, lexical.Legal(n.Value)))
	}
	return fmt.Appendf(w.dst, "\n</%s:xcap-diff>\n", w.prefix)
}

type writer struct {
	dst    []byte
	prefix string
}

func (w *writer) open(local string) { w.dst = fmt.Appendf(w.dst, "<%s:%s", w.prefix, local) }

func (w *writer) attribute(name, value string) {
	w.dst = lexical.AppendAttribute(w.dst, name, value)
}

func (w *writer) change(c *Change) {
	w.dst = append(w.dst, "\n  "...)
	w.open("document")
	if c.NewETag != "" {
		w.attribute("new-etag", c.NewETag)
	}
	w.attribute("sel", c.Sel)
	if c.PreviousETag != "" {
		w.attribute("previous-etag", c.PreviousETag)
	}
	both := c.NewETag != "" && c.PreviousETag != ""
	switch {
	case both && (c.BodyNotChanged || c.Edits != nil && c.Edits.Len() == 0):
		w.dst = fmt.Appendf(w.dst, "><%s:body-not-changed/></%[1]s:document>", w.prefix)
	case both && c.Edits != nil:
		w.dst = append(w.dst, '>')
		w.dst = c.Edits.AppendOperations(w.dst, w.prefix, "\n    ")
		w.dst = fmt.Appendf(w.dst, "\n  </%s:document>", w.prefix)
	default:
		w.dst = append(w.dst, "/>"...)
	}
}

func (w *writer) node(local string, n Node, content []byte) {
	w.dst = append(w.dst, "\n  "...)
	w.open(local)
	w.attribute("sel", n.Sel)
	switch {
	case n.Missing:
		w.dst = append(w.dst, ` exists="0"/>`...)
	case len(content) == 0:
		w.dst = append(w.dst, "/>"...)
	default:
		w.dst = fmt.Appendf(append(append(w.dst, '>'), content...), "</%s:%s>", w.prefix, local)
	}
}
