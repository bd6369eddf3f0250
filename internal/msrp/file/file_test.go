package file

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"imp/internal/doc/sdp"
)

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open1(t *testing.T, name string, data []byte) *Source {
	t.Helper()
	s, err := Open(write(t, name, data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var data = bytes.Repeat([]byte("0123456789\r\n"), 1000)

func TestSource(t *testing.T) {
	s := open1(t, "a.txt", data)
	t.Run("FILE-003 FILE-004 size and hash of the file", func(t *testing.T) {
		sum := sha1.Sum(data)
		if s.Size != int64(len(data)) || len(s.Hashes) != 2 || !bytes.Equal(s.Hashes[0].Sum, sum[:]) || s.Hashes[1].Algorithm != "sha-256" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("FILE-005 ids of 32 characters, never the same", func(t *testing.T) {
		seen := map[string]bool{}
		for range 1000 {
			id := s.Offer(nil).ID
			if len(id) != 32 || seen[id] || strings.ContainsAny(id, "_/+=\" ") {
				t.Fatalf("%q", id)
			}
			seen[id] = true
		}
	})
	t.Run("FILE-012 an offer has type, size and hash, a stream its type", func(t *testing.T) {
		if f := s.Offer(nil); f.Check() != nil || f.Size < 0 || f.Type == "" || f.Hashes == nil {
			t.Errorf("%+v", f)
		}
		if f := Stream(strings.NewReader("x"), "x.unknown").Offer(nil); f.Check() != nil || f.Size >= 0 || f.Type != OctetStream || f.Hashes != nil {
			t.Errorf("%+v", f)
		}
	})
	t.Run("FILE-009 FILE-027 exactly the octets of a range", func(t *testing.T) {
		for _, r := range []sdp.Range{{Start: 1, Stop: 100}, {Start: 1001}, {Start: 5, Stop: 5}, {Start: int64(len(data)) + 1}} {
			body, size, err := s.Part(&r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(body)
			want := data[r.Start-1:]
			if r.Stop > 0 {
				want = data[r.Start-1 : r.Stop]
			}
			if !bytes.Equal(got, want) || size != int64(len(want)) {
				t.Errorf("%v: %d octets", r, len(got))
			}
		}
		for _, r := range []sdp.Range{{Start: int64(len(data)) + 2}, {Start: 1, Stop: int64(len(data)) + 1}} {
			if _, _, err := s.Part(&r); err == nil {
				t.Errorf("%v is there", r)
			}
		}
	})
	t.Run("FILE-010 the header field says the same", func(t *testing.T) {
		f := s.Offer(nil)
		d := Disposition(f)
		if !strings.HasPrefix(d, "attachment; ") || !strings.Contains(d, "filename=a.txt") || !strings.Contains(d, "size=12000") || !strings.Contains(d, "modification-date=") {
			t.Error(d)
		}
	})
	spooled, err := Spool(bytes.NewReader(data), "dir.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer spooled.Close()
	if body, n, err := spooled.Part(nil); err != nil || n != 12000 || !bytes.Equal(spooled.Hashes[0].Sum, s.Hashes[0].Sum) {
		t.Errorf("%d, %v", n, err)
	} else if got, _ := io.ReadAll(body); !bytes.Equal(got, data) {
		t.Errorf("%d octets", len(got))
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNotFile) {
		t.Error(err)
	}
}

func TestPull(t *testing.T) {
	a, b := open1(t, "a.txt", data), open1(t, "b.txt", []byte("other"))
	files := []*Source{a, b}
	t.Run("FILE-013 an offer to receive has a selector and an id", func(t *testing.T) {
		if _, err := Pull(sdp.File{Size: -1}, nil); err == nil {
			t.Error("an offer of no file")
		}
		f, err := Pull(sdp.File{Size: -1, Name: "a.txt", Disposition: "attachment"}, nil)
		if err != nil || f.ID == "" || f.Disposition != "" {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("FILE-018 the answer has hash, id and range", func(t *testing.T) {
		offer := &sdp.File{Size: -1, Hashes: a.Hashes[:1], ID: "x", Range: &sdp.Range{Start: 5}}
		s, f, err := Choose(offer, files)
		if err != nil || s != a || f.ID != "x" || f.Hash("sha-1") == nil || *f.Range != *offer.Range {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("FILE-019 selectors are all to match, and one file only", func(t *testing.T) {
		for _, c := range []struct {
			f    sdp.File
			want error
		}{
			{sdp.File{Size: -1, Type: "text/plain"}, ErrMany},
			{sdp.File{Size: 5, Type: "text/plain"}, nil},
			{sdp.File{Size: 6, Name: "b.txt"}, ErrNoMatch},
			{sdp.File{Size: -1, Name: "b.txt", Type: "image/png"}, ErrNoMatch},
		} {
			if _, _, err := Choose(&c.f, files); err != c.want {
				t.Errorf("%+v: %v", c.f, err)
			}
		}
	})
	t.Run("FILE-020 a file with another hash is not meant", func(t *testing.T) {
		if _, _, err := Choose(&sdp.File{Size: -1, Name: "a.txt", Hashes: b.Hashes}, files); err != ErrNoMatch {
			t.Error(err)
		}
	})
}

func TestLedger(t *testing.T) {
	var l Ledger
	a := sdp.File{ID: "1", Name: "a", Size: 5}
	judge := func(id, name string) Verdict {
		f := a
		f.ID, f.Name = id, name
		v, _ := l.Judge(&f)
		return v
	}
	t.Run("FILE-022 FILE-023 ids and files, known and new", func(t *testing.T) {
		for _, c := range []struct {
			id, name string
			want     Verdict
		}{{"1", "a", New}, {"1", "a", Known}, {"2", "a", Again}, {"3", "b", New}, {"1", "b", Conflict}, {"1", "a", Known}} {
			if got := judge(c.id, c.name); got != c.want {
				t.Errorf("%+v: %d", c, got)
			}
		}
	})
}

// receive writes data and finishes.
func receive(t *testing.T, cfg SinkConfig, want *sdp.File, data []byte) (string, bool, error) {
	t.Helper()
	s, err := Create(cfg, want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(data); err != nil {
		_ = s.Abort(false)
		return "", false, err
	}
	return s.Finish()
}

func TestSink(t *testing.T) {
	src := open1(t, "a.txt", data)
	offer := src.Offer(nil)
	t.Run("a whole file", func(t *testing.T) {
		cfg := SinkConfig{Dir: t.TempDir()}
		for _, name := range []string{"a.txt", "a (1).txt"} {
			path, complete, err := receive(t, cfg, offer, data)
			got, _ := os.ReadFile(path)
			info, _ := os.Stat(path)
			if err != nil || !complete || filepath.Base(path) != name || !bytes.Equal(got, data) || info.Mode().Perm() != 0o600 {
				t.Errorf("%s, %v, %v", path, info, err)
			}
		}
		cfg.Force = true
		if path, _, err := receive(t, cfg, offer, data); err != nil || filepath.Base(path) != "a.txt" {
			t.Error(path, err)
		}
		if left, _ := filepath.Glob(filepath.Join(cfg.Dir, "*.part")); left != nil {
			t.Error(left)
		}
	})
	t.Run("FILE-031 one octet is wrong, missing or too many", func(t *testing.T) {
		wrong := bytes.Clone(data)
		wrong[5] ^= 1
		for name, c := range map[string]struct {
			data []byte
			want error
		}{"wrong": {wrong, ErrHash}, "short": {data[1:], ErrShort}, "long": {append(bytes.Clone(data), 'x'), ErrLong}} {
			cfg := SinkConfig{Dir: t.TempDir()}
			if path, _, err := receive(t, cfg, offer, c.data); !errors.Is(err, c.want) {
				t.Errorf("%s: %s, %v", name, path, err)
			}
			if _, err := os.Stat(filepath.Join(cfg.Dir, "a.txt")); err == nil {
				t.Errorf("%s: it is there as if it were complete", name)
			}
		}
	})
	t.Run("FILE-033 a transfer that was cut goes on, and the hash is of it all", func(t *testing.T) {
		cfg, half := SinkConfig{Dir: t.TempDir()}, int64(len(data)/2)
		cut := func() {
			s, err := Create(cfg, offer)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = s.Write(data[:half+77])
			_ = s.Abort(true)
		}
		cut()
		rest := src.Offer(&sdp.Range{Start: half + 1})
		if rest.ID == offer.ID || !bytes.Equal(rest.Hash("sha-1"), offer.Hash("sha-1")) {
			t.Errorf("%+v", rest)
		}
		body, _, _ := src.Part(rest.Range)
		tail, _ := io.ReadAll(body)
		path, complete, err := receive(t, cfg, rest, tail)
		got, _ := os.ReadFile(path)
		if err != nil || !complete || !bytes.Equal(got, data) {
			t.Errorf("%d octets, %v", len(got), err)
		}
		cut()
		changed := open1(t, "a.txt", append([]byte("x"), data[1:]...))
		if _, _, err := receive(t, cfg, changed.Offer(&sdp.Range{Start: half + 1}), tail); err != ErrHash {
			t.Error(err)
		}
		if _, err := Create(cfg, rest); err != ErrMissing {
			t.Errorf("nothing is here: %v", err)
		}
	})
	t.Run("FILE-043 sizes", func(t *testing.T) {
		cfg := SinkConfig{Dir: t.TempDir(), MaxSize: 100}
		if _, err := Create(cfg, offer); err != ErrTooLarge {
			t.Error(err)
		}
		if _, _, err := receive(t, cfg, Stream(nil, "x").Offer(nil), data); err != ErrTooLarge {
			t.Error(err)
		}
	})
	t.Run("FILE-042 files and links of others ending in .part stay as they are", func(t *testing.T) {
		cfg, elsewhere := SinkConfig{Dir: t.TempDir()}, filepath.Join(t.TempDir(), "elsewhere")
		part := filepath.Join(cfg.Dir, "a.txt.part")
		if err := os.WriteFile(part, []byte("precious"), 0o644); err != nil {
			t.Fatal(err)
		}
		path, _, err := receive(t, cfg, offer, data)
		info, _ := os.Stat(path)
		kept, _ := os.ReadFile(part)
		if err != nil || filepath.Base(path) != "a.txt" || info.Mode().Perm() != 0o600 || string(kept) != "precious" {
			t.Errorf("%s, %v, %v: %q is left", path, info, err, kept)
		}
		if _, err := Create(cfg, src.Offer(&sdp.Range{Start: 2})); err != ErrMissing {
			t.Error(err)
		}
		_ = os.Remove(part)
		if err := os.Symlink(elsewhere, part); err != nil {
			t.Skip(err)
		}
		path, _, err = receive(t, cfg, offer, data)
		if _, there := os.Lstat(elsewhere); err != nil || filepath.Base(path) != "a (1).txt" || there == nil {
			t.Errorf("%s, %v, %v", path, err, there)
		}
	})
	t.Run("two at a time", func(t *testing.T) {
		cfg := SinkConfig{Dir: t.TempDir()}
		s, err := Create(cfg, offer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Create(cfg, src.Offer(&sdp.Range{Start: 2})); err != ErrBusy {
			t.Error(err)
		}
		if path, _, err := receive(t, cfg, offer, data); err != nil || filepath.Base(path) != "a.txt" {
			t.Error(path, err)
		}
		_, _ = s.Write(data)
		if path, _, err := s.Finish(); err != nil || filepath.Base(path) != "a (1).txt" {
			t.Error(path, err)
		}
		cfg.Dir = t.TempDir()
		if s, err = Create(cfg, offer); err != nil {
			t.Fatal(err)
		}
		_ = s.Abort(false)
		if left, _ := os.ReadDir(cfg.Dir); len(left) > 0 {
			t.Error(left)
		}
	})
}

func TestThrough(t *testing.T) {
	src := open1(t, "a.txt", data)
	offer := src.Offer(nil)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{"right": {data, nil}, "short": {data[1:], ErrShort}, "wrong": {bytes.Repeat([]byte("x"), len(data)), ErrHash}} {
		var out bytes.Buffer
		s, err := Through(&out, offer, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(c.data); err != nil || !bytes.Equal(out.Bytes(), c.data) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := s.Finish(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Through(io.Discard, src.Offer(&sdp.Range{Start: 2}), 0); err != ErrMissing {
		t.Error(err)
	}
}

func TestWrap(t *testing.T) {
	t.Run("FILE-028 a wrapper is put round a file, and taken off", func(t *testing.T) {
		r, n := Wrap("sip:a@h", "sip:b@h", "image/png", "attachment; filename=x", bytes.NewReader(data), int64(len(data)))
		all, _ := io.ReadAll(r)
		if int64(len(all)) != n {
			t.Errorf("%d octets, told %d", len(all), n)
		}
		w, err := Unwrap(bytes.NewReader(all))
		if err != nil || w.From != "sip:a@h" || w.To != "sip:b@h" || w.Type != "image/png" || w.Disposition != "attachment; filename=x" {
			t.Fatalf("%+v, %v", w, err)
		}
		if got, err := io.ReadAll(w.Body); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d octets, %v", len(got), err)
		}
	})
	for _, bad := range []string{"", "From: <a>\r\n", "From: <a>\r\n\r\n", "x\r\n\r\n", strings.Repeat("A: b\r\n", 20000)} {
		if w, err := Unwrap(strings.NewReader(bad)); err == nil {
			t.Errorf("%.20q: %+v", bad, w)
		}
	}
}

func TestSafeName(t *testing.T) {
	t.Run("FILE-042 names that peers give", func(t *testing.T) {
		for name, want := range map[string]string{
			"a.txt": "a.txt", "../../x": "x", `C:\x`: "x", `..\x`: "x", "%2e%2e%2f": "%2e%2e%2f", "a\x00b\r\n": "ab", "..": "file", "": "file", ".bashrc": "bashrc",
			"NUL": "_NUL", "com1.txt": "_com1.txt", "aa:b|c": "aa_b_c", "x.": "x", "/": "file", "a\u202egpj.exe": "agpj.exe", "grüße\xff": "grüße", "C:x": "x",
			strings.Repeat("ü", 200): strings.Repeat("ü", 115),
		} {
			if got := SafeName(name); got != want {
				t.Errorf("%q: %q, want %q", name, got, want)
			}
		}
	})
}

func FuzzSafeName(f *testing.F) {
	f.Add("../../etc/passwd")
	f.Add("a\\b:c\x00")
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		if got == "" || got == "." || got == ".." || strings.ContainsAny(got, "/\\\x00\r\n:") || len(got) > maxName+1 || strings.HasPrefix(got, ".") || filepath.Base(got) != got {
			t.Fatalf("%q: %q", name, got)
		}
	})
}

// TestOpenPlain: what others name is read only if it is a file itself, and nobody waits for it.
func TestOpenPlain(t *testing.T) {
	dir := t.TempDir()
	plain, link, pipe := filepath.Join(dir, "plain"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(plain, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := OpenPlain(plain)
	if err != nil || s.Size != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	s.Close()
	if _, err := OpenPlain(link); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link: %v", err)
	}
	if _, err := OpenPlain(pipe); !errors.Is(err, ErrNotFile) {
		t.Errorf("a pipe: %v", err)
	}
}
