package event

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// everyone serves the users of example.com, but not nobody.
type everyone struct{}

func (everyone) Resource(u header.URI) (string, bool) {
	if u.User == "nobody" || u.User == "" || !strings.EqualFold(u.Host, "example.com") {
		return "", false
	}
	return header.URI{Scheme: "sip", User: u.User, Host: "example.com"}.AOR(), true
}

// sent is one request that a notifier or a client gave to the wire.
type sent struct {
	*sip.Request
	t    *testing.T
	out  *stack.Outgoing
	done func(*sip.Response, error)
}

// field is the one value of a header field, "" when it is absent.
func (s *sent) field(name string) string {
	s.t.Helper()
	v := header.Values(s.Request, name)
	if len(v) > 1 {
		s.t.Fatalf("%s: %d values: %q", name, len(v), v)
	}
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// answer ends the transaction with a status.
func (s *sent) answer(status int) {
	s.done(sip.NewResponseFromRequest(s.Request, status, "", nil), nil)
	synctest.Wait()
}

// answerWith is answer with one more header field.
func (s *sent) answerWith(status int, name, value string) {
	res := sip.NewResponseFromRequest(s.Request, status, "", nil)
	res.AppendHeader(sip.NewHeader(name, value))
	s.done(res, nil)
	synctest.Wait()
}

// fail ends the transaction with an error.
func (s *sent) fail(err error) {
	s.done(nil, err)
	synctest.Wait()
}

// says fails unless Subscription-State and body are these.
func (s *sent) says(state, body string) *sent {
	s.t.Helper()
	if got := s.field("Subscription-State"); got != state {
		s.t.Fatalf("Subscription-State is %q, want %q", got, state)
	}
	if got := string(s.Body()); got != body {
		s.t.Fatalf("the body is %q, want %q", got, body)
	}
	return s
}

// state is the parsed Subscription-State.
func (s *sent) state() header.SubscriptionState {
	s.t.Helper()
	st, err := header.ParseSubscriptionState(s.field("Subscription-State"))
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// wire collects what is sent.
type wire struct {
	t    *testing.T
	mu   sync.Mutex
	out  []*sent
	hook func(*sent) bool // true: the hook has answered
}

func (w *wire) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	s := &sent{Request: parse(w.t, render(o)), t: w.t, out: o, done: func(res *sip.Response, err error) { done(read(o, res), err) }}
	if w.hook != nil && w.hook(s) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = append(w.out, s)
}

// read is what the sender of o gets of a response, as from the stack.
func read(o *stack.Outgoing, res *sip.Response) *sip.Response {
	if o.Reads == nil || res == nil {
		return res
	}
	brief := &sip.Response{StatusCode: res.StatusCode}
	for _, h := range res.Headers() {
		if slices.Contains(o.Reads, h.Name()) {
			brief.AppendHeader(h)
		}
	}
	return brief
}

// take gives the next request sent, after all goroutines have come to rest.
func (w *wire) take() *sent {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.out) == 0 {
		w.t.Fatal("nothing was sent")
	}
	s := w.out[0]
	w.out = w.out[1:]
	return s
}

// answerAll answers all that is sent until nothing more comes: what ends a
// subscription with last, else with status.
func (w *wire) answerAll(last, status int) {
	for {
		synctest.Wait()
		w.mu.Lock()
		out := w.out
		w.out = nil
		w.mu.Unlock()
		if len(out) == 0 {
			return
		}
		for _, s := range out {
			if s.state().State == "terminated" {
				s.answer(last)
			} else {
				s.answer(status)
			}
		}
	}
}

// quiet fails when something was sent.
func (w *wire) quiet() {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.out {
		w.t.Fatalf("sent though nothing should be:\n%s", s.Request)
	}
}

// render writes an outgoing request as it would be on the wire.
func render(o *stack.Outgoing) string {
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK%s\r\n%sContent-Length: %d\r\n\r\n%s",
		o.Method, o.URI, stack.NewTag(), o.Head, len(o.Body), o.Body)
}

func parse(t *testing.T, text string) *sip.Request {
	t.Helper()
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m.(*sip.Request)
}

// peer writes the requests of one watcher or publisher.
type peer struct {
	t      *testing.T
	method string
	user   string // presentity
	from   string // user part of the peer
	callID string
	tag    string
	toTag  string
	seq    int
}

// request makes the next request of the peer. extra are further lines; body
// comes with its type in extra.
func (p *peer) request(body string, extra ...string) *stack.Request {
	p.t.Helper()
	p.seq++
	to := "<sip:" + p.user + "@example.com>"
	if p.toTag != "" {
		to += ";tag=" + p.toTag
	}
	lines := []string{
		p.method + " sip:" + p.user + "@example.com SIP/2.0",
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK" + stack.NewTag(),
		"Max-Forwards: 70", "From: <sip:" + p.from + "@example.com>;tag=" + p.tag, "To: " + to,
		"Call-ID: " + p.callID, fmt.Sprintf("CSeq: %d %s", p.seq, p.method),
	}
	lines = append(lines, extra...)
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	return &stack.Request{Request: parse(p.t, strings.Join(lines, "\r\n"))}
}

func newPeer(t *testing.T, method, user string) *peer {
	return &peer{t: t, method: method, user: user, from: "watcher", callID: stack.NewCallID(), tag: stack.NewTag()}
}

// respond runs a handler as the stack does: the Sent hook after the answer.
func respond(h stack.Handler, r *stack.Request) *stack.Response {
	res := h(context.Background(), r)
	if res != nil && res.Sent != nil {
		res.Sent()
	}
	return res
}

// fieldOf is the value of a field of a response, "" when it is absent.
func fieldOf(res *stack.Response, name string) string {
	for _, f := range res.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// want fails unless the response has the status and the fields, given as
// name, value, name, value. An empty value stands for an absent field.
func want(t *testing.T, res *stack.Response, status int, fields ...string) {
	t.Helper()
	if res.Status != status {
		t.Fatalf("answered %d %s, want %d", res.Status, res.Reason, status)
	}
	for i := 0; i < len(fields); i += 2 {
		if got := fieldOf(res, fields[i]); got != fields[i+1] {
			t.Fatalf("%s of the %d is %q, want %q", fields[i], status, got, fields[i+1])
		}
	}
}

// rig is a notifier with its packages over a wire.
type rig struct {
	*Notifier
	t     *testing.T
	cfg   NotifierConfig
	wire  *wire
	notes *notes
	list  *listing
	meta  *template
}

// run gives f a rig inside a bubble of synthetic time.
func run(t *testing.T, f func(*rig)) { runWith(t, nil, f) }

func runWith(t *testing.T, change func(*NotifierConfig, *notes), f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, wire: &wire{t: t}, notes: newNotes(), list: newListing(), meta: newTemplate()}
		cfg := NotifierConfig{Wire: r.wire, Resources: everyone{},
			Contact: func(_ *stack.Request, user string) string { return "sip:" + user + "@192.0.2.9:5060;gr" }}
		if change != nil {
			change(&cfg, r.notes)
		}
		r.cfg = cfg
		r.Notifier = NewNotifier(cfg, r.notes, r.list, r.meta)
		r.meta.follow(r.Notifier)
		r.notes.notifier, r.list.notifier = r.Notifier, r.Notifier
		defer r.Close()
		f(r)
	})
}

// watcher is a subscribed watcher of alice's notes.
func (r *rig) watcher(extra ...string) (*peer, *stack.Response) {
	r.t.Helper()
	return r.watch("alice", append([]string{"Event: notes"}, extra...)...)
}

const contactLine = "Contact: <sip:watcher@192.0.2.1:5060>"

func (r *rig) watch(user string, extra ...string) (*peer, *stack.Response) {
	r.t.Helper()
	p := newPeer(r.t, "SUBSCRIBE", user)
	res := respond(r.Subscribe, p.request("", append(extra, contactLine)...))
	p.toTag = res.ToTag
	return p, res
}

// subscribe sends one more SUBSCRIBE of p.
func (r *rig) subscribe(p *peer, extra ...string) *stack.Response {
	r.t.Helper()
	return respond(r.Subscribe, p.request("", append(extra, contactLine)...))
}

// active is a watcher whose first NOTIFY is answered.
func (r *rig) active(extra ...string) *peer {
	r.t.Helper()
	p, res := r.watcher(extra...)
	if res.Status != 200 {
		r.t.Fatalf("SUBSCRIBE answered %d %s", res.Status, res.Reason)
	}
	r.wire.take().answer(200)
	return p
}

// alice and bob are resources.
const (
	alice = "sip:alice@example.com"
	bob   = "sip:bob@example.com"
)

// notes is a package with one text per resource that all watchers share.
type notes struct {
	mu       sync.Mutex
	notifier *Notifier
	text     map[string]string
	version  map[string]Mark
	decision Decision
	refuse   error
	broken   error  // of Render
	during   func() // called in Render, when the state has been read
	opening  func() // called in Open
	review   func(View) (View, Decision)
	views    []*notesView
	renders  int
	late     int // renderings of closed views
	closed   []string
	defaults Defaults
	types    []string
	requests []Request
}

func newNotes() *notes {
	return &notes{text: map[string]string{}, version: map[string]Mark{}, types: []string{"text/plain", "text/html"}}
}

func (*notes) Name() string         { return "notes" }
func (n *notes) Types() []string    { return n.types }
func (n *notes) Defaults() Defaults { return n.defaults }

func (n *notes) Open(_ context.Context, r Request) (View, Decision, error) {
	if n.opening != nil {
		n.opening()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests = append(n.requests, r)
	if n.refuse != nil {
		return nil, Decision{}, n.refuse
	}
	mediaType := n.types[0]
	if t, ok := r.Accept.Choose(n.types); ok && len(r.Accept) > 0 {
		mediaType = t
	}
	v := &notesView{n: n, name: r.Resource, mediaType: mediaType}
	n.views = append(n.views, v)
	return v, n.decision, nil
}

// set changes a resource and tells the notifier.
func (n *notes) set(user, text string) {
	name := "sip:" + user + "@example.com"
	n.mu.Lock()
	n.text[name] = text
	n.version[name]++
	n.mu.Unlock()
	n.notifier.Changed("notes", name)
}

type notesView struct {
	n         *notes
	name      string
	mediaType string
	closed    int
}

func (v *notesView) Key() string { return v.mediaType }
func (v *notesView) Render(Mark) (Body, Mark, error) {
	v.n.mu.Lock()
	v.n.renders++
	v.n.late += min(v.closed, 1)
	body, mark, err := []byte("note: "+v.n.text[v.name]), v.n.version[v.name]+1, v.n.broken
	v.n.mu.Unlock()
	if v.n.during != nil {
		v.n.during()
	}
	return Body{Type: v.mediaType, Bytes: body}, mark, err
}
func (v *notesView) Close(reason string) {
	v.n.mu.Lock()
	defer v.n.mu.Unlock()
	v.closed++
	v.n.closed = append(v.n.closed, reason)
}

// causes are those of the lifecycle so far.
func (r *rig) causes() string {
	synctest.Wait()
	r.meta.mu.Lock()
	defer r.meta.mu.Unlock()
	return strings.Join(r.meta.causes, " ")
}

// closings are the reasons that views were closed with.
func (r *rig) closings() string {
	synctest.Wait()
	r.notes.mu.Lock()
	defer r.notes.mu.Unlock()
	return strings.Join(r.notes.closed, " ")
}

// Check makes notes publishable: plain text without the word bad, and text that
// is to be appended to one.
func (n *notes) Check(contentType string, body []byte) (Doc, error) {
	if contentType == "text/x-more" {
		return Doc{Change: func(state Doc) (Doc, error) {
			if strings.Contains(string(body), "worse") {
				return Doc{}, fmt.Errorf("the word worse is not allowed")
			}
			return n.Check(state.Type, slices.Concat(state.Body, body))
		}}, nil
	}
	if contentType != "text/plain" {
		return Doc{}, &UnsupportedType{Accept: []string{"text/plain"}}
	}
	if strings.Contains(string(body), "bad") {
		return Doc{}, fmt.Errorf("1:5: the word bad is not allowed")
	}
	return Doc{Type: contentType, Body: body}, nil
}
