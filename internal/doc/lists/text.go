package lists

import (
	"io"
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
)

// WriteText shows the document to a person: a line for each list and each thing in it, indented by depth. No control character of the document comes
// through. The error is that of w.
func (d *Document) WriteText(w io.Writer) error {
	var t text
	for i := range d.Lists {
		t.list(&d.Lists[i], 0)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// WriteText shows the document to a person: a line for each service, and its list. See Document.WriteText.
func (d *Services) WriteText(w io.Writer) error {
	var t text
	for i := range d.Services {
		s := &d.Services[i]
		packages := "any package"
		if s.Packages != nil {
			packages = "packages " + strings.Join(s.Packages, ", ")
		}
		t.line(0, "service", s.URI, packages)
		if s.List != nil {
			t.list(s.List, 1)
		} else {
			t.line(1, "list", s.ResourceList)
		}
		t.extensions(s.Extensions, 1)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// text gathers the lines.
type text struct{ strings.Builder }

// line writes the parts that are not empty, two blanks between them.
func (t *text) line(depth int, parts ...string) {
	t.WriteString(strings.Repeat("  ", depth))
	for i, p := range parts {
		if p = lexical.Visible(p); p != "" {
			if i > 0 {
				t.WriteString("  ")
			}
			t.WriteString(p)
		}
	}
	t.WriteByte('\n')
}

func (t *text) list(l *List, depth int) {
	t.line(depth, "list", l.Name, shown(l.Display))
	for i := range l.Items {
		it := &l.Items[i]
		if it.List != nil {
			t.list(it.List, depth+1)
			continue
		}
		anonymous, count := "", ""
		if it.Anonymize {
			anonymous = "anonymous"
		}
		if it.Count != nil {
			count = strconv.FormatUint(*it.Count, 10) + " recipients"
		}
		t.line(depth+1, it.Kind.String(), it.URI, shown(it.Display), string(it.Copy), anonymous, count)
		t.extensions(it.Extensions, depth+2)
	}
	t.extensions(l.Extensions, depth+1)
}

func (t *text) extensions(list []Raw, depth int) {
	for _, r := range list {
		t.line(depth, "extension {"+r.Space+"}"+r.Local)
	}
}

func shown(n *Name) string {
	if n == nil {
		return ""
	}
	if n.Lang != "" {
		return "\"" + n.Text + "\" [" + n.Lang + "]"
	}
	return "\"" + n.Text + "\""
}
