package canon

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

func parse(t testing.TB, src string) *tree.Tree {
	t.Helper()
	doc, err := tree.Parse([]byte(src), tree.Options{})
	if err != nil {
		t.Fatalf("%q: %v", src, err)
	}
	return doc
}

// documents are what the forms differ in.
var documents = []string{
	"<a/>",
	"<?xml version='1.0'?>\n<!-- one --><?p  q r ?>\n<a   z='1'\n b=\"2\"><!-- in --><?t?></a  >\n<!-- two -->\n<?e?>\n",
	"<a b='&lt;&gt;&quot;&apos;&amp;&#9;&#10;&#13;x\ty\nz'>&lt;&gt;&quot;'&amp;&#13;<![CDATA[<&>]]>]]&gt;</a>",
	"<a>x\r\ny\rz<!--c\r\nd--><?p q\r\nr?></a>",
	"<a xmlns='u:1' xmlns:z='u:z' xmlns:b='u:b'><b xmlns='u:1' xmlns:z='u:z2' z:k='1' b:j='2' k='3'><z:c xmlns=''/></b><c xmlns=''><d xmlns='u:1'/></c></a>",
	"<a xmlns:b='u:2' xmlns:c='u:1' b:z='1' c:z='2' z='3' b:a='4' c:a='5' a='6' xml:lang='en'/>",
	"<z:a xmlns:z='u:1'><b xmlns:y='u:2'><z:c y:d='1'/><y:e/><y:f xmlns:y='u:2'/></b></z:a>",
	"<a xmlns=''><b xmlns='u:1'><c xmlns=''><d xmlns=''/></c></b></a>",
	"<é ü='ö'>日本</é>",
	"<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:space='preserve'> <b/> </a>",
	many(),
}

// many is a document with more prefixes than are looked through one by one, each hidden for a while.
func many() string {
	var b strings.Builder
	b.WriteString("<a")
	for i := range 40 {
		fmt.Fprintf(&b, " xmlns:p%d='u:%d' p%d:k=''", i, i, i)
	}
	b.WriteString(">")
	for i := range 40 {
		fmt.Fprintf(&b, "<b xmlns:p%d='v:%d' p%d:k=''><p%[1]d:c xmlns:p%[1]d='u:%[1]d' xmlns:z='u:z'/></b><p%[1]d:d/>", i, i, i)
	}
	return b.String() + "</a>"
}

func TestForms(t *testing.T) {
	const doc = "<!--1--><r xmlns='u:d' xmlns:a='u:a' xmlns:b='u:b' xml:lang='en' xml:base='x'>\n" +
		"<a:e xml:base='y' b:k='v'><!--2--><f/><?p d?></a:e></r><!--3-->"
	tests := []struct {
		name, of, want string
		opt            Options
	}{
		{"document with comments", "", "<!--1-->\n<r xmlns=\"u:d\" xmlns:a=\"u:a\" xmlns:b=\"u:b\" xml:base=\"x\" xml:lang=\"en\">\n" +
			"<a:e xml:base=\"y\" b:k=\"v\"><!--2--><f></f><?p d?></a:e></r>\n<!--3-->", Options{Comments: true}},
		{"document without comments", "", "<r xmlns=\"u:d\" xmlns:a=\"u:a\" xmlns:b=\"u:b\" xml:base=\"x\" xml:lang=\"en\">\n" +
			"<a:e xml:base=\"y\" b:k=\"v\"><f></f><?p d?></a:e></r>", Options{}},
		{"element takes namespaces and xml attributes over", "e",
			`<a:e xmlns="u:d" xmlns:a="u:a" xmlns:b="u:b" xml:base="y" xml:lang="en" b:k="v"><!--2--><f></f><?p d?></a:e>`, Options{Comments: true}},
		{"exclusive element has what it uses", "e",
			`<a:e xmlns:a="u:a" xmlns:b="u:b" xml:base="y" b:k="v"><f xmlns="u:d"></f><?p d?></a:e>`, Options{Exclusive: true}},
		{"exclusive with a list of prefixes", "e",
			`<a:e xmlns="u:d" xmlns:a="u:a" xmlns:b="u:b" xml:base="y" b:k="v"><f></f><?p d?></a:e>`, Options{Exclusive: true, Inclusive: []string{"", "nowhere"}}},
		{"exclusive document", "", "<r xmlns=\"u:d\" xml:base=\"x\" xml:lang=\"en\">\n" +
			`<a:e xmlns:a="u:a" xmlns:b="u:b" xml:base="y" b:k="v"><f></f><?p d?></a:e></r>`, Options{Exclusive: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := parse(t, doc).Document()
			if test.of != "" {
				n = n.Element("u:d", "r").Element("u:a", test.of)
			}
			if got := string(Append([]byte("x"), n, test.opt)); got != "x"+test.want {
				t.Errorf("got\n%s\nexpected\n%s", got[1:], test.want)
			}
		})
	}
}

func TestNodes(t *testing.T) {
	doc := parse(t, "<a>x&lt;\r<!--c--><?p q?></a>")
	var got []string
	for c := range doc.Root().Children() {
		got = append(got, string(Append(nil, c, Options{Comments: true})))
	}
	if s := strings.Join(got, "|"); s != "x&lt;\n|<!--c-->|<?p q?>" {
		t.Errorf("got %q", s)
	}
	if got := Append(nil, tree.Node{}, Options{}); len(got) != 0 {
		t.Errorf("no node gives %q", got)
	}
}

func TestListedPrefixBelow(t *testing.T) {
	doc := parse(t, "<a><b xmlns:p='u:1' xmlns:q='u:2'><c xmlns:p='u:1'/></b></a>")
	want := `<a><b xmlns:p="u:1"><c></c></b></a>`
	if got := string(Append(nil, doc.Document(), Options{Exclusive: true, Inclusive: []string{"p"}})); got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
}

func TestEqual(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"<a b='1' c='2'/>", "<?xml version='1.0'?>\n<a\tc=\"2\" b=\"1\"></a>\n", true},
		{"<a> <b/></a>", "<a><b/></a>", false},
		{"<a><!--x--></a>", "<a><!--y--></a>", false},
		{"<p:a xmlns:p='u:1'/>", "<q:a xmlns:q='u:1'/>", false},
		{"<a xmlns:q='u:1'/>", "<a/>", false},
		{"<a>x<![CDATA[y]]></a>", "<a>&#120;y</a>", true},
		{"<a/><!--x-->", "<!--x--><a/>", false},
	}
	for _, test := range tests {
		t.Run("XPATCH-008 "+test.a+" "+test.b, func(t *testing.T) {
			if got := Equal(parse(t, test.a).Document(), parse(t, test.b).Document()); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestAgainstXmllint compares the forms of whole documents with comments with those of libxml2.
func TestAgainstXmllint(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("no xmllint")
	}
	for i, src := range documents {
		if !compare(t, xmllint, fmt.Sprint("document ", i), src) {
			t.Errorf("xmllint refuses %s", src)
		}
	}
	examples, _ := filepath.Glob("../../../../shared/vectors/examples/*.xml")
	if len(examples) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	for _, name := range examples {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Parse(src, tree.Options{}); err == nil {
			compare(t, xmllint, filepath.Base(name), string(src))
		}
	}
}

func compare(t *testing.T, xmllint, name, src string) (judged bool) {
	t.Helper()
	for flag, opt := range map[string]Options{"--c14n": {Comments: true}, "--exc-c14n": {Comments: true, Exclusive: true}} {
		cmd := exec.Command(xmllint, "--nonet", flag, "-")
		cmd.Stdin = strings.NewReader(src)
		want, err := cmd.Output()
		if err != nil {
			return false // libxml2 refuses relative namespace names
		}
		if got := Append(nil, parse(t, src).Document(), opt); !bytes.Equal(got, want) {
			t.Errorf("%s %s:\n%s\nexpected\n%s", name, flag, got, want)
		}
	}
	return true
}

func FuzzAppend(f *testing.F) {
	for _, src := range documents {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		doc, err := tree.Parse(src, tree.Options{})
		if err != nil {
			return
		}
		for _, opt := range []Options{{}, {Comments: true}, {Exclusive: true}, {Comments: true, Exclusive: true, Inclusive: []string{"", "a"}}} {
			once := Append(nil, doc.Document(), opt)
			again, err := tree.Parse(once, tree.Options{})
			if err != nil {
				t.Fatalf("%q became %q: %v", src, once, err)
			}
			if twice := Append(nil, again.Document(), opt); !bytes.Equal(once, twice) {
				t.Fatalf("%q became %q, then %q", src, once, twice)
			}
		}
		if opt := (Options{Comments: true}); !Equal(doc.Root(), parse(t, string(Append(nil, doc.Root(), opt))).Root()) {
			t.Fatalf("%q: root alone differs", src)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	var src strings.Builder
	src.WriteString("<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'><list name='friends'>\n")
	for i := range 400 {
		fmt.Fprintf(&src, "  <entry uri=\"sip:member%d@example.org\">\n    <display-name>Member %[1]d</display-name>\n  </entry>\n", i)
	}
	src.WriteString("</list></resource-lists>\n")
	n := parse(b, src.String()).Document()
	for _, opt := range []Options{{Comments: true}, {Comments: true, Exclusive: true}} {
		b.Run(fmt.Sprintf("exclusive=%v", opt.Exclusive), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(src.Len()))
			var dst []byte
			for b.Loop() {
				dst = Append(dst[:0], n, opt)
			}
		})
	}
}
