package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xml/canon"
)

type xmlCanonOptions struct {
	kit        *kit.Kit
	exclusive  bool
	comments   bool
	noComments bool
}

func newXMLCanon(k *kit.Kit) *cobra.Command {
	o := &xmlCanonOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "canon [FILE|-]",
		Short: "Print the canonical form of a document",
		Long: `Print a document in the form of Canonical XML 1.0, in which documents that say the
same are the same bytes; nothing is put behind the last one. Comments are kept,
as RFC 5261 wants for comparing documents, unless --no-comments is given. With
--exclusive the form is that of Exclusive XML Canonicalization 1.0, which drops
declarations of namespaces that are not used.`,
		Example: `  $ echo "<a  y='2' x='1'/>" | imp xml canon
  <a x="1" y="2"></a>

  $ imp xml canon --exclusive alice.xml > alice.c14n`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&o.exclusive, "exclusive", false, "drop declarations that are not used")
	cmd.Flags().BoolVar(&o.comments, "comments", true, "keep comments")
	cmd.Flags().BoolVar(&o.noComments, "no-comments", false, "drop comments")
	cmd.MarkFlagsMutuallyExclusive("comments", "no-comments")
	return cmd
}

func (o *xmlCanonOptions) run(_ context.Context, args []string) error {
	name := argument(args, 0)
	t, err := readXML(o.kit, name)
	if err != nil {
		return err
	}
	if at, unknown := t.Document().Unresolved(); unknown {
		line, col := t.Position(at)
		return kit.Fail(kit.ExitDocument, "reading "+inputName(name), fmt.Sprintf("%d:%d: found a reference to an entity of the document type declaration, which is not read", line, col), "write the value in its place")
	}
	return o.kit.Print(canon.Append(nil, t.Document(), canon.Options{Comments: o.comments && !o.noComments, Exclusive: o.exclusive}))
}
