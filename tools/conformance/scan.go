package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// tests is where IDs stand in tests.
type tests struct {
	tables   *tables
	ids      map[string]bool     // in any test
	scripts  map[string][]string // name of a script → the IDs in its comments
	mistakes []error             // IDs that no table knows
}

// findTests looks through the test files and scripts below root.
func findTests(root string, tables *tables) (*tests, error) {
	found := &tests{tables: tables, ids: map[string]bool{}, scripts: map[string][]string{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if n := d.Name(); path != root && (n == "testdata" || n == "vendor" || n[0] == '.' || n[0] == '_') {
				return filepath.SkipDir
			}
		case strings.HasSuffix(path, "_test.go"):
			return found.scanGo(path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for tests: %w", err)
	}
	scripts, err := filepath.Glob(filepath.Join(root, scriptsDir, "*.txtar"))
	if err != nil {
		return nil, fmt.Errorf("looking for scripts: %w", err)
	}
	for _, path := range scripts {
		if err := found.scanScript(path); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// scanGo takes the IDs from the string literals of a test file.
func (found *tests) scanGo(path string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		if text, err := strconv.Unquote(lit.Value); err == nil {
			found.add(text, path, set.Position(lit.Pos()).Line)
		}
		return true
	})
	return nil
}

// scriptFile is the line that begins the first file of an archive, and so ends
// the script.
var scriptFile = regexp.MustCompile(`^-- .+ --\s*$`)

// scanScript takes the IDs from the comment lines of a script.
func (found *tests) scanScript(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading scripts: %w", err)
	}
	name := strings.TrimSuffix(filepath.Base(path), ".txtar")
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if scriptFile.MatchString(line) {
			break
		}
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			ids := found.add(strings.TrimSpace(comment), path, n)
			found.scripts[name] = append(found.scripts[name], ids...)
		}
	}
	return nil
}

// add notes the IDs that text begins with and returns those that a table knows.
func (found *tests) add(text, path string, line int) []string {
	var known []string
	for _, id := range found.tables.leading(text) {
		if !found.tables.known[id] {
			found.mistakes = append(found.mistakes, fmt.Errorf("%s:%d: %s is in no table of %s", path, line, id, tablesDir))
			continue
		}
		found.ids[id] = true
		known = append(known, id)
	}
	return known
}

var wordForm = regexp.MustCompile(`^([A-Z]+)-[0-9]+$`)

// leading returns the words at the start of text that look like IDs of the
// tables, whether or not there is such a row.
func (ts *tables) leading(text string) []string {
	var ids []string
	for word := range strings.SplitSeq(text, " ") {
		m := wordForm.FindStringSubmatch(word)
		if m == nil || !ts.prefixes[m[1]] {
			break
		}
		ids = append(ids, word)
	}
	return ids
}

// unknown returns an error for each ID that no table knows, nil without any.
func (found *tests) unknown() error { return errors.Join(found.mistakes...) }

// outcomes is what counts without results: every row with a test.
func (found *tests) outcomes() map[string]outcome {
	all := make(map[string]outcome, len(found.ids))
	for id := range found.ids {
		all[id] = passed
	}
	return all
}
