package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/xml/canon"
	"imp/internal/xml/format"
	"imp/internal/xml/patch"
	xmltree "imp/internal/xml/tree"
)

type xmlDiffOptions struct {
	kit     *kit.Kit
	format  string
	stat    bool
	unified bool
	frame   patch.Frame
}

func newXMLDiff(k *kit.Kit) *cobra.Command {
	o := &xmlDiffOptions{kit: k, format: patch.XMLPatch.String()}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Print the patch that makes one document of another",
		Long: `Print the patch that makes document A equal to B. Documents are equal when their
canonical forms are (see imp xml canon), so white space counts, and the order of
attributes does not. The exit status is 0 when they are equal, 1 when they differ and
2 or more when that cannot be told.

The patch is an XML patch (RFC 7351), or with --format the changes of an XCAP diff
(RFC 5874) or of a partial PIDF (RFC 5262). It applies to A alone, with imp xml patch.
For reading there is -u, which compares the documents line by line, laid out by
imp xml fmt.`,
		Example: `  $ imp xml diff alice.xml closed.xml
  <?xml version="1.0" encoding="UTF-8"?>
  <p:patch xmlns:p="urn:ietf:rfc:7351"…>
    <p:replace sel="…/text()">closed</p:replace>
  </p:patch>

  $ imp xml diff -u alice.xml closed.xml
  --- alice.xml
  +++ closed.xml
  …
  -      <basic>open</basic>
  +      <basic>closed</basic>
  …

  $ imp xml diff alice.xml closed.xml | imp xml patch alice.xml | imp xml diff --stat - closed.xml
  no operations`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1]) },
	}
	fs := cmd.Flags()
	fs.Var(kit.Choice(&o.format, patch.XMLPatch.String(), patch.XCAPDiff.String(), patch.PIDFDiff.String()), "format", "what to write the patch as")
	fs.BoolVar(&o.stat, "stat", false, "only count the operations")
	fs.BoolVarP(&o.unified, "unified", "u", false, "compare for reading, line by line")
	fs.StringVar(&o.frame.XCAPRoot, "root", "", "of an xcap-diff: the XCAP root `URI`")
	fs.StringVar(&o.frame.Document, "sel", "", "of an xcap-diff: the `PATH` of the document below the root")
	fs.StringVar(&o.frame.PreviousETag, "previous-etag", "", "of an xcap-diff: the entity-tag of A")
	fs.StringVar(&o.frame.NewETag, "new-etag", "", "of an xcap-diff: the entity-tag of B")
	fs.StringVar(&o.frame.Version, "version", "", "of a pidf-diff: `N`, the version that B is")
	cmd.MarkFlagsMutuallyExclusive("stat", "unified")
	cmd.MarkFlagsRequiredTogether("root", "sel", "previous-etag", "new-etag")
	k.Emits(cmd, "diffstat", "with --stat: two documents were compared", diffstatEvent{})
	return cmd
}

func (o *xmlDiffOptions) run(_ context.Context, nameA, nameB string) error {
	if err := o.check(); err != nil {
		return err
	}
	a, err := readXML(o.kit, nameA)
	if err != nil {
		return err
	}
	b, err := readXML(o.kit, nameB)
	if err != nil {
		return err
	}
	if o.unified {
		return o.view(inputName(nameA), a, inputName(nameB), b)
	}
	edits, err := patch.Diff(a, b)
	if err != nil {
		return kit.Fail(kit.ExitDocument, "comparing "+inputName(nameA)+" with "+inputName(nameB), err, "-u compares them line by line")
	}
	if err := o.fill(b); err != nil {
		return err
	}
	if o.stat {
		err = o.kit.Emit(o.counted(edits))
	} else {
		err = o.kit.Print(edits.Append(nil, o.frame))
	}
	if err == nil && edits.Len() > 0 {
		err = kit.Quiet(kit.ExitNo)
	}
	return err
}

// check refuses flags that the format has no place for.
func (o *xmlDiffOptions) check() error {
	for v := range patch.XCAPDiff + 1 {
		if v.String() == o.format {
			o.frame.Vocabulary = v
		}
	}
	xcap, partial := o.frame.Vocabulary == patch.XCAPDiff, o.frame.Vocabulary == patch.PIDFDiff
	switch {
	case xcap != (o.frame.XCAPRoot != ""):
		return kit.Fail(kit.ExitUsage, "xml diff", "--root, --sel, --previous-etag and --new-etag belong to --format xcap-diff, and it needs all four", "such as --root http://xcap.example.com/ --sel resource-lists/users/sip:alice@example.com/index --previous-etag 1 --new-etag 2")
	case o.frame.Version != "" && (!partial || strings.Trim(o.frame.Version, "0123456789") != ""):
		return kit.Fail(kit.ExitUsage, "xml diff", "--version is a number and belongs to --format pidf-diff", "leave it out, or give --format pidf-diff")
	}
	return nil
}

// fill takes what the patch needs to say from the document that it leads to.
func (o *xmlDiffOptions) fill(b *xmltree.Tree) error {
	if o.frame.Vocabulary != patch.PIDFDiff {
		return nil
	}
	root := b.Root()
	if !root.Is(pidf.Space, "presence") && !root.Is(patch.SpacePIDFDiff, "pidf-full") {
		return kit.Fail(kit.ExitDocument, "making a pidf-diff", fmt.Sprintf("<%s> is no presence document", kit.CleanLine(root.Name())), "--format xml-patch takes any document")
	}
	o.frame.Entity, _ = root.Attr("", "entity")
	return nil
}

// view prints a unified diff of the documents as they are laid out, or as they are when only their layout differs.
func (o *xmlDiffOptions) view(nameA string, a *xmltree.Tree, nameB string, b *xmltree.Tree) error {
	if canon.Equal(a.Document(), b.Document()) {
		return nil
	}
	linesA, linesB := format.Append(nil, a, format.Options{}), format.Append(nil, b, format.Options{})
	if bytes.Equal(linesA, linesB) {
		linesA, linesB = a.Source(), b.Source()
	}
	// The first line repeats the names.
	_, shown, _ := bytes.Cut(diff.Diff(nameA, linesA, nameB, linesB), []byte("\n"))
	if s := o.kit.Style(); s.Color || s.TTY {
		shown = painted(shown, s)
	}
	if err := o.kit.Print(shown); err != nil {
		return err
	}
	return kit.Quiet(kit.ExitNo)
}

// painted makes a unified diff fit for a terminal.
func painted(shown []byte, s *kit.Style) []byte {
	var out []byte
	for line := range strings.Lines(kit.Clean(string(shown))) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "):
			line = s.Bold(line)
		case strings.HasPrefix(line, "+"):
			line = s.Good(line)
		case strings.HasPrefix(line, "-"):
			line = s.Bad(line)
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

// diffstatEvent counts the operations of a patch.
type diffstatEvent struct {
	kit.Head
	Added    int `json:"added" doc:"operations that add"`
	Replaced int `json:"replaced" doc:"operations that replace"`
	Removed  int `json:"removed" doc:"operations that remove"`
	Bytes    int `json:"bytes" doc:"size of the patch"`
}

func (o *xmlDiffOptions) counted(e *patch.Edits) diffstatEvent {
	return diffstatEvent{
		Head: o.kit.Head("diffstat"), Added: e.Count(patch.Add), Replaced: e.Count(patch.Replace), Removed: e.Count(patch.Remove),
		Bytes: len(e.Append(nil, o.frame)),
	}
}

// Text implements kit.Texter.
func (e diffstatEvent) Text(w io.Writer, _ *kit.Style) error {
	var counts []string
	for _, c := range []struct {
		count int
		verb  string
	}{{e.Added, "add"}, {e.Replaced, "replace"}, {e.Removed, "remove"}} {
		if c.count > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", c.count, c.verb))
		}
	}
	if counts == nil {
		_, err := fmt.Fprintln(w, "no operations")
		return err
	}
	_, err := fmt.Fprintf(w, "%s: %d bytes\n", strings.Join(counts, ", "), e.Bytes)
	return err
}
