package event_test

import (
	"strings"
	"testing"
	"time"

	"imp/internal/sip/event"
)

func TestSubscriberForking(t *testing.T) {
	t.Run("EVT-022 PRS-010 the first dialog wins and others are answered 481", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			first, second := r.notifier(c, "n1"), r.notifier(c, "n2")
			first.accepts("active;expires=600", "")
			second.answers(481, "active;expires=600", "")
			c.answer(200, "n2", "Expires: 10") // of the one that lost
			first.accepts("active", "")
			s := tr.ok()
			pass(100 * time.Second)
			r.wire.silent() // or the refresh would follow the wrong 200
			first.accepts("terminated;reason=deactivated", "")
			second.answers(481, "active;expires=600", "")
			expectEvents(t, s, "subscribed notify notify notify terminated end")
		})
	})
	t.Run("EVT-023 with multiple dialogs every fork is a subscription of its own", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Event.Package, o.MultipleDialogs = "presence.winfo", true
			tr := r.begin(o)
			c := r.wire.next()
			first, second := r.notifier(c, "n1"), r.notifier(c, "n2")
			first.accepts("active;expires=60", "")
			c.answer(200, "n1", "Expires: 3600")
			pass(20 * time.Second)
			second.accepts("active;expires=600", "")
			s := tr.ok()
			pass(12 * time.Second)
			r.notifier(c, "n3").answers(481, "active;expires=60", "") // timer N is over: EVT-019
			refresh := r.wire.next()
			if refresh.tag("To") != "n1" || refresh.at.Sub(c.at) >= time.Minute {
				t.Fatalf("refreshed %s after %v", refresh.tag("To"), refresh.at.Sub(c.at))
			}
			refresh.answer(200, "", "Expires: 3600")
			first.accepts("active;expires=3600", "")
			pass(time.Until(c.at.Add(561 * time.Second)))
			if refresh = r.wire.next(); refresh.tag("To") != "n2" {
				t.Fatalf("refreshed %s", refresh.tag("To"))
			}
			r.wire.silent()
			first.accepts("terminated;reason=noresource", "")
			refresh.answer(200, "", "Expires: 600")
			second.accepts("active;expires=600", "")
			expectEvents(t, s, "subscribed notify subscribed notify refreshed notify notify terminated refreshed notify")
			second.accepts("terminated;reason=noresource", "")
			expectEvents(t, s, "notify terminated end")
		})
	})
}

func TestSubscriberForksEnd(t *testing.T) {
	t.Run("a fork that ended stays so while others live", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.MultipleDialogs = true
			s, first := r.subscribed(o)
			second := r.notifier(first.sub, "n2")
			second.accepts("active;expires=60", "")
			second.accepts("terminated;reason=deactivated", "")
			second.answers(481, "active;expires=60", "")
			pass(10 * time.Minute)
			r.wire.silent()
			first.accepts("active", "")
			expectEvents(t, s, "subscribed notify subscribed notify notify terminated notify")
		})
	})
	t.Run("the forks of one SUBSCRIBE are bounded", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.MultipleDialogs = true
			r.begin(o)
			c := r.wire.next()
			for i := range 32 {
				r.notifier(c, "n"+strings.Repeat("x", i)).accepts("active;expires=60", "")
			}
			r.notifier(c, "many").answers(481, "active;expires=60", "")
		})
	})
}

// fetch begins a Fetch. The function gives what it must have returned by then.
func (r *subscriberRig) fetch(o event.SubscribeOptions) (*call, func() (*event.Notification, error)) {
	type result struct {
		n   *event.Notification
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := r.Fetch(r.t.Context(), o)
		done <- result{n, err}
	}()
	return r.wire.next(), func() (*event.Notification, error) {
		r.t.Helper()
		r.wire.silent()
		select {
		case got := <-done:
			return got.n, got.err
		default:
			r.t.Fatal("Fetch still waits")
			return nil, nil
		}
	}
}

func TestSubscriberFetch(t *testing.T) {
	t.Run("EVT-107 a template package is probed for with a fetch", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Event.Package = "presence.winfo"
			c, result := r.fetch(o)
			c.wants("Event", "presence.winfo")
			c.wants("Expires", "0")
			c.answer(489, "n1")
			_, err := result()
			expectStatus(t, err, 489)
		})
	})
	t.Run("EVT-040 a fetch asks with Expires 0 and ends with its one NOTIFY", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			c, result := r.fetch(watching())
			c.wants("Expires", "0")
			c.answer(200, "n1", "Expires: 0")
			n := r.notifier(c, "n1")
			n.contact = "" // it makes no dialog
			n.accepts("terminated;reason=timeout", "<presence/>")
			got, err := result()
			if err != nil || got.State.Reason != "timeout" || string(got.Body) != "<presence/>" {
				t.Fatalf("%+v, %v", got, err)
			}
			if r.Count() != 0 {
				t.Fatal("state is left")
			}
		})
	})
	t.Run("a refused fetch is an error", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			c, result := r.fetch(watching())
			c.answer(403, "n1")
			_, err := result()
			expectStatus(t, err, 403)
		})
	})
	t.Run("a fetch that is answered 204 has nothing to tell", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			c, result := r.fetch(watching())
			c.answer(204, "n1")
			if n, err := result(); n != nil || err != nil {
				t.Fatalf("%+v, %v", n, err)
			}
		})
	})
}

func TestSubscriberFetchWaits(t *testing.T) {
	t.Run("a fetch waits for its last NOTIFY, which may be without state", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			c, result := r.fetch(watching())
			c.answer(200, "n1", "Expires: 0")
			n := r.notifier(c, "n1")
			n.accepts("active", "<presence/>")
			pass(10 * time.Second)
			n.accepts("terminated;reason=timeout", "")
			if got, err := result(); err != nil || string(got.Body) != "<presence/>" {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	})
	t.Run("a fetch waits for its last NOTIFY but takes an earlier one", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			c, result := r.fetch(watching())
			c.answer(200, "n1", "Expires: 0")
			n := r.notifier(c, "n1")
			n.accepts("active;expires=0", "<presence/>")
			pass(32 * time.Second)
			if got, err := result(); err != nil || string(got.Body) != "<presence/>" {
				t.Fatalf("%+v, %v", got, err)
			}
			n.answers(481, "terminated;reason=timeout", "")
		})
	})
}
