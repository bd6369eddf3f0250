// Package presence is the presence agent of RFC 3856: the event package
// "presence" over the notifier and the compositor of package event. It
// composes what the publications of a presentity say into one document (RFC
// 3903 section 10.3, RFC 4479) and shows it to whom the policy lets see it.
package presence

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/doc/filter"
	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
	"imp/internal/server/presence/winfo"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

// Policy is what happens to the watchers of a presentity without presence rules.
// He himself is active whatever it is.
type Policy string

// The policies: the subscription becomes active if the watcher is a user of the
// domain and pending if not, stays pending, or is refused with 403.
const (
	Allow   Policy = "allow"
	Confirm Policy = "confirm"
	Block   Policy = "block"
)

// ParsePolicy reads the name of a policy.
func ParsePolicy(s string) (Policy, error) {
	switch p := Policy(s); p {
	case Allow, Confirm, Block:
		return p, nil
	}
	return "", fmt.Errorf("policy %q is unknown; it is allow, confirm or block", s)
}

// Config holds what an agent is told.
type Config struct {
	Stack     *stack.Stack
	Store     store.KV
	Directory *Directory
	// XCAPRoot names the XCAP root in the keys of the store: its path. The presence
	// rules below it count, and documents of RFC 4827; "": there are none.
	XCAPRoot string
	// Policy is for presentities without presence rules; "" is Allow.
	Policy Policy
	// Identify gives who sent a request, or the response that refuses it; nil
	// believes From.
	Identify func(r *stack.Request) (aor string, refusal *stack.Response)
	// Authorize tells whether a publisher may publish for a presentity; nil lets
	// everybody.
	Authorize func(publisher, presentity string) bool
	// MinInterval is the least time between two NOTIFYs of one subscription;
	// negative means that of the package, 5 s (RFC 3856 section 6.10).
	MinInterval time.Duration
	// MinExpires and MaxExpires bound publications and subscriptions; 0: 60 s
	// and 3600 s.
	MinExpires, MaxExpires time.Duration
	Packages               []event.Package // further ones, with the same notifier, addresses and guard
	Lists                  event.Lists     // nil: no lists of resources
	Waiting                winfo.Limits    // of watchers without an answer
	Log                    *slog.Logger    // nil discards
}

// Agent is a presence agent on a SIP stack.
type Agent struct {
	cfg          Config
	notifier     *event.Notifier
	compositor   *event.Compositor
	presentities presentities
	winfo        []*winfo.Package
}

const mediaType = "application/pidf+xml"

// New makes an agent and registers its methods with the stack, which must not
// listen yet.
func New(cfg Config) *Agent {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Policy == "" {
		cfg.Policy = Allow
	}
	a := &Agent{cfg: cfg}
	a.presentities.byKey = map[string]*presentity{}
	a.presentities.lapsed = a.tellOf
	notifier := event.NotifierConfig{Wire: cfg.Stack, Resources: cfg.Directory, Contact: cfg.Stack.NotifierContact,
		Identify: cfg.Identify, Lists: cfg.Lists, Log: cfg.Log}
	if cfg.MinInterval >= 0 { // zero is an interval too: no pacing
		notifier.MinInterval = &cfg.MinInterval
	}
	packages := []event.Package{a}
	a.winfo = a.watcherInfo()
	for _, w := range a.winfo {
		packages = append(packages, w)
	}
	a.notifier = event.NewNotifier(notifier, append(packages, cfg.Packages...)...)
	for _, w := range a.winfo {
		w.Follow(a.notifier)
	}
	a.compositor = event.NewCompositor(event.CompositorConfig{Store: cfg.Store, Resources: cfg.Directory,
		Identify: cfg.Identify, Authorize: cfg.Authorize, Watched: a.watched, AllowEvents: a.notifier.Packages(), Log: cfg.Log}, a)
	a.compositor.OnChange(a.Name(), a.changed)
	cfg.Stack.Handle("SUBSCRIBE", a.notifier.Subscribe)
	cfg.Stack.Handle("PUBLISH", a.compositor.Publish)
	cfg.Stack.Options(func() []stack.Field {
		return []stack.Field{
			{Name: "Accept", Value: strings.Join(append(a.Types(), filter.MediaType), ", ")},
			{Name: "Allow-Events", Value: strings.Join(a.notifier.Packages(), ", ")},
		}
	})
	return a
}

// Run carries changes from the store to the watchers until ctx is done. ready
// is called once the state there was at the start has been read.
func (a *Agent) Run(ctx context.Context, ready func()) error {
	for _, w := range a.winfo {
		if err := w.Restore(ctx, a.cfg.Store); err != nil {
			return err
		}
	}
	var left atomic.Int32
	left.Store(2)
	done := func() {
		if left.Add(-1) == 0 && ready != nil {
			ready()
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var documents sync.WaitGroup
	defer documents.Wait()
	documents.Go(func() {
		if err := a.followDocuments(ctx, done); err != nil {
			cancel(err)
		}
	})
	err := a.compositor.Run(ctx, done)
	cancel(err)
	return context.Cause(ctx)
}

// Notifier is the notifier of the agent and of the further packages.
func (a *Agent) Notifier() *event.Notifier { return a.notifier }

// Drain ends all subscriptions with NOTIFYs that ask the watchers to come back.
func (a *Agent) Drain(ctx context.Context) error { return a.notifier.Drain(ctx) }

// Close stops sending.
func (a *Agent) Close() {
	a.notifier.Close()
	for _, w := range a.winfo {
		w.Close()
	}
}

// Name is the event package of RFC 3856 section 6.1.
func (a *Agent) Name() string { return "presence" }

// Types are the body types of NOTIFY (RFC 3856 section 6.5).
func (a *Agent) Types() []string { return []string{mediaType, pidfdiff.MediaType} }

// Defaults are those of RFC 3856 sections 6.4 and 6.10.
func (a *Agent) Defaults() event.Defaults {
	return event.Defaults{Expires: time.Hour, MinExpires: a.cfg.MinExpires, MaxExpires: a.cfg.MaxExpires, MinInterval: 5 * time.Second}
}

// Check accepts what can be composed: a well-formed presence document of a
// known type with an entity and unique ids; or changes of one.
func (a *Agent) Check(contentType string, body []byte) (event.Doc, error) {
	ct, err := header.ParseContentType(contentType)
	partial := ct.MediaType == pidfdiff.MediaType
	if err != nil || ct.MediaType != mediaType && !partial || !utf8Charset(ct) {
		return event.Doc{}, &event.UnsupportedType{Accept: a.Types()}
	}
	if partial {
		return checkPartial(body)
	}
	if err := pidf.Accept(body); err != nil {
		return event.Doc{}, err
	}
	return event.Doc{Type: mediaType, Body: body}, nil
}

// utf8Charset tells whether the charset of a type, which wins over the XML
// declaration (RFC 7303 section 3), is one that is stored.
func utf8Charset(ct header.ContentType) bool {
	charset, ok := ct.Params.Get("charset")
	return !ok || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

// Open judges a watcher by the policy and gives him a view of the presentity.
func (a *Agent) Open(ctx context.Context, r event.Request) (event.View, event.Decision, error) {
	was := askedOf(r.Current)
	asked, err := a.ask(r, was)
	if err != nil {
		return nil, event.Decision{}, err
	}
	a.catchUp(ctx, store.Key(r.Resource))
	if r.Current != nil {
		view, decision := a.reopen(r, asked)
		return view, decision, nil
	}
	p, err := a.presentities.open(ctx, r.Resource, a.load)
	if err != nil {
		return nil, event.Decision{}, err
	}
	decision, permitted := a.judge(p, r.Watcher)
	if decision.State == event.Terminated {
		a.presentities.release(p)
		return nil, decision, nil
	}
	return newView(p, a.cfg.Directory.Entity(r.URI, r.Resource), layers{permitted: permitted, asked: asked}), decision, nil
}

// reopen judges a watcher who refreshes, and gives him another view where he gets
// something else than before.
func (a *Agent) reopen(r event.Request, asked *asked) (event.View, event.Decision) {
	current, l := layersOf(r.Current)
	decision, permitted := a.judge(current.presentity, r.Watcher)
	if asked == l.asked && permitted.key() == l.permitted.key() {
		return r.Current, decision
	}
	current.presentity.retain()
	return newView(current.presentity, current.entity, layers{permitted: permitted, asked: asked}), decision
}

// load reads what there is of a presentity whom nobody has watched so far.
func (a *Agent) load(ctx context.Context, name string) (loaded, error) {
	pubs, err := a.compositor.Publications(ctx, a.Name(), name)
	if err != nil {
		return loaded{}, err
	}
	documents, err := a.readDocuments(ctx, name)
	return loaded{pubs, documents}, err
}

// watched tells whether anybody watches a presentity.
func (a *Agent) watched(_, name string) bool { return a.presentities.find(store.Key(name)) != nil }

// changed hands a change of published state to the watchers.
func (a *Agent) changed(c event.Change) {
	if c.ID != "" {
		a.catchUp(context.Background(), c.Resource)
		a.tellOf(a.presentities.apply(c))
		return
	}
	for _, p := range a.presentities.watched() {
		pubs, err := a.compositor.Publications(context.Background(), a.Name(), p.name)
		if err != nil {
			a.cfg.Log.Error("reading presence state anew", "presentity", p.name, "error", err)
			continue
		}
		a.tellOf(p, p.replace(pubs))
	}
}
