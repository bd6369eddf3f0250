package tree

import (
	"bytes"
	"fmt"
	"testing"
)

// presence is a presence document of the size that phones publish.
const presence = `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
    xmlns:rp="urn:ietf:params:xml:ns:pidf:rpid" entity="pres:ada@example.net">
  <tuple id="desk">
    <status><basic>open</basic></status>
    <rp:class>office</rp:class>
    <contact priority="0.8">sip:ada@desk.example.net</contact>
    <note xml:lang="en">At my desk &amp; reachable</note>
    <timestamp>2024-03-05T09:41:00Z</timestamp>
  </tuple>
  <dm:person id="ada">
    <rp:activities><rp:meeting/></rp:activities>
    <rp:mood><rp:happy/></rp:mood>
    <dm:note>In a meeting until noon</dm:note>
  </dm:person>
</presence>
`

// lists returns a resource-lists document of about 50 kB.
func lists() []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">` + "\n")
	for list := range 12 {
		fmt.Fprintf(&b, "  <list name=\"group-%d\">\n    <display-name xml:lang=\"en\">Group number %d</display-name>\n", list, list)
		for entry := range 36 {
			fmt.Fprintf(&b, "    <entry uri=\"sip:member%d.%d@example.org\">\n      <display-name>Member %d</display-name>\n    </entry>\n", list, entry, entry)
		}
		b.WriteString("  </list>\n")
	}
	b.WriteString("</resource-lists>\n")
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, doc := range []struct {
		name string
		src  []byte
	}{{"pidf", []byte(presence)}, {"resource-lists", lists()}} {
		b.Run(doc.name+"/reused", func(b *testing.B) {
			b.SetBytes(int64(len(doc.src)))
			b.ReportAllocs()
			var t Tree
			for b.Loop() {
				if err := t.Parse(doc.src, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(doc.name+"/fresh", func(b *testing.B) {
			b.SetBytes(int64(len(doc.src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(doc.src, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
