package storetest

import (
	"time"

	"imp/internal/store"
)

var expiryTests = []test{
	{"time to live is rounded up", ttlRounded},
	{"expiry", expiry},
	{"a refresh moves the expiry", refreshMoves},
	{"a put without time to live keeps the entry", refreshKeeps},
	{"a shorter time to live", shorterTTL},
	{"expiry frees the key", expiryFrees},
	{"entries expire in their order", expiryOrder},
}

func ttlRounded(f *fixture) {
	for _, tt := range []struct{ ttl, want time.Duration }{
		{1, time.Second},
		{500 * time.Millisecond, time.Second},
		{time.Second, time.Second},
		{1900 * time.Millisecond, 2 * time.Second},
		{2*time.Second + 1, 3 * time.Second},
	} {
		before := time.Now()
		rev := f.put(key, "x", store.AnyRev, tt.ttl)
		after := time.Now()
		e := f.holds(key, "x", rev)
		if e.Expires.Before(before.Add(tt.want)) || e.Expires.After(after.Add(tt.want)) {
			f.Errorf("time to live %v: expires %v after the put, want %v", tt.ttl, e.Expires.Sub(before), tt.want)
		}
	}
}

// gone waits for the expiry of k and demands that it does not come early.
func (f *fixture) gone(ch <-chan store.Event, k string, notBefore time.Time) {
	f.Helper()
	f.expect(ch, store.Expire, k, "")
	if early := time.Until(notBefore); early > 0 {
		f.Errorf("%s expired %v early", k, early)
	}
	f.absent(k)
}

func expiry(f *fixture) {
	ch := f.watch("pub")
	f.expect(ch, store.Synced, "", "")
	due := time.Now().Add(1900 * time.Millisecond)
	rev := f.put(key, "x", 0, 1900*time.Millisecond)
	f.expect(ch, store.Put, key, "x")
	f.gone(ch, key, due)
	f.refused(key, rev, store.ErrConflict)
	f.notDeleted(key, rev)
	if n := len(f.scan("")); n != 0 {
		f.Errorf("a scan yields %d expired entries", n)
	}
}

func refreshMoves(f *fixture) {
	ch := f.watch("")
	f.expect(ch, store.Synced, "", "")
	f.put(key, "one", 0, 2*time.Second)
	<-time.After(time.Second)
	due := time.Now().Add(time.Hour)
	f.put(key, "two", store.AnyRev, time.Hour)
	v := view{synced: true}
	f.settle(ch, &v)
	f.same(&v, "")
	if len(v.entries) != 1 {
		f.Fatal("the refreshed entry expired at its old time")
	}
	select {
	case e := <-ch:
		if e.Kind != store.Expire || time.Now().Before(due) {
			f.Errorf("got event %v %v before the expiry", e.Kind, time.Until(due))
		}
	case <-time.After(2 * time.Hour):
		f.Error("the refreshed entry never expired")
	}
}

func refreshKeeps(f *fixture) {
	ch := f.watch("")
	f.expect(ch, store.Synced, "", "")
	f.put(key, "one", 0, time.Second)
	rev := f.put(key, "two", store.AnyRev, 0)
	f.settle(ch, &view{})
	if e := f.holds(key, "two", rev); !e.Expires.IsZero() {
		f.Errorf("expires at %v", e.Expires)
	}
	other := store.Key("pub", "later")
	f.put(other, "x", 0, time.Second)
	f.expect(ch, store.Put, other, "x")
	f.gone(ch, other, time.Time{})
	f.holds(key, "two", rev)
}

func shorterTTL(f *fixture) {
	ch := f.watch("")
	f.expect(ch, store.Synced, "", "")
	f.put(key, "one", 0, 24*time.Hour)
	f.expect(ch, store.Put, key, "one")
	due := time.Now().Add(time.Second)
	f.put(key, "two", store.AnyRev, time.Second)
	f.expect(ch, store.Put, key, "two")
	f.gone(ch, key, due)
}

func expiryFrees(f *fixture) {
	ch := f.watch("")
	f.expect(ch, store.Synced, "", "")
	for range 3 {
		f.put(key, "x", 0, time.Second)
		f.expect(ch, store.Put, key, "x")
		f.gone(ch, key, time.Time{})
	}
	f.put(key, "deleted in time", 0, time.Second)
	f.expect(ch, store.Put, key, "deleted in time")
	f.delete(key, store.AnyRev)
	f.expect(ch, store.Delete, key, "")
	rev := f.put(key, "stays", 0, 0)
	f.expect(ch, store.Put, key, "stays")
	f.settle(ch, &view{})
	f.holds(key, "stays", rev)
}

func expiryOrder(f *fixture) {
	// Neither sorted nor in the order of the keys.
	ttls := map[string]time.Duration{}
	for i, s := range []int{7, 3, 11, 5, 2, 13, 9, 4, 1, 6} {
		ttls[store.Key("pub", string(rune('a'+i)))] = time.Duration(s) * 2 * time.Second
	}
	start := time.Now()
	for k, ttl := range ttls {
		f.put(k, "x", 0, ttl)
	}
	middle := store.Key("pub", "a")
	f.delete(middle, store.AnyRev)
	delete(ttls, middle)
	ch := f.watch("")
	for range ttls {
		f.next(ch)
	}
	f.expect(ch, store.Synced, "", "")
	last := time.Duration(0)
	for range ttls {
		e := f.next(ch)
		ttl := ttls[e.Entry.Key]
		if e.Kind != store.Expire || ttl < last {
			f.Errorf("event %v of %s, which lives %v, after one that lives %v", e.Kind, e.Entry.Key, ttl, last)
		}
		if lived := time.Since(start); lived < ttl {
			f.Errorf("%s lived %v of %v", e.Entry.Key, lived, ttl)
		}
		last = ttl
	}
}
