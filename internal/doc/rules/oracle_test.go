package rules

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

const vectors = "../../../../shared/vectors"

func needVectors(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(vectors); err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
}

// examples returns the well-formed documents of these kinds that the RFCs print, by file name.
func examples(t *testing.T, kinds ...string) map[string][]byte {
	t.Helper()
	needVectors(t)
	index, err := os.ReadFile(filepath.Join(vectors, "examples", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		File, Kind string
		Valid      bool
	}
	if err := json.Unmarshal(index, &all); err != nil {
		t.Fatal(err)
	}
	docs := map[string][]byte{}
	for _, e := range all {
		if !e.Valid || !slices.Contains(kinds, e.Kind) {
			continue
		}
		if docs[e.File], err = os.ReadFile(filepath.Join(vectors, "examples", e.File)); err != nil {
			t.Fatal(err)
		}
	}
	if len(docs) == 0 {
		t.Fatalf("no example of %v", kinds)
	}
	return docs
}

// judge asks xmllint which documents a schema holds valid; verdict "" is valid.
func judge(t *testing.T, schema string, docs [][]byte) []string {
	t.Helper()
	needVectors(t)
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("no xmllint to check against")
	}
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", "--schema", filepath.Join(vectors, "schemas", schema)}
	for i, doc := range docs {
		name := filepath.Join(dir, strconv.Itoa(i)+".xml")
		if err := os.WriteFile(name, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, _ := exec.Command(xmllint, args...).CombinedOutput()
	verdicts := make([]string, len(docs))
	told := 0
	for line := range strings.Lines(string(out)) {
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
	if told < len(docs) {
		t.Fatalf("xmllint judged %d of %d documents: %.2000s", told, len(docs), out)
	}
	return verdicts
}

// mustBeValid fails for each document that the schema refuses.
func mustBeValid(t *testing.T, schema string, docs ...[]byte) {
	t.Helper()
	for i, verdict := range judge(t, schema, docs) {
		if verdict != "" {
			t.Errorf("xmllint: %s%s", verdict, docs[i])
		}
	}
}
