package event

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/stack"
	"imp/internal/store"
)

// spine is the whole way of a PUBLISH: a compositor, a package that composes
// by joining what is published, a notifier.
type spine struct {
	*rig
	office *office
}

func runSpine(t *testing.T, f func(*testing.T, *spine)) {
	t.Helper()
	open(t, func(o *office) {
		w := &wire{t: o.t}
		r := &rig{t: o.t, wire: w, notes: o.notes, list: newListing(), meta: newTemplate()}
		r.Notifier = NewNotifier(NotifierConfig{Wire: w, Resources: everyone{},
			Contact: func(_ *stack.Request, user string) string { return "sip:" + user + "@192.0.2.9;gr" }}, o.notes)
		defer r.Close()
		o.notes.notifier = r.Notifier
		o.desk.after = func(c Change) {
			if c.Resource != store.Key(alice) {
				return
			}
			text := strings.Join(o.desk.bodies(alice), "+")
			o.notes.mu.Lock()
			if o.notes.text[alice] != text {
				o.notes.text[alice] = text
				o.notes.version[alice]++
			}
			o.notes.mu.Unlock()
			r.Changed("notes", alice)
		}
		f(o.t, &spine{r, o})
	})
}

func TestSpine(t *testing.T) {
	for name, f := range map[string]func(*testing.T, *spine){
		"PUB-050 a watcher sees what two publishers say": func(t *testing.T, s *spine) {
			s.active()
			a := s.office.published("alice", "a")
			s.wire.take().says("active;expires=3600", "note: a").answer(200)
			s.office.published("alice", "b")
			s.wire.take().says("active;expires=3600", "note: a+b").answer(200)
			s.office.publish("alice", "c", a)
			s.wire.take().says("active;expires=3600", "note: b+c").answer(200)
			s.office.published("bob", "x")
			s.wire.quiet()
		},
		"PUB-038 a refresh is not notified": func(t *testing.T, s *spine) {
			tag := s.office.published("alice", "a")
			s.active()
			want(t, s.office.publish("alice", "", tag), 200)
			s.wire.quiet()
		},
		"PUB-039 a removal is notified, and its tag is 412": func(t *testing.T, s *spine) {
			tag := s.office.published("alice", "a")
			s.active()
			want(t, s.office.publish("alice", "", tag, "Expires: 0"), 200)
			s.wire.take().says("active;expires=3600", "note: ").answer(200)
			want(t, s.office.publish("alice", "", tag), 412)
		},
		"PUB-048 the end of a publication is notified": func(t *testing.T, s *spine) {
			s.office.published("alice", "a", "Expires: 60")
			s.active()
			time.Sleep(60 * time.Second)
			s.wire.take().says("active;expires=3540", "note: ").answer(200)
		},
		"PUB-050 who asks after the 200 to a PUBLISH sees it": func(t *testing.T, s *spine) {
			for _, body := range []string{"a", "b", "c"} {
				tag := s.office.published("alice", body)
				_, res := s.watcher("Expires: 0")
				want(t, res, 200)
				s.wire.take().says("terminated;reason=timeout", "note: "+body).answer(200)
				want(t, s.office.publish("alice", "", tag, "Expires: 0"), 200)
			}
			synctest.Wait()
			empty(t, s.Notifier)
		},
	} {
		t.Run(name, func(t *testing.T) { runSpine(t, f) })
	}
}
