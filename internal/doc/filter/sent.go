package filter

import (
	"errors"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// ParseSent is Parse for who sends the document: it refuses beside what Parse does extensions (RFC 4660 section 6), triggers that have nothing to fire for
// (RFC 4661 section 3.6) and wrong expressions.
func ParseSent(src []byte) (*Set, error) {
	s, err := Parse(src)
	if err != nil {
		return nil, err
	}
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	if err := sendable(t.Root()); err != nil {
		return nil, err
	}
	for i := range s.Filters {
		if wrong := s.Filters[i].Errors(); len(wrong) > 0 {
			return nil, errors.New("filter " + lexical.Clip(s.Filters[i].ID) + ": " + wrong[0])
		}
	}
	return s, nil
}

// sendable is the error of the first element that is not to be sent.
func sendable(n tree.Node) error {
	if n.Space() != Space {
		return at(n, "<"+lexical.Clip(n.Name())+"> is an extension that imp cannot check")
	}
	for a := range n.Attrs() {
		if a.Space() != "" {
			return at(n, "the attribute "+lexical.Clip(a.Local())+" of <"+n.Local()+"> is an extension that imp cannot check")
		}
	}
	some := false
	for c := range n.Elements() {
		some = true
		if err := sendable(c); err != nil {
			return err
		}
	}
	if n.Local() == "trigger" && !some {
		return at(n, "<trigger> has no changed, added or removed")
	}
	return nil
}
