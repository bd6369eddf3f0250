package stack

import (
	"bytes"
	"context"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
)

// forwarder is a proxy that sends everything on to one place, with or without a transaction.
type forwarder struct {
	s     *Stack
	to    Target
	state bool
}

func (f *forwarder) Takes(*Passing) bool { return true }

func (f *forwarder) Forward(_ context.Context, p *Passing) *Response {
	head := p.Head(&Rewrite{MaxForwards: 9, Routes: []string{"<sip:next.example.com;lr>"}, RecordRoutes: []string{"<sip:us.example.com;lr>"},
		Drop: func(name, value string) bool { return name == "X-Gone" && value == "a   b" }})
	o := &Outgoing{Method: p.Name(), URI: p.URI(), Head: head, Body: bytes.Clone(p.Body()), Target: f.to, Loop: "mark"}
	if !f.state {
		if err := f.s.Pass(p, o, nil); err != nil {
			return Answer(480)
		}
		return nil
	}
	answer := p.Defer()
	f.s.Forward(o, func(r *Reply, err error) {
		if err != nil {
			answer(Answer(408))
			return
		}
		answer(r.Response(Field{"X-More", "1"}))
	})
	return nil
}

func TestRelayedBytes(t *testing.T) {
	for _, state := range []bool{true, false} {
		for _, transport := range []string{"udp", "tcp"} {
			far := serve(t, Config{}, func(s *Stack) {
				s.Handle("MESSAGE", func(_ context.Context, r *Request) *Response {
					vias := header.List(r.Request, "Via")
					if len(vias) != 4 || !strings.HasSuffix(vias[1], ";received=127.0.0.1") || r.GetHeader("X-Gone") != nil {
						return Answer(400)
					}
					return Answer(200, Field{"X-Body", string(r.Body())}, Field{"X-Odd", r.GetHeader("X-Odd").Value()})
				})
			})
			f := &forwarder{state: state, to: Target{Transport: transport, Addr: far.Addrs()[0].Addr}}
			s := serve(t, Config{Product: "imp/test"}, func(s *Stack) { f.s = s; s.Relay(f) })
			w := dial(t, s, transport)
			via := "Via: SIP/2.0/UDP client.example.com;branch=z9hG4bK-a" + transport + ";rport , SIP/2.0/TCP far.example.com"
			answer := w.ask(msgBody("MESSAGE", "a\r\n\r\nb", via, "+v: SIP/2.0/TCP third.example.com;branch=z", "+X-Odd:  as\r\n it  is", "+X-Gone: a\r\n b", "+Route: <sip:old.example.com>"))
			wants(t, answer, 200)
			if field(answer, "X-Body") != "a    b" || field(answer, "X-Odd") != "as   it  is" { // line ends became spaces in the answer
				t.Errorf("the body arrived otherwise: %q", answer)
			}
			vias := strings.Count(answer, "SIP/2.0/")
			if vias != 3 || !strings.Contains(answer, "client.example.com;branch=z9hG4bK-a"+transport) || !strings.Contains(answer, "received=127.0.0.1") {
				t.Errorf("state %v: Via in %q", state, answer)
			}
			if strings.Contains(answer, "imp/test") || state != strings.Contains(answer, "X-More: 1") {
				t.Errorf("state %v: %q", state, answer)
			}
		}
	}
}

func TestResponsesStayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forwarder{to: Target{Transport: "udp", Addr: there.String()}}
		s := New(Config{})
		f.s = s
		s.Relay(f)
		u := fake(t, s)
		u.in <- datagram{msg("INVITE"), there}
		synctest.Wait()
		invite := u.sent()[0].data
		const n = 500
		for i := range n {
			u.in <- datagram{answerFor(invite, "180 Ringing", "X-N: "+strconv.Itoa(i)), there}
		}
		synctest.Wait()
		got := u.sent()
		if len(got) != n {
			t.Fatalf("%d of %d were passed on", len(got), n)
		}
		for i, d := range got {
			if field(d.data, "X-N") != strconv.Itoa(i) {
				t.Fatalf("at %d came %s", i, field(d.data, "X-N"))
			}
		}
		_ = s.Close()
	})
}

func TestTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forwarder{state: true, to: Target{Transport: "udp", Addr: there.String()}}
		s := New(Config{})
		f.s = s
		s.Relay(f)
		u := fake(t, s)
		u.in <- datagram{msg("MESSAGE"), there}
		time.Sleep(3400 * time.Millisecond)
		for _, d := range u.sent() {
			if !strings.HasPrefix(d.data, "MESSAGE ") {
				t.Errorf("too early: %q", d.data)
			}
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		var trying string
		for _, d := range u.sent() {
			if strings.HasPrefix(d.data, "SIP/") {
				trying += d.data
			}
		}
		if status(trying) != "100 Trying" || strings.Count(trying, "SIP/2.0 ") != 1 || strings.Contains(field(trying, "To"), "tag") {
			t.Errorf("got %q", trying)
		}
		_ = s.Close()
	})
}

func TestFlowNames(t *testing.T) {
	came, ended := make(chan *Flow, 1), make(chan *Flow, 1)
	s := serve(t, Config{}, func(s *Stack) {
		s.OnFlowEnd(func(f *Flow) { ended <- f })
		s.Handle("MESSAGE", func(_ context.Context, r *Request) *Response {
			came <- r.Flow
			return Answer(200)
		})
	})
	names := map[string]bool{}
	for _, transport := range []string{"udp", "tcp", "udp", "tcp"} {
		w := dial(t, s, transport)
		wants(t, w.ask(msg("MESSAGE")), 200)
		got := <-came
		id := s.FlowID(got)
		if names[string(id)] || !bytes.Equal(id, s.FlowID(got)) {
			t.Errorf("%s: a flow has one name of its own, got %x", transport, id)
		}
		names[string(id)] = true
		found := s.FlowOf(id)
		if !found.Same(got) || found.Remote() != got.Remote() || found.Stream() != (transport == "tcp") {
			t.Fatalf("%s: found %+v", transport, found)
		}
		if transport == "tcp" {
			_ = w.conn.Close()
			if f := <-ended; f != got || s.FlowOf(id) != nil {
				t.Error("the name outlives the connection")
			}
		}
	}
	for _, id := range []string{"", "s", "s12345678", "u", "x" + strings.Repeat("1", 36), "u" + strings.Repeat("1", 36)} {
		if s.FlowOf([]byte(id)) != nil {
			t.Errorf("%q names a flow", id)
		}
	}
}

func TestOwn(t *testing.T) {
	s := serve(t, Config{Advertise: "sip.example.com"}, nil)
	at := netip.MustParseAddrPort(s.Addrs()[0].Addr)
	port := int(at.Port())
	for _, c := range []struct {
		host, transport string
		port            int
		want            bool
	}{
		{"127.0.0.1", "", port, true}, {"127.0.0.1", "tcp", port, true}, {"localhost", "", port, true}, {"::ffff:127.0.0.1", "", port, true},
		{"127.0.0.1", "", 0, false}, {"127.0.0.2", "", port, false}, {"example.com", "", port, false}, {"127.0.0.1", "rfc", port, false},
		{"SIP.example.com", "udp", port, true}, {"sip.example.com", "", port + 1, false}, {"[::1]", "", port, false},
	} {
		if got := s.Own(c.host, c.port, c.transport); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func FuzzRelay(f *testing.F) {
	f.Add([]byte(msgBody("MESSAGE", "x", "+Route: <sip:a>", "+v: SIP/2.0/UDP b;branch=c, SIP/2.0/UDP d", "+X: a\r\n b")))
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;rport,SIP/2.0/TCP b\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"))
	s := New(Config{})
	flow := &Flow{kind: s.kinds["udp"], local: here, remote: there, socket: &socket{}}
	f.Fuzz(func(t *testing.T, data []byte) {
		end := headEnd(data, 0)
		if end == 0 {
			return
		}
		e := new(envelope)
		if !e.scan(data[:end]) || e.fault != "" {
			return
		}
		e.body = data[end:]
		vias := len(values(e.vias))
		again := new(envelope)
		if e.status != 0 {
			b, next := e.popVia()
			if next == nil {
				return
			}
			at := headEnd(b, 0)
			if !again.scan(b[:at]) || again.fault != "" || len(values(again.vias)) != vias-1 || !bytes.Equal(b[at:], e.body) {
				t.Errorf("%q became %q: %s", data, b, again.fault)
			}
			return
		}
		p := &Passing{in: &incoming{s: s, e: e, flow: flow}}
		_, _ = p.Hops()
		head := p.Head(&Rewrite{MaxForwards: 1, Routes: []string{"<sip:next>"}})
		b := append(append(append([]byte{}, e.start...), lineEnd...), head...)
		b = append(b, lineEnd...)
		if !again.scan(b) || again.fault != "" || len(values(again.vias)) != vias || len(again.routes) != 1 {
			t.Errorf("%q became %q: %s", data, b, again.fault)
		}
	})
}
