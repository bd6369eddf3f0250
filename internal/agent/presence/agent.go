// Package presence is the user agent of a watcher and a publisher: one SIP
// stack towards an account's proxy with the subscriber (RFC 6665) and the
// publishers (RFC 3903) on it. It knows nothing of documents.
package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
)

// Config holds who the agent acts as and where it sends.
type Config struct {
	AOR     header.Address // From
	Proxy   stack.Target   // first hop; zero: found from each target
	Product string         // User-Agent
	// Credentials gives user name and password for a realm, when a challenge asks
	// for them; nil takes challenges as refusals.
	Credentials func(realm string) (user, password string, err error)
	Unproven    func(error) // told when a server does not prove that it knows the password; may be nil
	Trace       func(stack.Record)
	Log         *slog.Logger
}

// Agent is a user agent. Close it.
type Agent struct {
	cfg        Config
	stack      *stack.Stack
	wire       event.Wire // the stack, with credentials if there are any
	auth       event.Authenticator
	subscriber *event.Subscriber
	user       string // of the Contact
}

// Start makes an agent that can be reached at the interface towards its proxy,
// over UDP and TCP at one free port.
func Start(ctx context.Context, cfg Config) (*Agent, error) {
	uri, err := header.ParseURI(cfg.AOR.URI)
	if err != nil {
		return nil, fmt.Errorf("identity %q: %w", cfg.AOR.URI, err)
	}
	a := &Agent{cfg: cfg, user: uri.User}
	a.stack = stack.New(stack.Config{Log: cfg.Log, Product: cfg.Product, Trace: cfg.Trace})
	a.wire = a.stack
	if cfg.Credentials != nil {
		c := identity.NewClient(identity.ClientConfig{Wire: a.stack, Credentials: cfg.Credentials, Unproven: cfg.Unproven})
		a.wire, a.auth = c, c.Answer
	}
	a.subscriber = event.NewSubscriber(event.SubscriberConfig{Wire: a.wire, Authenticate: a.auth, Log: cfg.Log})
	a.stack.Handle("NOTIFY", a.subscriber.Notify)
	host := localHost(ctx, cfg.Proxy.Addr)
	endpoints := []stack.Endpoint{{Transport: "udp", Addr: host}, {Transport: "tcp", Addr: host}}
	if err := a.stack.Listen(ctx, endpoints...); err != nil {
		a.stack.Close()
		return nil, err
	}
	return a, nil
}

// localHost is the address with port 0 to listen at for answers from peer:
// that of the interface towards it, all interfaces when peer is not known.
func localHost(ctx context.Context, peer string) string {
	if peer == "" {
		return ":0"
	}
	if _, _, err := net.SplitHostPort(peer); err != nil {
		peer = net.JoinHostPort(peer, "5060")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", peer) // sends nothing
	if err != nil {
		return ":0"
	}
	defer c.Close()
	local, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return ":0"
	}
	return net.JoinHostPort(local, "0")
}

// Close ends the agent at once. Subscriptions and publications that are to end
// for the other side too are to be closed before.
func (a *Agent) Close() error { return a.stack.Close() }

// contact is the URI under which the peer that to names reaches this agent.
func (a *Agent) contact(to stack.Target) string {
	transport := to.Transport
	if to.Flow != nil {
		transport = to.Flow.Transport()
	}
	if transport == "" {
		transport = "udp"
	}
	uri := "sip:"
	if a.user != "" {
		uri += a.user + "@"
	}
	uri += a.stack.ContactHost(transport, to.Addr)
	if transport != "udp" {
		uri += ";transport=" + transport
	}
	return uri
}

// Subscribe makes a subscription of this user. From, Contact and Route.Hop of
// o are filled in. Where the transport is open TCP is tried first, since a
// notifier may have more to say than fits a datagram, and UDP after it.
func (a *Agent) Subscribe(ctx context.Context, o event.SubscribeOptions) (*event.Subscription, error) {
	o.From, o.Contact, o.Route.Hop = a.cfg.AOR, a.contact, a.cfg.Proxy
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
	return event.NewPublisher(event.PublisherConfig{Wire: a.wire, Authenticate: a.auth, Resource: o.Presentity, From: a.cfg.AOR, Event: o.Event,
		Expires: o.Expires, Tag: o.Tag, Route: event.Route{Hop: a.cfg.Proxy}})
}

// PublishOptions say what is published.
type PublishOptions struct {
	Presentity string // URI
	Event      header.Event
	Expires    time.Duration // 0: the compositor chooses
	Tag        string        // of a publication to go on with, "" to begin one
}
