package stack

import (
	"context"
	"net"
	"net/netip"
)

// kind is a transport: how to listen, to dial, and what the protocol calls it. Streams of every kind share one
// connection type.
type kind struct {
	name   string // of endpoints
	via    string // in Via
	port   uint16 // default
	stream bool
	secure bool // TLS
	framed bool // WebSocket

	traffic traffic

	// The TCP connections below a stream.
	listen func(ctx context.Context, network, addr string) (net.Listener, error)
	dial   func(ctx context.Context, to netip.AddrPort, name string) (net.Conn, error)
}

// kinds are the transports of RFC 3261 and RFC 7118, with their default ports.
func kinds() map[string]*kind {
	var listen net.ListenConfig
	var dial net.Dialer
	all := map[string]*kind{"udp": {name: "udp", via: "UDP", port: 5060}}
	for _, k := range []*kind{
		{name: "tcp", via: "TCP", port: 5060},
		{name: "tls", via: "TLS", port: 5061, secure: true},
		{name: "ws", via: "WS", port: 80, framed: true},
		{name: "wss", via: "WSS", port: 443, secure: true, framed: true},
	} {
		k.stream = true
		k.listen = listen.Listen
		k.dial = func(ctx context.Context, to netip.AddrPort, _ string) (net.Conn, error) {
			return dial.DialContext(ctx, "tcp", to.String())
		}
		all[k.name] = k
	}
	return all
}

// named tells whether a connection is for one name only: it has proved it, or the peer's web server was told it.
func (k *kind) named() bool { return k.secure || k.framed }

// URITransport is the value of the parameter transport of a URI for one of our transports: ws stands for wss too
// (RFC 7118 5.2).
func URITransport(transport string) string {
	if transport == "wss" {
		return "ws"
	}
	return transport
}
