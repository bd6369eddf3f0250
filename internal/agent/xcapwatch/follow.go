package xcapwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"imp/internal/doc/lists"
	"imp/internal/doc/xcapdiff"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/xml/lexical"
)

// Subscriber makes subscriptions; it is the user agent of a watcher.
type Subscriber interface {
	Subscribe(ctx context.Context, o event.SubscribeOptions) (*event.Subscription, error)
}

// Processing is how the notifier is asked to tell changes of documents (RFC 5875 section 4.3).
type Processing string

// The ways of telling changes.
const (
	NoPatching   Processing = "no-patching"
	XCAPPatching Processing = "xcap-patching"
	Aggregate    Processing = "aggregate"
)

// Options say what is followed.
type Options struct {
	Subscriber Subscriber
	Target     string // SIP URI of the notifier
	// URIs are those of documents, elements and attributes below the XCAP root, and of collections with a slash at the end, in the form
	// they have in lists (RFC 5875 section 4.4).
	URIs       []string
	Processing Processing    // "" is NoPatching
	Expires    time.Duration // 0: the notifier chooses
	Once       bool          // end when the notifier ends the subscription
	// Closing bounds the unsubscription; nil: 5 s.
	Closing func() (context.Context, context.CancelFunc)
	Copies  *Copies
	// Learned is told what a notification has taught, also when that is nothing; n is nil for what was fetched later. An error of it
	// ends Follow.
	Learned func(n *event.Notification, events []Event) error
	// Happened is told of everything else about the subscription; nil: nobody is.
	Happened func(event.SubscriptionEvent) error
}

// eventOf is the Event of a subscription.
func eventOf(p Processing) header.Event {
	ev := header.Event{Package: "xcap-diff"}
	if p != "" && p != NoPatching {
		ev.Params = append(ev.Params, header.Param{Name: "diff-processing", Value: string(p)})
	}
	return ev
}

// List writes the body of a SUBSCRIBE: a flat list (RFC 5875 section 4.4).
func List(uris []string) []byte {
	b := []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<resource-lists xmlns="` + lists.Space + `">` + "\n  <list>\n")
	for _, u := range uris {
		b = append(lexical.AppendAttribute(append(b, "    <entry"...), "uri", u), "/>\n"...)
	}
	return append(b, "  </list>\n</resource-lists>\n"...)
}

// check refuses what must not be in a list.
func check(uris []string) error {
	for _, u := range uris {
		path, _, _ := strings.Cut(u, "?")
		if strings.HasSuffix(path, "/namespace::*") {
			return fmt.Errorf("%s: namespaces cannot be subscribed to", u)
		}
	}
	if len(uris) == 0 {
		return errors.New("there is nothing to subscribe to")
	}
	return nil
}

// Follow subscribes and keeps the copies in step until ctx is done, which is no error, or the subscription has ended, which is an
// *event.EndedError. What could not be fetched is tried again for a while.
func Follow(ctx context.Context, o Options) error {
	if err := check(o.URIs); err != nil {
		return err
	}
	s, err := o.Subscriber.Subscribe(ctx, o.request())
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	f := follower{Options: o, s: s}
	err = f.run(ctx)
	if ended := (*event.EndedError)(nil); errors.As(err, &ended) {
		return err
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	if o.Closing != nil {
		cancel()
		closing, cancel = o.Closing()
	}
	defer cancel()
	s.Close(closing)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// request makes the options of the subscription. Without bodies only the full state tells what is gone, so that each refresh asks for
// it. One dialog comes of it at most (RFC 5875 section 4.9).
func (o *Options) request() event.SubscribeOptions {
	return event.SubscribeOptions{Target: o.Target, Event: eventOf(o.Processing), Accept: []string{xcapdiff.MediaType}, Expires: o.Expires,
		Body: List(o.URIs), BodyType: lists.MediaType, Resubscribe: !o.Once, Conditional: o.Copies.cfg.Fetch != nil}
}

// follower is a running Follow.
type follower struct {
	Options
	s       *event.Subscription
	retries int
	again   time.Time // when to fetch again; zero: not
}

// maxRetries bounds how often fetching fails in a row, pauses doubling from a second on.
const maxRetries = 5

func (f *follower) run(ctx context.Context) error {
	for {
		waiting, cancel := ctx, context.CancelFunc(func() {})
		if !f.again.IsZero() {
			waiting, cancel = context.WithDeadline(ctx, f.again)
		}
		e, err := f.s.Next(waiting)
		cancel()
		switch {
		case err == nil:
			err = f.handle(ctx, e)
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() == nil:
			f.again = time.Time{}
			events, failed := f.Copies.Retry(ctx)
			err = f.learned(nil, events, failed)
		}
		if err != nil {
			return err
		}
	}
}

func (f *follower) handle(ctx context.Context, e event.SubscriptionEvent) error {
	switch {
	case e.Kind == event.OnEnd:
		return &event.EndedError{SubscriptionEvent: e}
	case e.Kind == event.OnSubscribed, e.Kind == event.OnRefreshed:
		f.Copies.Stale()
	case e.Kind == event.OnNotify:
		return f.notified(ctx, e.Notification)
	}
	if f.Happened != nil {
		return f.Happened(e)
	}
	return nil
}

func (f *follower) notified(ctx context.Context, n *event.Notification) error {
	if n.Body == nil {
		return f.Learned(n, nil)
	}
	events, err := f.Copies.Take(ctx, n.Body)
	return f.learned(n, events, err)
}

// learned hands over what was learned, and does what a failure asks for: without patches when one could not be applied (RFC 5875
// section 4.8), again later when a document could not be fetched.
func (f *follower) learned(n *event.Notification, events []Event, failed error) error {
	if err := f.Learned(n, events); err != nil {
		return err
	}
	var fetching *FetchError
	switch {
	case failed == nil:
		f.retries = 0
		return nil
	case errors.Is(failed, ErrPatch):
		return f.s.Change(eventOf(NoPatching))
	case errors.As(failed, &fetching) && f.retries < maxRetries:
		f.again = time.Now().Add(time.Second << f.retries)
		f.retries++
		return nil
	}
	return failed
}

// Retry fetches what could not be fetched before.
func (c *Copies) Retry(ctx context.Context) ([]Event, error) {
	var paths []string
	for path, d := range c.by {
		if d.wanted {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return c.fetchAll(ctx, paths)
}
