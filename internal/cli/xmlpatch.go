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
	"imp/internal/xml/patch"
	xmltree "imp/internal/xml/tree"
)

type xmlPatchOptions struct {
	kit     *kit.Kit
	inPlace bool
	check   bool
	explain bool
	sel     string
}

func newXMLPatch(k *kit.Kit) *cobra.Command {
	o := &xmlPatchOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "patch ORIGINAL [PATCH|-]…",
		Short: "Apply patches to a document",
		Long: `Apply XML patches (RFC 5261) to a document and print the result. What the patches do
not touch stays byte for byte. The root of a PATCH tells what it is: an XML patch
(RFC 7351), a partial PIDF (RFC 5262) or an XCAP diff (RFC 5874). Several are applied
in order, all or none.

A patch that does not apply ends with status 1 and the error condition of the RFC;
with -o raw the error document of the RFC is printed. An invalid patch ends with
status 6. --explain prints what each operation selected and changed in place of the
document.`,
		Example: `  $ imp xml patch alice.xml < away.xml
  …
        <basic>closed</basic>
  …

  $ imp xml patch alice.xml away.xml --explain
  1 replace alice.xml:5:14 presence/tuple/status/basic/text()
    - open
    + closed

  $ imp xml patch --in-place alice.xml away.xml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1:]) },
	}
	cmd.Flags().BoolVarP(&o.inPlace, "in-place", "i", false, "rewrite ORIGINAL and print nothing")
	cmd.Flags().BoolVar(&o.check, "check", false, "only see whether the patches apply")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "print what each operation selected and changed")
	cmd.Flags().StringVar(&o.sel, "sel", "", "of an XCAP diff about several documents take the changes of `PATH`")
	cmd.MarkFlagsMutuallyExclusive("in-place", "check")
	k.Emits(cmd, "operation", "with --explain: an operation was applied", operationEvent{})
	return cmd
}

func (o *xmlPatchOptions) run(_ context.Context, original string, patches []string) error {
	if o.inPlace && original == "-" {
		return kit.Fail(kit.ExitUsage, "xml patch", "--in-place cannot rewrite stdin", "name a FILE")
	}
	if len(patches) == 0 {
		patches = []string{"-"}
	}
	t, err := readXML(o.kit, original)
	if err != nil {
		return err
	}
	for _, name := range patches {
		if err := o.apply(t, original, name); err != nil {
			return err
		}
	}
	switch {
	case o.inPlace:
		return replaceFile(o.kit, original, t.Bytes())
	case o.check, o.explain:
		return nil
	}
	return o.kit.Print(t.Bytes())
}

func (o *xmlPatchOptions) apply(t *xmltree.Tree, original, name string) error {
	d, err := o.read(name)
	if err != nil {
		return err
	}
	changes, err := o.changes(d, name)
	if err != nil {
		return err
	}
	var told error
	explain := func(a patch.Applied) {
		if told == nil {
			told = o.kit.Emit(o.operation(a, original, name))
		}
	}
	if !o.explain {
		explain = nil
	}
	for _, c := range changes {
		if err := c.Apply(t, explain); err != nil {
			return o.refused(kit.ExitNo, "patching "+inputName(original)+" with "+inputName(name), err)
		}
		if told != nil {
			return told
		}
	}
	return nil
}

func (o *xmlPatchOptions) read(name string) (*patch.Document, error) {
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return nil, err
	}
	doing := "reading patch " + inputName(name)
	utf, err := charset.ToUTF8(src)
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, doing, err, "a patch is a document such as imp xml diff prints")
	}
	d, err := patch.Parse(utf, xmltree.Options{AllowDTD: true})
	if err != nil {
		return nil, o.refused(kit.ExitDocument, doing, err)
	}
	return d, nil
}

// refused is the error of a patch, whose document form is printed with -o raw.
func (o *xmlPatchOptions) refused(status int, doing string, err error) error {
	if failed := (*patch.Error)(nil); o.kit.Output == kit.OutputRaw && errors.As(err, &failed) {
		if printed := o.kit.Print(failed.Append(nil)); printed != nil {
			return printed
		}
	}
	hint := "imp xml check tells more about it"
	switch {
	case status == kit.ExitNo && o.explain:
		hint = ""
	case status == kit.ExitNo:
		hint = "--explain tells of the operations before it what they selected"
	}
	return kit.Fail(status, doing, err, hint)
}

// changes returns what a patch says about one document: an XCAP diff may be about several.
func (o *xmlPatchOptions) changes(d *patch.Document, name string) ([]patch.Changes, error) {
	if d.Vocabulary != patch.XCAPDiff {
		return d.Changes, nil
	}
	var about []string
	var chosen []patch.Changes
	for _, c := range d.Changes {
		if o.sel != "" && c.Document != o.sel {
			continue
		}
		chosen = append(chosen, c)
		if !slices.Contains(about, c.Document) {
			about = append(about, c.Document)
		}
	}
	switch {
	case len(about) > 1:
		return nil, kit.Fail(kit.ExitUsage, "reading patch "+inputName(name), "it is about several documents: "+strings.Join(about, ", "), "choose one with --sel")
	case len(about) == 0:
		return nil, kit.Fail(kit.ExitNo, "reading patch "+inputName(name), "it has no changes of "+cmp.Or(o.sel, "any document"), "without --sel any document will do when it is about one")
	}
	return chosen, nil
}

// operationEvent tells what an operation of a patch did.
type operationEvent struct {
	kit.Head
	Patch     string `json:"patch" doc:"the file with the patch, or stdin"`
	Number    int    `json:"number" doc:"of the operation in the patch, from 1"`
	Operation string `json:"operation" doc:"add, replace or remove"`
	Sel       string `json:"sel" doc:"its selector"`
	Located   string `json:"located" doc:"path of the node that was located, with the prefixes of the document"`
	Line      int    `json:"line" doc:"line of that node in the original; 0 when an operation before has added it"`
	Column    int    `json:"column" doc:"character of the line"`
	Before    string `json:"before,omitempty" doc:"what was replaced or removed"`
	After     string `json:"after,omitempty" doc:"what was added or put in its place"`

	original string
}

func (o *xmlPatchOptions) operation(a patch.Applied, original, name string) operationEvent {
	return operationEvent{
		Head: o.kit.Head("operation"), Patch: inputName(name), Number: a.Index + 1, Operation: a.Operation.Verb.String(), Sel: a.Operation.Selector.String(),
		Located: a.Located, Line: a.Line, Column: a.Col, Before: a.Before, After: a.After, original: inputName(original),
	}
}

// Text implements kit.Texter.
func (e operationEvent) Text(w io.Writer, s *kit.Style) error {
	place := "new"
	if e.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", e.original, e.Line, e.Column)
	}
	fmt.Fprintf(w, "%d %s %s %s\n", e.Number, s.Bold(e.Operation), place, kit.CleanLine(strings.TrimPrefix(e.Located, "/")))
	writeChanged(w, "- ", e.Before, s.Bad)
	writeChanged(w, "+ ", e.After, s.Good)
	return nil
}

// writeChanged prints the first lines of what an operation took away or brought.
func writeChanged(w io.Writer, mark, content string, paint func(string) string) {
	const shown = 12
	if content == "" {
		return
	}
	lines := strings.Split(strings.Trim(content, "\n"), "\n")
	for i, line := range lines {
		if i == shown {
			fmt.Fprintf(w, "  %s… %d lines more\n", mark, len(lines)-shown)
			return
		}
		fmt.Fprintf(w, "  %s\n", paint(mark+kit.CleanLine(line)))
	}
}
