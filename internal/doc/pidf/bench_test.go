package pidf

import (
	"strings"
	"testing"
	"time"
)

// published is what a usual client publishes, some 600 bytes.
const published = `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">
 <tuple id="t1">
  <status><basic>open</basic></status>
  <contact priority="0.8">sip:alice@192.0.2.10:5060</contact>
  <note xml:lang="en">At my desk</note>
  <timestamp>2026-11-22T10:20:30.123Z</timestamp>
 </tuple>
 <dm:person id="p1">
  <rpid:activities><rpid:meeting/></rpid:activities>
  <rpid:mood><rpid:happy/></rpid:mood>
  <dm:note>Busy</dm:note>
 </dm:person>
</presence>
`

func BenchmarkAccept(b *testing.B) { benchmarkVerdict(b, Accept) }
func BenchmarkCheck(b *testing.B)  { benchmarkVerdict(b, Check) }

func benchmarkVerdict(b *testing.B, verdict func([]byte) error) {
	src := []byte(published)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := verdict(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompose1(b *testing.B) { benchmarkCompose(b, 1) }
func BenchmarkCompose3(b *testing.B) { benchmarkCompose(b, 3) }

func benchmarkCompose(b *testing.B, n int) {
	now := time.Date(2026, 11, 22, 10, 21, 0, 0, time.UTC)
	var inputs []Input
	for i := range n {
		inputs = append(inputs, Input{Key: strings.Repeat("k", i+1), Doc: []byte(published), Published: now.Add(time.Duration(i) * time.Second)})
	}
	b.SetBytes(int64(n * len(published)))
	b.ReportAllocs()
	for b.Loop() {
		Compose("sip:alice@example.com", inputs, now, Policy{})
	}
}

func BenchmarkAdvance(b *testing.B) {
	now := time.Date(2026, 11, 22, 10, 21, 0, 0, time.UTC)
	prev, _ := Compose("sip:alice@example.com", []Input{{Key: "a", Doc: []byte(published)}}, now, Policy{})
	next, _ := Compose("sip:alice@example.com", []Input{{Key: "a", Doc: []byte(strings.Replace(published, "open", "closed", 1))}}, now, Policy{})
	b.ReportAllocs()
	for b.Loop() {
		Advance(prev, next, now)
	}
}
