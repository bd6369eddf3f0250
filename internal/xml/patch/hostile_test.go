package patch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

// TestHostile gives what costs most. It has to end soon, with a result or an error, and never with a panic.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("<q:x>", 4000) + strings.Repeat("</q:x>", 4000)
	var wide strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&wide, " xmlns:n%d='u:%d'", i, i)
	}
	tests := []struct{ name, doc, scope, operations string }{
		{"deep content under another prefix", "<r:a xmlns:r='u:1'/>", "xmlns:q='u:1'", "<p:add sel='*'>" + deep + "</p:add>"},
		{"deep content that has to be declared", "<a/>", "xmlns:q='u:1'", "<p:add sel='*'>" + deep + "</p:add>"},
		{"deeper than documents may be", "<a>" + strings.Repeat("<b>", 2000) + strings.Repeat("</b>", 2000) + "</a>", "xmlns:q='u:1'",
			"<p:add sel='*" + strings.Repeat("/*", 30) + "'>" + deep + "</p:add><p:add sel='*" + strings.Repeat("/*", 31) + "'>" + deep + "</p:add>"},
		{"many declarations in content", "<a/>", "", "<p:add sel='a'><b" + wide.String() + ">" + strings.Repeat("<n1:c n2:d=''/>", 5000) + "</b></p:add>"},
		{"much text again and again", "<a>" + strings.Repeat("x", 1<<20) + "</a>", "", strings.Repeat("<p:add sel='a'>y</p:add>", 500)},
		{"namespace again and again", "<a xmlns:q='u:0'>" + strings.Repeat("<q:b/>", 2000) + "</a>", "", strings.Repeat("<p:replace sel='a/namespace::q'>u:1</p:replace><p:replace sel='a/namespace::q'>u:2</p:replace>", 200)},
		{"long selectors", "<a" + strings.Repeat("/>", 1), "", "<p:remove sel='" + strings.Repeat("*/", 5000) + "*'/>"},
		{"empty CDATA sections", "<a>" + strings.Repeat("<![CDATA[]]><b/>", 5000) + "</a>", "", strings.Repeat("<p:remove sel='a/*[1]'/>", 1000)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := run(t, test.doc, in(test.scope, test.operations))
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("got %v", err)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestDiffOfHostile(t *testing.T) {
	same := strings.Repeat("<b/>", 20000)
	for _, docs := range [][2]string{
		{"<a>" + same + "</a>", "<a>" + same[:40000] + "x" + same[40000:60000] + "</a>"},
		{"<a>" + strings.Repeat("<b/><c/>", 5000) + "</a>", "<a>" + strings.Repeat("<c/><d/><b/>", 5000) + "</a>"},
		{strings.Repeat("<b>", 4000) + strings.Repeat("</b>", 4000), strings.Repeat("<b>", 4000) + "x" + strings.Repeat("</b>", 4000)},
	} {
		x, y := parseTree(t, docs[0]), parseTree(t, docs[1])
		e, err := Diff(x, y)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(e.Append(nil, Frame{}), tree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Changes[0].Apply(x, nil); err != nil {
			t.Error(err)
		}
	}
}
