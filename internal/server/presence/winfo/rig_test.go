package winfo

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// notes is a package whose watchers are judged as the test says: by default
// they may see.
type notes struct {
	mu      sync.Mutex
	verdict map[string]event.Decision // by user
}

func (*notes) Name() string             { return "notes" }
func (*notes) Types() []string          { return []string{"text/plain"} }
func (*notes) Defaults() event.Defaults { return event.Defaults{} }

func (n *notes) Open(ctx context.Context, r event.Request) (event.View, event.Decision, error) {
	d, _ := n.judge(ctx, r.Resource, r.Watcher)
	return &note{}, d, nil
}

func (n *notes) judge(_ context.Context, _, watcher string) (event.Decision, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.verdict[user(watcher)], nil
}

func (n *notes) set(user string, d event.Decision) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.verdict[user] = d
}

var (
	ask    = event.Decision{State: event.Pending}
	allow  = event.Decision{State: event.Active}
	refuse = event.Decision{State: event.Terminated, Reason: "rejected"}
)

func user(aor string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(aor, "sip:"), "@")
	return name
}

type note struct{ _ byte }

func (*note) Key() string  { return "" }
func (*note) Close(string) {}
func (*note) Render(event.Mark) (event.Body, event.Mark, error) {
	return event.Body{Type: "text/plain", Bytes: []byte("x")}, 1, nil
}

// everyone serves all users.
type everyone struct{}

func (everyone) Resource(u header.URI) (string, bool) { return u.AOR(), u.User != "" }

// rig is a notifier of notes and of both levels of watcher information, with
// alice as the one who is watched.
type rig struct {
	*event.Notifier
	t     *testing.T
	notes *notes
	pkg   *Package
	mu    sync.Mutex
	sent  map[string][]*sip.Request // NOTIFYs by Call-ID
	all   [][]byte                  // bodies that were read
}

func run(t *testing.T, f func(*rig)) { runWith(t, nil, f) }

func runWith(t *testing.T, change func(*Config), f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, notes: &notes{verdict: map[string]event.Decision{}}, sent: map[string][]*sip.Request{}}
		cfg := Config{Parent: "notes", Judge: r.notes.judge}
		if change != nil {
			change(&cfg)
		}
		r.pkg = New(cfg)
		theirs := New(Config{Parent: "notes.winfo"})
		r.Notifier = event.NewNotifier(event.NotifierConfig{Wire: r, Resources: everyone{},
			Contact: func(_ *stack.Request, user string) string { return "sip:" + user + "@192.0.2.9;gr" }}, r.notes, r.pkg, theirs)
		r.pkg.Follow(r.Notifier)
		theirs.Follow(r.Notifier)
		defer theirs.Close()
		defer r.pkg.Close()
		defer r.Notifier.Close()
		f(r)
	})
}

// Send answers every NOTIFY.
func (r *rig) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	m, err := sip.ParseMessage(fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK%s\r\n%sContent-Length: %d\r\n\r\n%s",
		o.Method, o.URI, stack.NewTag(), o.Head, len(o.Body), o.Body))
	if err != nil {
		panic(err)
	}
	q := m.(*sip.Request)
	r.mu.Lock()
	r.sent[q.CallID().Value()] = append(r.sent[q.CallID().Value()], q)
	r.mu.Unlock()
	done(&sip.Response{StatusCode: 200}, nil)
}

// peer is somebody who subscribes.
type peer struct {
	r                  *rig
	user, pkg          string
	callID, tag, toTag string
	seq                int
	display            string
}

// watch subscribes a user to alice in a package.
func (r *rig) watch(user, pkg string, extra ...string) *peer {
	r.t.Helper()
	p := &peer{r: r, user: user, pkg: pkg, callID: stack.NewCallID(), tag: stack.NewTag()}
	p.wants(200, extra...)
	return p
}

// ask sends a SUBSCRIBE of p.
func (p *peer) ask(extra ...string) *stack.Response {
	p.r.t.Helper()
	p.seq++
	to := ""
	if p.toTag != "" {
		to = ";tag=" + p.toTag
	}
	lines := append([]string{"SUBSCRIBE sip:alice@example.com SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK" + stack.NewTag(), "Max-Forwards: 70",
		fmt.Sprintf("From: %s <sip:%s@example.com>;tag=%s", p.display, p.user, p.tag), "To: <sip:alice@example.com>" + to, "Call-ID: " + p.callID,
		fmt.Sprintf("CSeq: %d SUBSCRIBE", p.seq), "Contact: <sip:" + p.user + "@192.0.2.1>", "Event: " + p.pkg}, extra...)
	m, err := sip.ParseMessage([]byte(strings.Join(append(lines, "Content-Length: 0", "", ""), "\r\n")))
	if err != nil {
		p.r.t.Fatal(err)
	}
	res := p.r.Subscribe(p.r.t.Context(), &stack.Request{Request: m.(*sip.Request)})
	if res.Sent != nil {
		res.Sent()
	}
	synctest.Wait()
	return res
}

// wants is ask with the status it must be answered with.
func (p *peer) wants(status int, extra ...string) *stack.Response {
	p.r.t.Helper()
	res := p.ask(extra...)
	if res.Status != status {
		p.r.t.Fatalf("%s subscribes to %s: answered %d, want %d", p.user, p.pkg, res.Status, status)
	}
	if status == 200 {
		p.toTag = res.ToTag
	}
	return res
}

const gone = "Expires: 0"

// bodies are those of the NOTIFYs since the last call.
func (p *peer) bodies() (list [][]byte) {
	p.r.t.Helper()
	synctest.Wait()
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	for _, q := range p.r.sent[p.callID] {
		if len(q.Body()) > 0 {
			list = append(list, q.Body())
		}
	}
	delete(p.r.sent, p.callID)
	p.r.all = append(p.r.all, list...)
	return list
}

// docs are the documents since the last call.
func (p *peer) docs() (list []*winfo.Document) {
	p.r.t.Helper()
	for _, body := range p.bodies() {
		list = append(list, read(p.r.t, body))
	}
	return list
}

func read(t *testing.T, body []byte) *winfo.Document {
	t.Helper()
	d, err := winfo.Parse(body)
	if err == nil {
		err = d.Check()
	}
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return d
}

// short is a document in short: "0 full: bob active/subscribe".
func short(t *testing.T, body []byte) string {
	t.Helper()
	d := read(t, body)
	s := fmt.Sprint(d.Version, " partial:")
	if d.Full {
		s = fmt.Sprint(d.Version, " full:")
	}
	for _, l := range d.Lists {
		for _, w := range l.Watchers {
			s += fmt.Sprintf(" %s %s/%s", user(w.URI), w.Status, w.Event)
		}
	}
	return s
}

// told is docs in short.
func (p *peer) told() string {
	p.r.t.Helper()
	var all []string
	for _, body := range p.bodies() {
		all = append(all, short(p.r.t, body))
	}
	return strings.Join(all, "; ")
}

// expect fails unless the documents since the last call are these; a pause lets
// changes be told.
func (p *peer) expect(want string) {
	p.r.t.Helper()
	time.Sleep(5 * time.Second)
	if got := p.told(); got != want {
		p.r.t.Fatalf("told %q, want %q", got, want)
	}
}

// hears is expect whatever the documents are that tell of the watchers.
func (p *peer) hears(want string) {
	p.r.t.Helper()
	time.Sleep(5 * time.Second)
	var all []string
	for _, body := range p.bodies() {
		_, watchers, _ := strings.Cut(short(p.r.t, body), ": ")
		all = append(all, watchers)
	}
	if got := strings.Join(all, " "); got != want {
		p.r.t.Fatalf("heard %q, want %q", got, want)
	}
}
