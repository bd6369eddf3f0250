package selector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"imp/internal/xml/tree"
)

// naive evaluates steps the way XPath 1.0 words it: every step makes a list in each context, every predicate a shorter
// list of that.
func naive(s *Selector, t *tree.Tree) []Node {
	contexts := []tree.Node{t.Document()}
	var found []Node
	for i, step := range s.steps {
		found = nil
		for _, context := range contexts {
			found = append(found, naiveStep(step, context)...)
		}
		if s.xcap && len(found) != 1 && i < len(s.steps)-1 {
			return nil
		}
		contexts = nil
		for _, n := range found {
			contexts = append(contexts, n.Node)
		}
	}
	return found
}

func naiveStep(step Step, context tree.Node) (found []Node) {
	switch step.Kind {
	case Attribute:
		for a := range context.Attrs() {
			if a.Space() == step.Space && a.Local() == step.Local {
				found = append(found, Node{Node: context, Attr: a, kind: Attribute})
			}
		}
		return found
	case Namespace:
		for d := range context.Decls() {
			if d.Prefix() == step.Local {
				found = append(found, Node{Node: context, Decl: d, kind: Namespace})
			}
		}
		return found
	case Bindings:
		if context.Kind() == tree.Element {
			found = append(found, Node{Node: context, kind: Bindings})
		}
		return found
	}
	nodes := slices.Collect(context.Children())
	if step.ID != "" {
		nodes = below(context, nil)
	}
	kind := map[Kind]tree.Kind{Element: tree.Element, Text: tree.Text, Comment: tree.Comment, PI: tree.PI}[step.Kind]
	nodes = slices.DeleteFunc(nodes, func(n tree.Node) bool {
		id, _ := n.Attr(tree.XMLSpace, "id")
		return n.Kind() != kind ||
			kind == tree.PI && step.Local != "" && step.Local != n.Target() ||
			step.ID != "" && strings.TrimSpace(id) != step.ID ||
			kind == tree.Element && step.ID == "" && !step.Any && (n.Space() != step.Space || n.Local() != step.Local)
	})
	for _, p := range step.Predicates {
		position := 0
		nodes = slices.DeleteFunc(nodes, func(n tree.Node) bool {
			position++
			switch p.Test {
			case Position:
				return position != p.Position
			case AttributeValue:
				v, ok := n.Attr(p.Space, p.Local)
				return !ok || v != p.Value
			case ChildValue:
				return !slices.ContainsFunc(slices.Collect(n.Elements()), func(c tree.Node) bool {
					return c.Space() == p.Space && c.Local() == p.Local && c.Text() == p.Value
				})
			}
			return n.Text() != p.Value
		})
	}
	for _, n := range nodes {
		found = append(found, Node{Node: n, kind: step.Kind})
	}
	return found
}

func below(n tree.Node, found []tree.Node) []tree.Node {
	for c := range n.Children() {
		found = below(c, append(found, c))
	}
	return found
}

// maker makes documents and selectors from few names and values, so that they often meet.
type maker struct{ *rand.Rand }

func (m maker) one(of ...string) string { return of[m.IntN(len(of))] }

func (m maker) document(rich bool) string {
	var b strings.Builder
	b.WriteString(`<a xmlns:p="urn:p" k="1">`)
	m.content(&b, 0, rich)
	b.WriteString("</a>")
	return b.String()
}

func (m maker) content(b *strings.Builder, depth int, rich bool) {
	for range m.IntN(5) {
		switch kind := m.IntN(10); {
		case kind < 6 && depth < 4:
			name := m.one("a", "b", "p:a", "p:b")
			fmt.Fprintf(b, "<%s", name)
			if m.IntN(2) == 0 {
				fmt.Fprintf(b, " k='%s'", m.one("1", "2"))
			}
			if m.IntN(3) == 0 {
				fmt.Fprintf(b, " p:k='%s'", m.one("1", "2"))
			}
			if rich && m.IntN(4) == 0 {
				b.WriteString(m.one(" xmlns:q='urn:q'", " xml:id='i'", " xmlns='urn:d'"))
			}
			b.WriteString(">")
			m.content(b, depth+1, rich)
			fmt.Fprintf(b, "</%s>", name)
		case kind < 8:
			b.WriteString(m.one("1", "2", "x"))
		case rich:
			b.WriteString(m.one(" ", "<!--c-->", "<?t?>", "<?u 1?>", "<![CDATA[1]]>", "&#49;"))
		}
	}
}

func (m maker) selector(rich bool) string {
	var b strings.Builder
	name := func() string { return m.one("a", "b", "p:a", "p:b", "*", "*", "*") }
	value := func() string { return m.one("'1'", `"2"`, "'x'", "'12'", "''") }
	b.WriteString(m.one("a", "*"))
	if rich && m.IntN(8) == 0 {
		b.Reset()
		b.WriteString("id('i')")
	}
	for range m.IntN(4) {
		b.WriteString("/" + name())
		for range m.IntN(3) {
			b.WriteString(m.one("[1]", "[2]", "[3]", "[@k="+value()+"]", "[@p:k="+value()+"]", "[.="+value()+"]", "[b="+value()+"]", "[p:a="+value()+"]"))
		}
	}
	switch m.IntN(4) {
	case 0:
		b.WriteString(m.one("/@k", "/@p:k"))
	case 1:
		if rich {
			b.WriteString(m.one("/text()", "/text()[2]", "/comment()[1]", "/processing-instruction()[2]", "/processing-instruction('t')", "/namespace::q", "/namespace::p"))
		}
	}
	return b.String()
}

// agree reports what Select and Explain say of a selector against the naive evaluation.
func agree(s *Selector, d *tree.Tree) error {
	want := naive(s, d)
	found := s.Select(d)
	if len(found) != min(len(want), 2) || !slices.Equal(found, want[:len(found)]) {
		return fmt.Errorf("found %v, want %v", found, want)
	}
	told := s.Explain(d)
	last := told[len(told)-1]
	if len(want) != 1 && last.Why == "" || len(want) > 0 && (last.Count != len(want) || len(told) != len(s.steps)) {
		return fmt.Errorf("explained as %+v, want %v", told, want)
	}
	_, err := s.Locate(d)
	if (err == nil) != (len(want) == 1) {
		return fmt.Errorf("located with %v, want %v", err, want)
	}
	return nil
}

func TestAgreesWithNaiveEvaluation(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(1, 2))}
	ns := Prefixes{"p": "urn:p"}
	single := 0
	for range 20000 {
		doc, sel := m.document(true), m.selector(true)
		d := parse(t, doc)
		for _, compile := range []func(string, Namespaces) (*Selector, error){ParsePatch, ParseXCAP} {
			s, err := compile(sel, ns)
			if err != nil {
				if compile(sel, ns); s == nil && strings.ContainsAny(sel, "([.b:") {
					continue // not in the grammar of XCAP
				}
				t.Fatalf("%s: %v", sel, err)
			}
			if err := agree(s, d); err != nil {
				t.Fatalf("%s in %s: %v", sel, doc, err)
			}
			if len(s.Select(d)) == 1 {
				single++
			}
		}
	}
	if single < 1000 {
		t.Errorf("only %d selectors located a node, the test says little", single)
	}
}

// TestAgreesWithXPath compares with an XPath library on documents without white space, processing instructions and
// default namespaces, where it is right.
func TestAgreesWithXPath(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(3, 4))}
	ns := Prefixes{"p": "urn:p"}
	some := 0
	for range 3000 {
		doc, sel := m.document(false), m.selector(false)
		s, err := ParsePatch(sel, ns)
		if err != nil {
			t.Fatal(err)
		}
		dom, err := xmlquery.Parse(strings.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		expr, err := xpath.CompileWithNS(sel, ns)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, n := range xmlquery.QuerySelectorAll(dom, expr) {
			want = append(want, n.InnerText())
		}
		var got []string
		for _, n := range naive(s, parse(t, doc)) {
			if n.Kind() == Attribute {
				got = append(got, n.Attr.Value())
			} else {
				got = append(got, n.Node.Text())
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s in %s: got %q, want %q", sel, doc, got, want)
		}
		if len(want) > 0 {
			some++
		}
		if err := agree(s, parse(t, doc)); err != nil {
			t.Fatalf("%s in %s: %v", sel, doc, err)
		}
	}
	if some < 300 {
		t.Errorf("only %d selectors found anything, the test says little", some)
	}
}
