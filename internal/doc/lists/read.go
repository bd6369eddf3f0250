package lists

import (
	"slices"
	"strconv"
	"strings"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

const schemaInstance = "http://www.w3.org/2001/XMLSchema-instance"

// Parse reads a resource-lists document. It refuses, with an *Error, what is not well-formed and what the grammar of RFC 4826 refuses. Check demands more.
func Parse(src []byte) (*Document, error) {
	r, err := open(src, "resource-lists")
	if err != nil {
		return nil, err
	}
	d := &Document{}
	for n := range r.tree.Root().Elements() {
		d.Lists = append(d.Lists, r.list(n))
	}
	if r.err != nil {
		return nil, r.err
	}
	return d, nil
}

// ParseServices reads an rls-services document as Parse reads the other.
func ParseServices(src []byte) (*Services, error) {
	r, err := open(src, "rls-services")
	if err != nil {
		return nil, err
	}
	d := &Services{}
	for n := range r.tree.Root().Elements() {
		d.Services = append(d.Services, r.service(n))
	}
	if r.err != nil {
		return nil, r.err
	}
	return d, nil
}

// open parses a document and holds it against its grammar.
func open(src []byte, name string) (*reader, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	if err := lexical.WantRoot(t, "urn:ietf:params:xml:ns:"+name, name); err != nil {
		return nil, err
	}
	g, _ := grammar.ByName(name)
	if err := g.Validate(t); err != nil {
		return nil, err
	}
	return &reader{tree: t}, nil
}

// reader keeps the first error.
type reader struct {
	tree *tree.Tree
	err  error
}

func (r *reader) refuse(offset int, msg string) {
	if r.err == nil {
		r.err = lexical.ErrorAt(r.tree, offset, msg)
	}
}

func (r *reader) service(n tree.Node) Service {
	s := Service{URI: uri(n, "uri"), Attrs: r.attrs(n)}
	for c := range n.Elements() {
		switch {
		case c.Is(ServicesSpace, "resource-list"):
			s.ResourceList = lexical.Trim(c.Text())
		case c.Is(ServicesSpace, "list"):
			l := r.list(c)
			s.List = &l
		case c.Is(ServicesSpace, "packages"):
			s.Packages = []string{}
			for p := range c.Elements() {
				if p.Is(ServicesSpace, "package") {
					s.Packages = append(s.Packages, lexical.Trim(p.Text()))
				}
			}
		default:
			s.Extensions = append(s.Extensions, r.raw(c))
		}
	}
	return s
}

func (r *reader) list(n tree.Node) List {
	l := List{Attrs: r.attrs(n)}
	l.Name, _ = n.Attr("", "name")
	for c := range n.Elements() {
		kind := slices.Index(kindNames[:], c.Local())
		switch {
		case c.Space() != Space:
			l.Extensions = append(l.Extensions, r.raw(c))
		case kind >= 0:
			l.Items = append(l.Items, r.item(c, Kind(kind)))
		default:
			l.Display = display(c)
		}
	}
	return l
}

func (r *reader) item(n tree.Node, kind Kind) Item {
	it := Item{Kind: kind}
	if kind == Nested {
		l := r.list(n)
		it.List = &l
		return it
	}
	it.URI, it.Attrs = uri(n, uriNames[kind]), r.attrs(n)
	if kind == Entry {
		r.copyControl(&it, n)
	}
	for c := range n.Elements() {
		if c.Is(Space, "display-name") {
			it.Display = display(c)
		} else {
			it.Extensions = append(it.Extensions, r.raw(c))
		}
	}
	return it
}

// copyControl takes the attributes of RFC 5364 from among those of an entry.
func (r *reader) copyControl(it *Item, n tree.Node) {
	it.Attrs = slices.DeleteFunc(it.Attrs, func(a Attr) bool {
		value := lexical.Trim(a.Value)
		switch {
		case a.Space != CopyControlSpace:
			return false
		case a.Local == "copyControl":
			it.Copy = Copy(a.Value)
		case a.Local == "anonymize":
			it.Anonymize = value == "true" || value == "1"
		case a.Local == "count":
			count, err := strconv.ParseUint(strings.TrimPrefix(value, "+"), 10, 64)
			if err != nil && strings.Trim(value, "-0") != "" {
				start, _ := n.Attribute(CopyControlSpace, "count").Range()
				r.refuse(start, "count is "+strconv.Quote(lexical.Clip(value))+", expected a number of 64 bits")
			}
			it.Count = &count
		default:
			return false
		}
		return true
	})
	if len(it.Attrs) == 0 {
		it.Attrs = nil
	}
}

func display(n tree.Node) *Name {
	lang, _ := n.Attr(tree.XMLSpace, "lang")
	return &Name{n.Text(), lang}
}

func uri(n tree.Node, name string) string {
	v, _ := n.Attr("", name)
	return lexical.Trim(v)
}

// attrs are the attributes of other namespaces, those about schemas left out.
func (r *reader) attrs(n tree.Node) (list []Attr) {
	for a := range n.Attrs() {
		if a.Space() == "" || a.Space() == schemaInstance {
			continue
		}
		if start, _ := a.Range(); len(a.Space()) > lexical.MaxSpace {
			r.refuse(start, "the namespace name of "+lexical.Clip(a.Name())+" is longer than "+strconv.Itoa(lexical.MaxSpace)+" bytes")
		}
		list = append(list, Attr{a.Space(), a.Local(), a.Value()})
	}
	return list
}

// raw takes an element out of its document.
func (r *reader) raw(n tree.Node) Raw {
	src, err := lexical.Standalone(n)
	if err != nil && r.err == nil {
		r.err = err
	}
	return Raw{n.Space(), n.Local(), src}
}
