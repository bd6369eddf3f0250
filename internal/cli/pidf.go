package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
	"imp/internal/xml/charset"
)

func newPIDF(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pidf",
		Short: "Make, read, compose and compare presence documents",
		Long: `Work on presence documents (PIDF, RFC 3863, with the extensions of RFC 4479,
4480, 4481, 4482 and 5196) and partial ones (RFC 5262) without any server.`,
		Example: `  $ imp pidf new --entity sip:alice@example.com --basic open | imp pidf show -
  …

  $ imp pidf show alice.xml -o json
  {"event":"document",…`,
	}
	return k.Group(cmd, newPIDFNew(k), newPIDFShow(k), newPIDFCompose(k), newPIDFDiff(k), newPIDFPatch(k))
}

type pidfNewOptions struct {
	kit    *kit.Kit
	entity string
	status statusFlags
}

func newPIDFNew(k *kit.Kit) *cobra.Command {
	o := &pidfNewOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a presence document of flags",
		Long: `Make a presence document and print it. The presentity is --entity, or the
account. Values that RFC 4480 does not know are refused with a list of those it
knows.`,
		Example: `  $ imp pidf new --entity sip:alice@example.com --basic open --note "at my desk"
  <?xml version="1.0" encoding="UTF-8"?>
  …

  $ imp pidf new --entity sip:alice@example.com --activity meeting --mood happy > alice.xml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.entity, "entity", "", "the `URI` of the presentity; default: the account")
	o.status.add(cmd)
	return cmd
}

func (o *pidfNewOptions) run(context.Context) error {
	entity := o.entity
	if entity == "" {
		acct, err := o.kit.Account()
		if err != nil {
			return err
		}
		if entity, err = acct.Self(); err != nil {
			return kit.Fail(kit.ExitUsage, "making a presence document", "whose it is was not told", "name the presentity with --entity, or set up an account: imp account add")
		}
	}
	d, err := o.status.build(entity, o.kit.Now())
	if err != nil {
		return err
	}
	return o.kit.Print(d.Bytes())
}

type pidfShowOptions struct {
	kit *kit.Kit
}

func newPIDFShow(k *kit.Kit) *cobra.Command {
	o := &pidfShowOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "show [FILE|-]",
		Short: "Show a presence document to people or programs",
		Long: `Show what a presence document says: as text, or with -o json as one object of
the fields that notifications carry as document. Of a partial document (pidf-diff, RFC
5262) the changes are shown.`,
		Example: `  $ imp pidf show alice.xml
  sip:alice@example.com  open
  …

  $ imp pidf show -o json <alice.xml
  {"event":"document",…`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	k.Emits(cmd, "document", "a document was read", documentEvent{})
	k.Emits(cmd, "changes", "a partial document was read", changesEvent{})
	return cmd
}

// changesEvent tells what a pidf-diff changes.
type changesEvent struct {
	kit.Head
	Changes pidfdiff.View `json:"changes" doc:"what the document says"`
	read    *pidfdiff.Document
}

// Text implements kit.Texter.
func (e changesEvent) Text(w io.Writer, _ *kit.Style) error { return e.read.WriteText(w) }

// Raw implements kit.Rawer.
func (e changesEvent) Raw() []byte { return e.read.Bytes() }

type documentEvent struct {
	kit.Head
	Document pidf.View `json:"document" doc:"what the presence document says"`
	read     *pidf.Document
	source   []byte
}

// Text implements kit.Texter.
func (e documentEvent) Text(w io.Writer, s *kit.Style) error {
	return e.read.WriteText(w, time.Time(e.Time), s.Zone)
}

// Raw implements kit.Rawer.
func (e documentEvent) Raw() []byte { return e.source }

func (o *pidfShowOptions) run(_ context.Context, args []string) error {
	name := argument(args, 0)
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return err
	}
	source := src
	if src, err = charset.ToUTF8(src); err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, documentHint(err))
	}
	if partial, err := pidfdiff.Parse(src); err == nil && !partial.Full {
		return o.kit.Emit(changesEvent{Head: o.kit.Head("changes"), Changes: partial.View(), read: partial})
	}
	d, err := pidf.Read(src)
	if err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, documentHint(err))
	}
	return o.kit.Emit(documentEvent{Head: o.kit.Head("document"), Document: d.View(), read: d, source: source})
}
