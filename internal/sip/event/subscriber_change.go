package event

import (
	"errors"

	"imp/internal/sip/header"
)

// Change has this and all later SUBSCRIBEs carry other parameters of the event package, and asks for the full state with them at once,
// as a package allows that gives its parameters a meaning (RFC 5875 section 4.8). Package and id stay what they are; the error is that of
// an Event with others, or of one that cannot be written.
func (s *Subscription) Change(ev header.Event) error {
	if !s.opts.Event.Match(ev) {
		return errors.New("a subscription keeps its event package and id")
	}
	o := s.opts
	o.Event = ev
	f, err := o.form()
	if err != nil {
		return err
	}
	s.lock()
	defer s.unlock()
	s.form = f
	if s.cur != nil {
		for _, u := range s.cur.usages {
			u.refetch()
		}
	}
	return nil
}
