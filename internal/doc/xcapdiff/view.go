package xcapdiff

import (
	"encoding/json"
	"fmt"
	"io"

	"imp/internal/xml/lexical"
	"imp/internal/xml/patch"
)

// View is a document as JSON shows it.
type View struct {
	Root       string       `json:"xcap_root" doc:"XCAP root URI"`
	Documents  []ChangeView `json:"documents,omitempty" doc:"changes of documents, in their order"`
	Elements   []NodeView   `json:"elements,omitempty" doc:"what elements are now"`
	Attributes []NodeView   `json:"attributes,omitempty" doc:"what attributes are now"`
}

// ChangeView is the change of a document as JSON shows it.
type ChangeView struct {
	Sel          string                `json:"sel" doc:"path of the document below the root"`
	Action       string                `json:"action" doc:"patch, fetch, retag, exist or remove"`
	PreviousETag string                `json:"previous_etag,omitempty" doc:"entity-tag before the change"`
	NewETag      string                `json:"new_etag,omitempty" doc:"entity-tag after the change"`
	Operations   []patch.OperationView `json:"operations,omitempty" doc:"what has changed"`
}

// NodeView is an element or attribute as JSON shows it.
type NodeView struct {
	Sel     string `json:"sel" doc:"path below the root, with node selector and query"`
	Exists  bool   `json:"exists" doc:"false when it is not there"`
	Content string `json:"content,omitempty" doc:"the element as XML, or the value of the attribute"`
}

// View returns the document as JSON shows it.
func (d *Document) View() View {
	v := View{Root: d.Root}
	for i := range d.Changes {
		c := &d.Changes[i]
		cv := ChangeView{Sel: c.Sel, Action: c.Action().String(), PreviousETag: c.PreviousETag, NewETag: c.NewETag}
		for j := range c.patch.Operations {
			cv.Operations = append(cv.Operations, c.patch.Operations[j].View())
		}
		v.Documents = append(v.Documents, cv)
	}
	for _, n := range d.Elements {
		v.Elements = append(v.Elements, NodeView{n.Sel, !n.Missing, string(n.Content)})
	}
	for _, n := range d.Attributes {
		v.Attributes = append(v.Attributes, NodeView{n.Sel, !n.Missing, n.Value})
	}
	return v
}

// MarshalJSON implements json.Marshaler with the fields of View.
func (d *Document) MarshalJSON() ([]byte, error) { return json.Marshal(d.View()) }

// did says in words what an action is.
var did = map[string]string{"patch": "has changed", "fetch": "has changed, to be fetched", "retag": "has another entity-tag only", "exist": "exists", "remove": "was removed"}

// WriteText shows the document to a person: the root, then a line each of what has changed, with the operations below. No
// control character of the document comes through. The error is that of w.
func (d *Document) WriteText(w io.Writer) error {
	v := d.View()
	if _, err := fmt.Fprintln(w, lexical.Visible(v.Root)); err != nil {
		return err
	}
	for _, c := range v.Documents {
		tags := ""
		if c.PreviousETag != "" {
			tags += " from " + c.PreviousETag
		}
		if c.NewETag != "" {
			tags += " to " + c.NewETag
		}
		if _, err := fmt.Fprintln(w, lexical.Visible(c.Sel+" "+did[c.Action]+tags)); err != nil {
			return err
		}
		for _, op := range c.Operations {
			if err := op.WriteText(w); err != nil {
				return err
			}
		}
	}
	for _, list := range [][]NodeView{v.Elements, v.Attributes} {
		for _, n := range list {
			line := n.Sel + " is " + n.Content
			switch {
			case !n.Exists:
				line = n.Sel + " is not there"
			case n.Content == "":
				line = n.Sel + " is there"
			}
			if _, err := fmt.Fprintln(w, lexical.Visible(line)); err != nil {
				return err
			}
		}
	}
	return nil
}
