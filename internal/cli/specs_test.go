package cli

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imp/internal/cli/kit"
)

// TestSpecsKnowEveryDocument checks that the generated list and the table of what is built name the same documents.
func TestSpecsKnowEveryDocument(t *testing.T) {
	var list []spec
	if err := json.Unmarshal(specsJSON, &list); err != nil {
		t.Fatal(err)
	}
	var documents []string
	for _, s := range list {
		for _, d := range s.Documents {
			documents = append(documents, d)
			b, known := built[d]
			if !known {
				t.Errorf("%s: nothing is said about what is built", d)
			}
			if known && len(b.commands) == 0 && b.why == "" {
				t.Errorf("%s: neither commands nor a reason", d)
			}
		}
	}
	for d := range built {
		if !slices.Contains(documents, d) {
			t.Errorf("%s is not in the list of documents", d)
		}
	}
}

// TestSpecsNameWhatExists checks the table of what is built against the tree.
func TestSpecsNameWhatExists(t *testing.T) {
	_, root := tree()
	for d, b := range built {
		for _, c := range b.commands {
			if cmd, rest, err := root.Find(strings.Fields(c)); err != nil || len(rest) > 0 || cmd == root {
				t.Errorf("%s: there is no command %s", d, c)
			}
		}
		for _, p := range b.packages {
			if files, _ := filepath.Glob(filepath.Join("..", filepath.FromSlash(p), "*.go")); len(files) == 0 {
				t.Errorf("%s: there is no package internal/%s", d, p)
			}
		}
	}
}

const twoSpecs = `[
{"id":"OVW-001","documents":["RFC 1"],"for":"one","tables":[{"name":"first","rows":9,"tested":4,"open":2,"na":1}]},
{"id":"OVW-002","documents":["RFC 2","RFC 22"],"for":"two, which is described at such length that no table could hold all of it"}]`

func TestSpecs(t *testing.T) {
	run := func(output string, args ...string) (string, error) {
		s, out, _ := kit.Recorded("", "")
		k := kit.New(s)
		k.Output = output
		o := &specsOptions{kit: k, source: []byte(twoSpecs), exists: func(string) bool { return true }}
		err := o.run(args)
		return out.String(), err
	}
	out, err := run(kit.OutputText)
	want := "DOCUMENT       TESTED  FOR                                      COMMANDS\n" +
		"RFC 1          4/8     one                                      -\n" +
		"RFC 2, RFC 22  -       two, which is described at such length…  -\n"
	if err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	for _, args := range []string{"2", "rfc2", "RFC2", "RFC 2", "rfc-22", "ovw-002", "OVW002"} {
		out, err := run(kit.OutputJSON, strings.Fields(args)...)
		if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"documents":["RFC 2","RFC 22"]`) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
	for _, args := range []string{"first", "first.md"} {
		if out, err := run(kit.OutputText, args); err != nil || !strings.Contains(out, "first: 9 requirements, 4 tested, 2 known to be unmet, 1 do not apply") {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
	if _, err := run(kit.OutputText, "3"); err == nil {
		t.Error("RFC 3 is found")
	}
}
