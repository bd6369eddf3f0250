package tree

import (
	"fmt"
	"slices"
	"strings"
)

// tag is the start tag of an element whose attributes or declarations have been edited.
type tag struct {
	round int32 // of the journal that may change it in place
	name  span  // "<" and the name
	items []item
	tail  span // from behind the last attribute to the end
}

// item is one attribute or declaration of a tag.
type item struct {
	lead       span // white space before it
	head       span // from the name to the opening quote
	value      span
	attr, decl int32 // one of the two
}

// editTag returns the start tag of an element for changes.
func (t *Tree) editTag(i int32) *tag {
	t.begin()
	t.touch(i)
	l := &t.edit.log
	was := t.edit.tags[i]
	if was != nil && (!l.on || was.round == l.round) {
		return was
	}
	if t.edit.tags == nil {
		t.edit.tags = make(map[int32]*tag)
	}
	if l.on {
		l.tags = append(l.tags, change[*tag]{i, was})
	}
	var now *tag
	if was != nil {
		now = &tag{name: was.name, items: slices.Clone(was.items), tail: was.tail}
	} else {
		now = t.readTag(i)
		t.change(i).flags |= tagged
	}
	now.round = l.round
	t.edit.tags[i] = now
	return now
}

// readTag takes a tag apart as it stands in the source.
func (t *Tree) readTag(i int32) *tag {
	n := &t.nodes[i]
	count := 1 // room for one more
	for a := n.attr; a != 0; a = t.attrs[a].next {
		count++
	}
	for d := n.decl; d != 0; d = t.decls[d].next {
		count++
	}
	now := &tag{name: span{n.start, n.nameEnd}, items: make([]item, 0, count)}
	at := n.nameEnd
	for a, d := n.attr, n.decl; a != 0 || d != 0; {
		var it item
		if d == 0 || a != 0 && t.attrs[a].start < t.decls[d].start {
			x := &t.attrs[a]
			it = item{lead: span{at, x.start}, head: span{x.start, x.value}, value: span{x.value, x.end - 1}, attr: a}
			at, a = x.end, x.next
		} else {
			x := &t.decls[d]
			it = item{lead: span{at, x.start}, head: span{x.start, x.value}, value: span{x.value, x.end - 1}, decl: d}
			at, d = x.end, x.next
		}
		now.items = append(now.items, it)
	}
	now.tail = span{at, n.inner}
	return now
}

func (g *tag) find(attr, decl int32) int {
	return slices.IndexFunc(g.items, func(it item) bool { return it.attr == attr && it.decl == decl })
}

// SetAttr gives an element an attribute with this value, or the attribute of this expanded name this value. Name is as it
// is to be written; its prefix has to be in scope (ErrPrefix). White space other than spaces in value is written as
// references.
func (n Node) SetAttr(name, value string) error {
	if err := n.element(); err != nil {
		return err
	}
	t := n.t
	local, end := qName(name+"\x00", 0)
	if end == 0 || end < len(name) || local == end || isXMLNS(name) {
		return fmt.Errorf("%q is no name of an attribute", clip(name))
	}
	space := int32(0)
	if local > 0 {
		uri, ok := n.LookupPrefix(name[:local-1])
		if !ok {
			return fmt.Errorf("prefix of %s is not in scope at element %s: %w", clip(name), clip(n.Name()), ErrPrefix)
		}
		space = t.intern(uri)
	}
	if a := n.Attribute(t.spaces[space], name[local:]); a.Valid() {
		return a.SetValue(value)
	}
	count, last := 0, int32(0)
	for a := range n.Attrs() {
		count, last = count+1, a.i
	}
	if count >= t.limits.Attributes {
		return fmt.Errorf("more than %d attributes on element %s: %w", t.limits.Attributes, clip(n.Name()), ErrLimit)
	}
	written, err := t.quoted(value, '"')
	if err != nil {
		return err
	}
	if err := t.checkContent(name); err != nil {
		return err
	}
	s, g, i := t.extend(" ", name, `="`, written, `"`), t.editTag(n.i), int32(len(t.attrs))
	t.attrs = append(t.attrs, attr{
		start: s.start + 1, local: s.start + 1 + uint32(local), nameEnd: s.start + 1 + uint32(len(name)),
		value: s.start + 1 + uint32(len(name)+len(`="`)), end: s.end, owner: n.i, space: space, flags: codedWhen(written != value),
	})
	if last == 0 {
		t.change(n.i).attr = i
	} else {
		t.changeAttr(last).next = i
	}
	a := &t.attrs[i]
	g.items = append(g.items, item{span{s.start, s.start + 1}, span{a.start, a.value}, span{a.value, a.end - 1}, i, 0})
	return nil
}

func codedWhen(is bool) flags {
	if is {
		return coded
	}
	return 0
}

// quoted returns a value as it is written between quotes.
func (t *Tree) quoted(value string, quote byte) (string, error) {
	if err := t.checkContent(value); err != nil {
		return "", fmt.Errorf("value of an attribute: %w", err)
	}
	for _, r := range value {
		if !isChar(r) {
			return "", fmt.Errorf("U+%04X in the value of an attribute is no character of XML", r)
		}
	}
	written := string(AppendValue(nil, value, quote))
	return written, t.room(len(written))
}

func (n Node) element() error {
	if err := n.attached(); err != nil {
		return err
	}
	if k := n.Kind(); k != Element {
		return fmt.Errorf("a %s has no attributes, expected an element", k)
	}
	return nil
}

// SetValue gives the attribute another value. It keeps its place and its quotes.
func (a Attr) SetValue(value string) error {
	if err := a.Owner().element(); err != nil {
		return err
	}
	t, d := a.t, a.data()
	written, err := t.quoted(value, t.text[d.end-1])
	if err != nil {
		return err
	}
	s := t.setValue(d.owner, a.i, 0, written, t.text[d.end-1:d.end])
	d = t.changeAttr(a.i)
	d.value, d.end, d.flags = s.start, s.end, codedWhen(written != value)
	return nil
}

// setValue changes the value of an attribute or declaration in its tag, and returns where that and its closing quote stand.
func (t *Tree) setValue(owner, attr, decl int32, written, quote string) span {
	g := t.editTag(owner)
	s := t.extend(written, quote)
	g.items[g.find(attr, decl)].value = span{s.start, s.end - 1}
	return s
}

// Remove takes the attribute off its element, with the white space before it.
func (a Attr) Remove() error {
	if err := a.Owner().element(); err != nil {
		return err
	}
	t, owner := a.t, a.Owner().i
	g := t.editTag(owner)
	g.items = slices.Delete(g.items, g.find(a.i, 0), g.find(a.i, 0)+1)
	next := t.attrs[a.i].next
	if t.nodes[owner].attr == a.i {
		t.change(owner).attr = next
	} else {
		prev := t.nodes[owner].attr
		for t.attrs[prev].next != a.i {
			prev = t.attrs[prev].next
		}
		t.changeAttr(prev).next = next
	}
	*t.changeAttr(a.i) = attr{}
	return nil
}

// AppendValue appends what is written between quotes for the value of an attribute: white space other than spaces becomes
// references, so that the value is read again as it is (XML 1.0, section 3.3.3).
func AppendValue(dst []byte, value string, quote byte) []byte {
	for i := range len(value) {
		switch c := value[i]; {
		case c == '&':
			dst = append(dst, "&amp;"...)
		case c == '<':
			dst = append(dst, "&lt;"...)
		case c == quote && c == '"':
			dst = append(dst, "&quot;"...)
		case c == quote:
			dst = append(dst, "&apos;"...)
		case c == '\t':
			dst = append(dst, "&#9;"...)
		case c == '\n':
			dst = append(dst, "&#10;"...)
		case c == '\r':
			dst = append(dst, "&#13;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendText appends what is written for text in the content of an element.
func AppendText(dst []byte, text string) []byte {
	for {
		i := strings.IndexAny(text, "&<>\r")
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		switch text[i] {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		default:
			dst = append(dst, "&#13;"...)
		}
		text = text[i+1:]
	}
}
