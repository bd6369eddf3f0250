//go:build linux

package bolt

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk: the disk refuses what goes beyond a size, in a process that has
// such a limit.
func TestFullDisk(t *testing.T) {
	const limited = "IMP_BOLT_TEST_FULL"
	path := os.Getenv(limited)
	if path == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), limited+"="+filepath.Join(t.TempDir(), "store.db"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	s := newStore(t, path, Config{noSync: true})
	limit := syscall.Rlimit{Cur: 12 << 20, Max: 12 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip(err)
	}
	fillUp(t, s, 1500)
	closeStore(t, s)
	newStore(t, path, Config{}) // inspects
}
