package grammar

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"imp/internal/xml/tree"
)

// gnode is an element of a generated document.
type gnode struct {
	expanded
	attrs []gattr
	kids  []gkid
}

type gattr struct {
	expanded
	value string
}

// gkid is a child element or, when that is nil, text.
type gkid struct {
	el   *gnode
	text string
}

// generator walks compiled grammars and makes documents that they accept.
type generator struct {
	*rand.Rand
	ids   int
	limit int // elements that may still be made before content is kept short
	roots []*element
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	for _, space := range slices.Sorted(maps.Keys(namespaces)) {
		if !strings.Contains(space, "oma") && !strings.Contains(space, "imdn") {
			g.roots = append(g.roots, namespaces[space].schema().roots...)
		}
	}
	return g
}

func pick[T any](g *generator, of []T) T { return of[g.IntN(len(of))] }

// samples are values of the data types.
var samples = map[string][]string{
	"string":             {"x", "", " two  words ", "ä"},
	"anySimpleType":      {"x", ""},
	"token":              {"x", " y "},
	"anyURI":             {"sip:a@example.com", "a/b", "", "http://[::1]:80/x?y#z", "urn:x:y", " tel:1 ", "mailto:ä@x"},
	"boolean":            {"true", "false", "0", "1", " true "},
	"decimal":            {"1", "-1.5", ".5", "7."},
	"integer":            {"0", "-300", "+5"},
	"nonNegativeInteger": {"0", "7"},
	"positiveInteger":    {"1", "600"},
	"unsignedInt":        {"0", "4294967295"},
	"unsignedLong":       {"0", "18446744073709551615"},
	"dateTime":           {"2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "2024-02-29T24:00:00.0+14:00", "2026-12-01T00:00:00.125-05:30"},
	"language":           {"en", "de-CH-1996", "i-default"},
	"NCName":             {"a", "_b.c-1"},
	"qvalue":             {"0.5", "1", "1.000", "0.", "0"},
	"selector":           {"*/a[2]", "/p:a/@b", "a/text()[1]", "id('x')/b[@c='d']", "a/namespace::q", "*[b=\"c\"]/comment()"},
	"add-selector":       {"a", "*/*[3]", "a/b:c[.='x']", "a/processing-instruction('x')"},
}

// patternSamples are values that patterns of data types let pass.
var patternSamples = map[string][]string{"xsd:string": {"@a", "@p:a", "namespace::q"}}

func (g *generator) value(s *simple) string {
	switch {
	case s.choice != nil:
		return g.value(pick(g, s.choice))
	case s.list != nil:
		return g.value(s.list) + " " + strings.TrimSpace(g.value(s.list))
	case s.values != nil:
		return pick(g, s.values)
	case s.base.id:
		g.ids++
		return fmt.Sprintf("i%d", g.ids)
	case s.patterns != nil:
		return pick(g, patternSamples["xsd:"+s.base.name])
	}
	return pick(g, samples[s.base.name])
}

// element makes an element that e accepts.
func (g *generator) element(e *element) *gnode {
	g.limit--
	n := &gnode{}
	if !e.open {
		n.expanded = pick(g, e.names)
	} else {
		n.expanded = g.foreign(e.class)
	}
	for i, a := range e.attrs {
		if e.required&(1<<i) != 0 || g.IntN(3) == 0 {
			n.attrs = append(n.attrs, gattr{a.expanded, g.value(a.data)})
		}
	}
	for _, w := range e.wild {
		if g.IntN(4) == 0 {
			n.addAttr(g.openAttr(w))
		}
	}
	switch e.kind {
	case contentData:
		n.kids = append(n.kids, gkid{text: g.value(e.data)})
	default:
		g.children(n, e)
	}
	return n
}

func (n *gnode) addAttr(a gattr) {
	if a.local != "" && !slices.ContainsFunc(n.attrs, func(b gattr) bool { return a.expanded == b.expanded }) {
		n.attrs = append(n.attrs, a)
	}
}

// foreign returns a name of a class that lists none.
func (g *generator) foreign(c *nameClass) expanded {
	for range 20 {
		name := expanded{pick(g, []string{"urn:x", "urn:y", ""}), pick(g, []string{"a", "b", "note", "presence"})}
		if c.contains(name.space, name.local) {
			return name
		}
	}
	panic("no name found")
}

func (g *generator) openAttr(c *nameClass) gattr {
	all := []gattr{
		{expanded{"urn:x", "k"}, "v"}, {expanded{"", "other"}, "v"}, {expanded{xmlSpace, "lang"}, "en"}, {expanded{xmlSpace, "space"}, "preserve"},
		{expanded{spacePIDF, "mustUnderstand"}, "1"}, {expanded{"urn:ietf:params:xml:ns:copycontrol", "count"}, "2"},
		{expanded{"urn:ietf:params:xml:ns:copycontrol", "copyControl"}, "bcc"}, {expanded{xmlSpace, "base"}, "http://x/"}, {expanded{spacePIDF, "unknown"}, "v"},
	}
	a := pick(g, all)
	if !c.contains(a.space, a.local) {
		return gattr{}
	}
	return a
}

// distance is how many elements a state is from an end of the content.
func distance(s *state) int {
	level, seen := []*state{s}, map[*state]bool{s: true}
	for d := 0; len(level) > 0; d++ {
		var next []*state
		for _, at := range level {
			if at.nullable {
				return d
			}
			for _, st := range at.steps {
				if !seen[st.to] {
					seen[st.to] = true
					next = append(next, st.to)
				}
			}
		}
		level = next
	}
	panic("content without an end")
}

func (g *generator) children(n *gnode, e *element) {
	s := e.start
	for count := 0; ; count++ {
		if e.kind == contentMixed && g.IntN(3) == 0 {
			n.kids = append(n.kids, gkid{text: "text"})
		}
		short := g.limit < 0 || count > 8
		if s.nullable && (short || g.IntN(4) == 0) || len(s.steps) == 0 {
			return
		}
		st := pick(g, s.steps)
		if short {
			for _, other := range s.steps {
				if distance(other.to) < distance(st.to) {
					st = other
				}
			}
		}
		n.kids = append(n.kids, gkid{el: g.child(st.el)})
		s = st.to
	}
}

// child makes an element for a step; where it is open often one that a grammar knows.
func (g *generator) child(e *element) *gnode {
	if e.open && g.limit > 0 && len(g.roots) > 0 && g.IntN(4) != 0 {
		for range 5 {
			root := pick(g, g.roots)
			if e.class.contains(root.names[0].space, root.names[0].local) {
				return g.element(root)
			}
		}
	}
	return g.element(e)
}

// all returns the elements of a document.
func (n *gnode) all() []*gnode {
	list := []*gnode{n}
	for _, k := range n.kids {
		if k.el != nil {
			list = append(list, k.el.all()...)
		}
	}
	return list
}

// write returns the document, with all namespaces declared on the root.
func (n *gnode) write() []byte {
	prefixes := map[string]string{xmlSpace: "xml", "": ""}
	var decls strings.Builder
	declare := func(space string) {
		if _, ok := prefixes[space]; !ok {
			prefixes[space] = fmt.Sprintf("n%d", len(prefixes))
			fmt.Fprintf(&decls, " xmlns:%s=%q", prefixes[space], space)
		}
	}
	for _, e := range n.all() {
		declare(e.space)
		for _, a := range e.attrs {
			declare(a.space)
		}
	}
	return n.append(nil, prefixes, decls.String())
}

func (n *gnode) append(dst []byte, prefixes map[string]string, decls string) []byte {
	name := func(e expanded) string {
		if p := prefixes[e.space]; p != "" {
			return p + ":" + e.local
		}
		return e.local
	}
	dst = append(dst, "<"+name(n.expanded)+decls...)
	for _, a := range n.attrs {
		dst = append(dst, " "+name(a.expanded)+`="`...)
		dst = tree.AppendValue(dst, a.value, '"')
		dst = append(dst, '"')
	}
	dst = append(dst, '>')
	for _, k := range n.kids {
		if k.el == nil {
			dst = tree.AppendText(dst, k.text)
		} else {
			dst = k.el.append(dst, prefixes, "")
		}
	}
	return append(dst, "</"+name(n.expanded)+">"...)
}

// badValues are values that most types refuse.
var badValues = []string{
	"", " ", "OPEN", "open", "closed", " open", "TRUE", "yes", "true", "10", "1.5", "-1", "1.0000", "0.5", "01", "4294967296", "18446744073709551616",
	"2026-01-31", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01T00:00:60Z", "2026-01-01T24:00:01Z",
	"2026-01-01T00:00:00+14:01", "0000-01-01T00:00:00Z", "12026-01-01T00:00:00Z", "02026-01-01T00:00:00Z", "-2026-01-01T00:00:00Z", "2026-01-01T00:00:00.Z",
	"1a", "a:b", "a b", "ä", "i1", "i2", "%zz", "http://[::1", "a#b#c", "http://x:port/", "1a:b", "en_US", "toolonglanguage", "x-", "bcc", "full", "partial", "xpath",
	"//a", "a[", "@a", "a/@b/c", "namespace::x", "id('x')", "a/text()", "before", "both", "active", "idle", "1 ", "+1", "0",
}

// mutate changes one thing in a document.
func (g *generator) mutate(root *gnode) {
	all := root.all()
	n := pick(g, all)
	known := g.roots
	if len(known) == 0 {
		known = namespaces["urn:ietf:params:xml:ns:imdn"].schema().elements
	}
	switch g.IntN(14) {
	case 0, 1:
		if len(n.kids) > 0 {
			i := g.IntN(len(n.kids))
			n.kids = slices.Delete(n.kids, i, i+1)
		}
	case 2:
		if len(n.kids) > 0 {
			n.kids = slices.Insert(n.kids, g.IntN(len(n.kids)+1), pick(g, n.kids))
		}
	case 3, 4:
		if len(n.kids) > 1 {
			i, j := g.IntN(len(n.kids)), g.IntN(len(n.kids))
			n.kids[i], n.kids[j] = n.kids[j], n.kids[i]
		}
	case 5:
		n.local = pick(g, all).local
	case 6:
		n.space = pick(g, []string{pick(g, all).space, "", "urn:x"})
	case 7:
		n.kids = slices.Insert(n.kids, g.IntN(len(n.kids)+1), gkid{el: g.element(pick(g, known))})
	case 8:
		if len(n.attrs) > 0 {
			i := g.IntN(len(n.attrs))
			n.attrs = slices.Delete(n.attrs, i, i+1)
		}
	case 9:
		from := pick(g, all)
		a := gattr{expanded{pick(g, []string{"", "urn:x", xmlSpace, spacePIDF}), pick(g, []string{"lang", "id", "k", "mustUnderstand"})}, pick(g, badValues)}
		if len(from.attrs) > 0 && g.IntN(2) == 0 {
			a = pick(g, from.attrs)
		}
		n.addAttr(a)
	case 10, 11:
		if len(n.attrs) > 0 {
			n.attrs[g.IntN(len(n.attrs))].value = pick(g, badValues)
		}
	case 12:
		n.kids = slices.Insert(n.kids, g.IntN(len(n.kids)+1), gkid{text: pick(g, []string{"x", " ", "\n"})})
	case 13:
		if len(n.kids) == 1 && n.kids[0].el == nil {
			n.kids[0].text = pick(g, badValues)
		} else {
			n.kids = []gkid{{el: g.element(pick(g, known))}}
		}
	}
}
