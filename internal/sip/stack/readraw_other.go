//go:build !unix

package stack

import (
	"net"
	"syscall"
)

func rawConn(net.Conn) syscall.RawConn { return nil }

func readReady(syscall.RawConn) (*[]byte, error) { return nil, nil }
