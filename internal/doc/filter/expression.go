package filter

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// maxExpression is how long an expression may be, in bytes; maxSteps is how many steps it may have.
const (
	maxExpression = 4 << 10
	maxSteps      = 32
)

var errCondition = errors.New("a condition in brackets is for include and exclude only")

// selection is an expression of RFC 4661 section 5: steps down from the document, and at the end perhaps an attribute.
type selection struct {
	steps []step
	attr  *name
}

// step goes to children, or to all descendants, of a name that satisfy the condition.
type step struct {
	anywhere  bool
	name      name
	condition [][]term // alternatives, of each all terms
}

// name is an expanded name; any stands for every name.
type name struct {
	any          bool
	space, local string
}

// term compares the value of what a relative path leads to.
type term struct {
	path    []name // "." is none
	up      int    // how often ".."
	attr    *name
	compare byte // '=', '<' or '>'
	value   string
	number  float64 // for < and >
}

func (s *selection) conditional() bool {
	for _, st := range s.steps {
		if len(st.condition) > 0 {
			return true
		}
	}
	return false
}

// reader reads an expression from left to right.
type reader struct {
	text     string
	at       int
	bindings map[string]string
}

// compile reads an expression. Prefixes mean what bindings say; a name without a prefix is in no namespace. Beside what the ABNF has, a condition may stand
// at every step and have one term, as in the examples of the RFC.
func compile(text string, bindings map[string]string) (*selection, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("longer than %d bytes", maxExpression)
	}
	r := &reader{text: text, bindings: bindings}
	s := &selection{}
	for r.blank(); r.at < len(r.text); r.blank() {
		if s.attr != nil {
			return nil, r.fail("nothing may follow an attribute")
		}
		if !r.take("/") {
			return nil, r.fail("a path of / or // is wanted")
		}
		st := step{anywhere: r.take("/")}
		r.blank()
		n, attribute, err := r.test()
		if err != nil {
			return nil, err
		}
		if attribute {
			if len(s.steps) == 0 && !st.anywhere {
				return nil, r.fail("an attribute without an element")
			}
			if st.anywhere {
				s.steps = append(s.steps, step{anywhere: true, name: name{any: true}})
			}
			s.attr = &n
			continue
		}
		st.name = n
		if r.blank(); r.take("[") {
			if st.condition, err = r.condition(); err != nil {
				return nil, err
			}
		}
		if s.steps = append(s.steps, st); len(s.steps) > maxSteps {
			return nil, fmt.Errorf("more than %d steps", maxSteps)
		}
	}
	if len(s.steps) == 0 {
		return nil, errors.New("there is no expression")
	}
	return s, nil
}

func (r *reader) fail(msg string) error {
	rest := "the end"
	if r.at < len(r.text) {
		rest = strconv.Quote(lexical.Clip(r.text[r.at:]))
	}
	return fmt.Errorf("%s, at %s", msg, rest)
}

func (r *reader) blank() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

func (r *reader) take(s string) bool {
	if strings.HasPrefix(r.text[r.at:], s) {
		r.at += len(s)
		return true
	}
	return false
}

// test reads "*", a name, or either behind "@".
func (r *reader) test() (n name, attribute bool, err error) {
	attribute = r.take("@")
	if r.take("*") {
		return name{any: true}, attribute, nil
	}
	start := r.at
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n/[]=<>@*\"'()|,+!", r.text[r.at]) < 0 {
		r.at++
	}
	prefix, local, prefixed := strings.Cut(r.text[start:r.at], ":")
	if !prefixed {
		prefix, local = "", prefix
	}
	if local == "" || strings.Contains(local, ":") || strings.Trim(local, ".") == "" || prefixed && prefix == "" {
		r.at = start
		return n, attribute, r.fail("a name or * is wanted")
	}
	n.local = local
	if prefix != "" {
		space, ok := r.bindings[prefix]
		if !ok {
			r.at = start
			return n, attribute, r.fail("no ns-binding has the prefix " + lexical.Clip(prefix))
		}
		n.space = space
	}
	return n, attribute, nil
}

// condition reads terms up to the bracket; "and" binds before "or".
func (r *reader) condition() (alternatives [][]term, err error) {
	var all []term
	for {
		t, err := r.term()
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		r.blank()
		switch {
		case r.take("]"):
			return append(alternatives, all), nil
		case r.take("and"):
		case r.take("or"):
			alternatives, all = append(alternatives, all), nil
		default:
			return nil, r.fail("and, or, or ] is wanted")
		}
		if r.at < len(r.text) && strings.IndexByte(" \t\r\n@.*", r.text[r.at]) < 0 {
			return nil, r.fail("a blank is wanted behind and and or")
		}
	}
}

func (r *reader) term() (t term, err error) {
	r.blank()
	for more := true; more; more = r.attrOrStep(&t) {
		switch r.blank(); {
		case r.take(".."):
			if len(t.path) > 0 {
				return t, r.fail(".. is for the begin of a path only")
			}
			t.up++
		case r.take("."):
		default:
			n, attribute, err := r.test()
			if err != nil {
				return t, err
			}
			if attribute {
				t.attr = &n
			} else {
				t.path = append(t.path, n)
			}
		}
		if len(t.path)+t.up > maxSteps {
			return t, fmt.Errorf("more than %d steps", maxSteps)
		}
	}
	r.blank()
	for _, c := range "=<>" {
		if r.take(string(c)) {
			t.compare = byte(c)
			return t, r.value(&t)
		}
	}
	return t, r.fail("=, < or > is wanted")
}

// attrOrStep tells whether the path of a term goes on.
func (r *reader) attrOrStep(t *term) bool {
	r.blank()
	return t.attr == nil && r.take("/")
}

// value reads a literal in quotes or a number.
func (r *reader) value(t *term) error {
	r.blank()
	start := r.at
	if r.take(`"`) || r.take("'") {
		end := strings.IndexByte(r.text[r.at:], r.text[start])
		if end < 0 {
			return r.fail("the value has no end")
		}
		t.value = r.text[r.at : r.at+end]
		r.at += end + 1
	} else {
		for r.at < len(r.text) && strings.IndexByte("+-.0123456789", r.text[r.at]) >= 0 {
			r.at++
		}
		t.value = r.text[start:r.at]
		if t.value == "" {
			return r.fail("a value in quotes or a number is wanted")
		}
	}
	if t.compare != '=' {
		n, err := decimal(t.value)
		if err != nil {
			r.at = start
			return r.fail("a number is wanted")
		}
		t.number = n
	}
	return nil
}

// decimal reads an xs:decimal.
func decimal(s string) (float64, error) {
	s = lexical.Trim(s)
	if strings.Trim(s, "+-.0123456789") != "" {
		return 0, errors.New("no number")
	}
	return strconv.ParseFloat(s, 64)
}

// found is a node that an expression selects: an element, or an attribute of it.
type found struct {
	node tree.Node
	attr tree.Attr // the zero Attr for the element
}

func (f found) value() string {
	if f.attr.Valid() {
		return f.attr.Value()
	}
	return f.node.Text()
}

// evaluate gives what a selection finds in a document, each once, in no order that matters.
func (s *selection) evaluate(t *tree.Tree) []found {
	at := []tree.Node{t.Document()}
	for i := range s.steps {
		st := &s.steps[i]
		var next []tree.Node
		seen := map[int]bool{}
		for _, n := range at {
			for c := range st.candidates(n, seen) {
				if st.name.matches(c.Space(), c.Local()) && st.holds(c) {
					next = append(next, c)
				}
			}
		}
		at = next
	}
	var all []found
	for _, n := range at {
		if s.attr == nil {
			all = append(all, found{node: n})
			continue
		}
		for a := range n.Attrs() {
			if s.attr.matches(a.Space(), a.Local()) {
				all = append(all, found{n, a})
			}
		}
	}
	return all
}

// candidates are the elements that a step can lead to, none twice for one seen.
func (st *step) candidates(n tree.Node, seen map[int]bool) iter.Seq[tree.Node] {
	return func(yield func(tree.Node) bool) {
		var walk func(tree.Node) bool
		walk = func(n tree.Node) bool {
			for c := range n.Elements() {
				if seen[c.Index()] {
					continue // and so is all below it
				}
				seen[c.Index()] = true
				if !yield(c) || st.anywhere && !walk(c) {
					return false
				}
			}
			return true
		}
		walk(n)
	}
}

func (n name) matches(space, local string) bool {
	return n.any || n.local == local && n.space == space
}

func (st *step) holds(n tree.Node) bool {
	for _, all := range st.condition {
		ok := true
		for i := range all {
			ok = ok && all[i].holds(n)
		}
		if ok {
			return true
		}
	}
	return len(st.condition) == 0
}

// holds tells whether any of the values that the term's path leads to compares.
func (t *term) holds(n tree.Node) bool {
	for range t.up {
		n = n.Parent()
	}
	return t.any(n, t.path)
}

func (t *term) any(n tree.Node, path []name) bool {
	if len(path) > 0 {
		for c := range n.Elements() {
			if path[0].matches(c.Space(), c.Local()) && t.any(c, path[1:]) {
				return true
			}
		}
		return false
	}
	if t.attr == nil {
		return t.compares(n.Text())
	}
	for a := range n.Attrs() {
		if t.attr.matches(a.Space(), a.Local()) && t.compares(a.Value()) {
			return true
		}
	}
	return false
}

func (t *term) compares(value string) bool {
	if t.compare == '=' {
		return lexical.Trim(value) == t.value || value == t.value
	}
	n, err := decimal(value)
	return err == nil && (t.compare == '<' && n < t.number || t.compare == '>' && n > t.number)
}
