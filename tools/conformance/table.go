package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// overview is the file that lists documents instead of requirements.
const overview = "overview.md"

// table is one file of requirements with what is known about their tests.
type table struct {
	name                    string // of the file, without .md
	rows                    []row
	tested, open, na        int
	failed, skipped, silent int // rows without a note that have tests, but none that counts
}

// row is one requirement.
type row struct {
	id, text, level string
	note            note
}

// note is what the Status of a row says.
type note int

const (
	noNote note = iota
	open
	notApplicable
)

// tables is all tables, and the IDs that they and the overview define.
type tables struct {
	all      []*table
	known    map[string]bool
	prefixes map[string]bool // EVT, PUB, …
}

var idForm = regexp.MustCompile(`^([A-Z]+)-[0-9]{3}$`)

// readTables reads all files in dir, in the order of their names.
func readTables(dir string) (*tables, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no tables in %s: start in the project root or give -root", dir)
	}
	ts := &tables{known: map[string]bool{}, prefixes: map[string]bool{}}
	for _, file := range files {
		lines, err := readRows(file)
		if err != nil {
			return nil, err
		}
		t := &table{name: strings.TrimSuffix(filepath.Base(file), ".md")}
		here := map[string]bool{}
		for _, l := range lines {
			prefix := idForm.FindStringSubmatch(l.cells[0])
			if prefix == nil {
				return nil, fmt.Errorf("%s:%d: %q is no ID such as PUB-012", file, l.line, l.cells[0])
			}
			if here[l.cells[0]] {
				return nil, fmt.Errorf("%s:%d: %s stands in the table twice", file, l.line, l.cells[0])
			}
			here[l.cells[0]], ts.known[l.cells[0]] = true, true
			ts.prefixes[prefix[1]] = true
			if filepath.Base(file) == overview {
				continue
			}
			r, err := requirement(l)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, l.line, err)
			}
			t.rows = append(t.rows, r)
		}
		if filepath.Base(file) != overview {
			ts.all = append(ts.all, t)
		}
	}
	return ts, nil
}

func requirement(l tableLine) (row, error) {
	r := row{id: l.cells[0], text: l.cell("Requirement"), level: l.cell("Level")}
	if !slices.Contains([]string{"MUST", "SHOULD", "MAY", "INFO"}, r.level) {
		return r, fmt.Errorf("%s: level %q, want MUST, SHOULD, MAY or INFO", r.id, r.level)
	}
	if !slices.Contains(l.header, "Status") {
		return r, fmt.Errorf("%s: the table has no column Status", r.id)
	}
	status := l.cell("Status")
	word, reason, _ := strings.Cut(status, ":")
	switch word {
	case "":
	case "open":
		r.note = open
	case "n/a":
		r.note = notApplicable
	default:
		return r, fmt.Errorf("%s: status %q, want open: reason, or n/a: reason", r.id, status)
	}
	if r.note != noNote && strings.TrimSpace(reason) == "" {
		return r, fmt.Errorf("%s: status %q gives no reason", r.id, status)
	}
	return r, nil
}

// tableLine is one line of a Markdown table below its header.
type tableLine struct {
	line   int
	header []string
	cells  []string
}

// cell returns the cell in the column of that name, "" when there is none.
func (l tableLine) cell(column string) string {
	if i := slices.Index(l.header, column); i >= 0 && i < len(l.cells) {
		return l.cells[i]
	}
	return ""
}

// readRows reads the lines of all Markdown tables of a file whose first column
// is called ID.
func readRows(file string) ([]tableLine, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	var rows []tableLine
	var header []string
	n := 0
	for text := range strings.Lines(string(data)) {
		n++
		text = strings.TrimSpace(text)
		if !strings.HasPrefix(text, "|") {
			header = nil
			continue
		}
		cells := splitCells(text)
		switch {
		case header == nil:
			header = cells
		case header[0] != "ID", strings.Trim(cells[0], "-: ") == "":
		case len(cells) != len(header):
			return nil, fmt.Errorf("%s:%d: %d cells in a table of %d columns", file, n, len(cells), len(header))
		default:
			rows = append(rows, tableLine{n, header, cells})
		}
	}
	return rows, nil
}

// splitCells takes a table line apart; \| stands for a bar.
func splitCells(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(line, `\|`, bar)
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	cells := strings.Split(line, "|")
	for i, c := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(c, bar, "|"))
	}
	return cells
}

// named returns the table of that name, all when it is empty.
func (ts *tables) named(name string) ([]*table, error) {
	if name == "" {
		return ts.all, nil
	}
	name = strings.TrimSuffix(filepath.Base(name), ".md")
	for _, t := range ts.all {
		if t.name == name {
			return []*table{t}, nil
		}
	}
	return nil, fmt.Errorf("no table %q in %s", name, tablesDir)
}

// count sums up what is known about the rows. A note wins over a test: what is
// tested may still be open in part.
func (t *table) count(outcomes map[string]outcome) {
	for _, r := range t.rows {
		switch o := outcomes[r.id]; {
		case r.note == open:
			t.open++
		case r.note == notApplicable:
			t.na++
		case o == passed:
			t.tested++
		case o == failed:
			t.failed++
		case o == skipped:
			t.skipped++
		case o == silent:
			t.silent++
		}
	}
}
