package bolt

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"imp/internal/store"
	"imp/internal/store/storetest"
)

// newStore opens the store in the file at path until the test ends.
func newStore(t testing.TB, path string, cfg Config) *Store {
	t.Helper()
	s, err := Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t testing.TB, s *Store, key, val string, ttl time.Duration) store.Rev {
	t.Helper()
	rev, err := s.Put(context.Background(), key, []byte(val), store.AnyRev, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.KV {
		return newStore(t, filepath.Join(t.TempDir(), "store.db"), Config{noSync: true})
	})
}

// TestReopen: entries, revisions and deadlines outlive the store; what expired
// while none was open is gone, and is told when the next has removed it.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var rev, deleted store.Rev
	var expires time.Time
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, path, Config{})
		put(t, s, "short", "x", time.Minute)
		rev = put(t, s, "long", "y", time.Hour)
		deleted = put(t, s, "gone", "z", 0)
		if err := s.Delete(t.Context(), "gone", deleted); err != nil {
			t.Fatal(err)
		}
		e, err := s.Get(t.Context(), "long")
		if err != nil {
			t.Fatal(err)
		}
		expires = e.Expires
	})
	synctest.Test(t, func(t *testing.T) { // a new bubble is at the same time again
		<-time.After(2 * time.Minute)
		s := newStore(t, path, Config{})
		ch, err := s.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		e := <-ch
		if e.Entry.Key != "long" || string(e.Entry.Value) != "y" || e.Entry.Rev != rev || !e.Entry.Expires.Equal(expires) {
			t.Errorf("after reopening the first event is %v of %+v, want long at %d until %v", e.Kind, e.Entry, rev, expires)
		}
		if e := <-ch; e.Kind != store.Synced {
			t.Errorf("then comes %v of %s, want synced", e.Kind, e.Entry.Key)
		}
		if next := put(t, s, "gone", "z", 0); next <= deleted {
			t.Errorf("revision %d after reopening, %d before", next, deleted)
		}
		for range ch {
			if !time.Now().Before(expires) {
				break
			}
		}
		if _, err := s.Get(t.Context(), "long"); !errors.Is(err, store.ErrNotFound) || time.Now().Before(expires) {
			t.Errorf("%v before its end long is %v", time.Until(expires), err)
		}
	})
}

// TestExpiryLeavesNothing: the index of expiry and the entries go together.
func TestExpiryLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		s := newStore(t, path, Config{noSync: true})
		var group sync.WaitGroup
		for w := range 8 {
			group.Go(func() {
				for i := range 3 * reapBatch / 8 {
					k := store.Key("n", strconv.Itoa(w), strconv.Itoa(i))
					put(t, s, k, "x", time.Minute)
					switch i % 5 {
					case 0:
						put(t, s, k, "x", time.Second) // sooner
					case 1:
						put(t, s, k, "x", time.Hour) // later
					case 2:
						put(t, s, k, "x", 0) // never
						put(t, s, k, "x", time.Minute)
					}
				}
			})
		}
		group.Wait()
		put(t, s, "stays", "x", 0)
		put(t, s, "endless", "x", math.MaxInt64)
		<-time.After(2 * time.Hour)
		synctest.Wait()
		closeStore(t, s)
		s = newStore(t, path, Config{noSync: true}) // inspects that index and entries fit
		if e, err := s.Get(t.Context(), "endless"); err != nil || e.Expires.Year() < 2200 {
			t.Errorf("an entry of centuries expires at %v, %v", e.Expires, err)
		}
		n, slots := 0, 0
		s.view(func(tx *bbolt.Tx) error {
			n, slots = tx.Bucket(entriesBucket).Stats().KeyN, tx.Bucket(expiryBucket).Stats().KeyN
			return nil
		})
		if n != 2 || slots != 1 {
			t.Errorf("%d entries and %d places in the index are left, want 2 and 1", n, slots)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, filepath.Join(t.TempDir(), "store.db"), Config{noSync: true})
		put(t, s, "a", "x", time.Hour)
		stuck, err := s.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 * pageSize {
			put(t, s, strconv.Itoa(i), "x", 0)
		}
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() {
				for {
					if _, err := s.Put(t.Context(), "b", nil, store.AnyRev, 0); err != nil {
						if !errors.Is(err, store.ErrUnavailable) {
							t.Errorf("put while closing: %v", err)
						}
						return
					}
				}
			})
		}
		closeStore(t, s)
		group.Wait()
		for range stuck {
			// Only the end of the channel matters.
		}
		_, getErr := s.Get(t.Context(), "a")
		_, watchErr := s.Watch(t.Context(), "")
		delErr := s.Delete(t.Context(), "a", store.AnyRev)
		var scanErr error
		for _, scanErr = range s.Scan(t.Context(), "") {
		}
		for _, err := range []error{getErr, watchErr, delErr, scanErr} {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("a closed store says %v, want unavailable", err)
			}
		}
	})
}

// TestReset: a watcher that falls too far behind is told, and ends at the truth.
func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, filepath.Join(t.TempDir(), "store.db"), Config{noSync: true})
		put(t, s, "n.gone", "x", 0)
		ch, err := s.watch(t.Context(), "n", 50)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		const keys = 500
		for i := range keys {
			put(t, s, store.Key("n", strconv.Itoa(i)), "x", 0)
		}
		if err := s.Delete(t.Context(), "n.gone", store.AnyRev); err != nil {
			t.Fatal(err)
		}
		if w := s.watchers[0]; len(w.queue) > 50 {
			t.Errorf("%d keys wait, want at most 50", len(w.queue))
		}
		resets, synced := 0, false
		known := map[string]bool{}
		for quiet := false; !quiet; {
			select {
			case e := <-ch:
				switch e.Kind {
				case store.Reset:
					resets++
					synced = false
					clear(known)
				case store.Synced:
					synced = true
				case store.Put:
					known[e.Entry.Key] = true
				}
			case <-time.After(time.Second):
				quiet = true
			}
		}
		if resets == 0 || !synced {
			t.Errorf("%d resets, synced is %v", resets, synced)
		}
		if len(known) != keys || known["n.gone"] {
			t.Errorf("after %d resets %d keys are known, want %d", resets, len(known), keys)
		}
		put(t, s, "n.more", "x", 0)
		if e := <-ch; e.Entry.Key != "n.more" {
			t.Errorf("after a reset came %v of %s", e.Kind, e.Entry.Key)
		}
	})
}

// TestWithdrawn: a write whose caller has left before its turn is not done.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := open(filepath.Join(t.TempDir(), "store.db"), Config{noSync: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// Nobody commits yet.
		if _, err := s.Put(ctx, "a", nil, 0, 0); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("a put that never came up says %v", err)
		}
		for range queueSize - 1 {
			s.requests <- &request{done: make(chan struct{}, 1)}
		}
		full, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Put(full, "b", nil, 0, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a put that found no place in the queue says %v", err)
		}
		go newCommitter(s).run()
		defer s.Close()
		put(t, s, "c", "x", 0)
		for _, k := range []string{"a", "b"} {
			if _, err := s.Get(t.Context(), k); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("get %s: %v, want not found", k, err)
			}
		}
	})
}

// TestMaxSize: a file of the greatest size refuses what does not fit, and
// nothing else.
func TestMaxSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		s := newStore(t, path, Config{MaxSize: 16 << 20, noSync: true})
		fillUp(t, s, 256<<10)
		if info, err := os.Stat(path); err != nil || info.Size() > 16<<20+reserve {
			t.Errorf("the file has %d bytes, %v", info.Size(), err)
		}
	})
}

// fillUp puts until the disk is full, and demands that everything but large
// writes goes on.
func fillUp(t testing.TB, s *Store, size int) {
	ctx := context.Background()
	ch, err := s.Watch(ctx, "short")
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "short", "x", time.Second)
	put(t, s, "small", "x", 0)
	big := make([]byte, size)
	full := 0
	for i := 0; full < 20; i++ {
		_, err := s.Put(ctx, store.Key("n", strconv.Itoa(i)), big, 0, 0)
		switch {
		case errors.Is(err, store.ErrUnavailable):
			full++
		case err != nil:
			t.Fatal(err)
		case i > 100_000:
			t.Fatal("the store is never full")
		}
	}
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			if w%2 == 0 {
				if _, err := s.Put(ctx, store.Key("m", strconv.Itoa(w)), big, 0, 0); err != nil && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("a large put says %v", err)
				}
				return
			}
			// Next to a large value it would have to write that too.
			if _, err := s.Put(ctx, store.Key("m", strconv.Itoa(w)), []byte("small"), 0, 0); err != nil && size < 4096 {
				t.Errorf("a small put among large ones: %v", err)
			}
		})
	}
	group.Wait()
	if _, err := s.Get(ctx, "small"); err != nil {
		t.Errorf("get: %v", err)
	}
	if err := s.Delete(ctx, "n.0", store.AnyRev); err != nil {
		t.Errorf("delete: %v", err)
	}
	for e := range ch {
		if e.Kind == store.Expire {
			break
		}
	}
	for i := range 2 {
		if err := s.Delete(ctx, store.Key("n", strconv.Itoa(i+1)), store.AnyRev); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := s.Put(ctx, "again", big, 0, 0); err != nil {
		t.Errorf("put after deletion: %v", err)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "store.db")
	s := newStore(t, path, Config{})
	put(t, s, "a", "x", 0)
	closeStore(t, s)
	if err := os.Chmod(path, 0o644); err != nil { // as a copy may come back
		t.Fatal(err)
	}
	newStore(t, path, Config{})
	for name, want := range map[string]os.FileMode{path: 0o600, dir: 0o700, filepath.Dir(dir): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}
