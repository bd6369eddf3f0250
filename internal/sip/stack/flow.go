package stack

import "net/netip"

// Flow is the way a message came: a stream connection, or a UDP listener with the address of the peer. The flow of a
// stream is the same pointer for all its messages.
type Flow struct {
	transport string
	local     netip.AddrPort
	remote    netip.AddrPort
}

// Transport is "udp", "tcp", ….
func (f *Flow) Transport() string { return f.transport }

// Remote is the address of the peer.
func (f *Flow) Remote() netip.AddrPort { return f.remote }

// Local is the address at this end.
func (f *Flow) Local() netip.AddrPort { return f.local }

// Stream tells whether the flow is a connection.
func (f *Flow) Stream() bool { return f.transport != "udp" }

// Secure tells whether the flow is protected by TLS.
func (f *Flow) Secure() bool { return false }

// Closed tells whether nothing can be sent any more: the connection is gone, or the listener.
func (f *Flow) Closed() bool { return false }
