// Package uactest plays the other side of a user agent client (RFC 3261
// section 8.1) in tests: it keeps what is sent until the test answers it. It is
// for bubbles of synthetic time.
package uactest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Wire is a uac.Wire.
type Wire struct {
	t    testing.TB
	via  string
	mu   sync.Mutex
	out  []*Call
	open []*Call // not answered
}

// Call is one request of a client, as it is on the wire.
type Call struct {
	*sip.Request
	Out  *stack.Outgoing
	At   time.Time
	t    testing.TB
	wire *Wire
	done func(*sip.Response, error)
}

// New makes a Wire whose requests have the Via given, "SIP/2.0/TCP 192.0.2.1:5060",
// without its branch.
func New(t testing.TB, via string) *Wire { return &Wire{t: t, via: via} }

// Send implements uac.Wire.
func (w *Wire) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	c := &Call{Request: Parse(w.t, o, w.via), Out: o, At: time.Now(), t: w.t, wire: w, done: done}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out, w.open = append(w.out, c), append(w.open, c)
}

// Parse makes of a request what a parser makes of its bytes.
func Parse(t testing.TB, o *stack.Outgoing, via string) *sip.Request {
	t.Helper()
	text := fmt.Sprintf("%s %s SIP/2.0\r\nVia: %s;branch=z9hG4bK%s\r\n%sContent-Length: %d\r\n\r\n%s",
		o.Method, o.URI, via, stack.NewTag(), o.Head, len(o.Body), o.Body)
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m.(*sip.Request)
}

// Next is the next request, when everything has come to rest.
func (w *Wire) Next() *Call {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.out) == 0 {
		w.t.Fatal("nothing was sent")
	}
	c := w.out[0]
	w.out = w.out[1:]
	return c
}

// Silent fails when there is a request that Next has not given.
func (w *Wire) Silent() {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.out) > 0 {
		w.t.Fatalf("sent though nothing should be:\n%s", w.out[0].Request)
	}
}

// Close ends all transactions as the stack does when it is closed.
func (w *Wire) Close() {
	for {
		synctest.Wait()
		w.mu.Lock()
		open := slices.Clone(w.open)
		w.mu.Unlock()
		if len(open) == 0 {
			return
		}
		open[0].Fail(stack.ErrClosed)
	}
}

// One is the value of a header field that must be there once.
func (c *Call) One(name string) string {
	c.t.Helper()
	v := header.Values(c.Request, name)
	if len(v) != 1 {
		c.t.Fatalf("%s: %d fields, want one: %q in\n%s", name, len(v), v, c.Request)
	}
	return v[0]
}

// Wants fails when a field has another value.
func (c *Call) Wants(name, want string) {
	c.t.Helper()
	if got := c.One(name); got != want {
		c.t.Fatalf("%s: %q, want %q", name, got, want)
	}
}

// None fails when there is a header field of one of the names.
func (c *Call) None(names ...string) {
	c.t.Helper()
	for _, name := range names {
		if v := header.Values(c.Request, name); len(v) > 0 {
			c.t.Fatalf("%s: %q, want none", name, v)
		}
	}
}

// Seq is the CSeq number.
func (c *Call) Seq() int {
	c.t.Helper()
	var n int
	if _, err := fmt.Sscanf(c.One("CSeq"), "%d "+string(c.Method), &n); err != nil {
		c.t.Fatalf("CSeq %q: %v", c.One("CSeq"), err)
	}
	return n
}

// Address is the value of a field that is one address.
func (c *Call) Address(name string) header.Address {
	c.t.Helper()
	a, err := header.ParseAddress(c.One(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// Answer ends the transaction with a response; lines are header fields, of which
// a Via replaces that of the request.
func (c *Call) Answer(status int, lines ...string) {
	c.t.Helper()
	via := "Via: " + c.One("Via")
	for i, l := range lines {
		if strings.HasPrefix(l, "Via: ") {
			via = l
			lines = slices.Delete(slices.Clone(lines), i, i+1)
			break
		}
	}
	head := []string{fmt.Sprintf("SIP/2.0 %d Phrase", status), via, "From: " + c.One("From"), "To: " + c.One("To") + ";tag=to",
		"Call-ID: " + c.One("Call-ID"), "CSeq: " + c.One("CSeq")}
	head = append(append(head, lines...), "Content-Length: 0", "", "")
	m, err := sip.ParseMessage([]byte(strings.Join(head, "\r\n")))
	if err != nil {
		c.t.Fatal(err)
	}
	c.finish(m.(*sip.Response), nil)
}

// Fail ends the transaction without a response.
func (c *Call) Fail(err error) { c.finish(nil, err) }

func (c *Call) finish(res *sip.Response, err error) {
	w := c.wire
	w.mu.Lock()
	w.open = slices.DeleteFunc(w.open, func(o *Call) bool { return o == c })
	w.mu.Unlock()
	c.done(res, err)
	synctest.Wait()
}
