package cli

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"imp/internal/agent/load"
	"imp/internal/cli/kit"
)

// benchEvent is what was measured.
type benchEvent struct {
	kit.Head
	Kind         string         `json:"kind" doc:"what was measured: presence"`
	Presentities int            `json:"presentities" doc:"how many were published for"`
	Watchers     int            `json:"watchers" doc:"how many watched each of them"`
	Transport    string         `json:"transport" doc:"udp or tcp"`
	Seconds      float64        `json:"seconds" doc:"how long was measured"`
	AskedRate    float64        `json:"asked_rate" doc:"PUBLISHes a second asked for, 0: as fast as answers come"`
	Rate         float64        `json:"rate" doc:"PUBLISHes answered 2xx a second"`
	Published    int            `json:"published" doc:"PUBLISHes answered 2xx"`
	Missed       int            `json:"missed" doc:"PUBLISHes not sent in time for the rate, for want of answers to others"`
	Failed       map[string]int `json:"failed" doc:"PUBLISHes that failed by status, or: no answer, network, other"`
	Response     benchLatency   `json:"response" doc:"from PUBLISH to its 2xx"`
	NotifyRate   float64        `json:"notify_rate" doc:"NOTIFYs with a new state a second"`
	Due          int            `json:"due" doc:"notifications that were due: one for each watcher of each change"`
	Notified     int            `json:"notified" doc:"those of them that came"`
	Skipped      int            `json:"skipped" doc:"those for which the server told a newer state instead"`
	Lost         int            `json:"lost" doc:"those that had not come in time, nor anything newer"`
	Notify       benchLatency   `json:"notify" doc:"from PUBLISH to the NOTIFY at a watcher"`
	Ended        int            `json:"ended" doc:"subscriptions that the server ended"`
	Repeated     int            `json:"repeated" doc:"requests sent again for want of an answer"`
	CPU          float64        `json:"cpu_seconds" doc:"seconds that this command itself was on a processor"`
}

// benchLatency is in milliseconds.
type benchLatency struct {
	Mean float64 `json:"mean_ms" doc:"the mean in milliseconds"`
	P50  float64 `json:"p50_ms" doc:"what half did not exceed"`
	P90  float64 `json:"p90_ms" doc:"what 90 of a hundred did not exceed"`
	P99  float64 `json:"p99_ms" doc:"what 99 of a hundred did not exceed"`
	Max  float64 `json:"max_ms" doc:"the longest"`
}

func newBenchLatency(l load.Latency) benchLatency {
	return benchLatency{Mean: milliseconds(l.Mean), P50: milliseconds(l.P50), P90: milliseconds(l.P90), P99: milliseconds(l.P99), Max: milliseconds(l.Max)}
}

// milliseconds keeps microseconds.
func milliseconds(d time.Duration) float64 { return float64(d.Round(time.Microsecond)) / 1e6 }

// round keeps three places.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

func (o *benchPresenceOptions) event(r *load.Report, presentities int, transport string) benchEvent {
	seconds := r.Took.Seconds()
	return benchEvent{Head: o.kit.Head("bench"), Kind: "presence", Presentities: presentities, Watchers: o.watchers,
		Transport: transport, Seconds: round(seconds), AskedRate: o.rate, Rate: round(float64(r.Published) / seconds),
		Published: r.Published, Missed: r.Missed, Failed: r.Failed, Response: newBenchLatency(r.Response),
		NotifyRate: round(float64(r.Notified()) / seconds), Due: r.Due, Notified: r.Notified(), Skipped: r.Skipped, Lost: r.Lost,
		Notify: newBenchLatency(r.Notify), Ended: r.Ended, Repeated: r.Repeated, CPU: round(r.CPU.Seconds())}
}

// Text implements kit.Texter.
func (e benchEvent) Text(w io.Writer, s *kit.Style) error {
	fmt.Fprintf(w, "%d presentities with %d watchers each, over %s for %.2f s\n\n", e.Presentities, e.Watchers, e.Transport, e.Seconds)
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	row := func(name string, n int, rate float64, l benchLatency) []string {
		return []string{name, strconv.Itoa(n), strconv.FormatFloat(rate, 'f', 1, 64), ms(l.P50), ms(l.P90), ms(l.P99), ms(l.Max)}
	}
	rows := [][]string{row("PUBLISH to 200", e.Published, e.Rate, e.Response)}
	if e.Watchers > 0 {
		rows = append(rows, row("PUBLISH to NOTIFY", e.Notified, e.NotifyRate, e.Notify))
	}
	if err := s.Table(w, []string{"", "COUNT", "PER SECOND", "P50 MS", "P90 MS", "P99 MS", "MAX MS"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if e.Watchers > 0 {
		lost := s.Good("0 lost")
		if e.Lost > 0 {
			lost = s.Bad(fmt.Sprintf("%d lost", e.Lost))
		}
		fmt.Fprintf(w, "of %d notifications: %d skipped, %s\n", e.Due, e.Skipped, lost)
	}
	failed := 0
	for _, n := range e.Failed {
		failed += n
	}
	fmt.Fprintf(w, "PUBLISH: %d failed%s, %d missed, %d requests repeated\n", failed, e.failures(), e.Missed, e.Repeated)
	if e.Ended > 0 {
		fmt.Fprintln(w, s.Bad(fmt.Sprintf("%d subscriptions ended by the server", e.Ended)))
	}
	_, err := fmt.Fprintf(w, "this command used %.2f s of processor time\n", e.CPU)
	return err
}

// failures lists failures by status.
func (e benchEvent) failures() string {
	var all []string
	for what, n := range e.Failed {
		all = append(all, fmt.Sprintf("%s: %d", what, n))
	}
	if all == nil {
		return ""
	}
	slices.Sort(all)
	return " (" + strings.Join(all, ", ") + ")"
}
