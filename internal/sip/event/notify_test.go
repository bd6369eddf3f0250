package event

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestNotify(t *testing.T) {
	tests{
		{"EVT-084 a NOTIFY has what identifies its subscription", func(t *testing.T, r *rig) {
			p := newPeer(t, "SUBSCRIBE", "alice")
			res := respond(r.Subscribe, p.request("", "Event: notes;id=5", contactLine, "Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>"))
			n := r.wire.take()
			for name, want := range map[string]string{
				"Event": "notes;id=5", "Subscription-State": "active;expires=3600", "Contact": "<sip:alice@192.0.2.9:5060;gr>",
				"Max-Forwards": "70", "Call-ID": p.callID, "From": "<sip:alice@example.com>;tag=" + res.ToTag,
				"To": "<sip:watcher@example.com>;tag=" + p.tag, "CSeq": "1 NOTIFY", "Content-Type": "text/plain",
			} {
				if got := n.field(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if got := strings.Join(header.List(n.Request, "Route"), " "); got != "<sip:p1.example.com;lr> <sip:p2.example.com;lr>" {
				t.Errorf("Route is %q", got)
			}
			if got := n.Recipient.String(); got != "sip:watcher@192.0.2.1:5060" {
				t.Errorf("the Request-URI is %q", got)
			}
			if n.out.Target.Addr != "p1.example.com" {
				t.Errorf("sent to %q", n.out.Target.Addr)
			}
			n.answer(200)
			r.notes.set("alice", "x")
			if got := r.wire.take().field("CSeq"); got != "2 NOTIFY" {
				t.Errorf("CSeq of the second is %q", got)
			}
		}},
		{"EVT-085 expires falls with time", func(t *testing.T, r *rig) {
			r.active("Expires: 100")
			for _, left := range []int{90, 80, 70} {
				time.Sleep(10 * time.Second)
				r.notes.set("alice", fmt.Sprint(left))
				r.wire.take().says(fmt.Sprintf("active;expires=%d", left), fmt.Sprintf("note: %d", left)).answer(200)
			}
			time.Sleep(69500 * time.Millisecond)
			r.notes.set("alice", "x")
			r.wire.take().says("active;expires=1", "note: x") // half a second is left, and it is not over
		}},
		{"EVT-085 a pending one has expires too", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			p := r.active("Expires: 100")
			time.Sleep(30 * time.Second)
			want(t, r.subscribe(p, "Event: notes", "Expires: 80"), 200)
			r.wire.take().says("pending;expires=80", "")
		}},
		{"EVT-086 a terminated one has a reason and no expires", func(t *testing.T, r *rig) {
			p := r.active()
			r.Decide(p.toTag, Decision{State: Terminated, Reason: "probation", RetryAfter: 90 * time.Second})
			n := r.wire.take().says("terminated;reason=probation;retry-after=90", "")
			if s := n.state(); s.Expires != -1 || s.RetryAfter != 90 {
				t.Fatalf("%+v", s)
			}
		}},
		{"EVT-005 all that is sent keeps the grammar", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.set("alice", "x")
			n := r.wire.take()
			if s := n.state(); s.State != "active" || s.Expires != 3600 {
				t.Fatalf("%+v", s)
			}
			n.answer(200)
			r.Decide(p.toTag, Decision{State: Terminated, Reason: "giveup", RetryAfter: time.Millisecond})
			if s := r.wire.take().state(); s.State != "terminated" || s.Reason != "giveup" || s.RetryAfter != 1 {
				t.Fatalf("%+v", s)
			}
		}},
		{"EVT-087 the body is of the type that Accept prefers", func(t *testing.T, r *rig) {
			for accept, want := range map[string]string{
				"": "text/plain", "Accept: text/html": "text/html", "Accept: text/plain;q=0.5, text/html": "text/html",
				"Accept: */*": "text/plain", "Accept: text/*, text/plain;q=0.1": "text/html", "Accept: text/x-none, */*;q=0.1": "text/plain",
			} {
				extra := []string{}
				if accept != "" {
					extra = append(extra, accept)
				}
				r.watcher(extra...)
				if got := r.wire.take().field("Content-Type"); got != want {
					t.Errorf("%s: Content-Type is %q, want %q", accept, got, want)
				}
			}
		}},
		{"EVT-088 a change is notified at once", func(t *testing.T, r *rig) {
			r.active()
			began := time.Now()
			r.notes.set("alice", "here")
			r.wire.take().says("active;expires=3600", "note: here")
			if d := time.Since(began); d != 0 {
				t.Fatalf("after %v", d)
			}
		}},
		{"EVT-088 a failed NOTIFY is not repeated", func(t *testing.T, r *rig) {
			r.active()
			r.notes.set("alice", "here")
			r.wire.take().answer(500)
			time.Sleep(time.Minute)
			r.wire.quiet()
		}},
		{"EVT-088 a change of another resource or package is none", func(t *testing.T, r *rig) {
			r.active()
			r.notes.set("bob", "here")
			r.Changed("notes.winfo", bob)
			r.wire.quiet()
		}},
		{"what did not change in a view is not notified", func(t *testing.T, r *rig) {
			r.active()
			r.Changed("notes", alice)
			r.wire.quiet()
			r.notes.set("alice", "here")
			r.wire.take()
		}},
		{"watchers with equal views share one rendering", func(t *testing.T, r *rig) {
			for range 5 {
				r.active()
			}
			r.active("Accept: text/html")
			before := r.notes.renders
			r.notes.set("alice", "here")
			for range 6 {
				r.wire.take().answer(200)
			}
			if n := r.notes.renders - before; n != 2 {
				t.Fatalf("rendered %d times, want once for each type", n)
			}
		}},
		{"no NOTIFY precedes the 200", func(t *testing.T, r *rig) {
			req := newPeer(t, "SUBSCRIBE", "alice").request("", "Event: notes", contactLine)
			res := r.Subscribe(context.Background(), req)
			r.notes.set("alice", "here")
			r.wire.quiet()
			res.Sent()
			r.wire.take().says("active;expires=3600", "note: here").answer(200)
			r.wire.quiet()
		}},
		{"a fetch is not answered before its 200", func(t *testing.T, r *rig) {
			req := newPeer(t, "SUBSCRIBE", "alice").request("", "Event: notes", "Expires: 0", contactLine)
			res := r.Subscribe(context.Background(), req)
			r.notes.set("alice", "here")
			r.wire.quiet()
			res.Sent()
			r.wire.take().says("terminated;reason=timeout", "note: here").answer(200)
			r.wire.quiet()
		}},
	}.run(t)
}

func TestNotifyAnswers(t *testing.T) {
	ends := func(status int) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.set("alice", "x")
			r.wire.take().answer(status)
			r.notes.set("alice", "y")
			r.wire.quiet()
			if got := r.causes(); got != "subscribe timeout" || r.Count() != 0 || r.closings() != "timeout" {
				t.Fatalf("told %q, %d left, closed %q", got, r.Count(), r.closings())
			}
			want(t, r.subscribe(p, "Event: notes"), 481)
		}
	}
	stays := func(status int) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) {
			r.active()
			r.notes.set("alice", "x")
			r.wire.take().answer(status)
			r.wire.quiet()
			r.notes.set("alice", "y")
			r.wire.take().says("active;expires=3600", "note: y")
		}
	}
	list := tests{
		{"EVT-090 a NOTIFY without an answer removes the subscription", func(t *testing.T, r *rig) {
			r.active()
			r.notes.set("alice", "x")
			r.wire.take().fail(stack.ErrTimeout)
			if got := r.causes(); got != "subscribe timeout" || r.Count() != 0 {
				t.Fatalf("told %q, %d left", got, r.Count())
			}
			r.notes.set("alice", "y")
			r.wire.quiet()
		}},
		{"EVT-092 no way to the watcher counts as 503, but not for ever", func(t *testing.T, r *rig) {
			p := r.active()
			broken := fmt.Errorf("%w: refused", stack.ErrTransport)
			r.notes.set("alice", "1")
			r.wire.take().fail(broken)
			r.notes.set("alice", "2")
			r.wire.take().answer(200)
			r.notes.set("alice", "3")
			r.wire.take().fail(broken)
			want(t, r.subscribe(p, "Event: notes"), 200) // he is there
			r.wire.take().fail(broken)
			if r.Count() != 1 {
				t.Fatal("the subscription went")
			}
			r.notes.set("alice", "4")
			r.wire.take().fail(broken)
			if r.Count() != 0 {
				t.Fatal("the subscription stays")
			}
		}},
		{"a stack that closes tells nothing of the watcher", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.set("alice", "1")
			n := r.wire.take()
			r.Decide(p.toTag, Decision{State: Terminated, Reason: "rejected"})
			n.fail(stack.ErrClosed)
			r.wire.take().says("terminated;reason=rejected", "").fail(stack.ErrClosed)
			if r.Count() != 0 {
				t.Fatal("the subscription stays")
			}
		}},
		{"EVT-073 an unsubscription is owed its NOTIFY although an earlier one is refused meanwhile", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.set("alice", "x")
			n := r.wire.take()
			want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 200)
			n.answer(481)
			r.wire.take().says("terminated;reason=timeout", "").answer(481)
			if got := r.causes(); got != "subscribe timeout" || r.closings() != "timeout" {
				t.Fatalf("told %q, closed %q", got, r.closings())
			}
		}},
		{"EVT-073 a refresh is owed its NOTIFY although an earlier one is refused meanwhile", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.set("alice", "x")
			n := r.wire.take()
			res := r.Subscribe(context.Background(), p.request("", "Event: notes", contactLine))
			want(t, res, 200)
			n.answer(481)
			res.Sent()
			n = r.wire.take().says("active;expires=3600", "note: x")
			want(t, r.subscribe(p, "Event: notes"), 200)
			n.fail(stack.ErrTimeout)
			n = r.wire.take().says("active;expires=3600", "note: x")
			r.notes.set("alice", "y")
			n.answer(481) // which ends it: nothing has been accepted since
			r.wire.quiet()
			empty(t, r.Notifier)
		}},
		{"an answer after the end is nothing", func(t *testing.T, r *rig) {
			r.active()
			r.notes.set("alice", "x")
			n := r.wire.take()
			r.Close()
			n.answer(200)
			if got := r.closings(); got != "" || len(r.notes.closed) != 1 {
				t.Fatalf("closed %q", r.notes.closed)
			}
		}},
	}
	for _, status := range []int{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604} {
		list = append(list, tests{{fmt.Sprintf("EVT-091 %d removes the subscription", status), ends(status)}}...)
	}
	list = append(list, tests{{"EVT-092 408 removes the subscription", ends(408)}}...)
	for _, status := range []int{300, 400, 401, 403, 407, 486, 500, 503, 600} {
		list = append(list, tests{{fmt.Sprintf("EVT-092 %d leaves the subscription", status), stays(status)}}...)
	}
	list.run(t)
}

func TestPacing(t *testing.T) {
	paced := func(t *testing.T, f func(*rig)) {
		runWith(t, func(c *NotifierConfig, n *notes) { n.defaults.MinInterval = 5 * time.Second }, f)
	}
	t.Run("EVT-088 changes within the interval come as one at its end", func(t *testing.T) {
		paced(t, func(r *rig) {
			r.active()
			began := time.Now()
			for i := range 4 {
				time.Sleep(time.Second)
				r.notes.set("alice", fmt.Sprint(i))
				r.wire.quiet()
			}
			time.Sleep(time.Second)
			r.wire.take().says("active;expires=3595", "note: 3").answer(200)
			if d := time.Since(began); d != 5*time.Second {
				t.Fatalf("after %v", d)
			}
			r.wire.quiet()
			time.Sleep(time.Minute)
			r.wire.quiet()
			r.notes.set("alice", "later")
			r.wire.take() // the interval is long over
		})
	})
	t.Run("EVT-088 what answers a SUBSCRIBE is not held back", func(t *testing.T) {
		paced(t, func(r *rig) {
			p := r.active()
			r.notes.set("alice", "x")
			r.wire.quiet()
			want(t, r.subscribe(p, "Event: notes"), 200)
			r.wire.take().says("active;expires=3600", "note: x").answer(200)
			time.Sleep(time.Minute) // what was held back has been told
			r.wire.quiet()
		})
	})
	t.Run("EVT-088 a new subscription state and the end are not held back", func(t *testing.T) {
		paced(t, func(r *rig) {
			r.notes.decision.State = Pending
			p := r.active()
			r.Decide(p.toTag, Decision{State: Active})
			r.wire.take().says("active;expires=3600", "note: ").answer(200)
			r.notes.set("alice", "x")
			r.Decide(p.toTag, Decision{State: Terminated})
			r.wire.take().says("terminated;reason=rejected", "").answer(200)
			time.Sleep(time.Minute)
			r.wire.quiet()
		})
	})
	t.Run("EVT-093 the end does not wait for the interval", func(t *testing.T) {
		paced(t, func(r *rig) {
			r.active("Expires: 60")
			time.Sleep(58 * time.Second)
			r.notes.set("alice", "x")
			r.wire.take().answer(200)
			r.notes.set("alice", "y")
			time.Sleep(2 * time.Second)
			r.wire.take().says("terminated;reason=timeout", "")
		})
	})
	t.Run("the interval configured replaces that of the package", func(t *testing.T) {
		none := time.Duration(0)
		runWith(t, func(c *NotifierConfig, n *notes) { n.defaults.MinInterval, c.MinInterval = time.Hour, &none }, func(r *rig) {
			r.active()
			r.notes.set("alice", "x")
			r.wire.take()
		})
	})
	t.Run("EVT-089 changes while a NOTIFY is unanswered come as one after it", func(t *testing.T) {
		run(t, func(r *rig) {
			r.active()
			r.notes.set("alice", "1")
			n := r.wire.take()
			for i := range 5 {
				r.notes.set("alice", fmt.Sprint(i+2))
			}
			time.Sleep(20 * time.Second)
			r.wire.quiet()
			n.answer(200)
			r.wire.take().says("active;expires=3580", "note: 6").answer(200)
			r.wire.quiet()
		})
	})
	t.Run("EVT-093 expiry comes also after a change was held back", func(t *testing.T) {
		paced(t, func(r *rig) {
			r.active("Expires: 60")
			time.Sleep(time.Second)
			r.notes.set("alice", "x")
			time.Sleep(10 * time.Second)
			r.wire.take().answer(200)
			time.Sleep(49 * time.Second)
			r.wire.take().says("terminated;reason=timeout", "")
		})
	})
	t.Run("a change during a rendering that changes nothing is told afterwards", func(t *testing.T) {
		run(t, func(r *rig) {
			r.active()
			gate := make(chan struct{})
			r.notes.during = func() { <-gate }
			r.Changed("notes", alice)
			synctest.Wait()
			r.notes.set("alice", "x")
			close(gate)
			r.wire.take().says("active;expires=3600", "note: x")
		})
	})
	t.Run("a change during the rendering is told afterwards", func(t *testing.T) {
		run(t, func(r *rig) {
			r.active()
			gate := make(chan struct{})
			r.notes.during = func() { <-gate }
			r.notes.set("alice", "1")
			synctest.Wait()
			go r.notes.set("alice", "2") // does not wait for the rendering
			synctest.Wait()
			close(gate)
			r.wire.take().says("active;expires=3600", "note: 1").answer(200)
			r.wire.take().says("active;expires=3600", "note: 2").answer(200)
			r.wire.quiet()
		})
	})
}
