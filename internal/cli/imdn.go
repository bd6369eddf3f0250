package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/cpim"
	"imp/internal/doc/imdn"
)

func newIMDN(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "imdn",
		Short: "Make and read disposition notifications",
		Long: `Work on the documents that tell what has become of a message (IMDN, RFC 5438):
whether it was delivered, processed or displayed. None is proof that somebody has
read it.`,
		Example: `  $ imp imdn new displayed --message-id 34jk324j --date 2026-11-22T10:20:30Z > shown.xml

  $ imp imdn show shown.xml
  display: displayed  message 34jk324j
  …`,
	}
	return k.Group(cmd, newIMDNNew(k), newIMDNShow(k))
}

type imdnNewOptions struct {
	kit  *kit.Kit
	doc  imdn.Document
	kind string
	of   string
	wrap bool
}

func newIMDNNew(k *kit.Kit) *cobra.Command {
	o := &imdnNewOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "new delivered|failed|processed|stored|displayed|forbidden|error",
		Short: "Make a disposition notification",
		Long: `Make a document that tells a disposition and print it. What it is about is told
by flags, or by --for: the message itself, in the format message/cpim. With --wrap
the document is put into the message that takes it to the sender.

forbidden and error may be of delivery, processing or display: --kind says which.`,
		Example: `  $ echo hello | imp cpim wrap --from sip:alice@example.com --to sip:bob@example.com --notify display > asks.cpim

  $ imp imdn new displayed --for asks.cpim
  <?xml version="1.0" encoding="UTF-8"?>
  <imdn xmlns="urn:ietf:params:xml:ns:imdn">
    <message-id>…</message-id>
  …

  $ imp imdn new displayed --for asks.cpim --wrap | imp imdn show -
  display: displayed …
  …`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"delivered", "failed", "processed", "stored", "displayed", "forbidden", "error"},
		RunE:      func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.of, "for", "", "the message that it is about, a `FILE` or -")
	fs.BoolVar(&o.wrap, "wrap", false, "print the message that takes it to the sender")
	fs.Var(kit.Choice(&o.kind, string(imdn.Delivery), string(imdn.Processing), string(imdn.Display)), "kind", "what forbidden and error are about")
	fs.StringVar(&o.doc.MessageID, "message-id", "", "Message-ID of the message, a `TOKEN`")
	fs.StringVar(&o.doc.DateTime, "date", "", "DateTime of the message, a `TIME`")
	fs.StringVar(&o.doc.Recipient, "recipient", "", "`URI` of who the message was for")
	fs.StringVar(&o.doc.OriginalRecipient, "original-recipient", "", "`URI` of who its sender wrote to; default: the recipient")
	fs.StringVar(&o.doc.Subject, "subject", "", "subject of the message, a `TEXT`")
	return cmd
}

func (o *imdnNewOptions) run(_ context.Context, args []string) error {
	if err := o.disposition(imdn.Status(args[0])); err != nil {
		return err
	}
	var m *cpim.Message
	if o.of != "" {
		var err error
		if m, err = readCPIM(o.kit, o.of, false); err != nil {
			return err
		}
		o.about(m)
	}
	const doing = "making a notification"
	switch {
	case m != nil && (m.IsNotification() || m.MessageID() == "" || m.From().URI == ""):
		return kit.Fail(kit.ExitDocument, doing, "the message is a notification itself, or has no Message-ID or From", "nobody is notified of such messages")
	case o.doc.MessageID == "" || o.doc.DateTime == "":
		return kit.Fail(kit.ExitUsage, doing, "what it is about was not told", "name the message with --for, or its --message-id and --date")
	case strings.ContainsAny(o.doc.MessageID, " \t\r\n"):
		return kit.Fail(kit.ExitUsage, doing, fmt.Sprintf("the message id %q is no token", o.doc.MessageID), "give it as it stands in the message, without blanks")
	case !o.wrap:
		return o.kit.Print(o.doc.Bytes())
	case m == nil:
		return kit.Fail(kit.ExitUsage, doing, "--wrap needs the message, for its sender", "name the message with --for")
	}
	id, err := cpim.NewMessageID(nil)
	if err != nil {
		return err
	}
	return o.kit.Print(m.Notify(o.doc.Bytes(), id).Bytes())
}

// disposition sets status and kind.
func (o *imdnNewOptions) disposition(s imdn.Status) error {
	kind := imdn.KindOf(s)
	if o.kind != "" {
		kind = imdn.Kind(o.kind)
	}
	for _, known := range imdn.Statuses(kind) {
		if s == known {
			o.doc.Kind, o.doc.Status = kind, s
			return nil
		}
	}
	switch {
	case kind == "" && (s == imdn.Forbidden || s == imdn.Failure):
		return kit.Fail(kit.ExitUsage, "making a notification", string(s)+" may be of delivery, processing or display", "say which with --kind")
	case kind == "":
		return kit.Fail(kit.ExitUsage, "making a notification", fmt.Sprintf("%q is no disposition", s), "there are delivered, failed, processed, stored, displayed, forbidden, error")
	}
	return kit.Fail(kit.ExitUsage, "making a notification", string(s)+" is no disposition of "+string(kind), "delivery has delivered and failed, processing processed and stored, display displayed; all have forbidden and error")
}

// about takes from a message what no flag has told.
func (o *imdnNewOptions) about(m *cpim.Message) {
	v := m.View()
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&o.doc.MessageID, v.MessageID)
	set(&o.doc.DateTime, v.DateTime)
	if len(v.To) > 0 {
		set(&o.doc.Recipient, v.To[0].URI)
	}
	if v.OriginalTo != nil {
		set(&o.doc.OriginalRecipient, v.OriginalTo.URI)
	}
	if len(v.Subjects) > 0 {
		set(&o.doc.Subject, v.Subjects[0].Text)
	}
	if len(m.Requests()) == 0 {
		o.kit.Warn("the message asks for no notification")
	}
}

type imdnShowOptions struct {
	kit *kit.Kit
}

func newIMDNShow(k *kit.Kit) *cobra.Command {
	o := &imdnShowOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "show [FILE|-]",
		Short: "Show disposition notifications",
		Long: `Show what has become of a message. The FILE is a document, or a message of the
format message/cpim with one or several of them.`,
		Example: `  $ imp imdn show shown.xml
  display: displayed  message 34jk324j
  …

  $ imp imdn show -o json <shown.xml
  {"event":"imdn",…`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	k.Emits(cmd, "imdn", "a disposition notification was read", imdnEvent{})
	return cmd
}

type imdnEvent struct {
	kit.Head
	Notification imdn.View `json:"notification" doc:"what the notification says"`
	read         *imdn.Document
	source       []byte
}

// Text implements kit.Texter.
func (e imdnEvent) Text(w io.Writer, s *kit.Style) error {
	return e.read.WriteText(w, time.Time(e.Time), s.Zone)
}

// Raw implements kit.Rawer.
func (e imdnEvent) Raw() []byte { return e.source }

func (o *imdnShowOptions) run(_ context.Context, args []string) error {
	name := argOrStdin(args)
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return err
	}
	doing := "reading " + inputName(name)
	docs := [][]byte{src}
	if text := bytes.TrimLeft(src, "\ufeff \t\r\n"); len(text) > 0 && text[0] != '<' {
		m, err := cpim.Parse(src)
		if err != nil {
			return kit.Fail(kit.ExitDocument, doing, err, "imp imdn new makes a notification; imp xml check tells more about one that is XML")
		}
		if docs = m.Notifications(); docs == nil {
			return kit.Fail(kit.ExitDocument, doing, "the message is no notification: its type is "+kit.CleanLine(m.Content.Get("Content-Type")), "imp cpim unwrap shows it")
		}
	}
	for _, doc := range docs {
		d, err := imdn.Parse(doc)
		if err != nil {
			return kit.Fail(kit.ExitDocument, doing, err, "imp imdn new makes a notification; imp xml check tells more about one that is XML")
		}
		if err := o.kit.Emit(imdnEvent{Head: o.kit.Head("imdn"), Notification: d.View(), read: d, source: doc}); err != nil {
			return err
		}
	}
	return nil
}
