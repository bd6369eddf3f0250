package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/server/lab"
)

// runCommand runs a command in the lab and gives its status as an error.
func (o *labOptions) runCommand(ctx context.Context, l *lab.Lab, admin string, command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = labEnviron(l, admin)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.kit.In, o.kit.Out, o.kit.Err
	// A command on a terminal needs to stay in its foreground group; any other
	// gets a group of its own, so that what it leaves behind can be ended.
	group := !o.kit.InTTY
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group}
	if err := cmd.Start(); err != nil {
		return kit.Fail(kit.ExitUsage, "running "+command[0], err, "the words after -- are a command and its arguments")
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = endProcess(cmd.Process, group, ended)
	}
	if group {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	return commandStatus(command[0], err)
}

// endProcess passes a signal on and waits, not for ever.
func endProcess(p *os.Process, group bool, ended <-chan error) error {
	pid := p.Pid
	if group {
		pid = -pid
	}
	syscall.Kill(pid, syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(drainTime):
		syscall.Kill(pid, syscall.SIGKILL)
		return <-ended
	}
}

// commandStatus turns the end of a command into the error with its status.
func commandStatus(name string, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return kit.Fail(kit.ExitUsage, "running "+name, err, "the words after -- are a command and its arguments")
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return kit.Quiet(128 + int(ws.Signal()))
	}
	return kit.Quiet(exit.ExitCode())
}
