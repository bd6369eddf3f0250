package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/sip/header"
	"imp/internal/sip/registration"
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
Control characters are shown as escapes; -o raw prints bodies as they came.`,
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
	k.AccountFlags(cmd)
	k.WaitFlags(cmd, &o.wait, messageKeys...)
	k.Emits(cmd, "message", "a message came", messageEvent{})
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
		case m.Content().Composing != "":
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
	cfg, err := o.flags.config(ua)
	if err != nil {
		return err
	}
	aor := ua.AOR.URI
	var release func()
	if cfg.Instance, release, err = claimInstance(o.kit, aor); err != nil {
		return err
	}
	defer release()
	r, err := registration.New(cfg)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "registering "+aor, err, "see imp listen --help for what the flags take")
	}
	within, cancel := limited(watch.Context(), o.kit)
	_, err = r.Register(within)
	cancel()
	if watch.Context().Err() != nil {
		if err == nil {
			unregister(ctx, o.kit, r, aor)
		}
		if err := kit.Interrupted(ctx); err != nil {
			return err
		}
		return watch.Err()
	}
	if err != nil {
		return sipFailure("registering "+aor, err)
	}
	defer unregister(ctx, o.kit, r, aor)
	o.kit.Note("listening as %s", aor)
	staying, stop := context.WithCancel(watch.Context())
	lost := make(chan error, 1)
	go func() { lost <- stayRegistered(staying, o.kit, r, aor, nil) }()
	err = o.print(ctx, watch, receiver, lost)
	stop()
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
	for {
		m, err := receiver.Next(reading)
		if err != nil {
			break
		}
		if err := o.show(m, watch); err != nil {
			return err
		}
	}
	receiver.Close()
	for {
		m, err := receiver.Next(context.WithoutCancel(ctx))
		if err != nil {
			break
		}
		if err := o.show(m, watch); err != nil {
			return err
		}
	}
	var failed *kit.Error
	if watch.Context().Err() == nil && errors.As(context.Cause(reading), &failed) {
		return failed
	}
	return watch.Err()
}

// show prints a message.
func (o *listenOptions) show(m *pager.Message, watch *kit.Watch) error {
	e := newMessageEvent(m)
	if e.composing != "" {
		o.kit.Debug("%s is %s", m.From.URI, map[bool]string{true: "writing", false: "not writing any more"}[e.composing == "active"])
		return nil
	}
	if err := o.kit.Emit(e); err != nil {
		return err
	}
	watch.Seen(e)
	return nil
}
