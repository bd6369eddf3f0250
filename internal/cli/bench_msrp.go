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
	"time"

	"github.com/spf13/cobra"

	"imp/internal/agent/load"
	"imp/internal/cli/kit"
	"imp/internal/msrp/relayclient"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

type benchMSRPOptions struct {
	kit       *kit.Kit
	relay     string
	sinkOnly  bool
	transport string
	sessions  int
	size      int
	chunk     int
	failure   string
	success   bool
	rate      float64
	count     int
	duration  kit.Duration
	warmup    kit.Duration
	settle    kit.Duration
}

func newBenchMSRP(k *kit.Kit) *cobra.Command {
	o := &benchMSRPOptions{kit: k, transport: "tcp", failure: "yes"}
	o.duration.Set("10")
	o.warmup.Set("1")
	o.settle.Set("10")
	cmd := &cobra.Command{
		Use:   "msrp",
		Short: "Measure messages over MSRP, directly or through a relay",
		Long: `Send messages from a source to a sink over MSRP for --duration, and print how many
arrived and how long they took. Source and sink are both in this command; what they
used of the processor is told.

With --relay both of them, or with --sink-only the sink alone, authenticate to a
relay, with the account's user and password, and all messages go through it. The
URI of several relays in a row, the innermost first, is a list with spaces. Without
it they go over this machine only, by --transport.

Messages are sent as fast as they are taken, or at --rate. All of them are checked:
what arrives altered is counted.`,
		Example: `  $ imp bench msrp --duration 1 --warmup 0
  …
  1 session, messages of 2048 bytes, for … s

  …
  0 failed, 0 lost, 0 altered
  this command used … s of processor time, … µs a message

  $ imp bench msrp --size 65536 --count 100 --warmup 0 --transport tls -q -o json
  {"event":"bench_msrp","time":"…",…}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.relay, "relay", "", "send through the relay with this `URI`, such as msrps://relay.example.com:2855;tcp")
	fs.BoolVar(&o.sinkOnly, "sink-only", false, "let the sink alone authenticate to the relay")
	fs.Var(kit.Choice(&o.transport, "tcp", "tls", "ws", "wss"), "transport", "without --relay: tcp, tls, ws or wss")
	fs.IntVar(&o.sessions, "sessions", 1, "have `N` sessions at the same time")
	fs.IntVar(&o.size, "size", 2048, "send messages of `BYTES`")
	fs.IntVar(&o.chunk, "chunk", 0, "send them in chunks of `BYTES`; 0: in few large ones")
	fs.Var(kit.Choice(&o.failure, "yes", "partial", "no"), "failure-report", "ask for responses: yes, partial or no")
	fs.BoolVar(&o.success, "success-report", false, "ask for reports of success")
	fs.Float64Var(&o.rate, "rate", 0, "send `N` messages a second over all; 0: as fast as they are taken")
	fs.IntVar(&o.count, "count", 0, "measure at most `N` messages")
	fs.Var(&o.duration, "duration", "measure for `DURATION`")
	fs.Var(&o.warmup, "warmup", "make the load for `DURATION` before measuring")
	fs.Var(&o.settle, "settle", "wait at most `DURATION` for the last messages")
	k.AccountFlags(cmd)
	fs.Lookup("proxy").Hidden = true // is for SIP
	k.Emits(cmd, "bench_msrp", "the measurement is over", benchMSRPEvent{})
	return cmd
}

// The most that one run has.
const (
	maxMSRPSessions = 10_000
	maxMSRPSize     = 1 << 30
)

func (o *benchMSRPOptions) check() error {
	switch {
	case o.sessions < 1 || o.sessions > maxMSRPSessions:
		return usage(fmt.Sprintf("--sessions is not a number from 1 to %d", maxMSRPSessions), "")
	case o.size < 8 || o.size > maxMSRPSize:
		return usage(fmt.Sprintf("--size is not a number from 8 to %d", maxMSRPSize), "")
	case o.chunk < 0 || o.count < 0 || o.rate < 0 || math.IsNaN(o.rate) || math.IsInf(o.rate, 0):
		return usage("a number is negative or none at all", "")
	case o.duration <= 0:
		return usage("--duration is zero", "")
	case o.sinkOnly && o.relay == "":
		return usage("--sink-only is for --relay", "")
	}
	return nil
}

func (o *benchMSRPOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	cfg := load.MSRPConfig{Sessions: o.sessions, Size: o.size, Chunk: o.chunk, Success: o.success, Rate: o.rate, Count: o.count,
		Duration: o.duration.Std(), Warmup: o.warmup.Std(), Settle: o.settle.Std(), Tell: func(phase string) { o.kit.Note("%s", phase) }}
	switch o.failure {
	case "partial":
		cfg.Failure = wire.FailurePartial
	case "no":
		cfg.Failure = wire.FailureNo
	}
	closing, err := o.ends(ctx, &cfg)
	if err != nil {
		return err
	}
	defer closing()
	report, err := load.RunMSRP(ctx, cfg)
	if report != nil {
		if err := o.kit.Emit(o.event(report)); err != nil {
			return err
		}
	}
	return benchMSRPFailure(err)
}

// ends makes source and sink.
func (o *benchMSRPOptions) ends(ctx context.Context, cfg *load.MSRPConfig) (closing func(), err error) {
	common := session.Config{Log: o.kit.Log()}
	var acct *kit.Account
	if o.relay != "" {
		if acct, err = o.kit.Account(); err != nil {
			return nil, err
		}
		if common.ClientTLS, err = clientTLS(acct); err != nil {
			return nil, err
		}
	}
	if trace := o.kit.Tracer("msrp"); trace != nil {
		common.Trace = func(r session.Record) { trace(kit.Record(r)) }
	}
	cert, err := session.NewCertificate(o.kit.Now(), 24*time.Hour)
	if err != nil {
		return nil, kit.Fail(kit.ExitBug, "making a certificate", err, "")
	}
	if acct == nil {
		common.Certificate, cfg.Peer = &cert, session.FingerprintOf(cert.Certificate[0])
	}
	cfg.Source, cfg.Sink = session.New(common), session.New(common)
	closing = func() { cfg.Source.Close(); cfg.Sink.Close() }
	if acct == nil {
		cfg.Listener, err = cfg.Sink.Listen(ctx, o.transport, "127.0.0.1:0")
	} else {
		err = o.relays(ctx, acct, cfg)
	}
	if err != nil {
		closing()
		return nil, err
	}
	return closing, nil
}

// relays makes what source and sink get their URIs from.
func (o *benchMSRPOptions) relays(ctx context.Context, acct *kit.Account, cfg *load.MSRPConfig) error {
	path, err := wire.ParsePath(o.relay)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "reading --relay", err, "write it like msrps://relay.example.com:2855;tcp")
	}
	rc := relayclient.Config{Node: cfg.Sink, Relays: path, Credentials: credentials(ctx, acct), Insecure: acct.Insecure}
	if cfg.SinkRelays, err = relayclient.New(rc); err == nil && !o.sinkOnly {
		rc.Node = cfg.Source
		cfg.SourceRelays, err = relayclient.New(rc)
	}
	if errors.Is(err, relayclient.ErrInsecure) {
		return kit.Fail(kit.ExitUsage, "using "+o.relay, err, "relays on other machines are reached by msrps:; --insecure allows msrp:")
	}
	if err != nil {
		return kit.Fail(kit.ExitUsage, "using "+o.relay, err, "write it like msrps://relay.example.com:2855;tcp")
	}
	return nil
}

// benchMSRPFailure maps what kept a run from being measured to an exit status.
func benchMSRPFailure(err error) error {
	var setup *load.SetupError
	if !errors.As(err, &setup) {
		if err == nil {
			return nil
		}
		return kit.Fail(0, "measuring", err, "")
	}
	return msrpFailure(setup.Doing, setup.Err)
}

// benchMSRPEvent is what was measured.
type benchMSRPEvent struct {
	kit.Head
	Sessions  int            `json:"sessions" doc:"how many there were"`
	Size      int            `json:"size" doc:"bytes of a message"`
	Chunk     int            `json:"chunk" doc:"bytes of a chunk, 0: few large ones"`
	Relay     string         `json:"relay,omitempty" doc:"the relays that all went through"`
	Transport string         `json:"transport,omitempty" doc:"without a relay: tcp, tls, ws or wss"`
	Seconds   float64        `json:"seconds" doc:"how long was measured"`
	AskedRate float64        `json:"asked_rate" doc:"messages a second asked for, 0: as fast as they are taken"`
	Rate      float64        `json:"rate" doc:"messages a second that arrived"`
	Megabytes float64        `json:"megabytes_per_second" doc:"millions of bytes of content a second that arrived"`
	Sent      int            `json:"sent" doc:"messages that were sent"`
	Arrived   int            `json:"arrived" doc:"messages that arrived"`
	Lost      int            `json:"lost" doc:"messages that were sent and had not arrived in time"`
	Altered   int            `json:"altered" doc:"messages that arrived with another content"`
	Failed    map[string]int `json:"failed" doc:"messages that could not be sent, by status or reason"`
	Arrival   benchLatency   `json:"arrival" doc:"from sending to the last byte at the sink"`
	CPU       float64        `json:"cpu_seconds" doc:"seconds that this command itself, source and sink, was on a processor"`
}

func (o *benchMSRPOptions) event(r *load.MSRPReport) benchMSRPEvent {
	seconds := r.Took.Seconds()
	e := benchMSRPEvent{Head: o.kit.Head("bench_msrp"), Sessions: o.sessions, Size: o.size, Chunk: o.chunk, Relay: o.relay,
		Seconds: round(seconds), AskedRate: o.rate, Rate: round(float64(r.Arrived) / seconds), Megabytes: round(float64(r.Bytes) / 1e6 / seconds),
		Sent: r.Sent, Arrived: r.Arrived, Lost: max(r.Sent-r.Arrived, 0), Altered: r.Altered, Failed: r.Failed,
		Arrival: newBenchLatency(r.Arrival), CPU: round(r.CPU.Seconds())}
	if o.relay == "" {
		e.Transport = o.transport
	}
	return e
}

// Text implements kit.Texter.
func (e benchMSRPEvent) Text(w io.Writer, s *kit.Style) error {
	plural := "s"
	if e.Sessions == 1 {
		plural = ""
	}
	fmt.Fprintf(w, "%d session%s, messages of %d bytes, for %.2f s\n\n", e.Sessions, plural, e.Size, e.Seconds)
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	l := e.Arrival
	row := []string{strconv.Itoa(e.Arrived), strconv.FormatFloat(e.Rate, 'f', 1, 64), strconv.FormatFloat(e.Megabytes, 'f', 1, 64), ms(l.P50), ms(l.P90), ms(l.P99), ms(l.Max)}
	if err := s.Table(w, []string{"ARRIVED", "PER SECOND", "MB/S", "P50 MS", "P90 MS", "P99 MS", "MAX MS"}, [][]string{row}); err != nil {
		return err
	}
	failed, why := 0, []string{}
	for what, n := range e.Failed {
		failed += n
		why = append(why, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(why)
	line := fmt.Sprintf("%d failed, %d lost, %d altered", failed, e.Lost, e.Altered)
	if failed > 0 {
		line += " (" + strings.Join(why, ", ") + ")"
	}
	if failed+e.Lost+e.Altered > 0 {
		line = s.Bad(line)
	} else {
		line = s.Good(line)
	}
	_, err := fmt.Fprintf(w, "\n%s\nthis command used %.2f s of processor time, %.1f µs a message\n", line, e.CPU, 1e6*e.CPU/float64(max(e.Arrived, 1)))
	return err
}
