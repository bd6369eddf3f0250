package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestUnreadAnswers has peers that ask and ask, and never read.
func TestUnreadAnswers(t *testing.T) {
	const own = "msrp://localhost:2855;tcp"
	for name, frame := range map[string]string{
		"challenges": requestText("tid1", "AUTH", own, "msrp://x.invalid:9/x;tcp", "-", "$"),
		"refusals":   requestText("tid1", "SEND", "msrp://localhost:2855/none;tcp msrp://x.invalid:9/x;tcp", "msrp://x.invalid:9/x;tcp", "-", "$", "Message-ID: 12345"),
		"malformed":  requestText("tid1", "SEND", own, "msrp://x.invalid:9/x;tcp", "-", "$", "Message-ID: 1"),
		"too large":  requestText("tid1", "NICKNAME", "PATH", "msrp://x.invalid:9/x;tcp", strings.Repeat("x", maxWhole+1), "$"),
	} {
		t.Run("of "+name+" wait within bounds", func(t *testing.T) {
			nowhere := func(context.Context, string, string) (net.Conn, error) { return nil, errGone }
			inBubble(t, Config{MaxBacklog: 10000, Dial: nowhere}, func(t *testing.T, r *Relay, p *pipes) {
				peer := p.peer(t, "peer")
				if name == "challenges" {
					peer = p.peer(t, "guest")
				} else {
					peer.auth(r)
				}
				frame := strings.Replace(frame, "PATH", peer.path+" msrp://x.invalid:9/x;tcp", 1)
				n := 0
				peer.nc.SetWriteDeadline(time.Now().Add(5 * time.Second))
				for ; n < 1000; n++ {
					if _, err := peer.nc.Write([]byte(frame)); err != nil {
						break
					}
				}
				if n == 1000 {
					t.Error("all are taken while nobody reads the answers")
				}
			})
		})
	}
}

// TestLongPaths has a peer that remembers much with little.
func TestLongPaths(t *testing.T) {
	long := []byte(strings.Repeat("x", 16<<10))
	t.Run("transactions of long paths are fewer", func(t *testing.T) {
		var c conn
		n := 0
		for ; n < maxPending && !c.trans.full(); n++ {
			c.trans.add(&flow{from: long, newFrom: long})
		}
		if want := maxHeld / (2 * len(long)); n != want {
			t.Errorf("%d before it is full, want %d", n, want)
		}
		for i := c.trans.first; i != c.trans.next; i++ {
			c.trans.at(i).open = false
		}
		if c.trans.full() || c.trans.held != 0 {
			t.Errorf("%d bytes are held by none", c.trans.held)
		}
	})
	t.Run("one path counts once", func(t *testing.T) {
		var c conn
		f := &flow{from: long}
		for range 3 {
			c.trans.add(f)
		}
		if c.trans.held != len(long) {
			t.Errorf("%d bytes", c.trans.held)
		}
	})
	t.Run("ways of long paths are fewer", func(t *testing.T) {
		r := running(t, Config{})
		c := r.newConn(nil, false)
		target := r.newConn(nil, false)
		for i := range maxFlows {
			c.keep(fmt.Sprint(i), &flow{from: long, newFrom: long, target: target})
		}
		size := 0
		for _, f := range c.flows {
			size += f.size()
		}
		if size > maxFlowSize || len(c.flows) < 10 {
			t.Errorf("%d ways of %d bytes", len(c.flows), size)
		}
	})
}

// TestOwnAddresses is about services of this machine that listen at more than its loopback address.
func TestOwnAddresses(t *testing.T) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, local := range []bool{false, true} {
		allow, _ := NextHops(nil, local)
		for _, a := range own {
			ip, ok := netip.AddrFromSlice(a.(*net.IPNet).IP)
			if err := allow("h", netip.AddrPortFrom(ip, 5)); !ok || (err == nil) != local {
				t.Errorf("%s, local %v: %v", ip, local, err)
			}
		}
	}
}
