package header

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// roundTrip parses s and what the result renders, and wants both to be equal. An error must point into s.
func roundTrip[T fmt.Stringer](t *testing.T, s string, parse func(string) (T, error)) (v T, ok bool) {
	t.Helper()
	v, err := parse(s)
	if err != nil {
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(s) || syntax.Field == "" {
			t.Fatalf("%q: error %#v", s, err)
		}
		return v, false
	}
	text := v.String()
	if strings.ContainsAny(text, "\r\n") {
		t.Fatalf("%q renders a line break: %q", s, text)
	}
	again, err := parse(text)
	if err != nil {
		t.Fatalf("%q renders %q: %v", s, text, err)
	}
	if !reflect.DeepEqual(v, again) {
		t.Fatalf("%q is %#v, but rendered as %q it is %#v", s, v, text, again)
	}
	return v, true
}

// plain makes a Stringer of parsers that return text or numbers.
type plain string

func (p plain) String() string { return string(p) }

func asPlain[T any](parse func(string) (T, error)) func(string) (plain, error) {
	return func(s string) (plain, error) {
		v, err := parse(s)
		return plain(fmt.Sprint(v)), err
	}
}

// joined makes a Stringer of parsers of lists.
func joined(parse func([]string) ([]string, error)) func(string) (plain, error) {
	return func(s string) (plain, error) {
		v, err := parse([]string{s})
		return plain(strings.Join(v, ", ")), err
	}
}

func seed(f *testing.F, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
}

func FuzzEvent(f *testing.F) {
	seed(f, "presence", "presence.winfo ; id=7;x=\"a\\\"\";max-rate=0.2", "a;received=::1;y=[::1]", "a..b", "a, b")
	f.Fuzz(func(t *testing.T, s string) {
		if e, ok := roundTrip(t, s, ParseEvent); ok {
			if !e.Match(e) {
				t.Fatalf("%q does not match itself", s)
			}
			if r, ok, err := e.Rate("max-rate"); ok && err == nil && (r <= 0 || r >= 100) {
				t.Fatalf("%q: rate %v", s, r)
			}
		}
	})
}

func FuzzAllowEvents(f *testing.F) {
	seed(f, "presence, presence.winfo", "a,,b", "")
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s, joined(ParseAllowEvents)) })
}

func FuzzSubscriptionState(f *testing.F) {
	seed(f, "active;expires=60", "terminated;reason=timeout;retry-after=99999999999;x=\"y\"", "x;expires")
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s, ParseSubscriptionState) })
}

func FuzzExpires(f *testing.F) {
	seed(f, "3600", "99999999999", " 0 ", "-1")
	f.Fuzz(func(t *testing.T, s string) {
		roundTrip(t, s, asPlain(ParseExpires))
		roundTrip(t, s, asPlain(ParseMinExpires))
		roundTrip(t, s, asPlain(ParseMaxForwards))
	})
}

func FuzzRetryAfter(f *testing.F) {
	seed(f, "5 (a (b) \\)) ;duration=3", "5()", "5(")
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s, ParseRetryAfter) })
}

func FuzzETag(f *testing.F) {
	seed(f, "dx200xyz", "a, b", "")
	f.Fuzz(func(t *testing.T, s string) {
		if tag, ok := roundTrip(t, s, asPlain(ParseETag)); ok && !IsToken(string(tag)) {
			t.Fatalf("%q is no token", tag)
		}
	})
}

func FuzzAccept(f *testing.F) {
	seed(f, "text/html;level=1;q=0.5;x=\"a\", */*", "a / * ; Q=1.", "a/b;q=2", "")
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := roundTrip(t, s, func(s string) (Accept, error) { return ParseAccept([]string{s}) })
		if !ok {
			return
		}
		for i := range a {
			if q := a[i].Q; q < 0 || q > 1000 {
				t.Fatalf("%q: quality %d", s, q)
			}
		}
		if got, ok := a.Choose([]string{"text/html;level=1", "text/html"}); ok && a.Quality(got) == 0 {
			t.Fatalf("%q: chosen %q", s, got)
		}
	})
}

func FuzzContentType(f *testing.F) {
	seed(f, "text / Plain;charset=UTF-8;x=\"\"", "multipart/related;boundary=a;type=\"b/c\"", "a/")
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s, ParseContentType) })
}

func FuzzContentEncoding(f *testing.F) {
	seed(f, "Deflate, gzip", "a,")
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s, joined(ParseContentEncoding)) })
}

func FuzzAddress(f *testing.F) {
	seed(f, `"A \"b\\" <sip:a,b@h;lr?x=y>;tag=1;x="y"`, "Bob  B <sips:h>", "sip:a@h;tag=1", "tel:+1;x=[::1]", "<pres:a%2Bb@h>", "<sip:[2001:db8:::1.2.3.4]>", "*")
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := roundTrip(t, s, ParseAddress)
		if !ok {
			return
		}
		list, star, err := ParseContacts([]string{s})
		if err != nil || star || len(list) != 1 || !reflect.DeepEqual(list[0], a) {
			t.Fatalf("%q as a list: %v, %v", s, list, err)
		}
		two, err := ParseAddressList(List(message("Route: "+s+", "+a.String()), "Route"))
		if err != nil || len(two) != 2 || !reflect.DeepEqual(two[0], two[1]) {
			t.Fatalf("%q twice: %v, %v", s, two, err)
		}
	})
}

func FuzzURI(f *testing.F) {
	seed(f, "sip:a%2b:p@h:5060;transport=tcp;lr?x=y&z=", "SIPS:[::1]", "pres:%22a%20b%22@h?x=a@b", "im:a@h", "tel:+1;x", "sip:[2001:db8:::1.2.3.4]:5", "sip:a;b?c@1.2.3.4")
	f.Fuzz(func(t *testing.T, s string) {
		u, ok := roundTrip(t, s, ParseURI)
		if !ok {
			return
		}
		if !u.Equal(u) {
			t.Fatalf("%q does not equal itself", s)
		}
		aor, err := ParseURI(u.AOR())
		if err != nil || aor.AOR() != u.AOR() {
			t.Fatalf("%q: address of record %q of %q, %v", s, aor.AOR(), u.AOR(), err)
		}
		if a, err := ParseAddress("<" + s + ">"); err != nil || a.URI != s {
			t.Fatalf("%q as an address: %v, %v", s, a, err)
		}
	})
}

func FuzzVia(f *testing.F) {
	seed(f, "SIP/2.0/UDP h:5060;branch=z9hG4bK1;rport;received=::1", "sip / 2.0 / tcp  [::1] : 1 ; x = \"y\"", "SIP/2.0/UDP 1.2.3.4;received=[::1];maddr=h;ttl=1")
	f.Fuzz(func(t *testing.T, s string) {
		roundTrip(t, s, ParseVia)
	})
}

func FuzzCSeq(f *testing.F) {
	seed(f, "1 INVITE", "2147483648 A")
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s, ParseCSeq) })
}

func FuzzCallID(f *testing.F) {
	seed(f, "a@b", "a<>:\\\"/[]?{}", "@")
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s, asPlain(ParseCallID)) })
}

func FuzzWarning(f *testing.F) {
	seed(f, `399 example.com:5060 "a \"b\""`, `301 [::1] ""`, "99 a b")
	f.Fuzz(func(t *testing.T, s string) {
		roundTrip(t, s, ParseWarning)
		w := Warning{len(s), s, s}
		if _, err := ParseWarning(w.String()); err != nil {
			t.Fatalf("%+v renders %q: %v", w, w, err)
		}
	})
}

func FuzzQuote(f *testing.F) {
	seed(f, "a \"b\" \\", "\r\n\x00\xff", `"a\"b"`)
	f.Fuzz(func(t *testing.T, s string) {
		once, err := Unquote(QuoteString(s))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if twice, err := Unquote(QuoteString(once)); err != nil || twice != once {
			t.Fatalf("%q: %q, then %q, %v", s, once, twice, err)
		}
		if content, err := Unquote(s); err == nil {
			if back, err := Unquote(QuoteString(content)); err != nil || back != content {
				t.Fatalf("%s: %q, then %q, %v", s, content, back, err)
			}
		}
	})
}

func FuzzList(f *testing.F) {
	seed(f, `a, "b, \", c" , <d,e>,,`, "<", `"`, `"\`)
	f.Fuzz(func(t *testing.T, s string) {
		m := message("Route: " + s)
		list := List(m, "Route")
		again := List(message("Route: "+strings.Join(list, ", ")), "Route")
		if strings.Join(list, "|") != strings.Join(again, "|") {
			t.Fatalf("%q: %s, then %s", s, quoteAll(list), quoteAll(again))
		}
		if v, ok, err := Single(m, "Route"); !ok || err == nil && len(list) == 1 && v != list[0] {
			t.Fatalf("%q: single %q, %v", s, v, err)
		}
	})
}

func quoteAll(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(strconv.Quote(s) + " ")
	}
	return b.String()
}
