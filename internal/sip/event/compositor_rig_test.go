package event

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/store/memory"
)

// office is a compositor for notes and memos over a store in memory, with its
// watch running.
type office struct {
	*Compositor
	t       *testing.T
	store   *faulty
	notes   *notes
	desk    *desk
	stopped chan error // what Run returned
	stop    context.CancelFunc
}

// memos is a second package that takes publications.
type memos struct{ *notes }

func (memos) Name() string { return "memos" }

// open gives f an office inside a bubble of synthetic time.
func open(t *testing.T, f func(*office)) { openWith(t, nil, f) }

func openWith(t *testing.T, change func(*CompositorConfig, *notes), f func(*office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		kv := memory.New()
		defer kv.Close()
		o := &office{t: t, store: &faulty{KV: kv}, notes: newNotes(), desk: newDesk(), stopped: make(chan error, 1)}
		cfg := CompositorConfig{Store: o.store, Resources: everyone{}}
		if change != nil {
			change(&cfg, o.notes)
		}
		o.Compositor = NewCompositor(cfg, o.notes, memos{o.notes})
		o.OnChange("notes", o.desk.take)
		var ctx context.Context
		ctx, o.stop = context.WithCancel(context.Background())
		ready := make(chan struct{})
		go func() { o.stopped <- o.Run(ctx, func() { close(ready) }) }()
		<-ready
		defer synctest.Wait()
		defer o.stop()
		f(o)
	})
}

// publish sends one PUBLISH of a publisher of its own, so also with a Call-ID
// of its own. tag is for SIP-If-Match unless it is empty.
func (o *office) publish(user, body, tag string, extra ...string) *stack.Response {
	o.t.Helper()
	return o.publishEvent("notes", user, body, tag, extra...)
}

func (o *office) publishEvent(event, user, body, tag string, extra ...string) *stack.Response {
	o.t.Helper()
	if event != "" {
		extra = append(extra, "Event: "+event)
	}
	if tag != "" {
		extra = append(extra, "SIP-If-Match: "+tag)
	}
	if body != "" && !slices.ContainsFunc(extra, func(l string) bool { return strings.HasPrefix(l, "Content-Type") }) {
		extra = append(extra, "Content-Type: text/plain")
	}
	return respond(o.Publish, newPeer(o.t, "PUBLISH", user).request(body, extra...))
}

// published is the tag of a publication that is made now.
func (o *office) published(user, body string, extra ...string) string {
	o.t.Helper()
	res := o.publish(user, body, "", extra...)
	want(o.t, res, 200)
	return fieldOf(res, "SIP-ETag")
}

// holds fails unless the live publications of user have these bodies.
func (o *office) holds(user string, bodies ...string) {
	o.t.Helper()
	synctest.Wait()
	pubs, err := o.Publications(context.Background(), "notes", "sip:"+user+"@example.com")
	if err != nil {
		o.t.Fatal(err)
	}
	var got []string
	for _, p := range pubs {
		got = append(got, string(p.Body))
	}
	slices.Sort(got)
	if !slices.Equal(got, bodies) {
		o.t.Fatalf("%s has published %q, want %q", user, got, bodies)
	}
	if seen := o.desk.bodies("sip:" + user + "@example.com"); !slices.Equal(seen, bodies) {
		o.t.Fatalf("the watch tells %q of %s, want %q", seen, user, bodies)
	}
}

// desk keeps what changes tell, as a package does.
type desk struct {
	mu      sync.Mutex
	pubs    map[string]map[string]Publication // resource key -> id
	changes []Change
	lost    int
	before  func(Change) // called at the start of take
	after   func(Change) // called at its end
}

func newDesk() *desk { return &desk{pubs: map[string]map[string]Publication{}} }

func (d *desk) take(c Change) {
	if d.before != nil {
		d.before(c)
	}
	d.mu.Lock()
	d.changes = append(d.changes, c)
	switch of := d.pubs[c.Resource]; {
	case c.ID == "":
		d.lost++
	case c.Publication == nil:
		delete(of, c.ID)
	default:
		if of == nil {
			d.pubs[c.Resource] = map[string]Publication{}
		}
		d.pubs[c.Resource][c.ID] = *c.Publication
	}
	d.mu.Unlock()
	if d.after != nil {
		d.after(c)
	}
}

func (d *desk) bodies(resource string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, p := range d.pubs[store.Key(resource)] {
		out = append(out, string(p.Body))
	}
	slices.Sort(out)
	return out
}

func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.changes)
}

// losses is how often it was told that changes were lost.
func (d *desk) losses() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

// faulty is a store that fails when it is told to.
type faulty struct {
	store.KV
	before func(op string) error // asked before an operation, which an error prevents
	after  func(op string) error // asked after one that has succeeded
	watch  func(<-chan store.Event) <-chan store.Event
}

func (f *faulty) ask(hook func(string) error, op string) error {
	if hook == nil {
		return nil
	}
	return hook(op)
}

func (f *faulty) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := f.ask(f.before, "get"); err != nil {
		return store.Entry{}, err
	}
	return f.KV.Get(ctx, key)
}

func (f *faulty) Put(ctx context.Context, key string, val []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	if err := f.ask(f.before, "put"); err != nil {
		return 0, err
	}
	rev, err := f.KV.Put(ctx, key, val, want, ttl)
	if err != nil {
		return rev, err
	}
	return rev, f.ask(f.after, "put")
}

func (f *faulty) Delete(ctx context.Context, key string, want store.Rev) error {
	if err := f.ask(f.before, "delete"); err != nil {
		return err
	}
	if err := f.KV.Delete(ctx, key, want); err != nil {
		return err
	}
	return f.ask(f.after, "delete")
}

func (f *faulty) Scan(ctx context.Context, prefix string) iter.Seq2[store.Entry, error] {
	if err := f.ask(f.before, "scan"); err != nil {
		return func(yield func(store.Entry, error) bool) { yield(store.Entry{}, err) }
	}
	return f.KV.Scan(ctx, prefix)
}

func (f *faulty) Watch(ctx context.Context, prefix string) (<-chan store.Event, error) {
	if err := f.ask(f.before, "watch"); err != nil {
		return nil, err
	}
	events, err := f.KV.Watch(ctx, prefix)
	if f.watch != nil && err == nil {
		events = f.watch(events)
	}
	return events, err
}

// fails makes operations of one kind fail.
func fails(kind string, err error) func(string) error {
	return func(op string) error {
		if op == kind {
			return fmt.Errorf("%s: %w", op, err)
		}
		return nil
	}
}

// failsOnce is fails for the first time only.
func failsOnce(kind string, err error) func(string) error {
	done := false
	return func(op string) error {
		if op != kind || done {
			return nil
		}
		done = true
		return err
	}
}
