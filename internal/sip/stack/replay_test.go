package stack

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetransmission(t *testing.T) {
	var handled atomic.Int64
	s := serve(t, Config{}, func(s *Stack) {
		s.Handle("PUBLISH", counting(&handled))
		s.Handle("SUBSCRIBE", counting(&handled))
		s.Handle("REGISTER", func(context.Context, *Request) *Response { handled.Add(1); return Answer(401) })
	})
	w := dial(t, s, "udp")
	once := func(t *testing.T, m string) {
		t.Helper()
		before := handled.Load()
		first, again := w.ask(m), w.ask(m)
		wants(t, first, 200)
		if first != again {
			t.Errorf("first %q, then %q", first, again)
		}
		if n := handled.Load() - before; n != 1 {
			t.Errorf("handled %d times", n)
		}
	}
	t.Run("PUB-045 a retransmitted PUBLISH gets the same answer", func(t *testing.T) { once(t, msgBody("PUBLISH", pidf)) })
	t.Run("EVT-082 a retransmitted SUBSCRIBE is not handled again", func(t *testing.T) { once(t, msg("SUBSCRIBE")) })
	t.Run("inside a dialog", func(t *testing.T) { once(t, msg("SUBSCRIBE", "To: <sip:bob@example.com>;tag=1")) })
	t.Run("a branch of RFC 2543", func(t *testing.T) {
		via := "Via: SIP/2.0/UDP 127.0.0.1:9;branch=1;rport"
		once(t, msg("PUBLISH", via))
		once(t, msg("PUBLISH", via)) // the same branch, but another Call-ID
	})
	t.Run("a branch with nothing behind the cookie", func(t *testing.T) {
		via := "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK;rport"
		once(t, msg("PUBLISH", via))
		once(t, msg("PUBLISH", via))
	})
	t.Run("the same branch from another sent-by", func(t *testing.T) {
		once(t, msg("PUBLISH", "Via: SIP/2.0/UDP 127.0.0.1:10;branch=z9hG4bK-same;rport"))
		once(t, msg("PUBLISH", "Via: SIP/2.0/UDP 127.0.0.1:11;branch=z9hG4bK-same;rport"))
	})
	t.Run("401 is not kept: the same transaction may come back with credentials", func(t *testing.T) {
		m := msg("REGISTER")
		before := handled.Load()
		wants(t, w.ask(m), 401)
		wants(t, w.ask(strings.Replace(m, "Max-Forwards", "Authorization: Digest username=\"alice\"\r\nMax-Forwards", 1)), 401)
		wants(t, w.ask(renew(m)), 401) // a new branch with the same CSeq, but another Call-ID
		other := strings.Replace(m, "branch=z9hG4bK-", "branch=z9hG4bK-other", 1)
		wants(t, w.ask(other), 401)
		if n := handled.Load() - before; n != 4 {
			t.Errorf("handled %d times", n)
		}
	})
	t.Run("not over TCP", func(t *testing.T) {
		w, m := dial(t, s, "tcp"), msg("PUBLISH")
		if a, b := w.ask(m), w.ask(m); status(a) != "200 OK" || status(b) != "200 OK" || field(a, "SIP-ETag") == field(b, "SIP-ETag") {
			t.Errorf("got %q, then %q", a, b)
		}
	})
	t.Run("the echo is that of the retransmission", func(t *testing.T) {
		m, other := msg("PUBLISH"), dial(t, s, "udp")
		a, b := w.ask(m), other.ask(m)
		if field(a, "SIP-ETag") != field(b, "SIP-ETag") {
			t.Errorf("got %q, then %q", a, b)
		}
		port := strings.TrimPrefix(other.conn.LocalAddr().String(), "127.0.0.1:")
		if !strings.Contains(field(b, "Via"), ";rport="+port) {
			t.Errorf("Via of the second is %q", field(b, "Via"))
		}
	})
}

func TestMerged(t *testing.T) {
	var handled atomic.Int64
	s := serve(t, Config{}, func(s *Stack) { s.Handle("SUBSCRIBE", counting(&handled)) })
	for _, transport := range []string{"udp", "tcp"} {
		t.Run("EVT-083 another branch of a request is 482 over "+transport, func(t *testing.T) {
			w, m := dial(t, s, transport), msg("SUBSCRIBE")
			other := strings.Replace(m, "branch=z9hG4bK-", "branch=z9hG4bK-2-", 1)
			wants(t, w.ask(m), 200)
			wants(t, w.ask(other), 482)
			wants(t, w.ask(other), 482)
			wants(t, w.ask(strings.Replace(other, "CSeq: 1 ", "CSeq: 2 ", 1)), 200)
		})
	}
	t.Run("EVT-083 inside a dialog there is no merging", func(t *testing.T) {
		w, m := dial(t, s, "udp"), msg("SUBSCRIBE", "To: <sip:bob@example.com>;tag=7")
		wants(t, w.ask(m), 200)
		wants(t, w.ask(strings.Replace(m, "branch=z9hG4bK-", "branch=z9hG4bK-2-", 1)), 200)
	})
	t.Run("clients that share Call-ID, tag and branch are not merged", func(t *testing.T) {
		w, m := dial(t, s, "udp"), msg("SUBSCRIBE")
		wants(t, w.ask(m), 200)
		other := strings.Replace(m, "sip:alice@", "sip:carol@", 1)
		wants(t, w.ask(strings.Replace(other, "127.0.0.1:9;", "127.0.0.1:10;", 1)), 200)
	})
}

func TestCancel(t *testing.T) {
	var handled atomic.Int64
	s := serve(t, Config{}, func(s *Stack) { s.Handle("SUBSCRIBE", counting(&handled)) })
	w, m := dial(t, s, "udp"), msg("SUBSCRIBE")
	wants(t, w.ask(m), 200)
	cancel := strings.ReplaceAll(m, "SUBSCRIBE", "CANCEL")
	t.Run("EVT-079 CANCEL of a known transaction", func(t *testing.T) {
		wants(t, w.ask(cancel), 200)
		if handled.Load() != 1 {
			t.Error("it had an effect")
		}
	})
	t.Run("EVT-079 CANCEL of nothing", func(t *testing.T) {
		wants(t, w.ask(strings.Replace(cancel, "branch=z9hG4bK-", "branch=z9hG4bK-x", 1)), 481)
	})
	t.Run("ACK is never answered", func(t *testing.T) {
		w.send(msg("ACK") + "")
		w.send(msg("ACK", "From"))
		alive(t, w)
	})
}

func TestDefer(t *testing.T) {
	answers := make(chan func(*Response), 1)
	s := serve(t, Config{}, func(s *Stack) {
		s.Handle("MESSAGE", func(_ context.Context, r *Request) *Response {
			answers <- r.Defer()
			return Answer(500)
		})
		s.Handle("INFO", func(_ context.Context, r *Request) *Response {
			answers <- r.Defer()
			panic("after Defer")
		})
	})
	w := dial(t, s, "udp")
	t.Run("the answer comes when it is given, once", func(t *testing.T) {
		m := msgBody("MESSAGE", "hello")
		w.send(m)
		answer := <-answers
		w.send(m) // absorbed
		alive(t, w)
		answer(Answer(202))
		answer(Answer(404))
		first := w.receive()
		wants(t, first, 202)
		if field(first, "Call-ID") != field(m, "Call-ID") || !strings.HasPrefix(field(first, "Via"), "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-") {
			t.Errorf("got %q", first)
		}
		if again := w.ask(m); again != first {
			t.Errorf("first %q, then %q", first, again)
		}
		if st := s.Stats(); st.Replayed != 2 {
			t.Errorf("stats %+v", st)
		}
	})
	t.Run("EVT-079 CANCEL of a request over TCP while its answer is awaited, and afterwards", func(t *testing.T) {
		w, m := dial(t, s, "tcp"), msg("MESSAGE")
		cancel := strings.ReplaceAll(m, "MESSAGE", "CANCEL")
		w.send(m)
		answer := <-answers
		wants(t, w.ask(cancel), 200)
		answer(Answer(202))
		wants(t, w.receive(), 202)
		wants(t, w.ask(cancel), 481)
	})
	t.Run("a panic afterwards changes nothing", func(t *testing.T) {
		w.send(msg("INFO"))
		(<-answers)(Answer(204))
		wants(t, w.receive(), 204)
	})
	t.Run("RFC 4320 4.2: a 408 is not sent", func(t *testing.T) {
		w.send(msg("MESSAGE"))
		(<-answers)(Answer(408))
		alive(t, w)
	})
}

func TestReplayMemory(t *testing.T) {
	key := func(i int) key { return key{uint64(i), 1} }
	look := func(r *replay, i int) sighting {
		what, _, _ := r.meet(key(i), key(-i), true, true, nil)
		return what
	}
	answer := func(n int) rendered { return rendered{[]byte("S"), []byte("T"), make([]byte, n-2)} }
	t.Run("an answer is kept for 64*T1 at least and twice that at most", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const period = 32 * time.Second
			r := newReplay(period, 1<<20)
			look(r, 1)
			r.keep(key(1), answer(100))
			time.Sleep(period - time.Second)
			look(r, 2)
			r.keep(key(2), answer(100))
			time.Sleep(period)
			if _, buf, a := r.meet(key(2), key(-2), true, true, nil); string(a.status) != "S" || string(a.tag) != "T" || len(a.tail) != 98 || len(buf) != 100 {
				t.Errorf("after %v: %+v", period, a)
			}
			time.Sleep(2 * period)
			if look(r, 1) != unknown || look(r, 2) != unknown {
				t.Error("kept too long")
			}
			time.Sleep(4 * period)
			synctest.Wait()
			if r.size() != 0 || r.timer != nil {
				t.Errorf("%d bytes are left", r.size())
			}
			r.close()
		})
	})
	t.Run("memory is bounded and the youngest are kept", func(t *testing.T) {
		const limit = 1 << 20
		r := newReplay(time.Hour, limit)
		defer r.close()
		for i := range 10_000 {
			look(r, i)
			r.keep(key(i), answer(1000))
			if r.size() > limit {
				t.Fatalf("%d bytes after %d answers", r.size(), i+1)
			}
		}
		held := 0
		for _, g := range []generation{r.cur, r.old} {
			for _, c := range g.chunks {
				held += cap(c)
			}
		}
		if held > limit {
			t.Errorf("chunks of %d bytes", held)
		}
		if look(r, 9_999) != answered || look(r, 9_700) != answered || look(r, 0) != unknown {
			t.Error("the wrong ones were forgotten")
		}
	})
	t.Run("an answer larger than the memory is not kept", func(t *testing.T) {
		r := newReplay(time.Hour, 1000)
		defer r.close()
		look(r, 1)
		r.keep(key(1), answer(501))
		if look(r, 1) != unknown {
			t.Error("found")
		}
	})
	t.Run("what is being handled", func(t *testing.T) {
		r := newReplay(time.Hour, 1<<20)
		defer r.close()
		first, again := look(r, 1), look(r, 1)
		if first != unknown || again != pending || !r.known(key(1)) || r.known(key(2)) {
			t.Error("not known")
		}
		if what, _, _ := r.meet(key(2), key(-1), true, true, nil); what != merged {
			t.Error("not merged")
		}
		r.forget(key(1), key(-1))
		if what, _, _ := r.meet(key(2), key(-1), true, true, nil); what != unknown {
			t.Error("not forgotten")
		}
		if r.forget(key(1), key(-1)); r.cur.merged[key(-1)] != key(2) {
			t.Error("forgot another request's")
		}
	})
}

func TestTags(t *testing.T) {
	s := serve(t, Config{}, func(s *Stack) {
		s.Handle("REGISTER", func(context.Context, *Request) *Response { return Answer(401) })
		s.Handle("SUBSCRIBE", func(context.Context, *Request) *Response { return &Response{Status: 200, ToTag: "mine"} })
	})
	w := dial(t, s, "udp")
	tag := func(answer string) string {
		return strings.TrimPrefix(field(answer, "To"), "<sip:bob@example.com>;tag=")
	}
	m := msg("REGISTER")
	a, b, c := tag(w.ask(m)), tag(w.ask(m)), tag(w.ask(renew(m)))
	if a != b || a == c || len(a) < 8 {
		t.Errorf("tags %q and %q of one request, %q of another", a, b, c)
	}
	m = msg("FROB")
	if a, b := tag(w.ask(m)), tag(w.ask(m)); a != b {
		t.Error("the tags of two refusals of one request differ")
	}
	if got := tag(w.ask(msg("SUBSCRIBE"))); got != "mine" {
		t.Errorf("tag %q", got)
	}
	if got := field(w.ask(msg("SUBSCRIBE", "To: sip:bob@example.com ; TAG=x")), "To"); got != "sip:bob@example.com ; TAG=x" {
		t.Errorf("To %q", got)
	}
	seen := map[string]bool{}
	for range 1000 {
		for _, id := range []string{NewTag(), NewCallID()} {
			if seen[id] || run([]byte(id), isToken) != len(id) {
				t.Errorf("identifier %q", id)
			}
			seen[id] = true
		}
	}
}

func TestSecret(t *testing.T) {
	e := new(envelope)
	e.scan([]byte(msg("PUBLISH", "Call-ID: c", "Via: SIP/2.0/UDP h;branch=z9hG4bK-1")))
	a, b := New(Config{}), New(Config{})
	if string(a.makeTag(nil, a.keys.transaction(e, e.method))) == string(b.makeTag(nil, b.keys.transaction(e, e.method))) {
		t.Error("tags can be computed by others")
	}
}
