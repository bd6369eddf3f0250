package grammar

import (
	"io/fs"
	"testing"
)

func TestFilesCompile(t *testing.T) {
	names, err := fs.Glob(embedded, "rnc/*.rnc")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		s, err := compileFile(embedded, name)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s: %d roots, %d elements", name, len(s.roots), len(s.elements))
	}
}
