package main

import (
	"fmt"
	"strings"
)

// page is a manual page in the man macros, in ASCII.
type page struct{ b strings.Builder }

func newPage(name string, section int) *page {
	p := &page{}
	fmt.Fprintf(&p.b, ".\\\" Made by tools/docgen from the commands.\n.TH %s %d \"\" \"imp\" \"imp manual\"\n", strings.ToUpper(escape(name)), section)
	return p
}

func (p *page) bytes() []byte { return []byte(p.b.String()) }

func (p *page) section(title string)    { fmt.Fprintf(&p.b, ".SH %s\n", quote(strings.ToUpper(title))) }
func (p *page) subsection(title string) { fmt.Fprintf(&p.b, ".SS %s\n", quote(title)) }

// quote makes a macro's argument of text.
func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

// sourceWidth is where lines of text are broken in the source of a page.
const sourceWidth = 78

// line writes text that may be broken between words.
func (p *page) line(s string) {
	line := ""
	for _, word := range strings.Fields(escape(s)) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= sourceWidth:
			line += " " + word
		default:
			p.b.WriteString(guard(line) + "\n")
			line = word
		}
	}
	if line != "" {
		p.b.WriteString(guard(line) + "\n")
	}
}

// text writes paragraphs: empty lines part them, lines that begin with two blanks or a tab are kept as they are.
func (p *page) text(s string) {
	for i, block := range strings.Split(strings.Trim(s, "\n"), "\n\n") {
		lines := strings.Split(strings.Trim(block, "\n"), "\n")
		if len(lines) == 0 || lines[0] == "" {
			continue
		}
		if i > 0 {
			p.b.WriteString(".PP\n")
		}
		p.paragraph(lines)
	}
}

func (p *page) paragraph(lines []string) {
	var kept, text []string
	flush := func() {
		p.line(strings.Join(text, " "))
		p.verbatim(kept)
		kept, text = nil, nil
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "  ") || strings.HasPrefix(l, "\t") {
			kept = append(kept, l)
			continue
		}
		if len(kept) > 0 {
			flush()
		}
		text = append(text, l)
	}
	flush()
}

// verbatim writes lines as they are, indented.
func (p *page) verbatim(lines []string) {
	if len(lines) == 0 {
		return
	}
	p.b.WriteString(".RS 2\n.nf\n")
	for _, l := range lines {
		l = strings.TrimPrefix(l, "  ")
		if strings.TrimSpace(l) == "" {
			p.b.WriteString("\\&\n")
			continue
		}
		p.b.WriteString(guard(escape(l)) + "\n")
	}
	p.b.WriteString(".fi\n.RE\n")
}

// item writes a term in bold with its meaning.
func (p *page) item(term, meaning string) {
	fmt.Fprintf(&p.b, ".TP\n%s\n", bold(term))
	if strings.TrimSpace(meaning) == "" {
		p.b.WriteString("\\&\n")
		return
	}
	p.line(meaning)
}

// bold returns the text as a line in bold.
func bold(s string) string { return `\fB` + escape(s) + `\fR` }

// escape writes text so that roff shows it literally, in ASCII.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch r {
		case '\\':
			b.WriteString(`\e`)
		case '-':
			b.WriteString(`\-`)
		case '\'':
			b.WriteString(`\(aq`)
		case '`':
			b.WriteString(`\(ga`)
		case '^':
			b.WriteString(`\(ha`)
		case '~':
			b.WriteString(`\(ti`)
		case '\t':
			b.WriteString("    ")
		default:
			if r > 0x7e {
				fmt.Fprintf(&b, `\[u%04X]`, r)
			} else {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// guard keeps a line of text from being a request.
func guard(s string) string {
	if strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return s
}
