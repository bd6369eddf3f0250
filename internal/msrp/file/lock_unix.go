//go:build unix

package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock takes a file for this process alone, until it is closed.
func lock(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
