package session

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
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

func receive(t testing.TB, s *Session) (*Incoming, []byte) {
	t.Helper()
	in, err := s.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, in); err != nil {
		t.Fatal(err)
	}
	in.Close()
	return in, b.Bytes()
}
