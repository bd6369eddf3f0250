package relay

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
)

// distant is a connection from another machine.
type distant struct {
	net.Conn
	ip string
}

func (d distant) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(d.ip), Port: 9} }

func TestMaxPerAddress(t *testing.T) {
	for _, c := range []struct{ name, first, second, other string }{
		{"IPv4", "192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"IPv4 in IPv6", "::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"},
		{"IPv6, as far as its network", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Config{MaxConnections: 4}, func(t *testing.T, r *Relay, p *pipes) {
				from := func(ip string) *peer {
					near, far := net.Pipe()
					p.ch <- distant{far, ip}
					return peerOver(t, near, "peer")
				}
				one := from(c.first)
				from(c.second)
				from(c.first).ended("the third one of an address")
				from(c.other)
				synctest.Wait()
				if s := r.Stats(); s.Connections != 3 || s.Refused != 1 {
					t.Errorf("%+v", s)
				}
				one.nc.Close()
				synctest.Wait()
				from(c.second)
				synctest.Wait()
				if s := r.Stats(); s.Connections != 3 || s.Refused != 1 {
					t.Errorf("after one has gone: %+v", s)
				}
			})
		})
	}
	t.Run("this machine has no bound of its own", func(t *testing.T) {
		inBubble(t, Config{MaxConnections: 4}, func(t *testing.T, r *Relay, p *pipes) {
			for range 4 {
				near, far := net.Pipe()
				p.ch <- distant{far, "127.0.0.1"}
				peerOver(t, near, "peer")
			}
			synctest.Wait()
			if s := r.Stats(); s.Connections != 4 {
				t.Errorf("%+v", s)
			}
		})
	})
}

func TestMaxNextHops(t *testing.T) {
	hops := make(chan net.Conn, 10)
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		hops <- near
		return far, nil
	}
	inBubble(t, Config{MaxNextHops: 1, Dial: dial}, func(t *testing.T, r *Relay, p *pipes) {
		hops = make(chan net.Conn, 10)
		user := func(name string) *peer {
			u := p.peer(t, name)
			u.request("AUTH", "msrp://"+name+"@localhost;tcp", u.uri, "-")
			u.path = u.next().fields["use-path"]
			return u
		}
		alice, again, bob := user("alice"), user("alice"), user("bob")
		send := func(p *peer, hop string, want int) {
			t.Helper()
			p.request("SEND", p.path+" msrp://"+hop+".example:7/s;tcp", p.uri, "x", "Message-ID: 12345")
			if g := p.next(); g.code != want {
				t.Errorf("to %s: %+v", hop, g)
			}
		}
		send(alice, "one", 200)
		send(alice, "two", 408)
		send(again, "two", 408)
		send(again, "one", 200) // is there
		send(bob, "two", 200)
		send(alice, "two", 200) // for everybody
		first := <-hops
		first.Close()
		synctest.Wait()
		if g := alice.next(); g.method != "REPORT" {
			t.Errorf("%+v", g)
		}
		send(alice, "three", 200)
	})
}
