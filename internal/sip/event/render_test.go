package event

import (
	"errors"
	"strconv"
	"testing"
)

// counted is a view that counts its renderings.
type counted struct {
	key     string
	renders int
	err     error
}

func (v *counted) Key() string  { return v.key }
func (v *counted) Close(string) {}
func (v *counted) Render(since Mark) (Body, Mark, error) {
	v.renders++
	return Body{Type: v.key}, since + 1, v.err
}

func TestRender(t *testing.T) {
	r := &resource{}
	a, b, private := &counted{key: "a"}, &counted{key: "b"}, &counted{}
	for _, step := range []struct {
		v          *counted
		since      Mark
		generation uint64
		renders    int // of that view so far
	}{
		{a, 0, 1, 1}, {a, 0, 1, 1}, {b, 0, 1, 1}, {b, 0, 1, 1}, {a, 0, 1, 1},
		{a, 5, 1, 2}, {a, 5, 1, 2}, {a, 0, 1, 2}, // another mark is another body
		{private, 0, 1, 1}, {private, 0, 1, 2}, // never shared
		{a, 0, 2, 3}, {a, 0, 2, 3}, {b, 0, 2, 2}, // the resource changed
		{a, 0, 1, 3}, {b, 0, 1, 2}, // a sender that is late takes what is newer
	} {
		got, err := r.render(nil, step.v, step.since, step.generation)
		if err != nil || got.body.Type != step.v.key || got.mark != step.since+1 || step.v.renders != step.renders {
			t.Fatalf("%+v: %+v, %v, rendered %d times", step, got, err, step.v.renders)
		}
	}
	a.err = errors.New("no")
	if _, err := r.render(nil, a, 7, 2); err == nil {
		t.Fatal("no error")
	}
	a.err = nil
	if got, err := r.render(nil, a, 7, 2); err != nil || got.mark != 8 || a.renders != 5 {
		t.Fatalf("after an error: %+v, %v, rendered %d times", got, err, a.renders)
	}
}

// large is a view of 100 KiB.
type large struct{ counted }

func (v *large) Render(since Mark) (Body, Mark, error) {
	v.renders++
	return Body{Bytes: make([]byte, 100<<10)}, since + 1, nil
}

func TestRenderingsAreBounded(t *testing.T) {
	r := &resource{}
	for i := range 100 {
		if _, err := r.render(nil, &large{counted{key: strconv.Itoa(i)}}, 0, 1); err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, one := range r.kept.more {
			size += one.cost()
		}
		if size != r.kept.size || size > maxRenderings {
			t.Fatalf("%d renderings of %d bytes, %d counted, after %d views", len(r.kept.more), size, r.kept.size, i+1)
		}
	}
	if len(r.kept.more) < 10 {
		t.Fatalf("%d renderings are kept", len(r.kept.more))
	}
}

func TestReadyQueue(t *testing.T) {
	var q readyQueue
	q.init(1 << 20)
	next, taken := int32(0), int32(0)
	put := func(n int) {
		for range n {
			q.put(&subscription{at: next})
			next++
		}
	}
	take := func(n int) {
		t.Helper()
		for range n {
			if s := q.take(); s.at != taken {
				t.Fatalf("took %d, want %d", s.at, taken)
			}
			q.done()
			taken++
		}
	}
	put(50)
	take(30)
	put(200) // grows with its head in the middle
	take(220)
	if len(q.ring) >= 256 {
		t.Fatalf("the ring keeps %d places", len(q.ring))
	}
	put(100)
	take(100)
	q.close()
	if q.take() != nil {
		t.Fatal("a closed queue gives something")
	}
}
