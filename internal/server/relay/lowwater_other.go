//go:build !linux

package relay

import "net"

// setLowWater does nothing where the kernel has no such bound.
func setLowWater(net.Conn) {}
