//go:build unix

package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// ours reports whether a file can be one of a transfer: those are open to nobody else.
func ours(info os.FileInfo) bool { return info.Mode() == 0o600 }

// lock takes a file for this process alone, until it is closed.
func lock(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
