package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/doc/composing"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac/uactest"
)

// printout is what was printed; timers print too.
type printout struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (p *printout) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

// String implements fmt.Stringer.
func (p *printout) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// hearing is imp listen -o json without a server: what comes is given to it, and
// what it tells goes to a wire.
type hearing struct {
	t        *testing.T
	receiver *pager.Receiver
	wire     *uactest.Wire
	out      *printout
	read     int
}

func hear(t *testing.T, display string, f func(*hearing)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, _, _ := kit.Recorded("", dir, "HOME="+dir)
		out := new(printout)
		s.Out = out
		k := kit.New(s)
		k.Output, k.Timeout = kit.OutputJSON, kit.Duration(time.Minute)
		h := &hearing{t: t, wire: uactest.New(t, "SIP/2.0/TCP 192.0.2.1:5060"), out: out}
		o := &listenOptions{kit: k}
		o.answers = newAnswers(k, pager.NewSender(pager.SenderConfig{Wire: h.wire, From: header.Address{URI: "sip:alice@example.com"},
			Proxy: stack.Target{Transport: "tcp", Addr: "192.0.2.9:5060"}}), display)
		var err error
		if h.receiver, err = pager.NewReceiver(pager.ReceiverConfig{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		watch, err := k.Watch(ctx, kit.Wait{})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := o.print(ctx, watch, h.receiver, nil); err != nil {
				t.Error(err)
			}
		}()
		f(h)
		cancel()
		h.wire.Close()
		<-done
		watch.Stop()
	})
}

// comes is a MESSAGE from a user.
func (h *hearing) comes(user, contentType, body string) {
	h.t.Helper()
	lines := []string{"MESSAGE sip:alice@192.0.2.1 SIP/2.0", "Via: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1", "From: <sip:" + user + "@example.com>;tag=b",
		"To: <sip:alice@example.com>", "Call-ID: c", "CSeq: 1 MESSAGE", "Content-Type: " + contentType, fmt.Sprintf("Content-Length: %d", len(body)), "", body}
	m, err := sip.ParseMessage([]byte(strings.Join(lines, "\r\n")))
	if err != nil {
		h.t.Fatal(err)
	}
	res := h.receiver.Handle(h.t.Context(), &stack.Request{Request: m.(*sip.Request)})
	if res.Status != 200 {
		h.t.Fatal(res.Status)
	}
	res.Sent()
	synctest.Wait()
}

func (h *hearing) status(user, state string, refresh time.Duration) {
	h.t.Helper()
	d := composing.Document{State: state, Refresh: refresh}
	h.comes(user, composing.MediaType, string(d.Bytes()))
}

// printed is what was printed since it was asked last: states of users, and texts.
func (h *hearing) printed() string {
	synctest.Wait()
	all := h.out.String()
	var words []string
	for line := range strings.Lines(all[h.read:]) {
		v := map[string]string{}
		for _, key := range []string{"event", "from", "state", "text", "body"} {
			if _, rest, ok := strings.Cut(line, `"`+key+`":"`); ok {
				v[key], _, _ = strings.Cut(rest, `"`)
			}
		}
		user, _, _ := strings.Cut(strings.TrimPrefix(v["from"], "sip:"), "@")
		words = append(words, strings.Join(strings.Fields(user+" "+v["state"]+" "+v["body"]), " "))
	}
	h.read = len(all)
	return strings.Join(words, ", ")
}

func TestListenComposing(t *testing.T) {
	wants := func(h *hearing, want string) {
		h.t.Helper()
		if got := h.printed(); got != want {
			h.t.Errorf("printed %q, want %q", got, want)
		}
	}
	t.Run("COMP-022 COMP-024 active lasts for the refresh interval or 120 s, each one anew", func(t *testing.T) {
		hear(t, "auto", func(h *hearing) {
			h.status("bob", composing.Active, 0)
			wants(h, "bob active")
			time.Sleep(119 * time.Second)
			wants(h, "")
			h.status("bob", composing.Active, 90*time.Second)
			time.Sleep(89 * time.Second)
			wants(h, "")
			time.Sleep(2 * time.Second)
			wants(h, "bob idle")
			time.Sleep(time.Hour)
			wants(h, "")
		})
	})
	t.Run("COMP-023 COMP-026 idle and content end it, and no status message is a message", func(t *testing.T) {
		hear(t, "auto", func(h *hearing) {
			h.status("bob", composing.Active, 0)
			h.status("bob", composing.Idle, 0)
			h.status("bob", composing.Active, 0)
			h.comes("bob", "text/plain", "hi")
			wants(h, "bob active, bob idle, bob active, bob idle, bob hi")
			h.comes("bob", "text/plain", "again")
			wants(h, "bob again")
		})
	})
	t.Run("COMP-025 each composer has a state", func(t *testing.T) {
		hear(t, "auto", func(h *hearing) {
			h.status("bob", composing.Active, time.Minute)
			h.status("carol", composing.Active, 2*time.Minute)
			h.comes("dave", "text/plain", "hi")
			wants(h, "bob active, carol active, dave hi")
			time.Sleep(61 * time.Second)
			wants(h, "bob idle")
			time.Sleep(time.Minute)
			wants(h, "carol idle")
		})
	})
	t.Run("COMP-014 who receives sends none", func(t *testing.T) {
		hear(t, "always", func(h *hearing) {
			h.status("bob", composing.Active, 0)
			h.comes("bob", "text/plain", "hi")
			time.Sleep(time.Hour)
			h.wire.Silent()
		})
	})
}

func TestListenReceipts(t *testing.T) {
	const asks = "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\nDateTime: 2026-11-22T10:20:30Z\r\nNS: imdn <urn:ietf:params:imdn>\r\n" +
		"imdn.Message-ID: %s\r\nimdn.Disposition-Notification: %s\r\n\r\nContent-Type: text/plain\r\n\r\nhi"
	t.Run("CPIM-036 delivered when it is printed, displayed when it is said to be", func(t *testing.T) {
		hear(t, "always", func(h *hearing) {
			h.comes("bob", "message/cpim", fmt.Sprintf(asks, "a1", "positive-delivery, display"))
			if !strings.Contains(h.out.String(), `"receipts":["delivered","displayed"]`) {
				t.Error(h.out)
			}
			for _, want := range []string{"<delivered/>", "<displayed/>"} {
				call := h.wire.Next()
				if h.wire.Silent(); !strings.Contains(string(call.Body()), want) || call.Recipient.String() != "sip:bob@example.com" {
					t.Errorf("%s", call.Request)
				}
				call.Wants("Content-Type", "message/cpim")
				call.Answer(200)
			}
		})
	})
	t.Run("what is not on a terminal is not displayed", func(t *testing.T) {
		hear(t, "auto", func(h *hearing) {
			h.comes("bob", "message/cpim", fmt.Sprintf(asks, "a1", "display"))
			h.comes("bob", "text/plain", "not asked")
			h.wire.Silent()
		})
	})
	t.Run("one who does not answer holds nobody up", func(t *testing.T) {
		hear(t, "always", func(h *hearing) {
			for i := range 2 * maxAnswers {
				h.comes(fmt.Sprint("u", i), "message/cpim", fmt.Sprintf(asks, "a1", "display"))
			}
			if n := strings.Count(h.out.String(), `"event":"message"`); n != 2*maxAnswers {
				t.Errorf("%d messages", n)
			}
		})
	})
}
