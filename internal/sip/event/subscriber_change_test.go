package event_test

import (
	"testing"
	"time"

	"imp/internal/sip/header"
)

func TestSubscriberChange(t *testing.T) {
	withSubscriber(t, func(t *testing.T, r *subscriberRig) {
		o := careful()
		s, n := r.tagged(o, "a")
		changed := header.Event{Package: o.Event.Package, ID: o.Event.ID, HasID: o.Event.HasID, Params: header.Params{{Name: "diff", Value: "none"}}}
		if err := s.Change(changed); err != nil {
			t.Fatal(err)
		}
		c := r.wire.next()
		c.wants("Event", changed.String())
		none(t, c.Request, "Suppress-If-Match") // the full state is wanted
		c.answer(200, n.tag, "Expires: 3600")
		n.accepts("active;expires=3600", "<presence/>")
		c, _ = r.wire.due(time.Hour)
		c.wants("Event", changed.String())
		if err := s.Change(header.Event{Package: "another"}); err == nil {
			t.Error("another package")
		}
	})
}
