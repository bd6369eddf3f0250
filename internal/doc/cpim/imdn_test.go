package cpim

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestIMDNHeaders(t *testing.T) {
	t.Run("CPIM-021 any prefix will do", func(t *testing.T) {
		m := mustParse(t, message("NS: x <urn:ietf:params:imdn>", "x.Message-ID: abc", "x.Disposition-Notification: display"))
		if m.MessageID() != "abc" || !m.Wants(Display) {
			t.Errorf("%+v", m.View())
		}
		if m := mustParse(t, message("NS: x <urn:ietf:params:imdn:>", "x.Message-ID: abc")); m.MessageID() != "" {
			t.Error("another namespace")
		}
	})
	t.Run("CPIM-022 names have the letters that they have", func(t *testing.T) {
		m := mustParse(t, message("NS: imdn <urn:ietf:params:imdn>", "imdn.message-id: abc", "imdn.Original-To: <im:o@x>",
			"imdn.IMDN-Record-Route: <im:r2@x>", "imdn.IMDN-Record-Route: <im:r1@x>", "imdn.IMDN-Route: R <im:r@x>"))
		if m.MessageID() != "" || m.OriginalTo().URI != "im:o@x" || len(m.RecordRoute()) != 2 || m.RecordRoute()[0].URI != "im:r2@x" ||
			m.Route()[0] != (Address{"R", "im:r@x"}) || len(m.View().Extensions) != 1 {
			t.Errorf("%+v", m.View())
		}
	})
	t.Run("CPIM-023 requests are a list", func(t *testing.T) {
		for value, want := range map[string][]Request{
			"positive-delivery , negative-delivery,processing": {{PositiveDelivery, nil}, {NegativeDelivery, nil}, {Processing, nil}},
			`display ; a=b;c="d, e" , x-new`:                   {{Display, []Param{{"a", "b"}, {"c", "d, e"}}}, {"x-new", nil}},
			"":                                                 nil,
			", ,display;,":                                     {{Display, nil}},
		} {
			m, err := Parse([]byte(message("NS: imdn <urn:ietf:params:imdn>", "imdn.Disposition-Notification: "+value)))
			if err != nil || !reflect.DeepEqual(m.Requests(), want) {
				t.Errorf("%q: %v %+v", value, err, m.Requests())
			}
		}
	})
	t.Run("CPIM-025 Message-IDs are tokens of 125 random bits", func(t *testing.T) {
		a, err := NewMessageID(nil)
		b, _ := NewMessageID(nil)
		if err != nil || a == b || len(a) != 25 || !isToken(a) {
			t.Errorf("%v %q %q", err, a, b)
		}
		if id, err := NewMessageID(bytes.NewReader(make([]byte, 16))); err != nil || id != strings.Repeat("a", 25) {
			t.Errorf("%v %q", err, id)
		}
		if _, err := NewMessageID(strings.NewReader("short")); err == nil {
			t.Error("an id of five bytes")
		}
	})
}

// im is a message that came by two intermediaries and asks for notifications.
const im = "From: Alice <im:alice@example.com>\r\nTo: <im:list@example.com>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\n" +
	"imdn.IMDN-Record-Route: <im:second@example.com>\r\nimdn.IMDN-Record-Route: <im:first@example.com>\r\nimdn.Disposition-Notification: display\r\n\r\n" +
	"Content-Type: text/plain\r\n\r\nhi"

func TestNotify(t *testing.T) {
	n := mustParse(t, im).Notify([]byte("<imdn/>"), "fresh")
	n = mustParse(t, string(n.Bytes()))
	if err := n.Check(); err != nil {
		t.Error(err)
	}
	t.Run("CPIM-033 a notification has its own id, type and disposition", func(t *testing.T) {
		if n.MessageID() != "fresh" || n.Content.Get("Content-type") != "message/imdn+xml" || n.Content.Get("Content-Disposition") != "notification" {
			t.Errorf("%s", n.Bytes())
		}
	})
	t.Run("CPIM-034 it goes to the sender", func(t *testing.T) {
		if n.To()[0].URI != "im:alice@example.com" || n.From().URI != "im:list@example.com" {
			t.Errorf("%s", n.Bytes())
		}
	})
	t.Run("CPIM-035 by the way that was recorded", func(t *testing.T) {
		if r := n.Route(); len(r) != 2 || r[0].URI != "im:second@example.com" || len(n.RecordRoute()) != 0 {
			t.Errorf("%s", n.Bytes())
		}
	})
	t.Run("CPIM-032 it requests nothing and is not answered", func(t *testing.T) {
		if n.Get(disposition) != nil || n.Notify(nil, "x") != nil {
			t.Errorf("%s", n.Bytes())
		}
		n.Header = append(n.Header, RequestField(Display))
		if n.Wants(Display) || n.Requests() != nil {
			t.Error("a request in a notification")
		}
	})
}

const aggregated = "Content-Disposition: notification\r\nContent-Type: multipart/mixed;\r\n boundary=\"b\"\r\n\r\n" +
	"--b\r\nContent-Type: message/imdn+xml\r\n\r\n<one/>\r\n--b\r\nContent-Type: TYPE\r\n\r\n<two/>\r\n--b"

func TestNotifications(t *testing.T) {
	t.Run("CPIM-047 type and disposition make a notification", func(t *testing.T) {
		for header, want := range map[string]bool{
			"Content-Type: message/imdn+xml\r\nContent-Disposition: notification":      true,
			"Content-Type: Message/IMDN+xml\r\nContent-Disposition: Notification; x=y": true,
			"Content-Type: message/imdn+xml":                                           false,
			"Content-Type: message/imdn+xml\r\nContent-Disposition: render":            false,
			"Content-Type: text/plain\r\nContent-Disposition: notification":            false,
		} {
			if m := mustParse(t, "\r\n"+header+"\r\n\r\n<imdn/>"); m.IsNotification() != want {
				t.Errorf("%q", header)
			}
		}
	})
	t.Run("CPIM-059 several in a multipart", func(t *testing.T) {
		m := mustParse(t, "\r\n"+strings.Replace(aggregated, "TYPE", "message/imdn+xml", 1))
		if n := m.Notifications(); len(n) != 2 || string(n[0]) != "<one/>" || string(n[1]) != "<two/>" {
			t.Errorf("%q", n)
		}
	})
	t.Run("CPIM-028 no notification with content for people beside it", func(t *testing.T) {
		if m := mustParse(t, "\r\n"+strings.Replace(aggregated, "TYPE", "text/plain", 1)); m.IsNotification() {
			t.Error("taken as a notification")
		}
	})
	many := strings.Repeat("--b\r\n\r\nx\r\n", maxParts+10) + "--b--"
	c := Content{Header: []MIMEField{{"Content-Type", "multipart/mixed; boundary=b"}}, Body: []byte(many)}
	if parts, err := c.Parts(); err != nil || len(parts) != maxParts {
		t.Errorf("%d parts, %v", len(parts), err)
	}
	for _, typ := range []string{"text/plain", "multipart/mixed", "multipart/mixed; boundary=none"} {
		c.Header[0].Value = typ
		if _, err := c.Parts(); err == nil {
			t.Errorf("%s has parts", typ)
		}
	}
}
