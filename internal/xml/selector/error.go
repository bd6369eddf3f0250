package selector

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Reasons why a selector does not compile that callers answer differently from plain bad syntax; test with errors.Is.
var (
	ErrPrefix    = errors.New("undeclared namespace prefix")
	ErrExtension = errors.New("unknown extension selector") // XCAP: what fits no other production (RFC 4825, section 8)
	ErrLimit     = errors.New("limit on selectors is passed")
)

// SyntaxError tells why a selector does not compile and where.
type SyntaxError struct {
	Selector string
	Offset   int // in bytes
	Msg      string

	reason error
}

// Error returns "selector …: character n: message".
func (e *SyntaxError) Error() string {
	at := utf8.RuneCountInString(e.Selector[:min(e.Offset, len(e.Selector))]) + 1
	return fmt.Sprintf("selector %q: character %d: %s", clip(e.Selector), at, e.Msg)
}

// Unwrap returns one of the reasons above, or nil.
func (e *SyntaxError) Unwrap() error { return e.reason }

// Error tells which step of a selector located no node, or several where one is needed.
type Error struct {
	Selector string
	Step     int    // index of the step that failed
	Text     string // that step as written
	Count    int    // how many nodes it selected
	Reason   string // why, and what may help

	steps int
}

// Error returns "selector …: step n, …: reason".
func (e *Error) Error() string {
	if e.steps == 1 {
		return fmt.Sprintf("selector %q: %s", clip(e.Selector), e.Reason)
	}
	return fmt.Sprintf("selector %q: step %d, %s: %s", clip(e.Selector), e.Step+1, clip(e.Text), e.Reason)
}

// clip keeps long input from filling a message.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
