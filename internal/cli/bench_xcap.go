package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/agent/load"
	"imp/internal/auth/digest"
	"imp/internal/cli/kit"
)

type benchXCAPOptions struct {
	kit         *kit.Kit
	connections int
	entries     int
	mix         []string
	rate        float64
	count       int
	duration    kit.Duration
	warmup      kit.Duration
}

func newBenchXCAP(k *kit.Kit) *cobra.Command {
	o := &benchXCAPOptions{kit: k}
	o.duration.Set("10")
	o.warmup.Set("1")
	cmd := &cobra.Command{
		Use:   "xcap",
		Short: "Measure reading and writing of documents over XCAP",
		Long: `Put a list of --entries into your home at an XCAP server for each of --connections,
read and write them for --duration, and print how long the answers took. At the end
the lists are removed; they are resource-lists called imp-bench-1 and so on.

--mix says which requests come how often: get for a list, not-modified for one with
the right If-None-Match, get-element, put for a whole list, and put-element for one
entry. Each that writes brings something new.

Without --rate each connection always waits for an answer. With a rate, the time of
an answer counts from when its request was due, so that waiting for a connection
that is free shows too.`,
		Example: `  $ imp bench xcap --connections 8 --duration 1 --warmup 0
  …
  8 connections, lists of 50 entries, for … s

                COUNT  PER SECOND  P50 MS …
  get …
  not-modified …
  get-element …
  put …
  put-element …

  0 failed
  …

  $ imp bench xcap --mix put=1 --count 100 --warmup 0 -q -o json
  {"event":"bench_xcap","time":"…",…}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	fs := cmd.Flags()
	fs.IntVar(&o.connections, "connections", 16, "keep `N` connections, each with a list of its own")
	fs.IntVar(&o.entries, "entries", 50, "make lists of `N` entries")
	fs.StringSliceVar(&o.mix, "mix", []string{"get=1", "not-modified=1", "get-element=1", "put=1", "put-element=1"}, "of each round make N requests of a kind, `KIND=N,…`")
	fs.Float64Var(&o.rate, "rate", 0, "make `N` requests a second over all; 0: as fast as answers come")
	fs.IntVar(&o.count, "count", 0, "measure at most `N` requests")
	fs.Var(&o.duration, "duration", "measure for `DURATION`")
	fs.Var(&o.warmup, "warmup", "make the load for `DURATION` before measuring")
	k.AccountFlags(cmd, "xcap-root")
	fs.Lookup("proxy").Hidden = true // is for SIP
	k.Emits(cmd, "bench_xcap", "the measurement is over", benchXCAPEvent{})
	return cmd
}

// The most that one run has.
const (
	maxConnections = 10_000
	maxEntries     = 5000
	maxShare       = 1000
)

func (o *benchXCAPOptions) check() error {
	switch {
	case o.connections < 1 || o.connections > maxConnections:
		return usage(fmt.Sprintf("--connections is not a number from 1 to %d", maxConnections), "")
	case o.entries < 1 || o.entries > maxEntries:
		return usage(fmt.Sprintf("--entries is not a number from 1 to %d", maxEntries), "")
	case o.count < 0 || o.rate < 0 || math.IsNaN(o.rate) || math.IsInf(o.rate, 0):
		return usage("a number is negative or none at all", "")
	case o.duration <= 0:
		return usage("--duration is zero", "")
	}
	return nil
}

// shares reads --mix into the number of requests of each kind.
func (o *benchXCAPOptions) shares(cfg *load.XCAPConfig) error {
	all := 0
	for _, text := range o.mix {
		name, number, _ := strings.Cut(text, "=")
		kind := slices.Index(load.XCAPKindNames[:], name)
		n, err := strconv.Atoi(number)
		if kind < 0 || err != nil || n < 0 || n > maxShare {
			return usage(fmt.Sprintf("--mix %q is not of the form KIND=N", text), "kinds are "+strings.Join(load.XCAPKindNames[:], ", ")+fmt.Sprintf("; N is up to %d", maxShare))
		}
		cfg.Mix[kind] = n
		all += n
	}
	if all == 0 {
		return usage("--mix has no requests", "write it like get=9,put=1")
	}
	return nil
}

func (o *benchXCAPOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	cfg := load.XCAPConfig{Connections: o.connections, Entries: o.entries, Rate: o.rate, Count: o.count, Duration: o.duration.Std(),
		Warmup: o.warmup.Std(), Timeout: o.kit.Timeout.Std(), Tell: func(phase string) { o.kit.Note("%s", phase) }}
	if err := o.shares(&cfg); err != nil {
		return err
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	if cfg.XUI, err = acct.Self(); err != nil {
		return err
	}
	if cfg.Root, err = rootOf(o.kit, acct); err != nil {
		return err
	}
	if cfg.TLS, err = acct.TLS(); err != nil {
		return err
	}
	if acct.User != "" {
		cfg.Digest = digest.NewClient(digest.ClientConfig{Credentials: credentials(ctx, acct)})
	}
	report, err := load.RunXCAP(ctx, cfg)
	if report != nil && report.Left > 0 {
		o.kit.Warn("%d lists could not be removed; imp xcap ls shows them", report.Left)
	}
	if report != nil && report.Took > 0 {
		if err := o.kit.Emit(o.event(report)); err != nil {
			return err
		}
	}
	return benchXCAPFailure(err)
}

// benchXCAPFailure maps what kept a run from being measured to an exit status.
func benchXCAPFailure(err error) error {
	var setup *load.SetupError
	var status *load.StatusError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &setup):
		return kit.Fail(0, "measuring", err, "")
	case errors.As(err, &status):
		hint := "imp xcap put resource-lists FILE tells more of what the server says"
		switch status.Status {
		case 401:
			hint = "the account needs a user and a password for this server (imp account show)"
		case 404:
			hint = "the path must be that of the XCAP root, and the user one of the server's"
		case 409:
			hint = "does the server let a user have as many lists? have fewer --connections or smaller lists"
		}
		return kit.Fail(kit.ExitRefused, setup.Doing, kit.Answer{Code: status.Status, Reason: "refused"}, hint)
	}
	return kit.Fail(kit.ExitNetwork, setup.Doing, setup.Err, "is the server running, and is the XCAP root right? It is that of --xcap-root, else of the account (imp account show)")
}

// benchXCAPEvent is what was measured.
type benchXCAPEvent struct {
	kit.Head
	Connections int             `json:"connections" doc:"how many there were, each with a list of its own"`
	Entries     int             `json:"entries" doc:"of a list"`
	Seconds     float64         `json:"seconds" doc:"how long was measured"`
	AskedRate   float64         `json:"asked_rate" doc:"requests a second asked for, 0: as fast as answers come"`
	Rate        float64         `json:"rate" doc:"requests a second that succeeded"`
	Kinds       []benchXCAPKind `json:"kinds" doc:"what became of the requests of each kind"`
	CPU         float64         `json:"cpu_seconds" doc:"seconds that this command itself was on a processor"`
}

// benchXCAPKind is about the requests of one kind.
type benchXCAPKind struct {
	Kind     string         `json:"kind" doc:"get, not-modified, get-element, put or put-element"`
	Count    uint64         `json:"count" doc:"requests that succeeded"`
	Rate     float64        `json:"rate" doc:"of them a second"`
	Failed   map[string]int `json:"failed" doc:"requests that failed by status, or: network"`
	Response benchLatency   `json:"response" doc:"from request to answer, of those that succeeded"`
}

func (o *benchXCAPOptions) event(r *load.XCAPReport) benchXCAPEvent {
	seconds := r.Took.Seconds()
	e := benchXCAPEvent{Head: o.kit.Head("bench_xcap"), Connections: o.connections, Entries: o.entries, Seconds: round(seconds),
		AskedRate: o.rate, CPU: round(r.CPU.Seconds()), Kinds: []benchXCAPKind{}}
	all := uint64(0)
	for i, k := range r.Kinds {
		if k.Response.Count == 0 && len(k.Failed) == 0 {
			continue
		}
		all += k.Response.Count
		e.Kinds = append(e.Kinds, benchXCAPKind{load.XCAPKindNames[i], k.Response.Count, round(float64(k.Response.Count) / seconds), k.Failed, newBenchLatency(k.Response)})
	}
	e.Rate = round(float64(all) / seconds)
	return e
}

// Text implements kit.Texter.
func (e benchXCAPEvent) Text(w io.Writer, s *kit.Style) error {
	fmt.Fprintf(w, "%d connections, lists of %d entries, for %.2f s\n\n", e.Connections, e.Entries, e.Seconds)
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	var rows [][]string
	failed, why := 0, []string{}
	for _, k := range e.Kinds {
		l := k.Response
		rows = append(rows, []string{k.Kind, strconv.FormatUint(k.Count, 10), strconv.FormatFloat(k.Rate, 'f', 1, 64), ms(l.P50), ms(l.P90), ms(l.P99), ms(l.Max)})
		for what, n := range k.Failed {
			failed += n
			why = append(why, fmt.Sprintf("%s %s: %d", k.Kind, what, n))
		}
	}
	if err := s.Table(w, []string{"", "COUNT", "PER SECOND", "P50 MS", "P90 MS", "P99 MS", "MAX MS"}, rows); err != nil {
		return err
	}
	line := s.Good("0 failed")
	if failed > 0 {
		slices.Sort(why)
		line = s.Bad(fmt.Sprintf("%d failed (%s)", failed, strings.Join(why, ", ")))
	}
	_, err := fmt.Fprintf(w, "\n%s\nthis command used %.2f s of processor time\n", line, e.CPU)
	return err
}
