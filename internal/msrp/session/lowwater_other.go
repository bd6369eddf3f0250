//go:build !linux

package session

import "net"

// setLowWater does nothing where the kernel has no such bound.
func setLowWater(net.Conn) {}
