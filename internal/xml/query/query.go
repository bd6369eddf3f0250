// Package query evaluates XPath 1.0 expressions that people type on documents of package tree, by the library
// antchfx/xpath over a navigator of our own.
//
// What is found are nodes of the tree, so that elements can be printed as they stand in the source. Deviations from
// XPath 1.0: a name of an element without a prefix means the namespace of the root element or none, where XPath knows
// none only, and name() follows that; processing instructions are not seen; there is no namespace axis and no id().
// Selectors of patches and of XCAP are no matter of this package but of package selector.
package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/antchfx/xpath"

	"imp/internal/xml/tree"
)

// Node is a node that an expression found: an element, text node, comment or the document, or an attribute.
type Node struct {
	Node tree.Node // for an attribute its element
	Attr tree.Attr // the zero Attr unless an attribute was found
}

// String returns an element and the document as they stand in the source, of anything else the value.
func (n Node) String() string {
	switch {
	case n.Attr.Valid():
		return n.Attr.Value()
	case n.Node.Kind() == tree.Element:
		return string(n.Node.Bytes())
	case n.Node.Kind() == tree.Document:
		return string(n.Node.Tree().Source())
	}
	return n.Node.Text()
}

// Result is what an expression evaluates to: a node-set, or a boolean, number or string as text.
type Result struct {
	Set   bool   // it is a node-set
	Nodes []Node // the node-set
	Value string // anything else, as the function string() gives it
}

// Strings returns the nodes, or the value, each as text.
func (r *Result) Strings() []string {
	if !r.Set {
		return []string{r.Value}
	}
	found := make([]string, len(r.Nodes))
	for i, n := range r.Nodes {
		found[i] = n.String()
	}
	return found
}

// Evaluate evaluates a compiled expression on a document. An expression must not be evaluated by two goroutines at once.
// The error tells that the library gave up on it.
func Evaluate(t *tree.Tree, expr *xpath.Expr) (r *Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("the expression cannot be evaluated: %v", p)
		}
	}()
	top := &navigator{node: t.Document(), rootSpace: t.Root().Space()}
	switch v := expr.Evaluate(top).(type) {
	case *xpath.NodeIterator:
		return &Result{Set: true, Nodes: collect(v)}, nil
	case bool:
		return &Result{Value: strconv.FormatBool(v)}, nil
	case float64:
		return &Result{Value: number(v)}, nil
	case string:
		return &Result{Value: v}, nil
	default:
		return nil, fmt.Errorf("the expression evaluates to %v, which is nothing of XPath", v)
	}
}

// collect gathers a node-set in document order, which the library does not keep for unions and reverse axes.
func collect(v *xpath.NodeIterator) []Node {
	var nodes []Node
	for v.MoveNext() {
		n := v.Current().(*navigator)
		nodes = append(nodes, Node{Node: n.node, Attr: n.attr()})
	}
	start := func(n Node) int {
		if n.Attr.Valid() {
			at, _ := n.Attr.Range()
			return at
		}
		at, _ := n.Node.Range()
		return at
	}
	slices.SortStableFunc(nodes, func(a, b Node) int {
		if a.Node.Kind() == tree.Document || b.Node.Kind() == tree.Document {
			return int(a.Node.Kind()) - int(b.Node.Kind())
		}
		return start(a) - start(b)
	})
	return slices.Compact(nodes)
}

// number writes a number as the function string() of XPath does (XPath 1.0, section 4.2).
func number(v float64) string {
	switch {
	case math.IsInf(v, 0):
		return map[bool]string{true: "Infinity", false: "-Infinity"}[v > 0]
	case v == 0:
		return "0"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
