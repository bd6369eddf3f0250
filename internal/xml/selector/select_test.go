package selector

import (
	"errors"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

func parse(t testing.TB, doc string) *tree.Tree {
	t.Helper()
	d, err := tree.Parse([]byte(doc), tree.Options{AllowDTD: true})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// locate returns the source of what a selector of a patch locates, or the error.
func locate(t testing.TB, doc, sel string, ns Namespaces) string {
	t.Helper()
	s, err := ParsePatch(sel, ns)
	return outcome(t, doc, s, err)
}

func locateXCAP(t testing.TB, doc, sel string, ns Namespaces) string {
	t.Helper()
	s, err := ParseXCAP(sel, ns)
	return outcome(t, doc, s, err)
}

func outcome(t testing.TB, doc string, s *Selector, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, doc)
	n, err := s.Locate(d)
	if found := s.Select(d); (err == nil) != (len(found) == 1) || len(found) == 1 && found[0] != n {
		t.Errorf("%s: Select gives %v, Locate %v, %v", s, found, n, err)
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		return "error: " + e.Reason
	}
	if n.Kind() != s.Kind() {
		t.Errorf("%s: kind %v, want %v", s, n.Kind(), s.Kind())
	}
	start, end := n.Range()
	return doc[start:end]
}

type located struct{ sel, want string }

func check(t *testing.T, doc string, ns Namespaces, tests []located) {
	t.Helper()
	for _, test := range tests {
		if got := locate(t, doc, test.sel, ns); got != test.want {
			t.Errorf("%s: got %s, want %s", test.sel, got, test.want)
		}
	}
}

func TestLocatePatch(t *testing.T) {
	const doc = `<!--p--><?t one?><doc><a k="1" i="i">x<e/>y</a><a k="2">z</a><a k="1" i="j"><b>z</b><b>w</b></a>` +
		`<c><!--c1--><![CDATA[q]]>r&amp;<!--c2--><?t two?><?u three?><?t four?> <d/>` + "\n" + `</c></doc><?t last?>`
	t.Run("XPATCH-014 one node or an error", func(t *testing.T) {
		check(t, doc, nil, []located{
			{"doc/a", "error: it selects 3 elements where one is needed, tell them apart by a position or a value"},
			{"doc/x", "error: no element x stands in <doc>"},
			{"doc/c/d", "<d/>"},
			{"doc/*/b[2]", "<b>w</b>"},
			{"doc/*/@i", "error: it selects 2 attributes where one is needed, tell them apart by a position or a value"},
		})
	})
	t.Run("XPATCH-015 a leading slash changes nothing", func(t *testing.T) {
		check(t, doc, nil, []located{{"/doc/c/d", "<d/>"}, {"/comment()", "<!--p-->"}, {"comment()[1]", "<!--p-->"}})
	})
	t.Run("XPATCH-018 predicates filter from left to right", func(t *testing.T) {
		check(t, doc, nil, []located{
			{"doc/a[@k='1'][2]/@i", `i="j"`},
			{"doc/a[2][@k='1']", "error: a[2] selects 1, none of them has [@k='1']"},
			{"doc/a[2][@k='2']", `<a k="2">z</a>`},
			{"doc/a[.='xy']/@i", `i="i"`},
			{`doc/a[b="w"]/@i`, `i="j"`},
			{"doc/a[b='z'][b='w']/@i", `i="j"`},
			{"doc/a[b='zw']", "error: a selects 3, none of them has [b='zw']"},
			{"doc/a[.='zw']/@k", `k="1"`},
			{"doc/a[.='z']", `<a k="2">z</a>`},
			{"doc/a[@k='1'][@i='j'][1]/b[1]", "<b>z</b>"},
			{"doc/*[4]/d", "<d/>"},
			{"doc/*[5]", "error: * selects 4 before it comes to [5]"},
			{"doc/*[0]", "error: * selects 4 before it comes to [0]"},
			{"doc/*[4294967297]", "error: * selects 4 before it comes to [4294967297]"},
			{"doc/*[18446744073709551617]", "error: * selects 4 before it comes to [18446744073709551617]"},
			{"doc/*[@k='1'][4294967297]", "error: *[@k='1'] selects 2 before it comes to [4294967297]"},
			{"doc/*[004]/d", "<d/>"},
			{"doc/a[4][1]", "error: a selects 3 before it comes to [4]"},
			{"doc/a[@j='1']", "error: a selects 3, none of them has [@j='1']"},
		})
	})
	t.Run("XPATCH-021 processing instructions with and without target", func(t *testing.T) {
		check(t, doc, nil, []located{
			{"doc/c/processing-instruction('u')", "<?u three?>"},
			{`doc/c/processing-instruction("t")[2]`, "<?t four?>"},
			{"doc/c/processing-instruction()[2]", "<?u three?>"},
			{"doc/c/processing-instruction('v')", "error: no processing instruction v stands in <c>"},
			{"processing-instruction()[2]", "<?t last?>"},
			{"doc/c/t", "error: no element t stands in <c>"},
		})
	})
	t.Run("XPATCH-022 a text node is a maximal run of characters", func(t *testing.T) {
		check(t, doc, nil, []located{
			{"doc/a[1]/text()[2]", "y"},
			{"doc/c/text()[1]", "<![CDATA[q]]>r&amp;"},
			{"doc/c/text()[2]", " "},
			{"doc/c/text()[3]", "\n"},
			{"doc/c/text()[4]", "error: text() selects 3 before it comes to [4]"},
			{"doc/c[.='qr& \n']/d", "<d/>"},
			{"text()", "error: no text node stands in the document, whose root is <doc>"},
			{"doc/c/comment()[2]", "<!--c2-->"},
		})
	})
	t.Run("XPATCH-023 the quotes of the selector are read after references", func(t *testing.T) {
		op := parse(t, `<add sel="doc/a[@i=&quot;j&quot;]/b[.=&apos;w&apos;]"/>`)
		sel, _ := op.Root().Attr("", "sel")
		check(t, doc, InScope(op.Root()), []located{{sel, "<b>w</b>"}})
	})
}

func TestNamespaces(t *testing.T) {
	const doc = `<z:doc xmlns:z="foo:" xmlns:y="bar:"><bar xmlns="foo:" a="1" y:a="2"/><bar/><y:bar a="3"><z:in>v</z:in></y:bar></z:doc>`
	in := func(decls string) Namespaces {
		return InScope(parse(t, "<diff "+decls+"><op/></diff>").Root().FirstChild())
	}
	t.Run("XPATCH-024 prefixes are those of the patch", func(t *testing.T) {
		check(t, doc, in(`xmlns:a="foo:" xmlns:z="bar:"`), []located{
			{"a:doc/a:bar/@a", `a="1"`},
			{"a:doc/z:bar/@a", `a="3"`},
			{"a:doc/a:bar/@z:a", `y:a="2"`},
			{"a:doc/*[@z:a='2']/@a", `a="1"`},
			{"a:doc/*[a:in='v']/@a", `a="3"`},
			{"a:doc/*[in='v']/@a", "error: * selects 3, none of them has [in='v']"},
			{"z:doc", "error: <z:doc> stands there in namespace foo:, the selector means namespace bar:"},
			{"*/namespace::y", `xmlns:y="bar:"`},
			{"*/namespace::a", "error: prefix a is not declared on <z:doc>"},
			{"*/*[1]/namespace::y", "error: prefix y is declared on <z:doc>, select it there"},
		})
	})
	t.Run("XPATCH-025 a name without prefix is in the default namespace of the patch", func(t *testing.T) {
		check(t, doc, in(`xmlns="foo:"`), []located{
			{"doc/bar/@a", `a="1"`},
			{"doc/*[in='v']/@a", `a="3"`},
		})
	})
	t.Run("XPATCH-026 without default namespace it is in none", func(t *testing.T) {
		check(t, doc, in(`xmlns:a="foo:"`), []located{
			{"a:doc/bar", "<bar/>"},
			{"doc", "error: <z:doc> stands there in namespace foo:, the selector means no namespace"},
		})
		check(t, `<bar xmlns="foo:"/>`, in(""), []located{{"bar", "error: <bar> stands there in namespace foo:, the selector means no namespace"}})
		check(t, `<bar xmlns="foo:"/>`, nil, []located{{"bar", "error: <bar> stands there in namespace foo:, the selector means no namespace"}})
	})
	t.Run("XPATCH-027 attributes without prefix are in no namespace", func(t *testing.T) {
		check(t, doc, in(`xmlns="foo:" xmlns:y="bar:"`), []located{
			{"doc/*[@a='1']/@a", `a="1"`},
			{"doc/*[@a='2']", "error: * selects 3, none of them has [@a='2']"},
			{"doc/bar/@y:in", "error: no attribute in of namespace bar: on <bar>"},
		})
		check(t, `<d xmlns:q="u:" q:k=""/>`, nil, []located{{"d/@k", "error: attribute q:k of <d> is in namespace u:, the selector means no namespace"}})
	})
	t.Run("declarations are no attributes", func(t *testing.T) {
		check(t, doc, in(`xmlns="foo:"`), []located{
			{"doc/@xmlns", "error: no attribute xmlns on <z:doc>"},
			{"doc/bar[@xmlns='foo:']", "error: bar selects 1, none of them has [@xmlns='foo:']"},
		})
	})
	t.Run("the prefix xml is always bound", func(t *testing.T) {
		check(t, `<d xml:lang="de"/>`, nil, []located{{"d/@xml:lang", `xml:lang="de"`}, {"d[@xml:lang='de']", `<d xml:lang="de"/>`}})
	})
}

func TestID(t *testing.T) {
	t.Run("XPATCH-020 id() finds xml:id and nothing else", func(t *testing.T) {
		check(t, `<d><a id="e1" q:id="e1" xmlns:q="u:"/><b><c xml:id=" e1 "><f/>t</c></b><c xml:id="e2"/><c xml:id="e2"/></d>`, nil, []located{
			{`id("e1")/f`, "<f/>"},
			{"id('e1')/text()", "t"},
			{"id('e1')/@xml:id", `xml:id=" e1 "`},
			{"id('e2')", "error: it selects 2 elements where one is needed, tell them apart by a position or a value"},
			{"id('e3')", `error: no element has xml:id="e3", and other attributes of type ID are not known without a schema`},
		})
	})
}

func TestUnknownEntities(t *testing.T) {
	check(t, `<!DOCTYPE d [<!ENTITY e "v">]><d><a k="&e;">&e;</a></d>`, nil, []located{
		{"d/a[@k='&e;']", "error: a selects 1, none of them has [@k='&e;']"},
		{"d/a[.='&e;']", "error: a selects 1, none of them has [.='&e;']"},
		{"d[a='&e;']", "error: d selects 1, none of them has [a='&e;']"},
		{"d/a/@k", `k="&e;"`},
	})
}

func TestValuesOfEmptyElements(t *testing.T) {
	check(t, `<d><a><b/></a><a><b/>x</a>y</d>`, nil, []located{
		{"d/a[.='']", "<a><b/></a>"},
		{"d/a[b=''][.='x']", "<a><b/>x</a>"},
		{"d/a[.='xy']", "error: a selects 2, none of them has [.='xy']"},
		{"d[.='xy']/a[1]", "<a><b/></a>"},
	})
}

func TestLocateXCAP(t *testing.T) {
	const doc = `<rl:lists xmlns:rl="urn:rl" xmlns:x="urn:x"><!--c--><rl:list name="a"><rl:entry uri="sip:a/b@h"/> <x:entry uri="2"/>` +
		`<rl:entry uri="sip:Bob@x" x:a="3"/><?t?><other xmlns="" uri="4"/></rl:list><rl:list name="b"/></rl:lists>`
	ns := Prefixes{"": "urn:rl", "q": "urn:x"}
	tests := func(t *testing.T, tests []located) {
		t.Helper()
		for _, test := range tests {
			if got := locateXCAP(t, doc, test.sel, ns); got != test.want {
				t.Errorf("%s: got %s, want %s", test.sel, got, test.want)
			}
		}
	}
	const many = "error: it selects 2 elements where one is needed, tell them apart by a position or a value"
	t.Run("XCAP-017 steps filter by name and then by predicates", func(t *testing.T) {
		tests(t, []located{
			{`lists/list[@name="a"]/entry[2][@uri="sip:Bob@x"]/@uri`, `uri="sip:Bob@x"`},
			{`lists/list[1]/entry[2][@uri="sip:a/b@h"]`, `error: entry[2] selects 1, none of them has [@uri="sip:a/b@h"]`},
			{`lists/list[1]/entry[@uri="sip:a/b@h"]`, `<rl:entry uri="sip:a/b@h"/>`},
		})
	})
	t.Run("XCAP-018 every step selects one element", func(t *testing.T) {
		tests(t, []located{
			{"lists/list", many},
			{"lists/list/entry[2]", many},
			{`lists/list/entry[@uri="sip:Bob@x"]`, many},
			{"lists/list[3]/entry", "error: list selects 2 before it comes to [3]"},
		})
	})
	t.Run("XCAP-019 a star counts all elements and nothing else", func(t *testing.T) {
		tests(t, []located{
			{"*/*[1]/*[2]", `<x:entry uri="2"/>`},
			{"*/*[1]/*[4]", `<other xmlns="" uri="4"/>`},
			{"lists/list[1]/entry[2]/@uri", `uri="sip:Bob@x"`},
			{"lists/list[1]/*[5]", "error: * selects 4 before it comes to [5]"},
			{`lists/list[1]/*[@uri="4"]`, `<other xmlns="" uri="4"/>`},
		})
	})
	t.Run("XCAP-020 names without prefix are in the default document namespace", func(t *testing.T) {
		tests(t, []located{
			{"lists/list[2]/@name", `name="b"`},
			{"lists/list[1]/q:entry", `<x:entry uri="2"/>`},
			{"lists/list[1]/other", "error: <other> stands there in no namespace, the selector means namespace urn:rl"},
		})
	})
	t.Run("XCAP-021 attributes without prefix are in no namespace", func(t *testing.T) {
		tests(t, []located{
			{"lists/list[1]/entry[2]/@q:a", `x:a="3"`},
			{"lists/list[1]/entry[2]/@a", "error: attribute x:a of <rl:entry> is in namespace urn:x, the selector means no namespace"},
			{`lists/list[1]/entry[@q:a="3"]/@uri`, `uri="sip:Bob@x"`},
		})
	})
	t.Run("XCAP-022 declarations are no attributes", func(t *testing.T) {
		tests(t, []located{{`lists/list[1]/*[@xmlns=""]`, `error: * selects 4, none of them has [@xmlns=""]`}})
	})
	t.Run("XCAP-023 values are compared as strings", func(t *testing.T) {
		tests(t, []located{{`lists/list[1]/entry[@uri="sip:bob@x"]`, `error: entry selects 2, none of them has [@uri="sip:bob@x"]`}})
	})
	t.Run("namespace::* selects the bindings of the element", func(t *testing.T) {
		tests(t, []located{{"lists/list[2]/namespace::*", `<rl:list name="b"/>`}})
	})
}

func TestErrors(t *testing.T) {
	d := parse(t, "<a><b/><b/></a>")
	for sel, want := range map[string]Error{
		"a/b":      {Step: 1, Text: "b", Count: 2},
		"a/c[1]/d": {Step: 1, Text: "c[1]", Count: 0},
		"a/b/@k":   {Step: 2, Text: "@k", Count: 0},
	} {
		s, err := ParsePatch(sel, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Locate(d)
		var e *Error
		if !errors.As(err, &e) || e.Selector != sel || e.Step != want.Step || e.Text != want.Text || e.Count != want.Count {
			t.Errorf("%s: %+v, want %+v", sel, e, want)
		}
	}
	s, _ := ParsePatch("a/b/@k", nil)
	_, err := s.Locate(d)
	if want := `selector "a/b/@k": step 3, @k: no attribute k on any of the 2 elements before`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	s, _ = ParsePatch("b", nil)
	if _, err = s.Locate(d); err == nil || err.Error() != `selector "b": no element b stands in the document, whose root is <a>` {
		t.Errorf("got %v", err)
	}
}

func TestExplain(t *testing.T) {
	d := parse(t, "<a>"+strings.Repeat("<b><c/></b>", 20)+"</a>")
	s, err := ParsePatch("a/b/c", nil)
	if err != nil {
		t.Fatal(err)
	}
	told := s.Explain(d)
	if len(told) != 3 || told[0].Count != 1 || told[1].Count != 20 || len(told[1].Nodes) != Shown || told[1].Why != "" || told[2].Why == "" {
		t.Errorf("%+v", told)
	}
	if !told[0].Nodes[0].Node.Is("", "a") || told[2].Step != "c" {
		t.Errorf("%+v", told)
	}
	x, err := ParseXCAP("a/b/c", nil)
	if err != nil {
		t.Fatal(err)
	}
	if told := x.Explain(d); len(told) != 2 || told[1].Why == "" {
		t.Errorf("XCAP: %+v", told)
	}
}
