package event_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestSubscriberRequest(t *testing.T) {
	t.Run("EVT-009 the SUBSCRIBE has one Event with package, id and parameters", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Event = header.Event{Package: "presence", ID: "7", HasID: true, Params: header.Params{{Name: "max-rate", Value: "0.5"}}}
			r.begin(o)
			r.wire.next().wants("Event", "presence;id=7;max-rate=0.5")
		})
	})
	t.Run("EVT-010 Expires is what was asked for, and absent when nothing was", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Expires = 90 * time.Second
			r.begin(o)
			r.wire.next().wants("Expires", "90")
			o.Expires = 0
			r.begin(o)
			none(t, r.wire.next().Request, "Expires")
		})
	})
	t.Run("EVT-011 an initial SUBSCRIBE is outside any dialog and has a Contact", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			r.begin(watching())
			first, second := r.wire.next(), r.wire.next()
			if got := first.Method.String() + " " + first.Recipient.String(); got != "SUBSCRIBE sip:bob@example.com" {
				t.Fatalf("request line %q", got)
			}
			first.wants("To", "<sip:bob@example.com>")
			first.wants("Contact", "<sip:alice@192.0.2.1:5060>")
			first.wants("Max-Forwards", "70")
			if from := first.one("From"); !strings.HasPrefix(from, `"Alice" <sip:alice@example.com>;tag=`) {
				t.Fatalf("From %q", from)
			}
			if first.one("Call-ID") == second.one("Call-ID") || first.tag("From") == second.tag("From") || first.tag("From") == "" {
				t.Fatal("two subscriptions share Call-ID or From tag")
			}
		})
	})
	t.Run("EVT-109 EVT-110 a dialog is not shared, least of all one to a GRUU", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			_, n := r.subscribed(watching())
			n.contact = "sip:bob@example.com;gr=urn:uuid:1"
			n.accepts("active", "")
			o := watching()
			o.Target, o.Event.Package = n.contact, "presence.winfo"
			r.begin(o)
			c := r.wire.next()
			if c.tag("To") != "" || c.one("Call-ID") == n.sub.one("Call-ID") || c.Recipient.String() != n.contact {
				t.Fatalf("in the dialog:\n%s", c.Request)
			}
		})
	})
}

func TestSubscriberRequestContents(t *testing.T) {
	t.Run("EVT-012 Accept lists the body types and is left out without any", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Accept = []string{"application/pidf+xml", "application/pidf-diff+xml;q=0.5"}
			r.begin(o)
			r.wire.next().wants("Accept", "application/pidf+xml, application/pidf-diff+xml;q=0.5")
			o.Accept = nil
			r.begin(o)
			none(t, r.wire.next().Request, "Accept")
		})
	})
	t.Run("the body goes with its fields and its type", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Body, o.BodyType = []byte("<filter/>"), "application/simple-filter+xml"
			o.BodyFields = []stack.Field{{Name: "Content-Disposition", Value: "filter"}}
			o.Fields = []stack.Field{{Name: "Supported", Value: "eventlist"}}
			r.begin(o)
			c := r.wire.next()
			c.wants("Content-Type", "application/simple-filter+xml")
			c.wants("Content-Disposition", "filter")
			c.wants("Supported", "eventlist")
			if string(c.Body()) != "<filter/>" {
				t.Fatalf("body %q", c.Body())
			}
		})
	})
	t.Run("PRS-005 PRS-007 a pres URI goes into Request-URI and To, Contact stays a sip URI", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Target = "pres:bob@example.com"
			r.begin(o)
			c := r.wire.next()
			c.wants("To", "<pres:bob@example.com>")
			c.wants("Contact", "<sip:alice@192.0.2.1:5060>")
			if c.out.URI != "pres:bob@example.com" || c.out.Target.Addr != "example.com" {
				t.Fatalf("%s at %+v", c.out.URI, c.out.Target)
			}
		})
	})
	t.Run("a preset route set is followed", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Route.Set = []string{"<sip:proxy.example.net;lr>", "<sip:inner.example.net;lr>"}
			r.begin(o)
			c := r.wire.next()
			if got := strings.Join(header.Values(c.Request, "Route"), " "); got != "<sip:proxy.example.net;lr> <sip:inner.example.net;lr>" {
				t.Fatalf("Route %q", got)
			}
			if c.out.Target.Addr != "proxy.example.net" {
				t.Fatalf("sent to %+v", c.out.Target)
			}
			o.Route = event.Route{Hop: stack.Target{Transport: "tcp", Addr: "192.0.2.7:5070"}}
			r.begin(o)
			if c = r.wire.next(); c.out.Target != o.Route.Hop {
				t.Fatalf("sent to %+v", c.out.Target)
			}
			r.begin(watching())
			if c = r.wire.next(); c.out.Target.Addr != "example.com" {
				t.Fatalf("sent to %+v", c.out.Target)
			}
		})
	})
}

func TestSubscriberOptionsRefused(t *testing.T) {
	for name, change := range map[string]func(*event.SubscribeOptions){
		"target":      func(o *event.SubscribeOptions) { o.Target = "bob" },
		"two lines":   func(o *event.SubscribeOptions) { o.Target = "sip:bob@example.com>\r\nX: y" },
		"identity":    func(o *event.SubscribeOptions) { o.From.URI = "" },
		"package":     func(o *event.SubscribeOptions) { o.Event.Package = "presence, dialog" },
		"accept":      func(o *event.SubscribeOptions) { o.Accept = []string{"pidf"} },
		"contact":     func(o *event.SubscribeOptions) { o.Contact = nil },
		"duration":    func(o *event.SubscribeOptions) { o.Expires = time.Millisecond },
		"field name":  func(o *event.SubscribeOptions) { o.Fields = []stack.Field{{Name: "A B", Value: "c"}} },
		"field value": func(o *event.SubscribeOptions) { o.Fields = []stack.Field{{Name: "A", Value: "b\r\nC: d"}} },
		"body type":   func(o *event.SubscribeOptions) { o.Body = []byte("x") },
		"body fields": func(o *event.SubscribeOptions) {
			o.Body, o.BodyType, o.BodyFields = []byte("x"), "text/plain", []stack.Field{{Name: "", Value: "b"}}
		},
		"route": func(o *event.SubscribeOptions) { o.Route.Set = []string{"proxy"} },
	} {
		t.Run(name, func(t *testing.T) {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				o := watching()
				change(&o)
				r.begin(o).failed()
				r.wire.silent()
			})
		})
	}
}

func TestSubscriberOutcome(t *testing.T) {
	t.Run("EVT-013 without a NOTIFY a subscription fails after 64*T1 and nothing is left of it", func(t *testing.T) {
		withSubscriberConfig(t, event.SubscriberConfig{T1: 100 * time.Millisecond}, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			c.answer(200, "n1", "Expires: 3600")
			pass(6399 * time.Millisecond)
			if tr.over() {
				t.Fatalf("gave up early: %v", tr.err)
			}
			pass(time.Millisecond)
			if err := tr.failed(); !errors.Is(err, event.ErrNoNotify) || !errors.Is(err, stack.ErrTimeout) {
				t.Fatalf("error %v", err)
			}
			if r.Count() != 0 {
				t.Fatal("state is left")
			}
		})
	})
	t.Run("EVT-019 a NOTIFY after timer N makes no subscription any more", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			c := r.wire.next()
			pass(31 * time.Second)
			n := r.notifier(c, "n1")
			n.contact = ""
			n.answers(400, "active;expires=60", "") // still open
			pass(time.Second)
			n.answers(481, "active;expires=60", "")
		})
	})
	t.Run("a SUBSCRIBE without any answer fails as a timeout", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			pass(32 * time.Second)
			c.fail(stack.ErrTimeout)
			if err := tr.failed(); !errors.Is(err, stack.ErrTimeout) || errors.Is(err, event.ErrNoNotify) {
				t.Fatalf("error %v", err)
			}
		})
	})
	t.Run("a transport error is passed on", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			r.wire.next().fail(stack.ErrTransport)
			if err := tr.failed(); !errors.Is(err, stack.ErrTransport) {
				t.Fatalf("error %v", err)
			}
		})
	})
}

func TestSubscriberRefused(t *testing.T) {
	for _, status := range []int{403, 404, 406, 489} {
		t.Run("EVT-026 a refusal leaves no subscription", func(t *testing.T) {
			withSubscriber(t, func(t *testing.T, r *subscriberRig) {
				tr := r.begin(watching())
				c := r.wire.next()
				c.answer(status, "n1", `Warning: 399 example.com "not you"`, "u: presence, dialog", "Accept: text/plain", "Retry-After: 9 (later)")
				e := expectStatus(t, tr.failed(), status)
				if e.Warning != "not you" || strings.Join(e.AllowEvents(), "+") != "presence+dialog" || e.Field("accept") != "text/plain" {
					t.Fatalf("%+v", e)
				}
				if d, ok := e.RetryAfter(); !ok || d != 9*time.Second {
					t.Fatalf("retry after %v", d)
				}
				if r.Count() != 0 {
					t.Fatal("state is left")
				}
				r.notifier(c, "n1").answers(481, "active;expires=3600", "")
				r.wire.silent()
			})
		})
	}
	t.Run("EVT-025 a 202 is as good as a 200", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			c.answer(202, "n1", "Expires: 60")
			r.notifier(c, "n1").accepts("active", "<presence/>")
			if all := expectEvents(t, tr.ok(), "subscribed notify"); all[0].Expires != time.Minute {
				t.Fatalf("lasts %v", all[0].Expires)
			}
		})
	})
	t.Run("EVT-027 giving up sends no CANCEL and leaves nothing", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			tr.cancel()
			tr.failed()
			r.wire.silent()
			c.answer(200, "n1", "Expires: 60")
			r.notifier(c, "n1").answers(481, "active;expires=60", "")
			if r.Count() != 0 {
				t.Fatal("state is left")
			}
		})
	})
	t.Run("EVT-031 after a 423 it asks for what is needed, once", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Expires = time.Minute
			tr := r.begin(o)
			first := r.wire.next()
			first.answer(423, "n1", "Min-Expires: 1800")
			second := r.wire.next()
			second.wants("Expires", "1800")
			second.wants("Call-ID", first.one("Call-ID"))
			second.wants("From", first.one("From"))
			if second.seq() != first.seq()+1 {
				t.Fatalf("CSeq %d after %d", second.seq(), first.seq())
			}
			second.answer(423, "n1", "Min-Expires: 3600")
			expectStatus(t, tr.failed(), 423)
			r.wire.silent()
		})
	})
	t.Run("a 423 that asks for no more than was asked is a refusal", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			r.wire.next().answer(423, "n1", "Min-Expires: 3600")
			expectStatus(t, tr.failed(), 423)
			r.wire.silent()
		})
	})
}

func TestSubscriberFirstNotify(t *testing.T) {
	t.Run("EVT-015 a NOTIFY before the response makes the subscription", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			n := r.notifier(c, "n1")
			n.accepts("active;expires=3600", "<presence/>")
			s := tr.ok()
			c.answer(200, "n1", "Expires: 3600")
			n.accepts("active;expires=3599", "<presence/>")
			all := expectEvents(t, s, "subscribed notify notify")
			if got := all[1].Notification; got.Seq != 1 || got.CSeq != 1 || got.Dialog != "n1" || string(got.Body) != "<presence/>" ||
				got.ContentType != "application/pidf+xml" || got.State.State != "active" || got.Request == nil {
				t.Fatalf("%+v", got)
			}
			if all[2].Notification.Seq != 2 || all[2].Notification.CSeq != 2 {
				t.Fatalf("%+v", all[2].Notification)
			}
		})
	})
	t.Run("EVT-016 route set, tag and target are those of the NOTIFY", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			c := r.wire.next()
			c.answer(200, "other", "Expires: 60", "Contact: <sip:wrong@192.0.2.66>", "Record-Route: <sip:wrong.example.net;lr>")
			n := r.notifier(c, "n1")
			n.routes = []string{"<sip:near.example.net;lr>", "<sip:far.example.net;lr>"}
			n.accepts("active;expires=60", "")
			pass(59 * time.Second)
			refresh := r.wire.next()
			if got := strings.Join(header.Values(refresh.Request, "Route"), " "); got != "<sip:near.example.net;lr> <sip:far.example.net;lr>" {
				t.Fatalf("Route %q", got)
			}
			if refresh.tag("To") != "n1" || refresh.Recipient.String() != "sip:bob@192.0.2.9:5060" || refresh.out.Target.Addr != "near.example.net" {
				t.Fatalf("sent to %+v:\n%s", refresh.out.Target, refresh.Request)
			}
		})
	})
	t.Run("EVT-017 a NOTIFY matches by Call-ID, To tag and Event", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Event = header.Event{Package: "presence", ID: "7", HasID: true}
			tr := r.begin(o)
			c := r.wire.next()
			n := r.notifier(c, "n1")
			for _, ev := range []string{"presence", "presence;id=8", "presence.winfo;id=7"} {
				n.event = ev
				n.answers(481, "active;expires=60", "")
			}
			n.event = "presence;id=7;x=y"
			for _, part := range []string{"Call-ID", "To"} {
				other := map[string]string{"Call-ID": "elsewhere", "To": "<sip:alice@example.com>;tag=elsewhere"}[part]
				if res := r.deliver(replaced(t, n.request("active;expires=60", ""), part, other)); res.Status != 481 {
					t.Fatalf("another %s: answered %d", part, res.Status)
				}
			}
			n.seq = 4711 // CSeq does not matter either
			n.accepts("active;expires=60", "")
			tr.ok()
		})
	})
}

func TestSubscriberFirstDuration(t *testing.T) {
	t.Run("EVT-018 the From tag need not be the To tag of the 200", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			c.answer(200, "n1", "Expires: 60")
			r.notifier(c, "n2").accepts("active;expires=60", "")
			tr.ok()
		})
	})
	t.Run("EVT-030 without expires the duration of the 200 counts", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			c := r.wire.next()
			c.answer(200, "n1", "Expires: 60")
			r.notifier(c, "n1").accepts("active", "")
			pass(59 * time.Second)
			r.wire.next()
		})
	})
	t.Run("EVT-032 without any Expires the duration that was asked for counts", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Expires = 90 * time.Second
			tr := r.begin(o)
			c := r.wire.next()
			c.answer(200, "n1")
			r.notifier(c, "n1").accepts("active", "")
			if all := expectEvents(t, tr.ok(), "subscribed notify"); all[0].Expires != 90*time.Second {
				t.Fatalf("lasts %v", all[0].Expires)
			}
			tr = r.begin(o)
			r.notifier(r.wire.next(), "n1").accepts("active", "") // before the response
			if all := expectEvents(t, tr.ok(), "subscribed notify"); all[0].Expires != 90*time.Second {
				t.Fatalf("lasts %v", all[0].Expires)
			}
		})
	})
	t.Run("without any duration asked for or told it is an hour", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			o := watching()
			o.Expires = 0
			tr := r.begin(o)
			r.notifier(r.wire.next(), "n1").accepts("active", "")
			if all := expectEvents(t, tr.ok(), "subscribed notify"); all[0].Expires != time.Hour {
				t.Fatalf("lasts %v", all[0].Expires)
			}
		})
	})
}

func TestSubscriberFirstNotifyIsBad(t *testing.T) {
	t.Run("a first NOTIFY that is the last makes no subscription", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			c := r.wire.next()
			c.answer(200, "n1", "Expires: 3600")
			r.notifier(c, "n1").accepts("terminated;reason=rejected;expires=50", "")
			all := expectEvents(t, tr.ok(), "notify terminated end")
			if all[2].Reason != "rejected" || all[2].Err != nil {
				t.Fatalf("%+v", all[2])
			}
		})
	})
	t.Run("EVT-026 a refusal after a NOTIFY counts as that of a refresh", func(t *testing.T) {
		withSubscriberConfig(t, event.SubscriberConfig{Authenticate: credentials}, func(t *testing.T, r *subscriberRig) {
			for _, status := range []int{404, 500, 401} {
				tr := r.begin(watching())
				c := r.wire.next()
				n := r.notifier(c, "n1")
				n.accepts("active;expires=3600", "")
				c.answer(status, "n1", `WWW-Authenticate: Digest realm="r"`)
				r.wire.silent()
				if status == 404 {
					expectStatus(t, expectEvents(t, tr.ok(), "subscribed notify terminated end")[3].Err, status)
					n.answers(481, "active", "")
				} else {
					expectStatus(t, expectEvents(t, tr.ok(), "subscribed notify failed")[2].Err, status)
					n.accepts("active", "")
				}
			}
		})
	})
	t.Run("a NOTIFY must have a Subscription-State, a From tag and a Contact", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			tr := r.begin(watching())
			n := r.notifier(r.wire.next(), "n1")
			n.answers(400, "", "")
			n.answers(400, "active;expires=soon", "")
			n.contact = ""
			n.answers(400, "active", "")
			n.contact = "sip:bob@192.0.2.9:5060"
			req := replaced(t, n.request("active", ""), "From", "<sip:bob@example.com>")
			if res := r.deliver(req); res.Status != 400 {
				t.Fatalf("without From tag: answered %d", res.Status)
			}
			if tr.over() {
				t.Fatal("a bad NOTIFY made a subscription")
			}
		})
	})
}

func TestSubscriberStrangeNotify(t *testing.T) {
	t.Run("EVT-020 PRS-073 a NOTIFY that nobody subscribed to is answered 481", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			n := r.notifier(r.wire.next(), "n1")
			req := replaced(t, n.request("active;expires=60", ""), "Call-ID", "unheard-of")
			if res := r.deliver(req); res.Status != 481 {
				t.Fatalf("answered %d", res.Status)
			}
		})
	})
	t.Run("EVT-021 a NOTIFY of an unknown package is answered 489", func(t *testing.T) {
		withSubscriber(t, func(t *testing.T, r *subscriberRig) {
			r.begin(watching())
			n := r.notifier(r.wire.next(), "n1")
			n.event = "nosuch"
			n.answers(489, "active;expires=60", "")
			n.event = "presence, dialog"
			n.answers(400, "active;expires=60", "")
			req := n.request("active;expires=60", "")
			req.RemoveHeader("Event")
			if res := r.deliver(req); res.Status != 489 {
				t.Fatalf("without Event: answered %d", res.Status)
			}
		})
	})
}

// replaced is a request with another value of a field.
func replaced(t *testing.T, r *stack.Request, name, value string) *stack.Request {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(r.String(), "\r\n") {
		if strings.HasPrefix(strings.ToLower(line), strings.ToLower(name)+":") {
			continue
		}
		if line == "" && len(lines) > 0 && !strings.HasPrefix(lines[len(lines)-1], name+": "+value) {
			lines = append(lines, name+": "+value)
		}
		lines = append(lines, line)
	}
	return parsed(t, strings.Join(lines, "\r\n"))
}
