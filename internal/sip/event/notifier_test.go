package event

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// tests runs each case in a rig of its own.
type tests []struct {
	name string
	f    func(*testing.T, *rig)
}

func (ts tests) run(t *testing.T) {
	for _, tt := range ts {
		t.Run(tt.name, func(t *testing.T) { run(t, func(r *rig) { tt.f(r.t, r) }) })
	}
}

func TestSubscribeEvent(t *testing.T) {
	tests{
		{"EVT-002 the event-type compares byte for byte", func(t *testing.T, r *rig) {
			_, res := r.watch("alice", "Event: Notes")
			want(t, res, 489)
			p := r.active()
			want(t, r.subscribe(p, "Event: notes;param=x"), 200)
			want(t, r.subscribe(p, "Event: notes;id=1"), 403)
			want(t, r.subscribe(p, "Event: Notes"), 489)
		}},
		{"EVT-002 the id compares byte for byte", func(t *testing.T, r *rig) {
			p, _ := r.watch("alice", "Event: notes;id=aB")
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes;x=y;id=aB"), 200)
			want(t, r.subscribe(p, "Event: notes;id=ab"), 403)
			want(t, r.subscribe(p, "Event: notes"), 403)
		}},
		{"EVT-003 no response has Event", func(t *testing.T, r *rig) {
			for _, event := range []string{"notes", "other", "no such;;"} {
				if _, res := r.watch("alice", "Event: "+event); fieldOf(res, "Event") != "" {
					t.Errorf("the %d has Event", res.Status)
				}
			}
		}},
		{"EVT-004 no response has Subscription-State", func(t *testing.T, r *rig) {
			for _, expires := range []string{"0", "100", "5", "x"} {
				_, res := r.watcher("Expires: " + expires)
				want(t, res, res.Status, "Subscription-State", "")
			}
		}},
		{"EVT-062 an unknown package is 489 with the packages there are", func(t *testing.T, r *rig) {
			_, res := r.watch("alice", "Event: nosuch")
			want(t, res, 489, "Allow-Events", "notes, listing, notes.winfo")
			r.wire.quiet()
		}},
		{"EVT-063 no Event is 489", func(t *testing.T, r *rig) {
			_, res := r.watch("alice")
			want(t, res, 489, "Allow-Events", "notes, listing, notes.winfo")
		}},
		{"EVT-001 a second Event is 400", func(t *testing.T, r *rig) {
			_, res := r.watcher("Event: notes")
			want(t, res, 400)
			_, res = r.watch("alice", "Event: notes, notes.winfo")
			want(t, res, 400)
		}},
		{"EVT-006 the compact form of Event is taken", func(t *testing.T, r *rig) {
			_, res := r.watch("alice", "o: notes")
			want(t, res, 200)
		}},
		{"EVT-104 a 200 lists the packages", func(t *testing.T, r *rig) {
			_, res := r.watcher()
			want(t, res, 200, "Allow-Events", "notes, listing, notes.winfo")
		}},
	}.run(t)
}

func TestSubscribeDuration(t *testing.T) {
	limits := func(least, most, usual time.Duration) func(*NotifierConfig, *notes) {
		return func(_ *NotifierConfig, n *notes) {
			n.defaults = Defaults{MinExpires: least, MaxExpires: most, Expires: usual}
		}
	}
	for _, tt := range []struct {
		name               string
		least, most, usual time.Duration
		asked              string // extra line
		status             int
		expires            string // Expires of a 200, Min-Expires of a 423
	}{
		{"EVT-008 expires of Contact counts for nothing", 0, 0, 0, "Contact: <sip:watcher@192.0.2.1>;expires=60", 200, "3600"},
		{"EVT-067 less than the minimum is 423", 0, 0, 0, "Expires: 30", 423, "60"},
		{"EVT-067 the minimum itself is taken", 0, 0, 0, "Expires: 60", 200, "60"},
		{"EVT-067 zero is never too brief", 0, 0, 0, "Expires: 0", 200, "0"},
		{"EVT-067 an hour is never too brief", 2 * time.Hour, 4 * time.Hour, 0, "Expires: 3600", 200, "3600"},
		{"EVT-067 less than an hour may be", 2 * time.Hour, 4 * time.Hour, 0, "Expires: 3599", 423, "7200"},
		{"EVT-068 a 423 has Min-Expires", 100 * time.Second, 0, 0, "Expires: 1", 423, "100"},
		{"EVT-070 the duration asked for is granted", 0, 0, 0, "Expires: 100", 200, "100"},
		{"EVT-070 a longer one is shortened", 30 * time.Second, 60 * time.Second, 0, "Expires: 100", 200, "60"},
		{"EVT-070 a huge one is shortened", 0, 0, 0, "Expires: 1000000000", 200, "3600"},
		{"EVT-070 the package's duration without Expires", 0, 0, 100 * time.Second, "X: y", 200, "100"},
		{"EVT-070 an Expires that is no number is 400", 0, 0, 0, "Expires: soon", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runWith(t, limits(tt.least, tt.most, tt.usual), func(r *rig) {
				p := newPeer(t, "SUBSCRIBE", "alice")
				extra := []string{"Event: notes", tt.asked}
				if !strings.HasPrefix(tt.asked, "Contact") {
					extra = append(extra, contactLine)
				}
				res := respond(r.Subscribe, p.request("", extra...))
				field := "Expires"
				if tt.status == 423 {
					field = "Min-Expires"
				}
				want(t, res, tt.status, field, tt.expires)
				if tt.status == 200 {
					r.wire.take()
				}
				r.wire.quiet()
			})
		})
	}
}

func TestSubscribe(t *testing.T) {
	refuse := func(status int) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) {
			r.notes.refuse = &Refusal{Status: status, Phrase: "No", Fields: []stack.Field{{Name: "X", Value: "y"}}}
			_, res := r.watcher()
			want(t, res, status, "X", "y")
			r.wire.quiet()
			if n := r.Count(); n != 0 {
				t.Fatalf("%d subscriptions", n)
			}
		}
	}
	tests{
		{"EVT-061 an undecided watcher is answered at once", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			_, res := r.watcher()
			want(t, res, 200, "Expires", "3600")
			r.wire.take().says("pending;expires=3600", "")
		}},
		{"EVT-064 an Accept that nothing fits is 406", func(t *testing.T, r *rig) {
			_, res := r.watcher("Accept: text/x-none, text/plain;q=0")
			want(t, res, 406)
			_, res = r.watcher("Accept: ")
			want(t, res, 406)
			_, res = r.watcher("Accept: text/x-none", "Accept: text/html")
			want(t, res, 200)
		}},
		{"EVT-064 an Accept that is none is 400", func(t *testing.T, r *rig) {
			_, res := r.watcher("Accept: text")
			want(t, res, 400)
		}},
		{"EVT-066 a refusal of the package is the answer", refuse(603)},
		{"EVT-066 a verdict that terminates is 403", func(t *testing.T, r *rig) {
			r.notes.decision.State = Terminated
			_, res := r.watcher()
			want(t, res, 403)
			r.wire.quiet()
			if got := r.closings(); got != "rejected" {
				t.Fatalf("the view was closed %q", got)
			}
		}},
		{"an error of the package is 500", func(t *testing.T, r *rig) {
			r.notes.refuse = errors.New("the disk is full")
			_, res := r.watcher()
			want(t, res, 500)
			if strings.Contains(res.Reason, "disk") {
				t.Fatalf("the reason phrase tells internals: %q", res.Reason)
			}
		}},
		{"EVT-071 a 200 has the Contact", func(t *testing.T, r *rig) {
			_, res := r.watcher()
			want(t, res, 200, "Contact", "<sip:alice@192.0.2.9:5060;gr>")
			if !res.RecordRoute {
				t.Fatal("Record-Route is not copied")
			}
		}},
		{"EVT-108 the GRUU given is the local target of the dialog", func(t *testing.T, r *rig) {
			p, res := r.watcher()
			want(t, res, 200, "Contact", "<sip:alice@192.0.2.9:5060;gr>")
			for range 2 {
				n := r.wire.take()
				if got := n.field("Contact"); got != "<sip:alice@192.0.2.9:5060;gr>" {
					t.Fatalf("Contact of the NOTIFY is %q", got)
				}
				n.answer(200)
				want(t, r.subscribe(p, "Event: notes"), 200, "Contact", "<sip:alice@192.0.2.9:5060;gr>")
			}
		}},
		{"EVT-072 a pending subscription is 200, not 202", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			p, res := r.watcher()
			want(t, res, 200)
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes"), 200)
		}},
		{"EVT-074 a resource without state has a neutral body", func(t *testing.T, r *rig) {
			r.watcher()
			r.wire.take().says("active;expires=3600", "note: ")
		}},
		{"EVT-075 the id is repeated in every NOTIFY", func(t *testing.T, r *rig) {
			_, res := r.watch("alice", "Event: notes;param=x;id=a.B")
			want(t, res, 200)
			for range 2 {
				n := r.wire.take()
				if got := n.field("Event"); got != "notes;id=a.B" {
					t.Fatalf("Event is %q", got)
				}
				n.answer(200)
				r.notes.set("alice", "new")
			}
		}},
		{"EVT-076 an unknown resource is 404", func(t *testing.T, r *rig) {
			_, res := r.watch("nobody", "Event: notes")
			want(t, res, 404)
			r.wire.quiet()
		}},
		{"a SUBSCRIBE without Contact is 400", func(t *testing.T, r *rig) {
			want(t, respond(r.Subscribe, newPeer(t, "SUBSCRIBE", "alice").request("", "Event: notes")), 400)
			if got := len(r.notes.requests); got != 0 {
				t.Fatalf("the package was asked %d times", got)
			}
		}},
		{"the package is told what was asked", func(t *testing.T, r *rig) {
			p := newPeer(t, "SUBSCRIBE", "alice")
			respond(r.Subscribe, p.request("only this", "Event: notes;id=7;p=q", "Expires: 100", "Accept: text/html", "Content-Type: text/x-filter", contactLine))
			got := r.notes.requests[0]
			if got.Resource != alice || got.Watcher != "sip:watcher@example.com" || got.URI != alice || got.Duration != 100*time.Second ||
				got.ContentType != "text/x-filter" || string(got.Body) != "only this" || got.Event.String() != "notes;id=7;p=q" ||
				got.Accept.String() != "text/html" || got.Current != nil {
				t.Fatalf("asked %+v", got)
			}
		}},
	}.run(t)
}

// TestIdentify: who asks is settled before anything is told of what is here.
func TestIdentify(t *testing.T) {
	challenge := func(c *NotifierConfig, _ *notes) {
		c.Identify = func(r *stack.Request) (string, *stack.Response) {
			if len(header.Values(r.Request, "Authorization")) == 0 {
				return "", stack.Answer(401)
			}
			return "sip:other@example.com", nil
		}
	}
	runWith(t, challenge, func(r *rig) {
		for _, user := range []string{"alice", "nobody"} {
			_, res := r.watch(user, "Event: nosuch")
			want(t, res, 401)
		}
		p, res := r.watcher("Authorization: x")
		want(t, res, 200)
		if got := r.notes.requests[0].Watcher; got != "sip:other@example.com" {
			t.Fatalf("the watcher is %q", got)
		}
		r.wire.take().answer(200)
		want(t, r.subscribe(p, "Event: notes", "Expires: 0"), 401)
		r.wire.quiet()
	})
}

func TestSubscribeLimits(t *testing.T) {
	t.Run("one resource has too many", func(t *testing.T) {
		runWith(t, func(c *NotifierConfig, _ *notes) { c.MaxPerResource = 2 }, func(r *rig) {
			p, _ := r.watcher()
			r.watcher()
			_, res := r.watcher()
			want(t, res, 503, "Retry-After", "30")
			_, res = r.watch("bob", "Event: notes")
			want(t, res, 200)
			if got := r.closings(); got != "giveup" {
				t.Fatalf("the view was closed %q", got)
			}
			r.subscribe(p, "Event: notes", "Expires: 0")
			for range 3 {
				r.wire.take().answer(200)
			}
			r.wire.take().answer(200)
			_, res = r.watcher()
			want(t, res, 200)
		})
	})
	t.Run("all have too many", func(t *testing.T) {
		runWith(t, func(c *NotifierConfig, _ *notes) { c.MaxSubscriptions = 2 }, func(r *rig) {
			r.watcher()
			r.watch("bob", "Event: notes")
			_, res := r.watch("carol", "Event: notes")
			want(t, res, 503, "Retry-After", "30")
			if len(r.notes.requests) != 2 {
				t.Fatal("the package was asked in vain")
			}
		})
	})
	t.Run("the last place is given once", func(t *testing.T) {
		runWith(t, func(c *NotifierConfig, _ *notes) { c.MaxSubscriptions = 1 }, func(r *rig) {
			r.notes.opening = func() {
				r.notes.opening = nil
				_, res := r.watch("bob", "Event: notes")
				want(t, res, 200)
			}
			_, res := r.watcher()
			want(t, res, 503)
			if r.Count() != 1 || r.closings() != "giveup" {
				t.Fatalf("%d subscriptions, closed %q", r.Count(), r.closings())
			}
		})
	})
	t.Run("NOTIFYs under way are bounded", func(t *testing.T) {
		runWith(t, func(c *NotifierConfig, _ *notes) { c.MaxUnanswered = 2 }, func(r *rig) {
			for range 3 {
				r.watcher()
			}
			first, second := r.wire.take(), r.wire.take()
			r.wire.quiet()
			second.answer(200)
			r.wire.take()
			r.wire.quiet()
			first.answer(200)
			synctest.Wait()
		})
	})
}
