package call

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"imp/internal/doc/sdp"
	"imp/internal/msrp/relayclient"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// Endpoint is what the MSRP sessions of calls are made with.
type Endpoint struct {
	Node *session.Node
	// Plain and TLS are host:port that peers can connect to, over TCP and over TLS; "" = there is no such listener, and
	// no line of that kind is accepted.
	Plain, TLS  string
	Fingerprint string        // of the certificate that the TLS listener shows, and that peers get; "" = it is known by name
	Local       session.Local // Reachable, Plain, NoCEMA and Lookup count
	// Relays are asked for URIs of their own for each session; nil: there are none, and peers come to Plain and TLS.
	Relays  *relayclient.Client
	Types   []string      // accept-types, most wanted first
	Wrapped []string      // accept-wrapped-types
	MaxSize int64         // bytes of a message; 0 = any
	Seen    *session.Seen // may be nil
	// ManualReports leaves reports of success to who reads the messages.
	ManualReports bool
}

// Leg is one MSRP session of a call.
type Leg struct {
	Session *session.Session
	Line    *sdp.Media // ours
	Remote  *sdp.Media // the peer's; nil before Conclude

	ctx    context.Context
	cancel context.CancelFunc
	idle   chan struct{}
	ended  sync.Once
	used   atomic.Bool // the file has been sent, or is

	e        *Endpoint
	local    session.Local
	side     session.Side
	decision session.Decision // of an answer
}

// Errors of lines.
var (
	ErrNoTypes  = errors.New("none of the types is taken")
	ErrProtocol = errors.New("there is no listener for this protocol")
	// ErrAgain is returned by Conclude when nothing can be connected before an offer without msrp-cema is answered
	// (RFC 6714 section 4.2).
	ErrAgain = errors.New("another offer is needed, without msrp-cema")
)

// open makes a session with a URI of ours.
func (e *Endpoint) open(ctx context.Context, tls bool) (*Leg, error) {
	if e.Relays != nil {
		return e.relayed(ctx)
	}
	transport, addr := "tcp", e.Plain
	if tls {
		transport, addr = "tls", e.TLS
	}
	if addr == "" {
		return nil, ErrProtocol
	}
	uri, err := e.Node.NewURI(transport, addr)
	if err != nil {
		return nil, err
	}
	return e.leg(session.Own{URI: uri})
}

// relayed makes a session with URIs of our relays (RFC 4976 section 5.1).
func (e *Endpoint) relayed(ctx context.Context) (*Leg, error) {
	g, err := e.Relays.Auth(ctx)
	if err != nil {
		return nil, err
	}
	l, err := e.leg(session.Own{URI: g.URI, UsePath: g.UsePath, Relay: g.Conn})
	if err != nil {
		g.Release()
		return nil, err
	}
	context.AfterFunc(l.ctx, g.Release)
	return l, nil
}

// leg makes the session.
func (e *Endpoint) leg(own session.Own) (*Leg, error) {
	own.Types, own.MaxSize, own.Seen, own.ManualReports = e.Types, e.MaxSize, e.Seen, e.ManualReports
	s, err := e.Node.Open(own)
	if err != nil {
		return nil, err
	}
	l := &Leg{Session: s, e: e, local: e.Local, idle: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.local.URI, l.local.UsePath = own.URI, own.UsePath
	return l, nil
}

// describe makes our line for a side.
func (l *Leg) describe(protocol string) {
	host, port := l.side.Addr, "0"
	if h, p, err := net.SplitHostPort(l.side.Addr); err == nil {
		host, port = h, p
	}
	n, _ := strconv.Atoi(port)
	l.Line = &sdp.Media{Kind: "message", Port: n, Protocol: protocol, Formats: "*", Host: host, Path: l.side.Path.String(),
		AcceptTypes: l.e.Types, WrappedTypes: l.e.Wrapped, MaxSize: l.e.MaxSize, Setup: sdp.Setup(l.side.Setup), CEMA: l.side.CEMA}
	if protocol == protocolTLS && l.e.Fingerprint != "" && l.e.Relays == nil {
		l.Line.Fingerprints = []string{l.e.Fingerprint}
	}
}

const (
	protocolTCP = "TCP/MSRP"
	protocolTLS = "TCP/TLS/MSRP"
)

// Offer makes a session and the line that offers it.
func (e *Endpoint) Offer(ctx context.Context, tls bool) (*Leg, error) {
	l, err := e.open(ctx, tls)
	if err != nil {
		return nil, err
	}
	l.side = l.local.Offer()
	protocol := protocolTCP
	if tls {
		protocol = protocolTLS
	}
	l.describe(protocol)
	return l, nil
}

// Plain makes the offer again without msrp-cema, after ErrAgain.
func (l *Leg) Plain() {
	l.local.NoCEMA = true
	l.side = l.local.Offer()
	file, direction := l.Line.File, l.Line.Direction
	l.describe(l.Line.Protocol)
	l.Line.File, l.Line.Direction = file, direction
}

// Conclude takes the answer to our line, and starts the session. What the peer refuses is sdp.ErrRefused; the session is
// closed after every error but ErrAgain.
func (l *Leg) Conclude(ctx context.Context, answer *sdp.Media) error {
	err := answer.Accepted(l.Line)
	if err == nil {
		err = answer.Check()
	}
	var side session.Side
	if err == nil {
		side, err = sideOf(answer)
	}
	if err != nil {
		l.Close()
		return err
	}
	d, err := l.local.Conclude(ctx, l.side, side)
	if err != nil {
		l.Close()
		return err
	}
	if d.Again {
		return ErrAgain
	}
	l.Remote = answer
	return l.start(ctx, answer, side, d)
}

// start connects, or waits for the peer to do so.
func (l *Leg) start(ctx context.Context, m *sdp.Media, side session.Side, d session.Decision) error {
	peer := session.Peer{Path: side.Path, Types: m.AcceptTypes, Wrapped: m.WrappedTypes, MaxSize: m.MaxSize, Decision: d}
	var err error
	if peer.Fingerprints, err = fingerprints(m); err != nil {
		l.Close()
		return err
	}
	if err := l.Session.Start(ctx, peer); err != nil {
		l.Close()
		return err
	}
	return nil
}

func fingerprints(m *sdp.Media) (list []session.Fingerprint, err error) {
	for _, f := range m.Fingerprints {
		p, err := session.ParseFingerprint(f)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// Context is done when the session is not to be used any more: its line was ended, or the call. What is being sent with
// it is aborted.
func (l *Leg) Context() context.Context { return l.ctx }

// ErrDedicated is returned by Leg.Send for what is not the one file of its session.
var ErrDedicated = errors.New("the session is for one file and nothing else")

// Send sends a message. The session of a file carries that file, once (RFC 5547 section 8.7), and a file that is larger
// than the peer takes is not begun. Errors are ErrDedicated and those of session.Send.
func (l *Leg) Send(ctx context.Context, m session.Message) (*session.Sent, error) {
	if l.Line.File != nil {
		if l.Line.Direction == sdp.RecvOnly || l.used.Swap(true) {
			return nil, ErrDedicated
		}
	}
	return l.Session.Send(ctx, m)
}

// Idle is closed by Finish; for a session that somebody has invited us to, when the function of Take has returned.
func (l *Leg) Idle() <-chan struct{} { return l.idle }

// Finish tells that nothing is sent or received any more, and ends the session. The line is answered with port 0 from
// then on (RFC 5547 section 8.1).
func (l *Leg) Finish() {
	l.ended.Do(func() { close(l.idle) })
	l.Close()
}

func (l *Leg) finished() bool {
	select {
	case <-l.idle:
		return true
	default:
		return false
	}
}

// Close ends the session.
func (l *Leg) Close() {
	l.cancel()
	_ = l.Session.Close()
}

// Answer makes the session that a line offers, and our line. After the answer is on its way Start starts it. Errors tell
// why the line cannot be accepted: ErrNoTypes and ErrProtocol among them.
func (e *Endpoint) Answer(ctx context.Context, offer *sdp.Media) (*Leg, error) {
	if err := offer.Check(); err != nil {
		return nil, err
	}
	if offer.Direction != sdp.SendOnly && !e.common(offer) {
		return nil, ErrNoTypes
	}
	side, err := sideOf(offer)
	if err != nil {
		return nil, err
	}
	if _, err := fingerprints(offer); err != nil {
		return nil, err // or the session would end as soon as it is answered
	}
	l, err := e.open(ctx, offer.TLS())
	if err != nil {
		return nil, err
	}
	own, d, err := l.local.Answer(ctx, side)
	if err != nil {
		l.Close()
		return nil, err
	}
	l.side = own
	if offer.Setup == sdp.NoSetup { // the offerer connects, and may not know the attribute
		l.side.Setup = session.SetupPassive
	}
	l.describe(offer.Protocol)
	l.Line.Direction = offer.Direction.Reversed()
	l.Remote = offer
	l.decision = d
	return l, nil
}

// common tells whether the peer takes any type that can be sent at all: one of ours, or a plain text.
func (e *Endpoint) common(offer *sdp.Media) bool {
	for _, t := range append([]string{"text/plain", "message/cpim"}, e.Types...) {
		if t == "*" || offer.AcceptsWrapped(t) {
			return true
		}
	}
	return false
}

// Start starts the session of an offer that was answered.
func (l *Leg) Start(ctx context.Context) error {
	side, err := sideOf(l.Remote)
	if err != nil {
		return err
	}
	return l.start(ctx, l.Remote, side, l.decision)
}

// sideOf reads what a line says of connections. URIs need a port there (RFC 4975 section 8.2).
func sideOf(m *sdp.Media) (session.Side, error) {
	path, err := wire.ParsePath(m.Path)
	if err != nil {
		return session.Side{}, fmt.Errorf("path: %w", err)
	}
	for _, u := range path {
		if u.Port == 0 {
			return session.Side{}, fmt.Errorf("path: %s has no port", u)
		}
	}
	return session.Side{Path: path, Setup: string(m.Setup), CEMA: m.CEMA, Addr: net.JoinHostPort(m.Host, strconv.Itoa(m.Port))}, nil
}
