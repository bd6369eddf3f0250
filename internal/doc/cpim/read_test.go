package cpim

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const vectors = "../../../../shared/vectors/examples"

// message puts header fields before a content.
func message(fields ...string) string {
	return strings.Join(append(fields, "", "Content-Type: text/plain", "", "hi"), "\r\n")
}

func mustParse(t *testing.T, src string) *Message {
	t.Helper()
	m, err := ParseStrict([]byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return m
}

func TestParse(t *testing.T) {
	t.Run("CPIM-004 the content has a type", func(t *testing.T) {
		for _, parse := range []func([]byte) (*Message, error){Parse, ParseStrict} {
			_, err := parse([]byte("From: <im:a@x>\r\n\r\nContent-ID: <1@x>\r\n\r\nhi"))
			if e := (*Error)(nil); !errors.As(err, &e) || e.Line != 3 || !strings.Contains(e.Msg, "Content-Type") {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("CPIM-005 lines are long, never folded, and their white space is exact", func(t *testing.T) {
		long := strings.Repeat("x", 10_000)
		if m := mustParse(t, message("Subject: "+long)); m.Subjects()[0].Text != long {
			t.Error("the long line is not whole")
		}
		for _, bad := range []string{"Subject:x", "Subject:  x", "Subject: x ", " Subject: x", "Subject : x", "Subject: x\r\n y"} {
			if _, err := ParseStrict([]byte(message(bad))); err == nil {
				t.Errorf("%q is taken", bad)
			}
		}
		for _, lenient := range []string{"Subject:x", "Subject:  x", "Subject: x ", "Subject : x", "Subject:\tx"} {
			if m, err := Parse([]byte(message(lenient))); err != nil || m.Subjects()[0].Text != "x" {
				t.Errorf("%q: %v", lenient, err)
			}
		}
	})
	t.Run("CPIM-006 names have the letters that they have", func(t *testing.T) {
		m := mustParse(t, message("from: x", "CC: y", "From: <im:a@x>", "cc: <im:c@x>"))
		if m.From().URI != "im:a@x" || len(m.CC()) != 1 || len(m.View().Extensions) != 2 {
			t.Errorf("%+v", m.View())
		}
	})
	t.Run("CPIM-010 unknown header fields are harmless", func(t *testing.T) {
		m := mustParse(t, message("X-A: b", "u.n-k: c", "From: <im:a@x>"))
		if m.From().URI != "im:a@x" || len(m.NotUnderstood()) != 0 {
			t.Errorf("%+v", m)
		}
	})
	t.Run("CPIM-011 what is required and not known is told", func(t *testing.T) {
		m := mustParse(t, message("NS: My <urn:my>", "NS: i <"+IMDNSpace+">", "Require: My.Vital,i.Message-ID,Subject,no.Such"))
		if got, want := m.NotUnderstood(), []Name{{"urn:my", "Vital"}, {"", "no.Such"}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%v", got)
		}
		if got := m.NotUnderstood(Name{"urn:my", "Vital"}); len(got) != 1 {
			t.Errorf("%v", got)
		}
	})
	t.Run("CPIM-012 separators and dots are in no name", func(t *testing.T) {
		for _, name := range []string{"A-b", "p.A", "!#$%&'*+^_`|~", "9"} {
			mustParse(t, message(name+": v"))
		}
		for _, name := range []string{"a b", "a.b.c", ".a", "a.", "", "a<b", "a@b", "a,b", "a;b", `a\b`, `a"b`, "a/b", "a[b", "a]b", "a?b", "a=b", "a{b", "a}b", "(a", "a)", "é"} {
			if _, err := ParseStrict([]byte(message(name + ": v"))); err == nil {
				t.Errorf("%q is a name", name)
			}
		}
	})
	t.Run("CPIM-013 prefixes are declared before they are used", func(t *testing.T) {
		m := mustParse(t, message("a.x: 0", "NS: a <urn:n>", "a.x: 1", "NS: b <urn:n>", "b.x: 2", "NS: <urn:n>", "x: 3", "From: <im:a@x>"))
		var got []string
		for _, f := range m.Header {
			got = append(got, f.Space+" "+f.Local+" "+f.Value)
		}
		if want := []string{" x 0", "urn:n x 1", "urn:n x 2", "urn:n x 3", "urn:n From <im:a@x>"}; !reflect.DeepEqual(got, want) {
			t.Errorf("%q", got)
		}
		for _, bad := range []string{"NS: a <b>", "NS: a <urn:x#f>", "NS: a urn:x", "NS: a.b <urn:x>", "NS: a"} {
			if _, err := Parse([]byte(message(bad))); err == nil {
				t.Errorf("%q is taken", bad)
			}
		}
	})
	t.Run("CPIM-014 a prefix of the namespace is as good as none", func(t *testing.T) {
		if m := mustParse(t, message("NS: p <"+Space+">", "p.From: A <im:a@x>")); m.From() != (Address{"A", "im:a@x"}) {
			t.Errorf("%+v", m)
		}
	})
	t.Run("CPIM-017 a language stands behind the colon", func(t *testing.T) {
		m := mustParse(t, message("Subject: weather", "Subject:;lang=fr temps", `Subject:;x="a ;\"b";lang=de Wetter`))
		if want := []Subject{{"", "weather"}, {"fr", "temps"}, {"de", "Wetter"}}; !reflect.DeepEqual(m.Subjects(), want) {
			t.Errorf("%+v", m.Subjects())
		}
		if p := m.Header[2].Params[0]; p.Value != `a ;"b` {
			t.Errorf("%q", p.Value)
		}
	})
}

func TestLenient(t *testing.T) {
	t.Run("CPIM-003 the empty line before the content may be missing", func(t *testing.T) {
		with := "From: <im:a@x>\r\nTo: <im:b@x>\r\n\r\nContent-type: text/plain\r\n\r\nhi"
		without := strings.Replace(with, "\r\n\r\nC", "\r\nC", 1)
		a, err := Parse([]byte(with))
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse([]byte(without))
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%v: %+v\n%+v", err, a, b)
		}
		if _, err := ParseStrict([]byte(without)); err == nil {
			t.Error("taken strictly")
		}
		if string(b.Bytes()) != with {
			t.Errorf("written as\n%s", b.Bytes())
		}
	})
	t.Run("line ends and outer header fields", func(t *testing.T) {
		m, err := Parse([]byte("MIME-Version: 1.0\nContent-Type: Message/CPIM;\n x=y\n\nFrom: <im:a@x>\n\nContent-Type: text/plain\n\nhi\n"))
		if err != nil || m.From().URI != "im:a@x" || string(m.Content.Body) != "hi\n" {
			t.Errorf("%v %+v", err, m)
		}
	})
	t.Run("no header at all", func(t *testing.T) {
		m, err := Parse([]byte("\r\nContent-Type: message/cpim\r\n\r\nx"))
		if err != nil || m.Content.Type() != MediaType {
			t.Errorf("%v %+v", err, m)
		}
	})
}

func TestErrorsHavePositions(t *testing.T) {
	for src, want := range map[string]string{
		"From: <im:a@x>\r\nSub\x01ject: x\r\n":            "2:4: control character",
		"From: <im:a@x>\r\nno colon\r\n":                  "2:1: no colon",
		"From: <im:a@x>\r\n":                              "2:1: the message ends",
		"From: pooh\r\n\r\n":                              "1:1: From:",
		"From: <im:a@x>\nTo: x":                           "1:15: the line ends with LF",
		"From: <im:a@x>\r\nTo: x":                         "2:6: the line does not end",
		"\r\nContent-Type: a/b\r\nxx":                     "3:3: the line does not end",
		"DateTime: yesterday\r\n":                         "1:1: DateTime",
		"X: \xff\r\n":                                     "1:1: the line is not in UTF-8",
		strings.Repeat("A: b\r\n", maxFields+1):           "1001:1: more than 1000",
		"X: " + strings.Repeat("x", maxHead+1) + "\r\n":   "1:1: the header is longer",
		"\r\n" + strings.Repeat("A: b\r\n", maxFields+10): "1002:1: more than 1000",
	} {
		_, err := ParseStrict([]byte(src))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", src, err, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Run("CPIM-015 names are tokens or a string", func(t *testing.T) {
		for in, want := range map[string]Address{
			"Winnie the Pooh <im:pooh@x>": {"Winnie the Pooh", "im:pooh@x"},
			`"A \"B\"" <sip:a@x>`:         {`A "B"`, "sip:a@x"},
			"<im:tigger@x>":               {"", "im:tigger@x"},
			`"<im:x@y>" <im:z@y>`:         {"<im:x@y>", "im:z@y"},
			"Ünal <im:u@x>":               {"Ünal", "im:u@x"},
			`"tab\tin" <im:u@x>`:          {"tab\tin", "im:u@x"},
		} {
			m := mustParse(t, message("From: "+in, "To: "+in, "To: <im:o@x>", "cc: "+in, "cc: <im:o@x>"))
			if m.From() != want || m.To()[0] != want || m.CC()[0] != want || len(m.To()) != 2 || len(m.CC()) != 2 {
				t.Errorf("%s: %+v", in, m.From())
			}
			if want.String() != in {
				t.Errorf("%s is written %s", in, want)
			}
		}
		for _, bad := range []string{"", "<>", "a@x", "<a>", `"x <im:a@x>`, "<im:a b@x>", "A im:a@x", "<im:a@x"} {
			if a, err := ParseAddress(bad); err == nil {
				t.Errorf("%q is %+v", bad, a)
			}
		}
		if a, err := ParseAddress("im:a@x"); err != nil || a.URI != "im:a@x" {
			t.Errorf("%v %+v", err, a)
		}
	})
}

func TestDateTime(t *testing.T) {
	t.Run("CPIM-016 the offset of a time is kept", func(t *testing.T) {
		for _, s := range []string{"2000-12-13T13:40:00-08:00", "2026-11-22T10:20:30Z", "2001-02-01T12:16:49-05:00"} {
			m := mustParse(t, message("DateTime: "+s))
			want, _ := time.Parse(time.RFC3339, s)
			if !m.DateTime().Equal(want) || DateTimeField(m.DateTime()).Value != s {
				t.Errorf("%s: %v", s, m.DateTime())
			}
		}
		if m, err := Parse([]byte(message("DateTime: noon"))); err != nil || !m.DateTime().IsZero() {
			t.Errorf("%v", err)
		}
	})
}

func TestEscapes(t *testing.T) {
	t.Run("CPIM-007 control characters and backslashes are escaped", func(t *testing.T) {
		if got := (Address{"a\tb\x7f\\", "im:a@x"}).String(); got != `"a\tb\u007f\\" <im:a@x>` {
			t.Error(got)
		}
		m := Message{Header: []Field{SubjectField(Subject{Text: "a\r\nTo: <im:evil@x>\x00"})}}
		if got := string(m.Bytes()); !strings.HasPrefix(got, `Subject: a\r\nTo: <im:evil@x>\u0000`+"\r\n\r\n") {
			t.Errorf("%q", got)
		}
	})
	t.Run("CPIM-008 escapes both ways", func(t *testing.T) {
		for wire, text := range map[string]string{
			`\\\b\t\n\r`: "\\\b\t\n\r", `\u0001\u001f\u007f`: "\x01\x1f\x7f", `it's "q" é 😀`: `it's "q" é 😀`,
		} {
			if Unescape(wire) != text || Escape(text) != wire {
				t.Errorf("%s is %q, %q is %s", wire, Unescape(wire), text, Escape(text))
			}
		}
		for wire, text := range map[string]string{`\"\'`: `"'`, `\u00E9\u20ac`: "é€", `\ud83d\ude00`: "😀", `\ud83dx`: "\uFFFDx"} {
			if Unescape(wire) != text {
				t.Errorf("%s is %q", wire, Unescape(wire))
			}
		}
	})
	t.Run("CPIM-009 unknown escapes are the character", func(t *testing.T) {
		for wire, text := range map[string]string{`a\xb`: "axb", `a\`: "a", `\u12`: "u12", `\é`: "é", `\u00g0`: "u00g0"} {
			if Unescape(wire) != text {
				t.Errorf("%s is %q", wire, Unescape(wire))
			}
		}
	})
}

// TestExamples reads what the RFCs print.
func TestExamples(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(vectors, "index.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var all []struct{ File, Kind string }
	if err := json.Unmarshal(index, &all); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if !strings.HasPrefix(e.Kind, "cpim") {
			continue
		}
		n++
		src, err := os.ReadFile(filepath.Join(vectors, e.File))
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		if m.From().URI == "" || len(m.To()) != 1 || len(m.Content.Body) == 0 {
			t.Errorf("%s: %+v", e.File, m.View())
		}
		if e.Kind == "cpim-imdn" != m.IsNotification() {
			t.Errorf("%s: a notification or not", e.File)
		}
		if _, err := ParseStrict(m.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", e.File, err, m.Bytes())
		}
	}
	if n < 6 {
		t.Errorf("%d examples", n)
	}
}
