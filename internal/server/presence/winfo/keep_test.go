package winfo

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
	"imp/internal/store"
	"imp/internal/store/memory"
)

// lasting is a store that would outlive its process.
type lasting struct{ store.KV }

func (lasting) Limits() store.Limits { return store.Limits{SurvivesKill: true, TTLStep: time.Second} }

// entries counts what is in a store.
func entries(t *testing.T, kv store.KV) (n int) {
	t.Helper()
	for _, err := range kv.Scan(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// after is a package that begins with what another left in a store.
func (r *rig) after(kv store.KV, l Limits) *Package {
	r.t.Helper()
	p := New(Config{Parent: "notes", Judge: r.notes.judge, Limits: l})
	p.notifier = r.Notifier
	if err := p.Restore(r.t.Context(), kv); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// sees is what alice is told by a package, in short.
func sees(t *testing.T, p *Package) string {
	t.Helper()
	v, _, err := p.Open(t.Context(), event.Request{Resource: "sip:alice@example.com", Watcher: "sip:alice@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close("")
	b, _, _ := v.Render(0)
	return short(t, []byte(string(b.Bytes[:b.NumberAt])+"0"+string(b.Bytes[b.NumberAt:])))
}

func TestKeep(t *testing.T) {
	kept := func(t *testing.T, f func(r *rig, kv store.KV)) {
		t.Helper()
		run(t, func(r *rig) {
			kv := memory.New()
			defer kv.Close()
			if err := r.pkg.Restore(t.Context(), lasting{kv}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"bob", "carol"} {
				r.notes.set(name, ask)
				r.watch(name, "notes", gone)
				time.Sleep(time.Hour)
			}
			f(r, lasting{kv})
		})
	}
	t.Run("WIN-024 who waits is known to the next server", func(t *testing.T) {
		kept(t, func(r *rig, kv store.KV) {
			p := r.after(kv, Limits{})
			defer p.Close()
			if got := sees(r.t, p); got != "0 full: bob waiting/timeout carol waiting/timeout" {
				r.t.Fatalf("told %q", got)
			}
			r.notes.set("bob", allow)
			if got := sees(r.t, p); got != "0 full: carol waiting/timeout" {
				r.t.Fatalf("told %q", got)
			}
			synctest.Wait()
			if n := entries(r.t, kv); n != 1 {
				r.t.Fatalf("%d are kept", n)
			}
		})
	})
	t.Run("WIN-027 for as long as he would have been without", func(t *testing.T) {
		kept(t, func(r *rig, kv store.KV) {
			p := r.after(kv, Limits{Wait: 3 * time.Hour})
			defer p.Close()
			time.Sleep(time.Hour + time.Minute)
			if got := sees(r.t, p); got != "0 full: carol waiting/timeout" {
				r.t.Fatalf("told %q", got)
			}
			time.Sleep(time.Hour)
			if got := sees(r.t, p); got != "0 full:" || entries(r.t, kv) != 0 {
				r.t.Fatalf("told %q, %d are kept", got, entries(r.t, kv))
			}
		})
	})
	t.Run("who waits no more is forgotten", func(t *testing.T) {
		kept(t, func(r *rig, kv store.KV) {
			r.notes.set("bob", refuse)
			r.reconsider()
			r.watch("carol", "notes")
			synctest.Wait()
			if n := entries(r.t, kv); n != 0 {
				r.t.Fatalf("%d are kept", n)
			}
		})
	})
	t.Run("what is written last is written at the end", func(t *testing.T) {
		kept(t, func(r *rig, kv store.KV) {
			r.pkg.mu.Lock()
			r.pkg.keep.mu.Lock()
			r.pkg.keep.todo[store.Key("watchers", "notes", "x", "y")] = &asked{Resource: "x", Tag: "y", Asked: time.Now()}
			r.pkg.keep.mu.Unlock()
			r.pkg.mu.Unlock()
			r.pkg.Close()
			if n := entries(r.t, kv); n != 3 {
				r.t.Fatalf("%d are kept", n)
			}
		})
	})
	t.Run("what cannot be read is left out", func(t *testing.T) {
		kept(t, func(r *rig, kv store.KV) {
			if _, err := kv.Put(r.t.Context(), store.Key("watchers", "notes", "x", "y"), []byte("no"), 0, 0); err != nil {
				r.t.Fatal(err)
			}
			p := r.after(kv, Limits{})
			defer p.Close()
			if got := sees(r.t, p); got != "0 full: bob waiting/timeout carol waiting/timeout" {
				r.t.Fatalf("told %q", got)
			}
		})
	})
	t.Run("a store that goes with the process is not used", func(t *testing.T) {
		run(t, func(r *rig) {
			kv := memory.New()
			defer kv.Close()
			if err := r.pkg.Restore(t.Context(), kv); err != nil || r.pkg.keep != nil {
				t.Fatalf("%v", err)
			}
		})
	})
	t.Run("a store that does not answer is an error", func(t *testing.T) {
		run(t, func(r *rig) {
			kv := memory.New()
			kv.Close()
			if err := r.pkg.Restore(t.Context(), lasting{kv}); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("%v", err)
			}
		})
	})
}
