package patch

import (
	"fmt"
	"io"
	"strings"

	"imp/internal/xml/lexical"
)

// OperationView is an operation as JSON shows it.
type OperationView struct {
	Operation string `json:"operation" doc:"add, replace or remove"`
	Sel       string `json:"sel" doc:"its selector, with the prefixes of the patch"`
	Position  string `json:"position,omitempty" doc:"of an add: before, after or prepend; of a remove the sides where white space goes along: before, after or both"`
	Type      string `json:"type,omitempty" doc:"of an add: the attribute or prefix that is added"`
	Content   string `json:"content,omitempty" doc:"what is added or put in its place, as XML"`
}

// View returns the operation as JSON shows it.
func (op *Operation) View() OperationView {
	v := OperationView{Operation: op.Verb.String(), Sel: op.Selector.String(), Position: op.Position.String()}
	v.Type, _ = op.Element.Attr("", "type")
	start, end := op.Element.Inner()
	if op.Verb != Remove && start < end {
		v.Content = string(op.Element.Tree().Source()[start:end])
	}
	return v
}

// WriteText shows the operation to a person, in a line and those of its content. No control character of the document comes
// through. The error is that of w.
func (v OperationView) WriteText(w io.Writer) error {
	line := v.Operation + " " + v.Sel
	if v.Type != "" {
		line += " " + v.Type
	}
	switch {
	case v.Position != "" && v.Operation == Remove.String():
		line += " with the white space " + strings.Replace(v.Position, "both", "before and after", 1)
	case v.Position == Prepend.String():
		line += " as the first child"
	case v.Position != "":
		line += " " + v.Position + " it"
	}
	if _, err := fmt.Fprintln(w, lexical.Visible(line)); err != nil || v.Content == "" {
		return err
	}
	for content := range strings.Lines(strings.Trim(v.Content, "\n")) {
		if _, err := fmt.Fprintln(w, "  "+lexical.Visible(content)); err != nil {
			return err
		}
	}
	return nil
}
