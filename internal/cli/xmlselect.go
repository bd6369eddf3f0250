package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xml/query"
	"imp/internal/xml/selector"
	xmltree "imp/internal/xml/tree"
)

type xmlSelectOptions struct {
	kit     *kit.Kit
	as      string
	explain bool
	ns      []string
}

func newXMLSelect(k *kit.Kit) *cobra.Command {
	o := &xmlSelectOptions{kit: k, as: "xpath"}
	cmd := &cobra.Command{
		Use:   "select EXPRESSION [FILE|-]",
		Short: "Print what an XPath expression or a selector finds",
		Long: `Print what an XPath 1.0 expression finds in a document: elements as they stand in
it, of attributes and text the value, a line each. Where it finds nothing, or is
false, the exit status is 1, and a hint tells when the document has a node of
that name in another namespace.

Prefixes such as p, dm, rpid, rl, cr and pr are known, --ns adds others. The name of
an element without a prefix means the namespace of the root element or none.

With --as patch the expression is a selector of patch operations (RFC 5261), with
--as xcap a node selector of XCAP (RFC 4825, not percent-encoded). These locate one
node exactly. A name without a prefix is then in the namespace of the root element
alone. --explain tells of every step what it selected.`,
		Example: `  $ imp xml select //p:tuple/p:status/p:basic alice.xml
  <basic>open</basic>

  $ imp xml select 'presence/tuple/@id' alice.xml --as patch --explain
  presence  1 element  alice.xml:2:1 <presence>
  tuple     1 element  alice.xml:3:3 <tuple>
  @id       1 attribute  alice.xml:3:10 id
  a1

  $ imp xml select //rpid:basic alice.xml
  imp: selecting //rpid:basic in alice.xml: nothing is found
  hint: <basic> in line 5 is in namespace urn:ietf:params:xml:ns:pidf, write p:basic`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], argument(args, 1))
		},
	}
	cmd.Flags().Var(kit.Choice(&o.as, "xpath", "patch", "xcap"), "as", "what the expression is")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "tell of every step of a selector what it selected")
	cmd.Flags().StringArrayVar(&o.ns, "ns", nil, "bind a prefix: `PREFIX=URI`")
	k.Emits(cmd, "node", "a node was found", nodeEvent{})
	k.Emits(cmd, "value", "an expression has a value that is no node", valueEvent{})
	k.Emits(cmd, "step", "with --explain: a step of the selector was evaluated", stepEvent{})
	return cmd
}

func (o *xmlSelectOptions) run(_ context.Context, expr, name string) error {
	if o.as == "xpath" {
		if o.explain {
			return kit.Fail(kit.ExitUsage, "xml select", "--explain is for selectors", "add --as patch or --as xcap")
		}
		return o.xpath(expr, name)
	}
	return o.selector(expr, name)
}

func (o *xmlSelectOptions) xpath(expr, name string) error {
	if err := query.Check(expr); err != nil {
		return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading XPath %q", expr), err, "it is XPath 1.0; --as patch and --as xcap take the selectors of RFC 5261 and 4825")
	}
	compiled, err := kit.CompileXPath(expr, append([]string{"xml=" + xmltree.XMLSpace}, o.ns...))
	if err != nil {
		return err
	}
	t, err := readXML(o.kit, name)
	if err != nil {
		return err
	}
	doing := "selecting " + kit.CleanLine(expr) + " in " + inputName(name)
	found, err := query.Evaluate(t, compiled)
	if err != nil {
		return kit.Fail(kit.ExitUsage, doing, err, "write it in another way, such as a path without functions")
	}
	if !found.Set {
		if err := o.kit.Emit(valueEvent{o.kit.Head("value"), found.Value}); err != nil || found.Value != "false" {
			return err
		}
		return kit.Quiet(kit.ExitNo)
	}
	if len(found.Nodes) == 0 {
		return kit.Fail(kit.ExitNo, doing, "nothing is found", query.Hint(t, expr, o.prefixes()))
	}
	for _, n := range found.Nodes {
		if err := o.kit.Emit(o.node(t, n)); err != nil {
			return err
		}
	}
	return nil
}

func (o *xmlSelectOptions) prefixes() map[string]string {
	bound := maps.Clone(kit.Prefixes)
	for _, b := range o.ns {
		prefix, uri, _ := strings.Cut(b, "=")
		bound[prefix] = uri
	}
	return bound
}

func (o *xmlSelectOptions) selector(expr, name string) error {
	for _, b := range o.ns {
		if prefix, uri, ok := strings.Cut(b, "="); !ok || prefix == "" || uri == "" {
			return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --ns %q", b), "it is not PREFIX=URI", "write it like x=urn:example:x")
		}
	}
	t, err := readXML(o.kit, name)
	if err != nil {
		return err
	}
	compile := selector.ParsePatch
	if o.as == "xcap" {
		compile = selector.ParseXCAP
	}
	bound := o.prefixes()
	bound[""] = t.Root().Space()
	s, err := compile(expr, selector.Prefixes(bound))
	if err != nil {
		return kit.Fail(kit.ExitUsage, "", err, o.compileHint(err))
	}
	if o.explain {
		if err := o.told(t, name, s); err != nil {
			return err
		}
	}
	n, err := s.Locate(t)
	if failed := (*selector.Error)(nil); errors.As(err, &failed) {
		return kit.Fail(kit.ExitNo, "selecting in "+inputName(name), err, "--explain tells step by step what was found")
	}
	return o.kit.Emit(o.located(t, n))
}

func (o *xmlSelectOptions) compileHint(err error) string {
	switch {
	case errors.Is(err, selector.ErrPrefix):
		return "known are " + strings.Join(slices.Sorted(maps.Keys(kit.Prefixes)), " ") + ", --ns PREFIX=URI adds"
	case o.as == "patch":
		return "without --as patch the expression is full XPath"
	}
	return "without --as xcap the expression is full XPath"
}

func (o *xmlSelectOptions) told(t *xmltree.Tree, name string, s *selector.Selector) error {
	steps := s.Explain(t)
	width := 0
	for _, step := range steps {
		width = max(width, len([]rune(step.Step)))
	}
	for _, step := range steps {
		e := stepEvent{Head: o.kit.Head("step"), Step: step.Step, Count: step.Count, Why: step.Why, file: inputName(name), width: width}
		for _, n := range step.Nodes {
			e.Nodes = append(e.Nodes, o.located(t, n).place())
		}
		if err := o.kit.Emit(e); err != nil {
			return err
		}
	}
	return nil
}

// nodePlace tells which node it is and where.
type nodePlace struct {
	Kind      string `json:"kind" doc:"element, attribute, text, comment, processing-instruction, namespace, bindings or document"`
	Name      string `json:"name,omitempty" doc:"name as written"`
	Namespace string `json:"namespace,omitempty" doc:"namespace name of an element or attribute"`
	Line      int    `json:"line" doc:"line it starts in, from 1"`
	Column    int    `json:"column" doc:"character of the line, from 1"`
}

// nodeEvent is a node that was found.
type nodeEvent struct {
	kit.Head
	nodePlace
	Value  string `json:"value" doc:"text of an element, value of anything else"`
	Source string `json:"source,omitempty" doc:"an element as it stands in the document"`
}

func (e nodeEvent) place() nodePlace { return e.nodePlace }

// Text implements kit.Texter.
func (e nodeEvent) Text(w io.Writer, s *kit.Style) error { return printValue(w, s, e.shown()) }

// Raw implements kit.Rawer.
func (e nodeEvent) Raw() []byte { return []byte(e.shown()) }

func (e nodeEvent) shown() string {
	if e.Source != "" {
		return e.Source
	}
	return e.Value
}

// valueEvent is what an expression evaluates to.
type valueEvent struct {
	kit.Head
	Value string `json:"value" doc:"the boolean, number or string as text"`
}

// Text implements kit.Texter.
func (e valueEvent) Text(w io.Writer, s *kit.Style) error { return printValue(w, s, e.Value) }

// printValue prints what a document has on lines of its own. Only a terminal is kept from what is hostile to it: the
// next command is to get what was found.
func printValue(w io.Writer, s *kit.Style, value string) error {
	if s.TTY {
		value = kit.Clean(value)
	}
	_, err := fmt.Fprintln(w, value)
	return err
}

// Raw implements kit.Rawer.
func (e valueEvent) Raw() []byte { return []byte(e.Value) }

// stepEvent tells what a step of a selector selected.
type stepEvent struct {
	kit.Head
	Step  string      `json:"step" doc:"the step as written"`
	Count int         `json:"count" doc:"how many nodes it selected"`
	Nodes []nodePlace `json:"nodes,omitempty" doc:"the first of them"`
	Why   string      `json:"why,omitempty" doc:"why it selected nothing, or too much"`

	file  string
	width int
}

// Text implements kit.Texter.
func (e stepEvent) Text(w io.Writer, s *kit.Style) error {
	step := kit.CleanLine(e.Step) + strings.Repeat(" ", max(0, e.width-len([]rune(e.Step))))
	if e.Count == 0 {
		_, err := fmt.Fprintf(w, "%s  %s: %s\n", step, s.Bad("nothing"), kit.CleanLine(e.Why))
		return err
	}
	what := e.Nodes[0].Kind
	if e.Count > 1 {
		what += "s"
	}
	var places []string
	for _, n := range e.Nodes {
		name := n.Name
		if n.Kind == "element" {
			name = "<" + name + ">"
		}
		places = append(places, strings.TrimSpace(fmt.Sprintf("%s:%d:%d %s", e.file, n.Line, n.Column, kit.CleanLine(name))))
	}
	if e.Count > len(e.Nodes) {
		places = append(places, "…")
	}
	_, err := fmt.Fprintf(w, "%s  %d %s  %s\n", step, e.Count, what, strings.Join(places, ", "))
	return err
}

// node makes an event of what XPath found.
func (o *xmlSelectOptions) node(t *xmltree.Tree, n query.Node) nodeEvent {
	if n.Attr.Valid() {
		return o.attribute(n.Attr)
	}
	e := o.treeNode(n.Node)
	if n.Node.Kind() == xmltree.Document {
		e.Kind, e.Source = "document", string(t.Source())
	}
	return e
}

// located makes an event of what a selector located.
func (o *xmlSelectOptions) located(t *xmltree.Tree, n selector.Node) nodeEvent {
	switch n.Kind() {
	case selector.Attribute:
		return o.attribute(n.Attr)
	case selector.Namespace:
		e := nodeEvent{Head: o.kit.Head("node"), Value: n.Decl.URI()}
		e.Kind, e.Name = "namespace", n.Decl.Prefix()
		e.Line, e.Column = n.Decl.Position()
		return e
	case selector.Bindings:
		e := o.treeNode(n.Node)
		e.Kind, e.Source, e.Value = "bindings", "", bindings(n.Node)
		return e
	}
	return o.treeNode(n.Node)
}

func (o *xmlSelectOptions) attribute(a xmltree.Attr) nodeEvent {
	e := nodeEvent{Head: o.kit.Head("node"), Value: a.Value()}
	e.Kind, e.Name, e.Namespace = "attribute", a.Name(), a.Space()
	e.Line, e.Column = a.Position()
	return e
}

func (o *xmlSelectOptions) treeNode(n xmltree.Node) nodeEvent {
	e := nodeEvent{Head: o.kit.Head("node"), Value: n.Text()}
	e.Line, e.Column = n.Position()
	switch n.Kind() {
	case xmltree.Element:
		e.Kind, e.Name, e.Namespace, e.Source = "element", n.Name(), n.Space(), string(n.Bytes())
	case xmltree.Text:
		e.Kind = "text"
	case xmltree.Comment:
		e.Kind = "comment"
	case xmltree.PI:
		e.Kind, e.Name = "processing-instruction", n.Target()
	}
	return e
}

// bindings lists the namespaces in scope at an element, a line each.
func bindings(n xmltree.Node) string {
	var lines []string
	for prefix, uri := range n.InScope() {
		lines = append(lines, prefix+"="+uri)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
