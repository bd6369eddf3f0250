package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/msrp/wire"
)

// text is a message of text.
func text(s string) Message {
	return Message{Type: "text/plain", Body: strings.NewReader(s), Size: int64(len(s))}
}

// sendAside sends in a goroutine.
func sendAside(ctx context.Context, s *Session, m Message) (done chan error) {
	done = make(chan error, 1)
	go func() {
		sent, err := s.Send(ctx, m)
		if err == nil {
			err = sent.Wait(ctx)
		}
		done <- err
	}()
	return done
}

// bound is a session that a raw peer has bound.
func bound(t *testing.T, cfg Config, peer Peer) (*Session, *raw) {
	t.Helper()
	s, p := passive(t, cfg, Own{}, peer)
	p.bind()
	return s, p
}

func TestChunks(t *testing.T) {
	t.Run("MSRP-012 MSRP-023 MSRP-024 MSRP-026 MSRP-027 chunks of 2048", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		body := strings.Repeat("x", 5000)
		m := text(body)
		m.Chunk = 2048
		done := sendAside(t.Context(), s, m)
		ids, all := map[string]bool{}, ""
		for _, want := range []string{"1-2048/5000", "2049-4096/5000", "4097-5000/5000"} {
			g := p.next()
			if g.rng != want || g.kind != "text/plain" || g.message == "" || (g.end == '$') != (want[0] == '4') {
				t.Errorf("%+v", g)
			}
			if g.names[0] != "To-Path" || g.names[1] != "From-Path" || g.names[len(g.names)-1] != "Content-Type" {
				t.Errorf("%v", g.names)
			}
			ids[g.message], all = true, all+g.body
			p.answer(g, 200)
		}
		if err := <-done; err != nil || all != body || len(ids) != 1 {
			t.Error(err, len(ids))
		}
	})
	t.Run("MSRP-099 the type and the range of each chunk are those of the whole message", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		body := "From: <im:a@example.com>\r\nTo: <im:b@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("x", 3000)
		sendAside(t.Context(), s, Message{Type: "message/cpim", Body: strings.NewReader(body), Size: int64(len(body)), Chunk: 2048})
		all := ""
		for range 2 {
			g := p.next()
			if g.kind != "message/cpim" || !strings.HasPrefix(g.rng, fmt.Sprintf("%d-", len(all)+1)) || !strings.HasSuffix(g.rng, fmt.Sprintf("/%d", len(body))) {
				t.Errorf("%+v", g)
			}
			all += g.body
		}
		if all != body {
			t.Errorf("%d bytes", len(all))
		}
	})
	t.Run("MSRP-025 MSRP-027 a chunk above 2048 octets has no range-end", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		for _, size := range []int{2048, 2049, 10_000, 100_000} {
			done := sendAside(t.Context(), s, text(strings.Repeat("x", size)))
			g := p.next()
			star := strings.Contains(g.rng, "-*/")
			if star != (size > 2048) || len(g.body) != size || g.end != '$' || !strings.HasSuffix(g.rng, fmt.Sprintf("/%d", size)) {
				t.Errorf("%d: %s, %d bytes, %c", size, g.rng, len(g.body), g.end)
			}
			p.answer(g, 200)
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("MSRP-025 a size that is not known is *, until the end", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		r, w := io.Pipe()
		done := sendAside(t.Context(), s, Message{Type: "a/b", Body: r, Size: -1})
		go func() {
			w.Write(bytes.Repeat([]byte("x"), 9000))
			w.Close()
		}()
		all := ""
		for {
			g := p.next()
			if len(all) == 0 && g.rng != "1-*/*" {
				t.Errorf("%s", g.rng)
			}
			all += g.body
			p.answer(g, 200)
			if len(g.body) == 0 {
				t.Error("an empty chunk")
			}
			if g.end == '$' {
				break
			}
		}
		if err := <-done; err != nil || len(all) != 9000 {
			t.Error(err, len(all))
		}
	})
	t.Run("MSRP-030 an empty message is 1-0/0 with a body", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		done := sendAside(t.Context(), s, text(""))
		if g := p.next(); g.rng != "1-0/0" || !g.hasBody || g.kind == "" {
			t.Errorf("%+v", g)
		} else {
			p.answer(g, 200)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("MSRP-017 the end-line of a chunk is not in its body", func(t *testing.T) {
		// All IDs that this source of randomness makes begin alike, and the body has the end-line of the first one.
		random := rand.New(rand.NewPCG(1, 2))
		fill := func(b []byte) {
			for i := range b {
				b[i] = byte(random.IntN(2))
			}
		}
		first := wire.NewIDs(func(b []byte) { clear(b) }).New()
		for _, size := range []int{100, 100_000} {
			s, p := bound(t, Config{Random: func(b []byte) {
				if random.IntN(3) > 0 {
					clear(b)
				} else {
					fill(b)
				}
			}}, Peer{})
			var body strings.Builder
			for n := uint64(0); n < 40; n++ {
				fmt.Fprintf(&body, "\r\n-------%s%d$\r\n", first, n)
			}
			body.WriteString(strings.Repeat("x", max(0, size-body.Len())))
			done := sendAside(t.Context(), s, text(body.String()))
			all := ""
			for {
				g := p.next()
				all += g.body
				p.answer(g, 200)
				if g.end == '$' {
					break
				}
			}
			if err := <-done; err != nil || all != body.String() {
				t.Errorf("%d: %v, %d bytes of %d", size, err, len(all), body.Len())
			}
		}
	})
	t.Run("MSRP-031 sending does not wait for responses", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		for range 5 {
			if _, err := s.Send(t.Context(), text("hello")); err != nil {
				t.Fatal(err)
			}
			p.next()
		}
	})
	t.Run("MSRP-011 MSRP-003 IDs and URIs do not repeat", func(t *testing.T) {
		n := New(Config{})
		seen := map[string]bool{}
		for range 10_000 {
			u, err := n.NewURI("tcp", "127.0.0.1:1")
			if err != nil || seen[u.SessionID] || len(u.SessionID) < 14 {
				t.Fatal(u, err)
			}
			seen[u.SessionID] = true
		}
		if _, err := n.NewURI("tcp", "127.0.0.1"); err == nil {
			t.Error("a URI without a port")
		}
	})
}

func TestInterruption(t *testing.T) {
	t.Run("MSRP-028 MSRP-029 a long chunk is interrupted for a response, and goes on", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		size := 3_000_000
		body := content(rand.New(rand.NewPCG(1, 1)), size)
		done := sendAside(t.Context(), s, Message{Type: "a/b", Body: bytes.NewReader(body), Size: int64(size), FailureReport: wire.FailureNo})
		var all []byte
		asked, answeredAt := false, 0
		for {
			g, err := p.head()
			if err != nil {
				t.Fatal(err)
			}
			if g.code != 0 {
				answeredAt = len(all)
				continue
			}
			if want := fmt.Sprintf("%d-*/%d", len(all)+1, size); g.rng != want && !strings.HasPrefix(g.rng, fmt.Sprintf("%d-", len(all)+1)) {
				t.Fatalf("%s, and not %s", g.rng, want)
			}
			for end := wire.Flag(0); end == 0; {
				var piece []byte
				if piece, end, err = p.r.Body(); err != nil {
					t.Fatal(err)
				}
				all = append(all, piece...)
				if !asked && len(all) > 200_000 {
					asked = true
					p.write("tid1 SEND", "TO", "FROM", "Message-ID: m001", "-------tid1$")
				}
				g.end = end
			}
			if g.end == '$' {
				break
			}
		}
		if err := <-done; err != nil || !bytes.Equal(all, body) {
			t.Errorf("%v, %d bytes", err, len(all))
		}
		if answeredAt == 0 || answeredAt > 1_000_000 {
			t.Errorf("answered when %d bytes had come", answeredAt)
		}
	})
	t.Run("MSRP-028 messages of several sessions share the connection", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		a2, b2 := r.pair(Own{}, Own{})
		var messages atomic.Int64
		go drain(r.b, &messages)
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan int64, 1)
		endless := sendAside(ctx, r.a, Message{Type: "a/b", Body: zeros{}, Size: -1, Progress: func(n int64) {
			select {
			case begun <- n:
			default:
			}
		}})
		<-begun
		const size = 5_000_000
		other := sendAside(t.Context(), a2, Message{Type: "a/b", Body: io.LimitReader(zeros{}, size), Size: size})
		if _, b := read(t, b2); len(b) != size {
			t.Errorf("%d bytes", len(b))
		}
		if err := <-other; err != nil {
			t.Error(err)
		}
		select {
		case err := <-endless:
			t.Error("the message without end has ended", err)
		default:
		}
		cancel()
		if err := <-endless; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// head reads a head only.
func (p *raw) head() (g got, err error) {
	h, err := p.r.Next()
	if err != nil {
		return g, err
	}
	return got{id: string(h.ID), code: h.Code, rng: string(h.Get("byte-range")), end: h.End}, nil
}

func TestFailures(t *testing.T) {
	t.Run("MSRP-033 no response in 30 seconds is told, and so is 408", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := bound(t, Config{}, Peer{})
			begin := time.Now()
			done := sendAside(t.Context(), s, text("hello"))
			p.next()
			if err := <-done; !errors.Is(err, ErrTimeout) || time.Since(begin) != 30*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			done = sendAside(t.Context(), s, text("hello"))
			p.answer(p.next(), 408)
			if err := <-done; !errors.Is(err, ErrTimeout) {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("MSRP-033 the time of a chunk runs from its last byte", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := bound(t, Config{}, Peer{})
			r, w := io.Pipe()
			done := sendAside(t.Context(), s, Message{Type: "a/b", Body: r, Size: 5000})
			go func() {
				w.Write(make([]byte, 3000))
				time.Sleep(time.Minute)
				w.Write(make([]byte, 2000))
			}()
			begin := time.Now()
			g := p.next()
			if d := time.Since(begin); len(g.body) != 5000 || d != time.Minute {
				t.Errorf("%d bytes after %v", len(g.body), d)
			}
			if err := <-done; !errors.Is(err, ErrTimeout) || time.Since(begin) != 90*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		})
	})
	t.Run("MSRP-034 partial: silence is good, and errors are told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := bound(t, Config{}, Peer{})
			m := text("hello")
			m.FailureReport, m.SuccessReport = wire.FailurePartial, true
			sent, err := s.Send(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			p.next()
			time.Sleep(time.Minute)
			if sent.Err() != nil {
				t.Error(sent.Err())
			}
			sent, _ = s.Send(t.Context(), m2(m))
			p.answer(p.next(), 400)
			var status *StatusError
			if err := sent.Wait(t.Context()); !errors.As(err, &status) || status.Code != 400 {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("MSRP-035 a missing success report is told at the end of the session", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		m := text("hello")
		m.SuccessReport = true
		handed := make(chan *Sent)
		go func() {
			sent, err := s.Send(context.Background(), m)
			if err != nil {
				t.Error(err)
			}
			handed <- sent
		}()
		p.answer(p.next(), 200)
		p.quiet()
		sent := <-handed
		s.Close()
		if err := sent.Wait(t.Context()); !errors.Is(err, ErrUnreported) {
			t.Errorf("%v", err)
		}
	})
	t.Run("MSRP-036 a message above max-size is not sent", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{MaxSize: 100})
		if _, err := s.Send(t.Context(), text(strings.Repeat("x", 101))); !errors.Is(err, ErrSize) {
			t.Errorf("%v", err)
		}
		if _, err := s.Send(t.Context(), Message{Type: "a/b", Body: strings.NewReader(strings.Repeat("x", 101)), Size: -1}); !errors.Is(err, ErrSize) {
			t.Errorf("%v", err)
		}
		p.quiet()
	})
	t.Run("MSRP-037 a type that the peer does not take is not sent", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{Types: []string{"message/cpim", "text/*"}, Wrapped: []string{"image/png"}})
		for _, m := range []Message{{Type: "image/png"}, {Type: "message/cpim", Wrapped: []string{"image/gif"}}} {
			if _, err := s.Send(t.Context(), m); !errors.Is(err, ErrType) {
				t.Errorf("%s: %v", m.Type, err)
			}
		}
		p.quiet()
		for _, m := range []Message{{Type: "TEXT/html;charset=utf-8"}, {Type: "message/cpim", Wrapped: []string{"image/png", "text/plain"}}} {
			done := sendAside(t.Context(), s, m)
			p.answer(p.next(), 200)
			if err := <-done; err != nil {
				t.Errorf("%s: %v", m.Type, err)
			}
		}
	})
	t.Run("MSRP-038 Content-Disposition is there when it is not render", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		for _, d := range []string{"", "attachment"} {
			m := text("x")
			m.Disposition = d
			s.Send(t.Context(), m)
			if g := p.next(); strings.Contains(strings.Join(g.names, " "), "Content-Disposition") != (d != "") {
				t.Errorf("%v", g.names)
			}
		}
	})
	for _, how := range []string{"response", "REPORT"} {
		t.Run("MSRP-039 MSRP-040 a message that is refused by a "+how+" ends with #", func(t *testing.T) {
			s, p := bound(t, Config{}, Peer{})
			done := sendAside(t.Context(), s, Message{ID: "large001", Type: "a/b", Body: zeros{}, Size: 1 << 40})
			g, _ := p.head()
			refuse := func() {
				if how == "response" {
					p.write(g.id+" 413", "To-Path: "+p.to, "From-Path: "+p.from, "-------"+g.id+"$")
				} else {
					p.write("tid1 REPORT", "TO", "FROM", "Message-ID: large001", "Byte-Range: 1-*/*", "Status: 000 413", "-------tid1$")
				}
			}
			n := 0
			for end := wire.Flag(0); end != wire.Abort; {
				piece, e, err := p.r.Body()
				if err != nil {
					t.Fatal(err)
				}
				if n += len(piece); n > 100_000 && refuse != nil {
					refuse()
					refuse = nil
				}
				if end = e; end == wire.More || end == wire.Last {
					t.Errorf("it ends with %c", end)
				}
			}
			var status *StatusError
			if err := <-done; !errors.As(err, &status) || status.Code != 413 {
				t.Errorf("%v", err)
			}
			p.quiet()
			if s.Err() != nil {
				t.Error(s.Err())
			}
		})
	}
	t.Run("MSRP-041 a type that was refused with 415 is not sent again", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		done := sendAside(t.Context(), s, text("x"))
		p.answer(p.next(), 415)
		<-done
		if _, err := s.Send(t.Context(), text("x")); !errors.Is(err, ErrType) {
			t.Errorf("%v", err)
		}
	})
	for _, code := range []int{481, 506} {
		t.Run(fmt.Sprintf("MSRP-042 %d ends the session", code), func(t *testing.T) {
			s, p := bound(t, Config{}, Peer{})
			done := sendAside(t.Context(), s, text("x"))
			p.answer(p.next(), code)
			<-done
			<-s.Done()
			var status *StatusError
			if !errors.As(s.Err(), &status) || status.Code != code {
				t.Errorf("%v", s.Err())
			}
		})
	}
	t.Run("MSRP-063 a REPORT about an unknown message is ignored", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		p.write("tid1 REPORT", "TO", "FROM", "Message-ID: unknown1", "Byte-Range: 1-1/1", "Status: 000 408", "-------tid1$")
		p.quiet()
		if s.Err() != nil {
			t.Error(s.Err())
		}
	})
	t.Run("MSRP-064 MSRP-065 a failure REPORT ends the session, one of another namespace says nothing", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		m := text("x")
		m.ID, m.SuccessReport = "ours0001", true
		done := sendAside(t.Context(), s, m)
		p.answer(p.next(), 200)
		p.write("tid1 REPORT", "TO", "FROM", "Message-ID: ours0001", "Byte-Range: 1-1/1", "Status: 001 408", "-------tid1$")
		p.quiet()
		if s.Err() != nil {
			t.Error(s.Err())
		}
		p.write("tid1 REPORT", "TO", "FROM", "Message-ID: ours0001", "Byte-Range: 1-1/1", "Status: 000 408 Downstream Timeout", "-------tid1$")
		var status *StatusError
		if err := <-done; !errors.As(err, &status) || status.Code != 408 || !status.Reported || !errors.Is(err, ErrTimeout) {
			t.Errorf("%v", err)
		}
		<-s.Done()
		if _, err := s.Send(t.Context(), text("again")); err == nil {
			t.Error("the session goes on")
		}
	})
	t.Run("MSRP-059 reports of parts, in any order, add up", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		m := text("0123456789")
		m.ID, m.SuccessReport = "ours0001", true
		sent, _ := s.Send(t.Context(), m)
		p.answer(p.next(), 200)
		for _, rng := range []string{"6-8/10", "1-5/10", "4-7/10"} {
			p.write("tid1 REPORT", "TO", "FROM", "Message-ID: ours0001", "Byte-Range: "+rng, "Status: 000 200 OK", "-------tid1$")
		}
		p.quiet()
		select {
		case <-sent.Done():
			t.Error("two bytes were not reported")
		default:
		}
		if n := sent.Reported(); n != 8 {
			t.Errorf("%d bytes", n)
		}
		p.write("tid1 REPORT", "TO", "FROM", "Message-ID: ours0001", "Byte-Range: 9-10/10", "Status: 000 200 OK", "-------tid1$")
		if err := sent.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a message is aborted with its context", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		done := sendAside(ctx, s, Message{Type: "a/b", Body: r, Size: -1})
		w.Write(make([]byte, 5000))
		if _, err := p.head(); err != nil {
			t.Fatal(err)
		}
		cancel()
		go w.Write(make([]byte, 5000))
		defer r.Close()
		end := wire.Flag(0)
		for end == 0 {
			_, end, _ = p.r.Body()
		}
		if end != wire.Abort {
			t.Errorf("it ends with %c", end)
		}
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("a body that ends too early aborts the message", func(t *testing.T) {
		s, p := bound(t, Config{}, Peer{})
		done := sendAside(t.Context(), s, Message{Type: "a/b", Body: strings.NewReader(strings.Repeat("x", 70_000)), Size: 100_000})
		if g := p.next(); g.end != '#' {
			t.Errorf("it ends with %c", g.end)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), "70000 of 100000") {
			t.Error(err)
		}
	})
	t.Run("a peer that does not answer makes sending wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, p := bound(t, Config{Limits: Limits{Unanswered: 10}}, Peer{})
			count := 0
			go func() {
				for {
					if _, err := s.Send(t.Context(), text("x")); err != nil {
						return
					}
					count++
				}
			}()
			go io.Copy(io.Discard, p.nc)
			synctest.Wait()
			if count != 10 {
				t.Errorf("%d were sent", count)
			}
			p.nc.Close()
			synctest.Wait()
		})
	})
}

func m2(m Message) Message {
	m.Body = strings.NewReader("hello")
	return m
}
