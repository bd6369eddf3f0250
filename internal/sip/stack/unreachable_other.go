//go:build !linux

package stack

// hearErrors does nothing: a refused datagram is noticed by the timeout of its transaction.
func (u *socket) hearErrors() {}

func (u *socket) belated(error) bool { return false }
