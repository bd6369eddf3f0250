//go:build unix

package certs

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestReloadOfAPipe: a pipe in the place of a certificate would keep the reader for ever.
func TestReloadOfAPipe(t *testing.T) {
	a, dir := authority(t), t.TempDir()
	pair := files(t, a, dir, "server", "example.com")
	s, err := Load([]Pair{pair}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pair.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("got %v", err)
	}
}
