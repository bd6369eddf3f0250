package event

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/sip/stack"
)

// listing is the first test package: the body of SUBSCRIBE selects words, each
// watcher has a private view, and NOTIFYs carry only what changed since the
// version the watcher has, numbered.
type listing struct {
	mu       sync.Mutex
	notifier *Notifier
	words    []string // all words ever said; a Mark is 1 + how many a watcher has

	delivered bool // numbers count what was delivered
}

func newListing() *listing { return &listing{} }

func (*listing) Name() string       { return "listing" }
func (*listing) Types() []string    { return []string{"text/x-words"} }
func (*listing) Defaults() Defaults { return Defaults{Expires: 10 * time.Minute} }

func (l *listing) Open(_ context.Context, r Request) (View, Decision, error) {
	if cur, ok := r.Current.(*listingView); ok && r.Body == nil {
		return cur, Decision{}, nil
	}
	if r.Body == nil {
		return nil, Decision{}, &Refusal{Status: 488, Phrase: "A Selection Is Needed"}
	}
	return &listingView{l, string(r.Body)}, Decision{}, nil
}

func (l *listing) say(word string) {
	l.mu.Lock()
	l.words = append(l.words, word)
	l.mu.Unlock()
	l.notifier.Changed("listing", "sip:alice@example.com")
}

// found gives the words with the prefix; the listing is locked.
func (l *listing) found(prefix string, from, to int) (found []string) {
	for _, w := range l.words[from:to] {
		if strings.HasPrefix(w, prefix) {
			found = append(found, w)
		}
	}
	return found
}

type listingView struct {
	l      *listing
	prefix string
}

func (*listingView) Key() string  { return "" }
func (*listingView) Close(string) {}

// State implements DeltaView: all words of the selection.
func (v *listingView) State(m Mark) string {
	v.l.mu.Lock()
	defer v.l.mu.Unlock()
	return v.prefix + ":" + strings.Join(v.l.found(v.prefix, 0, int(m-1)), ",")
}

func (v *listingView) Render(since Mark) (Body, Mark, error) {
	v.l.mu.Lock()
	defer v.l.mu.Unlock()
	kind, from := "full", 0
	if since > 0 {
		kind, from = "delta", int(since-1)
	}
	found := v.l.found(v.prefix, from, len(v.l.words))
	mark := Mark(len(v.l.words) + 1)
	if since > 0 && len(found) == 0 {
		return Body{}, since, nil
	}
	text := fmt.Sprintf("%s  %s", kind, strings.Join(found, ","))
	return Body{Type: "text/x-words", Bytes: []byte(text), NumberAt: len(kind) + 1, NumberDelivered: v.l.delivered}, mark, nil
}

// template is the second test package: a template over notes that tells who
// watches a resource, fed by the notifier's own lifecycle events.
type template struct {
	mu       sync.Mutex
	watchers map[string]map[string]State // resource -> watcher
	version  Mark
	causes   []string
}

func newTemplate() *template { return &template{watchers: map[string]map[string]State{}} }

func (*template) Name() string       { return "notes.winfo" }
func (*template) Types() []string    { return []string{"text/x-watchers"} }
func (*template) Defaults() Defaults { return Defaults{} }

func (m *template) follow(n *Notifier) {
	n.Observe(func(l Lifecycle) {
		if l.Package != "notes" {
			return
		}
		m.mu.Lock()
		m.causes = append(m.causes, l.Cause)
		m.version++
		if m.watchers[l.Resource] == nil {
			m.watchers[l.Resource] = map[string]State{}
		}
		if l.State == Terminated {
			delete(m.watchers[l.Resource], l.Watcher)
		} else {
			m.watchers[l.Resource][l.Watcher] = l.State
		}
		m.mu.Unlock()
		n.Changed("notes.winfo", l.Resource)
	})
}

func (m *template) Open(_ context.Context, r Request) (View, Decision, error) {
	return &templateView{m, r.Resource}, Decision{}, nil
}

type templateView struct {
	m    *template
	name string
}

func (*templateView) Key() string  { return "all" }
func (*templateView) Close(string) {}

func (v *templateView) Render(Mark) (Body, Mark, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	return Body{Type: "text/x-watchers", Bytes: fmt.Append(nil, v.m.watchers[v.name])}, v.m.version + 1, nil
}

func TestPackages(t *testing.T) {
	t.Run("a private view selected by the body renders deltas", func(t *testing.T) {
		run(t, func(r *rig) {
			r.list.say("apple")
			r.list.say("bread")
			p := newPeer(t, "SUBSCRIBE", "alice")
			res := respond(r.Subscribe, p.request("a", "Event: listing", "Content-Type: text/x-prefix", contactLine))
			p.toTag = res.ToTag
			expect := func(want string) *sent {
				t.Helper()
				n := r.wire.take()
				if got := string(n.Body()); got != want {
					t.Fatalf("body %q, want %q", got, want)
				}
				return n
			}
			expect("full 0 apple").answer(200)
			r.list.say("butter")
			r.wire.quiet()
			r.list.say("avocado")
			expect("delta 1 avocado").answer(200)
			r.subscribe(p, "Event: listing")
			expect("full 2 apple,avocado").answer(200)
		})
	})
	t.Run("EVT-113 a delta that was not delivered is told again and numbers go on", func(t *testing.T) {
		run(t, func(r *rig) {
			p := newPeer(t, "SUBSCRIBE", "alice")
			respond(r.Subscribe, p.request("", "Event: listing", contactLine))
			r.wire.quiet()
			respond(r.Subscribe, newPeer(t, "SUBSCRIBE", "alice").request("a", "Event: listing", "Content-Type: text/x-prefix", contactLine))
			r.wire.take().answer(200)
			r.list.say("apple")
			r.wire.take().answer(500)
			r.list.say("avocado")
			if got := string(r.wire.take().Body()); got != "delta 2 apple,avocado" {
				t.Fatalf("body %q", got)
			}
		})
	})
	t.Run("PAR-027 numbers that count what was delivered", func(t *testing.T) {
		run(t, func(r *rig) {
			r.list.delivered = true
			respond(r.Subscribe, newPeer(t, "SUBSCRIBE", "alice").request("a", "Event: listing", "Content-Type: text/x-prefix", contactLine))
			r.wire.take().answer(200)
			for _, end := range []func(*sent){func(n *sent) { n.answer(500) }, func(n *sent) { n.fail(stack.ErrTransport) }, func(n *sent) { n.answer(200) }} {
				r.list.say("apple")
				n := r.wire.take()
				if !strings.HasPrefix(string(n.Body()), "delta 1 apple") {
					t.Fatalf("body %q", n.Body())
				}
				end(n)
			}
			r.list.say("avocado")
			if got := string(r.wire.take().Body()); got != "delta 2 avocado" {
				t.Fatalf("body %q", got)
			}
		})
	})
	t.Run("EVT-089 changes during a NOTIFY wait for its end and come as one", func(t *testing.T) {
		run(t, func(r *rig) {
			respond(r.Subscribe, newPeer(t, "SUBSCRIBE", "alice").request("a", "Event: listing", "Content-Type: text/x-prefix", contactLine))
			first := r.wire.take()
			r.list.say("apple")
			r.list.say("avocado")
			r.wire.quiet()
			first.answer(200)
			if got := string(r.wire.take().Body()); got != "delta 1 apple,avocado" {
				t.Fatalf("body %q", got)
			}
		})
	})
	t.Run("a template package follows the lifecycle of another", func(t *testing.T) {
		run(t, func(r *rig) {
			_, res := r.watch("alice", "Event: notes.winfo")
			if res.Status != 200 {
				t.Fatalf("status %d", res.Status)
			}
			r.wire.take().answer(200)
			respond(r.Subscribe, newPeer(t, "SUBSCRIBE", "alice").request("", "Event: notes", contactLine))
			var seen []string
			for range 2 {
				n := r.wire.take()
				seen = append(seen, n.field("Event")+" "+string(n.Body()))
				n.answer(200)
			}
			all := strings.Join(seen, "\n")
			if !strings.Contains(all, "notes.winfo map[sip:watcher@example.com:active]") {
				t.Fatalf("no news of the watcher:\n%s", all)
			}
		})
	})
}
