// Package grammar checks documents against grammars in a subset of RELAX NG's compact syntax (ISO/IEC 19757-2, annex C).
//
// The grammars of the document types of presence and messaging are in the folder rnc; they are written for imp from what the
// RFCs say. The subset:
//
//   - element, attribute, text, empty, mixed, list, references, groups with commas, choices, interleave, ? * +; definitions
//     with = |= &=; include with definitions that replace others; external;
//   - data types string, token and those of XML Schema that the RFCs use, with pattern, minInclusive, maxInclusive, length,
//     minLength and maxLength; values; urn:imp:datatypes has the selectors of RFC 5261 and the
//     priorities of RFC 3863;
//   - name classes: names, choices of names, *, prefix:*, and either of the two without others.
//
// To stay simple to read and to run it asks for more than RELAX NG does: an attribute is required or optional on its own,
// never one of a choice; text is all of an element or mixed with its elements everywhere; and no two elements of one content
// model that differ may have the same name.
//
// It has one rule more: open content is checked as far as it is known. Where a name class with * lets an element or attribute
// in and a grammar declares that name, in its start or by a definition that is one attribute, it has to be as declared. XML
// Schema calls that lax.
//
// Grammars are compiled once, when they are first needed. The content of an element then is a walk over states, which are the
// derivatives of its content model.
package grammar

import (
	"cmp"
	"embed"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

//go:embed rnc/*.rnc
var embedded embed.FS

// schema is a compiled grammar file.
type schema struct {
	roots    []*element // of start
	elements []*element // all of them
	attrs    map[expanded]*simple
}

// compileFile compiles a grammar file.
func compileFile(files fs.FS, name string) (*schema, error) {
	defs, err := readFile(files, name, "", 0)
	if err != nil {
		return nil, err
	}
	c := &compiler{defs: defs, elements: map[*pattern]*element{}}
	s := &schema{attrs: map[expanded]*simple{}}
	for _, def := range defs {
		if def.op == opAttribute && def.name.kind == className && def.name.space != "" {
			s.attrs[expanded{def.name.space, def.name.local}] = c.attributeType(def)
		}
	}
	if start := defs["start"]; start != nil {
		s.roots = c.start(start, 0)
	}
	c.run()
	s.elements = c.made
	slices.SortStableFunc(s.elements, func(a, b *element) int {
		return cmp.Or(len(a.file)-len(b.file), strings.Compare(a.file, b.file), a.line-b.line)
	})
	return s, c.failed
}

// start returns the elements that a start pattern is a choice of.
func (c *compiler) start(p *pattern, depth int) (roots []*element) {
	switch p = c.deref(p); {
	case c.spent(p, depth):
		return nil
	case p.op == opElement:
		return []*element{c.element(p)}
	case p.op == opChoice:
		for _, k := range p.kids {
			roots = append(roots, c.start(k, depth+1)...)
		}
		return roots
	case p.op == opNotAllowed:
		return nil
	}
	c.fail(p, "start is no choice of elements")
	return nil
}

// known is the file of a namespace, compiled at its first use.
type known struct {
	file string
	once sync.Once
	s    *schema
}

func (k *known) schema() *schema {
	k.once.Do(func() {
		s, err := compileFile(embedded, "rnc/"+k.file)
		if err != nil {
			// A test compiles every file, so this is never seen.
			panic("grammar: " + err.Error())
		}
		k.s = s
	})
	return k.s
}

// root returns the element that the grammar declares for any document.
func (s *schema) root(space, local string) *element {
	for _, e := range s.roots {
		if e.is(space, local) {
			return e
		}
	}
	return nil
}

// Grammar checks documents of one type, or parts of documents in one namespace.
type Grammar struct {
	name   string
	space  string
	local  string // of the root, "" for parts
	schema *schema
}

// For returns the grammar for a root element of this expanded name: the one of the document type, or the one that checks
// elements of the namespace as parts of documents. It is not ok when nothing is known about the namespace.
func For(space, local string) (*Grammar, bool) {
	for i := range types {
		if t := &types[i]; t.Space == space && t.Root == local {
			return t.grammar(), true
		}
	}
	k := namespaces[space]
	if k == nil || space == xmlSpace {
		return nil, false
	}
	return &Grammar{space: space, schema: k.schema()}, true
}

// ByName returns the grammar of a document type, see Types.
func ByName(name string) (*Grammar, bool) {
	for i := range types {
		if types[i].Name == name {
			return types[i].grammar(), true
		}
	}
	return nil, false
}

// Name returns the name of the document type, "" when the grammar is for parts of documents.
func (g *Grammar) Name() string { return g.name }

// Type is a document type.
type Type struct {
	Name  string // such as pidf
	Space string // namespace of the root
	Root  string // local name of the root
	Doc   string // the document that defines it
}

func (t *Type) grammar() *Grammar {
	return &Grammar{name: t.Name, space: t.Space, local: t.Root, schema: namespaces[t.Space].schema()}
}

// Types returns the document types, by name.
func Types() []Type { return slices.Clone(types) }

// named returns the type whose root has this local name, whatever its namespace is.
func named(local string) (Type, bool) {
	for _, t := range types {
		if t.Root == local {
			return t, true
		}
	}
	return Type{}, false
}
