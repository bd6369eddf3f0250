package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/msrp/wire"
)

// pipes is a listener in memory, whose connections know synthetic time.
type pipes struct {
	ch   chan net.Conn
	done chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-p.ch:
		return nc, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2855} }

func (p *pipes) peer(t *testing.T, name string) *peer {
	near, far := net.Pipe()
	p.ch <- far
	return peerOver(t, near, name)
}

// inBubble runs a relay in synthetic time.
func inBubble(t *testing.T, cfg Config, test func(t *testing.T, r *Relay, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		cfg.Host = "localhost"
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		r.listen(p, "tcp")
		go r.Serve(p, Transport{Name: "tcp"})
		defer r.Close()
		test(t, r, p)
	})
}

// ends waits for the end of the connection, and gives the time that it took.
func (p *peer) ends() time.Duration {
	p.t.Helper()
	began := time.Now()
	p.nc.SetReadDeadline(began.Add(5 * time.Hour))
	if _, err := io.Copy(io.Discard, p.nc); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		p.t.Errorf("the connection has not ended: %v", err)
	}
	return time.Since(began)
}

// about tells whether a time that is looked at once a second has come.
func about(d, want time.Duration) bool { return d >= want && d <= want+2*time.Second }

func TestProbation(t *testing.T) {
	t.Run("MSRPR-030 nothing said", func(t *testing.T) {
		inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
			if d := p.peer(t, "silent").ends(); !about(d, 30*time.Second) {
				t.Error(d)
			}
		})
	})
	t.Run("MSRPR-030 nothing good said", func(t *testing.T) {
		inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
			q := p.peer(t, "wrong")
			began := time.Now()
			time.Sleep(20 * time.Second)
			q.request("SEND", "msrp://localhost:2855/none;tcp "+q.uri, q.uri, "x", "Message-ID: 12345")
			if g := q.next(); g.code != 481 {
				t.Errorf("%+v", g)
			}
			if q.ends(); !about(time.Since(began), 30*time.Second) {
				t.Error(time.Since(began))
			}
		})
	})
	t.Run("MSRPR-030 three that are not good", func(t *testing.T) {
		inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
			q := p.peer(t, "wrong")
			go func() {
				for range 3 {
					q.nc.Write([]byte(requestText("tid1", "SEND", "msrp://localhost:2855/none;tcp "+q.uri, q.uri, "x", "$", "Message-ID: 12345")))
				}
			}()
			if d := q.ends(); d > 2*time.Second {
				t.Error(d)
			}
		})
	})
	t.Run("MSRPR-033 a good one may be quiet for an hour", func(t *testing.T) {
		inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
			q := p.peer(t, "alice")
			q.auth(r)
			if d := q.ends(); !about(d, time.Hour) {
				t.Error(d)
			}
		})
	})
}

func TestExpiry(t *testing.T) {
	t.Run("MSRPR-041 a URI dies at its expiry", func(t *testing.T) {
		inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
			alice, bob := p.peer(t, "alice"), p.peer(t, "bob")
			alice.auth(r, "Expires: 60")
			send := func() {
				bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "x", "Message-ID: 12345")
			}
			time.Sleep(59 * time.Second)
			bob = p.peer(t, "bob")
			send()
			alice.ok(alice.next())
			if g := bob.next(); g.code != 200 {
				t.Errorf("%+v", g)
			}
			time.Sleep(1001 * time.Millisecond)
			send()
			if g := bob.next(); g.code != 481 {
				t.Errorf("%+v", g)
			}
			alice.request("SEND", alice.path+" "+bob.uri, alice.uri, "x", "Message-ID: 12345")
			if g := alice.next(); g.code != 481 {
				t.Errorf("%+v", g)
			}
			if g := alice.auth(r); g.code != 200 {
				t.Errorf("another AUTH: %+v", g)
			}
		})
	})
}

func TestTimeout(t *testing.T) {
	for _, failure := range []string{"yes", "partial", "no"} {
		id := "MSRPR-048"
		t.Run(id+" silence after Failure-Report "+failure, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
				alice, bob := p.peer(t, "alice"), p.peer(t, "bob")
				alice.auth(r)
				from := bob.uri + " msrp://behind.example:7/b;tcp"
				bob.request("SEND", alice.path+" "+alice.uri, from, "hello", "Message-ID: 12345", "Failure-Report: "+failure)
				began := time.Now()
				alice.next()
				if failure == "yes" {
					bob.next()
					if g, err := bob.readFor(time.Minute); err != nil || g.method != "REPORT" || g.fields["status"] != "000 408 Downstream Timeout" || g.to != from || !about(time.Since(began), 30*time.Second) {
						t.Errorf("%+v %v after %v", g, err, time.Since(began))
					}
					return
				}
				if g, err := bob.readFor(2 * time.Minute); err == nil {
					t.Errorf("%+v", g)
				}
			})
		})
	}
	t.Run("MSRPR-048 the time begins when the last byte is sent", func(t *testing.T) {
		inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
			alice, bob := p.peer(t, "alice"), p.peer(t, "bob")
			alice.auth(r)
			bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "hello", "Message-ID: 12345")
			bob.next()
			time.Sleep(20 * time.Second) // alice reads late
			began := time.Now()
			alice.next()
			if g, err := bob.readFor(time.Minute); err != nil || g.method != "REPORT" || !about(time.Since(began), 30*time.Second) {
				t.Errorf("%+v %v after %v", g, err, time.Since(began))
			}
		})
	})
	t.Run("MSRPR-059 an answer stops the timer", func(t *testing.T) {
		inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
			alice, bob := p.peer(t, "alice"), p.peer(t, "bob")
			alice.auth(r)
			bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "hello", "Message-ID: 12345")
			bob.next()
			alice.ok(alice.next())
			if g, err := bob.readFor(2 * time.Minute); err == nil {
				t.Errorf("%+v", g)
			}
		})
	})
}

// readFor reads a frame that comes within a time.
func (p *peer) readFor(d time.Duration) (got, error) {
	p.patience = d
	defer func() { p.patience = 0 }()
	return p.read()
}

// TestStalled has a peer that does not read.
func TestStalled(t *testing.T) {
	t.Run("MSRPR-052 who sends to it is not read any more", func(t *testing.T) {
		inBubble(t, Config{MaxBacklog: 10000}, func(t *testing.T, r *Relay, p *pipes) {
			alice, bob := p.peer(t, "alice"), p.peer(t, "bob")
			alice.auth(r)
			frame := requestText("tid1", "SEND", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", 1000), "$", "Message-ID: 12345", "Failure-Report: no")
			n := 0
			bob.nc.SetWriteDeadline(time.Now().Add(5 * time.Second))
			for {
				if _, err := bob.nc.Write([]byte(frame)); err != nil {
					break
				}
				n++
			}
			if n < 10 || n > 100 {
				t.Errorf("%d frames of 1 kB were taken", n)
			}
			alice.nc.SetReadDeadline(time.Time{})
			for range n {
				if g := alice.next(); len(g.body) != 1000 {
					t.Fatalf("%+v", g)
				}
			}
		})
	})
	t.Run("a message is given up rather than a shared connection blocked", func(t *testing.T) {
		inBubble(t, Config{MaxBacklog: 10000}, func(t *testing.T, r *Relay, p *pipes) {
			alice, carol, bob := p.peer(t, "alice"), p.peer(t, "carol"), p.peer(t, "bob")
			alice.auth(r)
			carol.auth(r)
			answers := make(chan got, 1000)
			go func() {
				for {
					g, err := bob.readFor(10 * time.Minute)
					if err != nil {
						close(answers)
						return
					}
					answers <- g
				}
			}()
			bob.nc.Write([]byte(requestText("tid0", "SEND", carol.path+" "+carol.uri, bob.uri, "x", "$", "Message-ID: 11111")))
			carol.next()
			began := time.Now()
			for range 40 {
				bob.nc.Write([]byte(requestText("tid1", "SEND", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", 1000), "$", "Message-ID: 12345")))
			}
			bob.nc.Write([]byte(requestText("tid2", "SEND", carol.path+" "+carol.uri, bob.uri, "y", "$", "Message-ID: 11112")))
			if g := carol.next(); g.body != "y" || !about(time.Since(began), 5*time.Second) {
				t.Errorf("%+v after %v", g, time.Since(began))
			}
			refused := 0
			for range 42 {
				if g := <-answers; g.id == "tid1" && g.code == 408 {
					refused++
				}
			}
			if refused == 0 || refused > 35 {
				t.Errorf("%d of 40 failed", refused)
			}
			bob.nc.Close()
			for range answers {
			}
		})
	})
}

func TestLateConnection(t *testing.T) {
	t.Run("MSRPR-046 answered before the next hop is there", func(t *testing.T) {
		ready := make(chan net.Conn)
		inBubble(t, Config{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case nc := <-ready:
				return nc, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}, func(t *testing.T, r *Relay, p *pipes) {
			ready = make(chan net.Conn)
			alice := p.peer(t, "alice")
			alice.auth(r)
			alice.request("SEND", alice.path+" msrp://far.example:7/f;tcp", alice.uri, "hello", "Message-ID: 12345")
			if g := alice.next(); g.code != 200 {
				t.Errorf("%+v", g)
			}
			time.Sleep(3 * time.Second)
			near, far := net.Pipe()
			ready <- far
			if g := peerOver(t, near, "far").next(); g.body != "hello" || g.end != wire.Last {
				t.Errorf("%+v", g)
			}
			alice.request("SEND", alice.path+" msrp://gone.example:7/f;tcp", alice.uri, "hello", "Message-ID: 12345")
			alice.next()
			if g, err := alice.readFor(time.Minute); err != nil || g.method != "REPORT" {
				t.Errorf("%+v %v", g, err)
			}
			alice.request("SEND", alice.path+" msrp://gone.example:7/f;tcp", alice.uri, "hello", "Message-ID: 12345")
			if g := alice.next(); g.code != 408 {
				t.Errorf("not tried again at once: %+v", g)
			}
		})
	})
}

func TestQuietInAChunk(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *Relay, p *pipes) {
		alice, bob, carol := p.peer(t, "alice"), p.peer(t, "bob"), p.peer(t, "carol")
		alice.auth(r)
		text := requestText("slow", "SEND", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", 3000), "$", "Message-ID: slow1", "X-Extension: kept")
		bob.write(text[:2000])
		alice.patience = time.Minute
		first := make(chan got)
		go func() { first <- alice.next() }()
		time.Sleep(20 * time.Second)
		carol.request("SEND", alice.path+" "+alice.uri, carol.uri, "cuts it", "Message-ID: 12345", "Failure-Report: no")
		g := <-first
		alice.next()
		bob.write(text[2000:])
		h := alice.next()
		if g.body+h.body != strings.Repeat("x", 3000) || h.fields["x-extension"] != "kept" || h.fields["message-id"] != "slow1" || h.fields["content-type"] != "text/plain" {
			t.Errorf("%d bytes, then %d: %+v", len(g.body), len(h.body), h.fields)
		}
	})
}
