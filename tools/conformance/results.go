package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// outcome is what became of all tests of one row together. The worst counts,
// except that one test that passed outweighs those that were skipped.
type outcome int

const (
	untested outcome = iota
	silent           // there is a test, but the results do not tell of it
	skipped
	passed
	failed
)

// testName is a test of go test -json.
type testName struct{ Package, Test string }

// readResults reads the output of go test -json.
func readResults(r io.Reader, found *tests) (map[string]outcome, error) {
	ended := make(map[testName]outcome)
	in := bufio.NewReader(r)
	events := 0
	for n := 1; ; n++ {
		line, readErr := in.ReadBytes('\n')
		// The output of a build that failed stands between the events.
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '{' {
			var event struct {
				Action string
				testName
			}
			if err := json.Unmarshal(line, &event); err != nil {
				return nil, fmt.Errorf("results, line %d: %w", n, err)
			}
			events++
			if o, ok := actions[event.Action]; ok {
				ended[event.testName] = o
			}
		}
		if readErr == io.EOF {
			break
		}
		if readErr != nil {
			return nil, fmt.Errorf("reading results: %w", readErr)
		}
	}
	if events == 0 {
		return nil, fmt.Errorf("the results are empty: give the output of go test -json")
	}
	return found.judge(ended), nil
}

var actions = map[string]outcome{"pass": passed, "fail": failed, "skip": skipped}

// judge turns the outcomes of tests into those of rows.
func (found *tests) judge(ended map[testName]outcome) map[string]outcome {
	outcomes := make(map[string]outcome)
	for id := range found.ids {
		outcomes[id] = silent
	}
	below := bestBelow(ended)
	for name, o := range ended {
		// A test passes when all of its subtests are skipped.
		if best, ok := below[name]; ok && o == passed {
			o = max(best, skipped)
		}
		for _, id := range found.named(name.Test) {
			outcomes[id] = max(outcomes[id], o)
		}
	}
	return outcomes
}

// bestBelow returns, for each test with subtests, the best outcome among those
// that have none themselves.
func bestBelow(ended map[testName]outcome) map[testName]outcome {
	best := make(map[testName]outcome)
	for name := range ended {
		for above := range name.above {
			best[above] = untested
		}
	}
	for name, o := range ended {
		if _, parent := best[name]; parent || o == failed {
			continue
		}
		for above := range name.above {
			best[above] = max(best[above], o)
		}
	}
	return best
}

// above yields the tests that name is a subtest of.
func (name testName) above(yield func(testName) bool) {
	for i := range len(name.Test) {
		if name.Test[i] == '/' && !yield(testName{name.Package, name.Test[:i]}) {
			return
		}
	}
}

// named returns the IDs of the rows that a test checks. Each part of its name
// may begin with some: a slash in the name of a subtest divides it as well.
func (found *tests) named(test string) []string {
	var ids []string
	_, rest, _ := strings.Cut(test, "/")
	for part := range strings.SplitSeq(rest, "/") {
		for _, id := range found.tables.leading(undoName(part)) {
			if found.tables.known[id] {
				ids = append(ids, id)
			}
		}
	}
	if script, ok := strings.CutPrefix(test, "TestScripts/"); ok {
		ids = append(ids, found.scripts[script]...)
	}
	return ids
}

// undoName turns the name that go test reports into words: it writes a space
// as an underscore and tells equal names apart by #01, #02, …
func undoName(name string) string {
	if at := strings.LastIndexByte(name, '#'); at >= 0 && strings.Trim(name[at+1:], "0123456789") == "" {
		name = name[:at]
	}
	return strings.ReplaceAll(name, "_", " ")
}
