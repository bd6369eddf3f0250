package kit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestState(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := Recorded("", "", "XDG_STATE_HOME="+dir)
	st := New(s).State()
	type tag struct{ ETag string }
	var got tag
	if ok, err := st.Get("publish/sip:alice@example.com/presence", &got); ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	for _, v := range []string{"one", "two"} {
		if err := st.Put("publish/sip:alice@example.com/presence", tag{v}); err != nil {
			t.Fatal(err)
		}
		if ok, err := st.Get("publish/sip:alice@example.com/presence", &got); !ok || err != nil || got.ETag != v {
			t.Errorf("%v, %v, %v", ok, err, got)
		}
	}
	filepath.Walk(dir, func(path string, info os.FileInfo, _ error) error {
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if path != dir && info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return nil
	})
	files, _ := filepath.Glob(filepath.Join(dir, "imp", "publish", "*", "*"))
	if len(files) != 1 {
		t.Errorf("%q, want one file and nothing temporary", files)
	}
	os.WriteFile(files[0], []byte("{"), 0o600)
	if _, err := st.Get("publish/sip:alice@example.com/presence", &got); exitOf(err) != ExitUsage {
		t.Error(err)
	}
	for range 2 {
		if err := st.Delete("publish/sip:alice@example.com/presence"); err != nil {
			t.Error(err)
		}
	}
	if ok, _ := st.Get("publish/sip:alice@example.com/presence", &got); ok {
		t.Error("still there")
	}
}

func TestStateStaysInItsDirectory(t *testing.T) {
	st := &State{"/state"}
	seen := map[string]string{}
	for _, key := range []string{"a", "a/b", "..", "../x", "a/../../b", ".", "", "/etc/passwd", "a//b", "%2E%2E", "a%", "A", "a b", "a\x00", "a/.", "...", "a.json", "a/b.lock"} {
		name := st.file(key)
		if !strings.HasPrefix(name, "/state/") || strings.Contains(name, "/../") || filepath.Clean(name) != name {
			t.Errorf("%q is kept in %s", key, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q share %s", key, other, name)
		}
		seen[name] = key
	}
}

func TestStateLock(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st := &State{dir}
		unlock, err := st.Lock(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := st.Lock(ctx, "k"); exitOf(err) != ExitTimeout {
			t.Fatalf("a second lock: %v", err)
		}
		if other, err := st.Lock(t.Context(), "other"); err != nil {
			t.Error(err)
		} else {
			other()
		}
		if info, err := os.Stat(filepath.Join(dir, "sub")); err == nil {
			t.Errorf("%v is there already", info.Name())
		}
		if deep, err := st.Lock(t.Context(), "sub/k"); err != nil {
			t.Error(err)
		} else if info, _ := os.Stat(filepath.Join(dir, "sub")); info.Mode().Perm() != 0o700 {
			t.Errorf("the directory has mode %o", info.Mode().Perm())
		} else {
			deep()
		}
		got := make(chan error, 1)
		go func() {
			again, err := st.Lock(t.Context(), "k")
			if err == nil {
				again()
			}
			got <- err
		}()
		<-time.After(time.Minute)
		if len(got) > 0 {
			t.Fatalf("locked twice: %v", <-got)
		}
		unlock()
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

func TestWriteFileReplacesInOneStep(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "sub", "f")
	if err := WriteFile(name, []byte("a")); err != nil {
		t.Fatal(err)
	}
	old, _ := os.Open(name)
	defer old.Close()
	if err := WriteFile(name, []byte("bb")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if n, _ := old.Read(b); string(b[:n]) != "a" {
		t.Errorf("a reader of the old file sees %q", b[:n])
	}
	os.Mkdir(filepath.Join(dir, "d"), 0o700)
	if err := WriteFile(filepath.Join(dir, "d"), nil); exitOf(err) != ExitUsage {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".d*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestStateOfALab(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := Recorded("", dir, "XDG_STATE_HOME="+dir, "IMP_STATE=lab")
	k := New(s)
	if got, home := k.State().Dir(), k.StateHome(); got != filepath.Join(dir, "lab") || home != filepath.Join(dir, "imp") {
		t.Errorf("state in %s, the user's in %s", got, home)
	}
}
