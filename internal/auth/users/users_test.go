package users

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

const home = "example.com"

// write makes a users file and gives its name.
func write(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func source(t testing.TB, cfg Config) *Source {
	t.Helper()
	if cfg.Realms == nil {
		cfg.Realms = []string{home}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForms(t *testing.T) {
	md5, sha := sum(algMD5, "carol:example.com:pw"), sum(algSHA256, "carol:example.com:pw")
	s := source(t, Config{
		Realms: []string{home, "example.org"}, Algorithms: []string{"SHA-256", "SHA-512-256", "MD5"},
		Entries: []string{"alice:secret"},
		File: write(t, "\ufeff# a comment\r\n\r\n   \n  # another\nbob: two words: and colons \r\ncarol:example.com:"+md5+
			"\ncarol:example.com:"+strings.ToUpper(sha)+"\nZoe\u0308:pa\u0308ss\ndave:short:00\n"),
	})
	for _, c := range []struct{ alg, realm, name, password string }{
		{"SHA-256", home, "alice", "secret"}, {"MD5", home, "alice", "secret"}, {"SHA-512-256", home, "alice", "secret"},
		{"SHA-256", "example.org", "alice", "secret"}, {"SHA-256", home, "bob", " two words: and colons "},
		{"MD5", home, "carol", "pw"}, {"SHA-256", home, "carol", "pw"}, {"MD5", home, "Zoë", "päss"}, {"MD5", home, "dave", "short:00"},
	} {
		want := sum(algorithm(c.alg), c.name+":"+c.realm+":"+c.password)
		if got, ok := s.HA1(c.alg, c.realm, c.name); !ok || got != want {
			t.Errorf("%v: %q %v", c, got, ok)
		}
		if got, ok := s.NameOf(c.alg, c.realm, sum(algorithm(c.alg), c.name+":"+c.realm)); !ok || got != c.name {
			t.Errorf("%v: the hashed name gives %q %v", c, got, ok)
		}
		if !s.Has(c.realm, c.name) {
			t.Errorf("%v is not there", c)
		}
	}
	for _, c := range [][3]string{{"SHA-512-256", home, "carol"}, {"MD5", "example.org", "carol"}, {"MD5", "other", "alice"},
		{"SHA-1", home, "alice"}, {"MD5", home, "mallory"}, {"MD5", home, "Alice"}, {"MD5", home, ""}} {
		if got, ok := s.HA1(c[0], c[1], c[2]); ok || got != "" {
			t.Errorf("%v: %q", c, got)
		}
		if got, ok := s.NameOf(c[0], c[1], sum(algMD5, c[2]+":"+c[1])); ok && got != "alice" {
			t.Errorf("%v: hashed name gives %q", c, got)
		}
	}
	if s.Len() != 5 || s.Has("other", "alice") || s.Has("example.org", "carol") {
		t.Errorf("%d users", s.Len())
	}
}

func TestErrors(t *testing.T) {
	hash := strings.Repeat("0", 32)
	for text, want := range map[string]string{
		"alice:a\nbob":                           ":2: want NAME:PASSWORD or NAME:REALM:HA1, and there is no colon",
		"\n:x":                                   ":2: the user name is empty",
		"a\x00b:x":                               ":1: the user name is empty",
		"\xff:x":                                 ":1: the user name is empty",
		"alice:":                                 ":1: the password is empty",
		"alice:\xff":                             ":1: the password is empty",
		"alice::" + hash:                         ":1: the realm before the hash is empty",
		"alice:a\n#\nalice:b":                    `:3: user "alice" is there already (`,
		"alice:a\nalice:example.com:" + hash:     `:2: user "alice" is there already (`,
		"alice:example.com:" + hash + "\nalice:": ":2: the password is empty",
		"alice:example.com:" + hash + "\nalice:pw":                    `:2: user "alice" is there already (`,
		"alice:example.com:" + hash + "\nalice:example.com:" + hash:   `:2: user "alice" is there already (`,
		"alice:secretword\n" + strings.Repeat("x", maxLine+1) + ":pw": ":2: the line is longer than 65536 bytes",
	} {
		_, err := New(Config{Realms: []string{home}, File: write(t, text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "secretword") || strings.Contains(err.Error(), hash)) {
			t.Errorf("%v shows a secret", err)
		}
	}
	for _, cfg := range []Config{
		{}, {Realms: []string{home}, Algorithms: []string{"SHA-1"}}, {Realms: []string{home}, File: "/nonexistent/users"},
		{Realms: []string{home}, Entries: []string{"alice"}}, {Realms: []string{home}, Entries: []string{"alice:a", "alice:b"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%v was taken", cfg)
		}
	}
}

func TestNotes(t *testing.T) {
	file := write(t, "alice:pw\ncarol:example.com:"+strings.Repeat("0", 32)+"\ndave:elsewhere:"+strings.Repeat("0", 64)+"\n")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	s := source(t, Config{File: file})
	want := []string{
		file + " holds passwords and others may read it; use mode 0600",
		`user "carol" has no SHA-256 hash for realm "example.com": clients that choose SHA-256 are refused`,
		`1 hashes are for realm "elsewhere", which is not served`,
	}
	if got := s.Notes(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if s.Len() != 2 {
		t.Errorf("%d users", s.Len())
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "user%d:example.com:%032x\n", i, i)
	}
	if n := len(source(t, Config{File: write(t, many.String())}).Notes()); n != maxNotes+1 {
		t.Errorf("%d notes", n)
	}
	if notes := source(t, Config{Entries: []string{"alice:pw"}}).Notes(); notes != nil {
		t.Errorf("%q", notes)
	}
}

func TestReload(t *testing.T) {
	file := write(t, "alice:old\nbob:pw\n")
	s := source(t, Config{Entries: []string{"root:pw"}, File: file})
	change := func(text string) error {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return s.Reload()
	}
	if err := change("alice:new\n"); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.HA1("MD5", home, "alice"); got != sum(algMD5, "alice:example.com:new") {
		t.Error("alice has the old password")
	}
	if s.Has(home, "bob") || !s.Has(home, "root") {
		t.Error("bob is still there, or root is not")
	}
	if err := change("alice:newer\nbroken\n"); err == nil {
		t.Error("a broken file was taken")
	}
	if got, _ := s.HA1("MD5", home, "alice"); got != sum(algMD5, "alice:example.com:new") {
		t.Error("a broken file changed the users")
	}
}

// TestReloadWhileInUse is for the race detector.
func TestReloadWhileInUse(t *testing.T) {
	s := source(t, Config{File: write(t, "alice:pw\n")})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if _, ok := s.HA1("SHA-256", home, "alice"); !ok {
					t.Error("alice was gone")
				}
			}
		})
	}
	for range 20 {
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestPasswordsAreNotKept(t *testing.T) {
	t.Run("NAM-059 hashes by algorithm, no clear text", func(t *testing.T) {
		s := source(t, Config{Entries: []string{"alice:clear-text-one"}, File: write(t, "bob:clear-text-two\n")})
		dump := fmt.Sprintf("%+v %+v %+v", s.cfg, s.entries, s.now.Load())
		for _, r := range s.now.Load().realms {
			dump += fmt.Sprintf("%+v", *r)
		}
		if strings.Contains(dump, "clear-text") {
			t.Error(dump)
		}
		if !strings.Contains(dump, sum(algSHA256, "bob:example.com:clear-text-two")) {
			t.Error("no hash in " + dump)
		}
	})
}

// FuzzFile reads any file: an error or users, and every user has a hash.
func FuzzFile(f *testing.F) {
	f.Add("# x\nalice:pw\ncarol:example.com:00000000000000000000000000000000\n")
	f.Add("a:b:c\r\n\ufeff\xff:")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := New(Config{Realms: []string{home}, File: write(t, text)})
		if err != nil {
			return
		}
		for name, h := range s.now.Load().realms[home].users {
			if name == "" || h == (hashes{}) || strings.Contains(name, ":") {
				t.Fatalf("%q: user %q %q", text, name, h)
			}
		}
	})
}

func BenchmarkHA1(b *testing.B) {
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, "user%d:password%d\n", i, i)
	}
	s := source(b, Config{File: write(b, text.String())})
	b.ReportAllocs()
	for b.Loop() {
		s.HA1("SHA-256", home, "user4711")
	}
}

func BenchmarkReload10000(b *testing.B) {
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, "user%d:password%d\n", i, i)
	}
	s := source(b, Config{File: write(b, text.String())})
	for b.Loop() {
		if err := s.Reload(); err != nil {
			b.Fatal(err)
		}
	}
}
