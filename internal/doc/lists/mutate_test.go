package lists

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"imp/internal/xml/tree"
)

func parse(doc []byte) (any, error) {
	if bytes.Contains(doc, []byte("<rls-services")) {
		return ParseServices(doc)
	}
	return Parse(doc)
}

// TestMutants: Parse and the schemas agree about documents whose lines were dropped, doubled and moved, and whose values were spoilt.
func TestMutants(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var mutants [][]byte
	for _, doc := range [][]byte{sample().Bytes(), services().Bytes()} {
		for range 400 {
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
				old, spoilt := [][]byte{[]byte(`=""`), []byte("true"), []byte("id="), []byte("uri="), []byte("one"), []byte("all"), []byte("entry")}, [][]byte{[]byte("x"), []byte("no"), []byte("ib=")}
				lines[i] = bytes.ReplaceAll(lines[i], old[r.IntN(len(old))], spoilt[r.IntN(len(spoilt))])
			}
			mutant := bytes.Join(lines, nil)
			if _, err := tree.Parse(mutant, limits); err == nil && !bytes.Equal(mutant, doc) {
				mutants = append(mutants, mutant)
			}
		}
	}
	valid := 0
	for i, verdict := range judge(t, "bundle-lists.xsd", mutants) {
		doc := mutants[i]
		_, err := parse(doc)
		if (err == nil) != (verdict == "") {
			t.Errorf("Parse: %v, xmllint: %q\n%s", err, verdict, doc)
		}
		if verdict == "" {
			valid++
		}
	}
	if valid < 10 || valid > len(mutants)-10 {
		t.Errorf("%d of %d mutants are valid", valid, len(mutants))
	}
}
