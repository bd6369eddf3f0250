package event

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// Review implements Reviewer; without a review of its own a watcher keeps what
// he has.
func (n *notes) Review(_ string, v View) (View, Decision) {
	if n.review == nil {
		return v, n.decision
	}
	return n.review(v)
}

// another is a view that shows the same resource under another key.
type another struct{ notesView }

func (v *another) Key() string { return "another" }

// curtain is a view that shows less.
type curtain struct{ notesView }

func (v *curtain) Key() string { return "curtain" }
func (v *curtain) Render(Mark) (Body, Mark, error) {
	return Body{Type: "text/plain", Bytes: []byte("less")}, 1, nil
}

func TestReview(t *testing.T) {
	judge := func(r *rig, next func(View) View, state State) {
		r.notes.review = func(v View) (View, Decision) { return next(v), Decision{State: state} }
		r.Review("notes", alice)
	}
	same := func(v View) View { return v }
	for _, c := range []struct {
		name string
		do   func(r *rig, p *peer)
	}{
		{"AUT-066 the same view and state tell nothing", func(r *rig, p *peer) {
			judge(r, same, Active)
			r.wire.quiet()
		}},
		{"AUT-042 another view that shows something else is told", func(r *rig, p *peer) {
			judge(r, func(View) View { return &curtain{notesView{n: r.notes, name: alice}} }, Active)
			r.wire.take().says("active;expires=3600", "less").answer(200)
			r.notes.set("alice", "new")
			r.wire.quiet()
			if got := r.closings(); got != "" {
				r.t.Fatalf("views are closed with %q, want one without reason", got)
			}
			if r.notes.views[0].closed != 1 {
				r.t.Fatal("the view before is not closed")
			}
		}},
		{"AUT-066 another view that shows the same tells nothing", func(r *rig, p *peer) {
			judge(r, func(View) View { return &another{notesView{n: r.notes, name: alice, mediaType: "text/plain"}} }, Active)
			r.wire.quiet()
			r.notes.set("alice", "new")
			r.wire.take().says("active;expires=3600", "note: new").answer(200)
		}},
		{"AUT-039 pending tells the state and nothing of the resource", func(r *rig, p *peer) {
			judge(r, same, Pending)
			r.wire.take().says("pending;expires=3600", "").answer(200)
			r.notes.set("alice", "secret")
			r.wire.quiet()
			judge(r, same, Active)
			r.wire.take().says("active;expires=3600", "note: secret").answer(200)
		}},
		{"AUT-038 terminated is rejected", func(r *rig, p *peer) {
			judge(r, same, Terminated)
			r.wire.take().says("terminated;reason=rejected", "").answer(200)
			want(r.t, r.subscribe(p, "Event: notes"), 481)
		}},
		{"a refresh that is judged meanwhile is judged again", func(r *rig, p *peer) {
			r.notes.opening = func() {
				r.notes.opening = nil
				judge(r, func(View) View { return &curtain{notesView{n: r.notes, name: alice}} }, Active)
			}
			want(r.t, r.subscribe(p, "Event: notes"), 200)
			r.wire.take().says("active;expires=3600", "note: ").answer(200)
			if got := len(r.notes.requests); got != 3 {
				r.t.Fatalf("%d judgements, want the first and two of the refresh", got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(r *rig) {
				p := r.active()
				c.do(r, p)
			})
		})
	}
	t.Run("a watcher who is judged before the change is reviewed when he is in", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.opening = func() { judge(r, same, Pending) }
			_, res := r.watcher()
			want(t, res, 200)
			r.wire.take().says("pending;expires=3600", "").answer(200)
			r.wire.quiet()
		})
	})
	t.Run("a watcher in the process is reviewed too", func(t *testing.T) {
		run(t, func(r *rig) {
			var told []string
			l, err := r.Local(context.Background(), LocalRequest{Package: "notes", URI: alice, Watcher: bob, Duration: 3600e9},
				func(n Notice) { told = append(told, fmt.Sprintf("%s %s", n.State, n.Body.Bytes)) })
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			judge(r, same, Pending)
			r.wire.quiet()
			if got := strings.Join(told, "; "); got != "active note: ; pending " {
				t.Fatalf("told %q", got)
			}
		})
	})
}
