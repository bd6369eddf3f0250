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
// URIs of entries, refs and anchors that stand twice below one parent, services that stand twice, refs that are no relative paths, anchors and
// resource-list URIs that are no absolute HTTP URIs, services that cannot be subscribed to, and refs and anchors that are not percent-encoded. Comparison is of strings. It takes linear time. Of documents of other types it returns none.
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
			if own := uri(n, "uri"); !subscribable(own) {
				c.report(n, "uri", own, false, "is nothing to subscribe to, expected an absolute URI such as sip:friends@example.com")
			}
			c.unique(n, "uri", seen)
			for k := range n.Elements() {
				if k.Is(ServicesSpace, "list") {
					c.siblings(k)
				} else if ref := lexical.Trim(k.Text()); k.Is(ServicesSpace, "resource-list") && !absoluteHTTP(strings.Join(strings.Fields(ref), "")) {
					c.report(k, "", ref, false, "is no absolute HTTP URI")
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
			} else if !encoded(ref) {
				c.report(n, "ref", ref, false, notEncoded)
			}
			c.unique(n, "ref", seen[EntryRef])
		case "external":
			anchor := uri(n, "anchor")
			_, path, _ := strings.Cut(anchor, "://")
			if at := strings.IndexAny(path, "/?#"); at >= 0 {
				path = path[at:]
			}
			if !absoluteHTTP(anchor) {
				c.report(n, "anchor", anchor, false, "is no absolute HTTP URI")
			} else if !encoded(path) {
				c.report(n, "anchor", anchor, false, notEncoded)
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

// subscribable reports whether a client can subscribe to a URI (RFC 4826 section 4.1): it is an absolute one with nothing in it that is to be
// escaped, and one of SIP or presence names a host.
func subscribable(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || !lexical.IsScheme(scheme) || strings.Contains(rest, "  ") || !encoded(strings.NewReplacer("[", "", "]", "").Replace(rest)) {
		return false
	}
	switch strings.ToLower(scheme) {
	case "sip", "sips", "pres":
		user, host, named := strings.Cut(rest, "@")
		if !named {
			user, host = "-", rest
		}
		return user != "" && host != "" && strings.IndexByte(":;?/", host[0]) < 0 && strings.IndexByte(host, '@') < 0
	}
	return true
}

// absoluteHTTP reports whether a URI has an HTTP scheme and a host.
func absoluteHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// relativePath reports whether a reference is a path without scheme, authority and slash before it (RFC 4826 section 3.1).
func relativePath(s string) bool {
	first, _, _ := strings.Cut(s, "/")
	return s != "" && strings.IndexByte("/?#", s[0]) < 0 && !strings.Contains(first, ":")
}

// notEncoded is what is wrong with a reference that encoded refuses.
const notEncoded = "is not percent-encoded, or no URI with a path and a query only; expected list%5B@name=%22a%22%5D for list[@name=\"a\"]"

// encoded reports whether a path with its query has only what stands in one as it is, and whole escapes (RFC 3986 sections 3.3 and 3.4).
func encoded(s string) bool {
	query := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case strings.HasPrefix(s[i:], "  "): // what is left of a line break and the indentation of the next line, which RFC 4826 prints
			for i+1 < len(s) && s[i+1] == ' ' {
				i++
			}
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._~!$&'()*+,;=:@/", c) >= 0:
		case c == '%' && lexical.Escape(s[i:]):
		case c == '?' && !query:
			query = true
		case c != '?' || !query:
			return false
		}
	}
	return true
}
