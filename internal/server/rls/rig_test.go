package rls

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/lists"
	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac/uactest"
	"imp/internal/store"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// directory has all users of example.com but some.
type directory struct{}

func (directory) AOR(u header.URI) (string, bool) {
	return header.URI{Scheme: "sip", User: u.User, Host: "example.com"}.AOR(), strings.EqualFold(u.Host, "example.com") && u.User != ""
}

func (d directory) Resource(u header.URI) (string, bool) {
	aor, ok := d.AOR(u)
	return aor, ok && !strings.HasPrefix(aor, "sip:nobody@") && !strings.HasPrefix(aor, "sip:list")
}

// notes is an event package with one text for each resource, and a verdict on
// each watcher.
type notes struct {
	name     string
	notifier *event.Notifier

	mu       sync.Mutex
	text     map[string]string
	version  event.Mark
	verdicts map[string]event.Decision // by watcher and resource
	ids      map[string]string         // of subscriptions, likewise
	opened   []string
	renders  int
}

func newNotes(name string) *notes {
	return &notes{name: name, text: map[string]string{}, verdicts: map[string]event.Decision{}, ids: map[string]string{}, version: 1}
}

func (n *notes) Name() string             { return n.name }
func (n *notes) Types() []string          { return []string{"text/plain", "text/html"} }
func (n *notes) Defaults() event.Defaults { return event.Defaults{Expires: 20 * time.Minute} }

func (n *notes) Open(_ context.Context, r event.Request) (event.View, event.Decision, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	pair := r.Watcher + " " + r.Resource
	n.opened, n.ids[pair] = append(n.opened, pair), r.ID
	typ, _ := r.Accept.Choose(n.Types())
	return &note{n, r.Resource, typ}, n.verdicts[pair], nil
}

// set changes a resource, who is named by the user part.
func (n *notes) set(user, text string) {
	n.mu.Lock()
	n.text[aor(user)] = text
	n.version++
	n.mu.Unlock()
	n.notifier.Changed(n.name, aor(user))
}

// decide changes the verdict on a watcher.
func (n *notes) decide(watcher, user string, d event.Decision) {
	n.mu.Lock()
	id := n.ids[aor(watcher)+" "+aor(user)]
	n.mu.Unlock()
	n.notifier.Decide(id, d)
}

type note struct {
	n         *notes
	name, typ string
}

func (v *note) Key() string  { return v.typ }
func (v *note) Close(string) {}
func (v *note) Render(event.Mark) (event.Body, event.Mark, error) {
	v.n.mu.Lock()
	defer v.n.mu.Unlock()
	v.n.renders++
	return event.Body{Type: v.typ, Bytes: []byte("note: " + v.n.text[v.name])}, v.n.version, nil
}

func aor(user string) string { return "sip:" + user + "@example.com" }

// rig is a server with two packages over a store, a wire to watchers, and one to
// members of other domains.
type rig struct {
	*Server
	t            testing.TB
	n            *event.Notifier
	store        *memory.Store
	wire         *uactest.Wire
	others       *uactest.Wire
	notes, marks *notes
	waiting      []*uactest.Call // NOTIFYs that another has come before
}

// run gives f a rig in a bubble of synthetic time.
func run(t *testing.T, f func(*rig)) { runWith(t, nil, f) }

func runWith(t *testing.T, change func(*Config, *event.NotifierConfig), f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, change)
		ctx, cancel := context.WithCancel(t.Context())
		var ran sync.WaitGroup
		ran.Go(func() { r.Run(ctx) })
		synctest.Wait()
		defer func() {
			cancel()
			r.others.Close()
			ran.Wait()
			r.n.Close()
			r.store.Close()
		}()
		f(r)
	})
}

func newRig(t testing.TB, change func(*Config, *event.NotifierConfig)) *rig {
	r := &rig{t: t, store: memory.New(), wire: uactest.New(t, "SIP/2.0/TCP 192.0.2.9:5060"), others: uactest.New(t, "SIP/2.0/TCP 192.0.2.9:5060"),
		notes: newNotes("notes"), marks: newNotes("marks")}
	cfg := Config{Store: r.store, Root: "/xcap-root", RootURIs: []string{"http://xcap.example.com/xcap-root"},
		Naming: uri.Naming{Domain: "example.com"}, Known: func(string, string) bool { return true }, Identity: aor("rls")}
	ncfg := event.NotifierConfig{Wire: r.wire, Resources: directory{}, MinInterval: new(time.Duration),
		Contact: func(_ *stack.Request, user string) string { return "sip:" + user + "@192.0.2.9:5060;gr" }}
	if change != nil {
		change(&cfg, &ncfg)
	}
	var err error
	if r.Server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	r.Server.others.use(r.others, func(string, string) string { return "192.0.2.9:5060" })
	ncfg.Lists = r.Server
	r.n = event.NewNotifier(ncfg, r.notes, r.marks)
	r.notes.notifier, r.marks.notifier = r.n, r.n
	return r
}

// put stores a document of a user and claims its services, as the XCAP server
// does.
func (r *rig) put(path, body string) {
	r.t.Helper()
	u, err := uri.Parse(path)
	if err != nil {
		r.t.Fatal(err)
	}
	at := key.Document("/xcap-root", u.Canonical(r.cfg.Naming))
	if _, err := r.store.Put(context.Background(), at, key.Value{ETag: "e", Path: path, Body: []byte(body)}.Bytes(), store.AnyRev, 0); err != nil {
		r.t.Fatal(err)
	}
	if d, err := lists.ParseServices([]byte(body)); err == nil {
		for _, s := range d.Services {
			r.store.Put(context.Background(), key.Claim(s.URI), []byte(at), store.AnyRev, 0)
		}
	}
}

const (
	indexOfAlice = "rls-services/users/sip:alice@example.com/index"
	listsOfAlice = "resource-lists/users/sip:alice@example.com/index"
)

// services is an rls-services document.
func services(inner ...string) string {
	return `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">` + strings.Join(inner, "") + `</rls-services>`
}

// service is one with a list of its own.
func inline(name, list string) string {
	return `<service uri="` + aor(name) + `"><list>` + list + `</list></service>`
}

func entries(users ...string) string {
	var b strings.Builder
	for _, u := range users {
		if !strings.Contains(u, ":") {
			u = aor(u)
		}
		b.WriteString(`<rl:entry uri="` + u + `"/>`)
	}
	return b.String()
}

// friends is alice's list of some users.
func (r *rig) friends(users ...string) {
	r.t.Helper()
	r.put(indexOfAlice, services(inline("list", entries(users...))))
}

// watcher is one subscription of a user.
type watcher struct {
	r                  *rig
	user, callID, tag  string
	target, toTag, pkg string
	seq                int
	lines              []string // of every SUBSCRIBE
	table              rlmi.Table
	body               string
	answered           *stack.Response
}

const accept = "Accept: multipart/related, application/rlmi+xml, text/plain"

func (r *rig) watcher(user, target string) *watcher {
	if !strings.Contains(target, ":") {
		target = aor(target)
	}
	return &watcher{r: r, user: user, callID: stack.NewCallID(), tag: stack.NewTag(), target: target, pkg: "notes",
		lines: []string{"Supported: eventlist", accept}}
}

// subscribe sends a SUBSCRIBE; lines come in place of those of the watcher.
func (w *watcher) subscribe(lines ...string) *stack.Response {
	w.r.t.Helper()
	if lines == nil {
		lines = w.lines
	}
	w.seq++
	to := "<" + w.target + ">"
	if w.toTag != "" {
		to += ";tag=" + w.toTag
	}
	text := append([]string{"SUBSCRIBE " + w.target + " SIP/2.0", "Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK" + stack.NewTag(), "Max-Forwards: 70",
		"From: <" + aor(w.user) + ">;tag=" + w.tag, "To: " + to, "Call-ID: " + w.callID, fmt.Sprintf("CSeq: %d SUBSCRIBE", w.seq),
		"Contact: <sip:" + w.user + "@192.0.2.1:5060>", "Event: " + w.pkg}, lines...)
	text = append(text, fmt.Sprintf("Content-Length: %d", len(w.body)), "", w.body)
	res := w.r.n.Subscribe(context.Background(), w.parsed(text))
	if res.Status/100 == 2 {
		w.toTag = res.ToTag
	}
	if res.Sent != nil {
		res.Sent()
	}
	w.answered = res
	return res
}

// message is a SUBSCRIBE with the lines of the watcher.
func (w *watcher) message() *stack.Request {
	return w.parsed(append(append([]string{"SUBSCRIBE " + w.target + " SIP/2.0"}, w.lines...), "Content-Length: 0", "", ""))
}

func (w *watcher) parsed(lines []string) *stack.Request {
	w.r.t.Helper()
	m, err := sip.ParseMessage([]byte(strings.Join(lines, "\r\n")))
	if err != nil {
		w.r.t.Fatal(err)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}

// active subscribes and gives what the first NOTIFY tells.
func (w *watcher) active() *told {
	w.r.t.Helper()
	if res := w.subscribe(); res.Status != 200 {
		w.r.t.Fatalf("SUBSCRIBE of %s to %s: %d %s", w.user, w.target, res.Status, res.Reason)
	}
	return w.next()
}

// refused fails unless a SUBSCRIBE is answered so.
func (w *watcher) refused(status int, fields ...string) {
	w.r.t.Helper()
	res := w.subscribe()
	if res.Status != status {
		w.r.t.Fatalf("SUBSCRIBE of %s to %s: %d %s, want %d", w.user, w.target, res.Status, res.Reason, status)
	}
	for i := 0; i < len(fields); i += 2 {
		if got := fieldOf(res, fields[i]); got != fields[i+1] {
			w.r.t.Fatalf("%s: %q, want %q", fields[i], got, fields[i+1])
		}
	}
}

func fieldOf(res *stack.Response, name string) string {
	for _, f := range res.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// told is one NOTIFY of a list.
type told struct {
	*uactest.Call
	*rlmi.Body
}

// next is the next NOTIFY, answered, which must be well-made.
func (w *watcher) next() *told {
	w.r.t.Helper()
	c := w.r.take(w.callID)
	n := &told{Call: c}
	c.Wants("Require", "eventlist")
	if v := header.Values(c.Request, "Content-Type"); len(v) > 0 {
		var err error
		if n.Body, err = rlmi.ParseBody(v[0], c.Request.Body()); err != nil {
			w.r.t.Fatalf("%v in\n%s", err, c.Request)
		}
		if err := n.Check(); err != nil {
			w.r.t.Fatalf("%v in\n%s", err, c.Request)
		}
		w.table.Apply(n.List)
	}
	c.Answer(200)
	return n
}

// take is the next NOTIFY of a dialog; those of others wait.
func (r *rig) take(callID string) *uactest.Call {
	r.t.Helper()
	for i, c := range r.waiting {
		if c.One("Call-ID") == callID {
			r.waiting = slices.Delete(r.waiting, i, i+1)
			return c
		}
	}
	for {
		c := r.wire.Next()
		if c.One("Call-ID") == callID {
			return c
		}
		r.waiting = append(r.waiting, c)
	}
}

// says is what a NOTIFY tells: the version, with + for full state, and of each
// resource the state and the text or the reason.
func (n *told) says() string {
	if n.Body == nil {
		return "nothing"
	}
	full := ""
	if n.List.FullState {
		full = "+"
	}
	all := []string{fmt.Sprintf("%d%s", n.List.Version, full)}
	for _, r := range n.List.Resources {
		user, _, _ := strings.Cut(strings.TrimPrefix(r.URI, "sip:"), "@")
		text := user + " ?"
		for _, in := range r.Instances {
			text = user + " " + in.State.String() + " " + in.Reason
			if p := n.Part(in.CID); p != nil {
				text = user + " " + strings.TrimPrefix(string(p.Content), "note: ")
			}
		}
		all = append(all, strings.TrimSpace(text))
	}
	return strings.Join(all, ", ")
}

// expect fails unless the next NOTIFY says this.
func (w *watcher) expect(want string) *told {
	w.r.t.Helper()
	return w.r.same(w.next(), want)
}

func (r *rig) same(n *told, want string) *told {
	r.t.Helper()
	if got := n.says(); got != want {
		r.t.Fatalf("told %q, want %q in\n%s", got, want, n.Request)
	}
	return n
}

// with is lines with some more.
func (w *watcher) with(lines ...string) []string { return append(slices.Clone(w.lines), lines...) }

// nobody lets nobody in.
func nobody(*stack.Request) (string, *stack.Response) { return "", stack.Answer(401) }

// message is a SUBSCRIBE to a target.
func (r *rig) message(target string) *stack.Request {
	r.t.Helper()
	m, err := sip.ParseMessage([]byte("SUBSCRIBE " + target + " SIP/2.0\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}

func (r *rig) parse(target string) header.URI {
	u, err := header.ParseURI(target)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}
