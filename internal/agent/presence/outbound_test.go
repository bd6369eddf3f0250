package presence

import (
	"strings"
	"testing"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestContactOfSubscriptions(t *testing.T) {
	t.Run("NAM-068 NOTIFYs are asked for over the flow of the SUBSCRIBE", func(t *testing.T) {
		for _, transport := range []string{"tcp", "udp"} {
			g := newGate(t, false, false)
			g.change(func() { g.final = stack.Answer(403) })
			a := g.agent(func(c *Config) { c.Proxy.Transport = transport })
			if _, err := a.Subscribe(g.ctx, event.SubscribeOptions{Target: "sip:bob@example.com", Event: header.Event{Package: "presence"}}); err == nil {
				t.Fatal("subscribed")
			}
			r := g.requests()[0]
			contact := header.Values(r, "Contact")
			if len(contact) != 1 || !strings.HasSuffix(contact[0], ";ob>") {
				t.Errorf("%s: Contact %q", transport, contact)
			}
			if got := header.List(r, "Supported"); len(got) != 1 || got[0] != "outbound" {
				t.Errorf("%s: Supported %q", transport, got)
			}
		}
	})
}
