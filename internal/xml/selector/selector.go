// Package selector implements the restricted selectors of RFC 5261, section 8 (sel of a patch operation), and of RFC
// 4825, section 6.3 (XCAP node selector).
//
// Both are small subsets of XPath 1.0 with namespace rules of their own, so both compile to the same steps and one
// evaluator runs them. Nothing outside of the grammars is accepted: white space between tokens, other axes, operators and
// functions are refused. Evaluation takes linear time per step.
package selector

import (
	"imp/internal/xml/tree"
)

// Namespaces resolves the prefixes of a selector. The prefix "" stands for the default namespace, which names of
// elements without a prefix are in. The prefix xml needs no binding.
type Namespaces interface {
	Lookup(prefix string) (uri string, ok bool)
}

// Prefixes is a map from prefix to namespace name that serves as Namespaces.
type Prefixes map[string]string

// Lookup implements Namespaces.
func (p Prefixes) Lookup(prefix string) (uri string, ok bool) {
	uri, ok = p[prefix]
	return uri, ok && uri != ""
}

// InScope returns the namespaces in scope at a node, the operation element of a patch for example.
func InScope(n tree.Node) Namespaces { return scope{n} }

type scope struct{ node tree.Node }

func (s scope) Lookup(prefix string) (uri string, ok bool) { return s.node.LookupPrefix(prefix) }

// Kind tells what a step selects.
type Kind uint8

// The kinds of what is selected. Namespace is a declaration on the element itself, Bindings all bindings in scope at an
// element (namespace::* of RFC 4825).
const (
	None Kind = iota
	Element
	Text
	Comment
	PI
	Attribute
	Namespace
	Bindings
)

func (k Kind) String() string {
	return [...]string{"nothing", "element", "text node", "comment", "processing instruction", "attribute", "namespace declaration", "namespace bindings"}[k]
}

// Node is what a selector located. Node is the element, text, comment or processing instruction itself, and for an
// attribute, a declaration and the namespace bindings the element that they belong to.
type Node struct {
	Node tree.Node
	Attr tree.Attr // of kind Attribute
	Decl tree.Decl // of kind Namespace

	kind Kind
}

// Kind returns what n is, None for the zero Node.
func (n Node) Kind() Kind { return n.kind }

// Range returns where n stands in the source; the bindings in scope stand nowhere, their range is that of the element.
func (n Node) Range() (start, end int) {
	switch n.kind {
	case Attribute:
		return n.Attr.Range()
	case Namespace:
		return n.Decl.Range()
	}
	return n.Node.Range()
}

// Selector is a compiled selector. It may be used by several goroutines at once.
type Selector struct {
	source string
	steps  []Step
	xcap   bool
}

// Step is one location step. It selects children of its context, or with the kinds Attribute, Namespace and Bindings
// what belongs to the context itself.
type Step struct {
	Kind  Kind
	Any   bool   // element: *
	Space string // element, attribute: the namespace name that the prefix stands for
	// Local is the local name of an element or attribute, the target of a processing instruction ("" is any), the
	// prefix of a declaration.
	Local      string
	Prefix     string      // element, attribute: as written
	ID         string      // element: id('…'), which is found anywhere in the document
	Predicates []Predicate // in the order they filter in

	source string
}

// String returns the step as it was written.
func (s Step) String() string { return s.source }

// Test tells what a predicate looks at.
type Test uint8

// The tests: [n], [@name='value'], [name='value'] and [.='value'].
const (
	Position Test = iota
	AttributeValue
	ChildValue
	SelfValue
)

// Predicate filters what the name of a step and the predicates before it have left.
type Predicate struct {
	Test     Test
	Position int    // from 1; 0 never matches
	Space    string // namespace name of the attribute or child
	Local    string
	Value    string

	source string
}

// String returns the predicate as it was written, brackets included.
func (p Predicate) String() string { return p.source }

// String returns the selector as it was written.
func (s *Selector) String() string { return s.source }

// Kind returns what kind of node the selector selects, that of its last step.
func (s *Selector) Kind() Kind { return s.steps[len(s.steps)-1].Kind }

// Steps returns the steps of the selector, which must not be changed.
func (s *Selector) Steps() []Step { return s.steps }

// Parent returns the selector without its last step, nil when there is only one step.
func (s *Selector) Parent() *Selector {
	if len(s.steps) == 1 {
		return nil
	}
	end := len(s.source) - len(s.steps[len(s.steps)-1].source) - len("/")
	return &Selector{source: s.source[:end], steps: s.steps[:len(s.steps)-1], xcap: s.xcap}
}
