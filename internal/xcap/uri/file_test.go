package uri

import (
	"slices"
	"strings"
	"testing"
)

func TestFilePaths(t *testing.T) {
	for want, names := range map[string][]string{
		"resource-lists/users/sip%3ajoe@example.com/index": {"resource-lists", "users", "sip:joe@example.com", "index"},
		"a/%4aoe":              {"a", "Joe"},
		"%2e%2e/%2e/x":         {"..", ".", "x"},
		"%2ehidden/x.xml/y%2e": {".hidden", "x.xml", "y."},
		"a%2fb%5cc":            {`a/b\c`},
		"%63on/%6eul.xml/%63om1/com/com10/console": {"con", "nul.xml", "com1", "com", "com10", "console"},
		"a%20b%3a%2a%25%c3%a9":                     {"a b:*%é"},
	} {
		if got := FilePath(names...); got != want {
			t.Errorf("%q: got %s, want %s", names, got, want)
		}
		if got, err := ParseFilePath(want); err != nil || !slices.Equal(got, names) {
			t.Errorf("%s: got %q, %v, want %q", want, got, err, names)
		}
	}
	for _, bad := range []string{"", "a//b", "/a", "a/", "a%", "a%/", "a%zz", "%ff", "%"} {
		if names, err := ParseFilePath(bad); err == nil {
			t.Errorf("%q is read as %q", bad, names)
		}
	}
}

func FuzzFilePath(f *testing.F) {
	f.Add("sip:Joe@example.com", "index")
	f.Add("..", strings.Repeat("É.", 300))
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, name := range []string{a, b} {
			if checkName(Document, name, name) != nil && name != "." && name != ".." {
				return
			}
			if _, err := decode(Document, string(appendSegment(nil, name))); err != nil {
				return
			}
		}
		path := FilePath(a, b)
		for part := range strings.SplitSeq(path, "/") {
			if part == "" || len(part) > maxFileName+1 || part[0] == '.' || part[len(part)-1] == '.' || strings.ToLower(part) != part || isDevice(part) {
				t.Errorf("%q, %q: %s has the name %s in it", a, b, path, part)
			}
		}
		if names, err := ParseFilePath(path); err != nil || !slices.Equal(names, []string{a, b}) {
			t.Errorf("%q, %q: %s is read as %q, %v", a, b, path, names, err)
		}
	})
}
