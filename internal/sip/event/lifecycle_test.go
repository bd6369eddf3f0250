package event

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEnd(t *testing.T) {
	tests{
		{"EVT-093 expiry is told by a last NOTIFY", func(t *testing.T, r *rig) {
			r.active("Expires: 60")
			time.Sleep(60*time.Second - 1)
			r.wire.quiet()
			time.Sleep(time.Nanosecond)
			r.wire.take().says("terminated;reason=timeout", "").answer(200)
			if got := r.causes(); got != "subscribe timeout" || r.Count() != 0 || r.closings() != "timeout" {
				t.Fatalf("told %q, %d left, closed %q", got, r.Count(), r.closings())
			}
		}},
		{"EVT-093 expiry while a NOTIFY is unanswered is told after it", func(t *testing.T, r *rig) {
			r.active("Expires: 60")
			time.Sleep(50 * time.Second)
			r.notes.set("alice", "x")
			n := r.wire.take()
			time.Sleep(20 * time.Second)
			r.wire.quiet()
			n.answer(200)
			r.wire.take().says("terminated;reason=timeout", "")
		}},
		{"EVT-093 expiry at the same moment ends all", func(t *testing.T, r *rig) {
			for i := range 300 {
				r.watch(fmt.Sprint("user", i), "Event: notes", "Expires: 60")
				r.wire.take().answer(200)
			}
			time.Sleep(time.Minute)
			for range 300 {
				r.wire.take().says("terminated;reason=timeout", "").answer(200)
			}
			empty(t, r.Notifier)
		}},
		{"EVT-094 an unsubscription is told by a last NOTIFY", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.set("alice", "x")
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 200, "Expires", "0")
			r.wire.take().says("terminated;reason=timeout", "").answer(200)
			empty(t, r.Notifier)
		}},
		{"EVT-094 NAM-014 a fetch gets the state and leaves nothing", func(t *testing.T, r *rig) {
			r.notes.set("alice", "x")
			_, res := r.watcher("Expires: 0")
			want(t, res, 200, "Expires", "0")
			r.wire.take().says("terminated;reason=timeout", "note: x").answer(200)
			if got := r.causes(); got != "subscribe timeout" {
				t.Fatalf("told %q", got)
			}
			empty(t, r.Notifier)
		}},
		{"EVT-094 a fetch that nobody answers leaves nothing", func(t *testing.T, r *rig) {
			r.watcher("Expires: 0")
			r.wire.take().fail(errors.New("no answer"))
			empty(t, r.Notifier)
		}},
		{"EVT-099 a fetch by an undecided watcher gets no state", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			r.notes.set("alice", "secret")
			r.watcher("Expires: 0")
			r.wire.take().says("terminated;reason=timeout", "").answer(200)
			empty(t, r.Notifier)
		}},
		{"EVT-095 a refusal after all is told by a last NOTIFY", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			p := r.active()
			if !r.Decide(p.toTag, Decision{State: Terminated, Reason: "rejected"}) {
				t.Fatal("the subscription is not known")
			}
			r.wire.take().says("terminated;reason=rejected", "").answer(200)
			if got := r.causes(); got != "subscribe rejected" {
				t.Fatalf("told %q", got)
			}
		}},
		{"EVT-096 a grant is told with the state there is", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			p := r.active("Expires: 100")
			r.notes.set("alice", "x")
			r.wire.quiet()
			time.Sleep(10 * time.Second)
			r.Decide(p.toTag, Decision{State: Active})
			r.wire.take().says("active;expires=90", "note: x").answer(200)
			if got := r.causes(); got != "subscribe approved" {
				t.Fatalf("told %q", got)
			}
		}},
		{"EVT-098 a resource that goes is told so", func(t *testing.T, r *rig) {
			p := r.active()
			r.Decide(p.toTag, Decision{State: Terminated, Reason: "noresource"})
			r.wire.take().says("terminated;reason=noresource", "").answer(200)
			q := r.active()
			r.Decide(q.toTag, Decision{State: Terminated, Reason: "invariant", RetryAfter: 31536000 * time.Second})
			r.wire.take().says("terminated;reason=invariant;retry-after=31536000", "")
		}},
		{"EVT-100 the dialog ends with its subscription", func(t *testing.T, r *rig) {
			p := r.active()
			want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 200)
			want(t, r.subscribe(p, "Event: notes"), 481) // the last NOTIFY is not even answered
			if len(r.notes.requests) != 1 || r.Decide(p.toTag, Decision{State: Active}) {
				t.Fatal("the package was asked, or could decide, about a subscription that ended")
			}
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes"), 481)
			want(t, r.subscribe(p, "Event: notes.winfo"), 481)
		}},
		{"a view that cannot be rendered gives up", func(t *testing.T, r *rig) {
			r.active()
			r.notes.broken = errors.New("the disk is full")
			r.notes.set("alice", "x")
			r.wire.take().says("terminated;reason=giveup", "").answer(200)
			if got := r.causes(); got != "subscribe giveup" {
				t.Fatalf("told %q", got)
			}
			r.watcher("Expires: 0") // a fetch ends as it does, without state
			r.wire.take().says("terminated;reason=timeout", "").answer(200)
			r.notes.broken = nil // and the error is not kept for others
			r.watcher()
			r.wire.take().says("active;expires=3600", "note: x")
			r.Close()
		}},
		{"a view that panics gives up", func(t *testing.T, r *rig) {
			r.active()
			r.notes.during = func() { panic("not so") }
			r.notes.set("alice", "x")
			r.wire.take().says("terminated;reason=giveup", "").answer(200)
			r.notes.during = nil
			r.active()
		}},
	}.run(t)
}

// TestStates is the state table of RFC 6665 section 4.2.2.
func TestStates(t *testing.T) {
	type step struct {
		decide State
		says   string // Subscription-State, "" when nothing is sent
		body   string
	}
	for _, tt := range []struct {
		name  string
		first State
		steps []step
	}{
		{"pending, active, terminated", Pending, []step{{Active, "active;expires=3600", "note: s"}, {Terminated, "terminated;reason=x", ""}}},
		{"pending, terminated", Pending, []step{{Terminated, "terminated;reason=x", ""}}},
		{"active, terminated", Active, []step{{Terminated, "terminated;reason=x", ""}}},
		{"active, pending, active", Active, []step{{Pending, "pending;expires=3600", ""}, {Active, "active;expires=3600", "note: s"}}},
		{"no change is not told", Pending, []step{{Pending, "", ""}, {Active, "active;expires=3600", "note: s"}, {Active, "", ""}}},
	} {
		t.Run("EVT-099 "+tt.name, func(t *testing.T) {
			run(t, func(r *rig) {
				r.notes.set("alice", "s")
				r.notes.decision.State = tt.first
				p := r.active()
				for _, s := range tt.steps {
					if !r.Decide(p.toTag, Decision{State: s.decide, Reason: "x"}) {
						t.Fatal("the subscription is not known")
					}
					if s.says == "" {
						r.wire.quiet()
						continue
					}
					r.wire.take().says(s.says, s.body).answer(200)
				}
				if ended := tt.steps[len(tt.steps)-1].decide == Terminated; ended == r.Decide(p.toTag, Decision{State: Active}) {
					t.Fatal("wrong about whether the subscription exists")
				}
				r.wire.quiet()
			})
		})
	}
	t.Run("EVT-099 a verdict while a NOTIFY is unanswered waits for its end", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.set("alice", "s")
			p, _ := r.watcher()
			n := r.wire.take()
			r.Decide(p.toTag, Decision{State: Pending})
			r.Decide(p.toTag, Decision{State: Active})
			r.wire.quiet()
			n.answer(200)
			r.wire.take().says("active;expires=3600", "note: s").answer(200)
			r.wire.quiet()
		})
	})
	t.Run("EVT-096 who becomes active again gets the whole state", func(t *testing.T) {
		run(t, func(r *rig) {
			r.list.say("apple")
			res := respond(r.Subscribe, newPeer(t, "SUBSCRIBE", "alice").request("a", "Event: listing", contactLine))
			r.wire.take().answer(200)
			r.Decide(res.ToTag, Decision{State: Pending})
			r.wire.take().says("pending;expires=600", "").answer(200)
			r.Decide(res.ToTag, Decision{State: Active})
			r.wire.take().says("active;expires=600", "full 1 apple")
		})
	})
	t.Run("EVT-099 a verdict while a NOTIFY is rendered takes the state back", func(t *testing.T) {
		run(t, func(r *rig) {
			p := r.active()
			gate := make(chan struct{})
			r.notes.during = func() { <-gate }
			r.notes.set("alice", "secret")
			synctest.Wait()
			r.Decide(p.toTag, Decision{State: Terminated, Reason: "rejected"})
			close(gate)
			r.wire.take().says("terminated;reason=rejected", "").answer(200)
			r.wire.quiet()
		})
	})
}

func TestDrain(t *testing.T) {
	t.Run("EVT-097 all are told deactivated", func(t *testing.T) {
		run(t, func(r *rig) {
			for range 3 {
				r.active()
			}
			r.watcher()
			late := r.wire.take()
			done := make(chan error, 2)
			for range 2 {
				go func() { done <- r.Drain(context.Background()) }()
			}
			for range 3 {
				r.wire.take().says("terminated;reason=deactivated", "").answer(200)
			}
			r.wire.quiet()
			_, res := r.watcher()
			want(t, res, 503)
			if len(done) != 0 {
				t.Fatal("Drain returned with a NOTIFY under way")
			}
			late.answer(200)
			r.wire.take().says("terminated;reason=deactivated", "").answer(200)
			if len(done) != 2 || <-done != nil || <-done != nil {
				t.Fatal("Drain did not return")
			}
			empty(t, r.Notifier)
		})
	})
	t.Run("EVT-097 one that is just being judged does not slip in", func(t *testing.T) {
		run(t, func(r *rig) {
			var err error
			r.notes.opening = func() { err = r.Drain(context.Background()) }
			_, res := r.watcher()
			want(t, res, 503)
			if err != nil || r.closings() != "giveup" {
				t.Fatalf("%v, closed %q", err, r.closings())
			}
			empty(t, r.Notifier)
		})
	})
	t.Run("the end of its context ends Drain", func(t *testing.T) {
		run(t, func(r *rig) {
			r.active()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := r.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		})
	})
	t.Run("Close closes the views and lets nobody in", func(t *testing.T) {
		run(t, func(r *rig) {
			for range 3 {
				r.active()
			}
			r.Close()
			_, res := r.watcher()
			want(t, res, 503)
			if len(r.notes.closed) != 4 {
				t.Fatalf("closed %q", r.notes.closed)
			}
			r.notes.set("alice", "x")
			time.Sleep(2 * time.Hour)
			r.wire.quiet()
			empty(t, r.Notifier)
		})
	})
}

// TestCallsFromPackages: a package may call the notifier wherever it is called
// itself.
func TestCallsFromPackages(t *testing.T) {
	run(t, func(r *rig) {
		p := r.active()
		call := func() {
			r.Changed("notes", bob)
			r.Changed("notes", alice)
			r.Decide("nobody", Decision{State: Active})
			r.Each(func(Info) bool { return r.Count() > 0 })
		}
		r.notes.opening = call
		r.Observe(func(Lifecycle) { call() })
		once := true
		r.notes.during = func() {
			if once {
				once = false
				call()
			}
		}
		r.notes.set("alice", "x")
		r.wire.take().answer(200)
		want(t, r.subscribe(p, "Event: notes"), 200)
		r.wire.take().answer(200)
		r.wire.quiet()
	})
}

func TestObserverBlocks(t *testing.T) {
	run(t, func(r *rig) {
		gate := make(chan struct{})
		var told []string
		r.Observe(func(l Lifecycle) {
			<-gate
			told = append(told, l.Cause)
		})
		for range 2*maxNews + 10 {
			r.news.put(Lifecycle{Cause: "subscribe"})
		}
		r.news.mu.Lock()
		waiting := len(r.news.pending)
		r.news.mu.Unlock()
		if waiting > maxNews {
			t.Fatalf("%d news wait", waiting)
		}
		close(gate)
		synctest.Wait()
		lost := slices.Index(told, Lost)
		if lost < 0 || slices.Index(told[lost+1:], Lost) >= 0 || told[len(told)-1] != "subscribe" {
			t.Fatalf("%d were told, %d is that some were lost", len(told), lost)
		}
	})
}

func TestEach(t *testing.T) {
	run(t, func(r *rig) {
		for i := range 5 {
			r.watch(fmt.Sprint("user", i), "Event: notes", "Expires: 100")
		}
		seen := map[string]Info{}
		r.Each(func(i Info) bool { seen[i.Resource] = i; return true })
		i := seen["sip:user3@example.com"]
		if len(seen) != 5 || i.Package != "notes" || i.Watcher != "sip:watcher@example.com" || i.State != Active || time.Until(i.Expires) != 100*time.Second {
			t.Fatalf("%d, %+v", len(seen), i)
		}
		calls := 0
		r.Each(func(Info) bool { calls++; return false })
		if calls != 1 {
			t.Fatalf("called %d times after the end", calls)
		}
	})
}

// empty fails when the notifier holds anything.
func empty(t *testing.T, n *Notifier) {
	t.Helper()
	synctest.Wait()
	subs, resources, due, underWay := 0, 0, 0, int(n.ready.underWay.Load())
	for i := range n.shards {
		sh := &n.shards[i]
		sh.lock()
		subs, resources, due = subs+len(sh.subs), resources+len(sh.resources), due+len(sh.due)
		sh.unlock()
	}
	if subs+resources+due+n.Count()+n.ready.count+underWay != 0 {
		t.Fatalf("left: %d subscriptions, %d resources, %d timers, count %d, %d ready, %d under way",
			subs, resources, due, n.Count(), n.ready.count, underWay)
	}
}

// TestLeak: subscriptions in great number leave nothing behind.
func TestLeak(t *testing.T) {
	run(t, func(r *rig) {
		const n = 10_000
		for i := range n {
			p, res := r.watch(fmt.Sprint("user", i%500), "Event: notes", "Expires: 100")
			want(t, res, 200)
			r.wire.take().answer(200)
			switch i % 4 {
			case 0:
				r.subscribe(p, "Event: notes", "Expires: 0")
			case 1:
				r.Decide(p.toTag, Decision{State: Terminated})
			case 2:
				r.notes.set(p.user, "x")
			}
			r.wire.answerAll(200, 481)
		}
		time.Sleep(100 * time.Second)
		r.wire.answerAll(200, 200)
		empty(t, r.Notifier)
		open := 0
		for _, v := range r.notes.views {
			open += 1 - v.closed
		}
		if open != 0 {
			t.Fatalf("%d views are open", open)
		}
	})
}
