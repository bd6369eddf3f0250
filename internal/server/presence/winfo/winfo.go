// Package winfo is the watcher information template package (RFC 3857): an
// event package that tells who is subscribed to a resource in another package,
// its parent, and who asked to be and still has no answer. It follows what the
// notifier of both tells of subscriptions; documents are those of RFC 3858. It
// knows nothing of what the parent tells or of how watchers are judged.
package winfo

import (
	"cmp"
	"container/list"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
)

// What of Config is zero is this.
const (
	DefaultWait        = 7 * 24 * time.Hour
	DefaultPerWatcher  = 1000
	DefaultPerResource = 1000
	DefaultTotal       = 100_000
)

// Limits bound what is kept of watchers without an answer (RFC 3857 section
// 4.7.1). Beyond a limit the one who has waited longest is given up.
type Limits struct {
	Wait        time.Duration // for an answer, from when the watcher asked or his subscription ran out
	PerWatcher  int           // subscriptions of one watcher, to whatever resources
	PerResource int           // subscriptions to one resource
	Total       int
}

func (l *Limits) defaults() {
	l.Wait = cmp.Or(l.Wait, DefaultWait)
	l.PerWatcher = cmp.Or(l.PerWatcher, DefaultPerWatcher)
	l.PerResource = cmp.Or(l.PerResource, DefaultPerResource)
	l.Total = cmp.Or(l.Total, DefaultTotal)
}

// Config holds what a package is told. Parent is needed.
type Config struct {
	Parent string // the package whose watchers are told of, such as "presence"
	// Judge tells how a watcher who subscribed to a resource in the parent would
	// be judged now. It must not wait for people. nil: only the resource itself
	// may subscribe, and who waits is judged by nobody.
	Judge func(ctx context.Context, resource, watcher string) (event.Decision, error)
	// Hold keeps at hand what watchers of a resource are judged by, because many are
	// about to be, until release; nil: it always is.
	Hold                   func(ctx context.Context, resource string) (release func(), err error)
	MinExpires, MaxExpires time.Duration // of subscriptions, as in event.Defaults
	Limits                 Limits
	Log                    *slog.Logger // nil discards
}

// Package is the template package applied to a parent. It implements
// event.Package; Follow connects it to its notifier.
type Package struct {
	cfg      Config
	name     string
	key      [32]byte // makes ids
	nonce    string   // makes names of states
	notifier *event.Notifier

	mu     sync.Mutex
	mark   event.Mark // given last
	tables map[string]*table
	asking list.List         // rows of who has no answer, the one who has waited longest first
	by     map[string][]*row // the same by watcher
	dirty  map[*table]bool   // touched since the lock was taken
	timer  *time.Timer
	due    time.Time // when timer fires
	keep   *keeper   // nil: rows are in memory only
	closed bool
}

// New makes a package.
func New(cfg Config) *Package {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Limits.defaults()
	p := &Package{cfg: cfg, name: cfg.Parent + suffix, nonce: rand.Text(), tables: map[string]*table{},
		by: map[string][]*row{}, dirty: map[*table]bool{}}
	rand.Read(p.key[:])
	return p
}

// suffix is the name of the template (RFC 3857 section 4.1).
const suffix = ".winfo"

// Follow has the notifier tell of subscriptions to the parent. It is to be
// called before the first SUBSCRIBE.
func (p *Package) Follow(n *event.Notifier) {
	p.notifier = n
	n.Observe(p.observe)
}

// Close ends the package once; its notifier is closed by then.
func (p *Package) Close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	keep := p.keep
	p.keep = nil
	p.mu.Unlock()
	keep.close()
}

// unlock drops tables that have nothing to tell any more, and has those who look
// told of what is new.
func (p *Package) unlock() {
	p.arm()
	if len(p.dirty) == 0 {
		p.mu.Unlock()
		return
	}
	var changed []string
	for t := range p.dirty {
		switch {
		case t.views > 0:
			changed = append(changed, t.resource)
		case len(t.rows) == 0:
			delete(p.tables, t.resource)
		}
	}
	clear(p.dirty)
	p.mu.Unlock()
	for _, resource := range changed {
		p.notifier.Changed(p.name, resource)
	}
}

// Name is that of the parent with the suffix of the template.
func (p *Package) Name() string { return p.name }

// Types are the body types of NOTIFY (RFC 3857 section 4.5).
func (p *Package) Types() []string { return []string{winfo.MediaType} }

// Defaults are those of RFC 3857 sections 4.4 and 4.10.
func (p *Package) Defaults() event.Defaults {
	return event.Defaults{Expires: time.Hour, MinExpires: p.cfg.MinExpires, MaxExpires: p.cfg.MaxExpires, MinInterval: 5 * time.Second}
}

// Open lets the resource itself see all of its watchers, and a watcher whom the
// resource lets subscribe see himself; of watcher information on watcher
// information only the resource itself sees anything (RFC 3857 section 4.6).
func (p *Package) Open(ctx context.Context, r event.Request) (event.View, event.Decision, error) {
	only := ""
	if r.Watcher != r.Resource {
		if p.cfg.Judge == nil {
			return nil, event.Decision{State: event.Terminated, Reason: "rejected"}, nil
		}
		d, err := p.cfg.Judge(ctx, r.Resource, r.Watcher)
		if err != nil {
			return nil, event.Decision{}, err
		}
		if d.State != event.Active {
			return nil, event.Decision{State: event.Terminated, Reason: "rejected"}, nil
		}
		only = r.Watcher
	}
	p.Reconsider(ctx, r.Resource)
	if r.Current != nil {
		return r.Current, event.Decision{}, nil
	}
	p.mu.Lock()
	defer p.unlock()
	t := p.table(r.Resource)
	if t.views++; t.views == 1 {
		p.load(t, false)
	}
	return &view{p: p, table: t, only: only}, event.Decision{}, nil
}

// Reconsider judges the watchers who wait for an answer of a resource anew: who
// has one waits no more (RFC 3857 section 4.7.1). It is to be called when the
// rules of the resource have changed.
func (p *Package) Reconsider(ctx context.Context, resource string) {
	if p.cfg.Judge == nil {
		return
	}
	waiting := p.waiting(resource)
	if len(waiting) > 1 && p.cfg.Hold != nil {
		release, err := p.cfg.Hold(ctx, resource)
		if err != nil {
			p.cfg.Log.Error("judging watchers who wait", "resource", resource, "error", err)
			return
		}
		defer release()
	}
	for _, watcher := range waiting {
		d, err := p.cfg.Judge(ctx, resource, watcher)
		if err != nil {
			p.cfg.Log.Error("judging a watcher who waits", "resource", resource, "watcher", watcher, "error", err)
			continue
		}
		if d.State == event.Pending {
			continue
		}
		cause := winfo.Approved
		if d.State == event.Terminated {
			cause = causeOf(cmp.Or(d.Reason, "rejected"))
		}
		p.mu.Lock()
		if t := p.tables[resource]; t != nil {
			p.settle(t, watcher, cause)
		}
		p.unlock()
	}
}

// waiting lists the watchers who wait for an answer of a resource.
func (p *Package) waiting(resource string) (watchers []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tables[resource]
	if t == nil || t.asking == 0 {
		return nil
	}
	for _, r := range t.rows {
		if r.status == winfo.Waiting {
			watchers = append(watchers, r.watcher)
		}
	}
	return watchers
}

// causeOf is the event for a reason of Subscription-State; those that RFC 3857
// does not know, such as invariant, are noresource: there is nothing to watch.
func causeOf(reason string) winfo.Event {
	var e winfo.Event
	if e.UnmarshalText([]byte(reason)) != nil {
		return winfo.NoResource
	}
	return e
}
