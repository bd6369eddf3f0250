package presence_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	agent "imp/internal/agent/presence"
	"imp/internal/doc/pidf"
	"imp/internal/server/presence"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store/memory"
)

// patience bounds every wait; nothing here takes long.
const patience = 10 * time.Second

// site is a server of example.com on loopback.
type site struct {
	t      *testing.T
	ctx    context.Context
	server *presence.Server
}

func newSite(t *testing.T, change func(*presence.ServerConfig)) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	store := memory.New()
	t.Cleanup(func() { store.Close() })
	eps, err := stack.ParseEndpoint("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := presence.ServerConfig{Listen: eps, Store: store, Domains: []string{"Example.com", "example.org"}}
	if change != nil {
		change(&cfg)
	}
	server, err := presence.Serve(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return &site{t, ctx, server}
}

// user is a user agent towards the site.
func (s *site) user(name string) *agent.Agent {
	s.t.Helper()
	a, err := agent.Start(s.ctx, agent.Config{AOR: header.Address{URI: "sip:" + name + "@example.com"},
		Proxy: stack.Target{Addr: s.server.Addrs()[0].Addr}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { a.Close() })
	return a
}

var presenceEvent = header.Event{Package: "presence"}

func (s *site) publisher(a *agent.Agent, user string) *event.Publisher {
	s.t.Helper()
	p, err := a.Publisher(agent.PublishOptions{Presentity: "sip:" + user + "@example.com", Event: presenceEvent})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *site) publish(p *event.Publisher, doc string) {
	s.t.Helper()
	if _, err := p.Publish(s.ctx, event.Doc{Type: "application/pidf+xml", Body: []byte(doc)}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) watch(a *agent.Agent, target string, change func(*event.SubscribeOptions)) *event.Subscription {
	s.t.Helper()
	o := event.SubscribeOptions{Target: target, Event: presenceEvent}
	if change != nil {
		change(&o)
	}
	sub, err := a.Subscribe(s.ctx, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return sub
}

// next is the next notification of a subscription.
func (s *site) next(sub *event.Subscription) *event.Notification {
	s.t.Helper()
	for {
		e, err := sub.Next(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		if e.Kind == event.OnNotify {
			return e.Notification
		}
	}
}

// document is the parsed body of the next notification, which must be valid.
func (s *site) document(sub *event.Subscription) *pidf.Document {
	s.t.Helper()
	n := s.next(sub)
	if err := pidf.Check(n.Body); err != nil {
		s.t.Fatalf("%v in\n%s", err, n.Body)
	}
	d, err := pidf.Parse(n.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// status is a document with one tuple.
func status(id, basic, note string) string {
	return fmt.Sprintf(`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:x@example.com"><tuple id=%q><status><basic>%s</basic></status><note>%s</note></tuple></presence>`, id, basic, note)
}

func notes(d *pidf.Document) string {
	var all []string
	for _, t := range d.Tuples {
		for _, n := range t.Notes {
			all = append(all, n.Text)
		}
	}
	return strings.Join(all, " ")
}

func TestComposition(t *testing.T) {
	t.Run("PRS-026 PUB-050 the publications of two sources are one document", func(t *testing.T) {
		s := newSite(t, nil)
		phone, desk := s.publisher(s.user("alice"), "alice"), s.publisher(s.user("alice"), "alice")
		sub := s.watch(s.user("bob"), "sip:alice@example.com", nil)
		if d := s.document(sub); d.Basic() != pidf.Closed {
			t.Fatalf("basic %q before anything was published", d.Basic())
		}
		s.publish(phone, status("t1", "open", "phone"))
		if d := s.document(sub); notes(d) != "phone" {
			t.Fatalf("notes %q", notes(d))
		}
		s.publish(desk, status("t1", "closed", "desk"))
		d := s.document(sub)
		if notes(d) != "phone desk" || d.Tuples[0].ID == d.Tuples[1].ID {
			t.Fatalf("PRS-040: notes %q, ids %s %s", notes(d), d.Tuples[0].ID, d.Tuples[1].ID)
		}
		renamed := d.Tuples[1].ID
		if err := phone.Remove(s.ctx); err != nil {
			t.Fatal(err)
		}
		if d = s.document(sub); notes(d) != "desk" || d.Tuples[0].ID != renamed {
			t.Fatalf("PRS-040: notes %q, id %s was %s", notes(d), d.Tuples[0].ID, renamed)
		}
		if err := desk.Remove(s.ctx); err != nil {
			t.Fatal(err)
		}
		if d := s.document(sub); d.Basic() != pidf.Closed {
			t.Fatalf("PRS-044: basic %q after all are gone", d.Basic())
		}
	})
	t.Run("PRS-043 unknown elements pass", func(t *testing.T) {
		s := newSite(t, nil)
		s.publish(s.publisher(s.user("alice"), "alice"), `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:x="urn:x" entity="sip:alice@example.com"><tuple id="a"><status><basic>open</basic></status><x:load n="3">high</x:load></tuple></presence>`)
		n := s.next(s.watch(s.user("bob"), "sip:alice@example.com", nil))
		if !strings.Contains(string(n.Body), `<x:load`) || !strings.Contains(string(n.Body), `n="3">high<`) {
			t.Fatalf("body %s", n.Body)
		}
	})
	t.Run("PRS-045 PRS-046 what ends by itself is told when it ends", func(t *testing.T) {
		s := newSite(t, nil)
		until := time.Now().Add(1500 * time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z")
		s.publish(s.publisher(s.user("alice"), "alice"), `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com"><dm:person id="p"><r:activities until="`+until+`"><r:meeting/></r:activities><r:mood><r:happy/></r:mood></dm:person></presence>`)
		sub := s.watch(s.user("bob"), "sip:alice@example.com", nil)
		if d := s.document(sub); len(d.Persons) != 1 || len(d.Persons[0].Activities) != 1 {
			t.Fatalf("persons %+v", d.Persons)
		}
		if d := s.document(sub); len(d.Persons) != 1 || len(d.Persons[0].Activities) != 0 {
			t.Fatalf("persons %+v", d.Persons)
		}
	})
}

func TestViews(t *testing.T) {
	t.Run("PRS-034 the entity is the URI that was asked for", func(t *testing.T) {
		s := newSite(t, nil)
		s.publish(s.publisher(s.user("alice"), "alice"), status("t", "open", "here"))
		bob := s.user("bob")
		for _, uri := range []string{"sip:alice@example.com", "pres:alice@example.com", "sip:alice@EXAMPLE.com", "sip:alice@example.com;x=y"} {
			d := s.document(s.watch(bob, uri, nil))
			want, _, _ := strings.Cut(strings.ToLower(uri), ";")
			if d.Entity != want || notes(d) != "here" {
				t.Errorf("%s: entity %q, notes %q", uri, d.Entity, notes(d))
			}
		}
	})
	t.Run("EVT-108 EVT-109 the Contact is a GRUU that leads to the same presentity", func(t *testing.T) {
		s := newSite(t, nil)
		s.publish(s.publisher(s.user("alice"), "alice"), status("t", "open", "here"))
		bob := s.user("bob")
		n := s.next(s.watch(bob, "sip:alice@example.com", nil))
		contact, err := header.ParseAddress(header.List(n.Request, "Contact")[0])
		if err != nil {
			t.Fatal(err)
		}
		if u, err := header.ParseURI(contact.URI); err != nil || !u.Params.Has("gr") {
			t.Fatalf("Contact %s", contact.URI)
		}
		if d := s.document(s.watch(bob, contact.URI, nil)); d.Entity != "sip:alice@example.com" || notes(d) != "here" {
			t.Fatalf("entity %q, notes %q", d.Entity, notes(d))
		}
	})
	t.Run("PRS-003 PRS-004 without Accept and Expires the defaults hold", func(t *testing.T) {
		s := newSite(t, nil)
		n := s.next(s.watch(s.user("bob"), "sip:alice@example.com", nil))
		if n.ContentType != "application/pidf+xml" || n.State.Expires < 3590 || n.State.Expires > 3600 {
			t.Fatalf("type %q, expires %d", n.ContentType, n.State.Expires)
		}
	})
	t.Run("PRS-025 PRS-024 the first NOTIFY and the final one are not held back, changes are", func(t *testing.T) {
		s := newSite(t, func(c *presence.ServerConfig) { c.MinInterval = time.Hour })
		p := s.publisher(s.user("alice"), "alice")
		sub := s.watch(s.user("bob"), "sip:alice@example.com", nil)
		s.document(sub)
		s.publish(p, status("t", "open", "held"))
		other := s.watch(s.user("carol"), "sip:alice@example.com", nil)
		if d := s.document(other); notes(d) != "held" {
			t.Fatalf("notes %q", notes(d))
		}
		if err := s.server.Drain(s.ctx); err != nil {
			t.Fatal(err)
		}
		if n := s.next(sub); n.State.State != "terminated" || n.State.Reason != "deactivated" || n.Seq != 2 {
			t.Fatalf("state %s, reason %s, seq %d", n.State.State, n.State.Reason, n.Seq)
		}
	})
	t.Run("PUB-038 a refresh changes nothing for watchers", func(t *testing.T) {
		s := newSite(t, nil)
		p := s.publisher(s.user("alice"), "alice")
		s.publish(p, status("t", "open", "one"))
		sub := s.watch(s.user("bob"), "sip:alice@example.com", nil)
		s.document(sub)
		if _, err := p.Refresh(s.ctx); err != nil {
			t.Fatal(err)
		}
		s.publish(p, status("t", "open", "two"))
		n := s.next(sub)
		if d, err := pidf.Parse(n.Body); err != nil || n.Seq != 2 || notes(d) != "two" {
			t.Fatalf("seq %d, %v", n.Seq, err)
		}
	})
}

func TestPolicy(t *testing.T) {
	t.Run("PRS-016 PRS-018 PRS-017 confirm leaves watchers pending without state", func(t *testing.T) {
		s := newSite(t, func(c *presence.ServerConfig) { c.Policy = presence.Confirm })
		s.publish(s.publisher(s.user("alice"), "alice"), status("t", "open", "secret"))
		n := s.next(s.watch(s.user("bob"), "sip:alice@example.com", nil))
		if n.State.State != "pending" || n.Body != nil || n.State.Expires < 1 {
			t.Fatalf("state %s, body %s", n.State.State, n.Body)
		}
	})
	t.Run("PRS-017 EVT-066 block refuses with 403", func(t *testing.T) {
		s := newSite(t, func(c *presence.ServerConfig) { c.Policy = presence.Block })
		_, err := s.user("bob").Subscribe(s.ctx, event.SubscribeOptions{Target: "sip:alice@example.com", Event: presenceEvent})
		if refused, ok := err.(*event.ResponseError); !ok || refused.Status != 403 {
			t.Fatalf("err %v", err)
		}
	})
}

func TestPublishedBodies(t *testing.T) {
	s := newSite(t, nil)
	alice := s.user("alice")
	for _, c := range []struct {
		name, mediaType, body string
		status                int
		warning               string
	}{
		{"PUB-036 another type", "text/plain", "hello", 415, ""},
		{"PUB-036 a charset that is not stored", "application/pidf+xml;charset=utf-16", status("t", "open", ""), 415, ""},
		{"PUB-040 not well-formed", "application/pidf+xml", "<presence", 400, "1:10: "},
		{"PUB-040 another root", "application/pidf+xml", `<people entity="sip:a@b"/>`, 400, "1:1: "},
		{"PDF-006 an id twice", "application/pidf+xml", `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:a@b"><tuple id="a"><status/></tuple><tuple id="a"><status/></tuple></presence>`, 400, "1:"},
		{"PDF-020 a DTD", "application/pidf+xml", `<!DOCTYPE presence><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:a@b"/>`, 400, "1:1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := s.publisher(alice, "alice")
			_, err := p.Publish(s.ctx, event.Doc{Type: c.mediaType, Body: []byte(c.body)})
			refused, ok := err.(*event.ResponseError)
			if !ok || refused.Status != c.status {
				t.Fatalf("err %v", err)
			}
			if c.status == 415 && refused.Field("Accept") != "application/pidf+xml, application/pidf-diff+xml" {
				t.Errorf("Accept %q", refused.Field("Accept"))
			}
			if !strings.Contains(refused.Warning, c.warning) {
				t.Errorf("Warning %q does not contain %q", refused.Warning, c.warning)
			}
		})
	}
	if d := s.document(s.watch(s.user("bob"), "sip:alice@example.com", nil)); d.Basic() != pidf.Closed {
		t.Errorf("something was stored: %q", d.Basic())
	}
}
