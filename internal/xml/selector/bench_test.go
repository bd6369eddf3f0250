package selector

import (
	"fmt"
	"strings"
	"testing"
)

func list(entries int) string {
	var b strings.Builder
	b.WriteString(`<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="friends">`)
	for i := range entries {
		fmt.Fprintf(&b, `<entry uri="sip:user%d@example.com"><display-name>User %d</display-name></entry>`, i, i)
	}
	b.WriteString("</list></resource-lists>")
	return b.String()
}

func BenchmarkLocate(b *testing.B) {
	d := parse(b, list(1000))
	ns := Prefixes{"": "urn:ietf:params:xml:ns:resource-lists"}
	for _, sel := range []string{
		"*/*/*[900]",
		`resource-lists/list[@name="friends"]/entry[@uri="sip:user900@example.com"]`,
		`resource-lists/list[1]/entry[900]/@uri`,
	} {
		b.Run(sel, func(b *testing.B) {
			s, err := ParseXCAP(sel, ns)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Locate(d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	ns := Prefixes{"": "urn:ietf:params:xml:ns:resource-lists"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseXCAP(`resource-lists/list[@name="friends"]/entry[@uri="sip:user900@example.com"]/@uri`, ns); err != nil {
			b.Fatal(err)
		}
	}
}
