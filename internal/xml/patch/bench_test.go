package patch

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"

	"imp/internal/xml/tree"
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

func BenchmarkApply(b *testing.B) {
	b.Run("one attribute of a PIDF", func(b *testing.B) {
		patch := []byte(in("xmlns='urn:ietf:params:xml:ns:pidf'", "<p:replace sel='*/tuple[@id=\"desk\"]/contact/@priority'>0.7</p:replace>"))
		src := []byte(presence)
		b.ReportAllocs()
		var t tree.Tree
		var p Document
		var dst []byte
		for b.Loop() {
			err := t.Parse(src, tree.Options{})
			if err == nil {
				err = p.Parse(patch, tree.Options{})
			}
			if err == nil {
				err = p.Changes[0].Apply(&t, nil)
			}
			if err != nil {
				b.Fatal(err)
			}
			dst = t.Append(dst[:0])
		}
	})
	large := entries(107000)
	b.Run(fmt.Sprintf("one attribute of %d bytes", len(large)), func(b *testing.B) {
		patch := []byte(in("xmlns='urn:ietf:params:xml:ns:resource-lists'", "<p:replace sel='*/*/entry[@uri=\"sip:member0100000@example.org\"]/@uri'>x</p:replace>"))
		for b.Loop() {
			t, err := tree.Parse(large, tree.Options{})
			if err != nil {
				b.Fatal(err)
			}
			p, err := Parse(patch, tree.Options{})
			if err == nil {
				err = p.Changes[0].Apply(t, nil)
			}
			if err != nil {
				b.Fatal(err)
			}
			t.Bytes()
		}
	})
	b.Run("2000 operations", func(b *testing.B) {
		var ops bytes.Buffer
		for i := range 500 {
			fmt.Fprintf(&ops, "<p:replace sel='*/*/entry[@uri=\"sip:member%07d@example.org\"]/@uri'>x%[1]d</p:replace>", i*200+600)
			fmt.Fprintf(&ops, "<p:add sel='*/*/entry[%d]'><x/></p:add><p:remove sel='*/*/*[3]' ws='after'/><p:replace sel='*/*/*[%d]/display-name/text()'>y</p:replace>", i*200+1, i*200+2)
		}
		p, err := Parse([]byte(in("xmlns='urn:ietf:params:xml:ns:resource-lists'", ops.String())), tree.Options{})
		if err != nil {
			b.Fatal(err)
		}
		done := processor(b, syscall.RUSAGE_SELF)
		defer func() { done(b.N) }()
		for b.Loop() {
			t, err := tree.Parse(large, tree.Options{})
			if err == nil {
				err = p.Changes[0].Apply(t, nil)
			}
			if err != nil {
				b.Fatal(err)
			}
			t.Bytes()
		}
	})
}

func BenchmarkDiff(b *testing.B) {
	for _, count := range []int{480, 100000} {
		src := entries(count)
		lines := bytes.SplitAfter(src, []byte("\n"))
		for i := range 10 {
			at := 1 + 3*(count/11*(i+1))
			switch i % 3 {
			case 0:
				lines[at+1] = []byte("    <display-name>New</display-name>\n")
			case 1:
				lines[at] = append([]byte(fmt.Sprintf("  <entry uri=\"sip:new%d@example.org\"/>\n", i)), lines[at]...)
			default:
				lines[at], lines[at+1], lines[at+2] = nil, nil, nil
			}
		}
		other := bytes.Join(lines, nil)
		b.Run(fmt.Sprintf("ten edits in %d bytes", len(src)), func(b *testing.B) {
			b.ReportAllocs()
			done := processor(b, syscall.RUSAGE_SELF)
			defer func() { done(b.N) }()
			for b.Loop() {
				x, err := tree.Parse(src, tree.Options{})
				if err != nil {
					b.Fatal(err)
				}
				y, err := tree.Parse(other, tree.Options{})
				if err != nil {
					b.Fatal(err)
				}
				e, err := Diff(x, y)
				if err != nil || e.Len() > 10 {
					b.Fatal(e.Len(), err)
				}
				e.Append(nil, Frame{})
			}
		})
	}
}

// BenchmarkDiffOfMuch compares lists of which much has changed.
func BenchmarkDiffOfMuch(b *testing.B) {
	src := entries(100000)
	for name, other := range map[string][]byte{
		"every name":       bytes.ReplaceAll(src, []byte("Member"), []byte("Fellow")),
		"every tenth gone": dropTenth(src),
		"all":              bytes.ReplaceAll(bytes.ReplaceAll(src, []byte("sip:"), []byte("xmpp:")), []byte("Member"), []byte("Fellow")),
	} {
		b.Run(name, func(b *testing.B) {
			x, err := tree.Parse(src, tree.Options{})
			if err != nil {
				b.Fatal(err)
			}
			y, err := tree.Parse(other, tree.Options{})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				e, err := Diff(x, y)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(e.Append(nil, Frame{}))), "patch-bytes")
			}
		})
	}
}

func dropTenth(src []byte) []byte {
	lines := bytes.SplitAfter(src, []byte("\n"))
	for i := 1; i+2 < len(lines); i += 30 {
		lines[i], lines[i+1], lines[i+2] = nil, nil, nil
	}
	return bytes.Join(lines, nil)
}
