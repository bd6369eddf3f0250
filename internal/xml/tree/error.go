package tree

import (
	"errors"
	"fmt"
)

// Reasons why a document is refused that callers answer differently from plain bad syntax; test with errors.Is.
var (
	ErrEncoding = errors.New("encoding is neither UTF-8 nor US-ASCII") // by its bytes or by its declaration
	ErrUTF8     = errors.New("invalid UTF-8")
	ErrDTD      = errors.New("document type declaration")    // and Options.AllowDTD is not set
	ErrEntity   = errors.New("undeclared entity")            // none of the five predefined ones, and no DTD
	ErrPrefix   = errors.New("undeclared namespace prefix")  // of an element or attribute
	ErrLimit    = errors.New("limit on documents is passed") // see Limits
)

// Error tells where a document was refused and why.
type Error struct {
	Line, Col int // from 1, the column in characters
	Offset    int // in bytes
	Msg       string

	reason error
}

// Error returns "line:column: message".
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg) }

// Unwrap returns one of the reasons above, or nil when the document is not well-formed in another way.
func (e *Error) Unwrap() error { return e.reason }
