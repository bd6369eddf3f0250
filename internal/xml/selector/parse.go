package selector

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"imp/internal/xml/tree"
)

// Bounds of a selector. Steps reach an attribute at the depth that documents may have.
const (
	MaxLength     = 64 << 10 // bytes
	MaxSteps      = 4097
	MaxPredicates = 16 // of one step
)

// ParsePatch compiles the selector of a patch operation (RFC 5261, sections 4.1, 4.2.1 and 8). Prefixes are resolved by
// ns, which holds the declarations in scope at the operation element; a name of an element without a prefix is in its
// default namespace, if there is one. The error is a *SyntaxError; ErrPrefix tells an undeclared prefix.
//
// The grammar is that of replace and remove. An add operation cannot use one whose Kind is Attribute or Namespace. The
// functions id() and processing-instruction() take their literal in either kind of quotes; id() without one, which the
// schema of RFC 5261 lets pass but XPath does not know, is refused.
func ParsePatch(sel string, ns Namespaces) (*Selector, error) { return compile(sel, ns, false) }

// ParseXCAP compiles a node selector (RFC 4825, section 6.3) that has been percent-decoded already. ns holds the bindings
// of the query of the URI, and under "" the default document namespace of the application usage. The error is a
// *SyntaxError; ErrPrefix tells a prefix without binding, ErrExtension what can only be an extension selector.
//
// Who has to tell a slash of the URI from an encoded one compares the number of path segments with that of Steps.
// References to characters and to predefined entities in a value are resolved, as AttValue has them; any other & stands
// for itself.
func ParseXCAP(sel string, ns Namespaces) (*Selector, error) { return compile(sel, ns, true) }

type parser struct {
	s    string
	i    int
	ns   Namespaces
	xcap bool
}

func compile(sel string, ns Namespaces, xcap bool) (*Selector, error) {
	if ns == nil {
		ns = Prefixes(nil)
	}
	p := &parser{s: sel, ns: ns, xcap: xcap}
	if len(sel) > MaxLength {
		return nil, p.fail(0, ErrLimit, "it is longer than %d bytes", MaxLength)
	}
	if !utf8.ValidString(sel) {
		return nil, p.fail(0, p.extension(), "it is no valid UTF-8")
	}
	if !xcap {
		p.take("/")
	}
	steps := make([]Step, 0, min(strings.Count(sel, "/")+1, MaxSteps))
	for {
		if len(steps) == MaxSteps {
			return nil, p.fail(p.i, ErrLimit, "it has more than %d steps", MaxSteps)
		}
		start := p.i
		step, err := p.step(len(steps) == 0)
		if err != nil {
			return nil, err
		}
		step.source = sel[start:p.i]
		steps = append(steps, step)
		if p.i == len(sel) {
			return &Selector{source: sel, steps: steps, xcap: xcap}, nil
		}
		if !p.take("/") {
			return nil, p.garbage(step)
		}
		if step.Kind != Element {
			return nil, p.fail(start, p.extension(), "%s selects no elements, it can only be the last step", clip(step.source))
		}
	}
}

// garbage tells why a selector goes on where a step should end.
func (p *parser) garbage(step Step) error {
	takes := ""
	switch {
	case p.s[p.i] != '[':
		return p.fail(p.i, p.extension(), "found %s behind the step %s, want / or the end", p.found(), clip(step.source))
	case step.ID != "", step.Kind >= Attribute:
		takes = "none"
	case step.Kind > Element:
		takes = "one position at most"
	default:
		takes = "a position and then an attribute test, one of each"
	}
	return p.fail(p.i, p.extension(), "found a predicate too many, this step takes %s", takes)
}

// step parses one step. The productions that look like function calls come first, as their names are names of elements
// too when no parenthesis follows.
func (p *parser) step(first bool) (Step, error) {
	switch {
	case p.i == len(p.s):
		return Step{}, p.fail(p.i, nil, "found the end, want a step: a name, * or @name, for example")
	case p.s[p.i] == '/':
		return Step{}, p.fail(p.i, nil, "found an empty step, only child elements can be selected, one step each")
	case p.take("@"):
		prefix, space, local, err := p.qname(false)
		return Step{Kind: Attribute, Prefix: prefix, Space: space, Local: local}, err
	case p.take("namespace::"):
		return p.namespace()
	case !p.xcap:
		if step, ok, err := p.nodeTest(first); ok || err != nil {
			return step, err
		}
	}
	step := Step{Kind: Element, Any: p.take("*")}
	if !step.Any {
		var err error
		if step.Prefix, step.Space, step.Local, err = p.qname(true); err != nil {
			return Step{}, err
		}
	}
	return step, p.predicates(&step)
}

func (p *parser) namespace() (Step, error) {
	if p.xcap {
		if !p.take("*") {
			return Step{}, p.fail(p.i, ErrExtension, "found %s, want namespace::*", p.found())
		}
		return Step{Kind: Bindings}, nil
	}
	end := ncName(p.s, p.i)
	if end == p.i {
		return Step{}, p.fail(p.i, nil, "found %s behind namespace::, want a prefix of the document", p.found())
	}
	step := Step{Kind: Namespace, Local: p.s[p.i:end]}
	p.i = end
	return step, nil
}

// nodeTest parses id(), text(), comment() and processing-instruction() with what may follow them.
func (p *parser) nodeTest(first bool) (step Step, ok bool, err error) {
	start := p.i
	switch {
	case p.take("id("):
		if !first {
			return step, true, p.fail(start, nil, "id() can only be the first step")
		}
		id, err := p.literalName("an ID")
		if err != nil {
			return step, true, err
		}
		return Step{Kind: Element, ID: id}, true, p.want(")")
	case p.take("text("):
		step.Kind = Text
	case p.take("comment("):
		step.Kind = Comment
	case p.take("processing-instruction("):
		step.Kind = PI
		if p.i < len(p.s) && p.s[p.i] != ')' {
			if step.Local, err = p.literalName("a target"); err != nil {
				return step, true, err
			}
		}
	default:
		return step, false, nil
	}
	if err := p.want(")"); err != nil {
		return step, true, err
	}
	start = p.i
	if p.take("[") {
		position, ok := p.digits()
		if !ok {
			return step, true, p.fail(p.i, nil, "found %s, want a position: a step that selects %ss takes no other predicate", p.found(), step.Kind)
		}
		if err := p.want("]"); err != nil {
			return step, true, err
		}
		step.Predicates = []Predicate{{Test: Position, Position: position, source: p.s[start:p.i]}}
	}
	return step, true, nil
}

func (p *parser) predicates(step *Step) error {
	for p.i < len(p.s) && p.s[p.i] == '[' {
		if p.xcap && !p.xcapOrder(step.Predicates) {
			return p.garbage(*step)
		}
		if len(step.Predicates) == MaxPredicates {
			return p.fail(p.i, ErrLimit, "the step has more than %d predicates", MaxPredicates)
		}
		start := p.i
		p.i++
		predicate, err := p.predicate()
		if err != nil {
			return err
		}
		if err := p.want("]"); err != nil {
			return err
		}
		predicate.source = p.s[start:p.i]
		step.Predicates = append(step.Predicates, predicate)
	}
	return nil
}

// xcapOrder reports whether a further predicate may follow: a position and then an attribute test are all there is.
func (p *parser) xcapOrder(before []Predicate) bool {
	return len(before) == 0 || len(before) == 1 && before[0].Test == Position && strings.HasPrefix(p.s[p.i:], "[@")
}

func (p *parser) predicate() (q Predicate, err error) {
	if position, ok := p.digits(); ok {
		return Predicate{Test: Position, Position: position}, nil
	}
	switch {
	case p.take("@"):
		q.Test = AttributeValue
		_, q.Space, q.Local, err = p.qname(false)
	case p.xcap:
		return q, p.fail(p.i, ErrExtension, "found %s, want a position or an attribute test", p.found())
	case p.take("."):
		q.Test = SelfValue
	case ncName(p.s, p.i) == p.i:
		return q, p.fail(p.i, nil, "found %s, want a position or a test: [2], [@name='value'], [name='value'] or [.='value']", p.found())
	default:
		q.Test = ChildValue
		_, q.Space, q.Local, err = p.qname(true)
	}
	if err == nil {
		err = p.want("=")
	}
	if err == nil {
		q.Value, err = p.literal("a value")
	}
	if p.xcap {
		q.Value = resolve(q.Value)
	}
	return q, err
}

// qname parses a name and resolves its prefix; what has no prefix is in the default namespace when it is an element.
func (p *parser) qname(element bool) (prefix, space, local string, err error) {
	start := p.i
	end := ncName(p.s, start)
	if end == start {
		return "", "", "", p.fail(start, p.extension(), "found %s, want a name", p.found())
	}
	local = p.s[start:end]
	if strings.HasPrefix(p.s[end:], ":") {
		if strings.HasPrefix(p.s[end:], "::") {
			return "", "", "", p.fail(start, p.extension(), "axis %s cannot be used, only children, attributes and declarations can be selected", clip(local))
		}
		prefix = local
		start, end = end+1, ncName(p.s, end+1)
		if end == start {
			p.i = start
			return "", "", "", p.fail(start, p.extension(), "found %s behind the prefix %s, want a name", p.found(), clip(prefix))
		}
		local = p.s[start:end]
	}
	p.i = end
	switch {
	case prefix == "xml":
		space = tree.XMLSpace
	case prefix != "":
		var ok bool
		if space, ok = p.ns.Lookup(prefix); !ok {
			return "", "", "", p.fail(start-len(prefix)-1, ErrPrefix, "prefix %s is not bound to a namespace", clip(prefix))
		}
	case element:
		space, _ = p.ns.Lookup("")
	}
	return prefix, space, local, nil
}

// literal parses a string in quotes of either kind. There is no way to have its own kind of quote in it.
func (p *parser) literal(what string) (string, error) {
	if p.i == len(p.s) || p.s[p.i] != '\'' && p.s[p.i] != '"' {
		return "", p.fail(p.i, p.extension(), "found %s, want %s in quotes", p.found(), what)
	}
	start := p.i + 1
	length := strings.IndexByte(p.s[start:], p.s[p.i])
	if length < 0 {
		return "", p.fail(p.i, p.extension(), "the quote is not closed")
	}
	p.i = start + length + 1
	return p.s[start : start+length], nil
}

func (p *parser) literalName(what string) (string, error) {
	start := p.i
	name, err := p.literal(what)
	if err == nil && (name == "" || ncName(name, 0) != len(name)) {
		return "", p.fail(start, nil, "%q is no name, want %s in quotes", clip(name), what)
	}
	return name, err
}

// digits parses a position. What is too large for any document stays too large.
func (p *parser) digits() (n int, ok bool) {
	for ; p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9'; p.i++ {
		n, ok = min(n, math.MaxInt32/10-1)*10+int(p.s[p.i]-'0'), true
	}
	return n, ok
}

func (p *parser) take(token string) bool {
	if !strings.HasPrefix(p.s[p.i:], token) {
		return false
	}
	p.i += len(token)
	return true
}

func (p *parser) want(token string) error {
	if p.take(token) {
		return nil
	}
	return p.fail(p.i, p.extension(), "found %s, want %s", p.found(), token)
}

// extension is the reason of what RFC 4825 reads as an extension selector, which is everything but an empty step.
func (p *parser) extension() error {
	if p.xcap {
		return ErrExtension
	}
	return nil
}

func (p *parser) found() string {
	if p.i >= len(p.s) {
		return "the end"
	}
	for _, r := range p.s[p.i:] {
		return fmt.Sprintf("%q", r)
	}
	return ""
}

func (p *parser) fail(offset int, reason error, format string, args ...any) error {
	return &SyntaxError{Selector: p.s, Offset: offset, Msg: fmt.Sprintf(format, args...), reason: reason}
}
