package tree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

var contents = []string{"", "x", " ", "<n/>", "<n>y</n>", "a<n/>b", "<!--c-->", "<?p i?>", "]]", ">", "]>", "\r", "\n", "<![CDATA[<]]>", "<![CDATA[]]>",
	"<p:n xmlns:p='u:n'><p:m p:k=''/></p:n>", "<n xmlns='u:m'><o><![CDATA[]]><m/></o></n>", "&#13;&amp;", "<p:n/>", " <n\r\n a='1'  b=\"2\"/>\t"}

// editAtRandom does one edit that the numbers choose, and reports what it was.
func editAtRandom(tree *Tree, next func(int) int) (string, error) {
	var nodes []Node
	for n := tree.Document(); n.Valid(); n = n.following(tree.Document()) {
		nodes = append(nodes, n)
	}
	n := nodes[next(len(nodes))]
	content := contents[next(len(contents))]
	name := []string{"a", "b", "p:k", "q:k", "xml:lang"}[next(5)]
	prefix := []string{"", "p", "q", "n"}[next(4)]
	uri := []string{"u:n", "u:m", "u:p", ""}[next(4)]
	var attrs []Attr
	for a := range n.Attrs() {
		attrs = append(attrs, a)
	}
	op := next(10)
	what := fmt.Sprintf("op %d on %q: content %q name %s prefix %s uri %s", op, n.Bytes(), content, name, prefix, uri)
	switch op {
	case 0:
		return what, n.InsertBefore(content)
	case 1:
		return what, n.InsertAfter(content)
	case 2:
		return what, n.Prepend(content)
	case 3:
		return what, n.Append(content)
	case 4:
		return what, n.Replace(content)
	case 5:
		return what, n.Remove()
	case 6:
		return what, n.SetAttr(name, content)
	case 7:
		return what, n.Declare(prefix, uri)
	case 8:
		return what, declOf(n, prefix).Remove()
	}
	if len(attrs) == 0 {
		return what, nil
	}
	if a := attrs[next(len(attrs))]; next(2) == 0 {
		return what, a.SetValue(content)
	} else {
		return what, a.Remove()
	}
}

// checkRandomEdits compares the tree with what its bytes say after each edit, and that what is refused or taken back
// leaves no trace.
func checkRandomEdits(t testing.TB, tree *Tree, count int, next func(int) int) {
	for range count {
		before, back := tree.Bytes(), next(4) == 0
		if back {
			tree.Begin()
		}
		what, err := editAtRandom(tree, next)
		if back {
			if err == nil {
				checkEdited(t, tree)
			}
			tree.Rollback()
		}
		if after := tree.Bytes(); (err != nil || back) && !bytes.Equal(before, after) {
			t.Fatalf("%s: %v, taken back: %v\n%q became\n%q", what, err, back, before, after)
		}
		checkEdited(t, tree)
	}
}

func TestRandomEdits(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		src := []string{crlf, presence, "<a/>", "<p:a xmlns:p='u:p' xmlns:q='u:q' p:k='1' q:k='2'>x<p:b/>y<q:b p:k='3'/><![CDATA[]]></p:a>"}[seed%4]
		checkRandomEdits(t, mustParse(t, []byte(src), Options{AllowDTD: true}), 60, random.IntN)
	}
}

func FuzzEdit(f *testing.F) {
	f.Add([]byte(crlf), []byte("00000000111111112222222233333333"))
	f.Add([]byte("<a>x<b/>y</a>"), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Fuzz(func(t *testing.T, src, choices []byte) {
		tree, err := Parse(src, Options{AllowDTD: true})
		if err != nil || len(src) > 1000 {
			return
		}
		next := func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := int(choices[0]) % n
			choices = choices[1:]
			return c
		}
		for steps := 0; len(choices) > 0 && steps < 20; steps++ {
			checkRandomEdits(t, tree, 1, next)
		}
	})
}
