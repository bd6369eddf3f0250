//go:build race

package tcp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// system reads or writes by calls that tell the race detector: what is done before a write is done before it is read.
func system(trap, fd uintptr, p []byte) (n int, errno syscall.Errno) {
	var err error
	if trap == unix.SYS_READ {
		n, err = syscall.Read(int(fd), p)
	} else {
		n, err = syscall.Write(int(fd), p)
	}
	errno, _ = err.(syscall.Errno)
	return n, errno
}
