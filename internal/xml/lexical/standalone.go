package lexical

import (
	"slices"
	"strconv"
	"strings"

	"imp/internal/xml/tree"
)

// Bounds of what Standalone repeats.
const (
	MaxSpace = 256 // bytes of a namespace name
	maxBound = 100 // prefixes
)

// Standalone takes an element out of its document: its source, with the declarations of the prefixes that are used in it. It refuses a namespace name
// longer than MaxSpace, which few elements could make a large document of.
func Standalone(n tree.Node) (string, *tree.Error) {
	var prefixes []string
	use := func(prefix string) {
		if prefix != "xml" && len(prefixes) <= maxBound && !slices.Contains(prefixes, prefix) {
			prefixes = append(prefixes, prefix)
		}
	}
	var walk func(tree.Node)
	walk = func(n tree.Node) {
		use(n.Prefix())
		for a := range n.Attrs() {
			if a.Prefix() != "" {
				use(a.Prefix())
			}
		}
		for c := range n.Elements() {
			walk(c)
		}
	}
	walk(n)
	for d := range n.Decls() {
		prefixes = slices.DeleteFunc(prefixes, func(p string) bool { return p == d.Prefix() })
	}
	src := string(n.Bytes())
	head := 1 + len(n.Name())
	b := []byte(src[:head])
	for _, p := range prefixes {
		ns, ok := n.LookupPrefix(p)
		if !ok && p != "" {
			continue // declared further in
		}
		if len(ns) > MaxSpace {
			return "", ErrorIn(n, "the namespace name of "+Clip(n.Name())+" is longer than "+strconv.Itoa(MaxSpace)+" bytes")
		}
		b = AppendAttribute(b, strings.TrimSuffix("xmlns:"+p, ":"), ns)
	}
	return string(b) + src[head:], nil
}
