package query

import (
	"slices"

	"github.com/antchfx/xpath"

	"imp/internal/xml/tree"
)

// navigator lets the XPath library walk over a tree. Processing instructions, which it would take for elements, are
// passed over.
type navigator struct {
	node      tree.Node
	attrs     []tree.Attr // of node, once attributes are looked at
	at        int         // number of the attribute it stands on, from 1; 0 is the node itself
	rootSpace string
}

var _ xpath.NodeNavigator = (*navigator)(nil)

func (n *navigator) attr() tree.Attr {
	if n.at == 0 {
		return tree.Attr{}
	}
	return n.attrs[n.at-1]
}

func (n *navigator) NodeType() xpath.NodeType {
	if n.at > 0 {
		return xpath.AttributeNode
	}
	switch n.node.Kind() {
	case tree.Element:
		return xpath.ElementNode
	case tree.Text:
		return xpath.TextNode
	case tree.Comment:
		return xpath.CommentNode
	}
	return xpath.RootNode
}

func (n *navigator) LocalName() string {
	if n.at > 0 {
		return n.attr().Local()
	}
	return n.node.Local()
}

// Prefix is what the library compares with the prefix of a name that has no namespace, which is always "". So it is ""
// for the elements that such a name means, and not for any others.
func (n *navigator) Prefix() string {
	if n.at > 0 {
		return n.attr().Prefix()
	}
	space, prefix := n.node.Space(), n.node.Prefix()
	switch {
	case space == "" || space == n.rootSpace:
		return ""
	case prefix == "":
		return "{" + space + "}"
	}
	return prefix
}

// NamespaceURL is what the library compares with the namespace of a name that has a prefix.
func (n *navigator) NamespaceURL() string {
	if n.at > 0 {
		return n.attr().Space()
	}
	return n.node.Space()
}

func (n *navigator) Value() string {
	if n.at > 0 {
		return n.attr().Value()
	}
	return n.node.Text()
}

func (n *navigator) Copy() xpath.NodeNavigator {
	c := *n
	return &c
}

func (n *navigator) MoveToRoot() { n.stand(n.node.Tree().Document()) }

func (n *navigator) MoveToParent() bool {
	if n.at > 0 {
		n.at = 0
		return true
	}
	return n.move(n.node.Parent())
}

func (n *navigator) MoveToNextAttribute() bool {
	if n.attrs == nil {
		n.attrs = slices.Collect(n.node.Attrs())
	}
	if n.at == len(n.attrs) {
		return false
	}
	n.at++
	return true
}

func (n *navigator) MoveToChild() bool { return n.at == 0 && n.move(forward(n.node.FirstChild())) }

func (n *navigator) MoveToNext() bool { return n.at == 0 && n.move(forward(n.node.NextSibling())) }

func (n *navigator) MoveToFirst() bool {
	first := forward(n.node.Parent().FirstChild())
	return n.at == 0 && first != n.node && n.move(first)
}

func (n *navigator) MoveToPrevious() bool {
	s := n.node.PrevSibling()
	for s.Kind() == tree.PI {
		s = s.PrevSibling()
	}
	return n.at == 0 && n.move(s)
}

func (n *navigator) MoveTo(other xpath.NodeNavigator) bool {
	o, ok := other.(*navigator)
	if !ok || o.node.Tree() != n.node.Tree() {
		return false
	}
	*n = *o
	return true
}

// forward returns n, or what follows it when it is a processing instruction.
func forward(n tree.Node) tree.Node {
	for n.Kind() == tree.PI {
		n = n.NextSibling()
	}
	return n
}

func (n *navigator) move(to tree.Node) bool {
	if !to.Valid() {
		return false
	}
	n.stand(to)
	return true
}

func (n *navigator) stand(at tree.Node) { n.node, n.attrs, n.at = at, nil, 0 }
