package decode

import (
	"fmt"
	"io"
	"strings"
)

// Paint colours what is told from it; the zero Paint does not.
type Paint struct{ Title, Name, Note, Problem func(string) string }

func (p Paint) with(f func(string) string, s string) string {
	if f == nil {
		return s
	}
	return f(s)
}

// WriteText shows the part as a tree: what is in it is indented by two blanks more. clean makes text of peers safe for a terminal, line by line; nil leaves
// it as it is.
func (p *Part) WriteText(w io.Writer, paint Paint, clean func(string) string) error {
	if clean == nil {
		clean = func(s string) string { return s }
	}
	var b strings.Builder
	p.write(&b, "", paint, clean)
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Part) write(b *strings.Builder, indent string, paint Paint, clean func(string) string) {
	fmt.Fprintf(b, "%s%s\n", indent, paint.with(paint.Title, clean(p.Title)))
	inner := indent + "  "
	beside, colon := inner, ": "
	switch p.Kind {
	case SIP, MSRP, HTTP: // the title is the start line
		beside = indent
	case SDP:
		colon = "="
	}
	for _, f := range p.Fields {
		note := ""
		if f.Note != "" {
			note = "  " + paint.with(paint.Note, "("+f.Note+")")
		}
		fmt.Fprintf(b, "%s%s%s%s%s\n", beside, paint.with(paint.Name, clean(f.Name)), colon, clean(f.Value), note)
	}
	for line := range strings.Lines(p.Content) {
		fmt.Fprintf(b, "%s%s\n", inner, clean(strings.TrimRight(line, "\r\n")))
	}
	for _, problem := range p.Problems {
		fmt.Fprintf(b, "%s%s\n", inner, paint.with(paint.Problem, "! "+clean(problem)))
	}
	for _, part := range p.Parts {
		part.write(b, inner, paint, clean)
	}
}

// Faulty reports whether the part, or one in it, has a problem.
func (p *Part) Faulty() bool {
	for _, part := range p.Parts {
		if part.Faulty() {
			return true
		}
	}
	return len(p.Problems) > 0
}
