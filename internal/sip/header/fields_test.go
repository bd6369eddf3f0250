package header

import (
	"math"
	"slices"
	"testing"
)

func TestDeltaSeconds(t *testing.T) {
	for in, want := range map[string]uint32{
		"0": 0, "3600": 3600, " 07 ": 7, "4294967295": math.MaxUint32, "4294967296": math.MaxUint32, "99999999999999999999999999": math.MaxUint32,
	} {
		if got, err := ParseExpires(in); got != want || err != nil {
			t.Errorf("ParseExpires(%q) = %d, %v", in, got, err)
		}
		if got, err := ParseMinExpires(in); got != want || err != nil {
			t.Errorf("ParseMinExpires(%q) = %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", " ", "-1", "+1", "1.5", "1 2", "1,2", "0x1", "1;x", "Thu, 01 Dec 1994 16:00:00 GMT", "\u0661"} {
		if got, err := ParseExpires(in); err == nil {
			t.Errorf("ParseExpires(%q) = %d", in, got)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	for in, want := range map[string]string{
		"18000;duration=3600":                "18000;duration=3600",
		"120 (I'm in a (long \\) meeting))":  "120 (I'm in a (long \\) meeting))",
		" 5(x) ; Duration = 9 ; y=\"z\\\"\"": "5 (x);Duration=9;y=\"z\\\"\"",
		"7":                                  "7",
		"7 ()":                               "7",
	} {
		if r, err := ParseRetryAfter(in); err != nil || r.String() != want {
			t.Errorf("ParseRetryAfter(%q) = %q, %v", in, r, err)
		}
	}
	for _, in := range []string{"", "x", "5 (", "5 (a", "5 (a\\", "5 (a))", "5 (a\x00)", "5;duration=x", "5;duration", "5 (a) (b)", "5, 6", "5 (\xff)"} {
		if r, err := ParseRetryAfter(in); err == nil {
			t.Errorf("ParseRetryAfter(%q) = %q", in, r)
		}
	}
}

func TestParseContentType(t *testing.T) {
	for in, want := range map[string]string{
		"application/pidf+xml":                                  "application/pidf+xml",
		"Application / PIDF+xml ;charset=UTF-8":                 "application/pidf+xml;charset=UTF-8",
		`multipart/related;Type="application/rlmi+xml";start=x`: `multipart/related;Type="application/rlmi+xml";start=x`,
		`multipart/mixed;boundary=""`:                           `multipart/mixed;boundary=""`,
	} {
		if c, err := ParseContentType(in); err != nil || c.String() != want {
			t.Errorf("ParseContentType(%q) = %q, %v", in, c, err)
		}
	}
	for _, in := range []string{"", "text", "text/", "/plain", "text/plain;", "text/plain;charset", "text/plain;charset=", "text/plain, text/html", "text/plain;a=b;A=c", "text/pl ain", "text//plain"} {
		if c, err := ParseContentType(in); err == nil {
			t.Errorf("ParseContentType(%q) = %q", in, c)
		}
	}
	if got, err := ParseContentEncoding([]string{"Deflate , gzip", "identity"}); err != nil || !slices.Equal(got, []string{"deflate", "gzip", "identity"}) {
		t.Errorf("ParseContentEncoding = %q, %v", got, err)
	}
	for _, in := range []string{"", "a,", "a;q=1", "a b"} {
		if got, err := ParseContentEncoding([]string{in}); err == nil {
			t.Errorf("ParseContentEncoding(%q) = %q", in, got)
		}
	}
}

func TestCSeqAndFriends(t *testing.T) {
	for in, want := range map[string]string{"1 INVITE": "1 INVITE", " 0009\t INVITE ": "9 INVITE", "2147483647 Subscribe": "2147483647 Subscribe", "0 !x%": "0 !x%"} {
		if c, err := ParseCSeq(in); err != nil || c.String() != want {
			t.Errorf("ParseCSeq(%q) = %q, %v", in, c, err)
		}
	}
	for _, in := range []string{"", "1", "1 ", "INVITE", "INVITE 1", "2147483648 INVITE", "36893488147419103232 A", "1INVITE", "1 A B", "1 A,2 B", "-1 A"} {
		if c, err := ParseCSeq(in); err == nil {
			t.Errorf("ParseCSeq(%q) = %q", in, c)
		}
	}
	for in, want := range map[string]string{"a@b": "a@b", " a84b(<>:\\\"/[]?{}) ": "a84b(<>:\\\"/[]?{})"} {
		if id, err := ParseCallID(in); err != nil || id != want {
			t.Errorf("ParseCallID(%q) = %q, %v", in, id, err)
		}
	}
	for _, in := range []string{"", "@", "a@", "@b", "a@b@c", "a b", "a,b", "a;b", "\u00e9"} {
		if id, err := ParseCallID(in); err == nil {
			t.Errorf("ParseCallID(%q) = %q", in, id)
		}
	}
	if n, err := ParseMaxForwards("0068"); n != 68 || err != nil {
		t.Errorf("ParseMaxForwards = %d, %v", n, err)
	}
	for _, in := range []string{"", "256", "-1", "7x", "4294967296"} {
		if n, err := ParseMaxForwards(in); err == nil {
			t.Errorf("ParseMaxForwards(%q) = %d", in, n)
		}
	}
}

func TestWarning(t *testing.T) {
	for _, tt := range []struct {
		w    Warning
		want string
	}{
		{Warning{399, "example.com:5060", `say "no"`}, `399 example.com:5060 "say \"no\""`},
		{Warning{370, "[2001:db8::1]:5060", ""}, `370 [2001:db8::1]:5060 ""`},
		{Warning{0, "a b", "x\r\nEvil: y\x00"}, "399 - \"x  Evil: y\\\x00\""},
		{Warning{1000, "", "\xff\u00e9\\"}, "399 - \"\ufffd\u00e9\\\\\""},
		{Warning{399, "h:0", "x"}, `399 - "x"`},
	} {
		got := tt.w.String()
		if got != tt.want {
			t.Errorf("%+v renders %q, want %q", tt.w, got, tt.want)
		}
		if w, err := ParseWarning(got); err != nil || w.String() != got {
			t.Errorf("ParseWarning(%q) = %q, %v", got, w, err)
		}
	}
	for _, in := range []string{"", "399", "39 h \"x\"", "3999 h \"x\"", "099 h \"x\"", "399 h", "399 \"x\"", "399 h x", `399 h "x`, `399 h "x" y`, `399 h/x "y"`, `399 h"x"`, `399 [h] "x"`} {
		if w, err := ParseWarning(in); err == nil {
			t.Errorf("ParseWarning(%q) = %q", in, w)
		}
	}
	list := List(message(`Warning: 307 isi.edu "a, b", 301 isi.edu "c"`), "Warning")
	if len(list) != 2 {
		t.Errorf("List(Warning) = %q", list)
	}
}

func TestQuoting(t *testing.T) {
	for in, want := range map[string]string{"": `""`, "a\tb": "\"a\tb\"", `\"`: `"\\\""`, "\n": `" "`, "\x7f": "\"\\\x7f\"", "\u20ac": "\"\u20ac\""} {
		got := QuoteString(in)
		if got != want {
			t.Errorf("QuoteString(%q) = %s, want %s", in, got, want)
		}
		if back, err := Unquote(" " + got + "\t"); err != nil || back != in && in != "\n" {
			t.Errorf("Unquote(%s) = %q, %v", got, back, err)
		}
	}
	for _, in := range []string{"", "a", `"`, `"a`, `"a\`, `"a\"`, `"a"b`, "\"\x00\"", "\"\r\n\"", "\"\\\r\"", "\"\xff\"", "\"\\\u00e9\""} {
		if got, err := Unquote(in); err == nil {
			t.Errorf("Unquote(%q) = %q", in, got)
		}
	}
	for in, want := range map[string]bool{"": false, "a": true, "a.b-!%*_+`'~9": true, "a b": false, "a@": false, "\u00e9": false} {
		if IsToken(in) != want {
			t.Errorf("IsToken(%q) is not %v", in, want)
		}
	}
}

func TestParams(t *testing.T) {
	ps := Params{{Name: "Tag", Value: "1"}, {Name: "lr"}}
	if v, ok := ps.Get("tAG"); v != "1" || !ok {
		t.Errorf("Get = %q, %v", v, ok)
	}
	if v, ok := ps.Get("LR"); v != "" || !ok || !ps.Has("lr") || ps.Has("l") {
		t.Errorf("Get(LR) = %q, %v", v, ok)
	}
	for _, tt := range []struct {
		got  Params
		want string
	}{
		{ps, ";Tag=1;lr"},
		{ps.Set("tag", "2"), ";Tag=2;lr"},
		{ps.Set("x", "a b"), `;Tag=1;lr;x="a b"`},
		{ps.Set("received", "2001:db8::1"), ";Tag=1;lr;received=2001:db8::1"},
		{ps.Set("y", "2001:db8::1"), `;Tag=1;lr;y="2001:db8::1"`},
		{ps.Set("y", "[2001:db8::1]"), ";Tag=1;lr;y=[2001:db8::1]"},
		{ps.Set("tag", ""), ";Tag;lr"},
		{ps.Del("TAG"), ";lr"},
		{ps.Del("q"), ";Tag=1;lr"},
		{ps, ";Tag=1;lr"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
