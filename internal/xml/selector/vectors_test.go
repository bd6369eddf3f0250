package selector

import (
	"os"
	"path/filepath"
	"testing"

	"imp/internal/xml/tree"
)

// TestSelectorsOfExamples compiles the selectors of all patch operations that stand in published examples.
func TestSelectorsOfExamples(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/vectors/examples/*.xml")
	if len(files) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	seen := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := tree.Parse(src, tree.Options{})
		if err != nil {
			continue // one that is published with an error
		}
		for n := d.Root(); n.Valid(); n = following(n) {
			sel, ok := n.Attr("", "sel")
			if name := n.Local(); !ok || name != "add" && name != "replace" && name != "remove" {
				continue
			}
			seen++
			if _, err := ParsePatch(sel, InScope(n)); err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d selectors in %d files", seen, len(files))
	}
}
