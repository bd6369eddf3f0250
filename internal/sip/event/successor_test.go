package event

import (
	"fmt"
	"testing"
)

// heir is a view that goes on where another one was, and tells from where.
type heir struct{ notesView }

func (*heir) Key() string { return "heir" }
func (v *heir) Render(since Mark) (Body, Mark, error) {
	_, mark, err := v.notesView.Render(since)
	return Body{Type: "text/plain", Bytes: fmt.Appendf(nil, "%d since %d", mark, since)}, mark, err
}
func (*heir) Continues(before View) bool {
	_, ok := before.(*notesView)
	return ok
}

func TestSuccessor(t *testing.T) {
	review := func(r *rig) {
		r.notes.review = func(View) (View, Decision) { return &heir{notesView{n: r.notes, name: alice}}, Decision{} }
		r.Review("notes", alice)
		r.notes.review = nil
	}
	t.Run("PAR-031 another view goes on from what the watcher has", func(t *testing.T) {
		run(t, func(r *rig) {
			r.active()
			review(r)
			r.wire.quiet() // the resource is what it was
			r.notes.set("alice", "new")
			r.wire.take().says("active;expires=3600", "2 since 1").answer(200)
			r.notes.set("alice", "newer")
			r.wire.take().says("active;expires=3600", "3 since 2").answer(200)
		})
	})
	t.Run("PAR-032 what is under way is not known to have come", func(t *testing.T) {
		run(t, func(r *rig) {
			r.active()
			r.notes.set("alice", "new")
			slow := r.wire.take()
			review(r)
			slow.answer(200)
			r.wire.take().says("active;expires=3600", "2 since 0").answer(200)
			r.notes.set("alice", "newer")
			r.wire.take().says("active;expires=3600", "3 since 2").answer(200)
		})
	})
}
