package xcapdiff

import (
	"errors"
	"fmt"

	"imp/internal/xml/tree"
)

// Action is what a change means for a document that a client keeps (RFC 5874 figure 1).
type Action uint8

// The actions.
const (
	Unknown Action = iota
	Patch          // operations are included
	Fetch          // it has changed, and has to be fetched to know how
	Retag          // only the entity-tag is another one
	Exist          // it exists or was created
	Remove         // it was removed
)

var actions = [...]string{"unknown", "patch", "fetch", "retag", "exist", "remove"}

func (a Action) String() string { return actions[a] }

// Action returns what the change means.
func (c *Change) Action() Action {
	was, is, patched := c.PreviousETag != "", c.NewETag != "", len(c.patch.Operations) > 0 || c.Edits != nil && c.Edits.Len() > 0
	switch {
	case was && is && patched && !c.BodyNotChanged:
		return Patch
	case was && is && c.BodyNotChanged, was && is && c.Edits != nil:
		return Retag
	case c.BodyNotChanged || patched:
		return Unknown
	case was && is:
		return Fetch
	case is:
		return Exist
	case was:
		return Remove
	}
	return Unknown
}

// ErrOutOfStep is the reason why a change is not applied: it is about another version than the one that is kept. The client
// should end its session and begin anew (RFC 5874 section 6).
var ErrOutOfStep = errors.New("the change is about another version")

// Cached is a document that a client keeps. The zero Cached has none.
type Cached struct {
	ETag string // "" when there is no document
	Doc  []byte
	// Stale is the entity-tag of a version that has to be fetched, "" when there is none.
	Stale string
}

// Take does with the document what a change says, and returns what that is; after Fetch, and after Exist where Stale is set,
// the document has to be fetched. Entity-tags are compared byte by byte. The error is ErrOutOfStep or that of the operations;
// the document is what it was then.
func (c *Cached) Take(ch *Change) (Action, error) {
	action := ch.Action()
	known := c.ETag
	if c.Stale != "" {
		known = c.Stale
	}
	if action != Exist && ch.PreviousETag != known {
		return action, fmt.Errorf("change from %q, but the document has %q: %w", ch.PreviousETag, known, ErrOutOfStep)
	}
	switch action {
	case Exist:
		if ch.NewETag != known {
			c.Stale = ch.NewETag
		}
	case Remove:
		*c = Cached{}
	case Retag:
		c.retag(ch.NewETag)
	case Fetch:
		c.Stale = ch.NewETag
	case Patch:
		return action, c.apply(ch)
	default:
		return action, errors.New("the entity-tags of the change mean nothing")
	}
	return action, nil
}

// retag gives the document another entity-tag, be it here or still to be fetched.
func (c *Cached) retag(etag string) {
	if c.Stale != "" {
		c.Stale = etag
		return
	}
	c.ETag = etag
}

func (c *Cached) apply(ch *Change) error {
	if c.Stale != "" { // what is fetched has the changes
		c.Stale = ch.NewETag
		return nil
	}
	t, err := tree.Parse(c.Doc, tree.Options{})
	if err != nil {
		return err
	}
	if err := ch.patch.Apply(t, nil); err != nil {
		return err
	}
	c.Doc, c.ETag = t.Bytes(), ch.NewETag
	return nil
}

// Fetched keeps a document that was fetched.
func (c *Cached) Fetched(etag string, doc []byte) { *c = Cached{ETag: etag, Doc: doc} }
