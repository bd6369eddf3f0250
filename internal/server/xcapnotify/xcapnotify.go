// Package xcapnotify is the notifier side of the event package xcap-diff (RFC 5875): subscribers name XCAP documents, elements,
// attributes and collections, and are told what has become of them as XCAP diff documents (RFC 5874), with patches (RFC 5261)
// where they want them. It learns of changes from the watch of the store that the documents are in, of those that the
// XCAP server makes from that one, and knows no HTTP.
package xcapnotify

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/doc/lists"
	"imp/internal/doc/xcapdiff"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/xcap/uri"
)

// Name is the name of the event package (RFC 5875 section 4.2).
const Name = "xcap-diff"

// Config holds what a package is told. Store and RootURI are needed. Limits that are 0 take the default.
type Config struct {
	Store store.KV
	// Root names the XCAP root in the keys of the store, as the XCAP server does: its path, such as /xcap-root.
	Root string
	// RootURI is the XCAP root as subscribers know it: what xcap-root says, and what absolute URIs in lists are below.
	RootURI string
	// Aliases are further URIs of the root that absolute ones in lists may be below, such as that by https.
	Aliases []string
	Naming  uri.Naming
	// Trusted are the users who may read everything, such as resource list servers.
	Trusted []string
	// Generated makes the documents that are not in the store; nil: there are none.
	Generated Generated
	// Open lets everybody read those documents, as GET does where nobody authenticates.
	Open bool
	// MinInterval is the least time between two NOTIFYs of one subscription. 0: 5 s (RFC 5875 section 4.10).
	MinInterval time.Duration
	// MinExpires and MaxExpires bound subscriptions; 0: 60 s and 3600 s.
	MinExpires, MaxExpires time.Duration
	MaxEntries             int          // URIs in a list, beyond which SUBSCRIBE is answered 413; 0: 200
	MaxDocuments           int          // documents of one subscription, beyond which it is answered 403 or ended; 0: 1000
	MaxSubscriptions       int          // a quarter of them for one subscriber, beyond which SUBSCRIBE is answered 503; 0: DefaultMaxSubscriptions
	MaxSelected            int          // URIs and documents of all subscriptions, likewise; a long URI counts for several; 0: five for each subscription
	MaxSteps               int          // changes of documents kept for one subscription, beyond which it gets references; 0: 512
	MaxHistory             int          // bytes of older versions kept for one subscription, likewise; 0: 4 MiB
	MaxHeld                int64        // bytes of documents held for patches of all subscriptions, likewise; 0: 64 MiB
	MaxUnderWay            int64        // bytes of NOTIFYs without an answer, beyond which contents and patches are left out; 0: 32 MiB
	MaxBody                int          // bytes of a NOTIFY body that contents and patches are left out beyond; 0: 256 KiB
	MaxElement             int          // bytes of an element, beyond which its content is not shown; 0: 64 KiB
	Log                    *slog.Logger // nil discards
}

// DefaultMaxSubscriptions is how many subscriptions there may be unless a config says otherwise.
const DefaultMaxSubscriptions = 10_000

// limits fills in the defaults.
func (c *Config) limits() {
	for _, l := range []struct {
		at   *int
		most int
	}{{&c.MaxEntries, 200}, {&c.MaxDocuments, 1000}, {&c.MaxSubscriptions, DefaultMaxSubscriptions},
		{&c.MaxSteps, 512}, {&c.MaxHistory, 4 << 20}, {&c.MaxBody, 256 << 10}, {&c.MaxElement, 64 << 10}} {
		if *l.at == 0 {
			*l.at = l.most
		}
	}
	if c.MaxSelected == 0 {
		c.MaxSelected = 5 * c.MaxSubscriptions
	}
	if c.MaxHeld == 0 {
		c.MaxHeld = 64 << 20
	}
	if c.MaxUnderWay == 0 {
		c.MaxUnderWay = 32 << 20
	}
	if c.MinInterval == 0 {
		c.MinInterval = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Notifier is told whose subscriptions have something to tell; it is an event.Notifier.
type Notifier interface {
	Changed(pkg, resource string)
}

// Package is the event package at a notifier. It needs Run to be running.
//
// One goroutine, that of Run, reads the store and takes over what its watch tells, so that what a new subscription reads and what is
// heard of a change are in one order. What it finds is kept under one lock, which is never held over the store, a comparison of
// documents or the notifier.
type Package struct {
	cfg     Config
	roots   []uri.Root // as in RootURI and Aliases
	trusted []string
	calls   chan func() []string // to be run by Run
	anew    chan struct{}        // tells it that there is something in stale
	ended   chan struct{}

	underWay atomic.Int64 // bytes of NOTIFYs

	mu          sync.Mutex
	seq         event.Mark             // counts changes, from 1
	documents   map[string]*document   // by key, those that somebody has selected
	exact       map[string][]*view     // who has selected the document with a key, or something in it
	collections map[string][]*view     // who has selected what is below a key
	sources     map[string][]*document // what is made of the documents below a key
	stale       map[*document]bool     // is to be made anew
	held        int64                  // bytes of versions, current ones and those that wait to be told
	shares      shares
	ending      []string // resources with a subscription whose collections have outgrown it
}

// New makes a package. The error is that of a root which is none.
func New(cfg Config) (*Package, error) {
	cfg.limits()
	p := &Package{cfg: cfg, calls: make(chan func() []string), ended: make(chan struct{}), seq: 1, documents: map[string]*document{},
		exact: map[string][]*view{}, collections: map[string][]*view{}, anew: make(chan struct{}, 1), sources: map[string][]*document{}, stale: map[*document]bool{},
		shares: newShares(cfg.MaxSubscriptions, cfg.MaxSelected)}
	for _, s := range append([]string{cfg.RootURI}, cfg.Aliases...) {
		root, err := uri.ParseRoot(s)
		if err != nil {
			return nil, fmt.Errorf("reading the XCAP root: %w", err)
		}
		p.roots = append(p.roots, root)
	}
	for _, t := range cfg.Trusted {
		p.trusted = append(p.trusted, cfg.Naming.Canonical(t))
	}
	return p, nil
}

// Name implements event.Package.
func (p *Package) Name() string { return Name }

// Types implements event.Package (RFC 5875 section 4.6).
func (p *Package) Types() []string { return []string{xcapdiff.MediaType} }

// Defaults implements event.Package (RFC 5875 sections 4.5 and 4.10).
func (p *Package) Defaults() event.Defaults {
	return event.Defaults{Expires: time.Hour, MinExpires: p.cfg.MinExpires, MaxExpires: p.cfg.MaxExpires, MinInterval: p.cfg.MinInterval}
}

// mode is how changes of documents are told (RFC 5875 section 4.3).
type mode uint8

const (
	noPatching mode = iota
	xcapPatching
	aggregate
)

// modeOf reads diff-processing. What it does not know is the simplest one.
func modeOf(e header.Event) mode {
	switch v, _ := e.Params.Get("diff-processing"); v {
	case "xcap-patching":
		return xcapPatching
	case "aggregate":
		return aggregate
	}
	return noPatching
}

// Open implements event.Package: it reads the list in the body, and what it selects from the store. A refresh without a list keeps
// the one there was, and one with the same URIs in any order is none that changes anything (RFC 5875 section 4.7).
func (p *Package) Open(ctx context.Context, r event.Request) (event.View, event.Decision, error) {
	current, _ := r.Current.(*view)
	list := ""
	var entries []entry
	if r.Body != nil || current == nil {
		var err error
		if entries, err = p.readBody(r.ContentType, r.Body); err != nil {
			return nil, event.Decision{}, err
		}
		list = listName(entries)
	}
	if current != nil && (r.Body == nil || current.list == list) {
		return current, event.Decision{}, p.do(ctx, func() ([]string, error) { return nil, p.change(ctx, current, modeOf(r.Event)) })
	}
	v := newView(p, r, list)
	if err := p.do(ctx, func() ([]string, error) { return p.enter(ctx, v, entries) }); err != nil {
		return nil, event.Decision{}, err
	}
	return v, event.Decision{}, nil
}

// do runs f in the order of what the watch tells; it returns the resources whose subscriptions have something to tell.
func (p *Package) do(ctx context.Context, f func() ([]string, error)) error {
	done := make(chan error, 1)
	call := func() []string {
		changed, err := f()
		done <- err
		return changed
	}
	select {
	case p.calls <- call:
		return <-done
	case <-p.ended:
	case <-ctx.Done():
	}
	return &event.Refusal{Status: 503, Fields: []stack.Field{{Name: "Retry-After", Value: "30"}}}
}

// readBody reads the list of a SUBSCRIBE. The error is a Refusal.
func (p *Package) readBody(contentType string, body []byte) ([]entry, error) {
	if body == nil {
		return nil, refuse(400, "A List Of XCAP URIs Is Needed")
	}
	ct, err := header.ParseContentType(contentType)
	if err != nil || ct.MediaType != lists.MediaType {
		return nil, &event.Refusal{Status: 415, Fields: []stack.Field{{Name: "Accept", Value: lists.MediaType}}}
	}
	return p.readList(body)
}

// refuse makes the refusal of a SUBSCRIBE; a reason phrase is one line.
func refuse(status int, format string, args ...any) *event.Refusal {
	phrase := []rune(fmt.Sprintf(format, args...))
	for i, r := range phrase {
		if r < ' ' || r == 0x7F {
			phrase[i] = ' '
		}
	}
	return &event.Refusal{Status: status, Phrase: string(phrase[:min(len(phrase), 160)])}
}

// Documents is the number of documents that are selected by subscriptions now.
func (p *Package) Documents() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.documents)
}
