package lexical

import "testing"

func TestFixURI(t *testing.T) {
	for _, c := range [][2]string{
		{" sip:a@example.com ", "sip:a@example.com"},
		{"sip:a b@example.com", "sip:a%20b@example.com"},
		{"sip:a@[2001:db8::1]:5060", "sip:a@[2001:db8::1]:5060"},
		{"http://a/[x]", "http://a/%5Bx%5D"},
		{"a#b#c", "a#b%23c"},
		{"1a:b", "1a%3Ab"},
		{"x:%4g%41%", "x:%254g%41%25"},
	} {
		if got := FixURI(c[0]); got != c[1] {
			t.Errorf("FixURI(%q) = %q, want %q", c[0], got, c[1])
		}
	}
}

func TestIsLanguage(t *testing.T) {
	for s, want := range map[string]bool{"en": true, "pt-BR": true, "x-123": true, "": false, "1a": false, "en-": false, "abcdefghi": false, "en_GB": false} {
		if IsLanguage(s) != want {
			t.Errorf("IsLanguage(%q) is not %v", s, want)
		}
	}
}

func TestVisible(t *testing.T) {
	if got := Visible("a\x1b[31m\u202eb\n c\u200d"); got != "a\uFFFD[31m\uFFFDb c\u200d" {
		t.Errorf("%q", got)
	}
}

func TestAppendAttribute(t *testing.T) {
	if got := string(AppendAttribute(nil, "a", "<\"&\x01\n")); got != ` a="&lt;&quot;&amp;`+"\uFFFD"+`&#10;"` && got != ` a="&lt;&quot;&amp;`+"\uFFFD"+`&#xA;"` {
		t.Errorf("%s", got)
	}
}
