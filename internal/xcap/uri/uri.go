// Package uri implements the URIs of XCAP resources (RFC 4825 section 6): roots, document selectors, node selectors and the
// namespace bindings of the query; reading, building and explaining them.
package uri

import (
	"slices"
	"strings"
)

// MaxLength is how long a URI may be, in bytes.
const MaxLength = 32 << 10

// maxSegments bounds the document selector, and how many bindings a query has.
const maxSegments = 64

// separator stands between document selector and node selector.
const separator = "~~"

// URI is an XCAP URI below its root, decoded.
type URI struct {
	AUID   string
	Global bool
	XUI    string // "" in the global tree
	// Document is the path of the document below the user's home or the global directory: sub-directories, then its name.
	Document []string
	// Steps are those of the node selector; none for the document itself. A slash in one is data.
	Steps    []string
	Bindings []Binding // of the query
}

// Binding is a prefix bound in the query (RFC 4825 section 6.4).
type Binding struct {
	Prefix string `json:"prefix" doc:"the prefix"`
	URI    string `json:"namespace" doc:"namespace name"`
}

// Parse reads what stands below the root: a document selector, and a node selector and a query if there are any. The path is split
// at its slashes before it is decoded (RFC 4825 section 6.3). The error is an *Error.
//
// Characters that should be percent-encoded in the node selector, quotes and brackets for example, may stand as they are. The
// node selector is not compiled, see Selector. Without one, a query has no meaning and is not read.
func Parse(s string) (*URI, error) {
	if err := checkText(s); err != nil {
		return nil, err
	}
	p := parser{}
	return p.parse(s)
}

// checkText refuses what cannot stand in any URI.
func checkText(s string) *Error {
	if len(s) > MaxLength {
		return &Error{Reason: TooLong, Piece: Whole, Msg: "it is longer than URIs may be"}
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7F || c == '#' {
			return &Error{Malformed, Whole, s[:i+1], "a blank, a control character or # can only stand there percent-encoded"}
		}
	}
	return nil
}

type parser struct {
	parts   []Part // gathered for Explain
	explain bool
}

func (p *parser) part(piece Piece, text, value, note string) {
	if p.explain {
		p.parts = append(p.parts, Part{Piece: piece, Text: text, Value: value, Note: note})
	}
}

func (p *parser) parse(s string) (*URI, error) {
	path, query, asked := strings.Cut(s, "?")
	raw := strings.Split(path, "/")
	u := &URI{}
	end, err := p.document(u, raw)
	if err != nil {
		return nil, err
	}
	if end == len(raw) {
		if asked {
			p.part(Query, query, "", "means nothing without a node selector")
		}
		return u, nil
	}
	if err := p.node(u, raw[end+1:]); err != nil {
		return nil, err
	}
	if asked {
		if err := p.query(u, query); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// document reads the segments of the document selector and returns the index of the separator, or how many there are without one.
func (p *parser) document(u *URI, raw []string) (int, error) {
	at := 0
	for ; at < len(raw); at++ {
		piece := pieceAt(u, at)
		value, err := decode(piece, raw[at])
		if err != nil {
			return 0, err
		}
		if value == separator {
			break
		}
		if at == maxSegments {
			return 0, &Error{NoResource, piece, raw[at], "the path has too many segments"}
		}
		if err := checkName(piece, raw[at], value); err != nil {
			return 0, err
		}
		note, err := u.take(at, value)
		if err != nil {
			return 0, err
		}
		p.part(piece, raw[at], value, note)
	}
	if len(u.Document) == 0 {
		return 0, &Error{NoResource, pieceAt(u, at), "", "the path ends before it names a document: AUID/users/XUI/document or AUID/global/document"}
	}
	return at, nil
}

// take puts the segment with an index where it belongs and tells what it is.
func (u *URI) take(at int, value string) (note string, err error) {
	switch piece := pieceAt(u, at); piece {
	case AUID:
		if !ValidAUID(value) {
			return "", &Error{NoResource, AUID, value, "this is no AUID"}
		}
		u.AUID = value
		return "application usage", nil
	case Tree:
		if u.Global = value == "global"; !u.Global && value != "users" {
			return "", &Error{NoResource, Tree, value, "the second segment is users or global"}
		}
		if u.Global {
			return "documents for all users", nil
		}
		return "documents of one user", nil
	case XUI:
		u.XUI = value
		return "the user whose documents these are", nil
	}
	u.Document = append(u.Document, value)
	if len(u.Document) == 1 {
		return "name of the document, or of a sub-directory when more follows", nil
	}
	return "name below " + u.Document[len(u.Document)-2], nil
}

func pieceAt(u *URI, at int) Piece {
	switch {
	case at == 0:
		return AUID
	case at == 1:
		return Tree
	case at == 2 && !u.Global:
		return XUI
	}
	return Document
}

// checkName refuses names that no document or directory has, so that a document can be kept as a file.
func checkName(piece Piece, raw, name string) error {
	switch {
	case name == "":
		return &Error{NoResource, piece, raw, "an empty path segment names nothing"}
	case name == "." || name == "..":
		return &Error{NoResource, piece, raw, "a path segment of dots names nothing"}
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7F }):
		return &Error{NoResource, piece, raw, "names have no control characters"}
	}
	return nil
}

// ValidAUID reports whether s is the name of an application usage: one token, or for a vendor's a host name in reverse order, a dot
// and a token (RFC 4825 section 5.1).
func ValidAUID(s string) bool {
	labels := strings.Split(s, ".")
	for i, l := range labels {
		if l == "" || strings.Trim(l, "-_~!$&'()*+,;=:@%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
		if i < len(labels)-1 && strings.Trim(l, "-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	return len(s) <= 255
}

// node reads the segments behind the separator.
func (p *parser) node(u *URI, raw []string) error {
	p.part(Separator, separator, separator, "what follows selects a node of the document")
	for _, r := range raw {
		step, err := decode(Node, r)
		if err != nil {
			return err
		}
		if step == "" {
			return &Error{Malformed, Node, r, "a step of the node selector is empty"}
		}
		u.Steps = append(u.Steps, step)
		p.part(Node, r, step, explainStep(step))
	}
	if len(raw) == 0 {
		return &Error{Malformed, Node, "", "nothing follows the separator ~~, which is to be followed by a slash and a node selector"}
	}
	return nil
}

// Path returns the document selector, percent-encoded, without a slash before it.
func (u *URI) Path() string {
	b := make([]byte, 0, 64)
	b = appendSegment(b, u.AUID)
	if u.Global {
		b = append(b, "/global"...)
	} else {
		b = appendSegment(append(b, "/users/"...), u.XUI)
	}
	for _, s := range u.Document {
		b = appendSegment(append(b, '/'), s)
	}
	return string(b)
}

// String returns the URI below its root, percent-encoded, without a slash before it.
func (u *URI) String() string {
	if len(u.Steps) == 0 {
		return u.Path()
	}
	return u.Path() + "/" + separator + "/" + Relative(u.Steps, u.Bindings)
}

// Relative returns a node selector with its query, percent-encoded, as conflict reports have it (RFC 4825 section 11.1).
func Relative(steps []string, bindings []Binding) string {
	var b []byte
	for i, s := range steps {
		if i > 0 {
			b = append(b, '/')
		}
		b = appendSegment(b, s)
	}
	for i, d := range bindings {
		if i == 0 {
			b = append(b, '?')
		}
		b = appendBinding(b, d)
	}
	return string(b)
}

// New makes the URI of a document or, with a node selector as in RFC 4825 section 6.3, of a node. The XUI "" stands for the global
// tree; document is a path with slashes. It refuses, with an *Error, what Parse would refuse and prefixes without a binding.
func New(auid, xui, document, node string, bindings []Binding) (*URI, error) {
	u := &URI{AUID: auid, XUI: xui, Global: xui == "", Document: strings.Split(document, "/"), Bindings: bindings}
	if node != "" {
		u.Steps = splitSteps(node)
		if _, err := u.Selector(""); err != nil {
			return nil, err
		}
	}
	for _, b := range bindings {
		if !isNCName(b.Prefix) || b.URI == "" || b.Prefix == "xmlns" {
			return nil, &Error{Malformed, Query, b.Prefix + "=" + b.URI, "a binding has a prefix and a namespace name"}
		}
	}
	if slices.Contains(u.Document, separator) || u.XUI == separator {
		return nil, &Error{NoResource, Document, separator, "this separates document and node, nothing can have it as its name"}
	}
	if _, err := Parse(u.String()); err != nil {
		return nil, err
	}
	return u, nil
}

// splitSteps splits a node selector at the slashes outside of quotes.
func splitSteps(s string) (steps []string) {
	var quote byte
	from := 0
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '/':
			steps = append(steps, s[from:i])
			from = i + 1
		}
	}
	return append(steps, s[from:])
}
