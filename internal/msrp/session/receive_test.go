package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/msrp/wire"
)

// read takes the next message of a session.
func read(t *testing.T, s *Session) (*Incoming, string) {
	t.Helper()
	in, err := s.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	return in, string(b)
}

// quiet checks that nothing comes from the session: what it has to say would be there before the answer to a SEND.
func (p *raw) quiet() {
	p.t.Helper()
	p.write("quiet1 SEND", "TO", "FROM", "Message-ID: quiet001", "-------quiet1$")
	if g := p.next(); g.id != "quiet1" {
		p.t.Errorf("%+v came", g)
	}
}

func TestSessionsOfRequests(t *testing.T) {
	t.Run("MSRP-043 To-Path is one URI of a session of the connection", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		own := p.to
		for _, to := range []string{"msrp://127.0.0.1:2855/nosuch;tcp", own + " " + own, strings.ToUpper(own[:4]) + own[4:len(own)-8] + "x;tcp"} {
			p.to = to
			p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Content-Type: text/plain", "", "x", "-------tid1$")
			if g := p.next(); g.code != 481 {
				t.Errorf("%s: %+v", to, g)
			}
		}
		p.to = own
		p.quiet()
		if len(s.queue) > 0 {
			t.Error("a message was taken")
		}
	})
	t.Run("MSRP-044 MCON-024 a session that another connection has is refused with 506", func(t *testing.T) {
		m := newMemory()
		n := New(m.config())
		defer n.Close()
		n.Listen(t.Context(), "tcp", "127.0.0.1:2855")
		uri, _ := n.NewURI("tcp", "127.0.0.1:2855")
		s, _ := n.Open(Own{URI: uri})
		s.Start(t.Context(), Peer{})
		p, q := connectRaw(t, m, s), connectRaw(t, m, s)
		p.bind()
		q.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "-------tid1$")
		if g := q.next(); g.code != 506 {
			t.Errorf("%+v", g)
		}
		p.quiet()
	})
	t.Run("MSRP-045 unknown methods get 501, requests that cannot be understood 400, and a REPORT nothing", func(t *testing.T) {
		_, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 FOO", "TO", "FROM", "-------tid1$")
		if g := p.next(); g.code != 501 || g.to != rawURI || g.from != p.to {
			t.Errorf("%+v", g)
		}
		p.write("tid2 SEND", "TO", "FROM", "Content-Type: text/plain", "", "x", "-------tid2$")
		if g := p.next(); g.code != 400 {
			t.Errorf("%+v", g)
		}
		p.write("tid3 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: x", "-------tid3$")
		if g := p.next(); g.code != 400 {
			t.Errorf("%+v", g)
		}
		p.write("tid4 REPORT", "TO", "FROM", "Status: 000 200 OK", "-------tid4$")
		p.write("tid5 REPORT", "TO", "FROM", "Message-ID: m001", "Status: x", "-------tid5$")
		p.quiet()
	})
	t.Run("MSRP-020 MSRP-052 a request other than SEND is not kept, however large", func(t *testing.T) {
		_, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 FOO", "TO", "FROM", "Content-Type: text/plain", "", strings.Repeat("x", 11_000))
		if g := p.next(); g.code != 501 {
			t.Errorf("%+v", g)
		}
		p.write(strings.Repeat("x", 100_000), "-------tid1$")
		p.quiet()
		p.write("tid2 REPORT", "TO", "FROM", "Message-ID: m001", "Status: 000 200 OK", "Content-Type: text/plain", "", strings.Repeat("x", 100_000), "-------tid2$")
		p.quiet()
	})
	t.Run("MSRP-056 MCON-037 a SEND without a body is answered and not shown", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Content-Type: text/plain", "", "after", "-------tid1$")
		p.next()
		if _, body := read(t, s); body != "after" {
			t.Errorf("%q", body)
		}
	})
	t.Run("MSRP-047 a response goes to the previous hop only", func(t *testing.T) {
		_, p := passive(t, Config{}, Own{}, Peer{})
		p.from = "msrp://relay.invalid:1/r;tcp " + rawURI
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "-------tid1$")
		if g := p.next(); g.to != "msrp://relay.invalid:1/r;tcp" || g.from != p.to || g.id != "tid1" || g.end != '$' {
			t.Errorf("%+v", g)
		}
		p.write("tid2 FOO", "TO", "FROM", "-------tid2$")
		if g := p.next(); g.to != p.from {
			t.Errorf("%+v", g)
		}
	})
}

// TestResponses is the table of RFC 4975 sections 7.1.3, 7.1.4 and 7.2.
func TestResponses(t *testing.T) {
	for _, c := range []struct {
		failure, success string
		kind             string
		want             []string
	}{
		{"", "", "text/plain", []string{"200"}},
		{"Failure-Report: yes", "", "text/plain", []string{"200"}},
		{"Failure-Report: partial", "", "text/plain", nil},
		{"Failure-Report: no", "", "text/plain", nil},
		{"", "", "image/png", []string{"415"}},
		{"Failure-Report: yes", "", "image/png", []string{"415"}},
		{"Failure-Report: partial", "", "image/png", []string{"415"}},
		{"Failure-Report: no", "", "image/png", nil},
		{"", "Success-Report: no", "text/plain", []string{"200"}},
		{"", "Success-Report: yes", "text/plain", []string{"200", "REPORT"}},
		{"Failure-Report: partial", "Success-Report: yes", "text/plain", []string{"REPORT"}},
		{"Failure-Report: no", "Success-Report: yes", "text/plain", []string{"REPORT"}},
		{"Failure-Report: no", "Success-Report: yes", "image/png", nil},
	} {
		t.Run(fmt.Sprintf("MSRP-046 MSRP-032 MSRP-053 MSRP-060 MSRP-061 %s %s %s", c.kind, c.failure, c.success), func(t *testing.T) {
			_, p := passive(t, Config{}, Own{Types: []string{"text/*"}}, Peer{})
			p.bind()
			lines := []string{"tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-5/5"}
			for _, l := range []string{c.failure, c.success} {
				if l != "" {
					lines = append(lines, l)
				}
			}
			p.write(append(lines, "Content-Type: "+c.kind, "", "hello", "-------tid1$")...)
			for _, want := range c.want {
				g := p.next()
				if g.method != want && fmt.Sprint(g.code) != want {
					t.Errorf("%+v came, and not %s", g, want)
				}
			}
			p.quiet()
		})
	}
}

func TestReports(t *testing.T) {
	t.Run("MSRP-057 MSRP-059 MSRP-064 a success report covers the message and goes the whole way back", func(t *testing.T) {
		_, p := passive(t, Config{}, Own{}, Peer{})
		p.from = "msrp://relay.invalid:1/r;tcp " + rawURI
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 4-*/6", "Success-Report: yes", "Content-Type: text/plain", "", "def", "-------tid1$")
		p.next()
		p.write("tid2 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-*/6", "Success-Report: yes", "Content-Type: text/plain", "", "abc", "-------tid2+")
		if g := p.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
		g := p.next()
		if g.method != "REPORT" || g.to != p.from || g.from != p.to || g.message != "m001" || g.rng != "1-6/6" || g.status != "000 200 OK" || g.hasBody {
			t.Errorf("%+v", g)
		}
		for _, name := range g.names {
			if strings.HasSuffix(name, "-Report") {
				t.Errorf("MSRP-058 a REPORT has %s", name)
			}
		}
	})
	t.Run("MSRP-058 a REPORT is neither answered nor reported on", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		sent, err := s.Send(t.Context(), Message{ID: "ours0001", Type: "text/plain", Body: strings.NewReader("x"), Size: 1, SuccessReport: true})
		if err != nil {
			t.Fatal(err)
		}
		p.answer(p.next(), 200)
		p.write("tid1 REPORT", "TO", "FROM", "Message-ID: ours0001", "Byte-Range: 1-1/1", "Status: 000 200 OK", "-------tid1$")
		if err := sent.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		p.quiet()
	})
	t.Run("MSRP-062 a late failure is reported with the range of what came", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{ManualReports: true}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-*/*", "Content-Type: text/plain", "", "hello", "-------tid1$")
		p.next()
		in, _ := read(t, s)
		if err := in.Report(wire.Timeout, ""); err != nil {
			t.Error(err)
		}
		if g := p.next(); g.method != "REPORT" || g.status != "000 408 Downstream Timeout" || g.rng != "1-5/5" || g.to != p.from {
			t.Errorf("%+v", g)
		}
		p.write("tid2 SEND", "TO", "FROM", "Message-ID: m002", "Failure-Report: no", "Content-Type: text/plain", "", "hello", "-------tid2$")
		in, _ = read(t, s)
		in.Report(wire.Timeout, "")
		p.quiet()
	})
	t.Run("MSRP-066 nothing is reported to a session that is over", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{ManualReports: true}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Success-Report: yes", "Content-Type: text/plain", "", "hello", "-------tid1$")
		p.next()
		in, _ := read(t, s)
		s.Close()
		if err := in.Report(200, ""); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

func TestReassembly(t *testing.T) {
	t.Run("MSRP-048 chunks in any order, split and overlapping make the message", func(t *testing.T) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		for round := range 200 {
			body := string(content(random, 1+random.IntN(3000)))
			id := fmt.Sprintf("m%04d", round)
			for _, c := range cuts(random, len(body)) {
				flag := "+"
				if c[1] == len(body) {
					flag = "$"
				}
				p.write("tidchunk SEND", "TO", "FROM", "Message-ID: "+id, fmt.Sprintf("Byte-Range: %d-*/%d", c[0]+1, len(body)),
					"Content-Type: a/b", "", body[c[0]:c[1]], "-------tidchunk"+flag)
				if g := p.next(); g.code != 200 {
					t.Fatalf("%+v", g)
				}
			}
			if in, b := read(t, s); b != body || in.ID != id {
				t.Fatalf("round %d: %d bytes came, and not the %d that were sent", round, len(b), len(body))
			}
		}
	})
	t.Run("MSRP-048 of data that overlaps the last one wins", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		for _, c := range []string{"1 aaaaaa +", "9 dddd $", "2 c +", "4 bbbbbb +"} {
			f := strings.Fields(c)
			p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: "+f[0]+"-*/12", "Content-Type: a/b", "", f[1], "-------tid1"+f[2])
			p.next()
		}
		if _, b := read(t, s); b != "acabbbbbbddd" {
			t.Errorf("%s", b)
		}
	})
	t.Run("MSRP-049 the length of a chunk is that of its body", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-100/10", "Content-Type: a/b", "", "123456", "-------tid1+")
		p.next()
		p.write("tid2 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 7-*/10", "Content-Type: a/b", "", "789A", "-------tid2$")
		p.next()
		if _, b := read(t, s); b != "123456789A" {
			t.Errorf("%s", b)
		}
	})
	t.Run("MSRP-050 a SEND without Byte-Range is a whole message", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Content-Type: a/b", "", "hello", "-------tid1$")
		p.next()
		if in, b := read(t, s); b != "hello" || in.Total != 5 || !in.Complete() {
			t.Errorf("%s %+v", b, in)
		}
	})
	t.Run("MSRP-051 an aborted message is not shown", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-*/10", "Content-Type: a/b", "", "hello", "-------tid1+")
		p.next()
		p.write("tid2 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 6-*/10", "Content-Type: a/b", "", "x", "-------tid2#")
		p.next()
		p.write("tid3 SEND", "TO", "FROM", "Message-ID: m002", "Content-Type: a/b", "", "next", "-------tid3$")
		p.next()
		if in, b := read(t, s); in.ID != "m002" || b != "next" {
			t.Errorf("%s %s", in.ID, b)
		}
	})
	t.Run("MSRP-051 a reader of an aborted message is told", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{Stream: 1}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-*/10", "Content-Type: a/b", "", "hello", "-------tid1+")
		p.next()
		in, err := s.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.write("tid2 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 6-*/10", "Content-Type: a/b", "", "x", "-------tid2#")
		p.next()
		if b, err := io.ReadAll(in); !errors.Is(err, ErrAborted) || in.Complete() {
			t.Errorf("%q %v", b, err)
		}
	})
	t.Run("MSRP-055 a message that was complete before is marked", func(t *testing.T) {
		seen := NewSeen(10)
		for i := range 2 {
			s, p := passive(t, Config{}, Own{Seen: seen}, Peer{})
			p.bind()
			p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Content-Type: a/b", "", "hello", "-------tid1$")
			if g := p.next(); g.code != 200 {
				t.Errorf("%+v", g)
			}
			if in, _ := read(t, s); in.Duplicate != (i == 1) {
				t.Errorf("session %d: %v", i, in.Duplicate)
			}
		}
	})
	t.Run("MSRP-054 MSRP-102 types that every endpoint takes", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{Types: []string{"text/plain"}}, Peer{})
		p.bind()
		for _, kind := range append([]string{"Text/Plain;charset=utf-8"}, MustAccept...) {
			p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Content-Type: "+kind, "", "x", "-------tid1$")
			if g := p.next(); g.code != 200 {
				t.Errorf("%s: %+v", kind, g)
			}
			if in, _ := read(t, s); in.Type != kind {
				t.Errorf("%s", in.Type)
			}
		}
	})
}

// cuts cuts n bytes into parts that overlap, in any order.
func cuts(random *rand.Rand, n int) (list [][2]int) {
	for at := 0; at < n; {
		to := min(n, at+1+random.IntN(max(1, n/5)))
		from := max(0, at-random.IntN(20))
		list = append(list, [2]int{from, to})
		at = to
	}
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func TestLimits(t *testing.T) {
	t.Run("MSRP-052 a message above our limit gets 413 before anything is allocated", func(t *testing.T) {
		_, p := passive(t, Config{}, Own{MaxSize: 1000}, Peer{})
		p.bind()
		for _, rng := range []string{"1-*/999999999999", "1-999999999999/*", "2000-*/*"} {
			p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: "+rng, "Content-Type: a/b", "", "x", "-------tid1+")
			if g := p.next(); g.code != 413 {
				t.Errorf("%s: %+v", rng, g)
			}
		}
		p.write("tid2 SEND", "TO", "FROM", "Message-ID: m002", "Byte-Range: 1-*/*", "Content-Type: a/b", "", strings.Repeat("x", 1001), "-------tid2+")
		if g := p.next(); g.code != 413 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRP-052 a range far away costs nothing", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 900000000000-*/999999999999", "Content-Type: a/b", "", "x", "-------tid1+")
		if g := p.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
		if ahead := s.open["m001"].asm.ahead; ahead > 1000 {
			t.Errorf("%d bytes are held", ahead)
		}
	})
	t.Run("MSRP-045 paths that are not the first two fields get 400", func(t *testing.T) {
		_, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		p.write("tid1 SEND", "Message-ID: m001", "TO", "FROM", "-------tid1$")
		if g := p.next(); g.id != "tid1" || g.code != 400 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("what comes out of order is spooled, or refused with 413", func(t *testing.T) {
		for _, spool := range []bool{true, false} {
			cfg := Config{Limits: Limits{Reorder: 4000}}
			closed := false
			if spool {
				cfg.Spool = func() (Spool, error) { return &memorySpool{closed: &closed}, nil }
			}
			s, p := passive(t, cfg, Own{}, Peer{})
			p.bind()
			want := strings.Repeat("a", 3000) + strings.Repeat("b", 3000) + strings.Repeat("c", 3000)
			code := 0
			for _, at := range []int{6000, 3000, 0} {
				flag := "+"
				if at == 6000 {
					flag = "$"
				}
				p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", fmt.Sprintf("Byte-Range: %d-*/9000", at+1), "Content-Type: a/b", "", want[at:at+3000], "-------tid1"+flag)
				code = max(code, p.next().code)
			}
			if !spool {
				if code != 413 {
					t.Errorf("code %d", code)
				}
				continue
			}
			if _, b := read(t, s); b != want || code != 200 || !closed {
				t.Errorf("%d bytes, code %d, spool closed %v", len(b), code, closed)
			}
		}
	})
	t.Run("a peer that begins messages without end is refused", func(t *testing.T) {
		_, p := passive(t, Config{Limits: Limits{Messages: 3}}, Own{}, Peer{})
		p.bind()
		for i := range 5 {
			p.write("tid1 SEND", "TO", "FROM", fmt.Sprintf("Message-ID: m00%d", i), "Byte-Range: 1-*/*", "Content-Type: a/b", "", "x", "-------tid1+")
			if g := p.next(); (g.code == 413) != (i >= 3) {
				t.Errorf("message %d: %+v", i, g)
			}
		}
	})
	t.Run("reading stops while nobody takes messages, and goes on", func(t *testing.T) {
		s, p := passive(t, Config{Limits: Limits{Window: 10_000}}, Own{}, Peer{})
		p.bind()
		go io.Copy(io.Discard, p.nc)
		const count = 100
		written := make(chan int, count)
		go func() {
			for i := range count {
				p.write("tid1 SEND", "TO", "FROM", fmt.Sprintf("Message-ID: m%03d", i), "Content-Type: a/b", "", strings.Repeat("x", 1000), "-------tid1$")
				written <- i
			}
			close(written)
		}()
		for {
			s.mu.Lock()
			full := s.unread >= 10_000
			s.mu.Unlock()
			if full {
				break
			}
			runtime.Gosched()
		}
		for i := range count {
			in, b := read(t, s)
			if len(b) != 1000 || in.ID != fmt.Sprintf("m%03d", i) {
				t.Fatalf("%s: %d bytes", in.ID, len(b))
			}
			s.mu.Lock()
			if s.unread > 12_000 {
				t.Errorf("%d bytes are held", s.unread)
			}
			s.mu.Unlock()
		}
	})
	t.Run("a message that nobody reads is refused when others share the connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := passive(t, Config{Limits: Limits{Window: 5000}}, Own{}, Peer{})
			p.bind()
			uri, _ := s.node.NewURI("tcp", "127.0.0.1:2855")
			other, _ := s.node.Open(Own{URI: uri})
			other.Start(t.Context(), Peer{})
			first := p.to
			p.to = uri.String()
			p.bind()
			p.to = first
			for i := range 6 {
				p.write("tid1 SEND", "TO", "FROM", fmt.Sprintf("Message-ID: m%03d", i), "Content-Type: a/b", "", strings.Repeat("x", 1000), "-------tid1$")
				if g := p.next(); (g.code == 413) != (i == 5) {
					t.Errorf("message %d: %+v", i, g)
				}
			}
			p.to = uri.String()
			p.quiet()
		})
	})
	t.Run("a reader of one message does not wait for ever behind another", func(t *testing.T) {
		s, p := passive(t, Config{Limits: Limits{Window: 5000}}, Own{Stream: 1}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: slow", "Byte-Range: 1-*/2", "Content-Type: a/b", "", "1", "-------tid1+")
		p.next()
		in, err := s.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan string)
		go func() {
			b, _ := io.ReadAll(in)
			done <- string(b)
		}()
		code := 0
		for i := range 30 {
			p.write("tid1 SEND", "TO", "FROM", "Message-ID: other", fmt.Sprintf("Byte-Range: %d-*/*", 1000*i+1), "Content-Type: a/b", "", strings.Repeat("x", 1000), "-------tid1+")
			code = max(code, p.next().code)
		}
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: slow", "Byte-Range: 2-*/2", "Content-Type: a/b", "", "2", "-------tid1$")
		p.next()
		if b := <-done; b != "12" || code != 413 {
			t.Errorf("%s, code %d", b, code)
		}
	})
	t.Run("MSRP-040 a message that its reader closes is refused with 413", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{Stream: 1}, Peer{})
		p.bind()
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-*/*", "Content-Type: a/b", "", "x", "-------tid1+")
		p.next()
		in, _ := s.Receive(t.Context())
		in.Close()
		for range 2 {
			p.write("tid2 SEND", "TO", "FROM", "Message-ID: m001", "Byte-Range: 2-*/*", "Content-Type: a/b", "", "x", "-------tid2+")
			if g := p.next(); g.code != 413 {
				t.Errorf("%+v", g)
			}
		}
	})
	t.Run("a connection without a request is cut after 30 seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, p := passive(t, Config{}, Own{}, Peer{})
			begin := time.Now()
			if _, err := p.read(); err == nil || time.Since(begin) != 30*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		})
	})
	t.Run("a bad start line closes the connection", func(t *testing.T) {
		s, p := passive(t, Config{}, Own{}, Peer{})
		p.bind()
		go io.WriteString(p.nc, "GET / HTTP/1.1\r\n\r\n")
		if _, err := p.read(); err == nil {
			t.Error("it is open")
		}
		<-s.Done()
		if !errors.Is(s.Err(), ErrDisconnected) {
			t.Error(s.Err())
		}
	})
}

type memorySpool struct {
	b      []byte
	closed *bool
}

func (m *memorySpool) WriteAt(p []byte, at int64) (int, error) {
	if need := int(at) + len(p); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[at:], p), nil
}
func (m *memorySpool) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, at)
}
func (m *memorySpool) Close() error { *m.closed = true; return nil }
