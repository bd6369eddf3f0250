package patch

import (
	"errors"
	"fmt"
	"hash/maphash"

	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

// ErrEntities is the reason why documents that refer to entities of a document type declaration are not compared.
var ErrEntities = errors.New("value of an entity is not known")

// Edits are the operations that make one document canonically equal to another.
type Edits struct{ list []edit }

// edit is one operation as Edits.Append writes it.
type edit struct {
	verb     Verb
	sel      string
	position Position
	kind     string    // type of an add
	content  string    // as it is written in the patch
	free     []binding // prefixes that the operation needs to be bound as they are here
}

// Len returns how many operations there are.
func (e *Edits) Len() int { return len(e.list) }

// Count returns how many operations there are of a verb.
func (e *Edits) Count(v Verb) int {
	count := 0
	for i := range e.list {
		if e.list[i].verb == v {
			count++
		}
	}
	return count
}

// Diff finds the operations that make a canonically equal to b, in the sense of RFC 5261, section 3. The trees are not
// changed. Where elements are matched, by what they hold, by their name and by the attributes id, uri and name, only what
// differs in them is edited; an entry that has moved is removed and added. Time grows almost linearly with the documents,
// and with the number of operations times the number of siblings of what they edit.
//
// A default namespace cannot be edited by RFC 5261, so where it differs the element is replaced as a whole.
func Diff(a, b *tree.Tree) (*Edits, error) {
	for _, t := range []*tree.Tree{a, b} {
		if !t.Root().Valid() {
			return nil, errors.New("diff: document without root element")
		}
		if at, ok := t.Document().Unresolved(); ok {
			line, col := t.Position(at)
			return nil, fmt.Errorf("diff: reference at %d:%d: %w", line, col, ErrEntities)
		}
	}
	if canon.Equal(a.Document(), b.Document()) {
		return &Edits{}, nil
	}
	d := differ{matcher: matcher{seed: maphash.MakeSeed()}, b: b, budget: 4*(a.Count()+b.Count()) + 1<<22}
	if err := d.copy(a); err != nil {
		return nil, err
	}
	d.hashA, d.hashB = hashAll(d.a, d.seed), hashAll(b, d.seed)
	err := d.document()
	if err == nil && canon.Equal(d.a.Document(), b.Document()) {
		return &d.edits, nil
	}
	// What cannot be edited, as names that would meet for a moment, is replaced in one.
	d.edits.list = nil
	if err := d.copy(a); err != nil {
		return nil, err
	}
	if err := d.whole(); err != nil {
		return nil, fmt.Errorf("diff: %w", err)
	}
	return &d.edits, nil
}

// copy makes a tree of a that can be edited.
func (d *differ) copy(a *tree.Tree) error {
	var err error
	limits := tree.Limits{Depth: 1 << 30, Size: 1 << 30, Attributes: 1 << 30, Declarations: 1 << 30}
	if d.a, err = tree.Parse(a.Bytes(), tree.Options{AllowDTD: true, Limits: limits}); err != nil {
		return fmt.Errorf("diff: %w", err)
	}
	return nil
}

// whole replaces the root element and all that stands beside it.
func (d *differ) whole() error {
	for c := d.a.Document().FirstChild(); c.Valid(); {
		next := c.NextSibling()
		if c != d.a.Root() {
			if err := d.remove(c, None); err != nil {
				return err
			}
		}
		c = next
	}
	if err := d.replace(d.a.Root(), d.b.Root()); err != nil {
		return err
	}
	before := true
	for c := range d.b.Document().Children() {
		if c == d.b.Root() {
			before = false
			continue
		}
		anchor := d.a.Root()
		if !before {
			anchor = tree.Node{}
		}
		if err := d.insert(d.a.Document(), anchor, []tree.Node{c}); err != nil {
			return err
		}
	}
	return nil
}
