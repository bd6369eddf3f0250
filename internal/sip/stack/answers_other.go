//go:build !linux

package stack

import "net/netip"

// answers are sent one at a time here.
type answers struct{}

func (u *socket) queueAnswers() {}

func (a *answers) put(*[]byte, netip.AddrPort) bool { return false }

func (a *answers) run() {}

func (a *answers) flush() {}

func (a *answers) close() {}
