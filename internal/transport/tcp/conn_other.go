//go:build !linux

package tcp

import "net"

// Conn is a connection.
type Conn struct{ *net.TCPConn }

func newConn(t *net.TCPConn) *Conn { return &Conn{t} }

// TryWrite writes nothing: here, each write may wait.
func (c *Conn) TryWrite([]byte) (int, error) { return 0, nil }

// SetUnsent does nothing where the kernel has no such bound.
func (c *Conn) SetUnsent(int) {}
