package tree

import "strings"

// Bytes returns the document as edits have left it. All that they did not concern is as it was in the source.
func (t *Tree) Bytes() []byte { return t.Append(nil) }

// Append appends the document to dst, see Bytes.
func (t *Tree) Append(dst []byte) []byte {
	if len(t.nodes) == 0 {
		return dst
	}
	return t.write(dst, 1)
}

// output writes ranges of text, each run of adjacent ones at once.
type output struct {
	t   *Tree
	dst []byte
	run span
}

func (o *output) span(s span) {
	if s.start == o.run.end {
		o.run.end = s.end
		return
	}
	o.flush()
	o.run = s
}

func (o *output) flush() {
	o.dst = append(o.dst, o.t.text[o.run.start:o.run.end]...)
	o.run = span{}
}

func (o *output) string(s string) {
	o.flush()
	o.dst = append(o.dst, s...)
}

// write appends a node and all that is in it.
func (t *Tree) write(dst []byte, top int32) []byte {
	if cap(dst)-len(dst) < len(t.src) && top == 1 {
		dst = append(make([]byte, 0, len(dst)+len(t.text)), dst...)
	}
	o := output{t: t, dst: dst}
	for i := top; ; {
		n := &t.nodes[i]
		if n.flags&gapped != 0 && i != top {
			o.string(t.edit.gaps[i])
		}
		if n.flags&edited != 0 {
			o.open(i)
			if n.first != 0 {
				i = n.first
				continue
			}
			o.close(i)
		} else {
			o.span(span{n.start, n.end})
		}
		for i != top && t.nodes[i].next == 0 {
			i = t.nodes[i].parent
			o.close(i)
		}
		if i == top {
			break
		}
		i = t.nodes[i].next
	}
	o.flush()
	return o.dst
}

// open writes the start tag of an element that has been edited.
func (o *output) open(i int32) {
	t, n := o.t, &o.t.nodes[i]
	if n.kind != Element {
		return
	}
	tail := span{n.start, n.inner}
	if n.flags&tagged != 0 {
		g := t.edit.tags[i]
		o.span(g.name)
		for _, it := range g.items {
			o.span(it.lead)
			o.span(it.head)
			o.span(it.value)
			o.span(span{it.head.end - 1, it.head.end})
		}
		tail = g.tail
	}
	if n.inner != n.end || n.first == 0 && n.flags&tailed == 0 {
		o.span(tail)
		return
	}
	tail.end = tail.start + uint32(len(strings.TrimRight(t.text[tail.start:tail.end-uint32(len("/>"))], " \t\r\n")))
	o.span(tail)
	o.string(">")
}

// close writes the end tag of an element that has been edited.
func (o *output) close(i int32) {
	n := &o.t.nodes[i]
	if n.flags&tailed != 0 {
		o.string(o.t.edit.gaps[-i])
	}
	switch {
	case n.kind != Element:
	case n.inner != n.end:
		o.span(o.t.endTag(n))
	case n.first != 0 || n.flags&tailed != 0:
		o.string("</")
		o.string(o.t.text[n.start+1 : n.nameEnd])
		o.string(">")
	}
}

// endTag returns where the end tag of an element stands.
func (t *Tree) endTag(n *node) span {
	return span{n.inner + uint32(strings.LastIndexByte(t.text[n.inner:n.end], '<')), n.end}
}
