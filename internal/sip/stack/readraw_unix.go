//go:build unix

package stack

import (
	"io"
	"net"
	"syscall"
)

// rawConn gives access to the socket of a TCP connection, nil where nc is none.
func rawConn(nc net.Conn) syscall.RawConn {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readReady waits until something is there to be read, and only then takes a buffer for it.
func readReady(raw syscall.RawConn) (buf *[]byte, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		b := readBuffers.Get().(*[]byte)
		n, err := syscall.Read(int(fd), (*b)[:cap(*b)])
		for err == syscall.EINTR {
			n, err = syscall.Read(int(fd), (*b)[:cap(*b)])
		}
		if n > 0 {
			*b = (*b)[:n]
			buf = b
			return true
		}
		readBuffers.Put(b)
		if err == nil {
			err = io.EOF
		}
		failed = err
		return err != syscall.EAGAIN
	})
	if err == nil && buf == nil {
		err = failed
	}
	return buf, err
}
