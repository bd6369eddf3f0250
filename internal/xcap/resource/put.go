package resource

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"imp/internal/doc/xcaperror"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

type putter struct {
	tree   *tree.Tree
	sel    *selector.Selector
	step   *selector.Step // the last one, which selects in parent
	parent tree.Node
	body   string
}

// element replaces or inserts an element.
func (p *putter) element() (created bool, err error) {
	if err := p.fragment(); err != nil {
		return false, err
	}
	found := p.sel.Select(p.tree)
	if len(found) > 1 {
		return false, cannotInsert(p.sel, "it selects several elements")
	}
	var put tree.Node
	if len(found) == 1 {
		put, err = p.replace(found[0].Node)
	} else {
		put, err = p.insert()
	}
	if err != nil {
		return false, err
	}
	if string(put.Bytes()) != p.body {
		return false, xcaperror.New(xcaperror.NotFragment, "the body is more than one element")
	}
	if !p.selects(put) {
		return false, cannotInsert(p.sel, "it would not select the element that is put, or others too")
	}
	return len(found) == 0, nil
}

// fragment refuses a body that cannot be an element, whatever is around it.
func (p *putter) fragment() error {
	switch {
	case !utf8.ValidString(p.body):
		return xcaperror.New(xcaperror.NotUTF8, "the body is no UTF-8")
	case len(p.body) < 2 || p.body[0] != '<' || p.body[1] == '!' || p.body[1] == '?' || p.body[1] == '/':
		return xcaperror.New(xcaperror.NotFragment, "the body does not begin with the start tag of an element")
	}
	return nil
}

// asReport is the answer to a body that does not fit into the document.
func asReport(err error) error {
	var syntax *tree.Error
	switch {
	case errors.Is(err, tree.ErrLimit):
		return err
	case errors.Is(err, tree.ErrUTF8):
		return xcaperror.New(xcaperror.NotUTF8, "%v", err)
	case errors.Is(err, tree.ErrRoot), errors.Is(err, tree.ErrOutside), errors.As(err, &syntax), errors.Is(err, tree.ErrPrefix):
		return xcaperror.New(xcaperror.NotFragment, "%v", err)
	}
	return err
}

func (p *putter) selects(put tree.Node) bool {
	found := p.sel.Select(p.tree)
	return len(found) == 1 && found[0].Node == put
}

func (p *putter) replace(old tree.Node) (tree.Node, error) {
	return replace(p.parent, old, p.body)
}

// replace puts content in the place of a node and returns the first node of it.
func replace(parent, old tree.Node, content string) (tree.Node, error) {
	before := old.PrevSibling()
	if err := old.Replace(content); err != nil {
		return tree.Node{}, asReport(err)
	}
	if before.Valid() {
		return before.NextSibling(), nil
	}
	return parent.FirstChild(), nil
}

// insert puts the element where the selector will select it (RFC 4825 section 8.2.3).
func (p *putter) insert() (tree.Node, error) {
	position, asked := 0, false
	for _, q := range p.step.Predicates {
		if q.Test == selector.Position {
			position, asked = q.Position, true
		}
	}
	like := func(n tree.Node) bool { return n.Is(p.step.Space, p.step.Local) }
	if p.step.Any {
		like = func(tree.Node) bool { return true }
	}
	first, nth, last, count := siblings(p.parent, like, position-1)
	switch {
	case !asked && p.step.Any && count > 0:
		return p.insertByName()
	case !asked && count > 0:
		return p.after(last)
	case !asked, position == 1 && count == 0:
		return p.last()
	case position == 1:
		return p.before(first)
	case nth.Valid():
		return p.after(nth)
	}
	// That a body is no element is told before that there is no place for it.
	put, err := p.last()
	if err == nil && string(put.Bytes()) != p.body {
		return tree.Node{}, xcaperror.New(xcaperror.NotFragment, "the body is more than one element")
	}
	if err == nil {
		err = cannotInsert(p.sel, "position "+strconv.Itoa(position)+" is too far behind, there are "+strconv.Itoa(count)+" before it")
	}
	return tree.Node{}, err
}

// siblings finds among the children of a parent those that match: the first, the nth from 1, the last, and how many there are.
func siblings(parent tree.Node, like func(tree.Node) bool, n int) (first, nth, last tree.Node, count int) {
	for k := range parent.Elements() {
		if !like(k) {
			continue
		}
		if last = k; count == 0 {
			first = k
		}
		if count++; count == n {
			nth = k
		}
	}
	return first, nth, last, count
}

// insertByName puts the element behind the last sibling of its name, which only the body tells.
func (p *putter) insertByName() (tree.Node, error) {
	put, err := p.last()
	if err != nil {
		return put, err
	}
	_, _, last, count := siblings(p.parent, func(n tree.Node) bool { return n != put && n.Is(put.Space(), put.Local()) }, 0)
	if count == 0 || string(put.Bytes()) != p.body {
		return put, nil
	}
	if err := put.Remove(); err != nil {
		return put, err
	}
	return p.after(last)
}

func (p *putter) last() (tree.Node, error) {
	if p.parent.Kind() == tree.Document {
		return tree.Node{}, cannotInsert(p.sel, "it does not select the root element, of which there is one only")
	}
	if err := p.parent.Append(p.body); err != nil {
		return tree.Node{}, asReport(err)
	}
	return p.parent.LastChild(), nil
}

func (p *putter) before(n tree.Node) (tree.Node, error) {
	if p.parent.Kind() == tree.Document {
		return p.last()
	}
	if err := n.InsertBefore(p.body); err != nil {
		return tree.Node{}, asReport(err)
	}
	return n.PrevSibling(), nil
}

func (p *putter) after(n tree.Node) (tree.Node, error) {
	if p.parent.Kind() == tree.Document {
		return p.last()
	}
	if err := n.InsertAfter(p.body); err != nil {
		return tree.Node{}, asReport(err)
	}
	return n.NextSibling(), nil
}

// attribute gives the parent an attribute. Its start tag is written anew with the quotes and references of the body.
func (p *putter) attribute() (created bool, err error) {
	if err := p.value(); err != nil {
		return false, err
	}
	start, _ := p.parent.Range()
	src := p.parent.Bytes()
	a := p.parent.Attribute(p.step.Space, p.step.Local)
	var made []byte
	if a.Valid() {
		from, to := a.ValueRange()
		made = bytes.Join([][]byte{src[:from-1-start], []byte(p.body), src[to+1-start:]}, nil)
	} else {
		at := p.endOfTag(start)
		made = bytes.Join([][]byte{src[:at], []byte(p.newAttribute()), src[at:]}, nil)
	}
	put, err := replace(p.parent.Parent(), p.parent, string(made))
	if err != nil {
		var r *xcaperror.Report
		if errors.As(err, &r) {
			r.Condition = xcaperror.NotAttributeText
		}
		return false, err
	}
	if !p.selects(put) {
		return false, cannotInsert(p.sel, "it would not select the attribute with this value")
	}
	return !a.Valid(), nil
}

// value refuses a body that is no AttValue (RFC 4825 section 8.2.2). References in it are left to the parser.
func (p *putter) value() error {
	b := p.body
	if !utf8.ValidString(b) {
		return xcaperror.New(xcaperror.NotUTF8, "the body is no UTF-8")
	}
	if len(b) < 2 || b[0] != '"' && b[0] != '\'' || b[len(b)-1] != b[0] || strings.IndexByte(b[1:len(b)-1], b[0]) >= 0 || strings.IndexByte(b, '<') >= 0 {
		return xcaperror.New(xcaperror.NotAttributeText, "the body is no value in quotes without < and other quotes of the kind in it")
	}
	return nil
}

// endOfTag is where a further attribute goes: behind the last one.
func (p *putter) endOfTag(start int) int {
	at := start + 1 + len(p.parent.Name())
	for a := range p.parent.Attrs() {
		_, end := a.Range()
		at = max(at, end)
	}
	for d := range p.parent.Decls() {
		_, end := d.Range()
		at = max(at, end)
	}
	return at - start
}

// newAttribute writes the attribute with a prefix that stands for its namespace; where none does, the prefix of the selector is
// declared, or another one when that stands for something else.
func (p *putter) newAttribute() string {
	s := p.step
	if s.Space == "" {
		return " " + s.Local + "=" + p.body
	}
	for prefix, space := range p.parent.InScope() {
		if bound, _ := p.parent.LookupPrefix(prefix); prefix != "" && space == s.Space && bound == space {
			return " " + prefix + ":" + s.Local + "=" + p.body
		}
	}
	prefix := s.Prefix
	for n := 1; ; n++ {
		if _, bound := p.parent.LookupPrefix(prefix); !bound {
			break
		}
		prefix = "ns" + strconv.Itoa(n)
	}
	declared := tree.AppendValue([]byte(" xmlns:"+prefix+`="`), s.Space, '"')
	return string(declared) + `" ` + prefix + ":" + s.Local + "=" + p.body
}
