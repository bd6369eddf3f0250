package pidf

import (
	"bytes"
	"strings"
	"time"

	"imp/internal/xml/tree"
)

// parts writes the elements in an element, those that have a place in the model in the order of the model, and ends it.
func (w *writer) parts(e *entry) bool {
	from := len(w.entries)
	w.collect(e, from)
	entries := w.entries[from:]
	if e.model.values > 0 || e.model.single {
		entries = e.model.choose(entries)
	}
	empty := true
	w.depth++
	for i := range e.model.parts {
		if !w.part(e.model, i, entries, &empty) {
			w.depth--
			return false
		}
	}
	w.depth--
	if empty && e.model.filled {
		return false
	}
	if empty {
		w.buf = append(w.buf, "/>"...)
	} else {
		w.newline()
		w.close(e.in, e.local)
	}
	w.entries = w.entries[:from]
	return true
}

// part writes the entries of one part of the model and reports whether there were enough.
func (w *writer) part(m *model, i int, entries []entry, empty *bool) bool {
	p := &m.parts[i]
	count := 0
	var notes [maxNotes][2]int // where the notes stand that are written
	written := 0
	for k := range entries {
		if entries[k].part != i || count > 0 && !p.many && !p.any {
			continue
		}
		before := len(w.buf)
		if *empty {
			w.buf = append(w.buf, '>')
		}
		w.newline()
		start := len(w.buf)
		if !w.entry(&entries[k]) || p.name == "note" && w.repeats(notes[:written], start) {
			w.buf = w.buf[:before]
			continue
		}
		if p.name == "note" && written < maxNotes {
			notes[written] = [2]int{start, len(w.buf)}
			written++
		}
		*empty = false
		count++
	}
	return count > 0 || !p.required
}

// maxNotes is how many notes of an element are compared to drop those that stand twice.
const maxNotes = 16

func (w *writer) repeats(notes [][2]int, start int) bool {
	for _, note := range notes {
		if bytes.Equal(w.buf[note[0]:note[1]], w.buf[start:]) {
			return true
		}
	}
	return false
}

// child writes an element on a line of its own, if lines are wanted.
func (w *writer) child(e *entry) bool {
	before := len(w.buf)
	w.newline()
	ok := w.entry(e)
	if !ok {
		w.buf = w.buf[:before]
	}
	return ok
}

func (w *writer) entry(e *entry) bool {
	if e.model == nil && e.node.Valid() {
		return w.stranger(e.node, true)
	}
	return w.element(e)
}

// collect appends an entry for each element in e that has a place in its model.
func (w *writer) collect(e *entry, from int) {
	m := e.model
	var seen onceSeen
	for n := e.node.FirstChild(); n.Valid(); n = n.NextSibling() {
		if n.Kind() != tree.Element {
			continue
		}
		in, local := spaceOf(n.Space()), m.spelled(n.Local())
		if in == inPIDF && m.space == inDataModel && (local == "note" || local == "timestamp") {
			in = inDataModel // a slip of publishers: RFC 4479 section 5.1.2 has its own
		}
		i, child := m.find(in, local, n.Space())
		switch {
		case i < 0:
			w.misfit(m, in, local)
		case local == "note" && trim(n.Text()) == "" && in == m.space:
		case m.component && (w.outdated(n, in, local) || seen.again(in, local, n)):
		default:
			w.entries = append(w.entries, entry{node: n, model: child, in: in, local: local, part: i})
		}
	}
	if m.choices != nil && !hasValue(w.entries[from:], m.values) {
		w.textValue(m, e.node)
	}
}

func hasValue(entries []entry, values int) bool {
	for i := range entries {
		if entries[i].part >= values {
			return true
		}
	}
	return false
}

// textValue takes text for a value, as the examples of RFC 4480 section 4 and RFC 5264 section 6 write it.
func (w *writer) textValue(m *model, n tree.Node) {
	for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
		if c.Kind() == tree.Text && !c.Blank() {
			w.value(m, m.spelled(collapse(c.Text())))
		}
	}
}

// misfit keeps a value that the schema does not know: with the namespace that it should have, or as text in other.
func (w *writer) misfit(m *model, in space, local string) {
	if in == inRPID && m.space == inRPID && m.choices != nil {
		w.value(m, local)
	}
}

// value appends an entry for a value by its name.
func (w *writer) value(m *model, name string) {
	switch {
	case m.choices[name] != nil:
		i, _ := m.find(m.choice, name, spaceNames[m.choice])
		w.entries = append(w.entries, entry{in: m.choice, local: name, part: i})
	case m.other:
		i, _ := m.find(inRPID, "other", RPIDSpace)
		w.entries = append(w.entries, entry{in: inRPID, local: "other", text: name, part: i})
	}
}

// choose leaves the values that may stand together: what stands alone gives way to others, and of a single one the first decides.
func (m *model) choose(entries []entry) []entry {
	standard := func(e *entry) bool { return e.in == m.space }
	others, values, firstStandard := 0, 0, false
	for i := range entries {
		if e := &entries[i]; e.part >= m.values && !(standard(e) && e.local == m.alone) {
			others++
		}
	}
	kept := entries[:0]
	for i := range entries {
		e := &entries[i]
		if e.part >= m.values {
			alone := standard(e) && e.local == m.alone
			if alone && (others > 0 || values > 0) || m.single && values > 0 && (firstStandard || standard(e)) {
				continue
			}
			firstStandard = firstStandard || standard(e)
			values++
		}
		kept = append(kept, *e)
	}
	return kept
}

// outdated reports whether an element of a component says nothing of the time from now on, and notes when that will be so: one of RPID whose until
// is past, a timed-status that covers the present, which is dropped rather than believed (RFC 4481 section 3), and one whose time has come and gone
// since it was published.
func (w *writer) outdated(n tree.Node, in space, local string) bool {
	if w.now.IsZero() || in != inRPID && in != inTimed {
		return false
	}
	until := readTime(attr(n, "until"))
	if in == inRPID {
		if until.IsZero() || once(in, local) == 0 {
			return false
		}
		return w.passed(until)
	}
	if from := readTime(attr(n, "from")); !w.passed(from) {
		return false
	}
	return until.IsZero() || until.After(w.now) || w.input == nil || until.After(w.input.Published)
}

// passed reports whether a time is not after now; one to come is noted.
func (w *writer) passed(t time.Time) bool {
	if !t.After(w.now) {
		return true
	}
	if w.next.IsZero() || t.Before(w.next) {
		w.next = t
	}
	return false
}

func attr(n tree.Node, name string) string {
	value, _ := n.Attr("", name)
	return value
}

// stranger copies an element that the schemas do not know. The known ones in it are put right as they are elsewhere. top marks the outermost, which
// takes over the declarations around it that its text may refer to.
func (w *writer) stranger(n tree.Node, top bool) bool {
	uri, in := n.Space(), spaceOf(n.Space())
	if !w.bare && in != nowhere && !isAbsolute(uri) {
		return false
	}
	first := len(w.bound)
	prefix := n.Prefix()
	if spaceNames[in] != "" {
		prefix = strings.TrimSuffix(prefixes[in], ":")
	}
	nameStart := len(w.buf) + 1
	w.buf = append(w.buf, '<')
	if prefix != "" {
		w.buf = append(append(w.buf, prefix...), ':')
	}
	own := len(w.buf)
	w.buf = append(w.buf, n.Local()...)
	nameEnd := len(w.buf)
	if !w.stands(prefix, uri) {
		w.declare(prefix, uri)
	}
	for d := range n.Decls() {
		w.carry(d.Prefix(), d.URI(), prefix, first)
	}
	if top {
		w.carryOuter(n, prefix, first)
	}
	for a := range n.Attrs() {
		w.further(a, string(w.buf[nameStart:own]), first)
	}
	w.buf = append(w.buf, '>')
	tagEnd := len(w.buf)
	if w.children(n); len(w.buf) == tagEnd {
		w.buf = append(w.buf[:tagEnd-1], "/>"...)
	} else {
		w.buf = append(w.buf, "</"...)
		w.buf = append(w.buf, w.buf[nameStart:nameEnd]...)
		w.buf = append(w.buf, '>')
	}
	w.bound = w.bound[:first]
	return true
}

// children copies what is in an unknown element.
func (w *writer) children(n tree.Node) {
	depth, indent := w.depth, w.indent
	w.indent = false
	for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
		if c.Kind() != tree.Element {
			w.buf = append(w.buf, c.Bytes()...)
			continue
		}
		if w.bare {
			w.stranger(c, false)
			continue
		}
		in := spaceOf(c.Space())
		w.entry(&entry{node: c, model: global(in, c.Local()), in: in, local: c.Local()})
	}
	w.depth, w.indent = depth, indent
}

// carry declares a prefix of the source on the element whose start tag is open, unless that is so already or cannot be. own is the prefix of the
// element, first where its declarations begin.
func (w *writer) carry(prefix, uri, own string, first int) {
	if prefix == own || !w.bare && uri != "" && !isAbsolute(uri) || w.stands(prefix, uri) {
		return
	}
	for _, b := range w.bound[first:] {
		if b.prefix == prefix {
			return
		}
	}
	w.declare(prefix, uri)
}

// maxOuter is how many declarations around an unknown element are looked at.
const maxOuter = 32

// carryOuter declares the prefixes around an unknown element that occur in its source: those of names, once for all that is in it, and those in values,
// where xsi:type has names. Names in the namespaces that are known get other prefixes anyway, so only values count there.
func (w *writer) carryOuter(n tree.Node, own string, first int) {
	looked := 0
	for e := n.Parent(); e.Kind() == tree.Element; e = e.Parent() {
		for d := range e.Decls() {
			if looked++; looked > maxOuter {
				return
			}
			prefix, known := d.Prefix(), spaceOf(d.URI()) != elsewhere
			if prefix == "" || !known && !mentions(n.Bytes(), prefix) || known && !(mentions(n.Bytes(), prefix) && inValues(n, prefix)) {
				continue
			}
			if uri, _ := n.LookupPrefix(prefix); uri == d.URI() {
				w.carry(prefix, uri, own, first)
			}
		}
	}
}

// inValues reports whether a prefix is mentioned in the values of attributes or in text below n.
func inValues(n tree.Node, prefix string) bool {
	src := n.Tree().Source()
	for a := range n.Attrs() {
		start, end := a.ValueRange()
		if mentions(src[start:end], prefix) {
			return true
		}
	}
	for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
		if c.Kind() == tree.Text && mentions(c.Bytes(), prefix) || c.Kind() == tree.Element && inValues(c, prefix) {
			return true
		}
	}
	return false
}

// mentions reports whether a prefix with its colon stands in the source, not as the end of a longer name.
func mentions(src []byte, prefix string) bool {
	for from := 0; ; {
		i := bytes.Index(src[from:], []byte(prefix))
		if i < 0 {
			return false
		}
		i += from
		end := i + len(prefix)
		if end < len(src) && src[end] == ':' && (i == 0 || !isNameByte(src[i-1])) {
			return true
		}
		from = i + 1
	}
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' || c >= 0x80
}
