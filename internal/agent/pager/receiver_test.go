package pager_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/agent/pager"
	"imp/internal/doc/composing"
	"imp/internal/sip/stack"
)

// message is a MESSAGE to alice as the guard of the stack lets it through.
func message(t testing.TB, body string, lines ...string) *stack.Request {
	t.Helper()
	head := []string{"MESSAGE sip:alice@192.0.2.1:5060 SIP/2.0", "Via: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1", "Max-Forwards: 69",
		`From: "Bob" <sip:bob@example.com>;tag=b`, "Call-ID: c1", "CSeq: 1 MESSAGE"}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "To: ") }) {
		lines = append(lines, "To: <sip:alice@example.com>")
	}
	head = append(append(head, lines...), fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	m, err := sip.ParseMessage([]byte(strings.Join(head, "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}

func receiver(t testing.TB, cfg pager.ReceiverConfig) *pager.Receiver {
	t.Helper()
	r, err := pager.NewReceiver(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// handle hands a request to a receiver, and sends its answer.
func handle(r *pager.Receiver, req *stack.Request) *stack.Response {
	res := r.Handle(context.Background(), req)
	if res.Sent != nil {
		res.Sent()
	}
	return res
}

// received is what a receiver makes of a message that it must take.
func received(t testing.TB, cfg pager.ReceiverConfig, body string, lines ...string) *pager.Message {
	t.Helper()
	r := receiver(t, cfg)
	if res := handle(r, message(t, body, lines...)); res.Status != 200 {
		t.Fatalf("answered %d %s", res.Status, res.Reason)
	}
	m, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const plainType = "Content-Type: text/plain"

func TestReceive(t *testing.T) {
	t.Run("MSG-019 MSG-020 200 at once, without body and Contact", func(t *testing.T) {
		r := receiver(t, pager.ReceiverConfig{})
		res := handle(r, message(t, "hi", plainType, "Contact: <sip:bob@192.0.2.5>")) // nobody reads yet
		if res.Status != 200 || len(res.Fields) != 0 || len(res.Body) != 0 || res.RecordRoute {
			t.Errorf("%+v", res)
		}
	})
	t.Run("MSG-005 text/plain is taken with the charset it tells", func(t *testing.T) {
		for charset, c := range map[string]struct{ body, want string }{
			"":                      {"Grüße", "Grüße"},
			"; charset=UTF-8":       {"Grüße", "Grüße"},
			`; charset="us-ascii"`:  {"hi", "hi"},
			"; charset=ISO-8859-1":  {"Gr\xfc\xdfe", "Grüße"},
			"; charset=iso-8859-15": {"\xa4", "€"},
			"; charset=shift_jis":   {"\x93\xfa", "日"},
			"; charset=utf-16be":    {"\x00h\x00i", "hi"},
			"; charset=no-such":     {"a\xff", "a\uFFFD"},
			"; charset=utf8":        {"a\xc3", "a\uFFFD"},
		} {
			m := received(t, pager.ReceiverConfig{}, c.body, plainType+charset)
			if got := m.Content(); got.Text != c.want || string(m.Body) != c.body {
				t.Errorf("%s: %q", charset, got.Text)
			}
		}
		if !slices.Contains(pager.Types, "text/plain") || !slices.Contains(pager.Types, "message/cpim") {
			t.Errorf("%q", pager.Types)
		}
	})
	t.Run("MSG-021 415 lists what is taken", func(t *testing.T) {
		r := receiver(t, pager.ReceiverConfig{})
		res := handle(r, message(t, "x", "Content-Type: application/x-foo"))
		if res.Status != 415 || len(res.Fields) != 1 || res.Fields[0].Name != "Accept" || !strings.HasPrefix(res.Fields[0].Value, "text/plain, ") {
			t.Errorf("%+v", res)
		}
		r = receiver(t, pager.ReceiverConfig{Types: []string{"application/*"}})
		if res := handle(r, message(t, "x", "Content-Type: application/x-foo")); res.Status != 200 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("a disposition that is not understood is refused unless it is optional", func(t *testing.T) {
		r := receiver(t, pager.ReceiverConfig{})
		for value, want := range map[string]int{"render": 200, "notification": 200, "by-moon": 415, "by-moon; handling=optional": 200, "by-moon;handling=required": 415} {
			if res := handle(r, message(t, "x", plainType, "Content-Disposition: "+value)); res.Status != want {
				t.Errorf("%s: %d", value, res.Status)
			}
		}
	})
	t.Run("MSG-031 what goes with a message is given", func(t *testing.T) {
		m := received(t, pager.ReceiverConfig{}, "hi", plainType, "Subject: lunch", "In-Reply-To: c0", "Priority: Urgent",
			"Organization: ACME", "Reply-To: <sip:desk@example.com>", "Date: Sun, 22 Nov 2026 09:20:30 GMT")
		if m.Subject != "lunch" || m.InReplyTo != "c0" || m.Priority != "urgent" || m.Organization != "ACME" || m.ReplyTo != "<sip:desk@example.com>" ||
			!m.Date.Equal(time.Date(2026, 11, 22, 9, 20, 30, 0, time.UTC)) || m.Sent() != m.Date {
			t.Errorf("%+v", m)
		}
		if m.From.URI != "sip:bob@example.com" || m.From.Display != "Bob" || m.To != "sip:alice@example.com" || m.CallID != "c1" {
			t.Errorf("%+v", m)
		}
	})
	t.Run("MSG-024 what is of use no more is marked", func(t *testing.T) {
		at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		now := func() time.Time { return at }
		date := func(before time.Duration) string {
			return "Date: " + at.Add(-before).Format("Mon, 02 Jan 2006 15:04:05") + " GMT"
		}
		for _, c := range []struct {
			lines []string
			want  bool
		}{
			{[]string{"Expires: 60", date(61 * time.Second)}, true},
			{[]string{"Expires: 60", date(59 * time.Second)}, false},
			{[]string{"Expires: 60"}, false}, // counts from now
			{[]string{"Expires: 0"}, false},  // status messages have it
			{[]string{date(time.Hour)}, false},
			{[]string{"Expires: 60", "Date: yesterday"}, false},
		} {
			if m := received(t, pager.ReceiverConfig{Now: now}, "hi", append(c.lines, plainType)...); m.Expired != c.want {
				t.Errorf("%q: %v", c.lines, m.Expired)
			}
		}
	})
	t.Run("there are no dialogs", func(t *testing.T) {
		if res := handle(receiver(t, pager.ReceiverConfig{}), message(t, "hi", plainType, "To: <sip:alice@example.com>;tag=a")); res.Status != 481 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("a message without body is taken", func(t *testing.T) {
		if m := received(t, pager.ReceiverConfig{}, ""); len(m.Body) != 0 || m.ContentType.MediaType != "" {
			t.Errorf("%+v", m)
		}
	})
}

// TestAnsweredFirst: who ends after the message he waited for has answered it.
func TestAnsweredFirst(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := receiver(t, pager.ReceiverConfig{Queue: 1})
	res := r.Handle(t.Context(), message(t, "one", plainType))
	if m, err := r.Next(gone); err == nil {
		t.Errorf("%q before it is answered", m.Body)
	}
	if full := handle(r, message(t, "two", plainType)); full.Status != 503 {
		t.Errorf("a second one while the first is answered: %d", full.Status)
	}
	r.Close()
	res.Sent()
	if m, err := r.Next(t.Context()); err != nil || string(m.Body) != "one" {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestQueue(t *testing.T) {
	r := receiver(t, pager.ReceiverConfig{Queue: 2, Admit: func(m *pager.Message) bool { return string(m.Body) != "spam" }})
	for _, c := range []struct {
		body string
		want int
	}{{"spam", 480}, {"one", 200}, {"two", 200}, {"three", 503}} {
		if res := handle(r, message(t, c.body, plainType)); res.Status != c.want {
			t.Errorf("%s: %d, want %d", c.body, res.Status, c.want)
		}
	}
	r.Close()
	r.Close()
	if res := handle(r, message(t, "late", plainType)); res.Status != 480 {
		t.Errorf("after Close: %d", res.Status)
	}
	for _, want := range []string{"one", "two"} {
		if m, err := r.Next(t.Context()); err != nil || string(m.Body) != want {
			t.Errorf("%v, %v", m, err)
		}
	}
	if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := receiver(t, pager.ReceiverConfig{}).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := pager.NewReceiver(pager.ReceiverConfig{Types: []string{"text"}}); err == nil {
		t.Error("text is a media type")
	}
}

func TestContent(t *testing.T) {
	t.Run("MSG-005 the text of a message/cpim", func(t *testing.T) {
		m := received(t, pager.ReceiverConfig{}, "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\nSubject: inner\r\n\r\n"+
			"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe", "Content-Type: message/cpim", "Subject: outer")
		if c := m.Content(); c.Text != "Grüße" || c.Subject != "inner" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a disposition notification", func(t *testing.T) {
		m := received(t, pager.ReceiverConfig{}, `<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>34jk324j</message-id>`+
			`<datetime>2006-04-04T12:16:49-05:00</datetime><delivery-notification><status><delivered/></status></delivery-notification></imdn>`,
			"Content-Type: message/imdn+xml", "Content-Disposition: notification")
		if c := m.Content(); len(c.Notifications) != 1 || c.Notifications[0].MessageID != "34jk324j" || c.Text != "" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a status message", func(t *testing.T) {
		d := composing.Document{State: composing.Active}
		m := received(t, pager.ReceiverConfig{}, string(d.Bytes()), "Content-Type: application/im-iscomposing+xml", "Expires: 0")
		if c := m.Content(); c.Composing == nil || c.Composing.State != composing.Active || c.Text != "" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("what is broken is text", func(t *testing.T) {
		for _, typ := range []string{"message/cpim", "message/imdn+xml", "application/im-iscomposing+xml"} {
			if c := received(t, pager.ReceiverConfig{}, "<broken", "Content-Type: "+typ).Content(); c.Text != "<broken" {
				t.Errorf("%s: %+v", typ, c)
			}
		}
	})
	t.Run("a message/cpim in another is text", func(t *testing.T) {
		inner := "From: <sip:b@example.com>\r\n\r\nContent-Type: message/cpim\r\n\r\nFrom: <sip:c@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\nx"
		if c := received(t, pager.ReceiverConfig{}, inner, "Content-Type: message/cpim").Content(); !strings.HasPrefix(c.Text, "From: ") {
			t.Errorf("%+v", c)
		}
	})
}

func FuzzContent(f *testing.F) {
	f.Add("message/cpim", "From: <sip:b@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\nx")
	f.Add("text/plain; charset=utf-16", "\x00h\x00")
	f.Add("message/imdn+xml", "<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"/>")
	f.Fuzz(func(t *testing.T, typ, body string) {
		if strings.ContainsAny(typ, "\r\n") {
			return
		}
		r, _ := pager.NewReceiver(pager.ReceiverConfig{Types: []string{"*/*"}})
		text := fmt.Sprintf("MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:b@c>;tag=b\r\nTo: <sip:a@b>\r\n"+
			"Call-ID: c1\r\nCSeq: 1 MESSAGE\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", typ, len(body), body)
		m, err := sip.ParseMessage([]byte(text))
		if err != nil {
			return
		}
		req, ok := m.(*sip.Request)
		if !ok {
			return
		}
		if res := handle(r, &stack.Request{Request: req}); res.Status != 200 {
			return
		}
		got, _ := r.Next(context.Background())
		if c := got.Content(); strings.ToValidUTF8(c.Text, "") != c.Text {
			t.Fatalf("%q is not UTF-8", c.Text)
		}
	})
}
