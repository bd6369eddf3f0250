package presence

import (
	"time"

	"imp/internal/doc/pidf"
	"imp/internal/sip/event"
)

// What a watcher is shown is made in layers, each of which takes the document of
// the one before and knows nothing of the others:
//
//	composed   all that is published, one document for each entity
//	permitted  what the rules of the presentity let the watcher see (RFC 5025)
//	filtered   what he asked for of that (RFC 4661)
//	told       the whole document or what changed in it (RFC 5263)
//
// A view without layers is a view, one with layers a layered; so who uses none
// pays for none.

// layers are those of one view. The zero layers leave a document as it is.
type layers struct {
	permitted *permitted // nil: everything
	asked     *asked     // filtered and told; nil: all of that, whole
}

// newView makes the view of a presentity, to which the caller holds a reference
// that Close gives back.
func newView(p *presentity, entity string, l layers) event.View {
	bare := view{presentity: p, entity: entity}
	if l == (layers{}) {
		return &bare
	}
	return &layered{view: bare, layers: l, name: l.name(entity)}
}

// name is the key of a view with these layers.
func (l layers) name(entity string) string {
	entity += "\x00" + l.permitted.key() + "\x00"
	if l.asked != nil {
		entity += l.asked.name
	}
	return entity
}

// view is what a watcher sees of a presentity who may see everything and asks
// for nothing less, under the URI he asked for (RFC 4479 section 3.1).
type view struct {
	presentity *presentity
	entity     string
}

// Key makes watchers of one URI share their documents.
func (v *view) Key() string { return v.entity }

// Render gives the whole document (RFC 3856 section 6.7).
func (v *view) Render(event.Mark) (event.Body, event.Mark, error) {
	doc, version := v.presentity.document(v.entity, time.Now())
	return event.Body{Type: mediaType, Bytes: doc}, version, nil
}

// Close lets go of the presentity.
func (v *view) Close(string) { v.presentity.owner.release(v.presentity) }

// layered is a view with layers.
type layered struct {
	view
	layers
	name string
}

// Key makes watchers with equal layers share their documents.
func (v *layered) Key() string { return v.name }

// Render gives what the layers leave to a watcher who was told since.
func (v *layered) Render(since event.Mark) (event.Body, event.Mark, error) {
	doc, version := v.document(time.Now())
	if v.asked == nil {
		return whole(doc), version, nil
	}
	return v.asked.render(v.presentity.history(), doc, version, since)
}

// State implements event.DeltaView for watchers who are told changes.
func (v *layered) State(m event.Mark) string {
	if v.asked == nil || !v.asked.partial {
		return ""
	}
	return v.presentity.history().name(m) + v.asked.name
}

// Continues implements event.Successor: who may see something else now is told
// what that changes, and what he waits for may be in it (RFC 4661 section 3.6.2).
func (v *layered) Continues(before event.View) bool {
	was, ok := before.(*layered)
	return ok && v.asked != nil && v.asked.remembers() && was.asked == v.asked && was.presentity == v.presentity && was.entity == v.entity
}

// document is what the watcher may see, and its version.
func (v *layered) document(now time.Time) ([]byte, event.Mark) {
	switch {
	case v.permitted == nil:
		return v.presentity.document(v.entity, now)
	case v.permitted.rules == nil:
		return pidf.Neutral(v.entity), 1
	}
	return v.presentity.permitted(v.entity, v.permitted, now)
}

// layersOf takes a view of this package apart.
func layersOf(v event.View) (*view, layers) {
	switch v := v.(type) {
	case *layered:
		return &v.view, v.layers
	case *view:
		return v, layers{}
	}
	return nil, layers{}
}
