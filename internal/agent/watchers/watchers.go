// Package watchers is the subscriber of the watcher information template
// package (RFC 3857): it keeps a table for each dialog that a subscription has
// (RFC 3858 section 4), asks for the full state when it missed something, and
// says what has changed. It knows nothing of how that is shown.
package watchers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// Subscriber makes subscriptions; it is the user agent of a watcher.
type Subscriber interface {
	Subscribe(ctx context.Context, o event.SubscribeOptions) (*event.Subscription, error)
}

// Tables are what is known of watchers, from all dialogs of one subscription: a
// SUBSCRIBE that forks has several (RFC 3857 section 4.9). The zero Tables are
// empty and ready for Take.
type Tables struct {
	byDialog map[string]*table
	order    []string // dialogs as they came
}

type table struct {
	winfo.Table
	asked bool // for the full state
}

// Take takes the body of a NOTIFY of a dialog and returns what it changes. With
// refetch something was missed, and the notifier of the dialog is to be asked
// for the full state. The error is that of winfo.Parse.
func (t *Tables) Take(dialog string, body []byte) (changes []winfo.Change, refetch bool, err error) {
	d, err := winfo.Parse(body)
	if err != nil {
		return nil, false, err
	}
	one := t.byDialog[dialog]
	if one == nil {
		one = &table{}
		if t.byDialog == nil {
			t.byDialog = map[string]*table{}
		}
		t.byDialog[dialog] = one
		t.order = append(t.order, dialog)
	}
	changes = one.Changes(d)
	complete := one.Apply(d) != winfo.Incomplete
	refetch = !complete && !one.asked && !d.Full // a full one that does not fit is no better when it comes again
	one.asked = !complete
	return changes, refetch, nil
}

// Ended forgets what a dialog told that is over.
func (t *Tables) Ended(dialog string) {
	delete(t.byDialog, dialog)
	for i, d := range t.order {
		if d == dialog {
			t.order = append(t.order[:i:i], t.order[i+1:]...)
			return
		}
	}
}

// again has the full state asked for once more when it is still needed.
func (t *Tables) again(dialog string) {
	if one := t.byDialog[dialog]; one != nil {
		one.asked = false
	}
}

// Lists are the watchers of all dialogs.
func (t *Tables) Lists() (all []winfo.List) {
	for _, dialog := range t.order {
	next:
		for _, l := range t.byDialog[dialog].Document().Lists {
			for i := range all {
				if all[i].Resource == l.Resource && all[i].Package == l.Package {
					all[i].Watchers = append(all[i].Watchers, l.Watchers...)
					continue next
				}
			}
			all = append(all, l)
		}
	}
	return all
}

// Options say whose watchers are followed.
type Options struct {
	Subscriber Subscriber
	Target     string        // URI of the resource
	Package    string        // whose watchers, such as presence
	Expires    time.Duration // 0: an hour (RFC 3857 section 4.4)
	Fetch      bool          // ask once
	Once       bool          // end when the notifier ends the subscription
	// Closing bounds the unsubscription; nil: 5 s.
	Closing func() (context.Context, context.CancelFunc)
	// Learned is told what a NOTIFY has changed, also when that is nothing. An
	// error of it ends Follow.
	Learned func(n *event.Notification, changes []winfo.Change) error
	// Happened is told of everything else about the subscription; nil: nobody is.
	Happened func(event.SubscriptionEvent) error
}

// request makes the options of the subscription. The one format that has to be
// understood needs no Accept (RFC 3857 section 4.5); every fork of the SUBSCRIBE
// is a subscription of its own.
func (o *Options) request() event.SubscribeOptions {
	expires := o.Expires
	if expires == 0 && !o.Fetch {
		expires = time.Hour
	}
	return event.SubscribeOptions{Target: o.Target, Event: header.Event{Package: o.Package + ".winfo"}, Expires: expires, Fetch: o.Fetch,
		Conditional: true, MultipleDialogs: true, Resubscribe: !o.Once && !o.Fetch}
}

// DocumentError is a body that is no watcher information.
type DocumentError struct{ Err error }

// Error implements error.
func (e *DocumentError) Error() string { return fmt.Sprintf("reading watcher information: %v", e.Err) }

// Unwrap returns the cause.
func (e *DocumentError) Unwrap() error { return e.Err }

// Follow subscribes and keeps the tables until ctx is done, which is no error,
// or the subscription has ended, which is an *event.EndedError. A fetch ends without an
// error when it is answered.
func Follow(ctx context.Context, o Options, t *Tables) error {
	s, err := o.Subscriber.Subscribe(ctx, o.request())
	if err != nil {
		if ctx.Err() != nil && !o.Fetch {
			return nil
		}
		return err
	}
	for err == nil {
		var e event.SubscriptionEvent
		if e, err = s.Next(ctx); err == nil {
			err = o.handle(s, e, t)
		}
	}
	var ended *event.EndedError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &ended):
		if o.Fetch && ended.Err == nil && ended.Reason != "rejected" && ended.Reason != "noresource" {
			return nil
		}
		return err
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	if o.Closing != nil {
		cancel()
		closing, cancel = o.Closing()
	}
	defer cancel()
	s.Close(closing)
	if ctx.Err() != nil && !o.Fetch {
		return nil
	}
	return err
}

func (o *Options) handle(s *event.Subscription, e event.SubscriptionEvent, t *Tables) error {
	switch e.Kind {
	case event.OnEnd:
		return &event.EndedError{SubscriptionEvent: e}
	case event.OnTerminated:
		if !o.Fetch {
			t.Ended(e.Dialog)
		}
	case event.OnRefreshFailed:
		t.again(e.Dialog)
	case event.OnNotify:
		return o.notified(s, e.Notification, t)
	}
	if o.Happened != nil {
		return o.Happened(e)
	}
	return nil
}

func (o *Options) notified(s *event.Subscription, n *event.Notification, t *Tables) error {
	if n.Body == nil {
		return o.Learned(n, nil)
	}
	changes, refetch, err := t.Take(n.Dialog, n.Body)
	if err != nil {
		return &DocumentError{err}
	}
	if refetch {
		s.Refetch(n.Dialog)
	}
	return o.Learned(n, changes)
}
