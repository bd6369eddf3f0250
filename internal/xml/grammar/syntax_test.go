package grammar

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"imp/internal/xml/tree"
)

// compiled compiles a grammar whose file is g.rnc, with more files beside it.
func compiled(src string, more map[string]string) (*schema, error) {
	files := fstest.MapFS{"g.rnc": {Data: []byte(src)}}
	for name, text := range more {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return compileFile(files, "g.rnc")
}

// accepts reports whether a grammar accepts a document.
func accepts(t *testing.T, s *schema, doc string) bool {
	t.Helper()
	d, err := tree.Parse([]byte(doc), tree.Options{})
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	g := Grammar{schema: s}
	return s.root(d.Root().Space(), d.Root().Local()) != nil && g.Check(d) == nil
}

func TestPatterns(t *testing.T) {
	more := map[string]string{
		"b.rnc":   "start = element b { x }\nx = element x { empty }",
		"ext.rnc": "start = element e { x }\nx = element y { empty }",
	}
	for _, test := range []struct {
		name, grammar string
		good, bad     []string
	}{
		{"group and repetition", "start = element a { element b {empty}?, element c {empty}+, element d {empty}* }", []string{"<a><c/></a>", "<a><b/><c/><c/><d/><d/></a>", "<a> <c/>\n<!--x--><?x y?></a>"}, []string{"<a/>", "<a><b/></a>", "<a><c/><b/></a>", "<a><d/><c/></a>", "<a>x<c/></a>"}},
		{"choice", "start = element a { (b | (element c {empty}, b))+ } b = element b {empty}", []string{"<a><b/></a>", "<a><c/><b/><b/></a>"}, []string{"<a/>", "<a><c/></a>", "<a><b/><c/></a>"}},
		{"interleave", "start = element a { element b {empty} & element c {empty}* & element d {empty}? }", []string{"<a><b/></a>", "<a><c/><b/><c/></a>", "<a><c/><d/><c/><b/></a>"}, []string{"<a><c/></a>", "<a><b/><b/></a>", "<a><d/><b/><d/></a>"}},
		{"interleave of groups", "start = element a { (element b {empty}, element c {empty}) & element d {empty} }", []string{"<a><b/><d/><c/></a>", "<a><d/><b/><c/></a>"}, []string{"<a><c/><b/><d/></a>"}},
		{"mixed", "start = element a { mixed { element b { text }* } }", []string{"<a>x<b>y</b>z</a>", "<a/>"}, []string{"<a><c/></a>", "<a><b><b/></b></a>"}},
		{"attributes", "start = element a { attribute k { xsd:integer }, attribute l { text }?, empty }", []string{"<a k='1'/>", "<a l='' k=' 1 '/>"}, []string{"<a/>", "<a k='x'/>", "<a k='1' m='1'/>"}},
		{"name classes of attributes", `namespace p = "u:p" namespace none = "" start = element a { attribute * - (p:* | none:*) { text }*, empty }`, []string{"<a xmlns:q='u:q' q:x='1' q:y=''/>"}, []string{"<a x='1'/>", "<a xmlns:p='u:p' p:x='1'/>"}},
		{"name classes of elements", `default namespace p = "u:p" namespace q = "u:q" start = element a { element q:* { text }*, element b | p:c { text } }`, []string{"<a xmlns='u:p'><b/></a>", "<a xmlns='u:p'><x xmlns='u:q'/><c/></a>"}, []string{"<a xmlns='u:p'><x/><b/></a>", "<a><b/></a>", "<a xmlns='u:p'><b xmlns=''/></a>"}},
		{"values", `start = element a { "x" | "y z" | string " w" }`, []string{"<a>x</a>", "<a> y  z\n</a>", "<a> w</a>", "<a><![CDATA[x]]></a>", "<a>&#120;</a>"}, []string{"<a/>", "<a>w</a>", "<a>x y</a>", "<a>x<b/></a>"}},
		{"value in parts", `start = element a { "x" ~ "y" }`, []string{"<a>xy</a>"}, []string{"<a>x</a>"}},
		{"restrictions", `start = element a { xsd:integer { minInclusive = "0" maxInclusive = "255" } }`, []string{"<a>0</a>", "<a>+255</a>"}, []string{"<a>-1</a>", "<a>256</a>", "<a>99999999999999999999</a>"}},
		{"pattern and lengths", `start = element a { xsd:string { pattern = "a.*" minLength = "2" maxLength = "3" } }`, []string{"<a>ab</a>", "<a>abc</a>", "<a>aäö</a>"}, []string{"<a>a</a>", "<a>abcd</a>", "<a>ba</a>"}},
		{"length", `start = element a { xsd:token { length = "2" } }`, []string{"<a> ab </a>"}, []string{"<a>a</a>"}},
		{"lists", `start = element a { list { xsd:integer+ } }`, []string{"<a>1</a>", "<a> 1\n2 </a>"}, []string{"<a/>", "<a>1 x</a>"}},
		{"list of one", `start = element a { list { xsd:integer? } }`, []string{"<a/>", "<a>1</a>"}, []string{"<a>1 2</a>"}},
		{"recursion", `start = a a = element a { a* }`, []string{"<a><a><a/></a><a/></a>"}, []string{"<a><b/></a>"}},
		{"combined definitions", "start = element a { x, y } x = element b {empty} x |= element c {empty} y = element d {empty} y &= element e {empty}", []string{"<a><b/><e/><d/></a>", "<a><c/><d/><e/></a>"}, []string{"<a><b/><c/><d/><e/></a>", "<a><b/><d/></a>"}},
		{"include", `default namespace = "u:p" include "b.rnc" { x = element z { empty } }`, []string{"<b xmlns='u:p'><z/></b>"}, []string{"<b xmlns='u:p'><x/></b>", "<b><z/></b>"}},
		{"external", `start = element a { external "ext.rnc", x } x = element x { empty }`, []string{"<a><e><y/></e><x/></a>"}, []string{"<a><e><x/></e><x/></a>"}},
		{"quoted keyword", `start = \text \text = element text { empty }`, []string{"<text/>"}, []string{"<a/>"}},
		{"nothing allowed", `start = element a { notAllowed }`, nil, []string{"<a/>"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := compiled(test.grammar, more)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range test.good {
				if !accepts(t, s, doc) {
					t.Errorf("refuses %s", doc)
				}
			}
			for _, doc := range test.bad {
				if accepts(t, s, doc) {
					t.Errorf("accepts %s", doc)
				}
			}
		})
	}
}

func TestBadGrammars(t *testing.T) {
	more := map[string]string{"b.rnc": "x = empty", "self.rnc": `include "self.rnc"`}
	for src, want := range map[string]string{
		"start = x":                                                    "g.rnc:1: x is not defined",
		"start = x x = x":                                              "definition of itself",
		"start = element a { x } x = (x, x)":                           "definition of itself",
		"start = element a {":                                          `expected a name`,
		"start =\n\nelement a { empty } }":                             `g.rnc:3: found "}", expected a name`,
		"start = element a { empty | text, text }":                     "needs parentheses",
		"start = element p:a { empty }":                                "prefix p is not declared",
		"start = element a { xsd:foo }":                                "there is no data type foo",
		"start = element a { q:foo }":                                  "is that of no data type library",
		`start = element a { xsd:string { pattern = "(" } }`:           "missing closing )",
		`start = element a { xsd:string { foo = "1" } }`:               "unknown parameter foo",
		`start = element a { xsd:string { length = "x" } }`:            "is no number",
		"start = element a { attribute b {text} | element c {empty} }": "attribute in a choice",
		"start = element a { (text | element c {empty})* }":            "text that is not everywhere",
		"start = element a { xsd:integer, element b {empty} }":         "a value beside elements",
		"start = element a { attribute * {xsd:integer}* }":             "attributes of many names",
		"start = element a { element b {empty}, element * {empty} }":   "may have the same name",
		"start = element a { element b {empty}, element b {text} }":    "may have the same name",
		"a = empty a = text":                                           "a is defined twice",
		`include "none.rnc"`:                                           "none.rnc",
		`include "self.rnc"`:                                           "included more than",
		`include "b.rnc" { y = empty }`:                                "does not define y",
		`x = text include "b.rnc"`:                                     "b.rnc defines x too",
		`start = "x`:                                                   "literal without its end",
		"start = %":                                                    "unexpected '%'",
		"start = text":                                                 "start is no choice of elements",
		"start = element a { " + strings.Repeat("element b {empty}? & ", 12) + "empty }": "may have the same name",
	} {
		if _, err := compiled(src, more); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got: %v\nwant: %s", src, err, want)
		}
	}
	var wide strings.Builder
	wide.WriteString("start = element a { empty")
	for _, c := range "abcdefghijkl" {
		wide.WriteString(" & element " + string(c) + " {empty}?")
	}
	if _, err := compiled(wide.String()+" }", nil); err == nil || !strings.Contains(err.Error(), "states") {
		t.Errorf("an interleave of twelve: %v", err)
	}
}

// FuzzCompile looks for grammars that make the compiler fail in another way than by an error.
func FuzzCompile(f *testing.F) {
	for _, src := range []string{
		"start = element a { attribute k { xsd:integer }, (element b { text } | x)* } x = element c { mixed { empty } }",
		`default namespace p = "u" start = element * - (p:* | a) { list { "x" | string "y" } & text }`,
		"x |= text x &= (empty?)+ include \"g.rnc\"",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) < 1<<10 {
			_, _ = compiled(src, nil)
		}
	})
}

// FuzzCheck looks for documents that make a check panic, and for problems without a place.
func FuzzCheck(f *testing.F) {
	f.Add(richPIDF)
	for _, typ := range types {
		g := newGenerator(1)
		g.limit = 10
		f.Add(string(g.element(namespaces[typ.Space].schema().root(typ.Space, typ.Root)).write()))
	}
	spaces := maps.Clone(namespaces)
	f.Fuzz(func(t *testing.T, src string) {
		d, err := tree.Parse([]byte(src), tree.Options{AllowDTD: true})
		if err != nil {
			return
		}
		for space := range spaces {
			g := &Grammar{space: space, schema: spaces[space].schema()}
			for _, p := range append(g.Check(d), g.Lint(d)...) {
				if p.Line < 1 || p.Col < 1 || p.Rule == "" || p.Text == "" {
					t.Fatalf("%+v", p)
				}
			}
		}
	})
}
