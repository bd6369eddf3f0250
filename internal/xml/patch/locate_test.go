package patch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

// randomOperation returns an operation for a list of entries, most of which are named a.
func randomOperation(r *rand.Rand) string {
	entry := func() string {
		name := []string{"*", "a", "b"}[r.IntN(3)]
		switch r.IntN(3) {
		case 0:
			return fmt.Sprintf("l/%s[%d]", name, 1+r.IntN(500))
		case 1:
			return fmt.Sprintf("l/%s[@j='%d']", name, r.IntN(300))
		}
		return fmt.Sprintf("l/%s[@i='%d']", name, r.IntN(500))
	}
	content := []string{"<a i='%d'/>", "<b i='%d' j='1'/>", "x<a/><!--%d--><a j='2'/>y", "\n<a i='%d'/>\n"}
	one := fmt.Sprintf(content[r.IntN(len(content))], 500+r.IntN(100))
	switch r.IntN(8) {
	case 0:
		return "<p:add sel=\"" + entry() + "\" pos='before'>" + one + "</p:add>"
	case 1:
		return "<p:add sel=\"" + entry() + "\" pos='after'>" + one + "</p:add>"
	case 2:
		return "<p:add sel='l'>" + one + "</p:add><p:add sel='l' pos='prepend'>" + one + "</p:add>"
	case 3:
		return "<p:remove sel=\"" + entry() + "\"/>"
	case 4:
		return "<p:replace sel=\"" + entry() + "\"><" + []string{"a", "b"}[r.IntN(2)] + " i='7'/></p:replace>"
	case 5:
		return "<p:replace sel=\"" + entry() + "/@i\">" + fmt.Sprint(r.IntN(500)) + "</p:replace>"
	case 6:
		return "<p:remove sel=\"" + entry() + "/@j\"/>"
	}
	return "<p:add sel=\"" + entry() + "\" type='@j'>" + fmt.Sprint(r.IntN(300)) + "</p:add>"
}

// TestIndexFollows applies many operations to a long list at once, and compares with what they do one by one.
func TestIndexFollows(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		var src strings.Builder
		src.WriteString("<l>")
		for i := range 400 {
			fmt.Fprintf(&src, "<a i='%d'/>%s", i, []string{"", "\n", "<!---->"}[r.IntN(3)])
		}
		src.WriteString("</l>")
		want, applied := src.String(), ""
		for range 60 {
			operation := randomOperation(r)
			next, err := run(t, want, in("", operation))
			var e *Error
			if err == nil {
				want, applied = next, applied+operation
			} else if !errors.As(err, &e) {
				t.Fatal(err)
			}
		}
		if got, err := run(t, src.String(), in("", applied)); err != nil || got != want {
			t.Fatalf("%v\n%s\ngave %s\nexpected %s", err, applied, got, want)
		}
	}
}

// TestFoundIsWhatIsSelected compares what is found quickly with what the selector locates.
func TestFoundIsWhatIsSelected(t *testing.T) {
	doc := parseTree(t, "<l xmlns:q='u'>x<a i='1'><c/></a><b i='1'/>y<a i='2'/><q:a/><!--c--><?p?><?r?></l>")
	for _, sel := range []string{"l", "*", "l/*", "l/a", "l/a[1]", "l/a[3]", "l/*[3]", "l/*[0]", "l/b", "l/q:a", "l/a[@i='1']", "l/*[@i='1']", "l/*[@i='3']", "l/a/c", "l/*/c",
		"l/text()", "l/text()[2]", "l/text()[3]", "l/comment()", "l/processing-instruction()", "l/processing-instruction('r')", "l/a[1]/@i", "l/a/@i", "l/b/@j", "l/namespace::q", "l/a[1]/namespace::q", "l/a[.='']", "l/a[c='']"} {
		p, err := Parse([]byte(in("xmlns:q='u'", "<p:remove sel=\""+sel+"\"/>")), tree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := p.Changes[0].Operations[0].Selector
		l := locator{tree: doc}
		got, ok := l.find(s.Steps())
		want, err := s.Locate(doc)
		if ok && (err != nil || got != (target{want.Kind(), want.Node, want.Attr, want.Decl})) {
			t.Errorf("%s: found %+v, selected %+v, %v", sel, got, want, err)
		}
		if !ok && err == nil && !strings.ContainsAny(sel, ".=") && strings.Count(sel, "/") < 2 {
			t.Errorf("%s: not found", sel)
		}
	}
}

func TestIndexForgets(t *testing.T) {
	src := "<l>" + strings.Repeat("<a/>", many) + "<a i='1'/><a i='2'/><a i='3'/></l>"
	twice := "<p:add sel=\"l/a[@i='1']\" type='@k'>1</p:add><p:add sel=\"l/a[@i='2']\" type='@k'>1</p:add>"
	for name, operations := range map[string]string{
		"value of a changed attribute": "<p:replace sel=\"l/a[@i='3']/@i\">4</p:replace>",
		"value of a removed attribute": "<p:remove sel=\"l/a[@i='3']/@i\"/>",
		"removed element":              "<p:remove sel=\"l/a[@i='3']\"/>",
		"replaced element":             "<p:replace sel=\"l/a[@i='3']\"><a i='4'/></p:replace>",
		"element of another namespace": "<p:replace sel=\"l/a[@i='3']\"><b i='3'/></p:replace>",
	} {
		if _, err := run(t, src, in("", twice+operations)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := run(t, src, in("", twice+operations+"<p:remove sel=\"l/a[@i='3']\"/>"))
		var e *Error
		if !errors.As(err, &e) || e.Condition != UnlocatedNode || e.Index != 3 {
			t.Errorf("%s is still found: %v", name, err)
		}
	}
}
