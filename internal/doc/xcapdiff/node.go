package xcapdiff

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// Node tells what an element or attribute of a document is now.
type Node struct {
	Sel     string // path of the document below the XCAP root, /~~/ and the node selector, percent-encoded, with the query of RFC 4825 section 6.4
	Missing bool   // it is not there
	Content []byte // of an element: it with all declarations that it needs; nil when it is missing or not shown
	Value   string // of an attribute
}

// ErrSeveral is the reason why a node cannot be shown: its selector has to be for one alone.
var ErrSeveral = errors.New("several nodes are selected")

// Show returns what to tell of the node that a node selector, not percent-encoded, is for in the document at a path below the
// XCAP root; doc is nil when there is none. Ns has the prefixes of the selector, and as "" the default document namespace
// of the application usage. An element longer than most bytes is not shown, with 0 every one is. The error is ErrSeveral, or that
// of a selector which is for no element or attribute.
func Show(path, sel string, ns selector.Prefixes, doc *tree.Tree, most int) (n Node, attribute bool, err error) {
	s, err := selector.ParseXCAP(sel, ns)
	if err != nil {
		return n, false, err
	}
	if attribute = s.Kind() == selector.Attribute; !attribute && s.Kind() != selector.Element {
		return n, false, fmt.Errorf("%q selects neither an element nor an attribute", sel)
	}
	n, err = Of(s, doc, most)
	n.Sel = encode(path) + "/~~/" + encode(strings.TrimPrefix(sel, "/")) + query(sel, ns)
	return n, attribute, err
}

// Of returns what to tell of the node that a compiled selector is for, an element or attribute, save Sel. About doc, most and the
// error see Show.
func Of(s *selector.Selector, doc *tree.Tree, most int) (n Node, err error) {
	if doc == nil {
		return Node{Missing: true}, nil
	}
	found, err := s.Locate(doc)
	var why *selector.Error
	switch {
	case errors.As(err, &why) && why.Count > 1:
		return n, fmt.Errorf("%w: %w", ErrSeveral, err)
	case err != nil:
		n.Missing = true
	case s.Kind() == selector.Attribute:
		n.Value = found.Attr.Value()
	default:
		if n.Content = whole(found.Node); most > 0 && len(n.Content) > most {
			n.Content = nil
		}
	}
	return n, nil
}

// Locate locates the node in a document of an application usage with this default document namespace (RFC 4825 section 6.4):
// names without a prefix are of that, prefixes are those of the query.
func (n *Node) Locate(doc *tree.Tree, defaultSpace string) (selector.Node, error) {
	_, sel, err := n.split()
	if err != nil {
		return selector.Node{}, err
	}
	ns, err := n.bindings()
	if err != nil {
		return selector.Node{}, err
	}
	ns[""] = defaultSpace
	s, err := selector.ParseXCAP(sel, ns)
	if err != nil {
		return selector.Node{}, err
	}
	return s.Locate(doc)
}

// Document returns the path below the XCAP root of the document that the node is in.
func (n *Node) Document() string {
	path, _, _ := n.split()
	return path
}

// split returns the path of the document and the node selector, decoded.
func (n *Node) split() (path, sel string, err error) {
	ref, _, _ := strings.Cut(n.Sel, "?")
	path, sel, ok := strings.Cut(ref, "/~~/")
	if !ok || path == "" || strings.HasPrefix(path, "/") {
		return "", "", fmt.Errorf("sel %q is no path below the XCAP root with /~~/ and a node selector", n.Sel)
	}
	if path, err = url.PathUnescape(path); err == nil {
		sel, err = url.PathUnescape(sel)
	}
	if err == nil && slices.Contains(strings.Split(path, "/"), "..") {
		err = fmt.Errorf("sel %q leads out of the XCAP root", n.Sel)
	}
	return path, sel, err
}

// bindings reads the pointer parts of the query: xmlns(prefix=uri), one behind the other (RFC 4825 section 6.4).
func (n *Node) bindings() (selector.Prefixes, error) {
	_, query, _ := strings.Cut(n.Sel, "?")
	rest, err := url.PathUnescape(query)
	if err != nil {
		return nil, err
	}
	ns := selector.Prefixes{}
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		part, ok := strings.CutPrefix(rest, "xmlns(")
		end := closing(part)
		prefix, uri, assigned := "", "", false
		if ok && end >= 0 {
			prefix, uri, assigned = strings.Cut(part[:end], "=")
		}
		if prefix = strings.TrimSpace(prefix); !assigned || prefix == "" {
			return nil, fmt.Errorf("query %q is none of xmlns(PREFIX=URI)", rest)
		}
		ns[prefix] = unescaped.Replace(strings.TrimSpace(uri))
		rest = part[end+1:]
	}
	return ns, nil
}

// unescaped takes the circumflex off that parentheses and itself have before them in a pointer.
var unescaped = strings.NewReplacer("^^", "^", "^(", "(", "^)", ")")

var escaped = strings.NewReplacer("^", "^^", "(", "^(", ")", "^)")

// closing returns where the parenthesis ends that s begins behind, -1 when it does not.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '^':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return i
			}
		}
	}
	return -1
}

// query returns the query that binds the prefixes that a selector may use.
func query(sel string, ns selector.Prefixes) string {
	var parts []string
	for prefix, uri := range ns {
		if prefix != "" && strings.Contains(sel, prefix+":") {
			parts = append(parts, encode("xmlns("+prefix+"="+escaped.Replace(uri)+")"))
		}
	}
	if parts == nil {
		return ""
	}
	slices.Sort(parts)
	return "?" + strings.Join(parts, "")
}

// encode percent-encodes what cannot stand in a path or query.
func encode(s string) string {
	const plain, hex = "-._~!$&'()*+,;=:@/", "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// whole returns an element as it is written, with the declarations that it takes over from the elements around it; of the namespace
// of the diff around it only when it has the prefix somewhere.
func whole(n tree.Node) []byte {
	src := n.Bytes()
	at := 1 + len(n.Name())
	dst := append([]byte(nil), src[:at]...)
	for prefix, uri := range n.Parent().InScope() {
		if prefix == "xml" || slices.ContainsFunc(slices.Collect(n.Decls()), func(d tree.Decl) bool { return d.Prefix() == prefix }) {
			continue
		}
		if uri == Space && !uses(n, prefix) {
			continue
		}
		dst = append(append(append(dst, ' '), strings.TrimSuffix("xmlns:"+prefix, ":")...), `="`...)
		dst = append(tree.AppendValue(dst, uri, '"'), '"')
	}
	return append(dst, src[at:]...)
}

// uses reports whether a name in an element has a prefix.
func uses(n tree.Node, prefix string) bool {
	if n.Prefix() == prefix {
		return true
	}
	for a := range n.Attrs() {
		if a.Prefix() == prefix {
			return true
		}
	}
	for c := range n.Elements() {
		if uses(c, prefix) {
			return true
		}
	}
	return false
}
