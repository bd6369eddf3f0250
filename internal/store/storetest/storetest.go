// Package storetest is the conformance suite of the contract in package store:
// every back end passes [Run].
//
// Each test runs in a bubble of testing/synctest, so that hours of expiry cost
// nothing; none depends on it: they wait for events, not for durations.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/store"
)

// patience is how long a test waits for an event that must come.
const patience = time.Minute

// quiet is how long no event must come for a watcher to count as up to date.
const quiet = 2 * time.Second

// Run tests the back end that open makes. Open is called once per subtest,
// inside its bubble, must return an empty store, and registers what ends it
// with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) store.KV) {
	for _, group := range [][]test{writeTests, expiryTests, scanTests, watchTests} {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tt.run(&fixture{T: t, kv: open(t), ctx: t.Context()})
				})
			})
		}
	}
}

type test struct {
	name string
	run  func(*fixture)
}

// fixture is one store under test with calls that must succeed.
type fixture struct {
	*testing.T
	kv  store.KV
	ctx context.Context
}

func (f *fixture) put(key, val string, want store.Rev, ttl time.Duration) store.Rev {
	f.Helper()
	rev, err := f.kv.Put(f.ctx, key, []byte(val), want, ttl)
	if err != nil {
		f.Fatalf("put %s at revision %d: %v", key, want, err)
	}
	if rev == 0 || rev == store.AnyRev {
		f.Fatalf("put %s returned the reserved revision %d", key, rev)
	}
	return rev
}

func (f *fixture) refused(key string, want store.Rev, wantErr error) {
	f.Helper()
	if _, err := f.kv.Put(f.ctx, key, []byte("refused"), want, 0); !errors.Is(err, wantErr) {
		f.Fatalf("put %s at revision %d: got %v, want %v", key, want, err, wantErr)
	}
}

func (f *fixture) delete(key string, want store.Rev) {
	f.Helper()
	if err := f.kv.Delete(f.ctx, key, want); err != nil {
		f.Fatalf("delete %s at revision %d: %v", key, want, err)
	}
}

// notDeleted demands that a delete removes nothing and says so.
func (f *fixture) notDeleted(key string, want store.Rev) {
	f.Helper()
	err := f.kv.Delete(f.ctx, key, want)
	if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("delete %s at revision %d: got %v, want a conflict or not found", key, want, err)
	}
}

func (f *fixture) holds(key, val string, rev store.Rev) store.Entry {
	f.Helper()
	e, err := f.kv.Get(f.ctx, key)
	if err != nil {
		f.Fatalf("get %s: %v", key, err)
	}
	if e.Key != key || string(e.Value) != val || e.Rev != rev {
		f.Fatalf("get %s: got %q = %q at revision %d, want %q at %d", key, e.Key, e.Value, e.Rev, val, rev)
	}
	return e
}

func (f *fixture) absent(key string) {
	f.Helper()
	if e, err := f.kv.Get(f.ctx, key); !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("get %s: got %q and %v, want not found", key, e.Value, err)
	}
}

// scan returns what is under prefix, by key.
func (f *fixture) scan(prefix string) map[string]store.Entry {
	f.Helper()
	got := make(map[string]store.Entry)
	for e, err := range f.kv.Scan(f.ctx, prefix) {
		if err != nil {
			f.Fatalf("scan %q: %v", prefix, err)
		}
		if _, twice := got[e.Key]; twice {
			f.Fatalf("scan %q yields %s twice", prefix, e.Key)
		}
		got[e.Key] = e
	}
	return got
}

// watch opens a watch that ends with the test.
func (f *fixture) watch(prefix string) <-chan store.Event {
	f.Helper()
	ch, err := f.kv.Watch(f.ctx, prefix)
	if err != nil {
		f.Fatalf("watch %q: %v", prefix, err)
	}
	return ch
}

// next returns the next event of ch.
func (f *fixture) next(ch <-chan store.Event) store.Event {
	f.Helper()
	var e store.Event
	ok := true
	select {
	case e, ok = <-ch:
	case <-time.After(patience):
		f.Fatal("no event came")
	}
	if !ok {
		f.Fatal("the watch ended")
	}
	return e
}

// expect demands that the next event is of this kind, key and value.
func (f *fixture) expect(ch <-chan store.Event, kind store.Kind, key, val string) store.Entry {
	f.Helper()
	e := f.next(ch)
	if e.Kind != kind || e.Entry.Key != key || string(e.Entry.Value) != val {
		f.Fatalf("got event %v %q = %q, want %v %q = %q", e.Kind, e.Entry.Key, e.Entry.Value, kind, key, val)
	}
	if kind != store.Put && (e.Entry.Rev != 0 || !e.Entry.Expires.IsZero()) {
		f.Fatalf("event %v %q carries more than the key: %+v", e.Kind, e.Entry.Key, e.Entry)
	}
	return e.Entry
}

// view is what a watcher knows: the events of a watch, folded.
type view struct {
	entries map[string]store.Entry
	synced  bool
}

// apply folds one event in.
func (v *view) apply(e store.Event) {
	switch e.Kind {
	case store.Put:
		if v.entries == nil {
			v.entries = make(map[string]store.Entry)
		}
		v.entries[e.Entry.Key] = e.Entry
	case store.Delete, store.Expire:
		delete(v.entries, e.Entry.Key)
	case store.Synced:
		v.synced = true
	case store.Reset:
		v.entries, v.synced = nil, false
	}
}

// settle folds in all events until none comes for a while.
func (f *fixture) settle(ch <-chan store.Event, v *view) {
	f.Helper()
	for {
		select {
		case e, ok := <-ch:
			if !ok {
				f.Fatal("the watch ended")
			}
			v.apply(e)
		case <-time.After(quiet):
			return
		}
	}
}

// same demands that a watcher knows exactly what a scan yields.
func (f *fixture) same(v *view, prefix string) {
	f.Helper()
	want := f.scan(prefix)
	if !v.synced {
		f.Errorf("watch %q never said that it is synced", prefix)
	}
	for key, w := range want {
		g, ok := v.entries[key]
		if !ok {
			f.Errorf("watch %q does not know %s", prefix, key)
		} else if g.Rev != w.Rev || !bytes.Equal(g.Value, w.Value) || !g.Expires.Equal(w.Expires) {
			f.Errorf("watch %q knows %s as %q at revision %d, it is %q at %d", prefix, key, g.Value, g.Rev, w.Value, w.Rev)
		}
	}
	for key := range v.entries {
		if _, ok := want[key]; !ok {
			f.Errorf("watch %q still knows %s", prefix, key)
		}
	}
}
