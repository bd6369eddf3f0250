package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const project = "testdata/project"

// conformance runs the tool on a project and returns its output.
func conformance(t *testing.T, status int, root, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	got := run(append([]string{"-root", root}, args...), strings.NewReader(stdin), &out, &errs)
	if got != status {
		t.Fatalf("conformance %q ends with %d, want %d:\n%s%s", args, got, status, &out, &errs)
	}
	return out.String(), errs.String()
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	out, _ := conformance(t, 0, project, "", "-width", "40")
	equal(t, out, `table                   rows  tested    open     n/a
demo                       9       4       2       1
side                       1       1       0       0
all                       10       5       2       1

MUST with neither test nor note: 1
DEMO-003  Has neither test nor note, an…
`)
	for _, name := range []string{"side", "side.md", "testdata/conformance/side.md"} {
		out, _ = conformance(t, 0, project, "", "-table", name)
		equal(t, out, `table                   rows  tested    open     n/a
side                       1       1       0       0
every MUST has a test or a note
`)
	}
}

// results is what go test -json prints of a project, with a build that failed.
const results = `{"Action":"start","Package":"p"}
# p/other [build failed]
{"Action":"run","Package":"p","Test":"TestDemo/DEMO-001_by_name"}
{"Action":"pass","Package":"p","Test":"TestDemo/DEMO-001_by_name"}
{"Action":"output","Package":"p","Test":"TestDemo/DEMO-002","Output":"{\n"}
{"Action":"pass","Package":"p","Test":"TestDemo/DEMO-002_in_a_table_1/2"}
{"Action":"fail","Package":"p","Test":"TestDemo/DEMO-002_in_a_table_1/2#01"}
{"Action":"skip","Package":"p","Test":"TestDemo/DEMO-008_DEMO-009_two_rows"}
{"Action":"pass","Package":"q","Test":"TestMore/DEMO-006/all/one"}
{"Action":"skip","Package":"q","Test":"TestMore/DEMO-006/all/two"}
{"Action":"pass","Package":"q","Test":"TestMore/DEMO-006/all"}
{"Action":"pass","Package":"q","Test":"TestMore/DEMO-006"}
{"Action":"pass","Package":"q","Test":"TestMore/DEMO-003_not_this/x"}
{"Action":"skip","Package":"q","Test":"TestMore/SIDE-001#02/x"}
{"Action":"pass","Package":"q","Test":"TestMore/SIDE-001#02"}
{"Action":"pass","Package":"c","Test":"TestScripts/tour"}
{"Action":"fail","Package":"q","Test":"TestMore"}
{"Action":"fail","Package":"q"}`

func TestResults(t *testing.T) {
	want := `table                   rows  tested    open     n/a  failed skipped not run
demo                       9       4       2       1       1       1       0
side                       1       0       0       0       0       1       0
all                       10       4       2       1       1       2       0

MUST with neither test nor note: 3
DEMO-002  [failed] Stands in a table ` + "`a|b`" + ` of tests.
DEMO-008  [skipped] Is tested together with the next.
SIDE-001  [skipped] Has a test.
`
	out, _ := conformance(t, 0, project, results, "-results", "-")
	equal(t, out, want)
	file := filepath.Join(t.TempDir(), "results")
	write(t, file, results)
	out, _ = conformance(t, 0, project, "", "-results", file)
	equal(t, out, want)

	out, _ = conformance(t, 0, project, `{"Action":"skip","Package":"c","Test":"TestScripts/tour"}`, "-results", "-", "-table", "demo", "-width", "30")
	equal(t, out, `table                   rows  tested    open     n/a  failed skipped not run
demo                       9       0       2       1       0       1       3

MUST with neither test nor note: 5
DEMO-001  [not run] Has a tes…
DEMO-002  [not run] Stands in…
DEMO-003  Has neither test no…
DEMO-007  [skipped] Is tested…
DEMO-008  [not run] Is tested…
`)
}

func TestSpecs(t *testing.T) {
	root := t.TempDir()
	copyProject(t, root)
	_, errs := conformance(t, 1, root, "", "-check")
	if !strings.Contains(errs, specsFile) {
		t.Errorf("a list that is missing: %s", errs)
	}
	conformance(t, 0, root, "", "-write")
	got, err := os.ReadFile(filepath.Join(root, specsFile))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(got), `[
{"id":"OVER-001","documents":["RFC 1","RFC 2"],"title":"One; Two","for":"To show < and &","section":"2.1","class":"S","tables":[{"name":"demo","rows":9,"tested":4,"open":2,"na":1},{"name":"side","rows":1,"tested":1,"open":0,"na":0}]},
{"id":"OVER-002","documents":["RFC 3"],"title":"Three","for":"To be gone","section":"3","class":"published as RFC 3 (S)"},
{"id":"OVER-003","documents":["RFC 4"],"title":"Four","for":"More","tables":[{"name":"side","rows":1,"tested":1,"open":0,"na":0}]}
]
`)
	conformance(t, 0, root, "", "-check")
	write(t, filepath.Join(root, "more_test.go"), "package more\n\nconst name = \"DEMO-006 now too\"\n")
	_, errs = conformance(t, 1, root, "", "-check")
	if !strings.Contains(errs, "not up to date") {
		t.Errorf("an outdated list: %s", errs)
	}
}

func TestMistakes(t *testing.T) {
	row := func(cells string) string {
		return "| ID | Requirement | RFC § | Level | How to check | Status |\n|---|---|---|---|---|---|\n" + cells + "\n"
	}
	const extra = "testdata/conformance/extra.md"
	for _, tt := range []struct{ name, file, content, want string }{
		{"unknown ID in a test", "x_test.go", "package x\n\nconst a = \"DEMO-099 no such row\"\n", "x_test.go:3: DEMO-099 is in no table"},
		{"too few digits", "x_test.go", "package x\n\nconst a = \"DEMO-12\"\n", "x_test.go:3: DEMO-12 is in no table"},
		{"unknown second ID", "x_test.go", "package x\n\nconst a = \"DEMO-001 DEMO-098 two\"\n", "x_test.go:3: DEMO-098 is in no table"},
		{"unknown ID in a script", "testdata/script/x.txtar", "\n# DEMO-097 no such row\n", "x.txtar:2: DEMO-097 is in no table"},
		{"no Go", "x_test.go", "package\n", "x_test.go:1:9: "},
		{"unknown status", extra, row("| X-001 | a | b | MUST | c | done |"), `extra.md:3: X-001: status "done"`},
		{"status without reason", extra, row("| X-001 | a | b | MUST | c | open: |"), `extra.md:3: X-001: status "open:" gives no reason`},
		{"unknown level", extra, row("| X-001 | a | b | OUGHT | c | |"), `extra.md:3: X-001: level "OUGHT"`},
		{"row twice", extra, row("| X-001 | a | b | MAY | c | |\n| X-001 | a | b | MAY | c | |"), "extra.md:4: X-001 stands in the table twice"},
		{"odd ID", extra, row("| x1 | a | b | MAY | c | |"), `extra.md:3: "x1" is no ID`},
		{"missing cell", extra, row("| X-001 | a | b | MAY | c |"), "extra.md:3: 5 cells in a table of 6 columns"},
		{"no status", extra, "| ID | Requirement | Level |\n|---|---|---|\n| X-001 | a | MAY |\n", "extra.md:3: X-001: the table has no column Status"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			copyProject(t, root)
			write(t, filepath.Join(root, tt.file), tt.content)
			if _, errs := conformance(t, 1, root, ""); !strings.Contains(errs, tt.want) {
				t.Errorf("got %q, want %q", errs, tt.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	conformance(t, 2, project, "", "-no-such-flag")
	conformance(t, 2, project, "", "argument")
	conformance(t, 2, project, "", "-results", "-", "-check")
	for want, args := range map[string][]string{
		"no tables":         {"-root", t.TempDir()},
		`no table "nobody"`: {"-table", "nobody"},
		"are empty":         {"-results", "-"},
		"no such file":      {"-results", "no/such/file"},
	} {
		if _, errs := conformance(t, 1, project, "", args...); !strings.Contains(errs, want) {
			t.Errorf("conformance %q says %q, want %q", args, errs, want)
		}
	}
	if _, errs := conformance(t, 1, project, "{]\n", "-results", "-"); !strings.Contains(errs, "line 1") {
		t.Errorf("broken results: %q", errs)
	}
}

// TestOurTables: the tables of this project can be read, and every document of
// the overview is covered by tables that exist.
func TestOurTables(t *testing.T) {
	tables, err := readTables(filepath.Join("../..", tablesDir))
	if err != nil {
		t.Fatal(err)
	}
	if len(tables.all) < 25 {
		t.Errorf("%d tables, there were 25", len(tables.all))
	}
	for _, table := range tables.all {
		if len(table.rows) == 0 {
			t.Errorf("table %s has no rows", table.name)
		}
	}
	if _, err := makeSpecs(filepath.Join("../..", tablesDir, overview), tables); err != nil {
		t.Error(err)
	}
}

func copyProject(t *testing.T, root string) {
	t.Helper()
	if err := os.CopyFS(root, os.DirFS(project)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), fs.FileMode(0o666)); err != nil {
		t.Fatal(err)
	}
}
