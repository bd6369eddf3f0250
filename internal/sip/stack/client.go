package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

var (
	// ErrTimeout ends a client transaction that got no final answer in 64*T1 (timer F).
	ErrTimeout = errors.New("no answer")
	// ErrTransport is wrapped by what ends a client transaction whose request could not be sent or whose
	// connection was closed before the answer.
	ErrTransport = errors.New("transport failed")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("stack closed")

	errNoAddress = errors.New("the name has no address")
	errNoSocket  = errors.New("there is no UDP listener for such an address")
	errNoTarget  = errors.New("the flow is closed and there is no address")
	errPending   = fmt.Errorf("%w: too many requests without an answer", ErrTransport)
	errMethod    = errors.New("only requests with a transaction of their own, other than INVITE, can be sent")
	errTooLarge  = errors.New("larger than a datagram can be")
	errHeard     = fmt.Errorf("%w after a provisional response", ErrTimeout)
)

// maxUnreliable is the size of a request from which on it goes over TCP (RFC 3261 18.1.1, path MTU unknown).
const maxUnreliable = 1300

// viaRoom is more than the start line, Via and Content-Length add to what an Outgoing holds.
const viaRoom = 400

// Target says where a request goes. Without Flow and Addr that is up to Config.Locate.
type Target struct {
	Flow      *Flow  // used while it is alive, then Addr: streams the same connection, UDP the same listener to the flow's remote address
	Transport string // "" = udp, or tcp for more than 1300 bytes (RFC 3261 18.1.1); tcp also where there is no UDP listener
	Addr      string // host:port or host; without a port the transport's own
	Domain    string // what the certificate of a TLS peer must be for (RFC 5922 7.3); "" = the host of Addr
	URI       string // what Addr was only read from: Config.Locate knows better; "" = Addr is where the request goes
}

// Outgoing is a request to be sent. Head and Body are never changed and may be shared.
type Outgoing struct {
	Method string
	URI    string // Request-URI
	Head   []byte // header fields, each with its CRLF; without Via, Content-Length and the empty line
	Body   []byte
	Target Target

	NoUDPFallback bool // a request sent over TCP for its size is not repeated over UDP when there is no connection
	NoTCP         bool // UDP whatever the size

	// Reads are the header fields that the sender looks at in the response: it gets those only, and no body. nil = all.
	Reads []string

	Attached any // what the sender keeps with the request; the stack does not look at it

	// Loop is what a proxy recognises its own request by when it comes back to it: a token behind the branch.
	Loop    string
	silence time.Duration // how long the target may be silent; 0 = 64*T1
	branch  string        // of a request that is passed on without a transaction
	relayed bool          // the response is for somebody else
	invite  *Invitation
}

// Send starts a non-INVITE client transaction (RFC 3261 17.1.2) and returns at once. done is called exactly once, on
// a goroutine of the stack, and must not block: with the final response, or with ErrTimeout, ErrClosed or an error
// that wraps ErrTransport. o must not be changed until then. Without a transport in the target a request of more than
// 1300 bytes goes over TCP, and over UDP after all where TCP is refused or silent for Config.DialTimeout; such peers
// are remembered for a while.
//
// Where Config.Locate finds the target, the request is sent to each of the targets in turn, with a branch of its own,
// until one answers anything but 503; done gets the outcome of the last. A request for a sips URI only goes over TLS.
func (s *Stack) Send(o *Outgoing, done func(*sip.Response, error)) {
	if o.Method == "INVITE" || o.Method == "ACK" || o.Method == "CANCEL" {
		go done(nil, fmt.Errorf("sending %s: %w", o.Method, errMethod))
		return
	}
	o = s.relay.rerouted(o)
	if s.unlocated(&o.Target) {
		s.locate(o, done)
		return
	}
	s.begin(o, done)
}

// begin starts the transaction of a request whose target is known.
func (s *Stack) begin(o *Outgoing, done func(*sip.Response, error)) {
	if isSIPS(o.URI) {
		secure, err := s.secured(o)
		if err != nil {
			go done(nil, fmt.Errorf("%w: %w", ErrTransport, err))
			return
		}
		o = secure
	}
	tx := &clientTx{o: o, done: done, relayed: o.relayed, invite: o.invite, reads: o.Reads}
	if err := s.client.add(tx); err != nil {
		go done(nil, err)
		return
	}
	if o.invite != nil {
		o.invite.began(tx, o)
	}
	if err := s.route(tx, o); err != nil {
		s.spawn(func() { s.fail(tx, err) }) // when it is closed, Close is ending the transaction
	}
}

// Do is Send that waits. The end of ctx ends the waiting, not the transaction.
func (s *Stack) Do(ctx context.Context, o *Outgoing) (*sip.Response, error) {
	type result struct {
		res *sip.Response
		err error
	}
	ch := make(chan result, 1)
	s.Send(o, func(res *sip.Response, err error) { ch <- result{res, err} })
	select {
	case r := <-ch:
		return r.res, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the answer to %s: %w", o.Method, ctx.Err())
	}
}

// route sends the request of tx for the first time.
func (s *Stack) route(tx *clientTx, o *Outgoing) error {
	t := &o.Target
	if t.Flow != nil && !t.Flow.Closed() {
		if !t.Flow.Stream() {
			return s.flowUDP(tx, o)
		}
		if err := t.Flow.conn.submit(tx, o); !errors.Is(err, errEnded) || t.Addr == "" {
			return err
		}
	}
	if t.Addr == "" {
		return errNoTarget
	}
	if a, err := netip.ParseAddrPort(t.Addr); err == nil { // as it mostly is
		tx.first[0] = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		return s.sendTo(tx, o, tx.first[:], cmp.Or(t.Domain, strings.Trim(t.Addr[:strings.LastIndexByte(t.Addr, ':')], "[]")))
	}
	return s.resolved(t, func(to []netip.AddrPort, name string) error { return s.sendTo(tx, o, to, name) },
		func(err error) { s.fail(tx, err) })
}

// flowUDP sends over the flow's listener; a large request goes over TCP to where the target's address leads.
func (s *Stack) flowUDP(tx *clientTx, o *Outgoing) error {
	t := &o.Target
	tx.socket, tx.to = t.Flow.socket, t.Flow.remote
	if t.Addr == "" || !s.prefersTCP(tx, o) {
		return s.datagram(tx, o, []netip.AddrPort{tx.to}, "")
	}
	return s.resolved(t, func(to []netip.AddrPort, name string) error { return s.datagram(tx, o, to, name) },
		func(error) { s.finishUDP(tx, o) })
}

// resolved calls use with the addresses of a target, at once when that is possible. What fails later goes to failed.
func (s *Stack) resolved(t *Target, use func([]netip.AddrPort, string) error, failed func(error)) error {
	k, err := s.kindOf(t.Transport)
	if err != nil {
		return err
	}
	host, port, err := splitHostPort(t.Addr, k.port)
	if err != nil {
		return err
	}
	name := cmp.Or(t.Domain, host)
	if a, err := netip.ParseAddr(host); err == nil {
		return use([]netip.AddrPort{netip.AddrPortFrom(a.Unmap(), port)}, name)
	}
	ok := s.spawn(func() {
		ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
		defer cancel()
		to, err := s.lookup(ctx, host, port)
		if err == nil {
			err = use(to, name)
		}
		if err != nil {
			failed(err)
		}
	})
	if !ok {
		return ErrClosed
	}
	return nil
}

// kindOf finds a transport by its name in any case; "" is UDP.
func (s *Stack) kindOf(transport string) (*kind, error) {
	if transport == "" {
		return s.kinds["udp"], nil
	}
	if k := s.kinds[transport]; k != nil {
		return k, nil
	}
	if k := s.kinds[strings.ToLower(transport)]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("transport %q is not supported", transport)
}

// sendTo sends to one of the addresses.
func (s *Stack) sendTo(tx *clientTx, o *Outgoing, to []netip.AddrPort, name string) error {
	k, err := s.kindOf(o.Target.Transport)
	if err != nil {
		return err
	}
	if k.stream {
		return s.overStream(tx, o, k, to, name)
	}
	for _, a := range to {
		if tx.socket = s.socketFor(a.Addr()); tx.socket != nil {
			tx.to = a
			return s.datagram(tx, o, to, name)
		}
	}
	if o.Target.Transport == "" && !o.NoTCP {
		return s.overStream(tx, o, s.kinds["tcp"], to, name)
	}
	return errNoSocket
}

// overStream sends over the connection to the peer; when that has just ended, over a new one.
func (s *Stack) overStream(tx *clientTx, o *Outgoing, k *kind, to []netip.AddrPort, name string) (err error) {
	for range 2 {
		var c *conn
		if c, err = s.connTo(k, to, name); err == nil {
			err = c.submit(tx, o)
		}
		if !errors.Is(err, errEnded) {
			break
		}
	}
	return err
}

// prefersTCP tells whether a request that goes over UDP by default is too large for it.
func (s *Stack) prefersTCP(tx *clientTx, o *Outgoing) bool {
	if o.NoTCP || o.Target.Transport != "" {
		return false
	}
	n := len(o.Method) + len(o.URI) + len(o.Head) + len(o.Body)
	if n > maxUnreliable || n < maxUnreliable-viaRoom {
		return n > maxUnreliable
	}
	var room [viaRoom]byte
	n = len(s.appendStart(room[:0], o, tx.branch, tx.flow())) + len(o.Head) + len(o.Body)
	n += len("Content-Length: 65535\r\n\r\n") - len("65535") + digits(len(o.Body))
	return n > maxUnreliable
}

// digits is the length of a number as text.
func digits(n int) int {
	count := 1
	for ; n >= 10; n /= 10 {
		count++
	}
	return count
}

// datagram sends over UDP, or over TCP to one of the addresses when the request is too large.
func (s *Stack) datagram(tx *clientTx, o *Outgoing, tcp []netip.AddrPort, name string) error {
	if s.prefersTCP(tx, o) && (o.NoUDPFallback || !s.deaf.has(tcp[0], time.Now())) {
		tx.fallback = !o.NoUDPFallback
		tx.tcp = tcp[0]
		err := s.overStream(tx, o, s.kinds["tcp"], tcp, name)
		if err == nil || !tx.fallback || errors.Is(err, ErrClosed) {
			return err
		}
	}
	return s.overUDP(tx, o)
}

func (s *Stack) overUDP(tx *clientTx, o *Outgoing) error {
	if !s.client.arm(tx) {
		return nil
	}
	return s.transmit(tx, o)
}

// finishUDP is overUDP for those who cannot pass an error on.
func (s *Stack) finishUDP(tx *clientTx, o *Outgoing) {
	if err := s.overUDP(tx, o); err != nil {
		s.fail(tx, err)
	}
}

// transmit writes the datagram of a request, for the first time or again.
func (s *Stack) transmit(tx *clientTx, o *Outgoing) error {
	buf := borrow()
	defer giveBack(buf)
	*buf = s.appendRequest(*buf, o, tx.branch, tx.flow())
	if len(*buf) > maxDatagram {
		return errTooLarge
	}
	if err := tx.socket.write(*buf, tx.to); err != nil {
		return fmt.Errorf("sending %s to %s: %w", o.Method, tx.to, err)
	}
	return nil
}

// unreachable takes over when there is no connection for a request that had never left: UDP may do after all
// (RFC 3261 18.1.1).
func (s *Stack) unreachable(tx *clientTx, cause error) {
	if !tx.fallback || errors.Is(cause, ErrClosed) {
		s.fail(tx, cause)
		return
	}
	s.deaf.add(tx.tcp, time.Now().Add(deafTime))
	if o := s.client.outgoing(tx); o != nil {
		s.finishUDP(tx, o)
	}
}

// fail ends a transaction without an answer.
func (s *Stack) fail(tx *clientTx, cause error) {
	if !errors.Is(cause, ErrClosed) {
		cause = fmt.Errorf("%w: %w", ErrTransport, cause)
	}
	s.client.end(tx, nil, cause)
}

// appendRequest writes a request as it goes over f: only Via depends on the way.
func (s *Stack) appendRequest(b []byte, o *Outgoing, id branch, f *Flow) []byte {
	b = s.appendStart(b, o, id, f)
	b = append(b, o.Head...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(o.Body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, o.Body...)
}

// appendStart writes the request line and Via.
func (s *Stack) appendStart(b []byte, o *Outgoing, id branch, f *Flow) []byte {
	b = append(b, o.Method...)
	b = append(b, ' ')
	b = append(b, o.URI...)
	b = append(b, " SIP/2.0\r\nVia: SIP/2.0/"...)
	b = append(b, f.kind.via...)
	b = append(b, ' ')
	b = s.appendSentBy(b, f)
	b = o.appendBranch(append(b, ";branch="...), id)
	if !f.kind.stream {
		b = append(b, ";rport"...) // RFC 3581 3
	}
	return append(b, "\r\n"...)
}

// shunned remembers for a while what has failed, so that not every request has to find out again.
type shunned[K comparable] struct {
	mu    sync.Mutex
	until map[K]time.Time
}

const (
	deafTime   = 5 * time.Minute // for addresses where TCP was refused or silent
	maxShunned = 4096
)

func (d *shunned[K]) has(k K, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.until[k])
}

func (d *shunned[K]) add(k K, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil || len(d.until) >= maxShunned {
		d.until = make(map[K]time.Time)
	}
	d.until[k] = until
}
