// Command docgen writes the manual pages and the completion scripts of imp from the tree of commands, so that they cannot say what the commands do not do.
//
//	go run ./tools/docgen          write man/ and completions/
//	go run ./tools/docgen -check   tell which of their files are not up to date, and fail if any is
//
// The output depends on the commands alone: there are no dates in it.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"imp/internal/cli"
	"imp/internal/cli/kit"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit status: 1 when files are not up to date, 2 for wrong usage or files that cannot be written.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("docgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "directory of the project")
	check := flags.Bool("check", false, "write nothing, tell what is not up to date")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	want, err := generate()
	if err == nil {
		var stale []string
		stale, err = compare(*root, want)
		switch {
		case err != nil:
		case *check && len(stale) > 0:
			for _, name := range stale {
				fmt.Fprintf(stderr, "docgen: %s is not up to date: go run ./tools/docgen\n", name)
			}
			return 1
		case !*check:
			err = write(*root, want, stale)
			for _, name := range stale {
				fmt.Fprintln(stdout, name)
			}
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "docgen: %v\n", err)
		return 2
	}
	return 0
}

// generate returns the files by their names below the project.
func generate() (map[string][]byte, error) {
	k := kit.New(kit.Streams{})
	root := cli.Root(k)
	prepare(root)
	m := &manual{kit: k, root: root}
	files := map[string][]byte{
		"man/imp.1":          m.imp(),
		"man/imp-accounts.5": m.accounts(),
		"man/imp-json.7":     m.json(),
	}
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			files["man/imp-"+cmd.Name()+".1"] = m.command(cmd)
		}
	}
	for shell, name := range map[string]string{"bash": "imp.bash", "zsh": "_imp", "fish": "imp.fish"} {
		var b bytes.Buffer
		if err := cli.Completion(&b, root, shell); err != nil {
			return nil, err
		}
		files["completions/"+name] = b.Bytes()
	}
	return files, nil
}

// prepare adds what cobra adds when a command runs.
func prepare(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	for _, c := range cmd.Commands() {
		prepare(c)
	}
}

// compare returns the names of the files that differ, lack, or belong to no command any more.
func compare(root string, want map[string][]byte) (stale []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		have, err := os.ReadFile(filepath.Join(root, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !bytes.Equal(have, want[name]) {
			stale = append(stale, name)
		}
	}
	for _, dir := range []string{"man", "completions"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if name := dir + "/" + e.Name(); want[name] == nil {
				stale = append(stale, name)
			}
		}
	}
	return stale, nil
}

// write brings the stale files up to date.
func write(root string, want map[string][]byte, stale []string) error {
	for _, name := range stale {
		path := filepath.Join(root, name)
		if want[name] == nil {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, want[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
