package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/agent/watchers"
	"imp/internal/cli/kit"
	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
)

type watchersOptions struct {
	kit     *kit.Kit
	pkg     string
	fetch   bool
	once    bool // --no-resubscribe
	expires kit.Duration
	wait    kit.Wait

	target string
	tables watchers.Tables
	told   bool // a document came
	until  []kit.Matcher
}

func newWatchers(k *kit.Kit) *cobra.Command {
	o := &watchersOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "watchers [flags] [TARGET]",
		Short: "Show who watches you, and who asks to",
		Long: `Subscribe to watcher information (RFC 3857) and print who watches TARGET (you without
one), who asks to and has no answer yet, and then each change as it comes, until Ctrl-C,
--count, --until, --for or --timeout end it. With --once print who there is and end.

The status of a watcher is active, pending (subscribed, and without an answer), waiting
(asked before, went away, and still has no answer) or terminated; the cause is the event
that led to it: subscribe, approved, rejected, timeout, deactivated, probation, giveup or
noresource.

Of others you see no more than yourself. --package presence.winfo tells who looks at your
watchers. --until status=pending ends when somebody asks, so that a script can answer:
the event has his address. With --once, --until tells by the exit status whether there is
such a watcher.`,
		Example: `  $ imp watchers --count 1
  … active  sip:bob@lab.test  …

  $ imp watchers --once --until watcher=sip:bob@lab.test -q && echo "bob watches"
  …
  bob watches

  $ imp watchers --once -o json
  {"event":"watcher","time":"…","resource":"sip:alice@lab.test","package":"presence","watcher":"sip:bob@lab.test","id":"…","status":"active","cause":"subscribe",…}`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.pkg, "package", "presence", "watchers of the event `PACKAGE`")
	fs.BoolVar(&o.fetch, "once", false, "print who there is and end")
	fs.Var(&o.expires, "expires", "ask for a subscription of `DURATION`, an hour without it")
	fs.BoolVar(&o.once, "no-resubscribe", false, "end when the server ends the subscription, whatever the reason")
	k.AccountFlags(cmd)
	k.WaitFlags(cmd, &o.wait, watcherKeys...)
	for _, name := range []string{"count", "for", "expires", "no-resubscribe"} {
		cmd.MarkFlagsMutuallyExclusive("once", name)
	}
	k.Emits(cmd, "watcher", "somebody watches, asks to, or does so no more", watcherEvent{})
	k.Emits(cmd, "resubscribe", "the server ended the subscription and it is made again", resubscribeEvent{})
	return cmd
}

// watcherKeys are the keys of --until for watchers.
var watcherKeys = []string{"resource", "package", "watcher", "id", "status", "cause", "display_name"}

// watcherEvent is a change of one watcher.
type watcherEvent struct {
	kit.Head
	Resource    string  `json:"resource" doc:"URI of who is watched"`
	Package     string  `json:"package" doc:"the event package that is watched"`
	Watcher     string  `json:"watcher" doc:"URI of the watcher"`
	ID          string  `json:"id" doc:"names his subscription as long as it lasts"`
	Status      string  `json:"status" doc:"pending, active, waiting or terminated"`
	Cause       string  `json:"cause,omitempty" doc:"what led to the status: subscribe, approved, deactivated, probation, rejected, timeout, giveup or noresource; absent when it was missed"`
	DisplayName string  `json:"display_name,omitempty" doc:"name of the watcher, as he gave it"`
	Lang        string  `json:"lang,omitempty" doc:"language tag of the name"`
	Expires     *uint64 `json:"expires,omitempty" doc:"seconds until his subscription expires, when told"`
	Subscribed  *uint64 `json:"subscribed,omitempty" doc:"seconds since he subscribed, when told"`

	wall time.Time
	body []byte
}

func (o *watchersOptions) newEvent(c *winfo.Change, body []byte) *watcherEvent {
	e := &watcherEvent{Head: o.kit.Head("watcher"), Resource: c.Resource, Package: c.Package, Watcher: c.URI, ID: c.ID, Status: c.Status.String(),
		Cause: c.Event.String(), DisplayName: c.DisplayName, Lang: c.Lang, Expires: c.Expires, Subscribed: c.Subscribed, wall: o.kit.Now(), body: body}
	if c.Missed {
		e.Cause = ""
	}
	return e
}

// Fact implements kit.Facts.
func (e *watcherEvent) Fact(key string) []string {
	v := map[string]string{"resource": e.Resource, "package": e.Package, "watcher": e.Watcher, "id": e.ID, "status": e.Status, "cause": e.Cause,
		"display_name": e.DisplayName}[key]
	if v == "" {
		return nil
	}
	return []string{v}
}

// XML implements kit.Facts.
func (e *watcherEvent) XML() []byte { return e.body }

// Text implements kit.Texter.
func (e *watcherEvent) Text(w io.Writer, s *kit.Style) error {
	cells := slices.DeleteFunc(e.cells(s), func(c string) bool { return c == "" })
	_, err := fmt.Fprintln(w, s.Dim(s.Time(e.wall, e.wall))+" "+strings.Join(cells, "  "))
	return err
}

// cells are what is shown of a watcher, "" where there is nothing.
func (e *watcherEvent) cells(s *kit.Style) []string {
	paint := s.Busy
	switch e.Status {
	case "active":
		paint = s.Good
	case "terminated":
		paint = s.Dim
	}
	name, since := "", ""
	if e.DisplayName != "" {
		name = `"` + kit.CleanLine(e.DisplayName) + `"`
	}
	if e.Subscribed != nil {
		since = s.Time(e.wall.Add(-time.Duration(min(*e.Subscribed, 1<<32))*time.Second), e.wall)
	}
	return []string{paint(e.Status), s.Name(kit.CleanLine(e.Watcher)), name, s.Dim(cmp.Or(e.Cause, "missed")), s.Dim(since)}
}

func (o *watchersOptions) run(ctx context.Context, args []string) error {
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	if o.target, err = acct.Target(strings.Join(args, "")); err != nil {
		return err
	}
	for _, expr := range o.wait.Until {
		if err := checkWatcherUntil(expr); err != nil {
			return err
		}
		m, err := kit.ParseUntil(expr, o.wait.NS, watcherKeys...)
		if err != nil {
			return err
		}
		o.until = append(o.until, m)
	}
	agent, err := startAgent(ctx, o.kit, acct)
	if err != nil {
		return err
	}
	defer agent.Close()
	if o.fetch {
		return o.look(ctx, agent)
	}
	return o.follow(ctx, agent)
}

// look prints who there is.
func (o *watchersOptions) look(ctx context.Context, agent watchers.Subscriber) error {
	ctx, cancel := limited(ctx, o.kit)
	defer cancel()
	held := len(o.until) == 0
	err := watchers.Follow(ctx, watchers.Options{Subscriber: agent, Target: o.target, Package: o.pkg, Fetch: true,
		Learned: func(n *event.Notification, changes []winfo.Change) error {
			return o.learned(n, changes, func(e *watcherEvent) bool {
				held = held || !slices.ContainsFunc(o.until, func(m kit.Matcher) bool { return !m.Match(e) })
				return false
			})
		}}, &o.tables)
	if err != nil {
		return o.failure(err)
	}
	if !held {
		return kit.Quiet(kit.ExitNo)
	}
	return nil
}

// follow prints who there is, and what changes.
func (o *watchersOptions) follow(ctx context.Context, agent watchers.Subscriber) error {
	watch, err := o.kit.Watch(ctx, o.wait)
	if err != nil {
		return err
	}
	defer watch.Stop()
	err = watchers.Follow(watch.Context(), watchers.Options{Subscriber: agent, Target: o.target, Package: o.pkg, Expires: o.expires.Std(), Once: o.once,
		Closing: func() (context.Context, context.CancelFunc) { return kit.Cleanup(ctx) },
		Learned: func(n *event.Notification, changes []winfo.Change) error {
			if watch.Context().Err() != nil {
				return nil // it is over, and what came meanwhile is one too many for --count
			}
			return o.learned(n, changes, func(e *watcherEvent) bool { return watch.Seen(e) })
		},
		Happened: o.happened}, &o.tables)
	var ended *event.EndedError
	switch {
	case errors.As(err, &ended) && ended.Err == nil && ended.Reason != "rejected" && ended.Reason != "noresource":
		return watch.Unmet("the server ended the subscription (" + ended.Reason + ")")
	case err != nil:
		return o.failure(err)
	}
	if err := kit.Interrupted(ctx); err != nil && !o.told {
		return err
	}
	return watch.Err()
}

// learned prints what a notification has changed, until seen says that it is
// enough.
func (o *watchersOptions) learned(n *event.Notification, changes []winfo.Change, seen func(*watcherEvent) bool) error {
	first := !o.told
	o.told = o.told || n.Body != nil
	if first && n.Body != nil && len(changes) == 0 {
		o.kit.Note("nobody watches %s", o.target)
	}
	var events []*watcherEvent
	for i := range changes {
		e := o.newEvent(&changes[i], n.Body)
		events = append(events, e)
		if seen(e) {
			break
		}
	}
	switch {
	case o.kit.Output == kit.OutputRaw:
		return o.kit.Print(n.Body)
	case o.kit.Output == kit.OutputText && o.kit.OutTTY && first:
		return o.board(events)
	}
	for _, e := range events {
		if err := o.kit.Emit(e); err != nil {
			return err
		}
	}
	return nil
}

// board shows on a terminal who there is.
func (o *watchersOptions) board(events []*watcherEvent) error {
	var b strings.Builder
	s := o.kit.Style()
	rows := make([][]string, len(events))
	for i, e := range events {
		rows[i] = e.cells(s)
	}
	if err := s.Table(&b, []string{"STATUS", "WATCHER", "NAME", "CAUSE", "SINCE"}, rows); err != nil {
		return err
	}
	return o.kit.Print([]byte(b.String()))
}

// happened tells of what befell the subscription.
func (o *watchersOptions) happened(e event.SubscriptionEvent) error {
	switch {
	case e.Kind == event.OnSubscribed && o.expires > 0 && e.Expires > o.expires.Std():
		o.kit.Note("the server grants no less than %v", e.Expires)
	case e.Kind == event.OnResubscribe:
		reason := cmp.Or(e.Reason, errorText(e.Err))
		o.kit.Note("the subscription to the watchers of %s ended (%s), made again in %v", o.target, reason, e.Delay)
		return o.kit.Emit(resubscribeEvent{Head: o.kit.Head("resubscribe"), Resource: o.target, Reason: reason, Delay: int(e.Delay / time.Second)})
	}
	return nil
}

// failure is how the command ends when the subscription did.
func (o *watchersOptions) failure(err error) error {
	doing := "subscribing to the watchers of " + o.target
	var (
		ended    *event.EndedError
		document *watchers.DocumentError
		own      *kit.Error
	)
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &document):
		return kit.Fail(kit.ExitDocument, doing, err, "print it as it came with imp subscribe --event "+o.pkg+".winfo -o raw")
	case errors.As(err, &ended) && ended.Err == nil:
		return kit.Fail(kit.ExitRefused, doing, "terminated: "+ended.Reason, endHint(ended.Reason))
	}
	return sipFailure(doing, err)
}

// checkWatcherUntil refuses a value that never comes.
func checkWatcherUntil(expr string) error {
	key, value, _ := strings.Cut(strings.TrimSpace(expr), "=")
	var known interface{ UnmarshalText([]byte) error }
	switch strings.TrimSuffix(key, "!") {
	case "status":
		known = new(winfo.Status)
	case "cause":
		known = new(winfo.Event)
	default:
		return nil
	}
	if err := known.UnmarshalText([]byte(value)); err != nil {
		return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --until %q", expr), fmt.Sprintf("there is no value %q", value), "imp watchers --help lists the values of status and cause")
	}
	return nil
}
