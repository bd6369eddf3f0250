package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"imp/internal/cli/kit"
)

// scripts is where the scripts of all commands are, from this package's directory.
const scripts = "../../testdata/script"

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

// TestMain lets the test binary be imp when a script calls it by that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"imp": func() {
		k := kit.New(kit.System())
		k.Strict = true
		os.Exit(run(k))
	}})
}

// TestScripts runs testdata/script/*.txtar: what a user types and what comes of it. Next to the commands of testscript there are:
//
//	status N imp …                  run imp, which must end with exit status N
//	json [-count=N] FILE TERM…      a line of JSON in FILE (or stdout, stderr) matches all terms: KEY=VALUE, KEY~REGEXP, or KEY alone for "is there"; -count wants exactly N such lines
//	jsonenv FILE KEY VAR [TERM…]    set $VAR to KEY of the first such line
//	start NAME imp …                run imp in the background, go on when it has printed a line; $WORK/NAME.out and NAME.err have its output
//	end NAME [N]                    send SIGTERM, wait; it must end with status N (0)
//	interrupt NAME [N]              the same with SIGINT
//	over NAME [N]                   wait until it ends by itself
//	crash NAME 137                  the same with SIGKILL
//	hangup NAME                     send SIGHUP and go on
//	await FILE REGEXP               wait until FILE has a match
//	examples COMMAND…               run the transcripts in the command's help and compare what they print: … stands for any text, alone on a line for any lines; a last line ^C
//	                                interrupts what runs on when the lines before it have been printed; exported variables stay from one transcript to the next
//	silent VAR                      set $VAR to host:port of a UDP socket that takes everything and says nothing
//	sh LINE                         run a line of shell
//
// HOME is $WORK/home, and the XDG directories are in it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 scripts,
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: false,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":    scriptStatus,
			"json":      scriptJSON,
			"jsonenv":   scriptJSONEnv,
			"start":     scriptStart,
			"end":       func(ts *testscript.TestScript, neg bool, args []string) { scriptEnd(ts, neg, args, syscall.SIGTERM) },
			"interrupt": func(ts *testscript.TestScript, neg bool, args []string) { scriptEnd(ts, neg, args, syscall.SIGINT) },
			"crash":     func(ts *testscript.TestScript, neg bool, args []string) { scriptEnd(ts, neg, args, syscall.SIGKILL) },
			"over":      func(ts *testscript.TestScript, neg bool, args []string) { scriptEnd(ts, neg, args, syscall.Signal(0)) },
			"hangup":    scriptHangup,
			"await":     scriptAwait,
			"examples":  scriptExamples,
			"silent":    scriptSilent,
			"sh": func(ts *testscript.TestScript, neg bool, args []string) {
				failed := ts.Exec("sh", "-c", strings.Join(args, " ")) != nil
				if failed != neg {
					ts.Fatalf("sh: failed is %v", failed)
				}
			},
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "long":
				return os.Getenv("IMP_LONG") != "", nil
			case "kamailio": // with its XCAP server
				found, _ := filepath.Glob("/usr/lib/*/kamailio/modules/xcap_server.so")
				_, err := exec.LookPath("kamailio")
				return err == nil && len(found) > 0, nil
			case "phones": // Node.js with libraries of browsers
				_, err := exec.LookPath("node")
				return err == nil && os.Getenv("IMP_NODE_MODULES") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

type runningKey struct{}

func setupScript(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	e.Setenv("HOME", home)
	e.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	e.Setenv("XDG_STATE_HOME", filepath.Join(home, ".local", "state"))
	e.Setenv("TZ", "UTC")
	if modules := os.Getenv("IMP_NODE_MODULES"); modules != "" {
		drivers, err := filepath.Abs(filepath.Join("..", "..", "testdata", "interop"))
		if err != nil {
			return err
		}
		e.Setenv("MODULES", modules)
		e.Setenv("DRIVERS", drivers)
	}
	// The race detector would wait a second at the end of every process.
	e.Setenv("GORACE", "atexit_sleep_ms=0")
	e.Values[runningKey{}] = map[string]*running{}
	return os.MkdirAll(home, 0o700)
}

func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitStatus(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := err.(*exec.ExitError); ok {
		if exit.ExitCode() < 0 {
			return 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		}
		return exit.ExitCode()
	}
	return -1
}

// jsonLines returns the lines of the file that match all terms.
func jsonLines(ts *testscript.TestScript, file string, terms []string) (found []map[string]any) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	dec.UseNumber()
	for {
		var v map[string]any
		if err := dec.Decode(&v); err == io.EOF {
			return found
		} else if err != nil {
			ts.Fatalf("%s: %v", file, err)
		}
		if matchesTerms(ts, v, terms) {
			found = append(found, v)
		}
	}
}

var term = regexp.MustCompile(`(?s)^([A-Za-z0-9_.]+)(?:([=~])(.*))?$`)

func matchesTerms(ts *testscript.TestScript, v map[string]any, terms []string) bool {
	for _, t := range terms {
		m := term.FindStringSubmatch(t)
		if m == nil {
			ts.Fatalf("%q is not KEY, KEY=VALUE or KEY~REGEXP", t)
		}
		value, there := lookup(v, strings.Split(m[1], "."))
		switch m[2] {
		case "=":
			there = there && value == m[3]
		case "~":
			ok, err := regexp.MatchString(m[3], value)
			ts.Check(err)
			there = there && ok
		}
		if !there {
			return false
		}
	}
	return true
}

// lookup finds a.b.0.c in decoded JSON; strings and numbers come as they are written, the rest as JSON.
func lookup(v any, path []string) (string, bool) {
	for _, p := range path {
		switch in := v.(type) {
		case map[string]any:
			next, ok := in[p]
			if !ok {
				return "", false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(in) {
				return "", false
			}
			v = in[i]
		default:
			return "", false
		}
	}
	if s, ok := v.(string); ok {
		return s, true
	}
	b, err := json.Marshal(v)
	return string(b), err == nil
}

func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	count := -1
	if len(args) > 0 {
		if n, ok := strings.CutPrefix(args[0], "-count="); ok {
			var err error
			count, err = strconv.Atoi(n)
			ts.Check(err)
			args = args[1:]
		}
	}
	if len(args) < 1 || neg && count >= 0 {
		ts.Fatalf("usage: json [-count=N] FILE TERM…")
	}
	n := len(jsonLines(ts, args[0], args[1:]))
	switch {
	case count >= 0 && n != count:
		ts.Fatalf("%d lines match, want %d", n, count)
	case count < 0 && neg && n > 0:
		ts.Fatalf("%d lines match, want none", n)
	case count < 0 && !neg && n == 0:
		ts.Fatalf("no line matches %q", args[1:])
	}
}

func scriptJSONEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: jsonenv FILE KEY VAR [TERM…]")
	}
	for _, v := range jsonLines(ts, args[0], args[3:]) {
		if value, ok := lookup(v, strings.Split(args[1], ".")); ok {
			ts.Setenv(args[2], value)
			return
		}
	}
	ts.Fatalf("no line has %s", args[1])
}

// running is a process that start started.
type running struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func scriptHangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hangup NAME")
	}
	r := ts.Value(runningKey{}).(map[string]*running)[args[0]]
	if r == nil {
		ts.Fatalf("%s does not run", args[0])
	}
	ts.Check(r.cmd.Process.Signal(syscall.SIGHUP))
}

// patience bounds every wait in a script; none is expected to take long.
const patience = 20 * time.Second

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME command…")
	}
	all := ts.Value(runningKey{}).(map[string]*running)
	name := args[0]
	if all[name] != nil {
		ts.Fatalf("%s runs already", name)
	}
	out, err := os.Create(filepath.Join(ts.Getenv("WORK"), name+".out"))
	ts.Check(err)
	errs, err := os.Create(filepath.Join(ts.Getenv("WORK"), name+".err"))
	ts.Check(err)
	program, err := exec.LookPath(args[1])
	ts.Check(err)
	r := &running{cmd: exec.Command(program, args[2:]...), done: make(chan struct{})}
	r.cmd.Env, r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = scriptEnv(ts), ts.MkAbs("."), out, errs
	ts.Check(r.cmd.Start())
	all[name] = r
	go func() {
		r.err = r.cmd.Wait()
		out.Close()
		errs.Close()
		close(r.done)
	}()
	ts.Defer(func() {
		r.cmd.Process.Kill()
		<-r.done
	})
	if !awaitFile(out.Name(), regexp.MustCompile(`\n`), r.done) {
		said, _ := os.ReadFile(errs.Name())
		ts.Fatalf("%s has printed no line; stderr: %s", name, said)
	}
}

func scriptSilent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: silent VAR")
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { c.Close() })
	ts.Setenv(args[0], c.LocalAddr().String())
}

// scriptEnv returns the environment as the script has set it, which testscript tells only to processes.
func scriptEnv(ts *testscript.TestScript) []string {
	name := filepath.Join(ts.Getenv("WORK"), ".tmp", "env")
	ts.Check(ts.Exec("sh", "-c", `env -0 >"$0"`, name))
	return strings.Split(strings.TrimSuffix(ts.ReadFile(name), "\x00"), "\x00")
}

// awaitFile waits until the file has a match; false when the process ended or patience ran out before.
func awaitFile(name string, want *regexp.Regexp, done <-chan struct{}) bool {
	give := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ended := false
		select {
		case <-done:
			ended = true
		default:
		}
		if data, err := os.ReadFile(name); err == nil && want.Match(data) {
			return true
		}
		if ended {
			return false
		}
		select {
		case <-give:
			return false
		case <-tick.C:
		}
	}
}

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	if !awaitFile(ts.MkAbs(args[0]), want, nil) {
		data, _ := os.ReadFile(ts.MkAbs(args[0]))
		ts.Fatalf("%s has no match for %s after %v:\n%s", args[0], args[1], patience, data)
	}
}

func scriptEnd(ts *testscript.TestScript, neg bool, args []string, sig syscall.Signal) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: end NAME [STATUS]")
	}
	want := 0
	if len(args) == 2 {
		var err error
		want, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	all := ts.Value(runningKey{}).(map[string]*running)
	r := all[args[0]]
	if r == nil {
		ts.Fatalf("%s does not run", args[0])
	}
	delete(all, args[0])
	r.cmd.Process.Signal(sig)
	select {
	case <-r.done:
	case <-time.After(patience):
		ts.Fatalf("%s did not end after %v", args[0], sig)
	}
	if got := exitStatus(r.err); got != want {
		said, _ := os.ReadFile(filepath.Join(ts.Getenv("WORK"), args[0]+".err"))
		ts.Fatalf("%s ended with status %d, want %d; stderr: %s", args[0], got, want, bytes.TrimSpace(said))
	}
}
