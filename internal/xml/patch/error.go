package patch

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"imp/internal/xml/canon"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// Condition is the name of an error condition of RFC 5261, section 5.1.
type Condition string

// The error conditions. UnsupportedXMLID never occurs, since xml:id is supported; UnsupportedID does when a document has a
// document type declaration, which may declare attributes of type ID and is not read.
const (
	InvalidAttributeValue Condition = "invalid-attribute-value"
	InvalidCharacterSet   Condition = "invalid-character-set"
	InvalidDiffFormat     Condition = "invalid-diff-format"
	InvalidEntity         Condition = "invalid-entity-declaration"
	InvalidPrefix         Condition = "invalid-namespace-prefix"
	InvalidURI            Condition = "invalid-namespace-uri"
	InvalidNodeTypes      Condition = "invalid-node-types"
	InvalidDirective      Condition = "invalid-patch-directive"
	InvalidRootOperation  Condition = "invalid-root-element-operation"
	InvalidProlog         Condition = "invalid-xml-prolog-operation"
	InvalidWhitespace     Condition = "invalid-whitespace-directive"
	UnlocatedNode         Condition = "unlocated-node"
	UnsupportedID         Condition = "unsupported-id-function"
	UnsupportedXMLID      Condition = "unsupported-xml-id"
)

// Error tells why a patch was refused.
type Error struct {
	Condition Condition
	Index     int    // of the operation in its list, from 0; -1 when it is about none
	Line, Col int    // where in the patch, from 1; 0, 0 when that is not known
	Selector  string // sel of the operation as written
	Err       error

	operation tree.Node
}

// Error returns "line:column: operation n: condition: why".
func (e *Error) Error() string {
	s := string(e.Condition) + ": " + e.Err.Error()
	if e.Index >= 0 {
		s = fmt.Sprintf("operation %d: %s", e.Index+1, s)
	}
	if e.Line > 0 {
		s = fmt.Sprintf("%d:%d: %s", e.Line, e.Col, s)
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Append appends the error as a document of the type application/patch-ops-error+xml (RFC 5261, section 5.1): with the
// operation in it, save for the two conditions that are about no operation.
func (e *Error) Append(dst []byte) []byte {
	dst = append(dst, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<err:patch-ops-error xmlns:err="`+SpaceError+`">`+"\n  <err:"...)
	dst = append(dst, e.Condition...)
	dst = append(dst, ` phrase="`...)
	dst = tree.AppendValue(dst, printable(e.Err.Error()), '"')
	dst = append(dst, `" xml:lang="en"`...)
	if e.operation.Valid() && e.Condition != InvalidDiffFormat && e.Condition != InvalidCharacterSet {
		dst = append(dst, '>')
		dst = canon.Append(dst, e.operation, canon.Options{Comments: true})
		dst = append(dst, "</err:"...)
		dst = append(dst, e.Condition...)
		dst = append(dst, '>')
	} else {
		dst = append(dst, "/>"...)
	}
	return append(dst, "\n</err:patch-ops-error>\n"...)
}

// printable keeps what is no character of XML out of a message.
func printable(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF {
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	return string(out)
}

// fail makes the error of an operation.
func fail(c Condition, element tree.Node, err error) *Error {
	e := &Error{Condition: c, Err: err, operation: element}
	e.Line, e.Col = element.Position()
	e.Selector, _ = element.Attr("", "sel")
	return e
}

func failf(c Condition, element tree.Node, format string, args ...any) *Error {
	return fail(c, element, fmt.Errorf(format, args...))
}

func formatError(n tree.Node, err error) *Error {
	e := fail(InvalidDiffFormat, n, err)
	e.Index = -1
	return e
}

// fromTree makes an error of one of the parser about a patch.
func fromTree(err error) *Error {
	e := &Error{Condition: InvalidDiffFormat, Index: -1, Err: err}
	switch {
	case errors.Is(err, tree.ErrEncoding):
		e.Condition = InvalidCharacterSet
	case errors.Is(err, tree.ErrEntity):
		e.Condition = InvalidEntity
	}
	return e
}

// fromSelector makes an error of one of a selector or of a name.
func fromSelector(element tree.Node, err error) *Error {
	if errors.Is(err, selector.ErrPrefix) {
		return fail(InvalidPrefix, element, err)
	}
	return fail(InvalidAttributeValue, element, err)
}

// fromEdit makes an error of one of an edit of the document; otherwise is the condition when it is none of the tree's own.
func fromEdit(element tree.Node, err error, otherwise Condition) *Error {
	if err == nil {
		return nil
	}
	for _, c := range [...]struct {
		reason    error
		condition Condition
	}{
		{tree.ErrRoot, InvalidRootOperation}, {tree.ErrOutside, InvalidProlog}, {tree.ErrEncoding, InvalidCharacterSet},
		{tree.ErrEntity, InvalidEntity}, {tree.ErrPrefix, InvalidPrefix},
	} {
		if errors.Is(err, c.reason) {
			return fail(c.condition, element, err)
		}
	}
	return fail(otherwise, element, err)
}

// clip keeps what comes from a document from filling a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
