// Package stack implements the transport and transaction layers of RFC 3261 (sections 17 and 18) for requests
// other than INVITE, with RFC 3581 (symmetric responses), RFC 4320 (actions on non-INVITE transactions) and the
// keep-alive of RFC 5626 section 4.4.1.
package stack

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	sip "github.com/emiago/sipgo/sip"
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
	Product   string        // value of Server and User-Agent, e.g. "imp/0.1"; "" = neither is sent
	Advertise string        // host[:port] for Via and Contact; "" = the address in use, for a wildcard the one of the interface towards the peer
	Resolver  Resolver      // A and AAAA only; nil = net.DefaultResolver
	Trace     func(Record)  // sees every message in and out, malformed ones too; must be safe for concurrent use

	DialTimeout    time.Duration // until a stream connection is there; 0 = 2 s
	WriteTimeout   time.Duration // for each write to a stream, after which the connection is closed; 0 = 5 s
	IdleTimeout    time.Duration // a stream with no message either way is closed after it; 0 = 30 min
	MessageTimeout time.Duration // from the first byte of a message on a stream to its last; 0 = 30 s

	MaxMessage     int // bytes of one message with its body; 0 = 1 MiB. A datagram is never more than 65,507
	MaxConnections int // streams, both directions together; 0 = 10,000
	MaxPending     int // client transactions at one time; 0 = 100,000
	MaxWriteQueue  int // bytes waiting to be written to one stream; 0 = 1 MiB
	ReplayBytes    int // memory for answers kept for retransmissions; 0 = 64 MiB
	Workers        int // handlers running at one time per UDP listener; 0 = 32
	WorkerQueue    int // datagrams waiting for one worker; 0 = 256
}

// Handler answers a request. It runs after the guard, in order of receipt for one stream connection and, over UDP,
// for one Request-URI. It must not wait for other messages of the same connection. A nil answer is sent as 500.
type Handler func(ctx context.Context, r *Request) *Response

// Request is a request that has passed the guard.
type Request struct {
	*sip.Request
	Flow *Flow // where it came from and where its answer goes

	in *incoming
}

// Stack is one set of listeners and connections with their transactions. All methods are safe for concurrent use
// except those that say otherwise.
type Stack struct {
	cfg Config
}

// New returns a stack that listens nowhere yet.
func New(cfg Config) *Stack {
	return &Stack{cfg: cfg}
}

// Handle sets the handler of a method, which then appears in Allow. To be called before Listen.
func (s *Stack) Handle(method string, h Handler) {}

// Extensions adds option tags that are understood: they appear in Supported, and any other tag in Require is
// answered 420 (RFC 3261 8.2.2.3). To be called before Listen.
func (s *Stack) Extensions(tags ...string) {}

// Encodings adds content codings that handlers decode themselves; a body in any other is answered 415
// (RFC 3261 8.2.3). To be called before Listen.
func (s *Stack) Encodings(codings ...string) {}

// Options sets what OPTIONS is answered with beside Allow and Supported: Allow-Events, Accept and the like. To be
// called before Listen.
func (s *Stack) Options(fields func() []Field) {}

// Close stops the listeners, ends pending client transactions with ErrClosed, closes all connections after what was
// already queued has been written or one second has passed, and waits for every goroutine of the stack. It must not
// be called from a handler or from the done function of Send.
func (s *Stack) Close() error { return nil }

var _ Resolver = (*net.Resolver)(nil)
