package pidfdiff

import (
	"errors"
	"fmt"

	"imp/internal/xml/patch"
)

// Outcome tells what became of a document (RFC 5263 section 4.5).
type Outcome uint8

// The outcomes.
const (
	// Outdated: the version is not higher than the last one. The document is a mistake of the sender and was left out.
	Outdated Outcome = iota
	// Replaced: the copy is the full state that came.
	Replaced
	// Patched: the changes were applied.
	Patched
	// Lost: the copy is not what the changes are for, because a document before them is missing or they do not apply. A
	// refresh brings the full state; the copy is what it was.
	Lost
)

// Copy is what a watcher knows of a presentity in one subscription, or a compositor of one publication: the full state and its
// version. The zero Copy knows nothing. It must not be used by several goroutines at once.
type Copy struct {
	// Explain, when it is not nil, is told of every operation what it did.
	Explain func(patch.Applied)

	state   []byte
	version uint32
	counted bool // version is one
}

// NewCopy returns a copy that knows a full state, a presence document or a pidf-full with its version.
func NewCopy(state []byte) (*Copy, error) {
	t, err := parseState(state)
	if err != nil {
		return nil, err
	}
	c := &Copy{state: state}
	if t.Root().Space() != Space {
		return c, nil
	}
	d, err := Parse(state)
	if err == nil {
		c.count(d)
	}
	return c, err
}

// State returns the full state as it came with its changes, a pidf-full or a presence document; nil when nothing is known.
func (c *Copy) State() []byte { return c.state }

// Version returns the number of the state; there is none when no document had one.
func (c *Copy) Version() (version uint32, ok bool) { return c.version, c.counted }

// ErrVersion is the reason why changes are not applied: they do not follow on the state.
var ErrVersion = errors.New("version does not follow")

// Take takes a document into the copy: one that leads to a full state with a higher version, or changes with the next one.
// Without versions, as in publications, everything is taken. The error tells why the outcome is Outdated or Lost. The copy
// keeps the source of the document.
func (c *Copy) Take(d *Document) (Outcome, error) {
	numbered := c.counted && d.HasVersion
	switch {
	case numbered && d.Version <= c.version:
		return Outdated, fmt.Errorf("version %d after %d: %w", d.Version, c.version, ErrVersion)
	case d.Full:
		c.state = d.src
		c.count(d)
		return Replaced, nil
	case c.state == nil:
		return Lost, errors.New("changes of a state that is not known")
	case numbered && d.Version != c.version+1:
		return Lost, fmt.Errorf("version %d after %d: %w", d.Version, c.version, ErrVersion)
	}
	state, err := d.Apply(c.state, c.Explain)
	if err != nil {
		return Lost, err
	}
	c.state = state
	c.count(d)
	return Patched, nil
}

func (c *Copy) count(d *Document) {
	if d.HasVersion {
		c.version, c.counted = d.Version, true
	}
}

// TakePresence takes a document of the type application/pidf+xml: what was known is dropped, and the version stays what it
// was, for the sender counts on when it comes back to this type (RFC 5263 section 4.5).
func (c *Copy) TakePresence(src []byte) error {
	t, err := parseState(src)
	if err != nil {
		return err
	}
	if t.Root().Space() == Space {
		return errors.New("a pidf-full under the type of presence documents")
	}
	c.state = nil
	return nil
}
