//go:build linux

// Command compare measures imp beside another server on this machine, in one run and with one generator of load, so
// that the figures can be set against each other.
//
//	go run ./tools/compare presence                the presence server and Kamailio
//	go run ./tools/compare xcap                    the XCAP server and the one of Kamailio
//	go run ./tools/compare msrp                    the MSRP relay and the one of Kamailio
//	go run ./tools/compare -runs 3 presence        the medians of three runs
//	go run ./tools/compare -o out.json presence    all runs as JSON too
//
// It needs two processors: both servers run on the first, one after the other, and the load on the second. Kamailio is
// the one of Debian (packages kamailio and kamailio-presence-modules), with its fast allocator, one UDP worker, its
// publications in memory and stateless answers; for XCAP it has one worker and its documents in memory, unchecked.
// For MSRP (package kamailio-tls-modules too) it has one worker for TCP. Neither side asks for passwords. See presence.go,
// xcap.go and msrp.go for what is done, in which order and how often.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	runs  int
	out   string
	imp   string
	scale float64
	what  string // is compared
}

// measures does a run of what can be compared.
var measures = map[string]func(context.Context, *bench) (report, error){"presence": measure, "xcap": measureXCAP, "msrp": measureMSRP}

const usage = "compare: usage: compare [-runs N] [-o FILE] presence|xcap|msrp"

// runLimit is the longest that one run may take.
const runLimit = 150 * time.Second

// run returns the exit status: 1 when something could not be measured, 2 for wrong usage or what is not installed.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.IntVar(&o.runs, "runs", 1, "measure `N` times and give the medians")
	flags.StringVar(&o.out, "o", "", "write all runs to `FILE` as JSON")
	flags.StringVar(&o.imp, "imp", "", "measure this binary of imp; none: it is built from the sources here")
	flags.Float64Var(&o.scale, "scale", 1, "do `X` times as many operations as usual")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if o.what = flags.Arg(0); measures[o.what] != nil { // flags may stand on either side
		if err := flags.Parse(flags.Args()[1:]); err != nil {
			return 2
		}
	} else if flags.NArg() > 0 || len(args) == 0 {
		fmt.Fprintln(stderr, usage)
		return 2
	}
	if flags.NArg() > 0 || o.runs < 1 || o.scale <= 0 {
		fmt.Fprintln(stderr, usage)
		return 2
	}
	reports, failed := measureAll(ctx, &o, stderr)
	if failed != nil {
		fmt.Fprintln(stderr, "compare:", failed)
		if errors.Is(failed, errMissing) {
			return 2
		}
	}
	if len(reports) == 0 {
		return 1
	}
	if o.out != "" {
		b, err := json.MarshalIndent(reports, "", "  ")
		if err == nil {
			err = os.WriteFile(o.out, append(b, '\n'), 0o644)
		}
		if err != nil {
			fmt.Fprintln(stderr, "compare: writing the runs:", err)
			return 1
		}
	}
	if err := writeTable(stdout, reports); err != nil || failed != nil {
		return 1
	}
	return 0
}

// errMissing is wrapped by errors about what this machine lacks.
var errMissing = errors.New("not installed")

// measureAll does all runs, until one fails. Everything it makes is gone when it returns.
func measureAll(ctx context.Context, o *options, stderr io.Writer) ([]report, error) {
	kamailio, err := findKamailio(look)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	own, err := onProcessor(1)
	if err != nil {
		return nil, err
	}
	defer own()
	if o.imp == "" {
		fmt.Fprintln(stderr, "building imp")
		if o.imp, err = buildImp(ctx, dir); err != nil {
			return nil, err
		}
	}
	var reports []report
	for i := range o.runs {
		limited, cancel := context.WithTimeout(ctx, runLimit)
		r, err := measures[o.what](limited, &bench{kamailio: kamailio, imp: o.imp, dir: dir, scale: o.scale,
			tell: func(what string) { fmt.Fprintf(stderr, "run %d of %d: %s\n", i+1, o.runs, what) }})
		cancel()
		if err != nil {
			return reports, fmt.Errorf("run %d: %w", i+1, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}
