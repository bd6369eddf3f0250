package query

import (
	"slices"
	"strings"
	"testing"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"imp/internal/xml/tree"
)

var prefixes = map[string]string{"p": "urn:p", "q": "urn:q"}

func parse(t testing.TB, doc string) *tree.Tree {
	t.Helper()
	d, err := tree.Parse([]byte(doc), tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func evaluate(t testing.TB, doc, expr string) []string {
	t.Helper()
	compiled, err := xpath.CompileWithNS(expr, prefixes)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	r, err := Evaluate(parse(t, doc), compiled)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return r.Strings()
}

const doc = `<?one 1?><!--before--><d xmlns="urn:p" xmlns:y="urn:q" k="1"> <a i="x" y:i="y"><![CDATA[t]]>u<?two 2?>v</a>` + "\r\n" +
	`<y:a i="z"><b xmlns="">&amp;</b><c xmlns="urn:q"/></y:a><!--in--><e  ></e></d>`

func TestEvaluate(t *testing.T) {
	for expr, want := range map[string][]string{
		"/p:d/p:a/@i":   {"x"},
		"//p:a":         {`<a i="x" y:i="y"><![CDATA[t]]>u<?two 2?>v</a>`},
		"//a/@i":        {"x"},
		"//a/@q:i":      {"y"},
		"//q:a/b":       {`<b xmlns="">&amp;</b>`},
		"//q:a/c":       {},
		"//q:c":         {`<c xmlns="urn:q"/>`},
		"/*/*[3]":       {"<e  ></e>"},
		"//@i":          {"x", "z"},
		"//@*":          {"1", "x", "y", "z"},
		"//a/text()":    {"tu", "v"},
		"//a/text()[2]": {"v"},
		"//b/text()":    {"&"},
		"//a/text()[2]/preceding-sibling::node()[1]": {"tu"},
		"/d/text()":                       {" ", "\n"},
		"/comment()":                      {"before"},
		"//comment()":                     {"before", "in"},
		"//e/preceding-sibling::*[1]/@i":  {"z"},
		"//q:c/ancestor::*/@*":            {"1", "z"},
		"//e | //a | //q:a/b":             {`<a i="x" y:i="y"><![CDATA[t]]>u<?two 2?>v</a>`, `<b xmlns="">&amp;</b>`, "<e  ></e>"},
		"count(//*)":                      {"6"},
		"count(//*) * 1000000":            {"6000000"},
		"1 div 3":                         {"0.3333333333333333"},
		"1 div 0":                         {"Infinity"},
		"-1 div 0":                        {"-Infinity"},
		"0 div 0":                         {"NaN"},
		"string(//b)":                     {"&"},
		"//q:a/@i='z'":                    {"true"},
		"local-name(/*)":                  {"d"},
		"namespace-uri(//q:a)":            {"urn:q"},
		"name(//q:a)":                     {"y:a"},
		"//*[namespace-uri()='urn:q']/@i": {"z"},
		"/":                               {doc},
		"//nothing":                       {},
	} {
		if got := evaluate(t, doc, expr); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
}

func TestFoundNodesAreOfTheTree(t *testing.T) {
	d := parse(t, doc)
	r, err := Evaluate(d, xpath.MustCompile("//a | //a/@i"))
	if err != nil || !r.Set || len(r.Nodes) != 2 {
		t.Fatal(r, err)
	}
	if a := r.Nodes[0]; a.Attr.Valid() || a.Node != d.Root().Element("urn:p", "a") {
		t.Errorf("element %+v", a)
	}
	if i := r.Nodes[1]; i.Attr != d.Root().Element("urn:p", "a").Attribute("", "i") || i.Node != i.Attr.Owner() {
		t.Errorf("attribute %+v", i)
	}
}

// TestAgreesWithXMLQuery compares with the library's own navigator where that is right.
func TestAgreesWithXMLQuery(t *testing.T) {
	const doc = `<p:d xmlns:p="urn:p" xmlns:q="urn:q" k="1"><p:a k="1">x<q:b>y</q:b></p:a><p:a k="2" q:k="3"><q:b/><!--c--><q:b>z</q:b></p:a></p:d>`
	dom, err := xmlquery.Parse(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	for _, expr := range []string{
		"//p:a", "//q:b[2]", "//p:a[q:b='y']", "//*[@k]", "//p:a[last()]/q:b[1]", "//q:b/..", "//p:a/following-sibling::p:a", "//q:b/preceding::*",
		"/descendant::q:b[3]", "//q:b/ancestor-or-self::*[@k='2']", "//comment()/following::*", "//text()", "//p:a[not(@q:k)]", "(//q:b)[2]", "//p:a[position()=2]//q:b",
		"/p:d/p:a[1]/q:b/text()", "//*[self::q:b]", "//@q:k", "/*/*/@k[.>1]", "//p:a[contains(., 'z')]",
	} {
		compiled, err := xpath.CompileWithNS(expr, prefixes)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		var want []string
		seen := map[*xmlquery.Node]bool{} // which lists some nodes twice
		for _, n := range xmlquery.QuerySelectorAll(dom, compiled) {
			if n.Type != xmlquery.AttributeNode && seen[n] {
				continue
			}
			seen[n] = true
			want = append(want, n.InnerText())
		}
		r, err := Evaluate(parse(t, doc), compiled)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		var got []string
		for _, n := range r.Nodes {
			if n.Attr.Valid() {
				got = append(got, n.Attr.Value())
			} else {
				got = append(got, n.Node.Text())
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, expr := range []string{"//a[b='(']", "child::*", "//p:a[1]", "count(//a)", `"]"`, "a * b", "processing-instruction"} {
		if err := Check(expr); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
	for expr, want := range map[string]string{
		"doc]]":                         "] closes nothing",
		"doc/a)":                        ") closes nothing",
		"(a]":                           "] closes nothing",
		"count(a":                       "( is not closed",
		"//p:*":                         "p:* is not evaluated, write *[namespace-uri()='…']",
		"//processing-instruction ()":   "processing instructions cannot be selected by XPath here, a selector of patches can",
		strings.Repeat("a/", MaxLength): "the expression is longer than 16384 bytes",
	} {
		if err := Check(expr); err == nil || err.Error() != want {
			t.Errorf("%.30s: %v, want %s", expr, err, want)
		}
	}
}

func TestHint(t *testing.T) {
	d := parse(t, `<d xmlns="urn:p"><a k="1"/>`+"\n"+`<q:b xmlns:q="urn:q" q:k=""/><x:c xmlns:x="urn:x" x:l=""/><n xmlns=""/></d>`)
	for expr, want := range map[string]string{
		"//a[2]":                 "",
		"//p:b":                  "<q:b> in line 2 is in namespace urn:q, write q:b",
		"//b":                    "<q:b> in line 2 is in namespace urn:q, write q:b",
		"//a/c":                  "<x:c> in line 2 is in namespace urn:x, bind a prefix to it: --ns x=urn:x",
		"//p:n":                  "<n> in line 2 is in no namespace",
		"//n/a":                  "",
		"//p:a[e='a']":           "no element of the document is called e",
		"//p:a/@q:k":             "",
		"//p:a/@p:k":             "attribute q:k is in namespace urn:q",
		"//p:a[@q:l]":            "attribute x:l is in namespace urn:x",
		"//x/@l":                 "no element of the document is called x",
		"count(//a) and //z":     "no element of the document is called z",
		"child::a/attribute::m":  "no attribute of the document is called m",
		"//a[. = 'b c' or f]":    "no element of the document is called f",
		"a/and":                  "no element of the document is called and",
		"//a[@k='1'][text()='']": "",
		"$v | //a":               "",
	} {
		if got := Hint(d, expr, prefixes); got != want {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
}

func FuzzEvaluate(f *testing.F) {
	f.Add("//p:a[@i='x'][1]/text()", doc)
	f.Add("-namespace::p", "<a/>")
	f.Add("//a | //@i | /comment()", doc)
	f.Add("string(ancestor::*[last()])", "<a><?p?><b/></a>")
	f.Fuzz(func(t *testing.T, expr, doc string) {
		if len(expr) > 60 || len(doc) > 300 {
			return // the library is polynomial in both
		}
		Check(expr)
		compiled := compile(expr)
		d, err := tree.Parse([]byte(doc), tree.Options{})
		if err != nil {
			return
		}
		Hint(d, expr, prefixes)
		if compiled == nil {
			return
		}
		r, err := Evaluate(d, compiled)
		if err != nil {
			return
		}
		for _, n := range r.Nodes {
			if n.Node.Tree() != d || !n.Node.Valid() || n.Attr.Valid() && n.Attr.Owner() != n.Node {
				t.Fatalf("%q in %q: found %+v", expr, doc, n)
			}
		}
	})
}

// compile is nil for what does not compile; the library panics on some of it.
func compile(expr string) (compiled *xpath.Expr) {
	defer func() {
		if recover() != nil {
			compiled = nil
		}
	}()
	compiled, err := xpath.CompileWithNS(expr, prefixes)
	if err != nil {
		return nil
	}
	return compiled
}
