package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/msrp/wire"
)

// rig is two nodes with a session between them: a connects to b.
type rig struct {
	t        testing.TB
	na, nb   *Node
	a, b     *Session
	listener *Listener
}

// certificate is one for all tests.
var certificate = func() *tls.Certificate {
	c, err := NewCertificate(time.Now(), 24*time.Hour)
	if err != nil {
		panic(err)
	}
	return &c
}()

type rigOptions struct {
	transport string
	ca, cb    Config
	a, b      Own
}

func newRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	if o.transport == "" {
		o.transport = "tcp"
	}
	if o.ca.Certificate == nil {
		o.ca.Certificate = certificate
	}
	if o.cb.Certificate == nil {
		o.cb.Certificate = certificate
	}
	r := &rig{t: t, na: New(o.ca), nb: New(o.cb)}
	t.Cleanup(func() { r.na.Close(); r.nb.Close() })
	var err error
	if r.listener, err = r.nb.Listen(t.Context(), o.transport, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.a, r.b = r.pair(o.a, o.b)
	return r
}

// pair makes one more session from a to b.
func (r *rig) pair(ownA, ownB Own) (a, b *Session) {
	r.t.Helper()
	transport := r.listener.Transport()
	ownA.URI, _ = r.na.NewURI(transport, "127.0.0.1:9")
	ownB.URI, _ = r.nb.NewURI(transport, r.listener.Addr())
	a, err := r.na.Open(ownA)
	if err != nil {
		r.t.Fatal(err)
	}
	if b, err = r.nb.Open(ownB); err != nil {
		r.t.Fatal(err)
	}
	peerA := Peer{Path: b.Path(), Decision: Decision{Active: true}, Types: ownB.Types}
	peerB := Peer{Path: a.Path(), Types: ownA.Types}
	if transport == "tls" || transport == "wss" {
		f := []Fingerprint{FingerprintOf(certificate.Certificate[0])}
		peerA.Fingerprints, peerB.Fingerprints = f, f
	}
	if err := b.Start(r.t.Context(), peerB); err != nil {
		r.t.Fatal(err)
	}
	if err := a.Start(r.t.Context(), peerA); err != nil {
		r.t.Fatal(err)
	}
	return a, b
}

// splits lets a connection be read in pieces of random length.
type splits struct {
	net.Conn
	r *rand.Rand
}

func (s splits) Read(p []byte) (int, error) {
	if len(p) > 1 {
		p = p[:1+s.r.IntN(min(len(p), 1+s.r.IntN(5000)))]
	}
	return s.Conn.Read(p)
}

func (s splits) CloseWrite() error { return s.Conn.(*net.TCPConn).CloseWrite() }

// splitting makes a Config whose connections are read in random pieces.
func splitting(seed uint64) Config {
	wrap := func(c net.Conn) net.Conn {
		seed++
		return splits{c, rand.New(rand.NewPCG(seed, 0))}
	}
	return Config{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return wrap(c), nil
		},
		Listen: func(ctx context.Context, network, addr string) (net.Listener, error) {
			l, err := net.Listen(network, addr)
			return splitListener{l, wrap}, err
		},
	}
}

type splitListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l splitListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

// content makes bytes of every kind, with line ends and hyphens in them.
func content(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		switch r.IntN(4) {
		case 0:
			b[i] = "\r\n-$+#"[r.IntN(6)]
		default:
			b[i] = byte(r.IntN(256))
		}
	}
	return b
}

// memory is a network inside the test, for bubbles of synthetic time.
type memory struct {
	mu        sync.Mutex
	listeners map[string]chan net.Conn
	dialled   []string
	down      map[string]bool
}

func newMemory() *memory {
	return &memory{listeners: make(map[string]chan net.Conn), down: make(map[string]bool)}
}

func (m *memory) config() Config {
	return Config{Dial: m.dial, Listen: m.listen}
}

func (m *memory) dial(_ context.Context, _, addr string) (net.Conn, error) {
	m.mu.Lock()
	m.dialled = append(m.dialled, addr)
	l, down := m.listeners[addr], m.down[addr]
	m.mu.Unlock()
	if l == nil || down {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	l <- b
	return a, nil
}

type memoryListener struct {
	conns chan net.Conn
	addr  string
	once  sync.Once
}

func (m *memory) listen(_ context.Context, _, addr string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &memoryListener{conns: make(chan net.Conn, 16), addr: addr}
	m.listeners[addr] = l.conns
	return l, nil
}

func (l *memoryListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *memoryListener) Close() error   { l.once.Do(func() { close(l.conns) }); return nil }
func (l *memoryListener) Addr() net.Addr { return memoryAddr(l.addr) }

type memoryAddr string

func (a memoryAddr) Network() string { return "tcp" }
func (a memoryAddr) String() string  { return string(a) }

// raw is a peer that a test writes for.
type raw struct {
	t    testing.TB
	nc   net.Conn
	r    *wire.Reader
	to   string // the session's URI
	from string // its own
}

// got is a frame that a raw peer has read.
type got struct {
	id, method, to, from, message, rng, status, kind string
	code                                             int
	body                                             string
	hasBody                                          bool
	end                                              wire.Flag
	names                                            []string
}

const rawURI = "msrp://peer.invalid:7777/rawpeer;tcp"

// passive is a node with a session that a raw peer has connected to.
func passive(t testing.TB, cfg Config, own Own, peer Peer) (*Session, *raw) {
	t.Helper()
	m := newMemory()
	cfg.Dial, cfg.Listen = m.dial, m.listen
	n := New(cfg)
	t.Cleanup(func() { n.Close() })
	if _, err := n.Listen(t.Context(), "tcp", "127.0.0.1:2855"); err != nil {
		t.Fatal(err)
	}
	own.URI, _ = n.NewURI("tcp", "127.0.0.1:2855")
	s, err := n.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	if peer.Path == nil {
		u, _ := wire.ParseURI(rawURI)
		peer.Path = wire.Path{u}
	}
	if err := s.Start(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	return s, connectRaw(t, m, s)
}

func connectRaw(t testing.TB, m *memory, s *Session) *raw {
	t.Helper()
	nc, err := m.dial(t.Context(), "tcp", "127.0.0.1:2855")
	if err != nil {
		t.Fatal(err)
	}
	return newRaw(t, nc, s.URI().String())
}

func newRaw(t testing.TB, nc net.Conn, to string) *raw {
	t.Cleanup(func() { nc.Close() })
	return &raw{t: t, nc: nc, r: wire.NewReader(nc, wire.Limits{}), to: to, from: rawURI}
}

// write sends a frame: its start line behind MSRP and the rest, with TO and FROM for the paths; or what goes on in one.
func (p *raw) write(lines ...string) {
	p.t.Helper()
	lines = slices.Clone(lines)
	for i, l := range lines {
		switch l {
		case "TO":
			lines[i] = "To-Path: " + p.to
		case "FROM":
			lines[i] = "From-Path: " + p.from
		}
	}
	text := strings.Join(lines, "\r\n") + "\r\n"
	if strings.Contains(lines[0], " ") {
		text = "MSRP " + text
	}
	if _, err := io.WriteString(p.nc, text); err != nil {
		p.t.Fatal(err)
	}
}

// bind sends a SEND without a body, and takes the response.
func (p *raw) bind() {
	p.t.Helper()
	p.write("bind01 SEND", "TO", "FROM", "Message-ID: bind0001", "-------bind01$")
	if g := p.next(); g.code != 200 {
		p.t.Fatalf("binding: %+v", g)
	}
}

// next reads a frame.
func (p *raw) next() (g got) {
	p.t.Helper()
	g, err := p.read()
	if err != nil {
		p.t.Fatal(err)
	}
	return g
}

func (p *raw) read() (g got, err error) {
	h, err := p.r.Next()
	if err != nil {
		return g, err
	}
	g = got{id: string(h.ID), method: h.Method, code: h.Code, to: string(h.To), from: string(h.From), message: string(h.MessageID),
		rng: string(h.Get("byte-range")), status: string(h.Get("status")), kind: string(h.ContentType), end: h.End, hasBody: h.Body}
	for _, f := range h.Fields {
		g.names = append(g.names, string(f.Name))
	}
	for h.Body && g.end == 0 {
		piece, end, err := p.r.Body()
		if err != nil {
			return g, err
		}
		g.body += string(piece)
		g.end = end
	}
	return g, nil
}

// answer responds to a frame.
func (p *raw) answer(g got, code int) {
	p.write(fmt.Sprintf("%s %d", g.id, code), "To-Path: "+g.from, "From-Path: "+g.to, "-------"+g.id+"$")
}

// active is a node with a session that connects to a raw peer.
func active(t testing.TB, cfg Config, peer Peer) (*Session, *raw) {
	t.Helper()
	m := newMemory()
	cfg.Dial, cfg.Listen = m.dial, m.listen
	n := New(cfg)
	t.Cleanup(func() { n.Close() })
	l, _ := m.listen(t.Context(), "tcp", "127.0.0.2:7777")
	uri, _ := n.NewURI("tcp", "127.0.0.1:2855")
	s, err := n.Open(Own{URI: uri})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := wire.ParseURI("msrp://127.0.0.2:7777/rawpeer;tcp")
	peer.Path, peer.Active = wire.Path{u}, true
	if err := s.Start(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := newRaw(t, nc, uri.String())
	p.from = u.String()
	return s, p
}
