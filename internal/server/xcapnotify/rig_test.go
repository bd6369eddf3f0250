package xcapnotify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/xcapdiff"
	"imp/internal/server/xcapnotify"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

const (
	root    = "/xcap-root"
	rootURI = "http://xcap.example.com/xcap-root"
	lists   = "resource-lists/users/sip:alice@example.com/"
	index   = lists + "index"
)

type anybody struct{}

func (anybody) Resource(u header.URI) (string, bool) { return u.AOR(), true }

// rig is a notifier with the package over a memory store, in a bubble of synthetic time.
type rig struct {
	t     *testing.T
	store *memory.Store
	kv    store.KV // what the package sees
	pkg   *xcapnotify.Package
	n     *event.Notifier

	mu     sync.Mutex
	sent   []*sent
	serial int
}

// sent is one NOTIFY.
type sent struct {
	*sip.Request
	at   time.Time
	done func(*sip.Response, error)
}

func (r *rig) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	text := fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK%s\r\n%sContent-Length: %d\r\n\r\n%s",
		o.Method, o.URI, stack.NewTag(), o.Head, len(o.Body), o.Body)
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		r.t.Errorf("%v in\n%s", err, text)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, &sent{Request: m.(*sip.Request), at: time.Now(), done: done})
}

func run(t *testing.T, f func(*rig)) { runWith(t, nil, nil, f) }

func runWith(t *testing.T, change func(*xcapnotify.Config), wrap func(store.KV) store.KV, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: memory.New()}
		r.kv = r.store
		if wrap != nil {
			r.kv = wrap(r.kv)
		}
		cfg := xcapnotify.Config{Store: r.kv, Root: root, RootURI: rootURI + "/", Naming: uri.Naming{Domain: "example.com"}, Trusted: []string{"sip:rls@example.com"}}
		if change != nil {
			change(&cfg)
		}
		var err error
		if r.pkg, err = xcapnotify.New(cfg); err != nil {
			t.Fatal(err)
		}
		r.n = event.NewNotifier(event.NotifierConfig{Wire: r.pkg.Wire(r), Resources: anybody{},
			Contact: func(_ *stack.Request, user string) string { return "sip:" + user + "@192.0.2.9:5060" }}, r.pkg)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- r.pkg.Run(ctx, r.n, nil) }()
		defer func() {
			cancel()
			if err := <-ran; !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
			r.n.Close()
			r.store.Close()
		}()
		f(r)
	})
}

// put stores a document as the XCAP server does and returns its ETag.
func (r *rig) put(path, body string) string {
	r.t.Helper()
	r.serial++
	etag := fmt.Sprintf("e%d", r.serial)
	r.putAs(path, body, etag)
	return etag
}

func (r *rig) putAs(path, body, etag string) {
	r.t.Helper()
	u, err := uri.Parse(path)
	if err != nil {
		r.t.Fatal(err)
	}
	k := key.Document(root, u)
	old, err := r.store.Get(r.t.Context(), k)
	v := key.Value{ETag: etag, Path: u.Path(), Body: []byte(body)}
	if err == nil {
		was, _ := key.Parse(old.Value)
		v.Previous = was.ETag
	}
	if _, err := r.store.Put(r.t.Context(), k, v.Bytes(), old.Rev, 0); err != nil {
		r.t.Fatal(err)
	}
}

// settle puts a document and lets everybody take note of it.
func (r *rig) settle(path, body string) string {
	r.t.Helper()
	etag := r.put(path, body)
	synctest.Wait()
	return etag
}

func (r *rig) delete(path string) {
	r.t.Helper()
	u, _ := uri.Parse(path)
	if err := r.store.Delete(r.t.Context(), key.Document(root, u), store.AnyRev); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// peer is a subscriber.
type peer struct {
	r                   *rig
	user, callID, toTag string
	seq                 int
}

// list writes a resource list of URIs.
func list(uris ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list>`)
	for _, u := range uris {
		fmt.Fprintf(&b, `<entry uri="%s"/>`, strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;").Replace(u))
	}
	return b.String() + "</list></resource-lists>"
}

// ask sends a SUBSCRIBE; body "" has none.
func (p *peer) ask(body string, fields ...string) *stack.Response {
	p.r.t.Helper()
	p.seq++
	to := "<sip:" + p.user + "@example.com>"
	if p.toTag != "" {
		to += ";tag=" + p.toTag
	}
	all := append([]string{"SUBSCRIBE sip:" + p.user + "@example.com SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK" + stack.NewTag(),
		"Max-Forwards: 70", "From: <sip:" + p.user + "@example.com>;tag=f", "To: " + to, "Call-ID: " + p.callID,
		fmt.Sprintf("CSeq: %d SUBSCRIBE", p.seq), "Contact: <sip:" + p.user + "@192.0.2.1>"}, fields...)
	if body != "" && !strings.Contains(strings.Join(fields, "\n"), "Content-Type") {
		all = append(all, "Content-Type: application/resource-lists+xml")
	}
	all = append(all, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	m, err := sip.ParseMessage([]byte(strings.Join(all, "\r\n")))
	if err != nil {
		p.r.t.Fatal(err)
	}
	res := p.r.n.Subscribe(context.Background(), &stack.Request{Request: m.(*sip.Request)})
	if res.Sent != nil {
		res.Sent()
	}
	if p.toTag == "" {
		p.toTag = res.ToTag
	}
	return res
}

// subscriber makes a subscriber who has no subscription yet.
func (r *rig) subscriber(user string) *peer {
	return &peer{r: r, user: user, callID: stack.NewCallID()}
}

// subscribe makes a subscription and returns it with its first state, answered.
func (r *rig) subscribe(user, processing string, uris ...string) (*peer, *xcapdiff.Document) {
	r.t.Helper()
	p := r.subscriber(user)
	ev := "Event: xcap-diff"
	if processing != "" {
		ev += ";diff-processing=" + processing
	}
	if res := p.ask(list(uris...), ev); res.Status != 200 {
		r.t.Fatalf("answered %d %s", res.Status, res.Reason)
	}
	return p, r.next()
}

// take gives the next NOTIFY, once it is due; it is not answered.
func (r *rig) take() *sent {
	r.t.Helper()
	for range 10 {
		synctest.Wait()
		r.mu.Lock()
		if len(r.sent) > 0 {
			s := r.sent[0]
			r.sent = r.sent[1:]
			r.mu.Unlock()
			return s
		}
		r.mu.Unlock()
		<-time.After(time.Second) // synthetic: pacing
	}
	r.t.Fatal("nothing was sent")
	return nil
}

func (s *sent) answer(status int) {
	s.done(sip.NewResponseFromRequest(s.Request, status, "", nil), nil)
	synctest.Wait()
}

// next answers the next NOTIFY and reads its body.
func (r *rig) next() *xcapdiff.Document {
	r.t.Helper()
	s := r.take()
	s.answer(200)
	return r.read(s)
}

func (r *rig) read(s *sent) *xcapdiff.Document {
	r.t.Helper()
	d, err := xcapdiff.Parse(bytes.Clone(s.Body()))
	if err != nil {
		r.t.Fatalf("%v in\n%s", err, s.Body())
	}
	return d
}

// quiet fails when something is sent within a minute.
func (r *rig) quiet() {
	r.t.Helper()
	<-time.After(time.Minute)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sent {
		r.t.Fatalf("sent though nothing should be:\n%s", s.Request)
	}
}

// show writes a diff as a line a resource.
func show(d *xcapdiff.Document) string {
	var b strings.Builder
	for i := range d.Changes {
		c := &d.Changes[i]
		fmt.Fprintf(&b, "%s %s %s>%s\n", c.Action(), c.Sel, c.PreviousETag, c.NewETag)
	}
	for _, n := range d.Elements {
		fmt.Fprintf(&b, "element %s %v %s\n", n.Sel, !n.Missing, n.Content)
	}
	for _, n := range d.Attributes {
		fmt.Fprintf(&b, "attribute %s %v %s\n", n.Sel, !n.Missing, n.Value)
	}
	return b.String()
}

// says fails unless a diff is what the lines say.
func (r *rig) says(d *xcapdiff.Document, lines ...string) {
	r.t.Helper()
	want := strings.Join(append(lines, ""), "\n")
	if got := show(d); got != want {
		r.t.Fatalf("got\n%swant\n%s", got, want)
	}
}

// friends is a resource-lists document with entries.
func friends(names ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">\n  <list name=\"friends\">\n")
	for _, n := range names {
		fmt.Fprintf(&b, "    <entry uri=\"sip:%s@example.com\"/>\n", n)
	}
	return b.String() + "  </list>\n</resource-lists>\n"
}
