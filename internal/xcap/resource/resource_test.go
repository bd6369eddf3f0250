package resource

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/uri"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

const base = "<r>\n <a k=\"1\"/>\n <a k=\"2\"/>\n <!-- c -->\n <b k=\"1\"/>\n</r>"

func compile(t testing.TB, sel string) *selector.Selector {
	t.Helper()
	s, err := selector.ParseXCAP(sel, selector.Prefixes{"p": "urn:p", "q": "urn:q"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t testing.TB, doc string) *tree.Tree {
	t.Helper()
	d, err := tree.Parse([]byte(doc), tree.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return d
}

func name(err error) string {
	var r *xcaperror.Report
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return string(r.Condition)
	case errors.Is(err, ErrMissing):
		return "missing"
	case errors.Is(err, ErrBindings):
		return "bindings"
	}
	return err.Error()
}

// put returns the document afterwards, or the name of the condition.
func put(t testing.TB, doc, sel, body string) (string, bool) {
	t.Helper()
	d, s := parse(t, doc), compile(t, sel)
	created, err := Put(d, s, []byte(body), nil)
	if err != nil {
		if string(d.Bytes()) != doc {
			t.Errorf("%s of %s left %s", sel, doc, d.Bytes())
		}
		return name(err), false
	}
	again := parse(t, string(d.Bytes()))
	if got, err := Get(again, s); err != nil || string(got) != strings.TrimSpace(body) {
		t.Errorf("%s: put %s, got %s, %v", sel, body, got, err)
	}
	out := string(again.Bytes())
	if second, err := Put(again, s, []byte(body), nil); err != nil || second || string(again.Bytes()) != out {
		t.Errorf("%s: the second put: %v, %v, %s", sel, second, err, again.Bytes())
	}
	return out, created
}

type putCase struct{ sel, body, want string }

func puts(t *testing.T, doc string, created bool, cases ...putCase) {
	t.Helper()
	for _, c := range cases {
		got, made := put(t, doc, c.sel, c.body)
		if got != c.want || made != created {
			t.Errorf("%s with %s: created %v\n%s\nwant\n%s", c.sel, c.body, made, got, c.want)
		}
	}
}

func refused(t *testing.T, doc, want string, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got, _ := put(t, doc, pairs[i], pairs[i+1]); got != want {
			t.Errorf("%s with %q: got %s, want %s", pairs[i], pairs[i+1], got, want)
		}
	}
}

// with inserts text into base before the nth occurrence of a mark.
func with(mark, text string) string { return strings.Replace(base, mark, text+mark, 1) }

func TestPlaces(t *testing.T) {
	t.Run("XCAP-051 the first of its name becomes the last element", func(t *testing.T) {
		want := with("</r>", `<c k="1"/>`)
		puts(t, base, true, putCase{"r/c", `<c k="1"/>`, want}, putCase{`r/c[1][@k="1"]`, `<c k="1"/>`, want}, putCase{`r/*[@k="9"]`, `<c k="9"/>`, with("</r>", `<c k="9"/>`)})
		puts(t, "<r/>", true, putCase{"r/*", "<c/>", "<r><c/></r>"}, putCase{"r/*[1]", "<c/>", "<r><c/></r>"}, putCase{"r/c[1]", "<c/>", "<r><c/></r>"})
	})
	t.Run("XCAP-052 behind the last of its name", func(t *testing.T) {
		want := with("\n <!--", `<a k="3"/>`)
		puts(t, base, true, putCase{`r/a[@k="3"]`, `<a k="3"/>`, want}, putCase{`r/*[@k="3"]`, `<a k="3"/>`, want})
	})
	t.Run("XCAP-053 a position counts those of the name", func(t *testing.T) {
		puts(t, base, true, putCase{`r/b[2][@k="2"]`, `<b k="2"/>`, with("\n</r>", `<b k="2"/>`)}, putCase{`r/a[2][@k="9"]`, `<a k="9"/>`, with("\n <a k=\"2\"", `<a k="9"/>`)}, putCase{"r/b[2]", "<b/>", with("\n</r>", "<b/>")})
	})
	t.Run("XCAP-054 a position with any name counts all", func(t *testing.T) {
		puts(t, base, true, putCase{`r/*[2][@k="9"]`, `<b k="9"/>`, with("\n <a k=\"2\"", `<b k="9"/>`)}, putCase{"r/*[4]", "<z/>", with("\n</r>", "<z/>")})
	})
	t.Run("XCAP-055 position 1 is before the first of the name", func(t *testing.T) {
		puts(t, base, true, putCase{`r/b[1][@k="2"]`, `<b k="2"/>`, with(`<b k="1"`, `<b k="2"/>`)})
	})
	t.Run("XCAP-056 position 1 of any name is before the first element", func(t *testing.T) {
		puts(t, base, true, putCase{`r/*[1][@k="9"]`, `<b k="9"/>`, with(`<a k="1"`, `<b k="9"/>`)})
	})
	t.Run("XCAP-057 no schema moves what is inserted", func(t *testing.T) {
		doc := `<resource-lists><list><entry uri="a"/><q:x xmlns:q="urn:q"/></list></resource-lists>`
		puts(t, doc, true, putCase{"resource-lists/list/display-name", "<display-name/>", strings.Replace(doc, "</list>", "<display-name/></list>", 1)})
	})
	t.Run("XCAP-058 a position alone replaces, with an attribute test it inserts", func(t *testing.T) {
		puts(t, base, true, putCase{`r/*[1][@k="9"]`, `<a k="9"/>`, with(`<a k="1"`, `<a k="9"/>`)})
		puts(t, base, false, putCase{`r/*[1]`, `<a k="9"/>`, strings.Replace(base, `k="1"`, `k="9"`, 1)})
	})
	t.Run("XCAP-047 a position too far behind", func(t *testing.T) {
		refused(t, base, "cannot-insert", `r/b[3][@k="2"]`, `<b k="2"/>`, `r/*[5]`, "<b/>", "r/c[2]", "<c/>", "r/a[0]", "<a/>")
	})
	t.Run("XCAP-046 several elements are selected", func(t *testing.T) {
		refused(t, base, "cannot-insert", "r/a", "<a/>", "r/*", "<a/>", `r/*[@k="1"]`, `<a k="1"/>`)
	})
}

func TestPut(t *testing.T) {
	t.Run("XCAP-036 without a parent nothing is put", func(t *testing.T) {
		refused(t, base, "no-parent", "r/c/d", "<d/>", "r/a/d", "<d/>", "s/a", "<a/>", "r/c/@d", `""`, "@d", `""`)
		_, err := Put(parse(t, `<p:r xmlns:p="urn:p"><p:a k="/"/></p:r>`), compile(t, `p:r/p:a[@k="/"]/x/y/z`), []byte("<z/>"), []uri.Binding{{Prefix: "p", URI: "urn:p"}, {Prefix: "q", URI: "urn:q"}})
		var r *xcaperror.Report
		if !errors.As(err, &r) || r.Ancestor != `p:r/p:a%5B@k=%22%2F%22%5D?xmlns(p=urn:p)` {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("XCAP-037 what is found is replaced", func(t *testing.T) {
		puts(t, base, false, putCase{`r/a[@k="2"]`, `<a k="2">x</a>`, strings.Replace(base, `<a k="2"/>`, `<a k="2">x</a>`, 1)}, putCase{"r", "<r>x</r>", "<r>x</r>"}, putCase{"*", "<z/>", "<z/>"})
		puts(t, "<!--x--><r/><?y?>", false, putCase{"r", "<r a=''/>", "<!--x--><r a=''/><?y?>"})
	})
	t.Run("XCAP-041 the body is one element", func(t *testing.T) {
		refused(t, base, "not-xml-frag", "r/c", "", "r/c", "x", "r/c", "<c/><c/>", "r/c", "<c>", "r/c", "<!-- --><c/>", "r/c", "<c/>x", "r/c", "<?xml version='1.0'?><c/>",
			"r/c", "<p:c/>", "r/c", "<c>&x;</c>", "r/b", "<b/><b/>", "r", "<r/><r/>", "r/c[7]", "<c>", `r/*[@k="9"]`, `<a k="9"/><a k="9"/>`, "r/c", "</r><r>")
		puts(t, `<r xmlns:p="urn:p"/>`, true, putCase{"r/p:c", "<p:c/>", `<r xmlns:p="urn:p"><p:c/></r>`})
	})
	t.Run("XCAP-042 the body is UTF-8", func(t *testing.T) {
		refused(t, base, "not-utf-8", "r/c", "<c>\xe9</c>", "r/a[1]", "<a>\xff</a>")
	})
	t.Run("XCAP-044 the value is UTF-8", func(t *testing.T) { refused(t, base, "not-utf-8", "r/b/@k", "\"\xe9\"") })
	t.Run("XCAP-043 the body is a value in quotes", func(t *testing.T) {
		refused(t, base, "not-xml-att-value", "r/b/@k", "x", "r/b/@k", `"a<b"`, "r/b/@k", `"a&b"`, "r/b/@k", `"a"b"`, "r/b/@k", `"`, "r/b/@n", `"&x;"`, "r/b/@n", "", "r/b/@n", `'a"`, "r/b/@n", `"a" x="b"`)
		puts(t, base, false, putCase{"r/b/@k", `'a"%41&#x42;&amp;'`, strings.Replace(base, `<b k="1"/>`, `<b k='a"%41&#x42;&amp;'/>`, 1)})
		puts(t, base, true, putCase{"r/b/@n", `"sip:x@y"`, strings.Replace(base, `<b k="1"/>`, `<b k="1" n="sip:x@y"/>`, 1)}, putCase{"r/@n", `""`, strings.Replace(base, "<r>", `<r n="">`, 1)},
			putCase{"r/b/@p:n", `"1"`, strings.Replace(base, `<b k="1"/>`, `<b k="1" xmlns:p="urn:p" p:n="1"/>`, 1)})
		puts(t, `<r xmlns:o="urn:p" xmlns:q="urn:o"/>`, true, putCase{"r/@p:n", `"1"`, `<r xmlns:o="urn:p" xmlns:q="urn:o" o:n="1"/>`}, putCase{"r/@q:n", `"1"`, `<r xmlns:o="urn:p" xmlns:q="urn:o" xmlns:ns1="urn:q" ns1:n="1"/>`})
	})
	t.Run("XCAP-045 the URI selects what was put", func(t *testing.T) {
		refused(t, base, "cannot-insert", `r/b[@k="a"]`, `<b k="b"/>`, "r/c", "<d/>", `r/b[@k="1"]/@k`, `"2"`, `r/b[@k="1"]`, `<b k="2"/>`, "r", "<s/>", "s", "<s/>", "r/p:c", "<c/>", "r/@xmlns", `"urn:x"`, `r[@k="1"]`, `<r k="1"/>`)
	})
	t.Run("XCAP-048 declarations of the element are kept", func(t *testing.T) {
		doc := `<r xmlns:p="urn:p"/>`
		puts(t, doc, true, putCase{"r/p:c", `<p:c xmlns:p="urn:p"/>`, `<r xmlns:p="urn:p"><p:c xmlns:p="urn:p"/></r>`})
	})
	t.Run("XCAP-049 no white space is added or lost", func(t *testing.T) {
		puts(t, "<r> <a/> </r>", true, putCase{"r/b", "<b> x </b>", "<r> <a/> <b> x </b></r>"})
		puts(t, "<r> <a/> </r>", false, putCase{"r/a", "<a\n/>\n", "<r> <a\n/> </r>"})
	})
	t.Run("XCAP-050 nothing of the old element remains", func(t *testing.T) {
		puts(t, `<r><a k="1" xmlns:p="urn:p">x</a></r>`, false, putCase{"r/a", "<a/>", "<r><a/></r>"})
	})
	t.Run("XCAP-034 bindings are not written", func(t *testing.T) {
		refused(t, base, "bindings", "r/namespace::*", "<r/>")
		if err := Delete(parse(t, base), compile(t, "r/namespace::*")); !errors.Is(err, ErrBindings) {
			t.Error(err)
		}
	})
}

func TestGet(t *testing.T) {
	doc := parse(t, `<r xmlns="urn:d" xmlns:p="urn:p"><p:a k='&quot;"' xmlns:z="urn:z"><x xmlns=""/></p:a></r>`)
	get := func(sel string) string {
		s, err := selector.ParseXCAP(sel, selector.Prefixes{"": "urn:d", "p": "urn:p"})
		if err != nil {
			t.Fatal(err)
		}
		out, err := Get(doc, s)
		if err != nil {
			return name(err)
		}
		return Type(s) + " " + string(out)
	}
	for sel, want := range map[string]string{
		"XCAP-078 r/p:a":                 `application/xcap-el+xml <p:a k='&quot;"' xmlns:z="urn:z"><x xmlns=""/></p:a>`,
		"XCAP-079 r/p:a/@k":              `application/xcap-att+xml '&quot;"'`,
		"XCAP-080 r/p:a/namespace::*":    `application/xcap-ns+xml <p:a xmlns="urn:d" xmlns:p="urn:p" xmlns:z="urn:z"/>`,
		"XCAP-080 r/p:a/*/namespace::*":  `application/xcap-ns+xml <x xmlns:p="urn:p" xmlns:z="urn:z"/>`,
		"XCAP-018 r/x":                   "missing",
		"XCAP-022 r/p:a[@xmlns=\"\"]":    "missing",
		"XCAP-020 r":                     "application/xcap-el+xml " + string(doc.Source()),
		"XCAP-021 r/p:a[@p:k=\"\"]":      "missing",
		"XCAP-018 r/p:a/@z":              "missing",
		"XCAP-017 r/*[1][@k='\"&quot;']": `application/xcap-el+xml <p:a k='&quot;"' xmlns:z="urn:z"><x xmlns=""/></p:a>`,
	} {
		t.Run(sel, func(t *testing.T) {
			_, s, _ := strings.Cut(sel, " ")
			if got := get(s); got != want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	check := func(t *testing.T, sel, want string) {
		t.Helper()
		d := parse(t, base)
		got := name(Delete(d, compile(t, sel)))
		if got == "" {
			got = string(d.Bytes())
			if err := Delete(parse(t, got), compile(t, sel)); !errors.Is(err, ErrMissing) {
				t.Errorf("%s: the second time: %v", sel, err)
			}
		} else if string(d.Bytes()) != base {
			t.Errorf("%s left %s", sel, d.Bytes())
		}
		if got != want {
			t.Errorf("%s: got %s", sel, got)
		}
	}
	t.Run("XCAP-082 a node is removed, or missing", func(t *testing.T) {
		check(t, "r/b/@k", strings.Replace(base, `<b k="1"/>`, "<b/>", 1))
		check(t, `r/b[@k="1"]/@k`, strings.Replace(base, `<b k="1"/>`, "<b/>", 1))
		check(t, "r/c", "missing")
		check(t, "r/a", "missing")
		check(t, "r/b/@z", "missing")
	})
	t.Run("XCAP-083 white space around stays", func(t *testing.T) {
		check(t, "r/b", strings.Replace(base, `<b k="1"/>`, "", 1))
	})
	t.Run("XCAP-084 nothing else is selected afterwards", func(t *testing.T) {
		check(t, "r/a[1]", "cannot-delete")
		check(t, "r/a[2]", strings.Replace(base, `<a k="2"/>`, "", 1))
		check(t, "r/*[2]", "cannot-delete")
		check(t, "r/*[3]", strings.Replace(base, `<b k="1"/>`, "", 1))
		check(t, `r/a[1][@k="1"]`, strings.Replace(base, `<a k="1"/>`, "", 1))
		check(t, `r/a[@k="1"]`, strings.Replace(base, `<a k="1"/>`, "", 1))
	})
	t.Run("XCAP-086 the root stays", func(t *testing.T) { check(t, "r", "schema-validation-error") })
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "..", "shared", "vectors", "examples")
	src, err := os.ReadFile(filepath.Join(dir, "triples.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var triples []struct {
		ID, Op, Before, After, Selector, Content string
		Also                                     []string `json:"also_selectors"`
	}
	if err := json.Unmarshal(src, &triples); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ran := 0
	for _, c := range triples {
		if c.Op != "xcap-put-element" {
			continue
		}
		before := read(c.Before)
		for _, sel := range append(c.Also, c.Selector) {
			ran++
			d := parse(t, before)
			s, err := selector.ParseXCAP(sel, selector.Prefixes{"": d.Root().Space()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Put(d, s, []byte(c.Content), nil); err != nil {
				t.Errorf("%s %s: %v", c.ID, sel, err)
			} else if c.After != "" && string(d.Bytes()) != read(c.After) {
				t.Errorf("%s %s: got\n%s", c.ID, sel, d.Bytes())
			}
		}
	}
	if ran < 9 {
		t.Errorf("%d triples", ran)
	}
}

func FuzzPut(f *testing.F) {
	for _, s := range [][3]string{{base, `r/*[2][@k="9"]`, `<b k="9"/>`}, {base, "r/a[1]/@k", `"&#x41;"`}, {`<p:r xmlns:p="urn:p"/>`, "p:r/@q:x", `''`}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, doc, sel, body string) {
		d, err := tree.Parse([]byte(doc), tree.Options{})
		s, wrong := selector.ParseXCAP(sel, selector.Prefixes{"p": "urn:p", "q": "urn:q"})
		if err != nil || wrong != nil {
			return
		}
		_, err = Put(d, s, []byte(body), nil)
		again, wrong := tree.Parse(d.Bytes(), tree.Options{})
		if wrong != nil {
			t.Fatalf("%q %q %q: %q: %v", doc, sel, body, d.Bytes(), wrong)
		}
		if err != nil {
			if string(d.Bytes()) != doc {
				t.Errorf("%q %q %q: %v left %q", doc, sel, body, err, d.Bytes())
			}
			return
		}
		if got, err := Get(again, s); err != nil || string(got) != strings.Trim(body, " \t\r\n") {
			t.Errorf("%q %q %q: got %q, %v", doc, sel, body, got, err)
		}
	})
}
