package patch

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

// checkDiff applies what Diff finds, in every vocabulary, and returns the XML patch without its frame.
func checkDiff(t testing.TB, a, b string) (operations string, count int) {
	t.Helper()
	from, to := parseTree(t, a), parseTree(t, b)
	e, err := Diff(from, to)
	if err != nil {
		t.Fatalf("%s\n%s: %v", a, b, err)
	}
	if got := string(from.Bytes()); got != a {
		t.Fatalf("%s became %s", a, got)
	}
	for _, f := range []Frame{{}, {Vocabulary: PIDFDiff, Entity: "pres:x", Version: "2"}, {Vocabulary: XCAPDiff, XCAPRoot: "http://x/", Document: "y", PreviousETag: "1", NewETag: "2"}} {
		src := e.Append(nil, f)
		if f.Vocabulary == PIDFDiff && strings.Contains(a+b, "pidf-full") {
			continue // which takes the version of the patch over
		}
		if f.Vocabulary == XMLPatch {
			operations = string(src)
		}
		p, err := Parse(src, tree.Options{})
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		doc := parseTree(t, a)
		if err := p.Changes[0].Apply(doc, nil); err != nil {
			t.Fatalf("%s\nto %s\n%s: %v", a, b, src, err)
		}
		if again := parseTree(t, string(doc.Bytes())); !canon.Equal(again.Document(), to.Document()) {
			t.Fatalf("%s\nshould become %s\nis %s\nby %s", a, b, doc.Bytes(), src)
		}
	}
	operations = operations[strings.Index(operations, "<p"):]
	operations = operations[strings.Index(operations, ">")+1 : strings.LastIndex(operations, "\n</p")]
	return strings.ReplaceAll(operations, "\n  <", "<"), e.Len()
}

func TestDiff(t *testing.T) {
	tests := []struct{ name, a, b, want string }{
		{"same", "<a b='1'/>", "<a\nb=\"1\"></a>", ""},
		{"attribute", "<a b='1'/>", "<a b='2'/>", "<p:replace sel=\"*/@b\">2</p:replace>"},
		{"attributes come and go", "<a b='1'/>", "<a c='2'/>", "<p:remove sel=\"*/@b\"/><p:add sel=\"*\" type=\"@c\">2</p:add>"},
		{"line ends in values are references", "<a b='1'/>", "<a b='&#13;&#10;&#9;2'/>", "<p:replace sel=\"*/@b\">&#13;&#10;&#9;2</p:replace>"},
		{"text", "<a>x</a>", "<a>y &amp; z</a>", "<p:replace sel=\"*/text()\">y &amp; z</p:replace>"},
		{"text comes", "<a/>", "<a>y</a>", "<p:add sel=\"*\">y</p:add>"},
		{"text goes", "<a>y</a>", "<a/>", "<p:remove sel=\"*/text()\"/>"},
		{"element behind text", "<a>x</a>", "<a>x<b/></a>", "<p:add sel=\"*\"><b/></p:add>"},
		{"entry by its key", "<a><b id='1'>x</b><b id='2'>x</b></a>", "<a><b id='1'>x</b><b id='2'>y</b></a>", "<p:replace sel=\"*/*[@id='2']/text()\">y</p:replace>"},
		{"entry by its position", "<a><b>x</b><b>x</b></a>", "<a><b>x</b><b>y</b></a>", "<p:replace sel=\"*/*[2]/text()\">y</p:replace>"},
		{"entry comes with its white space", "<a>\n <b id='1'/>\n</a>", "<a>\n <b id='1'/>\n <b id='2'/>\n</a>", "<p:add sel=\"*/*[@id='1']\" pos=\"after\">\n <b id='2'/></p:add>"},
		{"entry goes with its white space", "<a>\n <b id='1'/>\n <b id='2'/>\n</a>", "<a>\n <b id='1'/>\n</a>", "<p:remove sel=\"*/*[@id='2']\" ws=\"before\"/>"},
		{"another element in its place", "<a><b/></a>", "<a><c/></a>", "<p:replace sel=\"*/*[1]\"><c/></p:replace>"},
		{"deep below elements of one name", "<a><b><c>x</c></b><d/></a>", "<a><b><c>y</c></b><d/></a>", "<p:replace sel=\"*/*[1]/*[1]/text()\">y</p:replace>"},
		{"another entry in its place", "<a><b id='1'><c>x</c></b></a>", "<a><b id='2'><c>y</c></b></a>", "<p:replace sel=\"*/*[@id='1']\"><b id='2'><c>y</c></b></p:replace>"},
		{"comment", "<a><!--x--></a>", "<a><!--y--></a>", "<p:replace sel=\"*/comment()\"><!--y--></p:replace>"},
		{"comment beside the root element", "<a/>", "<!--x--><a/><?y?>", "<p:add sel=\"*\" pos=\"before\"><!--x--></p:add><p:add sel=\"*\" pos=\"after\"><?y?></p:add>"},
		{"root element", "<a/>", "<b/>", "<p:replace sel=\"*\"><b/></p:replace>"},
		{"declaration comes", "<a><b/></a>", "<a xmlns:q='u:q'><b q:c='1'/></a>", "<p:add sel=\"*\" type=\"namespace::q\">u:q</p:add><p:add sel=\"*/*[1]\" type=\"@q:c\">1</p:add>"},
		{"declaration goes", "<a xmlns:q='u:q'><q:b/></a>", "<a><b/></a>", "<p:replace sel=\"*/*[1]\"><b/></p:replace><p:remove sel=\"*/namespace::q\"/>"},
		{"declaration changes", "<q:a xmlns:q='u:1'><q:b/></q:a>", "<q:a xmlns:q='u:2'><q:b/></q:a>", "<p:replace sel=\"*/namespace::q\">u:2</p:replace>"},
		{"default namespace cannot be edited", "<a xmlns='u:1'/>", "<a xmlns='u:2'/>", "<p:replace sel=\"*\"><a xmlns='u:2'/></p:replace>"},
		{"declaration that hides one goes", "<a xmlns:q='u:1'><b xmlns:q='u:2'>x<q:c/></b>y</a>", "<a xmlns:q='u:1'><b>x<q:c/></b>y</a>", "<p:replace sel=\"*/*[1]\"><b>x<q:c/></b></p:replace>"},
		{"declaration that hides one comes", "<a xmlns:q='u:1'><b>x<q:c/></b>y</a>", "<a xmlns:q='u:1'><b xmlns:q='u:2'>x<q:c/></b>y</a>", "<p:replace sel=\"*/*[1]\"><b xmlns:q='u:2'>x<q:c/></b></p:replace>"},
		{"prefix with two meanings", "<a xmlns:q='u:1'><b id='1' xmlns:q='u:2'/>x</a>", "<a xmlns:q='u:1'><b id='1' xmlns:q='u:2'><q:c/></b>x<q:d/></a>", "<p:add sel=\"*/*[@id='1']\"><q:c/></p:add><p:add xmlns:q=\"u:1\" sel=\"*\"><q:d/></p:add>"},
		{"prefix of the vocabulary gives way", "<p:a xmlns:p='u:p'/>", "<p:a xmlns:p='u:p'><p:b/></p:a>", "<p1:add sel=\"*\"><p:b/></p1:add>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := checkDiff(t, test.a, test.b); got != test.want {
				t.Errorf("got      %s\nexpected %s", got, test.want)
			}
			checkDiff(t, test.b, test.a)
		})
	}
}

// TestDiffOfLists edits one of thousands of entries.
func TestDiffOfLists(t *testing.T) {
	lines := strings.SplitAfter(string(entries(3000)), "\n")
	entry := func(i int) (from, to int) { return 1 + 3*i, 4 + 3*i }
	join := func(parts ...[]string) string { return strings.Join(slices.Concat(parts...), "") }
	from, to := entry(1500)
	far, _ := entry(2000)
	other := []string{"  <entry uri=\"sip:new@example.org\"/>\n"}
	changed := []string{lines[from], strings.Replace(lines[from+1], "Member", "Fellow", 1), lines[from+2]}
	tests := []struct {
		name, b string
		count   int
	}{
		{"XPATCH-094 edited", join(lines[:from], changed, lines[to:]), 1},
		{"XPATCH-094 added", join(lines[:from], other, lines[from:]), 1},
		{"XPATCH-094 added first", join(lines[:1], other, lines[1:]), 1},
		{"XPATCH-094 added last", join(lines[:len(lines)-2], other, lines[len(lines)-2:]), 1},
		{"XPATCH-094 removed", join(lines[:from], lines[to:]), 1},
		{"XPATCH-094 replaced", join(lines[:from], other, lines[to:]), 1},
		{"XPATCH-094 moved back", join(lines[:from], lines[to:far], lines[from:to], lines[far:]), 2},
		{"XPATCH-094 moved forth", join(lines[:from], lines[far:far+3], lines[from:far], lines[far+3:]), 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if operations, count := checkDiff(t, join(lines), test.b); count > test.count || len(operations) > 400 {
				t.Errorf("%d operations, %s", count, operations)
			}
		})
	}
}

// randomDocument returns a document of few names, so that much is nearly the same.
func randomDocument(r *rand.Rand) string {
	var b strings.Builder
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	beside := func() string {
		return strings.Repeat(one("", "", "<!--c-->", "<?p d?>", "<!--d-->"), r.IntN(2))
	}
	var element func(depth int, bound []string)
	element = func(depth int, bound []string) {
		decls := ""
		for _, p := range []string{"", "p", "q"} {
			if r.IntN(6) == 0 {
				decls += " " + strings.TrimSuffix("xmlns:"+p, ":") + "='" + one("u:1", "u:2") + "'"
				bound = append(slices.Clone(bound), p)
			}
		}
		prefixed := func() string {
			if p := one(append(bound, "")...); p != "" {
				return p + ":"
			}
			return ""
		}
		name := prefixed() + one("a", "b")
		fmt.Fprintf(&b, "<%s%s", name, decls)
		for _, k := range []string{"id", "k", "l"} {
			if r.IntN(3) == 0 {
				fmt.Fprintf(&b, " %s='%s'", k, one("1", "2", "&#10;x", "a&amp;b"))
			}
		}
		if slices.Contains(bound, "p") && r.IntN(3) == 0 {
			fmt.Fprintf(&b, " p:k='%s'", one("1", "2"))
		}
		b.WriteString(">")
		for range r.IntN(5) {
			switch r.IntN(6) {
			case 0:
				b.WriteString(one("x", "y&lt;", "<![CDATA[z]]>", "&#13;"))
			case 1:
				b.WriteString("\n")
			case 2:
				b.WriteString(one("<!--c-->", "<?p d?>", "<?q?>"))
			default:
				if depth > 0 {
					element(depth-1, bound)
				}
			}
		}
		fmt.Fprintf(&b, "</%s>", name)
	}
	b.WriteString(beside())
	element(3, nil)
	return b.String() + beside()
}

func wellFormed(src string) bool {
	_, err := tree.Parse([]byte(src), tree.Options{})
	return err == nil
}

func TestDiffOfRandomDocuments(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		a, b := randomDocument(r), randomDocument(r)
		if wellFormed(a) && wellFormed(b) {
			checkDiff(t, a, b)
		}
	}
}

// TestDiffOfEditedDocuments compares documents with what random operations make of them.
func TestDiffOfEditedDocuments(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		a := randomDocument(r)
		if !wellFormed(a) {
			continue
		}
		doc := parseTree(t, a)
		for range 1 + r.IntN(4) {
			var nodes []tree.Node
			for n := range doc.Root().Children() {
				nodes = append(nodes, n)
				for c := range n.Children() {
					nodes = append(nodes, c)
				}
			}
			if len(nodes) == 0 {
				break
			}
			n := nodes[r.IntN(len(nodes))]
			other := nodes[r.IntN(len(nodes))]
			switch r.IntN(4) {
			case 0:
				_ = n.Remove()
			case 1:
				_ = n.InsertBefore(string(other.Bytes()))
			case 2:
				_ = n.SetAttr("id", "3")
			default:
				_ = n.Replace("<n>t</n>")
			}
		}
		checkDiff(t, a, string(doc.Bytes()))
	}
}

func TestAlign(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		a, b := make([]uint64, r.IntN(12)), make([]uint64, r.IntN(12))
		values := 1 + r.Uint64N(8)
		for i := range a {
			a[i] = r.Uint64N(values)
		}
		for i := range b {
			b[i] = r.Uint64N(values)
		}
		pairs := align(nil, a, b)
		last := pair{-1, -1}
		for _, p := range pairs {
			if p.a <= last.a || p.b <= last.b || a[p.a] != b[p.b] {
				t.Fatalf("%v %v: %v", a, b, pairs)
			}
			last = p
		}
		if got := len(shortest(nil, a, b, 0, 0)); got != longest(a, b) {
			t.Fatalf("%v %v: %d of %d matched", a, b, got, longest(a, b))
		}
	}
}

// longest returns the length of the longest common subsequence.
func longest(a, b []uint64) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	row := make([]int, len(b)+1)
	for i := range a {
		diagonal := 0
		for j := range b {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(row[j], above)
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

func TestDiffRefused(t *testing.T) {
	if _, err := Diff(parseTree(t, "<a/>"), new(tree.Tree)); err == nil {
		t.Error("nothing is compared")
	}
	doc, err := tree.Parse([]byte("<!DOCTYPE a><a>&e;</a>"), tree.Options{AllowDTD: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Diff(doc, parseTree(t, "<a/>")); err == nil || !strings.Contains(err.Error(), "1:16") {
		t.Errorf("got %v", err)
	}
}

func FuzzDiff(f *testing.F) {
	f.Add("<a>\n <b id='1'>x</b>\n <b id='2'/>\n</a>", "<a>\n <b id='2'/>y<!--c-->\n</a>")
	f.Add("<p:a xmlns:p='u:1' p:k='1'><p:b/></p:a>", "<?p?><p:a xmlns:p='u:2' xmlns='u:1'><b xmlns=''/></p:a>")
	f.Add("<a xmlns='u:1'><b xmlns:q='u:1'><q:c/></b></a>", "<a xmlns='u:1' xmlns:q='u:2'><b><c q:d=''/></b></a>")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) < 2000 && len(b) < 2000 && wellFormed(a) && wellFormed(b) && !strings.Contains(a+b, "US-ASCII") && !strings.Contains(a+b, "us-ascii") {
			checkDiff(t, a, b)
		}
	})
}

// TestDiffOfExamples makes each example of the RFCs into the next one.
func TestDiffOfExamples(t *testing.T) {
	names, _ := filepath.Glob(filepath.Join(examples, "*.xml"))
	if len(names) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	last := ""
	for _, name := range names {
		src := string(example(t, filepath.Base(name)))
		if !wellFormed(src) {
			continue
		}
		if last != "" {
			checkDiff(t, last, src)
		}
		last = src
	}
}
