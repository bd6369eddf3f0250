// Package xcaperror implements the detailed conflict reports of XCAP (RFC 4825 section 11): reading, writing and showing the
// bodies of 409 answers. It knows nothing of HTTP.
package xcaperror

import (
	"fmt"
	"io"
	"strings"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 4825 section 15.2.4).
const MediaType = "application/xcap-error+xml"

// Space is the namespace of the documents (RFC 4825 section 15.3.1).
const Space = "urn:ietf:params:xml:ns:xcap-error"

// Condition is the name of an error element.
type Condition string

// The error elements (RFC 4825 section 11.1).
const (
	NotWellFormed    Condition = "not-well-formed"
	NotFragment      Condition = "not-xml-frag"
	NoParent         Condition = "no-parent"
	SchemaValidation Condition = "schema-validation-error"
	NotAttributeText Condition = "not-xml-att-value"
	CannotInsert     Condition = "cannot-insert"
	CannotDelete     Condition = "cannot-delete"
	Uniqueness       Condition = "uniqueness-failure"
	Constraint       Condition = "constraint-failure"
	Extension        Condition = "extension"
	NotUTF8          Condition = "not-utf-8"
)

// means says in words what a condition is.
var means = map[Condition]string{
	NotWellFormed:    "the body is no well-formed document",
	NotFragment:      "the body is not one XML element",
	NoParent:         "what it is to be put into does not exist",
	SchemaValidation: "the document would not be valid",
	NotAttributeText: "the body is no attribute value in quotes",
	CannotInsert:     "the URI would not select what was put",
	CannotDelete:     "the URI would select something else afterwards",
	Uniqueness:       "a value exists already",
	Constraint:       "a rule of the application usage is broken",
	Extension:        "an error that imp does not know",
	NotUTF8:          "the document would not be UTF-8",
}

// Error tells where a document was refused and why.
type Error = tree.Error

// Report is a conflict report (RFC 4825 section 11.1). As an error it says why a change was refused.
type Report struct {
	Condition Condition `json:"condition" doc:"name of the error element"`
	Phrase    string    `json:"phrase,omitempty" doc:"text for people"`
	Ancestor  string    `json:"ancestor,omitempty" doc:"of no-parent: the closest URI that something can be put into"`
	Exists    []Exists  `json:"exists,omitempty" doc:"of uniqueness-failure: what is not unique"`
}

// Exists tells of a value that exists already.
type Exists struct {
	Field        string   `json:"field" doc:"selector of the element or attribute from the root of the document, percent-encoded"`
	Alternatives []string `json:"alternatives,omitempty" doc:"values that were free"`
}

// New returns a report with a phrase, which is formatted as by fmt.Sprintf.
func New(c Condition, format string, args ...any) *Report {
	return &Report{Condition: c, Phrase: fmt.Sprintf(format, args...)}
}

// Error returns "condition: phrase".
func (r *Report) Error() string {
	if r.Phrase == "" {
		return string(r.Condition) + ": " + means[r.Condition]
	}
	return string(r.Condition) + ": " + r.Phrase
}

// Parse reads a report. It refuses, with an *Error, what is not well-formed, another root than xcap-error, and what the grammar of
// RFC 4825 section 11.2 refuses. What is in an extension is not read: such an answer is to be treated as a 409 without a body.
func Parse(src []byte) (*Report, error) {
	t, err := tree.Parse(src, tree.Options{Limits: tree.Limits{Size: 1 << 20, Depth: 100, Declarations: 200, Attributes: 100}})
	if err != nil {
		return nil, err
	}
	root := t.Root()
	if !root.Is(Space, "xcap-error") {
		return nil, lexical.ErrorAt(t, lexical.StartOf(root), "the root is <"+lexical.Clip(root.Name())+">, not the xcap-error of "+Space)
	}
	g, _ := grammar.ByName("xcap-error")
	if problems := g.Check(t); len(problems) > 0 {
		p := problems[0]
		return nil, &Error{Line: p.Line, Col: p.Col, Msg: p.Text}
	}
	r := &Report{}
	for n := range root.Elements() {
		r.Condition = Condition(n.Local())
		if r.Condition == Extension {
			return r, nil
		}
		r.Phrase, _ = n.Attr("", "phrase")
		for k := range n.Elements() {
			switch k.Local() {
			case "ancestor":
				r.Ancestor = lexical.Trim(k.Text())
			case "exists":
				r.Exists = append(r.Exists, exists(k))
			}
		}
	}
	return r, nil
}

func exists(n tree.Node) (e Exists) {
	e.Field, _ = n.Attr("", "field")
	for k := range n.Elements() {
		e.Alternatives = append(e.Alternatives, k.Text())
	}
	return e
}

// Bytes writes the report. It is valid whatever the fields hold, as long as the condition is one of those above: fields that the
// condition does not have are left out, and a uniqueness-failure about nothing is one about the document.
func (r *Report) Bytes() []byte {
	dst := fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xcap-error xmlns=\"%s\">\n  <%s", Space, r.Condition)
	if r.Phrase != "" && r.Condition != Extension {
		dst = lexical.AppendAttribute(dst, "phrase", r.Phrase)
	}
	switch {
	case r.Condition == NoParent && r.Ancestor != "":
		dst = append(dst, ">\n    <ancestor>"...)
		dst = tree.AppendText(dst, lexical.FixURI(r.Ancestor))
		dst = append(dst, "</ancestor>\n  </no-parent>"...)
	case r.Condition == Uniqueness:
		dst = r.appendExists(append(dst, '>'))
		dst = append(dst, "\n  </uniqueness-failure>"...)
	default:
		dst = append(dst, "/>"...)
	}
	return append(dst, "\n</xcap-error>\n"...)
}

func (r *Report) appendExists(dst []byte) []byte {
	list := r.Exists
	if len(list) == 0 {
		list = make([]Exists, 1)
	}
	for _, e := range list {
		dst = append(dst, "\n    <exists"...)
		dst = lexical.AppendAttribute(dst, "field", e.Field)
		if len(e.Alternatives) == 0 {
			dst = append(dst, "/>"...)
			continue
		}
		dst = append(dst, '>')
		for _, v := range e.Alternatives {
			dst = append(dst, "\n      <alt-value>"...)
			dst = append(tree.AppendText(dst, lexical.Legal(v)), "</alt-value>"...)
		}
		dst = append(dst, "\n    </exists>"...)
	}
	return dst
}

// WriteText shows the report to a person: the condition with its phrase or what it means, then a line for each thing that it names.
// No control character of the document comes through. The error is that of w.
func (r *Report) WriteText(w io.Writer) error {
	lines := []string{r.Error()}
	if r.Ancestor != "" {
		lines = append(lines, "  exists up to "+r.Ancestor)
	}
	for _, e := range r.Exists {
		line := "  not unique: " + e.Field
		if len(e.Alternatives) > 0 {
			line += ", free: " + strings.Join(e.Alternatives, ", ")
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		if _, err := fmt.Fprintln(w, indent+lexical.Visible(line[len(indent):])); err != nil {
			return err
		}
	}
	return nil
}
