package usage

import (
	"strconv"
	"strings"

	"imp/internal/doc/lists"
	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/uri"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Services returns the URIs of the services of an rls-services document in canonical form, in its order, each once. Each is claimed
// for the document before it is stored (RFC 4826 section 4.4.5).
func Services(t *tree.Tree) (list []string) {
	seen := map[string]bool{}
	for n := range services(t) {
		if uri := canonical(n); !seen[uri] {
			seen[uri] = true
			list = append(list, uri)
		}
	}
	return list
}

func services(t *tree.Tree) func(func(tree.Node) bool) {
	return func(yield func(tree.Node) bool) {
		if !t.Root().Is(spaceRLS, "rls-services") {
			return
		}
		for n := range t.Root().Elements() {
			if n.Is(spaceRLS, "service") && !yield(n) {
				return
			}
		}
	}
}

func canonical(service tree.Node) string {
	uri, _ := service.Attr("", "uri")
	return lists.Canonical(uri)
}

// listRules checks resource-lists and rls-services documents: uniqueness, then other constraints.
func listRules(t *tree.Tree, c Context) *xcaperror.Report {
	space := t.Root().Space()
	var unique, other *xcaperror.Report
	problems := lists.Check(t)
	for i := range problems {
		p := &problems[i]
		switch {
		case !p.Unique && other == nil:
			other = xcaperror.New(xcaperror.Constraint, "%v", p)
		case p.Unique:
			if unique == nil {
				unique = xcaperror.New(xcaperror.Uniqueness, "%v", p)
			}
			e := xcaperror.Exists{Field: Field(p.Node, p.Attr, space)}
			if p.Node.Is(spaceRLS, "service") {
				e.Alternatives = alternatives(p.Value, taken(t, c.Taken))
			} else if p.Attr == "name" {
				e.Alternatives = alternatives(p.Value, func(v string) bool { return hasSibling(p.Node, "name", v) })
			}
			unique.Exists = append(unique.Exists, e)
		}
	}
	if unique == nil {
		unique = Conflict(t, c.Taken)
	}
	switch {
	case unique != nil:
		return unique
	case other != nil:
		return other
	}
	return references(t, c)
}

// Conflict returns the report on services whose URIs are taken, or in canonical form stand twice in the document, with alternatives
// that are free; nil when there are none. A server whose claim of a URI fails answers with it.
func Conflict(t *tree.Tree, isTaken func(uri string) bool) *xcaperror.Report {
	var r *xcaperror.Report
	seen := map[string]bool{}
	for n := range services(t) {
		v := canonical(n)
		if !seen[v] && (isTaken == nil || !isTaken(v)) {
			seen[v] = true
			continue
		}
		if r == nil {
			r = xcaperror.New(xcaperror.Uniqueness, "the URI %s exists already", lexical.Clip(v))
		}
		r.Exists = append(r.Exists, xcaperror.Exists{Field: Field(n, "uri", spaceRLS), Alternatives: alternatives(v, taken(t, isTaken))})
	}
	return r
}

// taken reports whether a URI is one of the document or of others.
func taken(t *tree.Tree, others func(string) bool) func(string) bool {
	own := map[string]bool{}
	for n := range services(t) {
		own[canonical(n)] = true
	}
	return func(v string) bool { return own[lists.Canonical(v)] || others != nil && others(lists.Canonical(v)) }
}

func hasSibling(n tree.Node, attr, value string) bool {
	for k := range n.Parent().Elements() {
		if v, ok := k.Attr("", attr); ok && v == value && k.Is(n.Space(), n.Local()) {
			return true
		}
	}
	return false
}

// alternatives returns values that are free: of a URI with a number behind the user, of others with one at the end.
func alternatives(value string, taken func(string) bool) (free []string) {
	const most, tries = 3, 50
	head, tail := value, ""
	if i := strings.IndexByte(value, '@'); i > 0 {
		head, tail = value[:i], value[i:]
	}
	for n := 2; n < tries && len(free) < most; n++ {
		if v := head + "-" + strconv.Itoa(n) + tail; !taken(v) {
			free = append(free, v)
		}
	}
	return free
}

// references checks that resource-list elements lead to the same root, the usage resource-lists and the same user, from the global
// tree to any user (RFC 4826 section 4.4.5).
func references(t *tree.Tree, c Context) *xcaperror.Report {
	for n := range services(t) {
		ref := n.Element(spaceRLS, "resource-list")
		if !ref.Valid() {
			continue
		}
		if why := c.refuse(strings.Join(strings.Fields(ref.Text()), "")); why != "" {
			line, col := ref.Position()
			return xcaperror.New(xcaperror.Constraint, "%d:%d: resource-list %q %s", line, col, lexical.Clip(ref.Text()), why)
		}
	}
	return nil
}

func (c *Context) refuse(ref string) string {
	if strings.HasPrefix(ref, "/") {
		return "is no absolute URI"
	}
	why := "is in no XCAP root of this server"
	for _, root := range c.Roots {
		u, err := root.Parse(ref)
		switch {
		case err != nil:
			why = "is refused: " + err.Error()
			continue
		case u.AUID != "resource-lists":
			return "is not of the application usage resource-lists"
		case u.Global:
			return "is not in the home of a user"
		case !c.URI.Global && c.Naming.Canonical(u.XUI) != c.URI.XUI:
			return "is of another user"
		}
		return ""
	}
	return why
}

// Field returns the selector of an element, or with a name that of its attribute, from the root of its document, percent-encoded as in
// a conflict report (RFC 4825 section 11.1). Elements with siblings of their name get a position. Space is the default document
// namespace; other namespaces get prefixes and a query.
func Field(n tree.Node, attr, space string) string {
	var steps []string
	var bindings []uri.Binding
	if attr != "" {
		steps = append(steps, "@"+attr)
	}
	for ; n.Kind() == tree.Element; n = n.Parent() {
		steps = append(steps, step(n, space, &bindings))
	}
	for i, j := 0, len(steps)-1; i < j; i, j = i+1, j-1 {
		steps[i], steps[j] = steps[j], steps[i]
	}
	return uri.Relative(steps, bindings)
}

func step(n tree.Node, space string, bindings *[]uri.Binding) string {
	position, count := 0, 0
	for k := range n.Parent().Elements() {
		if k.Is(n.Space(), n.Local()) {
			count++
		}
		if k == n {
			position = count
		}
	}
	name := n.Local()
	if n.Space() != space {
		name = prefixFor(n.Space(), bindings) + ":" + name
	}
	if count > 1 {
		name += "[" + strconv.Itoa(position) + "]"
	}
	return name
}

func prefixFor(space string, bindings *[]uri.Binding) string {
	for _, b := range *bindings {
		if b.URI == space {
			return b.Prefix
		}
	}
	prefix := "n" + strconv.Itoa(len(*bindings)+1)
	*bindings = append(*bindings, uri.Binding{Prefix: prefix, URI: space})
	return prefix
}
