package winfo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"imp/internal/xml/lexical"
	"imp/internal/xml/schematest"
)

const head = `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="3" state="full">`

func mustParse(t testing.TB, src string) *Document {
	t.Helper()
	d, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return d
}

func seconds(n uint64) *uint64 { return &n }

func sample() *Document {
	return &Document{Version: 7, Full: true, Lists: []List{{"sip:alice@example.com", "presence", []Watcher{
		{ID: "w1", URI: "sip:bob@example.com", Status: Active, Event: Approved, DisplayName: `Bob "B" <b>`, Lang: "en", Expires: seconds(0), Subscribed: seconds(509)},
		{ID: "w2", URI: "sip:carol@example.com", Status: Pending, Event: Subscribe},
	}}, {"sip:alice@example.com", "presence.winfo", nil}}}
}

func TestIDs(t *testing.T) {
	t.Run("WIN-036 ids are tokens and differ", func(t *testing.T) {
		if err := sample().Check(); err != nil {
			t.Error(err)
		}
		for _, id := range []string{"", "w 2", "w1", "<w2>", "w,2", "\u00fc"} {
			d := sample()
			d.Lists[1].Watchers = []Watcher{{ID: id}}
			if err := d.Check(); err == nil {
				t.Errorf("%q is taken", id)
			}
		}
	})
	t.Run("WIN-036 an id stays from pending to active", func(t *testing.T) {
		var table Table
		change := func(full bool, status Status, id string) *Document {
			d := &Document{Version: table.Document().Version + 1, Full: full, Lists: []List{{"sip:a@b", "presence", []Watcher{{ID: id, Status: status}}}}}
			table.Apply(d)
			return table.Document()
		}
		change(true, Pending, "w")
		if d := change(false, Active, "w"); len(d.Lists[0].Watchers) != 1 || d.Lists[0].Watchers[0].Status != Active {
			t.Errorf("%+v", d)
		}
		if d := change(false, Active, "W"); len(d.Lists[0].Watchers) != 2 {
			t.Errorf("%+v", d)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	t.Run("WIN-035 watchers keep all that they have", func(t *testing.T) {
		want := sample()
		got := mustParse(t, string(want.Bytes()))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
	t.Run("WIN-040 a full document may be empty", func(t *testing.T) {
		for _, d := range []*Document{{Full: true}, {Full: true, Lists: []List{{Resource: "sip:a@b", Package: "presence"}}}} {
			schematest.MustBeValid(t, "watcherinfo.xsd", d.Bytes())
			if got := mustParse(t, string(d.Bytes())); !reflect.DeepEqual(got, d) {
				t.Errorf("got %+v, want %+v", got, d)
			}
		}
	})
}

func TestParse(t *testing.T) {
	t.Run("WIN-039 what is of other namespaces is ignored", func(t *testing.T) {
		d := mustParse(t, head+`<x:a xmlns:x="urn:x"/><watcher-list resource=" sip:a@b " package="presence" x:y="1" xmlns:x="urn:x"><x:b>
			<watcher status="?"/></x:b><watcher id="1" status="waiting" event="timeout" x:status="no"> sip:c@d </watcher></watcher-list></watcherinfo>`)
		want := []List{{"sip:a@b", "presence", []Watcher{{ID: "1", URI: "sip:c@d", Status: Waiting, Event: Timeout}}}}
		if !reflect.DeepEqual(d.Lists, want) {
			t.Errorf("got %+v, want %+v", d.Lists, want)
		}
		if d.List("sip:a@b", "presence") == nil || d.List("sip:a@b", "dialog") != nil {
			t.Error("List finds the wrong list")
		}
	})
	list := head + "\n" + `<watcher-list resource="sip:a@b" package="presence">` + "\n"
	for _, c := range []struct{ name, doc, want string }{
		{"WIN-032 no version", `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" state="full"/>`, "1:1: <watcherinfo> has no version"},
		{"WIN-032 no state", `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="0"/>`, "1:1: <watcherinfo> has no state"},
		{"WIN-032 another state", `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="0" state="most"/>`, `1:69: state is "most"`},
		{"WIN-033 a version of 33 bits", `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="4294967296" state="full"/>`, `1:57: version is "4294967296"`},
		{"WIN-034 no resource", head + `<watcher-list package="presence"/></watcherinfo>`, "<watcher-list> has no resource"},
		{"WIN-034 no package", head + `<watcher-list resource="a:b"/></watcherinfo>`, "<watcher-list> has no package"},
		{"WIN-035 no id", list + `<watcher status="active" event="subscribe"/></watcher-list></watcherinfo>`, "3:1: <watcher> has no id"},
		{"WIN-035 no status", list + `<watcher id="1" event="subscribe"/></watcher-list></watcherinfo>`, "3:1: <watcher> has no status"},
		{"WIN-035 another event", list + `<watcher id="1" status="active" event="invariant"/></watcher-list></watcherinfo>`, `3:33: event is "invariant"`},
		{"WIN-037 no number", list + `<watcher id="1" status="active" event="giveup" expiration="-1"/></watcher-list></watcherinfo>`, `expiration is "-1"`},
		{"another root", `<presence xmlns="urn:ietf:params:xml:ns:pidf"/>`, "1:1: the root is {urn:ietf:params:xml:ns:pidf}presence"},
		{"WIN-031 not well-formed", "<watcherinfo>\n<", "2:"},
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

func TestExamples(t *testing.T) {
	for file, src := range schematest.Valid(t, "watcherinfo") {
		d, err := Parse(src)
		if err != nil || strings.Contains(string(src), "<watcher ") && len(d.Lists[0].Watchers) == 0 {
			t.Errorf("%s: %+v, %v", file, d, err)
			continue
		}
		schematest.MustBeValid(t, "watcherinfo.xsd", d.Bytes())
	}
}

// random makes a document of values that are hard to write.
func random(r *rand.Rand) *Document {
	texts := []string{"", "a", "a b", "%", "%4", "%41", "a#b#c", "sip:a@b;x=y?z=%20", "1:2", "ü\u0001\xff", "<&>\"'", "]]>", "a[b", "\r\n\t", "\uFFFE", "en", "en-", "x-1-2"}
	text := func() string { return texts[r.IntN(len(texts))] }
	d := &Document{Version: r.Uint32(), Full: r.IntN(2) == 0}
	for range r.IntN(4) {
		l := List{Resource: text(), Package: text()}
		for range r.IntN(5) {
			w := Watcher{ID: text(), URI: text(), Status: Status(r.IntN(6)), Event: Event(r.IntN(10)), DisplayName: text(), Lang: text()}
			if r.IntN(2) == 0 {
				w.Expires, w.Subscribed = seconds(r.Uint64()), seconds(0)
			}
			l.Watchers = append(l.Watchers, w)
		}
		d.Lists = append(d.Lists, l)
	}
	return d
}

func TestBytes(t *testing.T) {
	t.Run("WIN-031 whatever is written is valid", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		var docs [][]byte
		for range 300 {
			docs = append(docs, random(r).Bytes())
		}
		schematest.MustBeValid(t, "watcherinfo.xsd", docs...)
	})
	t.Run("URIs that are right stay as they are", func(t *testing.T) {
		for _, uri := range []string{"sip:a%20b@[2001:db8::1]:5060;x=y?z=1", "tel:+1-2", "http://a/b#c", "sip:ü@example.com"} {
			if got := lexical.FixURI(uri); got != uri {
				t.Errorf("%s became %s", uri, got)
			}
		}
	})
}

func TestUnnumbered(t *testing.T) {
	t.Run("WIN-033 the version belongs where it is read", func(t *testing.T) {
		d := sample()
		doc, at := d.Unnumbered()
		numbered := string(doc[:at]) + "7" + string(doc[at:])
		if numbered != string(d.Bytes()) {
			t.Errorf("%s", numbered)
		}
	})
}

func TestTable(t *testing.T) {
	doc := func(version uint32, full bool, watchers ...Watcher) *Document {
		return &Document{Version: version, Full: full, Lists: []List{{"sip:a@b", "presence", watchers}}}
	}
	row := func(id string, s Status) Watcher { return Watcher{ID: id, URI: "sip:" + id + "@b", Status: s} }
	rows := func(table *Table) string {
		s := ""
		for _, l := range table.Document().Lists {
			for _, w := range l.Watchers {
				s += fmt.Sprint(w.ID, "=", w.Status, " ")
			}
		}
		return strings.TrimSpace(s)
	}
	expect := func(t *testing.T, table *Table, d *Document, outcome Outcome, want string) {
		t.Helper()
		if got := table.Apply(d); got != outcome {
			t.Errorf("outcome %d, want %d", got, outcome)
		}
		if got := rows(table); got != want {
			t.Errorf("rows %q, want %q", got, want)
		}
	}
	t.Run("WIN-041 the first document sets the version", func(t *testing.T) {
		var table Table
		expect(t, &table, doc(41, true, row("x", Active)), Applied, "x=active")
		expect(t, &table, doc(42, false, row("y", Pending)), Applied, "x=active y=pending")
		if v := table.Document().Version; v != 42 {
			t.Errorf("version %d", v)
		}
	})
	t.Run("WIN-042 older and equal ones are discarded, gaps ask for a refresh", func(t *testing.T) {
		var table Table
		expect(t, &table, doc(5, true, row("x", Active)), Applied, "x=active")
		expect(t, &table, doc(5, true), Discarded, "x=active")
		expect(t, &table, doc(4, false, row("x", Terminated)), Discarded, "x=active")
		expect(t, &table, doc(7, false, row("y", Waiting)), Incomplete, "x=active y=waiting")
		expect(t, &table, doc(8, false, row("z", Active)), Incomplete, "x=active y=waiting z=active")
		expect(t, &table, doc(10, true, row("z", Active)), Applied, "z=active")
		expect(t, &table, doc(11, false, row("y", Active)), Applied, "z=active y=active")
	})
	t.Run("WIN-042 the version does not wrap", func(t *testing.T) {
		var table Table
		expect(t, &table, doc(1<<32-1, true, row("x", Active)), Applied, "x=active")
		expect(t, &table, doc(0, false, row("y", Active)), Discarded, "x=active")
	})
	t.Run("WIN-043 full ones flush all, partial ones update by id within a list", func(t *testing.T) {
		var table Table
		expect(t, &table, doc(0, true, row("x", Active), row("y", Pending)), Applied, "x=active y=pending")
		other := &Document{Version: 1, Lists: []List{{"sip:a@b", "dialog", []Watcher{row("x", Waiting)}}}}
		expect(t, &table, other, Applied, "x=active y=pending x=waiting")
		expect(t, &table, doc(2, false, row("y", Active)), Applied, "x=active y=active x=waiting")
		expect(t, &table, &Document{Version: 3, Full: true}, Applied, "")
	})
	t.Run("WIN-044 rows that are terminated go", func(t *testing.T) {
		var table Table
		expect(t, &table, doc(0, true, row("x", Active), row("y", Pending), row("z", Terminated)), Applied, "x=active y=pending")
		expect(t, &table, doc(1, false, row("x", Terminated), row("z", Active)), Applied, "y=pending z=active")
		expect(t, &table, doc(2, false, row("y", Active), row("z", Waiting)), Applied, "y=active z=waiting")
	})
	t.Run("memory is bounded", func(t *testing.T) {
		table := Table{Limit: 2}
		expect(t, &table, doc(0, false, row("x", Active)), Incomplete, "x=active")
		expect(t, &table, doc(1, true, row("x", Active), row("y", Active), row("z", Active)), Incomplete, "x=active y=active")
		expect(t, &table, doc(2, true, row("x", Active), row("x", Terminated), row("z", Active)), Applied, "z=active")
		if !table.Complete() {
			t.Error("not complete")
		}
	})
}

func TestChanges(t *testing.T) {
	var table Table
	doc := func(version uint32, full bool, watchers ...Watcher) *Document {
		return &Document{Version: version, Full: full, Lists: []List{{"sip:a@b", "presence", watchers}}}
	}
	row := func(id string, s Status, e Event) Watcher {
		return Watcher{ID: id, URI: "sip:" + id + "@b", Status: s, Event: e}
	}
	left := row("x", Active, Approved)
	left.Expires = seconds(7)
	for _, c := range []struct {
		name string
		d    *Document
		want string
	}{
		{"new ones", doc(0, true, row("x", Pending, Subscribe), row("y", Active, Subscribe), row("z", Terminated, Timeout)), "x pending/subscribe, y active/subscribe"},
		{"others stay", doc(1, false, row("x", Active, Approved)), "x active/approved"},
		{"the time left is no change", doc(2, true, left, row("y", Active, Subscribe)), ""},
		{"an old document changes nothing", doc(2, true), ""},
		{"one that goes", doc(3, false, row("y", Terminated, Timeout), row("v", Terminated, Giveup)), "y terminated/timeout"},
		{"one that is gone", doc(4, true, row("w", Waiting, Timeout)), "w waiting/timeout, x terminated/approved missed"},
		{"a list that is gone", &Document{Version: 5, Full: true}, "w terminated/timeout missed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, ch := range table.Changes(c.d) {
				s := fmt.Sprint(ch.ID, " ", ch.Status, "/", ch.Event)
				if ch.Missed {
					s += " missed"
				}
				if ch.Resource != "sip:a@b" || ch.Package != "presence" {
					t.Errorf("%+v", ch)
				}
				got = append(got, s)
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("%q, want %q", s, c.want)
			}
			table.Apply(c.d)
		})
	}
}

func TestShown(t *testing.T) {
	var b bytes.Buffer
	d := sample()
	d.Lists[0].Watchers[1].DisplayName = "\x1b[2J\u202e"
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `version 7  all watchers
sip:alice@example.com  presence
  active  sip:bob@example.com  "Bob "B" <b>"  approved  expires in 0 s  subscribed for 509 s  id w1
  pending  sip:carol@example.com  "` + "\uFFFD[2J\uFFFD" + `"  subscribe  id w2
sip:alice@example.com  presence.winfo
  no watchers
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); !strings.Contains(s, `"status":"active","event":"approved"`) || !strings.Contains(s, `"watchers":[]`) {
		t.Error(s)
	}
	var back Document
	if err := json.Unmarshal(text, &back); err != nil || back.Lists[0].Watchers[0].Event != Approved {
		t.Errorf("%+v, %v", back, err)
	}
}

// FuzzParse: whatever is read can be shown, and is written so that it is read as it was.
func FuzzParse(f *testing.F) {
	f.Add(sample().Bytes())
	f.Add([]byte(head + `<watcher-list resource="%" package=""><watcher id="1" status="active" event="giveup" xml:lang="e-">a#b#c</watcher></watcher-list></watcherinfo>`))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src)
		if err != nil {
			return
		}
		if err := d.WriteText(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		doc := d.Bytes()
		back, err := Parse(doc)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if again := back.Bytes(); !bytes.Equal(doc, again) {
			t.Fatalf("written differently:\n%s\n%s", doc, again)
		}
		var table Table
		table.Apply(d)
		table.Document().Bytes()
	})
}
