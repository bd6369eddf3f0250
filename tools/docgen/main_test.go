package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheckAndWrite(t *testing.T) {
	dir := t.TempDir()
	docgen := func(args ...string) (status int, stdout, stderr string) {
		var out, errs bytes.Buffer
		status = run(append([]string{"-root", dir}, args...), &out, &errs)
		return status, out.String(), errs.String()
	}
	if status, _, stderr := docgen("-check"); status != 1 || !strings.Contains(stderr, "docgen: man/imp.1 is not up to date: go run ./tools/docgen\n") {
		t.Fatalf("nothing is there: status %d, %s", status, stderr)
	}
	if status, stdout, stderr := docgen(); status != 0 || !strings.Contains(stdout, "completions/_imp\n") {
		t.Fatalf("status %d, %s%s", status, stdout, stderr)
	}
	for range 2 {
		if status, _, stderr := docgen("-check"); status != 0 {
			t.Fatalf("just written: status %d, %s", status, stderr)
		}
	}
	old := filepath.Join(dir, "man", "imp-telegraph.1")
	os.WriteFile(old, []byte("."), 0o644)
	os.Remove(filepath.Join(dir, "completions", "imp.fish"))
	f, _ := os.OpenFile(filepath.Join(dir, "man", "imp-version.1"), os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString("more\n")
	f.Close()
	status, _, stderr := docgen("-check")
	if status != 1 || strings.Count(stderr, "\n") != 3 {
		t.Errorf("three files are wrong: status %d\n%s", status, stderr)
	}
	if status, stdout, _ := docgen(); status != 0 || stdout != "completions/imp.fish\nman/imp-version.1\nman/imp-telegraph.1\n" {
		t.Errorf("status %d, wrote %s", status, stdout)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the page of a command that is gone stays")
	}
	if status, _, _ := docgen("-nope"); status != 2 {
		t.Errorf("status %d for an unknown flag", status)
	}
}

func TestPages(t *testing.T) {
	pages, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	again, _ := generate()
	for name, text := range pages {
		if !bytes.Equal(text, again[name]) {
			t.Errorf("%s differs from one run to the next", name)
		}
		if !strings.HasPrefix(name, "man/") {
			continue
		}
		if i := bytes.IndexFunc(text, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' }); i >= 0 {
			t.Errorf("%s: byte %d is not printable ASCII", name, i)
		}
		if strings.HasSuffix(name, ".1") {
			for _, want := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"} {
				verbs := want == "EXAMPLES" && bytes.Contains(text, []byte(".SS \"Examples\"\n"))
				if !verbs && !bytes.Contains(text, []byte(".SH \""+want+"\"\n")) {
					t.Errorf("%s has no section %s", name, want)
				}
			}
		}
	}
	for page, words := range map[string][]string{
		"man/imp-account.1":  {`.SH "IMP ACCOUNT ADD"`, `\fB\-\-password\-file FILE\fR`, `\fBimp account list\fR`},
		"man/imp-accounts.5": {"xcap_root", "password_command", "IMP_PASSWORD"},
		"man/imp-json.7":     {`.SS "error"`, `.SS "version"`, `\fBexit\fR`, "urn:ietf:params:xml:ns:pidf:rpid", "Printed by imp version."},
		"man/imp.1":          {"IMP_CONFIG", `\fB129, 130, 143\fR`, ".BR imp\\-version (1)", `\fB\-o, \-\-output text|json|raw\fR`},
	} {
		for _, w := range words {
			if !bytes.Contains(pages[page], []byte(w)) {
				t.Errorf("%s does not have %s", page, w)
			}
		}
	}
}

func TestRoff(t *testing.T) {
	p := newPage("x", 1)
	p.text("One line\nand 'more' of it: a-b ~x ^y `z` \\n …\n\n.not a request\n  kept  as-is\n  .so\n\nlast")
	want := `.\" Made by tools/docgen from the commands.
.TH X 1 "" "imp" "imp manual"
One line and \(aqmore\(aq of it: a\-b \(tix \(hay \(gaz\(ga \en \[u2026]
.PP
\&.not a request
.RS 2
.nf
kept  as\-is
\&.so
.fi
.RE
.PP
last
`
	if got := p.b.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestPagesAreValid asks the formatters that are installed.
func TestPagesAreValid(t *testing.T) {
	pages, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range [][]string{{"groff", "-ww", "-man", "-Tutf8", "-Kutf8"}, {"mandoc", "-T", "lint"}} {
		t.Run(tool[0], func(t *testing.T) {
			path, err := exec.LookPath(tool[0])
			if err != nil {
				t.Skipf("%s is not installed", tool[0])
			}
			for name, text := range pages {
				if !strings.HasPrefix(name, "man/") {
					continue
				}
				cmd := exec.Command(path, tool[1:]...)
				cmd.Stdin = bytes.NewReader(text)
				var errs bytes.Buffer
				cmd.Stderr = &errs
				if tool[0] == "mandoc" {
					cmd.Stdout = &errs
				}
				cmd.Run()
				// Without a date a page does not change from build to build.
				lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(errs.String()), "\n"), func(l string) bool {
					return l == "" || strings.Contains(l, "missing date") || strings.Contains(l, "STYLE: referenced manual not found") || strings.Contains(l, "input text line longer than 80 bytes")
				})
				if len(lines) > 0 {
					t.Errorf("%s:\n%s", name, strings.Join(lines, "\n"))
				}
			}
		})
	}
}
