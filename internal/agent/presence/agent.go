// Package presence is the user agent of a watcher and a publisher: one SIP
// stack towards an account's proxy with the subscriber (RFC 6665) and the
// publishers (RFC 3903) on it. It knows nothing of documents.
package presence

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
)

// Config holds who the agent acts as and where it sends.
type Config = useragent.Config

// Agent is a user agent. Close it.
type Agent struct {
	*useragent.UserAgent
	subscriber *event.Subscriber
	stop       context.CancelFunc

	mu         sync.Mutex
	publishers []*event.Publisher
}

// Start makes an agent that can be reached. When the machine has slept it
// refreshes all it holds at once.
func Start(ctx context.Context, cfg Config) (*Agent, error) {
	ua, err := useragent.New(cfg)
	if err != nil {
		return nil, err
	}
	a := &Agent{UserAgent: ua, subscriber: event.NewSubscriber(event.SubscriberConfig{Wire: ua.Wire, Authenticate: ua.Authenticate, Log: cfg.Log})}
	ua.Stack.Handle("NOTIFY", a.subscriber.Notify)
	ua.Stack.Extensions("eventlist") // that NOTIFYs of lists require (RFC 4662 section 4.1)
	if err := ua.Listen(ctx); err != nil {
		return nil, err
	}
	ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	go useragent.Slept(ctx, nil, a.awake)
	return a, nil
}

// Close ends the agent at once.
func (a *Agent) Close() error {
	a.stop()
	return a.UserAgent.Close()
}

// awake refreshes what may have run out.
func (a *Agent) awake() {
	a.subscriber.Awake()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.publishers {
		p.Awake()
	}
}

// Subscribe makes a subscription of this user. From, Contact and Route.Hop of
// o are filled in; its NOTIFYs are to come over the flow of the SUBSCRIBE (RFC
// 5626 section 4.3). Where the transport is open TCP is tried first, since a
// notifier may have more to say than fits a datagram, and UDP after it.
func (a *Agent) Subscribe(ctx context.Context, o event.SubscribeOptions) (*event.Subscription, error) {
	o.From, o.Route.Hop = a.AOR, a.Proxy
	o.Contact = func(to stack.Target) string { return a.Contact(to) + ";ob" }
	o.Fields = append(slices.Clip(o.Fields), stack.Field{Name: "Supported", Value: "outbound"})
	if o.Route.Hop.Addr == "" || o.Route.Hop.Transport != "" {
		return a.subscriber.Subscribe(ctx, o)
	}
	o.Route.Hop.Transport = "tcp"
	s, err := a.subscriber.Subscribe(ctx, o)
	if errors.Is(err, stack.ErrTransport) {
		o.Route.Hop.Transport = "udp"
		return a.subscriber.Subscribe(ctx, o)
	}
	return s, err
}

// Publisher makes a publisher of this user for a presentity.
func (a *Agent) Publisher(o PublishOptions) (*event.Publisher, error) {
	p, err := event.NewPublisher(event.PublisherConfig{Wire: a.Wire, Authenticate: a.Authenticate, Resource: o.Presentity, From: a.AOR, Event: o.Event,
		Expires: o.Expires, Tag: o.Tag, Route: event.Route{Hop: a.Proxy}})
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.publishers = append(a.publishers, p)
	}
	return p, err
}

// PublishOptions say what is published.
type PublishOptions struct {
	Presentity string // URI
	Event      header.Event
	Expires    time.Duration // 0: the compositor chooses
	Tag        string        // of a publication to go on with, "" to begin one
}
