package presence_test

import (
	"strings"
	"testing"

	agent "imp/internal/agent/presence"
	"imp/internal/auth/users"
	"imp/internal/doc/winfo"
	"imp/internal/server/presence"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// watchers are those of a notification, in short.
func watchers(t *testing.T, n *event.Notification) string {
	t.Helper()
	d, err := winfo.Parse(n.Body)
	if err != nil {
		t.Fatalf("%v in\n%s", err, n.Body)
	}
	var all []string
	for _, l := range d.Lists {
		for _, w := range l.Watchers {
			all = append(all, w.URI+" "+w.Status.String()+"/"+w.Event.String())
		}
	}
	return strings.Join(all, ", ")
}

func ofWatchers(o *event.SubscribeOptions) { o.Event.Package = "presence.winfo" }

func TestWatcherInformation(t *testing.T) {
	t.Run("PRS-027 PRS-076 WIN-019 a presentity learns of his watchers", func(t *testing.T) {
		s := newSite(t, nil)
		alice := s.watch(s.user("alice"), "sip:alice@example.com", ofWatchers)
		if got := watchers(t, s.next(alice)); got != "" {
			t.Fatalf("told %q", got)
		}
		bob := s.watch(s.user("bob"), "pres:alice@example.com", nil)
		if got := watchers(t, s.next(alice)); got != "sip:bob@example.com active/subscribe" {
			t.Fatalf("told %q", got)
		}
		if err := bob.Close(s.ctx); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("PRS-080 WIN-035 the addresses of devices are not told", func(t *testing.T) {
		s := newSite(t, nil)
		s.next(s.watch(s.user("bob"), "sip:alice@example.com", nil))
		n := s.next(s.watch(s.user("alice"), "sip:alice@example.com", ofWatchers))
		if body := string(n.Body); strings.Contains(body, "127.0.0.1") || !strings.Contains(body, ">sip:bob@example.com<") {
			t.Fatalf("%s", body)
		}
	})
	t.Run("AUT-043 who asks once is told of as one who waits", func(t *testing.T) {
		s := newSite(t, func(c *presence.ServerConfig) { c.Policy = presence.Confirm })
		if n := s.next(s.watch(s.user("bob"), "sip:alice@example.com", func(o *event.SubscribeOptions) { o.Fetch = true })); n.Body != nil {
			t.Fatalf("%s", n.Body)
		}
		alice := s.watch(s.user("alice"), "sip:alice@example.com", ofWatchers)
		for got := ""; got != "sip:bob@example.com waiting/timeout"; {
			got = watchers(t, s.next(alice)) // the change may be told after the answer
		}
	})
	t.Run("WIN-020 who is blocked is not told of", func(t *testing.T) {
		s := newSite(t, func(c *presence.ServerConfig) { c.Policy = presence.Block })
		if _, err := s.user("bob").Subscribe(s.ctx, event.SubscribeOptions{Target: "sip:alice@example.com", Event: presenceEvent}); err == nil {
			t.Fatal("he is let in")
		}
		if got := watchers(t, s.next(s.watch(s.user("alice"), "sip:alice@example.com", ofWatchers))); got != "" {
			t.Fatalf("told %q", got)
		}
	})
	t.Run("PUB-058 watcher information is not published", func(t *testing.T) {
		s := newSite(t, nil)
		p, err := s.user("alice").Publisher(agent.PublishOptions{Presentity: "sip:alice@example.com", Event: header.Event{Package: "presence.winfo"}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Publish(s.ctx, event.Doc{Type: winfo.MediaType, Body: (&winfo.Document{}).Bytes()})
		if e, ok := err.(*event.ResponseError); !ok || e.Status != 489 {
			t.Fatalf("answered %v", err)
		}
	})
	t.Run("WIN-006 WIN-016 WIN-018 watchers of watchers are challenged, and strangers leave nothing", func(t *testing.T) {
		source, err := users.New(users.Config{Realms: []string{"example.com"}, Entries: []string{"alice:wonderland", "bob:builder"}})
		if err != nil {
			t.Fatal(err)
		}
		s := newSite(t, func(c *presence.ServerConfig) { c.Auth = &presence.Auth{Realm: "example.com", Users: source} })
		user := func(name, password string) *agent.Agent {
			a, err := agent.Start(s.ctx, agent.Config{AOR: header.Address{URI: "sip:" + name + "@example.com"}, Proxy: stack.Target{Addr: s.server.Addrs()[0].Addr},
				Credentials: func(string) (string, string, error) { return name, password, nil }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { a.Close() })
			return a
		}
		for _, pkg := range []string{"presence", "presence.winfo"} {
			for _, a := range []*agent.Agent{s.user("bob"), user("bob", "guess")} {
				if _, err := a.Subscribe(s.ctx, event.SubscribeOptions{Target: "sip:alice@example.com", Event: header.Event{Package: pkg}}); err == nil {
					t.Fatalf("a stranger is let in to %s", pkg)
				}
			}
		}
		alice := s.watch(user("alice", "wonderland"), "sip:alice@example.com", ofWatchers)
		if got := watchers(t, s.next(alice)); got != "" {
			t.Fatalf("told %q", got)
		}
		s.watch(user("bob", "builder"), "sip:alice@example.com", nil)
		if got := watchers(t, s.next(alice)); got != "sip:bob@example.com active/subscribe" {
			t.Fatalf("told %q", got)
		}
	})
}
