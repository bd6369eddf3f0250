package pidfdiff

import (
	"encoding/json"
	"fmt"
	"io"

	"imp/internal/xml/lexical"
	"imp/internal/xml/patch"
)

// View is a document as JSON shows it.
type View struct {
	Full       bool                  `json:"full" doc:"true: a full state; false: the changes that lead to one"`
	Entity     string                `json:"entity,omitempty" doc:"URI of the presentity"`
	Version    *uint32               `json:"version,omitempty" doc:"number of the state"`
	Operations []patch.OperationView `json:"operations,omitempty" doc:"the changes, in their order"`
}

// View returns the document as JSON shows it. What a full state tells package pidf shows.
func (d *Document) View() View {
	v := View{Full: d.Full, Entity: d.Entity}
	if d.HasVersion {
		v.Version = &d.Version
	}
	ops := d.Operations()
	for i := range ops {
		v.Operations = append(v.Operations, ops[i].View())
	}
	return v
}

// MarshalJSON implements json.Marshaler with the fields of View.
func (d *Document) MarshalJSON() ([]byte, error) { return json.Marshal(d.View()) }

// WriteText shows the document to a person: whose it is and which version, then the operations. No control character of the
// document comes through. The error is that of w.
func (d *Document) WriteText(w io.Writer) error {
	line := "changes"
	if d.Full {
		line = "full state"
	}
	if d.Entity != "" {
		line += " of " + d.Entity
	}
	if d.HasVersion {
		line += fmt.Sprintf(", version %d", d.Version)
	}
	if _, err := fmt.Fprintln(w, lexical.Visible(line)); err != nil {
		return err
	}
	for _, op := range d.View().Operations {
		if err := op.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}
