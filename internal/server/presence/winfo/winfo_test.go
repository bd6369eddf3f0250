package winfo

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
	"imp/internal/xml/schematest"
)

// tests run each in a rig of its own.
type tests []struct {
	name string
	f    func(*testing.T, *rig)
}

func (all tests) run(t *testing.T) {
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) { run(t, func(r *rig) { tt.f(r.t, r) }) })
	}
}

// owner is alice, who has heard that there is nobody.
func (r *rig) owner() *peer {
	r.t.Helper()
	p := r.watch("alice", "notes.winfo")
	p.expect("0 full:")
	return p
}

func TestPackage(t *testing.T) {
	tests{
		{"WIN-001 the watchers of watcher information are told of one level up", func(t *testing.T, r *rig) {
			r.owner()
			up := r.watch("alice", "notes.winfo.winfo")
			d := up.docs()
			if len(d) != 1 || d[0].Lists[0].Package != "notes.winfo" || len(d[0].Lists[0].Watchers) != 1 {
				t.Fatalf("%+v", d)
			}
			r.watch("bob", "notes")
			up.expect("")
			r.watch("bob", "notes.winfo")
			up.expect("1 partial: bob active/subscribe")
		}},
		{"WIN-003 another type is not acceptable", func(t *testing.T, r *rig) {
			p := &peer{r: r, user: "alice", pkg: "notes.winfo", callID: "a@b", tag: "t"}
			res := p.wants(406, "Accept: application/pidf+xml")
			if len(res.Fields) == 0 || res.Fields[0].Value != "application/watcherinfo+xml" {
				t.Fatalf("%+v", res.Fields)
			}
			p.wants(200, "Accept: application/pidf+xml, application/watcherinfo+xml")
			p.expect("0 full:")
		}},
		{"WIN-004 without Accept it is watcherinfo", func(t *testing.T, r *rig) {
			p := r.watch("alice", "notes.winfo")
			r.mu.Lock()
			defer r.mu.Unlock()
			if got := r.sent[p.callID][0].GetHeader("Content-Type").Value(); got != "application/watcherinfo+xml" {
				t.Fatalf("Content-Type %q", got)
			}
		}},
		{"WIN-002 rates of RFC 6446 hold", func(t *testing.T, r *rig) {
			p := r.watch("alice", "notes.winfo;max-rate=0.01")
			p.expect("0 full:")
			r.watch("bob", "notes")
			time.Sleep(80 * time.Second)
			p.expect("")
			time.Sleep(20 * time.Second)
			p.expect("1 partial: bob active/subscribe")
		}},
		{"WIN-005 the default duration is an hour", func(t *testing.T, r *rig) {
			p := &peer{r: r, user: "alice", pkg: "notes.winfo", callID: "a@b", tag: "t"}
			if res := p.wants(200); res.Fields[0].Name != "Expires" || res.Fields[0].Value != "3600" {
				t.Fatalf("%+v", res.Fields)
			}
		}},
		{"WIN-007 who may see what", func(t *testing.T, r *rig) {
			r.notes.set("carol", ask)
			r.notes.set("dave", refuse)
			for _, c := range []struct {
				user, pkg string
				status    int
			}{
				{"alice", "notes.winfo", 200}, {"alice", "notes.winfo.winfo", 200}, {"alice", "notes.winfo.winfo.winfo", 489},
				{"bob", "notes.winfo", 200}, {"bob", "notes.winfo.winfo", 403}, {"bob", "notes.winfo.winfo.winfo", 489},
				{"carol", "notes.winfo", 403}, {"dave", "notes.winfo", 403},
			} {
				p := &peer{r: r, user: c.user, pkg: c.pkg, callID: c.user + c.pkg, tag: "t"}
				p.wants(c.status)
			}
		}},
		{"WIN-008 PRS-075 a watcher sees himself only", func(t *testing.T, r *rig) {
			r.watch("carol", "notes")
			own := r.watch("bob", "notes.winfo")
			own.expect("0 full:")
			bob := r.watch("bob", "notes")
			r.watch("dave", "notes")
			own.expect("1 partial: bob active/subscribe")
			own.wants(200)
			own.expect("2 full: bob active/subscribe")
			bob.wants(200, gone)
			own.expect("3 partial: bob terminated/timeout")
		}},
		{"WIN-009 nothing but what his subscription tells a watcher", func(t *testing.T, r *rig) {
			own := r.watch("bob", "notes.winfo")
			r.notes.set("bob", ask)
			bob := r.watch("bob", "notes")
			own.expect("0 full:; 1 partial: bob pending/subscribe")
			bob.wants(200, gone)
			own.expect("2 partial: bob terminated/timeout") // and waits, as the owner knows
			r.notes.set("bob", refuse)
			r.pkg.Reconsider(t.Context(), "sip:alice@example.com")
			own.expect("")
		}},
		{"a watcher who may see no more does not see himself any more", func(t *testing.T, r *rig) {
			own := r.watch("bob", "notes.winfo")
			own.expect("0 full:")
			r.notes.set("bob", refuse)
			own.wants(403)
			own.wants(481)
		}},
	}.run(t)
}

func TestNotifications(t *testing.T) {
	tests{
		{"WIN-010 every SUBSCRIBE gets all, a change who changed", func(t *testing.T, r *rig) {
			r.watch("bob", "notes")
			owner := r.watch("alice", "notes.winfo")
			owner.expect("0 full: bob active/subscribe")
			r.watch("carol", "notes")
			owner.expect("1 partial: carol active/subscribe")
			owner.wants(200)
			owner.expect("2 full: bob active/subscribe carol active/subscribe")
			r.watch("alice", "notes.winfo", gone).expect("0 full: bob active/subscribe carol active/subscribe")
		}},
		{"WIN-012 a fetch by who may is not told", func(t *testing.T, r *rig) {
			owner := r.owner()
			r.watch("bob", "notes", gone)
			owner.expect("")
		}},
		{"WIN-012 not even its beginning, whatever comes between", func(t *testing.T, r *rig) {
			owner := r.owner()
			r.pkg.observe(event.Lifecycle{Info: event.Info{ID: "x", Package: "notes", Resource: "sip:alice@example.com", Watcher: "sip:bob@example.com"},
				Cause: "subscribe", Fetch: true, Number: 1 << 40})
			owner.expect("")
		}},
		{"news from before the list change nothing in it", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			bob := r.watch("bob", "notes")
			r.Decide(bob.toTag, allow)
			owner := r.watch("alice", "notes.winfo")
			owner.expect("0 full: bob active/approved")
			r.pkg.observe(event.Lifecycle{Info: event.Info{ID: bob.toTag, Package: "notes", Resource: "sip:alice@example.com", Watcher: "sip:bob@example.com", State: event.Pending},
				Cause: "subscribe", Was: event.Pending, Number: 1})
			owner.expect("")
		}},
		{"WIN-012 who came and went between two notifications is not told", func(t *testing.T, r *rig) {
			owner := r.owner()
			carol := r.watch("carol", "notes")
			owner.expect("1 partial: carol active/subscribe")
			time.Sleep(5 * time.Second)
			dave := r.watch("dave", "notes") // is told at once
			for range 3 {
				r.watch("bob", "notes").wants(200, gone)
			}
			dave.wants(200, gone)
			carol.wants(200, gone)
			owner.expect("2 partial: dave active/subscribe; 3 partial: dave terminated/timeout carol terminated/timeout")
		}},
		{"WIN-014 changes within five seconds come as one", func(t *testing.T, r *rig) {
			owner := r.owner()
			r.watch("bob", "notes")
			if got := owner.told(); got != "1 partial: bob active/subscribe" {
				t.Fatalf("told %q", got)
			}
			r.notes.set("w3", ask)
			for i := range 20 {
				r.watch(fmt.Sprint("w", i), "notes")
				time.Sleep(200 * time.Millisecond)
			}
			time.Sleep(999 * time.Millisecond)
			if got := owner.told(); got != "" {
				t.Fatalf("told %q", got)
			}
			time.Sleep(time.Millisecond)
			if got := owner.told(); strings.Count(got, "active/subscribe") != 19 || strings.Count(got, "w3 pending/subscribe") != 1 {
				t.Fatalf("told %q", got)
			}
		}},
		{"WIN-033 versions count from 0, refreshes included", func(t *testing.T, r *rig) {
			first, second := r.owner(), r.owner()
			r.watch("bob", "notes")
			first.expect("1 partial: bob active/subscribe")
			second.expect("1 partial: bob active/subscribe")
			first.wants(200)
			first.expect("2 full: bob active/subscribe")
			r.watch("carol", "notes")
			first.expect("3 partial: carol active/subscribe")
			second.expect("2 partial: carol active/subscribe")
		}},
		{"WIN-034 WIN-035 WIN-036 WIN-037 WIN-038 what is told of a watcher", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			bob := &peer{r: r, user: "bob", pkg: "notes", callID: "a@b", tag: "t", display: `"Bob B"`}
			bob.wants(200, "Expires: 600")
			time.Sleep(9500 * time.Millisecond)
			owner := r.watch("alice", "notes.winfo")
			l := owner.docs()[0].Lists[0]
			w := l.Watchers[0]
			if l.Resource != "sip:alice@example.com" || l.Package != "notes" || w.URI != "sip:bob@example.com" || w.DisplayName != "Bob B" || *w.Expires != 591 || *w.Subscribed != 9 {
				t.Fatalf("%+v %+v", l, w)
			}
			if strings.Contains(w.ID, bob.toTag) || strings.Contains(bob.toTag, w.ID) {
				t.Fatal("the id tells the tag of the dialog")
			}
			r.notes.set("bob", allow)
			r.Decide(bob.toTag, allow)
			time.Sleep(5 * time.Second)
			d := owner.docs()[0]
			if got := d.Lists[0].Watchers[0]; got.ID != w.ID || got.URI != w.URI || *got.Subscribed != 14 {
				t.Fatalf("%+v after %+v", got, w)
			}
			bob.wants(200, "Expires: 1000")
			owner.wants(200)
			if got := owner.docs()[0].Lists[0].Watchers[0]; got.ID != w.ID || *got.Expires != 1000 {
				t.Fatalf("%+v after a refresh", got)
			}
		}},
		{"WIN-040 nobody is a full document too", func(t *testing.T, r *rig) { r.owner() }},
		{"EVT-119 the state has a name that holds while it lasts", func(t *testing.T, r *rig) {
			r.watch("bob", "notes")
			tag := func(p *peer) string {
				synctest.Wait()
				r.mu.Lock()
				defer r.mu.Unlock()
				sent := r.sent[p.callID]
				return sent[len(sent)-1].GetHeader("SIP-ETag").Value()
			}
			owner := r.watch("alice", "notes.winfo")
			before := tag(owner)
			time.Sleep(time.Minute)
			owner.wants(200)
			if tag(owner) != before {
				t.Fatal("the seconds are part of the state")
			}
			owner.wants(204, "Suppress-If-Match: "+before)
			r.watch("carol", "notes")
			time.Sleep(5 * time.Second)
			if tag(owner) == before {
				t.Fatal("a change is no part of the state")
			}
			if other := r.watch("bob", "notes.winfo"); tag(other) == tag(owner) {
				t.Fatal("two who see different things have one state")
			}
		}},
	}.run(t)
	t.Run("who has missed too much is told all", func(t *testing.T) {
		run(t, func(r *rig) {
			owner := r.owner()
			r.watch("dave", "notes")
			owner.expect("1 partial: dave active/subscribe")
			bob := r.watch("bob", "notes") // told at once
			for range maxGone + 1 {
				r.watch("carol", "notes").wants(200, gone)
			}
			bob.wants(200, gone)
			owner.expect("2 partial: bob active/subscribe; 3 full: dave active/subscribe")
		})
	})
	t.Run("nothing is kept when nobody looks", func(t *testing.T) {
		run(t, func(r *rig) {
			owner, bob := r.owner(), r.watch("bob", "notes")
			r.notes.set("carol", ask)
			carol := r.watch("carol", "notes")
			owner.wants(200, gone)
			if table := r.pkg.tables["sip:alice@example.com"]; len(table.rows) != 1 || table.views != 0 {
				t.Fatalf("%+v", table)
			}
			r.Decide(carol.toTag, allow)
			bob.wants(200, gone)
			if len(r.pkg.tables) != 0 || r.pkg.asking.Len() != 0 || len(r.pkg.by) != 0 {
				t.Fatalf("%+v", r.pkg)
			}
			r.watch("alice", "notes.winfo").expect("0 full: carol active/approved")
		})
	})
	t.Run("what was lost is found again", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.set("bob", ask)
			r.notes.set("carol", ask)
			p := New(Config{Parent: "notes"}) // nobody tells it anything
			p.notifier = r.Notifier
			defer p.Close()
			v, _, err := p.Open(t.Context(), event.Request{Resource: "sip:alice@example.com", Watcher: "sip:alice@example.com"})
			if err != nil {
				t.Fatal(err)
			}
			_, since, _ := v.Render(0)
			expect := func(want string) {
				t.Helper()
				p.observe(event.Lifecycle{Cause: event.Lost})
				b, mark, _ := v.Render(since)
				since = mark
				body := string(b.Bytes[:b.NumberAt]) + "7" + string(b.Bytes[b.NumberAt:])
				if got := short(r.t, []byte(body)); got != want {
					t.Fatalf("told %q, want %q", got, want)
				}
			}
			r.watch("bob", "notes")
			expect("7 partial: bob pending/subscribe")
			carol := r.watch("carol", "notes")
			dave := r.watch("dave", "notes")
			expect("7 partial: carol pending/subscribe dave active/subscribe")
			carol.wants(200, gone)
			expect("7 partial: carol waiting/timeout")
			dave.wants(200, gone)
			expect("7 partial: dave terminated/timeout")
		})
	})
	t.Run("WIN-031 WIN-032 all documents are valid", func(t *testing.T) {
		var all [][]byte
		run(t, func(r *rig) {
			owner := r.owner()
			r.notes.set("bob", ask)
			bob := &peer{r: r, user: "bob", pkg: "notes", callID: "a@b", tag: "t", display: `"B & <b> \"é\""`}
			bob.wants(200)
			owner.expect("1 partial: bob pending/subscribe")
			bob.wants(200, gone)
			r.watch("carol", "notes").wants(200, gone)
			owner.expect("2 partial: bob waiting/timeout")
			owner.wants(200)
			owner.expect("3 full: bob waiting/timeout")
			all = r.all
		})
		if len(all) != 4 {
			t.Fatalf("%d documents", len(all))
		}
		schematest.MustBeValid(t, "watcherinfo.xsd", all...)
	})
}
