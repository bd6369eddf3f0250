package tree

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse checks of every document that is accepted: its ranges fit together; memory that held another document makes no
// difference; written anew from the values that the tree tells it reads as the same document; and the decoder of the
// standard library, which checks less, accepts it too and sees the same elements and text.
func FuzzParse(f *testing.F) {
	for _, test := range wellFormed {
		f.Add([]byte(test.src))
	}
	for _, test := range malformed {
		f.Add([]byte(test.src))
	}
	f.Add([]byte(sample))
	f.Add([]byte("<!DOCTYPE a [<!ENTITY e ']>'><!-- ' -->]><a b='&e;'>&e;</a>"))
	var reused Tree
	f.Fuzz(func(t *testing.T, src []byte) {
		if tree, err := Parse(src, Options{AllowDTD: true}); err == nil {
			checkRanges(t, tree)
		}
		tree, err := Parse(src, Options{})
		if err != nil {
			checkError(t, src, err)
			return
		}
		checkRanges(t, tree)
		want := dump(tree)
		if err := reused.Parse(src, Options{}); err != nil || dump(&reused) != want {
			t.Fatalf("%q with reused memory: %v\n%sexpected\n%s", src, err, dump(&reused), want)
		}
		again := write(tree)
		if got := dump(mustParse(t, again, Options{})); got != want {
			t.Fatalf("%q written as %q is\n%sexpected\n%s", src, again, got, want)
		}
		compareWithStandard(t, tree)
	})
}

func checkError(t *testing.T, src []byte, err error) {
	var e *Error
	if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(src) || e.Line < 1 || e.Col < 1 || e.Msg == "" {
		t.Fatalf("%q: %#v", src, err)
	}
	if line, col := position(string(src), e.Offset); line != e.Line || col != e.Col {
		t.Fatalf("%q: %v, but offset %d is %d:%d", src, err, e.Offset, line, col)
	}
}

// write writes a document anew from names and values.
func write(tree *Tree) []byte {
	var b bytes.Buffer
	escape := func(s string) string {
		for _, c := range "&<>\"\t\n\r" {
			s = strings.ReplaceAll(s, string(c), fmt.Sprintf("&#%d;", c))
		}
		return s
	}
	var put func(n Node)
	put = func(n Node) {
		switch n.Kind() {
		case Element:
			fmt.Fprintf(&b, "<%s", n.Name())
			for d := range n.Decls() {
				fmt.Fprintf(&b, " %s=\"%s\"", strings.TrimSuffix("xmlns:"+d.Prefix(), ":"), escape(d.URI()))
			}
			for a := range n.Attrs() {
				fmt.Fprintf(&b, " %s=\"%s\"", a.Name(), escape(a.Value()))
			}
			b.WriteByte('>')
		case Text:
			b.WriteString(escape(n.Text()))
		case Comment:
			fmt.Fprintf(&b, "<!--%s-->", n.Text())
		case PI:
			fmt.Fprintf(&b, "<?%s %s?>", n.Target(), n.Text())
		}
		for c := range n.Children() {
			put(c)
		}
		if n.Kind() == Element {
			fmt.Fprintf(&b, "</%s>", n.Name())
		}
	}
	put(tree.Document())
	return b.Bytes()
}

// compareWithStandard leaves out what encoding/xml is known to refuse or to see otherwise: names beyond ASCII, which it
// judges by an edition before the fifth, versions other than 1.0, and a byte order mark.
func compareWithStandard(t *testing.T, tree *Tree) {
	src := tree.Source()
	other := !bytes.Contains(src, []byte(`"1.0"`)) && !bytes.Contains(src, []byte("'1.0'"))
	if bytes.HasPrefix(src, []byte(byteOrderMark)) || bytes.HasPrefix(src, []byte("<?xml")) && other {
		return
	}
	var want strings.Builder
	for n := tree.Document(); n.Valid(); n = n.following(tree.Document()) {
		names := n.Name() + n.Target()
		switch n.Kind() {
		case Element:
			attrs := 0
			for a := range n.Attrs() {
				attrs++
				names += a.Name()
			}
			for d := range n.Decls() {
				attrs++
				names += d.Prefix()
			}
			fmt.Fprintf(&want, "<{%s}%s %d>", spaced.Replace(n.Space()), n.Local(), attrs)
		case Text:
			want.WriteString(n.Text())
		}
		if len(names) != utf8.RuneCountInString(names) {
			return
		}
	}
	got, err := standard(src)
	if err != nil {
		t.Fatalf("%q: encoding/xml says %v", src, err)
	}
	if got != want.String() {
		t.Fatalf("%q: encoding/xml sees\n%s, not\n%s", src, got, want.String())
	}
}

// spaced makes up for encoding/xml leaving white space in values as it is.
var spaced = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

func standard(src []byte) (string, error) {
	var b strings.Builder
	d := xml.NewDecoder(bytes.NewReader(src))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			fmt.Fprintf(&b, "<{%s}%s %d>", spaced.Replace(token.Name.Space), token.Name.Local, len(token.Attr))
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth > 0 {
				b.Write(token)
			}
		}
	}
}
