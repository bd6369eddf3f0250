package stack

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"imp/internal/auth/certs"
)

// Resolver turns a host name into addresses. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Record is one message as it was on the wire. Data is valid during the call only.
type Record struct {
	Time      time.Time
	Out       bool
	Transport string // "udp", "tcp", …
	Local     string // host:port
	Remote    string // host:port
	Data      []byte
}

// Config holds what a Stack is given from outside. The zero value works.
type Config struct {
	Log       *slog.Logger  // nil: nothing is logged
	T1        time.Duration // round-trip estimate, RFC 3261 17.1.1.1; 0 = 500 ms. Timers E, F and J follow from it
	Product   string        // value of Server, e.g. "imp/0.1"; "" = it is not sent
	Advertise string        // host[:port] for Via and Contact; "" = the address in use, for a wildcard the one of the interface towards the peer. Without a port each listener's own
	Resolver  Resolver      // A and AAAA only; nil = net.DefaultResolver
	Trace     func(Record)  // sees every message in and out, malformed ones too; must be safe for concurrent use

	// Locate finds where a request goes for which nobody has decided that: uri is its first Route, else its
	// Request-URI. The targets are tried in order (RFC 3263 4.3), once each. nil = Target.Addr has to be enough.
	Locate func(ctx context.Context, uri string) ([]Target, error)
	// Patience is how long a target that is not the last may be silent before the next is tried, which may then get a request
	// that the first one got too; 0 = 64*T1, as RFC 3263 4.3 has it, and so always for MESSAGE and INVITE, which would
	// show twice.
	Patience time.Duration

	// TLS 1.2 or later. ServerTLS is asked at each handshake of a tls or wss endpoint, so that certificates can be
	// renewed; nil = Listen refuses such endpoints. ClientTLS gives the config for a connection to a domain, the one
	// of the URI before any DNS (RFC 5922 7.3), which the certificate must be for; nil = certs.Client with the
	// authorities of the system. For wss its authorities and certificates are used under the rules of HTTPS
	// (RFC 7118 9.1).
	ServerTLS func() *tls.Config
	ClientTLS func(domain string) *tls.Config

	WSPath    string   // of ws and wss, asked for and served; "" = "/" is asked for and every path served
	WSOrigins []string // what a browser's Origin may be, such as "https://app.example.com"; empty = anything
	// WSAccept may refuse a WebSocket client for its handshake, its cookies for example, with an HTTP status and
	// header fields (RFC 7118 7); 0 = it is taken. Nil = every one is.
	WSAccept func(*http.Request) (status int, fields http.Header)
	// WSCookies are what a WebSocket client shows and takes. WSHeader gives further fields of its handshake with url,
	// such as Origin, and after a 401, for another attempt, Authorization: then status and header are those of the
	// answer, before 0 and nil. Both may be nil.
	WSCookies http.CookieJar
	WSHeader  func(url string, status int, header http.Header) http.Header

	DialTimeout      time.Duration // until a TCP connection is there; 0 = 2 s
	HandshakeTimeout time.Duration // for TLS and WebSocket handshakes, from the connection on; 0 = 5 s
	WriteTimeout     time.Duration // for each write to a stream, after which the connection is closed; 0 = 5 s
	IdleTimeout      time.Duration // a stream with no message either way is closed after it; 0 = 30 min
	MessageTimeout   time.Duration // from the first byte of a message on a stream to its last; 0 = 30 s

	MaxMessage      int // bytes of one message with its body; 0 = 1 MiB. A datagram is never more than 65,507
	MaxInflated     int // bytes of one body whose Content-Encoding has been undone; 0 = 1 MiB
	MaxInflateRatio int // by how much such a body may grow beyond 64 KiB; 0 = 100
	MaxConnections  int // streams, both directions together; 0 = 10,000
	MaxPerAddress   int // accepted streams from one IPv4 address or IPv6 /64, but for those of this machine; 0 = half of MaxConnections
	MaxWSHeader     int // bytes of the header of a WebSocket handshake; 0 = 8 KiB
	MaxHandshakes   int // accepted connections in the middle of a handshake, a quarter of them from one address, others wait for their turn; 0 = 256
	MaxPending      int // client transactions without an answer; 0 = 100,000
	MaxWriteQueue   int // bytes waiting to be written to one stream; 0 = 1 MiB
	ReplayBytes     int // memory for answers kept for retransmissions; 0 = 64 MiB
	Workers         int // handlers running at one time per UDP listener; 0 = 32
	WorkerQueue     int // requests waiting in one of as many lanes; 0 = 256. Responses have the room of all lanes together
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.ClientTLS == nil {
		c.ClientTLS = func(domain string) *tls.Config { return certs.Client(domain, nil, nil) }
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.T1, 500 * time.Millisecond}, {&c.DialTimeout, 2 * time.Second},
		{&c.HandshakeTimeout, 5 * time.Second}, {&c.WriteTimeout, 5 * time.Second},
		{&c.IdleTimeout, 30 * time.Minute}, {&c.MessageTimeout, 30 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 10_000
	}
	if c.MaxPerAddress <= 0 {
		c.MaxPerAddress = max(1, c.MaxConnections/2)
	}
	for _, d := range []struct {
		value    *int
		standard int
	}{
		{&c.MaxMessage, 1 << 20}, {&c.MaxInflated, 1 << 20}, {&c.MaxInflateRatio, 100}, {&c.MaxHandshakes, 256},
		{&c.MaxWSHeader, 8 << 10}, {&c.MaxPending, 100_000},
		{&c.MaxWriteQueue, 1 << 20}, {&c.ReplayBytes, 64 << 20}, {&c.Workers, 32}, {&c.WorkerQueue, 256},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
}
