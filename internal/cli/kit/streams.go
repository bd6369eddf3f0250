package kit

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

// defaultWidth is the width of output that goes to no terminal, in columns.
const defaultWidth = 80

// Streams are the ways in and out of a command.
type Streams struct {
	In                    io.Reader
	Out, Err              io.Writer
	InTTY, OutTTY, ErrTTY bool                // whether the stream is a terminal
	Width                 int                 // of the terminal, in columns
	Env                   func(string) string // the environment
	Dir                   string              // what relative file names are relative to; "" = the process's directory
	// Prompt asks for a secret on the terminal without showing it, until ctx ends; nil = there is nobody to ask.
	Prompt func(ctx context.Context, label string) (string, error)
}

// System returns the streams of the process.
func System() Streams {
	s := Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: systemEnv, Width: defaultWidth}
	s.InTTY = term.IsTerminal(int(os.Stdin.Fd()))
	s.OutTTY = term.IsTerminal(int(os.Stdout.Fd()))
	s.ErrTTY = term.IsTerminal(int(os.Stderr.Fd()))
	if s.OutTTY {
		if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
			s.Width = w
		}
	}
	if s.ErrTTY {
		s.Prompt = promptTerminal
	}
	return s
}

// systemEnv is the environment. HOME is that of the user when it is not set, as in some services, so that no file is looked for in the directory they happen to be in.
func systemEnv(name string) string {
	v := os.Getenv(name)
	if name == "HOME" && v == "" {
		if u, err := user.Current(); err == nil {
			return u.HomeDir
		}
	}
	return v
}

// promptTerminal reads a line without echo from the controlling terminal, so that it works while stdin is a document. When ctx ends the terminal echoes again.
func promptTerminal(ctx context.Context, label string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer tty.Close()
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	io.WriteString(tty, label)
	defer io.WriteString(tty, "\n")
	type answer struct {
		secret []byte
		err    error
	}
	typed := make(chan answer, 1)
	go func() {
		secret, err := term.ReadPassword(fd)
		typed <- answer{secret, err}
	}()
	select {
	case a := <-typed:
		return string(a.secret), a.err
	case <-ctx.Done():
		term.Restore(fd, before)
		return "", ctx.Err()
	}
}

// Recorded returns streams that read the given input and record what is written: for tests.
// The environment is the given list of NAME=VALUE; directory dir is where relative file names lead.
func Recorded(input, dir string, env ...string) (s Streams, out, errs *bytes.Buffer) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	vars := make(map[string]string, len(env))
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		vars[name] = value
	}
	return Streams{
		In: strings.NewReader(input), Out: out, Err: errs, Width: defaultWidth, Dir: dir,
		Env: func(name string) string { return vars[name] },
	}, out, errs
}

// Path returns the file name as the command's directory sees it.
func (s *Streams) Path(name string) string {
	if s.Dir == "" || name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.Dir, name)
}
