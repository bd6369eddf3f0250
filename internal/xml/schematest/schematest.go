// Package schematest serves tests of document formats: it has the examples that the RFCs print, and asks xmllint what the schemas of the RFCs say of
// documents. A test skips where they or xmllint are not there.
package schematest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Vectors is the folder of schemas and examples, beside the project's root.
var Vectors = filepath.Join(root(), "..", "shared", "vectors")

// root is the folder with go.mod above the package that is tested.
func root() string {
	dir := "."
	for range 10 {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Join(dir, "..")
	}
	return dir
}

// Need skips a test without the vectors.
func Need(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(Vectors); err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
}

// Example is an entry of the index of the examples that the RFCs print.
type Example struct {
	File, Kind, Schema string
	Valid, Elided      bool
	Source             []byte `json:"-"`
}

// Examples returns the examples of these kinds; there is at least one.
func Examples(t testing.TB, kinds ...string) (list []Example) {
	t.Helper()
	Need(t)
	index, err := os.ReadFile(filepath.Join(Vectors, "examples", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []Example
	if err := json.Unmarshal(index, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		if e.Source, err = os.ReadFile(filepath.Join(Vectors, "examples", e.File)); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		t.Fatalf("no example of %v", kinds)
	}
	return list
}

// Valid returns the sources of the valid examples of these kinds, by file name.
func Valid(t testing.TB, kinds ...string) map[string][]byte {
	t.Helper()
	docs := map[string][]byte{}
	for _, e := range Examples(t, kinds...) {
		if e.Valid {
			docs[e.File] = e.Source
		}
	}
	return docs
}

// Judge returns what xmllint has against documents by a schema: a file of Vectors or the path of another, RELAX NG if it ends in .rng. "" is valid.
func Judge(t testing.TB, schema string, docs ...[]byte) []string {
	t.Helper()
	Need(t)
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("no xmllint to check against")
	}
	language := "--schema"
	if strings.HasSuffix(schema, ".rng") {
		language = "--relaxng"
	}
	if !filepath.IsAbs(schema) {
		schema = filepath.Join(Vectors, "schemas", schema)
	}
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", language, schema}
	verdicts := make([]string, len(docs))
	for first := 0; first < len(docs); first += 1000 {
		names := slices.Clone(args)
		for i := first; i < min(first+1000, len(docs)); i++ {
			name := filepath.Join(dir, strconv.Itoa(i)+".xml")
			if err := os.WriteFile(name, docs[i], 0o600); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		out, _ := exec.Command(xmllint, names...).CombinedOutput()
		if told := read(string(out), dir, verdicts); told < len(names)-len(args) {
			t.Fatalf("xmllint judged %d of %d documents: %.2000s", told, len(names)-len(args), out)
		}
	}
	return verdicts
}

// read adds the lines of xmllint to the verdicts on the documents that they name, and returns how many documents were judged.
func read(out, dir string, verdicts []string) (told int) {
	for line := range strings.Lines(out) {
		rest, ok := strings.CutPrefix(line, dir+string(filepath.Separator))
		number, what, cut := strings.Cut(rest, ".xml")
		i, err := strconv.Atoi(number)
		if !ok || !cut || err != nil {
			continue
		}
		if strings.TrimSpace(what) == "validates" {
			told++
			continue
		}
		if strings.HasPrefix(what, " fails") || strings.Contains(what, "parser error") && verdicts[i] == "" {
			told++
		}
		verdicts[i] += what
	}
	return told
}

// MustBeValid fails a test for each document that a schema refuses.
func MustBeValid(t testing.TB, schema string, docs ...[]byte) {
	t.Helper()
	for i, verdict := range Judge(t, schema, docs...) {
		if verdict != "" {
			t.Errorf("xmllint: %s%s", verdict, docs[i])
		}
	}
}
