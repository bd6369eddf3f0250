// Package event implements SIP event notification and publication free of any
// event package: the notifier and the subscriber of RFC 6665, the event state
// compositor and the publisher of RFC 3903. What an event package adds (RFC
// 6665 section 5.4) comes in through Package, View and Publishable; this
// package must know no body format, no rules and no user.
package event

import (
	"context"
	"fmt"
	"slices"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Defaults are the numbers an event package lays down (RFC 6665 section 5.4).
// Zero fields take the framework's own: 3600 s default and maximum, 60 s
// minimum, no pacing.
type Defaults struct {
	Expires    time.Duration // duration when SUBSCRIBE has no Expires
	MinExpires time.Duration // below it 423, as far as RFC 6665 section 4.2.1.1 allows
	MaxExpires time.Duration // longer requests are shortened to it
	// MinInterval is the least time between two NOTIFYs of a subscription
	// (section 5.4.10). NOTIFYs that answer a SUBSCRIBE, tell a new
	// subscription state or end the subscription are never held back.
	MinInterval time.Duration
}

// Package is an event package or template package at the notifier.
type Package interface {
	// Name is the event-type as it stands in Event, "presence" or
	// "presence.winfo"; it is compared byte for byte.
	Name() string
	// Types are the body types NOTIFY can carry, the default one first.
	Types() []string
	Defaults() Defaults
	// Open judges a SUBSCRIBE, new or refreshing, and gives the view its
	// watcher gets. A Refusal as error answers it with that status; any
	// other error is answered 500. Open may read storage; it must not wait
	// for people (RFC 6665 section 4.2.1).
	Open(ctx context.Context, r Request) (View, Decision, error)
}

// Request is what a SUBSCRIBE asks for, as far as a package needs to know.
type Request struct {
	// Message is the SUBSCRIBE itself, for header fields that few packages look
	// at; nil when the watcher is in this process.
	Message  *stack.Request
	ID       string        // of the subscription, as Info has it
	Resource string        // canonical name of the resource
	URI      string        // the Request-URI the watcher wrote
	Watcher  string        // the watcher's canonical identity
	Event    header.Event  // with the package's own parameters
	Accept   header.Accept // empty: the package's default type
	// ContentType, Disposition (the value of Content-Disposition) and Body are
	// those of the SUBSCRIBE; Body is nil without one.
	ContentType string
	Disposition string
	Body        []byte
	Duration    time.Duration // granted; 0 for a fetch
	// Current is the view the subscription has so far, nil for a new one. A
	// refresh without body keeps what earlier bodies installed (RFC 4660
	// section 3.3.3), so the package may return Current itself.
	Current View
}

// State is a subscription state of RFC 6665 section 4.1.3.
type State uint8

// The subscription states.
const (
	Active State = iota
	Pending
	Terminated
)

func (s State) String() string {
	switch s {
	case Active:
		return "active"
	case Pending:
		return "pending"
	default:
		return "terminated"
	}
}

// Decision is the package's verdict on a watcher.
type Decision struct {
	State State // Active or Pending; Terminated ends the subscription
	// Reason and RetryAfter go into Subscription-State when State is Terminated.
	Reason     string
	RetryAfter time.Duration
}

// Refusal is an error that a request is answered with.
type Refusal struct {
	Status int
	Phrase string // "" for the standard phrase
	Fields []stack.Field
	// Warning, unless it is "", tells people in a Warning field what is wrong.
	Warning string
	Type    string // media type of Body
	Body    []byte
}

func (r *Refusal) response() *stack.Response {
	fields := r.Fields
	if r.Warning != "" {
		fields = append(slices.Clip(fields), warning("imp", r.Warning))
	}
	return &stack.Response{Status: r.Status, Reason: r.Phrase, Fields: fields, ContentType: r.Type, Body: r.Body}
}

// warning is a Warning field of one line.
func warning(agent, text string) stack.Field {
	return stack.Field{Name: "Warning", Value: header.Warning{Code: 399, Agent: agent, Text: phrase(text)}.String()}
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s", r.Status, r.Phrase) }

// Mark names a version of a view; the zero Mark stands for "nothing yet".
type Mark uint64

// Body is one rendered NOTIFY body. Its bytes are shared by all subscriptions
// that get it and must not change.
type Body struct {
	Type  string // Content-Type; "" = NOTIFY without body
	Bytes []byte
	// NumberAt, when positive, is the offset in Bytes at which the notifier
	// writes the decimal document version of the subscription: NumberFrom for
	// its first NOTIFY, one more for each further one (RFC 6665 section
	// 5.3.2). So one rendering serves watchers whose versions differ.
	NumberAt   int
	NumberFrom uint32
	// NumberDelivered gives the number of a NOTIFY that was refused to the next
	// one (RFC 5263 section 4.4); otherwise each NOTIFY has its own.
	NumberDelivered bool
	// Fields are further header fields of this NOTIFY.
	Fields []stack.Field
}

// View is what one watcher is shown of a resource. It must be comparable, as a
// pointer is. Views of one resource render one at a time, with no lock of the
// notifier's shards held; Key and Render are not called after Close nor during
// it.
type View interface {
	// Key names the rendering: subscriptions to one resource with equal keys
	// share it. "" is private.
	Key() string
	// Render gives the body that brings a watcher who has version since up to
	// date, and the version that it brings him to: full state when since is
	// zero. A body without Type makes a NOTIFY without body. An error ends the
	// subscription with reason giveup.
	Render(since Mark) (Body, Mark, error)
	// Close tells that the subscription ended, with the reason of its
	// Subscription-State, or that a refresh replaced the view, with "". It
	// must not wait.
	Close(reason string)
}

// DeltaView is a View whose Render gives less than the full state. As an
// entity-tag names the full state (RFC 5839 section 6.4), it must tell that.
type DeltaView interface {
	View
	// State names the full state that a Render just brought its watcher to, as
	// version m: equal names mean equal state, for ever.
	State(m Mark) string
}

// Successor is a View that can go on where another one was: a review or the like
// that puts it in place of that one brings no full state then.
type Successor interface {
	View
	// Continues tells whether the versions that before has told mean the same to
	// this view.
	Continues(before View) bool
}

// Doc is published event state that a package has accepted.
type Doc struct {
	Type string // media type, as it is to be stored
	Body []byte
	// Change, when not nil, says that the document is no state but a change of
	// one (RFC 5264 section 4.3.2): it gives the state that is to be stored in
	// place of the publication's. Its errors are those of Check. No publication
	// can begin with such a document.
	Change func(state Doc) (Doc, error)
}

// Publishable is a Package that takes publications (RFC 3903).
type Publishable interface {
	Package
	// Check judges the body of a PUBLISH. An UnsupportedType is answered 415
	// with Accept, a Refusal with its status, any other error 400 with a
	// Warning that carries its text.
	Check(contentType string, body []byte) (Doc, error)
}

// UnsupportedType is the error of Check for a media type it does not know.
type UnsupportedType struct{ Accept []string }

func (u *UnsupportedType) Error() string {
	return fmt.Sprintf("media type is not supported, accepted are %v", u.Accept)
}

// Resources tells which resources this server serves.
type Resources interface {
	// Resource maps a Request-URI to the canonical name of a resource. ok is
	// false when there is no such resource here.
	Resource(uri header.URI) (name string, ok bool)
}
