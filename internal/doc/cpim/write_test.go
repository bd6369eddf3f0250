package cpim

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.FixedZone("", 3600))

// draft is a message that has one of everything.
func draft() *Message {
	return &Message{
		Header: []Field{
			FromField(Address{"Alice", "im:alice@example.com"}), ToField(Address{"", "im:bob@example.com"}), CCField(Address{`C "c"`, "im:carol@example.com"}),
			DateTimeField(noon), SubjectField(Subject{"", "hello"}), SubjectField(Subject{"fr", "bonjour"}),
			RequireField(Name{"urn:my", "Vital"}, core("Subject")), TextField(Name{"urn:my", "Vital"}, "My", `a\b`),
			MessageIDField("abc"), RequestField(PositiveDelivery, Display), TextField(Name{"urn:other", "x"}, "My", "y"),
		},
		Content: Content{Header: []MIMEField{{"Content-Type", "text/plain; charset=utf-8"}}, Body: []byte("hi")},
	}
}

func TestBytes(t *testing.T) {
	t.Run("CPIM-001 type and namespace", func(t *testing.T) {
		if MediaType != "message/cpim" || Space != "urn:ietf:params:cpim-headers:" {
			t.Error("they are constants")
		}
		m, err := Parse([]byte("Content-Type: MESSAGE/cpim\r\n\r\n" + message("From: <im:a@x>")))
		if err != nil || m.From().URI != "im:a@x" {
			t.Errorf("%v", err)
		}
	})
	t.Run("CPIM-002 both empty lines are written", func(t *testing.T) {
		want := strings.Join([]string{
			"From: Alice <im:alice@example.com>", "To: <im:bob@example.com>", `cc: "C \"c\"" <im:carol@example.com>`, "DateTime: 2026-11-22T12:00:00+01:00",
			"Subject: hello", "Subject:;lang=fr bonjour", "NS: ns1 <urn:my>", "Require: ns1.Vital,Subject", `ns1.Vital: a\\b`,
			"NS: imdn <urn:ietf:params:imdn>", "imdn.Message-ID: abc", "imdn.Disposition-Notification: positive-delivery, display",
			"NS: My <urn:other>", "My.x: y", "", "Content-Type: text/plain; charset=utf-8", "", "hi",
		}, "\r\n")
		m := draft()
		if err := m.Check(); err != nil {
			t.Error(err)
		}
		if got := string(m.Bytes()); got != want {
			t.Errorf("%s", got)
		}
		back := mustParse(t, want)
		if err := back.Check(); err != nil {
			t.Error(err)
		}
		if got := string(back.Bytes()); got != want {
			t.Errorf("%s", got)
		}
	})
}

func TestCheck(t *testing.T) {
	for want, change := range map[string]func(*Message){
		"no From":                 func(m *Message) { m.Header = m.Header[1:] },
		"no To":                   func(m *Message) { m.Header = append(m.Header[:1:1], m.Header[2:]...) },
		"From: stands more":       func(m *Message) { m.Header = append(m.Header, m.Header[0]) },
		"Message-ID: stands more": func(m *Message) { m.Header = append(m.Header, MessageIDField("z")) },
		"in one language":         func(m *Message) { m.Header = append(m.Header, SubjectField(Subject{"fr", "x"})) },
		"no Content-Type":         func(m *Message) { m.Content.Header = nil },
		"no absolute URI":         func(m *Message) { m.Header[1] = ToField(Address{"", "bob"}) },
		"no token":                func(m *Message) { m.Header[8] = MessageIDField("a b") },
		"is not right":            func(m *Message) { m.Header[4] = SubjectField(Subject{"f r", "x"}) },
		"names no namespace":      func(m *Message) { m.Header[10].Space = "x" },
		"no name of":              func(m *Message) { m.Header[10].Local = "a b" },
		"control characters":      func(m *Message) { m.Header[10].Value = "a\nb" },
		"form of RFC 3339":        func(m *Message) { m.Header[3].Value = "noon" },
	} {
		m := draft()
		change(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if _, err := Parse(m.Bytes()); err != nil && want != "no Content-Type" && want != "no absolute URI" {
			t.Errorf("%s: written as\n%s", err, m.Bytes())
		}
	}
	t.Run("CPIM-024 a request needs an id and a time", func(t *testing.T) {
		for _, without := range []int{3, 8} {
			m := draft()
			m.Header = append(m.Header[:without:without], m.Header[without+1:]...)
			if err := m.Check(); err == nil || !strings.Contains(err.Error(), "Message-ID and DateTime") {
				t.Errorf("%v", err)
			}
		}
		m := draft()
		m.Header = append(m.Header[:8:8], m.Header[9:]...)
		if m.Wants(Display) || m.Notify(nil, "x") != nil {
			t.Error("a notification without Message-ID")
		}
	})
}

func TestView(t *testing.T) {
	b, err := json.Marshal(draft())
	if err != nil {
		t.Fatal(err)
	}
	var v View
	if err := json.Unmarshal(b, &v); err != nil || v.Text != "hi" || v.Subjects[1].Lang != "fr" || v.Required[0] != "urn:my Vital" || v.DateTime != "2026-11-22T12:00:00+01:00" {
		t.Errorf("%s", b)
	}
	m := draft()
	m.Content.Body = []byte("one\x1b[2J\r\n\ttwo\u202e\n")
	m.Header[0] = FromField(Address{"A\x1b\n", "im:a@x"})
	var out bytes.Buffer
	if err := m.WriteText(&out, noon, noon.Location()); err != nil {
		t.Fatal(err)
	}
	want := "from: A\uFFFD <im:a@x>\nto: im:bob@example.com\ncc: C \"c\" <im:carol@example.com>\nsent: 12:00:00\nsubject: hello\nsubject: bonjour [fr]\nid: abc\n" +
		"wants: positive-delivery, display\nrequires: urn:my Vital\nextension: Vital: a\\b urn:my\nextension: x: y urn:other\ncontent: text/plain; charset=utf-8\n\none\uFFFD[2J\n\ttwo\uFFFD\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}
