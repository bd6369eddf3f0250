package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/lab"
)

// labRecord is what a running lab leaves for "imp lab env" and "imp lab stop".
// The file is locked as long as the lab runs, so one that is not is a relic.
type labRecord struct {
	PID    int    `json:"pid"`
	Dir    string `json:"dir"`
	Config string `json:"config"`
	State  string `json:"state"`
	Admin  string `json:"admin,omitempty"`
	file   string
	since  time.Time
}

// labsDir is found without IMP_STATE, which a shell that uses one lab has set.
func labsDir(k *kit.Kit) string { return filepath.Join(k.StateHome(), "labs") }

// registerLab writes the record of l; the function returned, which is never
// nil, takes it away.
func registerLab(k *kit.Kit, l *lab.Lab, admin string) (func(), error) {
	doing := "registering the lab"
	none := func() {}
	if err := os.MkdirAll(labsDir(k), 0o700); err != nil {
		return none, kit.Fail(kit.ExitUsage, doing, err, "XDG_STATE_HOME/imp must be writable; imp lab -- COMMAND needs no registration")
	}
	name := filepath.Join(labsDir(k), strconv.Itoa(os.Getpid())+".json")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return none, kit.Fail(kit.ExitUsage, doing, err, "XDG_STATE_HOME/imp must be writable; imp lab -- COMMAND needs no registration")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return none, kit.Fail(kit.ExitUsage, doing, err, "XDG_STATE_HOME/imp must be writable; imp lab -- COMMAND needs no registration")
	}
	if err := json.NewEncoder(f).Encode(labRecord{PID: os.Getpid(), Dir: l.Dir, Config: l.ConfigFile, State: l.StateDir, Admin: admin}); err != nil {
		f.Close()
		return none, kit.Fail(kit.ExitUsage, doing, err, "XDG_STATE_HOME/imp must be writable; imp lab -- COMMAND needs no registration")
	}
	return func() { os.Remove(name); f.Close() }, nil
}

// runningLabs lists the labs that run, the newest first, and removes relics.
func runningLabs(k *kit.Kit) []labRecord {
	names, _ := filepath.Glob(filepath.Join(labsDir(k), "*.json"))
	var labs []labRecord
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
			os.Remove(name)
			f.Close()
			continue
		}
		r := labRecord{file: name}
		if info, err := f.Stat(); err == nil {
			r.since = info.ModTime()
		}
		if json.NewDecoder(f).Decode(&r) == nil {
			labs = append(labs, r)
		}
		f.Close()
	}
	sort.Slice(labs, func(i, j int) bool { return labs[i].since.After(labs[j].since) })
	return labs
}

// findLab gives the lab that dir names, the newest one when dir is empty.
func findLab(k *kit.Kit, dir string) (labRecord, error) {
	if dir != "" {
		var err error
		if dir, err = filepath.Abs(k.Path(dir)); err != nil {
			return labRecord{}, kit.Fail(kit.ExitUsage, "looking for a lab", err, "does the present directory exist?")
		}
	}
	for _, l := range runningLabs(k) {
		if dir == "" || dir == l.Dir {
			return l, nil
		}
	}
	if dir != "" {
		return labRecord{}, kit.Fail(kit.ExitNo, "looking for a lab", "none runs in "+dir, "start one with: imp lab --dir "+shellQuote(dir))
	}
	return labRecord{}, kit.Fail(kit.ExitNo, "looking for a lab", "none runs", "start one with: imp lab")
}

type labFindOptions struct {
	kit *kit.Kit
	dir string
}

type labEvent struct {
	kit.Head
	Config string `json:"config" doc:"the accounts file, for IMP_CONFIG"`
	State  string `json:"state" doc:"where its users keep what outlives a command, for IMP_STATE"`
	Admin  string `json:"admin,omitempty" doc:"host:port for imp ctl, for IMP_ADMIN"`
	Dir    string `json:"dir" doc:"the lab's directory"`
	PID    int    `json:"pid" doc:"its process"`
}

func newLabEvent(k *kit.Kit, name string, l labRecord) labEvent {
	return labEvent{Head: k.Head(name), Config: l.Config, State: l.State, Admin: l.Admin, Dir: l.Dir, PID: l.PID}
}

// Text implements kit.Texter.
func (e labEvent) Text(w io.Writer, _ *kit.Style) error {
	if e.Event == "lab" {
		for _, line := range labExports(e.Config, e.State, e.Admin) {
			if _, err := fmt.Fprintf(w, "export %s\n", line); err != nil {
				return err
			}
		}
	}
	return nil
}

func newLabEnv(k *kit.Kit) *cobra.Command {
	o := &labFindOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the environment of a running lab for the shell",
		Long: `Print the lines that make a shell use a running lab, the newest one unless --dir
names another: IMP_CONFIG with its accounts, IMP_STATE for what commands keep, and
IMP_ADMIN for imp ctl.`,
		Example: `  $ imp lab env
  export IMP_CONFIG=…
  export IMP_STATE=…
  export IMP_ADMIN=…

  $ eval "$(imp lab env)" && imp fetch bob
  sip:bob@lab.test  closed
  …`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.env() },
	}
	cmd.Flags().StringVar(&o.dir, "dir", "", "the lab that was started with --dir `DIR`")
	k.Emits(cmd, "lab", "a running lab was found", labEvent{})
	return cmd
}

func (o *labFindOptions) env() error {
	l, err := findLab(o.kit, o.dir)
	if err != nil {
		return err
	}
	return o.kit.Emit(newLabEvent(o.kit, "lab", l))
}

func newLabStop(k *kit.Kit) *cobra.Command {
	o := &labFindOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "End a running lab",
		Long:  "End a running lab, the newest one unless --dir names another, and wait until it is gone.",
		Example: `  $ imp lab stop

  $ imp lab stop --dir lab`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.stop(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.dir, "dir", "", "the lab that was started with --dir `DIR`")
	k.Emits(cmd, "lab_stopped", "the lab has ended", labEvent{})
	return cmd
}

// stop asks the lab's process to end and waits for the lock it holds.
func (o *labFindOptions) stop(ctx context.Context) error {
	l, err := findLab(o.kit, o.dir)
	if err != nil {
		return err
	}
	doing := fmt.Sprintf("stopping the lab of process %d", l.PID)
	f, err := os.Open(l.file)
	if err != nil {
		return nil // it ended this moment
	}
	defer f.Close()
	if err := syscall.Kill(l.PID, syscall.SIGTERM); err != nil {
		return kit.Fail(kit.ExitUsage, doing, err, "who started it can end it")
	}
	gone := make(chan error, 1)
	go func() { gone <- syscall.Flock(int(f.Fd()), syscall.LOCK_SH) }()
	ctx, cancel := limited(ctx, o.kit)
	defer cancel()
	select {
	case <-gone:
		return o.kit.Emit(newLabEvent(o.kit, "lab_stopped", l))
	case <-ctx.Done():
		return kit.Fail(kit.ExitTimeout, doing, "it still runs", "--timeout waits longer, kill -9 ends it at once")
	}
}
