package uri

import (
	"errors"
	"strings"

	"imp/internal/xml/selector"
)

// Selector compiles the node selector; nil when the URI has none. Names of elements without a prefix are in the default document
// namespace of the application usage, which may be "" (RFC 4825 section 6.3). The error is an *Error: a prefix without binding is
// Unbound, what can only be an extension selector Extension.
func (u *URI) Selector(namespace string) (*selector.Selector, error) {
	if len(u.Steps) == 0 {
		return nil, nil
	}
	ns := make(selector.Prefixes, len(u.Bindings)+1)
	for _, b := range u.Bindings {
		ns[b.Prefix] = b.URI
	}
	ns[""] = namespace
	text := strings.Join(u.Steps, "/")
	sel, err := selector.ParseXCAP(text, ns)
	if err != nil {
		return nil, asError(text, err)
	}
	steps := sel.Steps()
	for i, s := range u.Steps {
		if i >= len(steps) || steps[i].String() != s {
			return nil, &Error{Extension, Node, s, "this is no step: a slash between steps is not percent-encoded, one in a value is"}
		}
	}
	if len(steps) != len(u.Steps) {
		return nil, &Error{Extension, Node, text, "a slash between steps is percent-encoded"}
	}
	return sel, nil
}

func asError(text string, err error) *Error {
	e := &Error{Reason: Malformed, Piece: Node, Text: text, Msg: err.Error()}
	var syntax *selector.SyntaxError
	if errors.As(err, &syntax) {
		e.Msg = syntax.Msg
	}
	switch {
	case errors.Is(err, selector.ErrPrefix):
		e.Reason = Unbound
		e.Msg += ", the query needs xmlns(prefix=namespace)"
	case errors.Is(err, selector.ErrExtension):
		e.Reason = Extension
	case errors.Is(err, selector.ErrLimit):
		e.Reason = TooLong
	}
	return e
}
