package lab_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// phone is a client that somebody else wrote, driven by the test. What it does
// comes back as events, each a JSON object.
type phone interface {
	register()
	publish(note string)
	watch(target string)
	sees(target, note string)
	send(target, text string)
	gets(from, text string)
}

// happening is what a phone tells.
type happening struct {
	Event  string `json:"event"`
	Status int    `json:"status"`
	From   string `json:"from"`
	Body   string `json:"body"`
	Cause  string `json:"cause"`
}

// events are those of one phone in order, with all that it printed for the log
// of a failure.
type events struct {
	t    *testing.T
	name string
	next chan happening
}

// await waits for an event that satisfies want.
func (e *events) await(what string, want func(happening) bool) happening {
	e.t.Helper()
	limit := time.After(patience)
	var seen []happening
	for {
		select {
		case h, ok := <-e.next:
			if !ok {
				e.t.Fatalf("%s ended before %s; it told %+v", e.name, what, seen)
			}
			if seen = append(seen, h); want(h) {
				return h
			}
		case <-limit:
			e.t.Fatalf("%s: no %s; it told %+v", e.name, what, seen)
		}
	}
}

// line is a process that reads commands and writes events, a line each.
type line struct {
	t      *testing.T
	stdin  io.Writer
	told   *events
	parse  func(string) (happening, bool)
	stderr strings.Builder
}

// spawn starts a phone's process; parse makes events of what it prints.
func spawn(t *testing.T, name string, cmd *exec.Cmd, parse func(string) (happening, bool)) *line {
	t.Helper()
	l := &line{t: t, parse: parse, told: &events{t: t, name: name, next: make(chan happening, 256)}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.stdin, cmd.Stderr = stdin, &l.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		l.read(stdout)
	}()
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		<-read
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s on stderr: %s", name, l.stderr.String())
		}
	})
	return l
}

func (l *line) read(r io.Reader) {
	defer close(l.told.next)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if h, ok := l.parse(lines.Text()); ok {
			select {
			case l.told.next <- h:
			default: // nobody waits for the rest
			}
		}
	}
}

func (l *line) say(format string, args ...any) {
	l.t.Helper()
	if _, err := fmt.Fprintf(l.stdin, format+"\n", args...); err != nil {
		l.t.Fatalf("%s: %v", l.told.name, err)
	}
}
