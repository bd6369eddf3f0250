package uac_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
	"imp/internal/sip/uac/uactest"
)

var alice = header.Address{URI: "sip:alice@example.com"}

func chain(t *testing.T, cfg uac.ChainConfig) *uac.Chain {
	t.Helper()
	c, err := uac.NewChain(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChain(t *testing.T) {
	c := chain(t, uac.ChainConfig{Method: "MESSAGE", URI: "sip:bob@example.com;x=1", To: "sip:bob@example.com", From: alice,
		Route: uac.Route{Set: []string{"<sip:192.0.2.9:5070;transport=tcp;lr>"}}})
	if c.Hop.Addr != "192.0.2.9:5070" || c.Hop.Transport != "tcp" {
		t.Errorf("sent to %+v", c.Hop)
	}
	a, b := c.Request([]byte("Subject: x\r\n"), []byte("one")), c.Request(nil, nil)
	first, second := uactest.Parse(t, a, "SIP/2.0/TCP a"), uactest.Parse(t, b, "SIP/2.0/TCP a")
	for name, want := range map[string]string{"To": "<sip:bob@example.com>", "Call-ID": c.CallID, "From": "<sip:alice@example.com>;tag=" + c.Tag,
		"Route": "<sip:192.0.2.9:5070;transport=tcp;lr>", "Max-Forwards": "70"} {
		for _, m := range []*sip.Request{first, second} {
			if got := header.Values(m, name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if first.CSeq().SeqNo != 1 || second.CSeq().SeqNo != 2 || header.Values(first, "Subject")[0] != "x" || string(first.Body()) != "one" {
		t.Errorf("%s\n%s", first, second)
	}
	again := uactest.Parse(t, c.Repeat(a), "SIP/2.0/TCP a")
	if again.CSeq().SeqNo != 3 || string(again.Body()) != "one" || !strings.Contains(string(a.Head), "CSeq: 1 MESSAGE") {
		t.Errorf("%s", again)
	}
	for name, cfg := range map[string]uac.ChainConfig{
		"URI":   {URI: "bob", From: alice},
		"To":    {URI: "sip:bob@example.com", To: "bob", From: alice},
		"From":  {URI: "sip:bob@example.com"},
		"Route": {URI: "sip:bob@example.com", From: alice, Route: uac.Route{Set: []string{"<"}}},
	} {
		if _, err := uac.NewChain(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// exchange sends a request, answers it as play does, and gives what comes of it.
func exchange(t *testing.T, auth uac.Authenticator, play func(*uactest.Wire)) (res *sip.Response, cause, err error) {
	synctest.Test(t, func(t *testing.T) {
		w := uactest.New(t, "SIP/2.0/TCP a")
		c := chain(t, uac.ChainConfig{Method: "MESSAGE", URI: "sip:bob@example.com", From: alice})
		done := make(chan struct{})
		go func() {
			res, cause, err = c.Exchange(w, auth, c.Request(nil, nil))
			close(done)
		}()
		play(w)
		<-done
		w.Silent()
	})
	return res, cause, err
}

func TestExchange(t *testing.T) {
	asked := 0
	yes := uac.Authenticator(func(_ *sip.Response, o *stack.Outgoing) (*stack.Outgoing, error) { asked++; return o, nil })
	refused := errors.New("no password")
	no := uac.Authenticator(func(*sip.Response, *stack.Outgoing) (*stack.Outgoing, error) { return nil, refused })

	res, _, err := exchange(t, yes, func(w *uactest.Wire) {
		w.Next().Answer(407)
		w.Next().Answer(401)
		c := w.Next()
		if c.Seq() != 3 {
			t.Errorf("CSeq %d", c.Seq())
		}
		c.Answer(200)
	})
	if err != nil || res.StatusCode != 200 || asked != 2 {
		t.Errorf("%v, %v, asked %d times", res, err, asked)
	}
	res, _, err = exchange(t, yes, func(w *uactest.Wire) {
		for range uac.MaxChallenges + 1 { // a server that is never content
			w.Next().Answer(401)
		}
	})
	if err != nil || res.StatusCode != 401 {
		t.Errorf("%v, %v", res, err)
	}
	res, cause, err := exchange(t, no, func(w *uactest.Wire) { w.Next().Answer(401) })
	if err != nil || cause != refused {
		t.Errorf("%v, %v", cause, err)
	}
	if e := uac.Refusal(res, cause); !errors.Is(e, refused) || e.Status != 401 {
		t.Errorf("%v", e)
	}
	if res, cause, _ = exchange(t, nil, func(w *uactest.Wire) { w.Next().Answer(401) }); res.StatusCode != 401 || cause != nil {
		t.Errorf("%v, %v", res, cause)
	}
	if _, _, err = exchange(t, yes, func(w *uactest.Wire) { w.Next().Fail(stack.ErrTimeout) }); err != stack.ErrTimeout {
		t.Error(err)
	}
}

func TestRefusal(t *testing.T) {
	res, _, _ := exchange(t, nil, func(w *uactest.Wire) {
		w.Next().Answer(503, "Retry-After: 7 (full)", `Warning: 399 example.com "too \"much\""`, "Accept: a/b, c/d", "Subject: not told")
	})
	e := uac.Refusal(res, nil)
	after, ok := e.RetryAfter()
	if e.Error() != `503 Phrase (too "much")` || !ok || after != 7*time.Second || len(e.Accept()) != 2 || e.Field("Subject") != "" {
		t.Errorf("%v: %+v", e, e)
	}
	for err, want := range map[error]bool{e: true, stack.ErrTimeout: true, stack.ErrTransport: true, stack.ErrClosed: false,
		&uac.ResponseError{Status: 403}: false, &uac.ResponseError{Status: 480}: true} {
		if uac.Transient(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}

func TestRaised(t *testing.T) {
	for _, c := range []struct {
		status int
		line   string
		want   time.Duration
	}{{423, "Min-Expires: 90", 90 * time.Second}, {423, "Min-Expires: 60", 0}, {423, "Min-Expires: x", 0}, {423, "Subject: x", 0}, {400, "Min-Expires: 90", 0}} {
		res, _, _ := exchange(t, nil, func(w *uactest.Wire) { w.Next().Answer(c.status, c.line) })
		if d, ok := uac.Raised(res, time.Minute); ok != (c.want > 0) || ok && d != c.want {
			t.Errorf("%d %s: %v, %v", c.status, c.line, d, ok)
		}
	}
}

func TestRenderFields(t *testing.T) {
	if b, err := uac.RenderFields([]stack.Field{{Name: "Subject", Value: "grüße\tx"}}); err != nil || string(b) != "Subject: grüße\tx\r\n" {
		t.Errorf("%q, %v", b, err)
	}
	for _, f := range []stack.Field{{Name: "a b", Value: "x"}, {Name: "", Value: "x"}, {Name: "a", Value: "x\r\nb: y"}, {Name: "a", Value: "\x00"}} {
		if _, err := uac.RenderFields([]stack.Field{f}); err == nil {
			t.Errorf("%q is rendered", f)
		}
	}
}

func TestTimes(t *testing.T) {
	const transaction = 32 * time.Second
	for d, want := range map[time.Duration]time.Duration{time.Hour: 6 * time.Minute, 100 * time.Second: transaction, 40 * time.Second: 20 * time.Second} {
		if got := uac.RefreshLead(d, transaction); got != want {
			t.Errorf("%v: %v, want %v", d, got, want)
		}
	}
	if uac.TransactionTime(0) != transaction || uac.TransactionTime(time.Second) != 64*time.Second {
		t.Error("64*T1")
	}
}
