package presence_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// phone writes what the clients of others write, over UDP.
type phone struct {
	s      *site
	conn   net.Conn
	callID string
	toTag  string
	seq    int
}

func (s *site) phone() *phone {
	s.t.Helper()
	conn, err := net.Dial("udp", s.server.Addrs()[0].Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &phone{s: s, conn: conn, callID: stack.NewCallID()}
}

// ask sends a SUBSCRIBE for alice with more lines and gives the answer.
func (p *phone) ask(lines ...string) *sip.Response {
	p.s.t.Helper()
	p.seq++
	to := "To: sip:alice@example.com"
	if p.toTag != "" {
		to += ";tag=" + p.toTag
	}
	head := []string{"SUBSCRIBE sip:alice@example.com SIP/2.0", "Via: SIP/2.0/UDP " + p.conn.LocalAddr().String() + ";branch=z9hG4bK" + stack.NewTag(),
		"Max-Forwards: 10", "From: sip:bob@example.com;tag=b", to, "Call-ID: " + p.callID, fmt.Sprintf("CSeq: %d SUBSCRIBE", p.seq), "Event: presence"}
	p.write(strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n")
	return p.read().(*sip.Response)
}

func (p *phone) write(text string) {
	p.s.t.Helper()
	if _, err := p.conn.Write([]byte(text)); err != nil {
		p.s.t.Fatal(err)
	}
}

func (p *phone) read() sip.Message {
	p.s.t.Helper()
	b := make([]byte, 65535)
	n, err := p.conn.Read(b)
	if err != nil {
		p.s.t.Fatal(err)
	}
	m, err := sip.ParseMessage(b[:n])
	if err != nil {
		p.s.t.Fatalf("%v in\n%s", err, b[:n])
	}
	return m
}

// notified takes the next NOTIFY and answers it as libpurple does, with header
// fields of the request.
func (p *phone) notified() *sip.Request {
	p.s.t.Helper()
	r := p.read().(*sip.Request)
	res := sip.NewResponseFromRequest(r, 200, "OK", nil)
	res.AppendHeader(sip.NewHeader("Max-Forwards", "10"))
	res.AppendHeader(sip.NewHeader("Content-Type", "application/pidf+xml"))
	p.write(res.String())
	return r
}

func stateOf(t *testing.T, r *sip.Request) header.SubscriptionState {
	t.Helper()
	v, _, err := header.Single(r, "Subscription-State")
	if err != nil {
		t.Fatal(err)
	}
	st, err := header.ParseSubscriptionState(v)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestClientsOfOthers(t *testing.T) {
	for _, c := range []struct{ name, contact string }{
		{"Linphone's GRUU with what the registrar added", `<sip:bob@example.com;gr=urn:uuid:1>;expires=600;received="sip:192.0.2.1:5060";+sip.instance="<urn:uuid:1>"`},
		{"a host in the domain invalid", "<sip:x7@df7jal23ls0d.invalid>"},
		{"libpurple's methods", "<sip:bob@ADDRESS>;methods=\"MESSAGE, SUBSCRIBE, NOTIFY\""},
	} {
		t.Run("EVT-073 Contact is "+c.name, func(t *testing.T) {
			s := newSite(t, nil)
			p := s.phone()
			contact := "Contact: " + strings.Replace(c.contact, "ADDRESS", p.conn.LocalAddr().String(), 1)
			res := p.ask(contact, "Expires: 600", "Supported: ") // baresip supports nothing, and says so
			if res.StatusCode != 200 {
				t.Fatalf("answered %s", res)
			}
			p.toTag, _ = res.To().Params.Get("tag")
			if st := stateOf(t, p.notified()); st.State != "active" || st.Expires > 600 {
				t.Fatalf("%+v", st)
			}
			// It ends at the address of record, in the dialog.
			if res := p.ask(contact, "Expires: 0"); res.StatusCode != 200 {
				t.Fatalf("answered %s", res)
			}
			if st := stateOf(t, p.notified()); st.State != "terminated" || st.Reason != "timeout" {
				t.Fatalf("%+v", st)
			}
		})
	}
	t.Run("a Contact that nobody can be reached at is 400", func(t *testing.T) {
		s := newSite(t, nil)
		for _, contact := range []string{"<sip:bob@192.0.2.1:0>", "<sip:bob@192.0.2.1:65536>", "<tel:+1>", "*"} {
			if res := s.phone().ask("Contact: "+contact, "Expires: 600"); res.StatusCode != 400 {
				t.Errorf("%s is answered %d", contact, res.StatusCode)
			}
		}
	})
}

// tagOf is the entity-tag of a notification.
func tagOf(t *testing.T, n *event.Notification) string {
	t.Helper()
	v, ok, err := header.Single(n.Request, "SIP-ETag")
	if err != nil || !ok {
		t.Fatalf("SIP-ETag %q, %v", v, err)
	}
	return v
}

func TestConditions(t *testing.T) {
	fetch := func(s *site, tag string) *event.Notification {
		return s.next(s.watch(s.user("bob"), "sip:alice@example.com", func(o *event.SubscribeOptions) { o.Fetch, o.ETag = true, tag }))
	}
	t.Run("EVT-119 a document that is composed again has its tag again", func(t *testing.T) {
		s := newSite(t, nil)
		one, two := s.publisher(s.user("alice"), "alice"), s.publisher(s.user("alice"), "alice")
		s.publish(one, open("a"))
		s.publish(two, open("a"))
		n := fetch(s, "")
		if got := fetch(s, tagOf(t, n)); got.Body != nil || tagOf(t, got) != tagOf(t, n) {
			t.Fatalf("%s\n%s", n.Body, got.Body)
		}
		if _, err := one.Refresh(s.ctx); err != nil {
			t.Fatal(err)
		}
		if got := fetch(s, tagOf(t, n)); got.Body != nil {
			t.Fatalf("a refresh changes the tag:\n%s", got.Body)
		}
		if err := two.Remove(s.ctx); err != nil {
			t.Fatal(err)
		}
		if got := fetch(s, tagOf(t, n)); got.Body == nil || tagOf(t, got) == tagOf(t, n) {
			t.Fatal("a change does not change the tag")
		}
	})
	t.Run("EVT-122 the tag of a publication is none of a notification", func(t *testing.T) {
		s := newSite(t, nil)
		p := s.publisher(s.user("alice"), "alice")
		s.publish(p, open("a"))
		if n := fetch(s, p.Tag()); n.Body == nil || tagOf(t, n) == p.Tag() {
			t.Fatalf("%s with the tag %s", n.Body, tagOf(t, n))
		}
	})
	t.Run("EVT-118 each URI of a presentity has its own document, and tag", func(t *testing.T) {
		s := newSite(t, nil)
		s.publish(s.publisher(s.user("alice"), "alice"), open("a"))
		n := fetch(s, "")
		other := s.next(s.watch(s.user("bob"), "pres:alice@example.com", func(o *event.SubscribeOptions) { o.Fetch, o.ETag = true, tagOf(t, n) }))
		if other.Body == nil {
			t.Fatal("a document for another URI is not told")
		}
	})
}

// open is a document of alice with one tuple.
func open(id string) string {
	return `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="` + id + `"><status><basic>open</basic></status></tuple></presence>`
}
