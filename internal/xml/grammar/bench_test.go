package grammar

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"imp/internal/xml/tree"
)

// richPIDF is a presence document as clients send them.
const richPIDF = `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">
  <tuple id="t8f2">
    <status><basic>open</basic></status>
    <r:relationship><r:self/></r:relationship>
    <contact priority="0.8">sip:alice@pc33.example.com</contact>
    <note xml:lang="en">at my desk</note>
    <timestamp>2026-01-31T12:00:00Z</timestamp>
  </tuple>
  <dm:person id="p1">
    <r:activities from="2026-01-31T12:00:00Z"><r:meeting/></r:activities>
    <r:mood><r:happy/></r:mood>
    <dm:note>back at two</dm:note>
    <dm:timestamp>2026-01-31T12:00:00Z</dm:timestamp>
  </dm:person>
</presence>
`

// longList is a resource list of about 50 kB.
func longList() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="friends">` + "\n")
	for i := range 500 {
		fmt.Fprintf(&b, "  <entry uri=\"sip:user%d@example.com\">\n    <display-name>User number %d</display-name>\n  </entry>\n", i, i)
	}
	return b.String() + "</list></resource-lists>\n"
}

func BenchmarkCheck(b *testing.B) {
	for name, src := range map[string]string{"pidf": richPIDF, "list": longList()} {
		b.Run(name, func(b *testing.B) {
			d, err := tree.Parse([]byte(src), tree.Options{})
			if err != nil {
				b.Fatal(err)
			}
			g, ok := For(d.Root().Space(), d.Root().Local())
			if !ok || len(g.Check(d)) > 0 {
				b.Fatal(g.Check(d))
			}
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			before := processor(b, syscall.RUSAGE_SELF)
			for b.Loop() {
				g.Check(d)
			}
			used := processor(b, syscall.RUSAGE_SELF) - before
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
		b.Run(name+"/xmllint", func(b *testing.B) { xmllint(b, src) })
	}
}

// processor returns the processor time that was used by the process itself or by the programs that it has run: on a busy
// machine that says more than the time that passes.
func processor(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// xmllint measures what reading and validating a document by the schemas of the RFCs takes there, a hundred times in a run.
func xmllint(b *testing.B, src string) {
	o := newOracle(b)
	name := filepath.Join(o.dir, "doc.xml")
	if err := os.WriteFile(name, []byte(src), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(100 * len(src)))
	before := processor(b, syscall.RUSAGE_CHILDREN)
	for b.Loop() {
		if out, err := exec.Command("xmllint", "--noout", "--nonet", "--schema", o.all, "--repeat", name).CombinedOutput(); err != nil {
			b.Fatalf("%v: %.200s", err, out)
		}
	}
	used := processor(b, syscall.RUSAGE_CHILDREN) - before
	b.ReportMetric(float64(used.Nanoseconds())/float64(100*b.N), "cpu-ns/op")
}
