package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xml/patch"
	xmltree "imp/internal/xml/tree"
)

type xmlMergeOptions struct {
	kit     *kit.Kit
	inPlace bool
	merge   patch.MergeOptions
}

func newXMLMerge(k *kit.Kit) *cobra.Command {
	o := &xmlMergeOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "merge BASE A B",
		Short: "Merge two documents that were made of one",
		Long: `Merge the changes that made A of BASE and those that made B of it into one document,
and print that. It is done element by element: two changed attributes of one element,
or two changed entries of a list, go together, on whatever lines they stand. What both
change in the same way is changed once. Entries of lists are known by their id, uri or
name.

What both change in different ways, and what one changes and the other removes, is a
conflict. Conflicts are named with their places in the three documents, nothing is
printed or written, and the exit status is 1. With --union it is no conflict that
both add something at the same place: both stay, that of A first.`,
		Example: `  $ imp xml merge alice.xml mine.xml theirs.xml > merged.xml

  $ imp xml merge alice.xml mine.xml other.xml
  imp: conflict in /presence/tuple/status/basic/text() (alice.xml:5:14, mine.xml:5:14, other.xml:5:14): both change the text
  …
  imp: merging mine.xml and other.xml: 2 conflicts

  $ imp xml merge --in-place alice.xml mine.xml theirs.xml`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), [3]string(args)) },
	}
	cmd.Flags().BoolVarP(&o.inPlace, "in-place", "i", false, "rewrite A and print nothing")
	cmd.Flags().BoolVar(&o.merge.Union, "union", false, "keep both where both add something at the same place")
	k.Emits(cmd, "conflict", "two documents change their base in ways that do not go together", conflictEvent{})
	return cmd
}

// conflictEvent tells of a conflict, in place of the document.
type conflictEvent struct {
	kit.Head
	Path   string        `json:"path" doc:"path of the place in BASE, with its prefixes"`
	Reason string        `json:"reason" doc:"what the two do"`
	Base   conflictPlace `json:"base" doc:"where it is in BASE"`
	A      conflictPlace `json:"a" doc:"where it is in A"`
	B      conflictPlace `json:"b" doc:"where it is in B"`
}

// conflictPlace is a place in one of the documents.
type conflictPlace struct {
	File   string `json:"file" doc:"the file, or stdin"`
	Line   int    `json:"line" doc:"line, from 1; 0 when the document has removed it"`
	Column int    `json:"column" doc:"character of the line, from 1"`
}

func (p conflictPlace) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Text implements kit.Texter. Text is for stderr, as stdout is for the document.
func (e conflictEvent) Text(io.Writer, *kit.Style) error { return nil }

func (o *xmlMergeOptions) run(_ context.Context, names [3]string) error {
	if o.inPlace && names[1] == "-" {
		return kit.Fail(kit.ExitUsage, "xml merge", "--in-place cannot rewrite stdin", "name a FILE as A")
	}
	var docs [3]*xmltree.Tree
	for i, name := range names {
		var err error
		if docs[i], err = readXML(o.kit, name); err != nil {
			return err
		}
	}
	doing := "merging " + inputName(names[1]) + " and " + inputName(names[2])
	merged, conflicts, err := patch.Merge(docs[0], docs[1], docs[2], o.merge)
	if err != nil {
		return kit.Fail(kit.ExitDocument, doing, err, documentHint(err))
	}
	for _, c := range conflicts {
		if err := o.tell(c, names); err != nil {
			return err
		}
	}
	switch count := len(conflicts); {
	case count == 1:
		return kit.Fail(kit.ExitNo, doing, "1 conflict", "")
	case count == patch.MaxConflicts:
		return kit.Fail(kit.ExitNo, doing, fmt.Sprintf("%d conflicts or more", count), "")
	case count > 0:
		return kit.Fail(kit.ExitNo, doing, fmt.Sprintf("%d conflicts", count), "")
	case o.inPlace:
		return replaceFile(o.kit, names[1], merged)
	}
	return o.kit.Print(merged)
}

func (o *xmlMergeOptions) tell(c patch.Conflict, names [3]string) error {
	at := func(i int, p patch.Place) conflictPlace { return conflictPlace{inputName(names[i]), p.Line, p.Col} }
	e := conflictEvent{Head: o.kit.Head("conflict"), Path: c.Path, Reason: c.Reason, Base: at(0, c.Base), A: at(1, c.A), B: at(2, c.B)}
	if o.kit.Output == kit.OutputText {
		o.kit.Note("conflict in %s (%s, %s, %s): %s", e.Path, e.Base, e.A, e.B, e.Reason)
	}
	return o.kit.Emit(e)
}
