package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xml/charset"
	"imp/internal/xml/grammar"
	xmltree "imp/internal/xml/tree"
)

type xmlCheckOptions struct {
	kit    *kit.Kit
	typ    string
	strict bool
}

func newXMLCheck(k *kit.Kit) *cobra.Command {
	o := &xmlCheckOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "check [FILE|-]…",
		Short: "Check documents against the formats of presence and messaging",
		Long: `Check that documents are well-formed and valid. The type of a document is told by the
name and the namespace of its root. An element that stands within documents, such as
the tuple of a PIDF document, is checked as such a part. Extensions are checked where
their namespace is known.

What is wrong is printed as FILE:LINE:COLUMN: RULE: TEXT, and the exit status is 6.
Warnings tell of what is valid and yet wrong or unwise; with --strict they are errors.
Nothing is printed about a document that is fine. Of a document whose root is not known
only well-formedness is checked, and a note says so; a known name in a wrong namespace
is an error (wrong-namespace).`,
		Example: `  $ imp pidf new --entity sip:alice@example.com --basic open | imp xml check -

  $ imp xml check offline.xml
  offline.xml:4:20: invalid-value: <basic> is "offline", expected open or closed

  $ imp xml check --strict --type pidf naive.xml
  naive.xml:3:16: timestamp-zone: <timestamp> is "2026-01-31T12:00:00", which does not say its time zone, write Z or an offset behind it`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&o.typ, "type", "", "the type `T` that the documents must have, such as pidf")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(typeNames(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&o.strict, "strict", false, "warnings are errors")
	k.Emits(cmd, "problem", "something is wrong in a document", problemEvent{})
	k.Emits(cmd, "checked", "a document was checked", checkedEvent{})
	return cmd
}

func typeNames() (names []string) {
	for _, t := range grammar.Types() {
		names = append(names, t.Name)
	}
	return names
}

// problemEvent tells one thing that is wrong in a document.
type problemEvent struct {
	kit.Head
	File     string `json:"file" doc:"the file, or stdin"`
	Line     int    `json:"line" doc:"where it is, from 1; 0 when that is not known"`
	Column   int    `json:"column" doc:"character of the line, from 1"`
	Rule     string `json:"rule" doc:"name of the rule that is broken"`
	Severity string `json:"severity" doc:"error or warning"`
	Reason   string `json:"reason" doc:"what was found and what is allowed"`
}

// Text implements kit.Texter.
func (e problemEvent) Text(w io.Writer, s *kit.Style) error {
	severity, paint := "", s.Bad
	if e.Severity == warning {
		severity, paint = "warning: ", s.Busy
	}
	_, err := fmt.Fprintf(w, "%s:%d:%d: %s: %s%s\n", kit.CleanLine(e.File), e.Line, e.Column, paint(e.Rule), severity, kit.CleanLine(e.Reason))
	return err
}

// checkedEvent sums up a document.
type checkedEvent struct {
	kit.Head
	File     string `json:"file" doc:"the file, or stdin"`
	Type     string `json:"type,omitempty" doc:"its type, when it is a document of a known one"`
	Part     bool   `json:"part" doc:"true when the root is known as a part of documents only"`
	Valid    bool   `json:"valid" doc:"false when there were errors"`
	Errors   int    `json:"errors" doc:"how many errors were printed"`
	Warnings int    `json:"warnings" doc:"how many warnings were printed"`
}

// Text implements kit.Texter. A document that is fine is not worth a line, and one that is not has its own.
func (e checkedEvent) Text(io.Writer, *kit.Style) error { return nil }

const warning = "warning"

func (o *xmlCheckOptions) run(_ context.Context, args []string) error {
	if _, ok := grammar.ByName(o.typ); o.typ != "" && !ok {
		return kit.Fail(kit.ExitUsage, "xml check", fmt.Sprintf("there is no type %q", o.typ), "the types are "+strings.Join(typeNames(), ", "))
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	valid := true
	for _, name := range args {
		src, err := o.kit.ReadDocument(name)
		if err != nil {
			return err
		}
		summary, problems := o.check(name, src)
		for _, p := range problems {
			if err := o.kit.Emit(p); err != nil {
				return err
			}
		}
		if err := o.kit.Emit(summary); err != nil {
			return err
		}
		valid = valid && summary.Valid
	}
	if !valid {
		return kit.Quiet(kit.ExitDocument)
	}
	return nil
}

func (o *xmlCheckOptions) check(name string, src []byte) (checkedEvent, []problemEvent) {
	done := checkedEvent{Head: o.kit.Head("checked"), File: inputName(name)}
	var found, lints []grammar.Problem
	t, err := readable(src)
	if err != nil {
		p := grammar.Problem{Rule: "not-well-formed", Text: err.Error()}
		if at := (*xmltree.Error)(nil); errors.As(err, &at) {
			p.Line, p.Col, p.Text = at.Line, at.Col, at.Msg
		}
		found = []grammar.Problem{p}
	} else if g := o.grammar(name, t, &found); g != nil {
		done.Type, done.Part = g.Name(), g.Name() == ""
		found, lints = g.Check(t), g.Lint(t)
	}
	var events []problemEvent
	for i, p := range slices.Concat(found, lints) {
		e := problemEvent{Head: o.kit.Head("problem"), File: done.File, Line: p.Line, Column: p.Col, Rule: p.Rule, Severity: "error", Reason: p.Text}
		if i >= len(found) && !o.strict {
			e.Severity = warning
			done.Warnings++
		} else {
			done.Errors++
		}
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(a, b problemEvent) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	if len(found) == grammar.MaxProblems || len(lints) == grammar.MaxProblems {
		o.kit.Note("%s has more problems than the first %d", done.File, grammar.MaxProblems)
	}
	done.Valid = done.Errors == 0
	return done, events
}

func readable(src []byte) (*xmltree.Tree, error) {
	utf, err := charset.ToUTF8(src)
	if err != nil {
		return nil, err
	}
	return xmltree.Parse(utf, xmltree.Options{AllowDTD: true})
}

// grammar returns the grammar for a document, nil when nothing is known about its root or when that is a problem by itself.
func (o *xmlCheckOptions) grammar(name string, t *xmltree.Tree, found *[]grammar.Problem) *grammar.Grammar {
	if o.typ != "" {
		g, _ := grammar.ByName(o.typ)
		return g
	}
	root := t.Root()
	if g, ok := grammar.For(root.Space(), root.Local()); ok {
		return g
	}
	if p, ok := grammar.Misplaced(root); ok {
		*found = append(*found, p)
		return nil
	}
	in := "in no namespace"
	if root.Space() != "" {
		in = "of namespace " + root.Space()
	}
	o.kit.Note("%s: nothing is known about documents with root <%s> %s, it is well-formed", inputName(name), root.Local(), in)
	return nil
}
