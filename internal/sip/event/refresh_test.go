package event

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/stack"
)

func TestRefresh(t *testing.T) {
	tests{
		{"EVT-057 the Contact of a refresh is where NOTIFY goes", func(t *testing.T, r *rig) {
			p := r.active()
			res := respond(r.Subscribe, p.request("", "Event: notes", "Contact: <sip:elsewhere@192.0.2.7:5070>"))
			want(t, res, 200)
			n := r.wire.take()
			if got := n.Recipient.String(); got != "sip:elsewhere@192.0.2.7:5070" {
				t.Fatalf("NOTIFY goes to %s", got)
			}
			n.answer(200)
			respond(r.Subscribe, p.request("", "Event: notes"))
			if got := r.wire.take().Recipient.String(); got != "sip:elsewhere@192.0.2.7:5070" {
				t.Fatalf("without Contact NOTIFY goes to %s", got)
			}
		}},
		{"EVT-057 the Contact of a 2xx to NOTIFY is where the next goes", func(t *testing.T, r *rig) {
			r.watcher()
			n := r.wire.take()
			n.answerWith(200, "Contact", "<sip:moved@192.0.2.8>")
			r.notes.set("alice", "x")
			if got := r.wire.take().Recipient.String(); got != "sip:moved@192.0.2.8" {
				t.Fatalf("NOTIFY goes to %s", got)
			}
		}},
		{"EVT-058 a lower CSeq is 500 and changes nothing", func(t *testing.T, r *rig) {
			p := r.active()
			p.seq += 5
			want(t, r.subscribe(p, "Event: notes", "Expires: 100"), 200)
			r.wire.take().answer(200)
			for _, seq := range []int{p.seq - 2, p.seq - 1} { // lower, and equal
				p.seq = seq
				want(t, respond(r.Subscribe, p.request("", "Event: notes", "Expires: 0", "Contact: <sip:evil@192.0.2.66>")), 500)
			}
			r.wire.quiet()
			r.notes.set("alice", "x")
			n := r.wire.take().says("active;expires=100", "note: x")
			if got := n.Recipient.String(); got != "sip:watcher@192.0.2.1:5060" {
				t.Fatalf("NOTIFY goes to %s", got)
			}
		}},
		{"EVT-069 a refresh that is too brief is 423 and the subscription goes on", func(t *testing.T, r *rig) {
			p := r.active()
			want(t, r.subscribe(p, "Event: notes", "Expires: 5"), 423, "Min-Expires", "60")
			r.wire.quiet()
			r.notes.set("alice", "x")
			r.wire.take().says("active;expires=3600", "note: x")
		}},
		{"EVT-070 a refresh is shortened, never lengthened", func(t *testing.T, r *rig) {
			p := r.active()
			want(t, r.subscribe(p, "Event: notes", "Expires: 100000"), 200, "Expires", "3600")
			r.wire.take().says("active;expires=3600", "note: ").answer(200)
			want(t, r.subscribe(p, "Event: notes", "Expires: 100"), 200, "Expires", "100")
			r.wire.take().says("active;expires=100", "note: ")
		}},
		{"EVT-073 every 2xx is followed by a NOTIFY", func(t *testing.T, r *rig) {
			p := r.active()
			for _, expires := range []string{"100", "3600", "0"} {
				want(t, r.subscribe(p, "Event: notes", "Expires: "+expires), 200, "Expires", expires)
				r.wire.take().answer(200)
				r.wire.quiet()
			}
			want(t, r.subscribe(p, "Event: notes"), 481)
			r.wire.quiet()
		}},
		{"EVT-077 a SUBSCRIBE for no subscription here is 481", func(t *testing.T, r *rig) {
			p := r.active()
			for _, change := range []func(*peer){
				func(p *peer) { p.toTag = "x" },
				func(p *peer) { p.toTag = "zz" + p.toTag[2:] },
				func(p *peer) { p.toTag = "00" + p.toTag[2:] + "x" },
				func(p *peer) { p.callID += "x" },
				func(p *peer) { p.tag += "x" },
			} {
				q := *p
				change(&q)
				want(t, r.subscribe(&q, "Event: notes", "Expires: 0"), 481)
			}
			r.wire.quiet()
		}},
		{"EVT-077 after expiry a refresh is 481", func(t *testing.T, r *rig) {
			p := r.active("Expires: 60")
			time.Sleep(60 * time.Second)
			r.wire.take().says("terminated;reason=timeout", "")
			want(t, r.subscribe(p, "Event: notes"), 481)
		}},
		{"EVT-078 a further subscription in a dialog is 403", func(t *testing.T, r *rig) {
			p := r.active()
			for _, event := range []string{"notes.winfo", "notes;id=2"} {
				res := r.subscribe(p, "Event: "+event)
				want(t, res, 403)
				if res.Reason != "Dialog Sharing Not Supported" {
					t.Fatalf("reason %q", res.Reason)
				}
			}
			r.wire.quiet()
		}},
		{"EVT-111 dialogs are not shared: the first usage goes on undisturbed", func(t *testing.T, r *rig) {
			p := r.active()
			want(t, r.subscribe(p, "Event: notes.winfo", "Expires: 0"), 403)
			want(t, r.subscribe(p, "Event: notes"), 200)
			r.wire.take().says("active;expires=3600", "note: ")
		}},
		{"EVT-110 a peer that reuses a dialog for its GRUU is refused", func(t *testing.T, r *rig) {
			p := r.active()
			want(t, r.subscribe(p, "Event: listing"), 403)
		}},
		{"EVT-081 a refresh extends the subscription", func(t *testing.T, r *rig) {
			p := r.active("Expires: 100")
			time.Sleep(90 * time.Second)
			want(t, r.subscribe(p, "Event: notes", "Expires: 100"), 200)
			r.wire.take().says("active;expires=100", "note: ").answer(200)
			time.Sleep(90 * time.Second)
			r.wire.quiet()
			time.Sleep(10 * time.Second)
			r.wire.take().says("terminated;reason=timeout", "")
		}},
		{"EVT-081 a shorter refresh brings the end forward", func(t *testing.T, r *rig) {
			p := r.active()
			want(t, r.subscribe(p, "Event: notes", "Expires: 60"), 200)
			r.wire.take().answer(200)
			time.Sleep(60 * time.Second)
			r.wire.take().says("terminated;reason=timeout", "")
		}},
		{"EVT-081 a refresh that is not allowed any more is 403 and ends the subscription", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.decision = Decision{State: Terminated}
			want(t, r.subscribe(p, "Event: notes"), 403)
			r.wire.take().says("terminated;reason=rejected", "").answer(200)
			want(t, r.subscribe(p, "Event: notes"), 481)
			if got := r.closings(); got != "rejected rejected" {
				t.Fatalf("the views were closed %q", got)
			}
		}},
		{"EVT-081 a refresh in doubt makes the subscription pending", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.decision.State = Pending
			want(t, r.subscribe(p, "Event: notes"), 200)
			r.wire.take().says("pending;expires=3600", "").answer(200)
			if got := r.causes(); got != "subscribe subscribe" {
				t.Fatalf("told %q", got)
			}
		}},
		{"a refresh by somebody else is 403", func(t *testing.T, r *rig) {
			p := r.active()
			p.from = "eve"
			want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 403)
			r.wire.quiet()
		}},
		{"a refusal for now leaves the subscription as it is", func(t *testing.T, r *rig) {
			p := r.active()
			r.notes.refuse = errors.New("the disk is full")
			want(t, r.subscribe(p, "Event: notes", "Expires: 100"), 500)
			r.wire.quiet()
			r.notes.set("alice", "x")
			r.wire.take().says("active;expires=3600", "note: x")
		}},
		{"PRS-021 a refresh with another Accept changes the body type", func(t *testing.T, r *rig) {
			p := r.active()
			want(t, r.subscribe(p, "Event: notes", "Accept: text/html"), 200)
			n := r.wire.take()
			if got := n.field("Content-Type"); got != "text/html" {
				t.Fatalf("Content-Type is %q", got)
			}
			n.answer(200)
			want(t, r.subscribe(p, "Event: notes", "Accept: text/x-none"), 406)
			if got := r.closings(); got != "" && got != " " {
				t.Fatalf("the views were closed %q", got)
			}
		}},
		{"the view of a refresh replaces the old one, which is closed once", func(t *testing.T, r *rig) {
			p := r.active()
			first := r.notes.views[0]
			want(t, r.subscribe(p, "Event: notes"), 200)
			r.wire.take().answer(200)
			if got := r.notes.requests[1].Current; got != View(first) {
				t.Fatalf("the package was told %v as current view", got)
			}
			if first.closed != 1 || r.notes.views[1].closed != 0 {
				t.Fatalf("closed %d and %d times", first.closed, r.notes.views[1].closed)
			}
			r.subscribe(p, "Event: notes", "Expires: 0")
			r.wire.take().answer(200)
			if first.closed != 1 || r.notes.views[1].closed != 1 {
				t.Fatalf("closed %d and %d times at the end", first.closed, r.notes.views[1].closed)
			}
		}},
		{"a view that replaces another begins from nothing, also when its first NOTIFY fails", func(t *testing.T, r *rig) {
			r.list.say("apple")
			p := newPeer(t, "SUBSCRIBE", "alice")
			p.toTag = respond(r.Subscribe, p.request("a", "Event: listing", contactLine)).ToTag
			r.wire.take().answer(200)
			r.list.say("bread")
			want(t, respond(r.Subscribe, p.request("b", "Event: listing", contactLine)), 200)
			r.wire.take().answer(500)
			r.list.say("butter")
			if got := string(r.wire.take().Body()); got != "full 2 bread,butter" {
				t.Fatalf("body %q", got)
			}
		}},
		{"the mark of a NOTIFY under way is not that of the view that replaced its own", func(t *testing.T, r *rig) {
			r.list.say("apple")
			p := newPeer(t, "SUBSCRIBE", "alice")
			p.toTag = respond(r.Subscribe, p.request("a", "Event: listing", contactLine)).ToTag
			first := r.wire.take()
			r.list.say("bread")
			want(t, respond(r.Subscribe, p.request("b", "Event: listing", contactLine)), 200)
			first.answer(200)
			r.wire.take().answer(500)
			r.list.say("butter")
			if got := string(r.wire.take().Body()); got != "full 2 bread,butter" {
				t.Fatalf("body %q", got)
			}
		}},
		{"what is rendered while the view is replaced is not sent", func(t *testing.T, r *rig) {
			p := r.active()
			gate, old := make(chan struct{}), View(r.notes.views[0])
			r.notes.during = func() { <-gate }
			r.notes.set("alice", "x")
			synctest.Wait()
			req := p.request("", "Event: notes", "Accept: text/html", contactLine)
			answered := make(chan *stack.Response, 1)
			go func() { answered <- respond(r.Subscribe, req) }()
			for sub := r.shardOfTag(p.toTag).subs[p.toTag]; ; runtime.Gosched() {
				sub.shard.lock()
				replaced := sub.view != old
				sub.shard.unlock()
				if replaced {
					break
				}
			}
			close(gate)
			n := r.wire.take()
			want(t, <-answered, 200)
			if got := n.field("Content-Type"); got != "text/html" {
				t.Fatalf("sent %s", got)
			}
			n.answer(200)
			r.wire.quiet()
		}},
		{"many refreshes keep the order of ends", func(t *testing.T, r *rig) {
			began, ends := time.Now(), map[string]int{} // Call-ID -> seconds
			for i := range 50 {
				p := r.active("Expires: 3600")
				ends[p.callID] = 60 + i*37%50 // each second once
				want(t, r.subscribe(p, "Event: notes", fmt.Sprint("Expires: ", 1000+i)), 200)
				r.wire.take().answer(200)
				want(t, r.subscribe(p, "Event: notes", fmt.Sprint("Expires: ", ends[p.callID])), 200)
				r.wire.take().answer(200)
			}
			for second := 60; second < 110; second++ {
				time.Sleep(time.Until(began.Add(time.Duration(second) * time.Second)))
				n := r.wire.take().says("terminated;reason=timeout", "")
				if got := ends[n.field("Call-ID")]; got != second {
					t.Fatalf("after %d seconds one of %d ended", second, got)
				}
				n.answer(200)
			}
			empty(t, r.Notifier)
		}},
	}.run(t)
}

// TestRefreshRace: SUBSCRIBEs of one dialog that are judged at the same time.
func TestRefreshRace(t *testing.T) {
	run(t, func(r *rig) {
		p := r.active()
		gate := make(chan struct{})
		r.notes.opening = func() { <-gate }
		results := make(chan *stack.Response, 2)
		for range 2 {
			req := p.request("", "Event: notes", contactLine)
			go func() { results <- respond(r.Subscribe, req) }()
			synctest.Wait()
		}
		close(gate)
		var statuses []int
		for range 2 {
			statuses = append(statuses, (<-results).Status)
		}
		switch got := fmt.Sprint(statuses); got {
		case "[200 200]", "[200 500]", "[500 200]": // what is judged again may be out of order by then
		default:
			t.Fatalf("answered %s", got)
		}
		r.wire.answerAll(200, 200)
		open := 0
		for _, v := range r.notes.views {
			if v.closed > 1 {
				t.Fatalf("a view was closed %d times", v.closed)
			}
			open += 1 - v.closed
		}
		if open != 1 {
			t.Fatalf("%d views are open, want that of the subscription", open)
		}
	})
}

// TestRefreshOfEnded: the subscription ends while its refresh is judged.
func TestRefreshOfEnded(t *testing.T) {
	run(t, func(r *rig) {
		p := r.active()
		r.notes.opening = func() {
			r.notes.opening = nil
			r.Decide(p.toTag, Decision{State: Terminated, Reason: "noresource"})
		}
		want(t, r.subscribe(p, "Event: notes"), 481)
		r.wire.take().says("terminated;reason=noresource", "").answer(200)
		r.wire.quiet()
		for _, v := range r.notes.views {
			if v.closed != 1 {
				t.Fatalf("a view was closed %d times", v.closed)
			}
		}
	})
}
