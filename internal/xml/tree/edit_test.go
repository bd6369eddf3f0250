package tree

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const crlf = "\uFEFF<?xml version='1.0'?>\r\n<!DOCTYPE  r [ <!ENTITY e '>'> ]>\r\n<!-- c -->\r\n" +
	"<r  a = '1'\r\n\tb=\"2\" xmlns:p='u:p'   p:c='3' >\r\n" +
	"  <x/><y  />tail<![CDATA[]]>\r\n<![CDATA[]]><p:z\t></p:z ><![CDATA[]]></r\r\n>\r\n<?end ?>\r\n"

func at(t *testing.T, tree *Tree, path string) Node {
	t.Helper()
	n := tree.Root()
	for _, name := range strings.Fields(path) {
		c := n.FirstChild()
		for c.Valid() && c.Name() != name && c.Kind().String() != name {
			c = c.NextSibling()
		}
		n = c
	}
	if !n.Valid() {
		t.Fatalf("no %s", path)
	}
	return n
}

// replacement is what an edit has to do to the bytes.
type replacement struct{ old, new string }

func TestEditsAreSplices(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Tree) error
		want replacement
	}{
		{"before", func(d *Tree) error { return at(t, d, "x").InsertBefore("<n/>") }, replacement{"<x/>", "<n/><x/>"}},
		{"before, behind empty CDATA", func(d *Tree) error { return at(t, d, "p:z").InsertBefore("<n/>") }, replacement{"<p:z\t", "<n/><p:z\t"}},
		{"after", func(d *Tree) error { return at(t, d, "x").InsertAfter("<n a='&lt;'\r\n/>") }, replacement{"<x/>", "<x/><n a='&lt;'\r\n/>"}},
		{"after text", func(d *Tree) error { return at(t, d, "y").NextSibling().InsertAfter("z<n/>z") }, replacement{"<![CDATA[]]><p:z\t", "<![CDATA[]]>z<n/>z<p:z\t"}},
		{"first", func(d *Tree) error { return d.Root().Prepend("q") }, replacement{"p:c='3' >", "p:c='3' >q"}},
		{"last", func(d *Tree) error { return d.Root().Append("<n/>") }, replacement{"<![CDATA[]]></r", "<![CDATA[]]><n/></r"}},
		{"into an empty-element tag", func(d *Tree) error { return at(t, d, "y").Append("<n/>") }, replacement{"<y  />", "<y><n/></y>"}},
		{"into an empty element", func(d *Tree) error { return at(t, d, "p:z").Append("a&lt;") }, replacement{"</p:z", "a&lt;</p:z"}},
		{"replace", func(d *Tree) error { return at(t, d, "y").Replace("<!--n-->") }, replacement{"<y  />", "<!--n-->"}},
		{"replace by text", func(d *Tree) error { return at(t, d, "x").Replace("n") }, replacement{"<x/>", "n"}},
		{"remove", func(d *Tree) error { return at(t, d, "x").Remove() }, replacement{"<x/>", ""}},
		{"remove behind empty CDATA", func(d *Tree) error { return at(t, d, "p:z").Remove() }, replacement{"<p:z\t></p:z >", ""}},
		{"remove text", func(d *Tree) error { return at(t, d, "text").Remove() }, replacement{"\r\n  <x/>", "<x/>"}},
		{"replace the root element", func(d *Tree) error { return d.Root().Replace("<n>\n</n>") }, replacement{crlf[strings.Index(crlf, "<r"):strings.Index(crlf, "\r\n<?end")], "<n>\n</n>"}},
		{"comment beside the root element", func(d *Tree) error { return d.Root().InsertBefore("<!--n-->") }, replacement{"<r ", "<!--n--><r "}},
		{"PI behind the root element", func(d *Tree) error { return d.Root().InsertAfter("<?n?>") }, replacement{"/r\r\n>", "/r\r\n><?n?>"}},
		{"white space beside the root element", func(d *Tree) error { return d.Root().InsertBefore("\n\n<!--n-->\n") }, replacement{"<r ", "\n\n<!--n-->\n<r "}},
		{"first in the document", func(d *Tree) error { return d.Document().Prepend("<!--n-->") }, replacement{"<!-- c -->", "<!--n--><!-- c -->"}},
		{"last in the document", func(d *Tree) error { return d.Document().Append("<!--n-->\n") }, replacement{"<?end ?>\r\n", "<?end ?>\r\n<!--n-->\n"}},
		{"white space in place of a comment", func(d *Tree) error { return d.Document().FirstChild().Replace("\n") }, replacement{"<!-- c -->", "\n"}},
		{"remove a comment before the root element", func(d *Tree) error { return d.Document().FirstChild().Remove() }, replacement{"<!-- c -->", ""}},
		{"remove a PI behind the root element", func(d *Tree) error { return d.Document().LastChild().Remove() }, replacement{"<?end ?>", ""}},
		{"value", func(d *Tree) error { return d.Root().Attribute("", "a").SetValue("'\"<&>\t\r\n é") }, replacement{"'1'", "'&apos;\"&lt;&amp;>&#9;&#13;&#10; é'"}},
		{"value by name", func(d *Tree) error { return d.Root().SetAttr("p:c", "\"") }, replacement{"'3'", "'\"'"}},
		{"new attribute", func(d *Tree) error { return d.Root().SetAttr("p:n", "a\"b") }, replacement{"'3' >", "'3' p:n=\"a&quot;b\" >"}},
		{"attribute of an empty-element tag", func(d *Tree) error { return at(t, d, "y").SetAttr("n", "v") }, replacement{"<y  />", "<y n=\"v\"  />"}},
		{"remove an attribute", func(d *Tree) error { return d.Root().Attribute("", "b").Remove() }, replacement{"\r\n\tb=\"2\"", ""}},
		{"remove the first attribute", func(d *Tree) error { return d.Root().Attribute("", "a").Remove() }, replacement{"  a = '1'", ""}},
		{"declare", func(d *Tree) error { return at(t, d, "p:z").Declare("q", "u:&q") }, replacement{"<p:z\t>", "<p:z xmlns:q=\"u:&amp;q\"\t>"}},
		{"declare behind other declarations", func(d *Tree) error { return d.Root().Declare("q", "u:q") }, replacement{"'u:p'", "'u:p' xmlns:q=\"u:q\""}},
		{"declare anew", func(d *Tree) error { return d.Root().Declare("p", "u:q") }, replacement{"'u:p'", "'u:q'"}},
		{"default namespace", func(d *Tree) error { return d.Root().Declare("", "u:d") }, replacement{"'u:p'", "'u:p' xmlns=\"u:d\""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := mustParse(t, []byte(crlf), Options{AllowDTD: true})
			if err := test.edit(tree); err != nil {
				t.Fatal(err)
			}
			if strings.Count(crlf, test.want.old) != 1 {
				t.Fatalf("%q is not unique", test.want.old)
			}
			want := strings.Replace(crlf, test.want.old, test.want.new, 1)
			if got := string(tree.Bytes()); got != want {
				t.Errorf("got\n%q\nexpected\n%q", got, want)
			}
			checkEdited(t, tree)
		})
	}
}

// checkEdited compares a tree with what is read from its bytes.
func checkEdited(t testing.TB, tree *Tree) {
	t.Helper()
	out := tree.Bytes()
	again, err := Parse(out, Options{AllowDTD: true})
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if got, want := dump(tree), dump(again); got != want {
		t.Fatalf("%q\ntree:\n%s\nread again:\n%s", out, got, want)
	}
	if tree.Root().Parent() != tree.Document() {
		t.Fatal("root element is not below the document")
	}
	for n := tree.Document(); n.Valid(); n = n.following(tree.Document()) {
		checkLinks(t, n)
	}
}

func checkLinks(t testing.TB, n Node) {
	t.Helper()
	prev := Node{}
	for c := range n.Children() {
		if c.PrevSibling() != prev || c.Parent() != n {
			t.Fatalf("links of %q are wrong", c.Bytes())
		}
		prev = c
	}
	if n.LastChild() != prev {
		t.Fatalf("last child of %q is wrong", n.Bytes())
	}
	for a := range n.Attrs() {
		if a.Owner() != n {
			t.Fatalf("attribute %s has another owner", a.Name())
		}
	}
	for d := range n.Decls() {
		if d.Owner() != n {
			t.Fatalf("declaration of %s has another owner", d.Prefix())
		}
	}
	if uri, _ := n.LookupPrefix(n.Prefix()); n.Kind() == Element && uri != n.Space() {
		t.Fatalf("%s is of %q, its prefix is bound to %q", n.Name(), n.Space(), uri)
	}
}

func TestJoinedText(t *testing.T) {
	tests := []struct{ src, want, text string }{
		{"<r>a<x/>b</r>", "<r>ab</r>", "ab"},
		{"<r>a]]<x/>>b</r>", "<r>a]]&gt;b</r>", "a]]>b"},
		{"<r>a]<x/>]>b</r>", "<r>a]]&gt;b</r>", "a]]>b"},
		{"<r><![CDATA[a]]><x/>>b</r>", "<r><![CDATA[a]]>>b</r>", "a>b"},
		{"<r>a\r<x/>\nb</r>", "<r>a\r\n\nb</r>", "a\n\nb"},
		{"<r>a\r<x/>\r\nb</r>", "<r>a\r\r\nb</r>", "a\n\nb"},
		{"<r>&amp;<x/><![CDATA[<]]></r>", "<r>&amp;<![CDATA[<]]></r>", "&<"},
		{"<r> <x/>&#32;</r>", "<r> &#32;</r>", "  "},
	}
	for _, test := range tests {
		tree := mustParse(t, []byte(test.src), Options{})
		if err := at(t, tree, "x").Remove(); err != nil {
			t.Fatal(err)
		}
		if got := string(tree.Bytes()); got != test.want {
			t.Errorf("%q: got %q, expected %q", test.src, got, test.want)
		}
		if c := tree.Root().FirstChild(); c.Text() != test.text || c != tree.Root().LastChild() {
			t.Errorf("%q: got text %q, expected %q", test.src, c.Text(), test.text)
		}
		checkEdited(t, tree)
	}
}

func TestSectionsBetweenJoinedText(t *testing.T) {
	tree := mustParse(t, []byte("<r>x<a/><![CDATA[]]><b/>y</r>"), Options{})
	if err := errors.Join(at(t, tree, "b").Remove(), at(t, tree, "a").Remove()); err != nil {
		t.Fatal(err)
	}
	if got := string(tree.Bytes()); got != "<r>xy<![CDATA[]]></r>" {
		t.Errorf("got %s", got)
	}
	checkEdited(t, tree)
}

func TestNamespacesFollow(t *testing.T) {
	const src = "<x:r xmlns:x='u:1' xmlns='u:d'><x:a x:k='1' k='2'/><b><x:c xmlns:x='u:1' xmlns=''><d/></x:c></b></x:r>"
	tests := []struct {
		name string
		edit func(*Tree) error
		want string
	}{
		{"XPATCH-051 uses follow up to where the prefix is declared anew", func(d *Tree) error { return declOf(d.Root(), "x").SetURI("u:2") }, "{u:2}r {u:2}a {u:2}k {}k {u:d}b {u:1}c {}d "},
		{"default namespace", func(d *Tree) error { return d.Root().Declare("", "u:3") }, "{u:1}r {u:1}a {u:1}k {}k {u:3}b {u:1}c {}d "},
		{"default namespace removed", func(d *Tree) error { return declOf(d.Root(), "").Remove() }, "{u:1}r {u:1}a {u:1}k {}k {}b {u:1}c {}d "},
		{"declared nearer", func(d *Tree) error { return d.Root().FirstChild().Declare("x", "u:4") }, "{u:1}r {u:4}a {u:4}k {}k {u:d}b {u:1}c {}d "},
		{"declared nearer, then removed", func(d *Tree) error {
			a := d.Root().FirstChild()
			return errors.Join(a.Declare("x", "u:4"), declOf(a, "x").Remove())
		}, "{u:1}r {u:1}a {u:1}k {}k {u:d}b {u:1}c {}d "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := mustParse(t, []byte(src), Options{})
			if err := test.edit(tree); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for n := tree.Root(); n.Valid(); n = n.following(tree.Root()) {
				fmt.Fprintf(&got, "{%s}%s ", n.Space(), n.Local())
				for a := range n.Attrs() {
					fmt.Fprintf(&got, "{%s}%s ", a.Space(), a.Local())
				}
			}
			if got.String() != test.want {
				t.Errorf("got %s, expected %s", got.String(), test.want)
			}
			checkEdited(t, tree)
		})
	}
}

func declOf(n Node, prefix string) Decl {
	for d := range n.Decls() {
		if d.Prefix() == prefix {
			return d
		}
	}
	return Decl{}
}

func TestRefusedEdits(t *testing.T) {
	const src = "<?p?><r xmlns:p='u:p' xmlns:q='u:q' a='1'>t<p:x p:k='1' q:k='2'/><!--c--></r>"
	var gone Node
	tests := []struct {
		name   string
		edit   func(*Tree) error
		reason error
		want   string
	}{
		{"second root element", func(d *Tree) error { return d.Root().InsertAfter("<n/>") }, ErrRoot, ""},
		{"text beside the root element", func(d *Tree) error { return d.Root().InsertBefore("<!---->x") }, ErrOutside, ""},
		{"root element away", func(d *Tree) error { return d.Root().Remove() }, ErrRoot, ""},
		{"root element by none", func(d *Tree) error { return d.Root().Replace("<!--n-->") }, ErrRoot, ""},
		{"root element by nothing", func(d *Tree) error { return d.Root().Replace("") }, ErrRoot, ""},
		{"root element by two", func(d *Tree) error { return d.Root().Replace("<n/><n/>") }, ErrRoot, ""},
		{"document", func(d *Tree) error { return d.Document().Replace("<n/>") }, ErrRoot, ""},
		{"document away", func(d *Tree) error { return d.Document().Remove() }, ErrRoot, ""},
		{"beside the document", func(d *Tree) error { return d.Document().InsertAfter("<n/>") }, ErrRoot, ""},
		{"undeclared prefix", func(d *Tree) error { return d.Root().Append("<a>\n<z:n/></a>") }, ErrPrefix, "2:2: prefix of z:n"},
		{"end tag too many", func(d *Tree) error { return d.Root().Append("</x><x>") }, nil, "1:1: end tag </x> of an element that is not open here"},
		{"another end tag too many", func(d *Tree) error { return d.Root().Append("<n/>\n</list>") }, nil, "2:1: end tag </list> of an element that is not open here"},
		{"end tag missing", func(d *Tree) error { return d.Root().Append("<x>") }, nil, "1:4: content ends inside element <x> of 1:1, expected </x>"},
		{"end tags missing", func(d *Tree) error { return d.Root().Append("<x>\n<x>a") }, nil, "2:5: content ends inside element <x> of 2:1, expected </x>"},
		{"end tag of another name missing", func(d *Tree) error { return d.Root().Append("n\n<list><a/>") }, nil, "2:11: content ends inside element <list> of 2:1, expected </list>"},
		{"wrong end tag", func(d *Tree) error { return d.Root().Append("n\n<a> <b></a>") }, nil, "2:8: found end tag </a>, expected </b> for the element of 2:5"},
		{"NUL", func(d *Tree) error { return d.Root().Append("a\x00b") }, nil, "U+0000"},
		{"invalid UTF-8", func(d *Tree) error { return d.Root().Append("a\xff") }, ErrUTF8, "1:2: "},
		{"entity", func(d *Tree) error { return d.Root().Append("&e;") }, ErrEntity, ""},
		{"into a comment", func(d *Tree) error { return d.Root().LastChild().Append("x") }, nil, "comment has no content"},
		{"attribute of text", func(d *Tree) error { return d.Root().FirstChild().SetAttr("a", "") }, nil, "no attributes"},
		{"attribute name", func(d *Tree) error { return d.Root().SetAttr("a b", "") }, nil, "no name"},
		{"attribute name without local part", func(d *Tree) error { return d.Root().SetAttr("p:", "") }, nil, "no name"},
		{"declaration as attribute", func(d *Tree) error { return d.Root().SetAttr("xmlns:z", "u") }, nil, "no name"},
		{"prefix of an attribute", func(d *Tree) error { return d.Root().SetAttr("z:a", "") }, ErrPrefix, ""},
		{"character of a value", func(d *Tree) error { return d.Root().SetAttr("a", "\x01") }, nil, "U+0001"},
		{"prefix", func(d *Tree) error { return d.Root().Declare("1", "u") }, nil, "no namespace prefix"},
		{"prefix xmlns", func(d *Tree) error { return d.Root().Declare("xmlns", "u") }, nil, "may not be bound"},
		{"prefix xml", func(d *Tree) error { return d.Root().Declare("xml", "u") }, nil, "may not be bound"},
		{"no name for a prefix", func(d *Tree) error { return d.Root().Declare("z", "") }, nil, "empty namespace name"},
		{"declaration in use", func(d *Tree) error { return declOf(d.Root(), "p").Remove() }, ErrPrefix, "in use"},
		{"attributes that would meet", func(d *Tree) error { return declOf(d.Root(), "q").SetURI("u:p") }, nil, "two attributes k"},
		{"what is gone", func(d *Tree) error {
			gone = d.Root().FirstChild()
			d.Begin()
			defer d.Rollback()
			return errors.Join(gone.Remove(), gone.InsertAfter("x"))
		}, ErrRemoved, ""},
		{"nothing", func(*Tree) error { return Node{}.Remove() }, ErrRemoved, ""},
		{"no attribute", func(*Tree) error { return Attr{}.SetValue("") }, ErrRemoved, ""},
		{"no declaration", func(*Tree) error { return Decl{}.Remove() }, ErrRemoved, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := mustParse(t, []byte(src), Options{})
			err := test.edit(tree)
			if err == nil || !errors.Is(err, test.reason) && test.reason != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if got := string(tree.Bytes()); got != src {
				t.Errorf("document is now %q", got)
			}
			checkEdited(t, tree)
		})
	}
}

func TestEditLimits(t *testing.T) {
	ascii := mustParse(t, []byte("<?xml version='1.0' encoding='US-ASCII'?><a/>"), Options{})
	if err := ascii.Root().Append("ä"); !errors.Is(err, ErrEncoding) {
		t.Errorf("in US-ASCII: %v", err)
	}
	tree := mustParse(t, []byte("<a><b/></a>"), Options{Limits: Limits{Depth: 3, Size: 300, Attributes: 1, Declarations: 1}})
	b := tree.Root().FirstChild()
	if err := b.Append("<c/>"); err != nil {
		t.Error(err)
	}
	if err := b.Append("<c><d/></c>"); !errors.Is(err, ErrLimit) {
		t.Errorf("depth: %v", err)
	}
	if err := errors.Join(b.SetAttr("x", ""), b.SetAttr("y", "")); !errors.Is(err, ErrLimit) {
		t.Errorf("attributes: %v", err)
	}
	if err := errors.Join(b.Declare("x", "u"), b.Declare("y", "u")); !errors.Is(err, ErrLimit) {
		t.Errorf("declarations: %v", err)
	}
	if err := b.Append(strings.Repeat("x", 500)); !errors.Is(err, ErrLimit) {
		t.Errorf("size: %v", err)
	}
	if got := string(tree.Bytes()); got != `<a><b xmlns:x="u" x=""><c/></b></a>` {
		t.Errorf("got %s", got)
	}
}

func TestRollback(t *testing.T) {
	tree := mustParse(t, []byte(crlf), Options{AllowDTD: true})
	if err := tree.Root().SetAttr("kept", "1"); err != nil {
		t.Fatal(err)
	}
	before, told := string(tree.Bytes()), dump(tree)
	tree.Begin()
	root := tree.Root()
	err := errors.Join(root.SetAttr("n", "1"), root.Attribute("", "a").Remove(), root.Declare("p", "u:2"), root.Declare("n", "u:3"),
		root.SetAttr("kept", "2"), at(t, tree, "text").Remove(), at(t, tree, "p:z").Append("<n:n/>"), at(t, tree, "x").Replace("q"),
		tree.Document().FirstChild().Remove(), root.Replace("<other/>"), tree.Root().Append("<x/>"))
	if err != nil {
		t.Fatal(err)
	}
	checkEdited(t, tree)
	tree.Rollback()
	if got := string(tree.Bytes()); got != before || dump(tree) != told {
		t.Errorf("got\n%q\nexpected\n%q", got, before)
	}
	tree.Begin()
	if err := at(t, tree, "x").Remove(); err != nil {
		t.Fatal(err)
	}
	tree.Commit()
	tree.Rollback()
	if got := string(tree.Bytes()); got != strings.Replace(before, "<x/>", "", 1) {
		t.Errorf("committed, got %q", got)
	}
	checkEdited(t, tree)
}

func TestEditedNodes(t *testing.T) {
	tree := mustParse(t, []byte("<a>\n <b c='1'/>x</a>"), Options{})
	b := tree.Root().Element("", "b")
	if err := errors.Join(b.Append("<n o='p'>q</n>"), b.SetAttr("c", "2")); err != nil {
		t.Fatal(err)
	}
	n := b.Element("", "n")
	if got := string(b.Bytes()) + "|" + string(n.Bytes()) + "|" + b.Text(); got != `<b c="2"><n o='p'>q</n></b>|<n o='p'>q</n>|q` &&
		got != `<b c='2'><n o='p'>q</n></b>|<n o='p'>q</n>|q` {
		t.Errorf("got %s", got)
	}
	if line, col := n.Position(); line != 0 || col != 0 {
		t.Errorf("added node is at %d:%d", line, col)
	}
	if line, col := b.Position(); line != 2 || col != 2 {
		t.Errorf("edited element is at %d:%d", line, col)
	}
	if start, end := b.Attribute("", "c").Range(); start != 0 || end != 0 {
		t.Errorf("changed attribute is at %d..%d", start, end)
	}
	if string(tree.Source()) != "<a>\n <b c='1'/>x</a>" {
		t.Errorf("source is %q", tree.Source())
	}
}
