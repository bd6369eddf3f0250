package main

import (
	"fmt"
	"io"
)

// printReport prints a line for each table and then the MUST rows that have
// neither a test that counts nor a note.
func printReport(w io.Writer, shown []*table, outcomes map[string]outcome, results bool, width int) {
	fmt.Fprintf(w, "%-20s%8s%8s%8s%8s", "table", "rows", "tested", "open", "n/a")
	if results {
		fmt.Fprintf(w, "%8s%8s%8s", "failed", "skipped", "not run")
	}
	fmt.Fprintln(w)
	sum := table{name: "all"}
	for _, t := range shown {
		t.print(w, results)
		sum.add(t)
	}
	if len(shown) > 1 {
		sum.print(w, results)
	}
	printMissing(w, shown, outcomes, width)
}

func (t *table) print(w io.Writer, results bool) {
	fmt.Fprintf(w, "%-20s%8d%8d%8d%8d", t.name, len(t.rows), t.tested, t.open, t.na)
	if results {
		fmt.Fprintf(w, "%8d%8d%8d", t.failed, t.skipped, t.silent)
	}
	fmt.Fprintln(w)
}

func (t *table) add(o *table) {
	t.rows = append(t.rows, o.rows...)
	t.tested += o.tested
	t.open += o.open
	t.na += o.na
	t.failed += o.failed
	t.skipped += o.skipped
	t.silent += o.silent
}

// remarks tells why a row that has a test does not count.
var remarks = map[outcome]string{failed: "[failed] ", skipped: "[skipped] ", silent: "[not run] "}

func printMissing(w io.Writer, shown []*table, outcomes map[string]outcome, width int) {
	var missing []row
	for _, t := range shown {
		for _, r := range t.rows {
			if r.level == "MUST" && r.note == noNote && outcomes[r.id] != passed {
				missing = append(missing, r)
			}
		}
	}
	if len(missing) == 0 {
		fmt.Fprintln(w, "every MUST has a test or a note")
		return
	}
	fmt.Fprintf(w, "\nMUST with neither test nor note: %d\n", len(missing))
	for _, r := range missing {
		fmt.Fprintln(w, cut(fmt.Sprintf("%-9s %s%s", r.id, remarks[outcomes[r.id]], r.text), width))
	}
}

// cut shortens text to width characters.
func cut(text string, width int) string {
	if chars := []rune(text); width > 0 && len(chars) > width {
		return string(chars[:width-1]) + "…"
	}
	return text
}
