package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/store"
)

var writeTests = []test{
	{"create only what is absent", createOnly},
	{"compare and swap", compareAndSwap},
	{"any revision", anyRevision},
	{"revisions grow across deletion", revisionsGrow},
	{"delete at a revision", deleteIf},
	{"empty values", emptyValues},
	{"one of many creators wins", oneCreatorWins},
	{"no increment is lost", noLostIncrement},
	{"limits", limits},
	{"invalid keys", invalidKeys},
	{"every byte in a key", everyByte},
	{"ended context", endedContext},
}

var key = store.Key("pub", "sip:alice@example.com", "presence", "a1")

func createOnly(f *fixture) {
	f.absent(key)
	rev := f.put(key, "one", 0, 0)
	if e := f.holds(key, "one", rev); !e.Expires.IsZero() {
		f.Errorf("an entry without time to live expires at %v", e.Expires)
	}
	f.refused(key, 0, store.ErrConflict)
	f.holds(key, "one", rev)
}

func compareAndSwap(f *fixture) {
	f.refused(key, 1, store.ErrConflict)
	f.absent(key)
	one := f.put(key, "one", 0, 0)
	two := f.put(key, "two", one, 0)
	if two <= one {
		f.Errorf("the revision went from %d to %d", one, two)
	}
	f.refused(key, one, store.ErrConflict)
	f.refused(key, two+1, store.ErrConflict)
	f.holds(key, "two", two)
	other := store.Key("pub", "sip:bob@example.com", "presence", "a1")
	f.put(other, "bob", 0, 0)
	f.put(key, "three", two, 0)
}

func anyRevision(f *fixture) {
	f.put(key, "one", store.AnyRev, 0)
	rev := f.put(key, "two", store.AnyRev, 0)
	f.holds(key, "two", rev)
	f.delete(key, store.AnyRev)
	f.absent(key)
}

func revisionsGrow(f *fixture) {
	first := f.put(key, "one", 0, 0)
	f.delete(key, first)
	second := f.put(key, "two", 0, 0)
	if second <= first {
		f.Fatalf("revision %d after deletion, %d before", second, first)
	}
	f.notDeleted(key, first)
	f.holds(key, "two", second)
}

func deleteIf(f *fixture) {
	f.notDeleted(key, 7)
	f.notDeleted(key, store.AnyRev)
	one := f.put(key, "one", 0, 0)
	two := f.put(key, "two", one, 0)
	f.notDeleted(key, one)
	f.notDeleted(key, 0)
	f.holds(key, "two", two)
	f.delete(key, two)
	f.absent(key)
	f.notDeleted(key, two)
}

func emptyValues(f *fixture) {
	for _, val := range [][]byte{nil, {}} {
		rev, err := f.kv.Put(f.ctx, key, val, store.AnyRev, 0)
		if err != nil {
			f.Fatal(err)
		}
		f.holds(key, "", rev)
	}
}

func oneCreatorWins(f *fixture) {
	for round := range 20 {
		k := store.Key("claim", strconv.Itoa(round))
		var wins atomic.Int32
		var winner atomic.Value
		f.together(8, func(i int) {
			val := fmt.Sprintf("claimant %d", i)
			_, err := f.kv.Put(f.ctx, k, []byte(val), 0, 0)
			switch {
			case err == nil:
				wins.Add(1)
				winner.Store(val)
			case !errors.Is(err, store.ErrConflict):
				f.Errorf("put %s: %v", k, err)
			}
		})
		if wins.Load() != 1 {
			f.Fatalf("%d of 8 created %s", wins.Load(), k)
		}
		if e, err := f.kv.Get(f.ctx, k); err != nil || string(e.Value) != winner.Load() {
			f.Fatalf("%s holds %q (%v), the winner wrote %q", k, e.Value, err, winner.Load())
		}
	}
}

func noLostIncrement(f *fixture) {
	const workers, each = 8, 50
	f.put(key, "0", 0, 0)
	f.together(workers, func(int) {
		for range each {
			f.increment(key)
		}
	})
	if e, err := f.kv.Get(f.ctx, key); err != nil || string(e.Value) != strconv.Itoa(workers*each) {
		f.Errorf("after %d increments the counter is %q (%v)", workers*each, e.Value, err)
	}
}

// increment adds one to the number under key by compare and swap.
func (f *fixture) increment(key string) {
	for {
		e, err := f.kv.Get(f.ctx, key)
		if err != nil {
			f.Errorf("get %s: %v", key, err)
			return
		}
		n, _ := strconv.Atoi(string(e.Value))
		_, err = f.kv.Put(f.ctx, key, []byte(strconv.Itoa(n+1)), e.Rev, 0)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrConflict) {
			f.Errorf("put %s: %v", key, err)
			return
		}
	}
}

// together runs work in n goroutines at once and waits for all.
func (f *fixture) together(n int, work func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			work(i)
		})
	}
	close(start)
	group.Wait()
}

func limits(f *fixture) {
	l := f.kv.Limits()
	if l.TTLStep != time.Second {
		f.Errorf("times to live have steps of %v, want 1s", l.TTLStep)
	}
	if l.MaxValue < 512<<10 {
		f.Fatalf("values have at most %d bytes, documents need 512 KiB", l.MaxValue)
	}
	big := bytes.Repeat([]byte{'x'}, l.MaxValue+1)
	if _, err := f.kv.Put(f.ctx, key, big, 0, 0); !errors.Is(err, store.ErrTooLarge) {
		f.Errorf("put of %d bytes: got %v, want too large", len(big), err)
	}
	f.absent(key)
	rev, err := f.kv.Put(f.ctx, key, big[:l.MaxValue], 0, 0)
	if err != nil {
		f.Fatalf("put of %d bytes: %v", l.MaxValue, err)
	}
	f.holds(key, string(big[:l.MaxValue]), rev)
}

func invalidKeys(f *fixture) {
	for _, bad := range []string{"", ".", "a.", ".a", "a..b", "a b", "sip:alice", "a=", "a=4", "a=zz", "a*", "a/b", "ü"} {
		f.refused(bad, store.AnyRev, store.ErrInvalid)
		if bad == "" {
			continue
		}
		if _, err := f.kv.Watch(f.ctx, bad); !errors.Is(err, store.ErrInvalid) {
			f.Errorf("watch %q: got %v, want invalid", bad, err)
		}
		for _, err := range f.kv.Scan(f.ctx, bad) {
			if !errors.Is(err, store.ErrInvalid) {
				f.Errorf("scan %q: got %v, want invalid", bad, err)
			}
		}
	}
	if _, err := f.kv.Put(f.ctx, key, nil, store.AnyRev, -time.Second); !errors.Is(err, store.ErrInvalid) {
		f.Errorf("put with a negative time to live: got %v, want invalid", err)
	}
	if n := len(f.scan("")); n != 0 {
		f.Errorf("refused writes left %d entries", n)
	}
}

func everyByte(f *fixture) {
	want := map[string][]string{}
	for b := range 256 {
		parts := []string{"doc", string([]byte{'x', byte(b)}), string([]byte{byte(b)}), ""}
		k := store.Key(parts...)
		want[k] = parts
		f.put(k, parts[1], 0, 0)
	}
	got := f.scan("doc")
	if len(got) != 256 {
		f.Fatalf("256 keys became %d", len(got))
	}
	for k, e := range got {
		parts, err := store.SplitKey(k)
		if err != nil || !slices.Equal(parts, want[k]) {
			f.Errorf("key %s splits into %q (%v), want %q", k, parts, err, want[k])
		} else if string(e.Value) != parts[1] {
			f.Errorf("key %s holds %q, want %q", k, e.Value, parts[1])
		}
	}
}

func endedContext(f *fixture) {
	rev := f.put(key, "one", 0, 0)
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	check := func(what string, err error) {
		if !errors.Is(err, context.Canceled) {
			f.Errorf("%s: got %v, want %v", what, err, context.Canceled)
		}
	}
	_, err := f.kv.Get(ended, key)
	check("get", err)
	_, err = f.kv.Put(ended, key, []byte("two"), rev, 0)
	check("put", err)
	check("delete", f.kv.Delete(ended, key, rev))
	_, err = f.kv.Watch(ended, "")
	check("watch", err)
	n := 0
	for _, err := range f.kv.Scan(ended, "") {
		check("scan", err)
		n++
	}
	if n != 1 {
		f.Errorf("scan yielded %d times, want one error", n)
	}
	f.holds(key, "one", rev)
}
