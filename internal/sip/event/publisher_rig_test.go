package event_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// publisherRig is a publisher against a compositor that the test plays.
type publisherRig struct {
	*event.Publisher
	t    *testing.T
	wire *clientWire
}

// publishing is the config of bob's publisher.
func publishing() event.PublisherConfig {
	return event.PublisherConfig{
		Resource: "sip:bob@example.com",
		From:     header.Address{Display: "Bob", URI: "sip:bob@example.com"},
		Event:    header.Event{Package: "presence"},
		Expires:  time.Hour,
	}
}

// withPublisher gives f a rig in a bubble of synthetic time.
func withPublisher(t *testing.T, f func(*testing.T, *publisherRig)) {
	t.Helper()
	withPublisherConfig(t, publishing(), f)
}

func withPublisherConfig(t *testing.T, cfg event.PublisherConfig, f func(*testing.T, *publisherRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newClientWire(t)
		defer w.close()
		f(t, newPublisherRig(t, w, cfg))
	})
}

func newPublisherRig(t *testing.T, w *clientWire, cfg event.PublisherConfig) *publisherRig {
	t.Helper()
	cfg.Wire = w
	p, err := event.NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &publisherRig{p, t, w}
}

// pending is an operation that is under way.
type pending struct {
	t    *testing.T
	done chan struct{}
	got  event.Published
	err  error
}

func (r *publisherRig) start(f func(context.Context) (event.Published, error)) *pending {
	p := &pending{t: r.t, done: make(chan struct{})}
	go func() {
		p.got, p.err = f(r.t.Context())
		close(p.done)
	}()
	synctest.Wait()
	return p
}

// pidf is a document of that text.
func pidf(text string) event.Doc { return event.Doc{Type: "application/pidf+xml", Body: []byte(text)} }

func (r *publisherRig) publish(text string) *pending {
	return r.start(func(ctx context.Context) (event.Published, error) { return r.Publish(ctx, pidf(text)) })
}

func (r *publisherRig) refresh() *pending { return r.start(r.Refresh) }

func (r *publisherRig) remove() *pending {
	return r.start(func(ctx context.Context) (event.Published, error) { return event.Published{}, r.Remove(ctx) })
}

// waits fails when the operation is over.
func (p *pending) waits() {
	p.t.Helper()
	synctest.Wait()
	select {
	case <-p.done:
		p.t.Fatalf("returned %+v, %v", p.got, p.err)
	default:
	}
}

func (p *pending) over() {
	p.t.Helper()
	synctest.Wait()
	select {
	case <-p.done:
	default:
		p.t.Fatal("still waits")
	}
}

// ok is the success that the operation must have come to.
func (p *pending) ok() event.Published {
	p.t.Helper()
	if p.over(); p.err != nil {
		p.t.Fatal(p.err)
	}
	return p.got
}

// failed is the error that the operation must have come to.
func (p *pending) failed() error {
	p.t.Helper()
	if p.over(); p.err == nil {
		p.t.Fatalf("succeeded: %+v", p.got)
	}
	return p.err
}

// published is a publisher whose initial publication got tag a for an hour.
func (r *publisherRig) published() *call {
	r.t.Helper()
	p := r.publish("<one/>")
	c := r.wire.next()
	c.answer(200, "", "SIP-ETag: a", "Expires: 3600")
	p.ok()
	return c
}

func TestPublisherConfigRefused(t *testing.T) {
	for name, change := range map[string]func(*event.PublisherConfig){
		"resource": func(c *event.PublisherConfig) { c.Resource = "bob" },
		"identity": func(c *event.PublisherConfig) { c.From.URI = "" },
		"event":    func(c *event.PublisherConfig) { c.Event.Package = "a, b" },
		"tag":      func(c *event.PublisherConfig) { c.Tag = "a, b" },
		"duration": func(c *event.PublisherConfig) { c.Expires = time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := publishing()
			change(&cfg)
			if _, err := event.NewPublisher(cfg); err == nil {
				t.Fatal("accepted")
			}
		})
	}
	p, err := event.NewPublisher(publishing())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []event.Doc{{Type: "application/pidf+xml"}, {Body: []byte("x")}} {
		if _, err := p.Publish(t.Context(), d); err == nil {
			t.Fatalf("published %+v", d)
		}
	}
	if _, err := p.Refresh(t.Context()); !errors.Is(err, event.ErrNotPublished) {
		t.Fatalf("Refresh of nothing: %v", err)
	}
	if err := p.Remove(t.Context()); err != nil {
		t.Fatalf("Remove of nothing: %v", err)
	}
}
