package xcapdiff

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/xml/grammar"
	"imp/internal/xml/patch"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

func parse(t testing.TB, src string) *Document {
	t.Helper()
	d, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return d
}

func parseTree(t testing.TB, src string) *tree.Tree {
	t.Helper()
	doc, err := tree.Parse([]byte(src), tree.Options{})
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return doc
}

func in(content string) string {
	return `<xcap-diff xmlns="` + Space + `" xmlns:o="u:o" xcap-root="http://xcap.example.com/">` + content + `</xcap-diff>`
}

// valid fails when the schema refuses a document.
func valid(t testing.TB, src []byte) {
	t.Helper()
	g, _ := grammar.ByName("xcap-diff")
	if found := g.Check(parseTree(t, string(src))); len(found) > 0 {
		t.Errorf("%s: %v", src, found)
	}
}

func edits(t testing.TB, a, b string) *patch.Edits {
	t.Helper()
	e, err := patch.Diff(parseTree(t, a), parseTree(t, b))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRefused(t *testing.T) {
	for _, test := range []struct{ name, src, want string }{
		{"other root", `<a/>`, "is no patch"},
		{"other vocabulary", `<p:patch xmlns:p="urn:ietf:rfc:7351"/>`, "1:1: the root is <p:patch>, not the xcap-diff"},
		{"XPATCH-071 other encoding", `<?xml version="1.0" encoding="ISO-8859-1"?>` + in(""), "ISO-8859-1"},
		{"XPATCH-072 no root", `<xcap-diff xmlns="` + Space + `"/>`, "without xcap-root"},
		{"XPATCH-074 sel leads out of the root", in(`<document sel="a/../../b" new-etag="1"/>`), "below the XCAP root"},
		{"XPATCH-074 sel of an element leads out of the root", in(`<element sel="a/%2e%2e/b/~~/c"/>`), "leads out of the XCAP root"},
		{"no node selector", in(`<element sel="a/b"/>`), "no path below the XCAP root with /~~/"},
		{"no sel", in(`<attribute/>`), "has no sel"},
		{"exists is no boolean", in(`<element sel="a/~~/b" exists="no"/>`), "exists is no"},
		{"several elements", in(`<element sel="a/~~/b"><o:b/><o:c/></element>`), "several elements"},
		{"no entity-tag", in(`<document sel="a"/>`), "mean nothing"},
		{"XPATCH-090 body-not-changed with operations", in(`<document sel="a" previous-etag="1" new-etag="2"><body-not-changed/><remove sel="*/*"/></document>`), "both body-not-changed and operations"},
		{"body-not-changed of one version", in(`<document sel="a" new-etag="2"><body-not-changed/></document>`), "mean nothing"},
		{"XPATCH-078 operations without the entity-tag before", in(`<document sel="a" new-etag="2"><remove sel="*/*"/></document>`), "not both previous-etag and new-etag"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse([]byte(test.src)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestActions(t *testing.T) {
	d := parse(t, in(`<document sel="a" previous-etag="1" new-etag="2"><remove sel="*/*"/></document><document sel="b" previous-etag="1" new-etag="2"/>
		<document sel="c" previous-etag="1" new-etag="2"><body-not-changed/></document><document sel="d" new-etag="2"/><document sel="e" previous-etag="1"/><o:more/>`))
	for i, want := range []Action{Patch, Fetch, Retag, Exist, Remove} {
		if got := d.Changes[i].Action(); got != want {
			t.Errorf("%s: %v, expected %v", d.Changes[i].Sel, got, want)
		}
	}
	if len(d.Changes[0].Operations()) != 1 {
		t.Error("no operations")
	}
}

func TestCached(t *testing.T) {
	change := func(t *testing.T, src string) *Change { return &parse(t, in(src)).Changes[0] }
	take := func(t *testing.T, c *Cached, ch *Change, want Action, after Cached) {
		t.Helper()
		got, err := c.Take(ch)
		if err != nil || got != want || c.ETag != after.ETag || c.Stale != after.Stale || string(c.Doc) != string(after.Doc) {
			t.Errorf("got %v, %v: %+v", got, err, c)
		}
	}
	one := func() *Cached { return &Cached{ETag: "1", Doc: []byte("<a><b/></a>")} }
	t.Run("XPATCH-075 operations are applied to the version that they are for", func(t *testing.T) {
		take(t, one(), change(t, `<document sel="a" previous-etag="1" new-etag="2"><remove sel="*/*"/></document>`), Patch, Cached{ETag: "2", Doc: []byte("<a></a>")})
	})
	t.Run("XPATCH-076 without operations the document is to be fetched", func(t *testing.T) {
		c := one()
		take(t, c, change(t, `<document sel="a" previous-etag="1" new-etag="2"/>`), Fetch, Cached{ETag: "1", Doc: c.Doc, Stale: "2"})
		// What comes before it is fetched is in it.
		take(t, c, change(t, `<document sel="a" previous-etag="2" new-etag="3"><remove sel="*/*"/></document>`), Patch, Cached{ETag: "1", Doc: c.Doc, Stale: "3"})
		take(t, c, change(t, `<document sel="a" previous-etag="3" new-etag="4"><body-not-changed/></document>`), Retag, Cached{ETag: "1", Doc: c.Doc, Stale: "4"})
		c.Fetched("4", []byte("<c/>"))
		take(t, c, change(t, `<document sel="a" new-etag="4"/>`), Exist, Cached{ETag: "4", Doc: []byte("<c/>")})
	})
	t.Run("XPATCH-077 only the entity-tag is another one", func(t *testing.T) {
		c := one()
		take(t, c, change(t, `<document sel="a" previous-etag="1" new-etag="2"><body-not-changed/></document>`), Retag, Cached{ETag: "2", Doc: c.Doc})
	})
	t.Run("XPATCH-078 a document that was created is to be fetched", func(t *testing.T) {
		take(t, new(Cached), change(t, `<document sel="a" new-etag="1"/>`), Exist, Cached{Stale: "1"})
	})
	t.Run("XPATCH-079 a document that was removed is dropped", func(t *testing.T) {
		take(t, one(), change(t, `<document sel="a" previous-etag="1"/>`), Remove, Cached{})
	})
	t.Run("XPATCH-080 changes of one document are applied in order", func(t *testing.T) {
		c := one()
		d := parse(t, in(`<document sel="a" previous-etag="1" new-etag="7"><add sel="*/*" type="@c">x</add></document>
			<document sel="a" previous-etag="7" new-etag="3"><replace sel="*/*/@c">y</replace></document>`))
		for i := range d.Changes {
			if _, err := c.Take(&d.Changes[i]); err != nil {
				t.Fatal(err)
			}
		}
		if string(c.Doc) != `<a><b c="y"/></a>` || c.ETag != "3" {
			t.Errorf("got %s %s", c.ETag, c.Doc)
		}
		// The same two in one, the version between skipped.
		skipped := one()
		made := Document{Root: "http://x/", Changes: []Change{{Sel: "a", PreviousETag: "1", NewETag: "3", Edits: edits(t, "<a><b/></a>", `<a><b c="y"/></a>`)}}}
		if _, err := skipped.Take(&parse(t, string(made.Bytes())).Changes[0]); err != nil || string(skipped.Doc) != string(c.Doc) || skipped.ETag != "3" {
			t.Errorf("got %+v, %v", skipped, err)
		}
	})
	t.Run("XPATCH-081 another version is not touched", func(t *testing.T) {
		for _, src := range []string{
			`<document sel="a" previous-etag="2" new-etag="3"><remove sel="*/*"/></document>`, `<document sel="a" previous-etag="&quot;1&quot;" new-etag="3"><body-not-changed/></document>`,
			`<document sel="a" previous-etag=" 1" new-etag="3"/>`, `<document sel="a" previous-etag="2"/>`,
		} {
			c := one()
			if _, err := c.Take(change(t, src)); !errors.Is(err, ErrOutOfStep) || c.ETag != "1" || string(c.Doc) != "<a><b/></a>" || c.Stale != "" {
				t.Errorf("%s: %v, %+v", src, err, c)
			}
		}
		if _, err := new(Cached).Take(change(t, `<document sel="a" previous-etag="2"/>`)); !errors.Is(err, ErrOutOfStep) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("XPATCH-075 operations that do not apply leave the document", func(t *testing.T) {
		c := one()
		if _, err := c.Take(change(t, `<document sel="a" previous-etag="1" new-etag="2"><remove sel="*/*"/><remove sel="*/*"/></document>`)); err == nil || c.ETag != "1" || string(c.Doc) != "<a><b/></a>" {
			t.Errorf("%v, %+v", err, c)
		}
	})
}

func TestBytes(t *testing.T) {
	a, b := `<p:a xmlns:p="u:p"><p:b/></p:a>`, `<p:a xmlns:p="u:p" p:k="1"><p:b/><p:c xmlns="u:d"><e/></p:c></p:a>`
	d := &Document{Root: "http://xcap.example.com/", Changes: []Change{
		{Sel: "x/users/sip:a@example.com/index", PreviousETag: `"1"`, NewETag: `"2"`, Edits: edits(t, a, b)},
		{Sel: "x/global/index", PreviousETag: "1", NewETag: "2", Edits: edits(t, a, a)},
		{Sel: "x/global/same", PreviousETag: "1", NewETag: "2", BodyNotChanged: true},
		{Sel: "x/global/large", PreviousETag: "1", NewETag: "2"},
		{Sel: "x/global/new", NewETag: "2", Edits: edits(t, a, b)},
		{Sel: "x/global/gone", PreviousETag: "1"},
	}, Elements: []Node{{Sel: "x/global/index/~~/a/b", Content: []byte("<b/>")}, {Sel: "x/global/index/~~/a/c", Missing: true}, {Sel: "x/global/index/~~/a/d"}},
		Attributes: []Node{{Sel: "x/global/index/~~/a/@b", Value: "<&\n>"}, {Sel: "x/global/index/~~/a/@c", Missing: true}}}
	src := d.Bytes()
	valid(t, src)
	back := parse(t, string(src))
	for i, want := range []Action{Patch, Retag, Retag, Fetch, Exist, Remove} {
		c := back.Changes[i]
		if c.Action() != want || c.Sel != d.Changes[i].Sel || c.PreviousETag != d.Changes[i].PreviousETag || c.NewETag != d.Changes[i].NewETag {
			t.Errorf("%+v, expected %v", c, want)
		}
	}
	c := Cached{ETag: `"1"`, Doc: []byte(a)}
	if _, err := c.Take(&back.Changes[0]); err != nil || string(c.Doc) != b {
		t.Errorf("got %s, %v", c.Doc, err)
	}
	t.Run("XPATCH-078 no operations without the entity-tag before", func(t *testing.T) {
		if n := len(back.Changes[4].Operations()); n != 0 {
			t.Errorf("%d operations", n)
		}
	})
	t.Run("XPATCH-082 elements with their content, missing and not shown", func(t *testing.T) {
		e := back.Elements
		if len(e) != 3 || string(e[0].Content) != `<b/>` || e[0].Missing || !e[1].Missing || e[1].Content != nil || e[2].Missing || e[2].Content != nil {
			t.Errorf("got %s: %+v", src, e)
		}
	})
	t.Run("XPATCH-083 attributes with their value, and missing", func(t *testing.T) {
		if got := back.Attributes; len(got) != 2 || got[0].Value != "<&\n>" || got[0].Missing || !got[1].Missing {
			t.Errorf("got %s: %+v", src, got)
		}
	})
}

func TestShow(t *testing.T) {
	const src = `<r xmlns="u:1" xmlns:q="u:q"><l n="a b"><q:e xmlns:z="u:z" q:k="1"><f/></q:e></l><l n="c"/></r>`
	doc := parseTree(t, src)
	ns := selector.Prefixes{"": "u:1", "w": "u:q", "x": "u:(x)"}
	show := func(t *testing.T, sel string) Node {
		t.Helper()
		n, _, err := Show("au/users/sip:a@example.com/index", sel, ns, doc, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("XPATCH-082 sel is percent-encoded", func(t *testing.T) {
		n := show(t, `r/l[@n="a b"]/w:e`)
		if want := "au/users/sip:a@example.com/index/~~/r/l%5B@n=%22a%20b%22%5D/w:e?xmlns(w=u:q)"; n.Sel != want {
			t.Errorf("got %s", n.Sel)
		}
		if n.Document() != "au/users/sip:a@example.com/index" {
			t.Errorf("document %s", n.Document())
		}
	})
	t.Run("XPATCH-086 content is as in its document, with all declarations", func(t *testing.T) {
		n := show(t, `r/l[1]/w:e`)
		if want := `<q:e xmlns="u:1" xmlns:q="u:q" xmlns:z="u:z" q:k="1"><f/></q:e>`; string(n.Content) != want {
			t.Errorf("got %s", n.Content)
		}
		d := Document{Root: "http://x/", Elements: []Node{n}}
		back := parse(t, string(d.Bytes())).Elements[0]
		e := parseTree(t, string(back.Content)).Root()
		if uri, _ := e.LookupPrefix("z"); !e.Is("u:q", "e") || uri != "u:z" || !e.Element("u:1", "f").Valid() {
			t.Errorf("got %s", back.Content)
		}
	})
	t.Run("XPATCH-084 sel is for one node", func(t *testing.T) {
		for sel, exists := range map[string]bool{"r": true, "r/l[1]": true, "r/l[@n='c']": true, "r/l[3]": false, "r/x": false, "r/l[1]/w:e/@w:k": true, "r/@no": false} {
			n := show(t, sel)
			found, err := n.Locate(doc, "u:1")
			if (err == nil) != exists || n.Missing == exists {
				t.Errorf("%s: %+v: %v", sel, n, err)
			}
			if a := found.Attr; a.Valid() && a.Value() != n.Value {
				t.Errorf("%s: %+v", sel, n)
			}
		}
		if _, _, err := Show("a", "r/l", ns, doc, 0); !errors.Is(err, ErrSeveral) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("XPATCH-082 what is too long is not shown", func(t *testing.T) {
		if n, _, err := Show("a", "r", ns, doc, 10); err != nil || n.Missing || n.Content != nil {
			t.Errorf("got %+v, %v", n, err)
		}
	})
	t.Run("XPATCH-083 attribute that is gone", func(t *testing.T) {
		n, attribute, err := Show("a", "r/@n", ns, doc, 0)
		if err != nil || !attribute || !n.Missing {
			t.Errorf("got %+v, %v", n, err)
		}
		if d := (&Document{Root: "http://x/", Attributes: []Node{n}}); !strings.Contains(string(d.Bytes()), `sel="a/~~/r/@n" exists="0"/>`) {
			t.Errorf("got %s", d.Bytes())
		}
	})
	if n, _, err := Show("a", "r", ns, nil, 0); err != nil || !n.Missing {
		t.Errorf("got %+v, %v", n, err)
	}
	if _, _, err := Show("a", "r/namespace::*", ns, doc, 0); err == nil {
		t.Error("bindings are shown")
	}
}

func TestNamespaces(t *testing.T) {
	t.Run("XPATCH-085 two sets of rules in one document", func(t *testing.T) {
		d := parse(t, `<d:xcap-diff xmlns:d="`+Space+`" xmlns="u:2" xcap-root="http://x/"><d:document sel="a" previous-etag="1" new-etag="2"><d:remove sel="r/l"/></d:document>
			<d:element sel="a/~~/r/l"/><d:element sel="a/~~/r/b:l?xmlns(b=u:2)"/></d:xcap-diff>`)
		doc := parseTree(t, `<r xmlns="u:1" xmlns:two="u:2"><l n="1"/><two:l n="2"/></r>`)
		for i, want := range []string{"1", "2"} {
			n, err := d.Elements[i].Locate(doc, "u:1")
			if v, _ := n.Node.Attr("", "n"); err != nil || v != want {
				t.Errorf("%s: %v, %v", d.Elements[i].Sel, v, err)
			}
		}
		// In the operation the name without a prefix is of the default namespace of the diff.
		both := Cached{ETag: "1", Doc: []byte(`<r xmlns="u:2" xmlns:one="u:1"><one:l/><l/></r>`)}
		if _, err := both.Take(&d.Changes[0]); err != nil || string(both.Doc) != `<r xmlns="u:2" xmlns:one="u:1"><one:l/></r>` {
			t.Errorf("got %s, %v", both.Doc, err)
		}
	})
	t.Run("queries", func(t *testing.T) {
		for query, want := range map[string]string{
			"?xmlns(a=u:1)xmlns(b=u:2)": "u:2", "?xmlns(b=u:%281%29)": "u:(1)", "?xmlns(b=u:^(1^^^))": "u:(1^)", "?xmlns(%62=x)%20": "x",
			"?xmlns(b=u": "", "?b=u": "", "?xmlns(=u)": "", "?xmlns(b)": "", "?%zz": "",
		} {
			n := Node{Sel: "a/~~/b:c" + query}
			ns, err := n.bindings()
			if ns["b"] != want || (err != nil) != (want == "") {
				t.Errorf("%s: %v, %v", query, ns, err)
			}
		}
	})
}

func TestView(t *testing.T) {
	d := parse(t, in(`<document sel="a" previous-etag="1" new-etag="2"><remove sel="*/*"/></document><document sel="b" previous-etag="1" new-etag="2"/>
		<document sel="c" previous-etag="1" new-etag="2"><body-not-changed/></document><document sel="d" new-etag="2"/><document sel="e" previous-etag="1"/>
		<element sel="a/~~/b"/><element sel="a/~~/c" exists="false"/><attribute sel="a/~~/@d">x</attribute>`))
	var b strings.Builder
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `http://xcap.example.com/
a has changed from 1 to 2
remove */*
b has changed, to be fetched from 1 to 2
c has another entity-tag only from 1 to 2
d exists to 2
e was removed from 1
a/~~/b is there
a/~~/c is not there
a/~~/@d is x
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	form, err := json.Marshal(d)
	if err != nil || !strings.HasPrefix(string(form), `{"xcap_root":"http://xcap.example.com/","documents":[{"sel":"a","action":"patch","previous_etag":"1","new_etag":"2","operations":[{"operation":"remove","sel":"*/*"}]},`) ||
		!strings.HasSuffix(string(form), `"elements":[{"sel":"a/~~/b","exists":true},{"sel":"a/~~/c","exists":false}],"attributes":[{"sel":"a/~~/@d","exists":true,"content":"x"}]}`) {
		t.Errorf("got %s, %v", form, err)
	}
}

// TestExamples reads the examples of RFC 5874 and writes those that have no operations anew.
func TestExamples(t *testing.T) {
	names, _ := filepath.Glob("../../../../shared/vectors/examples/rfc587[45]*.xml")
	if len(names) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	count := 0
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !parseTree(t, string(src)).Root().Is(Space, "xcap-diff") {
			continue
		}
		count++
		d := parse(t, string(src))
		again := d.Bytes()
		valid(t, again)
		back := parse(t, string(again))
		if len(back.Changes) != len(d.Changes) || len(back.Elements) != len(d.Elements) || len(back.Attributes) != len(d.Attributes) {
			t.Errorf("%s became %s", name, again)
		}
	}
	if count < 5 {
		t.Errorf("only %d examples", count)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(in(`<document sel="a" previous-etag="1" new-etag="2"><remove sel="*/*"/></document><element sel="a/~~/b?xmlns(c=d)"><o:b/></element><attribute sel="a/~~/@d">x</attribute>`), "<a><b/></a>")
	f.Add(in(`<document sel="c" previous-etag="1" new-etag="2"><body-not-changed/></document><document sel="d" new-etag="2"/>`), "<a/>")
	f.Fuzz(func(t *testing.T, src, doc string) {
		d, err := Parse([]byte(src))
		if err != nil {
			return
		}
		if _, err := Parse(d.Bytes()); err != nil {
			t.Fatalf("%s became %s: %v", src, d.Bytes(), err)
		}
		c := Cached{ETag: "1", Doc: []byte(doc)}
		for i := range d.Changes {
			_, _ = c.Take(&d.Changes[i])
		}
		if target, err := tree.Parse([]byte(doc), tree.Options{}); err == nil {
			for i := range d.Elements {
				_, _ = d.Elements[i].Locate(target, "")
			}
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
	})
}
