package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/agent/load"
	"imp/internal/cli/kit"
	"imp/internal/sip/stack"
)

func newBench(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Put load on a server and measure it",
		Long:  "Put load on a server, of imp or any other, and measure how it copes.",
		Example: `  $ imp lab -- imp bench presence --count 20 --warmup 0 -q
  …
  PUBLISH to NOTIFY …
  …

  $ imp bench presence alice --watchers 0 --duration 1 -q -o json
  {"event":"bench","time":"…","kind":"presence",…}`,
	}
	k.Group(cmd)
	cmd.AddCommand(newBenchPresence(k), newBenchXCAP(k), newBenchMSRP(k))
	return cmd
}

type benchPresenceOptions struct {
	kit          *kit.Kit
	presentities int
	watchers     int
	rate         float64
	inFlight     int
	duration     kit.Duration
	warmup       kit.Duration
	settle       kit.Duration
	expires      kit.Duration
	count        int
	bodySize     int
	refresh      int
	renew        int
	transport    string
	sample       kit.Duration
	door         ctlOptions
}

func newBenchPresence(k *kit.Kit) *cobra.Command {
	o := &benchPresenceOptions{kit: k, transport: "auto", door: ctlOptions{kit: k}}
	o.duration.Set("10")
	o.warmup.Set("1")
	o.settle.Set("10")
	o.expires.Set("3600")
	cmd := &cobra.Command{
		Use:   "presence [flags] [PRESENTITY…]",
		Short: "Measure PUBLISH and the way from PUBLISH to NOTIFY",
		Long: `Publish for each PRESENTITY (yourself without one), watch each with --watchers
subscriptions, change the publications for --duration, and print how long the
answers took and how long until each watcher had its NOTIFY. At the end
everything is unsubscribed and unpublished.

With --presentities N and one PRESENTITY or none, N users are published for,
whose names are PRESENTITY (bench without one) and a number from 1. The server
must know them, and let this account publish for them.

Without --rate there are always as many PUBLISHes on their way as --in-flight
and the number of presentities allow, one for each presentity. A rate that
cannot be kept is not made up for: what was not sent in time is counted missed.

A notification is skipped when the server told a newer state instead, as it may
when changes come faster than answers to NOTIFY or than the server's pacing; it
is lost when the watcher did not know the last state --settle after the end.

Each PUBLISH of the measurement brings a new document, but for --refresh of a
hundred, which only prolong, and --renew of a hundred, which take the publication
back and make another.

With --sample a server of imp that was started with --admin tells its memory every
so often while the load goes on, the live heap as the last garbage collection
found it; that server is named as for "imp ctl".

Nothing is prolonged by itself while it runs, so --expires, and what the server makes of it,
must be longer than the run. Over TCP all watchers share one connection, as
behind a proxy.`,
		Example: `  $ imp bench presence alice bob --watchers 10 --rate 20 --duration 1 --warmup 0
  …
  2 presentities with 10 watchers each, over udp for … s

                     COUNT  PER SECOND  P50 MS …
  PUBLISH to 200 …
  PUBLISH to NOTIFY …

  of … notifications: …, 0 lost
  …

  $ imp bench presence --watchers 0 --count 1000 --warmup 0 -q -o json
  {"event":"bench","time":"…","kind":"presence",…}`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	fs := cmd.Flags()
	fs.IntVar(&o.presentities, "presentities", 0, "publish for `N` users with numbered names")
	fs.IntVar(&o.watchers, "watchers", 1, "subscribe `N` times to each presentity")
	fs.Float64Var(&o.rate, "rate", 0, "send `N` PUBLISHes a second over all; 0: as fast as answers come")
	fs.IntVar(&o.inFlight, "in-flight", 64, "wait when `N` requests are without an answer")
	fs.Var(&o.duration, "duration", "measure for `DURATION`")
	fs.Var(&o.warmup, "warmup", "make the load for `DURATION` before measuring")
	fs.Var(&o.settle, "settle", "wait at most `DURATION` for the last notifications")
	fs.IntVar(&o.count, "count", 0, "measure at most `N` PUBLISHes")
	fs.IntVar(&o.bodySize, "body-size", 0, "make documents of at least `N` bytes")
	fs.IntVar(&o.refresh, "refresh", 0, "let `N` of a hundred PUBLISHes only prolong")
	fs.IntVar(&o.renew, "renew", 0, "let `N` of a hundred PUBLISHes take back and make anew")
	fs.Var(&o.sample, "sample", "print the server's memory every `DURATION`")
	fs.StringVar(&o.door.addr, "admin", "", "ask the server at `HOST:PORT` for its memory")
	fs.StringVar(&o.door.token, "admin-token", "", "show it the token in `FILE`")
	cmd.MarkFlagFilename("admin-token")
	fs.Var(kit.Choice(&o.transport, "auto", "udp", "tcp"), "transport", "auto: the account's, or udp")
	fs.Var(&o.expires, "expires", "ask for publications and subscriptions of `DURATION`")
	k.AccountFlags(cmd)
	k.Emits(cmd, "bench", "the measurement is over", benchEvent{})
	k.Emits(cmd, "memory", "with --sample: what the server uses now", memoryEvent{})
	return cmd
}

// The most that one run holds.
const (
	maxPresentities  = 100_000
	maxSubscriptions = 1_000_000
	maxBody          = 60_000
)

// check refuses what cannot be measured.
func (o *benchPresenceOptions) check(args []string) error {
	switch {
	case o.presentities < 0 || o.watchers < 0 || o.count < 0 || o.bodySize < 0 || o.rate < 0 || math.IsNaN(o.rate) || math.IsInf(o.rate, 0):
		return usage("a number is negative or none at all", "")
	case o.inFlight < 1:
		return usage("--in-flight must be 1 or more", "")
	case o.presentities > 0 && len(args) > 1:
		return usage("--presentities numbers one name, and there are several", "give one PRESENTITY, or leave --presentities out")
	case max(o.presentities, len(args)) > maxPresentities:
		return usage(fmt.Sprintf("more than %d presentities", maxPresentities), "run the command several times")
	case max(o.presentities, len(args), 1)*min(o.watchers, maxSubscriptions+1) > maxSubscriptions:
		return usage(fmt.Sprintf("more than %d subscriptions", maxSubscriptions), "run the command several times")
	case o.bodySize > maxBody:
		return usage(fmt.Sprintf("--body-size is more than %d", maxBody), "")
	case o.refresh < 0 || o.renew < 0 || o.refresh+o.renew > 100:
		return usage("--refresh and --renew are parts of a hundred", "")
	case o.sample < 0 || o.sample == 0 && o.door.addr != "":
		return usage("--admin is for --sample", "add --sample 10")
	case o.duration <= 0:
		return usage("--duration is zero", "")
	}
	if takes := o.warmup.Std() + o.duration.Std() + 2*o.settle.Std(); o.expires.Std() < takes {
		return usage(fmt.Sprintf("the run takes up to %v with --warmup and twice --settle, and --expires is %v", takes, o.expires.Std()), "give a longer --expires")
	}
	return nil
}

// targets are the URIs to publish for.
func (o *benchPresenceOptions) targets(acct *kit.Account, args []string) ([]string, error) {
	if o.presentities > 0 {
		name := "bench"
		if len(args) > 0 {
			name = args[0]
		}
		user, domain, hasDomain := strings.Cut(name, "@")
		args = make([]string, o.presentities)
		for i := range args {
			if args[i] = user + strconv.Itoa(i+1); hasDomain {
				args[i] += "@" + domain
			}
		}
	} else if len(args) == 0 {
		args = []string{""}
	}
	targets, known := make([]string, len(args)), make(map[string]bool, len(args))
	for i, a := range args {
		t, err := acct.Target(a)
		if err != nil {
			return nil, err
		}
		if known[t] {
			return nil, usage("presentity "+t+" is given twice", "")
		}
		targets[i], known[t] = t, true
	}
	return targets, nil
}

// hop is where requests go first.
func (o *benchPresenceOptions) hop(acct *kit.Account) (stack.Target, error) {
	hop := stack.Target{Transport: acct.Transport}
	if !acct.Proxy.IsZero() {
		hop.Addr = acct.Proxy.Addr()
	}
	if o.transport != "auto" {
		hop.Transport = o.transport
	}
	switch hop.Transport {
	case "":
		hop.Transport = "udp"
	case "udp", "tcp":
	default:
		return hop, kit.Fail(kit.ExitUsage, "reaching "+acct.Proxy.Addr(), "transport "+hop.Transport+" is not built yet", "use --transport udp or tcp")
	}
	return hop, nil
}

func (o *benchPresenceOptions) run(ctx context.Context, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	self, err := acct.Self()
	if err != nil {
		return err
	}
	targets, err := o.targets(acct, args)
	if err != nil {
		return err
	}
	hop, err := o.hop(acct)
	if err != nil {
		return err
	}
	stop, err := o.watchMemory(ctx)
	if err != nil {
		return err
	}
	log := o.kit.Log()
	report, err := load.Run(ctx, load.Config{Presentities: targets, Watchers: o.watchers, From: self, Hop: hop, Rate: o.rate,
		InFlight: o.inFlight, Duration: o.duration.Std(), Warmup: o.warmup.Std(), Count: o.count, Settle: o.settle.Std(), Refresh: o.refresh, Renew: o.renew,
		Timeout: o.kit.Timeout.Std(), Expires: o.expires.Std(), BodySize: o.bodySize,
		Credentials: credentials(ctx, acct),
		Stack:       stack.Config{Log: log, Product: product, Trace: sipTracer(o.kit)},
		Tell:        func(phase string) { o.kit.Note("%s", phase) }})
	stop()
	if report != nil && report.LeftBehind > 0 {
		o.kit.Warn("%d publications and subscriptions could not be ended; the server forgets them when they expire", report.LeftBehind)
	}
	if report != nil && report.Took > 0 {
		if err := o.kit.Emit(o.event(report, len(targets), hop.Transport)); err != nil {
			return err
		}
	}
	return benchFailure(err)
}

// benchFailure maps what kept a run from being measured to an exit status.
func benchFailure(err error) error {
	var setup *load.SetupError
	var state *load.StateError
	var short *load.TooShortError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &setup):
		return sipFailure("measuring", err)
	case errors.As(err, &state):
		return kit.Fail(kit.ExitRefused, setup.Doing, setup.Err, "the server's policy must let this account see the presentity")
	case errors.As(err, &short):
		return kit.Fail(kit.ExitRefused, setup.Doing, setup.Err, "measure for a shorter --duration")
	}
	return sipFailure(setup.Doing, setup.Err)
}
