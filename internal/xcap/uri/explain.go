package uri

import (
	"fmt"
	"strings"

	"imp/internal/xml/selector"
)

// Part is a piece of a URI with what it means.
type Part struct {
	Piece Piece  `json:"piece" doc:"what it is: XCAP root, AUID, tree, XUI, document, separator, node selector or query"`
	Text  string `json:"text" doc:"as it is written"`
	Value string `json:"value,omitempty" doc:"decoded"`
	Note  string `json:"note" doc:"what it means"`
}

// Explain reads a URI as Parse does and tells piece by piece what it means. When the URI is wrong, the pieces before the wrong one
// come with the error. A zero Root stands for a target that begins at the AUID.
func (r Root) Explain(target string) ([]Part, error) {
	p := parser{explain: true}
	var u *URI
	var err error
	if r.origin == "" && r.path == nil && !strings.HasPrefix(target, "/") {
		if err := checkText(target); err != nil {
			return nil, err
		}
		u, err = p.parse(target)
	} else {
		u, err = p.below(r, target)
	}
	if err == nil {
		_, err = u.Selector("")
	}
	return p.parts, err
}

// explainStep says what a step of a node selector selects.
func explainStep(step string) string {
	prefix := selectorPrefixes{}
	sel, err := selector.ParseXCAP(step, prefix)
	if err != nil || len(sel.Steps()) != 1 {
		return "an extension selector, which no server is known to have"
	}
	s := sel.Steps()[0]
	name := s.Local
	if s.Prefix != "" {
		name = s.Prefix + ":" + s.Local
	}
	switch {
	case s.Kind == selector.Attribute:
		return "the attribute " + name
	case s.Kind == selector.Bindings:
		return "the namespaces in scope at the element, which can only be read"
	}
	note := "the child element " + name
	if s.Any {
		note = "the child element"
	}
	for _, q := range s.Predicates {
		if q.Test == selector.Position {
			of := "of that name"
			if s.Any {
				of = "of any name"
			}
			note += fmt.Sprintf(" number %d %s", q.Position, of)
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(q.String(), "[@"), "=")
		note += fmt.Sprintf(", if its attribute %s is %q", name, q.Value)
	}
	if len(s.Predicates) == 0 {
		note += ", of which there has to be one only"
	}
	return note
}

// selectorPrefixes binds every prefix, to itself.
type selectorPrefixes struct{}

// Lookup implements selector.Namespaces.
func (selectorPrefixes) Lookup(prefix string) (string, bool) { return prefix, prefix != "" }
