package registrar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// quiet fails when a phone gets something.
func (p *phone) quiet() {
	p.t.Helper()
	if msg, err := p.next(30 * time.Millisecond); err == nil {
		p.t.Errorf("%s got %q", p.user, msg)
	}
}

func TestForwardMessage(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			s := newSite(t, nil)
			alice, bob := s.phone("alice", transport), s.phone("bob", transport)
			bob.registered()
			const body = "\x00\xff any\r\n\r\nbytes \r\n"
			alice.send(alice.request("MESSAGE", "sip:bob@example.com", body, "+X-Odd:  two  blanks ,\"and\" quotes",
				"+Content-Type: application/x", "+s:compact", "+Authorization: Digest username=\"x\", realm=\"elsewhere\", nonce=\"n\", uri=\"u\", response=\"r\"",
				"+Authorization: Other  scheme"))
			got := bob.receive()
			if target(got) != bob.uri() {
				t.Errorf("Request-URI %s, want the contact %s", target(got), bob.uri())
			}
			_, gotBody, _ := strings.Cut(got, "\r\n\r\n")
			if gotBody != body {
				t.Errorf("the body became %q", gotBody)
			}
			for _, line := range []string{"X-Odd:  two  blanks ,\"and\" quotes", "s:compact", "Max-Forwards: 69", "Contact: <" + alice.uri() + ">"} {
				if !strings.Contains(got, "\r\n"+line+"\r\n") {
					t.Errorf("no %q in %q", line, got)
				}
			}
			t.Run("NAM-062 Authorization and Authentication-Info pass untouched", func(t *testing.T) {
				if all(got, "Authorization")[0] != `Digest username="x", realm="elsewhere", nonce="n", uri="u", response="r"` || all(got, "Authorization")[1] != "Other  scheme" {
					t.Errorf("got %q", got)
				}
				bob.send(answer(got, "200 Fine", `Authentication-Info:  nextnonce="a" , rspauth="b"`, "X-Odd:  kept  "))
				res := alice.receive()
				wants(t, res, 200)
				if !strings.Contains(res, "\r\nAuthentication-Info:  nextnonce=\"a\" , rspauth=\"b\"\r\nX-Odd:  kept  \r\n") || statusOf(res) != "200 Fine" {
					t.Errorf("got %q", res)
				}
				if len(all(res, "Via")) != 1 || param(field(res, "To"), "tag") != "phone" || field(res, "Server") != "" {
					t.Errorf("got %q", res)
				}
			})
			t.Run("MSG-033 no Record-Route", func(t *testing.T) {
				if field(got, "Record-Route") != "" {
					t.Errorf("got %q", got)
				}
			})
			t.Run("EVT-105 no Allow-Events is added", func(t *testing.T) {
				if field(got, "Allow-Events") != "" {
					t.Errorf("got %q", got)
				}
			})
			t.Run("NAM-079 a connection is used again without outbound", func(t *testing.T) {
				if transport == "tcp" && s.stack.Stats().Connections != 2 {
					t.Errorf("%d connections", s.stack.Stats().Connections)
				}
			})
			if len(all(got, "Via")) != 2 {
				t.Errorf("Via: %q", all(got, "Via"))
			}
		})
	}
}

func TestForwardRetransmission(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	bob.registered()
	msg := alice.request("MESSAGE", "sip:bob@example.com", "x")
	alice.send(msg)
	bob.takes("MESSAGE", "200 OK")
	first := alice.receive()
	alice.send(msg)
	if again := alice.receive(); again != first {
		t.Errorf("first %q, then %q", first, again)
	}
	bob.quiet()
}

func TestForking(t *testing.T) {
	s := newSite(t, nil)
	alice, one, two := s.phone("alice", "udp"), s.phone("bob", "udp"), s.phone("bob", "tcp")
	one.registered()
	two.registered("Call-ID: two")
	ask := func() (a, b string) {
		alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
		return one.receive(), two.receive()
	}
	t.Run("MSG-032 both devices get it, the sender gets one answer", func(t *testing.T) {
		a, b := ask()
		one.send(answer(a, "486 Busy Here"))
		two.send(answer(b, "200 OK"))
		wants(t, alice.receive(), 200)
		alice.quiet()
	})
	t.Run("success goes back at once", func(t *testing.T) {
		a, b := ask()
		two.send(answer(b, "200 OK"))
		wants(t, alice.receive(), 200)
		one.send(answer(a, "603 Decline"))
		alice.quiet()
	})
	for _, c := range []struct {
		one, two string
		want     int
	}{
		{"404 Not Found", "603 Decline", 603}, {"404 Not Found", "302 Moved Temporarily", 302}, {"500 Oops", "480 Gone", 480},
		{"480 Gone", "415 Unsupported Media Type", 415}, {"503 Later", "503 Later", 500}, {"503 Later", "500 Oops", 500}, {"200 OK", "603 Decline", 200},
	} {
		t.Run(fmt.Sprint("best of ", c.one, " and ", c.two), func(t *testing.T) {
			a, b := ask()
			one.send(answer(a, c.one))
			two.send(answer(b, c.two))
			wants(t, alice.receive(), c.want)
			alice.quiet()
		})
	}
	t.Run("Max-Breadth is shared out, and what is too narrow refused", func(t *testing.T) {
		for _, c := range []struct{ in, one, two string }{{"", "30", "30"}, {"5", "2", "3"}, {"2", "1", "1"}} {
			var fields []string
			if c.in != "" {
				fields = append(fields, "+Max-Breadth: "+c.in)
			}
			alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x", fields...))
			a, b := one.receive(), two.receive()
			got := []string{strings.Join(all(a, "Max-Breadth"), "+"), strings.Join(all(b, "Max-Breadth"), "+")}
			if slices.Sort(got); got[0] != c.one || got[1] != c.two {
				t.Errorf("of %q: %q", c.in, got)
			}
			one.send(answer(a, "200 OK"))
			two.send(answer(b, "200 OK"))
			wants(t, alice.receive(), 200)
		}
		for _, narrow := range []string{"1", "0", "many"} {
			wants(t, alice.ask("MESSAGE", "sip:bob@example.com", "+Max-Breadth: "+narrow), 440)
		}
		one.quiet()
	})
	t.Run("NAM-061 all challenges go into one answer", func(t *testing.T) {
		a, b := ask()
		one.send(answer(a, "401 Unauthorized", `WWW-Authenticate: Digest realm="1", nonce="a", algorithm=SHA-256`, `WWW-Authenticate: Digest realm="1", nonce="b", algorithm=MD5`))
		two.send(answer(b, "407 Proxy Authentication Required", `Proxy-Authenticate: Digest realm="2", nonce="c"`, `WWW-Authenticate: Digest realm="3",  nonce="d"`))
		res := alice.receive()
		www := all(res, "WWW-Authenticate")
		if !strings.HasPrefix(res, "SIP/2.0 40") || len(www) != 3 || len(all(res, "Proxy-Authenticate")) != 1 {
			t.Fatalf("got %q", res)
		}
		order := strings.Join(www, " ")
		if strings.Index(order, `nonce="a"`) > strings.Index(order, `nonce="b"`) || !strings.Contains(order, `realm="3",  nonce="d"`) {
			t.Errorf("got %q", www)
		}
	})
}

func TestSilentDevice(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Wait = 50 * time.Millisecond })
	alice, one, two := s.phone("alice", "udp"), s.phone("bob", "udp"), s.phone("bob", "tcp")
	one.registered()
	two.registered("Call-ID: two")
	alice.send(alice.request("MESSAGE", "sip:bob@example.com", "x"))
	one.takes("MESSAGE", "486 Busy Here")
	two.receive()
	wants(t, alice.receive(), 486)
}

func TestNoTarget(t *testing.T) {
	s := newSite(t, nil)
	alice := s.phone("alice", "udp")
	for _, c := range []struct {
		method, uri string
		fields      []string
		want        int
	}{
		{"MESSAGE", "sip:bob@example.com", nil, 480},
		{"MESSAGE", "im:bob@example.com", nil, 480},
		{"MESSAGE", "sip:nobody@example.com", nil, 404},
		{"MESSAGE", "sip:bob@example.net", nil, 403},
		{"FROB", "sip:bob@example.net", nil, 403},
		{"INVITE", "sip:bob@192.0.2.9", nil, 403},
		{"BYE", "sip:bob@127.0.0.1:9", nil, 403},
		{"MESSAGE", "sip:bob@example.com", []string{"+Route: <sip:192.0.2.9;lr>"}, 403},
		{"MESSAGE", "sip:bob@example.com", []string{"Max-Forwards: 0"}, 483},
		{"INVITE", "sip:bob@example.com", []string{"Max-Forwards: 0"}, 483},
		{"MESSAGE", "sip:bob@example.com", []string{"+Proxy-Require: foo, bar"}, 420},
		{"OPTIONS", "sip:bob@example.com", nil, 480},
		{"OPTIONS", "sip:example.com", nil, 200},
		{"OPTIONS", "sip:" + s.addr(), nil, 200},
		{"SUBSCRIBE", "sip:bob@example.com", nil, 489},
		{"SUBSCRIBE", "sip:bob@example.com", []string{"+Route: <sip:" + s.addr() + ";lr>"}, 489},
		{"MESSAGE", "sip:example.com", nil, 405},
		{"MESSAGE", "sip:bob@" + s.addr() + ";gr", nil, 405},
		{"CANCEL", "sip:bob@example.com", nil, 481},
		{"CANCEL", "sip:bob@192.0.2.9", nil, 481},
	} {
		t.Run(fmt.Sprint(c.method, " ", c.uri, c.fields), func(t *testing.T) {
			got := alice.ask(c.method, c.uri, c.fields...)
			wants(t, got, c.want)
			if c.want == 420 && field(got, "Unsupported") != "foo, bar" {
				t.Errorf("got %q", got)
			}
		})
	}
	alice.send(alice.request("ACK", "sip:bob@192.0.2.9", ""))
	alice.quiet()
	if st := s.registrar.Stats().Proxy; st.Forwarded != 0 || st.Refused == 0 {
		t.Errorf("counted %+v", st)
	}
}

func TestWhoSends(t *testing.T) {
	s := newSite(t, guarded(t))
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	bob.registered(credentials(t, bob.register(), "REGISTER", "sip:example.com", "bob", "builder"))
	const to = "sip:bob@example.com"
	t.Run("NAM-049 a proxy asks with 407", func(t *testing.T) {
		for _, method := range []string{"MESSAGE", "INVITE"} {
			got := alice.ask(method, to)
			wants(t, got, 407)
			if field(got, "Proxy-Authenticate") == "" || field(got, "WWW-Authenticate") != "" {
				t.Errorf("got %q", got)
			}
			bob.quiet()
		}
	})
	with := func(method, user, password string) string {
		return credentials(t, alice.ask(method, to), method, to, user, password)
	}
	t.Run("NAM-057 From is the user's own", func(t *testing.T) {
		wants(t, alice.ask("MESSAGE", to, with("MESSAGE", "bob", "builder")), 403)
		wants(t, alice.ask("MESSAGE", to, with("MESSAGE", "alice", "wonderland"), "From: <sip:alice@example.net>;tag=x"), 403)
		bob.quiet()
	})
	wants(t, alice.ask("MESSAGE", to, with("MESSAGE", "alice", "wrong")), 407)
	alice.send(alice.request("MESSAGE", to, "", with("MESSAGE", "alice", "wonderland"), "+Proxy-Authorization: Digest username=\"a\", realm=\"other\""))
	got := bob.takes("MESSAGE", "200 OK")
	if v := all(got, "Proxy-Authorization"); len(v) != 1 || !strings.Contains(v[0], `realm="other"`) {
		t.Errorf("credentials that go on: %q", v)
	}
	wants(t, alice.receive(), 200)
	t.Run("NAM-060 ACK and CANCEL are not asked", func(t *testing.T) {
		wants(t, alice.ask("CANCEL", "sip:carol@example.com"), 481)
		alice.send(alice.request("ACK", to, ""))
		if got := bob.receive(); !strings.HasPrefix(got, "ACK ") {
			t.Errorf("got %q", got)
		}
		alice.quiet()
	})
	t.Run("an INVITE that comes again has its credentials twice", func(t *testing.T) {
		invite := alice.request("INVITE", to, "", with("INVITE", "alice", "wonderland"))
		alice.send(invite)
		first := bob.receive()
		alice.send(invite)
		if again := bob.receive(); again != first {
			t.Errorf("first %q, then %q", first, again)
		}
		alice.send(strings.NewReplacer("INVITE sip", "CANCEL sip", " INVITE\r\n", " CANCEL\r\n", field(invite, "Proxy-Authorization"), "none").Replace(invite))
		if got := bob.receive(); !strings.HasPrefix(got, "CANCEL ") {
			t.Errorf("got %q", got)
		}
		alice.send(strings.Replace(invite, "branch=z9hG4bK-", "branch=z9hG4bK-x", 1))
		wants(t, alice.receive(), 407)
	})
}

func TestInvite(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) { invite(t, newSite(t, nil), transport) })
	}
}

// invite plays a call between two phones.
func invite(t *testing.T, s *site, transport string) {
	alice, low, bob := s.phone("alice", transport), s.phone("bob", "udp"), s.phone("bob", transport)
	bob.registered()
	low.registered("Call-ID: low", "Contact: <"+low.uri()+">;q=0.5")
	alice.registered()
	const sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
	req := alice.request("INVITE", "sip:bob@example.com", sdp)
	alice.send(req)
	inv := bob.receive()
	if !strings.HasPrefix(inv, "INVITE "+bob.uri()+" ") || !strings.HasSuffix(inv, "\r\n\r\n"+sdp) {
		t.Fatalf("got %q", inv)
	}
	low.quiet()
	if rr := all(inv, "Record-Route"); (transport == "udp") != (len(rr) == 0) {
		t.Errorf("Record-Route: %q", rr)
	}
	bob.send(answer(inv, "180 Ringing", "X-A:  b"))
	ringing := alice.receive()
	if !strings.HasPrefix(ringing, "SIP/2.0 180 ") || len(all(ringing, "Via")) != 1 || !strings.Contains(ringing, "X-A:  b\r\n") {
		t.Fatalf("got %q", ringing)
	}
	// A CANCEL goes the way of its INVITE, with its branch.
	cancel := strings.NewReplacer("INVITE sip", "CANCEL sip", " INVITE\r\n", " CANCEL\r\n", sdp, "", fmt.Sprint("Content-Length: ", len(sdp)), "Content-Length: 0").Replace(req)
	alice.send(cancel)
	got := bob.takes("CANCEL", "200 OK")
	if all(got, "Via")[0] != all(inv, "Via")[0] {
		t.Errorf("INVITE %q, CANCEL %q", all(inv, "Via")[0], all(got, "Via")[0])
	}
	wants(t, alice.receive(), 200)
	bob.send(answer(inv, "487 Request Terminated"))
	refused := alice.receive()
	wants(t, refused, 487)
	ack := strings.NewReplacer("INVITE sip", "ACK sip", " INVITE\r\n", " ACK\r\n", sdp, "", fmt.Sprint("Content-Length: ", len(sdp)), "Content-Length: 0",
		"To: "+field(req, "To"), "To: "+field(refused, "To")).Replace(req)
	alice.send(ack)
	if got := bob.receive(); !strings.HasPrefix(got, "ACK ") || all(got, "Via")[0] != all(inv, "Via")[0] {
		t.Errorf("got %q", got)
	}
}

func TestAckOfARefusal(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	req := alice.request("INVITE", "sip:bob@example.com", "")
	alice.send(req)
	refused := alice.receive()
	wants(t, refused, 480)
	bob.registered()
	alice.send(strings.NewReplacer("INVITE sip", "ACK sip", " INVITE\r\n", " ACK\r\n", "To: "+field(req, "To"), "To: "+field(refused, "To")).Replace(req))
	bob.quiet()
	alice.quiet()
}

// routes makes Route fields of Record-Route, in the order for the caller or the callee.
func routes(msg string, caller bool) (fields []string) {
	for _, v := range all(msg, "Record-Route") {
		if caller {
			fields = append([]string{"+Route: " + v}, fields...)
		} else {
			fields = append(fields, "+Route: "+v)
		}
	}
	return fields
}

func TestDialog(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "tcp")
	bob.registered()
	alice.send(alice.request("INVITE", "sip:bob@example.com", ""))
	inv := bob.takes("INVITE", "200 OK", "Contact: <"+bob.uri()+";x=1>")
	ok := alice.receive()
	wants(t, ok, 200)
	rr := all(inv, "Record-Route")
	if len(rr) != 2 || !strings.Contains(rr[0], "transport=tcp;lr") || !strings.Contains(rr[1], "transport=udp;lr") || field(ok, "Record-Route") != field(inv, "Record-Route") {
		t.Fatalf("Record-Route: %q", rr)
	}
	to := "To: " + field(ok, "To")
	route := routes(ok, true)
	t.Run("ACK and BYE go along the route", func(t *testing.T) {
		alice.send(alice.request("ACK", bob.uri()+";x=1", "", append(route, to)...))
		got := bob.receive()
		if !strings.HasPrefix(got, "ACK "+bob.uri()+";x=1 ") || field(got, "Route") != "" {
			t.Errorf("got %q", got)
		}
		alice.send(alice.request("BYE", bob.uri()+";x=1", "", append(route, to)...))
		bob.takes("BYE", "200 OK")
		wants(t, alice.receive(), 200)
	})
	t.Run("and back", func(t *testing.T) {
		bob.send(bob.request("BYE", alice.uri(), "", append(routes(inv, false), "To: "+field(inv, "From"), "Call-ID: "+alice.callID)...))
		if got := alice.takes("BYE", "200 OK"); field(got, "Route") != "" || target(got) != alice.uri() {
			t.Errorf("got %q", got)
		}
		wants(t, bob.receive(), 200)
	})
	t.Run("EVT-112 NOTIFY stays on the path of its SUBSCRIBE", func(t *testing.T) {
		alice.send(alice.request("NOTIFY", bob.uri(), "", append(route, to)...))
		if got := bob.takes("NOTIFY", "200 OK"); len(all(got, "Record-Route")) != 2 {
			t.Errorf("got %q", got)
		}
		wants(t, alice.receive(), 200)
		alice.send(alice.request("NOTIFY", "sip:bob@example.com", "", to))
		if got := bob.takes("NOTIFY", "200 OK"); field(got, "Record-Route") != "" {
			t.Errorf("got %q", got)
		}
		wants(t, alice.receive(), 200)
	})
	t.Run("a strict router's way of writing", func(t *testing.T) {
		own := strings.Trim(strings.TrimPrefix(route[0], "+Route: "), "<>")
		fields := append([]string{}, route[1:]...)
		alice.send(alice.request("BYE", own, "", append(fields, "+Route: <"+bob.uri()+">", to)...))
		if got := bob.takes("BYE", "200 OK"); target(got) != bob.uri() || field(got, "Route") != "" {
			t.Errorf("got %q", got)
		}
		wants(t, alice.receive(), 200)
	})
	t.Run("NAM-088 forged token 403, dead flow 430", func(t *testing.T) {
		for i := range route {
			forged := append([]string{}, route...)
			at := strings.Index(forged[i], "sip:") + 10
			forged[i] = forged[i][:at] + other(forged[i][at]) + forged[i][at+1:]
			wants(t, alice.ask("BYE", bob.uri(), append(forged, to)...), 403)
		}
		wants(t, alice.ask("BYE", bob.uri(), "+Route: <sip:x@"+s.addr()+";lr>", to), 403)
		bob.conn.Close()
		eventually(t, "the connection ends", func() bool { return s.stack.Stats().Connections == 0 })
		wants(t, alice.ask("BYE", bob.uri(), append(route, to)...), 430)
	})
}

// other is another character of a token.
func other(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestTokenIsNoPass(t *testing.T) {
	s := newSite(t, guarded(t))
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "tcp")
	const to = "sip:bob@example.com"
	bob.registered(credentials(t, bob.register(), "REGISTER", "sip:example.com", "bob", "builder"))
	alice.send(alice.request("INVITE", to, "", credentials(t, alice.ask("INVITE", to), "INVITE", to, "alice", "wonderland")))
	inv := bob.takes("INVITE", "200 OK")
	ok := alice.receive()
	eve := s.phone("eve", "udp")
	wants(t, eve.ask("MESSAGE", bob.uri(), routes(ok, true)...), 407)
	wants(t, eve.ask("MESSAGE", bob.uri(), append(routes(ok, true), "Call-ID: "+alice.callID)...), 407)
	wants(t, eve.ask("MESSAGE", bob.uri(), append(routes(ok, true), "To: <sip:bob@example.com>;tag=1")...), 407)
	// Within the dialog nobody is asked, but it leads nowhere else either.
	own := []string{"+Route: " + all(ok, "Record-Route")[1], "To: " + field(ok, "To")}
	wants(t, alice.ask("BYE", "sip:x@192.0.2.7", own...), 407)
	t.Run("NAM-057 nor does a token speak for others", func(t *testing.T) {
		for _, route := range all(ok, "Record-Route") {
			for _, uri := range []string{to, bob.uri(), alice.uri()} {
				got := alice.ask("MESSAGE", uri, "+Route: "+route, "From: <sip:carol@example.com>;tag=1", "To: <"+to+">;tag=1")
				if !strings.HasPrefix(got, "SIP/2.0 403 ") && !strings.HasPrefix(got, "SIP/2.0 407 ") {
					t.Errorf("to %s over %s: %q", uri, route, got)
				}
				// As the other party only to herself.
				alice.send(alice.request("MESSAGE", uri, "", "+Route: "+route, "From: <"+to+">;tag=1", "To: <sip:alice@example.com>;tag=1"))
				if got := alice.receive(); !strings.HasPrefix(got, "SIP/2.0 40") && !strings.HasPrefix(got, "MESSAGE ") {
					t.Errorf("to %s over %s: %q", uri, route, got)
				} else if strings.HasPrefix(got, "MESSAGE ") {
					alice.send(answer(got, "200 OK"))
					wants(t, alice.receive(), 200)
				}
			}
		}
		bob.quiet()
	})
	alice.send(alice.request("BYE", bob.uri(), "", append(routes(ok, true), "To: "+field(ok, "To"))...))
	bob.takes("BYE", "200 OK")
	wants(t, alice.receive(), 200)
	_ = inv
}

func TestRegisteredContactAsTarget(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	bob.registered()
	eventually(t, "the contact is known", func() bool { return s.registrar.Count() == 1 })
	alice.send(alice.request("BYE", bob.uri()+";x=y", "", "To: <sip:bob@example.com>;tag=1", "+Route: <sip:"+s.addr()+";lr>"))
	if got := bob.takes("BYE", "200 OK"); target(got) != bob.uri()+";x=y" {
		t.Errorf("got %q", got)
	}
	wants(t, alice.receive(), 200)
}

// TestContactOfAnother: who registers the contact of another user takes nothing from that one.
func TestContactOfAnother(t *testing.T) {
	s := newSite(t, nil)
	alice, bob, carol := s.phone("alice", "udp"), s.phone("bob", "udp"), s.phone("carol", "tcp")
	bob.registered()
	carol.registered("Contact: <" + bob.uri() + ">")
	eventually(t, "the contacts are known", func() bool { return s.registrar.Count() == 2 })
	alice.send(alice.request("MESSAGE", bob.uri(), ""))
	bob.takes("MESSAGE", "200 OK")
	wants(t, alice.receive(), 200)

	browser, other := s.phone("dave", "tcp"), s.phone("carol", "tcp")
	const hidden = "sip:x@df7jal23ls0d.invalid"
	browser.registered("Contact: <" + hidden + ">")
	eventually(t, "the contact is known", func() bool { return s.registrar.Count() == 3 })
	alice.send(alice.request("MESSAGE", hidden, ""))
	browser.takes("MESSAGE", "200 OK")
	wants(t, alice.receive(), 200)
	other.registered("Contact: <"+hidden+">", "From: <sip:erin@example.com>;tag=1", "To: <sip:erin@example.com>")
	eventually(t, "the contact is known", func() bool { return s.registrar.Count() == 4 })
	wants(t, alice.ask("MESSAGE", hidden), 403)
	if _, ok := s.registrar.Route(hidden); ok {
		t.Error("nor does what this server sends itself go to either")
	}
	browser.registered("Contact: <"+hidden+">", "From: <sip:erin@example.com>;tag=1", "To: <sip:erin@example.com>")
	alice.send(alice.request("MESSAGE", hidden, ""))
	browser.takes("MESSAGE", "200 OK") // one device of two users
	wants(t, alice.receive(), 200)
}

func TestRouteIsNoRelay(t *testing.T) {
	s := newSite(t, nil)
	alice, bob, far := s.phone("alice", "udp"), s.phone("bob", "udp"), s.phone("far", "udp")
	bob.registered(strings.Replace("Contact: <"+bob.uri()+">", ">", ";ob>", 1))
	eventually(t, "the contact is known", func() bool { return s.registrar.Count() == 1 })
	elsewhere := "<sip:" + far.host() + ";lr>"
	t.Run("to a registered contact by way of elsewhere", func(t *testing.T) {
		for _, uri := range []string{bob.uri(), bob.uri() + ";ob", bob.aor()} {
			wants(t, alice.ask("MESSAGE", uri, "+Route: "+elsewhere), 403)
			wants(t, alice.ask("CANCEL", uri, "+Route: "+elsewhere), 481)
			alice.send(alice.request("ACK", uri, "", "+Route: "+elsewhere))
		}
		far.quiet()
		bob.quiet()
	})
	t.Run("with a token of the sender's own", func(t *testing.T) {
		alice.send(alice.request("INVITE", bob.aor(), "", "Contact: <"+alice.uri()+";ob>"))
		bob.takes("INVITE", "200 OK")
		ok := alice.receive()
		wants(t, ok, 200)
		for _, route := range all(ok, "Record-Route") {
			alice.send(alice.request("MESSAGE", bob.aor(), "", "+Route: "+route+", "+elsewhere, "To: "+field(ok, "To")))
			if got := bob.takes("MESSAGE", "200 OK"); field(got, "Route") != elsewhere {
				t.Errorf("got %q", got)
			}
			wants(t, alice.receive(), 200)
		}
		far.quiet()
	})
}

func TestEveryDomain(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Domains = nil })
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	bob.registered()
	eventually(t, "the contact is known", func() bool { return s.registrar.Count() == 1 })
	for uri, want := range map[string]string{"sip:bob@example.com": bob.uri(), bob.uri(): bob.uri()} {
		alice.send(alice.request("MESSAGE", uri, ""))
		if got := bob.takes("MESSAGE", "200 OK"); target(got) != want {
			t.Errorf("%s was sent to %s", uri, target(got))
		}
		wants(t, alice.receive(), 200)
	}
	wants(t, alice.ask("MESSAGE", "sip:bob@example.net"), 480)
	wants(t, alice.ask("MESSAGE", "sip:nobody@example.net"), 404)
	wants(t, alice.ask("MESSAGE", "tel:+1"), 416)
}

func TestLoop(t *testing.T) {
	s := newSite(t, nil)
	alice, bob := s.phone("alice", "udp"), s.phone("bob", "udp")
	bob.registered()
	for _, method := range []string{"MESSAGE", "INVITE"} {
		alice.send(alice.request(method, "sip:bob@example.com", ""))
		got := bob.receive()
		// Somebody sends it back to the address of record.
		via := fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bK-back%d;rport\r\n", bob.host(), serial.Add(1))
		back := strings.Replace(strings.Replace(got, bob.uri(), "sip:bob@example.com", 1), "\r\n", "\r\n"+via, 1)
		bob.send(back)
		wants(t, bob.receive(), 482)
		bob.send(answer(got, "200 OK"))
		wants(t, alice.receive(), 200)
	}
	if n := s.registrar.Stats().Proxy.Looped; n != 2 {
		t.Errorf("%d loops were counted", n)
	}
}

func TestStrayAnswers(t *testing.T) {
	s := newSite(t, nil)
	alice, bob, eve := s.phone("alice", "udp"), s.phone("bob", "udp"), s.phone("eve", "udp")
	bob.registered()
	alice.send(alice.request("INVITE", "sip:bob@example.com", ""))
	inv := bob.receive()
	forged := answer(inv, "200 OK")
	at := strings.Index(forged, "branch=z9hG4bKp") + 20
	eve.send(forged[:at] + other(forged[at]) + forged[at+1:])
	alice.quiet()
	if n := s.stack.Stats().Stray; n != 1 {
		t.Errorf("%d stray answers", n)
	}
}
