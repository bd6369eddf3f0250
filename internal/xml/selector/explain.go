package selector

import (
	"fmt"
	"strings"

	"imp/internal/xml/tree"
)

// Shown is how many nodes of a step Explain lists.
const Shown = 8

// Explained tells what one step of a selector did.
type Explained struct {
	Step  string // as written
	Count int    // how many nodes it selected
	Nodes []Node // the first of them, at most Shown
	Why   string // why it selected nothing, or too much; "" when all is well
}

// Explain runs the selector and tells of every step what it selected, up to and with the first one that fails.
func (s *Selector) Explain(t *tree.Tree) []Explained {
	contexts := []tree.Node{t.Document()}
	told := make([]Explained, 0, len(s.steps))
	for i := range s.steps {
		step := &s.steps[i]
		e := Explained{Step: step.source}
		var selected []tree.Node
		for _, context := range contexts {
			for n := range step.each(context) {
				if e.Count < Shown {
					e.Nodes = append(e.Nodes, n)
				}
				e.Count++
				selected = append(selected, n.Node)
			}
		}
		last := i == len(s.steps)-1
		switch {
		case e.Count == 0:
			e.Why = step.whyNone(contexts)
		case e.Count > 1 && (last || s.xcap):
			e.Why = fmt.Sprintf("it selects %d %ss where one is needed, tell them apart by a position or a value", e.Count, step.Kind)
		}
		told = append(told, e)
		if e.Why != "" {
			break
		}
		contexts = selected
	}
	return told
}

// fault makes the error of a selector that does not select one node.
func (s *Selector) fault(t *tree.Tree) *Error {
	told := s.Explain(t)
	i := len(told) - 1
	return &Error{Selector: s.source, Step: i, Text: told[i].Step, Count: told[i].Count, Reason: told[i].Why, steps: len(s.steps)}
}

func (s *Step) each(context tree.Node) func(yield func(Node) bool) {
	return func(yield func(Node) bool) {
		if s.Kind >= Attribute {
			if n := s.own(context); n.kind != None {
				yield(n)
			}
			return
		}
		c := s.from(context)
		for n := c.next(); n.Valid(); n = c.next() {
			if !yield(Node{Node: n, kind: s.Kind}) {
				return
			}
		}
	}
}

// whyNone tells why a step selects nothing in any of its contexts.
func (s *Step) whyNone(contexts []tree.Node) string {
	switch {
	case s.ID != "":
		return fmt.Sprintf("no element has xml:id=%q, and other attributes of type ID are not known without a schema", clip(s.ID))
	case s.Kind == Attribute:
		return s.whyNoAttribute(contexts)
	case s.Kind == Namespace:
		return s.whyNoDeclaration(contexts)
	}
	for i := range s.Predicates {
		if why := s.whyFiltered(contexts, i); why != "" {
			return why
		}
	}
	what := "no " + s.Kind.String()
	switch {
	case s.Kind == Element && !s.Any:
		if why := s.whyOtherSpace(contexts); why != "" {
			return why
		}
		what = "no element " + expanded(s.Space, s.Local)
	case s.Kind == PI && s.Local != "":
		what += " " + clip(s.Local)
	}
	return fmt.Sprintf("%s stands in %s", what, place(contexts))
}

// whyFiltered tells that a predicate leaves nothing of what came to it.
func (s *Step) whyFiltered(contexts []tree.Node, i int) string {
	count := func(predicates []Predicate) (n int) {
		head := *s
		head.Predicates = predicates
		for _, context := range contexts {
			for range head.each(context) {
				n++
			}
		}
		return n
	}
	before := count(s.Predicates[:i])
	if before == 0 || count(s.Predicates[:i+1]) > 0 {
		return ""
	}
	p := &s.Predicates[i]
	if p.Test == Position {
		return fmt.Sprintf("%s selects %d before it comes to %s", s.before(i), before, p.source)
	}
	return fmt.Sprintf("%s selects %d, none of them has %s", s.before(i), before, clip(p.source))
}

// before returns the step up to its predicate i.
func (s *Step) before(i int) string {
	end := len(s.source)
	for _, p := range s.Predicates[i:] {
		end -= len(p.source)
	}
	return clip(s.source[:end])
}

// whyOtherSpace finds an element of the local name of the step that is in another namespace.
func (s *Step) whyOtherSpace(contexts []tree.Node) string {
	for _, context := range contexts {
		for n := range context.Elements() {
			if n.Local() != s.Local {
				continue
			}
			return fmt.Sprintf("<%s> stands there in %s, the selector means %s", clip(n.Name()), spaceName(n.Space()), spaceName(s.Space))
		}
	}
	return ""
}

func (s *Step) whyNoAttribute(contexts []tree.Node) string {
	for _, context := range contexts {
		for a := range context.Attrs() {
			if a.Local() == s.Local {
				return fmt.Sprintf("attribute %s of <%s> is in %s, the selector means %s", clip(a.Name()), clip(context.Name()), spaceName(a.Space()), spaceName(s.Space))
			}
		}
	}
	return fmt.Sprintf("no attribute %s on %s", expanded(s.Space, s.Local), place(contexts))
}

func (s *Step) whyNoDeclaration(contexts []tree.Node) string {
	for _, context := range contexts {
		for e := context.Parent(); e.Valid(); e = e.Parent() {
			for d := range e.Decls() {
				if d.Prefix() == s.Local {
					return fmt.Sprintf("prefix %s is declared on <%s>, select it there", clip(s.Local), clip(e.Name()))
				}
			}
		}
	}
	return fmt.Sprintf("prefix %s is not declared on %s", clip(s.Local), place(contexts))
}

// place names the contexts of a step.
func place(contexts []tree.Node) string {
	switch {
	case contexts[0].Kind() == tree.Document:
		return "the document, whose root is <" + clip(contexts[0].Tree().Root().Name()) + ">"
	case len(contexts) > 1:
		return fmt.Sprintf("any of the %d elements before", len(contexts))
	}
	return "<" + clip(contexts[0].Name()) + ">"
}

func spaceName(space string) string {
	if space == "" {
		return "no namespace"
	}
	return "namespace " + clip(space)
}

func expanded(space, local string) string {
	var b strings.Builder
	b.WriteString(clip(local))
	if space != "" {
		b.WriteString(" of " + spaceName(space))
	}
	return b.String()
}
