package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"imp/internal/store"
)

var scanTests = []test{
	{"scan takes whole parts", scanParts},
	{"scan pages", scanPages},
	{"scan while writing", scanWriting},
}

var watchTests = []test{
	{"watch tells entries, synced, changes", watchOrder},
	{"watch takes whole parts", watchParts},
	{"watch covers what was acknowledged", watchCovers},
	{"changes during the snapshot", changesDuring},
	{"watch keeps the order of a key", watchKeyOrder},
	{"a slow watcher holds up nobody", slowWatcher},
	{"what came and went leaves no trace", cameAndWent},
	{"watch ends with its context", watchEnds},
	{"watchers converge", converge},
}

// family is a set of keys round the prefix a.b, with neighbours that sort
// between, before and after.
var family = []string{"a", "a-", "a.a", "a.b", "a.b-", "a.b-.c", "a.b.c", "a.b.c.d", "a.b=2E", "a.b0", "a.bb", "a.c", "b"}

// under maps prefixes to what of the family they cover.
var under = map[string][]string{
	"":      family,
	"a":     {"a", "a.a", "a.b", "a.b-", "a.b-.c", "a.b.c", "a.b.c.d", "a.b=2E", "a.b0", "a.bb", "a.c"},
	"a.b":   {"a.b", "a.b.c", "a.b.c.d"},
	"a.b-":  {"a.b-", "a.b-.c"},
	"a.b.c": {"a.b.c", "a.b.c.d"},
	"b":     {"b"},
	"c":     nil,
}

func (f *fixture) putFamily() {
	for _, k := range family {
		f.put(k, "value of "+k, 0, 0)
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func scanParts(f *fixture) {
	f.putFamily()
	for prefix, want := range under {
		got := f.scan(prefix)
		if !slices.Equal(sorted(got), slices.Sorted(slices.Values(want))) {
			f.Errorf("scan %q: got %q, want %q", prefix, sorted(got), want)
		}
		for k, e := range got {
			if string(e.Value) != "value of "+k || e.Rev == 0 {
				f.Errorf("scan %q: %s is %q at revision %d", prefix, k, e.Value, e.Rev)
			}
		}
	}
	for range f.kv.Scan(f.ctx, "a") {
		break
	}
}

func scanPages(f *fixture) {
	for _, n := range []int{63, 64, 65, 1000} {
		prefix := store.Key("n", strconv.Itoa(n))
		for i := range n {
			f.put(prefix+"."+strconv.Itoa(i), "x", 0, 0)
		}
		f.put(prefix+"0.1", "neighbour", 0, 0)
		if got := len(f.scan(prefix)); got != n {
			f.Errorf("scan of %d entries yields %d", n, got)
		}
	}
}

func scanWriting(f *fixture) {
	for i := range 300 {
		f.put(store.Key("n", strconv.Itoa(i)), "old", 0, 0)
	}
	seen := 0
	for e, err := range f.kv.Scan(f.ctx, "n") {
		if err != nil {
			f.Fatal(err)
		}
		seen++
		f.delete(e.Key, e.Rev)
		f.put(store.Key("m", strconv.Itoa(seen)), "new", 0, 0)
	}
	if seen != 300 || len(f.scan("n")) != 0 || len(f.scan("m")) != 300 {
		f.Errorf("deleting while scanning saw %d of 300, left %d, added %d", seen, len(f.scan("n")), len(f.scan("m")))
	}
}

func watchOrder(f *fixture) {
	first := f.put(key, "one", 0, time.Hour)
	ch := f.watch("pub")
	e := f.expect(ch, store.Put, key, "one")
	if got := f.holds(key, "one", first); e.Rev != first || !e.Expires.Equal(got.Expires) {
		f.Errorf("the snapshot has revision %d, expiry %v; want %d, %v", e.Rev, e.Expires, first, got.Expires)
	}
	f.expect(ch, store.Synced, "", "")
	second := f.put(key, "two", first, 0)
	if e := f.expect(ch, store.Put, key, "two"); e.Rev != second || !e.Expires.IsZero() {
		f.Errorf("the change has revision %d, expiry %v; want %d, none", e.Rev, e.Expires, second)
	}
	f.delete(key, second)
	f.expect(ch, store.Delete, key, "")
	third := f.put(key, "three", 0, 0)
	if e := f.expect(ch, store.Put, key, "three"); e.Rev != third {
		f.Errorf("the new entry has revision %d, want %d", e.Rev, third)
	}
	f.refused(key, second, store.ErrConflict)
	select {
	case e := <-ch:
		f.Errorf("a refused write made event %v", e.Kind)
	case <-time.After(quiet):
	}
}

func watchParts(f *fixture) {
	early := map[string]<-chan store.Event{}
	for prefix := range under {
		early[prefix] = f.watch(prefix)
	}
	f.putFamily()
	for prefix, want := range under {
		for when, ch := range map[string]<-chan store.Event{"before": early[prefix], "after": f.watch(prefix)} {
			var v view
			f.settle(ch, &v)
			if got := sorted(v.entries); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				f.Errorf("watch %q opened %s the writes: got %q, want %q", prefix, when, got, want)
			}
			f.same(&v, prefix)
		}
	}
}

func watchCovers(f *fixture) {
	for i := range 500 {
		f.put(store.Key("n", strconv.Itoa(i)), strconv.Itoa(i), 0, 0)
	}
	ch := f.watch("n")
	var v view
	for !v.synced {
		v.apply(f.next(ch))
	}
	if len(v.entries) != 500 {
		f.Errorf("synced after %d of 500 entries", len(v.entries))
	}
}

// changesDuring touches every key while a watcher is somewhere in its snapshot.
func changesDuring(f *fixture) {
	const n = 1000
	name := func(i int) string { return store.Key("n", strconv.Itoa(i)) }
	for i := range n {
		f.put(name(i), "old", 0, 0)
	}
	ch := f.watch("n")
	var v view
	v.apply(f.next(ch))
	for i := range n {
		switch i % 3 {
		case 0:
			f.put(name(i), "new", store.AnyRev, 0)
		case 1:
			f.delete(name(i), store.AnyRev)
		case 2:
			f.delete(name(i), store.AnyRev)
			f.put(name(i), "again", 0, 0)
		}
		f.put(store.Key("n", "more", strconv.Itoa(i)), "new", 0, 0)
	}
	f.settle(ch, &v)
	f.same(&v, "n")
}

func watchKeyOrder(f *fixture) {
	const keys, writes = 5, 400
	watches := []<-chan store.Event{f.watch("n"), f.watch("n")}
	f.together(keys+1, func(i int) {
		if i == keys {
			ch, err := f.kv.Watch(f.ctx, "n")
			if err != nil {
				f.Errorf("watch: %v", err)
				return
			}
			watches = append(watches, ch)
			return
		}
		k := store.Key("n", strconv.Itoa(i))
		for n := range writes {
			if _, err := f.kv.Put(f.ctx, k, fmt.Append(nil, n), store.AnyRev, 0); err != nil {
				f.Errorf("put %s: %v", k, err)
			}
		}
	})
	for _, ch := range watches {
		last := map[string]int{}
		for done := 0; done < keys; {
			e := f.next(ch)
			if e.Kind != store.Put {
				continue
			}
			n, _ := strconv.Atoi(string(e.Entry.Value))
			if n < last[e.Entry.Key] {
				f.Fatalf("%s went back from %d to %d", e.Entry.Key, last[e.Entry.Key], n)
			}
			if n == writes-1 && last[e.Entry.Key] != n {
				done++
			}
			last[e.Entry.Key] = n
		}
	}
}

// slowWatcher reads nothing until all is written. What it then reads may be
// coalesced or begin anew, but must end at the truth.
func slowWatcher(f *fixture) {
	f.put("n.gone", "x", 0, 0)
	ch := f.watch("n")
	f.next(ch)
	const writes = 20000
	for i := range writes {
		f.put(store.Key("n", strconv.Itoa(i%10)), strconv.Itoa(i), store.AnyRev, 0)
	}
	f.delete("n.gone", store.AnyRev)
	v := view{entries: map[string]store.Entry{"n.gone": {}}}
	f.settle(ch, &v)
	f.same(&v, "n")
}

func cameAndWent(f *fixture) {
	ch := f.watch("n")
	var v view
	for i := range 3000 {
		k := store.Key("n", strconv.Itoa(i))
		rev := f.put(k, "x", 0, 0)
		if i%100 == 0 {
			f.put(store.Key("n", "stays", strconv.Itoa(i)), "x", 0, 0)
		}
		f.delete(k, rev)
		if i%700 == 0 {
			f.settle(ch, &v)
		}
	}
	f.settle(ch, &v)
	f.same(&v, "n")
}

func watchEnds(f *fixture) {
	f.putFamily()
	ctx, cancel := context.WithCancel(f.ctx)
	ch, err := f.kv.Watch(ctx, "")
	if err != nil {
		f.Fatal(err)
	}
	f.next(ch)
	cancel()
	for range len(family) + 2 {
		select {
		case _, ok := <-ch:
			if !ok {
				f.put("after", "x", 0, 0)
				return
			}
		case <-time.After(patience):
			f.Fatal("the watch did not end with its context")
		}
	}
	f.Fatal("more events than there were changes")
}

// converge lets several writers do anything at random while watchers come at
// different times and read at different speeds; each must end at the truth.
func converge(f *fixture) {
	for seed := range uint64(8) {
		prefixes := []string{"", "a", "a.b", "a.b.c"}
		views := make([]view, 2*len(prefixes))
		watches := make([]<-chan store.Event, 0, len(views))
		for _, p := range prefixes {
			watches = append(watches, f.watch(p))
		}
		f.churn(seed, 300)
		for i, ch := range watches {
			for range 50 * i {
				select {
				case e := <-ch:
					views[i].apply(e)
				default:
				}
			}
		}
		for _, p := range prefixes {
			watches = append(watches, f.watch(p))
		}
		f.churn(seed+100, 300)
		for i, ch := range watches {
			f.settle(ch, &views[i])
			f.same(&views[i], prefixes[i%len(prefixes)])
		}
	}
}

// churn makes n random writes in each of three goroutines.
func (f *fixture) churn(seed uint64, n int) {
	var mu sync.Mutex
	fail := func(op, k string, err error) {
		if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		f.Errorf("%s %s: %v", op, k, err)
	}
	f.together(3, func(w int) {
		rnd := rand.New(rand.NewPCG(seed, uint64(w)))
		for i := range n {
			k := family[rnd.IntN(len(family))]
			e, _ := f.kv.Get(f.ctx, k)
			val := fmt.Appendf(nil, "%d.%d.%d", seed, w, i)
			switch rnd.IntN(8) {
			case 0:
				fail("delete", k, f.kv.Delete(f.ctx, k, store.AnyRev))
			case 1:
				fail("delete", k, f.kv.Delete(f.ctx, k, e.Rev))
			case 2:
				<-time.After(time.Duration(rnd.IntN(700)) * time.Millisecond)
			case 3, 4:
				_, err := f.kv.Put(f.ctx, k, val, store.AnyRev, time.Duration(1+rnd.IntN(4))*time.Second)
				fail("put", k, err)
			case 5:
				_, err := f.kv.Put(f.ctx, k, val, store.AnyRev, time.Hour)
				fail("put", k, err)
			default:
				_, err := f.kv.Put(f.ctx, k, val, e.Rev, 0)
				fail("put", k, err)
			}
		}
	})
}
