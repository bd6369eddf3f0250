package pidf

import (
	"testing"
	"time"
)

func TestPriority(t *testing.T) {
	for s, want := range map[string]string{
		"0.5": "0.5", "1.000": "1.000", "0": "0", "1": "1", "0.725": "0.725", "0.0210": "0.021", " .5 ": "0.5",
		"1.5": "", "-1": "", "": "", "0.1234": "", "1.001": "", "2": "", "00.5": "", "1.": "", "abc": "", "0,5": "", "10": "", "0x1": "",
	} {
		t.Run("PDF-011 "+s, func(t *testing.T) {
			if got, _, ok := priority(s); got != want || ok != (want != "") {
				t.Errorf("got %q %v, want %q", got, ok, want)
			}
		})
	}
	t.Run("PDF-075 contacts of higher priority come first, those without last", func(t *testing.T) {
		d := Document{}
		for _, p := range []string{"", "0", "0.5", "1", "0.75"} {
			d.Tuples = append(d.Tuples, Tuple{Basic: Open, Contact: Contact{"sip:" + p, p}})
		}
		d.Tuples = append(d.Tuples, Tuple{Basic: Closed, Contact: Contact{"sip:closed", "1"}}, Tuple{Basic: Open})
		got := ""
		for _, r := range d.Reachable() {
			got += r.Contact.Priority + " "
		}
		if got != "1 0.75 0.5 0  " {
			t.Errorf("got %q", got)
		}
	})
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		in, out string // out "" is none
		exact   bool
	}{
		{"2026-11-22T10:20:30Z", "2026-11-22T10:20:30Z", true},
		{"2026-11-22T10:20:30.123456789012Z", "2026-11-22T10:20:30.123456789Z", true},
		{"2026-11-22T10:20:30+05:30", "2026-11-22T10:20:30+05:30", true},
		{"2026-11-22t10:20:30z", "2026-11-22T10:20:30Z", false},
		{"2026-11-22 10:20:30Z", "2026-11-22T10:20:30Z", false},
		{"2026-11-22T10:20:30", "2026-11-22T10:20:30Z", false},
		{"2026-12-31T24:00:00Z", "2027-01-01T00:00:00Z", false},
		{"2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z", false},
		{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", true},
		{"2026-02-29T00:00:00Z", "", false},
		{"2026-11-22T25:00:00Z", "", false},
		{"2026-11-22T24:00:01Z", "", false},
		{"2026-13-01T00:00:00Z", "", false},
		{"2026-11-22T10:20:30.Z", "", false},
		{"2026-11-22T10:20:30+15:00", "", false},
		{"2026-11-22T10:20:30 Z", "", false},
		{"0000-01-01T00:00:00Z", "", false},
		{"2026-11-22", "", false},
		{"", "", false},
	} {
		t.Run("PDF-013 "+c.in, func(t *testing.T) {
			got, exact, ok := parseTime(c.in)
			if ok != (c.out != "") || exact != c.exact {
				t.Fatalf("got %v exact %v ok %v", got, exact, ok)
			}
			if form := got.Format(time.RFC3339Nano); ok && form != c.out {
				t.Errorf("got %s, want %s", form, c.out)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "_": true, "t1": true, "a.b-c_d": true, "é": true, "日本": true, "a·": true, "𠀀": true,
		"": false, "1a": false, "-a": false, ".": false, "a:b": false, "a b": false, "a@b": false, "×": false, "·a": false, "a\uFFFD": false, "a\xFF": false,
	} {
		t.Run("PDF-008 "+s, func(t *testing.T) {
			if isNCName(s) != want {
				t.Errorf("isNCName is %v", !want)
			}
			if name := ncName(s); !isNCName(name) || want && name != s {
				t.Errorf("ncName makes %q", name)
			}
		})
	}
}

func TestNamespaceNames(t *testing.T) {
	for s, want := range map[string]bool{
		"urn:ietf:params:xml:ns:pidf": true, "http://example.com/a": true, "a+b-c.d:e": true,
		"": false, "relative": false, "/path": false, "../a:b": false, "1a:b": false, "http://example.com/#": false, "http://example.com/a b": false, ":a": false,
	} {
		t.Run("PDF-074 "+s, func(t *testing.T) {
			if isAbsolute(s) != want {
				t.Errorf("got %v", !want)
			}
		})
	}
}

func TestLanguages(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "en": true, "pt-BR": true, "zh-Hant-TW": true, "i-default": true, "de-1996": true,
		"-": false, "en-": false, "english-language": true, "englishlanguage": false, "1": false, "en--us": false, "en_US": false,
	} {
		t.Run("PDF-035 "+s, func(t *testing.T) {
			if (kindLang.refuses(s) == "") != want {
				t.Errorf("got %v", !want)
			}
		})
	}
}
