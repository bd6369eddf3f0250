package relay

import (
	"net"

	"golang.org/x/sys/unix"
)

// notSent is how much may wait in the kernel to be sent. More would only be in front of what is sent beside a large
// message, where no chunk can be interrupted any more.
const notSent = 128 << 10

// setLowWater bounds what the kernel holds back of a connection. It is no error if it cannot.
func setLowWater(nc net.Conn) {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := t.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent) })
	}
}
