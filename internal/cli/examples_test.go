package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

// tree returns the commands over streams that lead nowhere.
func tree() (*kit.Kit, *cobra.Command) {
	s, _, _ := kit.Recorded("", "")
	k := kit.New(s)
	return k, Root(k)
}

// commands returns every command a user can see, the root first.
func commands(root *cobra.Command) (list []*cobra.Command) {
	list = append(list, root)
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			list = append(list, commands(c)...)
		}
	}
	return list
}

// transcript is a command line in a help text and what it prints.
type transcript struct {
	line string
	want []string
}

// interrupted reports whether the transcript ends with Ctrl-C, as that of a server or a watch does.
func (t transcript) interrupted() bool { return len(t.want) > 0 && t.want[len(t.want)-1] == "^C" }

// printed is what the transcript prints, without the ^C.
func (t transcript) printed() []string {
	if t.interrupted() {
		return t.want[:len(t.want)-1]
	}
	return t.want
}

// transcripts reads the "  $ command" lines of a help text with the lines that follow each.
func transcripts(example string) (list []transcript) {
	for _, line := range strings.Split(example, "\n") {
		line = strings.TrimPrefix(line, "  ")
		if cmd, ok := strings.CutPrefix(line, "$ "); ok {
			list = append(list, transcript{line: cmd})
			continue
		}
		if len(list) == 0 {
			continue
		}
		last := &list[len(list)-1]
		if len(last.want) == 0 && strings.HasSuffix(last.line, `\`) {
			last.line += "\n" + line
			continue
		}
		last.want = append(last.want, line)
	}
	for i := range list {
		for n := len(list[i].want); n > 0 && list[i].want[n-1] == ""; n-- {
			list[i].want = list[i].want[:n-1]
		}
	}
	return list
}

// scriptExamples runs the transcripts of a command's help.
func scriptExamples(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: examples COMMAND…")
	}
	_, root := tree()
	cmd, rest, err := root.Find(args)
	if err != nil || len(rest) > 0 || cmd == root {
		ts.Fatalf("no command %q", args)
	}
	list := transcripts(cmd.Example)
	if len(list) == 0 {
		ts.Fatalf("the help of %s has no transcript", cmd.CommandPath())
	}
	sh := shell{
		env:   scriptEnv(ts),
		dir:   ts.MkAbs("."),
		state: filepath.Join(ts.Getenv("WORK"), ".tmp", "exported"),
		out:   filepath.Join(ts.Getenv("WORK"), ".tmp", "printed"),
		kill:  ts.Defer,
	}
	ts.Check(os.WriteFile(sh.state, nil, 0o600))
	for _, t := range list {
		ts.Logf("$ %s", t.line)
		got, err := sh.run(t)
		if err != nil {
			ts.Fatalf("$ %s: %v", t.line, err)
		}
		ts.Logf("%s", strings.Join(got, "\n"))
		if !sameLines(got, t.printed()) {
			ts.Fatalf("$ %s\nprints\n%s\nthe help of %s says\n%s", t.line, strings.Join(got, "\n"), cmd.CommandPath(), strings.Join(t.want, "\n"))
		}
	}
}

// shell runs transcripts one after the other as one session would: what is exported stays, and what goes to the background is left alone until the script ends.
type shell struct {
	env        []string
	dir        string
	state, out string // files: the exported variables, the output
	kill       func(func())
}

// run returns the lines that the transcript prints on stdout and stderr. The status is not looked at: a transcript may show how a command fails.
func (sh *shell) run(t transcript) ([]string, error) {
	out, err := os.Create(sh.out)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command("sh", "-c", ". "+sh.state+"\n"+t.line+"\nexport -p >"+sh.state)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = sh.env, sh.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	sh.kill(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	if t.interrupted() {
		awaitLines(sh.out, t.printed(), done)
		syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	}
	select {
	case <-done:
	case <-time.After(patience):
		return nil, fmt.Errorf("it runs on after %v; does a line ^C lack?", patience)
	}
	return readLines(sh.out), nil
}

// awaitLines waits until the file has the lines of a transcript, or the process has ended.
func awaitLines(name string, want []string, done <-chan struct{}) {
	give := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !sameLines(readLines(name), want) {
		select {
		case <-done:
			return
		case <-give:
			return
		case <-tick.C:
		}
	}
}

func readLines(name string) []string {
	data, err := os.ReadFile(name)
	if text := strings.TrimRight(string(data), "\n"); err == nil && text != "" {
		return strings.Split(text, "\n")
	}
	return nil
}

// sameLines compares output with a transcript, in which … stands for any text in a line and, alone on a line, for any lines.
func sameLines(got, want []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "…" {
		return sameLines(got, want[1:]) || len(got) > 0 && sameLines(got[1:], want)
	}
	if len(got) == 0 {
		return false
	}
	parts := strings.Split(want[0], "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	line := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
	return line.MatchString(got[0]) && sameLines(got[1:], want[1:])
}

func TestSameLines(t *testing.T) {
	for _, c := range []struct {
		got, want string
		same      bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a\nb", false},
		{"a\nb", "a", false},
		{"etag 17", "etag …", true},
		{"etag 17 more", "etag …x", false},
		{"a\nb\nc", "a\n…\nc", true},
		{"a\nc", "a\n…\nc", true},
		{"a\nb", "a\n…\nc", false},
		{"a.c", "a.c", true},
		{"abc", "a.c", false},
	} {
		if got := sameLines(strings.Split(c.got, "\n"), strings.Split(c.want, "\n")); got != c.same {
			t.Errorf("%q against %q: %v", c.got, c.want, got)
		}
	}
}

// TestHelp checks that every command explains itself: what it does, how, and by at least two transcripts.
func TestHelp(t *testing.T) {
	_, root := tree()
	for _, cmd := range commands(root) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.HasParent() && cmd.Short[0] >= 'a' && cmd.Short[0] <= 'z' {
			t.Errorf("%s: the short help %q is not a phrase that begins with a capital letter and has no full stop", path, cmd.Short)
		}
		if cmd.Long == "" {
			t.Errorf("%s: there is no long help", path)
		}
		if n := len(transcripts(cmd.Example)); n < 2 {
			t.Errorf("%s: the help has %d transcripts, want 2 or more", path, n)
		}
		for _, line := range strings.Split(cmd.Long, "\n") {
			if len([]rune(line)) > 120 {
				t.Errorf("%s: a line of the help is longer than 120 characters: %s", path, line)
			}
		}
	}
}

// TestExamplesRun checks that some script runs the transcripts of every command.
func TestExamplesRun(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scripts, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", scripts, err)
	}
	run := map[string]bool{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(data), "\n") {
			words := strings.Fields(line)
			if len(words) > 0 && strings.HasPrefix(words[0], "[") {
				words = words[1:]
			}
			if len(words) > 1 && words[0] == "examples" {
				run[strings.Join(words[1:], " ")] = true
			}
		}
	}
	_, root := tree()
	for _, cmd := range commands(root) {
		path := strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), "imp"))
		if cmd.HasParent() && !run[path] {
			t.Errorf("no script has the line: examples %s", path)
		}
	}
}

// TestExamplesParse checks that every call of imp in a help text names a command that exists and gives it flags and arguments that it takes.
func TestExamplesParse(t *testing.T) {
	_, root := tree()
	for _, cmd := range commands(root) {
		for _, tr := range transcripts(cmd.Example) {
			calls := impCalls(tr.line)
			if len(calls) == 0 {
				t.Errorf("%s: no imp in the transcript $ %s", cmd.CommandPath(), tr.line)
			}
			for _, args := range calls {
				if err := parses(args); err != nil {
					t.Errorf("%s: in the transcript $ %s: %v", cmd.CommandPath(), tr.line, err)
				}
			}
		}
	}
}

// parses reads a command line as Execute would, without running anything.
func parses(args []string) error {
	_, root := tree()
	root.SetOut(io.Discard)
	root.InitDefaultHelpCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if help, _ := cmd.Flags().GetBool("help"); help {
		return nil
	}
	if cmd.HasSubCommands() && len(cmd.Flags().Args()) > 0 && cmd.ArgsLenAtDash() < 0 {
		return kit.Fail(kit.ExitUsage, cmd.CommandPath(), "unknown command "+cmd.Flags().Args()[0], "")
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	return cmd.ValidateFlagGroups()
}

// impCalls returns the arguments of every simple command in a line of shell that calls imp.
func impCalls(line string) (calls [][]string) {
	for _, words := range simpleCommands(line) {
		for len(words) > 0 && (strings.Contains(words[0], "=") || slices.Contains([]string{"while", "until", "if", "do", "then", "!", "exec", "timeout"}, words[0])) {
			words = words[1:]
		}
		if len(words) > 0 && words[0] == "imp" {
			// What follows -- is the command line of another program.
			if i := slices.Index(words, "--"); i >= 0 {
				if tail := words[i+1:]; len(tail) > 0 && tail[0] == "imp" {
					calls = append(calls, tail[1:])
				}
			}
			calls = append(calls, words[1:])
		}
	}
	return calls
}

// simpleCommands splits a line of shell at |, &&, ||, ;, & and line ends, and takes out redirections; the commands of $(…) come as commands of their own. It knows as much of the
// shell as examples need.
func simpleCommands(line string) (list [][]string) {
	var words []string
	var word strings.Builder
	inWord, skip := false, false
	endWord := func() {
		if inWord && !skip {
			words = append(words, word.String())
		}
		skip = skip && !inWord
		word.Reset()
		inWord = false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			list = append(list, words)
		}
		words, skip = nil, false
	}
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '$' && i+1 < len(line) && line[i+1] == '(' && quote != '\'':
			end := closing(line[i+2:])
			list = append(list, simpleCommands(line[i+2:i+2+end])...)
			word.WriteString("1")
			inWord = true
			i += 2 + end
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '\\' && i+1 < len(line):
			i++
			if line[i] != '\n' {
				word.WriteByte(line[i])
				inWord = true
			}
		case c == ' ' || c == '\t':
			endWord()
		case c == '#' && !inWord:
			if end := strings.IndexByte(line[i:], '\n'); end >= 0 {
				i += end - 1
			} else {
				i = len(line)
			}
		case c == '>' || c == '<':
			if w := word.String(); w == "1" || w == "2" {
				word.Reset()
				inWord = false
			}
			endWord()
			for i+1 < len(line) && (line[i+1] == '>' || line[i+1] == '&') {
				i++
			}
			skip = true
		case strings.IndexByte("|&;\n", c) >= 0:
			endCommand()
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	endCommand()
	return list
}

// closing returns where the parenthesis that is open at the start closes.
func closing(s string) int {
	depth := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

func TestImpCalls(t *testing.T) {
	for line, want := range map[string]string{
		`imp version`: "version",
		`imp pidf new --basic open | imp publish -`:   "pidf new --basic open;publish -",
		`tail -f log | imp message ops --lines - &`:   "message ops --lines -",
		`imp publish --modify "$(cat tag)" f.xml`:     "publish --modify 1 f.xml",
		`e=$(imp publish f.xml) && imp fetch 2>&1`:    "publish f.xml;fetch",
		`imp lab -- imp fetch bob`:                    "fetch bob;lab -- imp fetch bob",
		`imp subscribe bob --until 'a=b c' > out.txt`: "subscribe bob --until a=b c",
		`IMP_ACCOUNT=bob imp fetch < x`:               "fetch",
		"imp a \\\n  b":                               "a b",
		`imp a # imp b`:                               "a",
	} {
		var got []string
		for _, c := range impCalls(line) {
			got = append(got, strings.Join(c, " "))
		}
		if s := strings.Join(got, ";"); s != want {
			t.Errorf("%s\n got %q\nwant %q", line, s, want)
		}
	}
}
