package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/decode"
)

type decodeOptions struct {
	kit   *kit.Kit
	typ   string
	check bool
}

func newDecode(k *kit.Kit) *cobra.Command {
	o := &decodeOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "decode [FILE|-]",
		Short: "Show what is in a message or document",
		Long: `Take one message or document apart and show it as a tree: SIP, MSRP, HTTP, CPIM,
multipart bodies, SDP and XML, one inside the other, bodies with a Content-Encoding
inflated, compact header names explained, and what is wrong with it behind "!".
What is no text is shown in hexadecimal.

What it is follows from how it begins; --type says it where that does not tell.
With --check the status is 6 when anything is wrong.

Of a file that --trace-file wrote the third message is shown by
sed -n 3p FILE | jq -r .data | base64 -d | imp decode`,
		Example: `  $ imp decode notify.sip
  NOTIFY sip:bob@192.0.2.1 SIP/2.0
  Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1
  …

  $ imp pidf new --entity sip:alice@example.com --basic open | imp decode
  pidf, … bytes
  …`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), append(args, "-")[0]) },
	}
	cmd.Flags().StringVar(&o.typ, "type", "", "read it as `TYPE`, a media type such as message/cpim")
	cmd.Flags().BoolVar(&o.check, "check", false, "end with status 6 when anything is wrong")
	k.Emits(cmd, "decoded", "a message or document was taken apart", decodedEvent{})
	return cmd
}

type decodedEvent struct {
	kit.Head
	Part *decode.Part `json:"part" doc:"the message or document, with its parts"`
	src  []byte
}

// Text implements kit.Texter.
func (e decodedEvent) Text(w io.Writer, s *kit.Style) error {
	return e.Part.WriteText(w, decode.Paint{Title: s.Bold, Name: s.Name, Note: s.Dim, Problem: s.Bad}, kit.CleanLine)
}

// Raw implements kit.Rawer.
func (e decodedEvent) Raw() []byte { return e.src }

func (o *decodeOptions) run(_ context.Context, name string) error {
	if o.typ != "" && !strings.Contains(o.typ, "/") {
		return kit.Fail(kit.ExitUsage, "reading --type "+o.typ, "it is no media type", "write it like message/cpim or application/sdp")
	}
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return err
	}
	part := decode.Decode(src, o.typ)
	if err := o.kit.Emit(decodedEvent{o.kit.Head("decoded"), part, src}); err != nil {
		return err
	}
	if o.check && part.Faulty() {
		return kit.Quiet(kit.ExitDocument)
	}
	return nil
}
