package patch

import (
	"bytes"
	"fmt"
	"strings"

	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// readOperation reads an operation and checks all that can be checked without the document it is for (RFC 5261, sections
// 4 and 8).
func readOperation(n tree.Node, v Vocabulary) (op Operation, failed *Error) {
	op.Element = n
	switch {
	case n.Is(roots[v].space, "add"):
	case n.Is(roots[v].space, "replace"):
		op.Verb = Replace
	case n.Is(roots[v].space, "remove"):
		op.Verb = Remove
	default:
		return op, fail(InvalidDiffFormat, n, fmt.Errorf("element %s of namespace %q is no operation, expected add, replace or remove of %s", n.Name(), n.Space(), roots[v].space))
	}
	var sel, kind string
	hasSel, hasType := false, false
	for a := range n.Attrs() {
		if a.Space() != "" {
			continue // of another specification
		}
		value := a.Value()
		switch name := a.Local(); {
		case name == "sel":
			sel, hasSel = value, true
		case name == "pos" && op.Verb == Add:
			op.Position, failed = position(n, name, value, Before, After, Prepend)
		case name == "ws" && op.Verb == Remove:
			op.Position, failed = position(n, name, value, Before, After, Both)
		case name == "type" && op.Verb == Add:
			kind, hasType = value, true
		case name == "pos" || name == "ws" || name == "type":
			failed = failf(InvalidDirective, n, "attribute %s is not for %s", name, op.Verb)
		case v != XCAPDiff:
			failed = failf(InvalidDiffFormat, n, "attribute %s is not known", clip(name))
		}
		if failed != nil {
			return op, failed
		}
	}
	if !hasSel {
		return op, failf(InvalidAttributeValue, n, "%s has no sel", op.Verb)
	}
	if at, ok := n.Unresolved(); ok {
		line, col := n.Tree().Position(at)
		return op, failf(InvalidEntity, n, "the entity at %d:%d has no known value", line, col)
	}
	var err error
	if op.Selector, err = selector.ParsePatch(sel, selector.InScope(n)); err != nil {
		return op, fromSelector(n, err)
	}
	if hasType {
		if failed := op.readType(kind); failed != nil {
			return op, failed
		}
	}
	return op, op.check()
}

func position(n tree.Node, name, value string, of ...Position) (Position, *Error) {
	for _, p := range of {
		if value == p.String() {
			return p, nil
		}
	}
	return None, failf(InvalidAttributeValue, n, "%s is %q, expected one of %v", name, clip(value), of)
}

// readType reads the attribute type of an add: "@name" or "namespace::prefix".
func (op *Operation) readType(kind string) *Error {
	n := op.Element
	s, err := selector.ParsePatch(kind, selector.InScope(n))
	if err != nil {
		return fromSelector(n, fmt.Errorf("type: %w", err))
	}
	steps := s.Steps()
	last := steps[len(steps)-1]
	if len(steps) != 1 || last.Kind != selector.Attribute && last.Kind != selector.Namespace || strings.HasPrefix(kind, "/") {
		return failf(InvalidAttributeValue, n, "type is %q, expected @name or namespace::prefix", clip(kind))
	}
	op.kind, op.prefix, op.space, op.local = last.Kind, last.Prefix, last.Space, last.Local
	if op.kind == selector.Attribute && (op.prefix == "xmlns" || op.prefix == "" && op.local == "xmlns") {
		return failf(InvalidAttributeValue, n, "type is %q, a declaration is added with namespace::prefix", clip(kind))
	}
	return nil
}

// check refuses what no document could make right.
func (op *Operation) check() *Error {
	n, of := op.Element, op.Selector.Kind()
	belongs := of == selector.Attribute || of == selector.Namespace
	switch {
	case op.Verb == Add && belongs:
		return failf(InvalidAttributeValue, n, "sel of an add selects a %s, which nothing can be added to", of)
	case op.Verb == Add && op.kind != selector.None && op.Position != None:
		return failf(InvalidDirective, n, "pos has no meaning together with type")
	case op.Verb == Add && of != selector.Element && (op.kind != selector.None || op.Position == None || op.Position == Prepend):
		return failf(InvalidDirective, n, "only to elements something can be added, sel selects a %s; before and after need pos", of)
	case op.Verb == Add && op.kind == selector.Namespace, op.Verb == Replace && of == selector.Namespace:
		return op.checkURI()
	case op.Verb == Add && op.kind == selector.Attribute:
		return op.checkValue(InvalidAttributeValue)
	case op.Verb == Replace && of == selector.Attribute:
		return op.checkValue(InvalidNodeTypes)
	case op.Verb == Replace:
		return op.checkReplacement(of)
	case op.Verb == Remove && op.Position != None && (belongs || of == selector.Text):
		return failf(InvalidWhitespace, n, "ws is not for removing a %s", of)
	case op.Verb == Remove:
		for c := range n.Children() {
			if c.Kind() == tree.Element || c.Kind() == tree.Text && !c.Blank() {
				return failf(InvalidDiffFormat, n, "remove has content")
			}
		}
	}
	return nil
}

// checkValue refuses content that is no value of an attribute: anything but characters (RFC 5261, sections 4.3 and 5.1).
func (op *Operation) checkValue(otherwise Condition) *Error {
	for c := range op.Element.Children() {
		if c.Kind() != tree.Text {
			return failf(otherwise, op.Element, "content has a %s, an attribute takes text alone", c.Kind())
		}
	}
	start, end := op.Element.Inner()
	if bytes.Contains(op.Element.Tree().Source()[start:end], []byte("<![CDATA[")) {
		return failf(InvalidAttributeValue, op.Element, "content has a CDATA section, an attribute takes plain text")
	}
	return nil
}

func (op *Operation) checkURI() *Error {
	if failed := op.checkValue(InvalidNodeTypes); failed != nil {
		return failed
	}
	uri := op.Element.Text()
	if !isURI(uri) {
		return failf(InvalidURI, op.Element, "%q is no namespace name", clip(uri))
	}
	return nil
}

// isURI reports whether a namespace name has none of the characters that no URI has.
func isURI(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune("<>\"{}|\\^`", r) })
}

// checkReplacement refuses content of another kind than what it replaces (RFC 5261, section 4.4).
func (op *Operation) checkReplacement(of selector.Kind) *Error {
	kinds := map[selector.Kind]tree.Kind{selector.Element: tree.Element, selector.Comment: tree.Comment, selector.PI: tree.PI, selector.Text: tree.Text}
	first := op.Element.FirstChild()
	switch {
	case !first.Valid() && of == selector.Text:
		return nil
	case !first.Valid():
		return failf(InvalidNodeTypes, op.Element, "no content to replace the %s with", of)
	case first.NextSibling().Valid():
		return failf(InvalidNodeTypes, op.Element, "content has several nodes, a %s is replaced by one", of)
	case first.Kind() != kinds[of]:
		return failf(InvalidNodeTypes, op.Element, "a %s cannot replace a %s", first.Kind(), of)
	}
	return nil
}
