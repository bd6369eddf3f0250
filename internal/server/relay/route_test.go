package relay

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"imp/internal/msrp/wire"
)

// listening is somebody who waits for connections of the relay.
func listener(t *testing.T) (l net.Listener, uri string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, "msrp://" + l.Addr().String() + "/far;tcp"
}

func accepted(t *testing.T, l net.Listener, uri string) *peer {
	t.Helper()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := peerOver(t, nc, "far")
	p.uri = uri
	return p
}

func TestNoOpenRelay(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	l, far := listener(t)
	t.Run("MSRPR-043 a stolen URI leads nowhere else", func(t *testing.T) {
		bob.request("SEND", alice.path+" "+far, bob.uri, "x", "Message-ID: 12345")
		if g := bob.next(); g.code != 403 {
			t.Errorf("%+v", g)
		}
		carol := dial(t, r.at("tcp"), "carol")
		if g := carol.auth(r); g.code != 200 {
			t.Fatalf("%+v", g)
		}
		carol.request("SEND", alice.path+" "+far, carol.uri, "x", "Message-ID: 12345") // a user, but not alice
		if g := carol.next(); g.code != 403 {
			t.Errorf("%+v", g)
		}
		carol.request("SEND", carol.path+" "+alice.path+" "+far, carol.uri, "x", "Message-ID: 12345")
		if g := carol.next(); g.code != 403 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-043 MSRPR-006 a URI that was never granted", func(t *testing.T) {
		forged := alice.path[:strings.LastIndexByte(alice.path, '/')+1] + "AAAAAAAAAAAAAAAA;tcp"
		for _, to := range []string{forged + " " + alice.uri, alice.path, strings.Replace(alice.path, "msrp:", "msrps:", 1) + " " + alice.uri} {
			q := dial(t, r.at("tcp"), "bob")
			q.request("SEND", to, q.uri, "x", "Message-ID: 12345")
			if g := q.next(); g.code != 481 {
				t.Errorf("%s: %+v", to, g)
			}
		}
		alice.request("SEND", alice.path+" msrp://127.0.0.1/x;tcp", alice.uri, "x", "Message-ID: 12345")
		if g := alice.next(); g.code != 400 {
			t.Errorf("a next hop without a port: %+v", g)
		}
	})
	t.Run("MSRPR-031 a request for somebody else", func(t *testing.T) {
		for _, method := range []string{"SEND", "AUTH", "REPORT"} {
			q := dial(t, r.at("tcp"), "bob")
			q.request(method, far, q.uri, "-", "Message-ID: 12345")
			q.ended(method)
		}
	})
	t.Run("MSRPR-055 MSRPR-039 the client goes where it wants, until its connection ends", func(t *testing.T) {
		alice.request("SEND", alice.path+" "+far, alice.uri, "hello", "Message-ID: 12345")
		other := accepted(t, l, far)
		if g := other.next(); g.body != "hello" || g.to != far {
			t.Errorf("%+v", g)
		}
		if g := alice.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
		alice.request("SEND", alice.path+" "+far, alice.uri, "again", "Message-ID: 12346")
		if g := other.next(); g.body != "again" {
			t.Errorf("over the same connection: %+v", g)
		}
		old := alice.path
		alice.nc.Close()
		for _, g := range r.listed(0) {
			t.Errorf("still there: %+v", g)
		}
		again := dial(t, r.at("tcp"), "alice")
		again.request("SEND", old+" "+far, again.uri, "x", "Message-ID: 12345")
		if g := again.next(); g.code != 481 {
			t.Errorf("%+v", g)
		}
	})
}

// listed waits until there are at most so many grants.
func (r *Relay) listed(most int) (list []Session) {
	for range 1000000 {
		if list, _ = r.Sessions(nil, "", 100); len(list) <= most {
			return nil
		}
	}
	return list
}

func TestOtherRequests(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	t.Run("MSRPR-054 unknown methods pass, and their answers come back", func(t *testing.T) {
		id := bob.request("NICKNAME", alice.path+" "+alice.uri, bob.uri, "-", `Use-Nickname: "B: b"`)
		g := alice.next()
		if g.method != "NICKNAME" || g.fields["use-nickname"] != `"B: b"` || g.from != alice.path+" "+bob.uri || g.to != alice.uri {
			t.Errorf("%+v", g)
		}
		bob.quiet("a request that only its target answers")
		bob = renewed(bob)
		alice.write("MSRP " + g.id + " 425 Malformed\r\nTo-Path: " + g.from + "\r\nFrom-Path: " + alice.uri + "\r\nX: y\r\n-------" + g.id + "$\r\n")
		a := bob.next()
		if a.id != id || a.code != 425 || a.to != bob.uri || a.from != alice.path+" "+alice.uri || a.fields["x"] != "y" {
			t.Errorf("MSRPR-060 %+v", a)
		}
	})
	t.Run("MSRP-020 no bigger body than it may have", func(t *testing.T) {
		bob.request("FOO", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", 10240))
		if g := alice.next(); len(g.body) != 10240 {
			t.Errorf("%d bytes", len(g.body))
		}
		bob.request("FOO", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", 10241))
		if g := bob.next(); g.code != 413 {
			t.Errorf("%+v", g)
		}
		bob.request("FOO", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", 300000))
		if g := bob.next(); g.code != 413 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-058 strange responses are dropped", func(t *testing.T) {
		bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "x", "Message-ID: 12345")
		g := alice.next()
		bob.next()
		foreign := "msrp://foreign.example:1/x;tcp"
		alice.write("MSRP " + g.id + " 415\r\nTo-Path: " + foreign + "\r\nFrom-Path: " + alice.uri + "\r\n-------" + g.id + "$\r\n")
		alice.write("MSRP " + g.id + " 415\r\nTo-Path: rubbish\r\n-------" + g.id + "$\r\n")
		alice.write("MSRP unknown1 415\r\nTo-Path: " + alice.path + "\r\nFrom-Path: " + alice.uri + "\r\n-------unknown1$\r\n")
		bob.quiet("no report")
		bob = renewed(bob)
		alice.write("MSRP " + g.id + " 415\r\nTo-Path: " + alice.path + "\r\nFrom-Path: " + alice.uri + "\r\n-------" + g.id + "$\r\n")
		if g := bob.next(); g.method != "REPORT" || g.fields["status"] != "000 415 Unsupported Media Type" {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-061 nobody is connected to for a response", func(t *testing.T) {
		q := dial(t, r.at("tcp"), "bob2")
		q.request("FOO", alice.path+" "+alice.uri, q.uri, "-")
		g := alice.next()
		q.nc.Close()
		alice.write("MSRP " + g.id + " 200\r\nTo-Path: " + g.from + "\r\nFrom-Path: " + alice.uri + "\r\n-------" + g.id + "$\r\n")
		bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "still here", "Message-ID: 12345")
		if g := alice.next(); g.body != "still here" {
			t.Errorf("%+v", g)
		}
		if hops := len(r.hops); hops != 0 {
			t.Errorf("%d connections were made", hops)
		}
	})
}

// renewed forgets the deadline that a peer ran into.
func renewed(p *peer) *peer {
	p.rd.Release()
	return p
}

func TestReports(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	answer := func(g got, code string) {
		alice.write("MSRP " + g.id + " " + code + "\r\nTo-Path: " + alice.path + "\r\nFrom-Path: " + alice.uri + "\r\n-------" + g.id + "$\r\n")
	}
	for _, failure := range []string{"yes", "", "partial", "no"} {
		fields := []string{"Message-ID: 12345", "Byte-Range: 101-105/300"}
		if failure != "" {
			fields = append(fields, "Failure-Report: "+failure)
		}
		from := bob.uri + " msrp://behind.example:7/bob;tcp"
		bob.request("SEND", alice.path+" "+alice.uri, from, "hello", fields...)
		g := alice.next()
		if failure == "yes" || failure == "" {
			if a := bob.next(); a.code != 200 || a.to != bob.uri {
				t.Errorf("MSRPR-046 Failure-Report %s: %+v", failure, a)
			}
		}
		if answer(g, "413"); failure == "no" {
			continue
		}
		t.Run("MSRPR-049 an error of the next hop becomes a REPORT, Failure-Report "+failure, func(t *testing.T) {
			p := bob.next()
			if p.method != "REPORT" || p.fields["status"] != "000 413 Stop Sending Message" || p.end != wire.Last {
				t.Errorf("%+v", p)
			}
			if p.to != from || p.from != alice.path || p.fields["message-id"] != "12345" || p.fields["byte-range"] != "101-105/300" {
				t.Errorf("MSRPR-050 %+v", p)
			}
			if p.fields["failure-report"] != "" || p.fields["success-report"] != "" {
				t.Errorf("MSRP-058 %+v", p)
			}
		})
	}
	t.Run("MSRPR-047 MSRPR-049 no answer for partial and no, no REPORT for no", func(t *testing.T) {
		bob.quiet("Failure-Report: no")
		bob = renewed(bob)
	})
	t.Run("MSRPR-050 none for a REPORT", func(t *testing.T) {
		bob.request("REPORT", alice.path+" "+alice.uri, bob.uri, "-", "Message-ID: 12345", "Status: 000 200 OK", "Byte-Range: 1-5/5")
		g := alice.next()
		if g.method != "REPORT" || g.fields["status"] != "000 200 OK" || g.from != alice.path+" "+bob.uri {
			t.Errorf("%+v", g)
		}
		answer(g, "481")
		bob.request("REPORT", alice.path+"x "+alice.uri, bob.uri, "-", "Message-ID: 12345", "Status: 000 200 OK")
		bob.quiet("a REPORT has no answer")
		bob = renewed(bob)
	})
	t.Run("MSRPR-049 a next hop that cannot be reached", func(t *testing.T) {
		l, far := listener(t)
		l.Close()
		alice.request("SEND", alice.path+" "+far, alice.uri, "x", "Message-ID: 12345")
		codes := map[int]bool{}
		if g := alice.next(); g.method == "" {
			codes[g.code] = true
		}
		if !codes[200] {
			t.Fatal("MSRPR-046 it is answered at once")
		}
		if g := alice.next(); g.method != "REPORT" || !strings.HasPrefix(g.fields["status"], "000 408") || g.fields["byte-range"] != "1-1/*" {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-049 a next hop that ends in the middle of a chunk", func(t *testing.T) {
		carol := dial(t, r.at("tcp"), "carol")
		carol.auth(r)
		text := requestText("tid99999", "SEND", carol.path+" "+carol.uri, bob.uri, strings.Repeat("x", 100_000), "$", "Message-ID: 12345", "Byte-Range: 1-*/100000")
		bob.write(text[:50_000])
		if _, err := carol.nc.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		carol.nc.Close()
		bob.write(text[50_000:90_000])
		bob.quiet("it is not all there")
		bob = renewed(bob)
		bob.write(text[90_000:])
		if g := bob.next(); g.id != "tid99999" || g.code != 408 {
			t.Errorf("%+v", g)
		}
		bob.quiet("it has its answer")
		bob = renewed(bob)
	})
	t.Run("MSRPR-049 a next hop that ends", func(t *testing.T) {
		bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "x", "Message-ID: 12345")
		bob.next()
		alice.next()
		alice.nc.Close()
		if g := bob.next(); g.method != "REPORT" || !strings.HasPrefix(g.fields["status"], "000 408") {
			t.Errorf("%+v", g)
		}
	})
}

func TestMalformed(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "x", "Message-ID: 12345")
	alice.next()
	bob.next()
	bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "x", "Message-ID: 1")
	if g := bob.next(); g.code != 400 {
		t.Errorf("%+v", g)
	}
	bob.write("MSRP x SEND\r\n")
	bob.ended("a start line that is none")
}

func TestNextHops(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		list  []string
		local bool
		host  string
		at    string
		ok    bool
	}{
		{nil, false, "h", "192.0.2.1:1", true}, {nil, false, "h", "127.0.0.1:1", false}, {nil, false, "h", "[::1]:1", false}, {nil, false, "h", "[::ffff:127.0.0.1]:1", false},
		{nil, false, "h", "169.254.1.1:1", false}, {nil, false, "h", "224.0.0.1:1", false}, {nil, false, "h", "0.0.0.0:1", false}, {nil, true, "h", "127.0.0.1:1", true},
		{[]string{"a.example"}, false, "A.example", "127.0.0.1:1", true}, {[]string{"a.example"}, false, "b.a.example", "127.0.0.1:1", false},
		{[]string{".a.example"}, false, "b.a.example", "127.0.0.1:1", true}, {[]string{".a.example"}, false, "a.example", "127.0.0.1:1", false},
		{[]string{"a.example:7"}, false, "a.example", "127.0.0.1:7", true}, {[]string{"a.example:7"}, false, "a.example", "127.0.0.1:8", false},
		{[]string{"x", "10.0.0.0/8"}, false, "a", "10.1.1.1:8", true}, {[]string{"10.0.0.0/8"}, false, "a", "11.1.1.1:8", false},
		{[]string{"[::1]:5"}, false, "a", "[::1]:5", true}, {[]string{"::1"}, false, "a", "[::1]:5", true}, {[]string{"192.0.2.1"}, false, "a", "192.0.2.2:5", false},
	} {
		allow, err := NextHops(c.list, c.local)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := allow(c.host, at(c.at)); (err == nil) != c.ok {
			t.Errorf("%v allow %s at %s: %v", c.list, c.host, c.at, err)
		}
	}
	for _, bad := range []string{"", "a b", "a:b", "a:0", "a:70000", "10.0.0.0/99", "."} {
		if _, err := NextHops([]string{bad}, false); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	allow, _ := NextHops([]string{"10.0.0.0/8"}, true)
	r := running(t, Config{AllowNextHop: allow})
	alice, _ := pair(t, r)
	_, far := listener(t)
	alice.request("SEND", alice.path+" "+far, alice.uri, "x", "Message-ID: 12345")
	alice.next()
	if g := alice.next(); g.method != "REPORT" {
		t.Errorf("%+v", g)
	}
}
