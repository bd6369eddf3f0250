package uri

import (
	"fmt"
	"strings"
)

// Reason tells what is wrong with a URI, as servers answer it.
type Reason uint8

// The reasons.
const (
	Malformed  Reason = iota + 1 // broken escapes, empty steps, a bad query: 400
	Unbound                      // a prefix that the query does not bind: 400 (RFC 4825 section 8)
	TooLong                      // more than MaxLength, or than selectors may have: 414
	Outside                      // not below the root: 404
	NoResource                   // a path that names no document: 404
	Extension                    // an unknown extension selector: 404 (RFC 4825 section 8)
)

// String returns the reason in words.
func (r Reason) String() string {
	return [...]string{"", "malformed", "prefix not bound", "too long", "outside of the root", "no resource", "unknown extension selector"}[r]
}

// Status returns the HTTP status that a server answers with.
func (r Reason) Status() int {
	switch r {
	case Malformed, Unbound:
		return 400
	case TooLong:
		return 414
	}
	return 404
}

// Piece names a part of a URI.
type Piece string

// The pieces, in the order they stand in.
const (
	Whole     Piece = "URI"
	RootPiece Piece = "XCAP root"
	AUID      Piece = "AUID"
	Tree      Piece = "tree"
	XUI       Piece = "XUI"
	Document  Piece = "document"
	Separator Piece = "separator"
	Node      Piece = "node selector"
	Query     Piece = "query"
)

// Error tells which piece of a URI is wrong and why.
type Error struct {
	Reason Reason
	Piece  Piece
	Text   string // the piece as it was written, "" when it is missing
	Msg    string
}

// Error returns "piece “text”: message".
func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%s: %s", e.Piece, e.Msg)
	}
	return fmt.Sprintf("%s %q: %s", e.Piece, clip(e.Text), e.Msg)
}

// clip keeps long input from filling a message.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
