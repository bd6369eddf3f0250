package relay

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestPace has a large message to a peer that gets small ones too, or not, and answers or not.
func TestPace(t *testing.T) {
	const size, chunk = 1 << 20, 64 << 10
	for _, c := range []struct {
		name             string
		beside, answered bool
		chunks           int
		most, least      time.Duration
	}{
		{"alone", false, false, size / chunk, 0, 0},
		{"beside, answered", true, true, size / chunk, 0, 0},
		{"beside, not answered", true, false, size / chunk, (size - paceWindow) / chunk * 2 * paceTime, 5 * paceTime},
		{"alone in one chunk", false, false, 1, 0, 0},
		{"beside in one chunk, answered", true, true, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, _ *Relay, p *pipes) {
				alice, bob, carol := p.peer(t, "alice"), p.peer(t, "bob"), p.peer(t, "carol")
				alice.request("AUTH", "msrp://localhost;tcp", alice.uri, "-")
				alice.path = alice.next().fields["use-path"]
				for _, p := range []*peer{bob, carol} { // read what they are answered
					go io.Copy(io.Discard, p.nc)
				}
				bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "first", "Message-ID: first")
				alice.ok(alice.next())
				if c.beside {
					carol.request("SEND", alice.path+" "+alice.uri, carol.uri, "hello", "Message-ID: small")
					alice.ok(alice.next())
				}
				began := time.Now()
				go func() {
					each := size / c.chunks
					for i := range c.chunks {
						flag := "+"
						if i+1 == c.chunks {
							flag = "$"
						}
						fmt.Fprint(bob.nc, requestText("bulk1", "SEND", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", each), flag,
							"Message-ID: bulk", fmt.Sprintf("Byte-Range: %d-*/%d", i*each+1, size)))
					}
				}()
				bytes, pieces := 0, 0
				for bytes < size {
					g := alice.next()
					if bytes, pieces = bytes+len(g.body), pieces+1; c.answered {
						alice.ok(g)
					}
				}
				if d := time.Since(began); d > c.most || d < c.least {
					t.Errorf("it took %v", d)
				}
				if c.chunks == 1 && c.beside != (pieces >= size/(2*pacePiece)) {
					t.Errorf("it came in %d chunks", pieces)
				}
			})
		})
	}
}
