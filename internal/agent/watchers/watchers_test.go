package watchers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func doc(version int, state string, watchers ...string) string {
	s := fmt.Sprintf(`<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="%d" state="%s"><watcher-list resource="sip:alice@example.com" package="presence">`, version, state)
	for _, w := range watchers {
		id, status, _ := strings.Cut(w, " ")
		s += fmt.Sprintf(`<watcher id="%s" status="%s" event="subscribe">sip:%s@example.com</watcher>`, id, status, id)
	}
	return s + "</watcher-list></watcherinfo>"
}

func short(changes []winfo.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.ID+" "+c.Status.String())
	}
	return strings.Join(list, ", ")
}

// rig follows alice's watchers; the test is her notifiers.
type rig struct {
	*event.Subscriber
	t      *testing.T
	mu     sync.Mutex
	sent   []*sip.Request
	answer int // to SUBSCRIBE
	heard  []string
	tables Tables
	ended  chan error
	seq    int
}

func (r *rig) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	m, err := sip.ParseMessage(fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%s\r\n%sContent-Length: %d\r\n\r\n%s",
		o.Method, o.URI, stack.NewTag(), o.Head, len(o.Body), o.Body))
	if err != nil {
		panic(err)
	}
	q := m.(*sip.Request)
	r.mu.Lock()
	r.sent = append(r.sent, q)
	r.mu.Unlock()
	res := sip.NewResponseFromRequest(q, r.answer, "", nil)
	if _, tagged := q.To().Params.Get("tag"); !tagged {
		res.To().Params.Add("tag", "n1")
	}
	res.AppendHeader(sip.NewHeader("Expires", header.Values(q, "Expires")[0]))
	go done(res, nil)
}

// Subscribe implements Subscriber for alice herself.
func (r *rig) Subscribe(ctx context.Context, o event.SubscribeOptions) (*event.Subscription, error) {
	o.From = header.Address{URI: "sip:alice@example.com"}
	o.Route.Hop = stack.Target{Addr: "192.0.2.9:5060", Transport: "udp"}
	o.Contact = func(stack.Target) string { return "sip:alice@192.0.2.1" }
	return r.Subscriber.Subscribe(ctx, o)
}

// notify is a NOTIFY of the notifier with a tag; it wants a status.
func (r *rig) notify(status int, tag, state, body string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	sub := r.sent[0]
	r.mu.Unlock()
	r.seq++
	from, _ := sub.From().Params.Get("tag")
	text := fmt.Sprintf("NOTIFY sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=%s\r\n"+
		"To: <sip:alice@example.com>;tag=%s\r\nCall-ID: %s\r\nCSeq: %d NOTIFY\r\nContact: <sip:%s@192.0.2.9>\r\nEvent: presence.winfo\r\nSubscription-State: %s\r\n",
		stack.NewTag(), tag, from, sub.CallID().Value(), r.seq, tag, state)
	if body != "" {
		text += "Content-Type: application/watcherinfo+xml\r\n"
	}
	m, err := sip.ParseMessage(fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", text, len(body), body))
	if err != nil {
		r.t.Fatal(err)
	}
	res := r.Notify(r.t.Context(), &stack.Request{Request: m.(*sip.Request)})
	if res.Status != status {
		r.t.Fatalf("NOTIFY of %s is answered %d", tag, res.Status)
	}
	if res.Sent != nil {
		res.Sent()
	}
	synctest.Wait()
}

// hears fails unless these changes were told since the last call.
func (r *rig) hears(want string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.heard, "; "); got != want {
		r.t.Fatalf("heard %q, want %q", got, want)
	}
	r.heard = nil
}

// asked is how often SUBSCRIBE was sent in the dialog of a notifier.
func (r *rig) asked(tag string) (n int) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.sent {
		if to, _ := q.To().Params.Get("tag"); to == tag {
			n++
		}
	}
	return n
}

// run follows and gives the rig and what ends it.
func run(t *testing.T, change func(*rig, *Options), f func(r *rig, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, answer: 200, ended: make(chan error, 1)}
		r.Subscriber = event.NewSubscriber(event.SubscriberConfig{Wire: r})
		o := Options{Subscriber: r, Target: "sip:alice@example.com", Package: "presence",
			Learned: func(_ *event.Notification, changes []winfo.Change) error {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.heard = append(r.heard, short(changes))
				return nil
			}}
		if change != nil {
			change(r, &o)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { r.ended <- Follow(ctx, o, &r.tables) }()
		defer func() {
			stop()
			time.Sleep(time.Minute) // whatever waits for an answer gives up
			synctest.Wait()
		}()
		f(r, stop)
	})
}

func TestFollow(t *testing.T) {
	t.Run("WIN-003 WIN-005 what is asked for", func(t *testing.T) {
		run(t, nil, func(r *rig, _ func()) {
			r.notify(200, "n1", "active;expires=3600", doc(0, "full"))
			q := r.sent[0]
			if v := header.Values(q, "Event"); len(v) != 1 || v[0] != "presence.winfo" {
				t.Errorf("Event %q", v)
			}
			if v := header.Values(q, "Expires"); len(v) != 1 || v[0] != "3600" {
				t.Errorf("Expires %q", v)
			}
			if v := header.Values(q, "Accept"); len(v) != 0 { // or it has to list watcherinfo
				t.Errorf("Accept %q", v)
			}
		})
	})
	t.Run("WIN-015 the forks of one SUBSCRIBE are one list", func(t *testing.T) {
		run(t, nil, func(r *rig, _ func()) {
			r.notify(200, "n1", "active;expires=3600", doc(0, "full", "bob active"))
			r.notify(200, "n2", "active;expires=3600", doc(0, "full", "carol pending"))
			r.notify(200, "n2", "active;expires=3600", doc(1, "partial", "dave active"))
			r.hears("bob active; carol pending; dave active")
			r.notify(200, "n1", "active;expires=3600", doc(1, "full"))
			r.hears("bob terminated")
			r.notify(200, "n1", "active;expires=3600", doc(2, "partial", "erin active"))
			lists := r.tables.Lists()
			var all []string
			for _, w := range lists[0].Watchers {
				all = append(all, w.ID)
			}
			if len(lists) != 1 || strings.Join(all, " ") != "erin carol dave" {
				t.Errorf("%d lists, %q", len(lists), all)
			}
			r.notify(200, "n2", "terminated;reason=noresource", "")
			if lists = r.tables.Lists(); len(lists[0].Watchers) != 1 {
				t.Errorf("%+v", lists)
			}
		})
	})
	t.Run("WIN-042 what was missed is asked for once, in its dialog", func(t *testing.T) {
		run(t, nil, func(r *rig, _ func()) {
			r.notify(200, "n1", "active;expires=3600", doc(0, "full"))
			r.notify(200, "n2", "active;expires=3600", doc(0, "full"))
			r.notify(200, "n2", "active;expires=3600", doc(2, "partial", "carol active"))
			r.notify(200, "n2", "active;expires=3600", doc(3, "partial", "dave active"))
			r.hears("; ; carol active; dave active")
			if r.asked("n1") != 0 || r.asked("n2") != 1 {
				t.Errorf("asked %d, %d", r.asked("n1"), r.asked("n2"))
			}
			r.notify(200, "n2", "active;expires=3600", doc(4, "full", "bob active", "dave active"))
			r.hears("bob active, carol terminated")
			r.notify(200, "n2", "active;expires=3600", doc(6, "partial", "bob terminated"))
			if r.asked("n2") != 2 {
				t.Errorf("asked %d", r.asked("n2"))
			}
			r.notify(200, "n2", "active;expires=3600", doc(5, "partial", "dave terminated")) // late
			r.hears("bob terminated; ")
		})
	})
}

func TestFollowEnds(t *testing.T) {
	ended := func(r *rig) error {
		r.t.Helper()
		synctest.Wait()
		select {
		case err := <-r.ended:
			return err
		default:
			r.t.Fatal("it goes on")
			return nil
		}
	}
	t.Run("the notifier ends it", func(t *testing.T) {
		run(t, nil, func(r *rig, _ func()) {
			r.notify(200, "n1", "active;expires=3600", doc(0, "full"))
			r.notify(200, "n1", "terminated;reason=rejected", "")
			var e *event.EndedError
			if err := ended(r); !errors.As(err, &e) || e.Reason != "rejected" {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("it unsubscribes", func(t *testing.T) {
		run(t, nil, func(r *rig, stop func()) {
			r.notify(200, "n1", "active;expires=3600", doc(0, "full"))
			stop()
			synctest.Wait()
			if last := r.sent[len(r.sent)-1]; header.Values(last, "Expires")[0] != "0" {
				t.Errorf("%s", last)
			}
			r.notify(200, "n1", "terminated;reason=timeout", "")
			if err := ended(r); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("a body that is none ends it", func(t *testing.T) {
		run(t, nil, func(r *rig, _ func()) {
			r.notify(200, "n1", "active;expires=3600", "<presence/>")
			r.notify(200, "n1", "terminated;reason=timeout", "")
			var e *DocumentError
			if err := ended(r); !errors.As(err, &e) {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("a fetch is answered", func(t *testing.T) {
		run(t, func(_ *rig, o *Options) { o.Fetch = true }, func(r *rig, _ func()) {
			r.notify(200, "n1", "terminated;reason=timeout", doc(0, "full", "bob waiting"))
			if err := ended(r); err != nil {
				t.Error(err)
			}
			r.hears("bob waiting")
			if lists := r.tables.Lists(); len(lists) != 1 || len(lists[0].Watchers) != 1 {
				t.Errorf("%+v", lists)
			}
		})
	})
	t.Run("a fetch is refused", func(t *testing.T) {
		run(t, func(r *rig, o *Options) { o.Fetch, r.answer = true, 403 }, func(r *rig, _ func()) {
			var refused *event.ResponseError
			if err := ended(r); !errors.As(err, &refused) || refused.Status != 403 {
				t.Errorf("%v", err)
			}
		})
	})
}
