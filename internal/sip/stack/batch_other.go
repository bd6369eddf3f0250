//go:build !linux

package stack

// receiver gives the function that waits for a datagram and queues it.
func (u *socket) receiver() func() error { return u.single() }
