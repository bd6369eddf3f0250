package event

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// Authenticator answers a challenge.
type Authenticator = uac.Authenticator

// Route says how requests outside dialogs reach their target.
type Route = uac.Route

// contact is where NOTIFYs are to go: a sips URI when one is subscribed to (RFC
// 3261 section 8.1.1.8).
func (s *Subscription) contact(to stack.Target) string {
	c := s.opts.Contact(to)
	if len(s.opts.Target) > 5 && strings.EqualFold(s.opts.Target[:5], "sips:") {
		return header.Secured(c)
	}
	return c
}

// appendExpires appends Expires, unless d is noExpires.
func appendExpires(b []byte, d time.Duration) []byte {
	if d == noExpires {
		return b
	}
	return uac.AppendField(b, "Expires", strconv.FormatInt(seconds(d), 10))
}

// noExpires is the duration that is not told: the other side chooses.
const noExpires time.Duration = -1

// renderEvent renders the Event field.
func renderEvent(e header.Event) ([]byte, error) {
	v := e.String()
	if _, err := header.ParseEvent(v); err != nil {
		return nil, err
	}
	return uac.AppendField(nil, "Event", v), nil
}

// grantedExpires is the Expires of a 2xx, which is never longer than what was
// asked for; without a legible one it is what was asked for, or usual when
// that was not told.
func grantedExpires(res *sip.Response, asked, usual time.Duration) time.Duration {
	if asked != noExpires {
		usual = asked
	}
	v, ok, err := header.Single(res, "Expires")
	if err != nil || !ok {
		return usual
	}
	s, err := header.ParseExpires(v)
	if err != nil {
		return usual
	}
	d := time.Duration(s) * time.Second
	if asked != noExpires {
		return min(d, asked)
	}
	return d
}
