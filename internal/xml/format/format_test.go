package format

import (
	"bytes"
	"strings"
	"testing"

	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

func lay(t testing.TB, src string, opt Options) string {
	t.Helper()
	d, err := tree.Parse([]byte(src), tree.Options{AllowDTD: true})
	if err != nil {
		t.Fatal(err)
	}
	return string(Append(nil, d, opt))
}

func TestAppend(t *testing.T) {
	for name, c := range map[string]struct {
		src, want string
		opt       Options
	}{
		"elements":          {src: "<a><b/>  <c><d>text</d></c></a>", want: "<a>\n  <b/>\n  <c>\n    <d>text</d>\n  </c>\n</a>\n"},
		"empty":             {src: "<a></a>", want: "<a/>\n"},
		"blank only":        {src: "<a> </a>", want: "<a> </a>\n"},
		"mixed":             {src: "<a>x <b> <c/> </b></a>", want: "<a>x <b> <c/> </b></a>\n"},
		"mixed below":       {src: "<a><b>x<c/></b></a>", want: "<a>\n  <b>x<c/></b>\n</a>\n"},
		"written white":     {src: "<a>&#32;<b/></a>", want: "<a>&#32;<b/></a>\n"},
		"white in CDATA":    {src: "<a><![CDATA[ ]]><b/></a>", want: "<a><![CDATA[ ]]><b/></a>\n"},
		"preserve":          {src: "<a><b xml:space='preserve'> <c/></b></a>", want: "<a>\n  <b xml:space='preserve'> <c/></b>\n</a>\n"},
		"comments and PIs":  {src: "<a><!-- x\ny --><?p q?></a>", want: "<a>\n  <!-- x\ny -->\n  <?p q?>\n</a>\n"},
		"tags":              {src: "<a\n x = '1'\txmlns:p=\"u\"  p:y=\"&lt;\n\" ><p:b  ></p:b ></a >", want: "<a x='1' xmlns:p=\"u\" p:y=\"&lt;\n\">\n  <p:b/>\n</a>\n"},
		"prolog":            {src: "\uFEFF<?xml version='1.0'?><!DOCTYPE a [<!--c--> ]><!--d--><a/><?p?>", want: "<?xml version='1.0'?>\n<!DOCTYPE a [<!--c--> ]>\n<!--d-->\n<a/>\n<?p?>\n"},
		"doctype behind":    {src: "<!--d--> <!DOCTYPE a>\n\n<a/>\n\n", want: "<!--d-->\n<!DOCTYPE a>\n<a/>\n"},
		"line ends":         {src: "<a>\r\n<b>x\r\ny</b><c/></a>", want: "<a>\r\n  <b>x\r\ny</b>\r\n  <c/>\r\n</a>\r\n"},
		"indent":            {src: "<a><b/></a>", want: "<a>\n\t<b/>\n</a>\n", opt: Options{Indent: "\t"}},
		"wide":              {src: `<a><b one="1" two="2"/></a>`, want: "<a>\n  <b\n      one=\"1\"\n      two=\"2\"/>\n</a>\n", opt: Options{Width: 15}},
		"one attribute":     {src: `<a one="1234567890"/>`, want: "<a one=\"1234567890\"/>\n", opt: Options{Width: 15}},
		"equals in a value": {src: `<a k = "a = b"/>`, want: "<a k=\"a = b\"/>\n"},
	} {
		got := lay(t, c.src, c.opt)
		if got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		if again := lay(t, got, c.opt); again != got {
			t.Errorf("%s: a second run changes it to %q", name, again)
		}
	}
}

func TestDeepDocument(t *testing.T) {
	const depth = 4000
	src := strings.Repeat("<a>", depth) + strings.Repeat("</a>", depth)
	if got := lay(t, src, Options{Indent: " "}); strings.Count(got, "\n") != 2*depth-1 {
		t.Errorf("%d lines", strings.Count(got, "\n"))
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("<a>\r\n<b k='1'>x</b>&#10;<c xmlns:p='u' p:k=''> <d/> </c><!--c--></a>")
	f.Add("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e 'v'>]><a><b>&e;</b> <c/></a><?p?>")
	f.Add("<a><b xml:space='preserve'> <c> </c></b> <d/></a>")
	f.Fuzz(func(t *testing.T, src string) {
		d, err := tree.Parse([]byte(src), tree.Options{AllowDTD: true})
		if err != nil {
			return
		}
		first := Append(nil, d, Options{})
		again, err := tree.Parse(first, tree.Options{AllowDTD: true})
		if err != nil {
			t.Fatalf("%q became %q: %v", src, first, err)
		}
		if second := Append(nil, again, Options{}); !bytes.Equal(first, second) {
			t.Fatalf("%q: a second run changes %q to %q", src, first, second)
		}
		if a, b := skeleton(d), skeleton(again); a != b {
			t.Fatalf("%q became %q, which is not the same\n%s\n%s", src, first, a, b)
		}
	})
}

// skeleton is the canonical form of the elements that are not laid out, and the names of those that are.
func skeleton(d *tree.Tree) string {
	w := writer{src: d.Source()}
	var b strings.Builder
	for n := d.Document(); n.Valid(); {
		if n.Kind() == tree.Element && !w.loose(n) || n.Kind() == tree.Comment || n.Kind() == tree.PI {
			b.Write(canon.Append(nil, n, canon.Options{Comments: true}))
		} else {
			b.WriteString("<" + n.Name())
			for a := range n.Attrs() {
				b.WriteString(" " + a.Name() + "=" + a.Value())
			}
			b.WriteString(">")
			if c := visible(n.FirstChild()); c.Valid() {
				n = c
				continue
			}
		}
		for n.Valid() && !next(n).Valid() {
			n = n.Parent()
			b.WriteString("</>")
		}
		n = next(n)
	}
	return b.String()
}

func BenchmarkAppend(b *testing.B) {
	src := []byte("<list>" + strings.Repeat(`<entry uri="sip:user@example.com"><display-name>User</display-name></entry>`, 700) + "</list>")
	d, err := tree.Parse(src, tree.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = Append(dst[:0], d, Options{})
	}
}
