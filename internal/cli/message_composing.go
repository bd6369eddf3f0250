package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	terminal "golang.org/x/term"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/doc/composing"
)

// compositions tell the targets of a command that the next line is being typed
// (RFC 3994). nil tells nobody.
type compositions map[string]*pager.Composition

// newCompositions makes those with each of the targets.
func newCompositions(k *kit.Kit, sender *pager.Sender, targets []string) compositions {
	all := make(compositions, len(targets))
	for _, to := range targets {
		all[to] = pager.NewComposition(sender, to, composing.Settings{Refresh: composing.MinRefresh}, func(err error) {
			k.Debug("telling %s that a message is being written: %v", to, err)
		})
	}
	return all
}

func (all compositions) typed() {
	for _, c := range all {
		c.Input()
	}
}

// content waits for the turn of a message to a target; done is to be called when
// it is answered.
func (all compositions) content(ctx context.Context, to string) (done func(), err error) {
	if c := all[to]; c != nil {
		return c.Content(ctx)
	}
	return func() {}, nil
}

func (all compositions) close() {
	for _, c := range all {
		c.Close()
	}
}

// partial is an input that tells when a line has begun and is not complete,
// after the lines before it were read.
type partial struct {
	io.Reader
	typed func()
	rest  []byte // what follows the last line end of what was read
}

// Read implements io.Reader.
func (p *partial) Read(b []byte) (n int, err error) {
	if len(p.rest) > 0 {
		n = copy(b, p.rest)
		p.rest = p.rest[n:]
		p.typed()
		return n, nil
	}
	n, err = p.Reader.Read(b)
	switch end := bytes.LastIndexByte(b[:n], '\n') + 1; {
	case end == n:
	case end == 0:
		p.typed()
	default:
		p.rest = append(p.rest[:0], b[end:n]...)
		n, err = end, nil // an error comes again
	}
	return n, err
}

// typist is the terminal when each key counts: it gives nothing before a line
// is complete otherwise. What is printed meanwhile goes above the line.
type typist struct {
	*terminal.Terminal
	restore func()
	line    []byte // the rest of a line that was read
	keys    *keys
}

// keys are what the terminal sends. Ctrl-C is a key like others there.
type keys struct {
	io.Reader
	broken bool // Ctrl-C came
}

// Read implements io.Reader.
func (k *keys) Read(b []byte) (int, error) {
	n, err := k.Reader.Read(b)
	k.broken = k.broken || bytes.IndexByte(b[:n], 3) >= 0
	return n, err
}

// openTypist takes the terminal over, and all that is printed on it.
func openTypist(k *kit.Kit) (*typist, error) {
	in, ok := k.In.(*os.File)
	echo := k.Err
	if !k.ErrTTY {
		echo = k.Out
	}
	if !ok || !k.ErrTTY && !k.OutTTY {
		return nil, usage("--composing has no terminal to show what is typed", "let stdout or stderr be the terminal")
	}
	before, err := terminal.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "taking the terminal", err, "leave --composing out")
	}
	t := &typist{keys: &keys{Reader: in}}
	t.Terminal = terminal.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t.keys, echo}, "")
	out, errs := k.Out, k.Err
	if k.OutTTY {
		k.Out = t.Terminal
	}
	if k.ErrTTY {
		k.Err = t.Terminal
	}
	t.restore = func() {
		terminal.Restore(int(in.Fd()), before)
		k.Out, k.Err = out, errs
	}
	return t, nil
}

// onKey has f called at each key that changes the line.
func (t *typist) onKey(f func()) {
	t.AutoCompleteCallback = func(string, int, rune) (string, int, bool) {
		f()
		return "", 0, false
	}
}

// Read implements io.Reader: it gives the lines that are typed.
func (t *typist) Read(b []byte) (int, error) {
	if len(t.line) == 0 {
		line, err := t.ReadLine()
		if err != nil && !errors.Is(err, terminal.ErrPasteIndicator) {
			if t.keys.broken {
				syscall.Kill(os.Getpid(), syscall.SIGINT) // as the terminal does otherwise
			}
			return 0, err
		}
		t.line = append([]byte(line), '\n')
	}
	n := copy(b, t.line)
	t.line = t.line[n:]
	return n, nil
}
