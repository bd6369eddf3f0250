package event_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// careful are the options of a watcher who does not want to hear things twice.
func careful() event.SubscribeOptions {
	o := watching()
	o.Conditional = true
	return o
}

// tagged is a subscription whose first NOTIFY had the tag.
func (r *subscriberRig) tagged(o event.SubscribeOptions, tag string) (*event.Subscription, *notifier) {
	r.t.Helper()
	tr := r.begin(o)
	c := r.wire.next()
	n := r.notifier(c, "n1")
	n.etag = tag
	c.answer(200, n.tag, "Expires: 3600", "Contact: <sip:bob@192.0.2.9:5060>")
	n.accepts("active;expires=3600", "<presence/>")
	s := tr.ok()
	events(s)
	return s, n
}

func TestSubscriberConditional(t *testing.T) {
	t.Run("EVT-132 a refresh carries the last tag, byte for byte", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.tagged(careful(), "A.b!c~1%")
			n.etag = "z"
			n.accepts("active;expires=3600", "<presence/>")
			n.etag = "A.b!c~1%" // which may come again
			n.accepts("active;expires=3600", "<presence/>")
			c, _ := r.wire.due(time.Hour)
			c.wants("Suppress-If-Match", "A.b!c~1%")
		})
	})
	t.Run("EVT-132 a tag that cannot be one is not used", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.tagged(careful(), "a")
			n.etag = `"b"`
			n.accepts("active;expires=3600", "<presence/>")
			c, _ := r.wire.due(time.Hour)
			none(t, c.Request, "Suppress-If-Match")
		})
	})
	t.Run("EVT-132 a state without a tag has none, a NOTIFY without state leaves it", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.tagged(careful(), "a")
			n.etag = ""
			n.accepts("active;expires=3600", "")
			c, _ := r.wire.due(time.Hour)
			c.wants("Suppress-If-Match", "a")
			c.answer(200, n.tag, "Expires: 3600")
			n.accepts("active;expires=3600", "<presence/>")
			c, _ = r.wire.due(time.Hour)
			none(t, c.Request, "Suppress-If-Match")
		})
	})
	t.Run("EVT-135 without a tag, or without the wish, there is no condition", func(t *testing.T) {
		for _, o := range []event.SubscribeOptions{careful(), watching()} {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				tag := "a"
				if o.Conditional {
					tag = ""
				}
				s, n := r.tagged(o, tag)
				c, _ := r.wire.due(time.Hour)
				none(t, c.Request, "Suppress-If-Match")
				c.answer(200, n.tag, "Expires: 3600")
				n.accepts("active;expires=3600", "<presence/>")
				expectEvents(t, s, "refreshed notify")
			})
		}
	})
	t.Run("EVT-133 a 204 leaves state and subscription as they are, and prolongs", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.tagged(careful(), "a")
			c, _ := r.wire.due(time.Hour)
			c.answer(204, n.tag, "Expires: 1800")
			if e := expectEvents(t, s, "refreshed")[0]; e.Expires != 30*time.Minute {
				t.Fatalf("%+v", e)
			}
			c, after := r.wire.due(time.Hour) // timer N does not run
			if after < 20*time.Minute || after > 30*time.Minute {
				t.Fatalf("refreshed after %v", after)
			}
			c.wants("Suppress-If-Match", "a")
			n.etag = "b"
			n.accepts("active;expires=1800", "<presence/>") // it still is a subscription
		})
	})
	t.Run("EVT-133 a 204 to the unsubscription is its end", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, n := r.tagged(careful(), "a")
			closed := make(chan error, 1)
			go func() { closed <- s.Close(t.Context()) }()
			c := r.wire.next()
			c.wants("Expires", "0")
			c.wants("Suppress-If-Match", "a")
			c.answer(204, n.tag)
			if err := <-closed; err != nil || r.Count() != 0 {
				t.Fatalf("%v, %d left", err, r.Count())
			}
		})
	})
	t.Run("EVT-132 what is at hand from earlier is told, and again when it is subscribed again", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.ETag, o.Resubscribe = "old", true
			tr := r.begin(o)
			c := r.wire.next()
			c.wants("Suppress-If-Match", "old")
			n := r.notifier(c, "n1")
			n.etag = "old"
			c.answer(200, n.tag, "Expires: 3600")
			n.accepts("active;expires=3600", "")
			s := tr.ok()
			if all := expectEvents(t, s, "subscribed notify"); all[1].Notification.Body != nil {
				t.Fatalf("%+v", all[1].Notification)
			}
			n.etag = "new"
			n.accepts("active;expires=3600", "<presence/>")
			n.accepts("terminated;reason=deactivated", "")
			c = r.wire.next()
			c.wants("Suppress-If-Match", "new")
		})
	})
	t.Run("EVT-124 the wildcard stays until the end", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.ETag, o.Resubscribe = "*", true
			tr := r.begin(o)
			c := r.wire.next()
			c.wants("Suppress-If-Match", "*")
			n := r.notifier(c, "n1")
			n.etag = "a"
			c.answer(200, n.tag, "Expires: 3600")
			n.accepts("active;expires=3600", "")
			tr.ok()
			c, _ = r.wire.due(time.Hour)
			c.wants("Suppress-If-Match", "*")
			c.answer(481, n.tag)
			r.wire.next().wants("Suppress-If-Match", "*")
		})
	})
	t.Run("who asks for the full state sets no condition", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			s, _ := r.tagged(careful(), "a")
			s.Refetch("")
			none(t, r.wire.next().Request, "Suppress-If-Match")
		})
	})
	t.Run("EVT-134 a condition that is refused is done without", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := careful()
			o.Resubscribe = true
			s, n := r.tagged(o, "a")
			c, _ := r.wire.due(time.Hour)
			c.answer(400, n.tag)
			c = r.wire.next()
			none(t, c.Request, "Suppress-If-Match")
			c.answer(200, n.tag, "Expires: 3600")
			n.accepts("active;expires=3600", "<presence/>")
			expectEvents(t, s, "failed refreshed notify")
			c, _ = r.wire.due(time.Hour)
			none(t, c.Request, "Suppress-If-Match")
			c.answer(400, n.tag)
			r.wire.silent() // it was not that
			n.accepts("terminated;reason=deactivated", "")
			none(t, r.wire.next().Request, "Suppress-If-Match")
		})
	})
	t.Run("a tag that is none is refused", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.ETag = "a b"
			if _, err := r.Subscribe(t.Context(), o); err == nil {
				t.Fatal("it was taken")
			}
		})
	})
	t.Run("EVT-003 the answer to NOTIFY has no Event, since rates change by SUBSCRIBE", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Event.Params = header.Params{{Name: "max-rate", Value: "0.2"}}
			_, n := r.tagged(o, "")
			for _, f := range n.notify("active;expires=60;max-rate=0.2", "<presence/>").Fields {
				if strings.EqualFold(f.Name, "Event") {
					t.Fatalf("%+v", f)
				}
			}
		})
	})
}

func TestConditionalTogether(t *testing.T) {
	t.Run("EVT-119 a fetch that resumes gets no body, one that is late does", func(t *testing.T) {
		withBoth(t, func(t *testing.T, b *both) {
			n, err := b.Fetch(t.Context(), forecast())
			if err != nil {
				t.Fatal(err)
			}
			o := forecast()
			o.ETag = one(t, n.Request, "SIP-ETag")
			if n, err = b.Fetch(t.Context(), o); err != nil || n.Body != nil || one(t, n.Request, "SIP-ETag") != o.ETag {
				t.Fatalf("%+v, %v", n, err)
			}
			b.weather.set(b.Notifier, "storm")
			if n, err = b.Fetch(t.Context(), o); err != nil || string(n.Body) != "storm" {
				t.Fatalf("%+v, %v", n, err)
			}
		})
	})
	t.Run("EVT-014 refreshes are silent for hours, changes are not", func(t *testing.T) {
		withBoth(t, func(t *testing.T, b *both) {
			o := forecast()
			o.Conditional = true
			s, err := b.Subscriber.Subscribe(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			pass(5 * time.Hour)
			if got := told(events(s)); strings.TrimSpace(got) != "active:calm" || b.Notifier.Count() != 1 {
				t.Fatalf("%s, %d subscriptions", got, b.Notifier.Count())
			}
			b.weather.set(b.Notifier, "storm")
			pass(5 * time.Hour)
			if got := told(events(s)); strings.TrimSpace(got) != "active:storm" {
				t.Fatal(got)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if synctest.Wait(); b.Notifier.Count() != 0 {
				t.Fatal("the subscription is left")
			}
		})
	})
}

func TestSubscriberAwake(t *testing.T) {
	t.Run("EVT-035 after a sleep that was too long it is subscribed again at once", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Resubscribe = true
			s, n := r.subscribed(o)
			r.Awake()
			c := r.wire.next()
			if c.tag("To") != n.tag {
				t.Fatal("not in the dialog")
			}
			r.Awake() // one is in flight
			r.wire.silent()
			at := time.Now()
			c.answer(481, n.tag)
			c = r.wire.next()
			if c.tag("To") != "" || !time.Now().Equal(at) {
				t.Fatalf("after %v:\n%s", time.Since(at), c.Request)
			}
			expectEvents(t, s, "subscribed notify terminated resubscribe")
		})
	})
}
