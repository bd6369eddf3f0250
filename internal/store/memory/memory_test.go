package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/store"
	"imp/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.KV {
		return open(t)
	})
}

func open(t testing.TB) *Store {
	s := New()
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, key string, ttl time.Duration) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, []byte("x"), store.AnyRev, ttl); err != nil {
		t.Fatal(err)
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		put(t, s, "a", time.Hour)
		stuck, err := s.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 * pageSize {
			put(t, s, fmt.Sprint(rand.Uint64()), 0)
		}
		synctest.Wait()
		s.Close()
		for range stuck {
			// Only the end of the channel matters.
		}
		_, getErr := s.Get(t.Context(), "a")
		_, putErr := s.Put(t.Context(), "a", nil, store.AnyRev, 0)
		_, watchErr := s.Watch(t.Context(), "")
		delErr := s.Delete(t.Context(), "a", store.AnyRev)
		var scanErr error
		for _, scanErr = range s.Scan(t.Context(), "") {
		}
		for _, err := range []error{getErr, putErr, watchErr, delErr, scanErr} {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("a closed store says %v, want unavailable", err)
			}
		}
		s.Close()
	}) // The bubble would not end with a goroutine or a watcher left.
}

// TestStuckWatcherIsBounded: a watcher that never reads costs no more than the
// keys it knows and the keys that exist.
func TestStuckWatcherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		const known, live = 100, 50
		for i := range known {
			put(t, s, store.Key("known", fmt.Sprint(i)), 0)
		}
		if _, err := s.Watch(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		for i := range 100_000 {
			put(t, s, store.Key("n", fmt.Sprint(i)), 0)
			if i >= live {
				if err := s.Delete(t.Context(), store.Key("n", fmt.Sprint(i-live)), store.AnyRev); err != nil {
					t.Fatal(err)
				}
			}
			put(t, s, store.Key("known", fmt.Sprint(i%known)), time.Hour)
		}
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		w := s.watchers[0]
		// What lies in the channel and in the hands of its sender counts as known.
		if queued, most := len(w.queue)-w.head, known+live+2*pageSize+1; queued > most || cap(w.queue) > 4*most || len(w.index) != queued {
			t.Errorf("%d changes are queued in room for %d, %d indexed; want at most %d", queued, cap(w.queue), len(w.index), most)
		}
		for _, c := range w.queue[w.head:] {
			if c.node.dead != 0 && c.node.value != nil {
				t.Errorf("the value of %s is kept after its end", c.node.key)
			}
		}
	})
}

// TestQueueRoom: a watcher that has caught up gives back what a burst took, and
// a steady stream needs no new room.
func TestQueueRoom(t *testing.T) {
	n := make([]node, 10*keepQueue)
	w := watcher{more: make(chan struct{}, 1), index: map[string]int{}}
	s := open(t)
	for i := range n {
		n[i].key = fmt.Sprint(i)
		w.add(&n[i], true)
	}
	for i := 0; len(w.queue) > w.head; i++ {
		got := s.takeChanges(&w, nil)
		if want := fmt.Sprint(i * pageSize); got[0].Entry.Key != want {
			t.Fatalf("page %d begins with %s, want %s", i, got[0].Entry.Key, want)
		}
		if len(w.queue) > w.head {
			w.add(&n[len(n)-1], true) // still queued: takes no second place
		}
	}
	if cap(w.queue) > keepQueue {
		t.Errorf("an empty queue keeps room for %d changes", cap(w.queue))
	}
	buf := make([]store.Event, 0, pageSize)
	allocs := testing.AllocsPerRun(1000, func() {
		w.add(&n[0], true)
		w.add(&n[1], true)
		buf = s.takeChanges(&w, buf[:0])
	})
	if allocs > 0 || len(buf) != 2 {
		t.Errorf("queueing and fetching %d changes makes %v allocations", len(buf), allocs)
	}
}

func TestAllocations(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	val := []byte("x")
	put(t, s, "a", time.Hour)
	if n := testing.AllocsPerRun(1000, func() { s.Put(ctx, "a", val, store.AnyRev, time.Hour) }); n > 0 {
		t.Errorf("a refresh makes %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Get(ctx, "a") }); n > 0 {
		t.Errorf("a get makes %v allocations", n)
	}
}

// TestExpiryHeap drives the heap at random and checks what holds of every slot.
func TestExpiryHeap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h expiryHeap
	nodes := make([]node, 200)
	for range 20_000 {
		n := &nodes[rnd.IntN(len(nodes))]
		switch rnd.IntN(3) {
		case 0:
			h.remove(n)
			n.deadline = 0
		default:
			n.deadline = 1 + rnd.Int64N(1000)
			h.add(n)
		}
		in := 0
		for i := range nodes {
			if nodes[i].deadline != 0 {
				in++
			}
		}
		if len(h) != in {
			t.Fatalf("the heap has %d slots for %d nodes", len(h), in)
		}
		for i, s := range h {
			if parent := h[(i-1)/2]; parent.due > s.due || s.due > s.node.deadline || int(s.node.slot) != i+1 {
				t.Fatalf("slot %d is due at %d, its parent at %d; its node says slot %d, deadline %d",
					i, s.due, parent.due, s.node.slot-1, s.node.deadline)
			}
		}
	}
}

// TestExpiredIsGone: between its time and its removal an entry is no entry.
func TestExpiredIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		for _, k := range []string{"a.get", "a.put", "a.delete"} {
			put(t, s, k, time.Second)
		}
		s.timer.Stop()
		ch, err := s.Watch(t.Context(), "a.put")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			<-ch
		}
		<-time.After(time.Second)
		if _, err := s.Get(t.Context(), "a.get"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get: %v, want not found", err)
		}
		if err := s.Delete(t.Context(), "a.delete", store.AnyRev); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("delete: %v, want not found", err)
		}
		for e := range s.Scan(t.Context(), "") {
			t.Errorf("scan yields %s", e.Key)
		}
		if _, err := s.Put(t.Context(), "a.put", nil, 0, 0); err != nil {
			t.Errorf("put: %v", err)
		}
		if e := <-ch; e.Kind != store.Put {
			t.Errorf("got event %v, want the put that coalesced with the expiry", e.Kind)
		}
	})
}

// TestManyExpireAtOnce: more than one batch, one timer, no entry left.
func TestManyExpireAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		for i := range 5 * reapBatch {
			put(t, s, fmt.Sprint(i), time.Second)
		}
		put(t, s, "stays", time.Hour)
		<-time.After(time.Second)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.nodes) != 1 || s.order.Len() != 1 || len(s.expiry) != 1 {
			t.Errorf("%d keys, %d ordered, %d to expire are left, want 1 each", len(s.nodes), s.order.Len(), len(s.expiry))
		}
	})
}

func TestEndlessTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		put(t, s, "a", math.MaxInt64)
		<-time.After(1000 * time.Hour)
		if _, err := s.Get(t.Context(), "a"); err != nil {
			t.Errorf("an entry that lives for centuries: %v", err)
		}
	})
}

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := NewBounded(100)
		defer s.Close()
		put := func(key string, size int, ttl time.Duration) error {
			_, err := s.Put(ctx, key, make([]byte, size), store.AnyRev, ttl)
			return err
		}
		if err := put("a", 49, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := put("b", 49, 0); err != nil {
			t.Fatal(err)
		}
		if err := put("c", 0, 0); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("a full store says %v", err)
		}
		if err := put("b", 50, 0); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("a full store says %v", err)
		}
		if e, err := s.Get(ctx, "b"); err != nil || len(e.Value) != 49 {
			t.Fatalf("a refused put changed the entry: %d bytes, %v", len(e.Value), err)
		}
		if err := put("b", 9, 0); err != nil {
			t.Fatalf("a smaller value is refused: %v", err)
		}
		if err := put("c", 39, 0); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, "c", store.AnyRev); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute) // a expires
		synctest.Wait()
		if err := put("d", 89, 0); err != nil {
			t.Fatalf("what has gone does not count any more: %v", err)
		}
	})
}
