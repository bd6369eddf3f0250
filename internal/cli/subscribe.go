package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/agent/presence"
	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// watchOptions are what subscribe and fetch share.
type watchOptions struct {
	lists  listFlag
	kit    *kit.Kit
	event  string
	accept []string
	etag   string
	choose string // --select
	wishes wishes
	wait   kit.Wait
}

type subscribeOptions struct {
	watchOptions
	expires kit.Duration
	least   kit.Duration // --min-interval
	most    kit.Duration // --max-interval
	fetch   bool
	once    bool
	unpaced map[string]bool          // targets whose server was said not to keep to them
	show    func(*notifyEvent) error // in place of printing; nil: print
}

func newSubscribe(k *kit.Kit) *cobra.Command {
	o := &subscribeOptions{watchOptions: watchOptions{kit: k}}
	cmd := &cobra.Command{
		Use:   "subscribe [flags] [TARGET…]",
		Short: "Watch resources and print every notification",
		Long: `Subscribe to each TARGET (yourself without one) and print what its notifier
tells, one event a notification, until Ctrl-C, --count, --until, --for or
--timeout end it. A bare TARGET gets the account's domain.

The event package is presence unless --event names another; of a package that
imp does not know the bodies are printed as they are.

--until waits for a state: key=value or key!=value with a key of imp-json(7),
or XPath. The subscription is renewed as long as the command runs, made again
when the server asks for it, and ended when the command ends. --count 0 and
--timeout 0 set no limit.

--min-interval and --max-interval ask the server for the pace of notifications
(RFC 6446); min_interval and max_interval of the notify event tell what it
grants. Other rates go into --event, as in 'presence;adaptive-min-rate=0.1'.

A TARGET may be a list of resources (RFC 4662): the list has a line, and each of its
resources that there is something to tell of one more, with the list in the field list.
--until holds when it does for one of them. With --list all TARGETs are watched in one
subscription, at the list server of your domain or that of --list-server (RFC 5367).

--filter has the server leave out what the filter in a file does not ask for, and
what is not worth a notification (RFC 4660); imp filter apply tries it out. With
--partial the server tells what changed in place of whole documents (RFC 5263):
the document is what the changes lead to, update tells full or partial, and
-o raw prints what came.

--etag goes on from the state that an earlier notification told: when that is
still the state, the first notification has no document (RFC 5839). With '*'
there are no documents at all, only the state of the subscription.`,
		Example: `  $ imp subscribe alice -a bob --count 1
  … sip:alice@lab.test active
  …

  $ imp subscribe alice --until basic=open --timeout 60 && echo "she is there"
  …
  she is there

  $ imp subscribe alice bob -o json --count 2
  {"event":"notify",…
  {"event":"notify",…

  $ imp subscribe alice carol --list --count 1
  … sip:rls@lab.test active  2 resources
  … sip:alice@lab.test active
  …

  $ imp subscribe alice --filter only-notes.xml --count 1
  … sip:alice@lab.test active
  …

  $ imp subscribe alice --partial -o json --count 1
  {"event":"notify",…

  $ imp subscribe alice --select '//p:basic/text()' --count 1
  open`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.flags(cmd)
	fs := cmd.Flags()
	fs.Var(&o.expires, "expires", "ask for subscriptions of `DURATION`; the server chooses without it")
	fs.Var(&o.least, "min-interval", "ask for at least `DURATION` between notifications")
	fs.Var(&o.most, "max-interval", "ask for a notification at least every `DURATION`, changes or not")
	fs.BoolVar(&o.fetch, "fetch", false, "ask once and end, like imp fetch")
	fs.BoolVar(&o.once, "no-resubscribe", false, "end when the server ends the subscription, whatever the reason")
	k.WaitFlags(cmd, &o.wait, notifyKeys()...)
	k.Emits(cmd, "resubscribe", "the server ended a subscription and it is made again", resubscribeEvent{})
	return cmd
}

// flags adds what subscribe and fetch share.
func (o *watchOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&o.event, "event", "presence", "the event package, with parameters if need be, as in Event")
	fs.StringArrayVar(&o.accept, "accept", nil, "take bodies of `TYPE`, repeatable; none: the package's default")
	fs.StringVar(&o.etag, "etag", "", "do not tell the state with this entity-`TAG` again, that of an earlier notification")
	fs.StringVar(&o.choose, "select", "", "print only what this `XPATH` finds in each body")
	o.lists.flags(fs)
	o.wishes.flags(fs)
	cmd.MarkFlagFilename("filter")
	o.kit.AccountFlags(cmd)
	o.kit.Emits(cmd, "notify", "a notification came", notifyEvent{})
}

type resubscribeEvent struct {
	kit.Head
	Resource string `json:"resource" doc:"the URI subscribed to"`
	Reason   string `json:"reason" doc:"why the subscription ended"`
	Delay    int    `json:"delay" doc:"seconds until it is made again"`
}

// targets completes the arguments; none is the account itself.
func (o *watchOptions) targets(acct *kit.Account, args []string) ([]string, error) {
	if slices.Contains(args, "") {
		return nil, kit.Fail(kit.ExitUsage, "reading the command line", "a TARGET is empty", "leave it out to mean yourself")
	}
	if len(args) == 0 {
		args = []string{""}
	}
	targets := make([]string, len(args))
	for i, a := range args {
		t, err := acct.Target(a)
		if err != nil {
			return nil, err
		}
		targets[i] = t
	}
	if len(targets) > 1 && o.etag != "" && o.etag != "*" {
		return nil, kit.Fail(kit.ExitUsage, "reading --etag", "an entity-tag is that of one TARGET", "call imp once for each")
	}
	return targets, nil
}

// form makes the options that all targets share.
func (o *watchOptions) form() (event.SubscribeOptions, error) {
	ev, err := header.ParseEvent(o.event)
	if err != nil {
		return event.SubscribeOptions{}, kit.Fail(kit.ExitUsage, "reading --event", err, "write it like presence or dialog;id=7")
	}
	if _, err := header.ParseAccept(o.accept); len(o.accept) > 0 && err != nil {
		return event.SubscribeOptions{}, kit.Fail(kit.ExitUsage, "reading --accept", err, "write it like application/pidf+xml")
	}
	if o.etag != "" {
		if _, err := header.ParseETag(o.etag); err != nil {
			return event.SubscribeOptions{}, kit.Fail(kit.ExitUsage, "reading --etag", err, "it is the etag of a notify event, as imp fetch -o json prints it")
		}
	}
	form := event.SubscribeOptions{Event: ev, Accept: slices.Clone(o.accept), ETag: o.etag, Conditional: true, MultipleDialogs: strings.HasSuffix(ev.Package, ".winfo")}
	if err := o.wishes.apply(o.kit, &form); err != nil {
		return form, err
	}
	understandLists(&form)
	return form, nil
}

func (o *subscribeOptions) run(ctx context.Context, args []string) error {
	if o.fetch {
		f := &fetchOptions{watchOptions: o.watchOptions}
		f.until = o.wait.Until
		return f.run(ctx, args)
	}
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
	if err := o.pace(&form); err != nil {
		return err
	}
	if err := checkUntil(o.wait.Until); err != nil {
		return err
	}
	form.Expires, form.Resubscribe = o.expires.Std(), !o.once
	if targets, err = o.lists.apply(acct, &form, targets); err != nil {
		return err
	}
	show, err := newShower(&o.watchOptions)
	if err != nil {
		return err
	}
	if o.show != nil {
		show.emit = o.show
	}
	watch, err := o.kit.Watch(ctx, o.wait)
	if err != nil {
		return err
	}
	defer watch.Stop()
	agent, err := startAgent(ctx, o.kit, acct)
	if err != nil {
		return err
	}
	defer agent.Close()
	return o.follow(ctx, watch, agent, targets, form, show)
}

// pace puts the intervals into Event as the rates of RFC 6446. Who wants to
// hear of what did not change must not say that he knows it.
func (o *subscribeOptions) pace(form *event.SubscribeOptions) error {
	ev := &form.Event
	if o.least > 0 && o.most > 0 && o.least > o.most {
		return kit.Fail(kit.ExitUsage, "reading --min-interval", fmt.Sprintf("%v is longer than the --max-interval of %v", o.least.Std(), o.most.Std()),
			"the longest interval is at least as long as the shortest")
	}
	for _, rate := range []struct {
		name string
		d    kit.Duration
	}{{"max-rate", o.least}, {"min-rate", o.most}} {
		if rate.d <= 0 {
			continue
		}
		if ev.Params.Has(rate.name) {
			return kit.Fail(kit.ExitUsage, "reading --event", rate.name+" stands there and an interval is given too", "one of both says it")
		}
		ev.Params = append(ev.Params, header.Param{Name: rate.name, Value: event.FormatRate(1 / rate.d.Std().Seconds())})
	}
	if ev.Params.Has("min-rate") || ev.Params.Has("adaptive-min-rate") {
		if o.etag != "" {
			return kit.Fail(kit.ExitUsage, "reading --etag", "nothing is told again of a state that is known, so that it contradicts --max-interval", "leave one of them out")
		}
		form.Conditional = false
	}
	return nil
}

// heard is one thing that happened to the subscription to a target.
type heard struct {
	target string
	of     *event.Subscription
	event  event.SubscriptionEvent
	err    error // the subscription could not be made
}

// follow subscribes to all targets and prints what comes until the watch is
// over or no subscription is left.
func (o *subscribeOptions) follow(ctx context.Context, watch *kit.Watch, agent *presence.Agent, targets []string, form event.SubscribeOptions, show *shower) error {
	news := make(chan heard)
	var all sync.WaitGroup
	for _, t := range targets {
		all.Go(func() { followOne(watch.Context(), ctx, agent, t, form, news) })
	}
	go func() { all.Wait(); close(news) }()
	var failed error
	answered := false
	for h := range news {
		answered = true
		if failed != nil || watch.Context().Err() != nil {
			continue // it is over, and what came meanwhile is one too many for --count
		}
		if err := o.tell(h, watch, show); err != nil {
			failed = err
			watch.Stop()
		}
	}
	if failed != nil {
		return failed
	}
	if err := kit.Interrupted(ctx); err != nil && !answered {
		return err
	}
	return watch.Err()
}

// followOne holds one subscription, hands over what happens, and ends it when
// the watch is over.
func followOne(watching, ctx context.Context, agent *presence.Agent, target string, form event.SubscribeOptions, news chan<- heard) {
	form.Target = target
	s, err := agent.Subscribe(watching, form)
	if err != nil {
		if watching.Err() == nil {
			news <- heard{target: target, err: err}
		}
		return
	}
	for {
		e, err := s.Next(watching)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			break
		}
		news <- heard{target: target, of: s, event: e}
	}
	ctx, cancel := kit.Cleanup(ctx)
	defer cancel()
	s.Close(ctx)
}

// tell prints what happened; an error ends the command.
func (o *subscribeOptions) tell(h heard, watch *kit.Watch, show *shower) error {
	doing := "subscribing to " + h.target
	switch {
	case h.err != nil:
		return sipFailure(doing, h.err)
	case h.event.Kind == event.OnNotify:
		e, err := show.show(h.target, h.event.Notification)
		if err != nil {
			return err
		}
		o.notePace(h.target, e)
		if e.missed {
			h.of.Refetch(h.event.Dialog)
		}
		watch.Seen(e.facts()...)
	case h.event.Kind == event.OnSubscribed && o.expires > 0 && h.event.Expires > o.expires.Std():
		o.kit.Note("the server grants no less than %v for %s", h.event.Expires, h.target)
	case h.event.Kind == event.OnResubscribe:
		reason := h.event.Reason
		if reason == "" && h.event.Err != nil {
			reason = h.event.Err.Error()
		}
		o.kit.Note("the subscription to %s ended (%s), made again in %v", h.target, reason, h.event.Delay)
		return o.kit.Emit(resubscribeEvent{Head: o.kit.Head("resubscribe"), Resource: h.target, Reason: reason, Delay: int(h.event.Delay / time.Second)})
	case h.event.Kind == event.OnEnd && watch.Context().Err() == nil:
		return o.ended(doing, h.event, watch)
	}
	return nil
}

// notePace says once when the server does not keep to the intervals: it would
// tell what it has granted (RFC 6446 section 5.2).
func (o *subscribeOptions) notePace(target string, e *notifyEvent) {
	if e.State == "terminated" || o.unpaced[target] {
		return
	}
	flag := ""
	switch {
	case o.least > 0 && e.MinInterval == 0:
		flag = "--min-interval"
	case o.most > 0 && e.MaxInterval == 0:
		flag = "--max-interval"
	default:
		return
	}
	if o.unpaced == nil {
		o.unpaced = map[string]bool{}
	}
	o.unpaced[target] = true
	o.kit.Note("the server of %s does not keep to %s", target, flag)
}

// ended is how the command ends when a subscription did.
func (o *subscribeOptions) ended(doing string, e event.SubscriptionEvent, watch *kit.Watch) error {
	switch {
	case e.Err != nil:
		return sipFailure(doing, e.Err)
	case e.Reason == "rejected" || e.Reason == "noresource":
		return kit.Fail(kit.ExitRefused, doing, "terminated: "+e.Reason, endHint(e.Reason))
	}
	return watch.Unmet("the server ended the subscription (" + e.Reason + ")")
}
