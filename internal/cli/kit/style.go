package kit

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fatih/color"
)

// Style is how text for people looks on the stream it goes to.
type Style struct {
	Color bool           // whether colour may be used
	TTY   bool           // whether the stream is a terminal
	Width int            // columns
	Zone  *time.Location // for Time
}

// Style returns the style of stdout.
func (k *Kit) Style() *Style { return k.style(k.OutTTY) }

// ErrStyle returns the style of stderr.
func (k *Kit) ErrStyle() *Style { return k.style(k.ErrTTY) }

func (k *Kit) style(tty bool) *Style {
	s := &Style{TTY: tty, Width: k.Width, Zone: time.Local}
	if s.Width <= 0 {
		s.Width = defaultWidth
	}
	switch k.color {
	case "always":
		s.Color = true
	case "auto", "":
		s.Color = tty && k.Env("NO_COLOR") == "" && k.Env("TERM") != "dumb"
	}
	return s
}

func (s *Style) paint(text string, attrs ...color.Attribute) string {
	if !s.Color {
		return text
	}
	c := color.New(attrs...)
	c.EnableColor()
	return c.Sprint(text)
}

// Bold, Dim, Good, Bad, Busy and Name paint text when colour is on: emphasis, what matters less, success or open, failure or closed, in between, names of things.
func (s *Style) Bold(text string) string { return s.paint(text, color.Bold) }

// Dim paints what matters less.
func (s *Style) Dim(text string) string { return s.paint(text, color.Faint) }

// Good paints success, and what is open.
func (s *Style) Good(text string) string { return s.paint(text, color.FgGreen) }

// Bad paints failure, and what is closed.
func (s *Style) Bad(text string) string { return s.paint(text, color.FgRed) }

// Busy paints what is neither good nor bad.
func (s *Style) Busy(text string) string { return s.paint(text, color.FgYellow) }

// Name paints names of things.
func (s *Style) Name(text string) string { return s.paint(text, color.FgCyan) }

// Time shows a time of day in local time, with the date when it is not the same day as now.
func (s *Style) Time(t, now time.Time) string {
	t, now = t.In(s.Zone), now.In(s.Zone)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// Table writes rows in columns two blanks apart; the header is left out when it is nil. The last column is not padded.
func (s *Style) Table(w io.Writer, header []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	var width []int
	all := rows
	if header != nil {
		all = append([][]string{header}, rows...)
	}
	for _, row := range all {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], visible(cell))
		}
	}
	var b strings.Builder
	for n, row := range all {
		for i, cell := range row {
			text := cell
			if n == 0 && header != nil {
				text = s.Bold(cell)
			}
			b.WriteString(text)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-visible(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// visible counts the characters of a cell that take a column, without the colour's escapes.
func visible(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if s[i] == 0x1b {
			if end := strings.IndexByte(s[i:], 'm'); end > 0 {
				i += end + 1
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if !unicode.Is(unicode.Mn, r) {
			n++
		}
		i += size
	}
	return n
}

// Clean makes foreign text harmless on a terminal: control characters other than line feed and tab, invalid UTF-8 and characters that turn the direction of text are shown as escapes
// such as \x1b and \u202e; the carriage return of a CRLF is dropped.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hostile(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case hostile(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// CleanLine is Clean for text that must stay on one line.
func CleanLine(s string) string {
	s = Clean(s)
	if strings.ContainsAny(s, "\n\t") {
		s = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(s)
	}
	return s
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x7f || c < 0x20 && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// hostile reports whether a terminal might do more with the character than show it.
func hostile(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029, r == 0x200e, r == 0x200f, r == 0x061c:
		return true
	}
	return false
}
