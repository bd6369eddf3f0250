//go:build unix

package bolt

import (
	"os"
	"syscall"
)

// unlock gives up the lock that bbolt took. Closing the file does not while a
// map of it is left.
func unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
