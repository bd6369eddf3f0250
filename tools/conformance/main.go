// Command conformance reads the tables of requirements in testdata/conformance
// and tells which rows have a test.
//
// A table is a Markdown file whose tables have the columns ID, Requirement,
// RFC §, Level, How to check and Status. Status is empty, or "open: reason"
// for what is not done yet, or "n/a: reason" for what does not apply here.
// The file overview.md is no such table: it lists the documents of RFC 6914
// and where each is covered.
//
// A test names its row by the first word of its name, or several rows by the
// first words: t.Run("PUB-012 tags are opaque", …). Any string literal of a
// test file that begins so counts, thus names in table tests do. In a script
// testdata/script/NAME.txtar a comment line that begins with the ID does;
// the test that runs it is called TestScripts/NAME.
//
//	go run ./tools/conformance [-table NAME] [-width N]
//	go test -json ./... | go run ./tools/conformance -results -
//	go run ./tools/conformance -write | -check
//
// It prints each table with its rows, those with a test, open and n/a, and last
// the MUST rows with neither test nor note. With -results only rows whose
// tests passed count, and those that failed or were skipped are shown. An ID
// of a test that is in no table is an error. -write makes the list that imp
// specs shows, from the tests that stand in the source; -check demands that
// this list is up to date.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Places below the project root.
const (
	tablesDir  = "testdata/conformance"
	scriptsDir = "testdata/script"
	specsFile  = "internal/cli/specs.json"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

type options struct {
	root, table, results string
	width                int
	write, check         bool
}

// run returns the exit status: 1 when something is wrong with tables, tests or
// the list, 2 for wrong usage.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.root, "root", ".", "project `directory`")
	flags.StringVar(&o.table, "table", "", "show this table alone: its file `name`, with or without .md")
	flags.StringVar(&o.results, "results", "", "`file` with the output of go test -json, - for stdin: count only what passed")
	flags.IntVar(&o.width, "width", 110, "longest line, in `characters`, of a row without a test")
	flags.BoolVar(&o.write, "write", false, "write "+specsFile)
	flags.BoolVar(&o.check, "check", false, "fail when "+specsFile+" is not what -write makes")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || o.results != "" && (o.write || o.check) {
		fmt.Fprintln(stderr, "conformance: no arguments are taken, and -results goes with neither -write nor -check")
		return 2
	}
	if err := o.report(stdin, stdout); err != nil {
		fmt.Fprintln(stderr, "conformance:", err)
		return 1
	}
	return 0
}

func (o *options) report(stdin io.Reader, stdout io.Writer) error {
	tables, err := readTables(filepath.Join(o.root, tablesDir))
	if err != nil {
		return err
	}
	found, err := findTests(o.root, tables)
	if err != nil {
		return err
	}
	outcomes := found.outcomes()
	if o.results != "" {
		if outcomes, err = o.readResults(stdin, found); err != nil {
			return err
		}
	}
	for _, t := range tables.all {
		t.count(outcomes)
	}
	if o.write || o.check {
		return errors.Join(o.specs(tables), found.unknown())
	}
	shown, err := tables.named(o.table)
	if err != nil {
		return err
	}
	printReport(stdout, shown, outcomes, o.results != "", o.width)
	return found.unknown()
}

func (o *options) readResults(stdin io.Reader, found *tests) (map[string]outcome, error) {
	if o.results == "-" {
		return readResults(stdin, found)
	}
	f, err := os.Open(o.results)
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	defer f.Close()
	return readResults(f, found)
}

// specs writes the list of documents, or compares it with what stands there.
func (o *options) specs(tables *tables) error {
	list, err := makeSpecs(filepath.Join(o.root, tablesDir, overview), tables)
	if err != nil {
		return err
	}
	path := filepath.Join(o.root, specsFile)
	if o.write {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return fmt.Errorf("writing the list of documents: %w", err)
		}
		return os.WriteFile(path, list, 0o666)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("checking the list of documents: %w", err)
	}
	if !bytes.Equal(old, list) {
		return fmt.Errorf("%s is not up to date: run go run ./tools/conformance -write", specsFile)
	}
	return nil
}
