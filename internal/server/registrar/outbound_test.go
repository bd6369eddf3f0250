package registrar

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store/memory"
)

const (
	phoneA = `;+sip.instance="<urn:uuid:00000000-0000-1000-8000-00000000000A>"`
	phoneB = `;+sip.instance="<urn:uuid:00000000-0000-1000-8000-00000000000B>"`
)

// outbound is a REGISTER for one flow of a device.
func (p *phone) outbound(device string, regID int, fields ...string) string {
	p.t.Helper()
	return p.register(append([]string{fmt.Sprintf("Contact: <%s;ob>%s;reg-id=%d", p.uri(), device, regID), "+Supported: path, outbound"}, fields...)...)
}

func TestOutbound(t *testing.T) {
	s := newSite(t, nil)
	first, second, alice := s.phone("bob", "tcp"), s.phone("bob", "tcp"), s.phone("alice", "udp")
	second.callID = "second"
	t.Run("NAM-075 a flow is bound to address, instance and reg-id, and kept", func(t *testing.T) {
		got := first.outbound(phoneA, 1)
		wants(t, got, 200)
		if field(got, "Require") != "outbound" || field(got, "Flow-Timer") != "120" {
			t.Errorf("got %q", got)
		}
		if c := field(got, "Contact"); !strings.Contains(c, "reg-id=1") || param(c, "+sip.instance") != "<urn:uuid:00000000-0000-1000-8000-00000000000a>" {
			t.Errorf("got %q", c)
		}
		first.send("\r\n\r\n")
		if pong, _ := first.r.ReadString('\n'); pong != "\r\n" {
			t.Errorf("pong %q", pong)
		}
		wants(t, second.outbound(phoneA, 2), 200)
		if got := all(first.registered("Contact"), "Contact"); len(got) != 2 {
			t.Errorf("got %q", got)
		}
		// The same device and reg-id with another contact replaces it.
		if got := all(second.outbound(strings.ToLower(phoneA), 2, "Contact: <sip:else@192.0.2.1>"+phoneA+";reg-id=2"), "Contact"); len(got) != 2 || !strings.Contains(strings.Join(got, " "), "else@192.0.2.1") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("NAM-078 one target a device, another flow when one fails, none after an answer", func(t *testing.T) {
		alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
		got := second.receive()
		if target(got) != "sip:else@192.0.2.1" {
			t.Errorf("sent to %q", target(got))
		}
		first.quiet()
		second.send(answer(got, "430 Flow Failed"))
		first.takes("MESSAGE", "480 Busy")
		wants(t, alice.receive(), 480)
		alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
		second.takes("MESSAGE", "486 Busy")
		wants(t, alice.receive(), 486)
		first.quiet()
		second.conn.Close()
		eventually(t, "the binding goes with its flow", func() bool { return s.registrar.Count() == 1 })
		if got := all(first.registered("Contact"), "Contact"); len(got) != 1 || strings.Contains(got[0], "reg-id=2") {
			t.Errorf("got %q", got)
		}
		alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
		first.takes("MESSAGE", "200 OK")
		wants(t, alice.receive(), 200)
		first.conn.Close()
		eventually(t, "the last goes too", func() bool { return s.registrar.Count() == 0 })
		wants(t, alice.ask("MESSAGE", "sip:bob@example.com"), 480)
	})
}

func TestOutboundRules(t *testing.T) {
	s := newSite(t, nil)
	p, u := s.phone("bob", "tcp"), s.phone("bob", "udp")
	u.callID = "u"
	t.Run("NAM-087 no Require when reg-id is absent or ignored", func(t *testing.T) {
		for _, c := range []string{"<sip:a@192.0.2.1>" + phoneA, "<sip:a@192.0.2.1>;reg-id=1"} {
			got := p.registered("Contact: "+c, "+Supported: outbound")
			if field(got, "Require") != "" || field(got, "Flow-Timer") != "" || strings.Contains(field(got, "Contact"), "reg-id") {
				t.Errorf("%s: %q", c, got)
			}
		}
		got := u.outbound(phoneB, 1)
		wants(t, got, 200)
		if field(got, "Require") != "" || strings.Contains(field(got, "Contact"), "reg-id") {
			t.Errorf("over UDP: %q", got)
		}
		got = p.registered("Contact: <sip:a@192.0.2.1>" + phoneA + ";reg-id=1")
		if field(got, "Require") != "" {
			t.Errorf("not supported by the client: %q", got)
		}
		got = p.outbound(phoneA, 1, "Contact: <sip:a@192.0.2.1>"+phoneA+";reg-id=1;expires=0")
		wants(t, got, 200)
		if field(got, "Require") != "" {
			t.Errorf("removal: %q", got)
		}
	})
	t.Run("NAM-077 reg-id without instance is ignored, and more than one lasting Contact with one is refused", func(t *testing.T) {
		p.registered("Contact: *", "Expires: 0")
		p.registered("Contact: <sip:a@192.0.2.1>;reg-id=1, <sip:b@192.0.2.1>;reg-id=1")
		if got := all(p.registered("Contact"), "Contact"); len(got) != 2 {
			t.Errorf("got %q", got)
		}
		wants(t, p.register("Contact: <sip:c@192.0.2.1>"+phoneA+";reg-id=1, <sip:d@192.0.2.1>", "+Supported: outbound"), 400)
		wants(t, p.register("Contact: <sip:c@192.0.2.1>"+phoneA+";reg-id=1, <sip:a@192.0.2.1>;expires=0", "+Supported: outbound"), 200)
	})
	t.Run("NAM-076 the first hop must support outbound", func(t *testing.T) {
		via := "+Via: SIP/2.0/TCP 192.0.2.8;branch=z9hG4bKfirst"
		wants(t, p.outbound(phoneB, 1, via), 439)
		wants(t, p.outbound(phoneB, 1, via, "+Path: <sip:edge.example.net;lr>"), 439)
		got := p.register("Contact: <sip:e@192.0.2.1>"+phoneB+";reg-id=1", via)
		wants(t, got, 200)
		if field(got, "Require") != "" || strings.Contains(field(got, "Contact"), "reg-id=1;+sip.instance") {
			t.Errorf("without outbound: %q", got)
		}
		got = p.outbound(phoneB, 1, via, "+Path: <sip:tok@127.0.0.1:9;lr;ob>")
		wants(t, got, 200)
		if field(got, "Require") != "outbound" || field(got, "Path") != "<sip:tok@127.0.0.1:9;lr;ob>" || field(got, "Flow-Timer") != "" {
			t.Errorf("with ob: %q", got)
		}
	})
	t.Run("NAM-088 no Path with ob comes from here", func(t *testing.T) {
		if got := p.registered("+Supported: path, outbound"); field(got, "Path") != "" {
			t.Errorf("got %q", got)
		}
	})
}

func TestPath(t *testing.T) {
	s := newSite(t, nil)
	alice, edge := s.phone("alice", "udp"), s.phone("bob", "udp")
	path := "<sip:token@" + edge.host() + ";lr;ob>, <sip:inner.example.net;lr>"
	edge.registered("Contact: <sip:bob@10.0.0.1>"+phoneA+";reg-id=1", "+Supported: path, outbound", "+Path: "+path, "+Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKfirst")
	alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
	got := edge.takes("MESSAGE", "200 OK")
	if target(got) != "sip:bob@10.0.0.1" || strings.Join(all(got, "Route"), ", ") != path {
		t.Errorf("got %q", got)
	}
	wants(t, alice.receive(), 200)
}

func TestStrictRouterInPath(t *testing.T) {
	s := newSite(t, nil)
	alice, edge := s.phone("alice", "udp"), s.phone("bob", "udp")
	edge.registered("Contact: <sip:bob@10.0.0.1>", "+Path: <sip:"+edge.host()+">", "+Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKfirst")
	alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
	if got := edge.takes("MESSAGE", "200 OK"); target(got) != "sip:"+edge.host() || field(got, "Route") != "<sip:bob@10.0.0.1>" {
		t.Errorf("got %q", got)
	}
	wants(t, alice.receive(), 200)
}

func TestNAT(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	bob.registered("Contact: <sip:bob@10.0.0.1>", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKnat;rport")
	alice.send(alice.request("INVITE", "sip:bob@example.com", ""))
	got := bob.receive()
	if target(got) != "sip:bob@10.0.0.1" || len(all(got, "Record-Route")) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestCallerBehindNAT(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	bob.registered()
	for _, fields := range [][]string{{"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKnat;rport"}, {"Contact: <" + alice.uri() + ";ob>"}, {"Contact: <sip:a@x.invalid>"}} {
		alice.send(alice.request("INVITE", "sip:bob@example.com", "", fields...))
		inv := bob.takes("INVITE", "200 OK")
		if len(all(inv, "Record-Route")) != 2 {
			t.Errorf("%s: %q", fields, inv)
		}
		wants(t, alice.receive(), 200)
		bob.send(bob.request("BYE", "sip:alice@10.0.0.1", "", append(routes(inv, false), "To: <sip:alice@example.com>;tag=1", "Call-ID: "+alice.callID)...))
		alice.takes("BYE", "200 OK")
		wants(t, bob.receive(), 200)
	}
	// A proxy before this one has a name in its Via, and that is no sign of a NAT.
	alice.send(alice.request("INVITE", "sip:bob@example.com", "", "Via: SIP/2.0/UDP proxy.example.net;branch=z9hG4bKp;rport, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKq"))
	if inv := bob.receive(); len(all(inv, "Record-Route")) != 0 {
		t.Errorf("got %q", inv)
	}
}

func TestContactWithAName(t *testing.T) {
	var at atomic.Value
	asked := make(chan string, 10)
	s := newSiteAt(t, nil, stack.Config{Locate: func(_ context.Context, uri string) ([]stack.Target, error) {
		asked <- uri
		return []stack.Target{{Transport: "udp", Addr: at.Load().(string)}}, nil
	}}, "127.0.0.1:0")
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	at.Store(bob.host())
	bob.registered("Contact: <sip:bob@pc.example.net>")
	for _, method := range []string{"MESSAGE", "INVITE"} {
		alice.send(alice.request(method, "sip:bob@example.com", ""))
		if got := bob.takes(method, "200 OK"); target(got) != "sip:bob@pc.example.net" {
			t.Errorf("got %q", got)
		}
		wants(t, alice.receive(), 200)
		if uri := <-asked; uri != "sip:bob@pc.example.net" {
			t.Errorf("%s was located", uri)
		}
	}
}

func TestInvalidContact(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "tcp")
	const contact = "sip:x7@k3jf.invalid;transport=ws"
	bob.registered("Contact: <" + contact + ">")
	alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
	if got := bob.takes("MESSAGE", "200 OK"); target(got) != contact {
		t.Errorf("sent to %s", target(got))
	}
	wants(t, alice.receive(), 200)
	eventually(t, "the contact is known", func() bool { return s.registrar.Count() == 1 })
	if target, ok := s.registrar.Route(contact); !ok || target.Flow == nil {
		t.Error("no way for requests of the server itself")
	}
	// A request of the server finds the way by itself.
	go s.stack.Send(&stack.Outgoing{Method: "NOTIFY", URI: contact, Head: []byte("From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: n\r\nCSeq: 1 NOTIFY\r\n"),
		Target: stack.Target{Addr: "k3jf.invalid"}}, func(*sip.Response, error) {})
	bob.takes("NOTIFY", "200 OK")
	bob.conn.Close()
	eventually(t, "the contact goes", func() bool { _, ok := s.registrar.Route(contact); return !ok })
}

func TestGRUU(t *testing.T) {
	s := newSite(t, nil)
	alice, a, b := s.phone("alice", "udp"), s.phone("bob", "udp"), s.phone("bob", "tcp")
	b.callID = "b"
	registered := func(p *phone, device string, fields ...string) string {
		t.Helper()
		got := p.registered(append([]string{"Contact: <" + p.uri() + ">" + device, "+Supported: gruu"}, fields...)...)
		for _, c := range all(got, "Contact") {
			if strings.Contains(c, p.host()) {
				return c
			}
		}
		t.Fatalf("got %q", got)
		return ""
	}
	public := "sip:bob@example.com;gr=urn:uuid:00000000-0000-1000-8000-00000000000a"
	value := registered(a, phoneA+`;pub-gruu="sip:bob@example.com;gr=mine";temp-gruu="sip:mine@example.com;gr"`)
	temporary := param(value, "temp-gruu")
	t.Run("NAM-080 the registrar gives a public and a temporary GRUU", func(t *testing.T) {
		if param(value, "pub-gruu") != public || !strings.HasPrefix(temporary, "sip:tgruu.") || !strings.HasSuffix(temporary, "@example.com;gr") {
			t.Errorf("got %q", value)
		}
		if got := field(a.registered("Contact"), "Contact"); strings.Contains(got, "gruu") {
			t.Errorf("without support: %q", got)
		}
	})
	registered(b, phoneB)
	t.Run("NAM-090 GRUUs of a request are ignored, temporary ones are unlike each other, gruu is not in the answer", func(t *testing.T) {
		got := a.registered("Contact", "+Supported: gruu", "+Require: gruu")
		if strings.Contains(field(got, "Supported")+field(got, "Require"), "gruu") || strings.Contains(field(got, "Contact"), "mine") {
			t.Errorf("got %q", got)
		}
		seen := map[string]bool{}
		for _, c := range all(got, "Contact") {
			user := strings.TrimPrefix(param(c, "temp-gruu"), "sip:tgruu.")
			for n := range 4 { // no part of two is the same, even of one device
				part := user[n*12 : n*12+12]
				if seen[part] {
					t.Errorf("%q comes again", part)
				}
				seen[part] = true
			}
		}
		if other := param(registered(a, phoneA), "temp-gruu"); other == temporary {
			t.Error("the same temporary GRUU again")
		}
	})
	t.Run("NAM-084 a GRUU leads to its device alone", func(t *testing.T) {
		for _, gruu := range []string{public, temporary, strings.Replace(public, "urn:uuid", "URN:uuid", 1)} {
			for _, method := range []string{"MESSAGE", "SUBSCRIBE"} {
				alice.send(alice.request(method, gruu, ""))
				if got := a.takes(method, "200 OK"); target(got) != a.uri() {
					t.Errorf("sent to %s", target(got))
				}
				wants(t, alice.receive(), 200)
			}
		}
		b.quiet()
		go s.stack.Send(&stack.Outgoing{Method: "NOTIFY", URI: public, Head: []byte("From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: n\r\nCSeq: 1 NOTIFY\r\n"),
			Target: stack.Target{Addr: "example.com"}}, func(*sip.Response, error) {})
		if got := a.takes("NOTIFY", "200 OK"); target(got) != a.uri() {
			t.Errorf("a request of the server itself was sent to %s", target(got))
		}
		target, ok := s.registrar.Route(public)
		if !ok || target.Addr != a.host() {
			t.Errorf("the server's own way: %+v", target)
		}
		other := "x"
		if temporary[20:21] == other {
			other = "y"
		}
		for _, wrong := range []string{"sip:bob@example.com;gr=urn:uuid:none", "sip:alice@example.com;gr=urn:uuid:00000000-0000-1000-8000-00000000000a",
			strings.Replace(temporary, "tgruu.", "tgruu.A", 1), "sip:tgruu.AAAA@example.com;gr", temporary[:20] + other + temporary[21:]} {
			wants(t, alice.ask("MESSAGE", wrong), 404)
		}
	})
	t.Run("NAM-089 a refresh with another Call-ID kills temporary GRUUs", func(t *testing.T) {
		registered(a, phoneA)
		alice.send(alice.request("MESSAGE", temporary, ""))
		a.takes("MESSAGE", "200 OK")
		wants(t, alice.receive(), 200)
		renewed := param(registered(a, phoneA, "Call-ID: reborn"), "temp-gruu")
		wants(t, alice.ask("MESSAGE", temporary), 404)
		temporary = renewed
		alice.send(alice.request("MESSAGE", temporary, ""))
		a.takes("MESSAGE", "200 OK")
		wants(t, alice.receive(), 200)
	})
	t.Run("NAM-084 without a contact the public one waits, the temporary one is gone", func(t *testing.T) {
		a.registered("Contact: <"+a.uri()+">;expires=0", "Call-ID: gone")
		wants(t, alice.ask("MESSAGE", public), 480)
		wants(t, alice.ask("MESSAGE", temporary), 404)
		registered(a, phoneA, "Call-ID: back")
		wants(t, alice.ask("MESSAGE", temporary), 404)
		alice.send(alice.request("MESSAGE", public, ""))
		a.takes("MESSAGE", "200 OK")
		wants(t, alice.receive(), 200)
	})
}

func TestGRUUOfRebootedPhone(t *testing.T) {
	s := newSite(t, nil)
	alice, old, now := s.phone("alice", "udp"), s.phone("bob", "udp"), s.phone("bob", "udp")
	old.registered("Contact: <" + old.uri() + ">" + phoneA)
	now.registered("Contact: <"+now.uri()+">"+phoneA, "Call-ID: now")
	alice.send(alice.request("MESSAGE", "sip:bob@example.com;gr=urn:uuid:00000000-0000-1000-8000-00000000000a", ""))
	now.takes("MESSAGE", "408 Late")
	old.takes("MESSAGE", "200 OK")
	wants(t, alice.receive(), 200)
}

func TestPublicGRUUIsForgottenInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, register := offline(t, nil)
		defer r.cfg.Store.(*memory.Store).Close()
		defer r.Close()
		c := contactFor("sip:a@192.0.2.1", time.Minute)
		c.instance = "urn:x"
		register("alice", 1, c)
		u, _ := header.ParseURI("sip:alice@example.com;gr=urn:x")
		time.Sleep(time.Hour)
		if _, status := r.Locate(t.Context(), u); status != 480 {
			t.Errorf("after an hour %d", status)
		}
		time.Sleep(instanceMemory)
		if _, status := r.Locate(t.Context(), u); status != 404 {
			t.Errorf("after a month %d", status)
		}
	})
}

func FuzzTemporaryGRUU(f *testing.F) {
	g := newGRUUs([32]byte{1})
	f.Add("tgruu.AAAA")
	if u, err := header.ParseURI(g.temporary("sip", "sip:alice@example.com", newEpoch())); err == nil {
		f.Add(u.User)
	}
	f.Fuzz(func(t *testing.T, user string) {
		aor, _, ok := g.open(header.URI{Scheme: "sip", User: user, Host: "example.com"})
		if ok && aor != "sip:alice@example.com" {
			t.Errorf("%q opens as %s", user, aor)
		}
	})
}
