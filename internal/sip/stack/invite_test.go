package stack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

// caller is the calling end of an INVITE on a fake clock.
type caller struct {
	t   *testing.T
	s   *Stack
	f   *fakeUDP
	inv *Invitation

	mu  sync.Mutex
	got []string // what was heard: the status, or the error
}

func invite(t *testing.T) *caller {
	c := &caller{t: t, s: New(Config{})}
	c.f = fake(t, c.s)
	t.Cleanup(func() { _ = c.s.Close() })
	c.inv = c.s.Invite(outgoing("INVITE", Target{Addr: there.String()}), func(res *sip.Response, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.got = append(c.got, err.Error())
		} else {
			c.got = append(c.got, res.StartLine()[len("SIP/2.0 "):])
		}
	})
	synctest.Wait()
	return c
}

// heard gives and forgets what was heard.
func (c *caller) heard() string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	got := strings.Join(c.got, ", ")
	c.got = nil
	return got
}

// sent gives the start lines of what was sent, and the last message.
func (c *caller) sent() (methods, last string) {
	synctest.Wait()
	for _, d := range c.f.sent() {
		m, _, _ := strings.Cut(d.data, " ")
		methods, last = methods+m+" ", d.data
	}
	return strings.TrimSpace(methods), last
}

func (c *caller) answer(request, status string, fields ...string) {
	c.f.in <- datagram{strings.Replace(answerFor(request, status, fields...), "To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b", 1), there}
}

func TestInviteClient(t *testing.T) {
	run := func(name string, f func(t *testing.T, c *caller, request string)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := invite(t)
				_, request := c.sent()
				f(t, c, request)
				_ = c.s.Close()
			})
		})
	}
	run("timers A and B", func(t *testing.T, c *caller, _ string) {
		time.Sleep(16 * time.Second)
		if sent, _ := c.sent(); sent != "INVITE INVITE INVITE INVITE INVITE" { // 0.5 1.5 3.5 7.5 15.5
			t.Errorf("sent again: %s", sent)
		}
		time.Sleep(17 * time.Second)
		if got := c.heard(); got != ErrTimeout.Error() {
			t.Error(got)
		}
	})
	run("a provisional response ends the retransmissions", func(t *testing.T, c *caller, request string) {
		c.answer(request, "180 Ringing")
		time.Sleep(5 * time.Minute)
		if sent, _ := c.sent(); sent != "" || c.heard() != "180 Ringing" {
			t.Errorf("sent again: %s", sent)
		}
	})
	run("a refusal is acknowledged in its transaction, each time it comes", func(t *testing.T, c *caller, request string) {
		c.answer(request, "486 Busy Here")
		sent, ack := c.sent()
		if sent != "ACK" || field(ack, "Via") != field(request, "Via") || field(ack, "To") != "<sip:bob@example.com>;tag=b" ||
			field(ack, "CSeq") != "7 ACK" || field(ack, "Call-ID") != field(request, "Call-ID") || field(ack, "From") != field(request, "From") {
			t.Errorf("%s\n%s", request, ack)
		}
		c.answer(request, "486 Busy Here")
		if again, _ := c.sent(); again != "ACK" || c.heard() != "486 Busy Here" {
			t.Errorf("sent %s", again)
		}
	})
	run("every 2xx is heard", func(t *testing.T, c *caller, request string) {
		c.answer(request, "200 OK")
		c.answer(request, "200 OK")
		if got := c.heard(); got != "200 OK, 200 OK" {
			t.Error(got)
		}
		if sent, _ := c.sent(); sent != "" {
			t.Errorf("sent %s", sent)
		}
		o := outgoing("ACK", Target{Addr: there.String()})
		if err := c.s.Ack(o, nil); err != nil {
			t.Fatal(err)
		}
		if _, ack := c.sent(); field(ack, "Via") == field(request, "Via") || !strings.HasPrefix(ack, "ACK ") {
			t.Errorf("%s", ack)
		}
	})
	run("CANCEL waits for a provisional response", func(t *testing.T, c *caller, request string) {
		c.inv.Cancel()
		if sent, _ := c.sent(); sent != "" {
			t.Errorf("sent %s", sent)
		}
		c.answer(request, "100 Trying")
		sent, cancel := c.sent()
		if sent != "CANCEL" || field(cancel, "Via") != field(request, "Via") || field(cancel, "CSeq") != "7 CANCEL" || field(cancel, "To") != field(request, "To") {
			t.Errorf("%s\n%s", sent, cancel)
		}
		c.answer(cancel, "200 OK")
		time.Sleep(2 * time.Second)
		if again, _ := c.sent(); again != "" {
			t.Errorf("sent again: %s", again)
		}
		c.answer(request, "487 Request Terminated")
		if got := c.heard(); got != "100 Trying, 487 Request Terminated" {
			t.Error(got)
		}
	})
	run("nothing after CANCEL", func(t *testing.T, c *caller, request string) {
		c.answer(request, "180 Ringing")
		synctest.Wait()
		c.inv.Cancel()
		time.Sleep(33 * time.Second)
		if got := c.heard(); !strings.Contains(got, ErrTimeout.Error()) {
			t.Error(got)
		}
	})
}

// invited runs a stack whose handler of INVITE is h, and gives it one.
func invited(t *testing.T, h func(*Invited)) (s *Stack, f *fakeUDP, request string) {
	s = New(Config{})
	s.Handle("INVITE", func(_ context.Context, r *Request) *Response {
		v := r.Invited("mine")
		go h(v)
		return nil
	})
	s.Handle("ACK", func(context.Context, *Request) *Response { return nil })
	f = fake(t, s)
	t.Cleanup(func() { _ = s.Close() })
	request = msg("INVITE")
	f.in <- datagram{request, there}
	synctest.Wait()
	return s, f, request
}

func TestInviteServer(t *testing.T) {
	statuses := func(f *fakeUDP) string {
		synctest.Wait()
		var list []string
		for _, d := range f.sent() {
			list = append(list, status(d.data))
		}
		return strings.Join(list, ", ")
	}
	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	ack := func(request, branch string) string {
		m := strings.Replace(strings.Replace(request, "INVITE ", "ACK ", 1), "1 INVITE", "1 ACK", 1)
		return strings.Replace(m, "branch=z9hG4bK", "branch=z9hG4bK"+branch, 1)
	}
	run("a refusal is repeated until its ACK", func(t *testing.T) {
		acked := errors.New("not told")
		s, f, request := invited(t, func(v *Invited) {
			v.Provisional(Answer(180))
			v.Answer(Answer(486), func(ok bool) {
				if acked = nil; !ok {
					acked = errors.New("no ACK")
				}
			})
			if v.Answer(Answer(200), nil) {
				t.Error("answered twice")
			}
		})
		if got := statuses(f); got != "100 Trying, 180 Ringing, 486 Busy Here" {
			t.Error(got)
		}
		time.Sleep(2 * time.Second)
		if got := statuses(f); got != "486 Busy Here, 486 Busy Here" {
			t.Error(got)
		}
		f.in <- datagram{ack(request, ""), there}
		time.Sleep(5 * time.Second)
		if got := statuses(f); got != "" || acked != nil {
			t.Error(got, acked)
		}
		_ = s.Close()
	})
	run("a 2xx is repeated until it is said to be acknowledged", func(t *testing.T) {
		var call *Invited
		told := ""
		s, f, request := invited(t, func(v *Invited) {
			call = v
			v.Answer(Answer(200), func(ok bool) { told = map[bool]string{true: "acked", false: "lost"}[ok] })
		})
		f.in <- datagram{ack(request, "other"), there}
		time.Sleep(1600 * time.Millisecond)
		if got := statuses(f); got != "100 Trying, 200 OK, 200 OK, 200 OK" {
			t.Error(got)
		}
		call.Acked()
		time.Sleep(time.Minute)
		if got := statuses(f); got != "" || told != "acked" {
			t.Error(got, told)
		}
		_ = s.Close()
	})
	run("no ACK in 64*T1", func(t *testing.T) {
		told := ""
		s, _, _ := invited(t, func(v *Invited) {
			v.Answer(Answer(200), func(ok bool) { told = map[bool]string{true: "acked", false: "lost"}[ok] })
		})
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if told != "lost" {
			t.Error(told)
		}
		_ = s.Close()
	})
	run("a retransmission gets the last provisional response", func(t *testing.T) {
		s, f, request := invited(t, func(v *Invited) { v.Provisional(Answer(180)) })
		statuses(f)
		f.in <- datagram{request, there}
		if got := statuses(f); got != "180 Ringing" {
			t.Error(got)
		}
		_ = s.Close()
	})
	run("CANCEL", func(t *testing.T) {
		s, f, request := invited(t, func(v *Invited) {
			<-v.Cancelled()
			v.Answer(Answer(487), nil)
		})
		cancel := strings.Replace(strings.Replace(request, "INVITE ", "CANCEL ", 1), "1 INVITE", "1 CANCEL", 1)
		f.in <- datagram{cancel, there}
		if got := statuses(f); !strings.Contains(got, "200 OK") || !strings.Contains(got, "487 Request Terminated") {
			t.Error(got)
		}
		_ = s.Close()
	})
}
