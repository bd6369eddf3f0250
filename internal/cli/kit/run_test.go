package kit

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// program is a root with one command "act" that runs the function.
func program(k *Kit, act func(ctx context.Context) error) *cobra.Command {
	root := &cobra.Command{Use: "imp", Short: "a test"}
	k.Globals(root)
	k.Group(root, &cobra.Command{Use: "act", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return act(cmd.Context()) }})
	k.Help(root)
	return root
}

func TestErrorIsOneLineAndAHint(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		text   string
	}{
		{"all parts", Fail(ExitRefused, "publishing sip:a@b", Answer{403, "Forbidden"}, "ask for a permission"), 3, "imp: publishing sip:a@b: 403 Forbidden\nhint: ask for a permission\n"},
		{"no hint", Fail(ExitNo, "fetching", "there is none", ""), 1, "imp: fetching: there is none\n"},
		{"no cause", Fail(ExitUsage, "fetching", nil, ""), 2, "imp: fetching\n"},
		{"cause of many lines", Fail(ExitDocument, "a.xml:3:4", "one\ntwo", ""), 6, "imp: a.xml:3:4: one; two\n"},
		{"a peer's escapes are harmless", Fail(ExitRefused, "x", Answer{500, "\x1b[2J"}, ""), 3, "imp: x: 500 \\x1b[2J\n"},
		{"inner status and hint", Fail(0, "outer", Fail(ExitNetwork, "inner", "gone", "try again"), ""), 5, "imp: outer: inner: gone\nhint: try again\n"},
		{"quiet", Quiet(ExitNo), 1, ""},
		{"deadline", Fail(0, "waiting", context.DeadlineExceeded, ""), 4, "imp: waiting: context deadline exceeded\n"},
		{"network", Fail(0, "dialling", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, ""), 5, "imp: dialling: dial tcp: connection refused\n"},
		{"certificate", Fail(0, "dialling", x509.UnknownAuthorityError{}, ""), 5, "imp: dialling: x509: certificate signed by unknown authority\n"},
		{"file", Fail(0, "reading", &os.PathError{Op: "open", Path: "f", Err: syscall.ENOENT}, ""), 2, "imp: reading: open f: no such file or directory\n"},
		{"plain error", errors.New("what"), 70, "imp: what\nhint: this is a bug in imp, please report it with the command and what -v prints\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, out, errs := Recorded("", "")
			k := New(s)
			status := k.Execute(t.Context(), program(k, func(context.Context) error { return c.err }), []string{"act"})
			if status != c.status || errs.String() != c.text || out.Len() > 0 {
				t.Errorf("status %d, stderr %q, stdout %q\nwant %d, %q", status, errs, out, c.status, c.text)
			}
		})
	}
}

func TestErrorAsJSON(t *testing.T) {
	s, out, errs := Recorded("", "")
	k := New(s)
	k.Now = func() time.Time { return time.Date(2026, 1, 2, 4, 4, 5, 6e6, time.FixedZone("", 3600)) }
	err := Fail(ExitRefused, "publishing", fmt.Errorf("the server says: %w", Answer{412, "Conditional Request Failed"}), "publish anew")
	status := k.Execute(t.Context(), program(k, func(context.Context) error { return err }), []string{"-o", "json", "act"})
	want := `{"event":"error","time":"2026-01-02T03:04:05.006Z","doing":"publishing","status":412,"reason":"Conditional Request Failed","hint":"publish anew","exit":3}` + "\n"
	if status != 3 || errs.String() != want || out.Len() > 0 {
		t.Errorf("status %d, stderr %s", status, errs)
	}
}

func TestPanicIsABug(t *testing.T) {
	s, _, errs := Recorded("", "")
	k := New(s)
	status := k.Execute(t.Context(), program(k, func(context.Context) error { panic("index out of range") }), []string{"act"})
	if status != ExitBug || !strings.HasPrefix(errs.String(), "imp: internal error: index out of range\nhint: this is a bug in imp") || strings.Contains(errs.String(), "goroutine") {
		t.Errorf("status %d, stderr %s", status, errs)
	}
	s, _, errs = Recorded("", "")
	k = New(s)
	k.Execute(t.Context(), program(k, func(context.Context) error { panic("x") }), []string{"act", "-v"})
	if !strings.Contains(errs.String(), "goroutine") {
		t.Errorf("no stack with -v: %s", errs)
	}
}

// closedPipe is a stdout that nobody reads.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

type pingEvent struct {
	Head
	Seq  int    `json:"seq" doc:"its number"`
	Body string `json:"body,omitempty" doc:"a document"`
}

func (p pingEvent) Text(w io.Writer, _ *Style) error {
	_, err := fmt.Fprintf(w, "ping %d\n", p.Seq)
	return err
}

func (p pingEvent) Raw() []byte { return []byte{byte('0' + p.Seq)} }

func TestClosedStdoutEndsTheRunWithStatus0(t *testing.T) {
	s, _, errs := Recorded("", "")
	s.Out = closedPipe{}
	k := New(s)
	cleaned := false
	status := k.Execute(t.Context(), program(k, func(ctx context.Context) error {
		if err := k.Emit(pingEvent{Head: k.Head("ping")}); err == nil {
			t.Error("Emit says nothing")
		}
		<-ctx.Done()
		c, cancel := Cleanup(ctx)
		defer cancel()
		cleaned = c.Err() == nil
		return Fail(ExitTimeout, "unsubscribing", "no answer", "")
	}), []string{"act"})
	if status != ExitOK || errs.Len() > 0 || !cleaned {
		t.Errorf("status %d, stderr %q, cleaned up %v", status, errs, cleaned)
	}
}

func TestFullDiskIsNotAClosedPipe(t *testing.T) {
	s, _, errs := Recorded("", "")
	s.Out = writerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC })
	k := New(s)
	status := k.Execute(t.Context(), program(k, func(ctx context.Context) error { return k.Emit(pingEvent{Head: k.Head("ping")}) }), []string{"act"})
	if status != ExitUsage || !strings.HasPrefix(errs.String(), "imp: writing to stdout: no space left on device\nhint: ") {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestSignals(t *testing.T) {
	run := func(t *testing.T, act func(*Kit, context.Context) error, sigs ...os.Signal) (status int, stderr string) {
		s, _, errs := Recorded("", "")
		k := New(s)
		ch := make(chan os.Signal, len(sigs))
		k.Signals = ch
		return k.Execute(t.Context(), program(k, func(ctx context.Context) error {
			for _, s := range sigs {
				ch <- s
			}
			return act(k, ctx)
		}), []string{"act"}), errs.String()
	}
	t.Run("an answer that did not come", func(t *testing.T) {
		for sig, want := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
			status, stderr := run(t, func(_ *Kit, ctx context.Context) error {
				<-ctx.Done()
				return Fail(0, "fetching", ctx.Err(), "")
			}, sig)
			if status != want || stderr != "" {
				t.Errorf("%v: status %d, stderr %q", sig, status, stderr)
			}
		}
	})
	t.Run("a command that has nothing to wait for", func(t *testing.T) {
		status, _ := run(t, func(_ *Kit, ctx context.Context) error { <-ctx.Done(); return nil }, os.Interrupt)
		if status != 0 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("an unmet wait", func(t *testing.T) {
		status, stderr := run(t, func(_ *Kit, ctx context.Context) error { <-ctx.Done(); return Interrupted(ctx) }, syscall.SIGTERM)
		if status != 143 || stderr != "" {
			t.Errorf("status %d, stderr %q", status, stderr)
		}
	})
	t.Run("a document that does not come", func(t *testing.T) {
		status, _ := run(t, func(k *Kit, ctx context.Context) error {
			k.In, _ = io.Pipe()
			_, err := k.ReadDocument("-")
			return err
		}, os.Interrupt)
		if status != 130 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("a hangup reads configuration anew where there is some", func(t *testing.T) {
		s, _, _ := Recorded("", "")
		k := New(s)
		sigs, again := make(chan os.Signal), make(chan bool, 2)
		k.Signals = sigs
		status := k.Execute(t.Context(), program(k, func(ctx context.Context) error {
			k.OnHangup(func() { again <- true })
			for range 2 {
				sigs <- syscall.SIGHUP
				<-again
			}
			if ctx.Err() != nil {
				t.Error("the command was ended")
			}
			sigs <- syscall.SIGTERM
			<-ctx.Done()
			return Interrupted(ctx)
		}), []string{"act"})
		if status != 143 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("a hangup that never ends keeps nobody", func(t *testing.T) {
		s, _, _ := Recorded("", "")
		k := New(s)
		sigs, never := make(chan os.Signal), make(chan bool)
		k.Signals = sigs
		status := k.Execute(t.Context(), program(k, func(ctx context.Context) error {
			k.OnHangup(func() { <-never })
			sigs <- syscall.SIGHUP
			sigs <- syscall.SIGTERM
			<-ctx.Done()
			return Interrupted(ctx)
		}), []string{"act"})
		close(never)
		if status != 143 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("the second signal kills", func(t *testing.T) {
		s, _, _ := Recorded("", "")
		k := New(s)
		sigs, killed := make(chan os.Signal), make(chan int, 1)
		k.Signals, k.Exit = sigs, func(status int) { killed <- status }
		k.Execute(t.Context(), program(k, func(ctx context.Context) error {
			sigs <- os.Interrupt
			<-ctx.Done()
			sigs <- syscall.SIGHUP // does not
			sigs <- syscall.SIGTERM
			if got := <-killed; got != 143 {
				t.Errorf("status %d", got)
			}
			return nil
		}), []string{"act"})
	})
}

func TestUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"get":                             "imp: get: an argument is missing\nhint: usage: imp get NAME\n",
		"get a b":                         "imp: get: unexpected argument \"b\"\nhint: usage: imp get NAME\n",
		"gte":                             "imp: unknown command \"gte\"\nhint: did you mean imp get? see imp --help\n",
		"get a --fil":                     "imp: get: unknown flag --fil\nhint: did you mean --file? see imp get --help\n",
		"get a -z":                        "imp: get: unknown flag -z\nhint: see imp get --help\n",
		"get a --file":                    "imp: get: --file wants a value\nhint: see imp get --help\n",
		"get a -o xml":                    "imp: get: --output \"xml\" must be text, json or raw\nhint: see imp get --help\n",
		"put":                             "imp: put: missing --must\nhint: see imp put --help\n",
		"put --must x":                    "imp: put: --must \"x\" is no number\nhint: see imp put --help\n",
		"put --must 1e99":                 "imp: put: --must \"1e99\" is no number\nhint: see imp put --help\n",
		"put --must 99999999999999999999": "imp: put: --must \"99999999999999999999\" is too large\nhint: see imp put --help\n",
		"put --must 1 -v":                 "",
	} {
		s, out, errs := Recorded("", "")
		k := New(s)
		root := program(k, func(context.Context) error { return nil })
		none := func(*cobra.Command, []string) error { return nil }
		get := &cobra.Command{Use: "get NAME", Args: cobra.ExactArgs(1), RunE: none}
		get.Flags().String("file", "", "")
		put := &cobra.Command{Use: "put", RunE: none}
		put.Flags().Int("must", 0, "")
		put.MarkFlagRequired("must")
		root.AddCommand(get, put)
		status := k.Execute(t.Context(), root, strings.Fields(line))
		if errs.String() != want || out.Len() > 0 || (status == ExitUsage) != (want != "") {
			t.Errorf("%s: status %d, %q\nwant %q", line, status, errs, want)
		}
	}
}

func TestTimeoutFlag(t *testing.T) {
	for arg, want := range map[string]time.Duration{"": 32 * time.Second, "10": 10 * time.Second, "0.5": 500 * time.Millisecond, "1m30s": 90 * time.Second, "2h": 2 * time.Hour} {
		s, _, errs := Recorded("", "")
		k := New(s)
		args := []string{"act"}
		if arg != "" {
			args = append(args, "--timeout", arg)
		}
		if status := k.Execute(t.Context(), program(k, func(context.Context) error { return nil }), args); status != 0 {
			t.Fatal(errs)
		}
		if k.Timeout.Std() != want || k.TimeoutSet != (arg != "") {
			t.Errorf("%q: %v, set %v", arg, k.Timeout.Std(), k.TimeoutSet)
		}
	}
	for _, bad := range []string{"", "x", "-1", "-1s", "1x", "1 s"} {
		if _, err := ParseDuration(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestEmit(t *testing.T) {
	for output, want := range map[string]string{
		OutputText: "ping 1\nping 2\n",
		OutputJSON: `{"event":"ping","time":"2000-01-01T00:00:00.000Z","seq":1}` + "\n" + `{"event":"ping","time":"2000-01-01T00:00:01.000Z","seq":2,"body":"<a>&"}` + "\n",
		OutputRaw:  "12",
	} {
		t.Run(output, func(t *testing.T) {
			s, out, _ := Recorded("", "")
			k := New(s)
			k.Output = output
			clock := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
			k.Now = func() time.Time { return clock }
			for i := 1; i <= 2; i++ {
				if err := k.Emit(pingEvent{Head: k.Head("ping"), Seq: i, Body: "<a>&"[:4*(i-1)]}); err != nil {
					t.Fatal(err)
				}
				clock = clock.Add(time.Second)
			}
			if out.String() != want {
				t.Errorf("%q\nwant %q", out, want)
			}
		})
	}
}

func TestEmitEscapesWhatTerminalsActOn(t *testing.T) {
	s, out, _ := Recorded("", "")
	k := New(s)
	k.Output = OutputJSON
	const text = "é \u0085 \u009b2J \u007f \u202e \U0001f600 \x1b[2J"
	if err := k.Emit(pingEvent{Head: k.Head("ping"), Body: text}); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(strings.TrimSuffix(out.String(), "\n"), func(r rune) bool { return hostile(r) || r == '\n' }); i >= 0 {
		t.Errorf("a hostile character at %d of %q", i, out)
	}
	var got pingEvent
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Body != text {
		t.Errorf("%q, %v", got.Body, err)
	}
}

func TestEmitFlushesEveryEventInOneWrite(t *testing.T) {
	writes := 0
	s, _, _ := Recorded("", "")
	s.Out = writerFunc(func(b []byte) (int, error) { writes++; return len(b), nil })
	k := New(s)
	k.Output = OutputJSON
	for range 3 {
		k.Emit(pingEvent{Head: k.Head("ping")})
	}
	if writes != 3 {
		t.Errorf("%d writes for 3 events", writes)
	}
}

func TestStrictRefusesUnregisteredEvents(t *testing.T) {
	s, _, _ := Recorded("", "")
	k := New(s)
	k.Strict = true
	if err := k.Emit(pingEvent{Head: k.Head("ping")}); err == nil {
		t.Error("accepted before Emits")
	}
	k.Emits(&cobra.Command{}, "ping", "a test", pingEvent{})
	if err := k.Emit(pingEvent{Head: k.Head("ping")}); err != nil {
		t.Error(err)
	}
	if err := k.Emit(&pingEvent{Head: k.Head("ping")}); err != nil {
		t.Error(err)
	}
	if err := k.Emit(pingEvent{Head: k.Head("pong")}); err == nil {
		t.Error("accepted under another name")
	}
}

func TestEventFields(t *testing.T) {
	type inner struct {
		ID   string   `json:"id" doc:"an id"`
		Tags []string `json:"tags,omitempty" doc:"words"`
	}
	type outer struct {
		Head
		List  []inner        `json:"list" doc:"things"`
		One   *inner         `json:"one,omitzero" doc:"a thing"`
		When  Time           `json:"when" doc:"a time"`
		Flag  bool           `json:"flag" doc:"a flag"`
		Bytes []byte         `json:"bytes" doc:"base64"`
		Map   map[string]int `json:"map" doc:"counts"`
		skip  int
		Not   int `json:"-"`
	}
	k := New(Streams{})
	k.Emits(nil, "outer", "", outer{skip: 1})
	var got []string
	for _, e := range k.Events() {
		if e.Name == "outer" {
			for _, f := range e.Fields() {
				got = append(got, fmt.Sprintf("%s:%s:%v", f.Name, f.Type, f.Optional))
			}
		}
	}
	want := "event:string:false time:time:false list:list of object:false list[].id:string:false list[].tags:list of string:true " +
		"one:object:true one.id:string:false one.tags:list of string:true when:time:false flag:boolean:false bytes:string:false map:object:false"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
}

func TestNotesGoToStderr(t *testing.T) {
	for args, want := range map[string]string{
		"":      "imp: note 1\nimp: warning: warn\n",
		"-q":    "imp: warning: warn\n",
		"-v":    "imp: note 1\nimp: warning: warn\nimp: detail\n",
		"-v -q": "imp: warning: warn\nimp: detail\n",
	} {
		s, out, errs := Recorded("", "")
		k := New(s)
		k.Execute(t.Context(), program(k, func(context.Context) error {
			k.Note("note %d", 1)
			k.Warn("warn")
			k.Warn("warn")
			k.Debug("detail")
			return nil
		}), append(strings.Fields(args), "act"))
		if errs.String() != want || out.Len() > 0 {
			t.Errorf("%q: %q, want %q", args, errs, want)
		}
	}
}

func TestTimeInJSON(t *testing.T) {
	b, err := json.Marshal([]Time{Time(time.Date(2026, 7, 1, 1, 2, 3, 999999, time.FixedZone("", 7200))), {}})
	if err != nil || string(b) != `["2026-06-30T23:02:03.000Z",null]` {
		t.Errorf("%s, %v", b, err)
	}
	var back Time
	if err := json.Unmarshal([]byte(`"2026-06-30T23:02:03.000Z"`), &back); err != nil || time.Time(back).Unix() != 1782860523 {
		t.Errorf("%v, %v", time.Time(back), err)
	}
}
