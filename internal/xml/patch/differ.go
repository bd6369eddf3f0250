package patch

import (
	"slices"
	"strings"

	"imp/internal/xml/tree"
)

// differ edits a step by step into b and notes each step as an operation. So every selector is made for the document as
// it is when the operation is applied. It works from left to right, and no text ever comes beside text: nodes of a stay
// what they are until they are removed.
type differ struct {
	matcher
	a, b   *tree.Tree
	edits  Edits
	places map[tree.Node]place
	budget int // siblings that may still be looked at for selectors that name entries
}

// document edits the document, where the root elements are one, whatever they are.
func (d *differ) document() error {
	as, bs := list(d.a.Document()), list(d.b.Document())
	i, j := slices.Index(as, d.a.Root()), slices.Index(bs, d.b.Root())
	if err := d.run(d.a.Document(), as[:i], bs[:j], as[i]); err != nil {
		return err
	}
	if err := d.match(as[i], bs[j], true); err != nil {
		return err
	}
	return d.run(d.a.Document(), as[i+1:], bs[j+1:], tree.Node{})
}

// children edits the children of x into those of y.
func (d *differ) children(x, y tree.Node) error { return d.run(x, list(x), list(y), tree.Node{}) }

// run edits a run of children into another one. What is matched is edited, the rest between is removed and added. Last is
// what stands behind the run.
func (d *differ) run(parent tree.Node, as, bs []tree.Node, last tree.Node) error {
	from := pair{}
	for _, p := range append(d.pairs(as, bs), couple{pair: pair{len(as), len(bs)}}) {
		end := last
		if p.a < len(as) {
			end = as[p.a]
		}
		err := d.exchange(parent, as[from.a:p.a], bs[from.b:p.b], end)
		if err == nil && p.a < len(as) {
			err = d.match(as[p.a], bs[p.b], p.withKey)
		}
		if err != nil {
			return err
		}
		from = pair{p.a + 1, p.b + 1}
	}
	return nil
}

func list(n tree.Node) (nodes []tree.Node) {
	for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
		nodes = append(nodes, c)
	}
	return nodes
}

// match edits x into y, which are of one kind and name. If little is the same it replaces x.
func (d *differ) match(x, y tree.Node, withKey bool) error {
	switch {
	case d.hashA[x.Index()] == d.hashB[y.Index()]:
		return nil
	case x.Kind() != tree.Element, x.Name() != y.Name(), !editable(x, y), x != d.a.Root() && !(withKey && key(x).Valid()) && !d.similar(x, y):
		return d.replace(x, y)
	}
	removed, err := d.declarations(x, y)
	if err != nil {
		return err
	}
	if err := d.attributes(x, y); err != nil {
		return err
	}
	if err := d.children(x, y); err != nil {
		return err
	}
	for _, decl := range removed {
		if err := d.removeDecl(x, decl); err != nil {
			return err
		}
	}
	return nil
}

// editable reports whether operations can give x the declarations of y without that anything comes to another meaning
// than in y: the default namespace cannot be edited, and a prefix that is bound further out must not be added or removed.
func editable(x, y tree.Node) bool {
	for d := range x.Decls() {
		uri, ok := declared(y, d.Prefix())
		if d.Prefix() == "" && (!ok || uri != d.URI()) {
			return false
		}
		if _, outside := y.Parent().LookupPrefix(d.Prefix()); !ok && outside {
			return false
		}
	}
	for d := range y.Decls() {
		uri, ok := declared(x, d.Prefix())
		if d.Prefix() == "" && !ok || !ok && d.Prefix() == "xml" {
			return false
		}
		if _, outside := x.Parent().LookupPrefix(d.Prefix()); !ok && outside {
			return false
		}
		if uri != d.URI() && !isURI(d.URI()) {
			return false
		}
	}
	return true
}

func declared(n tree.Node, prefix string) (string, bool) {
	for d := range n.Decls() {
		if d.Prefix() == prefix {
			return d.URI(), true
		}
	}
	return "", false
}

// declarations adds and changes the declarations of x that y has, and returns those that are to go when nothing uses them
// any more.
func (d *differ) declarations(x, y tree.Node) (removed []tree.Decl, err error) {
	for decl := range x.Decls() {
		uri, ok := declared(y, decl.Prefix())
		switch {
		case !ok:
			removed = append(removed, decl)
		case uri != decl.URI():
			d.note(edit{verb: Replace, sel: d.path(x) + "/namespace::" + decl.Prefix(), content: text(uri)})
			if err := decl.SetURI(uri); err != nil {
				return nil, err
			}
		}
	}
	for decl := range y.Decls() {
		if _, ok := declared(x, decl.Prefix()); !ok {
			d.note(edit{verb: Add, sel: d.path(x), kind: "namespace::" + decl.Prefix(), content: text(decl.URI())})
			if err := x.Declare(decl.Prefix(), decl.URI()); err != nil {
				return nil, err
			}
		}
	}
	return removed, nil
}

func (d *differ) removeDecl(x tree.Node, decl tree.Decl) error {
	d.note(edit{verb: Remove, sel: d.path(x) + "/namespace::" + decl.Prefix()})
	return decl.Remove()
}

// attributes edits the attributes of x into those of y.
func (d *differ) attributes(x, y tree.Node) error {
	var gone []tree.Attr
	for a := range x.Attrs() {
		if b := y.Attribute(a.Space(), a.Local()); !b.Valid() || b.Name() != a.Name() {
			gone = append(gone, a)
		}
	}
	for _, a := range gone {
		d.note(edit{verb: Remove, sel: d.path(x) + "/@" + a.Name(), free: named(a)})
		if err := a.Remove(); err != nil {
			return err
		}
	}
	for b := range y.Attrs() {
		a := x.Attribute(b.Space(), b.Local())
		switch {
		case !a.Valid():
			d.note(edit{verb: Add, sel: d.path(x), kind: "@" + b.Name(), content: text(b.Value()), free: named(b)})
			if err := x.SetAttr(b.Name(), b.Value()); err != nil {
				return err
			}
		case a.Value() != b.Value():
			d.note(edit{verb: Replace, sel: d.path(x) + "/@" + b.Name(), content: text(b.Value()), free: named(b)})
			if err := a.SetValue(b.Value()); err != nil {
				return err
			}
		}
	}
	return nil
}

// named returns the prefix that the name of an attribute needs.
func named(a tree.Attr) []binding {
	if a.Prefix() == "" || a.Space() == tree.XMLSpace {
		return nil
	}
	return []binding{{prefix: a.Prefix(), uri: a.Space()}}
}

// text writes a value as text that keeps its line ends and tabs wherever it is put.
func text(value string) string {
	s := string(tree.AppendText(nil, value))
	return strings.NewReplacer("\n", "&#10;", "\t", "&#9;").Replace(s)
}

// exchange removes a run of children and puts others in their place. Text goes first and others last, and what is new
// comes before what is left of the old, so that text never comes beside text.
func (d *differ) exchange(parent tree.Node, as, bs []tree.Node, end tree.Node) error {
	if len(as) == 1 && len(bs) == 1 && as[0].Kind() == bs[0].Kind() {
		return d.replace(as[0], bs[0])
	}
	if len(bs) == 0 && len(as) == 2 {
		switch {
		case as[0].Kind() != tree.Text && as[1].Blank():
			return d.remove(as[0], After)
		case as[0].Blank() && as[1].Kind() != tree.Text:
			return d.remove(as[1], Before)
		}
	}
	var rest []tree.Node
	for _, n := range as {
		if n.Kind() != tree.Text {
			rest = append(rest, n)
		} else if err := d.remove(n, None); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		end = rest[0]
	}
	if len(bs) > 0 {
		if err := d.insert(parent, end, bs); err != nil {
			return err
		}
	}
	for _, n := range rest {
		if err := d.remove(n, None); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) replace(x, y tree.Node) error {
	d.note(edit{verb: Replace, sel: d.path(x), content: string(y.Bytes()), free: free(nil, y)})
	parent, before := x.Parent(), d.before(x)
	err := x.Replace(string(y.Bytes()))
	d.moved(parent, before)
	return err
}

// remove removes a node, and the white space beside it that ws names.
func (d *differ) remove(x tree.Node, ws Position) error {
	d.note(edit{verb: Remove, sel: d.path(x), position: ws})
	parent, before := x.Parent(), d.before(x)
	var err error
	switch ws {
	case Before:
		err = x.PrevSibling().Remove()
	case After:
		err = x.NextSibling().Remove()
	}
	if err == nil {
		err = x.Remove()
	}
	d.moved(parent, before)
	return err
}

// insert puts nodes of b before a child, or behind the last one.
func (d *differ) insert(parent, before tree.Node, nodes []tree.Node) error {
	e := edit{verb: Add}
	for _, n := range nodes {
		e.content += string(n.Bytes())
		e.free = free(e.free, n)
	}
	var err error
	switch last := parent.LastChild(); {
	case before.Valid() && before.Kind() != tree.Element && before.PrevSibling().Kind() == tree.Element:
		left := before.PrevSibling() // is told apart more easily
		e.sel, e.position = d.path(left), After
		d.note(e)
		err = left.InsertAfter(e.content)
	case before.Valid():
		e.sel, e.position = d.path(before), Before
		d.note(e)
		place := d.before(before)
		err = before.InsertBefore(e.content)
		d.moved(parent, place)
	case parent.Kind() == tree.Document:
		e.sel, e.position = d.path(last), After
		d.note(e)
		err = last.InsertAfter(e.content)
	default:
		e.sel = d.path(parent)
		d.note(e)
		err = parent.Append(e.content)
	}
	return err
}

func (d *differ) note(e edit) { d.edits.list = append(d.edits.list, e) }
