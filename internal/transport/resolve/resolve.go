// Package resolve implements RFC 3263 (locating SIP servers) with the order of RFC 2782, the services of RFC 7118 for
// WebSocket and the rules for sips of RFC 5630, and RFC 3861 with the labels of RFC 5509 for pres and im URIs.
package resolve

// Target is a place to which a request can be sent.
type Target struct {
	Transport string // "udp", "tcp", "tls", "ws" or "wss"; "" = udp, or tcp for what is too large for it (RFC 3261 18.1.1)
	Addr      string // IP address and port
	Domain    string // name that a peer on TLS must prove: the host of the URI, whatever DNS said (RFC 5922 7)
}
