package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
	"imp/internal/sip/useragent"
	"imp/internal/transport/resolve"
)

type messageOptions struct {
	kit       *kit.Kit
	to        []string
	lines     bool
	mediaType string
	subject   string
	inReplyTo string
	priority  string
	expires   kit.Duration
	receipt   string
	receipts  *receipts
	composing bool
	typist    *typist // nil: stdin is no terminal, or its keys do not count
	writing   compositions
}

func newMessage(k *kit.Kit) *cobra.Command {
	o := &messageOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "message [flags] TARGET [TEXT|-]",
		Short: "Send a short message",
		Long: `Send TEXT, or stdin with -, to TARGET and to each --to, and print what became of
it: "delivered" when a device has it, which does not say that somebody has read
it; "accepted" when a server will try to deliver it; "declined", with status 1,
when a device has it and its user does not want it. What is not delivered at all
is an error.

--lines makes each line of stdin a message, sent as soon as it is read. One line
end at the end of a text is not sent.

--composing tells the targets, with the first key of a line, that you are writing,
and when you have ceased to for 15 seconds (RFC 3994). Somebody whose device does
not want to know is told no more.

--receipt asks the recipient's device to tell that it has the message (delivery),
that it has displayed it (display), or both (RFC 5438), waits until it does, and
prints that. What was displayed need not have been read. No word within --timeout
is status 4, a message that was not delivered after all is 3, and a user who lets
nobody know is 1. The command is registered meanwhile, as a device of its own. A
device that does not take such messages gets plain text, now and in the next
seven days; that it displays it can then not be known, which is status 1.

Messages of more than 1300 bytes with all of their header go over TCP, TLS or
WebSocket only.`,
		Example: `  $ imp message bob "lunch at noon?"
  sip:bob@lab.test  delivered

  $ echo disk full | imp message bob -
  sip:bob@lab.test  delivered

  $ imp message bob "are you there?" --receipt delivery
  sip:bob@lab.test  delivered

  $ printf 'one\ntwo\n' | imp message bob --to carol --lines - -o json
  {"event":"sent",…
  {"event":"sent",…
  {"event":"sent",…
  {"event":"sent",…`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
				return kit.Fail(kit.ExitUsage, "reading the command line", "there is more than one TEXT", `put quotes round it: imp message bob "two words"`)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&o.to, "to", nil, "send to `TARGET` too, repeatable")
	fs.BoolVar(&o.lines, "lines", false, "make each line of stdin a message")
	fs.StringVar(&o.mediaType, "type", "", "the media `TYPE`; text/plain without it")
	fs.StringVar(&o.subject, "subject", "", "what it is about, a `TEXT`")
	fs.StringVar(&o.inReplyTo, "in-reply-to", "", "the `CALL-ID` of the message that it answers")
	fs.Var(kit.Choice(&o.priority, "emergency", "urgent", "normal", "non-urgent"), "priority", "how urgent it is")
	fs.Var(&o.expires, "expires", "of no use after `DURATION`")
	fs.Var(kit.Choice(&o.receipt, "delivery", "display", "both", "none"), "receipt", "wait until the recipient's device tells that it has the message, or has displayed it")
	fs.BoolVar(&o.composing, "composing", false, "with --lines: tell the targets when a line is being typed")
	k.AccountFlags(cmd)
	k.Emits(cmd, "receipt", "a recipient tells what became of a message", receiptEvent{})
	k.Emits(cmd, "sent", "it is known what became of a message", sentEvent{})
	return cmd
}

type sentEvent struct {
	kit.Head
	To        string `json:"to" doc:"the URI written to"`
	Outcome   string `json:"outcome" doc:"delivered: a device has it; accepted: a server will try to deliver it; declined: a device has it and its user does not want it; failed: it was not delivered"`
	Status    int    `json:"status" doc:"the SIP status, 0 when no answer came"`
	Reason    string `json:"reason" doc:"the reason phrase, or why no answer came"`
	CallID    string `json:"call_id,omitempty" doc:"what a reply names, of a message that was delivered or accepted"`
	MessageID string `json:"message_id,omitempty" doc:"what receipts name, of a message that asks for them"`
}

// Text implements kit.Texter; what failed is told on stderr.
func (e sentEvent) Text(w io.Writer, s *kit.Style) error {
	if e.Outcome == "failed" || e.MessageID != "" && e.Outcome != "declined" { // receipts tell more
		return nil
	}
	outcome := s.Good(e.Outcome)
	if e.Outcome != "delivered" {
		outcome = s.Busy(e.Outcome)
	}
	if e.Outcome == "accepted" {
		outcome += s.Dim(" (not known to be delivered)")
	}
	_, err := fmt.Fprintf(w, "%s  %s\n", s.Name(kit.CleanLine(e.To)), outcome)
	return err
}

func (o *messageOptions) run(ctx context.Context, args []string) error {
	if o.composing && !o.lines {
		return usage("--composing is for --lines", "add --lines; a message that is complete is composed already")
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	targets, err := o.targets(acct, args)
	if err != nil {
		return err
	}
	fields, err := o.fields()
	if err != nil {
		return err
	}
	m := pager.Outgoing{Type: o.mediaType, Expires: o.expires.Std(), Fields: fields}
	if !o.lines {
		if m.Body, err = o.body(args); err != nil {
			return err
		}
		if m.Type, err = o.typeOf(m.Body); err != nil {
			return err
		}
	}
	send := func(ctx context.Context, sender *pager.Sender) error {
		if o.lines {
			return o.sendLines(ctx, sender, targets, m)
		}
		return o.send(ctx, sender, targets, m)
	}
	if o.composing && o.kit.InTTY {
		if o.typist, err = openTypist(o.kit); err != nil {
			return err
		}
		defer o.typist.restore()
	}
	if o.receipts, err = newReceipts(o.kit, o.receipt); err != nil {
		return err
	}
	if o.receipts != nil {
		return o.withReceipts(ctx, acct, send)
	}
	ua, err := startUser(ctx, o.kit, acct, nil)
	if err != nil {
		return err
	}
	defer ua.Close()
	return send(ctx, newSender(ua, acct))
}

// newSender makes the sender of an account. An im URI in its own domain needs
// no DNS to become a SIP URI.
func newSender(ua *useragent.UserAgent, acct *kit.Account) *pager.Sender {
	resolver := resolve.New(resolve.Config{Transports: preferred(acct.Transport)})
	return pager.NewSender(pager.SenderConfig{Wire: ua.Wire, From: ua.AOR, Proxy: ua.Proxy, Authenticate: ua.Authenticate,
		SIPURI: func(ctx context.Context, uri string) (string, error) {
			if u, err := header.ParseURI(uri); err == nil && strings.EqualFold(u.Host, acct.Domain) {
				return header.URI{Scheme: "sip", User: u.User, Host: u.Host}.String(), nil
			}
			return resolver.SIPURI(ctx, uri)
		}})
}

// targets completes TARGET and --to, each once.
func (o *messageOptions) targets(acct *kit.Account, args []string) ([]string, error) {
	if len(args) > 0 {
		o.to = append(args[:1:1], o.to...)
	}
	if len(o.to) == 0 {
		return nil, usage("a TARGET is missing", `try: imp message bob "lunch at noon?"`)
	}
	var all []string
	for _, word := range o.to {
		if word == "" {
			return nil, usage("a TARGET is empty", "")
		}
		t, err := acct.Target(word)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all, nil
}

// fields are the header fields that the flags make.
func (o *messageOptions) fields() ([]stack.Field, error) {
	var fields []stack.Field
	for _, f := range []stack.Field{{Name: "Subject", Value: o.subject}, {Name: "In-Reply-To", Value: o.inReplyTo}, {Name: "Priority", Value: o.priority}} {
		if f.Value != "" {
			fields = append(fields, f)
		}
	}
	if _, err := uac.RenderFields(fields); err != nil {
		return nil, kit.Fail(kit.ExitUsage, "reading the command line", err, "a header field is one line of text")
	}
	if o.mediaType != "" {
		if _, err := header.ParseContentType(o.mediaType); err != nil {
			return nil, kit.Fail(kit.ExitUsage, "reading --type", err, "write it like text/plain or application/json")
		}
	}
	return fields, nil
}

// body is TEXT, or all of stdin.
func (o *messageOptions) body(args []string) ([]byte, error) {
	switch {
	case len(args) < 2:
		return nil, usage("there is no TEXT", "give a TEXT, - for stdin, or --lines for one message a line of stdin")
	case args[1] == "":
		return nil, usage("the message is empty", "")
	case args[1] != "-":
		return []byte(args[1]), nil
	}
	body, err := o.kit.ReadDocument("-")
	if err != nil {
		return nil, err
	}
	if o.isText() {
		body = bytes.TrimSuffix(bytes.TrimSuffix(body, []byte("\n")), []byte("\r"))
	}
	return body, nil
}

func (o *messageOptions) isText() bool {
	return o.mediaType == "" || strings.HasPrefix(strings.ToLower(o.mediaType), "text/")
}

// typeOf is the value of Content-Type for a body.
func (o *messageOptions) typeOf(body []byte) (string, error) {
	ascii := !bytes.ContainsFunc(body, func(r rune) bool { return r >= utf8.RuneSelf })
	switch {
	case o.mediaType != "":
		return o.mediaType, nil
	case ascii:
		return "text/plain", nil
	case utf8.Valid(body):
		return "text/plain; charset=utf-8", nil
	}
	return "", usage("the message is not UTF-8", `tell what it is, as in --type "text/plain; charset=iso-8859-1"`)
}

// send sends one message to all targets, and gives the error of one of those
// it did not reach; the others' are told.
func (o *messageOptions) send(ctx context.Context, sender *pager.Sender, targets []string, m pager.Outgoing) error {
	ctx, cancel := limited(ctx, o.kit)
	defer cancel()
	errs := make([]error, len(targets))
	var all sync.WaitGroup
	for i, to := range targets {
		m := m
		m.To = to
		all.Go(func() { errs[i] = o.sendOne(ctx, sender, m) })
	}
	all.Wait()
	return oneOf(o.kit, errs)
}

// sendOne sends a message, with a request for receipts where they are wanted
// and the peer does not refuse it, and prints what became of it.
func (o *messageOptions) sendOne(ctx context.Context, sender *pager.Sender, plain pager.Outgoing) error {
	m, id, err := o.receipts.wrap(plain)
	if err != nil {
		return err
	}
	done, err := o.writing.content(ctx, m.To)
	if err != nil {
		o.receipts.sent(id, false)
		return messageFailure(m.To, err)
	}
	defer done()
	got, err := sender.Send(ctx, m)
	if id != "" && refuses(err) {
		o.receipts.sent(id, false)
		o.receipts.refused(m.To)
		id = ""
		got, err = sender.Send(ctx, plain)
	}
	e := o.outcome(m.To, got, err)
	e.MessageID = id
	failed := o.kit.Emit(e)
	o.receipts.sent(id, err == nil)
	if failed != nil {
		return failed
	}
	return messageFailure(m.To, err)
}

// outcome is what became of a message.
func (o *messageOptions) outcome(to string, got pager.Receipt, err error) sentEvent {
	e := sentEvent{Head: o.kit.Head("sent"), To: to, Outcome: "delivered", Status: got.Status, Reason: got.Reason, CallID: got.CallID}
	switch {
	case err != nil:
		e.Outcome = "failed"
		e.Reason = err.Error()
		var refused *uac.ResponseError
		if errors.As(err, &refused) {
			e.Status, e.Reason = refused.Status, refused.Phrase
		}
		if pager.Declined(err) {
			e.Outcome = "declined"
		}
	case !got.Delivered():
		e.Outcome = "accepted"
	}
	return e
}

// messageFailure maps what became of a message to an exit status.
func messageFailure(to string, err error) error {
	doing := "sending to " + to
	var refused *uac.ResponseError
	switch {
	case err == nil:
		return nil
	case pager.Declined(err) && errors.As(err, &refused):
		return kit.Fail(kit.ExitNo, doing, fmt.Errorf("delivered, but declined: %w", answerOf(refused)), "")
	case errors.Is(err, pager.ErrNeedsStream):
		return kit.Fail(kit.ExitNetwork, doing, err, "send less, or over a proxy that takes TCP or TLS")
	case errors.As(err, &refused) && refused.Status == 480:
		return kit.Fail(kit.ExitRefused, doing, answerOf(refused), "nobody listens there at the moment; imp listen does")
	}
	return sipFailure(doing, err)
}

// sendLines sends each line of stdin as a message. One that fails does not keep
// back those after it; the error is that of the last that did.
func (o *messageOptions) sendLines(ctx context.Context, sender *pager.Sender, targets []string, m pager.Outgoing) error {
	lines := make(chan []byte, o.ahead())
	in, err := o.input(sender, targets, lines)
	if err != nil {
		return err
	}
	defer o.writing.close()
	var failed error
	go func() {
		defer close(lines)
		failed = readLinesInto(ctx, in, maxLine, lines)
	}()
	var last error
	for {
		select {
		case <-ctx.Done():
			return last
		case line, ok := <-lines:
			if !ok {
				return cmp.Or(failed, last)
			}
			if m.Body = line; len(line) == 0 {
				if line == nil {
					o.writing.typed()
				}
				continue
			}
			if m.Type, err = o.typeOf(line); err == nil {
				err = o.send(ctx, sender, targets, m)
			}
			if err != nil {
				if last != nil {
					o.kit.Warn("%v", last)
				}
				last = err
			}
		}
	}
}

// ahead is how many lines are read ahead: with --composing some, so that the one
// that is being typed is seen.
func (o *messageOptions) ahead() int {
	if o.composing {
		return 16
	}
	return 0
}

// input is where the lines come from. With --composing a line that has begun is
// told to lines as nil, in its turn.
func (o *messageOptions) input(sender *pager.Sender, targets []string, lines chan<- []byte) (io.Reader, error) {
	in, _, err := o.kit.OpenInput("-")
	if err != nil || !o.composing {
		return in, err
	}
	o.writing = newCompositions(o.kit, sender, targets)
	typed := func() {
		select {
		case lines <- nil:
		default: // the lines before it are still being sent
		}
	}
	if o.typist != nil {
		o.typist.onKey(typed)
		return o.typist, nil
	}
	return &partial{Reader: in, typed: typed}, nil
}

// maxLine bounds a line that is a message, in bytes.
const maxLine = 64 << 10

// readLinesInto hands over the lines of in, without their ends; a line has so many bytes at most.
func readLinesInto(ctx context.Context, in io.Reader, most int, lines chan<- []byte) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, most)
	for s.Scan() {
		select {
		case lines <- bytes.Clone(bytes.TrimSuffix(s.Bytes(), []byte("\r"))):
		case <-ctx.Done():
			return nil
		}
	}
	if err := s.Err(); err != nil {
		return kit.Fail(kit.ExitUsage, "reading lines", err, fmt.Sprintf("a line may have %d bytes", most))
	}
	return nil
}
