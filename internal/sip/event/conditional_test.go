package event

import (
	"strings"
	"testing"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// etag is the entity-tag of a NOTIFY, which must be there and no wildcard.
func (s *sent) etag() string {
	s.t.Helper()
	tag, err := header.ParseETag(s.field("SIP-ETag"))
	if err != nil || tag == "*" {
		s.t.Fatalf("SIP-ETag %q: %v", tag, err)
	}
	return tag
}

// bare fails unless the NOTIFY has no body and the tag.
func (s *sent) bare(state, tag string) *sent {
	s.t.Helper()
	s.says(state, "")
	if got := s.field("Content-Type"); got != "" || s.field("Content-Length") != "0" {
		s.t.Fatalf("Content-Type %q, Content-Length %q without body", got, s.field("Content-Length"))
	}
	if got := s.etag(); got != tag {
		s.t.Fatalf("SIP-ETag %q, want %q", got, tag)
	}
	return s
}

// told is a watcher, and the tag of what he was told.
func (r *rig) told(extra ...string) (*peer, string) {
	r.t.Helper()
	p, _ := r.watcher(extra...)
	n := r.wire.take()
	n.answer(200)
	return p, n.etag()
}

func unless(tag string) string { return "Suppress-If-Match: " + tag }

func TestEntityTags(t *testing.T) {
	tests{
		{"EVT-116 every NOTIFY has one", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			p, res := r.watcher()
			want(t, res, 200, "SIP-ETag", "")
			n := r.wire.take().says("pending;expires=3600", "")
			pending := n.etag()
			n.answer(200)
			r.Decide(p.toTag, Decision{State: Active})
			n = r.wire.take().says("active;expires=3600", "note: ")
			shown := n.etag()
			n.answer(200)
			if shown == pending {
				t.Fatal("state and no state have one tag")
			}
			r.Decide(p.toTag, Decision{State: Terminated})
			r.wire.take().bare("terminated;reason=rejected", shown)
		}},
		{"EVT-117 it changes with body, type and event, and not with the subscription state", func(t *testing.T, r *rig) {
			r.notes.set("alice", "1")
			p, one := r.told()
			tags := map[string]string{one: "the first"}
			other := func(name, tag string) {
				t.Helper()
				if tags[tag] != "" {
					t.Fatalf("%s has the tag of %s", name, tags[tag])
				}
				tags[tag] = name
			}
			_, html := r.told("Accept: text/html")
			other("another type", html)
			q, res := r.watch("alice", "Event: notes;id=7")
			q.toTag = res.ToTag
			n := r.wire.take()
			n.answer(200)
			other("another event", n.etag())
			want(t, r.subscribe(p, "Event: notes", "Expires: 100"), 200)
			n = r.wire.take().says("active;expires=100", "note: 1")
			if n.answer(200); n.etag() != one {
				t.Fatal("a new duration changes the tag")
			}
			r.notes.set("alice", "2")
			for range 3 {
				if n := r.wire.take(); n.field("Call-ID") == p.callID {
					other("another body", n.etag())
				}
			}
		}},
		{"EVT-117 other header fields of the body belong to it", func(t *testing.T, r *rig) {
			body := Body{Type: "text/plain", Bytes: []byte("x")}
			plain := entityTagOf(&body, "")
			body.Fields = append(body.Fields, stack.Field{Name: "Content-Disposition", Value: "render"})
			disposed := entityTagOf(&body, "")
			body.Fields[0].Name = "Content-Language"
			if plain == disposed || disposed == entityTagOf(&body, "") {
				t.Fatal("one tag for different entities")
			}
		}},
		{"EVT-118 different views never share a tag, equal ones may", func(t *testing.T, r *rig) {
			tag := func(prefix string) string {
				p := newPeer(t, "SUBSCRIBE", "alice")
				p.toTag = respond(r.Subscribe, p.request(prefix, "Event: listing", contactLine)).ToTag
				n := r.wire.take()
				n.answer(200)
				return n.etag()
			}
			a, again, b := tag("a"), tag("a"), tag("b")
			if a == b {
				t.Fatal("two selections have one tag")
			}
			if a != again {
				t.Fatal("equal selections have two tags")
			}
		}},
		{"EVT-120 that of a delta is that of the full state", func(t *testing.T, r *rig) {
			p := newPeer(t, "SUBSCRIBE", "alice")
			p.toTag = respond(r.Subscribe, p.request("", "Event: listing", "Content-Type: text/x-prefix", contactLine)).ToTag
			if p.toTag != "" {
				t.Fatal("the package takes no empty selection")
			}
			p.toTag = respond(r.Subscribe, p.request("b", "Event: listing", contactLine)).ToTag
			r.wire.take().answer(200)
			r.list.say("bread")
			n := r.wire.take()
			if n.answer(200); string(n.Body()) != "delta 1 bread" {
				t.Fatalf("body %q", n.Body())
			}
			want(t, respond(r.Subscribe, p.request("", "Event: listing", unless(n.etag()), contactLine)), 204)
			q := newPeer(t, "SUBSCRIBE", "alice")
			q.toTag = respond(r.Subscribe, q.request("b", "Event: listing", unless(n.etag()), contactLine)).ToTag
			r.wire.take().bare("active;expires=600", n.etag()).answer(200)
			r.list.say("butter")
			for range 2 {
				n := r.wire.take()
				if full := n.field("Call-ID") == q.callID; full != (string(n.Body()) == "full 0 bread,butter") {
					t.Fatalf("the dialog that never had a body is told %q", n.Body())
				}
			}
			r.wire.quiet()
		}},
		{"EVT-119 it outlives the subscription and the notifier", func(t *testing.T, r *rig) {
			r.notes.set("alice", "x")
			p, tag := r.told()
			r.subscribe(p, "Event: notes", "Expires: 0")
			r.wire.take().bare("terminated;reason=timeout", tag).answer(200)
			empty(t, r.Notifier)
			r.watcher(unless(tag))
			r.wire.take().bare("active;expires=3600", tag)
			r.Close()
			r.Notifier = NewNotifier(r.cfg, r.notes)
			defer r.Close()
			r.watcher(unless(tag))
			r.wire.take().bare("active;expires=3600", tag)
		}},
		{"EVT-119 one rendering serves all, with its tag", func(t *testing.T, r *rig) {
			_, tag := r.told()
			p, _ := r.told() // only now is there anybody to share with
			before := r.notes.renders
			r.told()
			want(t, r.subscribe(p, "Event: notes", unless(tag)), 204)
			want(t, r.subscribe(p, "Event: notes", "Expires: 0", unless(tag)), 204)
			if n := r.notes.renders - before; n != 0 {
				t.Fatalf("rendered %d times more", n)
			}
		}},
	}.run(t)
}

func TestConditions(t *testing.T) {
	tests{
		{"EVT-123 a condition is one tag, compared byte for byte", func(t *testing.T, r *rig) {
			p, tag := r.told()
			for _, bad := range []string{"", "a b", tag + ", " + tag, `"` + tag + `"`} {
				want(t, r.subscribe(p, "Event: notes", unless(bad)), 400)
			}
			want(t, r.subscribe(p, "Event: notes", unless(tag), unless(tag)), 400)
			for _, other := range []string{tag + "0", tag[1:], "W" + tag, tag + ".", strings.ToUpper(tag), "**"} {
				want(t, r.subscribe(p, "Event: notes", unless(other)), 200)
				r.wire.take().says("active;expires=3600", "note: ").answer(200)
			}
			want(t, r.subscribe(p, "Event: notes", unless(tag)), 204)
		}},
		{"EVT-124 the wildcard quenches all but the subscription state", func(t *testing.T, r *rig) {
			p, _ := r.told()
			want(t, r.subscribe(p, "Event: notes", unless("*")), 204, "Expires", "3600")
			r.notes.set("alice", "x")
			r.wire.quiet()
			if r.notes.renders > 1 {
				t.Fatal("what nobody sees was rendered")
			}
			r.Decide(p.toTag, Decision{State: Pending})
			r.wire.take().says("pending;expires=3600", "").answer(200)
			r.Decide(p.toTag, Decision{State: Active})
			n := r.wire.take().says("active;expires=3600", "")
			n.answer(200)
			want(t, r.subscribe(p, "Event: notes"), 200) // without condition again
			r.wire.take().says("active;expires=3600", "note: x").answer(200)
			r.notes.set("alice", "y")
			r.wire.take().says("active;expires=3600", "note: y")
		}},
		{"EVT-124 outside a dialog the wildcard gets a NOTIFY without body", func(t *testing.T, r *rig) {
			r.notes.set("alice", "x")
			_, tag := r.told()
			r.watcher(unless("*"))
			r.wire.take().bare("active;expires=3600", tag).answer(200)
			r.watcher(unless("*"), "Expires: 0")
			r.wire.take().bare("terminated;reason=timeout", tag)
		}},
		{"EVT-125 within a dialog a true one is answered 204, and prolongs", func(t *testing.T, r *rig) {
			p, tag := r.told()
			time.Sleep(time.Hour - time.Second)
			res := r.subscribe(p, "Event: notes", "Expires: 600", unless(tag))
			want(t, res, 204, "Expires", "600")
			if res.Reason != "No Notification" {
				t.Fatalf("reason %q", res.Reason)
			}
			time.Sleep(599 * time.Second)
			r.wire.quiet()
			r.notes.set("alice", "x")
			r.wire.take().says("active;expires=1", "note: x")
		}},
		{"EVT-126 outside a dialog it is never 204", func(t *testing.T, r *rig) {
			_, tag := r.told()
			_, res := r.watcher(unless(tag))
			want(t, res, 200)
			r.wire.take().bare("active;expires=3600", tag)
		}},
		{"EVT-127 a NOTIFY whose body is suppressed has the tag and neither type nor length", func(t *testing.T, r *rig) {
			_, tag := r.told()
			r.watcher(unless(tag))
			r.wire.take().bare("active;expires=3600", tag)
		}},
		{"EVT-128 a new subscription state comes without the body", func(t *testing.T, r *rig) {
			_, tag := r.told()
			r.notes.decision.State = Pending
			p, _ := r.watcher()
			r.wire.take().answer(200)
			r.notes.decision.State = Active
			want(t, r.subscribe(p, "Event: notes", unless(tag)), 204)
			r.wire.take().bare("active;expires=3600", tag).answer(200)
			r.notes.set("alice", "x")
			r.wire.take().says("active;expires=3600", "note: x").answer(200)
			r.wire.take().answer(200) // the other watcher
			r.notes.set("alice", "")
			r.wire.take().says("active;expires=3600", "note: ") // the condition is over
		}},
		{"EVT-129 a false one changes nothing", func(t *testing.T, r *rig) {
			p, old := r.told()
			r.notes.set("alice", "x")
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes", unless(old)), 200)
			n := r.wire.take().says("active;expires=3600", "note: x")
			if n.answer(200); n.etag() == old {
				t.Fatal("the tag is that of before")
			}
			r.watcher(unless(old))
			r.wire.take().says("active;expires=3600", "note: x")
		}},
		{"EVT-129 neither does one of a pending watcher", func(t *testing.T, r *rig) {
			_, tag := r.told()
			r.notes.decision.State = Pending
			p, _ := r.watcher(unless(tag))
			n := r.wire.take().says("pending;expires=3600", "")
			n.answer(200)
			want(t, r.subscribe(p, "Event: notes", unless(tag)), 200)
			r.wire.take().says("pending;expires=3600", "").answer(200)
			want(t, r.subscribe(p, "Event: notes", unless(n.etag())), 204)
			r.wire.quiet()
		}},
		{"EVT-130 an unsubscription with a true one is answered 204 and is the end", func(t *testing.T, r *rig) {
			p, tag := r.told()
			want(t, r.subscribe(p, "Event: notes", "Expires: 0", unless(tag)), 204, "Expires", "0")
			r.wire.quiet()
			empty(t, r.Notifier)
			if got := r.closings(); got != "timeout" {
				t.Fatalf("the view was closed with %q", got)
			}
			if got := r.causes(); got != "subscribe timeout" {
				t.Fatalf("told %q", got)
			}
			want(t, r.subscribe(p, "Event: notes"), 481)
		}},
		{"EVT-130 also while a NOTIFY is under way", func(t *testing.T, r *rig) {
			p, _ := r.told()
			r.notes.set("alice", "x")
			n := r.wire.take()
			want(t, r.subscribe(p, "Event: notes", "Expires: 0", unless(n.etag())), 204)
			n.answer(200)
			r.wire.quiet()
			empty(t, r.Notifier)
		}},
		{"EVT-130 with a false one it ends with the state", func(t *testing.T, r *rig) {
			p, old := r.told()
			r.notes.set("alice", "x")
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes", "Expires: 0", unless(old)), 200)
			r.wire.take().says("terminated;reason=timeout", "note: x").answer(200)
			empty(t, r.Notifier)
		}},
		{"EVT-130 and an earlier one does not matter then", func(t *testing.T, r *rig) {
			p, old := r.told()
			r.notes.set("alice", "x")
			n := r.wire.take()
			n.answer(200)
			want(t, r.subscribe(p, "Event: notes", unless(n.etag())), 204)
			want(t, r.subscribe(p, "Event: notes", "Expires: 0", unless(old)), 200)
			r.wire.take().says("terminated;reason=timeout", "note: x")
		}},
		{"EVT-131 a fetch with a true one tells the tag alone", func(t *testing.T, r *rig) {
			r.watcher("Expires: 0")
			n := r.wire.take().says("terminated;reason=timeout", "note: ")
			n.answer(200)
			_, res := r.watcher("Expires: 0", unless(n.etag()))
			want(t, res, 200)
			r.wire.take().bare("terminated;reason=timeout", n.etag())
		}},
		{"EVT-135 who sends no condition gets everything", func(t *testing.T, r *rig) {
			p, _ := r.told()
			want(t, r.subscribe(p, "Event: notes"), 200)
			r.wire.take().says("active;expires=3600", "note: ").answer(200)
			want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 200)
			r.wire.take().says("terminated;reason=timeout", "")
		}},
		{"a condition that nobody made is no state of the watcher", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			claim := "0123456789abcdef01234567"
			r.watcher(unless(claim), "Expires: 0")
			if got := r.wire.take().says("terminated;reason=timeout", "").etag(); got == claim {
				t.Fatal("the watcher's invention came back to him")
			}
		}},
		{"what a late answer acknowledges is not what the watcher has said since", func(t *testing.T, r *rig) {
			p, _ := r.told()
			r.notes.set("alice", "x")
			late := r.wire.take()
			r.notes.set("alice", "y")
			r.watcher("Expires: 0")
			n := r.wire.take().says("terminated;reason=timeout", "note: y")
			n.answer(200)
			want(t, r.subscribe(p, "Event: notes", unless(n.etag())), 204)
			late.answer(200)
			r.wire.quiet() // he has it
		}},
		{"a NOTIFY that failed told nothing", func(t *testing.T, r *rig) {
			p, first := r.told()
			r.notes.set("alice", "x")
			r.wire.take().answer(500)
			r.subscribe(p, "Event: notes", "Expires: 0")
			r.wire.take().bare("terminated;reason=timeout", first)
		}},
	}.run(t)
}

// TestConditionHeld: what comes back within the pacing to what the watcher has
// is not told.
func TestConditionHeld(t *testing.T) {
	t.Run("EVT-128 what changed and changed back is not told", func(t *testing.T) {
		runWith(t, func(_ *NotifierConfig, n *notes) { n.defaults.MinInterval = 5 * time.Second }, func(r *rig) {
			p, tag := r.told()
			want(t, r.subscribe(p, "Event: notes", unless(tag)), 204)
			r.notes.set("alice", "x")
			r.notes.set("alice", "")
			time.Sleep(time.Minute)
			r.wire.quiet()
			r.notes.set("alice", "y")
			r.wire.take().says("active;expires=3540", "note: y").answer(200)
			time.Sleep(time.Minute)
			r.notes.set("alice", "")
			r.wire.take().says("active;expires=3480", "note: ") // which he has not any more
		})
	})
}
