package cpim

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// FuzzParse: whatever is read can be shown and written, and reads the same again; strictly too when Check has nothing against it.
func FuzzParse(f *testing.F) {
	f.Add(draft().Bytes())
	f.Add([]byte(im))
	f.Add([]byte("\r\n" + aggregated))
	f.Add([]byte(message("NS: <urn:x>", "NS: a <urn:y>", "From: x", "a.b:;lang=de;x=\"y\" z", "Require: a.b,q.r,s")))
	f.Add([]byte("Content-Type: message/cpim\n\nFrom: <im:a@x>\nContent-Type: text/plain\n folded\n\nx"))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := Parse(src)
		if err != nil {
			return
		}
		if err := m.WriteText(io.Discard, noon, nil); err != nil {
			t.Fatal(err)
		}
		view, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		m.Notify(nil, "id")
		out := m.Bytes()
		back, err := Parse(out)
		if err != nil {
			t.Fatalf("%v\n%q", err, out)
		}
		if again := back.Bytes(); !bytes.Equal(out, again) {
			t.Fatalf("written differently:\n%q\n%q", out, again)
		}
		if seen, _ := json.Marshal(back); !bytes.Equal(seen, view) && !strings.Contains(string(src), ".") {
			t.Fatalf("read differently:\n%s\n%s", view, seen)
		}
		if m.Check() == nil {
			if _, err := ParseStrict(out); err != nil {
				t.Fatalf("%v\n%q", err, out)
			}
		}
	})
}

// FuzzEscape: text comes back from its escapes, which have no control character.
func FuzzEscape(f *testing.F) {
	f.Add("a\\b\t\x00\x7f\"'é😀\xff")
	f.Fuzz(func(t *testing.T, s string) {
		wire := Escape(s)
		if back := Unescape(wire); back != strings.ToValidUTF8(s, "\uFFFD") && back != string([]rune(s)) {
			t.Errorf("%q became %q", s, back)
		}
		if strings.ContainsFunc(wire, func(r rune) bool { return r < ' ' || r == 0x7F }) {
			t.Errorf("%q", wire)
		}
		if a, err := ParseAddress(Address{s, "im:a@x"}.String()); err != nil || a.Name != string([]rune(s)) {
			t.Errorf("%q became %q, %v", s, a.Name, err)
		}
	})
}
