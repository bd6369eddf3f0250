package session

import (
	"net"
	"syscall"
)

// notSent is how much may wait in the kernel to be sent: what is behind it in a large message would only be in the way
// of a small one.
const notSent = 128 << 10

const tcpNotSentLowAt = 25 // TCP_NOTSENT_LOWAT

// setLowWater bounds what the kernel holds back of a connection. It is no error if it cannot.
func setLowWater(nc net.Conn) {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := t.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, notSent)
		})
	}
}
