package kit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	maxSecret     = 4096             // bytes of a secret
	secretWait    = 30 * time.Second // for password_command
	secretFileTip = "the password is the first line, of at most 4096 bytes"
	noSecretTip   = "set IMP_PASSWORD, give --password-file or --password-stdin, or imp account set NAME password_file=FILE"
)

// secret is where an account's password comes from. It is fetched when it is first asked for, since many a server does not ask.
type secret struct {
	fetch func(context.Context) (string, error)
	once  *sync.Mutex
	got   *string
}

// secretOf orders the sources: flags, environment, file of accounts, the person at the terminal.
func secretOf(k *Kit, flags, file Fields) secret {
	s := secret{once: new(sync.Mutex), got: new(string)}
	s.fetch = func(ctx context.Context) (string, error) {
		switch {
		case flags.PasswordStdin:
			return k.SecretFromStdin()
		case flags.Password != "":
			return flags.Password, nil
		case flags.PasswordFile != "":
			return k.secretFromFile(flags.PasswordFile)
		case k.Env("IMP_PASSWORD") != "":
			return k.Env("IMP_PASSWORD"), nil
		case file.Password != "":
			return file.Password, nil
		case file.PasswordFile != "":
			return k.secretFromFile(file.PasswordFile)
		case file.PasswordCommand != "":
			return k.secretFromCommand(ctx, file.PasswordCommand)
		case k.Prompt != nil:
			return k.secretFromPrompt(ctx)
		}
		return "", Fail(ExitUsage, "password", "the server asks for one and there is none", noSecretTip)
	}
	if flags.Password != "" {
		k.WarnArgv()
	}
	return s
}

// WarnArgv warns that a secret was given as an argument.
func (k *Kit) WarnArgv() {
	k.Warn("a password in the arguments can be seen by other users, --password-file and IMP_PASSWORD cannot")
}

// Secret returns the account's password. It is fetched at the first call (from a file, a command, the environment, stdin or the terminal) and kept. Errors have status 2.
func (a *Account) Secret(ctx context.Context) (string, error) {
	a.secret.once.Lock()
	defer a.secret.once.Unlock()
	if *a.secret.got != "" {
		return *a.secret.got, nil
	}
	s, err := a.secret.fetch(ctx)
	if err == nil {
		*a.secret.got = s
	}
	return s, err
}

// SecretFromStdin reads a secret from the first line of stdin; nothing else can be read from it then.
func (k *Kit) SecretFromStdin() (string, error) {
	in, _, err := k.OpenInput("-")
	if err != nil {
		return "", err
	}
	return firstLine(in, "password from stdin")
}

func (k *Kit) secretFromFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", Fail(ExitUsage, "reading password file "+name, plainCause(err), secretFileTip)
	}
	defer f.Close()
	k.warnReadable(name)
	return firstLine(f, "reading password file "+name)
}

// firstLine reads the secret and not a byte more than needed of what follows.
func firstLine(r io.Reader, doing string) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return "", Fail(ExitUsage, doing, plainCause(err), secretFileTip)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case len(line) == 0:
		return "", Fail(ExitUsage, doing, "the first line is empty", secretFileTip)
	case len(line) > maxSecret:
		return "", Fail(ExitUsage, doing, "the first line is too long", secretFileTip)
	}
	return string(line), nil
}

func (k *Kit) secretFromCommand(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, secretWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		cause := err
		if said := strings.TrimSpace(stderr.String()); said != "" {
			cause = errors.New(said)
		}
		return "", Fail(ExitUsage, "running password_command", cause, "sh -c runs it; it prints the password as its first line and ends with status 0")
	}
	return firstLine(bytes.NewReader(out), "running password_command")
}

func (k *Kit) secretFromPrompt(ctx context.Context) (string, error) {
	s, err := k.Prompt(ctx, "Password: ")
	switch {
	case err != nil:
		return "", Fail(ExitUsage, "asking for the password", err, noSecretTip)
	case s == "":
		return "", Fail(ExitUsage, "asking for the password", "none was given", noSecretTip)
	}
	return s, nil
}
