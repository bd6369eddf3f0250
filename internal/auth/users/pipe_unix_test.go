//go:build unix

package users

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestReloadOfAPipe: a pipe in the place of the file would keep the reader for ever.
func TestReloadOfAPipe(t *testing.T) {
	file := write(t, "alice:pw\n")
	s := source(t, Config{File: file})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("got %v", err)
	}
	if !s.Has(home, "alice") {
		t.Error("alice is gone")
	}
}
