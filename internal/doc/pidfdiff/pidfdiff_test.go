package pidfdiff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/xml/canon"
	"imp/internal/xml/patch"
	"imp/internal/xml/tree"
)

const alice = "sip:alice@example.com"

// presence makes a presence document.
func presence(inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" entity="` + alice + `">` + inside + "</presence>\n"
}

// full makes a pidf-full.
func full(attributes, inside string) string {
	return `<p:pidf-full xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:p="` + Space + `" entity="` + alice + `"` + attributes + ">" + inside + "</p:pidf-full>"
}

// diff makes a pidf-diff.
func diff(attributes, operations string) string {
	return `<p:pidf-diff xmlns="urn:ietf:params:xml:ns:pidf" xmlns:d="urn:ietf:params:xml:ns:pidf:data-model" xmlns:p="` + Space + `"` + attributes + ">" + operations + "</p:pidf-diff>"
}

const tuple = `<tuple id="a"><status><basic>open</basic></status></tuple>`

func parse(t testing.TB, src string) *Document {
	t.Helper()
	d, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return d
}

func equal(t testing.TB, a, b []byte) bool {
	t.Helper()
	x, err := tree.Parse(a, options)
	if err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	y, err := tree.Parse(b, options)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return canon.Equal(x.Document(), y.Document())
}

func TestParse(t *testing.T) {
	t.Run("PAR-001 the root is pidf-full or pidf-diff", func(t *testing.T) {
		if d := parse(t, full("", tuple)); !d.Full || d.Entity != alice {
			t.Errorf("got %+v", d.View())
		}
		if d := parse(t, diff("", "")); d.Full {
			t.Errorf("got %+v", d.View())
		}
		for _, src := range []string{presence(tuple), `<pidf-full entity="x"/>`, `<pidf-diff/>`, `<pidf-full xmlns="urn:ietf:params:xml:ns:pidf" entity="x"/>`, `<other xmlns="` + Space + `"/>`} {
			if _, err := Parse([]byte(src)); err == nil || !strings.Contains(err.Error(), "not pidf-full or pidf-diff") {
				t.Errorf("%s: %v", src, err)
			}
		}
	})
	t.Run("PAR-004 version is optional and a number of 32 bits", func(t *testing.T) {
		for value, want := range map[string]uint32{"0": 0, " 7 ": 7, "4294967295": 4294967295} {
			for _, src := range []string{full(` version="`+value+`"`, ""), diff(` version="`+value+`"`, "")} {
				if d := parse(t, src); !d.HasVersion || d.Version != want {
					t.Errorf("%s: %+v", src, d.View())
				}
			}
		}
		for _, value := range []string{"", "-1", "4294967296", "1.0", "x"} {
			var e *Error
			if _, err := Parse([]byte(full(` version="`+value+`"`, ""))); !errors.As(err, &e) || e.Line != 1 || !strings.Contains(e.Msg, "version is ") {
				t.Errorf("version %q: %v", value, err)
			}
		}
		if d := parse(t, diff("", "")); d.HasVersion {
			t.Error("a version out of nothing")
		}
	})
	t.Run("PAR-005 the document is well-formed", func(t *testing.T) {
		for _, src := range []string{"", full("", "<tuple>"), "<!DOCTYPE p>" + full("", ""), strings.Replace(full("", ""), "<p:", "<q:", 1)} {
			if _, err := Parse([]byte(src)); err == nil {
				t.Errorf("%s is taken", src)
			}
		}
		if _, err := Parse([]byte(`<p:pidf-full xmlns:p="` + Space + `"/>`)); err == nil {
			t.Error("a full state without entity is taken")
		}
	})
	t.Run("PAR-005 the schemas are told of", func(t *testing.T) {
		for src, want := range map[string]string{
			full("", tuple): "", full("", tuple+tuple): "duplicate-id", full("", strings.Replace(tuple, `"a"`, `"1a"`, 1)): "id-ncname", diff("", `<p:remove sel="*/tuple"/>`): "",
			full("", tuple+`<other/>`): "unexpected-element",
		} {
			found := parse(t, src).Check()
			if want == "" && len(found) > 0 || want != "" && (len(found) == 0 || found[0].Rule != want) {
				t.Errorf("%s: %v, expected %s", src, found, want)
			}
		}
	})
	t.Run("operations that no document makes right", func(t *testing.T) {
		var e *patch.Error
		if _, err := Parse([]byte(diff("", `<p:remove sel="//tuple"/>`))); !errors.As(err, &e) || e.Condition != patch.InvalidAttributeValue {
			t.Errorf("got %v", err)
		}
	})
}

func TestApply(t *testing.T) {
	state := presence("\n" + tuple + "\n" + `<note>x</note><dm:person id="p"/>`)
	other := full(` version="1"`, "\n"+tuple+"\n"+`<note>x</note><dm:person id="p"/>`)
	tests := []struct{ name, operations, was, is string }{
		{"PAR-006 unprefixed names are of the default namespace of the diff", `<p:replace sel="*/tuple[@id='a']/status/basic/text()">closed</p:replace>`, ">open<", ">closed<"},
		{"PAR-006 prefixes are those of the diff", `<p:add sel="*/d:person"><d:note>y</d:note></p:add>`, `<dm:person id="p"/>`, `<dm:person id="p"><dm:note>y</dm:note></dm:person>`},
		{"PAR-007 the root is matched by any name", `<p:remove sel="*/note"/>`, "<note>x</note>", ""},
		{"PAR-007 the root is matched by presence", `<p:remove sel="presence/note"/>`, "<note>x</note>", ""},
		{"PAR-007 the root is matched by presence with a slash and a prefix", `<p:remove xmlns:q="urn:ietf:params:xml:ns:pidf" sel="/q:presence/note"/>`, "<note>x</note>", ""},
		{"PAR-008 operations work on the result of those before", `<p:add sel="*"><note>y</note></p:add><p:remove sel="*/note[1]"/><p:replace sel="*/note/text()">z</p:replace>`, `<note>x</note><dm:person id="p"/>`, `<dm:person id="p"/><note>z</note>`},
		{"PAR-009 add appends", `<p:add sel="*/d:person"><d:a/></p:add>`, `<dm:person id="p"/>`, `<dm:person id="p"><dm:a/></dm:person>`},
		{"PAR-009 add before", `<p:add sel="*/note" pos="before"><a xmlns=""/></p:add>`, "<note>", `<a xmlns=""/><note>`},
		{"PAR-009 add after", `<p:add sel="*/note" pos="after"><a xmlns=""/></p:add>`, "</note>", `</note><a xmlns=""/>`},
		{"PAR-009 add prepends", `<p:add sel="*/tuple" pos="prepend"><a xmlns=""/></p:add>`, `<tuple id="a">`, `<tuple id="a"><a xmlns=""/>`},
		{"PAR-009 add of an attribute", `<p:add sel="*/note" type="@xml:lang">en</p:add>`, "<note>", `<note xml:lang="en">`},
		{"PAR-009 add of a namespace", `<p:add sel="*/note" type="namespace::q">u:q</p:add>`, "<note>", `<note xmlns:q="u:q">`},
		{"PAR-010 remove leaves white space", `<p:remove sel="*/tuple"/>`, tuple, ""},
		{"PAR-010 remove with the white space before", `<p:remove sel="*/tuple" ws="before"/>`, "\n" + tuple, ""},
		{"PAR-010 remove with the white space after", `<p:remove sel="*/tuple" ws="after"/>`, tuple + "\n", ""},
		{"PAR-010 remove with the white space on both sides", `<p:remove sel="*/tuple" ws="both"/>`, "\n" + tuple + "\n", ""},
		{"PAR-011 replace of an element", `<p:replace sel="*/note"><note>y</note></p:replace>`, "<note>x</note>", "<note>y</note>"},
		{"PAR-011 replace of an attribute", `<p:replace sel="*/tuple/@id">b</p:replace>`, `<tuple id="a">`, `<tuple id="b">`},
		{"PAR-011 replace of text", `<p:replace sel="*/note/text()">y</p:replace>`, "<note>x</note>", "<note>y</note>"},
		{"PAR-011 replace of a namespace", `<p:replace sel="*/namespace::dm">u:d</p:replace>`, `"urn:ietf:params:xml:ns:pidf:data-model"`, `"u:d"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := parse(t, diff(` entity="`+alice+`"`, test.operations))
			for _, from := range []string{state, other} {
				got, err := d.Apply([]byte(from), nil)
				if err != nil {
					t.Fatal(err)
				}
				if want := strings.Replace(from, test.was, test.is, 1); want == from || !equal(t, got, []byte(want)) {
					t.Errorf("got %s\nexpected %s", got, want)
				}
			}
		})
	}
}

func TestReplaceOfCommentsAndInstructions(t *testing.T) {
	t.Run("PAR-011 comments and processing instructions", func(t *testing.T) {
		d := parse(t, diff("", `<p:replace sel="*/comment()"><!--b--></p:replace><p:replace sel="*/processing-instruction()"><?x y?></p:replace>`))
		got, err := d.Apply([]byte(presence("<!--a--><?x?>")), nil)
		if want := presence("<!--b--><?x y?>"); err != nil || string(got) != want {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

func TestApplyRefused(t *testing.T) {
	state := []byte(presence(tuple + "<note>x</note><note>y</note>"))
	for _, test := range []struct {
		name, operations string
		want             patch.Condition
	}{
		{"PAR-008 nothing selected", `<p:remove sel="*/tuple"/><p:remove sel="*/tuple"/>`, patch.UnlocatedNode},
		{"PAR-008 two selected", `<p:remove sel="*/note"/>`, patch.UnlocatedNode},
		{"PAR-010 no white space there", `<p:remove sel="*/tuple" ws="after"/>`, patch.InvalidWhitespace},
		{"PAR-010 white space on one side only", `<p:add sel="*/tuple" pos="after"> </p:add><p:remove sel="*/tuple" ws="both"/>`, patch.InvalidWhitespace},
	} {
		t.Run(test.name, func(t *testing.T) {
			var e *patch.Error
			if _, err := parse(t, diff("", test.operations)).Apply(state, nil); !errors.As(err, &e) || e.Condition != test.want {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, operations := range []string{`<p:replace sel="*/tuple">x</p:replace>`, `<p:replace sel="*/note[1]/text()"><x/></p:replace>`, `<p:replace sel="*/tuple/@id"><x/></p:replace>`} {
		t.Run("PAR-011 node kinds agree", func(t *testing.T) {
			var e *patch.Error
			if _, err := Parse([]byte(diff("", operations))); !errors.As(err, &e) || e.Condition != patch.InvalidNodeTypes {
				t.Errorf("%s: %v", operations, err)
			}
		})
	}
	t.Run("PAR-003 entity is that of the presentity", func(t *testing.T) {
		d := parse(t, diff(` entity="sip:bob@example.com"`, ""))
		if _, err := d.Apply(state, nil); !errors.Is(err, ErrEntity) {
			t.Errorf("got %v", err)
		}
		c := Copy{state: state}
		if outcome, err := c.Take(d); outcome != Lost || !errors.Is(err, ErrEntity) {
			t.Errorf("got %v, %v", outcome, err)
		}
	})
	if _, err := parse(t, diff("", "")).Apply([]byte("<list/>"), nil); err == nil {
		t.Error("changes of a list are taken")
	}
}

func TestConvert(t *testing.T) {
	t.Run("PAR-002 children are those of presence", func(t *testing.T) {
		for _, src := range []string{
			presence(tuple), presence(""), `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="x"/>`,
			`<q:presence xmlns:q="urn:ietf:params:xml:ns:pidf" entity="x" xmlns:p="u:p"><q:note p:a="1">x</q:note></q:presence>`,
		} {
			made, err := Full([]byte(src), 3)
			if err != nil {
				t.Fatal(err)
			}
			d := parse(t, string(made))
			if !d.Full || d.Version != 3 || len(d.Check()) > 0 && !strings.Contains(src, "u:p") {
				t.Errorf("%s became %s: %v", src, made, d.Check())
			}
			back, err := Presence(made)
			if err != nil {
				t.Fatal(err)
			}
			x, _ := tree.Parse([]byte(src), options)
			y, err := tree.Parse(back, options)
			if err != nil {
				t.Fatalf("%s: %v", back, err)
			}
			if !canon.Equal(x.Document(), y.Document()) {
				t.Errorf("%s came back as %s", src, back)
			}
		}
	})
	for _, src := range []string{full(` version="1"`, tuple), `<pidf-full xmlns="` + Space + `" entity="x" version='2'/>`, `<pidf-full xmlns="` + Space + `" xmlns:pidf="u:x" version='2' entity="x"><note xmlns="urn:ietf:params:xml:ns:pidf"/></pidf-full>`} {
		got, err := Presence([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := tree.Parse(got, options)
		if err != nil || !doc.Root().Is(spacePIDF, "presence") || doc.Root().Attribute("", "version").Valid() || !doc.Root().Attribute("", "entity").Valid() {
			t.Errorf("%s became %s: %v", src, got, err)
		}
	}
	twice := `<p:pidf-full xmlns:x="urn:ietf:params:xml:ns:pidf" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="` + Space + `" entity="x"/>`
	if got, err := Presence([]byte(twice)); err != nil || string(got) != `<presence xmlns:x="urn:ietf:params:xml:ns:pidf" xmlns="urn:ietf:params:xml:ns:pidf" entity="x"/>` {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := Full([]byte(full(` version="1"`, tuple)), 2); err != nil || string(got) != full(` version="2"`, tuple) {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Presence([]byte("<a/>")); err == nil {
		t.Error("a list becomes presence")
	}
}

func TestDiff(t *testing.T) {
	a, b := presence(tuple+"<note>x</note>"), presence(strings.Replace(tuple, "open", "closed", 1)+"<note>x</note>")
	fullA, err := Full([]byte(a), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{a, string(fullA)} {
		made, changed, err := Diff([]byte(from), []byte(b), 2)
		if err != nil || !changed {
			t.Fatal(err)
		}
		d := parse(t, string(made))
		if d.Full || d.Version != 2 || d.Entity != alice || len(d.Operations()) != 1 || len(d.Check()) > 0 {
			t.Errorf("got %s", made)
		}
		got, err := d.Apply([]byte(a), nil)
		if err != nil || !equal(t, got, []byte(b)) {
			t.Errorf("got %s, %v", got, err)
		}
		if got, err = d.Apply(fullA, nil); err != nil || !strings.Contains(string(got), "closed") || !strings.Contains(string(got), `version="2"`) {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if _, changed, err := Diff([]byte(a), fullA, 2); changed || err != nil {
		t.Errorf("the same state is changed: %v", err)
	}
	if _, _, err := Diff([]byte(a), []byte(strings.Replace(b, "alice", "bob", 1)), 2); !errors.Is(err, ErrEntity) {
		t.Errorf("got %v", err)
	}
	t.Run("PAR-012 the shorter one is sent", func(t *testing.T) {
		long := presence(strings.Repeat("<note>"+strings.Repeat("x", 200)+"</note>", 9) + tuple)
		for _, test := range []struct {
			from, to string
			full     bool
		}{{long, strings.Replace(long, "open", "closed", 1), false}, {long, b, true}} {
			made, err := Update([]byte(test.from), []byte(test.to), 5)
			if err != nil {
				t.Fatal(err)
			}
			if d := parse(t, string(made)); d.Full != test.full || d.Version != 5 {
				t.Errorf("got %s", made)
			}
		}
		if made, err := Update([]byte(a), []byte(a), 2); made != nil || err != nil {
			t.Errorf("got %s, %v", made, err)
		}
	})
	t.Run("PAR-013 UTF-8 is generated", func(t *testing.T) {
		made, _, err := Diff([]byte(a), []byte(presence("<note>é</note>")), 2)
		if err != nil || !bytes.HasPrefix(made, []byte(`<?xml version="1.0" encoding="UTF-8"?>`)) || !bytes.Contains(made, []byte("é")) {
			t.Errorf("got %s, %v", made, err)
		}
	})
}

func TestCopy(t *testing.T) {
	numbered := func(v, inside string) *Document { return parse(t, full(` version="`+v+`"`, inside)) }
	change := func(v, to string) *Document {
		return parse(t, diff(` version="`+v+`"`, `<p:replace sel="*/tuple/status/basic/text()">`+to+`</p:replace>`))
	}
	take := func(t *testing.T, c *Copy, d *Document, want Outcome, state string, version uint32) {
		t.Helper()
		got, err := c.Take(d)
		if got != want || (err != nil) != (want == Lost || want == Outdated) {
			t.Errorf("got %v, %v", got, err)
		}
		if v, _ := c.Version(); v != version || !strings.Contains(string(c.State()), state) {
			t.Errorf("version %d of %s", v, c.State())
		}
	}
	t.Run("PAR-004 one counter spans both roots", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("1", tuple), Replaced, ">open<", 1)
		take(t, &c, change("2", "closed"), Patched, ">closed<", 2)
		take(t, &c, numbered("3", tuple), Replaced, ">open<", 3)
		take(t, &c, change("4", "closed"), Patched, ">closed<", 4)
	})
	t.Run("PAR-016 the first document sets the version", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("567", tuple), Replaced, ">open<", 567)
	})
	t.Run("PAR-017 changes without a copy are a fault", func(t *testing.T) {
		var c Copy
		take(t, &c, change("1", "closed"), Lost, "", 0)
	})
	t.Run("PAR-018 what is not newer is discarded", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("5", tuple), Replaced, ">open<", 5)
		take(t, &c, change("5", "closed"), Outdated, ">open<", 5)
		take(t, &c, numbered("4", ""), Outdated, ">open<", 5)
	})
	t.Run("PAR-019 a full state of a higher version replaces the copy", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("5", ""), Replaced, "pidf-full", 5)
		take(t, &c, numbered("9", tuple), Replaced, ">open<", 9)
	})
	t.Run("PAR-020 changes of the next version are applied", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("5", tuple), Replaced, ">open<", 5)
		take(t, &c, change("6", "closed"), Patched, ">closed<", 6)
	})
	t.Run("PAR-021 changes beyond the next version are not applied", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("5", tuple), Replaced, ">open<", 5)
		take(t, &c, change("7", "closed"), Lost, ">open<", 5)
		take(t, &c, numbered("7", strings.Replace(tuple, "open", "closed", 1)), Replaced, ">closed<", 7)
	})
	t.Run("PAR-022 changes that do not apply leave the copy", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("5", "<note/>"), Replaced, "<note/>", 5)
		take(t, &c, change("6", "closed"), Lost, "<note/>", 5)
	})
	t.Run("PAR-023 another type drops the copy and keeps the version", func(t *testing.T) {
		var c Copy
		take(t, &c, numbered("5", tuple), Replaced, ">open<", 5)
		if err := c.TakePresence([]byte(presence(tuple))); err != nil || c.State() != nil {
			t.Errorf("%v, %s", err, c.State())
		}
		take(t, &c, change("6", "closed"), Lost, "", 5)
		take(t, &c, numbered("5", tuple), Outdated, "", 5)
		take(t, &c, numbered("6", tuple), Replaced, ">open<", 6)
		if err := c.TakePresence([]byte(full("", ""))); err == nil {
			t.Error("a pidf-full is taken for presence")
		}
	})
	t.Run("without versions all is taken", func(t *testing.T) {
		c := Copy{state: []byte(presence(tuple))}
		take(t, &c, parse(t, diff("", `<p:replace sel="presence/tuple/status/basic/text()">closed</p:replace>`)), Patched, ">closed<", 0)
		take(t, &c, parse(t, full("", tuple)), Replaced, ">open<", 0)
	})
}

func TestCharacterSets(t *testing.T) {
	t.Run("PAR-048 the character set of the full state is taken in changes", func(t *testing.T) {
		for _, set := range []string{"", `<?xml version="1.0" encoding="UTF-8"?>`, `<?xml version="1.0" encoding="us-ascii"?>`} {
			c, err := NewCopy([]byte(set + full(` version="1"`, tuple)))
			if err != nil {
				t.Fatal(err)
			}
			d, err := Parse([]byte(set + diff(` version="2"`, `<p:add sel="*"><note>&#xe9;</note></p:add>`)))
			if err != nil {
				t.Fatal(err)
			}
			if outcome, err := c.Take(d); outcome != Patched {
				t.Errorf("%s: %v", set, err)
			}
		}
		var e *patch.Error
		if _, err := Parse([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?>` + diff("", ""))); err == nil || errors.As(err, &e) && e.Condition != patch.InvalidCharacterSet {
			t.Errorf("got %v", err)
		}
	})
}

func TestView(t *testing.T) {
	d := parse(t, diff(` version="3" entity="`+alice+`"`, `<p:add sel="*/tuple" pos="before"><note>x</note></p:add><p:remove sel="*/note" ws="both"/><p:add sel="*" type="@b">1</p:add><p:add sel="*" pos="prepend"/>`))
	var b strings.Builder
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := "changes of " + alice + ", version 3\nadd */tuple before it\n  <note>x</note>\nremove */note with the white space before and after\nadd * @b\n  1\nadd * as the first child\n"
	if b.String() != want {
		t.Errorf("got\n%s\nexpected\n%s", b.String(), want)
	}
	form, err := json.Marshal(d)
	if want := `{"full":false,"entity":"` + alice + `","version":3,"operations":[{"operation":"add","sel":"*/tuple","position":"before","content":"\u003cnote\u003ex\u003c/note\u003e"},{"operation":"remove","sel":"*/note","position":"both"},{"operation":"add","sel":"*","type":"@b","content":"1"},{"operation":"add","sel":"*","position":"prepend"}]}`; err != nil || string(form) != want {
		t.Errorf("got %s", form)
	}
	b.Reset()
	if err := parse(t, full("", "")).WriteText(&b); err != nil || b.String() != "full state of "+alice+"\n" {
		t.Errorf("got %s", b.String())
	}
}

// TestExamples goes through the example of RFC 5262 and that of RFC 5263.
func TestExamples(t *testing.T) {
	const dir = "../../../../shared/vectors/examples"
	for _, files := range [][]string{{"rfc5262-6-1.xml", "rfc5262-6-2.xml"}, {"rfc5263-5-3.part1.xml", "rfc5263-5-5.part1.xml"}, {"rfc5264-6-1.part1.xml", "rfc5264-6-3.part1.xml"}} {
		var c Copy
		for i, name := range files {
			src, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Skip("no shared vectors at ../shared/vectors")
			}
			if outcome, err := c.Take(parse(t, string(src))); outcome != []Outcome{Replaced, Patched}[i] {
				t.Errorf("%s: %v, %v", name, outcome, err)
			}
		}
		if _, err := Presence(c.State()); err != nil {
			t.Error(err)
		}
	}
}

func FuzzPartial(f *testing.F) {
	f.Add(full(` version="1"`, tuple), diff(` version="2"`, `<p:remove sel="presence/tuple" ws="both"/>`))
	f.Add(presence("<note>x</note>"), diff("", `<p:add sel="*" type="namespace::q">u</p:add>`))
	f.Add(`<pidf-full xmlns="`+Space+`" entity="x" version='2'/>`, full(` version="9"`, ""))
	f.Fuzz(func(t *testing.T, state, update string) {
		if made, err := Full([]byte(state), 1); err == nil {
			if d, err := Parse(made); err != nil && !strings.Contains(err.Error(), "entity") {
				t.Fatalf("%s became %s: %v", state, made, err)
			} else if err == nil && (!d.Full || d.Version != 1) {
				t.Fatalf("%s became %s", state, made)
			}
			if back, err := Presence(made); err != nil {
				t.Fatalf("%s does not come back: %v", made, err)
			} else if _, err := tree.Parse(back, tree.Options{}); err != nil {
				t.Fatalf("%s came back as %s: %v", made, back, err)
			}
		}
		d, err := Parse([]byte(update))
		if err != nil {
			return
		}
		d.Check()
		c := Copy{state: []byte(state)}
		outcome, err := c.Take(d)
		if (err == nil) != (outcome == Replaced || outcome == Patched) {
			t.Fatalf("%v with %v", outcome, err)
		}
		if outcome == Lost && string(c.State()) != state {
			t.Fatalf("%s became %s", state, c.State())
		}
		if outcome == Patched {
			if _, err := tree.Parse(c.State(), tree.Options{}); err != nil {
				t.Fatalf("%s with %s became %s: %v", state, update, c.State(), err)
			}
		}
	})
}

func BenchmarkTake(b *testing.B) {
	state := []byte(full(` version="1"`, tuple+"<note>x</note>"))
	update := []byte(diff(` version="2"`, `<p:replace sel="*/tuple[@id='a']/status/basic/text()">closed</p:replace>`))
	b.ReportAllocs()
	for b.Loop() {
		d, err := Parse(update)
		if err != nil {
			b.Fatal(err)
		}
		c := Copy{state: state, version: 1, counted: true}
		if outcome, err := c.Take(d); outcome != Patched {
			b.Fatal(err)
		}
	}
}

func TestPublication(t *testing.T) {
	other := strings.Replace(tuple, "open", "closed", 1)
	long := `<note>` + strings.Repeat("long ", 100) + `</note>`
	many := ""
	for i := range 10 {
		many += strings.Replace(tuple, `"a"`, fmt.Sprintf(`"b%d"`, i), 1)
	}
	publish := func(t *testing.T, from, to string, full bool, version bool) []byte {
		t.Helper()
		var had []byte
		if from != "" {
			had = []byte(from)
		}
		doc, isFull, err := Publication(had, []byte(to))
		if err != nil || isFull != full {
			t.Fatalf("full %v, %v: %s", isFull, err, doc)
		}
		d := parse(t, string(doc))
		if d.Full != full || d.HasVersion != version || d.Entity != alice {
			t.Errorf("PAR-034: %+v", d.View())
		}
		return doc
	}
	t.Run("PAR-034 PAR-035 it begins with a full state without version", func(t *testing.T) {
		doc := publish(t, "", presence(tuple), true, false)
		if back, err := Presence(doc); err != nil || !equal(t, back, []byte(presence(tuple))) {
			t.Errorf("%s, %v", doc, err)
		}
	})
	t.Run("PAR-034 PAR-038 changes, or the full state when that is shorter or nothing changed", func(t *testing.T) {
		d := parse(t, string(publish(t, presence(tuple+long), presence(other+long), false, false)))
		state, err := d.Apply([]byte(presence(tuple+long)), nil)
		if err != nil || !equal(t, state, []byte(presence(other+long))) {
			t.Errorf("%s, %v", state, err)
		}
		publish(t, presence(many), presence(other), true, false)
		publish(t, presence(tuple), presence(tuple), true, false)
		publish(t, "", full(` version="3"`, other), true, true)
	})
	t.Run("PAR-003 states of two presentities have no changes", func(t *testing.T) {
		if _, _, err := Publication([]byte(presence(tuple)), []byte(strings.Replace(presence(tuple), "alice", "bob", 1))); !errors.Is(err, ErrEntity) {
			t.Error(err)
		}
	})
}

func TestUnnumbered(t *testing.T) {
	other := strings.Replace(tuple, "open", "closed", 1)
	for name, c := range map[string]struct{ from, to string }{
		"PAR-012 a full state": {"", presence(tuple)}, "a pidf-full": {"", full(` version="7"`, tuple)}, "PAR-012 changes": {presence(tuple + strings.Repeat("<note>long</note>", 50)), presence(other + strings.Repeat("<note>long</note>", 50))},
		"the entity says version": {"", strings.Replace(presence(tuple), alice, `sip:version="0"@x`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			var had []byte
			if c.from != "" {
				had = []byte(c.from)
			}
			c.to = strings.ReplaceAll(c.to, `entity="sip:version="0"@x"`, `entity="sip: version=&quot;0&quot;@x"`)
			doc, at, err := Unnumbered(had, []byte(c.to))
			if err != nil {
				t.Fatal(err)
			}
			d := parse(t, string(doc[:at])+"42"+string(doc[at:]))
			if d.Version != 42 || !d.HasVersion || d.Full != (c.from == "") {
				t.Errorf("%+v of %s", d.View(), doc)
			}
		})
	}
	if doc, _, err := Unnumbered([]byte(presence(tuple)), []byte(presence(tuple))); doc != nil || err != nil {
		t.Errorf("no change is told: %s, %v", doc, err)
	}
}
