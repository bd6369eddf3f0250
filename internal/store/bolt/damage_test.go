package bolt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"imp/internal/store"
)

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := newStore(t, path, Config{})
	if _, err := Open(path, Config{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second opener gets %v", err)
	}
	put(t, s, "a", "x", 0)
	closeStore(t, s)
	newStore(t, path, Config{})
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	long := filepath.Join(dir, "long")
	for name, content := range map[string]string{text: "hello\n", long: strings.Repeat("hello\n", 10_000)} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "other")
	later := filepath.Join(dir, "later")
	for name, bucket := range map[string]string{other: "something", later: string(metaBucket)} {
		db, err := bbolt.Open(name, 0o644, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte(bucket))
			if err != nil {
				return err
			}
			return b.Put([]byte("format"), []byte("2"))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{text, long, other, later} {
		before, _ := os.ReadFile(name)
		_, err := Open(name, Config{})
		if !errors.Is(err, ErrForeign) {
			t.Errorf("opening %s: %v", filepath.Base(name), err)
		}
		after, _ := os.ReadFile(name)
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o644 || string(before) != string(after) {
			t.Errorf("opening %s changed it", filepath.Base(name))
		}
	}
	if _, err := Open(dir, Config{}); err == nil || errors.Is(err, ErrForeign) {
		t.Errorf("opening a directory: %v", err)
	}
	if _, err := Open(filepath.Join(text, "x"), Config{}); err == nil {
		t.Error("a file serves as directory")
	}
}

// sample is the content of a store with pages of every kind, and the entries it
// holds.
func sample(t testing.TB) ([]byte, map[string]string) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := newStore(t, path, Config{noSync: true})
	want := map[string]string{}
	for i := range 150 {
		k, v := store.Key("n", strconv.Itoa(i)), strings.Repeat(strconv.Itoa(i), 200)
		if i == 70 {
			v = strings.Repeat(v, 20) // takes several pages
		}
		put(t, s, k, v, time.Duration(i%2)*time.Hour)
		want[k] = v
	}
	for i := range 20 {
		k := store.Key("n", strconv.Itoa(i))
		if err := s.Delete(context.Background(), k, store.AnyRev); err != nil {
			t.Fatal(err)
		}
		delete(want, k)
	}
	size := int64(0)
	s.view(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	closeStore(t, s)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw[:size], want
}

func TestTruncated(t *testing.T) {
	raw, _ := sample(t)
	path := filepath.Join(t.TempDir(), "store.db")
	for _, n := range []int{1, 100, 4096, 5000, 8192, 12288, len(raw) / 2, len(raw) - 4096, len(raw) - 1} {
		if err := os.WriteFile(path, raw[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Config{noSync: true}); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
			t.Errorf("%d of %d bytes are opened: %v", n, len(raw), err)
		}
	}
}

// TestDamaged changes the file at random: either it is refused, or the change
// was where nothing is, and then it serves and takes writes.
func TestDamaged(t *testing.T) {
	raw, want := sample(t)
	path := filepath.Join(t.TempDir(), "store.db")
	rounds := 400
	if os.Getenv("IMP_LONG") != "" {
		rounds = 20_000
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for round := range rounds {
		bad := append([]byte(nil), raw...)
		what := damage(bad, rnd)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Config{noSync: true})
		if err != nil {
			refused++
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
				t.Fatalf("round %d: %s: %v", round, what, err)
			}
			continue
		}
		serves(t, s, want, what)
		closeStore(t, s)
	}
	if refused < rounds/2 {
		t.Errorf("%d of %d damaged files were refused", refused, rounds)
	}
}

// damage changes b and tells how.
func damage(b []byte, rnd *rand.Rand) string {
	page := rnd.IntN(len(b)/4096) * 4096
	switch rnd.IntN(4) {
	case 0: // in the head of a page
		at := page + rnd.IntN(32)
		b[at] ^= 1 << rnd.IntN(8)
		return fmt.Sprintf("bit flipped at %d", at)
	case 1:
		at := rnd.IntN(len(b))
		b[at] ^= 1 << rnd.IntN(8)
		return fmt.Sprintf("bit flipped at %d", at)
	case 2:
		clear(b[page : page+4096])
		return fmt.Sprintf("page at %d lost", page)
	}
	from := rnd.IntN(len(b)/4096) * 4096
	copy(b[page:page+4096], b[from:from+4096])
	return fmt.Sprintf("page at %d written to %d", from, page)
}

// serves demands that s holds want, or at least an earlier state of it when the
// newest meta page was lost, and that writes do no harm or are refused.
func serves(t *testing.T, s *Store, want map[string]string, what string) {
	for range 2 {
		n := 0
		for e, err := range s.Scan(t.Context(), "n") {
			if err != nil {
				t.Fatalf("%s: scan: %v", what, err)
			}
			if v, ok := want[e.Key]; ok && v != string(e.Value) {
				t.Fatalf("%s: %s holds %.20q", what, e.Key, e.Value)
			}
			n++
		}
		if n < len(want) || n > len(want)+1 {
			t.Fatalf("%s: %d entries, want %d", what, n, len(want))
		}
		for i := range 20 {
			if _, err := s.Put(t.Context(), store.Key("m", strconv.Itoa(i)), []byte(strings.Repeat("x", 700)), store.AnyRev, time.Hour); err != nil {
				// Keys of inner pages have no check; the first write sees it.
				if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, ErrDamaged) {
					t.Fatalf("%s: put: %v", what, err)
				}
				return
			}
		}
	}
}
