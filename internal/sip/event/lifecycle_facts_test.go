package event

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// TestLifecycleFacts is what watcher information needs to know of a change.
func TestLifecycleFacts(t *testing.T) {
	// told collects changes of notes as "cause was>is", with "fetch" behind.
	told := func(r *rig) func() string {
		var (
			mu   sync.Mutex
			list []string
		)
		r.Observe(func(l Lifecycle) {
			s := fmt.Sprintf("%s %s>%s", l.Cause, l.Was, l.State)
			if l.Fetch {
				s += " fetch"
			}
			mu.Lock()
			defer mu.Unlock()
			list = append(list, s)
		})
		return func() string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(list, ", ")
		}
	}
	tests{
		{"the state before is told", func(t *testing.T, r *rig) {
			heard := told(r)
			r.notes.decision.State = Pending
			p := r.active()
			r.Decide(p.toTag, Decision{State: Active})
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 200)
			r.wire.take().answer(200)
			if got := heard(); got != "subscribe pending>pending, approved pending>active, timeout active>terminated" {
				t.Fatalf("told %q", got)
			}
		}},
		{"a fetch is told as one", func(t *testing.T, r *rig) {
			heard := told(r)
			r.notes.decision.State = Pending
			r.watcher("Expires: 0")
			r.wire.take().answer(200)
			if got := heard(); got != "subscribe pending>pending fetch, timeout pending>terminated fetch" {
				t.Fatalf("told %q", got)
			}
		}},
		{"the subscriptions of a resource are as of the last change", func(t *testing.T, r *rig) {
			var last uint64
			r.Observe(func(l Lifecycle) { last = l.Number })
			begun := time.Now()
			p := r.active("Expires: 600")
			r.watch("bob", "Event: notes")
			r.wire.take().answer(200)
			r.watch("alice", "Event: notes.winfo")
			r.wire.take().answer(200)
			time.Sleep(time.Minute)
			synctest.Wait()
			infos, at := r.Subscriptions("notes", alice)
			if len(infos) != 1 || infos[0].ID != p.toTag || !infos[0].Since.Equal(begun) || !infos[0].Expires.Equal(begun.Add(10*time.Minute)) {
				t.Fatalf("%+v", infos)
			}
			if at != 3 || last != at {
				t.Fatalf("change %d, last told %d", at, last)
			}
			want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 200)
			if infos, at = r.Subscriptions("notes", alice); len(infos) != 0 || at != 4 {
				t.Fatalf("%+v at %d", infos, at)
			}
			if infos, _ := r.Subscriptions("nosuch", alice); infos != nil {
				t.Fatalf("%+v", infos)
			}
			r.wire.take().answer(200)
		}},
	}.run(t)
	t.Run("WIN-038 the display name is that of From", func(t *testing.T) {
		run(t, func(r *rig) {
			for from, name := range map[string]string{`<sip:a@example.com>`: "", `"Bob \"B\" B" <sip:a@example.com>`: `Bob "B" B`, "Bob <sip:a@example.com>": "Bob", "sip:a@example.com": "",
				`"` + strings.Repeat("é", 80) + `" <sip:a@example.com>`: strings.Repeat("é", 50)} {
				p := newPeer(t, "SUBSCRIBE", "bob")
				q := p.request("", "Event: notes", "Expires: 60", contactLine)
				q.RemoveHeader("From")
				q.AppendHeader(sip.NewHeader("From", from+";tag="+p.tag))
				respond(r.Subscribe, q)
				r.wire.take().answer(200)
				infos, _ := r.Subscriptions("notes", "sip:bob@example.com")
				if len(infos) != 1 || infos[0].Name != name {
					t.Errorf("%s: %+v", from, infos)
				}
				time.Sleep(time.Minute)
				r.wire.take().answer(200)
			}
		})
	})
}
