package stack

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	sip "github.com/emiago/sipgo/sip"
)

// queueOf is the number of the lane for requests to a URI.
func queueOf(u *socket, uri string) int {
	if c, lane := u.queue([]byte("PUBLISH " + uri + " SIP/2.0\r\n")); c == u.requests {
		return lane
	}
	return -1
}

func (s *Stack) firstSocket() *socket { return (*s.bindings.Load())[0].socket }

func TestDatagramOrder(t *testing.T) {
	const n = 1000
	var mu sync.Mutex
	handled := map[string][]uint32{}
	s := serve(t, Config{}, func(s *Stack) {
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response {
			mu.Lock()
			defer mu.Unlock()
			uri := r.Recipient.String()
			handled[uri] = append(handled[uri], r.CSeq().SeqNo)
			return Answer(200)
		})
	})
	w := dial(t, s, "udp")
	for i := range n {
		for u := range 3 {
			w.send(msgBody("PUBLISH", pidf, fmt.Sprintf("URI: sip:u%d@example.com", u), fmt.Sprintf("CSeq: %d PUBLISH", i+1)))
		}
		if i%20 == 19 { // not more than any receive buffer holds
			for range 60 {
				wants(t, w.receive(), 200)
			}
		}
	}
	t.Run("PUB-042 requests for one Request-URI are handled in order of receipt", func(t *testing.T) {
		mu.Lock()
		defer mu.Unlock()
		for uri, numbers := range handled {
			for i, got := range numbers {
				if got != uint32(i+1) {
					t.Fatalf("%s: request %d was handled as number %d", uri, got, i+1)
				}
			}
		}
		if len(handled) != 3 {
			t.Errorf("handled %d URIs", len(handled))
		}
	})
}

func TestSlowHandler(t *testing.T) {
	begun, release := make(chan struct{}, 9), make(chan struct{})
	s := serve(t, Config{WorkerQueue: 2}, func(s *Stack) {
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response {
			if r.Recipient.User == "slow" {
				begun <- struct{}{}
				<-release
			}
			return Answer(200)
		})
	})
	w := dial(t, s, "udp")
	other := "sip:u0@example.com"
	for i := 0; queueOf(s.firstSocket(), other) == queueOf(s.firstSocket(), "sip:slow@example.com"); i++ {
		other = fmt.Sprintf("sip:u%d@example.com", i)
	}
	w.send(msg("PUBLISH", "URI: sip:slow@example.com"))
	<-begun
	wants(t, w.ask(msg("PUBLISH", "URI: "+other)), 200)
	for range 5 { // two of them find room
		w.send(msg("PUBLISH", "URI: sip:slow@example.com"))
	}
	wants(t, w.ask(msg("PUBLISH", "URI: "+other)), 200)
	if st := s.Stats(); st.Dropped != 3 {
		t.Errorf("stats %+v", st)
	}
	close(release)
	for range 3 {
		wants(t, w.receive(), 200)
	}
	alive(t, w)
}

func TestAskWhileHandling(t *testing.T) {
	s := serve(t, Config{Workers: 1}, func(s *Stack) {
		s.Handle("PUBLISH", func(ctx context.Context, r *Request) *Response {
			res, err := s.Do(ctx, outgoing("NOTIFY", Target{Flow: r.Flow}))
			if err != nil {
				return Answer(500)
			}
			return Answer(res.StatusCode)
		})
	})
	w := dial(t, s, "udp")
	w.send(msg("PUBLISH"))
	w.send(answerFor(w.receive(), "202 Accepted"))
	wants(t, w.receive(), 202)
}

func TestLargeDatagrams(t *testing.T) {
	bodies := make(chan []byte, 1)
	s := serve(t, Config{}, func(s *Stack) {
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response { bodies <- r.Body(); return Answer(200) })
	})
	w := dial(t, s, "udp")
	m := msgBody("PUBLISH", "")
	m = strings.Replace(m, "Content-Length: 0", "Content-Length: 65000", 1) + repeated('x', 65000)
	m = strings.Replace(m, "Max-Forwards", "Subject: "+repeated('y', maxDatagram-len(m)-len("Subject: \r\n"))+"\r\nMax-Forwards", 1)
	if len(m) != maxDatagram {
		t.Fatalf("%d bytes", len(m))
	}
	wants(t, w.ask(m), 200)
	if body := <-bodies; len(body) != 65000 {
		t.Errorf("body of %d bytes", len(body))
	}
	o := outgoing("NOTIFY", Target{Addr: w.conn.LocalAddr().String(), Transport: "udp"})
	o.Body = []byte(repeated('z', 65000))
	done := make(chan error, 1)
	s.Send(o, func(_ *sip.Response, err error) { done <- err })
	got := w.receive()
	if !strings.HasSuffix(got, string(o.Body)) {
		t.Errorf("received %d bytes", len(got))
	}
	w.send(answerFor(got, "200 OK"))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTrace(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	cfg := Config{Trace: func(r Record) {
		mu.Lock()
		defer mu.Unlock()
		dir := "in"
		if r.Out {
			dir = "out"
		}
		seen = append(seen, fmt.Sprintf("%s %s %s %s\n%s", dir, r.Transport, r.Local, r.Remote, r.Data))
	}}
	s := serve(t, cfg, nil)
	var want []string
	for _, transport := range []string{"udp", "tcp"} {
		w := dial(t, s, transport)
		local, remote := w.conn.RemoteAddr().String(), w.conn.LocalAddr().String()
		record := func(dir, m string) { want = append(want, dir+" "+transport+" "+local+" "+remote+"\n"+m) }
		for _, m := range []string{msg("OPTIONS"), msgBody("MESSAGE", "a\x00b"), msg("OPTIONS", "To: <")} {
			answer := w.ask(m)
			record("in", m)
			record("out", answer)
		}
		noise := "noise that is no SIP\r\n\r\n"
		w.send(noise)
		record("in", noise)
		if transport == "udp" {
			for s.Stats().Malformed < 2 { // one more than the message with an answer
				runtime.Gosched()
			}
		} else if w.receive() != "" {
			t.Error("still connected")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != len(want) {
		t.Fatalf("%d records, want %d:\n%s", len(seen), len(want), strings.Join(seen, "\n"))
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("record %d is %q, want %q", i, seen[i], want[i])
		}
	}
}

func TestStats(t *testing.T) {
	s := serve(t, Config{}, nil)
	u, w := dial(t, s, "udp"), dial(t, s, "tcp")
	alive(t, u)
	alive(t, w)
	alive(t, w)
	st := s.Stats()
	if st.Messages["udp"] != (Traffic{1, 1}) || st.Messages["tcp"] != (Traffic{2, 2}) || st.Connections != 1 {
		t.Errorf("stats %+v", st)
	}
}

// FuzzDatagram: no datagram makes the stack panic, and no answer goes to where sent-by alone points.
func FuzzDatagram(f *testing.F) {
	for _, m := range []string{
		msg("OPTIONS"), msgBody("PUBLISH", "body"), msg("SUBSCRIBE", "Require: a"), msg("CANCEL"), msg("ACK"),
		msg("OPTIONS", "Via: SIP / 2.0 / UDP [2001:db8::1]:5060 ;rport;received=1 , SIP/2.0/TCP b"),
		msg("OPTIONS", "f: \"a\\\"b\" <sip:a@b>;tag=\"c\"", "+Record-Route: <sip:a;lr>,\r\n <sip:b>"),
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK00000000000000000000000000000000\r\nCSeq: 1 NOTIFY\r\n\r\n",
		"\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\n", "\x00",
	} {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := New(Config{Log: panics(t), Workers: 1, WorkerQueue: 1})
		defer s.Close()
		s.Handle("PUBLISH", func(_ context.Context, r *Request) *Response {
			return &Response{Status: 200, RecordRoute: true, Fields: []Field{{"X", r.CallID().Value()}}}
		})
		fake := &fakeUDP{t: t, local: here}
		u := s.newSocket(fake)
		e := new(envelope)
		u.queue(data)
		u.handle(e, data, there)
		for _, d := range fake.sent() {
			if d.peer.Addr() != there.Addr() {
				t.Errorf("answer sent to %v", d.peer)
			}
			a := new(envelope)
			if end := headEnd([]byte(d.data), 0); end == 0 || !a.scan([]byte(d.data[:end])) || a.status == 0 {
				t.Errorf("the answer is no response: %q", d.data)
			} else if e.fault == "" && a.fault != "" {
				t.Errorf("the answer to a faultless request has a fault: %s\n%q", a.fault, d.data)
			}
		}
	})
}

// FuzzStream: a stream gives the same answers however it is cut into pieces.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\r\n\r\n"+msg("OPTIONS")+msgBody("PUBLISH", "body")+"\r\n"+msg("OPTIONS")), 7)
	f.Add([]byte(msg("OPTIONS", "Content-Length: -1")), 1)
	f.Add([]byte(msg("OPTIONS", "Content-Length")+"x"), 30)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		if len(data) > 1<<14 {
			return
		}
		whole, pieces := stream(t, "tcp", data, len(data)), stream(t, "tcp", data, max(piece, 1))
		if whole != pieces {
			t.Errorf("whole: %q\nin pieces of %d: %q", whole, piece, pieces)
		}
	})
}

// stream gives data to a connection in pieces and returns what would be written.
func stream(t *testing.T, transport string, data []byte, piece int) string {
	s := New(Config{Log: panics(t)})
	defer s.replay.close()
	s.secret, s.keys = [16]byte{}, fuzzKeys
	c := s.newConn(s.kinds[transport])
	c.state, c.writing = open, true // nobody writes: everything stays in the queue
	c.remote = there
	r := c.intake()
	var buf []byte
	for len(data) > 0 {
		n := min(piece, len(data))
		buf, data = append(buf, data[:n]...), data[n:]
		used, err := r.take(buf)
		if err != nil {
			break
		}
		buf = append([]byte(nil), buf[used:]...)
	}
	if c.pending == nil {
		return ""
	}
	return string(*c.pending)
}

var fuzzKeys = newKeyer()

func TestIPv6(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	eps, err := ParseEndpoint("[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context(), eps...); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	t.Run("NAM-027 IPv6", func(t *testing.T) {
		for _, transport := range []string{"udp", "tcp"} {
			w := dial(t, s, transport)
			port := netip.MustParseAddrPort(w.conn.LocalAddr().String()).Port()
			answer := w.ask(msg("OPTIONS", "URI: sip:[::1]", "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK-"+transport+";rport"))
			if via := field(answer, "Via"); !strings.HasSuffix(via, ";rport="+strconv.Itoa(int(port))+";received=::1") {
				t.Errorf("Via %q", via)
			}
		}
		w := dial(t, s, "udp")
		s.Send(outgoing("NOTIFY", Target{Addr: w.conn.LocalAddr().String()}), func(*sip.Response, error) {})
		if via := field(w.receive(), "Via"); !strings.HasPrefix(via, "SIP/2.0/UDP ["+"::1]:") {
			t.Errorf("Via %q", via)
		}
	})
}

func TestSentHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		f := fake(t, s)
		var order []string
		s.Handle("SUBSCRIBE", func(_ context.Context, r *Request) *Response {
			return &Response{Status: 200, Sent: func() {
				for _, d := range f.sent() {
					order = append(order, status(d.data))
				}
				order = append(order, "hook")
			}}
		})
		f.in <- datagram{msg("SUBSCRIBE"), there}
		synctest.Wait()
		if got := strings.Join(order, ", "); got != "200 OK, hook" {
			t.Errorf("order: %s", got)
		}
		_ = s.Close()
	})
}
