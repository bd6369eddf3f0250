package event_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

// due waits until the next request of the client, and gives how long that took.
func (w *clientWire) due(limit time.Duration) (*call, time.Duration) {
	w.t.Helper()
	start := time.Now()
	late := time.After(limit)
	for {
		synctest.Wait()
		w.mu.Lock()
		n := len(w.out)
		w.mu.Unlock()
		if n > 0 {
			c := w.next()
			return c, c.at.Sub(start)
		}
		select {
		case <-w.some:
		case <-late:
			w.t.Fatalf("nothing was sent within %v", limit)
		}
	}
}

func TestSubscriberRefresh(t *testing.T) {
	t.Run("EVT-033 a refresh is sent in the dialog, with the same Event, before expiry", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.subscribed(watching())
			c, after := r.wire.due(time.Hour)
			if after >= time.Hour || after < 50*time.Minute {
				t.Fatalf("refreshed after %v", after)
			}
			c.wants("Event", n.sub.one("Event"))
			c.wants("Call-ID", n.sub.one("Call-ID"))
			c.wants("Expires", "3600")
			c.wants("Contact", "<sip:alice@192.0.2.1:5060>")
			if c.tag("From") != n.sub.tag("From") || c.tag("To") != n.tag || c.seq() != n.sub.seq()+1 || c.Recipient.String() != n.contact {
				t.Fatalf("not in the dialog:\n%s", c.Request)
			}
		})
	})
	t.Run("EVT-034 a refresh repeats Accept and Supported but not the body", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Body, o.BodyType = []byte("<list/>"), "application/resource-lists+xml"
			o.BodyFields = []stack.Field{{Name: "Require", Value: "recipient-list-subscribe"}}
			o.Fields = []stack.Field{{Name: "Supported", Value: "eventlist"}}
			r.subscribed(o)
			c, _ := r.wire.due(time.Hour)
			c.wants("Accept", "application/pidf+xml")
			c.wants("Supported", "eventlist")
			none(t, c.Request, "Require")
			none(t, c.Request, "Content-Type")
			if len(c.Body()) > 0 {
				t.Fatalf("body %q", c.Body())
			}
		})
	})
}

func TestSubscriberRefreshInTime(t *testing.T) {
	t.Run("EVT-028 the duration granted counts, not the one asked for", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			c := r.wire.next()
			n := r.notifier(c, "n1")
			c.answer(200, "n1", "Expires: 60")
			n.accepts("active", "")
			c, after := r.wire.due(2 * time.Minute)
			if after >= time.Minute {
				t.Fatalf("refreshed after %v", after)
			}
			c.answer(200, "", "Expires: 20")
			n.accepts("active", "")
			if _, after = r.wire.due(2 * time.Minute); after >= 20*time.Second {
				t.Fatalf("refreshed again after %v", after)
			}
		})
	})
	t.Run("EVT-028 a duration longer than asked for is not believed", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Expires = time.Minute
			r.begin(o)
			c := r.wire.next()
			c.answer(200, "n1", "Expires: 3600")
			r.notifier(c, "n1").accepts("active", "")
			if _, after := r.wire.due(2 * time.Minute); after >= time.Minute {
				t.Fatalf("refreshed after %v", after)
			}
		})
	})
	t.Run("EVT-029 expires in a NOTIFY overrides the duration", func(t *testing.T) {
		for _, state := range []string{"active", "pending", "snoozing"} {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				_, n := r.subscribed(watching())
				n.accepts(state+";expires=20", "")
				if _, after := r.wire.due(time.Hour); after >= 20*time.Second {
					t.Fatalf("%s: refreshed after %v", state, after)
				}
			})
		}
	})
	t.Run("EVT-029 a NOTIFY before the response has the last word", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			c := r.wire.next()
			r.notifier(c, "n1").accepts("active;expires=20", "")
			c.answer(200, "n1", "Expires: 3600")
			if _, after := r.wire.due(time.Hour); after >= 20*time.Second {
				t.Fatalf("refreshed after %v", after)
			}
		})
	})
}

func TestSubscriberRefreshAgain(t *testing.T) {
	t.Run("EVT-031 a refresh answered 423 asks for what is needed, once", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Expires = time.Minute
			s, n := r.subscribed(o)
			n.accepts("active;expires=60", "")
			c, _ := r.wire.due(time.Minute)
			c.answer(423, "", "Min-Expires: 90")
			again := r.wire.next()
			again.wants("Expires", "90")
			if again.seq() != c.seq()+1 {
				t.Fatalf("CSeq %d after %d", again.seq(), c.seq())
			}
			again.answer(423, "", "Min-Expires: 120")
			r.wire.silent()
			all := expectEvents(t, s, "subscribed notify notify failed")
			expectStatus(t, all[3].Err, 423)
		})
	})
	t.Run("EVT-031 what a 423 asked for is asked from then on, and may be raised again", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Expires = time.Minute
			_, n := r.subscribed(o)
			n.accepts("active;expires=60", "")
			c, _ := r.wire.due(time.Minute)
			c.answer(423, "", "Min-Expires: 90")
			r.wire.next().answer(200, "", "Expires: 90")
			n.accepts("active;expires=90", "")
			c, _ = r.wire.due(90 * time.Second)
			c.wants("Expires", "90")
			c.answer(423, "", "Min-Expires: 120")
			r.wire.next().wants("Expires", "120")
		})
	})
	t.Run("EVT-041 a refetch asks for the time that is left", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			pass(10 * time.Minute)
			s.Refetch("")
			c := r.wire.next()
			c.wants("Expires", "3000")
			s.Refetch(n.tag) // waits for the first
			r.wire.silent()
			c.answer(200, "", "Expires: 3000")
			n.accepts("active;expires=3000", "<presence/>")
			r.wire.next().answer(200, "", "Expires: 3000")
			s.Refetch("another")
			r.wire.silent()
			expectEvents(t, s, "subscribed notify refreshed notify refreshed")
		})
	})
}

func TestSubscriberRefreshFails(t *testing.T) {
	for _, status := range []int{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604} {
		t.Run(fmt.Sprintf("EVT-035 a refresh answered %d ends the subscription at once", status), func(t *testing.T) {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				s, n := r.subscribed(watching())
				c, _ := r.wire.due(time.Hour)
				c.answer(status, "")
				n.answers(481, "active;expires=100", "")
				all := expectEvents(t, s, "subscribed notify terminated end")
				expectStatus(t, all[3].Err, status)
				r.wire.silent()
			})
		})
	}
	t.Run("EVT-035 EVT-037 with resubscription a new subscription is made at once", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Resubscribe = true
			s, n := r.subscribed(o)
			c, _ := r.wire.due(time.Hour)
			c.answer(481, "")
			fresh := r.wire.next()
			if fresh.tag("To") != "" || fresh.one("Call-ID") == n.sub.one("Call-ID") || fresh.tag("From") == n.sub.tag("From") {
				t.Fatalf("not a new subscription:\n%s", fresh.Request)
			}
			r.answered(fresh)
			expectEvents(t, s, "subscribed notify terminated resubscribe subscribed notify")
		})
	})
	for _, status := range []int{401, 403, 408, 500, 503} {
		t.Run(fmt.Sprintf("EVT-036 after %d to a refresh the subscription lives until it expires", status), func(t *testing.T) {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				s, n := r.subscribed(watching())
				c, after := r.wire.due(time.Hour)
				c.answer(status, "", "Retry-After: 3600")
				pass(33 * time.Second)
				n.accepts("active", "") // past timer N
				pass(time.Hour - after - 34*time.Second)
				n.accepts("active", "")
				pass(2 * time.Second)
				n.answers(481, "active", "")
				all := expectEvents(t, s, "subscribed notify failed notify notify terminated end")
				expectStatus(t, all[2].Err, status)
				if all[6].Reason != "timeout" {
					t.Fatalf("%+v", all[6])
				}
				r.wire.silent()
			})
		})
	}
}

func TestSubscriberRefreshKept(t *testing.T) {
	t.Run("a refresh that was forbidden is not tried again", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			c.answer(403, "")
			pass(time.Hour)
			r.wire.silent()
		})
	})
	t.Run("a refresh that failed for a while is tried again", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			c.answer(503, "")
			c, _ = r.wire.due(6 * time.Minute)
			c.fail(stack.ErrTransport)
			c, _ = r.wire.due(6 * time.Minute)
			c.answer(200, "", "Expires: 3600")
			n.accepts("active;expires=3600", "")
			expectEvents(t, s, "subscribed notify failed failed refreshed notify")
		})
	})
}

func TestSubscriberRefreshSilent(t *testing.T) {
	t.Run("EVT-013 a refresh without a NOTIFY ends the subscription after 64*T1", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			c.answer(200, "", "Expires: 3600")
			pass(time.Until(c.at.Add(31999 * time.Millisecond)))
			expectEvents(t, s, "subscribed notify refreshed")
			pass(time.Millisecond)
			all := expectEvents(t, s, "terminated end")
			if !errors.Is(all[1].Err, event.ErrNoNotify) {
				t.Fatalf("%v", all[1].Err)
			}
			n.answers(481, "active;expires=3600", "")
		})
	})
	t.Run("EVT-013 an unanswered refresh ends the subscription too", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			c.answer(200, "", "Expires: 3600")
			n.accepts("active;expires=3600", "")
			events(s)
			c, _ = r.wire.due(time.Hour)
			c.fail(stack.ErrTimeout)
			all := expectEvents(t, s, "terminated end")
			if !errors.Is(all[1].Err, stack.ErrTimeout) || errors.Is(all[1].Err, event.ErrNoNotify) {
				t.Fatalf("%v", all[1].Err)
			}
		})
	})
	t.Run("a NOTIFY proves the subscription even when the refresh is not answered", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			n.accepts("active;expires=3600", "")
			pass(32 * time.Second)
			c.fail(stack.ErrTimeout)
			n.accepts("active;expires=3500", "")
			expectEvents(t, s, "subscribed notify notify failed notify")
		})
	})
	t.Run("EVT-014 after a 204 to a refresh no NOTIFY is waited for", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			c, _ := r.wire.due(time.Hour)
			c.answer(204, "", "Expires: 1800")
			pass(40 * time.Second)
			n.accepts("active;expires=1700", "")
			all := expectEvents(t, s, "subscribed notify refreshed notify")
			if all[2].Expires != 30*time.Minute {
				t.Fatalf("lasts %v", all[2].Expires)
			}
		})
	})
}

func TestSubscriberInDialogNotify(t *testing.T) {
	t.Run("EVT-057 the Contact of a NOTIFY becomes the target", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.subscribed(watching())
			n.contact = "sip:bob@192.0.2.77:5099"
			n.accepts("active;expires=60", "")
			c, _ := r.wire.due(time.Minute)
			if c.Recipient.String() != n.contact || c.out.Target.Addr != "192.0.2.77:5099" {
				t.Fatalf("sent to %s at %+v", c.Recipient.String(), c.out.Target)
			}
		})
	})
	t.Run("EVT-057 the Contact of a NOTIFY that is not accepted is not taken", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.subscribed(watching())
			n.accepts("active;expires=60", "")
			n.seq, n.contact = 0, "sip:bob@192.0.2.77:5099"
			n.answers(500, "active;expires=60", "")
			if c, _ := r.wire.due(time.Minute); c.Recipient.String() != "sip:bob@192.0.2.9:5060" {
				t.Fatalf("sent to %s", c.Recipient.String())
			}
		})
	})
	t.Run("EVT-058 PRS-009 a NOTIFY with a lower CSeq is answered 500 and changes nothing", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			n.seq = 10
			n.accepts("active;expires=3000", "")
			n.seq = 5
			n.answers(500, "terminated;reason=rejected", "")
			n.seq = 11
			n.accepts("active;expires=3000", "")
			expectEvents(t, s, "subscribed notify notify notify")
		})
	})
	t.Run("EVT-054 reason and retry-after mean nothing while a subscription lives", func(t *testing.T) {
		for _, state := range []string{"active", "pending"} {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				s, n := r.subscribed(watching())
				n.accepts(state+";expires=3600;reason=rejected;retry-after=1", "")
				n.accepts(state, "")
				expectEvents(t, s, "subscribed notify notify notify")
				if _, after := r.wire.due(time.Hour); after < 50*time.Minute {
					t.Fatalf("%s: SUBSCRIBE after %v", state, after)
				}
			})
		}
	})
	t.Run("PRS-009 a NOTIFY without body is told apart from an empty state", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.subscribed(watching())
			n.accepts("active", "")
			all := expectEvents(t, s, "subscribed notify notify")
			if all[1].Notification.Body == nil || all[2].Notification.Body != nil {
				t.Fatalf("%+v", all)
			}
		})
	})
	t.Run("EVT-056 the answer to a NOTIFY has neither body nor Event", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.subscribed(watching())
			if res := n.notify("active;expires=60", "<presence/>"); res.Status != 200 || len(res.Body) > 0 || len(res.Fields) > 0 {
				t.Fatalf("%+v", res)
			}
		})
	})
}

func TestSubscriberSecureContact(t *testing.T) {
	t.Run("EVT-011 Contact is a sips URI when the resource is", func(t *testing.T) {
		for target, want := range map[string]string{"SIPS:bob@example.com": "<sips:alice@192.0.2.1:5061>", "sip:bob@example.com": "<sip:alice@192.0.2.1:5061;transport=tls>"} {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				o := watching()
				o.Target = target
				o.Contact = func(stack.Target) string { return "sip:alice@192.0.2.1:5061;transport=tls" }
				r.begin(o)
				c := r.wire.next()
				c.wants("Contact", want)
				r.answered(c)
				c, _ = r.wire.due(time.Hour)
				c.wants("Contact", want)
			})
		}
	})
}
