package event_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/store/memory"
)

// withCompositor gives f a publisher that talks with a compositor.
func withCompositor(t *testing.T, f func(t *testing.T, p *event.Publisher, restart func(), states func() []string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &peerWire{t: t}
		var compositor *event.Compositor
		stop := func() {}
		restart := func() {
			stop()
			kv := memory.New()
			ctx, cancel := context.WithCancel(context.Background())
			stop = func() { cancel(); kv.Close() }
			compositor = event.NewCompositor(event.CompositorConfig{Store: kv, Resources: places{}}, &weather{})
			ready := make(chan struct{})
			go compositor.Run(ctx, func() { close(ready) })
			<-ready
			w.handler = compositor.Publish
		}
		restart()
		defer func() { stop(); synctest.Wait() }()
		p, err := event.NewPublisher(event.PublisherConfig{Wire: w, Resource: "sip:berlin@example.com",
			From: header.Address{URI: "sip:sensor@example.com"}, Event: header.Event{Package: "weather"}, Expires: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		f(t, p, restart, func() (out []string) {
			pubs, err := compositor.Publications(t.Context(), "weather", "sip:berlin@example.com")
			if err != nil {
				t.Fatal(err)
			}
			for _, pub := range pubs {
				out = append(out, string(pub.Body))
			}
			return out
		})
	})
}

// plain is a document of that text.
func plain(text string) event.Doc { return event.Doc{Type: "text/plain", Body: []byte(text)} }

func TestPublisherWithCompositor(t *testing.T) {
	expect := func(t *testing.T, states func() []string, want ...string) {
		t.Helper()
		got := states()
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Fatalf("published %q, want %q", got, want)
		}
	}
	t.Run("a publication is made, changed, kept and removed", func(t *testing.T) {
		withCompositor(t, func(t *testing.T, p *event.Publisher, _ func(), states func() []string) {
			if _, err := p.Publish(t.Context(), plain("calm")); err != nil {
				t.Fatal(err)
			}
			expect(t, states, "calm")
			if got, err := p.Publish(t.Context(), plain("storm")); err != nil || got.Operation != event.OpModify {
				t.Fatalf("%+v, %v", got, err)
			}
			expect(t, states, "storm")
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
			defer cancel()
			refreshes := 0
			if err := p.Run(ctx, func(got event.Published, err error) {
				if refreshes++; err != nil || got.Operation != event.OpRefresh {
					t.Errorf("%+v, %v", got, err)
				}
			}); err != nil || refreshes < 24 {
				t.Fatalf("%d refreshes, %v", refreshes, err)
			}
			expect(t, states, "storm")
			if err := p.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			expect(t, states)
		})
	})
	t.Run("PAR-034 a change modifies, and where nothing is left the state is published that it leads to", func(t *testing.T) {
		withCompositor(t, func(t *testing.T, p *event.Publisher, restart func(), states func() []string) {
			change := event.Doc{Type: "text/plain", Body: []byte("change")}
			if got, err := p.PublishChange(t.Context(), change, plain("calm")); err != nil || got.Operation != event.OpInitial {
				t.Fatalf("%+v, %v", got, err)
			}
			expect(t, states, "calm")
			if got, err := p.PublishChange(t.Context(), change, plain("storm")); err != nil || got.Operation != event.OpModify {
				t.Fatalf("%+v, %v", got, err)
			}
			expect(t, states, "change") // which this package takes for a state
			restart()
			if got, err := p.Refresh(t.Context()); err != nil || got.Operation != event.OpInitial {
				t.Fatalf("%+v, %v", got, err)
			}
			expect(t, states, "storm")
			restart()
			if got, err := p.PublishChange(t.Context(), change, plain("calm")); err != nil || got.Operation != event.OpInitial {
				t.Fatalf("%+v, %v", got, err)
			}
			expect(t, states, "calm")
		})
	})
	t.Run("PUB-013 a compositor that lost everything gets the document again", func(t *testing.T) {
		withCompositor(t, func(t *testing.T, p *event.Publisher, restart func(), states func() []string) {
			if _, err := p.Publish(t.Context(), plain("calm")); err != nil {
				t.Fatal(err)
			}
			restart()
			expect(t, states)
			if got, err := p.Refresh(t.Context()); err != nil || got.Operation != event.OpInitial {
				t.Fatalf("%+v, %v", got, err)
			}
			expect(t, states, "calm")
		})
	})
	t.Run("PUB-015 another body type is refused with those that are taken", func(t *testing.T) {
		withCompositor(t, func(t *testing.T, p *event.Publisher, _ func(), states func() []string) {
			_, err := p.Publish(t.Context(), event.Doc{Type: "text/html", Body: []byte("<p>")})
			if e := expectStatus(t, err, 415); len(e.Accept()) != 1 || e.Accept()[0] != "text/plain" {
				t.Fatalf("%+v", e)
			}
			expect(t, states)
		})
	})
}
