package stack

import (
	"context"
	"net"
	"net/netip"
)

// kind is a transport: how to listen, to dial, and what the protocol calls it. Streams of every kind share one
// connection type; a further kind is one more entry in kinds.
type kind struct {
	name   string // of endpoints
	via    string // in Via
	port   uint16 // default
	stream bool
	secure bool

	traffic traffic

	// listen and dial are for streams. What they return carries bare SIP messages one after the other; a kind with
	// frames of its own translates.
	listen func(ctx context.Context, network, addr string) (net.Listener, error)
	dial   func(ctx context.Context, to netip.AddrPort, name string) (net.Conn, error)
	// accept does a handshake on an accepted connection, on the goroutine of that connection and with a deadline set;
	// nil = there is none.
	accept func(net.Conn) (net.Conn, error)
}

func kinds() map[string]*kind {
	var listen net.ListenConfig
	var dial net.Dialer
	return map[string]*kind{
		"udp": {name: "udp", via: "UDP", port: 5060},
		"tcp": {
			name: "tcp", via: "TCP", port: 5060, stream: true,
			listen: listen.Listen,
			dial: func(ctx context.Context, to netip.AddrPort, _ string) (net.Conn, error) {
				return dial.DialContext(ctx, "tcp", to.String())
			},
		},
	}
}

// Flow is the way a message came: a stream connection, or a UDP listener with the address of the peer. The flow of a
// stream is the same pointer for all its messages.
type Flow struct {
	kind   *kind
	local  netip.AddrPort
	remote netip.AddrPort
	socket *socket // of datagrams
	conn   *conn   // of streams
}

// Transport is "udp", "tcp", ….
func (f *Flow) Transport() string { return f.kind.name }

// Remote is the address of the peer.
func (f *Flow) Remote() netip.AddrPort { return f.remote }

// Local is the address at this end, for UDP that of the listener, which may be a wildcard.
func (f *Flow) Local() netip.AddrPort { return f.local }

// Stream tells whether the flow is a connection.
func (f *Flow) Stream() bool { return f.kind.stream }

// Secure tells whether the flow is protected by TLS.
func (f *Flow) Secure() bool { return f.kind.secure }

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
