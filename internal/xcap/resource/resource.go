// Package resource implements what GET, PUT and DELETE of XCAP do to the nodes of a document (RFC 4825 sections 7 and 8): elements,
// attributes and namespace bindings that a node selector selects. It knows nothing of HTTP, and does not validate the outcome.
package resource

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/uri"
	"imp/internal/xml/lexical"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// The types of nodes (RFC 4825 section 15.2).
const (
	ElementType   = "application/xcap-el+xml"
	AttributeType = "application/xcap-att+xml"
	BindingsType  = "application/xcap-ns+xml"
)

// Reasons why an operation is refused, besides conflicts, which are a *xcaperror.Report; test with errors.Is.
var (
	ErrMissing  = errors.New("the selector selects no node, or several") // 404
	ErrBindings = errors.New("namespace bindings can only be read")      // 405
)

// Type returns the type of what a selector selects, as GET sends and PUT takes it.
func Type(sel *selector.Selector) string {
	switch sel.Kind() {
	case selector.Attribute:
		return AttributeType
	case selector.Bindings:
		return BindingsType
	}
	return ElementType
}

// Get returns the node that is selected as it is written: an element from start tag to end tag without declarations from around it, an
// attribute's value in its quotes, and the namespaces in scope as an empty element (RFC 4825 sections 8.3 and 10). The tree must not
// be edited. The error is ErrMissing.
func Get(t *tree.Tree, sel *selector.Selector) ([]byte, error) {
	n, err := sel.Locate(t)
	if err != nil {
		return nil, ErrMissing
	}
	switch n.Kind() {
	case selector.Attribute:
		start, end := n.Attr.ValueRange()
		return t.Source()[start-1 : end+1], nil
	case selector.Bindings:
		return bindings(n.Node), nil
	}
	return n.Node.Bytes(), nil
}

// bindings writes the namespaces in scope at an element, the default one first (RFC 4825 section 10).
func bindings(n tree.Node) []byte {
	scope := map[string]string{}
	for prefix, space := range n.InScope() {
		if prefix != "xml" && space != "" {
			scope[prefix] = space
		}
	}
	dst := []byte("<" + n.Name())
	for _, prefix := range slices.Sorted(maps.Keys(scope)) {
		name := "xmlns"
		if prefix != "" {
			name += ":" + prefix
		}
		dst = lexical.AppendAttribute(dst, name, scope[prefix])
	}
	return append(dst, "/>"...)
}

// Put puts an element or an attribute in the place of what the selector selects, or inserts it where the selector then selects it
// (RFC 4825 sections 8.2.1 to 8.2.4). White space around the body is taken off. After an error nothing is changed. The tree must not
// have been edited before; what Tree.Bytes returns then is to be parsed and checked before it is stored.
//
// The error is a *xcaperror.Report, ErrBindings, or one that is tree.ErrLimit. The bindings of the query are
// those of the URI: a report tells an ancestor with them.
func Put(t *tree.Tree, sel *selector.Selector, body []byte, query []uri.Binding) (created bool, err error) {
	if sel.Kind() == selector.Bindings {
		return false, ErrBindings
	}
	parent, err := locateParent(t, sel, query)
	if err != nil {
		return false, err
	}
	p := putter{tree: t, sel: sel, parent: parent, body: strings.Trim(string(body), " \t\r\n"), step: &sel.Steps()[len(sel.Steps())-1]}
	t.Begin()
	if sel.Kind() == selector.Attribute {
		created, err = p.attribute()
	} else {
		created, err = p.element()
	}
	if err != nil {
		t.Rollback()
		return false, err
	}
	t.Commit()
	return created, nil
}

// Delete removes the element or attribute that is selected (RFC 4825 section 8.4). White space around it stays. After an error nothing
// is changed. The error is ErrMissing, ErrBindings or a *xcaperror.Report. About the tree see Put.
func Delete(t *tree.Tree, sel *selector.Selector) error {
	if sel.Kind() == selector.Bindings {
		return ErrBindings
	}
	n, err := sel.Locate(t)
	if err != nil {
		return ErrMissing
	}
	t.Begin()
	if n.Kind() == selector.Attribute {
		err = n.Attr.Remove()
	} else {
		err = n.Node.Remove()
	}
	switch {
	case errors.Is(err, tree.ErrRoot):
		err = xcaperror.New(xcaperror.SchemaValidation, "a document has a root element")
	case err == nil && len(sel.Select(t)) > 0:
		err = xcaperror.New(xcaperror.CannotDelete, "%s would select another node afterwards, it needs a test of an attribute or the last position", lexical.Clip(sel.String()))
	}
	if err != nil {
		t.Rollback()
		return err
	}
	t.Commit()
	return nil
}

// locateParent finds what the node is to be put into: an element, or for the root element the document.
func locateParent(t *tree.Tree, sel *selector.Selector, query []uri.Binding) (tree.Node, error) {
	up := sel.Parent()
	if up == nil {
		if sel.Kind() == selector.Attribute {
			return tree.Node{}, xcaperror.New(xcaperror.NoParent, "a document has no attributes")
		}
		return t.Document(), nil
	}
	n, err := up.Locate(t)
	if err == nil {
		return n.Node, nil
	}
	r := xcaperror.New(xcaperror.NoParent, "%v", err)
	for up = up.Parent(); up != nil; up = up.Parent() {
		if _, err := up.Locate(t); err == nil {
			r.Ancestor = relative(up, query)
			break
		}
	}
	return tree.Node{}, r
}

func relative(sel *selector.Selector, query []uri.Binding) string {
	steps := make([]string, len(sel.Steps()))
	for i, s := range sel.Steps() {
		steps[i] = s.String()
	}
	used := slices.DeleteFunc(slices.Clone(query), func(b uri.Binding) bool {
		return !slices.ContainsFunc(steps, func(s string) bool { return strings.Contains(s, b.Prefix+":") })
	})
	return uri.Relative(steps, used)
}

func cannotInsert(sel *selector.Selector, why string) error {
	return xcaperror.New(xcaperror.CannotInsert, "%s: %s", lexical.Clip(sel.String()), why)
}
