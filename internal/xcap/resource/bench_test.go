package resource

import (
	"fmt"
	"strings"
	"testing"

	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// BenchmarkPut inserts an entry into a list of 50: parse, put and write.
func BenchmarkPut(b *testing.B) {
	var doc strings.Builder
	doc.WriteString(`<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="friends">`)
	for i := range 50 {
		fmt.Fprintf(&doc, "\n  <entry uri=\"sip:user%02d@example.com\"><display-name>User number %02d</display-name></entry>", i, i)
	}
	doc.WriteString("\n</list></resource-lists>")
	src, body := []byte(doc.String()), []byte(`<entry uri="sip:new@example.com"/>`)
	sel, err := selector.ParseXCAP(`resource-lists/list[@name="friends"]/entry[@uri="sip:new@example.com"]`, selector.Prefixes{"": "urn:ietf:params:xml:ns:resource-lists"})
	if err != nil {
		b.Fatal(err)
	}
	var t tree.Tree
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if err := t.Parse(src, tree.Options{}); err != nil {
			b.Fatal(err)
		}
		if created, err := Put(&t, sel, body, nil); err != nil || !created {
			b.Fatal(created, err)
		}
		_ = t.Bytes()
	}
}
