package event_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// clientWire keeps what a client sends until the test answers it.
type clientWire struct {
	t    *testing.T
	mu   sync.Mutex
	out  []*call
	open []*call       // not answered
	some chan struct{} // told of each request
}

// call is one request of a client, as it is on the wire.
type call struct {
	*sip.Request
	t    *testing.T
	out  *stack.Outgoing
	at   time.Time
	wire *clientWire
	done func(*sip.Response, error)
}

func newClientWire(t *testing.T) *clientWire {
	return &clientWire{t: t, some: make(chan struct{}, 1)}
}

func (w *clientWire) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	c := &call{Request: parseRequest(w.t, o), t: w.t, out: o, at: time.Now(), wire: w, done: done}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out, w.open = append(w.out, c), append(w.open, c)
	select {
	case w.some <- struct{}{}:
	default:
	}
}

// next is the next request, when everything has come to rest.
func (w *clientWire) next() *call {
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

// silent fails when there is a request that no test has taken.
func (w *clientWire) silent() {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.out) > 0 {
		w.t.Fatalf("sent though nothing should be:\n%s", w.out[0].Request)
	}
}

// parseRequest makes of a request what a parser makes of its bytes.
func parseRequest(t *testing.T, o *stack.Outgoing) *sip.Request {
	t.Helper()
	text := fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%s\r\n%sContent-Length: %d\r\n\r\n%s",
		o.Method, o.URI, stack.NewTag(), o.Head, len(o.Body), o.Body)
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m.(*sip.Request)
}

// one is the value of a header field that must be there once.
func one(t *testing.T, m header.Message, name string) string {
	t.Helper()
	v := header.Values(m, name)
	if len(v) != 1 {
		t.Fatalf("%s: %d fields, want one: %q", name, len(v), v)
	}
	return v[0]
}

// none fails when there is a header field of that name.
func none(t *testing.T, m header.Message, name string) {
	t.Helper()
	if v := header.Values(m, name); len(v) > 0 {
		t.Fatalf("%s: %q, want none", name, v)
	}
}

func (c *call) one(name string) string { c.t.Helper(); return one(c.t, c.Request, name) }

// tag is the tag of From or To, "" without.
func (c *call) tag(name string) string {
	c.t.Helper()
	a, err := header.ParseAddress(c.one(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return a.Tag()
}

// seq is the CSeq number.
func (c *call) seq() int {
	c.t.Helper()
	var n int
	if _, err := fmt.Sscanf(c.one("CSeq"), "%d "+string(c.Method), &n); err != nil {
		c.t.Fatalf("CSeq %q: %v", c.one("CSeq"), err)
	}
	return n
}

// wants fails when a field has another value.
func (c *call) wants(name, want string) {
	c.t.Helper()
	if got := c.one(name); got != want {
		c.t.Fatalf("%s: %q, want %q", name, got, want)
	}
}

// answer ends the transaction with a response; toTag is used when the request
// has none. lines are header fields.
func (c *call) answer(status int, toTag string, lines ...string) {
	c.t.Helper()
	c.finish(parseResponse(c.t, c.Request, &stack.Response{Status: status, ToTag: toTag}, lines...), nil)
}

// fail ends the transaction without a response.
func (c *call) fail(err error) {
	c.finish(nil, err)
}

func (c *call) finish(res *sip.Response, err error) {
	w := c.wire
	w.mu.Lock()
	w.open = slices.DeleteFunc(w.open, func(o *call) bool { return o == c })
	w.mu.Unlock()
	c.done(res, err)
	synctest.Wait()
}

// close ends all transactions as the stack does when it is closed.
func (w *clientWire) close() {
	for {
		synctest.Wait()
		w.mu.Lock()
		open := w.open
		w.mu.Unlock()
		if len(open) == 0 {
			return
		}
		open[0].fail(stack.ErrClosed)
	}
}

// parseResponse makes of a response what a parser makes of its bytes.
func parseResponse(t *testing.T, r *sip.Request, res *stack.Response, lines ...string) *sip.Response {
	t.Helper()
	to := one(t, r, "To")
	if !strings.Contains(to, ";tag=") && res.ToTag != "" {
		to += ";tag=" + res.ToTag
	}
	reason := res.Reason
	if reason == "" {
		reason = "Phrase"
	}
	head := []string{fmt.Sprintf("SIP/2.0 %d %s", res.Status, reason), "Via: " + one(t, r, "Via"), "From: " + one(t, r, "From"),
		"To: " + to, "Call-ID: " + one(t, r, "Call-ID"), "CSeq: " + one(t, r, "CSeq")}
	for _, f := range res.Fields {
		head = append(head, f.Name+": "+f.Value)
	}
	head = append(append(head, lines...), fmt.Sprintf("Content-Length: %d", len(res.Body)), "", string(res.Body))
	m, err := sip.ParseMessage([]byte(strings.Join(head, "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Response)
}

// subscriberRig is a subscriber against a notifier that the test plays.
type subscriberRig struct {
	*event.Subscriber
	t    *testing.T
	wire *clientWire
}

// withSubscriber gives f a rig in a bubble of synthetic time.
func withSubscriber(t *testing.T, f func(*testing.T, *subscriberRig)) {
	t.Helper()
	withSubscriberConfig(t, event.SubscriberConfig{}, f)
}

func withSubscriberConfig(t *testing.T, cfg event.SubscriberConfig, f func(*testing.T, *subscriberRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newClientWire(t)
		cfg.Wire = w
		cfg.Packages = []string{"presence", "presence.winfo"}
		defer w.close()
		f(t, &subscriberRig{Subscriber: event.NewSubscriber(cfg), t: t, wire: w})
	})
}

// watching are the options of a watcher of bob's presence.
func watching() event.SubscribeOptions {
	return event.SubscribeOptions{
		Target:  "sip:bob@example.com",
		From:    header.Address{Display: "Alice", URI: "sip:alice@example.com"},
		Event:   header.Event{Package: "presence"},
		Accept:  []string{"application/pidf+xml"},
		Expires: time.Hour,
		Contact: func(stack.Target) string { return "sip:alice@192.0.2.1:5060" },
	}
}

// trial is a Subscribe that is under way.
type trial struct {
	r      *subscriberRig
	cancel context.CancelFunc
	done   chan struct{}
	sub    *event.Subscription
	err    error
}

// begin calls Subscribe.
func (r *subscriberRig) begin(o event.SubscribeOptions) *trial {
	ctx, cancel := context.WithCancel(r.t.Context())
	tr := &trial{r: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		tr.sub, tr.err = r.Subscribe(ctx, o)
		close(tr.done)
	}()
	synctest.Wait()
	return tr
}

// over tells whether Subscribe has returned.
func (tr *trial) over() bool {
	synctest.Wait()
	select {
	case <-tr.done:
		return true
	default:
		return false
	}
}

// ok is the subscription that must have come to be.
func (tr *trial) ok() *event.Subscription {
	tr.r.t.Helper()
	if !tr.over() {
		tr.r.t.Fatal("Subscribe still waits")
	}
	if tr.err != nil {
		tr.r.t.Fatalf("Subscribe: %v", tr.err)
	}
	return tr.sub
}

// failed is the error that Subscribe must have returned.
func (tr *trial) failed() error {
	tr.r.t.Helper()
	if !tr.over() {
		tr.r.t.Fatal("Subscribe still waits")
	}
	if tr.err == nil {
		tr.r.t.Fatal("Subscribe succeeded")
	}
	return tr.err
}

// notifier is the notifying end of one dialog, played by the test.
type notifier struct {
	r       *subscriberRig
	sub     *call // the SUBSCRIBE
	tag     string
	seq     int
	event   string
	contact string
	routes  []string // values of Record-Route
	etag    string   // SIP-ETag, "" without
}

func (r *subscriberRig) notifier(sub *call, tag string) *notifier {
	return &notifier{r: r, sub: sub, tag: tag, event: sub.one("Event"), contact: "sip:bob@192.0.2.9:5060"}
}

// request makes the next NOTIFY. An empty state makes one without
// Subscription-State.
func (n *notifier) request(state, body string) *stack.Request {
	n.r.t.Helper()
	n.seq++
	lines := []string{"NOTIFY sip:alice@192.0.2.1:5060 SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK" + stack.NewTag(),
		"Max-Forwards: 70", "From: <sip:bob@example.com>;tag=" + n.tag, "To: " + n.sub.one("From"),
		"Call-ID: " + n.sub.one("Call-ID"), fmt.Sprintf("CSeq: %d NOTIFY", n.seq), "Event: " + n.event}
	for _, route := range n.routes {
		lines = append(lines, "Record-Route: "+route)
	}
	if n.contact != "" {
		lines = append(lines, "Contact: <"+n.contact+">")
	}
	if state != "" {
		lines = append(lines, "Subscription-State: "+state)
	}
	if n.etag != "" {
		lines = append(lines, "SIP-ETag: "+n.etag)
	}
	if body != "" {
		lines = append(lines, "Content-Type: application/pidf+xml")
	}
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	m, err := sip.ParseMessage([]byte(strings.Join(lines, "\r\n")))
	if err != nil {
		n.r.t.Fatal(err)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}

// notify sends a NOTIFY and gives its answer.
func (n *notifier) notify(state, body string) *stack.Response {
	n.r.t.Helper()
	return n.r.deliver(n.request(state, body))
}

// deliver hands a NOTIFY to the subscriber as the stack does.
func (r *subscriberRig) deliver(req *stack.Request) *stack.Response {
	r.t.Helper()
	res := r.Notify(r.t.Context(), req)
	if res.Sent != nil {
		res.Sent()
	}
	synctest.Wait()
	return res
}

// accepts sends a NOTIFY that must be answered 200.
func (n *notifier) accepts(state, body string) {
	n.r.t.Helper()
	n.answers(200, state, body)
}

func (n *notifier) answers(status int, state, body string) {
	n.r.t.Helper()
	if res := n.notify(state, body); res.Status != status {
		n.r.t.Fatalf("NOTIFY %q answered %d %s, want %d", state, res.Status, res.Reason, status)
	}
}

// subscribed is a subscription whose SUBSCRIBE was granted an hour, with its
// first NOTIFY.
func (r *subscriberRig) subscribed(o event.SubscribeOptions) (*event.Subscription, *notifier) {
	r.t.Helper()
	tr := r.begin(o)
	n := r.answered(r.wire.next())
	return tr.ok(), n
}

// answered answers a SUBSCRIBE and sends the NOTIFY that follows.
func (r *subscriberRig) answered(c *call) *notifier {
	r.t.Helper()
	n := r.notifier(c, "n"+c.tag("From"))
	c.answer(200, n.tag, "Expires: 3600", "Contact: <sip:bob@192.0.2.9:5060>")
	n.accepts("active;expires=3600", "<presence/>")
	return n
}

// events are those that wait to be read.
func events(s *event.Subscription) []event.SubscriptionEvent {
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out []event.SubscriptionEvent
	for e := range s.All(ctx) {
		out = append(out, e)
	}
	return out
}

var kindNames = map[event.SubscriptionEventKind]string{event.OnSubscribed: "subscribed", event.OnNotify: "notify",
	event.OnRefreshed: "refreshed", event.OnRefreshFailed: "failed", event.OnTerminated: "terminated",
	event.OnResubscribe: "resubscribe", event.OnEnd: "end"}

// expectEvents compares the kinds of the events that wait, and gives them.
func expectEvents(t *testing.T, s *event.Subscription, want string) []event.SubscriptionEvent {
	t.Helper()
	all := events(s)
	var kinds []string
	for _, e := range all {
		kinds = append(kinds, kindNames[e.Kind])
	}
	if got := strings.Join(kinds, " "); got != want {
		t.Fatalf("events %q, want %q", got, want)
	}
	return all
}

// expectStatus fails when err is not a response with that status.
func expectStatus(t *testing.T, err error, status int) *event.ResponseError {
	t.Helper()
	var refused *event.ResponseError
	if !errors.As(err, &refused) || refused.Status != status {
		t.Fatalf("error %v, want status %d", err, status)
	}
	return refused
}

// pass lets synthetic time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// parsed makes a request of its text.
func parsed(t *testing.T, text string) *stack.Request {
	t.Helper()
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}
