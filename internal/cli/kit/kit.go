// Package kit is what every command of imp is made with: streams, global flags, accounts, output, waiting and exit statuses.
//
// It keeps the rules of imp(1), imp-json(7) and imp-accounts(5) in one place and knows no protocol: commands bring the protocol packages, kit brings the behaviour that
// scripts rely on. A command is an options struct, a constructor that takes a *Kit and returns a *cobra.Command, and a run(ctx) error that tests can call directly.
package kit

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

// The values of --output.
const (
	OutputText = "text" // for people
	OutputJSON = "json" // one object a line
	OutputRaw  = "raw"  // bodies byte for byte, back to back
)

// DefaultTimeout is the time that a command with one answer waits for it (64*T1 of RFC 3261).
const DefaultTimeout = Duration(32 * time.Second)

// Kit is one run of imp: the streams, what the global flags say, and what is shared by the commands.
// The exported fields may be set before Execute; a test sets those it needs and calls a command's run itself.
type Kit struct {
	Streams

	Now     func() time.Time // the clock; nil = time.Now
	Signals <-chan os.Signal // nil = the process's SIGINT, SIGTERM and SIGHUP
	Exit    func(status int) // ends the process at the second signal; nil = os.Exit

	Output      string   // --output
	Quiet       bool     // --quiet
	Verbose     bool     // --verbose
	Timeout     Duration // --timeout
	TimeoutSet  bool     // --timeout was given; only then does it end a watch
	AccountName string   // --account
	Overrides   Fields   // the account fields given as flags

	// Strict makes Emit refuse an event that no command has registered with Emits.
	Strict bool

	color     string
	trace     []string
	traceSIP  bool
	traceFile string

	events  []Event
	mu      sync.Mutex // serialises stdout and stderr
	line    []byte
	done    <-chan struct{}
	cancel  context.CancelCauseFunc
	piped   atomic.Bool
	running atomic.Bool
	hangup  atomic.Pointer[func()]
	reading sync.Mutex
	sigs    chan os.Signal // nil = Signals was given
	stdin   sync.Once
	tracing tracing
	told    sync.Map
	noHelp  error // why the help that was asked for was not printed
}

// New returns a Kit over the streams with the defaults of the global flags.
func New(s Streams) *Kit {
	if s.Env == nil {
		s.Env = func(string) string { return "" }
	}
	return &Kit{Streams: s, Now: time.Now, Output: OutputText, Timeout: DefaultTimeout, color: "auto"}
}

// Globals adds the flags that every command has to the root command.
func (k *Kit) Globals(root *cobra.Command) {
	fs := root.PersistentFlags()
	fs.SortFlags = false
	fs.VarP(&choice{&k.Output, []string{OutputText, OutputJSON, OutputRaw}}, "output", "o", "form of stdout: text for people, json one object a line, raw bodies byte for byte")
	fs.Var(&choice{&k.color, []string{"auto", "always", "never"}}, "color", "colour on stdout and stderr; auto: when it is a terminal")
	fs.BoolVarP(&k.Quiet, "quiet", "q", false, "no notes and no progress")
	fs.BoolVarP(&k.Verbose, "verbose", "v", false, "tell more on stderr")
	fs.BoolVarP(&k.traceSIP, "sip", "s", false, "print SIP messages on stderr, the same as --trace=sip")
	fs.Var(&protocols{&k.trace}, "trace", "print messages of `PROTOCOL` on stderr: sip, msrp, http or all")
	fs.Lookup("trace").NoOptDefVal = traceAll
	fs.StringVar(&k.traceFile, "trace-file", "", "append all messages to `FILE` as JSON lines")
	fs.Var(timeoutFlag{&k.Timeout, &k.TimeoutSet}, "timeout", "give up after `DURATION`: seconds or a form like 1m30s; 0: never; watches have no limit unless it is given")
	fs.StringVarP(&k.AccountName, "account", "a", "", "use account `NAME` (see imp-accounts(5))")
}

// now returns the present time from the clock.
func (k *Kit) now() time.Time {
	if k.Now == nil {
		return time.Now()
	}
	return k.Now()
}

// JSON reports whether output is JSON lines.
func (k *Kit) JSON() bool { return k.Output == OutputJSON }
