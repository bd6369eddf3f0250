package pager_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/agent/pager"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
	"imp/internal/sip/uac/uactest"
)

// sending is a sender against a proxy that the test plays.
type sending struct {
	*pager.Sender
	t    *testing.T
	wire *uactest.Wire
}

func withSender(t *testing.T, cfg pager.SenderConfig, f func(*testing.T, *sending)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := uactest.New(t, "SIP/2.0/TCP 192.0.2.1:5060")
		defer w.Close()
		cfg.Wire = w
		if cfg.From.URI == "" {
			cfg.From = header.Address{Display: "Alice", URI: "sip:alice@example.com"}
		}
		if cfg.Proxy == (stack.Target{}) {
			cfg.Proxy = stack.Target{Transport: "tcp", Addr: "192.0.2.9:5060"}
		}
		f(t, &sending{pager.NewSender(cfg), t, w})
	})
}

// sent is a message under way.
type sent struct {
	t    *testing.T
	done chan struct{}
	got  pager.Receipt
	err  error
}

func plain(to, text string) pager.Outgoing {
	return pager.Outgoing{To: to, Type: "text/plain", Body: []byte(text)}
}

func (s *sending) send(m pager.Outgoing) *sent {
	p := &sent{t: s.t, done: make(chan struct{})}
	go func() {
		p.got, p.err = s.Send(s.t.Context(), m)
		close(p.done)
	}()
	synctest.Wait()
	return p
}

func (p *sent) over() error {
	p.t.Helper()
	synctest.Wait()
	select {
	case <-p.done:
	default:
		p.t.Fatal("still waits")
	}
	return p.err
}

func TestSend(t *testing.T) {
	const bob = "sip:bob@example.com"
	t.Run("MSG-001 MESSAGE has the form of a request outside dialogs", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			m := plain(bob, "hi")
			m.Fields = []stack.Field{{Name: "Subject", Value: "lunch"}}
			p := s.send(m)
			c := s.wire.Next()
			if c.Method != "MESSAGE" || c.Recipient.String() != bob || string(c.Body()) != "hi" {
				t.Errorf("%s", c.Request)
			}
			if from := c.Address("From"); from.URI != "sip:alice@example.com" || from.Tag() == "" {
				t.Errorf("From %v", from)
			}
			c.Wants("To", "<"+bob+">")
			c.Wants("Max-Forwards", "70")
			c.Wants("Content-Type", "text/plain")
			c.Wants("Subject", "lunch")
			if c.One("Call-ID") == "" || c.Seq() != 1 {
				t.Errorf("%s", c.Request)
			}
			c.Answer(200)
			if p.over() != nil || !p.got.Delivered() || p.got.CallID != c.One("Call-ID") {
				t.Errorf("%+v, %v", p.got, p.err)
			}
		})
	})
	t.Run("MSG-002 there is no Contact", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			s.send(plain(bob, "hi"))
			s.wire.Next().None("Contact")
		})
	})
	t.Run("MSG-003 no dialog follows", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			s.send(plain(bob, "one"))
			a := s.wire.Next()
			a.Answer(200, "Contact: <sip:bob@192.0.2.5>", "Record-Route: <sip:192.0.2.6;lr>")
			s.send(plain(bob, "two"))
			b := s.wire.Next()
			if a.One("Call-ID") == b.One("Call-ID") || b.Recipient.String() != bob {
				t.Errorf("%s", b.Request)
			}
			b.None("Route")
			b.Wants("To", "<"+bob+">")
		})
	})
	t.Run("MSG-004 what does not apply is not sent", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			s.send(plain(bob, "hi"))
			s.wire.Next().None("Accept", "Accept-Encoding", "Accept-Language", "Record-Route", "Alert-Info", "Contact")
		})
	})
	t.Run("MSG-008 one message to an address of record is unanswered at a time", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			s.send(plain(bob, "one"))
			first := s.wire.Next()
			s.send(plain("sip:%62ob@EXAMPLE.com;x=1", "two"))
			s.wire.Silent()
			s.send(plain("sip:carol@example.com", "three"))
			if c := s.wire.Next(); string(c.Body()) != "three" {
				t.Errorf("%s", c.Request)
			}
			first.Fail(stack.ErrTimeout)
			if c := s.wire.Next(); string(c.Body()) != "two" {
				t.Errorf("%s", c.Request)
			}
		})
	})
	t.Run("MSG-008 who gives up waiting does not let another one through", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			ctx, cancel := context.WithCancel(t.Context())
			go s.Send(ctx, plain(bob, "one"))
			first := s.wire.Next()
			cancel()
			p := s.send(plain(bob, "two"))
			s.wire.Silent()
			first.Answer(200)
			s.wire.Next().Answer(200)
			if p.over() != nil {
				t.Error(p.err)
			}
		})
	})
	t.Run("MSG-011 Expires brings Date along", func(t *testing.T) {
		at := time.Date(2026, 11, 22, 10, 20, 30, 0, time.FixedZone("", 3600))
		withSender(t, pager.SenderConfig{Now: func() time.Time { return at }}, func(t *testing.T, s *sending) {
			m := plain(bob, "hi")
			m.Expires = 90 * time.Second
			s.send(m)
			c := s.wire.Next()
			c.Wants("Expires", "90")
			c.Wants("Date", "Sun, 22 Nov 2026 09:20:30 GMT")
			c.Answer(200)
			s.send(plain(bob, "hi"))
			s.wire.Next().None("Expires", "Date")
		})
	})
	t.Run("MSG-012 202 is not 200", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			p := s.send(plain(bob, "hi"))
			s.wire.Next().Answer(202)
			if p.over() != nil || p.got.Delivered() || p.got.Status != 202 {
				t.Errorf("%+v, %v", p.got, p.err)
			}
		})
	})
	t.Run("MSG-014 6xx is delivered and declined, all else is not delivered", func(t *testing.T) {
		for _, status := range []int{404, 415, 480, 500, 600, 603, 606} {
			withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
				p := s.send(plain(bob, "hi"))
				s.wire.Next().Answer(status)
				var refused *uac.ResponseError
				if err := p.over(); !errors.As(err, &refused) || refused.Status != status || pager.Declined(err) != (status >= 600) {
					t.Errorf("%d: %v", status, err)
				}
			})
		}
		if pager.Declined(stack.ErrTimeout) {
			t.Error("a timeout is no answer")
		}
	})
	t.Run("MSG-017 challenges are answered", func(t *testing.T) {
		answer := func(_ *sip.Response, o *stack.Outgoing) (*stack.Outgoing, error) {
			again := *o
			again.Head = append(slices.Clip(o.Head), "Proxy-Authorization: Digest x\r\n"...)
			return &again, nil
		}
		withSender(t, pager.SenderConfig{Authenticate: answer}, func(t *testing.T, s *sending) {
			p := s.send(plain(bob, "hi"))
			first := s.wire.Next()
			first.Answer(407)
			c := s.wire.Next()
			c.Wants("Proxy-Authorization", "Digest x")
			c.Wants("Call-ID", first.One("Call-ID"))
			if c.Seq() != 2 || !c.Out.NoUDPFallback {
				t.Errorf("%s", c.Request)
			}
			c.Answer(200)
			if p.over() != nil {
				t.Error(p.err)
			}
		})
	})
	t.Run("nothing is no message", func(t *testing.T) {
		withSender(t, pager.SenderConfig{}, func(t *testing.T, s *sending) {
			if err := s.send(plain(bob, "")).over(); !errors.Is(err, pager.ErrEmpty) {
				t.Error(err)
			}
			m := plain(bob, "hi")
			m.Fields = []stack.Field{{Name: "Subject", Value: "a\r\nContact: <sip:x@y>"}}
			if err := s.send(m).over(); err == nil {
				t.Error("a field of two lines was sent")
			}
			m = plain(bob, "hi")
			m.Type = "text"
			if err := s.send(m).over(); err == nil {
				t.Error("no media type")
			}
			s.wire.Silent()
		})
	})
}

func TestInstantMessagingURI(t *testing.T) {
	found := func(_ context.Context, uri string) (string, error) {
		if rest, ok := strings.CutPrefix(uri, "im:bob@"); ok {
			return "sip:bob@im." + rest, nil
		}
		return "", errors.New("nothing found")
	}
	t.Run("MSG-015 MSG-016 NAM-010 an im URI is resolved to a SIP URI, for Request-URI and To", func(t *testing.T) {
		withSender(t, pager.SenderConfig{SIPURI: found}, func(t *testing.T, s *sending) {
			p := s.send(plain("im:bob@example.com", "hi"))
			c := s.wire.Next()
			if got := c.Recipient.String(); got != "sip:bob@im.example.com" {
				t.Errorf("Request-URI %s", got)
			}
			c.Wants("To", "<sip:bob@im.example.com>")
			c.None("Route", "Record-Route")
			c.Answer(200)
			if p.over() != nil || p.got.To != "sip:bob@im.example.com" {
				t.Errorf("%+v", p.got)
			}
		})
	})
	t.Run("MSG-015 one that cannot be resolved is sent on", func(t *testing.T) {
		withSender(t, pager.SenderConfig{SIPURI: found}, func(t *testing.T, s *sending) {
			s.send(plain("im:carol@example.com", "hi"))
			if c := s.wire.Next(); c.Out.URI != "im:carol@example.com" || !strings.Contains(string(c.Out.Head), "To: <im:carol@example.com>") {
				t.Errorf("%s\n%s", c.Out.URI, c.Out.Head)
			}
		})
	})
	t.Run("MSG-016 From and To are SIP URIs", func(t *testing.T) {
		withSender(t, pager.SenderConfig{SIPURI: found}, func(t *testing.T, s *sending) {
			s.send(plain("sip:bob@example.com", "hi"))
			c := s.wire.Next()
			if from, to := c.Address("From"), c.Address("To"); from.URI != "sip:alice@example.com" || to.URI != "sip:bob@example.com" {
				t.Errorf("%s, %s", from, to)
			}
		})
	})
}

// refusing is how a stack fails where nobody listens.
var refusing = errors.Join(stack.ErrTransport, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})

func TestTransports(t *testing.T) {
	const bob = "sip:bob@example.com"
	open := stack.Target{Addr: "192.0.2.9:5060"}
	t.Run("MSG-010 TCP comes first, UDP where there is no TCP", func(t *testing.T) {
		withSender(t, pager.SenderConfig{Proxy: open}, func(t *testing.T, s *sending) {
			s.send(plain(bob, "hi"))
			c := s.wire.Next()
			if c.Out.Target.Transport != "tcp" {
				t.Errorf("%+v", c.Out.Target)
			}
			c.Fail(refusing)
			if c = s.wire.Next(); c.Out.Target.Transport != "" || !c.Out.NoUDPFallback {
				t.Errorf("%+v", c.Out)
			}
		})
	})
	t.Run("MSG-010 what may have arrived is not sent again", func(t *testing.T) {
		withSender(t, pager.SenderConfig{Proxy: open}, func(t *testing.T, s *sending) {
			p := s.send(plain(bob, "hi"))
			s.wire.Next().Fail(stack.ErrTransport)
			if err := p.over(); !errors.Is(err, stack.ErrTransport) {
				t.Error(err)
			}
			s.wire.Silent()
		})
	})
	t.Run("MSG-007 no more than 1300 bytes go over UDP", func(t *testing.T) {
		withSender(t, pager.SenderConfig{Proxy: stack.Target{Transport: "udp", Addr: "192.0.2.9"}}, func(t *testing.T, s *sending) {
			p := s.send(plain(bob, strings.Repeat("x", 2000)))
			c := s.wire.Next()
			// So the stack chooses TCP for what is too large, and gives up without it.
			if c.Out.Target.Transport != "" || !c.Out.NoUDPFallback || c.Out.NoTCP {
				t.Errorf("%+v", c.Out)
			}
			c.Fail(refusing)
			if err := p.over(); !errors.Is(err, pager.ErrNeedsStream) {
				t.Error(err)
			}
		})
	})
}
