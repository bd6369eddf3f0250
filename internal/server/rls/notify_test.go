package rls

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
)

func TestNotify(t *testing.T) {
	t.Run("RLS-036 RLS-037 RLS-042 RLS-043 RLS-044 a member has one instance, and each cid its part beside the document", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol", "nobody")
			w := r.watcher("alice", "list")
			n := w.active() // next has checked the document
			seen := map[string]bool{}
			for _, res := range n.List.Resources {
				if len(res.Instances) != 1 || res.Instances[0].ID == "" {
					t.Fatalf("%+v", res)
				}
				in := res.Instances[0]
				switch p := n.Part(in.CID); {
				case in.State == rlmi.Terminated && in.Reason == "noresource" && in.CID == "":
				case in.State != rlmi.Active || p == nil || p.Type != "text/plain" || seen[in.CID] || p.Nested != nil:
					t.Fatalf("%+v with %+v", in, p)
				}
				seen[in.CID] = true
			}
			if len(n.Parts) != 2 {
				t.Errorf("%d parts", len(n.Parts))
			}
			r.notes.set("bob", "new")
			if next := w.expect("1, bob new"); seen[next.List.Resources[0].Instances[0].CID] {
				t.Error("another state under the same Content-ID")
			}
		})
	})
	t.Run("RLS-046 the time that a member is watched for is not told", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			if body := r.watcher("alice", "list").active().Request.Body(); bytes.Contains(bytes.ToLower(body), []byte("expires")) {
				t.Errorf("%s", body)
			}
		})
	})
	t.Run("RLS-035 a list that nothing is known of is a list", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends()
			if n := r.same(r.watcher("alice", "list").active(), "0+"); len(n.Parts) > 0 {
				t.Error(n.Parts)
			}
		})
	})
	t.Run("RLS-034 each body of a subscription has the document, from the first to the last", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			w := r.watcher("alice", "list")
			w.active()
			for i := range 50 {
				r.notes.set("bob", fmt.Sprint(i))
				if n := w.next(); n.Body == nil || n.List.Version != uint32(i+1) || n.List.FullState {
					t.Fatalf("after %d: %s", i, n.Request)
				}
			}
			w.lines = w.with("Expires: 0")
			w.subscribe()
			if n := w.next(); n.Body != nil {
				t.Errorf("the end tells %s", n.says())
			}
		})
	})
	t.Run("RLS-047 the body of a member comes as it is, whatever is in it", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			text := "--" + boundary + "\r\nContent-Type: text/html\r\n\r\n\x00\xff--" + boundary + "--\r\n"
			r.notes.set("bob", text)
			n := r.watcher("alice", "list").active()
			if got := string(n.Parts[0].Content); len(n.Parts) != 1 || got != "note: "+text {
				t.Errorf("%q", got)
			}
			if !strings.Contains(n.One("Content-Type"), "boundary="+boundary+"-") {
				t.Error(n.One("Content-Type"))
			}
		})
	})
	t.Run("RLS-048 many changes in an interval are one NOTIFY", func(t *testing.T) {
		runWith(t, func(_ *Config, n *event.NotifierConfig) { *n.MinInterval = 5 * time.Second }, func(r *rig) {
			r.friends("bob", "carol", "dan")
			w := r.watcher("alice", "list")
			w.active()
			for i := range 20 {
				r.notes.set("bob", fmt.Sprint(i))
				r.notes.set("dan", fmt.Sprint(i))
			}
			r.wire.Silent()
			time.Sleep(5 * time.Second)
			w.expect("1, bob 19, dan 19")
			time.Sleep(10 * time.Second)
			r.wire.Silent()
		})
	})
	t.Run("RLS-048 max-rate bounds the list as a whole", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol")
			w := r.watcher("alice", "list")
			w.pkg = "notes;max-rate=0.1"
			w.active()
			r.notes.set("bob", "one")
			r.notes.set("carol", "two")
			r.wire.Silent()
			time.Sleep(10 * time.Second)
			w.expect("1, bob one, carol two")
		})
	})
	t.Run("a NOTIFY that was lost is made good by the next", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol")
			w := r.watcher("alice", "list")
			w.active()
			r.notes.set("bob", "one")
			r.wire.Next().Answer(500)
			r.notes.set("carol", "two")
			w.expect("2, bob one, carol two") // the gap tells the watcher
		})
	})
	t.Run("RLS-050 what is too much for one NOTIFY comes with the next", func(t *testing.T) {
		runWith(t, func(c *Config, _ *event.NotifierConfig) { c.MaxBody = 1000 }, func(r *rig) {
			var users []string
			for i := range 20 {
				users = append(users, fmt.Sprintf("u%d", i))
				r.notes.set(users[i], strings.Repeat("x", 100))
			}
			r.friends(users...)
			w := r.watcher("alice", "list")
			n := w.active()
			if len(n.List.Resources) != 20 || len(n.Parts) == 0 || len(n.Parts) == 20 {
				t.Fatalf("%d resources with %d parts", len(n.List.Resources), len(n.Parts))
			}
			told := len(n.Parts)
			for told < 20 {
				n = w.next()
				if n.List.FullState || len(n.Parts) == 0 {
					t.Fatal(n.says())
				}
				told += len(n.Parts)
			}
			r.wire.Silent()
		})
	})
}

func TestBackEnd(t *testing.T) {
	t.Run("RLS-041 RLS-055 RLS-076 what a member decides is his instance's state, and shows nothing before", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol", "dan")
			r.notes.set("bob", "secret")
			r.notes.set("dan", "secret")
			r.notes.verdicts[aor("alice")+" "+aor("bob")] = event.Decision{State: event.Pending}
			r.notes.verdicts[aor("alice")+" "+aor("dan")] = event.Decision{State: event.Terminated, Reason: "rejected"}
			w := r.watcher("alice", "list")
			n := r.same(w.active(), "0+, bob pending, carol, dan terminated rejected")
			if bytes.Contains(n.Request.Body(), []byte("secret")) {
				t.Error("told what nobody allowed")
			}
			r.notes.set("bob", "still secret")
			r.wire.Silent()
			r.notes.decide("alice", "bob", event.Decision{State: event.Active})
			w.expect("1, bob still secret")
			r.notes.decide("alice", "bob", event.Decision{State: event.Pending})
			w.expect("2, bob pending")
			r.notes.decide("alice", "bob", event.Decision{State: event.Terminated})
			w.expect("3, bob terminated rejected")
			r.notes.decide("alice", "carol", event.Decision{State: event.Terminated, Reason: "noresource"})
			w.expect("4, carol terminated noresource")
		})
	})
	t.Run("RLS-051 RLS-052 each member sees who watches, and each watcher what he may", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.set("carol", "for bob")
			r.friends("carol")
			r.put(strings.Replace(indexOfAlice, "alice", "bob", 1), services(inline("list-bob", entries("carol"))))
			r.notes.verdicts[aor("alice")+" "+aor("carol")] = event.Decision{State: event.Pending}
			alice, bob := r.watcher("alice", "list"), r.watcher("bob", "list-bob")
			r.same(alice.active(), "0+, carol pending")
			r.same(bob.active(), "0+, carol for bob")
			if got := strings.Join(r.notes.opened, ", "); got != "sip:alice@example.com sip:carol@example.com, sip:bob@example.com sip:carol@example.com" {
				t.Error(got)
			}
			r.others.Silent()
		})
	})
	t.Run("RLS-057 with the list all its subscriptions end", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol")
			w := r.watcher("alice", "list")
			w.active()
			if n := r.n.Count(); n != 3 {
				t.Fatal(n)
			}
			w.lines = w.with("Expires: 0")
			w.subscribe()
			w.next()
			if synctest.Wait(); r.n.Count() != 0 {
				t.Errorf("%d are left", r.n.Count())
			}
		})
	})
	t.Run("a watcher who has gone costs nothing", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol")
			r.watcher("alice", "list").subscribe()
			r.wire.Next().Answer(481)
			if synctest.Wait(); r.n.Count() != 0 {
				t.Errorf("%d are left", r.n.Count())
			}
		})
	})
	t.Run("the document of a member is rendered once for all lists", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			var all []*watcher
			for range 20 {
				w := r.watcher("alice", "list")
				w.active()
				all = append(all, w)
			}
			before := r.notes.renders
			r.notes.set("bob", "new")
			for _, w := range all {
				w.expect("1, bob new")
			}
			if n := r.notes.renders - before; n != 1 {
				t.Errorf("%d renderings", n)
			}
		})
	})
	t.Run("a fetch has the state of members", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "sip:x@elsewhere.invalid")
			r.notes.set("bob", "here")
			w := r.watcher("alice", "list")
			w.lines = w.with("Expires: 0")
			n := r.same(w.active(), "0+, bob here, x ?")
			n.Wants("Subscription-State", "terminated;reason=timeout")
			r.others.Silent()
			if synctest.Wait(); r.n.Count() != 0 {
				t.Errorf("%d are left", r.n.Count())
			}
		})
	})
}
