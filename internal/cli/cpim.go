package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/cpim"
)

func newCPIM(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cpim",
		Short: "Wrap content in messages and unwrap it",
		Long: `Work on messages of the format message/cpim (RFC 3862), which carry sender,
recipients, time and subject together with content of any type, without any server.`,
		Example: `  $ echo hello | imp cpim wrap --from sip:alice@example.com --to sip:bob@example.com > hello.cpim

  $ imp cpim unwrap hello.cpim -o raw
  hello`,
	}
	return k.Group(cmd, newCPIMWrap(k), newCPIMUnwrap(k))
}

type cpimWrapOptions struct {
	kit                      *kit.Kit
	from, subject, lang      string
	to, cc, notify           []string
	date, contentType, msgID string
}

func newCPIMWrap(k *kit.Kit) *cobra.Command {
	o := &cpimWrapOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "wrap [FILE|-]",
		Short: "Wrap content in a message",
		Long: `Put content into a message and print that. Addresses are URIs, or names with
URIs in < and >. The sender is --from, or the account.

--notify asks for disposition notifications (RFC 5438): positive-delivery,
negative-delivery, processing or display. The message then has a Message-ID.`,
		Example: `  $ echo hello | imp cpim wrap --from 'Alice <sip:alice@example.com>' --to sip:bob@example.com | imp cpim unwrap -
  from: Alice <sip:alice@example.com>
  to: sip:bob@example.com
  …

  $ echo hello | imp cpim wrap --from sip:alice@example.com --to sip:bob@example.com --notify display > asks.cpim`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.from, "from", "", "the `ADDRESS` of the sender; default: the account")
	fs.StringArrayVar(&o.to, "to", nil, "the `ADDRESS` of a recipient, repeatable")
	fs.StringArrayVar(&o.cc, "cc", nil, "the `ADDRESS` of who gets a copy, repeatable")
	fs.StringVar(&o.subject, "subject", "", "the topic, a `TEXT`")
	fs.StringVar(&o.lang, "lang", "", "language `TAG` of the subject")
	fs.StringVar(&o.date, "date", "", "`TIME` of sending, like 2026-11-22T10:20:30Z; default: now")
	fs.StringVar(&o.contentType, "type", "text/plain; charset=utf-8", "media `TYPE` of the content")
	fs.StringSliceVar(&o.notify, "notify", nil, "ask for these `NOTIFICATIONS`, commas between them")
	fs.StringVar(&o.msgID, "message-id", "", "the `TOKEN` that notifications refer to; default: a random one with --notify")
	return cmd
}

func (o *cpimWrapOptions) run(_ context.Context, args []string) error {
	m, err := o.message()
	if err != nil {
		return err
	}
	if m.Content.Body, err = o.kit.ReadDocument(argOrStdin(args)); err != nil {
		return err
	}
	return o.kit.Print(m.Bytes())
}

// message is the message without its content.
func (o *cpimWrapOptions) message() (*cpim.Message, error) {
	m := &cpim.Message{Content: cpim.Content{Header: []cpim.MIMEField{{Name: "Content-Type", Value: o.contentType}}}}
	from := o.from
	if from == "" {
		acct, err := o.kit.Account()
		if err != nil {
			return nil, err
		}
		if from, err = acct.Self(); err != nil {
			return nil, kit.Fail(kit.ExitUsage, "wrapping a message", "who sends it was not told", "name the sender with --from, or set up an account: imp account add")
		}
	}
	for _, group := range []struct {
		flag  string
		list  []string
		field func(cpim.Address) cpim.Field
	}{{"from", []string{from}, cpim.FromField}, {"to", o.to, cpim.ToField}, {"cc", o.cc, cpim.CCField}} {
		for _, s := range group.list {
			a, err := cpim.ParseAddress(s)
			if err != nil {
				return nil, kit.Fail(kit.ExitUsage, "reading --"+group.flag, fmt.Sprintf("%q is no address", s), "write it like sip:bob@example.com or 'Bob <sip:bob@example.com>'")
			}
			m.Header = append(m.Header, group.field(a))
		}
	}
	at := o.kit.Now()
	if o.date != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, o.date); err != nil {
			return nil, kit.Fail(kit.ExitUsage, "reading --date", fmt.Sprintf("%q is no time", o.date), "write it like 2026-11-22T10:20:30Z")
		}
	}
	m.Header = append(m.Header, cpim.DateTimeField(at))
	if o.subject != "" {
		m.Header = append(m.Header, cpim.SubjectField(cpim.Subject{Lang: o.lang, Text: o.subject}))
	}
	if err := o.requests(m); err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, kit.Fail(kit.ExitUsage, "wrapping a message", strings.TrimPrefix(err.Error(), "1:1: "), "see imp cpim wrap --help for what the flags take")
	}
	return m, nil
}

// requests puts in what is asked for.
func (o *cpimWrapOptions) requests(m *cpim.Message) error {
	known := []string{cpim.PositiveDelivery, cpim.NegativeDelivery, cpim.Processing, cpim.Display}
	for _, n := range o.notify {
		if !slices.Contains(known, n) {
			return kit.Fail(kit.ExitUsage, "reading --notify", fmt.Sprintf("%q is no notification", n), "there are "+strings.Join(known, ", "))
		}
	}
	id := o.msgID
	if id == "" && len(o.notify) > 0 {
		var err error
		if id, err = cpim.NewMessageID(nil); err != nil {
			return err
		}
	}
	if id != "" {
		m.Header = append(m.Header, cpim.MessageIDField(id))
	}
	if len(o.notify) > 0 {
		m.Header = append(m.Header, cpim.RequestField(o.notify...))
	}
	return nil
}

// argOrStdin is the FILE of a command that reads stdin without one.
func argOrStdin(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return "-"
}

type cpimUnwrapOptions struct {
	kit    *kit.Kit
	strict bool
}

func newCPIMUnwrap(k *kit.Kit) *cobra.Command {
	o := &cpimUnwrapOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "unwrap [FILE|-]",
		Short: "Show a message and what is in it",
		Long: `Show who a message is from and for, and its content. With -o raw the content is
printed alone, byte for byte.

Messages are read as they are met: without the empty line before the header of
the content, with LF alone, or behind header fields of MIME. --strict wants them
as RFC 3862 has them.`,
		Example: `  $ imp cpim unwrap asks.cpim
  from: sip:alice@example.com
  …

  $ imp cpim unwrap asks.cpim -o json
  {"event":"cpim",…`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&o.strict, "strict", false, "refuse what RFC 3862 does not let be")
	k.Emits(cmd, "cpim", "a message was read", cpimEvent{})
	return cmd
}

type cpimEvent struct {
	kit.Head
	Message cpim.View `json:"message" doc:"what the message says"`
	read    *cpim.Message
}

// Text implements kit.Texter.
func (e cpimEvent) Text(w io.Writer, s *kit.Style) error {
	return e.read.WriteText(w, time.Time(e.Time), s.Zone)
}

// Raw implements kit.Rawer.
func (e cpimEvent) Raw() []byte { return e.read.Content.Body }

func (o *cpimUnwrapOptions) run(_ context.Context, args []string) error {
	m, err := readCPIM(o.kit, argOrStdin(args), o.strict)
	if err != nil {
		return err
	}
	return o.kit.Emit(cpimEvent{Head: o.kit.Head("cpim"), Message: m.View(), read: m})
}

func readCPIM(k *kit.Kit, name string, strict bool) (*cpim.Message, error) {
	src, err := k.ReadDocument(name)
	if err != nil {
		return nil, err
	}
	parse := cpim.Parse
	if strict {
		parse = cpim.ParseStrict
	}
	m, err := parse(src)
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, "an envelope begins with its header fields, such as From: <im:alice@example.com>; imp cpim wrap makes one")
	}
	return m, nil
}
