package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Reasons why an edit is refused, besides those of documents; test with errors.Is.
var (
	ErrRoot    = errors.New("a document has one root element")
	ErrOutside = errors.New("text outside the root element")
	ErrRemoved = errors.New("no longer part of the document")
)

// span is a range of text.
type span struct{ start, end uint32 }

// editing is what edits need besides the arrays of nodes.
type editing struct {
	begun bool
	tags  map[int32]*tag
	// gaps holds what belongs to no node: before the node with this index, or, with the sign changed, behind the last child
	// of that one. Beside the root element this is white space, the XML declaration and the document type declaration,
	// elsewhere empty CDATA sections.
	gaps map[int32]string
	log  journal
}

// emptySection is a run of empty CDATA sections where no text is, and its key in editing.gaps.
type emptySection struct {
	before int32
	raw    string
}

// reset forgets all but the memory.
func (e *editing) reset() editing {
	clear(e.tags)
	clear(e.gaps)
	e.log.reset()
	return editing{tags: e.tags, gaps: e.gaps, log: e.log}
}

// begin prepares a tree for its first edit.
func (t *Tree) begin() {
	if t.edit.begun {
		return
	}
	t.edit.begun = true
	if t.edit.gaps == nil {
		t.edit.gaps = make(map[int32]string)
	}
	for _, e := range t.empty {
		t.setGap(e.before, e.raw)
	}
	t.empty = t.empty[:0]
	from := uint32(0)
	for i := t.nodes[1].first; i != 0; i = t.nodes[i].next {
		t.setGap(i, t.text[from:t.nodes[i].start])
		from = t.nodes[i].end
	}
	t.setGap(-1, t.text[from:len(t.src)])
}

// gap returns what stands at a place that has a key in editing.gaps.
func (t *Tree) gap(key int32) string {
	if key < 0 && t.nodes[-key].flags&tailed == 0 || key >= 0 && t.nodes[key].flags&gapped == 0 {
		return ""
	}
	return t.edit.gaps[key]
}

func (t *Tree) setGap(key int32, raw string) {
	if raw == "" {
		return
	}
	t.logGap(key)
	t.edit.gaps[key] = raw
	if key < 0 {
		t.change(-key).flags |= tailed
	} else {
		t.change(key).flags |= gapped
	}
}

// moveGap puts what stands at key in front of what stands before next, or at the end of parent when next is 0.
func (t *Tree) moveGap(key, next, parent int32) {
	raw := t.gap(key)
	switch {
	case raw == "":
		return
	case key < 0:
		t.change(-key).flags &^= tailed
	default:
		t.change(key).flags &^= gapped
	}
	t.putGap(next, parent, raw)
}

// putGap puts something in front of what stands before next, or at the end of parent when next is 0.
func (t *Tree) putGap(next, parent int32, raw string) {
	if next == 0 {
		next = -parent
	}
	if raw != "" {
		t.setGap(next, raw+t.gap(next))
	}
}

// room refuses an edit that adds more than is left to add. What is to be added is bounded by size.
func (t *Tree) room(size int) error {
	const overhead = 64 // of tags, quotes and joints
	if len(t.text)-len(t.src)+size+overhead > 2*t.limits.Size {
		return fmt.Errorf("edit needs %d bytes, what edits may add in all is %d: %w", size, 2*t.limits.Size, ErrLimit)
	}
	return nil
}

// extend appends to text and returns where it stands there.
func (t *Tree) extend(parts ...string) span {
	start := uint32(len(t.text))
	for _, p := range parts {
		t.buffer.WriteString(p)
	}
	t.text = t.buffer.String()
	return span{start, uint32(len(t.text))}
}

// touch marks a node and all that it is in as changed.
func (t *Tree) touch(i int32) {
	for ; i != 0 && t.nodes[i].flags&edited == 0; i = t.nodes[i].parent {
		t.change(i).flags |= edited
	}
}

// InsertBefore puts content before n, below the same parent. Content is what may stand between tags: elements, text,
// comments, processing instructions, CDATA sections and references. Its prefixes mean what they mean at that place, where
// also a default namespace applies to it. Text becomes one with the text beside it. Beside the root element only
// comments, processing instructions and white space are allowed (ErrRoot, ErrOutside). Content that is not well-formed is
// refused with an *Error that has its position in content. After an error nothing is changed.
//
// A Node of a text that becomes one with another may be no node of the tree any more.
func (n Node) InsertBefore(content string) error {
	d := n.data()
	return n.insert(d.parent, d.prev, n.i, content)
}

// InsertAfter puts content behind n, below the same parent, see InsertBefore.
func (n Node) InsertAfter(content string) error {
	d := n.data()
	return n.insert(d.parent, n.i, d.next, content)
}

// Prepend puts content before the first child of an element or of the document, see InsertBefore.
func (n Node) Prepend(content string) error {
	if err := n.container(); err != nil {
		return err
	}
	return n.insert(n.i, 0, n.data().first, content)
}

// Append puts content behind the last child of an element or of the document, see InsertBefore.
func (n Node) Append(content string) error {
	if err := n.container(); err != nil {
		return err
	}
	return n.insert(n.i, n.data().last, 0, content)
}

func (n Node) container() error {
	if k := n.Kind(); k != Element && k != Document {
		return fmt.Errorf("a %s has no content to add to, expected an element", k)
	}
	return nil
}

func (n Node) insert(parent, prev, next int32, content string) error {
	if err := n.attached(); err != nil {
		return err
	}
	if parent == 0 {
		return fmt.Errorf("nothing stands beside the document: %w", ErrRoot)
	}
	t := n.t
	t.begin()
	if err := t.room(2*len(content) + t.textSize(prev) + t.textSize(next)); err != nil {
		return err
	}
	first, last, behind, err := t.content(parent, content, false)
	if err != nil || first == 0 {
		return err
	}
	// What is put directly before a node, or before the end of n, stands behind the gap there.
	switch {
	case t.nodes[first].kind == Text:
	case next == n.i || prev == 0 && parent == 1: // nothing comes before an XML declaration
		t.moveGap(next, first, parent)
	case next == 0 && parent == n.i:
		t.moveGap(-parent, first, parent)
	}
	t.putGap(next, parent, behind)
	t.link(parent, prev, next, first, last)
	t.touch(parent)
	return nil
}

// textSize returns how much a text node adds when it becomes one with another.
func (t *Tree) textSize(i int32) int {
	if n := &t.nodes[i]; n.kind == Text {
		return int(n.end - n.start)
	}
	return 0
}

// attached refuses nodes that have been taken out of the tree.
func (n Node) attached() error {
	switch d := n.data(); {
	case d.kind == None:
		return fmt.Errorf("edit of no node: %w", ErrRemoved)
	case d.parent == 0 && d.kind != Document:
		return fmt.Errorf("%s: %w", d.kind, ErrRemoved)
	}
	return nil
}

// Remove takes n and all that is in it out of the tree. Text on both sides becomes one. The root element cannot be
// removed (ErrRoot).
func (n Node) Remove() error {
	if n.Valid() && (n.Kind() == Document || n == n.t.Root()) {
		return fmt.Errorf("root element cannot be removed: %w", ErrRoot)
	}
	return n.replace("")
}

// Replace puts content in the place of n, see InsertBefore. The root element can be replaced by content that has exactly
// one element.
func (n Node) Replace(content string) error {
	if n.Kind() == Document {
		return fmt.Errorf("document cannot be replaced: %w", ErrRoot)
	}
	return n.replace(content)
}

func (n Node) replace(content string) error {
	if err := n.attached(); err != nil {
		return err
	}
	t := n.t
	t.begin()
	was := t.nodes[n.i]
	if err := t.room(2*len(content) + 2*t.textSize(was.prev) + t.textSize(was.next)); err != nil {
		return err
	}
	first, last, behind, err := t.content(was.parent, content, n.i == t.root)
	if err != nil {
		return err
	}
	if n.i == t.root {
		for t.root = first; t.nodes[t.root].kind != Element; {
			t.root = t.nodes[t.root].next
		}
	}
	t.putGap(was.next, was.parent, behind)
	if first != 0 {
		t.moveGap(n.i, first, was.parent)
	} else {
		t.moveGap(n.i, was.next, was.parent)
	}
	t.link(was.parent, was.prev, was.next, first, last)
	t.detach(n.i)
	t.touch(was.parent)
	return nil
}

func (t *Tree) detach(i int32) {
	d := t.change(i)
	d.parent, d.prev, d.next = 0, 0, 0
}

// link puts the chain from first to last, which may be empty, between two neighbours, of which none needs to be there,
// and makes text of text beside text.
func (t *Tree) link(parent, prev, next, first, last int32) {
	isText := func(i int32) bool { return i != 0 && t.nodes[i].kind == Text }
	if isText(prev) && isText(first) {
		t.join(prev, prev, first)
		if first == last {
			first, last = 0, 0
		} else {
			first = t.nodes[first].next
		}
	}
	if isText(last) && isText(next) {
		t.join(next, last, next)
		if first == last {
			first, last = 0, 0
		} else {
			last = t.nodes[last].prev
		}
	}
	if first == 0 && isText(prev) && isText(next) {
		t.join(prev, prev, next)
		gone := next
		next = t.nodes[gone].next
		t.moveGap(gone, next, parent)
		t.detach(gone)
	}
	if first == 0 {
		t.connect(parent, prev, next)
		return
	}
	t.connect(parent, prev, first)
	t.connect(parent, last, next)
}

// connect makes two nodes neighbours; 0 stands for the edge of the parent.
func (t *Tree) connect(parent, prev, next int32) {
	if prev == 0 {
		t.change(parent).first = next
	} else {
		t.change(prev).next = next
	}
	if next == 0 {
		t.change(parent).last = prev
	} else {
		t.change(next).prev = prev
	}
}

// join gives the text node into the characters of two text nodes.
func (t *Tree) join(into, left, right int32) {
	l, r := t.nodes[left], t.nodes[right]
	first, second := t.text[l.start:l.end], t.text[r.start:r.end]
	between := ""
	f := (l.flags|r.flags)&(coded|unresolved) | l.flags&r.flags&blank
	switch {
	case strings.HasSuffix(first, "\r") && strings.HasPrefix(second, "\n"):
		between = "\n" // two line ends, not CR LF
	case strings.HasSuffix(first, "]]") && strings.HasPrefix(second, ">"):
		between, second, f = "&gt;", second[1:], f|coded
	case strings.HasSuffix(first, "]") && strings.HasPrefix(second, "]>"):
		between, second, f = "]&gt;", second[2:], f|coded
	}
	s := t.extend(first, between, second)
	n := t.change(into)
	n.start, n.end, n.flags = s.start, s.end, n.flags&^(coded|unresolved|blank)|f
}

// content parses content for the place below parent and returns the chain of nodes that it makes, 0 when it makes none.
// Beside the root element the chain is what may stand there, with one element among it when root is set, and behind is the
// white space that follows it.
func (t *Tree) content(parent int32, content string, root bool) (first, last int32, behind string, err error) {
	if content == "" && !root {
		return 0, 0, "", nil
	}
	if err := t.checkContent(content); err != nil {
		return 0, 0, "", err
	}
	nodes, attrs, decls := len(t.nodes), len(t.attrs), len(t.decls)
	first, last, err = t.parseContent(parent, content)
	if err == nil && parent == 1 {
		first, last, behind, err = t.besideRoot(first, root)
	}
	if err != nil {
		t.nodes, t.attrs, t.decls = t.nodes[:nodes], t.attrs[:attrs], t.decls[:decls]
		return 0, 0, "", err
	}
	for i := first; i != 0; i = t.nodes[i].next {
		t.nodes[i].parent = parent
	}
	return first, last, behind, nil
}

func (t *Tree) checkContent(content string) error {
	p := parser{t: t, s: content + "\x00"}
	if t.ascii {
		for i := range len(content) {
			if content[i] >= utf8.RuneSelf {
				return p.fail(i, ErrEncoding, "byte 0x%02X for a document that declares to be US-ASCII", content[i])
			}
		}
	}
	if !utf8.ValidString(content) {
		return p.checkBytes(false)
	}
	return nil
}

func (t *Tree) parseContent(parent int32, content string) (first, last int32, err error) {
	const before, behind = "<x>", "</x>\x00"
	s := t.extend(before, content, behind)
	open := t.bindScope(parent)
	wrap := int32(len(t.nodes))
	p := parser{t: t, s: t.text, i: int(s.start), limits: t.limits, depth: open - 1,
		content: span{s.start + uint32(len(before)), s.end - uint32(len(behind))}}
	err = p.element()
	sections := t.empty
	t.empty = t.empty[:0]
	if err == nil && !p.atEnd(p.i) {
		err = p.fail(p.i-len("</x>"), nil, "end tag </x> of an element that is not open here")
	}
	t.names.unbind()
	t.nodes[0] = node{}
	if err != nil {
		return 0, 0, err
	}
	for _, e := range sections {
		// Between the nodes of content itself they are dropped.
		if e.before != -wrap && (e.before < 0 || t.nodes[e.before].parent != wrap) {
			t.setGap(e.before, e.raw)
		}
	}
	return t.nodes[wrap].first, t.nodes[wrap].last, nil
}

// bindScope binds the prefixes that are in scope in an element, and returns how many elements are open in it.
func (t *Tree) bindScope(i int32) (open int) {
	var path []int32
	for ; i > 1; i = t.nodes[i].parent {
		open++
		if t.nodes[i].decl != 0 {
			path = append(path, i)
		}
	}
	for _, i := range slices.Backward(path) {
		for d := range t.node(i).Decls() {
			t.names.bind(t.names.number(d.Prefix()), d.data().space, i)
		}
	}
	return open
}

// unbind takes back all bindings.
func (s *scope) unbind() {
	for _, was := range slices.Backward(s.before) {
		now := &s.prefixes[was.prefix]
		now.space, now.element = was.space, was.element
	}
	s.before = s.before[:0]
}

// besideRoot takes the text out of a chain, plain white space of which stays as a gap, and refuses what may not stand
// beside the root element.
func (t *Tree) besideRoot(first int32, root bool) (from, to int32, gap string, err error) {
	elements := 0
	for i, next := first, int32(0); i != 0; i = next {
		n := &t.nodes[i]
		next = n.next
		switch {
		case n.kind == Text && n.flags&blank == 0:
			return 0, 0, "", ErrOutside
		case n.kind == Text:
			if raw := t.text[n.start:n.end]; isBlank(raw) {
				gap += raw
			}
			continue
		case n.kind == Element:
			elements++
		}
		t.setGap(i, gap)
		gap = ""
		if n = &t.nodes[i]; to == 0 {
			from, n.prev = i, 0
		} else {
			t.nodes[to].next, n.prev = i, to
		}
		n.next, to = 0, i
	}
	if root && elements != 1 || !root && elements > 0 {
		return 0, 0, "", fmt.Errorf("found %d elements in its place or beside it: %w", elements, ErrRoot)
	}
	return from, to, gap, nil
}
