package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"imp/internal/sip/stack"
)

// many lists numbered subscriptions, the way a source does.
func many(n int) Lister[Subscription] {
	return func(_ context.Context, q Query) (rows []Subscription, more bool, err error) {
		for i := range n {
			s := Subscription{ID: fmt.Sprintf("%06d", i), Resource: fmt.Sprintf("sip:u%d@example.com", i%10)}
			if s.ID <= q.After || q.Resource != "" && q.Resource != s.Resource {
				continue
			}
			if len(rows) == q.Limit {
				return rows, true, nil
			}
			rows = append(rows, s)
		}
		return rows, false, nil
	}
}

func serve(t *testing.T, cfg Config) string {
	t.Helper()
	s, err := Listen("127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return "http://" + s.Addr()
}

// ask sends a request and gives the status and the body of the answer.
func ask(t *testing.T, method, url, body string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func TestPages(t *testing.T) {
	url := serve(t, Config{Subscriptions: many(2500)})
	seen, pages, after := map[string]bool{}, 0, ""
	for {
		status, body := ask(t, "GET", url+"/subscriptions?after="+after, "")
		var p Page[Subscription]
		if err := json.Unmarshal([]byte(body), &p); status != 200 || err != nil || len(p.Rows) > DefaultRows {
			t.Fatalf("%d, %d rows, %v", status, len(p.Rows), err)
		}
		for _, r := range p.Rows {
			seen[r.ID] = true
		}
		pages++
		if after = p.Next; after == "" {
			break
		}
	}
	if len(seen) != 2500 || pages != 3 {
		t.Errorf("%d rows in %d pages", len(seen), pages)
	}
	for query, want := range map[string]int{"?limit=0": 400, "?limit=10001": 400, "?limit=x": 400, "?limit=10000": 200, "?resource=sip:u3@example.com": 200} {
		if status, body := ask(t, "GET", url+"/subscriptions"+query, ""); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if _, body := ask(t, "GET", url+"/subscriptions?resource=sip:nobody@example.com", ""); body != "{\"rows\":[]}\n" {
		t.Errorf("no rows are %s", body)
	}
	if status, _ := ask(t, "GET", url+"/publications", ""); status != 404 {
		t.Errorf("a list without a source: %d", status)
	}
	failing := serve(t, Config{Publications: func(context.Context, Query) ([]Publication, bool, error) {
		return nil, false, errors.New("the store is closed")
	}})
	if status, body := ask(t, "GET", failing+"/publications", ""); status != 503 || !strings.Contains(body, "the store is closed") {
		t.Errorf("%d %s", status, body)
	}
}

func TestHealthAndDrain(t *testing.T) {
	live := 7
	url := serve(t, Config{Server: "presence-server", Version: "1", Listen: func() []string { return []string{"udp:127.0.0.1:5060"} },
		SubscriptionCount: func() int { return live },
		Drain: func(ctx context.Context) error {
			if _, bound := ctx.Deadline(); !bound {
				t.Error("a drain has no end")
			}
			live = 2
			return context.DeadlineExceeded
		}})
	var h Health
	status, body := ask(t, "GET", url+"/healthz", "")
	if err := json.Unmarshal([]byte(body), &h); status != 200 || err != nil || h.Status != "ok" || h.Subscriptions != 7 || len(h.Listen) != 1 {
		t.Fatalf("%d %s %v", status, body, err)
	}
	for _, wrong := range []string{"0", "-1", "x", "NaN", "1e9"} {
		if status, _ := ask(t, "POST", url+"/drain?timeout="+wrong, ""); status != 400 {
			t.Errorf("timeout %s: %d", wrong, status)
		}
	}
	if status, _ := ask(t, "GET", url+"/drain", ""); status != 404 && status != 405 {
		t.Errorf("a look drains: %d", status)
	}
	if status, _ := ask(t, "GET", url+"/healthz", ""); status != 200 {
		t.Error("drains before it was asked to")
	}
	if status, body := ask(t, "POST", url+"/drain?timeout=0.5", ""); status != 200 || body != "{\"subscriptions\":7,\"left\":2}\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(t, "GET", url+"/healthz", ""); status != 503 || !strings.Contains(body, `"draining"`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestLogLevel(t *testing.T) {
	var level slog.LevelVar
	var log bytes.Buffer
	level.Set(slog.LevelWarn)
	url := serve(t, Config{Level: &level, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: &level}))})
	if _, body := ask(t, "GET", url+"/log-level", ""); body != "{\"level\":\"warn\"}\n" {
		t.Error(body)
	}
	if status, body := ask(t, "PUT", url+"/log-level", `{"level":"debug"}`); status != 200 || level.Level() != slog.LevelDebug {
		t.Errorf("%d %s", status, body)
	}
	if !strings.Contains(log.String(), "log level changed") {
		t.Errorf("log: %s", log.String())
	}
	for _, wrong := range []string{"", "{", `{"level":"loud"}`, `{"level":7}`, strings.Repeat(" ", maxBody) + `{"level":"info"}`} {
		if status, _ := ask(t, "PUT", url+"/log-level", wrong); status != 400 || level.Level() != slog.LevelDebug {
			t.Errorf("%.30q: %d", wrong, status)
		}
	}
}

func TestWhoMayCome(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true, "0.0.0.0:0": false, ":0": false, "[::]:0": false, "192.0.2.1:0": false, "nonsense": false} {
		if Loopback(addr) != want {
			t.Errorf("%s: %v", addr, !want)
		}
	}
	for _, addr := range []string{"0.0.0.0:0", ":0"} {
		if _, err := Listen(addr, Config{}); !errors.Is(err, ErrPublic) {
			t.Errorf("%s without a token: %v", addr, err)
		}
	}
	open := serve(t, Config{Subscriptions: many(1)})
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		method string
		change func(*http.Request)
		want   int
	}{
		"by name":              {"GET", host("localhost:80"), 200},
		"a name led here":      {"GET", host("evil.example"), 403},
		"another address":      {"GET", host("192.0.2.1"), 403},
		"a form of a web page": {"POST", header("Origin", "https://evil.example"), 403},
		"a page's script":      {"POST", header("Sec-Fetch-Site", "cross-site"), 403},
	} {
		path := "/subscriptions"
		if c.method == "POST" {
			path = "/memory"
		}
		if status, _ := ask(t, c.method, open+path, "", c.change); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	closed := serve(t, Config{Token: "opensesame", Subscriptions: many(1)})
	for value, want := range map[string]int{"": 401, "Bearer": 401, "Bearer x": 401, "Basic opensesame": 401, "Bearer opensesame": 200, "bearer opensesame": 200} {
		if status, _ := ask(t, "GET", closed+"/subscriptions", "", header("Authorization", value)); status != want {
			t.Errorf("Authorization %q: %d, want %d", value, status, want)
		}
	}
	if status, _ := ask(t, "GET", closed+"/healthz", ""); status != 200 {
		t.Errorf("health without a token: %d", status)
	}
	if status, _ := ask(t, "GET", closed+"/metrics", ""); status != 401 {
		t.Errorf("metrics without a token: %d", status)
	}
}

func TestMetrics(t *testing.T) {
	cfg := Config{Server: "lab", Version: "1", SubscriptionCount: func() int { return 3 },
		Stack: func() stack.Stats {
			return stack.Stats{Messages: map[string]stack.Traffic{"udp": {In: 5, Out: 4}}, Malformed: 2, Connections: 6}
		},
		Relay: func() Relay {
			return Relay{Connections: 7, Sessions: 8, Sends: 9, Bytes: 10, Reports: 11, Failures: 12, Refused: 13}
		},
		Sessions: func(context.Context, Query) ([]Session, bool, error) {
			return []Session{{ID: "1", User: "alice", Sends: 14, BytesOut: 15, BytesIn: 16, Reports: 17, Failures: 18}}, false, nil
		}}
	one, other := serve(t, cfg), serve(t, cfg) // registries are not shared
	for _, url := range []string{one, other} {
		status, body := ask(t, "GET", url+"/metrics", "")
		for _, line := range []string{`imp_build_info{server="lab",version="1"} 1`, "imp_subscriptions 3", "imp_draining 0", "imp_live_heap_bytes ",
			`imp_sip_messages_total{direction="in",transport="udp"} 5`, `imp_sip_trouble_total{kind="malformed"} 2`, "imp_sip_connections 6",
			"imp_msrp_relay_connections 7", "imp_msrp_relay_sessions 8", "imp_msrp_relay_sends_total 9", "imp_msrp_relay_bytes_total 10",
			"imp_msrp_relay_reports_total 11", "imp_msrp_relay_failures_total 12", "imp_msrp_relay_refused_connections_total 13",
			`imp_msrp_session_sends_total{session="1",user="alice"} 14`, `imp_msrp_session_bytes_total{direction="out",session="1",user="alice"} 15`,
			`imp_msrp_session_bytes_total{direction="in",session="1",user="alice"} 16`, `imp_msrp_session_reports_total{session="1",user="alice"} 17`,
			`imp_msrp_session_failures_total{session="1",user="alice"} 18`, "process_resident_memory_bytes ", "go_goroutines "} {
			if status != 200 || !strings.Contains(body, "\n"+line) {
				t.Errorf("%d, no line %s", status, line)
			}
		}
		if strings.Contains(body, "\nimp_publications") {
			t.Error("a figure without a source")
		}
	}
}

func TestMemory(t *testing.T) {
	url := serve(t, Config{})
	var before, after Memory
	_, body := ask(t, "GET", url+"/memory", "")
	if err := json.Unmarshal([]byte(body), &before); err != nil || before.Goroutines == 0 || before.Heap == 0 {
		t.Fatalf("%s %v", body, err)
	}
	_, body = ask(t, "POST", url+"/memory", "")
	if err := json.Unmarshal([]byte(body), &after); err != nil || after.LiveHeap == 0 || after.Collected < before.Collected+2 {
		t.Errorf("%s %v", body, err)
	}
}
