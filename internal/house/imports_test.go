package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors are the packages from the top of the house down: an import goes to a
// later floor only. Packages on one floor do not know each other, but a package
// may import its own sub-packages.
var floors = [][]string{
	{"cmd/imp", "tools"},
	{"internal/cli"},
	{"internal/server"},
	{"internal/agent"},
	{"internal/decode"},
	{"internal/sip", "internal/msrp", "internal/xcap"},
	{"internal/doc"},
	{"internal/auth", "internal/transport"},
	{"internal/xml", "internal/store"},
}

// inner are the floors within one area, where its packages do build on each
// other; the lowest is last.
var inner = map[string][]string{
	"internal/sip":   {"proxy", "registration", "event", "useragent", "uac", "dialog", "identity", "stack", "header"},
	"internal/xml":   {"schematest", "patch", "grammar", "query", "format", "lexical", "canon", "selector", "tree", "charset"},
	"internal/msrp":  {"relayclient", "file", "session", "wire"},
	"internal/xcap":  {"client", "usage", "resource", "key", "uri"},
	"internal/store": {"storetest", "bolt", "memory", ""},
	"internal/cli":   {"", "kit"},
}

// exceptions are imports that the floors forbid and the design wants: the lab
// brings up every server.
var exceptions = map[string]string{"internal/server/lab": "internal/server/"}

func TestImportsGoDown(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		rel, _ := filepath.Rel(root, filepath.Dir(path))
		checkFile(t, path, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no files found")
	}
}

func checkFile(t *testing.T, path, pkg string) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		target, ours := strings.CutPrefix(target, "imp/")
		if ours && !allowed(pkg, target) {
			t.Errorf("%s imports %s, which is not below it", path, target)
		}
	}
}

func TestTheRuleForbids(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"internal/sip/event", "internal/sip/stack", true},
		{"internal/sip/stack", "internal/sip/event", false},
		{"internal/sip/event", "internal/server/presence", false},
		{"internal/doc/pidf", "internal/xml/tree", true},
		{"internal/doc/pidf", "internal/doc/winfo", false},
		{"internal/xml/tree", "internal/store", false},
		{"internal/server/presence", "internal/server/rls", false},
		{"internal/server/lab", "internal/server/presence", true},
		{"internal/cli", "internal/cli/kit", true},
		{"internal/cli/kit", "internal/cli", false},
		{"internal/sip/stack", "internal/msrp/wire", false},
	} {
		if got := allowed(c.from, c.to); got != c.want {
			t.Errorf("allowed(%s, %s) = %v", c.from, c.to, got)
		}
	}
}

// allowed reports whether package from may import package to.
func allowed(from, to string) bool {
	if prefix, ok := exceptions[from]; ok && strings.HasPrefix(to, prefix) {
		return true
	}
	if strings.HasPrefix(to, from+"/") {
		return true
	}
	a, areaA := floor(from)
	b, areaB := floor(to)
	if a < 0 || b < 0 {
		return false
	}
	if a != b {
		return a < b
	}
	if areaA != areaB {
		return false
	}
	order := inner[areaA]
	i, j := indexOf(order, part(from, areaA)), indexOf(order, part(to, areaA))
	return i >= 0 && j >= 0 && i < j
}

// floor finds the floor of a package and the area on it.
func floor(pkg string) (int, string) {
	for i, areas := range floors {
		for _, area := range areas {
			if pkg == area || strings.HasPrefix(pkg, area+"/") {
				return i, area
			}
		}
	}
	return -1, ""
}

// part is the first part of a package's name below its area.
func part(pkg, area string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(pkg, area), "/")
	first, _, _ := strings.Cut(rest, "/")
	return first
}

func indexOf(list []string, s string) int {
	for i, x := range list {
		if x == s {
			return i
		}
	}
	return -1
}
