package event_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// peerWire takes requests to the handler of the other side and its answers
// back, both through their bytes.
type peerWire struct {
	t       *testing.T
	handler stack.Handler
}

func (w *peerWire) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	r := parseRequest(w.t, o)
	go func() {
		res := w.handler(w.t.Context(), &stack.Request{Request: r})
		done(parseResponse(w.t, r, res), nil)
		if res.Sent != nil {
			res.Sent()
		}
	}()
}

// weather is a package with one text for all resources.
type weather struct {
	mu   sync.Mutex
	now  string
	mark event.Mark
}

func (*weather) Name() string    { return "weather" }
func (*weather) Types() []string { return []string{"text/plain"} }
func (*weather) Defaults() event.Defaults {
	return event.Defaults{MinExpires: time.Minute, MaxExpires: 10 * time.Minute}
}
func (w *weather) Open(context.Context, event.Request) (event.View, event.Decision, error) {
	return w, event.Decision{}, nil
}
func (*weather) Key() string  { return "all" }
func (*weather) Close(string) {}
func (w *weather) Render(event.Mark) (event.Body, event.Mark, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return event.Body{Type: "text/plain", Bytes: []byte(w.now)}, w.mark, nil
}
func (*weather) Check(contentType string, body []byte) (event.Doc, error) {
	if contentType != "text/plain" {
		return event.Doc{}, &event.UnsupportedType{Accept: []string{"text/plain"}}
	}
	return event.Doc{Type: contentType, Body: body}, nil
}

func (w *weather) set(n *event.Notifier, now string) {
	w.mu.Lock()
	w.now = now
	w.mark++
	w.mu.Unlock()
	n.Changed("weather", "sip:berlin@example.com")
}

// places are the resources: everybody at example.com.
type places struct{}

func (places) Resource(u header.URI) (string, bool) {
	return "sip:" + u.User + "@example.com", u.Host == "example.com"
}

// both is a subscriber and a notifier that talk with each other.
type both struct {
	*event.Subscriber
	*event.Notifier
	weather *weather
}

func withBoth(t *testing.T, f func(*testing.T, *both)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		up, down := &peerWire{t: t}, &peerWire{t: t}
		b := &both{weather: &weather{now: "calm", mark: 1}}
		b.Subscriber = event.NewSubscriber(event.SubscriberConfig{Wire: up})
		b.Notifier = event.NewNotifier(event.NotifierConfig{Wire: down, Resources: places{},
			Contact: func(*stack.Request, string) string { return "sip:agent@192.0.2.9:5060;gr" }}, b.weather)
		up.handler, down.handler = b.Notifier.Subscribe, b.Notify
		defer b.Close()
		f(t, b)
	})
}

func forecast() event.SubscribeOptions {
	return event.SubscribeOptions{Target: "sip:berlin@example.com", From: header.Address{URI: "sip:alice@example.com"},
		Event: header.Event{Package: "weather"}, Expires: time.Hour,
		Contact: func(stack.Target) string { return "sip:alice@192.0.2.1:5060" }}
}

// told are the bodies among events, and the states of NOTIFYs without one.
func told(all []event.SubscriptionEvent) string {
	var out []string
	for _, e := range all {
		if n := e.Notification; n != nil {
			out = append(out, fmt.Sprintf("%s:%s", n.State.State, n.Body))
		}
	}
	return strings.Join(out, " ")
}

func TestSubscriberWithNotifier(t *testing.T) {
	t.Run("a subscription lives through refreshes until it is closed", func(t *testing.T) {
		withBoth(t, func(t *testing.T, b *both) {
			s, err := b.Subscriber.Subscribe(t.Context(), forecast())
			if err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
			b.weather.set(b.Notifier, "storm")
			if got := told(events(s)); got != "active:calm active:storm" {
				t.Fatal(got)
			}
			pass(65 * time.Minute) // of ten minutes each
			all := events(s)
			refreshed := 0
			for _, e := range all {
				if e.Kind == event.OnRefreshed {
					refreshed++
				}
			}
			if refreshed < 6 || b.Notifier.Count() != 1 || strings.ReplaceAll(told(all), "active:storm", "") != strings.Repeat(" ", refreshed-1) {
				t.Fatalf("%d refreshes, %d subscriptions, %s", refreshed, b.Notifier.Count(), told(all))
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if synctest.Wait(); b.Notifier.Count() != 0 || b.Subscriber.Count() != 0 {
				t.Fatalf("%d and %d subscriptions are left", b.Notifier.Count(), b.Subscriber.Count())
			}
		})
	})
	t.Run("a fetch brings the state", func(t *testing.T) {
		withBoth(t, func(t *testing.T, b *both) {
			n, err := b.Fetch(t.Context(), forecast())
			if err != nil || string(n.Body) != "calm" || n.State.Reason != "timeout" {
				t.Fatalf("%+v, %v", n, err)
			}
		})
	})
}

func TestSubscriberWithStrictNotifier(t *testing.T) {
	t.Run("a short duration is raised", func(t *testing.T) {
		withBoth(t, func(t *testing.T, b *both) {
			o := forecast()
			o.Expires = time.Second
			s, err := b.Subscriber.Subscribe(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if e := next(t, s); e.Kind != event.OnSubscribed || e.Expires != time.Minute {
				t.Fatalf("%+v", e)
			}
			s.Close(t.Context())
		})
	})
	t.Run("a notifier that drains is subscribed to again", func(t *testing.T) {
		withBoth(t, func(t *testing.T, b *both) {
			o := forecast()
			o.Resubscribe = true
			s, err := b.Subscriber.Subscribe(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
			events(s)
			if err := b.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			all := expectEvents(t, s, "notify terminated resubscribe resubscribe")
			expectStatus(t, all[3].Err, 503) // it takes no more
			s.Close(t.Context())
		})
	})
	t.Run("a package that is not there is refused with those that are", func(t *testing.T) {
		withBoth(t, func(t *testing.T, b *both) {
			o := forecast()
			o.Event.Package = "tides"
			_, err := b.Subscriber.Subscribe(t.Context(), o)
			if e := expectStatus(t, err, 489); len(e.AllowEvents()) != 1 || e.AllowEvents()[0] != "weather" {
				t.Fatalf("%+v", e)
			}
		})
	})
}
