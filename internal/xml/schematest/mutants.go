package schematest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"imp/internal/xml/tree"
)

// Mutants makes well-formed documents out of others that have one element a line: lines are dropped, doubled and moved, and values are spoilt. The same seed
// makes the same ones.
func Mutants(seed uint64, each int, docs ...[]byte) (mutants [][]byte) {
	r := rand.New(rand.NewPCG(seed, seed+1))
	old := [][]byte{[]byte(`=""`), []byte("true"), []byte("id="), []byte("uri="), []byte("one"), []byte("all"), []byte("entry")}
	spoilt := [][]byte{[]byte("x"), []byte("no"), []byte("ib=")}
	for _, doc := range docs {
		for range each {
			lines := bytes.SplitAfter(slices.Clone(doc), []byte("\n"))
			i, j := 2+r.IntN(len(lines)-3), 2+r.IntN(len(lines)-3)
			switch r.IntN(4) {
			case 0:
				lines = slices.Delete(lines, i, min(i+1+r.IntN(3), len(lines)-2))
			case 1:
				lines = slices.Insert(lines, j, bytes.Clone(lines[i]))
			case 2:
				lines[i], lines[j] = lines[j], lines[i]
			case 3:
				lines[i] = bytes.ReplaceAll(lines[i], old[r.IntN(len(old))], spoilt[r.IntN(len(spoilt))])
			}
			mutant := bytes.Join(lines, nil)
			if _, err := tree.Parse(mutant, tree.Options{}); err == nil && !bytes.Equal(mutant, doc) {
				mutants = append(mutants, mutant)
			}
		}
	}
	return mutants
}

// MustAgree fails a test for each document that a schema and parse do not agree about, and when all or none are valid.
func MustAgree(t *testing.T, schema string, parse func([]byte) error, docs ...[]byte) {
	t.Helper()
	valid := 0
	for i, verdict := range Judge(t, schema, docs...) {
		if err := parse(docs[i]); (err == nil) != (verdict == "") {
			t.Errorf("Parse: %v, xmllint: %q\n%s", err, verdict, docs[i])
		}
		if verdict == "" {
			valid++
		}
	}
	if valid == 0 || valid == len(docs) {
		t.Errorf("%d of %d documents are valid", valid, len(docs))
	}
}
