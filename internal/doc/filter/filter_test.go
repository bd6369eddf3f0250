package filter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/xml/grammar"
	"imp/internal/xml/tree"
)

const doc = `<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:kim@lab.test">
  <tuple id="desk">
    <status><basic>open</basic></status>
    <r:class>IM</r:class>
    <contact priority="0.8">sip:kim@desk.lab.test</contact>
    <note>at the desk</note>
  </tuple>
  <tuple id="phone">
    <status><basic>closed</basic></status>
    <r:class>SMS</r:class>
    <contact>tel:+4912345</contact>
  </tuple>
  <note>back at two</note>
  <dm:person id="p1"><r:mood><r:happy/></r:mood></dm:person>
</presence>
`

const bindings = `<ns-bindings><ns-binding prefix="p" urn="urn:ietf:params:xml:ns:pidf"/><ns-binding prefix="r" urn="urn:ietf:params:xml:ns:pidf:rpid"/>` +
	`<ns-binding prefix="dm" urn="urn:ietf:params:xml:ns:pidf:data-model"/><ns-binding prefix="w" urn="urn:ietf:params:xml:ns:watcherinfo"/></ns-bindings>`

// set makes a document of filters.
func set(filters string) []byte {
	return []byte(`<filter-set xmlns="urn:ietf:params:xml:ns:simple-filter" package="presence">` + bindings + filters + `</filter-set>`)
}

// one reads a set with one filter of this content.
func one(t *testing.T, content string) *Filter {
	t.Helper()
	s, err := Parse(set(`<filter id="1">` + content + `</filter>`))
	if err != nil {
		t.Fatal(err)
	}
	return &s.Filters[0]
}

func apply(t *testing.T, f *Filter, doc string) string {
	t.Helper()
	out, err := f.Apply([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if out == nil {
		return ""
	}
	tr, err := tree.Parse(out, tree.Options{})
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	root := tr.Root()
	if g, ok := grammar.For(root.Space(), root.Local()); ok {
		if problems := g.Check(tr); len(problems) > 0 {
			t.Errorf("FLT-037 the result is not valid: %v in\n%s", problems[0], out)
		}
	}
	return string(out)
}

// holds tells which of the words must be in s and which, marked with "-", must not.
func holds(t *testing.T, s string, words ...string) {
	t.Helper()
	for _, w := range words {
		if absent, ok := strings.CutPrefix(w, "-"); ok == strings.Contains(s, strings.TrimPrefix(w, "-")) {
			t.Errorf("%q is there: %v, in\n%s", absent, ok, s)
		}
	}
}

func TestDocuments(t *testing.T) {
	refused := func(name, want string, src []byte) {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(src); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	include := `<what><include>/p:presence/p:note</include></what>`
	refused("FLT-001 another namespace", "not the filter-set", []byte(`<filter-set><filter id="1"/></filter-set>`))
	refused("FLT-001 not well-formed", "", []byte(`<filter-set`))
	refused("FLT-002 no filter", "filter", set(""))
	refused("FLT-003 two of one id", "second filter with the id", set(`<filter id="1">`+include+`</filter><filter id="1" uri="sip:a@lab.test">`+include+`</filter>`))
	refused("FLT-003 uri and domain", "a uri and a domain", set(`<filter id="1" uri="sip:a@lab.test" domain="lab.test">`+include+`</filter>`))
	refused("FLT-004 a filter of nothing", "neither what nor trigger", set(`<filter id="1"/>`))
	refused("FLT-019 two for one resource", "second filter for the same resource", set(`<filter id="1" uri="sip:a@lab.test">`+include+`</filter><filter id="2" uri="sip:a@lab.test">`+include+`</filter>`))
	refused("FLT-041 an empty what is none", "neither what nor trigger", set(`<filter id="1"><what/></filter>`))
	refused("FLT-041 an empty trigger is none", "neither what nor trigger", set(`<filter id="1"><trigger/></filter>`))
	refused("FLT-043 too many", "more than 40", set(`<filter id="1"><what>`+strings.Repeat(`<include>//p:note</include>`, 41)+`</what></filter>`))

	t.Run("FLT-004 only enabled or remove", func(t *testing.T) {
		s, err := Parse(set(`<filter id="1" enabled="0"/><filter id="2" uri="sip:a@lab.test" remove="true"/>`))
		if err != nil || s.Filters[0].Enabled || !s.Filters[1].Remove || s.Filters[0].Remove || !s.Filters[1].Enabled {
			t.Errorf("%+v, %v", s, err)
		}
	})
	t.Run("FLT-005 defaults", func(t *testing.T) {
		f := one(t, include)
		if !f.Enabled || f.Remove || f.What[0].Path != "/p:presence/p:note" || f.What[0].Namespace != "" {
			t.Errorf("%+v", f)
		}
	})
	t.Run("FLT-017 extensions are ignored", func(t *testing.T) {
		s, err := Parse(set(`<filter id="1" x:a="b" xmlns:x="urn:x"><what><include>//p:note</include><x:e/></what><trigger><changed>//p:basic</changed><x:e/></trigger><x:e/></filter>`))
		if err != nil || len(s.Filters[0].What) != 1 || len(s.Filters[0].Triggers) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestExpressions(t *testing.T) {
	select_ := func(name, path string, want int) {
		t.Run(name, func(t *testing.T) {
			f := one(t, `<what><include>`+strings.NewReplacer("<", "&lt;", "&", "&amp;").Replace(path)+`</include></what>`)
			if f.What[0].Err != "" {
				t.Fatal(f.What[0].Err)
			}
			tr, err := tree.Parse([]byte(doc), tree.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(f.What[0].selection.evaluate(tr)); got != want {
				t.Errorf("%s finds %d, want %d", path, got, want)
			}
		})
	}
	select_("FLT-012 from the root", "/p:presence/p:tuple", 2)
	select_("FLT-013 several nodes", "//p:note", 2)
	select_("FLT-012 anywhere inside", "/p:presence//p:basic", 2)
	select_("FLT-012 any name", "/*/p:tuple/*", 7)
	select_("FLT-012 a condition at the end", `//p:tuple[@id="desk"]`, 1)
	select_("FLT-012 a condition in the middle", `/p:presence/p:tuple[r:class="IM" or r:class="SMS"]/p:status/p:basic`, 2)
	select_("FLT-012 and binds before or", `//p:tuple[@id="none" and r:class="IM" or r:class="SMS"]`, 1)
	select_("FLT-012 the element itself", `//p:basic[.="open"]`, 1)
	select_("FLT-012 the parent", `//p:basic[../../r:class="SMS"]`, 1)
	select_("FLT-012 a number", `//p:contact[@priority > 0.5]`, 1)
	select_("FLT-012 a lower number", `//p:contact[@priority<0.5]`, 0)
	select_("FLT-012 an attribute", "//p:tuple/@id", 2)
	select_("FLT-012 any attribute anywhere", "//@*", 5)
	select_("FLT-014 no prefix is no namespace", "/presence/tuple", 0)
	select_("FLT-015 wrapped over lines", "\n /p:presence/\n   p:tuple[ @id = 'desk' ]\n", 1)

	for _, path := range []string{"", "note", "p:note", "/", "//", "/x:note", "//p:tuple[", "//p:tuple[@id]", "//p:tuple[@id=desk]", "//p:tuple[@id='a' or]", "//p:tuple[@id='a'][@id='b']",
		"//p:tuple[position()=1]", "//p:tuple[1]", "count(//p:note)", "//p:note | //p:tuple", "//p:tuple/@id/p:x", "//p:tuple[@id<'a']", "//p:a:b", "/..", "//p:tuple[@id='a]", "/@id", "//p:tuple[@id='a' xor @id='b']", "//p:tuple[@id='a' and@id='b' orr:class='c']"} {
		t.Run("FLT-012 refused "+path, func(t *testing.T) {
			if s, err := compile(strings.TrimSpace(path), map[string]string{"p": "urn:p", "r": "urn:r"}); err == nil {
				t.Errorf("%q is taken as %+v", path, s)
			}
		})
	}
	t.Run("FLT-054 no condition in a reference", func(t *testing.T) {
		f := one(t, `<trigger><changed>//p:tuple[@id="desk"]</changed></trigger>`)
		if len(f.Errors()) != 1 || !strings.Contains(f.Errors()[0], "brackets") {
			t.Errorf("%q", f.Errors())
		}
	})
	t.Run("FLT-012 a wrong expression alone is ignored", func(t *testing.T) {
		f := one(t, `<what><include>/x:y</include><include>/p:presence/p:note</include></what>`)
		holds(t, apply(t, f, doc), "back at two", "-desk")
		if len(f.Errors()) != 1 {
			t.Errorf("%q", f.Errors())
		}
	})
}

func TestContent(t *testing.T) {
	what := func(name, picks string, words ...string) {
		t.Run(name, func(t *testing.T) { holds(t, apply(t, one(t, `<what>`+picks+`</what>`), doc), words...) })
	}
	what("FLT-006 includes add up", `<include>/p:presence/p:note</include><include>//r:mood</include>`, "back at two", "<r:happy/>", `id="p1"`, "-<tuple", "-at the desk")
	what("FLT-006 exclude takes children along", `<include>/p:presence/*</include><exclude>//dm:person</exclude><exclude>//p:note</exclude>`, `id="desk"`, "<contact", "-at the desk", "-back at two", "-person", "-happy")
	what("FLT-006 exclude alone takes from all", `<exclude>//p:note</exclude>`, "<r:mood>", "<basic>open", "-at the desk", "-back at two")
	what("FLT-007 a namespace", `<include type="namespace">urn:ietf:params:xml:ns:pidf</include>`, "<basic>open", "at the desk", `priority="0.8"`, "-r:class", "-dm:person")
	what("FLT-007 a namespace taken away", `<exclude type="namespace">urn:ietf:params:xml:ns:pidf:rpid</exclude>`, "at the desk", "<dm:person", "-r:class", "-mood")
	what("FLT-037 ancestors and what is mandatory come along", `<include>//p:tuple/p:contact</include>`, `entity="sip:kim@lab.test"`, `id="desk"`, "<status><basic>", "<contact", "-class", "-note")
	what("FLT-037 an attribute brings its element", `<include>//p:contact/@priority</include>`, `priority="0.8"`, "sip:kim@desk", `id="desk"`, "-tel:", "-class")
	what("FLT-037 what is mandatory is not excluded", `<exclude>//p:tuple/@id</exclude><exclude>/p:presence/@entity</exclude><exclude>//p:status</exclude>`, `id="desk"`, `entity=`, "<status><basic>")
	what("FLT-038 prefixes are declared", `<include>//r:mood</include>`, `xmlns:r="urn:ietf:params:xml:ns:pidf:rpid"`)

	t.Run("FLT-036 nothing selected is no content", func(t *testing.T) {
		if out := apply(t, one(t, `<what><include>//p:extra</include></what>`), doc); out != "" {
			t.Errorf("got %s", out)
		}
	})
	t.Run("FLT-042 disabled is no filter", func(t *testing.T) {
		s, err := Parse(set(`<filter id="1" enabled="false"><what><include>//p:extra</include></what></filter>`))
		if err != nil {
			t.Fatal(err)
		}
		if out := apply(t, &s.Filters[0], doc); out != doc {
			t.Errorf("got %s", out)
		}
	})
	t.Run("FLT-037 watchers keep their mandatory attributes", func(t *testing.T) {
		winfo := `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="0" state="full"><watcher-list resource="sip:kim@lab.test" package="presence">` +
			`<watcher id="a" status="pending" event="subscribe" duration-subscribed="700" display-name="A">sip:a@lab.test</watcher>` +
			`<watcher id="b" status="active" event="approved" duration-subscribed="30">sip:b@lab.test</watcher></watcher-list></watcherinfo>`
		f := one(t, `<what><include>//w:watcher[@duration-subscribed &gt; 500]/@status</include></what>`)
		holds(t, apply(t, f, winfo), `id="a"`, `status="pending"`, `event="subscribe"`, "sip:a@lab.test", `version="0"`, `resource=`, "-display-name", "-duration", "-sip:b")
	})
}

func TestTriggers(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(doc, from, to, 1) }
	fires := func(name, triggers, before, after string, want bool) {
		t.Run(name, func(t *testing.T) {
			got, err := one(t, triggers).Fires([]byte(before), []byte(after))
			if err != nil || got != want {
				t.Errorf("fires %v, %v, want %v", got, err, want)
			}
		})
	}
	opened := change("closed", "open")
	basic := `<trigger><changed>//p:basic</changed></trigger>`
	fires("FLT-009 a value changed", basic, doc, opened, true)
	fires("FLT-009 another did", basic, doc, change("back at two", "back at three"), false)
	fires("FLT-009 an element that is new has not changed", `<trigger><changed>//p:contact</changed></trigger>`, change(`<contact>tel:+4912345</contact>`, ""), doc, false)
	fires("FLT-009 the order of tuples is no change", basic, doc, strings.NewReplacer(`"desk"`, `"phone"`, `"phone"`, `"desk"`, ">open", ">closed", ">closed", ">open").Replace(doc), false)
	fires("FLT-010 from and to", `<trigger><changed from="closed" to="open">//p:basic</changed></trigger>`, doc, opened, true)
	fires("FLT-010 the other way", `<trigger><changed from="closed" to="open">//p:basic</changed></trigger>`, opened, doc, false)
	fires("FLT-016 letters count", `<trigger><changed from="CLOSED" to="OPEN">//p:basic</changed></trigger>`, doc, opened, false)
	fires("FLT-008 triggers are alternatives", `<trigger><changed>//p:none</changed></trigger>`+basic, doc, opened, true)
	fires("FLT-008 a trigger wants all", `<trigger><changed>//p:basic</changed><added>//p:none</added></trigger>`, doc, opened, false)
	fires("FLT-011 added", `<trigger><added>//p:contact</added></trigger>`, change(`<contact>tel:+4912345</contact>`, ""), doc, true)
	fires("FLT-011 nothing added", `<trigger><added>//p:contact</added></trigger>`, doc, opened, false)
	fires("FLT-011 removed", `<trigger><removed>//p:tuple</removed></trigger>`, doc, change(doc[strings.Index(doc, `  <tuple id="phone">`):strings.Index(doc, "  <note>back")], ""), true)
	fires("FLT-034 no trigger: every change", `<what><include>//p:note</include></what>`, doc, opened, true)
	fires("FLT-034 no trigger and no change", `<what><include>//p:note</include></what>`, doc, doc, false)

	number := func(n string) string { return `<m xmlns="urn:m"><v id="a">` + n + `</v></m>` }
	by := func(attrs string) string { return `<trigger><changed ` + attrs + `>//*</changed></trigger>` }
	for to, want := range map[string]bool{"8": true, "9.5": true, "4": true, "7": false, "5": false, "many": false} {
		fires("FLT-010 6 by 2 to "+to, by(`by="2"`), number("6"), number(to), want)
	}
	fires("FLT-010 by with from", by(`by="2" from="6.0"`), number("6"), number("8"), true)
	fires("FLT-010 by with another to", by(`by="2" to="9"`), number("6"), number("8"), false)
}

// TestVectors reads the filters that the RFCs print.
func TestVectors(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "..", "shared", "vectors", "examples")
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var all []struct {
		File, Kind string
		Valid      bool
	}
	if err := json.Unmarshal(index, &all); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		src, err := os.ReadFile(filepath.Join(dir, e.File))
		if err != nil || !strings.HasSuffix(e.File, ".xml") || !strings.Contains(string(src), "<filter-set") {
			continue
		}
		n++
		if _, err := Parse(src); (err == nil) != e.Valid {
			t.Errorf("%s: %v, the index says valid: %v", e.File, err, e.Valid)
		}
	}
	if n < 6 {
		t.Errorf("only %d filters", n)
	}
}

// FuzzFilter demands that content which a filter leaves is well-formed, and that an unchanged document never fires.
func FuzzFilter(f *testing.F) {
	f.Add(string(set(`<filter id="1"><what><include>//p:tuple[@id="desk"]</include><exclude type="namespace">urn:ietf:params:xml:ns:pidf:rpid</exclude></what><trigger><changed by="1">//@priority</changed><added>//p:note</added></trigger></filter>`)), doc)
	f.Add(string(set(`<filter id="1"><what><exclude>//@*</exclude></what></filter>`)), doc)
	f.Fuzz(func(t *testing.T, filters, doc string) {
		s, err := Parse([]byte(filters))
		if err != nil {
			return
		}
		for i := range s.Filters {
			out, err := s.Filters[i].Apply([]byte(doc))
			if err != nil {
				continue
			}
			if out != nil {
				if _, err := tree.Parse(out, tree.Options{}); err != nil {
					t.Fatalf("%v in %s", err, out)
				}
			}
			if fired, _ := s.Filters[i].Fires([]byte(doc), []byte(doc)); fired {
				t.Fatal("no change fires")
			}
		}
	})
}

func TestFilterOfAResource(t *testing.T) {
	s, err := Parse(set(`<filter id="all"><what><include>//p:note</include></what></filter><filter id="dom" domain="lab.test"><what><include>//p:note</include></what></filter>` +
		`<filter id="kim" uri="sip:kim@lab.test"><what><include>//p:note</include></what></filter><filter id="off" uri="sip:off@other.test" enabled="false"><what><include>//p:note</include></what></filter>`))
	if err != nil {
		t.Fatal(err)
	}
	for resource, id := range map[string]string{"sip:kim@lab.test": "kim", "sip:lee@LAB.test;x": "dom", "sip:off@other.test": "all"} {
		t.Run("FLT-049 "+resource, func(t *testing.T) {
			if f := s.For(resource, strings.EqualFold); f == nil || f.ID != id {
				t.Errorf("got %+v, want %s", f, id)
			}
		})
	}
}
