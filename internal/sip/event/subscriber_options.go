package event

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// SubscribeOptions say what is subscribed to, as whom, and how. Target, From,
// Event and Contact are needed.
type SubscribeOptions struct {
	Target string         // URI of the resource: Request-URI and To
	From   header.Address // URI and display name of the watcher; its parameters are not used
	Event  header.Event   // package, id and parameters, the same in every SUBSCRIBE
	Accept []string       // body types; none: the package's default type is implied
	// Expires is the duration to ask for; 0 leaves it to the package, whose
	// default is taken to be an hour until the notifier tells better.
	Expires time.Duration
	// Fetch asks for the state once (RFC 6665 section 4.4.3): Expires is 0, and
	// the subscription ends with its first NOTIFY, of whichever dialog.
	Fetch bool
	// Body, with BodyType, goes into initial SUBSCRIBEs only, with BodyFields
	// (Require, Content-Disposition and the like): what it installs stays.
	Body       []byte
	BodyType   string
	BodyFields []stack.Field
	// Fields go into every SUBSCRIBE, refreshes included: Supported and the
	// like, since the notifier goes by the most recent one.
	Fields []stack.Field
	// Conditional has refreshes and resubscriptions say which state is at hand
	// (RFC 5839), as far as the notifier gives it a name: what was told is not
	// told again then, so that a Notification without body means the state of
	// before.
	Conditional bool
	// ETag is the entity-tag of the state that is at hand from earlier; it
	// implies Conditional. "*" wants to hear of the subscription's state only.
	ETag  string
	Route Route // of initial SUBSCRIBEs; dialogs have their own
	// Contact gives the sip or sips URI under which the peer at to reaches
	// this subscriber; it is asked before each SUBSCRIBE.
	Contact func(to stack.Target) string
	// MultipleDialogs says that the package allows several subscriptions from
	// one SUBSCRIBE (RFC 6665 section 5.4.9), so that every fork of it becomes
	// one. Otherwise the first NOTIFY wins and those of other dialogs are
	// answered 481.
	MultipleDialogs bool
	// Resubscribe makes a new subscription when all dialogs of the old one
	// have ended against our will, as far and as soon as the reason allows
	// (section 4.1.3). A subscription that never came to be is not retried.
	Resubscribe bool
}

// chain is what initial SUBSCRIBEs have in common.
func (o *SubscribeOptions) chain() uac.ChainConfig {
	return uac.ChainConfig{Method: "SUBSCRIBE", URI: o.Target, From: o.From, Route: o.Route}
}

// form is what the requests of a subscription are made of.
type form struct {
	fields  []byte        // of every SUBSCRIBE
	initial []byte        // of initial ones, for the body
	asked   time.Duration // Expires, noExpires for none
}

// form checks the options and renders what stays the same.
func (o *SubscribeOptions) form() (form, error) {
	if o.Contact == nil {
		return form{}, errors.New("a Contact is needed for SUBSCRIBE")
	}
	f := form{asked: o.Expires}
	var err error
	if f.fields, err = renderEvent(o.Event); err != nil {
		return form{}, err
	}
	if len(o.Accept) > 0 {
		if _, err := header.ParseAccept(o.Accept); err != nil {
			return form{}, err
		}
		f.fields = uac.AppendField(f.fields, "Accept", strings.Join(o.Accept, ", "))
	}
	if o.ETag != "" {
		if _, err := header.ParseETag(o.ETag); err != nil {
			return form{}, err
		}
	}
	more, err := uac.RenderFields(o.Fields)
	if err != nil {
		return form{}, err
	}
	f.fields = append(f.fields, more...)
	if len(o.Body) > 0 {
		if _, err := header.ParseContentType(o.BodyType); err != nil {
			return form{}, fmt.Errorf("the type of the SUBSCRIBE body: %w", err)
		}
		if f.initial, err = uac.RenderFields(o.BodyFields); err != nil {
			return form{}, err
		}
		f.initial = uac.AppendField(f.initial, "Content-Type", o.BodyType)
	}
	switch {
	case o.Fetch:
		f.asked = 0
	case o.Expires == 0:
		f.asked = noExpires
	case o.Expires < time.Second:
		return form{}, fmt.Errorf("duration %v: one second is the least", o.Expires)
	}
	return f, nil
}
