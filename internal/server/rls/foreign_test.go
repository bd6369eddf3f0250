package rls

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac/uactest"
)

// other is the notifier of a member of another domain.
type other struct {
	r   *rig
	sub *uactest.Call
	seq int
}

// accepts is the notifier that accepts the next SUBSCRIBE.
func (r *rig) accepts() *other {
	r.t.Helper()
	c := r.others.Next()
	c.Answer(200, "Expires: 3600", "Contact: <sip:other@192.0.2.77>")
	return &other{r: r, sub: c}
}

// notify sends a NOTIFY and gives the status of the answer.
func (o *other) notify(state, typ, body string) int {
	o.r.t.Helper()
	o.seq++
	text := []string{"NOTIFY " + o.sub.Address("Contact").URI + " SIP/2.0", "Via: SIP/2.0/TCP 192.0.2.77;branch=z9hG4bK" + stack.NewTag(), "Max-Forwards: 70",
		"From: <" + o.sub.Address("To").URI + ">;tag=to", "To: " + o.sub.One("From"), "Call-ID: " + o.sub.One("Call-ID"), fmt.Sprintf("CSeq: %d NOTIFY", o.seq),
		"Contact: <sip:other@192.0.2.77>", "Event: notes", "Subscription-State: " + state}
	if typ != "" {
		text = append(text, "Content-Type: "+typ)
	}
	m, err := sip.ParseMessage([]byte(strings.Join(append(text, fmt.Sprintf("Content-Length: %d", len(body)), "", body), "\r\n")))
	if err != nil {
		o.r.t.Fatal(err)
	}
	res := o.r.Server.others.subscriber.Notify(context.Background(), &stack.Request{Request: m.(*sip.Request)})
	if res.Sent != nil {
		res.Sent()
	}
	synctest.Wait()
	return res.Status
}

const elsewhere = "sip:x@elsewhere.invalid"

func TestForeign(t *testing.T) {
	t.Run("RLS-032 RLS-053 a member of another domain is subscribed to by the server itself, as a single resource", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", elsewhere)
			w := r.watcher("alice", "list")
			r.same(w.active(), "0+, bob, x ?")
			c := r.others.Next()
			c.None("Supported", "Require") // so that no list goes on, and none comes back
			c.Wants("Accept", "text/plain")
			if c.Out.URI != elsewhere || c.Address("From").URI != "sip:rls@example.com" || strings.Contains(c.Request.String(), "alice") {
				t.Errorf("%s", c.Request)
			}
		})
	})
	t.Run("RLS-041 RLS-047 RLS-055 what it tells is told on, as it is", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends(elsewhere)
			w := r.watcher("alice", "list")
			r.same(w.active(), "0+, x ?")
			o := r.accepts()
			o.notify("pending", "", "")
			w.expect("1, x pending")
			o.notify("active", "text/plain;charset=utf-8", "there\r\n")
			if n := w.expect("2, x there"); n.Parts[0].Type != "text/plain;charset=utf-8" || string(n.Parts[0].Content) != "there\r\n" {
				t.Errorf("%+v", n.Parts[0])
			}
			o.notify("active", "", "") // nothing new
			r.wire.Silent()
			w.subscribe()
			w.expect("3+, x there")
		})
	})
	t.Run("RLS-045 RLS-056 what ends is told once with its reason, and comes back where that allows", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends(elsewhere)
			w := r.watcher("alice", "list")
			w.active()
			o := r.accepts()
			o.notify("active", "text/plain", "there")
			w.expect("1, x there")
			o.notify("terminated;reason=probation;retry-after=60", "", "")
			w.expect("2, x terminated probation")
			time.Sleep(61 * time.Second)
			o = r.accepts()
			o.notify("active", "text/plain", "again")
			w.expect("3, x again")
			o.notify("terminated;reason=rejected", "", "")
			w.expect("4, x terminated rejected")
			time.Sleep(5 * time.Minute)
			r.others.Silent()
			r.wire.Silent()
		})
	})
	t.Run("what refuses is its reason", func(t *testing.T) {
		for status, want := range map[int]string{403: "rejected", 404: "noresource", 421: "giveup", 500: "giveup"} {
			run(t, func(r *rig) {
				r.friends(elsewhere)
				w := r.watcher("alice", "list")
				w.active()
				r.others.Next().Answer(status)
				w.expect("1, x terminated " + want)
			})
		}
	})
	t.Run("RLS-057 who leaves the list is not watched any more", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends(elsewhere)
			w := r.watcher("alice", "list")
			w.active()
			o := r.accepts()
			o.notify("active", "text/plain", "there")
			w.expect("1, x there")
			r.friends("bob")
			w.expect("2+, bob")
			r.others.Next().Wants("Expires", "0")
		})
	})
	t.Run("their number has bounds, for one list, for one watcher and for all", func(t *testing.T) {
		runWith(t, func(c *Config, _ *event.NotifierConfig) { c.MaxForeign = 30 }, func(r *rig) {
			r.friends("sip:a@x.invalid", "sip:b@x.invalid", "sip:c@x.invalid", "sip:d@x.invalid")
			w := r.watcher("alice", "list")
			r.same(w.active(), "0+, a ?, b ?, c ?, d terminated giveup")
			none := "0+, a terminated giveup, b terminated giveup, c terminated giveup, d terminated giveup"
			r.same(r.watcher("alice", "list").active(), "0+, a ?, b ?, c ?, d terminated giveup")
			r.watcher("alice", "list").active()
			r.same(r.watcher("alice", "list").active(), none)
			bring := func(user string) *told {
				return r.bringing(user, brought(entries("sip:a@x.invalid", "sip:b@x.invalid", "sip:c@x.invalid", "sip:d@x.invalid"))).active()
			}
			for _, user := range []string{"bob", "carol", "dan"} {
				r.same(bring(user), "0+, a ?, b ?, c ?, d terminated giveup")
				bring(user)
				bring(user)
			}
			bring("eve")
			r.same(bring("frank"), none)
			if r.Server.others.count != 30 {
				t.Error(r.Server.others.count)
			}
		})
	})
}
