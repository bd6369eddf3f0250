package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// cleanupTime bounds what a command does after it was told to end: unsubscribe, unpublish, say BYE.
const cleanupTime = 5 * time.Second

// errPipe is the cause of the context's end when nobody reads stdout any more.
var errPipe = errors.New("stdout is closed")

// signalled is the cause of the context's end when a signal came.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return s.String() }

// status is the exit status of the signal, as shells know it.
func (s signalled) status() int {
	switch s.Signal {
	case syscall.SIGTERM:
		return ExitTerminate
	case syscall.SIGHUP:
		return ExitHangup
	}
	return ExitInterrupt
}

// Execute runs the command line and returns the exit status. It is to be called once.
//
// SIGINT, SIGTERM and SIGHUP cancel the context of the command, a second SIGINT or SIGTERM ends the process at once. A write to a closed stdout cancels it as well and makes the status 0.
func (k *Kit) Execute(ctx context.Context, root *cobra.Command, args []string) (status int) {
	ctx, k.cancel = context.WithCancelCause(ctx)
	defer k.cancel(nil)
	k.done = ctx.Done()
	defer k.watchSignals()()
	defer k.closeTrace()
	defer func() {
		if r := recover(); r != nil {
			status = k.report(&Error{Exit: ExitBug, Doing: "internal error", Cause: fmt.Errorf("%v", r)})
			k.stack()
		}
	}()
	root.SetArgs(args)
	root.SetIn(k.In)
	root.SetOut(k.Out)
	root.SetErr(k.Err)
	k.adopt(root)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		k.completions(root)
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = k.noHelp
	}
	if err != nil && !k.running.Load() {
		k.outputIn(args)
		err = usageError(cmd, err)
	}
	return k.report(k.interrupted(ctx, err))
}

// adopt prepares the tree: cobra prints nothing itself, and what runs is known to run.
func (k *Kit) adopt(cmd *cobra.Command) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if valid := cmd.Args; valid != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return argsError(cmd, args, valid) }
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := k.begin(); err != nil {
				return err
			}
			return run(cmd, args)
		}
	}
	for _, c := range cmd.Commands() {
		k.adopt(c)
	}
}

// begin marks the end of the parsing of the command line and opens what global flags ask for.
func (k *Kit) begin() error {
	k.running.Store(true)
	return k.openTrace()
}

// watchSignals cancels the context at the first SIGINT, SIGTERM or SIGHUP and ends the process at the second. It returns what stops the watching.
func (k *Kit) watchSignals() (stop func()) {
	sigs := k.Signals
	unregister := func() {}
	if sigs == nil {
		ch := make(chan os.Signal, 2)
		signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
		if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
			signal.Notify(ch, syscall.SIGHUP)
		}
		// Without a handler a write to a closed stdout would kill the process before it can unsubscribe; children get the default back, which Ignore would not give them.
		pipes := make(chan os.Signal, 1)
		signal.Notify(pipes, syscall.SIGPIPE)
		k.sigs = ch
		sigs, unregister = ch, func() { signal.Stop(ch); signal.Stop(pipes) }
	}
	over := make(chan struct{})
	go k.onSignals(sigs, over)
	return func() { close(over); unregister() }
}

func (k *Kit) onSignals(sigs <-chan os.Signal, over <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case s := <-sigs:
			if again := k.hangup.Load(); s == syscall.SIGHUP && again != nil {
				go k.again(*again)
				n--
				continue
			}
			if n > 0 {
				if s == syscall.SIGHUP {
					continue // a closing terminal sends it, and then the shell once more
				}
				exit := k.Exit
				if exit == nil {
					exit = os.Exit
				}
				exit(signalled{s}.status())
				return
			}
			k.cancel(signalled{s})
		}
	}
}

// OnHangup has SIGHUP call again, which reads configuration anew, instead of ending the command, also where the signal is ignored as nohup has it.
func (k *Kit) OnHangup(again func()) {
	k.hangup.Store(&again)
	if k.sigs != nil {
		signal.Notify(k.sigs, syscall.SIGHUP)
	}
}

// again reads configuration anew, once at a time. What it waits for keeps no other signal from being heard.
func (k *Kit) again(read func()) {
	k.reading.Lock()
	defer k.reading.Unlock()
	read()
}

// Interrupted returns the error with status 129, 130 or 143 when the context ended by a signal, else nil. A command returns it when it was interrupted before it had what it waited for.
func Interrupted(ctx context.Context) error {
	var s signalled
	if errors.As(context.Cause(ctx), &s) {
		return Quiet(s.status())
	}
	return nil
}

// Cleanup returns a context for what is left to do after ctx ended (unsubscribe, unpublish, BYE), bounded to five seconds.
func Cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
}

// interrupted replaces the cancellation that a signal led to by the status of the signal.
func (k *Kit) interrupted(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) {
		if bySignal := Interrupted(ctx); bySignal != nil {
			return bySignal
		}
	}
	return err
}

// report prints the error and returns the exit status.
func (k *Kit) report(err error) int {
	if k.piped.Load() {
		return ExitOK
	}
	if err == nil {
		return ExitOK
	}
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		e = Fail(0, "", err, "").(*Error)
	}
	if e.quiet {
		return e.Exit
	}
	if e.Exit == ExitBug && e.Hint == "" {
		e.Hint = "this is a bug in imp, please report it with the command and what -v prints"
	}
	if k.JSON() {
		k.reportJSON(e)
		return e.Exit
	}
	line := "imp: " + oneLine(e.Error()) + "\n"
	if e.Hint != "" {
		line += "hint: " + oneLine(e.Hint) + "\n"
	}
	k.writeErr([]byte(line))
	return e.Exit
}

// ErrorEvent is what -o json prints on stderr when a command fails.
type ErrorEvent struct {
	Head
	Doing  string `json:"doing" doc:"what was being done"`
	Status int    `json:"status" doc:"the peer's SIP, HTTP or MSRP status, 0 when no peer answered"`
	Reason string `json:"reason" doc:"the peer's reason phrase, or what happened"`
	Hint   string `json:"hint" doc:"what to do about it, may be empty"`
	Exit   int    `json:"exit" doc:"the exit status"`
}

func (k *Kit) reportJSON(e *Error) {
	ev := ErrorEvent{Head: k.Head("error"), Doing: e.Doing, Hint: e.Hint, Exit: e.Exit}
	var a Answer
	if errors.As(e.Cause, &a) {
		ev.Status, ev.Reason = a.Code, a.Reason
	} else if e.Cause != nil {
		ev.Reason = e.Cause.Error()
	}
	line, err := json.Marshal(ev)
	if err != nil {
		line = []byte(`{"event":"error"}`)
	}
	k.writeErr(append(escapeHostile(line), '\n'))
}

// stack prints the stack of a panic with -v.
func (k *Kit) stack() {
	if k.Verbose {
		k.writeErr(debug.Stack())
	}
}

// oneLine makes foreign text fit for one line.
func oneLine(s string) string {
	return Clean(strings.ReplaceAll(strings.TrimSpace(s), "\n", "; "))
}
