package stack

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender hands datagrams to the kernel one at a time. That never waits, so the runtime is not told of the system call: it
// would wake its monitor thread each time, which costs more than the rest of the work.
type sender struct {
	raw syscall.RawConn
	six bool // the socket is of IPv6, for IPv4 too

	mu    sync.Mutex // guards what follows
	data  []byte
	name  unix.RawSockaddrInet6
	size  uint32 // of name
	errno syscall.Errno
	call  func(fd uintptr) bool
}

// newSender is nil where pc is no socket of the kernel.
func newSender(pc packetConn) *sender {
	raw, six, ok := kernelSocket(pc)
	if !ok {
		return nil
	}
	w := &sender{raw: raw, six: six}
	w.call = w.write
	return w
}

// kernelSocket gives access to a socket of the kernel, and tells whether it is one of IPv6.
func kernelSocket(pc packetConn) (raw syscall.RawConn, six, ok bool) {
	c, ok := pc.(*net.UDPConn)
	if !ok {
		return nil, false, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, false, false
	}
	domain, failed := 0, error(nil)
	err = raw.Control(func(fd uintptr) { domain, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN) })
	return raw, domain == unix.AF_INET6, err == nil && failed == nil
}

// takes tells whether send can be called for an address.
func (w *sender) takes(to netip.AddrPort) bool { return w != nil && nameable(to, w.six) }

// nameable tells whether setName can write an address for a socket of IPv6 or of IPv4.
func nameable(to netip.AddrPort, six bool) bool {
	return to.Addr().Zone() == "" && (six || to.Addr().Is4())
}

// send sends one datagram. Its errors are those of the system call, and net.ErrClosed.
func (w *sender) send(b []byte, to netip.AddrPort) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.data, w.size = b, setName(&w.name, to, w.six)
	err := w.raw.Write(w.call)
	w.data = nil
	if err == nil && w.errno != 0 {
		err = w.errno
	}
	return err
}

// write is false when the kernel has no room.
func (w *sender) write(fd uintptr) bool {
	for {
		_, _, w.errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.data))), uintptr(len(w.data)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&w.name)), uintptr(w.size))
		if w.errno != unix.EINTR {
			return w.errno != unix.EAGAIN
		}
	}
}

// setName writes an address as the kernel has it, and gives its length.
func setName(name *unix.RawSockaddrInet6, to netip.AddrPort, six bool) uint32 {
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	binary.BigEndian.PutUint16(port[:], to.Port())
	if six {
		name.Family, name.Addr, name.Flowinfo, name.Scope_id = unix.AF_INET6, to.Addr().As16(), 0, 0
		return unix.SizeofSockaddrInet6
	}
	four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
	four.Family, four.Addr = unix.AF_INET, to.Addr().As4()
	return unix.SizeofSockaddrInet4
}
