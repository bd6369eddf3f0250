package rlmi

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
)

const head = `<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:f@b" version="3" fullState="true">`

func mustParse(t testing.TB, src string) *List {
	t.Helper()
	l, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return l
}

func sample() *List {
	return &List{URI: "sip:friends@example.com", Version: 7, FullState: true, CID: "self@example.com", Names: []Name{{"Friends", "en"}, {"Freunde <&>", "de"}},
		Resources: []Resource{
			{URI: "sip:bob@example.com", Names: []Name{{Text: "Bob"}}, Instances: []Instance{{ID: "1", State: Active, CID: "bob@example.com"}}},
			{URI: "sip:carol@example.com", Instances: []Instance{{ID: "1", State: Terminated, Reason: "noresource"}, {ID: "2", State: Pending}}},
			{URI: "sip:dave@example.com"},
		}}
}

func TestRoundTrip(t *testing.T) {
	t.Run("RLS-037 a list keeps all that it has", func(t *testing.T) {
		want := sample()
		if got := mustParse(t, string(want.Bytes())); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
	t.Run("RLS-041 a member without state has no instance", func(t *testing.T) {
		doc := sample().Bytes()
		if !bytes.Contains(doc, []byte(`<resource uri="sip:dave@example.com"/>`)) {
			t.Errorf("%s", doc)
		}
	})
	t.Run("RLS-043 all cids are told", func(t *testing.T) {
		if got := sample().CIDs(); !reflect.DeepEqual(got, []string{"self@example.com", "bob@example.com"}) {
			t.Error(got)
		}
	})
}

func TestParse(t *testing.T) {
	t.Run("RLS-039 1 and 0 are read as full and partial", func(t *testing.T) {
		for value, want := range map[string]bool{"1": true, "true": true, "0": false, "false": false} {
			if l := mustParse(t, strings.Replace(head, `"true"`, `"`+value+`"`, 1)+"</list>"); l.FullState != want {
				t.Errorf("%s: %v", value, l.FullState)
			}
		}
	})
	t.Run("RLS-006 a cid has no angle brackets", func(t *testing.T) {
		for _, cid := range []string{"a@b", "&lt;a@b>", "cid:a@b", " a@b "} {
			l := mustParse(t, head+`<resource uri="sip:c@b"><instance id="1" state="active" cid="`+cid+`"/></resource></list>`)
			if got := l.Resources[0].Instances[0].CID; got != "a@b" {
				t.Errorf("%s became %s", cid, got)
			}
		}
	})
	t.Run("what is of other namespaces is ignored", func(t *testing.T) {
		l := mustParse(t, head+`<x:name xmlns:x="urn:x"/><resource uri=" sip:c@b " a="b"><x:y xmlns:x="urn:x"/><instance id="1" state="pending"><z/></instance></resource></list>`)
		want := []Resource{{URI: "sip:c@b", Instances: []Instance{{ID: "1"}}}}
		if !reflect.DeepEqual(l.Resources, want) || l.Names != nil {
			t.Errorf("got %+v", l)
		}
	})
	for _, c := range []struct{ name, doc, want string }{
		{"RLS-037 no uri", `<list xmlns="urn:ietf:params:xml:ns:rlmi" version="3" fullState="true"/>`, "1:1: <list> has no uri"},
		{"RLS-037 no version", `<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="a:b" fullState="true"/>`, "1:1: <list> has no version"},
		{"RLS-037 no fullState", `<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="a:b" version="1"/>`, "1:1: <list> has no fullState"},
		{"RLS-038 a version of 33 bits", strings.Replace(head, `"3"`, `"4294967296"`, 1) + "</list>", `1:57: version is "4294967296"`},
		{"RLS-039 another fullState", strings.Replace(head, `"true"`, `"TRUE"`, 1) + "</list>", `fullState is "TRUE"`},
		{"RLS-041 no uri", head + "\n <resource/></list>", "2:2: <resource> has no uri"},
		{"RLS-042 no id", head + `<resource uri="a:b"><instance state="active"/></resource></list>`, "<instance> has no id"},
		{"RLS-042 another state", head + "\n" + `<resource uri="a:b"><instance id="1" state="waiting"/></resource></list>`, `2:38: state is "waiting"`},
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
}

func TestCheck(t *testing.T) {
	if err := sample().Check(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		change func(*List)
		want   string
	}{
		"RLS-042 ids are unique":                 {func(l *List) { l.Resources[1].Instances[1].ID = "1" }, "its id stands twice"},
		"RLS-042 active ones have a cid":         {func(l *List) { l.Resources[0].Instances[0].CID = "" }, "has no cid"},
		"RLS-042 terminated ones have a reason":  {func(l *List) { l.Resources[1].Instances[0].Reason = "" }, "has no reason"},
		"RLS-007 resources are named by one URI": {func(l *List) { l.Resources[2].URI = l.Resources[0].URI }, "stands twice"},
	} {
		t.Run(name, func(t *testing.T) {
			l := sample()
			c.change(l)
			if err := l.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestExamples(t *testing.T) {
	for file, src := range schematest.Valid(t, "rlmi") {
		l, err := Parse(src)
		if err != nil || len(l.Resources) != strings.Count(string(src), "<resource ") {
			t.Errorf("%s: %+v, %v", file, l, err)
			continue
		}
		schematest.MustBeValid(t, "rlmi.xsd", l.Bytes())
	}
}

func TestBytes(t *testing.T) {
	t.Run("RLS-037 whatever is written is valid", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		texts := []string{"", "a", "a b", "%", "%4", "%41", "a#b#c", "sip:a@b;x=y?z=%20", "1:2", "ü\u0001\xff", "<&>\"'", "]]>", "\r\n\t", "\uFFFE", "en", "en-"}
		text := func() string { return texts[r.IntN(len(texts))] }
		names := func() (list []Name) {
			for range r.IntN(3) {
				list = append(list, Name{text(), text()})
			}
			return list
		}
		docs := [][]byte{(&List{}).Bytes()}
		for range 300 {
			l := &List{URI: text(), Version: r.Uint32(), FullState: r.IntN(2) == 0, CID: text(), Names: names()}
			for range r.IntN(4) {
				res := Resource{URI: text(), Names: names()}
				for range r.IntN(3) {
					res.Instances = append(res.Instances, Instance{text(), State(r.IntN(5)), text(), text()})
				}
				l.Resources = append(l.Resources, res)
			}
			docs = append(docs, l.Bytes())
		}
		schematest.MustBeValid(t, "rlmi.xsd", docs...)
	})
}

func TestTable(t *testing.T) {
	doc := func(version uint32, full bool, resources ...string) *List {
		l := &List{URI: "sip:f@b", Version: version, FullState: full}
		for _, r := range resources {
			uri, state, _ := strings.Cut(r, "=")
			var s State
			if err := s.UnmarshalText([]byte(state)); err != nil {
				t.Fatal(err)
			}
			l.Resources = append(l.Resources, Resource{URI: uri, Instances: []Instance{{ID: "1", State: s}}})
		}
		return l
	}
	expect := func(t *testing.T, table *Table, l *List, outcome Outcome, want string) {
		t.Helper()
		if got := table.Apply(l); got != outcome {
			t.Errorf("outcome %d, want %d", got, outcome)
		}
		var rows []string
		for _, r := range table.List().Resources {
			rows = append(rows, fmt.Sprintf("%s=%s", r.URI, r.Instances[0].State))
		}
		if got := strings.Join(rows, " "); got != want {
			t.Errorf("rows %q, want %q", got, want)
		}
	}
	t.Run("RLS-007 full state flushes and refills", func(t *testing.T) {
		var table Table
		expect(t, &table, doc(1, true, "x=active", "y=pending"), Applied, "x=active y=pending")
		expect(t, &table, doc(9, true, "z=active"), Applied, "z=active")
		expect(t, &table, doc(9, true, "x=active"), Discarded, "z=active")
		expect(t, &table, doc(8, true, "x=active"), Discarded, "z=active")
	})
	t.Run("RLS-008 partial state follows the versions", func(t *testing.T) {
		var table Table
		expect(t, &table, doc(0, true, "x=active"), Applied, "x=active")
		expect(t, &table, doc(1, false, "x=pending"), Applied, "x=pending")
		expect(t, &table, doc(1, false, "x=active"), Discarded, "x=pending")
		expect(t, &table, doc(3, false, "y=active"), Incomplete, "x=pending y=active")
		expect(t, &table, doc(4, false, "y=pending"), Incomplete, "x=pending y=pending")
		expect(t, &table, doc(5, true, "y=active"), Applied, "y=active")
		if !table.Complete() || table.List().Version != 5 {
			t.Errorf("%+v", table.List())
		}
	})
	t.Run("RLS-009 rows that are not named stay", func(t *testing.T) {
		var table Table
		full := doc(0, true, "x=active", "y=active")
		full.Names = []Name{{Text: "Friends"}}
		expect(t, &table, full, Applied, "x=active y=active")
		expect(t, &table, doc(1, false, "y=terminated"), Applied, "x=active y=terminated")
		if len(table.List().Names) != 1 {
			t.Error("the name of the list is lost")
		}
	})
	t.Run("memory is bounded", func(t *testing.T) {
		table := Table{Limit: 1}
		expect(t, &table, doc(0, true, "x=active"), Applied, "x=active")
		expect(t, &table, doc(1, false, "y=active"), Incomplete, "x=active")
	})
}

func TestShown(t *testing.T) {
	var b bytes.Buffer
	l := sample()
	l.Resources[1].Instances[0].Reason = "\x1b[2J"
	if err := l.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `sip:friends@example.com  "Friends" [en]  "Freunde <&>" [de]  version 7  all resources
  sip:bob@example.com  "Bob"
    1  active  cid bob@example.com
  sip:carol@example.com
    1  terminated  ` + "\uFFFD[2J" + `
    2  pending
  sip:dave@example.com  no state
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var back List
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, sample()) {
		t.Errorf("%+v, %v", back, err)
	}
	if text, _ := json.Marshal(&List{}); !bytes.Contains(text, []byte(`"resources":[]`)) {
		t.Errorf("%s", text)
	}
}

// FuzzParse: whatever is read can be shown, and is written so that it is read as it was.
func FuzzParse(f *testing.F) {
	f.Add(sample().Bytes())
	f.Add([]byte(head + `<name xml:lang="e-">]]&gt;</name><resource uri="%"><instance id="" state="active" cid="&lt;>"/></resource></list>`))
	f.Fuzz(func(t *testing.T, src []byte) {
		l, err := Parse(src)
		if err != nil {
			return
		}
		if err := l.WriteText(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(l); err != nil {
			t.Fatal(err)
		}
		doc := l.Bytes()
		back, err := Parse(doc)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		again := back.Bytes()
		if back, err = Parse(again); err != nil || !bytes.Equal(again, back.Bytes()) {
			t.Fatalf("%v: written differently:\n%s\n%s", err, again, back.Bytes())
		}
		_ = l.Check()
		var table Table
		table.Apply(l)
		table.List().Bytes()
	})
}
