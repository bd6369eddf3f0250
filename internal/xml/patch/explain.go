package patch

import (
	"fmt"

	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// Applied tells what an operation has selected and changed.
type Applied struct {
	Index     int // of the operation, from 0
	Operation *Operation
	Located   string // path of what was located, as a selector with the prefixes of the document
	Line, Col int    // where that stands in the document as it was read; 0, 0 for what an operation has added
	Before    string // what was there; "" for an add
	After     string // what is there instead, as the patch writes it; "" for a remove
}

func appliedTo(i int, op *Operation, n target) Applied {
	a := Applied{Index: i, Operation: op, Located: Path(n.node)}
	a.Line, a.Col = n.node.Position()
	start, end := op.Element.Inner()
	a.After = string(op.Element.Tree().Source()[start:end])
	switch n.kind {
	case selector.Attribute:
		a.Located += "/@" + n.attr.Name()
		a.Line, a.Col = n.attr.Position()
		a.Before = n.attr.Value()
	case selector.Namespace:
		a.Located += "/namespace::" + n.decl.Prefix()
		a.Line, a.Col = n.decl.Position()
		a.Before = n.decl.URI()
	default:
		a.Before = string(n.node.Bytes())
	}
	if op.Verb == Add {
		a.Before = ""
	}
	return a
}

// Path returns a selector of a node by names and, where there are several of a name, positions. Prefixes are those of the
// document; a name in a default namespace has none.
func Path(n tree.Node) string {
	path := ""
	for ; n.Valid() && n.Kind() != tree.Document; n = n.Parent() {
		step := test(n)
		before, several := 1, false
		for c := n.PrevSibling(); c.Valid(); c = c.PrevSibling() {
			if test(c) == step {
				before++
			}
		}
		for c := n.NextSibling(); c.Valid() && before == 1 && !several; c = c.NextSibling() {
			several = test(c) == step
		}
		if before > 1 || several {
			step += fmt.Sprintf("[%d]", before)
		}
		path = "/" + step + path
	}
	return path
}

// test returns the node test that is true for n.
func test(n tree.Node) string {
	switch n.Kind() {
	case tree.Element:
		return n.Name()
	case tree.Text:
		return "text()"
	case tree.Comment:
		return "comment()"
	}
	return "processing-instruction()"
}
