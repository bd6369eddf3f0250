package cli

import (
	"context"
	"strings"
	"sync"
	"testing"

	"imp/internal/cli/kit"
	"imp/internal/doc/cpim"
	"imp/internal/sip/stack"
)

// plainPeer serves REGISTER, and MESSAGE as a peer does that takes nothing but
// text/plain. It tells the media types that it was sent.
func plainPeer(t *testing.T) (proxy string, types func() []string) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	s := stack.New(stack.Config{})
	t.Cleanup(func() { s.Close() })
	s.Handle("REGISTER", func(_ context.Context, r *stack.Request) *stack.Response {
		return stack.Answer(200, stack.Field{Name: "Contact", Value: r.GetHeader("Contact").Value() + ";expires=600"})
	})
	s.Handle("MESSAGE", func(_ context.Context, r *stack.Request) *stack.Response {
		mu.Lock()
		defer mu.Unlock()
		typ := strings.Clone(r.GetHeader("Content-Type").Value())
		if got = append(got, typ); typ == cpim.MediaType {
			return stack.Answer(415, stack.Field{Name: "Accept", Value: "text/plain"})
		}
		return stack.Answer(200)
	})
	if err := s.Listen(t.Context(), stack.Endpoint{Transport: "tcp", Addr: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	return "tcp:" + s.Addrs()[0].Addr, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func TestReceiptRefused(t *testing.T) {
	proxy, types := plainPeer(t)
	home := t.TempDir()
	send := func(receipt string) (int, string, string) {
		s, out, errs := kit.Recorded("", home, "HOME="+home)
		k := kit.New(s)
		k.Strict = true
		status := k.Execute(t.Context(), Root(k), []string{"message", "bob", "hi", "--from", "sip:me@example.com", "--proxy", proxy, "--receipt", receipt})
		return status, out.String(), errs.String()
	}
	note := "imp: sip:bob@example.com takes no message that asks for receipts, and gets plain text\n"
	if status, out, errs := send("delivery"); status != 0 || out != "sip:bob@example.com  delivered\n" || errs != note {
		t.Errorf("first: status %d, %q, %q", status, out, errs)
	}
	if status, out, errs := send("both"); status != 1 || out != "sip:bob@example.com  delivered\n" || !strings.HasPrefix(errs, note) || !strings.Contains(errs, "hint: ") {
		t.Errorf("then: status %d, %q, %q", status, out, errs)
	}
	if got := strings.Join(types(), " "); got != "message/cpim text/plain text/plain" {
		t.Errorf("sent %s", got)
	}
}
