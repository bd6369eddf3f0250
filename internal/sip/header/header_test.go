package header

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// fields is a message that has nothing but header fields.
type fields []sip.Header

func (f fields) Headers() []sip.Header { return f }

// message builds fields from lines.
func message(lines ...string) Message {
	var f fields
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		f = append(f, sip.NewHeader(name, value))
	}
	return f
}

func TestValues(t *testing.T) {
	m := message("Via: a", "O: presence", "event: dialog", "k: x, y", "SUPPORTED:  z\t", "Supported: ", "r: <sip:a@b>", "\u212a: no", "\x00: no")
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"Event", []string{"presence", "dialog"}},
		{"o", []string{"presence", "dialog"}},
		{"supported", []string{"x, y", "z", ""}},
		{"K", []string{"x, y", "z", ""}},
		{"Refer-To", []string{"<sip:a@b>"}},
		{"v", []string{"a"}},
		{"Even", nil},
		{"Subject", nil},
		{"Expires", nil},
		{"z", nil},
	} {
		if got := Values(m, tt.name); !slices.Equal(got, tt.want) {
			t.Errorf("Values(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
	t.Run("EVT-006 the compact forms of Event and Allow-Events are the same fields", func(t *testing.T) {
		m := message("o: presence;id=7", "u: presence, dialog")
		if v, ok, err := Single(m, "Event"); v != "presence;id=7" || !ok || err != nil {
			t.Errorf("Single(Event) = %q, %v, %v", v, ok, err)
		}
		if got, err := ParseAllowEvents(Values(m, "Allow-Events")); !slices.Equal(got, []string{"presence", "dialog"}) || err != nil {
			t.Errorf("Allow-Events = %q, %v", got, err)
		}
	})
	t.Run("EVT-008 the expires parameter of a Contact is no Expires", func(t *testing.T) {
		m := message("Contact: <sip:a@b>;expires=60")
		if v, ok, err := Single(m, "Expires"); ok || err != nil {
			t.Errorf("Single(Expires) = %q, %v, %v", v, ok, err)
		}
	})
}

// TestCompactForms holds every registered form against its name, both ways.
func TestCompactForms(t *testing.T) {
	for form, name := range map[string]string{
		"a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
		"f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
		"n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
		"x": "Session-Expires", "y": "Identity",
	} {
		for _, pair := range [][2]string{{form, name}, {name, form}, {strings.ToUpper(form), strings.ToUpper(name)}, {strings.ToUpper(name), strings.ToUpper(form)}} {
			if got := Values(message(pair[0]+":1"), pair[1]); len(got) != 1 {
				t.Errorf("a field %s is not found as %s", pair[0], pair[1])
			}
		}
	}
}

func TestList(t *testing.T) {
	m := message(
		`Route: <sip:a,b@h;lr>, "x, \", y" <sip:c@h>`, `Route: ,, <sip:d@h> ,`,
		"Accept:", "Require: one", `Warning: 399 h "open, not closed`, "Path: <sip:open, x")
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"Route", []string{"<sip:a,b@h;lr>", `"x, \", y" <sip:c@h>`, "<sip:d@h>"}},
		{"Require", []string{"one"}},
		{"Warning", []string{`399 h "open, not closed`}},
		{"Path", []string{"<sip:open, x"}},
	} {
		if got := List(m, tt.name); !slices.Equal(got, tt.want) {
			t.Errorf("List(%s) = %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := List(m, "Accept"); got == nil || len(got) != 0 {
		t.Errorf("List of an empty field = %#v, want an empty slice", got)
	}
	if got := List(m, "Allow"); got != nil {
		t.Errorf("List of an absent field = %#v, want nil", got)
	}
}

func TestSingle(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		name  string
		want  string
		ok    bool
		fails bool
	}{
		{nil, "Event", "", false, false},
		{[]string{"Event: presence"}, "Event", "presence", true, false},
		{[]string{"Expires:"}, "Expires", "", true, false},
		{[]string{"Event: a", "o: b"}, "Event", "", true, true},
		{[]string{"Event: a, b"}, "Event", "", true, true},
		{[]string{`From: "A, B" <sip:a,b@h>;tag=1`}, "From", `"A, B" <sip:a,b@h>;tag=1`, true, false},
		{[]string{"t: <sip:a@h>, <sip:b@h>"}, "To", "", true, true},
		{[]string{"Date: Sat, 13 Nov 2010 23:29:00 GMT"}, "date", "Sat, 13 Nov 2010 23:29:00 GMT", true, false},
		{[]string{"s: a, b"}, "Subject", "a, b", true, false},
		{[]string{"Retry-After: 5 (a, b)"}, "Retry-After", "5 (a, b)", true, false},
		{[]string{`WWW-Authenticate: Digest realm="a", nonce="b"`}, "WWW-Authenticate", `Digest realm="a", nonce="b"`, true, false},
	} {
		got, ok, err := Single(message(tt.lines...), tt.name)
		if got != tt.want || ok != tt.ok || (err != nil) != tt.fails {
			t.Errorf("Single(%q, %s) = %q, %v, %v", tt.lines, tt.name, got, ok, err)
		}
	}
	_, _, err := Single(message("o: a , b"), "o")
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Field != "Event" || syntax.Offset != 2 {
		t.Errorf("a list in Event gives %#v, want the long name and the offset of the comma", err)
	}
}

func TestEntityTag(t *testing.T) {
	t.Run("PUB-031 SIP-If-Match holds exactly one entity-tag", func(t *testing.T) {
		for _, lines := range [][]string{
			{"SIP-If-Match: a, b"}, {"SIP-If-Match: a", "sip-if-match: b"}, {"SIP-If-Match: a", "SIP-If-Match: a"}, {"SIP-If-Match:"},
			{"SIP-If-Match: a b"}, {"SIP-If-Match: ,"}, {"SIP-If-Match: a;b"}, {`SIP-If-Match: "a"`}, {"SIP-If-Match: W/a"}, {"SIP-If-Match: *\u00e9"},
		} {
			v, ok, err := Single(message(lines...), "SIP-If-Match")
			if err == nil {
				_, err = ParseETag(v)
			}
			if !ok || err == nil {
				t.Errorf("%q: accepted", lines)
			}
		}
		for _, tag := range []string{"dx200xyz", "A.b-!%*_+`'~", "12345"} {
			v, ok, err := Single(message("SIP-If-Match:\t"+tag+" "), "SIP-If-Match")
			if err != nil || !ok {
				t.Fatal(err)
			}
			if got, err := ParseETag(v); got != tag || err != nil {
				t.Errorf("ParseETag(%q) = %q, %v", v, got, err)
			}
		}
	})
}

// TestNoAllocations guards what runs once or more a message.
func TestNoAllocations(t *testing.T) {
	m := benchMessage
	uri, err := ParseURI("sip:alice@example.com:5070")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 200)
	for name, f := range map[string]func(){
		"Single":     func() { _, _, _ = Single(m, "Event") },
		"ParseEvent": func() { _, _ = ParseEvent("presence;id=7") },
		"ParseETag":  func() { _, _ = ParseETag("abc") },
		"ParseURI":   func() { _, _ = ParseURI("sip:alice@example.com:5070") },
		"AppendAOR":  func() { uri.AppendAOR(buf) },
		"AppendTo":   func() { uri.AppendTo(buf) },
		"ParseCSeq":  func() { _, _ = ParseCSeq("1 PUBLISH") },
		"ParseType":  func() { _, _ = ParseContentType("application/pidf+xml") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
