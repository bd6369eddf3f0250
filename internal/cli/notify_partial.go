package cli

import (
	"errors"

	"github.com/spf13/pflag"

	"imp/internal/cli/kit"
	"imp/internal/doc/filter"
	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// wishes say how much a watcher wants to be told: what a filter leaves (RFC
// 4660), and what changes in it rather than all of it (RFC 5263).
type wishes struct {
	filter  string
	partial bool
}

func (w *wishes) flags(fs *pflag.FlagSet) {
	fs.StringVar(&w.filter, "filter", "", "have the server apply the filter in `FILE` (RFC 4661)")
	fs.BoolVar(&w.partial, "partial", false, "let the server tell what changed in place of whole documents (RFC 5263)")
}

// apply puts the wishes into what is sent.
func (w *wishes) apply(k *kit.Kit, form *event.SubscribeOptions) error {
	if w.partial {
		switch {
		case form.Event.Package != "presence":
			return kit.Fail(kit.ExitUsage, "reading --partial", "changes are told of presence only", "leave out --event")
		case len(form.Accept) > 0:
			return kit.Fail(kit.ExitUsage, "reading --partial", "--accept says which types are taken", "leave one of them out")
		}
		form.Accept = []string{pidfdiff.MediaType, pidf.MediaType + ";q=0.5", rlmi.BodyType, rlmi.MediaType}
	}
	if w.filter == "" {
		return nil
	}
	body, err := k.ReadDocument(w.filter)
	if err != nil {
		return err
	}
	if _, err := filter.ParseSent(body); err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(w.filter), err, "imp xml check "+inputName(w.filter)+" tells more, imp filter apply tries a filter out")
	}
	form.Body, form.BodyType = body, filter.MediaType
	return nil
}

// partialCopy is what a watcher knows by the changes that he was told in one
// subscription.
type partialCopy struct {
	dialog string
	copy   pidfdiff.Copy
}

// What became of a document of changes, in the field update.
const (
	updateFull      = "full"
	updatePartial   = "partial"
	updateDiscarded = "discarded"
	updateLost      = "lost"
)

// compose takes the body of a notification into what is known, if it belongs
// there, and gives the event the document that comes of it.
func (s *shower) compose(e *notifyEvent, dialog string) error {
	ct, err := header.ParseContentType(e.BodyType)
	if err != nil || ct.MediaType != pidfdiff.MediaType && ct.MediaType != pidf.MediaType {
		return nil
	}
	c := s.copies[e.Resource]
	if c == nil || c.dialog != dialog {
		if ct.MediaType == pidf.MediaType {
			return nil
		}
		c = &partialCopy{dialog: dialog}
		if s.copies == nil {
			s.copies = map[string]*partialCopy{}
		}
		s.copies[e.Resource] = c
	}
	if ct.MediaType == pidf.MediaType {
		return c.copy.TakePresence(e.body)
	}
	return e.takeChanges(s.kit, &c.copy)
}

// takeChanges applies a partial document to what is known (RFC 5263 section 4.5).
func (e *notifyEvent) takeChanges(k *kit.Kit, known *pidfdiff.Copy) error {
	e.Document = nil
	outcome := pidfdiff.Lost
	d, err := pidfdiff.Parse(e.body)
	if err == nil {
		if d.HasVersion {
			e.Version = &d.Version
		}
		outcome, err = known.Take(d)
	}
	switch outcome {
	case pidfdiff.Outdated:
		e.Update = updateDiscarded
		k.Warn("what came of %s is left out: %v", e.Resource, err)
		return nil
	case pidfdiff.Lost:
		e.Update, e.missed = updateLost, true
		k.Note("what changed in %s does not follow on what is known (%v), all is asked for", e.Resource, err)
		return nil
	case pidfdiff.Replaced:
		e.Update = updateFull
	case pidfdiff.Patched:
		e.Update = updatePartial
	}
	if e.composed, err = pidfdiff.Presence(known.State()); err != nil {
		return err
	}
	if e.presence, err = pidf.Read(e.composed); err != nil {
		return errors.Join(errors.New("what the changes lead to"), err)
	}
	e.Document = e.presence
	return nil
}
