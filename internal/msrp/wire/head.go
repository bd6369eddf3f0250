package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Flag ends a frame: it tells whether the message goes on (RFC 4975 section 7.1).
type Flag byte

const (
	Last  Flag = '$' // the message is complete
	More  Flag = '+' // the message goes on in another chunk
	Abort Flag = '#' // the message is given up
)

// Failure is a value of Failure-Report (RFC 4975 section 7.1.1). The zero value is that of requests without it.
type Failure byte

const (
	FailureYes Failure = iota
	FailurePartial
	FailureNo
)

// String is the value as it is written.
func (f Failure) String() string { return [...]string{"yes", "partial", "no"}[f] }

// Unknown is the end or the total of a Range that is "*".
const Unknown = -1

// Range is the value of Byte-Range (RFC 4975 section 7.1.1). Bytes count from 1; End and Total may be Unknown.
type Range struct{ Start, End, Total int64 }

// ParseRange reads a value such as 1-*/2049.
func ParseRange[T text](s T) (r Range, err error) {
	rest := []byte(s)
	var ok1, ok2, ok3 bool
	dash, slash := bytes.IndexByte(rest, '-'), bytes.IndexByte(rest, '/')
	if dash > 0 && slash > dash {
		r.Start, ok1 = parseNumber(rest[:dash], false)
		r.End, ok2 = parseNumber(rest[dash+1:slash], true)
		r.Total, ok3 = parseNumber(rest[slash+1:], true)
	}
	switch {
	case !ok1 || !ok2 || !ok3:
		return Range{}, fmt.Errorf("Byte-Range %.60q is not of the form start-end/total", s)
	case r.Start == 0:
		return Range{}, fmt.Errorf("Byte-Range %.60q: bytes count from 1", s)
	}
	return r, nil
}

// parseNumber reads up to 18 digits, or "*" where that may be.
func parseNumber(b []byte, star bool) (n int64, ok bool) {
	if star && len(b) == 1 && b[0] == '*' {
		return Unknown, true
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// Append adds the range as text.
func (r Range) Append(b []byte) []byte {
	b = append(strconv.AppendInt(b, r.Start, 10), '-')
	b = append(appendNumber(b, r.End), '/')
	return appendNumber(b, r.Total)
}

// String writes the range.
func (r Range) String() string { return string(r.Append(nil)) }

func appendNumber(b []byte, n int64) []byte {
	if n < 0 {
		return append(b, '*')
	}
	return strconv.AppendInt(b, n, 10)
}

// Status is the value of Status (RFC 4975 section 7.1.3). Code is that of a response when Namespace is 0.
type Status struct {
	Namespace, Code int
	Comment         []byte
}

// Field is a header field as it came.
type Field struct{ Name, Value []byte }

// Is compares the name of the field with one in lower-case ASCII.
func (f Field) Is(lower string) bool { return equalFold(f.Name, lower) }

// Head is a frame without its body: the start line and the header fields. A Head of a Reader, and all slices in it, are
// valid until the next call of Next.
type Head struct {
	ID      []byte // transaction ID
	Method  string // "" for a response
	Code    int    // of a response, 0 for a request
	Comment []byte // of a response, nil without

	To, From      []byte // paths as written, each URI checked
	MessageID     []byte // nil without
	HasRange      bool
	Range         Range
	SuccessReport bool // Success-Report: yes
	FailureReport Failure
	HasStatus     bool
	Status        Status
	ContentType   []byte // nil without

	Fields []Field // all header fields in order, those above included
	Body   bool    // a body follows, maybe an empty one
	End    Flag    // of a frame without a body
}

// Get gives the value of the first field with a name in lower-case ASCII; nil without one.
func (h *Head) Get(lower string) []byte {
	for _, f := range h.Fields {
		if f.Is(lower) {
			return f.Value
		}
	}
	return nil
}

// ToPath reads To-Path.
func (h *Head) ToPath() (Path, error) { return ParsePath(string(h.To)) }

// FromPath reads From-Path.
func (h *Head) FromPath() (Path, error) { return ParsePath(string(h.From)) }

// CutPath splits a path as written after its first URI.
func CutPath(path []byte) (first, rest []byte) {
	first, rest, _ = bytes.Cut(path, []byte{' '})
	return first, rest
}

// Malformed is the error of a frame that breaks the syntax of RFC 4975 section 9 in its header only, so that the
// frames behind it can still be read. The Head that comes with it holds what could be read.
type Malformed struct{ Reason error }

// Error implements error.
func (m *Malformed) Error() string { return "malformed frame: " + m.Reason.Error() }

// Unwrap gives the reason.
func (m *Malformed) Unwrap() error { return m.Reason }

var errStart = errors.New("start line is not of the form MSRP id METHOD or MSRP id code comment")

// parseStart reads a start line without its end.
func (h *Head) parseStart(line []byte) error {
	id, ok := bytes.CutPrefix(line, []byte("MSRP "))
	space := bytes.IndexByte(id, ' ')
	if !ok || space < 0 {
		return errStart
	}
	id, what := id[:space], id[space+1:]
	if !IsIdent(id) {
		return fmt.Errorf("transaction ID %.40q is not of 4 to 32 letters, digits and .-+%%=", id)
	}
	h.ID = id
	if len(what) >= 3 && isDigit(what[0]) {
		code, good := parseNumber(what[:3], false)
		h.Code = int(code)
		if len(what) > 3 {
			h.Comment = what[4:]
			good = good && what[3] == ' ' && isText(h.Comment)
		}
		if !good || code < 100 {
			return errStart
		}
		return nil
	}
	if h.Method = method(what); h.Method == "" {
		return errStart
	}
	return nil
}

// method gives a method without allocation for those that are known. Names of extensions in use have digits and
// underscores beyond the grammar.
func method(b []byte) string {
	switch string(b) {
	case SEND:
		return SEND
	case REPORT:
		return REPORT
	case AUTH:
		return AUTH
	case NICKNAME:
		return NICKNAME
	}
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '_' {
			return ""
		}
	}
	return string(b)
}

// parseFields reads the header fields, whose lines have the form that splitField checks.
func (h *Head) parseFields() error {
	if len(h.Fields) < 2 || !h.Fields[0].Is("to-path") || !h.Fields[1].Is("from-path") {
		h.To, h.From = h.Get("to-path"), h.Get("from-path") // wherever they are, for an answer
		return errors.New("To-Path and From-Path are not the first two header fields")
	}
	// RFC 7977 section 8.2 prints two spaces before paths, and so peers may write them.
	h.To, h.From = bytes.TrimLeft(h.Fields[0].Value, " "), bytes.TrimLeft(h.Fields[1].Value, " ")
	var seen uint
	for i := range h.Fields[2:] {
		f := &h.Fields[2+i]
		bit, err := h.parseField(f)
		if err == nil && seen&bit != 0 {
			err = errors.New("comes twice")
		}
		if err != nil {
			return fmt.Errorf("header field %.60s: %w", f.Name, err)
		}
		seen |= bit
	}
	if h.Body && h.ContentType == nil {
		return errors.New("there is a body and no Content-Type")
	}
	return nil
}

var (
	errYesNo   = errors.New("its value is neither yes nor no")
	errFailure = errors.New("its value is not yes, no or partial")
	errIdent   = errors.New("its value is not of 4 to 32 letters, digits and .-+%=")
	errStatus  = errors.New("its value is not of the form 000 code comment")
)

// parseField reads a field if it is one of RFC 4975; bit is a mark of its own for each that may come once only.
func (h *Head) parseField(f *Field) (bit uint, err error) {
	v := f.Value
	switch len(f.Name) {
	case len("message-id"):
		switch {
		case f.Is("message-id"):
			if h.MessageID = v; !IsIdent(v) {
				return 0, errIdent
			}
			return 1, nil
		case f.Is("byte-range"):
			h.HasRange = true
			h.Range, err = ParseRange(v)
			return 2, err
		}
	case len("success-report"):
		switch {
		case f.Is("success-report"):
			if h.SuccessReport = equalFold(v, "yes"); !h.SuccessReport && !equalFold(v, "no") {
				return 0, errYesNo
			}
			return 4, nil
		case f.Is("failure-report"):
			switch {
			case equalFold(v, "yes"):
				h.FailureReport = FailureYes
			case equalFold(v, "no"):
				h.FailureReport = FailureNo
			case equalFold(v, "partial"):
				h.FailureReport = FailurePartial
			default:
				return 0, errFailure
			}
			return 8, nil
		}
	case len("status"):
		if f.Is("status") {
			h.HasStatus = true
			return 16, h.parseStatus(v)
		}
	case len("content-type"):
		if f.Is("content-type") {
			h.ContentType = v
			return 32, nil
		}
	case len("to-path"):
		if f.Is("to-path") {
			return 0, errors.New("comes twice")
		}
	case len("from-path"):
		if f.Is("from-path") {
			return 0, errors.New("comes twice")
		}
	}
	return 0, nil
}

func (h *Head) parseStatus(v []byte) error {
	if len(v) < len("000 200") || v[3] != ' ' || len(v) > 7 && v[7] != ' ' {
		return errStatus
	}
	space, ok1 := parseNumber(v[:3], false)
	code, ok2 := parseNumber(v[4:7], false)
	if !ok1 || !ok2 {
		return errStatus
	}
	h.Status = Status{Namespace: int(space), Code: int(code)}
	if len(v) > 8 {
		h.Status.Comment = v[8:]
	}
	return nil
}

var errField = errors.New("a header line is not of the form Name: value")

// splitField splits a header line without its end.
func splitField(line []byte) (Field, error) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || colon+1 >= len(line) || line[colon+1] != ' ' {
		return Field{}, errField
	}
	f := Field{line[:colon:colon], line[colon+2:]}
	if c := f.Name[0] | 0x20; c < 'a' || c > 'z' || !all(f.Name, isToken) || !isText(f.Value) {
		return Field{}, errField
	}
	return f, nil
}
