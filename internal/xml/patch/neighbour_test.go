package patch

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/antchfx/xmlquery"

	"imp/internal/xml/tree"
)

// processor measures the processor time of what a benchmark does, of itself or of the programs it runs: on a busy machine that
// says more than the time that passes.
func processor(b *testing.B, who int) func(operations int) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func(operations int) {
		b.ReportMetric(float64((used()-before).Nanoseconds())/float64(operations), "cpu-ns/op")
	}
}

// documents are those that the benchmarks of neighbours take: a presence document, a list of 50 kB and one of 11 MB.
func documents() []struct {
	name string
	src  []byte
} {
	return []struct {
		name string
		src  []byte
	}{{"pidf", []byte(presence)}, {"50 kB", entries(480)}, {"11 MB", entries(107000)}}
}

// BenchmarkParseBesideOthers parses documents with this package's tree, with xmlquery and with libxml2's xmllint.
func BenchmarkParseBesideOthers(b *testing.B) {
	for _, doc := range documents() {
		run := func(name string, parse func() error) {
			b.Run(doc.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(doc.src)))
				done := processor(b, syscall.RUSAGE_SELF)
				for b.Loop() {
					if err := parse(); err != nil {
						b.Fatal(err)
					}
				}
				done(b.N)
			})
		}
		var t tree.Tree
		run("reused", func() error { return t.Parse(doc.src, tree.Options{}) })
		run("fresh", func() error { _, err := tree.Parse(doc.src, tree.Options{}); return err })
		run("xmlquery", func() error { _, err := xmlquery.Parse(bytes.NewReader(doc.src)); return err })
		b.Run(doc.name+"/xmllint", func(b *testing.B) { xmllint(b, doc.src, "--noout", "--repeat") })
	}
}

// xmllint runs xmllint on a document. With --repeat it does what it does a hundred times.
func xmllint(b *testing.B, src []byte, args ...string) {
	if _, err := exec.LookPath("xmllint"); err != nil {
		b.Skip("no xmllint")
	}
	name := filepath.Join(b.TempDir(), "doc.xml")
	if err := os.WriteFile(name, src, 0o600); err != nil {
		b.Fatal(err)
	}
	times := 1
	if args[len(args)-1] == "--repeat" {
		times = 100
		if len(src) > 1<<20 {
			args, times = args[:len(args)-1], 1
		}
	}
	b.SetBytes(int64(len(src) * times))
	done := processor(b, syscall.RUSAGE_CHILDREN)
	for b.Loop() {
		if out, err := exec.Command("xmllint", append(args, "--nonet", name)...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %.200s", err, out)
		}
	}
	done(b.N * times)
}

// BenchmarkPatchBesideOthers reads a document, changes an attribute of it and writes it; xmllint reads and writes only.
func BenchmarkPatchBesideOthers(b *testing.B) {
	for _, doc := range documents() {
		operation := "<p:replace sel='*/*/entry[@uri=\"sip:member0000470@example.org\"]/@uri'>x</p:replace>"
		space, path := "urn:ietf:params:xml:ns:resource-lists", "//entry[@uri='sip:member0000470@example.org']"
		if doc.name == "pidf" {
			operation, space, path = "<p:replace sel='*/tuple[@id=\"desk\"]/contact/@priority'>0.7</p:replace>", "urn:ietf:params:xml:ns:pidf", "//contact"
		}
		src := []byte(in("xmlns='"+space+"'", operation))
		b.Run(doc.name+"/patch", func(b *testing.B) {
			done := processor(b, syscall.RUSAGE_SELF)
			var t tree.Tree
			var p Document
			var dst []byte
			for b.Loop() {
				err := t.Parse(doc.src, tree.Options{})
				if err == nil {
					err = p.Parse(src, tree.Options{})
				}
				if err == nil {
					err = p.Changes[0].Apply(&t, nil)
				}
				if err != nil {
					b.Fatal(err)
				}
				dst = t.Append(dst[:0])
			}
			done(b.N)
		})
		b.Run(doc.name+"/xmlquery", func(b *testing.B) {
			done := processor(b, syscall.RUSAGE_SELF)
			for b.Loop() {
				t, err := xmlquery.Parse(bytes.NewReader(doc.src))
				if err != nil {
					b.Fatal(err)
				}
				n := xmlquery.FindOne(t, path)
				n.SetAttr("uri", "x")
				if len(t.OutputXML(true)) == 0 {
					b.Fatal("nothing written")
				}
			}
			done(b.N)
		})
		b.Run(doc.name+"/xmllint", func(b *testing.B) {
			if len(doc.src) < 1<<20 {
				b.Skip("most of that is starting a program")
			}
			xmllint(b, doc.src, "--output", filepath.Join(b.TempDir(), "out.xml"))
		})
	}
}
