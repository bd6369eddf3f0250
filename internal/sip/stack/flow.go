package stack

import (
	"crypto/x509"
	"net"
	"net/netip"
)

// Flow is the way a message came: a stream connection, or a UDP listener with the address of the peer. The flow of a
// stream is the same pointer for all its messages.
type Flow struct {
	kind   *kind
	local  netip.AddrPort
	remote netip.AddrPort
	socket *socket // of datagrams
	conn   *conn   // of streams
}

// Transport is "udp", "tcp", "tls", "ws" or "wss".
func (f *Flow) Transport() string { return f.kind.name }

// Remote is the address of the peer.
func (f *Flow) Remote() netip.AddrPort { return f.remote }

// Local is the address at this end, for UDP that of the listener, which may be a wildcard.
func (f *Flow) Local() netip.AddrPort { return f.local }

// Stream tells whether the flow is a connection.
func (f *Flow) Stream() bool { return f.kind.stream }

// Secure tells whether the flow is protected by TLS.
func (f *Flow) Secure() bool { return f.kind.secure }

// Certificate is what the peer has proved with TLS: of a client where the server asks for certificates, of a server
// always. It is nil without TLS, and where the certificate was not checked.
func (f *Flow) Certificate() *x509.Certificate {
	if f.conn == nil {
		return nil
	}
	return f.conn.certificate
}

// Closed tells whether nothing can be sent any more: the connection is gone, or the listener.
func (f *Flow) Closed() bool {
	if f.conn != nil {
		return f.conn.dead.Load()
	}
	return f.socket.closed.Load()
}

// addrPort is the address of a net.Addr, never an IPv4 address dressed as IPv6.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
