package presence

import (
	"bytes"

	"imp/internal/doc/filter"
	"imp/internal/doc/pidfdiff"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// maxFilter is how long the document of filters in a SUBSCRIBE may be, in bytes.
const maxFilter = 16 << 10

// asked is what a watcher wants of what he may see (RFC 4660, RFC 5263); nil is
// all of it, whole.
type asked struct {
	filters *filter.Set    // installed by the subscription, nil: none
	filter  *filter.Filter // the one for the presentity, nil: none
	partial bool           // changes are told as such
	name    string         // equal for those who get the same
}

// askedOf is what the watcher of a view wants.
func askedOf(v event.View) *asked {
	if l, ok := v.(*layered); ok {
		return l.asked
	}
	return nil
}

// ask reads what a SUBSCRIBE wants; current is what the subscription got so far.
// The error is a Refusal.
func (a *Agent) ask(r event.Request, current *asked) (*asked, error) {
	next := asked{partial: wantsChanges(r.Accept)}
	if current != nil {
		next.filters = current.filters
	}
	change, err := readFilters(r)
	if err != nil {
		return nil, err
	}
	if change != nil {
		if next.filters, err = next.filters.Update(change, r.Resource, a.sameResource); err != nil {
			return nil, badFilter(err.Error())
		}
	}
	if current != nil && change == nil && next.partial == current.partial {
		return current, nil
	}
	if next.filters == nil && !next.partial {
		return nil, nil
	}
	if next.filters != nil {
		if next.filter = next.filters.For(r.Resource, a.sameResource); next.filter != nil {
			next.name = next.filter.Key()
		}
		if next.name == "" {
			next.filter = nil // there is one that leaves everything as it is
		}
	}
	if next.partial {
		next.name += "+"
	}
	return &next, nil
}

// readFilters gives the filters in the body of a SUBSCRIBE, nil without a body or
// with one that may be left out.
func readFilters(r event.Request) (*filter.Set, error) {
	if r.Body == nil {
		return nil, nil
	}
	optional := false
	if r.Disposition != "" {
		d, err := header.ParseContentDisposition(r.Disposition)
		if err != nil {
			return nil, &event.Refusal{Status: 400, Phrase: "Bad Content-Disposition"}
		}
		optional = d.Optional()
	}
	ct, err := header.ParseContentType(r.ContentType)
	if err != nil || ct.MediaType != filter.MediaType || !utf8Charset(ct) {
		if optional {
			return nil, nil
		}
		return nil, &event.Refusal{Status: 415, Fields: []stack.Field{{Name: "Accept", Value: filter.MediaType}}}
	}
	if len(r.Body) > maxFilter {
		return nil, &event.Refusal{Status: 413}
	}
	set, err := filter.Parse(bytes.Clone(r.Body)) // which lives on in the subscription
	if err != nil {
		return nil, badFilter(err.Error())
	}
	if set.Package != "" && set.Package != "presence" {
		return nil, badFilter("the filters are for the event package " + set.Package)
	}
	for i := range set.Filters {
		if wrong := set.Filters[i].Errors(); len(wrong) > 0 {
			return nil, badFilter(wrong[0])
		}
	}
	return set, nil
}

// badFilter refuses a filter and says why (RFC 4660 section 5.4).
func badFilter(why string) error {
	return &event.Refusal{Status: 488, Warning: why}
}

// sameResource tells whether two URIs stand for one presentity.
func (a *Agent) sameResource(x, y string) bool {
	if x == y {
		return true
	}
	u, err := header.ParseURI(x)
	if err != nil {
		return false
	}
	v, err := header.ParseURI(y)
	if err != nil {
		return false
	}
	p, ok := a.cfg.Directory.AOR(u)
	q, own := a.cfg.Directory.AOR(v)
	return ok && own && p == q || u.Equal(v)
}

// wantsChanges tells whether a watcher prefers the changes of documents to whole
// ones (RFC 5263 section 4.3): only who names their type does.
func wantsChanges(accept header.Accept) bool {
	for i := range accept {
		if accept[i].Type == pidfdiff.MediaType {
			q := accept.Quality(pidfdiff.MediaType)
			return q > 0 && q >= accept.Quality(mediaType)
		}
	}
	return false
}

// remembers tells whether what is told next depends on what was told last.
func (a *asked) remembers() bool {
	return a.partial || a.filter != nil && len(a.filter.Triggers) > 0
}

// content is what the filter leaves of a document, nil for nothing.
func (a *asked) content(doc []byte) ([]byte, error) {
	if a.filter == nil || doc == nil {
		return doc, nil
	}
	return a.filter.Apply(doc)
}

// whole is a document that is told as it is; nil makes a NOTIFY without body (RFC
// 4660 section 5.3.1).
func whole(doc []byte) event.Body {
	if doc == nil {
		return event.Body{}
	}
	return event.Body{Type: mediaType, Bytes: doc}
}

// render makes of what a watcher may see, the version-th document of the
// presentity, what he is told who was told since last.
func (a *asked) render(h *history, doc []byte, version, since event.Mark) (event.Body, event.Mark, error) {
	if !a.remembers() {
		content, err := a.content(doc)
		return whole(content), version, err
	}
	before, known := h.get(since)
	now := h.keep(doc, version)
	if now == since {
		return event.Body{}, since, nil
	}
	if known && a.filter != nil && len(a.filter.Triggers) > 0 {
		if fires, err := a.filter.Fires(before, doc); err != nil || !fires {
			return event.Body{}, since, err
		}
	}
	content, err := a.content(doc)
	switch {
	case err != nil:
		return event.Body{}, since, err
	case !a.partial || content == nil:
		return whole(content), now, nil
	}
	had, err := a.content(before)
	if err != nil {
		return event.Body{}, since, err
	}
	body, err := changes(had, content)
	if body.Type == "" && err == nil {
		return body, since, nil // nothing in what the filter leaves
	}
	return body, now, err
}
