package cli

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/doc/composing"
	"imp/internal/doc/imdn"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
)

type listenOptions struct {
	kit        *kit.Kit
	flags      registrationFlags
	wait       kit.Wait
	noRegister bool
	listen     []string
	senders    []string
	accept     []string
	display    string
	noReceipts bool
	answers    *answers
	composers  composing.Receiver
}

func newListen(k *kit.Kit) *cobra.Command {
	o := &listenOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "listen [flags]",
		Short: "Print the messages that come for you",
		Long: `Register for your account, and print each message as it comes until Ctrl-C,
--count, --until, --for or --timeout end it. The registration is renewed as long
as the command runs, and taken back when it ends. Your other devices get the
messages too.

--no-register only listens, at --listen, for those who write to this machine by
its address.

A message is answered when it is taken, which is before it is printed. What
--sender or --count leave no room for is not taken: its sender is told so.
Control characters are shown as escapes; -o raw prints bodies as they came.

A sender who asks for receipts (RFC 5438) is told that a message was delivered
when it has been printed, and that it was displayed when that was on a terminal.
--display always has him told so in any case, and never in none; --no-receipts
tells him nothing. Nobody is told of what he did not ask for, and nobody who is
anonymous. Receipts that come for messages of yours are printed as messages are.

Who is writing is told with -v, and in JSON.`,
		Example: `  $ imp listen --count 1
  imp: listening as sip:alice@lab.test
  … sip:bob@lab.test  disk full

  $ imp listen --count 1 -q -o raw
  disk full

  $ imp listen -q -o json
  {"event":"message",…
  …
  ^C`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags.add(cmd)
	fs := cmd.Flags()
	fs.BoolVar(&o.noRegister, "no-register", false, "only listen")
	fs.StringArrayVar(&o.listen, "listen", nil, "listen at `[TRANSPORT:]ADDR`, repeatable; without it at a free port")
	fs.StringArrayVar(&o.senders, "sender", nil, "take messages from `TARGET` only, repeatable")
	fs.StringArrayVar(&o.accept, "accept", nil, "take bodies of `TYPE` too, repeatable; */* are all")
	o.display = "auto"
	fs.Var(kit.Choice(&o.display, "always", "never", "auto"), "display", "tell senders who ask that a message was displayed; auto: when stdout is a terminal")
	fs.BoolVar(&o.noReceipts, "no-receipts", false, "tell no sender what became of a message")
	k.AccountFlags(cmd)
	k.WaitFlags(cmd, &o.wait, messageKeys...)
	k.Emits(cmd, "message", "a message came", messageEvent{})
	k.Emits(cmd, "composing", "somebody began or ceased to write", composingEvent{})
	return cmd
}

func (o *listenOptions) run(ctx context.Context) error {
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	if o.noRegister && acct.AOR == "" {
		acct.AOR = "sip:anonymous@anonymous.invalid" // nothing is sent as it
	}
	receiver, err := o.receiver(acct)
	if err != nil {
		return err
	}
	endpoints, err := o.endpoints()
	if err != nil {
		return err
	}
	watch, err := o.kit.Watch(ctx, o.wait)
	if err != nil {
		return err
	}
	defer watch.Stop()
	ua, err := startUser(ctx, o.kit, acct, func(ua *useragent.UserAgent) {
		ua.Stack.Handle("MESSAGE", receiver.Handle)
		ua.Stack.Options(func() []stack.Field { return []stack.Field{{Name: "Accept", Value: receiver.Accept()}} })
	}, endpoints...)
	if err != nil {
		return err
	}
	defer ua.Close()
	if !o.noReceipts && !pager.Anonymous(acct.AOR) {
		o.answers = newAnswers(o.kit, newSender(ua, acct), o.display)
	}
	if o.noRegister {
		o.kit.Note("listening at %s", endpointList(ua.Stack.Addrs()))
		return o.print(ctx, watch, receiver, nil)
	}
	return o.registered(ctx, watch, ua, receiver)
}

// endpointList names endpoints for people.
func endpointList(endpoints []stack.Endpoint) string {
	var words []string
	for _, e := range endpoints {
		words = append(words, e.String())
	}
	return strings.Join(words, " ")
}

func (o *listenOptions) endpoints() ([]stack.Endpoint, error) {
	var all []stack.Endpoint
	for _, s := range o.listen {
		e, err := stack.ParseEndpoint(s)
		if err != nil {
			return nil, kit.Fail(kit.ExitUsage, "reading --listen", err, "write it like 127.0.0.1:5060 or tcp:127.0.0.1:5060")
		}
		all = append(all, e...)
	}
	return all, nil
}

// receiver makes the receiver, which takes what the flags ask for.
func (o *listenOptions) receiver(acct *kit.Account) (*pager.Receiver, error) {
	senders := map[string]bool{}
	for _, s := range o.senders {
		t, err := acct.Target(s)
		if err != nil {
			return nil, err
		}
		senders[addressOf(t)] = true
	}
	taken := 0
	admit := func(m *pager.Message) bool {
		switch {
		case len(senders) > 0 && !senders[addressOf(m.From.URI)]:
			return false
		case m.Content().Composing != nil:
			return true // it is not shown, and does not count
		case o.wait.Count > 0 && taken == o.wait.Count:
			return false
		}
		taken++
		return true
	}
	r, err := pager.NewReceiver(pager.ReceiverConfig{Types: append(pager.Types[:len(pager.Types):len(pager.Types)], o.accept...), Admit: admit, Now: o.kit.Now})
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "reading --accept", err, "write it like application/json")
	}
	return r, nil
}

// addressOf is the address of record of a URI, without its scheme: a sender is
// the same with sip and sips.
func addressOf(uri string) string {
	u, err := header.ParseURI(uri)
	if err != nil {
		return uri
	}
	_, address, _ := strings.Cut(u.AOR(), ":")
	return address
}

// registered prints what comes while the account is registered.
func (o *listenOptions) registered(ctx context.Context, watch *kit.Watch, ua *useragent.UserAgent, receiver *pager.Receiver) error {
	err := whileRegistered(ctx, watch.Context(), o.kit, &o.flags, ua, func(lost <-chan error) error {
		o.kit.Note("listening as %s", ua.AOR.URI)
		return o.print(ctx, watch, receiver, lost)
	})
	if errors.Is(err, errEnded) {
		return cmp.Or(kit.Interrupted(ctx), watch.Err())
	}
	return err
}

// print prints messages until the watch is over, or lost tells that nothing
// more can come. What was taken is printed in any case.
func (o *listenOptions) print(ctx context.Context, watch *kit.Watch, receiver *pager.Receiver, lost <-chan error) error {
	reading, cancel := context.WithCancelCause(watch.Context())
	defer cancel(nil)
	go func() {
		select {
		case err := <-lost:
			cancel(err)
		case <-reading.Done():
		}
	}()
	defer o.answers.rest(ctx)
	if err := o.printUntil(reading, receiver, watch); err != nil {
		return err
	}
	receiver.Close()
	if err := o.printUntil(context.WithoutCancel(ctx), receiver, watch); err != nil {
		return err
	}
	var failed *kit.Error
	if watch.Context().Err() == nil && errors.As(context.Cause(reading), &failed) {
		return failed
	}
	return watch.Err()
}

// printUntil prints messages until ctx is done or none is left. The error is
// that of printing.
func (o *listenOptions) printUntil(ctx context.Context, receiver *pager.Receiver, watch *kit.Watch) error {
	for {
		m, err := o.next(ctx, receiver)
		switch {
		case err == nil:
			err = o.show(m, watch)
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			err = o.silent()
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// next waits for a message, until somebody who is writing has been silent for
// too long to be believed.
func (o *listenOptions) next(ctx context.Context, receiver *pager.Receiver) (*pager.Message, error) {
	if at := o.composers.Next(); !at.IsZero() {
		limit, cancel := context.WithTimeout(ctx, at.Sub(o.kit.Now()))
		defer cancel()
		ctx = limit
	}
	return receiver.Next(ctx)
}

// show prints a message, and tells its sender.
func (o *listenOptions) show(m *pager.Message, watch *kit.Watch) error {
	e := newMessageEvent(m)
	composer := m.From.URI
	if status := e.content.Composing; status != nil {
		if o.composers.Status(composer, status, m.Time) {
			return o.tellComposing(m.From.URI, status.State)
		}
		return nil
	}
	if o.composers.Content(composer, m.Time) {
		if err := o.tellComposing(m.From.URI, composing.Idle); err != nil {
			return err
		}
	}
	due := o.answers.due(m)
	for _, s := range due {
		e.Receipts = append(e.Receipts, string(s))
	}
	if err := o.kit.Emit(e); err != nil {
		o.answers.tell(m, imdn.Failed)
		return err
	}
	o.answers.tell(m, due...)
	watch.Seen(e)
	return nil
}
