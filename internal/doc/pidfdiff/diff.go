package pidfdiff

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"imp/internal/xml/lexical"
	"imp/internal/xml/patch"
	"imp/internal/xml/tree"
)

// Diff returns the pidf-diff that makes one full state, a presence document or a pidf-full, equal to another one, with the
// entity of both and the version of the second; changed is false when they are equal. The names in its selectors do not
// depend on which of the two the receiver has. The error is ErrEntity, or an *Error about one of the states.
func Diff(from, to []byte, version uint32) (diff []byte, changed bool, err error) {
	return difference(from, to, strconv.FormatUint(uint64(version), 10))
}

func difference(from, to []byte, version string) (diff []byte, changed bool, err error) {
	a, err := presenceTree(from)
	if err != nil {
		return nil, false, err
	}
	b, err := presenceTree(to)
	if err != nil {
		return nil, false, err
	}
	was, _ := a.Root().Attr("", "entity")
	is, _ := b.Root().Attr("", "entity")
	if lexical.Trim(was) != lexical.Trim(is) {
		return nil, false, fmt.Errorf("changes from %s to %s: %w", lexical.Clip(was), lexical.Clip(is), ErrEntity)
	}
	edits, err := patch.Diff(a, b)
	if err != nil {
		return nil, false, err
	}
	frame := patch.Frame{Vocabulary: patch.PIDFDiff, Entity: lexical.Trim(is), Version: version}
	return edits.Append(nil, frame), edits.Len() > 0, nil
}

func presenceTree(state []byte) (*tree.Tree, error) {
	t, err := parseState(state)
	if err != nil || t.Root().Space() == spacePIDF {
		return t, err
	}
	doc, err := Presence(state)
	if err != nil {
		return nil, err
	}
	return tree.Parse(doc, options)
}

// Update returns the document that tells a receiver of one full state the other one: the changes, or the full state where
// that is not longer (RFC 5262 section 4). There is nothing to tell, nil, when they are equal.
func Update(from, to []byte, version uint32) ([]byte, error) {
	diff, changed, err := Diff(from, to, version)
	if err != nil || !changed {
		return nil, err
	}
	full, err := Full(to, version)
	if err != nil || len(full) > len(diff) {
		return diff, err
	}
	return full, nil
}

// Unnumbered is Update without the digits of the version, which belong at the offset at: so one document serves receivers
// who count differently. Without from it is the full state.
func Unnumbered(from, to []byte) (doc []byte, at int, err error) {
	if from == nil {
		doc, err = Full(to, 0)
	} else {
		doc, err = Update(from, to, 0)
	}
	if err != nil || doc == nil {
		return nil, 0, err
	}
	// Both are written with double quotes, and nothing before the version can hold them.
	const zero = ` version="0"`
	if at = bytes.Index(doc, []byte(zero)); at < 0 {
		return nil, 0, errors.New("a partial presence document was written without version")
	}
	at += len(zero) - len(`0"`)
	return slices.Delete(doc, at, at+1), at, nil
}

// Publication returns the document by which a publisher of one full state publishes another one, without a version (RFC 5264
// sections 3.2 and 4.2): the changes, or the full state where he has published none or that is not longer.
func Publication(from, to []byte) (doc []byte, full bool, err error) {
	t, err := parseState(to)
	if err != nil {
		return nil, false, err
	}
	whole := to
	if t.Root().Space() != Space {
		if whole, err = rename(t, Space, "p", "pidf-full", ""); err != nil {
			return nil, false, err
		}
	}
	if from == nil {
		return whole, true, nil
	}
	diff, changed, err := difference(from, to, "")
	if err != nil || !changed || len(diff) >= len(whole) {
		return whole, true, err
	}
	return diff, false, nil
}
