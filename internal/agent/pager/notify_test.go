package pager_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"imp/internal/agent/pager"
	"imp/internal/doc/composing"
	"imp/internal/doc/cpim"
	"imp/internal/doc/imdn"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// asking is a message of bob's to alice with these header lines of the CPIM
// beside From and To.
func asking(t testing.TB, lines ...string) *pager.Message {
	t.Helper()
	return cpimMessage(t, "Content-Type: text/plain\r\n\r\nhi", lines...)
}

func cpimMessage(t testing.TB, content string, lines ...string) *pager.Message {
	t.Helper()
	head := append([]string{"From: Bob <im:bob@example.com>", "To: <im:alice@example.com>", "NS: imdn <urn:ietf:params:imdn>"}, lines...)
	return received(t, pager.ReceiverConfig{}, strings.Join(head, "\r\n")+"\r\n\r\n"+content, "Content-Type: message/cpim")
}

const (
	ident = "imdn.Message-ID: 34jk324j"
	at    = "DateTime: 2026-11-22T10:20:30-05:00"
	wants = "imdn.Disposition-Notification: "
	allOf = wants + "positive-delivery, negative-delivery, processing, display"
)

// told is what the sender of m is told, "" for nothing.
func told(t testing.TB, r *pager.Recipient, m *pager.Message, s imdn.Status) string {
	t.Helper()
	out, ok := r.Notification(m, s)
	if !ok {
		return ""
	}
	in, err := cpim.ParseStrict(out.Body)
	if err != nil || out.Type != cpim.MediaType {
		t.Fatalf("%s: %v", out.Type, err)
	}
	d, err := imdn.Parse(in.Notifications()[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %s", d.MessageID, d.Status)
}

func TestRecipient(t *testing.T) {
	t.Run("CPIM-026 CPIM-034 a notification is a message/cpim to the From of the message", func(t *testing.T) {
		var r pager.Recipient
		out, ok := r.Notification(asking(t, at, ident, allOf, "Subject: lunch"), imdn.Delivered)
		if !ok || out.To != "sip:bob@example.com" || out.Type != "message/cpim" {
			t.Fatalf("%+v", out)
		}
		in, err := cpim.ParseStrict(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Check(); err != nil {
			t.Error(err)
		}
		if to := in.To(); len(to) != 1 || to[0].URI != "im:bob@example.com" || in.From().URI != "im:alice@example.com" || in.MessageID() == "34jk324j" {
			t.Errorf("%s", out.Body)
		}
		d, err := imdn.Parse(in.Notifications()[0])
		if err != nil {
			t.Fatal(err)
		}
		if d.DateTime != "2026-11-22T10:20:30-05:00" || d.Recipient != "im:alice@example.com" || d.Subject != "lunch" || d.Kind != imdn.Delivery {
			t.Errorf("%+v", d)
		}
	})
	t.Run("CPIM-035 it takes the way that intermediaries ask for", func(t *testing.T) {
		var r pager.Recipient
		out, _ := r.Notification(asking(t, at, ident, allOf, "imdn.IMDN-Record-Route: <sip:near@example.com>", "imdn.IMDN-Record-Route: <sip:far@example.com>"), imdn.Displayed)
		if out.To != "sip:near@example.com" || !strings.Contains(string(out.Body), "IMDN-Route: <sip:near@example.com>") {
			t.Errorf("%s: %s", out.To, out.Body)
		}
	})
	t.Run("CPIM-043 Original-To is who the sender wrote to", func(t *testing.T) {
		var r pager.Recipient
		out, _ := r.Notification(asking(t, at, ident, allOf, "imdn.Original-To: <sip:list@example.com>"), imdn.Delivered)
		if !strings.Contains(string(out.Body), "<original-recipient-uri>sip:list@example.com</original-recipient-uri>") {
			t.Errorf("%s", out.Body)
		}
	})
	t.Run("CPIM-029 one of delivery and one of display, as far as asked for", func(t *testing.T) {
		var r pager.Recipient
		m := asking(t, at, ident, allOf)
		for i, c := range []struct {
			status imdn.Status
			want   string
		}{{imdn.Delivered, "34jk324j delivered"}, {imdn.Delivered, ""}, {imdn.Failed, ""}, {imdn.Displayed, "34jk324j displayed"}, {imdn.Displayed, ""}} {
			if got := told(t, &r, m, c.status); got != c.want {
				t.Errorf("%d: %q, want %q", i, got, c.want)
			}
		}
		if got := told(t, &r, asking(t, at, ident, wants+"display"), imdn.Delivered); got != "" {
			t.Errorf("not asked for: %q", got)
		}
	})
	t.Run("CPIM-030 of negative delivery only what failed is told", func(t *testing.T) {
		var r pager.Recipient
		m := asking(t, at, ident, wants+"negative-delivery")
		if got := told(t, &r, m, imdn.Delivered) + told(t, &r, m, imdn.Displayed); got != "" {
			t.Error(got)
		}
		if got := told(t, &r, m, imdn.Failed); got != "34jk324j failed" {
			t.Error(got)
		}
	})
	t.Run("CPIM-031 a recipient tells nothing of processing", func(t *testing.T) {
		var r pager.Recipient
		m := asking(t, at, ident, allOf)
		for _, s := range []imdn.Status{imdn.Processed, imdn.Stored} {
			if got := told(t, &r, m, s); got != "" {
				t.Errorf("%q", got)
			}
		}
	})
	t.Run("CPIM-032 COMP-026 nobody is told of notifications and status messages", func(t *testing.T) {
		var r pager.Recipient
		first, _ := r.Notification(asking(t, at, ident, allOf), imdn.Delivered)
		looping := strings.Replace(string(first.Body), "\r\n\r\n", "\r\n"+at+"\r\n"+allOf+"\r\n\r\n", 1)
		again := received(t, pager.ReceiverConfig{}, looping, "Content-Type: message/cpim")
		if len(again.Content().Notifications) != 1 {
			t.Fatalf("%s", again.Body)
		}
		status := composing.Document{State: composing.Active}
		for _, m := range []*pager.Message{again, cpimMessage(t, "Content-Type: application/im-iscomposing+xml\r\n\r\n"+string(status.Bytes()), at, ident, allOf)} {
			if pager.Wants(m, imdn.Delivered) || told(t, &r, m, imdn.Displayed) != "" {
				t.Errorf("%s", m.Body)
			}
		}
	})
	t.Run("CPIM-024 nobody is told who has no Message-ID", func(t *testing.T) {
		var r pager.Recipient
		if got := told(t, &r, asking(t, at, allOf), imdn.Delivered); got != "" {
			t.Error(got)
		}
	})
	t.Run("CPIM-027 nobody is told who is anonymous", func(t *testing.T) {
		var r pager.Recipient
		m := asking(t, at, ident, allOf)
		m.From.URI = "sip:anonymous@anonymous.invalid"
		if got := told(t, &r, m, imdn.Delivered); got != "" {
			t.Error(got)
		}
		if _, err := plain("sip:bob@example.com", "hi").Ask(m.From, "x", time.Now(), cpim.Display); err != pager.ErrAnonymous {
			t.Error(err)
		}
	})
	t.Run("CPIM-036 of what is refused nobody is told", func(t *testing.T) {
		r := receiver(t, pager.ReceiverConfig{Types: []string{"text/plain"}})
		body := string(asking(t, at, ident, allOf).Body)
		if res := handle(r, message(t, body, "Content-Type: message/cpim")); res.Status != 415 {
			t.Fatal(res.Status)
		}
		if n := waiting(t, r); n != 0 {
			t.Errorf("%d messages that somebody could be told of", n)
		}
	})
	t.Run("CPIM-011 a message that requires what is not known is refused", func(t *testing.T) {
		r := receiver(t, pager.ReceiverConfig{})
		body := "From: <im:bob@example.com>\r\nNS: My <urn:example:my>\r\nRequire: My.Vital\r\n\r\nContent-Type: text/plain\r\n\r\nhi"
		if res := handle(r, message(t, body, "Content-Type: message/cpim")); res.Status != 400 || !strings.Contains(res.Reason, "Vital") {
			t.Errorf("%d %s", res.Status, res.Reason)
		}
	})
	t.Run("what was told is not remembered for ever", func(t *testing.T) {
		var r pager.Recipient
		for i := range 5000 {
			if told(t, &r, asking(t, at, fmt.Sprintf("imdn.Message-ID: m%d", i), allOf), imdn.Delivered) == "" {
				t.Fatal(i)
			}
		}
		if told(t, &r, asking(t, at, "imdn.Message-ID: m4999", allOf), imdn.Delivered) != "" {
			t.Error("the last is forgotten")
		}
	})
}

func TestAsk(t *testing.T) {
	m := plain("sip:alice@example.com", "hi")
	m.Fields = []stack.Field{{Name: "Subject", Value: "lunch"}}
	when := time.Date(2026, 11, 22, 10, 20, 30, 0, time.UTC)
	t.Run("CPIM-026 CPIM-024 a message that asks is a message/cpim with id and time", func(t *testing.T) {
		out, err := m.Ask(header.Address{Display: "Bob", URI: "sip:bob@example.com"}, "34jk324j", when, cpim.PositiveDelivery, cpim.Display)
		if err != nil || out.Type != "message/cpim" || out.To != m.To || len(out.Fields) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		in, err := cpim.ParseStrict(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		if in.MessageID() != "34jk324j" || !in.DateTime().Equal(when) || in.From().URI != "sip:bob@example.com" || in.To()[0].URI != m.To ||
			!in.Wants(cpim.PositiveDelivery) || !in.Wants(cpim.Display) || in.Wants(cpim.NegativeDelivery) ||
			in.Content.Get("Content-Type") != "text/plain" || string(in.Content.Body) != "hi" || in.Subjects()[0].Text != "lunch" {
			t.Errorf("%s", out.Body)
		}
	})
	if _, err := m.Ask(header.Address{URI: "sip:bob@example.com"}, "no token", when, cpim.Display); err == nil {
		t.Error("an id that is no token")
	}
}

func TestAwaited(t *testing.T) {
	delivered := &imdn.Document{MessageID: "a", Kind: imdn.Delivery, Status: imdn.Delivered}
	displayed := &imdn.Document{MessageID: "a", Kind: imdn.Display, Status: imdn.Displayed}
	done := func(a *pager.Awaited) bool {
		select {
		case <-a.Done():
			return true
		default:
			return false
		}
	}
	t.Run("CPIM-048 in order, late, twice, and of what nobody knows", func(t *testing.T) {
		var a pager.Awaited
		if !done(&a) {
			t.Error("waits for nothing")
		}
		a.Await("a", imdn.Delivery, imdn.Display)
		over := a.Done()
		if a.Told(&imdn.Document{MessageID: "b", Kind: imdn.Delivery, Status: imdn.Delivered}) || a.Told(&imdn.Document{MessageID: "a"}) {
			t.Error("news of what nobody knows")
		}
		if got := a.Missing("a"); len(got) != 2 {
			t.Error(got)
		}
		if !a.Told(delivered) || done(&a) || a.Told(delivered) {
			t.Error("delivered")
		}
		if got := a.Missing("a"); len(got) != 1 || got[0] != imdn.Display {
			t.Error(got)
		}
		if !a.Told(displayed) || !done(&a) || a.Missing("a") != nil || a.Told(displayed) {
			t.Error("displayed")
		}
		<-over
		if !a.Knows("a") {
			t.Error("a late one is of nobody")
		}
	})
	t.Run("CPIM-048 in any other order", func(t *testing.T) {
		var a pager.Awaited
		a.Await("a", imdn.Delivery, imdn.Display)
		if !a.Told(displayed) || !done(&a) || !a.Told(delivered) {
			t.Error("displayed before delivered")
		}
	})
	t.Run("what failed and what nobody is to know ends it", func(t *testing.T) {
		for _, s := range []imdn.Status{imdn.Failed, imdn.Forbidden, imdn.Failure} {
			var a pager.Awaited
			a.Await("a", imdn.Delivery, imdn.Display)
			if a.Told(&imdn.Document{MessageID: "a", Kind: imdn.Delivery, Status: s}); !done(&a) {
				t.Error(s)
			}
		}
	})
	t.Run("what is forgotten is not waited for", func(t *testing.T) {
		var a pager.Awaited
		a.Await("a", imdn.Delivery)
		a.Await("b", imdn.Delivery)
		a.Forget("b")
		if done(&a) || a.Knows("b") {
			t.Error("b")
		}
		a.Forget("a")
		if a.Forget("a"); !done(&a) {
			t.Error("a")
		}
	})
}

func TestNotifications(t *testing.T) {
	const doc = `<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>%s</message-id><datetime>2026-11-22T10:20:30Z</datetime>` +
		`<delivery-notification><status><delivered/></status></delivery-notification></imdn>`
	t.Run("CPIM-047 without the disposition it is content", func(t *testing.T) {
		c := cpimMessage(t, "Content-Type: message/imdn+xml\r\n\r\n"+fmt.Sprintf(doc, "a")).Content()
		if c.Notifications != nil || !strings.HasPrefix(c.Text, "<imdn ") {
			t.Errorf("%+v", c)
		}
		c = cpimMessage(t, "Content-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n"+fmt.Sprintf(doc, "a")).Content()
		if len(c.Notifications) != 1 || c.Text != "" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("CPIM-048 CPIM-059 several together", func(t *testing.T) {
		part := "--x\r\nContent-Type: message/imdn+xml\r\n\r\n" + doc + "\r\n"
		c := cpimMessage(t, "Content-Type: multipart/mixed; boundary=x\r\nContent-Disposition: notification\r\n\r\n"+
			fmt.Sprintf(part, "a")+fmt.Sprintf(part, "b")+"--x--\r\n").Content()
		if len(c.Notifications) != 2 || c.Notifications[1].MessageID != "b" {
			t.Errorf("%+v", c)
		}
	})
}
