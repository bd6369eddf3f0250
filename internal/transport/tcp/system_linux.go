//go:build !race

package tcp

import (
	"syscall"
	"unsafe"
)

// system reads or writes, unknown to the scheduler.
func system(trap, fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), err
}
