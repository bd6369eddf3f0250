package cpim

import (
	"bytes"
	"strings"
	"testing"
)

func TestIntermediaries(t *testing.T) {
	t.Run("CPIM-052 Original-To is who the sender wrote to", func(t *testing.T) {
		m := mustParse(t, im)
		for _, to := range []string{"im:inner@example.com", "im:bob@example.com"} {
			m.Readdress(Address{URI: to}, false)
			m = mustParse(t, string(m.Bytes()))
			if got := m.To(); len(got) != 1 || got[0].URI != to || m.OriginalTo().URI != "im:list@example.com" || strings.Count(string(m.Bytes()), "Original-To:") != 1 {
				t.Errorf("%s", m.Bytes())
			}
		}
	})
	t.Run("CPIM-052 a recipient that is not disclosed", func(t *testing.T) {
		m := mustParse(t, im)
		m.Readdress(Address{URI: "im:bob@example.com"}, true)
		if m.OriginalTo().URI != "" || strings.Contains(string(m.Bytes()), "im:list@example.com") {
			t.Errorf("%s", m.Bytes())
		}
	})
	t.Run("CPIM-054 the way of a notification", func(t *testing.T) {
		n := mustParse(t, im).Notify([]byte("<imdn/>"), "fresh")
		for _, c := range []struct{ own, next string }{
			{"im:other@example.com", "im:second@example.com"}, {"im:second@example.com", "im:first@example.com"}, {"im:first@example.com", "im:alice@example.com"},
			{"im:first@example.com", "im:alice@example.com"},
		} {
			if got := n.Forward(c.own); got.URI != c.next {
				t.Errorf("%s sends it to %s, want %s", c.own, got.URI, c.next)
			}
			n = mustParse(t, string(n.Bytes()))
		}
		if len(n.Route()) != 0 || n.To()[0].URI != "im:alice@example.com" {
			t.Errorf("%s", n.Bytes())
		}
	})
	t.Run("CPIM-018 a new message wraps another, which stays as it is", func(t *testing.T) {
		for _, original := range []string{im, "Subject:x  \nfrom: y\n\ncontent-type:  text/plain\n\n\x00\r\n\n", "To: <im:a@x>\r\nFrom: <im:b@x>\r\n\r\nContent-type: a/b\r\n\r\n"} {
			src := []byte(original)
			inner, err := Parse(src)
			if err != nil {
				t.Fatal(err)
			}
			outer := &Message{
				Header:  []Field{FromField(Address{URI: "im:relay@x"}), ToField(Address{URI: "im:a@x"})},
				Content: Content{Header: []MIMEField{{"Content-Type", MediaType}}, Body: src},
			}
			inner.Readdress(Address{URI: "im:new@x"}, false)
			back := mustParse(t, string(outer.Bytes()))
			if string(src) != original || back.Content.Type() != MediaType || !bytes.Equal(back.Content.Body, src) {
				t.Errorf("%q became %q", original, back.Content.Body)
			}
		}
	})
	t.Run("CPIM-020 what stands once and what stands often", func(t *testing.T) {
		fields := []string{"From: <im:a@x>", "To: <im:b@x>", "To: <im:c@x>", "cc: <im:d@x>", "cc: <im:e@x>", "NS: a <urn:a>", "NS: b <urn:b>", "DateTime: 2026-11-22T10:20:30Z", "Require: Subject"}
		if err := mustParse(t, message(fields...)).Check(); err != nil {
			t.Error(err)
		}
		for _, more := range []string{"From: <im:z@x>", "DateTime: 2026-11-22T10:20:30Z", "Require: To"} {
			if err := mustParse(t, message(append(fields, more)...)).Check(); err == nil || !strings.Contains(err.Error(), "more than once") {
				t.Errorf("%s: %v", more, err)
			}
		}
		for i, want := range []string{"no From", "no To"} {
			short := []string{"From: <im:a@x>", "To: <im:b@x>"}
			if err := mustParse(t, message(append(short[:i:i], short[i+1:]...)...)).Check(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}
