// Package header reads and writes the header fields of RFC 3261 section 20 and 25.1,
// RFC 6665 section 8.4 (Event, Allow-Events, Subscription-State), RFC 6446 (notification rates) and
// RFC 3903 section 11 (entity-tags), and the URIs they carry (RFC 3261 section 19, RFC 3859, RFC 3860).
//
// Parsers accept what the grammar accepts and nothing else, never keep more than their input, and return a
// [SyntaxError] that names the field and the offset. Results share memory with the input string. Rendering
// quotes and escapes texts, parameter values and parts of URIs where they need it; tokens and whole URIs
// are written as they are. The package knows messages only through [Message]; it knows nothing of
// transactions, connections or dialogs.
package header

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Message is what a header field is looked up in: *sip.Request and *sip.Response are both one. Fields are taken as the
// text that they render as, which for From, To and Contact is what was received in messages of package stack alone: what
// sipgo's own parser has taken apart comes back with other quotes.
type Message interface {
	Headers() []sip.Header
}

// Values returns the value of every header field called name, one entry a header line, in the order
// received and each trimmed of the white space around it. Names compare without case, and the long and the
// compact form (RFC 3261 section 7.3.3) mean the same, whichever of the two is asked for. It is nil when
// there is none.
func Values(m Message, name string) []string {
	var out []string
	n := lookup(name)
	for _, h := range m.Headers() {
		if n.is(h.Name()) {
			out = append(out, trim(h.Value()))
		}
	}
	return out
}

// List returns the elements of the comma-separated list that all fields called name form together
// (RFC 3261 section 7.3.1), trimmed, in order. Commas inside quoted strings and angle brackets do not
// separate, empty elements are dropped. It is nil when no such field is present, and empty but not nil
// when the field is there without an element, which for Accept means something else.
func List(m Message, name string) []string {
	var out []string
	n := lookup(name)
	for _, h := range m.Headers() {
		if !n.is(h.Name()) {
			continue
		}
		if out == nil {
			out = make([]string, 0, 1)
		}
		for rest, more := trim(h.Value()), true; more; {
			var elem string
			elem, rest, more = cutElement(rest)
			if elem = trim(elem); elem != "" {
				out = append(out, elem)
			}
		}
	}
	return out
}

// Elements returns the elements of one comma-separated list, as List does.
func Elements(list string) []string {
	var out []string
	for rest, more := list, true; more; {
		var elem string
		elem, rest, more = cutElement(rest)
		if elem = trim(elem); elem != "" {
			out = append(out, elem)
		}
	}
	return out
}

// Single returns the value of a field that may appear once. ok is false when it is absent, and true for a
// field that is present and empty. The error is a *SyntaxError when the field is repeated, or when it
// holds a comma outside quotes and angle brackets although its grammar has none (free text, dates and
// credentials have). It does not allocate.
func Single(m Message, name string) (value string, ok bool, err error) {
	n := lookup(name)
	for _, h := range m.Headers() {
		if !n.is(h.Name()) {
			continue
		}
		if ok {
			return "", true, &SyntaxError{Field: n.String(), Reason: "the field is repeated but may appear once only"}
		}
		value, ok = trim(h.Value()), true
	}
	if ok && strings.IndexByte(value, ',') >= 0 && !n.commaIsText() {
		if elem, _, more := cutElement(value); more {
			return "", true, &SyntaxError{Field: n.String(), Offset: len(elem), Reason: "a list is not allowed here"}
		}
	}
	return value, ok, nil
}

// cutElement splits s at its first comma outside quoted strings and angle brackets. An unclosed quote or
// bracket takes the rest, which the parser of the element then refuses.
func cutElement(s string) (elem, rest string, more bool) {
	if strings.IndexByte(s, ',') < 0 {
		return s, "", false
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			return s[:i], s[i+1:], true
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '<':
			end := strings.IndexByte(s[i:], '>')
			if end < 0 {
				return s, "", false
			}
			i += end
		}
	}
	return s, "", false
}

// SyntaxError says which header field does not follow its grammar, and where.
type SyntaxError struct {
	Field  string // name of the header field, or of the element for one without a field of its own
	Offset int    // byte offset into the value that was parsed
	Reason string
}

// Error renders the field, the offset and the reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s: offset %d: %s", e.Field, e.Offset, e.Reason)
}
