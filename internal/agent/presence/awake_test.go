package presence

import (
	"context"
	"testing"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestAwake(t *testing.T) {
	t.Run("PUB-013 a publication is refreshed after a sleep, and made anew when it is gone", func(t *testing.T) {
		g := newGate(t, false, false)
		a := g.agent(nil)
		p := g.publisher(a)
		if _, err := p.Publish(g.ctx, doc); err != nil {
			t.Fatal(err)
		}
		g.change(func() { g.final = &stack.Response{Status: 412, Reason: "Conditional Request Failed"} })
		ctx, stop := context.WithCancel(g.ctx)
		defer stop()
		got := make(chan event.Published, 1)
		ended := make(chan error, 1)
		go func() {
			ended <- p.Run(ctx, func(pub event.Published, err error) {
				if err == nil {
					got <- pub
				}
			})
		}()
		a.awake()
		if err := <-ended; err == nil { // the gate takes nothing now
			t.Fatal("a publication was made")
		}
		seen := g.requests()
		if len(seen) != 3 || header.Values(seen[1], "SIP-If-Match")[0] != "e1" || len(header.Values(seen[2], "SIP-If-Match")) != 0 {
			t.Fatalf("%d requests:\n%v", len(seen), seen)
		}
	})
}

func TestPoll(t *testing.T) {
	t.Run("EVT-042 the second look carries credentials on the first try", func(t *testing.T) {
		g := newGate(t, true, false)
		g.change(func() { g.final = stack.Answer(404) })
		a := g.agent(nil)
		for i, want := range []int{2, 3, 4} {
			o := event.SubscribeOptions{Target: "sip:alice@example.com", Event: header.Event{Package: "presence"}, Fetch: true}
			if _, err := a.Subscribe(g.ctx, o); err == nil {
				t.Fatal("it was not refused")
			}
			if n := len(g.requests()); n != want {
				t.Fatalf("%d requests after look %d", n, i+1)
			}
		}
	})
}
