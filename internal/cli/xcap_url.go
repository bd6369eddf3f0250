package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/uri"
)

type xcapURLOptions struct {
	xcapFlags
	explain bool
}

func newXCAPURL(k *kit.Kit) *cobra.Command {
	o := &xcapURLOptions{xcapFlags: xcapFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "url [flags] URL|AUID[/DOCUMENT][//NODE]",
		Short: "Explain the URL of a document or node, or build one",
		Long: `Print the URL that a short target stands for, percent-encoded, with the namespace
bindings that its prefixes need: for curl, or for an entry-ref or external in a list.

A URL is explained piece by piece instead: what is the XCAP root, whose document it is,
what each step of the node selector selects and what the prefixes stand for; what is
wrong with it ends with status 2 after the pieces before. --explain does so for the URL
of a short target too. No server is asked.`,
		Example: `  $ imp xcap url 'resource-lists//resource-lists/list[@name="a b"]'
  http…/resource-lists/users/sip:alice@example.com/index/~~/resource-lists/list%5B@name=%22a%20b%22%5D

  $ imp xcap url --explain 'pres-rules//cr:ruleset/cr:rule[@id="a"]'
  …
  AUID           pres-rules  application usage
  …
  query          xmlns(cr=…)  what the prefix cr stands for in the node selector

  $ imp xcap url https://xcap.example.com/resource-lists/users/sip:joe@example.com/index/~~/resource-lists/list%5B2%5D
  XCAP root      https://xcap.example.com  the root of the server
  AUID           resource-lists  application usage
  tree           users  documents of one user
  XUI            sip:joe@example.com  the user whose documents these are
  document       index  name of the document, or of a sub-directory when more follows
  separator      ~~  what follows selects a node of the document
  node selector  resource-lists  the child element resource-lists, of which there has to be one only
  node selector  list%5B2%5D  list[2]  the child element list number 2 of that name`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().BoolVar(&o.explain, "explain", false, "explain the URL of a short target")
	o.target(cmd)
	k.Emits(cmd, "url", "a target is given, and it stands for a URL", urlEvent{})
	k.Emits(cmd, "piece", "a URL is explained: a piece of it", pieceEvent{})
	return cmd
}

type urlEvent struct {
	kit.Head
	URL  string `json:"url" doc:"the URL"`
	Root string `json:"root" doc:"the XCAP root"`
	Path string `json:"path" doc:"what follows the root, as an entry-ref has it"`
}

// Text implements kit.Texter.
func (e urlEvent) Text(w io.Writer, _ *kit.Style) error {
	_, err := fmt.Fprintln(w, e.URL)
	return err
}

type pieceEvent struct {
	kit.Head
	uri.Part
}

// Text implements kit.Texter.
func (e pieceEvent) Text(w io.Writer, s *kit.Style) error {
	value := ""
	if e.Value != "" && e.Value != e.Part.Text && e.Piece != uri.RootPiece && e.Piece != uri.Query {
		value = "  " + s.Name(kit.CleanLine(e.Value))
	}
	_, err := fmt.Fprintf(w, "%-13s  %s%s  %s\n", e.Piece, s.Name(kit.CleanLine(e.Part.Text)), value, kit.CleanLine(e.Note))
	return err
}

func (o *xcapURLOptions) run(_ context.Context, arg string) error {
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	if isURL(arg) {
		root, err := o.rootOfURL(acct, arg)
		if err != nil {
			return err
		}
		return o.pieces(root, arg)
	}
	root, u, err := o.locate(acct, arg)
	if err != nil {
		return err
	}
	if o.explain {
		return o.pieces(root, root.Join(u))
	}
	return o.kit.Emit(urlEvent{Head: o.kit.Head("url"), URL: root.Join(u), Root: root.String(), Path: u.String()})
}

// pieces explains a URL.
func (o *xcapURLOptions) pieces(root uri.Root, target string) error {
	parts, wrong := root.Explain(target)
	for _, p := range parts {
		if err := o.kit.Emit(pieceEvent{Head: o.kit.Head("piece"), Part: p}); err != nil {
			return err
		}
	}
	if wrong != nil {
		return kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(target), wrong, "RFC 4825 section 6 says how these URLs are made; imp xcap url AUID//NODE makes one")
	}
	return nil
}
