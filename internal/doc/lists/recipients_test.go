package lists

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"imp/internal/xml/lexical"
	"imp/internal/xml/schematest"
)

func TestCanonical(t *testing.T) {
	t.Run("XUSE-013 the canonical form of SIP URIs", func(t *testing.T) {
		for uri, want := range map[string]string{
			"sip:%6aoe%20smith@example.com":                        "sip:joe%20smith@example.com",
			"SIP:Joe@EXAMPLE.com:5070;User=Phone;LR;Transport=UDP": "sip:Joe@example.com:5070;lr;transport=udp;user=phone",
			" sips:a%3ab:p%2fq%40@x;b=%5B;a?Subject=x&To=sip:c@d":  "sips:a%3Ab:p%2Fq%40@x;a;b=[",
			"sip:a?b;c@x":                   "sip:a?b;c@x",
			"sip:example.com;transport=tcp": "sip:example.com;transport=tcp",
			"sip:+1-212;phone-context=A@X":  "sip:+1-212;phone-context=A@x",
			"http://Example.com/%6a":        "http://Example.com/%6a",
			"tel:+1":                        "tel:+1",
		} {
			if got := Canonical(uri); got != want || Canonical(got) != want {
				t.Errorf("%s became %s, want %s", uri, got, want)
			}
		}
	})
}

// roles tells recipients in a line.
func roles(all []Recipient) string {
	var words []string
	for _, r := range all {
		word := r.URI + "=" + string(r.Role)
		if r.Anonymous {
			word += "?"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func entries(s string) string { return in("<list>" + s + "</list>") }

func TestRecipients(t *testing.T) {
	t.Run("LIST-003 what is not told of an entry", func(t *testing.T) {
		src := `<r:resource-lists xmlns:r="urn:ietf:params:xml:ns:resource-lists" xmlns:q="urn:ietf:params:xml:ns:copycontrol"><r:list><r:entry uri="sip:a@x"/>` +
			`<r:entry uri="sip:b@x" q:copyControl="to" q:anonymize="1" q:count="0"/><r:entry uri="sip:c@x" q:copyControl="cc" q:anonymize="false" q:count="2"/></r:list></r:resource-lists>`
		d := mustParse(t, src)
		items := d.Lists[0].Items
		for i, want := range []uint64{1, 0, 2} {
			if got := items[i].Recipients(); got != want {
				t.Errorf("%s stands for %d", items[i].URI, got)
			}
		}
		if got := roles(Recipients(d)); got != "sip:a@x=bcc sip:b@x=to? sip:c@x=cc" {
			t.Error(got)
		}
	})
	t.Run("LIST-018 RLS-080 several lists are united", func(t *testing.T) {
		a, b := mustParse(t, entries(`<entry uri="sip:a@x"/><entry uri="tel:+1"/>`)), mustParse(t, entries(`<entry uri="sip:b@x"/><entry uri="sip:A@x"/><entry uri="tel:+1"/>`))
		if got := roles(Recipients(a, b)); got != "sip:a@x=bcc tel:+1=bcc sip:b@x=bcc sip:A@x=bcc" {
			t.Error(got)
		}
	})
	t.Run("LIST-019 RLS-070 RLS-080 one of equal URIs, in the highest role", func(t *testing.T) {
		for _, c := range []struct{ a, b string }{
			{"sip:%61@X", "SIP:a@x"}, {"sip:a@x;foo=1", "sip:a@x"}, {"sip:a@x;b;a=1", "sip:a@x;A=1;c"}, {"sip:a@x;transport=TCP", "sip:a@x;Transport=tcp"}, {"sip:a@x?Subject=b", "sip:a@x"},
		} {
			all := Recipients(mustParse(t, entries(`<entry uri="`+c.a+`" cp:copyControl="bcc"/><entry uri="`+c.b+`" cp:copyControl="to"/><entry uri="`+c.a+`" cp:copyControl="cc" cp:anonymize="true"/>`)))
			if got := roles(all); got != c.a+"=to?" {
				t.Errorf("%s and %s: %s", c.a, c.b, got)
			}
		}
		for _, c := range []struct{ a, b string }{
			{"sip:a@x", "sips:a@x"}, {"sip:a@x", "sip:A@x"}, {"sip:a@x;foo=1", "sip:a@x;foo=2"}, {"sip:a@x;transport=udp", "sip:a@x"}, {"sip:a@x", "sip:a@x;zz;user=phone"}, {"sip:a@x;transport=udp", "sip:a@x;zz"}, {"sip:a@x;zz", "sip:a@x;transport=udp"},
			{"sip:a@x:5060", "sip:a@x"}, {"tel:+1", "TEL:+1"}, {"sip:a:p@x", "sip:a@x"},
		} {
			if all := Recipients(mustParse(t, entries(`<entry uri="`+c.a+`"/><entry uri="`+c.b+`"/>`))); len(all) != 2 {
				t.Errorf("%s and %s are one", c.a, c.b)
			}
		}
	})
	t.Run("many URIs take linear time", func(t *testing.T) {
		l := List{}
		for i := range 100_000 {
			l.Items = append(l.Items, Item{URI: fmt.Sprintf("sip:a@x;p=%d", i)})
		}
		if all := Recipients(&Document{Lists: []List{l}}); len(all) != len(l.Items) {
			t.Error(len(all))
		}
	})
}

// shownHistory tells the first list in a line.
func shownHistory(d *Document) string {
	var words []string
	for _, it := range d.Lists[0].Items {
		word := it.URI + "=" + string(it.Copy)
		if it.Count != nil {
			word += fmt.Sprint("*", *it.Count)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestHistory(t *testing.T) {
	all := []Recipient{
		{"sip:a@x?Subject=b", To, false}, {"sip:b@x", BCC, false}, {"sip:c@x", CC, false}, {"sip:d@x", To, true}, {"sip:e@x", CC, true}, {"sip:f@x", To, true}, {"sip:g@x", BCC, true},
	}
	const shared = "sip:a@x=to sip:anonymous@anonymous.invalid=to*2 sip:c@x=cc sip:anonymous@anonymous.invalid=cc*1"
	h := History(all, "")
	t.Run("LIST-036 LIST-040 those in to and cc are copied with their role", func(t *testing.T) {
		if got := shownHistory(h); got != shared {
			t.Error(got)
		}
		if src := string(h.Bytes()); strings.Contains(src, "anonymize") || strings.Contains(src, "Subject") || !strings.Contains(src, `uri="sip:c@x" cp:copyControl="cc"`) {
			t.Errorf("%s", src)
		}
	})
	t.Run("LIST-004 LIST-037 anonymous ones are one entry of a role", func(t *testing.T) {
		for _, want := range []string{`uri="sip:anonymous@anonymous.invalid" cp:copyControl="to" cp:count="2"`, `uri="sip:anonymous@anonymous.invalid" cp:copyControl="cc" cp:count="1"`} {
			if src := string(h.Bytes()); strings.Count(src, want) != 1 {
				t.Errorf("no %s in\n%s", want, src)
			}
		}
		if strings.Contains(shownHistory(History(all, "sip:d@x")), "sip:d@x") {
			t.Error("an anonymous one is told")
		}
	})
	t.Run("LIST-038 those in bcc are seen by themselves alone", func(t *testing.T) {
		for recipient, want := range map[string]string{"": shared, "sip:a@x?Subject=b": shared, "sip:b@x": shared + " sip:b@x=bcc", "sip:g@x": shared + " sip:g@x=bcc"} {
			if got := shownHistory(History(all, recipient)); got != want {
				t.Errorf("%s sees %s", recipient, got)
			}
		}
	})
	t.Run("LIST-039 bcc before anonymity", func(t *testing.T) {
		if got := shownHistory(History([]Recipient{{"sip:g@x", BCC, true}, {"sip:h@x", "", true}}, "")); got != "" {
			t.Error(got)
		}
	})
	t.Run("LIST-036 LIST-037 LIST-039 the example of RFC 5364", func(t *testing.T) {
		docs := schematest.Valid(t, "resource-lists")
		sent, shown := docs["rfc5364-6-1.xml"], docs["rfc5364-6-2.xml"]
		if sent == nil || shown == nil {
			t.Fatal("no such examples")
		}
		got, want := History(Recipients(mustParse(t, string(sent))), ""), mustParse(t, string(shown))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %s, want %s", shownHistory(got), shownHistory(want))
		}
	})
}

func TestCheckRecipients(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"header fields are", `<entry uri="sip:a@x?Subject=body&amp;Priority=x"/><entry uri="sip:?body=1@x"/>`, ""},
		{"LIST-009 no body in a URI", `<entry uri="sip:a@x?Subject=x&amp;%42ody=y"/>`, "the header field body"},
		{"LIST-008 no URI twice", `<entry uri="sip:a@x"/><entry uri="sip:%61@X"/>`, "stands twice"},
		{"LIST-008 RLS-059 no list in a list", `<list/>`, "only entries"},
		{"LIST-008 RLS-059 no reference", `<entry-ref ref="a"/>`, "only entries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := mustParse(t, entries(c.list)).CheckRecipients()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// FuzzCanonical: the canonical form is canonical, and stands for the same URI.
func FuzzCanonical(f *testing.F) {
	f.Add("sip:%6aoe%20smith@EXAMPLE.com;b;a=%5b?x=y")
	f.Fuzz(func(t *testing.T, uri string) {
		for i := range len(uri) {
			if uri[i] == '%' && !lexical.Escape(uri[i:]) {
				t.Skip("an escape that is none")
			}
		}
		once := Canonical(uri)
		if again := Canonical(once); again != once {
			t.Errorf("%q became %q, then %q", uri, once, again)
		}
		if all := Recipients(&Document{Lists: []List{{Items: []Item{{URI: uri}, {URI: uri}, {URI: once}}}}}); len(all) != 1 {
			t.Errorf("%q and %q differ", uri, once)
		}
		hasBody(uri)
	})
}
