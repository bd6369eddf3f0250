package event

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// ears collect what a local watcher is told.
type ears struct {
	mu   sync.Mutex
	told []string
}

func (e *ears) tell(n Notice) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = append(e.told, strings.TrimSpace(fmt.Sprintf("%s %s %s", n.State, n.Reason, n.Body.Bytes)))
}

func (e *ears) hear() string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	all := strings.Join(e.told, "|")
	e.told = nil
	return all
}

func (r *rig) local(pkg string, tell func(Notice)) (*Local, error) {
	return r.Notifier.Local(r.t.Context(), LocalRequest{Package: pkg, URI: alice, Watcher: bob, Duration: time.Minute}, tell)
}

func TestLocal(t *testing.T) {
	expect := func(t *testing.T, e *ears, want string) {
		t.Helper()
		if got := e.hear(); got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	t.Run("the first notice comes at once, changes follow, and renderings are shared", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.set("alice", "one")
			first, second := &ears{}, &ears{}
			l, err := r.local("notes", first.tell)
			if err != nil || len(first.told) != 1 {
				t.Fatalf("%v, told %q", err, first.told)
			}
			r.local("notes", second.tell)
			r.active()
			expect(t, first, "active  note: one")
			rendered := r.notes.renders
			r.notes.set("alice", "two")
			expect(t, first, "active  note: two")
			r.wire.take().answer(200)
			if r.notes.renders > rendered+2 {
				t.Errorf("%d renderings for two local watchers and another", r.notes.renders-rendered)
			}
			l.Close()
			r.notes.set("alice", "three")
			expect(t, first, "")
			expect(t, second, "active  note: one|active  note: two|active  note: three")
			if got := r.closings(); got != "timeout" {
				t.Errorf("views closed: %q", got)
			}
		})
	})
	t.Run("it is judged, decided and observed as others", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.decision.State = Pending
			r.notes.set("alice", "one")
			e := &ears{}
			if _, err := r.local("notes", e.tell); err != nil {
				t.Fatal(err)
			}
			expect(t, e, "pending")
			infos, _ := r.Page(alice, "", 10)
			if len(infos) != 1 || infos[0].Watcher != bob || infos[0].ID != r.notes.requests[0].ID {
				t.Fatalf("%+v", infos)
			}
			r.Decide(infos[0].ID, Decision{State: Active})
			expect(t, e, "active  note: one")
			r.Decide(infos[0].ID, Decision{State: Terminated})
			expect(t, e, "terminated rejected")
			if got := r.causes(); got != "subscribe approved rejected" || r.Count() != 0 {
				t.Errorf("%s, %d left", got, r.Count())
			}
		})
	})
	t.Run("what refuses a SUBSCRIBE refuses it", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.decision.State = Terminated
			for want, q := range map[int]LocalRequest{
				403: {Package: "notes", URI: alice}, 489: {Package: "none", URI: alice}, 404: {Package: "notes", URI: "sip:alice@elsewhere.invalid"},
				406: {Package: "notes", URI: alice, Accept: header.Accept{{Type: "a/b"}}}, 400: {Package: "notes", URI: "alice"}, 488: {Package: "listing", URI: alice},
			} {
				if _, err := r.Notifier.Local(t.Context(), q, nil); Status(err) != want {
					t.Errorf("%d: %v", want, err)
				}
			}
		})
	})
	t.Run("it ends in time, and later when it is extended", func(t *testing.T) {
		run(t, func(r *rig) {
			e := &ears{}
			l, _ := r.local("notes", e.tell)
			e.hear()
			time.Sleep(30 * time.Second)
			l.Extend(time.Minute)
			time.Sleep(59 * time.Second)
			expect(t, e, "")
			time.Sleep(time.Second)
			expect(t, e, "terminated timeout")
			l.Extend(time.Minute)
			l.Close()
			expect(t, e, "")
		})
	})
	t.Run("it is not paced", func(t *testing.T) {
		runWith(t, func(c *NotifierConfig, _ *notes) { every := time.Hour; c.MinInterval = &every }, func(r *rig) {
			e := &ears{}
			if _, err := r.local("notes", e.tell); err != nil {
				t.Fatal(err)
			}
			e.hear()
			for _, text := range []string{"x", "y", "z"} {
				r.notes.set("alice", text)
				expect(t, e, "active  note: "+text)
			}
		})
	})
}

// shelves is a Lists with one list in the package notes.
type shelves struct {
	n        *Notifier
	messages []*stack.Request
}

func (s *shelves) Serve(n *Notifier, _ Resources) { s.n = n }
func (s *shelves) Package(p Package) Package {
	if p.Name() == "notes" {
		return shelf{p, s}
	}
	return p
}
func (s *shelves) List(_ context.Context, _ *stack.Request, uri header.URI) (string, bool) {
	return "sip:all@example.com", uri.User == "all"
}

// shelf shows the notes of alice as a list.
type shelf struct {
	Package
	of *shelves
}

func (s shelf) Open(ctx context.Context, r Request) (View, Decision, error) {
	s.of.messages = append(s.of.messages, r.Message)
	r.Resource = alice
	return s.Package.Open(ctx, r)
}

func TestLists(t *testing.T) {
	lists := &shelves{}
	runWith(t, func(c *NotifierConfig, _ *notes) { c.Lists = lists }, func(r *rig) {
		if lists.n != r.Notifier {
			t.Fatal("the lists do not know whose they are")
		}
		single := r.active()
		p, res := r.watch("all", "Event: notes", "Subject: lists")
		want(t, res, 200, "Require", "eventlist")
		n := r.wire.take()
		if n.field("Require") != "eventlist" || !strings.HasPrefix(string(n.Body()), "note: ") {
			t.Fatal(n.Request)
		}
		n.answer(200)
		if v, _, _ := header.Single(lists.messages[0].Request, "Subject"); v != "lists" {
			t.Error("the package did not see the SUBSCRIBE")
		}
		want(t, r.subscribe(p, "Event: notes"), 200, "Require", "eventlist")
		n = r.wire.take()
		if n.field("Require") != "eventlist" {
			t.Fatal(n.Request)
		}
		n.answer(200)
		res = r.subscribe(single, "Event: notes")
		if want(t, res, 200); fieldOf(res, "Require") != "" {
			t.Error("a single resource requires lists")
		}
		n = r.wire.take()
		if n.field("Require") != "" {
			t.Error("a single resource requires lists")
		}
		n.answer(200)
		r.notes.mu.Lock()
		r.notes.text[alice], r.notes.version[alice] = "new", 7
		r.notes.mu.Unlock()
		r.Touch(p.toTag)
		if n = r.wire.take(); n.field("Require") == "" || string(n.Body()) != "note: new" {
			t.Fatalf("%s", n.Request)
		}
		n.answer(200)
		r.wire.quiet()
		r.Touch("none")
	})
}
