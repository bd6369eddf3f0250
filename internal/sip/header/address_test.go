package header

import (
	"errors"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct {
		in           string
		display, uri string
		want         string
	}{
		{"<sip:alice@example.com>", "", "sip:alice@example.com", "<sip:alice@example.com>"},
		{`"Alice \"A\" \\, B" <sip:alice@example.com>;tag=1`, `Alice "A" \, B`, "sip:alice@example.com", `"Alice \"A\" \\, B" <sip:alice@example.com>;tag=1`},
		{"sip:alice@example.com;tag=a;x", "", "sip:alice@example.com", "<sip:alice@example.com>;tag=a;x"},
		{"<sip:alice@example.com;transport=tcp>;tag=a", "", "sip:alice@example.com;transport=tcp", "<sip:alice@example.com;transport=tcp>;tag=a"},
		{"Bob Q. \t Public  <sips:b@h>", "Bob Q. Public", "sips:b@h", `"Bob Q. Public" <sips:b@h>`},
		{"caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", `"caller" <sip:caller@example.com>;tag=323`},
		{"\"\"<tel:+1-201-555-0123;phone-context=x>", "", "tel:+1-201-555-0123;phone-context=x", "<tel:+1-201-555-0123;phone-context=x>"},
		{"\t isbn:2983792873 ; tag = x ", "", "isbn:2983792873", "<isbn:2983792873>;tag=x"},
		{"<sip:a,b;c?d@h?Subject=x>", "", "sip:a,b;c?d@h?Subject=x", "<sip:a,b;c?d@h?Subject=x>"},
		{"<pres:fred%2Ba@example.com>", "", "pres:fred%2Ba@example.com", "<pres:fred%2Ba@example.com>"},
		{`<sip:a@[2001:db8::1]:5060>;received="sip:[::1]:9";+sip.instance="<urn:uuid:0>"`, "", "sip:a@[2001:db8::1]:5060",
			`<sip:a@[2001:db8::1]:5060>;received="sip:[::1]:9";+sip.instance="<urn:uuid:0>"`},
		{"sip <sip:a@h>", "sip", "sip:a@h", `"sip" <sip:a@h>`},
		{"\"\u00c4\" <sip:a@h>", "\u00c4", "sip:a@h", "\"\u00c4\" <sip:a@h>"},
	} {
		a, err := ParseAddress(tt.in)
		if err != nil || a.Display != tt.display || a.URI != tt.uri || a.String() != tt.want {
			t.Errorf("ParseAddress(%q) = %q, %q, %q, %v", tt.in, a.Display, a.URI, a, err)
		}
	}
}

func TestParseAddressErrors(t *testing.T) {
	for in, offset := range map[string]int{
		"":                                     0,
		"*":                                    1,
		"alice":                                5,
		`"Alice <sip:a@h>`:                     0,
		`"Alice" sip:a@h`:                      8,
		"Watson, Thomas <sip:t@h>":             6,
		"J\u00f6rg <sip:a@h>":                  1,
		"<sip:a@h":                             0,
		"<sip:a@h>>":                           9,
		"< sip:a@h>":                           1,
		"<sip:a@h >":                           8,
		"<sip:a @h>":                           6,
		"<>":                                   1,
		"sip:a@h?Route=x":                      7,
		"sip:a,b@h":                            5,
		"sip:alice;day=tuesday@example.com":    21,
		"sip:a@h, sip:b@h":                     7,
		"<sip:a@h>, <sip:b@h>":                 9,
		"<sip:a@h>;":                           10,
		"<sip:a@h>;tag=":                       14,
		"<sip:a@h>;tag=1;TAG=2":                16,
		"<sip:a@h>;tag=1 2":                    16,
		"<sip:a@h> tag=1":                      10,
		"<sip:a@h_x>":                          8,
		"<sip:@h>":                             5,
		"<sip:a@h>;x=2001:db8::1":              16,
		"alice <mailto>":                       13,
		"<http:>":                              6,
		"Alice <sip:a@h\r\n>":                  14,
		`"a" "b" <sip:a@h>`:                    4,
		"<sip:a@h>;x=\"":                       12,
		"<sip:a@h>;x=\"\\":                     14,
		"<sip:a@h;transport=>;tag=\"unclosed ": 19,
	} {
		a, err := ParseAddress(in)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != offset {
			t.Errorf("ParseAddress(%q) = %q, %v, want an error at %d", in, a, err, offset)
		}
	}
}

func TestParseAddressList(t *testing.T) {
	got, err := ParseAddressList([]string{"<sip:a,1@h;lr>,sip:b@h;x , \"c, d\" <sip:c@h>", " <sip:d@h>"})
	if err != nil || len(got) != 4 || got[0].URI != "sip:a,1@h;lr" || got[1].URI != "sip:b@h" || got[2].Display != "c, d" || got[3].URI != "sip:d@h" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, in := range []string{"", ",<sip:a@h>", "<sip:a@h>,", "<sip:a@h>,,<sip:b@h>", "<sip:a@h> <sip:b@h>"} {
		if got, err := ParseAddressList([]string{in}); err == nil {
			t.Errorf("ParseAddressList(%q) = %v", in, got)
		}
	}
}

func TestParseContacts(t *testing.T) {
	for in, wantStar := range map[string]bool{" * ": true, "<sip:a@h>;expires=60;q=0.5": false} {
		contacts, star, err := ParseContacts([]string{in})
		if err != nil || star != wantStar || len(contacts) == 0 != wantStar {
			t.Errorf("ParseContacts(%q) = %v, %v, %v", in, contacts, star, err)
		}
	}
	for _, in := range [][]string{{"*", "*"}, {"*, <sip:a@h>"}, {"<sip:a@h>", "*"}, {"*;q=1"}, {"**"}, {""}} {
		if contacts, star, err := ParseContacts(in); err == nil {
			t.Errorf("ParseContacts(%q) = %v, %v", in, contacts, star)
		}
	}
}
