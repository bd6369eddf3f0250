package tree

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
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

func (p *parser) fail(offset int, reason error, format string, args ...any) error {
	line, col := p.position(offset)
	if p.content.end > 0 {
		offset = max(0, min(offset-int(p.content.start), int(p.content.end-p.content.start)))
	}
	return &Error{Line: line, Col: col, Offset: offset, Msg: fmt.Sprintf(format, args...), reason: reason}
}

func (p *parser) position(offset int) (line, col int) {
	if p.content.end > 0 {
		return position(p.s[p.content.start:p.content.end], offset-int(p.content.start))
	}
	return position(strings.TrimSuffix(p.s, "\x00"), offset)
}

func (p *parser) atEnd(i int) bool { return i == len(p.s)-1 }

// found describes what stands at i.
func (p *parser) found(i int) string {
	if p.atEnd(i) {
		return "the end of the document"
	}
	r, size := utf8.DecodeRuneInString(p.s[i:])
	switch {
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf("byte 0x%02X", p.s[i])
	case !isChar(r):
		return fmt.Sprintf("U+%04X, which is no character of XML,", r)
	case r >= utf8.RuneSelf:
		return fmt.Sprintf("%q (U+%04X)", r, r)
	}
	return fmt.Sprintf("%q", r)
}

// name returns the name that starts at i, colons included.
func (p *parser) name(i int) string {
	end := i
	for p.s[end] == ':' || classes[p.s[end]]&(nameByte|wide) != 0 {
		end++
	}
	return clip(p.s[i:end])
}

// tag returns the name that starts at i the way it stands in a tag.
func (p *parser) tag(i int) string {
	if p.s[i-1] == '/' {
		return "</" + p.name(i) + ">"
	}
	return "<" + p.name(i) + ">"
}

// clip keeps what comes from a document from filling a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
