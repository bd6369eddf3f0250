package rls

import (
	"strings"
	"testing"
	"testing/synctest"

	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
)

// inner is the list in the part of a member.
func (n *told) inner(uri string) *told {
	for _, r := range n.List.Resources {
		if r.URI == uri && len(r.Instances) > 0 && r.Instances[0].State == rlmi.Active {
			if p := n.Part(r.Instances[0].CID); p != nil && p.Nested != nil {
				return &told{n.Call, p.Nested}
			}
		}
	}
	return &told{Call: n.Call}
}

func TestNested(t *testing.T) {
	const inner = "sip:list-inner@example.com"
	both := func(r *rig, outer, within string) {
		r.put(indexOfAlice, services(inline("list", outer), inline("list-inner", within)))
	}
	t.Run("lists of one document read it once, also when it has changed", func(t *testing.T) {
		run(t, func(r *rig) {
			for _, users := range [][]string{{"carol"}, {"dan", "eve"}} {
				both(r, entries("bob", inner), entries(users...))
				one, err := r.lookup(t.Context(), inner)
				if err != nil || len(one.List.Items) != len(users) {
					t.Fatalf("%+v %v", one, err)
				}
				if _, err := r.lookup(t.Context(), aor("list")); err != nil {
					t.Fatal(err)
				}
				if two, err := r.lookup(t.Context(), inner); err != nil || two.Service != one.Service {
					t.Fatal("it was read again", err)
				}
			}
		})
	})
	t.Run("RLS-011 RLS-043 a member that is a list has his own documents and versions", func(t *testing.T) {
		run(t, func(r *rig) {
			both(r, entries("bob", inner), entries("carol", "dan"))
			r.notes.set("carol", "here")
			w := r.watcher("alice", "list")
			n := w.active()
			if got := n.inner(inner).says(); len(n.Parts) != 2 || got != "0+, carol here, dan" {
				t.Fatalf("%s\n%s", got, n.Request)
			}
			r.notes.set("dan", "too")
			n = w.next()
			if got := n.inner(inner).says(); n.List.FullState || len(n.List.Resources) != 1 || got != "1+, carol here, dan too" {
				t.Fatalf("%s\n%s", got, n.Request)
			}
			r.notes.set("bob", "alone")
			w.expect("2, bob alone")
			both(r, entries("bob", inner), entries("eve"))
			if got := w.next().inner(inner).says(); got != "2+, eve" {
				t.Error(got)
			}
			w.subscribe()
			if got := w.next().inner(inner).says(); got != "3+, eve" {
				t.Error(got)
			}
			r.put(indexOfAlice, services(inline("list", entries("bob", inner))))
			w.expect("5, list-inner terminated noresource")
			w.lines = w.with("Expires: 0")
			w.subscribe()
			w.next()
			if synctest.Wait(); r.n.Count() != 0 || len(r.deps) != 0 {
				t.Errorf("%d subscriptions are left, %d documents are followed", r.n.Count(), len(r.deps))
			}
		})
	})
	t.Run("RLS-032 lists that are in themselves", func(t *testing.T) {
		run(t, func(r *rig) {
			both(r, entries("bob", "sip:list@example.com", inner), entries("carol", "sip:list@EXAMPLE.com", inner))
			n := r.watcher("alice", "list").active()
			if got := n.inner(inner).says(); got != "0+, carol, list terminated noresource, list-inner terminated noresource" {
				t.Errorf("%s\n%s", got, n.Request)
			}
			if got := n.List.Resources[1].Instances[0]; got.State != rlmi.Terminated || got.Reason != "noresource" {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("a list of somebody else is not shown", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(strings.Replace(indexOfAlice, "alice", "bob", 1), services(inline("list-inner", entries("carol"))))
			r.friends(inner)
			r.same(r.watcher("alice", "list").active(), "0+, list-inner terminated rejected")
		})
	})
	t.Run("all lists together have a bound", func(t *testing.T) {
		runWith(t, func(c *Config, _ *event.NotifierConfig) { c.MaxMembers = 4 }, func(r *rig) {
			both(r, entries("bob", inner), entries("a", "b"))
			w := r.watcher("alice", "list")
			if got := w.active().inner(inner).says(); got != "0+, a, b" {
				t.Error(got)
			}
			both(r, entries("bob", inner), entries("a", "b", "c"))
			w.expect("1, list-inner terminated rejected")
		})
	})
	t.Run("RLS-049 a list in a list counts for the entity-tag", func(t *testing.T) {
		run(t, func(r *rig) {
			both(r, entries(inner), entries("carol"))
			w := r.watcher("alice", "list")
			first := w.active().One("SIP-ETag")
			r.notes.set("carol", "new")
			if w.next().One("SIP-ETag") == first {
				t.Error("another state, the same tag")
			}
		})
	})
}
