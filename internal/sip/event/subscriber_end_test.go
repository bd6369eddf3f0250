package event_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

// closing is a Close that is under way.
type closing struct {
	t    *testing.T
	done chan error
}

func (r *subscriberRig) close(s *event.Subscription) *closing {
	c := &closing{r.t, make(chan error, 1)}
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	go func() {
		defer cancel()
		c.done <- s.Close(ctx)
	}()
	return c
}

// over gives what Close returned; the test fails while it still waits.
func (c *closing) over() error {
	c.t.Helper()
	pass(0)
	select {
	case err := <-c.done:
		return err
	default:
		c.t.Fatal("Close still waits")
		return nil
	}
}

func (c *closing) waits() {
	c.t.Helper()
	pass(0)
	if len(c.done) > 0 {
		c.t.Fatal("Close has returned")
	}
}

func TestSubscriberClose(t *testing.T) {
	t.Run("EVT-038 unsubscribing is a SUBSCRIBE with Expires 0 and waits for the last NOTIFY", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			closed := r.close(s)
			c := r.wire.next()
			c.wants("Expires", "0")
			if c.tag("To") != n.tag || c.seq() != n.sub.seq()+1 {
				t.Fatalf("not in the dialog:\n%s", c.Request)
			}
			c.answer(200, "", "Expires: 0")
			n.accepts("active;expires=10", "<presence/>") // crossed
			closed.waits()
			req := n.request("terminated;reason=timeout", "")
			res := r.Notify(t.Context(), req)
			closed.waits() // until the 200 is on its way
			n.answers(481, "active;expires=10", "")
			if res.Status != 200 {
				t.Fatalf("answered %d", res.Status)
			}
			res.Sent()
			if err := closed.over(); err != nil {
				t.Fatal(err)
			}
			expectEvents(t, s, "subscribed notify notify notify terminated end")
			if r.Count() != 0 {
				t.Fatal("state is left")
			}
		})
	})
	for _, body := range []string{"", "<presence/>"} {
		t.Run("EVT-039 the last NOTIFY may have a body or none", func(t *testing.T) {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				s, n := r.subscribed(watching())
				closed := r.close(s)
				r.wire.next().answer(200, "", "Expires: 0")
				n.accepts("terminated;reason=timeout", body)
				if err := closed.over(); err != nil {
					t.Fatal(err)
				}
				all := expectEvents(t, s, "subscribed notify notify terminated end")
				if got := string(all[2].Notification.Body); got != body {
					t.Fatalf("body %q", got)
				}
			})
		})
	}
	t.Run("EVT-013 without a last NOTIFY it ends after 64*T1", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			closed := r.close(s)
			r.wire.next().answer(200, "", "Expires: 0")
			n.accepts("active;expires=10", "") // crossed
			pass(31999 * time.Millisecond)
			closed.waits()
			pass(time.Millisecond)
			if err := closed.over(); !errors.Is(err, event.ErrNoNotify) || r.Count() != 0 {
				t.Fatalf("%v, %d left", err, r.Count())
			}
		})
	})
}

func TestSubscriberCloseRefused(t *testing.T) {
	t.Run("EVT-014 a 204 to it says that no NOTIFY follows", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, _ := r.subscribed(watching())
			closed := r.close(s)
			r.wire.next().answer(204, "")
			if err := closed.over(); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("a subscription that is gone already is unsubscribed", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, _ := r.subscribed(watching())
			closed := r.close(s)
			r.wire.next().answer(481, "")
			if err := closed.over(); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("one that had ended before needs nothing, whatever ended it", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, _ := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			c.answer(481, "")
			if err := r.close(s).over(); err != nil {
				t.Fatal(err)
			}
			r.wire.silent()
		})
	})
	t.Run("another refusal is told", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, _ := r.subscribed(watching())
			closed := r.close(s)
			r.wire.next().answer(500, "")
			expectStatus(t, closed.over(), 500)
		})
	})
}

func TestSubscriberCloseWaits(t *testing.T) {
	t.Run("it waits for a refresh in flight, which it must not overtake", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			refresh, _ := r.wire.due(time.Hour)
			closed := r.close(s)
			r.wire.silent()
			refresh.answer(200, "", "Expires: 3600")
			r.wire.next().wants("Expires", "0")
			n.accepts("terminated;reason=timeout", "")
			if err := closed.over(); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("the end of its context ends the subscription all the same", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			r.wire.next().answer(200, "", "Expires: 0")
			n.answers(481, "terminated;reason=timeout", "")
			expectEvents(t, s, "subscribed notify end")
		})
	})
	t.Run("it ends a pause before resubscription", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Resubscribe = true
			s, n := r.subscribed(o)
			n.accepts("terminated;reason=probation;retry-after=50", "")
			if err := r.close(s).over(); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
			r.wire.silent()
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("it waits for a resubscription under way and unsubscribes that", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Resubscribe = true
			s, n := r.subscribed(o)
			n.accepts("terminated;reason=deactivated", "")
			c := r.wire.next()
			closed := r.close(s)
			r.wire.silent()
			n = r.answered(c)
			r.wire.next().wants("Expires", "0")
			closed.waits()
			n.accepts("terminated;reason=timeout", "")
			if err := closed.over(); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("it unsubscribes every dialog", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.MultipleDialogs = true
			s, first := r.subscribed(o)
			second := r.notifier(first.sub, "n2")
			second.accepts("active;expires=60", "")
			closed := r.close(s)
			if a, b := r.wire.next().tag("To"), r.wire.next().tag("To"); a == b {
				t.Fatal("one dialog was unsubscribed twice")
			}
			first.accepts("terminated;reason=timeout", "")
			closed.waits()
			second.accepts("terminated;reason=timeout", "")
			if err := closed.over(); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func TestSubscriberTerminated(t *testing.T) {
	t.Run("EVT-043 terminated ends the subscription whatever expires says", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			n.accepts("terminated;expires=500;reason=giveup;retry-after=9", "")
			all := expectEvents(t, s, "subscribed notify notify terminated end")
			if e := all[4]; e.Reason != "giveup" || e.RetryAfter != 9*time.Second || e.Err != nil {
				t.Fatalf("%+v", e)
			}
			n.answers(481, "active;expires=500", "")
			pass(time.Hour)
			r.wire.silent()
		})
	})
	// wait -1: no resubscription.
	for _, c := range []struct {
		name, state string
		wait        time.Duration
	}{
		{"EVT-044 deactivated is resubscribed at once", "deactivated;retry-after=100", 0},
		{"EVT-045 probation waits for retry-after", "probation;retry-after=5", 5 * time.Second},
		{"EVT-045 probation without retry-after waits a while", "probation", 30 * time.Second},
		{"EVT-046 rejected is not resubscribed", "rejected;retry-after=1", -1},
		{"EVT-047 timeout may be resubscribed at once", "timeout;retry-after=100", 0},
		{"EVT-048 giveup waits for retry-after", "giveup;retry-after=7", 7 * time.Second},
		{"EVT-048 giveup without retry-after does not wait", "giveup", 0},
		{"EVT-049 noresource is not resubscribed", "noresource", -1},
		{"EVT-050 invariant is not resubscribed whatever retry-after says", "invariant;retry-after=1", -1},
		{"EVT-053 an unknown reason waits for retry-after", "weird;retry-after=5", 5 * time.Second},
		{"EVT-052 a reason that does not exist counts as none", "expired", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				o := watching()
				o.Resubscribe = true
				s, n := r.subscribed(o)
				n.routes = []string{"<sip:old.example.net;lr>"}
				n.accepts("terminated;reason="+c.state, "")
				if c.wait < 0 {
					expectEvents(t, s, "subscribed notify notify terminated end")
					pass(48 * time.Hour)
					r.wire.silent()
					return
				}
				all := events(s)
				if e := all[4]; e.Kind != event.OnResubscribe || e.Delay != c.wait {
					t.Fatalf("%+v", e)
				}
				if c.wait > 0 {
					pass(c.wait - time.Millisecond)
					r.wire.silent()
					pass(time.Millisecond)
				}
				fresh := r.wire.next()
				none(t, fresh.Request, "Route")
				if fresh.tag("To") != "" || fresh.one("Call-ID") == n.sub.one("Call-ID") {
					t.Fatalf("not a new subscription:\n%s", fresh.Request)
				}
				r.answered(fresh)
				expectEvents(t, s, "subscribed notify")
			})
		})
	}
}

func TestSubscriberResubscribes(t *testing.T) {
	t.Run("EVT-051 after badfilter the same filter is not sent again", func(t *testing.T) {
		for _, body := range []string{"", "<filter/>"} {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				o := watching()
				o.Resubscribe, o.Body, o.BodyType = true, []byte(body), "application/simple-filter+xml"
				_, n := r.subscribed(o)
				n.accepts("terminated;reason=badfilter", "")
				if body == "" {
					r.wire.next()
				} else {
					r.wire.silent()
				}
			})
		}
	})
	t.Run("a resubscription repeats the body", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Resubscribe, o.Body, o.BodyType = true, []byte("<list/>"), "application/resource-lists+xml"
			_, n := r.subscribed(o)
			n.accepts("terminated;reason=deactivated", "")
			if c := r.wire.next(); string(c.Body()) != "<list/>" {
				t.Fatalf("body %q", c.Body())
			}
		})
	})
	t.Run("a notifier that always ends the subscription is asked ever more rarely", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Resubscribe = true
			s, n := r.subscribed(o)
			var waits []time.Duration
			for range 5 {
				n.accepts("terminated;reason=deactivated", "")
				c, after := r.wire.due(time.Minute)
				waits = append(waits, after.Round(time.Second))
				n = r.answered(c)
			}
			if waits[0] != 0 || waits[1] != time.Second || waits[4] != 8*time.Second {
				t.Fatalf("waited %v", waits)
			}
			events(s)
			pass(10 * time.Minute)
			n.accepts("terminated;reason=deactivated", "")
			if _, after := r.wire.due(time.Minute); after != 0 {
				t.Fatalf("waited %v after a lasting subscription", after)
			}
		})
	})
}

func TestSubscriberResubscriptionFails(t *testing.T) {
	// again begins a resubscription of a subscription that had lasted.
	again := func(r *subscriberRig) (*event.Subscription, *call) {
		o := watching()
		o.Resubscribe = true
		s, n := r.subscribed(o)
		pass(10 * time.Minute)
		n.accepts("terminated;reason=deactivated", "")
		events(s)
		return s, r.wire.next()
	}
	t.Run("a failure that may pass is followed by another try", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, c := again(r)
			c.fail(stack.ErrTransport)
			c, after := r.wire.due(time.Minute)
			if after < time.Second {
				t.Fatalf("waited %v", after)
			}
			c.answer(503, "", "Retry-After: 20")
			if _, after = r.wire.due(time.Minute); after < 20*time.Second {
				t.Fatalf("waited %v", after)
			}
			pass(32 * time.Second) // timer N
			if c, _ = r.wire.due(time.Minute); c.tag("To") != "" {
				t.Fatal("not a new subscription")
			}
			expectEvents(t, s, "resubscribe resubscribe resubscribe")
		})
	})
	t.Run("a refusal ends it", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, c := again(r)
			c.answer(403, "")
			expectStatus(t, expectEvents(t, s, "end")[0].Err, 403)
			pass(time.Hour)
			r.wire.silent()
		})
	})
	t.Run("a first subscription is not tried again", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Resubscribe = true
			tr := r.begin(o)
			r.wire.next().answer(503, "")
			expectStatus(t, tr.failed(), 503)
			pass(time.Hour)
			r.wire.silent()
		})
	})
}
