package kit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func exitOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Exit
	}
	return -1
}

func TestReadDocument(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "doc.xml"), []byte("<a/>"), 0o600)
	os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600)
	t.Run("a file", func(t *testing.T) {
		s, _, _ := Recorded("", dir)
		k := New(s)
		for range 2 {
			if data, err := k.ReadDocument("doc.xml"); err != nil || string(data) != "<a/>" {
				t.Errorf("%q, %v", data, err)
			}
		}
	})
	t.Run("stdin once", func(t *testing.T) {
		s, _, _ := Recorded("<b/>\n", dir)
		k := New(s)
		if data, err := k.ReadDocument("-"); err != nil || string(data) != "<b/>\n" {
			t.Errorf("%q, %v", data, err)
		}
		if _, err := k.ReadDocument("-"); exitOf(err) != ExitUsage || !strings.Contains(err.Error(), "only once") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a pipe", func(t *testing.T) {
		name := filepath.Join(dir, "pipe")
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
		go os.WriteFile(name, []byte("<c/>"), 0)
		s, _, _ := Recorded("", dir)
		if data, err := New(s).ReadDocument("pipe"); err != nil || string(data) != "<c/>" {
			t.Errorf("%q, %v", data, err)
		}
	})
	for name, input := range map[string]string{"-": " \n", "empty": "", "absent": "", ".": ""} {
		s, _, _ := Recorded(input, dir)
		if _, err := New(s).ReadDocument(name); exitOf(err) != ExitUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Run("a terminal is told about", func(t *testing.T) {
		s, _, errs := Recorded("x", dir)
		s.InTTY = true
		if _, err := New(s).ReadDocument("-"); err != nil || !strings.Contains(errs.String(), "Ctrl-D") {
			t.Errorf("%v, %q", err, errs)
		}
	})
}
