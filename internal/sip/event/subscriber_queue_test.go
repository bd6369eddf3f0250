package event_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

func TestSubscriberSlowReader(t *testing.T) {
	t.Run("EVT-055 a NOTIFY is answered though nobody reads", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.subscribed(watching())
			start := time.Now()
			for range 100 {
				n.accepts("active", "<presence/>")
			}
			if d := time.Since(start); d > 0 {
				t.Fatalf("took %v", d)
			}
		})
	})
	t.Run("what does not fit is refused, and asked for when there is room", func(t *testing.T) {
		withSubscriberConfig(t, event.SubscriberConfig{Queue: 4}, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			n.accepts("active", "1")
			n.accepts("active", "2")
			res := n.notify("active", "3")
			if res.Status != 503 || len(res.Fields) != 1 || res.Fields[0].Name != "Retry-After" {
				t.Fatalf("%+v", res)
			}
			next(t, s)
			r.wire.silent()
			next(t, s)
			c := r.wire.next()
			c.wants("Expires", "3600")
			c.answer(200, "", "Expires: 3600")
			n.accepts("active;expires=3600", "all")
			expectEvents(t, s, "notify notify refreshed notify")
			r.wire.silent()
		})
	})
	t.Run("a NOTIFY that is refused counts for timer N", func(t *testing.T) {
		withSubscriberConfig(t, event.SubscriberConfig{Queue: 2}, func(t *testing.T, r *subscriberRig) {
			_, n := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			c.answer(200, "", "Expires: 3600")
			n.answers(503, "active", "")
			pass(40 * time.Second)
			n.answers(503, "active", "")
		})
	})
	t.Run("the last NOTIFY of a subscription is never refused", func(t *testing.T) {
		withSubscriberConfig(t, event.SubscriberConfig{Queue: 2}, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			n.answers(503, "active", "")
			n.accepts("terminated;reason=noresource", "")
			expectEvents(t, s, "subscribed notify notify terminated end")
		})
	})
	t.Run("events without a reader are bounded, but the end is told", func(t *testing.T) {
		withSubscriberConfig(t, event.SubscriberConfig{Queue: 1}, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			for range 200 {
				s.Refetch("")
				r.wire.next().answer(200, "", "Expires: 3600")
				n.answers(503, "active", "")
			}
			n.accepts("terminated;reason=noresource", "")
			all := events(s)
			if len(all) > 70 || all[len(all)-1].Kind != event.OnEnd {
				t.Fatalf("%d events, the last %+v", len(all), all[len(all)-1])
			}
		})
	})
}

func next(t *testing.T, s *event.Subscription) event.SubscriptionEvent {
	t.Helper()
	e, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSubscriberNext(t *testing.T) {
	withSubscriber(t, func(t *testing.T, r *subscriberRig) {
		o := watching()
		o.Resubscribe = true
		s, n := r.subscribed(o)
		events(s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Next(ctx); err != context.DeadlineExceeded {
			t.Fatalf("waited for nothing and got %v", err)
		}
		got := make(chan event.SubscriptionEvent, 3)
		for range cap(got) {
			go func() { got <- next(t, s) }()
		}
		pass(0)
		n.accepts("terminated;reason=deactivated", "") // three events, two of them at once
		for range cap(got) {
			<-got
		}
		r.answered(r.wire.next()).accepts("terminated;reason=rejected", "")
		expectEvents(t, s, "subscribed notify notify terminated end")
		if _, err := s.Next(t.Context()); err != io.EOF {
			t.Fatalf("after the end: %v", err)
		}
	})
}

// credentials answers challenges of one realm, once.
func credentials(res *sip.Response, o *stack.Outgoing) (*stack.Outgoing, error) {
	if res.GetHeader("WWW-Authenticate") == nil {
		return nil, errNoChallenge
	}
	retry := *o
	retry.Head = append(append([]byte(nil), o.Head...), "Authorization: Digest realm=\"r\"\r\n"...)
	return &retry, nil
}

var errNoChallenge = errors.New("no challenge to answer")

func TestSubscriberAuthenticates(t *testing.T) {
	run := func(t *testing.T, f func(*testing.T, *subscriberRig)) {
		withSubscriberConfig(t, event.SubscriberConfig{Authenticate: credentials}, f)
	}
	const challenge = `WWW-Authenticate: Digest realm="r", nonce="n"`
	t.Run("an initial SUBSCRIBE is repeated with credentials", func(t *testing.T) {
		run(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			none(t, c.Request, "Authorization")
			c.answer(401, "n1", challenge)
			again := r.wire.next()
			again.wants("Authorization", `Digest realm="r"`)
			if again.seq() != c.seq()+1 || again.one("Call-ID") != c.one("Call-ID") || again.one("From") != c.one("From") {
				t.Fatalf("not the same request:\n%s", again.Request)
			}
			r.answered(again)
			tr.ok()
			refresh, _ := r.wire.due(time.Hour)
			if refresh.seq() != again.seq()+1 {
				t.Fatalf("CSeq %d after %d", refresh.seq(), again.seq())
			}
			refresh.answer(401, "", challenge)
			again = r.wire.next()
			again.wants("Authorization", `Digest realm="r"`)
			if again.seq() != refresh.seq()+1 || again.one("To") != refresh.one("To") {
				t.Fatalf("not the same request:\n%s", again.Request)
			}
		})
	})
	t.Run("a refresh that is always challenged is given up", func(t *testing.T) {
		run(t, func(t *testing.T, r *subscriberRig) {
			s, _ := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			for range 4 {
				c.answer(401, "", challenge)
				c = r.wire.next()
			}
			c.answer(401, "", challenge)
			r.wire.silent()
			expectEvents(t, s, "subscribed notify failed")
		})
	})
	t.Run("only 401 and 407 are challenges", func(t *testing.T) {
		run(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			r.wire.next().answer(403, "n1", challenge)
			expectStatus(t, tr.failed(), 403)
			r.wire.silent()
		})
	})
	t.Run("a challenge that cannot be answered is a refusal", func(t *testing.T) {
		run(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			r.wire.next().answer(407, "n1")
			expectStatus(t, tr.failed(), 407)
			r.wire.silent()
		})
	})
	t.Run("a server that is never content is given up", func(t *testing.T) {
		run(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			for range 5 {
				r.wire.next().answer(401, "n1", challenge)
			}
			expectStatus(t, tr.failed(), 401)
			r.wire.silent()
		})
	})
}
