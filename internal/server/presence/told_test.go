package presence

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"imp/internal/doc/filter"
	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
	"imp/internal/doc/rules"
	"imp/internal/sip/event"
	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

const (
	entityOfTest = "sip:alice@example.com"
	pidfOfTest   = `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="` + entityOfTest + `">`
)

// withoutMoods is what rules permit that grant all but moods.
var withoutMoods = &permitted{name: "no moods", rules: &rules.Permissions{Provide: rules.Note | rules.Activities,
	Services: &rules.Selection{All: true}, Persons: &rules.Selection{All: true}}}

// held is a presentity in memory that is published as the test says.
func held() *presentity {
	owner := &presentities{byKey: map[string]*presentity{}, lapsed: func(*presentity, consequence) {}}
	return &presentity{name: entityOfTest, owner: owner, loaded: true, refs: 1, version: 1, ruled: &ruled{}}
}

func (p *presentity) publish(id, inside string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(event.Publication{ID: id, Body: []byte(pidfOfTest + inside + "</presence>"), Published: time.Unix(int64(len(id)), 0)})
}

// filterOfTest is the only filter of a document.
func filterOfTest(t testing.TB, inside string) *asked {
	t.Helper()
	s, err := filter.Parse([]byte(`<filter-set xmlns="urn:ietf:params:xml:ns:simple-filter"><ns-bindings><ns-binding prefix="p" urn="urn:ietf:params:xml:ns:pidf"/><ns-binding prefix="r" urn="urn:ietf:params:xml:ns:pidf:rpid"/></ns-bindings><filter id="1">` + inside + `</filter></filter-set>`))
	if err != nil {
		t.Fatal(err)
	}
	return &asked{filters: s, filter: &s.Filters[0], name: s.Filters[0].Key()}
}

// watcher is who has a view, and what he knows by it.
type watcher struct {
	t    testing.TB
	view event.View
	mark event.Mark
	copy pidfdiff.Copy
	n    uint32
}

// notified renders what is due and takes it over; "" is nothing, else full, partial, whole or empty.
func (w *watcher) notified() string {
	w.t.Helper()
	b, mark, err := w.view.Render(w.mark)
	if err != nil {
		w.t.Fatal(err)
	}
	if mark == w.mark {
		return ""
	}
	w.mark = mark
	switch b.Type {
	case "":
		w.copy = pidfdiff.Copy{}
		return "empty"
	case mediaType:
		return "whole"
	}
	w.n++
	doc := append(fmt.Appendf(bytes.Clone(b.Bytes[:b.NumberAt]), "%d", w.n), b.Bytes[b.NumberAt:]...)
	d, err := pidfdiff.Parse(doc)
	if err != nil {
		w.t.Fatalf("%v in\n%s", err, doc)
	}
	had := w.copy.State()
	if out, err := w.copy.Take(d); err != nil || out != pidfdiff.Replaced && out != pidfdiff.Patched || d.Version != w.n {
		w.t.Fatalf("outcome %v, %v:\n%s\nfor\n%s", out, err, doc, had)
	}
	if d.Full {
		return "full"
	}
	return "partial"
}

// agrees fails unless the copy is what a new watcher with this view is told.
func (w *watcher) agrees(whole []byte) {
	w.t.Helper()
	mine, err := pidfdiff.Presence(w.copy.State())
	if err != nil {
		w.t.Fatal(err)
	}
	x, err := tree.Parse(mine, tree.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	y, err := tree.Parse(whole, tree.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	a, b := canon.Append(nil, x.Document(), canon.Options{}), canon.Append(nil, y.Document(), canon.Options{})
	if !bytes.Equal(a, b) {
		w.t.Fatalf("the copy is\n%s\nthe state is\n%s", a, b)
	}
}

// whole is what a view leaves of the document there is.
func (w *watcher) whole() []byte {
	w.t.Helper()
	l := w.view.(*layered)
	doc, _ := l.document(time.Now())
	out, err := l.asked.content(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func person(mood, note string) string {
	return `<tuple id="t"><status><basic>open</basic></status><contact>sip:alice@desk.example.com</contact></tuple><dm:person id="p"><r:mood><r:` + mood + `/></r:mood><dm:note>` + note + `</dm:note></dm:person>`
}

func TestLayers(t *testing.T) {
	t.Run("PAR-031 what rules hide is in no change, and what they come to hide is removed", func(t *testing.T) {
		p := held()
		p.publish("one", person("happy", "one"))
		w := &watcher{t: t, view: newView(p, entityOfTest, layers{permitted: withoutMoods, asked: &asked{partial: true, name: "+"}})}
		w.notified()
		p.publish("one", person("sad", "one"))
		if got := w.notified(); got != "" {
			t.Fatalf("a change of what is hidden is told: %s", got)
		}
		p.publish("one", person("sad", "two"))
		if got := w.notified(); got != "partial" || strings.Contains(string(w.copy.State()), "mood") {
			t.Fatalf("%s: %s", got, w.copy.State())
		}
		// The rules change, so that another view goes on.
		next := func(by *permitted) {
			before := w.view
			w.view = newView(p, entityOfTest, layers{permitted: by, asked: before.(*layered).asked})
			if !w.view.(event.Successor).Continues(before) {
				t.Fatal("the watcher begins anew")
			}
		}
		next(nil)
		if got := w.notified(); got != "partial" || !strings.Contains(string(w.copy.State()), "sad") {
			t.Fatalf("%s: %s", got, w.copy.State())
		}
		next(withoutMoods)
		if got := w.notified(); got != "partial" || strings.Contains(string(w.copy.State()), "mood") {
			t.Fatalf("%s: %s", got, w.copy.State())
		}
		w.agrees(w.whole())
	})
	t.Run("AUT-065 FLT-039 a filter shows nothing that is hidden", func(t *testing.T) {
		p := held()
		p.publish("one", person("happy", "one"))
		w := &watcher{t: t, view: newView(p, entityOfTest, layers{permitted: withoutMoods, asked: filterOfTest(t, `<what><include>//r:mood</include></what>`)})}
		if got := w.notified(); got != "empty" {
			t.Fatal(got)
		}
	})
	t.Run("AUT-065 FLT-040 a trigger does not tell what is hidden", func(t *testing.T) {
		const trigger = `<trigger><added>//r:sad</added></trigger>`
		for name, l := range map[string]layers{
			"":      {permitted: withoutMoods, asked: filterOfTest(t, trigger)},
			"whole": {asked: filterOfTest(t, trigger)},
		} {
			p := held()
			p.publish("one", person("happy", "one"))
			w := &watcher{t: t, view: newView(p, entityOfTest, l)}
			w.notified()
			p.publish("one", person("sad", "two"))
			if got := w.notified(); got != name {
				t.Errorf("told %q, want %q", got, name)
			}
		}
	})
	t.Run("FLT-011 added is what the watcher is now allowed to see, too", func(t *testing.T) {
		p := held()
		p.publish("one", person("happy", "one"))
		by := filterOfTest(t, `<trigger><added>//r:mood</added></trigger>`)
		w := &watcher{t: t, view: newView(p, entityOfTest, layers{permitted: withoutMoods, asked: by})}
		w.notified()
		w.view = newView(p, entityOfTest, layers{asked: by})
		if got := w.notified(); got != "whole" {
			t.Errorf("told %q", got)
		}
	})
	t.Run("a view goes on only for what it remembers", func(t *testing.T) {
		p, by := held(), &asked{partial: true, name: "+"}
		v := newView(p, entityOfTest, layers{permitted: withoutMoods, asked: by}).(event.Successor)
		only := filterOfTest(t, `<what><include>//r:mood</include></what>`)
		for name, before := range map[string]event.View{"none": newView(p, entityOfTest, layers{}), "rules only": newView(p, entityOfTest, layers{permitted: withoutMoods}),
			"another wish": newView(p, entityOfTest, layers{asked: &asked{partial: true, name: "+"}}), "another entity": newView(p, "pres:alice@example.com", layers{asked: by}),
			"another presentity": newView(held(), entityOfTest, layers{asked: by})} {
			if v.Continues(before) {
				t.Errorf("it continues %s", name)
			}
		}
		if newView(p, entityOfTest, layers{asked: only}).(event.Successor).Continues(newView(p, entityOfTest, layers{permitted: withoutMoods, asked: only})) {
			t.Error("a filter without triggers remembers nothing")
		}
	})
	t.Run("equal filters share a rendering, others do not", func(t *testing.T) {
		p := held()
		name := func(l layers) string { return newView(p, entityOfTest, l).Key() }
		one, again := layers{asked: filterOfTest(t, `<what><include>//p:note</include></what>`)}, layers{asked: filterOfTest(t, `<what><include>//p:note</include></what>`)}
		if name(one) != name(again) {
			t.Error("equal filters have different keys")
		}
		seen := map[string]bool{}
		for _, l := range []layers{{}, one, {asked: filterOfTest(t, `<what><exclude>//p:note</exclude></what>`)}, {permitted: withoutMoods}, {permitted: withoutMoods, asked: one.asked}, {asked: &asked{partial: true, name: "+"}}} {
			if k := name(l); seen[k] {
				t.Errorf("key %q twice", k)
			} else {
				seen[k] = true
			}
		}
	})
}

// TestFilteredDocuments looks at what filters leave of documents of many kinds.
func TestFilteredDocuments(t *testing.T) {
	for _, what := range []string{`<include>//p:note</include>`, `<include>//p:basic</include>`, `<include>//@priority</include>`, `<include>//r:activities</include>`,
		`<include>/p:presence/p:tuple/*</include><exclude>//p:status</exclude>`, `<exclude>//@id</exclude><exclude>/p:presence/@entity</exclude>`,
		`<exclude type="namespace">urn:ietf:params:xml:ns:pidf:rpid</exclude>`, `<include type="namespace">urn:ietf:params:xml:ns:pidf:rpid</include>`,
		`<exclude>//r:mood/*</exclude><exclude>//r:activities/*</exclude>`, `<include>//p:tuple[@id="t1"]</include>`} {
		t.Run("FLT-037 "+what, func(t *testing.T) {
			by := filterOfTest(t, `<what>`+what+`</what>`)
			p := held()
			for i := range 64 {
				p.publish(strings.Repeat("p", 1+i%2), randomState(byte(i*37), i))
				doc, _ := p.document(entityOfTest, time.Unix(1_800_000_000, 0))
				out, err := by.content(doc)
				if err != nil {
					t.Fatal(err)
				}
				if out == nil {
					continue
				}
				if err := pidf.Check(out); err != nil {
					t.Fatalf("%v in\n%s\nof\n%s", err, out, doc)
				}
			}
		})
	}
}

func TestHistory(t *testing.T) {
	doc := func(i int) []byte { return fmt.Appendf(nil, "document %d", i) }
	t.Run("equal documents are one", func(t *testing.T) {
		var h history
		a := h.keep(doc(1), 1)
		if b := h.keep(doc(2), 2); b == a || h.keep(doc(1), 3) != a || len(h.past) != 2 {
			t.Errorf("%d documents", len(h.past))
		}
	})
	t.Run("what nobody needed in a while goes, what somebody needs stays", func(t *testing.T) {
		var h history
		first := h.keep(doc(0), 1)
		for i := 1; i < 50; i++ {
			h.keep(doc(i), event.Mark(i+1))
			if _, ok := h.get(first); !ok {
				t.Fatalf("forgotten at %d", i)
			}
		}
		if len(h.past) > rememberedVersions+2 {
			t.Errorf("%d documents are remembered", len(h.past))
		}
		if _, ok := h.get(first + 1); ok {
			t.Error("all are remembered")
		}
		if h.name(first) == "" || h.name(first+1) != "" {
			t.Error("names are wrong")
		}
	})
	t.Run("a document that goes and comes back has another mark", func(t *testing.T) {
		var h history
		first := h.keep(doc(0), 1)
		for i := 1; i < 20; i++ {
			h.keep(doc(i), event.Mark(i+1))
		}
		if got := h.keep(doc(0), 30); got == first {
			t.Error("the same mark")
		}
	})
	t.Run("memory is bounded", func(t *testing.T) {
		var h history
		for i := range 100 {
			h.keep(append(make([]byte, rememberedBytes/4), byte(i)), 1)
		}
		if len(h.past) > 4 || h.size > rememberedBytes+rememberedBytes/4 {
			t.Errorf("%d documents, %d bytes", len(h.past), h.size)
		}
		h.keep(make([]byte, 2*rememberedBytes), 1)
		if mark := h.keep(doc(1), 1); len(h.past) > 2 {
			t.Errorf("%d documents beside one that is too long", len(h.past))
		} else if _, ok := h.get(mark); !ok {
			t.Error("the latest is not known")
		}
	})
	t.Run("PAR-017 PAR-032 whose document is forgotten gets the full state", func(t *testing.T) {
		p := held()
		p.publish("one", person("happy", "one"))
		w := &watcher{t: t, view: newView(p, entityOfTest, layers{asked: &asked{partial: true, name: "+"}})}
		busy := &watcher{t: t, view: newView(p, entityOfTest, layers{asked: &asked{partial: true, name: "+"}})}
		w.notified()
		for i := range 3 * rememberedVersions {
			p.publish("one", person("happy", fmt.Sprint(i)))
			busy.notified()
		}
		if got := w.notified(); got != "full" {
			t.Errorf("told %s", got)
		}
		w.agrees(w.whole())
	})
}

// FuzzPartial publishes, takes back, changes rules, and lets watchers lag behind: whoever applies what he is told, in
// order, has the document there is.
func FuzzPartial(f *testing.F) {
	f.Add([]byte("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"))
	f.Add([]byte("publish and change and watch, and again and again"))
	f.Add(bytes.Repeat([]byte{0x15, 0x27, 0xf0, 0x03}, 20))
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 64 {
			return
		}
		follow(t, program)
	})
}

// TestPartialOfRandomPrograms runs what the fuzzer would take long to find.
func TestPartialOfRandomPrograms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		program := make([]byte, 64)
		for i := range program {
			program[i] = byte(random.IntN(256))
		}
		follow(t, program)
	}
}

// follow runs a program: each byte is a publication, or the end of one.
func follow(t *testing.T, program []byte) {
	p := held()
	var watchers []*watcher
	for _, l := range []layers{{asked: &asked{partial: true, name: "+"}}, {permitted: withoutMoods, asked: &asked{partial: true, name: "+"}}, {}} {
		if l.asked == nil {
			l.asked = filterOfTest(t, `<what><exclude>//p:note</exclude><exclude type="namespace">urn:ietf:params:xml:ns:pidf:rpid</exclude></what>`)
			l.asked.partial, l.asked.name = true, l.asked.name+"+"
		}
		watchers = append(watchers, &watcher{t: t, view: newView(p, entityOfTest, l)})
	}
	for i, op := range program {
		id := strings.Repeat("p", 1+int(op>>6))
		if op&0x3f == 0x3f {
			p.mu.Lock()
			p.unset(id)
			p.mu.Unlock()
		} else {
			p.publish(id, randomState(op, i))
		}
		for j, w := range watchers {
			if (i+int(op))%(j+2) == 0 {
				continue // he is slow
			}
			w.notified()
			w.agrees(w.whole())
		}
	}
}

// randomState is what op makes a publisher say.
func randomState(op byte, i int) string {
	var b strings.Builder
	for j := range int(op >> 4 & 3) {
		fmt.Fprintf(&b, "\n  <tuple id=\"t%d\"><status><basic>%s</basic></status>", (j+i)%4, [...]string{"open", "closed"}[int(op>>j)&1])
		if op&2 != 0 {
			fmt.Fprintf(&b, `<contact priority="0.%d">sip:alice@%d.example.com</contact>`, i%10, op)
		}
		for k := range int(op & 3) {
			fmt.Fprintf(&b, `<note xml:lang="l%d">&lt;%d &#xe4; "%d"</note>`, k, op&7, i%3)
		}
		if op&4 != 0 {
			fmt.Fprintf(&b, `<timestamp>2026-01-0%dT00:00:00Z</timestamp>`, 1+i%9)
		}
		b.WriteString("</tuple>")
	}
	if op&8 != 0 {
		fmt.Fprintf(&b, `<dm:person id="p%d"><r:activities><r:%s/></r:activities><r:mood><r:%s/></r:mood></dm:person>`, i%2, [...]string{"busy", "away", "meal"}[i%3], [...]string{"happy", "sad"}[op&1])
	}
	if op&1 != 0 {
		fmt.Fprintf(&b, `<x:load xmlns:x="urn:x%d" x:n="%d">%d<!-- c --></x:load>`, op&1, op, i)
	}
	return b.String()
}
