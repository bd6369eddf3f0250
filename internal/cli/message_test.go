package cli

import (
	"context"
	"net"
	"strings"
	"testing"

	"imp/internal/cli/kit"
	"imp/internal/sip/stack"
)

// typed runs imp without a configuration and gives its status and streams.
func typed(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	dir := t.TempDir()
	s, stdout, stderr := kit.Recorded("", dir, "HOME="+dir)
	k := kit.New(s)
	k.Strict = true
	status = k.Execute(t.Context(), Root(k), args)
	return status, stdout.String(), stderr.String()
}

// answering serves MESSAGE with the status that each user's name stands for.
func answering(t *testing.T, users map[string]int) (proxy string) {
	t.Helper()
	s := stack.New(stack.Config{})
	t.Cleanup(func() { s.Close() })
	s.Handle("MESSAGE", func(_ context.Context, r *stack.Request) *stack.Response {
		return stack.Answer(users[r.Recipient.User])
	})
	if err := s.Listen(t.Context(), stack.Endpoint{Transport: "tcp", Addr: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	return "tcp:" + s.Addrs()[0].Addr
}

func TestMessageOutcomes(t *testing.T) {
	proxy := answering(t, map[string]int{"here": 200, "later": 202, "never": 603, "gone": 404})
	send := func(user string, more ...string) (int, string, string) {
		return typed(t, append([]string{"message", user, "hi", "--from", "sip:me@example.com", "--proxy", proxy}, more...)...)
	}
	t.Run("MSG-012 a message that was accepted is not said to be delivered", func(t *testing.T) {
		if status, out, _ := send("here"); status != 0 || out != "sip:here@example.com  delivered\n" {
			t.Errorf("200: status %d, %q", status, out)
		}
		if status, out, _ := send("later"); status != 0 || out != "sip:later@example.com  accepted (not known to be delivered)\n" {
			t.Errorf("202: status %d, %q", status, out)
		}
		if _, out, _ := send("later", "-o", "json"); !strings.Contains(out, `"outcome":"accepted","status":202`) {
			t.Errorf("202: %q", out)
		}
	})
	t.Run("MSG-014 the status tells what was declined from what was not delivered", func(t *testing.T) {
		if status, out, errs := send("never"); status != 1 || out != "sip:never@example.com  declined\n" || !strings.Contains(errs, "delivered, but declined: 603 ") {
			t.Errorf("603: status %d, %q, %q", status, out, errs)
		}
		if status, out, errs := send("gone"); status != 3 || out != "" || !strings.Contains(errs, "sending to sip:gone@example.com: 404 ") {
			t.Errorf("404: status %d, %q, %q", status, out, errs)
		}
	})
	t.Run("several targets", func(t *testing.T) {
		status, out, errs := send("gone", "--to", "here", "--to", "never", "-o", "json")
		if status != 1 && status != 3 || strings.Count(out, `"event":"sent"`) != 3 || strings.Count(errs, "\n") != 2 {
			t.Errorf("status %d, %s%s", status, out, errs)
		}
	})
}

func TestMessageToNobody(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	status, out, errs := typed(t, "message", "bob", "hi", "--from", "sip:me@example.com", "--proxy", "udp:"+silent.LocalAddr().String(), "--timeout", "0.1")
	if status != 4 || out != "" || !strings.Contains(errs, "sending to sip:bob@example.com: no answer") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}
