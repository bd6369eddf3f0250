package cli

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"imp/internal/agent/call"
	"imp/internal/cli/kit"
	"imp/internal/doc/sdp"
	msrpfile "imp/internal/msrp/file"
	"imp/internal/sip/uac"
	"imp/internal/sip/useragent"
)

type msrpFetchOptions struct {
	kit   *kit.Kit
	recv  msrpRecvOptions // what takes the files
	relay string
	tls   bool
	to    string
}

func newMSRPFetch(k *kit.Kit) *cobra.Command {
	o := &msrpFetchOptions{kit: k, recv: msrpRecvOptions{kit: k, maxTotal: math.MaxInt64}}
	cmd := &cobra.Command{
		Use:   "msrp-fetch [flags] TARGET NAME...",
		Short: "Fetch files from somebody over MSRP",
		Long: `Ask TARGET for files by their names (RFC 5547), and write them to the directory of
--dir as imp msrp-recv does, or with -o raw to stdout. The hash that TARGET tells of a
file is checked. TARGET gives what it shares: imp msrp-recv --share DIR does.

All are asked for in one call. The status is 1 when a file is not there, or not given to
you.`,
		Example: `  $ imp msrp-fetch bob notes.txt
  … sip:bob@lab.test  notes.txt (5 bytes)

  $ imp msrp-fetch bob notes.txt -o raw | wc -c
  5

  $ imp msrp-fetch bob nothing
  imp: fetching nothing from sip:bob@lab.test: it is not given
  …`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1:]) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.recv.dir, "dir", ".", "write files to `DIR`, which is made where it is missing")
	fs.BoolVar(&o.recv.force, "force", false, "replace files that are there")
	fs.Var(&o.recv.maxSize, "max-size", "take files of up to `BYTES`; 64k and 10M are powers of 1024")
	fs.StringVar(&o.relay, "relay", "", "go through the relay at `URI`, as --msrp-relay; none: without one")
	fs.BoolVar(&o.tls, "tls", false, "offer a session over TLS")
	k.AccountFlags(cmd, "msrp-relay")
	k.Emits(cmd, "file", "a file came, or only a part of it", fileEvent{})
	return cmd
}

func (o *msrpFetchOptions) run(ctx context.Context, target string, names []string) error {
	if target == "" || slices.Contains(names, "") {
		return usage("TARGET or NAME is empty", "is the variable set that it comes from?")
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	chooseRelay(acct, o.relay)
	if o.to, err = acct.Target(target); err != nil {
		return err
	}
	if err := o.recv.prepare(acct); err != nil {
		return err
	}
	node, fingerprint, err := msrpNode(o.kit, acct)
	if err != nil {
		return err
	}
	defer node.Close()
	var agent *call.Agent
	ua, err := startUser(ctx, o.kit, acct, func(ua *useragent.UserAgent) { agent = call.New(call.Config{User: ua}) })
	if err != nil {
		return err
	}
	defer ua.Close()
	e, err := msrpEndpoint(ctx, o.kit, acct, node, fingerprint)
	if err != nil {
		return err
	}
	e.Types, e.MaxSize, e.ManualReports = o.recv.accept, int64(o.recv.maxSize), true
	return o.fetch(ctx, agent, e, names)
}

// fetch asks for all files in one call (RFC 5547 section 8.2.2).
func (o *msrpFetchOptions) fetch(ctx context.Context, agent *call.Agent, e *call.Endpoint, names []string) error {
	var lines []call.Line
	for _, name := range names {
		f, err := msrpfile.Pull(sdp.File{Name: name, Size: -1}, nil)
		if err != nil {
			return kit.Fail(kit.ExitUsage, "asking for "+kit.CleanLine(name), err, "")
		}
		lines = append(lines, call.Line{File: f, Direction: sdp.RecvOnly, TLS: o.tls || e.Relays != nil})
	}
	within, cancel := limited(ctx, o.kit)
	defer cancel()
	n, errs, err := agent.Connect(within, e, call.Outgoing{To: o.to}, lines)
	if err != nil {
		if interrupted := kit.Interrupted(ctx); interrupted != nil {
			return interrupted
		}
		return o.refused(names[0], err)
	}
	defer func() {
		within, cancel := kit.Cleanup(ctx)
		defer cancel()
		_ = n.Call.Bye(within)
	}()
	stop := context.AfterFunc(ctx, func() {
		for _, leg := range n.Legs() {
			if leg != nil {
				leg.Close()
			}
		}
	})
	defer stop()
	var last error
	for i, leg := range n.Legs() {
		err := errs[i]
		if err != nil {
			err = o.refused(names[i], err)
		} else {
			err = o.take(ctx, n, leg, names[i])
		}
		if err != nil && last != nil {
			o.kit.Warn("%v", last)
		}
		if err != nil {
			last = err
		}
	}
	if interrupted := kit.Interrupted(ctx); interrupted != nil {
		return interrupted
	}
	return last
}

// take receives one file. What the other end tells of it is its hash, type and size.
func (o *msrpFetchOptions) take(ctx context.Context, n *call.Connection, leg *call.Leg, name string) error {
	defer leg.Finish()
	f := sdp.File{Name: name, Size: -1}
	if told := leg.Remote.File; told != nil {
		f.Type, f.Size, f.Hashes, f.Modified, f.Range = told.Type, told.Size, told.Hashes, told.Modified, told.Range
	}
	sink, err := o.recv.sink(&f)
	var e *fileEvent
	if err == nil {
		e, err = o.recv.receiveFile(ctx, n, leg, &f, o.to, sink)
	}
	if e != nil {
		if emitted := o.kit.Emit(e); emitted != nil {
			return emitted
		}
		err = e.err
	}
	if err == nil {
		return nil
	}
	doing := "fetching " + kit.CleanLine(name) + " from " + o.to
	var path *os.PathError
	switch {
	case errors.As(err, &path):
		return kit.Fail(kit.ExitUsage, doing, err, "can files be written to the directory of --dir?")
	case errors.Is(err, msrpfile.ErrHash), errors.Is(err, msrpfile.ErrShort), errors.Is(err, msrpfile.ErrLong):
		return kit.Fail(kit.ExitDocument, doing, err, "try again: the file may have been changed while it was sent")
	case errors.Is(err, msrpfile.ErrTooLarge):
		return kit.Fail(kit.ExitRefused, doing, err, "--max-size bounds it")
	}
	return msrpFailure(doing, err)
}

// refused tells why a file is not given.
func (o *msrpFetchOptions) refused(name string, err error) error {
	doing := "fetching " + kit.CleanLine(name) + " from " + o.to
	var answer *uac.ResponseError
	if errors.Is(err, sdp.ErrRefused) || errors.As(err, &answer) && answer.Status == 488 {
		return kit.Fail(kit.ExitNo, doing, "it is not given", "it must be there by that name, in the DIR of imp msrp-recv --share, and not larger than --max-size")
	}
	return msrpFailure(doing, err)
}
