package patch

import (
	"fmt"
	"strings"

	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// Apply applies the operations to a document, in their order (RFC 5261, section 4). When one fails, the document is left
// as it was and the error is an *Error that tells which one and why. Explain, when it is not nil, is told of every
// operation what it did.
//
// The operations of a partial PIDF may name the root element presence where the document has pidf-full, as the example of
// RFC 5262, section 6 does; the version of the document becomes that of the patch then.
func (c *Changes) Apply(t *tree.Tree, explain func(Applied)) error {
	t.Begin()
	l := locator{tree: t}
	for i := range c.Operations {
		if failed := c.apply(&l, i, explain); failed != nil {
			t.Rollback()
			failed.Index = i
			return failed
		}
	}
	if c.pidf && c.version != "" && t.Root().Is(SpacePIDFDiff, "pidf-full") {
		if err := t.Root().SetAttr("version", c.version); err != nil {
			t.Rollback()
			return &Error{Condition: InvalidAttributeValue, Index: -1, Err: err}
		}
	}
	t.Commit()
	return nil
}

func (c *Changes) apply(l *locator, i int, explain func(Applied)) *Error {
	op := &c.Operations[i]
	s := op.Selector
	if c.pidf && l.tree.Root().Is(SpacePIDFDiff, "pidf-full") {
		s = fullState(op)
	}
	n, failed := l.locate(op, s)
	if failed != nil {
		return failed
	}
	var told Applied
	if explain != nil {
		told = appliedTo(i, op, n)
	}
	failed = l.follow(op, n, [...]func(target) *Error{Add: op.add, Replace: op.replace, Remove: op.remove}[op.Verb])
	if failed == nil && explain != nil {
		explain(told)
	}
	return failed
}

// fullState returns the selector with the name presence of the root element, if that is what it starts with, made any.
func fullState(op *Operation) *selector.Selector {
	step := op.Selector.Steps()[0]
	if step.Kind != selector.Element || step.Any || step.ID != "" || step.Space != spacePIDF || step.Local != "presence" {
		return op.Selector
	}
	written, _, _ := strings.Cut(step.String(), "[")
	s, err := selector.ParsePatch(strings.Replace(op.Selector.String(), written, "*", 1), selector.InScope(op.Element))
	if err != nil {
		return op.Selector
	}
	return s
}

func (op *Operation) add(n target) *Error {
	switch op.kind {
	case selector.Attribute:
		return op.addAttribute(n.node)
	case selector.Namespace:
		for d := range n.node.Decls() {
			if d.Prefix() == op.local {
				return failf(InvalidAttributeValue, op.Element, "element %s declares prefix %s already", clip(n.node.Name()), clip(op.local))
			}
		}
		return fromEdit(op.Element, n.node.Declare(op.local, op.Element.Text()), InvalidURI)
	}
	parent := n.node
	if op.Position == Before || op.Position == After {
		parent = n.node.Parent()
	}
	content := op.content(parent)
	var err error
	switch op.Position {
	case Before:
		err = n.node.InsertBefore(content)
	case After:
		err = n.node.InsertAfter(content)
	case Prepend:
		err = n.node.Prepend(content)
	default:
		err = n.node.Append(content)
	}
	return fromEdit(op.Element, err, InvalidDirective)
}

func (op *Operation) addAttribute(n tree.Node) *Error {
	if n.Attribute(op.space, op.local).Valid() {
		return failf(InvalidAttributeValue, op.Element, "element %s has an attribute %s already", clip(n.Name()), clip(op.local))
	}
	name := op.local
	if op.prefix != "" {
		m := mangler{context: n}
		prefix := m.prefix(op.prefix, op.space, false)
		if len(m.local) > 0 {
			var failed *Error
			if prefix, failed = op.declare(n); failed != nil {
				return failed
			}
		}
		name = prefix + ":" + op.local
	}
	return fromEdit(op.Element, n.SetAttr(name, op.Element.Text()), InvalidAttributeValue)
}

// declare declares the namespace of a new attribute on its element. A prefix that means something else there already must
// not change its meaning for what uses it.
func (op *Operation) declare(n tree.Node) (string, *Error) {
	prefix := op.prefix
	for i := 1; ; i++ {
		if _, taken := n.LookupPrefix(prefix); !taken {
			break
		}
		prefix = fmt.Sprintf("%s%d", op.prefix, i)
	}
	return prefix, fromEdit(op.Element, n.Declare(prefix, op.space), InvalidURI)
}

func (op *Operation) replace(n target) *Error {
	switch n.kind {
	case selector.Attribute:
		return fromEdit(op.Element, n.attr.SetValue(op.Element.Text()), InvalidAttributeValue)
	case selector.Namespace:
		return fromEdit(op.Element, n.decl.SetURI(op.Element.Text()), InvalidURI)
	}
	return fromEdit(op.Element, n.node.Replace(op.content(n.node.Parent())), InvalidNodeTypes)
}

func (op *Operation) remove(n target) *Error {
	switch n.kind {
	case selector.Attribute:
		return fromEdit(op.Element, n.attr.Remove(), InvalidDirective)
	case selector.Namespace:
		if n.decl.Used() {
			return failf(InvalidPrefix, op.Element, "prefix %s is in use", clip(n.decl.Prefix()))
		}
		return fromEdit(op.Element, n.decl.Remove(), InvalidDirective)
	}
	if n.node == n.node.Tree().Root() {
		return failf(InvalidRootOperation, op.Element, "root element %s cannot be removed", clip(n.node.Name()))
	}
	// White space goes first: behind the removal it would be one with other text.
	for _, side := range []struct {
		when  Position
		blank tree.Node
	}{{Before, n.node.PrevSibling()}, {After, n.node.NextSibling()}} {
		if op.Position != side.when && op.Position != Both {
			continue
		}
		if !side.blank.Blank() {
			return failf(InvalidWhitespace, op.Element, "what stands %s the %s is no white space", side.when, n.kind)
		}
		if err := side.blank.Remove(); err != nil {
			return fromEdit(op.Element, err, InvalidWhitespace)
		}
	}
	return fromEdit(op.Element, n.node.Remove(), InvalidDirective)
}
