package tcp

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Conn is a connection. One goroutine reads it and one writes it at a time.
type Conn struct {
	*net.TCPConn
	raw    syscall.RawConn
	in     call
	out    call
	tryIn  func(fd uintptr) (done bool)
	tryOut func(fd uintptr)
	silent int // reads in a row that neither waited nor were told to the scheduler
}

// call is a system call on part of p.
type call struct {
	trap uintptr
	p    []byte
	n    int
	err  syscall.Errno
}

func newConn(t *net.TCPConn) *Conn {
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	c := &Conn{TCPConn: t, raw: raw, in: call{trap: unix.SYS_READ}, out: call{trap: unix.SYS_WRITE}}
	c.tryOut = func(fd uintptr) { c.out.do(fd) }
	c.tryIn = func(fd uintptr) bool {
		if c.in.do(fd) {
			return true
		}
		c.silent = 0 // it waits now
		return false
	}
	return c
}

// do makes the call, and reports whether there is a result; otherwise it would have to wait. Sockets of net never block.
func (c *call) do(fd uintptr) bool {
	for {
		if c.n, c.err = system(c.trap, fd, c.p); c.err != syscall.EINTR {
			return c.err != syscall.EAGAIN
		}
	}
}

// maxSilent is how many reads in a row the scheduler may not know of: it has to know of a goroutine that never waits, to
// let others go on.
const maxSilent = 16

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) {
	if c.silent++; len(p) == 0 || c.silent > maxSilent {
		c.silent = 0
		return c.TCPConn.Read(p)
	}
	c.in.p = p
	err := c.raw.Read(c.tryIn)
	c.in.p = nil
	switch {
	case err != nil:
		return 0, err
	case c.in.err != 0:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", c.in.err)}
	case c.in.n == 0:
		return 0, io.EOF
	}
	return c.in.n, nil
}

// TryWrite writes what can be written without waiting, maybe nothing.
func (c *Conn) TryWrite(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		c.out.p = p[done:]
		err := c.raw.Control(c.tryOut)
		c.out.p = nil
		switch {
		case err != nil:
			return done, err
		case c.out.err == syscall.EAGAIN:
			return done, nil
		case c.out.err != 0:
			return done, &net.OpError{Op: "write", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("write", c.out.err)}
		}
		done += c.out.n
	}
	return done, nil
}

// SetUnsent bounds how many bytes the kernel takes that it has not sent: what is there is in front of all that is
// written later. It is no error if it cannot.
func (c *Conn) SetUnsent(n int) {
	_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n) })
}
