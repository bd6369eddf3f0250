package patch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

// merge merges documents and returns the result, or the conflicts as "line:col line:col line:col path: reason" in lines.
func merge(t testing.TB, base, a, b string, opt MergeOptions) (merged, conflicts string) {
	t.Helper()
	out, found, err := Merge(parseTree(t, base), parseTree(t, a), parseTree(t, b), opt)
	if err != nil {
		t.Fatalf("%s\n%s\n%s: %v", base, a, b, err)
	}
	var lines []string
	for _, c := range found {
		lines = append(lines, fmt.Sprintf("%d:%d %d:%d %d:%d %s: %s", c.Base.Line, c.Base.Col, c.A.Line, c.A.Col, c.B.Line, c.B.Col, c.Path, c.Reason))
	}
	return string(out), strings.Join(lines, "\n")
}

func TestMerge(t *testing.T) {
	const list = "<l>\n <e id='1'>x</e>\n <e id='2'>x</e>\n <e id='3'>x</e>\n</l>"
	tests := []struct{ name, base, a, b, want string }{
		{"nothing", "<a  b='1'/>", "<a  b='1'/>", "<a  b='1'/>", "<a  b='1'/>"},
		{"one side", "<a>x</a>", "<a>x</a>", "<a >y</a >", "<a >y</a >"},
		{"the same on both", "<a>x</a>", "<a>y</a>", "<a >y</a >", "<a>y</a>"},
		{"layout of one side", "<a b='1'/>", `<a b="1"/>`, "<a b='1'/>", `<a b="1"/>`},
		{"attributes", "<a b='1' c=\"2\"\td='3' g=''/>", "<a b='2' c=\"2\" d='3' e='4' g=''/>", "<a d='3' c=\"'&#9;\" b='1' f='5'/>", "<a b='2' c=\"'&#9;\"\td='3' e=\"4\" f=\"5\"/>"},
		{"attribute and content", "<a b='1'>x</a>", "<a b='2'>x</a>", "<a b='1'>y</a>", "<a b='2'>y</a>"},
		{"content comes", "<a b='1'/>", "<a b='2'/>", "<a b='1'><c/></a>", "<a b='2'><c/></a>"},
		{"content goes", "<a b='1'><c/></a>", "<a b='2'><c/></a>", "<a b='1'/>", "<a b='2'/>"},
		{"two entries", list, strings.Replace(list, "'1'>x", "'1'>y", 1), strings.Replace(list, "'3'>x", "'3'>z", 1), "<l>\n <e id='1'>y</e>\n <e id='2'>x</e>\n <e id='3'>z</e>\n</l>"},
		{"entries beside each other go", list, strings.Replace(list, "\n <e id='1'>x</e>", "", 1), strings.Replace(list, "\n <e id='2'>x</e>", "", 1), "<l>\n <e id='3'>x</e>\n</l>"},
		{"the last entries go", list, strings.Replace(list, "\n <e id='3'>x</e>", "", 1), strings.Replace(list, "\n <e id='2'>x</e>", "", 1), "<l>\n <e id='1'>x</e>\n</l>"},
		{"the same entry goes", list, strings.Replace(list, "\n <e id='2'>x</e>", "", 1), strings.Replace(list, "\n <e id='2'>x</e>", "", 1), "<l>\n <e id='1'>x</e>\n <e id='3'>x</e>\n</l>"},
		{"entry comes beside one that goes", list, strings.Replace(list, "<e id='2'>x</e>", "<n/>\n <e id='2'>x</e>", 1), strings.Replace(list, "\n <e id='2'>x</e>", "", 1), "<l>\n <e id='1'>x</e>\n <n/>\n <e id='3'>x</e>\n</l>"},
		{"entries come at different places", list, strings.Replace(list, "<e id='1'", "<e id='0'/>\n <e id='1'", 1), strings.Replace(list, "\n</l>", "\n <e id='4'/>\n</l>", 1), "<l>\n <e id='0'/>\n <e id='1'>x</e>\n <e id='2'>x</e>\n <e id='3'>x</e>\n <e id='4'/>\n</l>"},
		{"the same entry comes", list, strings.Replace(list, "\n</l>", "\n <e id='4'/>\n</l>", 1), strings.Replace(list, "\n</l>", "\n  <e id='4'></e>\n</l>", 1), "<l>\n <e id='1'>x</e>\n <e id='2'>x</e>\n <e id='3'>x</e>\n <e id='4'/>\n</l>"},
		{"the same entry comes at different places", list, strings.Replace(list, "\n</l>", "\n <e id='4'/>\n</l>", 1), strings.Replace(list, "<l>", "<l>\n <e id='4'/>", 1), "<l>\n <e id='1'>x</e>\n <e id='2'>x</e>\n <e id='3'>x</e>\n <e id='4'/>\n</l>"},
		{"white space of both is that of a", "<a>\n<b/></a>", "<a>\n\n<b c='1'/></a>", "<a>\t<b d='1'/></a>", "<a>\n\n<b c=\"1\" d=\"1\"/></a>"},
		{"comments and processing instructions", "<a><!--x--><?y z?></a>", "<a><!--w--><?y z?></a>", "<a><!--x--><?y?></a>", "<a><!--w--><?y?></a>"},
		{"beside the root element", "<a/>", "<!--x--><a/>", "<a/>\n<!--y-->", "<!--x--><a/>\n<!--y-->"},
		{"layout beside the root element", "<!--x-->\n<a/>", "<!--x--><a/>", "<!--y-->\n<a/>", "<!--y-->\n<a/>"},
		{"prefixes come", "<a/>", "<a xmlns:p='u:p' p:b='1'/>", "<a xmlns:q='u:q'><q:c/></a>", `<a xmlns:p="u:p" xmlns:q="u:q" p:b="1"><q:c/></a>`},
		{"the same prefix comes", "<a/>", "<a xmlns:p='u:p' p:b='1'/>", "<a xmlns:p='u:p'><p:c/></a>", `<a xmlns:p="u:p" p:b="1"><p:c/></a>`},
		{"prefix that is not used goes", "<a xmlns:p='u:p' b='1'/>", "<a b='1'/>", "<a xmlns:p='u:p' b='2'/>", "<a b='2'/>"},
		{"the same new namespace", "<a xmlns='u:1'><b/><c/></a>", "<a xmlns='u:2'><b x=''/><c/></a>", "<a xmlns='u:2'><b/><c x=''/></a>", "<a xmlns='u:2'><b x=''/><c x=''/></a>"},
		{"another prefix of the same namespace", "<a xmlns:p='u' xmlns:q='u' p:k='1' l='1'/>", "<a xmlns:p='u' xmlns:q='u' q:k='1' l='1'/>", "<a xmlns:p='u' xmlns:q='u' p:k='1' l='2'/>", `<a xmlns:p='u' xmlns:q='u' l='2' q:k="1"/>`},
		{"text and elements", "<a>x<b/>y</a>", "<a>xy</a>", "<a>x<b/>y</a>", "<a>xy</a>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, conflicts := merge(t, test.base, test.a, test.b, MergeOptions{})
			if got != test.want {
				t.Errorf("got      %s%s\nexpected %s", got, conflicts, test.want)
			}
			if _, conflicts = merge(t, test.base, test.b, test.a, MergeOptions{}); conflicts != "" {
				t.Errorf("the other way round there are conflicts: %s", conflicts)
			}
		})
	}
}

func TestMergeConflicts(t *testing.T) {
	tests := []struct{ name, base, a, b, want string }{
		{"text", "<a>x</a>", "<a>y</a>", "<a>\nz</a>", "1:4 1:4 1:4 /a/text(): both change the text"},
		{"attribute", "<a b='1'/>", "<a b='2'/>", "<a b='3'/>", `1:1 1:1 1:1 /a/@b: attribute b: a changes it to "2", b changes it to "3"`},
		{"attribute goes", "<a b='1'/>", "<a/>", "<a b='3'/>", `1:1 1:1 1:1 /a/@b: attribute b: a removes it, b changes it to "3"`},
		{"attribute comes", "<a/>", "<a b='2'/>", "<a b='3'/>", `1:1 1:1 1:1 /a/@b: attribute b: a adds it as "2", b adds it as "3"`},
		{"entry goes and changes", "<a>\n<e id='1'/></a>", "<a></a>", "<a>\n <e id='1'>x</e></a>", "2:1 0:0 2:2 /a/e: a removes it, b changes it"},
		{"entry changes and goes", "<a>\n<e id='1'/><f/></a>", "<a>\n <e id='1'>x</e><f/></a>", "<a><f/></a>", "2:1 2:2 0:0 /a/e: a changes it, b removes it"},
		{"entries come", "<a>\n</a>", "<a><e id='1'/></a>", "<a><e id='2'/></a>", "1:1 1:4 1:4 /a: both add here"},
		{"entries of one key come", "<a><b/></a>", "<a><e id='1'/><b/></a>", "<a><b/><e id='1'>x</e></a>", "1:1 1:4 1:8 /a: both add an element with id 1, and they differ"},
		{"what is there is replaced", "<a><b/><c/></a>", "<a><d/></a>", "<a><b/><e/></a>", "1:4 1:4 1:8 /a/b: both change what stands here"},
		{"the same in the place of more", "<a><b/><c/></a>", "<a><d/><c/></a>", "<a><d/></a>", "1:4 1:4 1:4 /a/b: both change what stands here"},
		{"root element", "<a/>", "<b/>", "<c/>", "1:1 1:1 1:1 /a: both replace the element"},
		{"comment", "<a><!--x--></a>", "<a><!--y--></a>", "<a><!--z--></a>", "1:4 1:4 1:4 /a/comment(): both change the comment"},
		{"beside the root element", "<!--x--><a/>", "<!--y--><a/>", "<!--z--><a/>", "1:9 1:9 1:9 /a: both change what stands before the root element"},
		{"namespace changes", "<a xmlns='u:1'><b/></a>", "<a xmlns='u:2'><b/></a>", "<a xmlns='u:1'><c/></a>", "1:1 1:1 1:1 /a/namespace::: one changes the declaration of the default namespace, the other what is in the element"},
		{"prefix in use goes", "<a xmlns:p='u:p' b='1'/>", "<a b='2'/>", "<a xmlns:p='u:p' b='1'><p:c/></a>", "1:1 1:1 1:1 /a/namespace::p: one changes the declaration of prefix p, the other what is in the element"},
		{"prefix with two meanings", "<a/>", "<a xmlns:p='u:1'><p:b/></a>", "<a xmlns:p='u:2' p:c=''/>", "1:1 1:1 1:1 /a/namespace::p: one changes the declaration of prefix p, the other what is in the element"},
		{"prefix that hides one", "<a><b/><d/></a>", "<a xmlns:p='u:1'><b><p:c/></b><d/></a>", "<a><b xmlns:p='u:2' p:k=''/><d/></a>", "1:4 1:18 1:4 /a/b/namespace::p: one changes the declaration of prefix p, the other what is in the element"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, conflicts := merge(t, test.base, test.a, test.b, MergeOptions{})
			if conflicts != test.want || got != "" {
				t.Errorf("got      %s%s\nexpected %s", got, conflicts, test.want)
			}
			if got, conflicts = merge(t, test.base, test.b, test.a, MergeOptions{}); conflicts == "" {
				t.Errorf("the other way round there is no conflict: %s", got)
			}
		})
	}
}

func TestMergeOfManyConflicts(t *testing.T) {
	doc := func(text string) string { return "<a>" + strings.Repeat("<b>"+text+"</b>", 3*MaxConflicts) + "</a>" }
	if _, conflicts := merge(t, doc("x"), doc("y"), doc("z"), MergeOptions{}); strings.Count(conflicts, "\n") != MaxConflicts-1 {
		t.Errorf("got %d", 1+strings.Count(conflicts, "\n"))
	}
}

func TestMergeUnion(t *testing.T) {
	got, conflicts := merge(t, "<a>\n</a>", "<a>\n <e id='1'/>\n</a>", "<a>\n <e id='2'/>\n</a>", MergeOptions{Union: true})
	if want := "<a>\n <e id='1'/>\n <e id='2'/>\n</a>"; got != want {
		t.Errorf("got %s%s, expected %s", got, conflicts, want)
	}
	if got, conflicts := merge(t, "<a>x</a>", "<a>y</a>", "<a>z</a>", MergeOptions{Union: true}); conflicts == "" {
		t.Errorf("got %s", got)
	}
}

// TestMergeOfHostile gives what costs most. It has to end soon.
func TestMergeOfHostile(t *testing.T) {
	list := func(keep func(i int) string) string {
		var b strings.Builder
		for i := range 40000 {
			b.WriteString(keep(i))
		}
		return "<l>" + b.String() + "</l>"
	}
	all := func(i int) string { return fmt.Sprintf("<e id='%d'/>", i) }
	without := func(from, to int) string {
		return list(func(i int) string {
			if i%8 >= from && i%8 < to {
				return ""
			}
			return all(i)
		})
	}
	deep := func(inside string) string {
		return strings.Repeat("<b>", 4000) + inside + strings.Repeat("</b>", 4000)
	}
	for name, docs := range map[string][3]string{
		"chains of removals":  {list(all), without(0, 5), without(4, 8)},
		"all of one side":     {list(all), "<l/>", without(0, 1)},
		"the same many times": {list(func(int) string { return "<e/>" }), list(func(i int) string { return "<e/><f/>"[:4+4*(i&1)] }), list(func(i int) string { return "<e/><g/>"[:4+4*(i%3&1)] })},
		"deep":                {deep("x"), deep("<c/>x"), deep("x<d/>")},
	} {
		t.Run(name, func(t *testing.T) { merge(t, docs[0], docs[1], docs[2], MergeOptions{}) })
	}
}

func TestMergeRefused(t *testing.T) {
	doc := parseTree(t, "<a/>")
	if _, _, err := Merge(doc, new(tree.Tree), doc, MergeOptions{}); err == nil {
		t.Error("nothing is merged")
	}
	entity, err := tree.Parse([]byte("<!DOCTYPE a><a>&e;</a>"), tree.Options{AllowDTD: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Merge(doc, doc, entity, MergeOptions{}); err == nil || !strings.Contains(err.Error(), "1:16") {
		t.Errorf("got %v", err)
	}
}

// checkMerge holds what is true of every merge: it does not depend on the order of the sides whether there are conflicts, a
// side without changes takes over the other, and the result holds what each side has added.
func checkMerge(t testing.TB, base, a, b string) (clean bool) {
	t.Helper()
	for _, test := range []struct{ base, a, b, want string }{{base, a, base, a}, {base, base, b, b}, {base, a, a, a}, {a, b, a, b}} {
		if got, conflicts := merge(t, test.base, test.a, test.b, MergeOptions{}); got != test.want {
			t.Fatalf("%s\n%s\n%s\nmerged is %s\n%s\nexpected %s", test.base, test.a, test.b, got, conflicts, test.want)
		}
	}
	got, conflicts := merge(t, base, a, b, MergeOptions{})
	other, reverse := merge(t, base, b, a, MergeOptions{})
	if (conflicts == "") != (reverse == "") {
		t.Fatalf("%s\n%s\n%s\nis %s %s, the other way round %s %s", base, a, b, got, conflicts, other, reverse)
	}
	if conflicts != "" {
		return false
	}
	// Names are what they are in the sides: no name of the result is in neither.
	names := map[[2]string]bool{}
	for i, src := range []string{a, b, base, got} {
		doc := parseTree(t, src)
		for n := range doc.Count() {
			e := doc.Node(n)
			if e.Kind() != tree.Element {
				continue
			}
			if name := [2]string{e.Space(), e.Local()}; i < 3 {
				names[name] = true
			} else if !names[name] {
				t.Fatalf("%s\n%s\n%s\nmerged is %s with %v", base, a, b, got, name)
			}
		}
	}
	return true
}

// edited returns a document with some random changes.
func edited(t testing.TB, r *rand.Rand, src string, count int) string {
	doc := parseTree(t, src)
	for range count {
		var nodes []tree.Node
		for i := range doc.Count() {
			if n := doc.Node(i); n.Parent().Kind() == tree.Element {
				nodes = append(nodes, n)
			}
		}
		if len(nodes) == 0 {
			break
		}
		n := nodes[r.IntN(len(nodes))]
		switch r.IntN(5) {
		case 0:
			_ = n.Remove()
		case 1:
			_ = n.InsertBefore(string(nodes[r.IntN(len(nodes))].Bytes()))
		case 2:
			_ = n.SetAttr([]string{"id", "k", "v"}[r.IntN(3)], fmt.Sprint(r.IntN(5)))
		case 3:
			_ = n.Parent().Declare([]string{"", "p", "q"}[r.IntN(3)], []string{"u:1", "u:3"}[r.IntN(2)])
		default:
			_ = n.Replace(fmt.Sprintf("<n>%d</n>", r.IntN(3)))
		}
	}
	return string(doc.Bytes())
}

func TestMergeOfEditedDocuments(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	clean, tried := 0, 0
	for range 3000 {
		base := randomDocument(r)
		if !wellFormed(base) {
			continue
		}
		a, b := edited(t, r, base, 1+r.IntN(3)), edited(t, r, base, 1+r.IntN(3))
		if !wellFormed(a) || !wellFormed(b) {
			continue
		}
		tried++
		if checkMerge(t, base, a, b) {
			clean++
		}
	}
	if clean < tried/5 || clean == tried {
		t.Errorf("%d of %d merges had no conflict", clean, tried)
	}
}

// TestMergeOfLists edits different entries of a list on both sides; the result has to be the list with both edits.
func TestMergeOfLists(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		const count = 40
		var docs [4]bytes.Buffer // base, a, b, both
		for i := range count {
			entry := fmt.Sprintf("\n  <entry uri='sip:%d@example.com'><name>%[1]d</name></entry>", i)
			now := [4]string{entry, entry, entry, entry}
			// Odd entries stay, so that no edits meet.
			if s := r.IntN(6); i%2 == 0 && s < 2 {
				switch r.IntN(3) {
				case 0:
					now[1+s] = ""
				case 1:
					now[1+s] = strings.Replace(entry, "<name>", "<name>new ", 1)
				default:
					now[1+s] = fmt.Sprintf("\n  <entry uri='sip:new%d@example.com'/>", i) + entry
				}
				now[3] = now[1+s]
			}
			for k := range docs {
				docs[k].WriteString(now[k])
			}
		}
		var src [4]string
		for k := range docs {
			src[k] = "<list>" + docs[k].String() + "\n</list>\n"
		}
		if got, conflicts := merge(t, src[0], src[1], src[2], MergeOptions{}); got != src[3] {
			t.Fatalf("%s\n%s\n%s\nmerged is %s%s\nexpected %s", src[0], src[1], src[2], got, conflicts, src[3])
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add("<a>\n <b id='1'>x</b>\n <b id='2'/>\n</a>", "<a>\n <b id='2'/>y<!--c-->\n</a>", "<a k='1'>\n <b id='1'>x</b>\n</a>")
	f.Add("<a xmlns:p='u:1'/>", "<a xmlns:p='u:1'><p:b/></a>", "<?p?><a/>")
	f.Add("<a><b>1</b><c/></a>", "<a><c/><b>1</b></a>", "<a><b>2</b><c xmlns='u:1'/></a>")
	f.Fuzz(func(t *testing.T, base, a, b string) {
		ascii := strings.Contains(strings.ToLower(base+a+b), "us-ascii")
		if len(base+a+b) < 4000 && wellFormed(base) && wellFormed(a) && wellFormed(b) && !ascii {
			checkMerge(t, base, a, b)
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	src := entries(100000)
	base, err := tree.Parse(src, tree.Options{})
	if err != nil {
		b.Fatal(err)
	}
	x, err := tree.Parse(bytes.Replace(src, []byte("Member 5000<"), []byte("Fellow<"), 1), tree.Options{})
	if err != nil {
		b.Fatal(err)
	}
	y, err := tree.Parse(bytes.Replace(src, []byte("Member 70000<"), []byte("Fellow<"), 1), tree.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if out, conflicts, err := Merge(base, x, y, MergeOptions{}); err != nil || len(conflicts) > 0 || len(out) == 0 {
			b.Fatal(conflicts, err)
		}
	}
}
