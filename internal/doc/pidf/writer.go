package pidf

import (
	"strconv"
	"strings"
	"time"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// writer writes elements of published documents anew: known ones by their models, so that what comes out is valid, others as they are with the
// namespace declarations that they need at their new place.
type writer struct {
	buf     []byte
	used    [spaces]bool // namespaces whose prefixes have to be declared on the root
	bound   []binding    // declarations on the elements that are open, above those of the root
	bare    bool         // there is no root: everything has to be declared, and nothing is put right
	indent  bool
	depth   int
	entries []entry // of the elements that are open
	ids     idSet
	serial  int // for ids that collide

	input *Input    // that the elements come from; nil = their ids are kept
	now   time.Time // zero: nothing is out of date
	next  time.Time // when one of the elements written begins or ends to be
}

// binding is a prefix with the namespace that it is declared for.
type binding struct{ prefix, uri string }

// entry is an element to be written: a node, or without one a value by its name, or text for other.
type entry struct {
	node  tree.Node
	model *model
	in    space
	local string
	text  string
	id    string // in place of the one it has
	part  int
}

// state is what an element that cannot be made valid is undone with.
type state struct {
	buf, bound, entries int
	used                [spaces]bool
}

func (w *writer) state() state { return state{len(w.buf), len(w.bound), len(w.entries), w.used} }

func (w *writer) undo(s state) {
	w.buf, w.bound, w.entries, w.used = w.buf[:s.buf], w.bound[:s.bound], w.entries[:s.entries], s.used
}

// reset keeps the memory for the next document.
func (w *writer) reset() {
	clear(w.bound[:cap(w.bound)])
	clear(w.entries[:cap(w.entries)])
	*w = writer{buf: w.buf[:0], bound: w.bound[:0], entries: w.entries[:0], ids: w.ids}
	w.ids.reset()
}

// stands reports whether a prefix stands for a namespace at the present place. If that is by a declaration on the root, the root gets it.
func (w *writer) stands(prefix, uri string) bool {
	for i := len(w.bound) - 1; i >= 0; i-- {
		if w.bound[i].prefix == prefix {
			return w.bound[i].uri == uri
		}
	}
	if prefix == "xml" {
		return uri == tree.XMLSpace
	}
	if w.bare {
		return uri == ""
	}
	in := spaceOf(uri)
	switch {
	case prefix == "":
		return in == inPIDF
	case prefixes[in] == "" || prefixes[in][:len(prefixes[in])-1] != prefix:
		return false
	}
	w.used[in] = true
	return true
}

// declare writes a namespace declaration into the start tag that is open.
func (w *writer) declare(prefix, uri string) {
	w.buf = append(w.buf, " xmlns"...)
	if prefix != "" {
		w.buf = append(w.buf, ':')
		w.buf = append(w.buf, prefix...)
	}
	w.buf = append(w.buf, `="`...)
	w.buf = appendEscaped(w.buf, uri, true)
	w.buf = append(w.buf, '"')
	w.bound = append(w.bound, binding{prefix, uri})
}

// open begins the start tag of a known element.
func (w *writer) open(in space, local string) {
	w.buf = append(append(append(w.buf, '<'), prefixes[in]...), local...)
	if len(w.bound) == 0 && !w.bare {
		w.used[in] = true
		return
	}
	prefix := strings.TrimSuffix(prefixes[in], ":")
	if !w.stands(prefix, spaceNames[in]) {
		w.declare(prefix, spaceNames[in])
	}
}

func (w *writer) close(in space, local string) {
	w.buf = append(append(append(append(w.buf, "</"...), prefixes[in]...), local...), '>')
}

func (w *writer) newline() {
	if w.indent {
		w.buf = append(w.buf, '\n')
		for range w.depth {
			w.buf = append(w.buf, "  "...)
		}
	}
}

// element writes an element by its model. It returns false, and writes nothing, when that cannot be made valid.
func (w *writer) element(e *entry) bool {
	before := w.state()
	if e.text != "" || !e.node.Valid() {
		w.open(e.in, e.local)
		w.text(e.in, e.local, e.text)
		w.bound = w.bound[:before.bound]
		return true
	}
	w.open(e.in, e.local)
	ok := w.attributes(e)
	if ok {
		if e.model.content == kindParts {
			ok = w.parts(e)
		} else {
			ok = w.simple(e)
		}
	}
	if !ok {
		w.undo(before)
		return false
	}
	w.bound = w.bound[:before.bound]
	return true
}

// text ends an element with text in it.
func (w *writer) text(in space, local, s string) {
	if s == "" {
		w.buf = append(w.buf, "/>"...)
		return
	}
	w.buf = appendEscaped(append(w.buf, '>'), s, false)
	w.close(in, local)
}

// simple ends an element that holds text, as near to the source as can be.
func (w *writer) simple(e *entry) bool {
	if e.model.content == kindString {
		if raw, ok := rawText(e.node); ok {
			if len(raw) == 0 {
				w.buf = append(w.buf, "/>"...)
				return true
			}
			w.buf = append(append(w.buf, '>'), raw...)
			w.close(e.in, e.local)
			return true
		}
	}
	s, ok := e.model.content.fix(e.node.Text())
	if ok {
		w.text(e.in, e.local, s)
	}
	return ok
}

// rawText returns the text in an element as it is written, if nothing else is in it.
func rawText(n tree.Node) ([]byte, bool) {
	c := n.FirstChild()
	if !c.Valid() {
		return nil, true
	}
	if c.Kind() != tree.Text || c != n.LastChild() {
		return nil, false
	}
	return c.Bytes(), true
}

// fix makes a value valid where its meaning is clear.
func (k kind) fix(s string) (string, bool) {
	switch k {
	case kindEmpty:
		return "", true
	case kindString:
		return s, true
	case kindURI:
		return fixURI(trim(s)), true
	case kindToken:
		return collapse(s), true
	case kindDateTime:
		t, exact, ok := parseTime(trim(s))
		switch {
		case !ok || !writable(t):
			return "", false
		case exact:
			return trim(s), true
		}
		return t.Format(time.RFC3339Nano), true
	case kindPriority:
		form, _, ok := priority(s)
		return form, ok
	case kindBasic, kindInput, kindBoolean:
		s = strings.ToLower(trim(s))
		return s, k.refuses(s) == ""
	}
	s = trim(s)
	return s, k.refuses(s) == ""
}

// attributes writes those that the model knows, in its order, and then others where they may stand.
func (w *writer) attributes(e *entry) bool {
	first := len(w.bound)
	for i := range e.model.attrs {
		want := &e.model.attrs[i]
		a := e.node.Attribute(want.space, want.name)
		if want.kind == kindID {
			if id, ok := w.id(e, a, want.required); ok {
				w.attribute(want.name, id)
			}
			continue
		}
		if want.kind == kindLang && !a.Valid() {
			if lang := langOf(e.node); lexical.IsLanguage(lang) {
				w.attribute("xml:lang", lang)
			}
			continue
		}
		value, ok := want.kind.fix(a.Value())
		switch {
		case a.Valid() && ok && want.space == tree.XMLSpace:
			w.attribute("xml:"+want.name, value)
		case a.Valid() && ok:
			w.attribute(want.name, value)
		case want.required:
			return false
		}
	}
	if e.model.open {
		for a := range e.node.Attrs() {
			if e.model.attribute(a) == nil && !e.model.unspanned(a) {
				w.further(a, prefixes[e.in], first)
			}
		}
	}
	return true
}

func (w *writer) attribute(name, value string) {
	w.buf = append(append(append(w.buf, ' '), name...), `="`...)
	w.buf = append(appendEscaped(w.buf, value, true), '"')
}

// further copies an attribute that has no meaning here. first is where the declarations of its element begin, own the prefix of that with its colon.
func (w *writer) further(a tree.Attr, own string, first int) {
	k := attributeKind(a)
	uri := a.Space()
	switch {
	case w.bare:
	case k == kindID:
		id := trim(a.Value())
		if !isNCName(id) || !w.ids.add(id) {
			return
		}
	case k.refuses(a.Value()) != "", uri != "" && !isAbsolute(uri), uri == schemaInstance && a.Local() != "schemaLocation":
		return
	}
	start, end := a.Range()
	raw := a.Owner().Tree().Source()[start:end]
	if uri == "" {
		w.buf = append(append(w.buf, ' '), raw...)
		return
	}
	prefix := w.bind(a.Prefix(), uri, own, first)
	w.buf = append(append(w.buf, ' '), prefix...)
	w.buf = append(w.buf, raw[len(a.Prefix()):]...)
}

// bind makes sure that a prefix stands for the namespace of an attribute, or another one if that one is taken on the same element.
func (w *writer) bind(prefix, uri, own string, first int) string {
	for n := 1; ; n++ {
		if w.stands(prefix, uri) {
			return prefix
		}
		taken := len(own) == len(prefix)+1 && own[:len(prefix)] == prefix
		for _, b := range w.bound[first:] {
			taken = taken || b.prefix == prefix
		}
		if !taken {
			w.declare(prefix, uri)
			return prefix
		}
		prefix = "ns" + strconv.Itoa(n)
	}
}

// id returns the id to write. One that collides is dropped where it may be, and changed where it must be there.
func (w *writer) id(e *entry, a tree.Attr, required bool) (string, bool) {
	if e.id != "" {
		return e.id, true
	}
	id := trim(a.Value())
	if !required {
		if !a.Valid() || !isNCName(id) {
			return "", false
		}
		id = w.input.qualify(id)
		return id, w.ids.add(id)
	}
	return w.unique(w.input.qualify(ncName(id))), true
}

// unique claims an id, with a number behind it when it is taken.
func (w *writer) unique(id string) string {
	name := id
	for !w.ids.add(name) {
		w.serial++
		name = id + "-" + strconv.Itoa(w.serial)
	}
	return name
}

// appendEscaped appends text or an attribute value. Characters that XML cannot hold become U+FFFD, line ends other than LF keep their identity.
func appendEscaped(buf []byte, s string, attr bool) []byte {
	for i, r := range s {
		switch {
		case r == '&':
			buf = append(buf, "&amp;"...)
		case r == '<':
			buf = append(buf, "&lt;"...)
		case r == '>':
			buf = append(buf, "&gt;"...)
		case r == '"' && attr:
			buf = append(buf, "&quot;"...)
		case r == '\r', attr && (r == '\n' || r == '\t'):
			buf = append(strconv.AppendInt(append(buf, "&#"...), int64(r), 10), ';')
		case r < ' ' && r != '\n' && r != '\t', r == 0xFFFE, r == 0xFFFF, r == 0xFFFD:
			buf = append(buf, "\uFFFD"...)
		case r < 0x80:
			buf = append(buf, s[i])
		default:
			buf = append(buf, string(r)...)
		}
	}
	return buf
}
