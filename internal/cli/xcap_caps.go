package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
)

func newXCAPCaps(k *kit.Kit) *cobra.Command {
	x := &xcapFlags{kit: k}
	cmd := &cobra.Command{
		Use:   "caps",
		Short: "Print what an XCAP server can do",
		Long: `Print the application usages, extensions and XML namespaces that the server names in
its capabilities (xcap-caps, RFC 4825 section 12). Elements of those namespaces are
checked by the server, others are stored as they are.`,
		Example: `  $ imp xcap caps
  application usages
  …
    resource-lists
  …
  namespaces
  …

  $ imp xcap caps -o json
  {"event":"caps",…"auids":[…"resource-lists"…],…}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return x.caps(cmd.Context()) },
	}
	x.accounts(cmd)
	k.Emits(cmd, "caps", "an XCAP server has told its capabilities", capsEvent{})
	return cmd
}

type capsEvent struct {
	kit.Head
	Root       string   `json:"root" doc:"the XCAP root"`
	AUIDs      []string `json:"auids" doc:"application usages"`
	Extensions []string `json:"extensions" doc:"extensions of node selectors and others"`
	Namespaces []string `json:"namespaces" doc:"XML namespaces whose elements are checked"`
}

// Text implements kit.Texter.
func (e capsEvent) Text(w io.Writer, s *kit.Style) error {
	var b strings.Builder
	for _, part := range []struct {
		title string
		items []string
	}{{"application usages", e.AUIDs}, {"extensions", e.Extensions}, {"namespaces", e.Namespaces}} {
		if len(part.items) > 0 {
			fmt.Fprintln(&b, s.Bold(part.title))
		}
		for _, item := range part.items {
			fmt.Fprintf(&b, "  %s\n", kit.CleanLine(item))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (x *xcapFlags) caps(ctx context.Context) error {
	s, err := x.own(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	caps, err := s.Caps(ctx)
	if err != nil {
		return s.failure("asking "+s.root.String()+" for its capabilities", err)
	}
	list := func(l []string) []string { return append([]string{}, l...) }
	return x.kit.Emit(capsEvent{Head: x.kit.Head("caps"), Root: s.root.String(), AUIDs: list(caps.AUIDs), Extensions: list(caps.Extensions), Namespaces: list(caps.Namespaces)})
}

type xcapLsOptions struct{ xcapFlags }

func newXCAPLs(k *kit.Kit) *cobra.Command {
	o := &xcapLsOptions{xcapFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "ls [flags] [AUID]",
		Short: "List a user's documents",
		Long: `List the documents of yours, or of --xui USER, in all application usages or in AUID:
path below the XCAP root, size, time of the last change where the server tells it, and
entity-tag. A path may be given to the other commands.

The server is asked for its directory (OMA xcap-directory). Where it has none, imp looks
for the documents of the usual names in each application usage of imp xcap caps. Without
any document there is no output.`,
		Example: `  $ imp xcap ls
  DOCUMENT                                          SIZE  CHANGED…ETAG
  resource-lists/users/sip:alice@example.com/index  …

  $ imp xcap ls resource-lists -o json
  {"event":"document","time":"…","auid":"resource-lists",…}`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), strings.Join(args, "")) },
	}
	cmd.Flags().StringVar(&o.xui, "xui", "", "the documents of `USER` instead of your own")
	cmd.ValidArgsFunction = completeUsages
	o.accounts(cmd)
	k.Emits(cmd, "document", "an XCAP server has a document", storedEvent{})
	return cmd
}

type storedEvent struct {
	kit.Head
	AUID     string    `json:"auid" doc:"application usage"`
	Path     string    `json:"path" doc:"path below the XCAP root"`
	URL      string    `json:"url" doc:"URL of the document"`
	ETag     string    `json:"etag,omitempty" doc:"entity-tag, for --if-match"`
	Size     int       `json:"size" doc:"bytes, -1 when the server does not tell"`
	Modified *kit.Time `json:"modified,omitempty" doc:"when it was changed last, where the server tells"`
}

func (o *xcapLsOptions) run(ctx context.Context, auid string) error {
	s, err := o.own(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	xui, err := o.home(s.acct)
	if err != nil {
		return err
	}
	all, err := s.List(ctx, xui)
	if err != nil {
		return s.failure("listing the documents of "+kit.CleanLine(xui), err)
	}
	var rows [][]string
	for _, e := range all {
		if auid != "" && e.URI.AUID != auid {
			continue
		}
		if !o.kit.JSON() {
			rows = append(rows, o.row(e))
			continue
		}
		v := storedEvent{Head: o.kit.Head("document"), AUID: e.URI.AUID, Path: e.URI.Path(), URL: s.root.Join(e.URI), ETag: e.ETag, Size: e.Size}
		if !e.Modified.IsZero() {
			v.Modified = (*kit.Time)(&e.Modified)
		}
		if err := o.kit.Emit(v); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	var b strings.Builder
	head := []string{"DOCUMENT", "SIZE", "CHANGED", "ETAG"}
	if !slices.ContainsFunc(rows, func(row []string) bool { return row[2] != "-" }) { // the server tells no times
		head = slices.Delete(head, 2, 3)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 2, 3)
		}
	}
	if err := o.kit.Style().Table(&b, head, rows); err != nil {
		return err
	}
	return o.kit.Print([]byte(b.String()))
}

func (o *xcapLsOptions) row(e client.Entry) []string {
	size, changed, tag := "-", "-", "-"
	if e.Size >= 0 {
		size = strconv.Itoa(e.Size)
	}
	if !e.Modified.IsZero() {
		changed = o.kit.Style().Time(e.Modified, o.kit.Now())
	}
	if e.ETag != "" {
		tag = kit.CleanLine(e.ETag)
	}
	return []string{kit.CleanLine(e.URI.Path()), size, changed, tag}
}
