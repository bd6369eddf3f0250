// Package tcp makes connections over TCP (RFC 9293) cheap for what forwards much in small parts.
//
// On Linux, a read or write that need not wait is one system call that the scheduler is not told of: for connections
// that are quiet between two small reads, waking the scheduler's threads costs more than the call itself.
package tcp

import "net"

// Of gives a connection of net as one of this package; nil when it is none over TCP.
func Of(nc net.Conn) *Conn {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	return newConn(t)
}
