package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
)

type ctlHealthEvent struct {
	kit.Head
	Status        string   `json:"status" doc:"ok or draining"`
	Server        string   `json:"server" doc:"the command that serves"`
	Version       string   `json:"version" doc:"its version"`
	Started       kit.Time `json:"started" doc:"when it was started"`
	Listen        []string `json:"listen" doc:"its addresses, transport:host:port"`
	Subscriptions int      `json:"subscriptions" doc:"live ones"`
	Publications  int      `json:"publications" doc:"live ones"`
	Registrations int      `json:"registrations" doc:"live ones"`
	LiveHeap      uint64   `json:"live_heap" doc:"bytes of heap in use at the last garbage collection"`
	RSS           uint64   `json:"rss" doc:"resident memory, in bytes; 0 when not known"`
	Goroutines    int      `json:"goroutines" doc:"goroutines that run"`
}

// Text implements kit.Texter.
func (e ctlHealthEvent) Text(w io.Writer, s *kit.Style) error {
	status := s.Good(e.Status)
	if e.Status != "ok" {
		status = s.Bad(kit.CleanLine(e.Status))
	}
	up := time.Time(e.Time).Sub(time.Time(e.Started)).Round(time.Second)
	fmt.Fprintf(w, "%s  %s %s, up %s\n", status, kit.CleanLine(e.Server), kit.CleanLine(e.Version), up)
	rows := [][]string{{"  listen", kit.CleanLine(strings.Join(e.Listen, " "))}}
	if e.Server != "xcap-server" && e.Server != "msrp-relay" { // they have none of these
		rows = append(rows, []string{"  subscriptions", strconv.Itoa(e.Subscriptions)}, []string{"  publications", strconv.Itoa(e.Publications)},
			[]string{"  registrations", strconv.Itoa(e.Registrations)})
	}
	return s.Table(w, nil, append(rows, []string{"  live heap", megabytes(e.LiveHeap)}, []string{"  resident", megabytes(e.RSS)},
		[]string{"  goroutines", strconv.Itoa(e.Goroutines)}))
}

func megabytes(n uint64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func newCtlHealth(o *ctlOptions) *cobra.Command {
	collect := false
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Tell how a server is",
		Long: `Tell how a server is: what it has, and what memory it uses. The status is 1 when it
drains. The live heap is that of the last garbage collection; --gc has one made now.`,
		Example: `  $ imp ctl health
  ok  lab …, up …s
    listen         udp:127.0.0.1:…
    subscriptions  …
  …

  $ imp ctl health --gc -o json
  {"event":"health","time":"…","status":"ok","server":"lab",…,"live_heap":…,"rss":…,"goroutines":…}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.health(cmd.Context(), collect) },
	}
	cmd.Flags().BoolVar(&collect, "gc", false, "collect garbage first, so that the live heap is that of this moment")
	o.kit.Emits(cmd, "health", "how a server is", ctlHealthEvent{})
	return cmd
}

func (o *ctlOptions) health(ctx context.Context, collect bool) error {
	doing := "asking for health"
	var h admin.Health
	if err := o.ask(ctx, doing, http.MethodGet, "/healthz", nil, &h, http.StatusServiceUnavailable); err != nil {
		return err
	}
	method := http.MethodGet
	if collect {
		method = http.MethodPost
	}
	var m admin.Memory
	if err := o.ask(ctx, doing, method, "/memory", nil, &m); err != nil {
		return err
	}
	e := ctlHealthEvent{Head: o.kit.Head("health"), Status: h.Status, Server: h.Server, Version: h.Version, Started: kit.Time(h.Started), Listen: h.Listen,
		Subscriptions: h.Subscriptions, Publications: h.Publications, Registrations: h.Registrations,
		LiveHeap: m.LiveHeap, RSS: m.RSS, Goroutines: m.Goroutines}
	if err := o.kit.Emit(e); err != nil || h.Status == "ok" {
		return err
	}
	return kit.Quiet(kit.ExitNo)
}

type ctlLogLevelEvent struct {
	kit.Head
	Level string `json:"level" doc:"debug, info, warn or error"`
}

// Text implements kit.Texter.
func (e ctlLogLevelEvent) Text(w io.Writer, _ *kit.Style) error {
	_, err := fmt.Fprintln(w, kit.CleanLine(e.Level))
	return err
}

// logLevels are the levels of a server's log.
var logLevels = []string{"debug", "info", "warn", "error"}

func newCtlLogLevel(o *ctlOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log-level [LEVEL]",
		Short: "Print or change the log level of a server",
		Long:  "Print the log level of a server; with LEVEL (debug, info, warn or error) change it until the server ends.",
		Example: `  $ imp ctl log-level
  warn

  $ imp ctl log-level debug -o json
  {"event":"log_level","time":"…","level":"debug"}`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: logLevels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.logLevel(cmd.Context(), strings.Join(args, ""))
		},
	}
	o.kit.Emits(cmd, "log_level", "the log level of a server", ctlLogLevelEvent{})
	return cmd
}

func (o *ctlOptions) logLevel(ctx context.Context, level string) error {
	doing, method, body := "asking for the log level", http.MethodGet, any(nil)
	if level != "" {
		word := level
		if err := kit.Choice(&word, logLevels...).Set(level); err != nil {
			return kit.Fail(kit.ExitUsage, fmt.Sprintf("log level %q", level), err, "imp ctl log-level prints the present one")
		}
		doing, method, body = "changing the log level", http.MethodPut, admin.LogLevel{Level: level}
	}
	var now admin.LogLevel
	if err := o.ask(ctx, doing, method, "/log-level", body, &now); err != nil {
		return err
	}
	return o.kit.Emit(ctlLogLevelEvent{Head: o.kit.Head("log_level"), Level: now.Level})
}

type ctlDrainedEvent struct {
	kit.Head
	Subscriptions int `json:"subscriptions" doc:"live ones at the start"`
	Left          int `json:"left" doc:"those that had not ended when the time was over"`
}

// Text implements kit.Texter.
func (e ctlDrainedEvent) Text(w io.Writer, _ *kit.Style) error {
	_, err := fmt.Fprintf(w, "%d of %d subscriptions ended\n", e.Subscriptions-e.Left, e.Subscriptions)
	return err
}

func newCtlDrain(o *ctlOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Send the clients of a server elsewhere",
		Long: `End all subscriptions of a server with the reason deactivated, so that watchers
subscribe anew, and have it refuse new ones with 503 from then on. Its health is
"draining". It serves what else it serves until SIGTERM. What has not ended within
--timeout makes the status 4.`,
		Example: `  $ imp ctl drain
  2 of 2 subscriptions ended

  $ imp ctl drain --timeout 60 -o json
  {"event":"drained","time":"…","subscriptions":0,"left":0}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.drain(cmd.Context()) },
	}
	o.kit.Emits(cmd, "drained", "a server has sent its clients elsewhere", ctlDrainedEvent{})
	return cmd
}

func (o *ctlOptions) drain(ctx context.Context) error {
	doing := "draining"
	// The server gives up a little before this command does.
	limit := o.kit.Timeout.Std().Seconds() * 0.95
	if limit > admin.MaxDrain.Seconds() || limit <= 0 {
		return kit.Fail(kit.ExitUsage, doing, "--timeout "+o.kit.Timeout.String()+" is none that a drain can have", "it is up to "+admin.MaxDrain.String())
	}
	var d admin.Drained
	if err := o.ask(ctx, doing, http.MethodPost, "/drain?timeout="+strconv.FormatFloat(limit, 'f', 3, 64), nil, &d); err != nil {
		return err
	}
	if err := o.kit.Emit(ctlDrainedEvent{Head: o.kit.Head("drained"), Subscriptions: d.Subscriptions, Left: d.Left}); err != nil {
		return err
	}
	if d.Left > 0 {
		return kit.Fail(kit.ExitTimeout, doing, fmt.Sprintf("%d watchers have not answered", d.Left), "they are tried for half a minute more; --timeout waits longer")
	}
	return nil
}
