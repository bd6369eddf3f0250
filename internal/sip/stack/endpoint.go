package stack

import "context"

// Endpoint is a place to listen at.
type Endpoint struct {
	Transport string // "udp" or "tcp"
	Addr      string // host:port; IPv6 in brackets
}

// String is "transport:host:port", which ParseEndpoint reads.
func (e Endpoint) String() string { return e.Transport + ":" + e.Addr }

// ParseEndpoint reads "udp:127.0.0.1:5060", "sip+tcp:[::1]:0" or "127.0.0.1:5060". Without a transport the result is
// a udp and a tcp endpoint, in this order, which share their port (also when it is 0).
func ParseEndpoint(s string) ([]Endpoint, error) { return nil, nil }

// Listen binds all endpoints, or none, and starts to serve them. Endpoints with equal host and port 0 and different
// transports get one common port number. An address in use gives an error that wraps ErrInUse. ctx bounds the
// binding only; Close ends the listeners.
func (s *Stack) Listen(ctx context.Context, eps ...Endpoint) error { return nil }

// Addrs are the endpoints listened at, in the order given, with their real ports.
func (s *Stack) Addrs() []Endpoint { return nil }

// ContactHost is the "host:port" to put into a Contact that the peer at to ("host:port" or an address, "" = any) can
// reach over transport: Advertise, or the listener's address, for a wildcard that of the interface towards the peer.
// Without a listener of that transport the port is left out.
func (s *Stack) ContactHost(transport, to string) string { return "" }
