package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xml/format"
)

type xmlFmtOptions struct {
	kit     *kit.Kit
	indent  int
	tabs    bool
	check   bool
	inPlace bool
}

func newXMLFmt(k *kit.Kit) *cobra.Command {
	o := &xmlFmtOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "fmt [FILE|-]…",
		Short: "Indent documents",
		Long: `Print documents with one element a line, indented by depth. Only white space that
cannot be content changes: elements with text in them, CDATA sections, and what
xml:space="preserve" covers stay as they are, as do quotes and references.

With --in-place the files are rewritten, all of them or, when one cannot be read,
none. With --check nothing is written: the files that would change are named and
the exit status is 1.`,
		Example: `  $ imp pidf new --entity sip:alice@example.com --basic open | imp xml fmt -
  <?xml version="1.0" encoding="UTF-8"?>
  <presence …
    <tuple …
  …

  $ imp xml fmt --check alice.xml
  alice.xml`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().IntVar(&o.indent, "indent", 2, "`N` spaces for each level")
	cmd.Flags().BoolVar(&o.tabs, "tabs", false, "a tab for each level")
	cmd.Flags().BoolVar(&o.check, "check", false, "only name the files that would change, exit 1 if there are any")
	cmd.Flags().BoolVarP(&o.inPlace, "in-place", "i", false, "rewrite the files")
	cmd.MarkFlagsMutuallyExclusive("indent", "tabs")
	cmd.MarkFlagsMutuallyExclusive("check", "in-place")
	k.Emits(cmd, "unformatted", "with --check: a document would change", unformattedEvent{})
	return cmd
}

// unformattedEvent names a document that is not laid out.
type unformattedEvent struct {
	kit.Head
	File string `json:"file" doc:"the file, or stdin"`
}

// Text implements kit.Texter.
func (e unformattedEvent) Text(w io.Writer, _ *kit.Style) error {
	_, err := fmt.Fprintln(w, kit.CleanLine(e.File))
	return err
}

// laidOut is a document before and after.
type laidOut struct {
	name        string
	before, now []byte
}

func (o *xmlFmtOptions) run(_ context.Context, args []string) error {
	if o.indent < 1 || o.indent > 16 {
		return kit.Fail(kit.ExitUsage, "xml fmt", fmt.Sprintf("--indent %d is not between 1 and 16", o.indent), "without it it is 2")
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	var docs []laidOut
	for _, name := range args {
		if o.inPlace && name == "-" {
			return kit.Fail(kit.ExitUsage, "xml fmt", "--in-place cannot rewrite stdin", "name a FILE")
		}
		d, err := o.lay(name)
		if err != nil {
			return err
		}
		docs = append(docs, d)
	}
	switch {
	case o.check:
		return o.report(docs)
	case o.inPlace:
		return o.rewrite(docs)
	}
	for _, d := range docs {
		if err := o.kit.Print(d.now); err != nil {
			return err
		}
	}
	return nil
}

func (o *xmlFmtOptions) lay(name string) (laidOut, error) {
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return laidOut{}, err
	}
	t, err := parseXML(name, src)
	if err != nil {
		return laidOut{}, err
	}
	opt := format.Options{Indent: strings.Repeat(" ", o.indent)}
	if o.tabs {
		opt.Indent = "\t"
	}
	return laidOut{name, src, format.Append(nil, t, opt)}, nil
}

func (o *xmlFmtOptions) report(docs []laidOut) error {
	changed := false
	for _, d := range docs {
		if bytes.Equal(d.before, d.now) {
			continue
		}
		changed = true
		if err := o.kit.Emit(unformattedEvent{o.kit.Head("unformatted"), inputName(d.name)}); err != nil {
			return err
		}
	}
	if changed {
		return kit.Quiet(kit.ExitNo)
	}
	return nil
}

func (o *xmlFmtOptions) rewrite(docs []laidOut) error {
	for _, d := range docs {
		if bytes.Equal(d.before, d.now) {
			continue
		}
		if err := replaceFile(o.kit, d.name, d.now); err != nil {
			return err
		}
	}
	return nil
}
