package tree

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Declare declares a namespace on an element, or changes the declaration of this prefix that it has; "" is the default
// namespace, and with it an empty uri undeclares that. Names in the element that so come to another namespace are of that
// one afterwards. It is refused when an element would then have two attributes of one expanded name.
func (n Node) Declare(prefix, uri string) error {
	if err := n.element(); err != nil {
		return err
	}
	for d := range n.Decls() {
		if d.Prefix() == prefix {
			return d.SetURI(uri)
		}
	}
	t := n.t
	if err := checkDeclaration(prefix, uri); err != nil {
		return err
	}
	if t.declarations(n.i) >= t.limits.Declarations {
		return fmt.Errorf("more than %d namespace declarations in scope at element %s: %w", t.limits.Declarations, clip(n.Name()), ErrLimit)
	}
	written, err := t.quoted(uri, '"')
	if err != nil {
		return err
	}
	space := t.intern(uri)
	if was, ok := n.LookupPrefix(prefix); (ok || prefix == "") && was != uri {
		if err := t.rebind(n, prefix, space); err != nil {
			return err
		}
	}
	name := strings.TrimSuffix("xmlns:"+prefix, ":")
	s, g, i := t.extend(" ", name, `="`, written, `"`), t.editTag(n.i), int32(len(t.decls))
	at := s.start + 1
	t.decls = append(t.decls, decl{
		start: at, nameEnd: at + uint32(len(name)), value: at + uint32(len(name)+len(`="`)), end: s.end, owner: n.i, space: space,
	})
	if last := t.lastDecl(n.i); last == 0 {
		t.change(n.i).decl = i
	} else {
		t.changeDecl(last).next = i
	}
	d := &t.decls[i]
	it := item{span{s.start, at}, span{at, d.value}, span{d.value, d.end - 1}, 0, i}
	behind := 1 + slices.IndexFunc(g.items, func(it item) bool { return t.isLastDecl(it, i) })
	g.items = slices.Insert(g.items, behind, it)
	return nil
}

// isLastDecl reports whether it is the declaration that i follows.
func (t *Tree) isLastDecl(it item, i int32) bool { return it.decl != 0 && t.decls[it.decl].next == i }

func (t *Tree) lastDecl(i int32) (last int32) {
	for d := t.nodes[i].decl; d != 0; d = t.decls[d].next {
		last = d
	}
	return last
}

// declarations counts the declarations in scope in an element.
func (t *Tree) declarations(i int32) (count int) {
	for ; i != 0; i = t.nodes[i].parent {
		for d := t.nodes[i].decl; d != 0; d = t.decls[d].next {
			count++
		}
	}
	return count
}

// checkDeclaration refuses what may not be declared (Namespaces in XML 1.0, sections 3 and 5).
func checkDeclaration(prefix, uri string) error {
	switch {
	case prefix != "" && (ncName(prefix+"\x00", 0) != len(prefix) || !utf8.ValidString(prefix)):
		return fmt.Errorf("%q is no namespace prefix", clip(prefix))
	case prefix == "xmlns" || (prefix == "xml") != (uri == XMLSpace) || uri == xmlnsSpace:
		return fmt.Errorf("prefix %s may not be bound to %q", clip(prefix), clip(uri))
	case prefix != "" && uri == "":
		return fmt.Errorf("prefix %s is declared with an empty namespace name, only the default namespace can be undeclared", clip(prefix))
	}
	return nil
}

// SetURI changes the namespace name of the declaration and with it the namespace of all names that depend on it, see
// Node.Declare.
func (d Decl) SetURI(uri string) error {
	owner := d.Owner()
	if err := owner.element(); err != nil {
		return err
	}
	if err := checkDeclaration(d.Prefix(), uri); err != nil {
		return err
	}
	t, now := d.t, d.data()
	written, err := t.quoted(uri, t.text[now.end-1])
	if err != nil {
		return err
	}
	space := t.intern(uri)
	if space != d.data().space {
		if err := t.rebind(owner, d.Prefix(), space); err != nil {
			return err
		}
	}
	s := t.setValue(owner.i, 0, d.i, written, t.text[now.end-1:now.end])
	now = t.changeDecl(d.i)
	now.value, now.end, now.space = s.start, s.end, space
	return nil
}

// Used reports whether the name of an element or attribute depends on the declaration.
func (d Decl) Used() bool {
	for range d.t.users(d.Owner(), d.Prefix()) {
		return true
	}
	return false
}

// Remove takes the declaration off its element, with the white space before it. Names that depend on it come to the
// namespace that the prefix is bound to further out; it is refused (ErrPrefix) when there is none, save for the default
// namespace.
func (d Decl) Remove() error {
	owner := d.Owner()
	if err := owner.element(); err != nil {
		return err
	}
	t, prefix := d.t, d.Prefix()
	uri, ok := owner.Parent().LookupPrefix(prefix)
	switch {
	case prefix == "xml":
	case ok || prefix == "":
		if err := t.rebind(owner, prefix, t.intern(uri)); err != nil {
			return err
		}
	case d.Used():
		return fmt.Errorf("declaration of prefix %s on element %s is in use: %w", clip(prefix), clip(owner.Name()), ErrPrefix)
	}
	g := t.editTag(owner.i)
	g.items = slices.Delete(g.items, g.find(0, d.i), g.find(0, d.i)+1)
	next := d.data().next
	if t.nodes[owner.i].decl == d.i {
		t.change(owner.i).decl = next
	} else {
		prev := t.nodes[owner.i].decl
		for t.decls[prev].next != d.i {
			prev = t.decls[prev].next
		}
		t.changeDecl(prev).next = next
	}
	*t.changeDecl(d.i) = decl{}
	return nil
}

// rebind brings all names of this prefix in an element to another namespace, up to where the prefix is declared anew.
func (t *Tree) rebind(top Node, prefix string, space int32) error {
	if prefix != "" {
		for n, a := range t.users(top, prefix) {
			if a.Valid() && n.Attribute(t.spaces[space], a.Local()).Valid() && a.data().space != space {
				return fmt.Errorf("element %s would have two attributes %s of namespace %s", clip(n.Name()), clip(a.Local()), clip(t.spaces[space]))
			}
		}
	}
	for n, a := range t.users(top, prefix) {
		if a.Valid() {
			t.changeAttr(a.i).space = space
		} else {
			t.change(n.i).space = space
		}
	}
	return nil
}

// users iterates over the names in top that depend on what prefix is bound to there: of elements, with the zero Attr, and
// of attributes.
func (t *Tree) users(top Node, prefix string) func(yield func(Node, Attr) bool) {
	return func(yield func(Node, Attr) bool) {
		for n := top; n.Valid(); {
			if n != top && declares(n, prefix) {
				n = n.skip(top)
				continue
			}
			if n.Kind() == Element && n.Prefix() == prefix && !yield(n, Attr{}) {
				return
			}
			for a := range n.Attrs() {
				if prefix != "" && a.Prefix() == prefix && !yield(n, a) {
					return
				}
			}
			n = n.following(top)
		}
	}
}

func declares(n Node, prefix string) bool {
	for d := range n.Decls() {
		if d.Prefix() == prefix {
			return true
		}
	}
	return false
}

// skip returns the next node in document order below top that is not in n.
func (n Node) skip(top Node) Node {
	for ; n != top; n = n.Parent() {
		if s := n.NextSibling(); s.i != 0 {
			return s
		}
	}
	return Node{}
}
