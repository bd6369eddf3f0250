package patch

import (
	"bytes"
	"errors"
	"testing"

	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

// FuzzApply checks that what applies gives a document that reads as the tree says, and that what does not leaves the
// document as it was and gives a well-formed error document.
func FuzzApply(f *testing.F) {
	f.Add("<a xmlns:x='u' x:b='1'>t<c/> <!--d--></a>", in("xmlns:y='u'", "<p:add sel='a'>q<y:z y:w=''/></p:add><p:remove sel='a/c' ws='after'/><p:replace sel='a/@y:b'>2</p:replace>"))
	f.Add("<a/>", in("xmlns='u'", "<p:add sel='*' type='namespace::q'>v</p:add><p:add sel='*' pos='before'><!----></p:add>"))
	f.Add("<a xmlns='v'><b/></a>", in("xmlns='u' xmlns:v='v'", "<p:replace sel='v:a/v:b'><c><v:d xmlns=''><e/></v:d></c></p:replace>"))
	f.Fuzz(func(t *testing.T, doc, patch string) {
		d, err := tree.Parse([]byte(doc), tree.Options{})
		if err != nil {
			return
		}
		p, err := Parse([]byte(patch), tree.Options{})
		if err == nil {
			for i := range p.Changes {
				if err = p.Changes[i].Apply(d, func(Applied) {}); err != nil {
					break
				}
				doc = string(d.Bytes())
			}
		}
		out := d.Bytes()
		if !bytes.Equal(out, []byte(doc)) {
			t.Fatalf("%v left %q of %q", err, out, doc)
		}
		again, parseErr := tree.Parse(out, tree.Options{})
		if parseErr != nil || !canon.Equal(again.Document(), d.Document()) {
			t.Fatalf("%q: %v", out, parseErr)
		}
		if e := (*Error)(nil); errors.As(err, &e) {
			if _, err := tree.Parse(e.Append(nil), tree.Options{}); err != nil {
				t.Fatalf("%s: %v", e.Append(nil), err)
			}
		} else if err != nil {
			t.Fatalf("error %v of another type", err)
		}
	})
}
