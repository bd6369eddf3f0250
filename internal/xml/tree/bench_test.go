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

// entries returns a list of this many entries, about 105 bytes each.
func entries(count int) []byte {
	var b bytes.Buffer
	b.WriteString(`<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="all">` + "\n")
	for i := range count {
		fmt.Fprintf(&b, "  <entry uri=\"sip:member%07d@example.org\">\n    <display-name>Member %[1]d</display-name>\n  </entry>\n", i)
	}
	b.WriteString("</list></resource-lists>\n")
	return b.Bytes()
}

func BenchmarkEdit(b *testing.B) {
	b.Run("pidf one attribute", func(b *testing.B) {
		b.ReportAllocs()
		var t Tree
		var dst []byte
		for b.Loop() {
			if err := t.Parse([]byte(presence), Options{}); err != nil {
				b.Fatal(err)
			}
			if err := t.Root().SetAttr("entity", "pres:bob@example.net"); err != nil {
				b.Fatal(err)
			}
			dst = t.Append(dst[:0])
		}
	})
	large := entries(100000)
	b.Run(fmt.Sprintf("one attribute of %d bytes", len(large)), func(b *testing.B) {
		for b.Loop() {
			t, err := Parse(large, Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := t.Root().FirstChild().LastChild().PrevSibling().SetAttr("uri", "sip:bob@example.net"); err != nil {
				b.Fatal(err)
			}
			t.Bytes()
		}
	})
	b.Run("2000 edits", func(b *testing.B) {
		t, err := Parse(large, Options{})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			t.Begin()
			n := t.Root().FirstChild().FirstChild().NextSibling()
			for range 500 {
				next := n.NextSibling().NextSibling()
				for _, err := range []error{n.InsertBefore("<entry uri='a'/>\n"), n.SetAttr("uri", "b"), n.FirstChild().NextSibling().Replace("<x/>"), next.Remove()} {
					if err != nil {
						b.Fatal(err)
					}
				}
				n = n.NextSibling().NextSibling()
			}
			t.Rollback()
		}
	})
}
