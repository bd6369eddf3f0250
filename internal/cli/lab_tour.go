package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/server/lab"
)

// tourStep is one command of the tour with what it must do.
type tourStep struct {
	say    string   // told before it
	args   []string // of imp; none: only say
	stdin  string
	status int    // that it must end with
	shows  string // that its output must contain
	// behind leaves the command running once it has printed waits; a later step with
	// until shows what it has printed when it has ended.
	behind bool
	waits  string
	until  bool
	same   []string // files that must be the same, in the lab's directory
}

// tour is the walk through what works. Every line of it is run and checked.
var tour = []tourStep{
	{say: "A presence server is up, with the users alice, bob and carol of lab.test. Nobody has said anything about alice yet:"},
	{args: []string{"fetch", "alice"}, shows: "alice"},
	{say: "Bob watches alice until she is busy; this goes on in the background."},
	{args: []string{"subscribe", "alice", "-a", "bob", "--until", "activity=busy", "--timeout", "30"}, behind: true, waits: "closed"},
	{say: "Alice sees who watches her:"},
	{args: []string{"watchers", "--count", "1", "--timeout", "30"}, shows: "sip:bob@lab.test"},
	{say: "Alice publishes. What is printed is the entity-tag of her publication."},
	{args: []string{"publish", "--basic", "open", "--note", "at my desk"}},
	{say: "One look at her state. The status of the command answers the question:"},
	{args: []string{"fetch", "alice", "-a", "bob", "--until", "basic=open"}, shows: "at my desk"},
	{say: "The same command changes the same publication, so a cron job may run it again and again."},
	{args: []string{"publish", "--basic", "open", "--activity", "busy"}},
	{say: "That is what bob waited for. He has seen:"},
	{until: true, shows: "busy"},
	{say: "The same over TLS; the accounts trust an authority that was made for this lab:"},
	{args: []string{"publish", "-a", "alice-tls", "--basic", "open", "--activity", "meeting"}},
	{args: []string{"fetch", "alice", "-a", "bob-wss"}, shows: "meeting"},
	{say: "Who may see it is alice's to say. Carol gets to see nobody at home, and cannot tell:"},
	{args: []string{"rules", "allow", "@lab.test", "--except", "carol"}, shows: "@lab.test except sip:carol@lab.test is allowed"},
	{args: []string{"rules", "polite-block", "carol"}, shows: "is politely blocked"},
	{args: []string{"rules", "explain", "carol"}, status: kit.ExitNo, shows: "imp-polite-block: applies"},
	{args: []string{"fetch", "alice", "-a", "carol"}, shows: "closed"},
	{say: "Bob sees her, here beside carol in one subscription to a list of both:"},
	{args: []string{"subscribe", "alice", "carol", "--list", "-a", "bob", "--count", "1", "--timeout", "30"}, shows: "meeting"},
	{say: "Carol listens for a message. While she does she is registered, here over a secure WebSocket:"},
	{args: []string{"listen", "-a", "carol-wss", "--count", "1", "--timeout", "30"}, behind: true, waits: "listening as"},
	{args: []string{"register", "--query", "-a", "carol"}, shows: "sip:carol@"},
	{args: []string{"message", "carol", "the disk is full"}, shows: "delivered"},
	{say: "She has got it:"},
	{until: true, shows: "the disk is full"},
	{say: "Alice keeps contact lists on the XCAP server:"},
	{args: []string{"list", "add", "friends", "sip:bob@lab.test", "--name", "Bob"}, shows: "bob@lab.test"},
	{say: "She watches the document, in the background:"},
	{args: []string{"xcap", "watch", "resource-lists", "--patches", "--count", "2", "--timeout", "30"}, behind: true, waits: "exist"},
	{say: "A document is put whole, or only an element of it; the path shows where it goes:"},
	{args: []string{"xcap", "put", `resource-lists//resource-lists/list[@name="friends"]/entry[@uri="sip:carol@lab.test"]`, "-"},
		stdin: `<entry uri="sip:carol@lab.test"/>`, shows: "201 Created"},
	{say: "The patch has arrived:"},
	{until: true, shows: `<entry uri="sip:carol@lab.test"/>`},
	{args: []string{"list", "show"}, shows: "carol@lab.test"},
	{say: "Bob waits for a file. What is sent to him goes through the MSRP relay, over TLS:"},
	{args: []string{"msrp-recv", "-a", "bob", "--dir", "inbox", "--count", "1", "--timeout", "30"}, behind: true, waits: "listening as"},
	{args: []string{"msrp-send", "bob", "ca.pem"}, shows: "delivered"},
	{until: true, shows: "ca.pem"},
	{same: []string{"ca.pem", "inbox/ca.pem"}},
	{say: "Whoever runs the servers looks into them:"},
	{args: []string{"ctl", "publications"}, shows: "sip:alice@lab.test"},
	{args: []string{"ctl", "health"}, shows: "ok  lab"},
	{say: "For scripts everything is JSON lines:"},
	{args: []string{"fetch", "alice", "-o", "json"}, shows: `"basic":"open"`},
	{say: "Alice goes. Asking for an open state is a clear no then, status 1:"},
	{args: []string{"publish", "--remove"}},
	{args: []string{"fetch", "alice", "--until", "basic=open"}, status: kit.ExitNo},
	{say: "Documents can be made and read without any server:"},
	{args: []string{"pidf", "show", "-"}, stdin: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:carol@lab.test"><tuple id="phone"><status><basic>closed</basic></status></tuple></presence>`, shows: "carol"},
}

// runTour runs the tour in the lab. It ends with an error at the first step
// that does not do what it should.
func (o *labOptions) runTour(ctx context.Context, l *lab.Lab, admin string) error {
	self, err := os.Executable()
	if err != nil {
		return kit.Fail(kit.ExitUsage, "finding the program", err, "call imp by its path")
	}
	g := &guide{kit: o.kit, self: self, dir: l.Dir, env: labEnviron(l, admin)}
	defer g.endBehind()
	steps := 0
	for _, s := range tour {
		if err := g.step(ctx, s); err != nil {
			return err
		}
		if len(s.args) > 0 {
			steps++
		}
	}
	return g.print(fmt.Sprintf("\n%d commands, all as they should be. Start a lab of your own with: imp lab\n", steps))
}

// guide runs the steps of the tour.
type guide struct {
	kit    *kit.Kit
	self   string
	dir    string // of the lab, where the commands run
	env    []string
	behind *exec.Cmd
	seen   *spool // output of behind
}

// spool keeps what a process prints while others look at it.
type spool struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // told when there is more
}

func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *spool) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until text has been printed.
func (s *spool) await(ctx context.Context, text string) error {
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.more:
		case <-ctx.Done():
			return kit.Fail(kit.ExitBug, "touring", fmt.Sprintf("the command in the background did not show %q", text), "")
		}
	}
	return nil
}

func (g *guide) print(text string) error { return g.kit.Print([]byte(text)) }

func (g *guide) step(ctx context.Context, s tourStep) error {
	if s.say != "" {
		if err := g.print("\n" + s.say + "\n"); err != nil {
			return err
		}
	}
	switch {
	case s.until:
		err := g.behind.Wait()
		g.behind = nil
		return g.check(s, "the command in the background", g.seen.String(), err)
	case len(s.same) > 0:
		return g.compare(s.same)
	case len(s.args) == 0:
		return nil
	}
	line := "imp " + shellWords(s.args)
	if s.stdin != "" {
		line = "echo " + shellQuote(s.stdin) + " | " + line
	}
	if s.behind {
		line += " &"
	}
	if err := g.print("$ " + line + "\n"); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, g.self, s.args...)
	cmd.Env, cmd.Dir = g.env, g.dir
	cmd.Stdin = strings.NewReader(s.stdin)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = drainTime
	if s.behind {
		return g.leave(ctx, s, cmd)
	}
	out, err := cmd.CombinedOutput()
	return g.check(s, line, string(out), err)
}

// tourPatience bounds the wait for a command in the background.
const tourPatience = 20 * time.Second

// leave starts a command and goes on.
func (g *guide) leave(ctx context.Context, s tourStep, cmd *exec.Cmd) error {
	g.behind = cmd
	g.seen = &spool{more: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = g.seen, g.seen
	if err := cmd.Start(); err != nil {
		return kit.Fail(kit.ExitUsage, "running imp "+shellWords(s.args), err, "the tour calls the program that it is part of; has it been moved?")
	}
	ctx, cancel := context.WithTimeout(ctx, tourPatience)
	defer cancel()
	return g.seen.await(ctx, s.waits)
}

// check prints what a command said and compares it with what it should say.
func (g *guide) check(s tourStep, line, out string, err error) error {
	if perr := g.print(out); perr != nil {
		return perr
	}
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		return kit.Fail(kit.ExitUsage, "running "+line, err, "the tour calls the program that it is part of; has it been moved?")
	}
	if status != s.status {
		return kit.Fail(kit.ExitBug, "touring", fmt.Sprintf("%s ended with status %d, not %d", line, status, s.status), "")
	}
	if !strings.Contains(out, s.shows) {
		return kit.Fail(kit.ExitBug, "touring", fmt.Sprintf("%s did not show %q", line, s.shows), "")
	}
	return nil
}

// compare shows the hashes of files, which must be one.
func (g *guide) compare(names []string) error {
	lines := "$ sha256sum " + shellWords(names) + "\n"
	hashes := make(map[string]bool)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(g.dir, name))
		if err != nil {
			return kit.Fail(kit.ExitBug, "touring", err, "")
		}
		hash := fmt.Sprintf("%x", sha256.Sum256(data))
		hashes[hash] = true
		lines += hash + "  " + name + "\n"
	}
	if err := g.print(lines); err != nil {
		return err
	}
	if len(hashes) != 1 {
		return kit.Fail(kit.ExitBug, "touring", "the files "+strings.Join(names, " and ")+" differ", "")
	}
	return nil
}

// endBehind leaves no process.
func (g *guide) endBehind() {
	if g.behind != nil && g.behind.Process != nil {
		g.behind.Process.Kill()
		g.behind.Wait()
	}
}

// shellWords writes words as one types them.
func shellWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellQuote(w)
	}
	return strings.Join(quoted, " ")
}
