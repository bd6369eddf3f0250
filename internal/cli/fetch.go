package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"imp/internal/agent/presence"
	"imp/internal/cli/kit"
	"imp/internal/sip/event"
)

type fetchOptions struct {
	watchOptions
	until []string
	ns    []string
}

func newFetch(k *kit.Kit) *cobra.Command {
	o := &fetchOptions{watchOptions: watchOptions{kit: k}}
	cmd := &cobra.Command{
		Use:   "fetch [flags] [TARGET…]",
		Short: "Look once at the state of resources",
		Long: `Ask once for the state of each TARGET (yourself without one), print it and end.

With --until the status of the command tells whether the state is as asked: 0
when it holds for every TARGET, 1 when it does not. A TARGET that is refused does
not keep back those after it.

With --etag the status tells whether there is something new: 0 when the state is
another than the one with that entity-tag, 1 when it is unchanged; then it is
not sent again (RFC 5839). --timeout 0 waits without limit.

--filter and --partial are those of imp subscribe.`,
		Example: `  $ imp fetch alice
  sip:alice@lab.test  open
  …

  $ imp fetch alice --until basic=open -q >/dev/null && echo online
  online

  $ imp fetch alice -o raw > alice.xml`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.flags(cmd)
	fs := cmd.Flags()
	fs.StringArrayVar(&o.until, "until", nil, "end with status 1 unless `EXPR` holds, key=value, key!=value or XPath; repeatable")
	fs.StringArrayVar(&o.ns, "ns", nil, "bind a prefix for XPath, `PREFIX=URI`")
	return cmd
}

func (o *fetchOptions) run(ctx context.Context, args []string) error {
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	targets, err := o.targets(acct, args)
	if err != nil {
		return err
	}
	form, err := o.form()
	if err != nil {
		return err
	}
	if err := checkUntil(o.until); err != nil {
		return err
	}
	form.Fetch = true
	if targets, err = o.lists.apply(acct, &form, targets); err != nil {
		return err
	}
	o.wait.NS = append(o.wait.NS, o.ns...)
	var conditions []kit.Matcher
	for _, expr := range o.until {
		m, err := kit.ParseUntil(expr, o.wait.NS, notifyKeys()...)
		if err != nil {
			return err
		}
		conditions = append(conditions, m)
	}
	show, err := newShower(&o.watchOptions)
	if err != nil {
		return err
	}
	show.once = true
	ctx, cancel := limited(ctx, o.kit)
	defer cancel()
	agent, err := startAgent(ctx, o.kit, acct)
	if err != nil {
		return err
	}
	defer agent.Close()
	holds := true
	var errs []error
	for _, t := range targets {
		e, err := fetchOne(ctx, agent, t, form, show)
		if refused := (*kit.Error)(nil); errors.As(err, &refused) && refused.Exit == kit.ExitRefused {
			errs = append(errs, err)
			continue
		}
		if err != nil {
			return err
		}
		if e.body == nil && !e.Unchanged {
			o.kit.Note("%s told no state: perhaps its user has to let you in first", t)
		}
		holds = holds && !e.Unchanged
		for _, c := range conditions {
			holds = holds && slices.ContainsFunc(e.facts(), c.Match)
		}
	}
	if err := oneOf(o.kit, errs); err != nil {
		return err
	}
	if !holds {
		return kit.Quiet(kit.ExitNo)
	}
	return nil
}

// fetchOne asks for the state of one target and prints it.
func fetchOne(ctx context.Context, agent *presence.Agent, target string, form event.SubscribeOptions, show *shower) (*notifyEvent, error) {
	doing := "fetching " + target
	form.Target = target
	s, err := agent.Subscribe(ctx, form)
	if err != nil {
		return nil, sipFailure(doing, err)
	}
	for {
		e, err := s.Next(ctx)
		switch {
		case err != nil:
			return nil, sipFailure(doing, err)
		case e.Kind == event.OnNotify:
			if r := e.Notification.State.Reason; r == "rejected" || r == "noresource" {
				return nil, kit.Fail(kit.ExitRefused, doing, "terminated: "+r, endHint(r))
			}
			return show.show(target, e.Notification)
		case e.Kind == event.OnEnd && e.Err != nil:
			return nil, sipFailure(doing, e.Err)
		}
	}
}
