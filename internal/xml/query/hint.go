package query

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"imp/internal/xml/tree"
)

// MaxLength is how long an expression may be, in bytes.
const MaxLength = 16 << 10

// Check refuses expressions that the library would evaluate to something else than they say. That an expression passes
// does not mean that it compiles.
func Check(expr string) error {
	if len(expr) > MaxLength {
		return fmt.Errorf("the expression is longer than %d bytes", MaxLength)
	}
	var open []byte
	for _, t := range tokens(expr) {
		switch {
		case t.text[0] == '[' || t.text[0] == '(':
			open = append(open, t.text[0])
		case t.text[0] == ']' || t.text[0] == ')':
			if len(open) == 0 || open[len(open)-1] != map[byte]byte{']': '[', ')': '('}[t.text[0]] {
				return fmt.Errorf("%s closes nothing", t.text)
			}
			open = open[:len(open)-1]
		case t.name && t.text == "processing-instruction" && t.next == "(":
			return errors.New("processing instructions cannot be selected by XPath here, a selector of patches can")
		case t.name && strings.HasSuffix(t.text, ":") && !strings.HasSuffix(t.text, "::") && t.next == "*":
			return fmt.Errorf("%s* is not evaluated, write *[namespace-uri()='…']", t.text)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%c is not closed", open[len(open)-1])
	}
	return nil
}

// Hint tells why an expression may find nothing in a document: an element or attribute that it names is only there in
// another namespace, or no element has that name at all. It is "" when nothing is known. ns are the prefixes that the
// expression was compiled with.
func Hint(t *tree.Tree, expr string, ns map[string]string) string {
	root := t.Root()
	for _, name := range names(expr) {
		prefix, local, prefixed := strings.Cut(name.text, ":")
		if !prefixed {
			prefix, local = "", name.text
		}
		spaces := []string{ns[prefix]}
		if !prefixed && !name.attribute {
			spaces = append(spaces, root.Space())
		}
		if name.attribute {
			if hint := hintAttribute(root, spaces[0], local); hint != "" {
				return hint
			}
			continue
		}
		if hint := hintElement(root, spaces, local, ns); hint != "" {
			return hint
		}
	}
	return ""
}

// hintElement returns "" when there is such an element.
func hintElement(root tree.Node, spaces []string, local string, ns map[string]string) string {
	var like tree.Node
	for n := root; n.Valid(); n = following(n) {
		if n.Local() != local || n.Kind() != tree.Element {
			continue
		}
		for _, space := range spaces {
			if n.Space() == space {
				return ""
			}
		}
		if !like.Valid() {
			like = n
		}
	}
	if !like.Valid() {
		return fmt.Sprintf("no element of the document is called %s", local)
	}
	line, _ := like.Position()
	return fmt.Sprintf("<%s> in line %d is in %s", like.Name(), line, reach(like.Space(), local, ns))
}

// reach names a namespace and how an expression writes a name in it.
func reach(space, local string, ns map[string]string) string {
	if space == "" {
		return "no namespace"
	}
	best := ""
	for prefix, uri := range ns {
		if uri == space && (best == "" || prefix < best) {
			best = prefix
		}
	}
	if best == "" {
		return fmt.Sprintf("namespace %s, bind a prefix to it: --ns x=%s", space, space)
	}
	return fmt.Sprintf("namespace %s, write %s:%s", space, best, local)
}

// hintAttribute returns "" when there is such an attribute.
func hintAttribute(root tree.Node, space, local string) string {
	var like tree.Attr
	for n := root; n.Valid(); n = following(n) {
		for a := range n.Attrs() {
			if a.Local() == local && a.Space() == space {
				return ""
			}
			if a.Local() == local {
				like = a
			}
		}
	}
	switch {
	case !like.Valid():
		return fmt.Sprintf("no attribute of the document is called %s", local)
	case like.Space() == "":
		return fmt.Sprintf("attribute %s is in no namespace, write it without prefix", like.Name())
	}
	return fmt.Sprintf("attribute %s is in namespace %s", like.Name(), like.Space())
}

func following(n tree.Node) tree.Node {
	if c := n.FirstChild(); c.Valid() {
		return c
	}
	for ; n.Valid(); n = n.Parent() {
		if s := n.NextSibling(); s.Valid() {
			return s
		}
	}
	return tree.Node{}
}

// token is a name, with its prefix and axis, a literal, or a single character of an expression.
type token struct {
	text      string
	next      string // the character that follows, white space apart
	name      bool
	attribute bool // behind @
}

// names returns the name tests of an expression: names that are no functions, node types, axes, variables or operators.
func names(expr string) (list []token) {
	all := tokens(expr)
	for i, t := range all {
		if !t.name || t.next == "(" || strings.HasSuffix(t.text, ":") {
			continue
		}
		before := token{text: "/"}
		if i > 0 {
			before = all[i-1]
		}
		if before.name && !strings.HasSuffix(before.text, "::") && !operators[before.text] || strings.Contains("$)].*'\"0123456789", before.text[:1]) {
			continue
		}
		t.attribute = before.text == "@" || before.text == "attribute::"
		list = append(list, t)
	}
	return list
}

var operators = map[string]bool{"and": true, "or": true, "div": true, "mod": true}

func tokens(expr string) (list []token) {
	expr = strings.TrimSpace(expr)
	for i := 0; i < len(expr); {
		r, size := utf8.DecodeRuneInString(expr[i:])
		end := i + size
		name := false
		switch {
		case unicode.IsSpace(r):
			i = end
			continue
		case r == '"' || r == '\'':
			if length := strings.IndexRune(expr[end:], r); length >= 0 {
				end += length + 1
			} else {
				end = len(expr)
			}
		case unicode.IsLetter(r) || r == '_':
			name = true
			end = i + nameLength(expr[i:])
		}
		t := token{text: expr[i:end], name: name}
		if rest := strings.TrimLeftFunc(expr[end:], unicode.IsSpace); rest != "" {
			_, size := utf8.DecodeRuneInString(rest)
			t.next = rest[:size]
		}
		list = append(list, t)
		i = end
	}
	return list
}

// nameLength returns how long the name is that s starts with. Its colons belong to it, those of an axis too.
func nameLength(s string) int {
	for i, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r) && !strings.ContainsRune("_-.:·", r) {
			return i
		}
		if i > 1 && s[i-1] == ':' && s[i-2] == ':' {
			return i
		}
	}
	return len(s)
}
