package pidf

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

func seed(f *testing.F, add func(doc []byte)) {
	f.Helper()
	add([]byte(published))
	for i := range uint64(8) {
		g := newGenerator(i)
		add(g.mutate(draftOf(g.document())))
	}
	add(in(`<tuple id="t">` + open + `<x:a xmlns:dm="urn:y" dm:b="x:c"><dm:d/><n xmlns=""/></x:a><contact priority="2">%</contact></tuple>`))
	add(in(`<dm:person id="p"><rpid:sphere>home</rpid:sphere><rpid:place-type>x</rpid:place-type><rpid:mood><rpid:unknown/><rpid:unknown/></rpid:mood></dm:person>`))
}

// FuzzParse: whatever is read can be shown and written, validly and the same each time.
func FuzzParse(f *testing.F) {
	seed(f, func(doc []byte) { f.Add(doc) })
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Read(src)
		if _, strict := Parse(src); strict == nil && err != nil {
			t.Fatalf("Parse takes what Read does not: %v", err)
		}
		if err != nil {
			return
		}
		if err := d.WriteText(io.Discard, noon, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		for _, key := range FactKeys() {
			d.Facts(key)
		}
		d.At(noon)
		d.Reachable()
		if trim(d.Entity) == "" || !isURI(d.Entity) {
			d.Entity = alice
		}
		doc := d.Bytes()
		if err := Check(doc); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		back, err := Parse(doc)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if again := back.Bytes(); !bytes.Equal(doc, again) {
			t.Fatalf("written differently:\n%s\n%s", doc, again)
		}
	})
}

// FuzzCompose: whatever is published, what is composed is valid, and composing it again changes nothing.
func FuzzCompose(f *testing.F) {
	seed(f, func(doc []byte) { f.Add(doc, []byte(published), int64(1e9)) })
	f.Fuzz(func(t *testing.T, a, b []byte, at int64) {
		now := time.Unix(at, 0)
		inputs := []Input{{Key: "a", Doc: a, Published: noon}, {Key: "b", Doc: b, Published: now}}
		doc, _ := Compose(alice, inputs, now, Policy{AllPersons: at%2 == 0})
		if err := Check(doc); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if again, _ := Compose(alice, inputs, now, Policy{AllPersons: at%2 == 0}); !bytes.Equal(doc, again) {
			t.Fatalf("the second time it is\n%s\nwas\n%s", again, doc)
		}
		if again, _ := Compose(alice, []Input{{Key: "c", Doc: doc}}, time.Time{}, Policy{AllPersons: true}); !bytes.Equal(doc, again) {
			t.Fatalf("composed again it is\n%s\nwas\n%s", again, doc)
		}
		other, _ := Compose(alice, inputs[:1], now, Policy{})
		advanced := Advance(other, doc, now)
		if err := Check(advanced); err != nil {
			t.Fatalf("advanced: %v\n%s", err, advanced)
		}
	})
}

// FuzzTime: what is taken as a time is written as one.
func FuzzTime(f *testing.F) {
	for _, s := range strings.Fields("2026-11-22T10:20:30Z 2026-11-22t10:20:30.5z 2024-02-29T24:00:00+01:00 2026-11-22T10:20:60-14:00 0001-01-01T00:00:00Z") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fixed, ok := kindDateTime.fix(s)
		if why := kindDateTime.refuses(fixed); ok && why != "" {
			t.Errorf("%q became %q, not %s", s, fixed, why)
		}
		if _, exact, ok := parseTime(s); ok && exact {
			if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
				t.Errorf("%q is taken: %v", s, err)
			}
		}
	})
}

// FuzzURI: what is escaped needs no escaping.
func FuzzURI(f *testing.F) {
	f.Add("a b:c#d#%zz/é")
	f.Fuzz(func(t *testing.T, s string) {
		if fixed := fixURI(s); !isURI(fixed) || fixURI(fixed) != fixed {
			t.Errorf("%q became %q", s, fixed)
		}
		if name := ncName(s); !isNCName(name) {
			t.Errorf("%q became %q", s, name)
		}
	})
}
