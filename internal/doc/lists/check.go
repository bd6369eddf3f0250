package lists

import (
	"net/url"
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MaxProblems is how many problems Check returns at most.
const MaxProblems = 50

// Problem is what RFC 4826 forbids beyond its schemas.
type Problem struct {
	Line, Col int       // of the attribute or element, see tree.Tree.Position
	Unique    bool      // it is one of uniqueness; else a constraint is violated
	Node      tree.Node // the element that violates it
	Attr      string    // the attribute of Node, "" when it is the content
	Value     string    // the value that is refused
	Text      string    // what is wrong, and what is allowed
}

// Error returns "line:column: text".
func (p *Problem) Error() string {
	return strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col) + ": " + p.Text
}

// Check returns the first problems of a resource-lists or rls-services document in document order (RFC 4826 sections 3.4.5 and 4.4.5): names of lists,
// URIs of entries, refs and anchors that stand twice below one parent, services that stand twice, refs that are no relative paths, and anchors and
// resource-list URIs that are no absolute HTTP URIs. Comparison is of strings. It takes linear time. Of documents of other types it returns none.
func Check(t *tree.Tree) []Problem {
	c := checker{tree: t}
	root := t.Root()
	if root.Is(Space, "resource-lists") {
		c.siblings(root)
	}
	if root.Is(ServicesSpace, "rls-services") {
		seen := map[string]bool{}
		for n := range root.Elements() {
			if !n.Is(ServicesSpace, "service") {
				continue
			}
			c.unique(n, "uri", seen)
			for k := range n.Elements() {
				if k.Is(ServicesSpace, "list") {
					c.siblings(k)
				} else if uri := lexical.Trim(k.Text()); k.Is(ServicesSpace, "resource-list") && !absoluteHTTP(uri) {
					c.report(k, "", uri, false, "is no absolute HTTP URI")
				}
			}
		}
	}
	return c.problems
}

type checker struct {
	tree     *tree.Tree
	problems []Problem
}

// siblings checks what is below a list or the root.
func (c *checker) siblings(parent tree.Node) {
	seen := [len(kindNames)]map[string]bool{{}, {}, {}, {}}
	for n := range parent.Elements() {
		if n.Space() != Space || len(c.problems) >= MaxProblems {
			continue
		}
		switch n.Local() {
		case "list":
			c.unique(n, "name", seen[Nested])
			c.siblings(n)
		case "entry":
			c.unique(n, "uri", seen[Entry])
		case "entry-ref":
			if ref := uri(n, "ref"); !relativePath(ref) {
				c.report(n, "ref", ref, false, "is no relative path from the XCAP root, without scheme and without a slash before it")
			}
			c.unique(n, "ref", seen[EntryRef])
		case "external":
			if anchor := uri(n, "anchor"); !absoluteHTTP(anchor) {
				c.report(n, "anchor", anchor, false, "is no absolute HTTP URI")
			}
			c.unique(n, "anchor", seen[External])
		}
	}
}

// unique reports a value that an element of the same kind below the same parent has. Entries that stand for anonymous recipients (RFC 5364 section 4.2)
// are no exception, as the schema has them as other entries.
func (c *checker) unique(n tree.Node, attr string, seen map[string]bool) {
	value, ok := n.Attr("", attr)
	if !ok {
		return
	}
	if attr != "name" {
		value = lexical.Trim(value)
	}
	if seen[value] {
		c.report(n, attr, value, true, "stands twice below one parent, expected each "+n.Local()+" once")
	}
	seen[value] = true
}

func (c *checker) report(n tree.Node, attr, value string, unique bool, why string) {
	if len(c.problems) >= MaxProblems {
		return
	}
	at, what := lexical.StartOf(n), n.Local()
	if attr != "" {
		what = attr
		if a := n.Attribute("", attr); a.Valid() {
			at, _ = a.Range()
		}
	}
	line, col := c.tree.Position(at)
	c.problems = append(c.problems, Problem{line, col, unique, n, attr, value, what + " " + strconv.Quote(lexical.Clip(value)) + " " + why})
}

// absoluteHTTP reports whether a URI has an HTTP scheme and a host.
func absoluteHTTP(s string) bool {
	u, err := url.Parse(strings.Join(strings.Fields(s), ""))
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// relativePath reports whether a reference is a path without scheme, authority and slash before it (RFC 4826 section 3.1).
func relativePath(s string) bool {
	first, _, _ := strings.Cut(s, "/")
	return s != "" && s[0] != '/' && !strings.Contains(first, ":")
}
