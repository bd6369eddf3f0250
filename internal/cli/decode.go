package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/decode"
)

type decodeOptions struct {
	kit    *kit.Kit
	typ    string
	check  bool
	lines  bool
	faulty bool
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

Of a file that --trace-file wrote every message is shown, under a line that says
when it went which way. With --lines each line is taken as soon as it is there, so
that a trace can be followed while it is written.`,
		Example: `  $ imp decode notify.sip
  NOTIFY sip:bob@192.0.2.1 SIP/2.0
  Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1
  …

  $ imp pidf new --entity sip:alice@example.com --basic open | imp decode
  pidf, … bytes
  …

  $ imp decode trace.jsonl
  … -> udp 127.0.0.1:5060 (local 127.0.0.1:40000, … bytes)
  MESSAGE sip:bob@lab.test SIP/2.0
  …

  $ tail -n +1 trace.jsonl | imp decode --lines -o json
  {"event":"decoded",…"dir":"out",…}
  …`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), append(args, "-")[0]) },
	}
	cmd.Flags().StringVar(&o.typ, "type", "", "read it as `TYPE`, a media type such as message/cpim")
	cmd.Flags().BoolVar(&o.check, "check", false, "end with status 6 when anything is wrong")
	cmd.Flags().BoolVar(&o.lines, "lines", false, "read a trace line by line while it grows")
	k.Emits(cmd, "decoded", "a message or document was taken apart", decodedEvent{})
	return cmd
}

type decodedEvent struct {
	kit.Head
	*traced
	Part *decode.Part `json:"part" doc:"the message or document, with its parts"`
	src  []byte
}

// traced is what a trace tells of a message.
type traced struct {
	At        kit.Time `json:"at" doc:"of a trace: when the message was on the wire"`
	Dir       string   `json:"dir" doc:"of a trace: in or out"`
	Proto     string   `json:"proto" doc:"of a trace: sip, msrp or http"`
	Transport string   `json:"transport" doc:"of a trace: udp, tcp, tls, ws or wss"`
	Local     string   `json:"local" doc:"of a trace: own address"`
	Remote    string   `json:"remote" doc:"of a trace: address of the other side"`
	record    kit.Record
}

// Text implements kit.Texter.
func (e decodedEvent) Text(w io.Writer, s *kit.Style) error {
	if e.traced != nil {
		if _, err := io.WriteString(w, e.record.Heading(s)+"\n"); err != nil {
			return err
		}
	}
	return e.Part.WriteText(w, decode.Paint{Title: s.Bold, Name: s.Name, Note: s.Dim, Problem: s.Bad}, kit.CleanLine)
}

// Raw implements kit.Rawer.
func (e decodedEvent) Raw() []byte { return e.src }

func (o *decodeOptions) run(ctx context.Context, name string) error {
	if o.typ != "" && !strings.Contains(o.typ, "/") {
		return kit.Fail(kit.ExitUsage, "reading --type "+o.typ, "it is no media type", "write it like message/cpim or application/sdp")
	}
	if o.lines && o.typ != "" {
		return usage("--lines is for traces, which have no --type", "leave one of them out")
	}
	if err := o.decode(ctx, name); err != nil {
		return err
	}
	if o.check && o.faulty {
		return kit.Quiet(kit.ExitDocument)
	}
	return nil
}

func (o *decodeOptions) decode(ctx context.Context, name string) error {
	if o.lines {
		return o.follow(ctx, name)
	}
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return err
	}
	first, _, _ := bytes.Cut(src, []byte("\n"))
	if _, _, ok := kit.ParseTrace(first); !ok || o.typ != "" {
		return o.show(nil, src)
	}
	n := 0
	for line := range bytes.Lines(src) {
		n++
		if err := o.line(name, n, line); err != nil {
			return err
		}
	}
	return nil
}

// maxTraceLine bounds a line of a trace, in bytes: a message in Base64.
const maxTraceLine = 32 << 20

// follow shows the messages of a trace as its lines come.
func (o *decodeOptions) follow(ctx context.Context, name string) error {
	in, name, err := o.kit.OpenInput(name)
	if err != nil {
		return err
	}
	defer in.Close()
	lines := make(chan []byte)
	var failed error
	go func() {
		defer close(lines)
		failed = readLinesInto(ctx, in, maxTraceLine, lines)
	}()
	for n := 1; ; n++ {
		select {
		case line, ok := <-lines:
			if !ok {
				return failed
			}
			if err := o.line(name, n, line); err != nil {
				return err
			}
		case <-ctx.Done():
			return kit.Interrupted(ctx)
		}
	}
}

// line shows the message in a line of a trace. The last one may have been cut off.
func (o *decodeOptions) line(name string, n int, line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	proto, r, ok := kit.ParseTrace(line)
	if !ok {
		return kit.Fail(kit.ExitDocument, fmt.Sprintf("reading %s:%d", inputName(name), n), "it is no line of a trace", "--trace-file writes them")
	}
	dir := "in"
	if r.Out {
		dir = "out"
	}
	return o.show(&traced{kit.Time(r.Time), dir, proto, r.Transport, r.Local, r.Remote, r}, r.Data)
}

// show takes a message or document apart.
func (o *decodeOptions) show(t *traced, src []byte) error {
	part := decode.Decode(src, o.typ)
	o.faulty = o.faulty || part.Faulty()
	return o.kit.Emit(decodedEvent{o.kit.Head("decoded"), t, part, src})
}
