package tree

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const sample = `<?xml version="1.0"?><!--prolog--><p:root xmlns:p="u" xmlns="d" p:k="1" k="2&amp;" xml:lang="en">
<x p:k="3">a<y xmlns:p="v" xmlns:q="w"/>b<!--c--><?t d?></x><z xmlns=""><x/></z></p:root><?epilog?>`

func TestNavigation(t *testing.T) {
	tree := mustParse(t, []byte(sample), Options{})
	doc, root := tree.Document(), tree.Root()
	x, z := root.Element("d", "x"), root.Element("", "z")
	if doc.Kind() != Document || doc.Parent().Valid() || root.Parent() != doc || root.PrevSibling().Kind() != Comment || root.NextSibling().Target() != "epilog" {
		t.Error("the document and its children are wrong")
	}
	var kinds []Kind
	for c := range x.Children() {
		kinds = append(kinds, c.Kind())
	}
	if !slices.Equal(kinds, []Kind{Text, Element, Text, Comment, PI}) {
		t.Errorf("children of x are %v", kinds)
	}
	var elements []string
	for e := range root.Elements() {
		elements = append(elements, e.Name())
	}
	if !slices.Equal(elements, []string{"x", "z"}) {
		t.Errorf("element children of the root are %v", elements)
	}
	if x.LastChild().Target() != "t" || x.LastChild().PrevSibling().Text() != "c" || x.FirstChild().NextSibling().Local() != "y" {
		t.Error("siblings in x are wrong")
	}
	if root.Name() != "p:root" || root.Prefix() != "p" || root.Local() != "root" || root.Space() != "u" || !root.Is("u", "root") {
		t.Errorf("root is %s {%s}%s", root.Name(), root.Space(), root.Local())
	}
	if x.Prefix() != "" || !x.Is("d", "x") || x.Is("", "x") || x.Is("d", "y") || !z.Element("", "x").Valid() || z.Element("d", "x").Valid() {
		t.Error("names of x and z are wrong")
	}
	if x == z || tree.Root() != root || doc.FirstChild().NextSibling() != root {
		t.Error("nodes do not compare as they should")
	}
	if line, col := x.Position(); line != 2 || col != 1 {
		t.Errorf("x is at %d:%d", line, col)
	}
	for range root.Children() {
		break
	}
	for range root.Elements() {
		break
	}
}

func TestText(t *testing.T) {
	tree := mustParse(t, []byte(sample), Options{})
	x := tree.Root().Element("d", "x")
	for got, want := range map[string]string{
		x.Text(): "ab", tree.Root().Text(): "\nab", tree.Document().Text(): "\nab", tree.Root().Element("", "z").Text(): "",
	} {
		if got != want {
			t.Errorf("text is %q, expected %q", got, want)
		}
	}
	mixed := mustParse(t, []byte("<a><b>1&lt;</b><c><d/>2<![CDATA[&]]></c>\r\n<!--no--></a><!--no-->"), Options{}).Document()
	if got := mixed.Text(); got != "1<2&\n" {
		t.Errorf("text is %q", got)
	}
	if got := mixed.FirstChild().FirstChild().Text(); got != "1<" {
		t.Errorf("text is %q", got)
	}
}

func TestAttributes(t *testing.T) {
	tree := mustParse(t, []byte(sample), Options{})
	root := tree.Root()
	for _, test := range []struct {
		space, local, value string
		ok                  bool
	}{
		{"u", "k", "1", true}, {"", "k", "2&", true}, {XMLSpace, "lang", "en", true},
		{"d", "k", "", false}, {"", "lang", "", false}, {"", "p", "", false}, {"", "xmlns", "", false},
	} {
		if value, ok := root.Attr(test.space, test.local); value != test.value || ok != test.ok {
			t.Errorf("attribute {%s}%s is %q %v", test.space, test.local, value, ok)
		}
	}
	var names []string
	for a := range root.Attrs() {
		names = append(names, fmt.Sprintf("%s %s %s", a.Name(), a.Prefix(), a.Local()))
	}
	if !slices.Equal(names, []string{"p:k p k", "k  k", "xml:lang xml lang"}) {
		t.Errorf("attributes are %q", names)
	}
	a := root.Attribute("", "k")
	from, to := a.ValueRange()
	if line, col := a.Position(); line != 1 || col != 73 || sample[from:to] != "2&amp;" {
		t.Errorf("k is at %d:%d, its value %q", line, col, sample[from:to])
	}
}

func TestDeclarations(t *testing.T) {
	tree := mustParse(t, []byte(sample), Options{})
	root := tree.Root()
	y := root.Element("d", "x").Element("d", "y")
	z := root.Element("", "z")
	var decls []string
	for d := range root.Decls() {
		from, to := d.Range()
		_, col := d.Position()
		decls = append(decls, fmt.Sprintf("%s=%s %s %d", d.Prefix(), d.URI(), sample[from:to], col))
	}
	if !slices.Equal(decls, []string{`p=u xmlns:p="u" 43`, `=d xmlns="d" 55`}) {
		t.Errorf("declarations are %q", decls)
	}
	for _, test := range []struct {
		at          Node
		prefix, uri string
		ok          bool
	}{
		{root, "p", "u", true}, {root, "", "d", true}, {root, "q", "", false}, {root, "xml", XMLSpace, true}, {root, "xmlns", "", false},
		{y, "p", "v", true}, {y, "q", "w", true}, {y, "", "d", true}, {y.NextSibling(), "p", "u", true},
		{z, "", "", false}, {z.FirstChild(), "", "", false}, {z.FirstChild(), "p", "u", true}, {tree.Document(), "p", "", false},
	} {
		if uri, ok := test.at.LookupPrefix(test.prefix); uri != test.uri || ok != test.ok {
			t.Errorf("prefix %q at %s is %q %v", test.prefix, test.at.Name(), uri, ok)
		}
	}
	for at, want := range map[Node]string{
		y: "p=v q=w =d xml=" + XMLSpace, z.FirstChild(): "p=u xml=" + XMLSpace, tree.Document(): "xml=" + XMLSpace, {}: "",
	} {
		var in []string
		for prefix, uri := range at.InScope() {
			in = append(in, prefix+"="+uri)
		}
		if got := strings.Join(in, " "); got != want {
			t.Errorf("in scope at %q: %s, expected %s", at.Name(), got, want)
		}
	}
	for range y.InScope() {
		break
	}
}

func TestManyPrefixes(t *testing.T) {
	const n = 3 * few
	var b strings.Builder
	b.WriteString("<a")
	for i := range n {
		fmt.Fprintf(&b, " xmlns:p%d='u%d'", i, i)
	}
	b.WriteString("><p0:b xmlns:p0='v' xmlns:p40='w'/><p0:c/>")
	for i := range n {
		fmt.Fprintf(&b, "<p%d:d/>", i)
	}
	root := mustParse(t, []byte(b.String()+"</a>"), Options{}).Root()
	if !root.FirstChild().Is("v", "b") || !root.Element("u0", "c").Valid() {
		t.Error("a prefix that is bound anew for one element is wrong")
	}
	for i := range n {
		if !root.Element(fmt.Sprintf("u%d", i), "d").Valid() {
			t.Errorf("no element of prefix %d", i)
		}
	}
	seen := map[string]string{}
	for prefix, uri := range root.FirstChild().InScope() {
		if _, twice := seen[prefix]; twice {
			t.Errorf("prefix %s twice in scope", prefix)
		}
		seen[prefix] = uri
	}
	if len(seen) != n+1 || seen["p0"] != "v" || seen["p40"] != "w" || seen["p41"] != "u41" {
		t.Errorf("in scope: %v", seen)
	}
	refused(t, b.String()+"<q:e/></a>", Options{}, "1:", ErrPrefix)
	refused(t, b.String()+"<e xmlns:q='x' xmlns:r='x' q:f='' r:f=''/></a>", Options{}, "1:", nil)
}

// TestZero calls every method on what is no node, attribute, declaration or document.
func TestZero(t *testing.T) {
	var tree Tree
	for _, n := range []Node{{}, tree.Document(), tree.Root()} {
		for range n.Children() {
			t.Error("child")
		}
		for range n.Elements() {
			t.Error("element")
		}
		for range n.Attrs() {
			t.Error("attribute")
		}
		for range n.Decls() {
			t.Error("declaration")
		}
		for range n.InScope() {
			t.Error("namespace")
		}
		start, end := n.Range()
		from, to := n.Inner()
		line, col := n.Position()
		offset, bad := n.Unresolved()
		uri, bound := n.LookupPrefix("xml")
		text := n.Space() + n.Local() + n.Prefix() + n.Name() + n.Text() + n.Target() + string(n.Bytes()) + uri
		if n.Valid() || n.Kind() != None || n.Is("", "") || n.Blank() || bad || bound || text != "" || start+end+from+to+line+col+offset != 0 {
			t.Errorf("%v %q", n, text)
		}
		for _, m := range []Node{n.Parent(), n.FirstChild(), n.LastChild(), n.NextSibling(), n.PrevSibling(), n.Element("", "")} {
			if m != (Node{}) {
				t.Errorf("%v from no node", m)
			}
		}
		if _, ok := n.Attr("", ""); ok || n.Tree() != nil {
			t.Error("attribute or tree of no node")
		}
	}
	var a Attr
	var d Decl
	if a.Valid() || a.Space()+a.Local()+a.Prefix()+a.Name()+a.Value() != "" || a.Owner().Valid() {
		t.Error("zero Attr is something")
	}
	if d.Valid() || d.Prefix()+d.URI() != "" || d.Owner().Valid() {
		t.Error("zero Decl is something")
	}
	for _, f := range []func() (int, int){a.Range, a.ValueRange, a.Position, d.Range, d.ValueRange, d.Position} {
		if x, y := f(); x+y != 0 {
			t.Error("zero Attr or Decl is somewhere")
		}
	}
	if _, ok := a.Unresolved(); ok || tree.Source() != nil || tree.Doctype() != nil {
		t.Error("zero Attr or Tree is something")
	}
}

// TestKindsWithoutNames calls the methods of elements on nodes of other kinds.
func TestKindsWithoutNames(t *testing.T) {
	tree := mustParse(t, []byte("<?p q?><a>x<!--y--></a>"), Options{})
	for n := tree.Document(); n.Valid(); n = n.following(tree.Document()) {
		if named := n.Kind() == Element; (n.Name()+n.Local() != "") != named || n.Is("", "") || (n.Target() != "") != (n.Kind() == PI) {
			t.Errorf("%v is called %q", n.Kind(), n.Name())
		}
	}
}

func TestReuse(t *testing.T) {
	var tree Tree
	if err := tree.Parse([]byte("<a xmlns:p='u' b='&#65;'><p:c>text</p:c></a>"), Options{}); err != nil {
		t.Fatal(err)
	}
	c := tree.Root().FirstChild()
	name, text := c.Local(), c.Text()
	if err := tree.Parse([]byte("<q><p:c/></q>"), Options{}); err == nil || tree.Root().Valid() || tree.Document().Valid() || tree.Source() != nil {
		t.Fatalf("tree after an error: %v, prefix of the document before still declared? %v", tree.Root(), err)
	}
	if c.Valid() || c.FirstChild().Valid() || c.Text() != "" {
		t.Error("a node of the document before is valid after an error")
	}
	if err := tree.Parse([]byte("<d/>"), Options{}); err != nil || dump(&tree) != "<{}d> in <>\n" || name != "c" || text != "text" {
		t.Errorf("%v %s %s %s", err, dump(&tree), name, text)
	}
}

// TestSourceMayChange makes sure that strings do not live in the caller's buffer.
func TestSourceMayChange(t *testing.T) {
	src := []byte("<a b='c'>d</a>")
	root := mustParse(t, src, Options{}).Root()
	clear(src)
	if b, _ := root.Attr("", "b"); root.Name() != "a" || b != "c" || root.Text() != "d" {
		t.Errorf("%q %q %q", root.Name(), b, root.Text())
	}
}

func TestPosition(t *testing.T) {
	src := "\uFEFF<a>\r\nä\rb\n\n</a>"
	tree := mustParse(t, []byte(src), Options{})
	for _, test := range []struct{ offset, line, col int }{
		{-1, 1, 1}, {0, 1, 1}, {3, 1, 1}, {6, 1, 4}, {7, 1, 4}, {8, 2, 1}, {10, 2, 2}, {11, 3, 1}, {12, 3, 2}, {13, 4, 1}, {14, 5, 1},
		{len(src), 5, 5}, {1000, 5, 5},
	} {
		if line, col := tree.Position(test.offset); line != test.line || col != test.col {
			t.Errorf("offset %d is %d:%d, expected %d:%d", test.offset, line, col, test.line, test.col)
		}
	}
}

// TestAllocations holds the tree to what its users count on: a parse with reused memory copies the source and does little
// else, and reading what needs no decoding allocates nothing.
func TestAllocations(t *testing.T) {
	var tree Tree
	src := []byte(presence)
	parse := func() {
		if err := tree.Parse(src, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, parse); n > 2 {
		t.Errorf("%v allocations a parse", n)
	}
	src = []byte("<a b='&amp;'>&#160;" + strings.Repeat("&lt;<![CDATA[x]]>\r\n", 100) + "</a>")
	if n := testing.AllocsPerRun(100, parse); n > 2 {
		t.Errorf("%v allocations a parse of references and sections", n)
	}
	src = []byte(presence)
	parse()
	const pidf = "urn:ietf:params:xml:ns:pidf"
	read := func() {
		size := 0
		for e := range tree.Root().Elements() {
			for a := range e.Attrs() {
				size += len(a.Name()) + len(a.Value())
			}
			for d := range tree.Root().Decls() {
				size += len(d.Prefix()) + len(d.URI())
			}
			size += len(e.Element(pidf, "status").Text()) + len(e.Element(pidf, "contact").Text()) + len(e.Name())
			uri, _ := e.LookupPrefix("rp")
			size += len(uri)
		}
		if size == 0 {
			t.Fatal("nothing read")
		}
	}
	if n := testing.AllocsPerRun(100, read); n > 0 {
		t.Errorf("%v allocations to read", n)
	}
	note := tree.Root().Element(pidf, "tuple").Element(pidf, "note")
	if n := testing.AllocsPerRun(100, func() { _ = note.Text() }); n != 1 || note.Text() != "At my desk & reachable" {
		t.Errorf("%v allocations to decode %q", n, note.Text())
	}
}
