package header

import (
	"strings"
	"testing"
)

func TestSecured(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:a@192.0.2.1:5061;transport=tls;gr": "sips:a@192.0.2.1:5061;gr",
		"sip:a@b;transport=wss":                 "sips:a@b;transport=wss",
		"sips:a@b":                              "sips:a@b",
		"pres:a@b":                              "pres:a@b",
	} {
		if got := Secured(uri); got != want {
			t.Errorf("%s becomes %s, want %s", uri, got, want)
		}
	}
}

func TestParseURI(t *testing.T) {
	for _, tt := range []struct {
		in                   string
		user, password, host string
		port                 int
		params, headers      int
	}{
		{"sip:alice@atlanta.com", "alice", "", "atlanta.com", 0, 0, 0},
		{"SIP:alice:secretword@atlanta.com;transport=tcp", "alice", "secretword", "atlanta.com", 0, 1, 0},
		{"sips:alice@atlanta.com?subject=project%20x&priority=urgent", "alice", "", "atlanta.com", 0, 0, 2},
		{"sip:+1-212-555-1212:1234@gateway.com;user=phone", "+1-212-555-1212", "1234", "gateway.com", 0, 1, 0},
		{"sip:alice@192.0.2.4", "alice", "", "192.0.2.4", 0, 0, 0},
		{"sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com", "", "", "atlanta.com", 0, 1, 1},
		{"sip:alice;day=tuesday@atlanta.com.", "alice;day=tuesday", "", "atlanta.com.", 0, 0, 0},
		{"sip:user;par=u%40example.net@example.com", "user;par=u%40example.net", "", "example.com", 0, 0, 0},
		{"sip:null-%00-null@x-1.example.com", "null-%00-null", "", "x-1.example.com", 0, 0, 0},
		{"sip:a?b/c@[2001:db8::10:5070]", "a?b/c", "", "[2001:db8::10:5070]", 0, 0, 0},
		{"sip:a@[2001:DB8::10]:5070;maddr=[::1];lr;gr=urn:uuid:f81d", "a", "", "[2001:DB8::10]", 5070, 3, 0},
		{"sip:user@[2001:db8:::192.0.2.1]", "user", "", "[2001:db8::192.0.2.1]", 0, 0, 0},
		{"sip:h:05060?a=&b=c", "", "", "h", 5060, 0, 2},
		{"pres:fred@example.com?a=b@c", "fred", "", "example.com", 0, 0, 1},
	} {
		u, err := ParseURI(tt.in)
		if err != nil || u.User != tt.user || u.Password != tt.password || u.Host != tt.host || u.Port != tt.port ||
			len(u.Params) != tt.params || len(u.Headers) != tt.headers {
			t.Errorf("ParseURI(%q) = %+v, %v", tt.in, u, err)
		}
	}
	u, err := ParseURI("sip:%61lice@EXAMPLE.com;Transport=TCP;x=%41?Subject=a%20b")
	if err != nil || u.String() != "sip:%61lice@EXAMPLE.com;Transport=TCP;x=%41?Subject=a%20b" {
		t.Errorf("%q, %v", u, err)
	}
	if v, ok := u.Params.Get("transport"); v != "TCP" || !ok {
		t.Errorf("transport %q, %v", v, ok)
	}
	for _, in := range []string{"tel:+1-201-555-0123;ext=5", "urn:uuid:f81d4fae", "soap.beep://192.0.2.103:3002", "http://[::1]/x?y=z", "cid:a%20b@c"} {
		u, err := ParseURI(in)
		if err != nil || u.String() != in || u.Scheme+":"+u.Raw != in || u.Host != "" {
			t.Errorf("ParseURI(%q) = %+v, %v", in, u, err)
		}
	}
}

func TestParseURIErrors(t *testing.T) {
	many := "sip:h"
	for i := range maxParams + 1 {
		many += ";p" + strings.Repeat("x", i)
	}
	for _, in := range []string{
		"", "sip", "sip:", ":h", "1ip:h", "sip:@h", "sip:a@", "sip::p@h", "sip:a@b@c", "sip:a b@h", "sip:a\x00@h", "sip:a%4@h", "sip:a%zz@h",
		"sip:a#b@h", "sip:\u00e9@h", "sip:a:p;q@h", "sip:h%41", "sip:h_x", "sip:-h", "sip:h-", "sip:h..x", "sip:.h", "sip:h.1", "sip:1.2.3",
		"sip:1.2.3.256", "sip:1.2.3.4.5", "sip:1..3.4", "sip:[::1", "sip:[]", "sip:[h]", "sip:[1.2.3.4]", "sip:[fe80::1%25eth0]", "sip:[::1]x",
		"sip:::1", "sip:2001:db8::1", "sip:[2001:db8:::1]", "sip:h:", "sip:h:0", "sip:h:65536", "sip:h:99999999999999999999", "sip:h:-1", "sip:h:5060x",
		"sip:h;", "sip:h;;lr", "sip:h;=x", "sip:h;x=", "sip:h;x=a=b", "sip:h;x=\"a\"", "sip:h;x;X", "sip:h?", "sip:h?a", "sip:h?=b", "sip:h?a=b&", "sip:h?a=b&&c=d",
		"sip:h?a=b?c=d@", "<sip:h>", " sip:h", "sip:h ", "sip: h", "http:", "http:a b", "http:%", "x:<y>", many,
		"sip:h?" + strings.Repeat("a=&", maxParams) + "a=",
	} {
		if u, err := ParseURI(in); err == nil {
			t.Errorf("ParseURI(%q) = %+v", in, u)
		}
	}
}

func TestMailbox(t *testing.T) {
	t.Run("NAM-001 pres and im URIs are a mailbox with escapes and headers", func(t *testing.T) {
		for in, aor := range map[string]string{
			"pres:fred@example.com":                    "pres:fred@example.com",
			"pres:fred%2Ba@example.com":                "pres:fred+a@example.com",
			"PRES:fred+a@Example.COM?Subject=x&y=1@2;": "pres:fred+a@example.com",
			"im:f.r-e_d!$'*&=~@example.com":            "im:f.r-e_d!$'*&=~@example.com",
			"im:%22fred%20x%22@example.com":            "im:%22fred%20x%22@example.com",
			"im:%22a%5c%22%40b%22@example.com":         "im:%22a%5C%22%40b%22@example.com",
			"im:fr%c3%a9d@example.com":                 "im:fr%C3%A9d@example.com",
			"pres:a%2fb%2F@example.com":                "pres:a%2Fb%2F@example.com",
		} {
			u, err := ParseURI(in)
			if err != nil || u.AOR() != aor {
				t.Errorf("ParseURI(%q) = %q, %v, want %q", in, u.AOR(), err, aor)
			}
		}
		for _, in := range []string{
			"pres:", "pres:?a=b", "pres://fred@example.com", "pres://example.com/fred", "pres:fred", "pres:@example.com", "pres:fred@", "pres:fred@example.com:5060",
			"pres:fred@example.com;x=y", "pres:fred:x@example.com", "pres:fr/ed@example.com", "pres:fr(ed)@example.com", "pres:fr%28ed%29@example.com",
			"pres:fr%20ed@example.com", "pres:.fred@example.com", "pres:fred.@example.com", "pres:fr..ed@example.com", "pres:fr%2e.ed@example.com", "im:%00@example.com",
			"im:%22fred@example.com", "im:%22@example.com", "im:%22a%22b%22@example.com", "im:fr%40ed@example.com", "im:fred%@example.com", "im:a,b@example.com",
			"im:fred@exam_ple.com", "im:fred@example.com#x", "im:fred@example.com?a", "im:fred@example.com?a=%", "pres:fred@a@b",
		} {
			if u, err := ParseURI(in); err == nil {
				t.Errorf("ParseURI(%q) = %+v", in, u)
			}
		}
	})
}

func TestAOR(t *testing.T) {
	for in, want := range map[string]string{
		"SIP:%61lice:pw@ATLANTA.com;transport=tcp?a=b": "sip:alice@atlanta.com",
		"sips:Alice@h:5061":                            "sips:Alice@h:5061",
		"sip:j%40s0n@h":                                "sip:j%40s0n@h",
		"sip:a%2bb%2C%3b%3f%2f%26%3d%24@h":             "sip:a+b,;?/&=$@h",
		"sip:a%3a%5b%00%25%e9@h":                       "sip:a%3A%5B%00%25%E9@h",
		"sip:a%2561@h":                                 "sip:a%2561@h",
		"sip:H":                                        "sip:h",
		"sip:a@[2001:DB8:0::0:1]:5060":                 "sip:a@[2001:db8::1]:5060",
		"tel:+1-201;x=Y":                               "tel:+1-201;x=Y",
	} {
		u, err := ParseURI(in)
		if err != nil || u.AOR() != want {
			t.Errorf("AOR of %q = %q, %v, want %q", in, u.AOR(), err, want)
		}
		again, err := ParseURI(u.AOR())
		if err != nil || again.AOR() != want {
			t.Errorf("AOR of its own result %q = %q, %v", want, again.AOR(), err)
		}
	}
}

func TestURIEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&Subject=project%20x", true},
		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"sip:a@h", "sips:a@h", false},
		{"sip:h", "sip:a@h", false},
		{"sip:a@h", "sip:a:p@h", false},
		{"sip:a:p@h", "sip:a:P@h", false},
		{"sip:a@h;user=phone", "sip:a@h", false},
		{"sip:a@h;ttl=1", "sip:a@h", false},
		{"sip:a@h;maddr=x", "sip:a@h", false},
		{"sip:a@h;method=INVITE", "sip:a@h", false},
		{"sip:a@h;method=INVITE", "sip:a@h;method=invite", false},
		{"sip:a@h;x", "sip:a@h;X", true},
		{"sip:a@h;x=%41", "sip:a@h;x=a", true},
		{"sip:a@h;x=%2f", "sip:a@h;x=/", false},
		{"sip:a%2Bb@h", "sip:a+b@h", false},
		{"sip:a%2Bb@h", "sip:a%2bb@h", true},
		{"sip:a%41@h", "sip:aA@h", true},
		{"sip:%2561@h", "sip:a@h", false},
		{"sip:a@h?x=1&x=2", "sip:a@h?x=2&x=1", true},
		{"sip:a@h?x=1&x=1", "sip:a@h?x=1&x=2", false},
		{"sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]", true},
		{"sip:a@[2001:DB8::1]", "sip:a@[2001:db8::2]", false},
		{"pres:fred%2Ba@h", "pres:fred+a@H", true},
		{"pres:fred@h", "im:fred@h", false},
		{"tel:+1", "TEL:+1", true},
		{"tel:+1", "tel:+2", false},
	} {
		a, err := ParseURI(tt.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseURI(tt.b)
		if err != nil {
			t.Fatal(err)
		}
		if a.Equal(b) != tt.want || b.Equal(a) != tt.want || !a.Equal(a) {
			t.Errorf("%q and %q: equal is not %v", tt.a, tt.b, tt.want)
		}
	}
}

func TestURIRenderEscapes(t *testing.T) {
	u := URI{Scheme: "sip", User: "a@b c%41%", Password: ";", Host: "h", Port: 1, Params: Params{{Name: "x", Value: `"y;`}}, Headers: Params{{Name: "s", Value: "a&b"}}}
	want := "sip:a%40b%20c%41%25:%3B@h:1;x=%22y%3B?s=a%26b"
	if got := u.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := ParseURI(u.String()); err != nil {
		t.Error(err)
	}
}
