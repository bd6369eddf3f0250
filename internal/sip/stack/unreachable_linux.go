package stack

import (
	"encoding/binary"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// hearErrors asks the kernel to keep the ICMP errors that answer datagrams, with what they quote. For a socket that is
// not connected it would drop them otherwise, and a refused request would wait 32 seconds for nothing.
func (u *socket) hearErrors() {
	c, ok := u.pc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	err = raw.Control(func(fd uintptr) {
		// A socket for both families needs both; one for IPv4 has no options of IPv6.
		four := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		six := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		ok = four == nil || six == nil
	})
	if err == nil && ok {
		u.raw = raw
	}
}

// asICMP are the errors that the kernel makes of ICMP messages.
var asICMP = [...]syscall.Errno{
	unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENOPROTOOPT, unix.EACCES, unix.EPROTO,
	unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ENONET,
}

// belated tells whether an error of reading or writing may only say what an earlier datagram met. It takes from the
// kernel what is known about those.
func (u *socket) belated(err error) bool {
	if u.raw == nil || err == nil {
		return false
	}
	for _, e := range asICMP {
		if errors.Is(err, e) {
			u.refusals()
			return true
		}
	}
	return false
}

// maxRefusals are taken at one time.
const maxRefusals = 64

// refusals takes ICMP errors from the kernel and ends the transactions that they are about.
func (u *socket) refusals() {
	var (
		data    [1280]byte // as much as a router quotes; the branch stands in the second line
		control [256]byte
	)
	for range maxRefusals {
		n, oobn := -1, 0
		_ = u.raw.Control(func(fd uintptr) {
			var err error
			if n, oobn, _, _, err = unix.Recvmsg(int(fd), data[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT); err != nil {
				n = -1
			}
		})
		if n < 0 {
			return
		}
		if cause := fatal(control[:oobn]); cause != 0 {
			u.refused(data[:n], cause)
		}
	}
}

// fatal gives the error that an ICMP message stands for, 0 for one that does not count: what asks for shorter or fewer
// datagrams, and time exceeded (RFC 3261 18.4).
func fatal(control []byte) syscall.Errno {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		four := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		six := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !four && !six || len(m.Data) < 8 {
			continue
		}
		const (
			v4Unreachable, v4Fragmentation, v4Parameter = 3, 4, 12
			v6Unreachable, v6Parameter                  = 1, 4
		)
		// struct sock_extended_err
		errno, origin, kind, code := binary.NativeEndian.Uint32(m.Data), m.Data[4], m.Data[5], m.Data[6]
		switch {
		case origin == unix.SO_EE_ORIGIN_ICMP && (kind == v4Unreachable && code != v4Fragmentation || kind == v4Parameter),
			origin == unix.SO_EE_ORIGIN_ICMP6 && (kind == v6Unreachable || kind == v6Parameter):
			return syscall.Errno(errno)
		}
	}
	return 0
}
