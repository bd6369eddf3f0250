package relayclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// splitting makes connections that are read in random pieces.
type splitting struct{ seed *atomic.Uint64 }

// newSplitting prints the seed that all is made from.
func newSplitting(t *testing.T) splitting {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := splitting{new(atomic.Uint64)}
	s.seed.Store(seed)
	return s
}

func (s splitting) random() *rand.Rand { return rand.New(rand.NewPCG(s.seed.Add(1), 0)) }

func (s splitting) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return splitConn{c, s.random()}, nil
}

func (s splitting) listen(_ context.Context, network, addr string) (net.Listener, error) {
	l, err := net.Listen(network, addr)
	return splitListener{l, s}, err
}

type splitListener struct {
	net.Listener
	splitting
}

func (l splitListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return splitConn{c, l.random()}, nil
}

type splitConn struct {
	net.Conn
	random *rand.Rand
}

// Read gives pieces of all orders of magnitude.
func (c splitConn) Read(p []byte) (int, error) {
	most := 1 << c.random.IntN(18)
	return c.Conn.Read(p[:min(len(p), 1+c.random.IntN(most))])
}

// network is a sender and a receiver, and what is between them.
type network struct {
	splitting
	transport string
}

func (n network) node(t *testing.T) *session.Node {
	t.Helper()
	cfg := session.Config{ClientTLS: clientTLS, Dial: n.dial, Listen: n.listen}
	if n.transport == "tls" {
		cert, err := session.NewCertificate(time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificate = &cert
	}
	node := session.New(cfg)
	t.Cleanup(func() { node.Close() })
	return node
}

// direct connects two nodes.
func (n network) direct(t *testing.T) (a, b *session.Session) {
	t.Helper()
	certs := [2]tls.Certificate{}
	var ends [2]*session.Session
	for i := range ends {
		cert, err := session.NewCertificate(time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		certs[i] = cert
		node := session.New(session.Config{Dial: n.dial, Listen: n.listen, Certificate: &certs[i]})
		t.Cleanup(func() { node.Close() })
		l, err := node.Listen(t.Context(), n.transport, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := node.NewURI(n.transport, l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if ends[i], err = node.Open(session.Own{URI: u, Stream: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range ends {
		i = 1 - i // who is connected to is the first to know
		p := session.Peer{Path: ends[1-i].Path(), Decision: session.Decision{Active: i == 0}}
		if n.transport == "tls" {
			p.Fingerprints = []session.Fingerprint{session.FingerprintOf(certs[1-i].Certificate[0])}
		}
		if err := ends[i].Start(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

// relayed has both ends behind one relay, or each behind its own.
func (n network) relayed(t *testing.T, relays int) (a, b *session.Session) {
	t.Helper()
	all := make([]wire.URI, relays)
	for i := range all {
		all[i] = n.relay(t, n.transport)
	}
	na, nb := n.node(t), n.node(t)
	a, b = behind(t, na, newClient(t, "alice", na, all[0])), behind(t, nb, newClient(t, "bob", nb, all[relays-1]))
	start(t, a, b)
	return a, b
}

// TestNetwork sends messages of all sizes around the limits in chunks of all sizes by all ways.
func TestNetwork(t *testing.T) {
	for _, transport := range []string{"tcp", "tls"} {
		for relays, name := range []string{"directly", "through one relay", "through two relays"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				n := network{newSplitting(t), transport}
				var a, b *session.Session
				if relays == 0 {
					a, b = n.direct(t)
				} else {
					a, b = n.relayed(t, relays)
				}
				random := n.random()
				for _, size := range []int64{0, 1, 2047, 2048, 2049} {
					for _, chunk := range []int{1, 2048, 65536} {
						cross(t, random, a, b, size, chunk)
					}
				}
				cross(t, random, a, b, 1_000_000, 2048)
				cross(t, random, a, b, 1_000_000, 65536)
				if os.Getenv("IMP_LONG") != "" {
					cross(t, random, a, b, 64_000_000, 65536)
				}
			})
		}
	}
}

// content is random, and full of what an end-line begins with.
type content struct {
	block []byte
	at    int
	left  int64
}

func newContent(random *rand.Rand, size int64) *content {
	c := &content{block: make([]byte, min(size, 65521)), left: size} // a prime, so that no chunk is like another one
	for i := range c.block {
		if c.block[i] = byte(random.Uint32()); random.IntN(2) == 0 {
			c.block[i] = "\r\n-------$+"[random.IntN(11)]
		}
	}
	return c
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), c.left)], c.block[c.at:])
	c.at = (c.at + n) % len(c.block)
	c.left -= int64(n)
	return n, nil
}

// cross sends a message from a to b, and sees that it arrives as it was sent and is reported.
func cross(t *testing.T, random *rand.Rand, a, b *session.Session, size int64, chunk int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	body := newContent(random, size)
	arrived := make(chan error, 1)
	expected := *body
	go func() { arrived <- receive(ctx, b, &expected) }()
	name := fmt.Sprintf("%d bytes in chunks of %d", size, chunk)
	sent, err := a.Send(ctx, session.Message{Type: "application/octet-stream", Body: body, Size: size, Chunk: chunk, SuccessReport: true})
	if err != nil {
		t.Fatal(name, err)
	}
	if err := <-arrived; err != nil {
		t.Fatal(name, err)
	}
	if err := sent.Wait(ctx); err != nil || sent.Reported() != size {
		t.Errorf("%s: %d were reported, %v", name, sent.Reported(), err)
	}
}

// receive takes a message and compares it.
func receive(ctx context.Context, s *session.Session, expected *content) error {
	in, err := s.Receive(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	got, want := make([]byte, 60_000), make([]byte, 60_000)
	for {
		n, err := in.Read(got)
		if m, _ := io.ReadFull(expected, want[:n]); !bytes.Equal(got[:n], want[:m]) {
			return fmt.Errorf("the content is another one, %d bytes before its end", expected.left)
		}
		switch {
		case err == io.EOF && expected.left > 0:
			return fmt.Errorf("the last %d bytes are missing", expected.left)
		case err == io.EOF:
			return nil
		case err != nil:
			return errors.Join(err, fmt.Errorf("%d bytes before the end", expected.left))
		}
	}
}
