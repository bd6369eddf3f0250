// Package session implements the endpoints of RFC 4975: connections that sessions share, messages in chunks that can
// be interrupted, their reassembly, responses and reports; with RFC 8122 for TLS between peers, RFC 6135 and RFC 6714
// for who connects where, and RFC 7977 for WebSocket.
//
// A Node has the connections, a Session is one pair of paths on one of them. All transports are congestion-controlled
// streams: there is none over UDP (RFC 4975 section 6). The package knows no SIP and no SDP; what a description says
// comes in as Own, Peer and Side.
package session

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"imp/internal/msrp/wire"
)

// Config is what a Node is given from outside. The zero value works, without TLS listeners.
type Config struct {
	// Certificate is shown to peers: TLS listeners need one, and peers that know us by fingerprint. Own.Certificate is
	// used instead for connections of one session.
	Certificate *tls.Certificate
	// ServerTLS is asked at each handshake of a tls or wss listener; nil: Certificate alone.
	ServerTLS func() *tls.Config
	// ClientTLS gives the config for a peer or relay that is known by its name; nil: the authorities of the system.
	// TLS is 1.2 or later in any case (RFC 8996).
	ClientTLS func(host string) *tls.Config

	Dial   func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer
	Listen func(ctx context.Context, network, addr string) (net.Listener, error)
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil: net.DefaultResolver

	Log    *slog.Logger // nil: nothing is logged
	Trace  func(Record) // sees what is read and written, in the pieces that it came in; must be safe for concurrent use
	Random func([]byte) // fills a slice with random bytes that nobody can guess; nil: crypto/rand
	Now    func() time.Time

	// Spool makes a place for pieces of a message that come out of order and do not fit into Limits.Reorder; nil: such
	// a message is refused with 413. Close removes it.
	Spool func() (Spool, error)

	Limits Limits
	Times  Times
}

// Spool holds pieces of a message at their place. *os.File has these methods.
type Spool interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Limits bound what peers can make a Node hold. Zero means the default.
type Limits struct {
	Window      int // bytes of a session's messages that nobody has read yet, then reading stops; 1 MiB
	Reorder     int // bytes of a session that came before those in front of them; 1 MiB
	Messages    int // messages of a session that have begun and not ended, or that nobody has taken; 1024
	Unanswered  int // requests of a connection without a response, then sending waits; 1024
	Responses   int // bytes of responses that the peer does not take, then reading stops; 512 KiB
	Connections int // accepted connections; 10,000
	Handshakes  int // accepted connections that belong to no session yet; 1024
}

// Times are how long a Node waits. Zero means the default.
type Times struct {
	Response  time.Duration // for the response to a request, from its last byte on (RFC 4975 section 7.1.1); 30 s
	Probation time.Duration // for the first good request of an accepted connection, handshakes included; 30 s
	Hold      time.Duration // for Start, while a peer has already connected; 30 s
	Idle      time.Duration // with a connection that no session uses; 5 min
	Patience  time.Duration // with a reader that stalls other sessions of its connection, then 413 for its message; 10 s
	Connect   time.Duration // for one address; 10 s
}

// Record is a piece of a connection as it was on the wire, TLS and WebSocket undone. Data is valid during the call
// only.
type Record struct {
	Time          time.Time
	Out           bool
	Transport     string // "tcp", "tls", "ws", "wss"
	Local, Remote string // host:port
	Data          []byte
}

// Hop is where a connection goes to. Connections are shared by equal hops.
type Hop struct {
	Transport string        // "tcp", "tls", "ws", "wss"
	Addr      string        // host:port; the host may be a name with several addresses, tried in order
	Name      string        // that a certificate must be for; "" = the host of Addr
	Path      string        // of a WebSocket; "" = "/"
	Peer      []Fingerprint // instead of Name: one of them must be of the certificate (RFC 8122)
	// Group is of those that share a connection; "" = all who want the same hop. A connection of a group is closed as
	// soon as nobody uses it.
	Group string
}

// HopOf is the hop that a URI names (RFC 4975 section 6.2): TLS for msrps.
func HopOf(u wire.URI) Hop {
	h := Hop{Transport: u.Transport, Addr: u.Address(), Name: u.Host}
	switch {
	case h.Transport == "ws" && u.Secure:
		h.Transport = "wss"
	case h.Transport == "tcp" && u.Secure:
		h.Transport = "tls"
	}
	return h
}

// Own is our side of a session, as our description tells it.
type Own struct {
	URI         wire.URI  // from Node.NewURI
	UsePath     wire.Path // of our relays, as AUTH gave it: the next hop first (RFC 4976 section 4.2)
	Relay       *Conn     // the connection that UsePath belongs to
	Types       []string  // accept-types; nil: everything. Those of MustAccept are always taken
	MaxSize     int64     // bytes of one message at most; 0: any
	Certificate *tls.Certificate
	// Stream is how many bytes of a message may wait for its end before Receive gives it; a shorter one is given
	// when it is complete, and never when it is aborted. 0: 64 KiB.
	Stream int
	// ManualReports leaves success reports to Incoming.Report; else each complete message is reported if its sender asked.
	ManualReports bool
	// Seen remembers messages over several sessions with one peer, for Incoming.Duplicate; nil: this session only.
	Seen *Seen
}

// Peer is the other side, as its description tells it.
type Peer struct {
	Path         wire.Path     // the next hop first; nil: whoever sends first to our URI
	Types        []string      // accept-types; nil: not known, everything is sent
	Wrapped      []string      // accept-wrapped-types
	MaxSize      int64         // bytes; 0: not told
	Fingerprints []Fingerprint // of its certificate, when it is not known by name
	Decision                   // who connects, and where
}

// MustAccept are types that every endpoint takes (RFC 4975 sections 7.3.1, 13 and 14.3).
var MustAccept = []string{"message/cpim", "multipart/mixed", "multipart/alternative", "multipart/signed"}

// Message is one to send.
type Message struct {
	ID            string    // Message-ID; "" = a new one. Content that is sent again keeps it
	Type          string    // Content-Type; "" = nothing but a bodiless SEND
	Wrapped       []string  // media types inside a container, checked with accept-types and accept-wrapped-types
	Disposition   string    // Content-Disposition; "" = render
	Header        []Field   // further header fields
	Body          io.Reader // nil = empty
	Size          int64     // bytes of Body; negative: not known before its end
	SuccessReport bool
	FailureReport wire.Failure
	Chunk         int              // bytes of each chunk; 0 = few large ones, ended only when others wait
	Progress      func(sent int64) // told after each piece that was written; nil: nobody
}

// Field is a header field.
type Field struct{ Name, Value string }
