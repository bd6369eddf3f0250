package lists

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"imp/internal/xml/schematest"
	"imp/internal/xml/tree"
)

const head = `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:cp="urn:ietf:params:xml:ns:copycontrol" xmlns:x="urn:x">`

func in(s string) string { return head + "\n" + s + "</resource-lists>" }

func mustParse(t testing.TB, src string) *Document {
	t.Helper()
	d, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return d
}

func sample() *Document {
	three := uint64(3)
	return &Document{Lists: []List{{Name: "friends", Display: &Name{"Friends <&>", "en"}, Items: []Item{
		{Kind: Entry, URI: "sip:bob@example.com", Display: &Name{"Bob", ""}, Copy: To, Anonymize: true, Count: &three, Attrs: []Attr{{"urn:x", "a", "1"}},
			Extensions: []Raw{{"urn:x", "e", `<x:e xmlns:x="urn:x">1</x:e>`}}},
		{Kind: Nested, List: &List{Name: "near", Items: []Item{{Kind: Entry, URI: "sip:carol@example.com"}, {Kind: Entry, URI: "sip:bob@example.com"}}}},
		{Kind: EntryRef, URI: "resource-lists/users/sip:a@b/index/~~/resource-lists/list%5b1%5d/entry"},
		{Kind: External, URI: "http://xcap.example.com/resource-lists/users/a/index/~~/resource-lists/list", Display: &Name{"More", "de"}},
		{Kind: Entry, URI: "mailto:dave@example.com"},
	}, Extensions: []Raw{{"urn:y", "f", `<f xmlns="urn:y"/>`}}}, {}}}
}

func services() *Services {
	return &Services{Services: []Service{
		{URI: "sip:f@example.com", ResourceList: "http://xcap.example.com/resource-lists/users/a/index/~~/resource-lists/list", Packages: []string{"presence"}},
		{URI: "sip:g@example.com", List: &sample().Lists[0], Packages: []string{}, Attrs: []Attr{{tree.XMLSpace, "base", "http://a/"}}},
		{URI: "sip:h@example.com", List: &List{}, Extensions: []Raw{{"urn:y", "f", `<f xmlns="urn:y"/>`}}},
	}}
}

func TestRoundTrip(t *testing.T) {
	t.Run("XUSE-004 XUSE-011 LIST-045 lists keep all that they have", func(t *testing.T) {
		want := sample()
		if got := mustParse(t, string(want.Bytes())); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v\n%s", got, want, want.Bytes())
		}
		schematest.MustBeValid(t, "bundle-lists.xsd", want.Bytes())
	})
	t.Run("XUSE-017 services have a list of their own namespace with content of the other", func(t *testing.T) {
		want := services()
		got, err := ParseServices(want.Bytes())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v\nwant %+v\n%s", err, got, want, want.Bytes())
		}
		schematest.MustBeValid(t, "bundle-lists.xsd", want.Bytes())
	})
	t.Run("XUSE-053 extensions keep their namespaces", func(t *testing.T) {
		d := mustParse(t, in(`<list xmlns:z="urn:z"><x:a z:b="1"><y:c xmlns:y="urn:y"/><d xmlns=""/><entry/></x:a></list>`))
		raw := d.Lists[0].Extensions[0]
		want := `<x:a xmlns:x="urn:x" xmlns:z="urn:z" xmlns="urn:ietf:params:xml:ns:resource-lists" z:b="1"><y:c xmlns:y="urn:y"/><d xmlns=""/><entry/></x:a>`
		if raw.Space != "urn:x" || raw.Local != "a" || len(raw.XML) != len(want) {
			t.Errorf("got %+v\nwant %s", raw, want)
		}
		again := mustParse(t, string(d.Bytes()))
		if !reflect.DeepEqual(again, d) {
			t.Errorf("got %+v\nwant %+v", again, d)
		}
	})
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"XUSE-002 a child in no namespace", in(`<list xmlns=""/>`), "2:1: "},
		{"XUSE-003 display-name behind an entry", in(`<list><entry uri="a:b"/><display-name/></list>`), "2:25: "},
		{"XUSE-003 a foreign element before an entry", in(`<list><x:a/><entry uri="a:b"/></list>`), "2:13: "},
		{"XUSE-006 no uri", in(`<list><entry/></list>`), "2:7: "},
		{"another role", in(`<list><entry uri="a:b" cp:copyControl="copy"/></list>`), "2:"},
		{"a count of 65 bits", in(`<list><entry uri="a:b" cp:count="18446744073709551616"/></list>`), "2:24: count is"},
		{"a long namespace name", in(`<list xmlns:l="urn:` + strings.Repeat("l", 300) + `"><l:a/></list>`), "the namespace name of l:a is longer"},
		{"another root", `<list xmlns="urn:ietf:params:xml:ns:resource-lists"/>`, "1:1: the root is {urn:ietf:params:xml:ns:resource-lists}list"},
		{"not well-formed", "<list>\n<", "2:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.doc))
			var at *Error
			if !errors.As(err, &at) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	for _, c := range []struct{ name, service string }{
		{"XUSE-016 RLS-071 both", `<resource-list>http://a/b</resource-list><list/>`},
		{"XUSE-016 RLS-071 none", ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseServices([]byte(`<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="a:b">` + c.service + `</service></rls-services>`)); err == nil {
				t.Error("it is taken")
			}
		})
	}
}

func TestForeignEntry(t *testing.T) {
	t.Run("XUSE-017 an entry of the wrong namespace is none", func(t *testing.T) {
		d, err := ParseServices([]byte(`<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="a:b"><list><entry uri="a:b"/></list></service></rls-services>`))
		if err == nil && (len(d.Services[0].List.Items) > 0 || len(d.Services[0].List.Extensions) != 1) {
			t.Errorf("%+v", d)
		}
	})
}

func TestFlatten(t *testing.T) {
	uris := func(items []*Item) (list []string) {
		for _, it := range items {
			list = append(list, it.URI)
		}
		return list
	}
	entries, references := sample().Lists[0].Flatten()
	t.Run("RLS-026 each entry once, if it can be subscribed to", func(t *testing.T) {
		if got := uris(entries); !reflect.DeepEqual(got, []string{"sip:bob@example.com", "sip:carol@example.com"}) {
			t.Error(got)
		}
		l := List{Items: []Item{{URI: "sip:A@b"}, {URI: "sip:a@b"}, {URI: "PRES:a@b"}, {URI: "sips:a@b"}, {URI: "tel:1"}, {URI: "sip"}}}
		entries, _ := l.Flatten()
		if got := uris(entries); !reflect.DeepEqual(got, []string{"sip:A@b", "sip:a@b", "PRES:a@b", "sips:a@b"}) {
			t.Error(got)
		}
	})
	t.Run("RLS-027 RLS-028 references are told apart", func(t *testing.T) {
		if len(references) != 2 || references[0].Kind != EntryRef || references[1].Kind != External {
			t.Errorf("%+v", references)
		}
	})
	t.Run("RLS-029 nested lists are walked in order", func(t *testing.T) {
		var seen []string
		l := sample().Lists[0]
		l.Walk(func(it *Item) bool { seen = append(seen, it.Kind.String()); return len(seen) < 5 })
		if got := strings.Join(seen, " "); got != "entry list entry entry entry-ref" {
			t.Error(got)
		}
	})
	t.Run("RLS-024 XUSE-018 packages", func(t *testing.T) {
		s := services().Services
		if !s[0].Allows("presence") || s[0].Allows("dialog") || s[1].Allows("presence") || !s[2].Allows("dialog") {
			t.Error("wrong package")
		}
	})
}

func TestCheck(t *testing.T) {
	check := func(t *testing.T, doc string, want ...string) {
		t.Helper()
		d, err := tree.Parse([]byte(doc), tree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range Check(d) {
			kind := "constraint"
			if p.Unique {
				kind = "unique"
			}
			got = append(got, fmt.Sprintf("%d:%d %s %s", p.Line, p.Col, kind, p.Attr))
			if !strings.HasPrefix(p.Error(), fmt.Sprintf("%d:%d: ", p.Line, p.Col)) {
				t.Error(p.Error())
			}
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("got %q, want %q\n%s", got, want, doc)
		}
	}
	check(t, string(sample().Bytes()))
	check(t, string(services().Bytes()))
	t.Run("XUSE-005 names of lists", func(t *testing.T) {
		check(t, in(`<list name="a"/><list name="A"/><list/><list/><list><list name="a"/></list>`))
		check(t, in(`<list name="a"/><list name="a"/>`), "2:23 unique name")
	})
	t.Run("XUSE-006 URIs of entries", func(t *testing.T) {
		check(t, in(`<list><entry uri="sip:Bob@x"/><entry uri="sip:bob@x"/></list><list><entry uri="sip:bob@x"/></list>`))
		check(t, in(`<list><entry uri="sip:bob@x"/><list/><entry uri="sip:bob@x"/></list>`), "2:45 unique uri")
	})
	t.Run("XUSE-007 refs", func(t *testing.T) {
		check(t, in(`<list><entry-ref ref="/a"/><entry-ref ref="http:a"/><entry-ref ref="a/b:c"/><entry-ref ref="a/b:c"/></list>`),
			"2:18 constraint ref", "2:39 constraint ref", "2:88 unique ref")
		for _, ref := range []string{"a b", "?a", "#a", "a#b", "a/%zz", "a%2", "a/~~/*/list[1]", "a/\u00e9", "a?b c", "a\\b", "a|b", "a^b"} {
			check(t, in(`<list><entry-ref ref="`+ref+`"/></list>`), "2:18 constraint ref")
		}
		for _, ref := range []string{"a%20b", "a/\n  b\n  c", "a/~~/p:x/list%5B@name=%22a%22%5d?xmlns(p=http://a/?b)", "a/-._~!$&amp;'()*+,;=:@/Z9"} {
			check(t, in(`<list><entry-ref ref="`+ref+`"/></list>`))
		}
	})
	t.Run("XUSE-008 anchors", func(t *testing.T) {
		check(t, in(`<list><external/><external anchor="a"/><external anchor="https://a/b"/><external anchor="https://a/b"/></list>`),
			"2:7 constraint anchor", "2:28 constraint anchor", "2:82 unique anchor")
		for _, anchor := range []string{"http://x/a b", "http://x y/a", "http://x/a#b", "http://x#b", "http://x/list[1]", "http://x/%4", "http://x/a?b c", "http://x/&quot;", "http://x/\u00e9"} {
			check(t, in(`<list><external anchor="`+anchor+`"/></list>`), "2:17 constraint anchor")
		}
		for _, anchor := range []string{"http://x", "HTTP://x?a", " http://[::1]:80/a%20b ", "https://u@x/a/~~/p:x/list%5B1%5D?xmlns(p=a)"} {
			check(t, in(`<list><external anchor="`+anchor+`"/></list>`))
		}
	})
	const services = `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:r="urn:ietf:params:xml:ns:resource-lists">` + "\n"
	t.Run("XUSE-019 services", func(t *testing.T) {
		check(t, services+`<service uri="a:b"><list/></service><service uri="a:b"><list/></service></rls-services>`, "2:46 unique uri")
	})
	t.Run("XUSE-016 the URI of a service is one that can be subscribed to", func(t *testing.T) {
		for _, uri := range []string{"", ":a", "friends", "friends@example.com", "/a/b", "sip:", "sip:@x", "sip:a@", "sip:a b@x", "sip:a@b@x", "sips:;lr", "pres:a@;x", "1:a", "a b:c", "sip:%zz@x", "sip:\u00e9@x", "sip:a@x#y", "sip:a  b@x"} {
			check(t, services+`<service uri="`+uri+`"><list/></service></rls-services>`, "2:10 constraint uri")
		}
		for _, uri := range []string{"sip:friends@example.com", " SIP:a%20b@EXAMPLE.com;x=y?Subject=z ", "sips:x", "sip:a:b@[::1]:5060", "pres:a@b", "im:a@b", "tel:+1-2", "urn:x:y"} {
			check(t, services+`<service uri="`+uri+`"><list/></service></rls-services>`)
		}
	})
	t.Run("XUSE-021 resource-list", func(t *testing.T) {
		check(t, services+`<service uri="a:b"><resource-list>a/b</resource-list></service></rls-services>`, "2:20 constraint ")
	})
	t.Run("XUSE-022 lists in services", func(t *testing.T) {
		check(t, services+`<service uri="a:b"><list><r:entry uri="a:b"/><r:entry uri="a:b"/></list></service></rls-services>`, "2:55 unique uri")
	})
	t.Run("the number of problems is bounded", func(t *testing.T) {
		d, err := tree.Parse([]byte(in("<list>"+strings.Repeat(`<external/>`, 200)+"</list>")), tree.Options{})
		if err != nil || len(Check(d)) != MaxProblems {
			t.Error(err, len(Check(d)))
		}
	})
}

func TestExamples(t *testing.T) {
	var docs [][]byte
	for file, src := range schematest.Valid(t, "resource-lists") {
		d, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		again, err := Parse(d.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), d.Bytes()) {
			t.Errorf("%s: %v\n%s", file, err, d.Bytes())
		}
		docs = append(docs, d.Bytes())
	}
	for file, src := range schematest.Valid(t, "rls-services") {
		d, err := ParseServices(src)
		if err != nil || len(d.Services) == 0 {
			t.Errorf("%s: %v", file, err)
			continue
		}
		docs = append(docs, d.Bytes())
	}
	schematest.MustBeValid(t, "bundle-lists.xsd", docs...)
}

// random makes lists of values that are hard to write.
func random(r *rand.Rand, depth int) List {
	texts := []string{"", "a", "a b", "%", "%4", "%41", "a#b#c", "sip:a@b;x=y?z=%20", "1:2", "ü\u0001\xff", "<&>\"'", "]]>", "a[b", "\r\n\t", "\uFFFE", "en", "to"}
	text := func() string { return texts[r.IntN(len(texts))] }
	l := List{Name: text()}
	if r.IntN(2) == 0 {
		l.Display = &Name{text(), text()}
	}
	if r.IntN(3) == 0 {
		l.Attrs = []Attr{{"urn:x", "a", text()}, {"urn:y", "a", text()}}
		l.Extensions = []Raw{{"urn:y", "f", `<f xmlns="urn:y"/>`}}
	}
	for range r.IntN(5) {
		it := Item{Kind: Kind(r.IntN(5)), URI: text(), Copy: Copy(text()), Anonymize: r.IntN(2) == 0, Attrs: l.Attrs, Extensions: l.Extensions, Display: l.Display}
		if n := r.Uint64(); n%2 == 0 {
			it.Count = &n
		}
		if it.Kind == Nested && depth < 4 {
			nested := random(r, depth+1)
			it.List = &nested
		}
		l.Items = append(l.Items, it)
	}
	return l
}

func TestBytes(t *testing.T) {
	t.Run("XUSE-002 XUSE-016 whatever is written is valid", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		docs := [][]byte{(&Document{}).Bytes(), (&Services{}).Bytes()}
		for range 200 {
			l := random(r, 0)
			docs = append(docs, (&Document{Lists: []List{l, random(r, 1)}}).Bytes(),
				(&Services{Services: []Service{{URI: l.Name, List: &l, Packages: []string{l.Name}, Extensions: l.Extensions}, {URI: "a", ResourceList: "%"}, {}}}).Bytes())
		}
		schematest.MustBeValid(t, "bundle-lists.xsd", docs...)
	})
}

func TestShown(t *testing.T) {
	var b bytes.Buffer
	d := sample()
	d.Lists[0].Items[4].URI = "\x1b[2J"
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if err := services().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"list  friends  \"Friends <&>\" [en]\n  entry  sip:bob@example.com  \"Bob\"  to  anonymous  3 recipients\n    extension {urn:x}e\n  list  near\n    entry  sip:carol@example.com\n",
		"  entry  \uFFFD[2J\n", "service  sip:f@example.com  packages presence\n  list  http://", "service  sip:h@example.com  any package\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nis not in\n%s", want, b.String())
		}
	}
	text, err := json.Marshal(sample())
	var back Document
	if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(&back, sample()) {
		t.Errorf("%v: %s", err, text)
	}
	if text, err = json.Marshal(services()); err != nil || !strings.Contains(string(text), `"packages":null`) {
		t.Errorf("%v: %s", err, text)
	}
}

// FuzzParse: whatever is read can be checked, flattened and shown, and is written so that it is read as it was.
func FuzzParse(f *testing.F) {
	f.Add(sample().Bytes())
	f.Add(services().Bytes())
	f.Add([]byte(in(`<list name="" xmlns:z="urn:z" xsi:a="b" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><x:a z:b="1"><d xmlns=""/><entry/></x:a></list>`)))
	f.Fuzz(func(t *testing.T, src []byte) {
		if d, err := Parse(src); err == nil {
			if err := d.WriteText(&bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
			for i := range d.Lists {
				d.Lists[i].Flatten()
			}
			doc := d.Bytes()
			if back, err := Parse(doc); err != nil || !bytes.Equal(doc, back.Bytes()) {
				t.Fatalf("%v\n%s", err, doc)
			}
		}
		if d, err := ParseServices(src); err == nil {
			doc := d.Bytes()
			if back, err := ParseServices(doc); err != nil || !bytes.Equal(doc, back.Bytes()) {
				t.Fatalf("%v\n%s", err, doc)
			}
		}
		if d, err := tree.Parse(src, limits); err == nil {
			Check(d)
		}
	})
}
