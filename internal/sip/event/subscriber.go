package event

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// SubscriberConfig holds what a subscriber is told. Wire is needed.
type SubscriberConfig struct {
	Wire Wire
	T1   time.Duration // as that of the stack; 0: 500 ms. Timer N is 64*T1
	// Packages are the event packages whose NOTIFYs are understood, besides
	// those subscribed to; NOTIFYs of others are answered 489.
	Packages []string
	// Authenticate answers challenges; nil takes them as refusals.
	Authenticate Authenticator
	// Queue is the number of events of a subscription that wait for their
	// reader, 0: 256. A NOTIFY beyond it is answered 503, so that the notifier
	// knows it was not seen, and when there is room again the dialog is asked
	// for its full state: no delta is lost unnoticed, and no reader holds up
	// the stack. NOTIFYs that end a subscription are never refused.
	Queue int
	Log   *slog.Logger // nil discards
}

// Subscriber makes subscriptions and receives their NOTIFYs (RFC 6665 section
// 4.1). There is one for a stack.
type Subscriber struct {
	cfg    SubscriberConfig
	timerN time.Duration

	mu       sync.Mutex
	packages map[string]bool
	attempts map[attemptKey]*attempt
}

// attemptKey is what NOTIFYs have in common with the SUBSCRIBE they follow
// from (RFC 6665 section 4.4.1), beside the event.
type attemptKey struct{ callID, tag string }

// NewSubscriber makes a subscriber without subscriptions.
func NewSubscriber(cfg SubscriberConfig) *Subscriber {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Queue == 0 {
		cfg.Queue = 256
	}
	b := &Subscriber{cfg: cfg, timerN: uac.TransactionTime(cfg.T1),
		packages: map[string]bool{}, attempts: map[attemptKey]*attempt{}}
	for _, p := range cfg.Packages {
		b.packages[p] = true
	}
	return b
}

// Count is the number of SUBSCRIBEs that NOTIFYs are accepted for.
func (b *Subscriber) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.attempts)
}

// Subscribe makes a subscription and waits for its first NOTIFY, which is what
// makes it exist. The error is that of the options, a *ResponseError,
// ErrNoNotify, one of the stack, or that of ctx, whose end gives up the
// attempt: NOTIFYs that come of it later are answered 481, which ends the
// subscription at the notifier too. The subscription outlives ctx.
func (b *Subscriber) Subscribe(ctx context.Context, o SubscribeOptions) (*Subscription, error) {
	s, err := b.newSubscription(o)
	if err != nil {
		return nil, err
	}
	s.lock()
	s.attempt()
	s.unlock()
	select {
	case <-s.notified:
	case <-s.done:
	case <-ctx.Done():
		s.abandon(ctx.Err())
		return nil, ctx.Err()
	}
	s.lock()
	defer s.unlock()
	if !s.established && s.last.err != nil {
		return nil, s.last.err
	}
	return s, nil
}

// Fetch asks for the state once and gives the NOTIFY that tells it, nil when
// the notifier had nothing to tell (204). A watcher who is not allowed may get
// a Notification whose State is terminated with a reason such as rejected.
func (b *Subscriber) Fetch(ctx context.Context, o SubscribeOptions) (*Notification, error) {
	o.Fetch = true
	s, err := b.Subscribe(ctx, o)
	if err != nil {
		return nil, err
	}
	var n *Notification
	for {
		e, err := s.Next(ctx)
		switch {
		case err != nil:
			s.abandon(err)
			return nil, err
		case e.Kind == OnNotify && (n == nil || e.Notification.Body != nil):
			n = e.Notification
		case e.Kind == OnEnd:
			return n, e.Err
		}
	}
}

// Awake tells that time went by unnoticed, as when the machine slept: every
// subscription is refreshed at once, which shows what is left of it.
func (b *Subscriber) Awake() {
	b.mu.Lock()
	all := slices.Collect(maps.Values(b.attempts))
	b.mu.Unlock()
	for _, a := range all {
		a.s.lock()
		for _, u := range a.usages {
			u.awake()
		}
		a.s.unlock()
	}
}

// newSubscription checks the options; nothing is sent yet.
func (b *Subscriber) newSubscription(o SubscribeOptions) (*Subscription, error) {
	f, err := o.form()
	if err != nil {
		return nil, err
	}
	if _, err := uac.NewChain(o.chain()); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.packages[o.Event.Package] = true
	b.mu.Unlock()
	return &Subscription{b: b, opts: o, form: f, etag: o.ETag, some: make(chan struct{}, 1),
		notified: make(chan struct{}), done: make(chan struct{})}, nil
}

// Notify answers NOTIFY; it is the handler for that method. It never waits for
// the reader of a subscription.
func (b *Subscriber) Notify(_ context.Context, r *stack.Request) *stack.Response {
	v, ok, err := header.Single(r.Request, "Event")
	if err != nil {
		return badRequest(err)
	}
	if !ok {
		return stack.Answer(489)
	}
	ev, err := header.ParseEvent(v)
	if err != nil {
		return badRequest(err)
	}
	a, known := b.find(r, ev.Package)
	switch {
	case !known:
		return stack.Answer(489)
	case a == nil || !a.s.opts.Event.Match(ev):
		return noSubscription()
	}
	v, _, err = header.Single(r.Request, "Subscription-State")
	if err != nil {
		return badRequest(err)
	}
	st, err := header.ParseSubscriptionState(v)
	if err != nil {
		return badRequest(err)
	}
	tag := tagOf(r, "From")
	if tag == "" {
		return &stack.Response{Status: sip.StatusBadRequest, Reason: "From Tag Missing"}
	}
	a.s.lock()
	defer a.s.unlock()
	return a.notify(r, tag, st)
}

// find gives the SUBSCRIBE that r follows from, and whether its package is
// known at all.
func (b *Subscriber) find(r *stack.Request, pkg string) (a *attempt, known bool) {
	callID, _, _ := header.Single(r.Request, "Call-ID")
	key := attemptKey{callID, tagOf(r, "To")}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts[key], b.packages[pkg]
}

// tagOf is the tag of From or To, "" without.
func tagOf(r *stack.Request, name string) string {
	v, _, err := header.Single(r.Request, name)
	if err != nil {
		return ""
	}
	a, err := header.ParseAddress(v)
	if err != nil {
		return ""
	}
	return a.Tag()
}

// noSubscription is the 481 of RFC 6665 section 4.1.3.
func noSubscription() *stack.Response {
	return &stack.Response{Status: sip.StatusCallTransactionDoesNotExists, Reason: "Subscription Does Not Exist"}
}
