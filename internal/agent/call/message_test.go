package call

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"imp/internal/msrp/file"
	"imp/internal/msrp/session"
)

// reading makes bob read what comes with Read.
func reading(most int64) (func(*received), chan *Message) {
	read := make(chan *Message, 1)
	return func(r *received) {
		if r.in, r.err = r.leg.Session.Receive(r.leg.Context()); r.err == nil {
			var m *Message
			m, r.err = Read(r.in, most)
			read <- m
		}
	}, read
}

func TestCPIM(t *testing.T) {
	send := func(t *testing.T, p *pair, body string, chunk int) {
		t.Helper()
		if p.err != nil {
			t.Fatal(p.err)
		}
		_, err := p.n.Legs()[0].Send(within(t), session.Message{Type: "message/cpim", Wrapped: []string{"text/plain"}, Body: strings.NewReader(body), Size: int64(len(body)), Chunk: chunk})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("MSRP-096 From, To, cc, DateTime, Subject, Require and NS", func(t *testing.T) {
		read, messages := reading(1 << 20)
		p := connect(t, setup{lines: []Line{{}}, read: read})
		send(t, p, "From: A <sip:a@h>\r\nTo: <sip:b@h>\r\ncc: <sip:c@h>\r\nDateTime: 2006-05-15T15:02:31+03:00\r\nSubject: lunch\r\nNS: x <urn:x>\r\nRequire: x.y\r\nx.y: z\r\n\r\nContent-Type: text/plain\r\n\r\nhello", 0)
		m := await(t, "the message", messages)
		if m == nil || m.Wrapper == nil {
			t.Fatalf("%+v, %v", m, (<-p.came).err)
		}
		w := m.Wrapper
		if w.From().URI != "sip:a@h" || w.To()[0].URI != "sip:b@h" || w.CC()[0].URI != "sip:c@h" || w.DateTime().IsZero() || w.Subjects()[0].Text != "lunch" ||
			w.Required()[0].Space != "urn:x" || string(w.Content.Body) != "hello" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("MSRP-098 two From lines: refused, and reported", func(t *testing.T) {
		read, messages := reading(1 << 20)
		p := connect(t, setup{lines: []Line{{}}, read: read, bob: func(e *Endpoint) { e.ManualReports = true }})
		send(t, p, "From: <sip:a@h>\r\nFrom: <sip:b@h>\r\nTo: <sip:b@h>\r\n\r\nContent-Type: text/plain\r\n\r\nhello", 0)
		if m := await(t, "the message", messages); m != nil {
			t.Errorf("%+v", m)
		}
		p.got.until(t, "Status: 000 400")
	})
	t.Run("MSRP-099 MSRP-097 the wrapper is chunked with what is in it", func(t *testing.T) {
		read, messages := reading(1 << 20)
		p := connect(t, setup{lines: []Line{{}}, read: read})
		inner := strings.Repeat("0123456789", 600)
		r, n := file.Wrap("sip:a@h", "sip:b@h", "text/plain", "", strings.NewReader(inner), int64(len(inner)))
		if p.err != nil {
			t.Fatal(p.err)
		}
		if _, err := p.n.Legs()[0].Send(within(t), session.Message{Type: file.CPIM, Body: r, Size: n, Chunk: 2048}); err != nil {
			t.Fatal(err)
		}
		m := await(t, "the message", messages)
		if m == nil || m.Wrapper == nil || string(m.Wrapper.Content.Body) != inner || m.Wrapper.From().URI != "sip:a@h" || m.Wrapper.To()[0].URI != "sip:b@h" {
			t.Fatalf("%+v", m)
		}
		sent := p.sent.sent()
		if strings.Count(sent, "Content-Type: message/cpim\r\n") < 3 || strings.Count(sent, "From: <sip:a@h>") != 1 || strings.Count(sent, "/"+strconv.FormatInt(n, 10)+"\r\n") < 3 {
			t.Error(sent)
		}
	})
	read, messages := reading(3)
	p := connect(t, setup{lines: []Line{{}}, read: read})
	if p.err != nil {
		t.Fatal(p.err)
	}
	if _, err := p.n.Legs()[0].Send(within(t), text("hello")); err != nil {
		t.Fatal(err)
	}
	await(t, "the message", messages)
	if r := await(t, "the end", p.came); !errors.Is(r.err, ErrLong) {
		t.Error(r.err)
	}
}
