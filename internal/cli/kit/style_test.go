package kit

import (
	"strings"
	"testing"
	"time"
)

func TestColourOnlyWhereItIsWanted(t *testing.T) {
	for _, c := range []struct {
		flag string
		tty  bool
		env  []string
		want bool
	}{
		{"auto", true, nil, true},
		{"auto", false, nil, false},
		{"auto", true, []string{"NO_COLOR=1"}, false},
		{"auto", true, []string{"TERM=dumb"}, false},
		{"always", false, []string{"NO_COLOR=1"}, true},
		{"never", true, nil, false},
	} {
		s, _, _ := Recorded("", "", c.env...)
		s.OutTTY = c.tty
		k := New(s)
		k.color = c.flag
		painted := k.Style().Bad("x")
		if got := strings.Contains(painted, "\x1b["); got != c.want {
			t.Errorf("%+v: %q", c, painted)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text\n\tindented": "plain text\n\tindented",
		"grüße ☎":                "grüße ☎",
		"\x1b]0;owned\x07":       `\x1b]0;owned\x07`,
		"a\r\nb":                 "a\nb",
		"a\rb":                   `a\x0db`,
		"\u009b31m":              `\u009b31m`,
		"\u202egnp.exe":          `\u202egnp.exe`,
		"bad \xff byte":          `bad \xff byte`,
		"del \x7f":               `del \x7f`,
		"nul \x00":               `nul \x00`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := CleanLine("a\nb\tc"); got != `a\nb\tc` {
		t.Errorf("CleanLine: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Clean(s) {
			if hostile(r) || r == 0xfffd && !strings.ContainsRune(s, 0xfffd) {
				t.Errorf("%q leaves %q", s, r)
			}
		}
	})
}

func TestTable(t *testing.T) {
	var b strings.Builder
	s := &Style{Color: true}
	s.Table(&b, []string{"A", "B"}, [][]string{{s.Good("grün"), "x"}, {"y", ""}})
	want := "\x1b[1mA\x1b[0m     \x1b[1mB\x1b[0m\n\x1b[32mgrün\x1b[0m  x\ny     \n"
	if got := strings.ReplaceAll(b.String(), "\x1b[22m", "\x1b[0m"); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	b.Reset()
	s.Table(&b, []string{"A"}, nil)
	if b.Len() > 0 {
		t.Errorf("a table without rows prints %q", b.String())
	}
}

func TestTimeForPeople(t *testing.T) {
	s := &Style{Zone: time.FixedZone("", 3600)}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if got := s.Time(now.Add(-time.Hour), now); got != "12:00:00" {
		t.Error(got)
	}
	if got := s.Time(now.AddDate(-1, 0, 0), now); got != "2025-03-01 13:00:00" {
		t.Error(got)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"publish", "fetch", "subscribe", "watch", "watchers", "mood"}
	for word, want := range map[string]string{"pubish": "publish", "fecth": "fetch", "watc": "watch", "subs": "subscribe", "xyzzy": "", "FETCH": "fetch", "watchres": "watchers", "foo": "", "moo": "mood", "modo": "mood"} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
