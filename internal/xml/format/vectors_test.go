package format

import (
	"os"
	"path/filepath"
	"testing"

	"imp/internal/xml/tree"
)

// TestExamples lays published examples out: what comes of it says the same, and a second run changes nothing.
func TestExamples(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/vectors/examples/*.xml")
	if len(files) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := tree.Parse(src, tree.Options{AllowDTD: true})
		if err != nil {
			continue // one that is published with an error
		}
		first := Append(nil, d, Options{})
		again, err := tree.Parse(first, tree.Options{AllowDTD: true})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		if skeleton(d) != skeleton(again) {
			t.Errorf("%s says something else:\n%s", filepath.Base(file), first)
		}
		if second := Append(nil, again, Options{}); string(second) != string(first) {
			t.Errorf("%s: a second run changes it", filepath.Base(file))
		}
	}
}
