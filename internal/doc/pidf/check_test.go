package pidf

import (
	"bytes"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"reflect"
	"strings"
	"testing"

	"imp/internal/xml/schematest"
)

func TestCheck(t *testing.T) {
	tuple := func(content string) string { return `<tuple id="t">` + content + `</tuple>` }
	person := func(content string) string { return `<dm:person id="p">` + content + `</dm:person>` }
	device := func(content string) string { return `<dm:device id="d">` + content + `</dm:device>` }
	for _, c := range []struct{ name, content, want string }{
		{"PDF-003 tuples, notes, others", tuple(open) + `<note>n</note><x:a/>` + person("") + `<c:card>a</c:card>`, ""},
		{"PDF-003 note before tuple", `<note>n</note>` + tuple(open), "tuple is not allowed here in presence; expected note"},
		{"PDF-003 note after person", person("") + `<note>n</note>`, "note is not allowed here in presence"},
		{"PDF-005 order in tuple", tuple(open + `<x:a/><contact>sip:a</contact><note>n</note><note>m</note><timestamp>2026-11-22T10:00:00Z</timestamp>`), ""},
		{"PDF-005 note before contact", tuple(open + `<note>n</note><contact>sip:a</contact>`), "contact is not allowed here"},
		{"PDF-005 extension after contact", tuple(open + `<contact>sip:a</contact><x:a/>`), "a is not allowed here"},
		{"PDF-005 no status", tuple(`<contact>sip:a</contact>`), "status is missing before contact"},
		{"PDF-005 two contacts", tuple(open + `<contact>sip:a</contact><contact>sip:a</contact>`), "contact is not allowed here"},
		{"PDF-009 status with another status alone", tuple(`<status><x:a/></status>`), ""},
		{"PDF-009 empty status", tuple(`<status/>`), "status holds nothing"},
		{"PDF-009 OPEN", tuple(`<status><basic>OPEN</basic></status>`), `basic is "OPEN", not open or closed`},
		{"PDF-009 basic behind extension", tuple(`<status><x:a/><basic>open</basic></status>`), "basic is not allowed here"},
		{"PDF-011 priority 0.725", tuple(open + `<contact priority="0.725">sip:a</contact>`), ""},
		{"PDF-011 priority 1.5", tuple(open + `<contact priority="1.5">sip:a</contact>`), "priority is"},
		{"PDF-011 priority 10", tuple(open + `<contact priority="10">sip:a</contact>`), "priority is"},
		{"PDF-013 timestamp in lower case", tuple(open + `<timestamp>2026-11-22t10:00:00z</timestamp>`), "timestamp is"},
		{"PDF-013 timestamp without zone", tuple(open + `<timestamp>2026-11-22T10:00:00</timestamp>`), "timestamp is"},
		{"PDF-013 timestamp that is no date", tuple(open + `<timestamp>2026-02-29T10:00:00Z</timestamp>`), "timestamp is"},
		{"PDF-022 person in the PIDF namespace", `<person id="p"/>`, "person is not allowed here"},
		{"PDF-024 person", person(`<rpid:class>a</rpid:class><dm:note>n</dm:note><dm:timestamp>2026-11-22T10:00:00Z</dm:timestamp>`), ""},
		{"PDF-024 person with the note of PIDF", person(`<note>n</note>`), "note is not allowed here in person"},
		{"PDF-024 person with deviceID", person(`<dm:deviceID>urn:x:y</dm:deviceID>`), "deviceID is not allowed here"},
		{"PDF-024 device without deviceID", device(`<dm:note>n</dm:note>`), "deviceID is missing before note"},
		{"PDF-024 device with two", device(`<dm:deviceID>urn:x:y</dm:deviceID><dm:deviceID>urn:x:z</dm:deviceID>`), "deviceID is not allowed here"},
		{"PDF-026 status in person", person(open), "status is not allowed here in person"},
		{"PDF-037 user-input with until", person(`<rpid:user-input until="2026-11-22T10:00:00Z">idle</rpid:user-input>`), "must not be qualified with until"},
		{"PDF-037 class with from", person(`<rpid:class from="2026-11-22T10:00:00Z">a</rpid:class>`), "attribute from is not allowed"},
		{"PDF-037 sphere with from", person(`<rpid:sphere from="2026-11-22T10:00:00Z"><rpid:work/></rpid:sphere>`), ""},
		{"PDF-038 PDF-052 two classes", person(`<rpid:class>a</rpid:class><rpid:class>b</rpid:class>`), "class stands twice in person"},
		{"PDF-038 two moods at different times", person(`<rpid:mood><rpid:sad/></rpid:mood><rpid:mood from="2026-11-22T10:00:00Z"><rpid:happy/></rpid:mood>`), ""},
		{"PDF-038 two device ids in a tuple", tuple(open + `<dm:deviceID>urn:x:y</dm:deviceID><dm:deviceID>urn:x:z</dm:deviceID>`), ""},
		{"PDF-039 note behind the value", person(`<rpid:activities><rpid:busy/><rpid:note>n</rpid:note></rpid:activities>`), "note is not allowed here in activities"},
		{"PDF-039 note of PIDF is a value of another namespace", person(`<rpid:activities><note>n</note></rpid:activities>`), ""},
		{"PDF-040 lunch", person(`<rpid:activities><rpid:lunch/></rpid:activities>`), ""},
		{"PDF-040 no value at all", person(`<rpid:activities/>`), ""},
		{"PDF-040 invented value", person(`<rpid:activities><rpid:gaming/></rpid:activities>`), "gaming is not allowed here in activities"},
		{"PDF-040 unknown with others", person(`<rpid:activities><rpid:busy/><rpid:unknown/></rpid:activities>`), "unknown does not stand together"},
		{"PDF-040 text for a value", person(`<rpid:activities>busy</rpid:activities>`), "text is not allowed in activities"},
		{"PDF-042 empty mood", person(`<rpid:mood><rpid:note>n</rpid:note></rpid:mood>`), "a value is missing in mood"},
		{"PDF-042 in-awe", person(`<rpid:mood><rpid:in-awe/></rpid:mood>`), "in-awe is not allowed here"},
		{"PDF-043 audio, video, text", person(`<rpid:place-is><rpid:audio><rpid:ok/></rpid:audio><rpid:video><rpid:dark/></rpid:video><rpid:text><rpid:ok/></rpid:text></rpid:place-is>`), ""},
		{"PDF-043 video before audio", person(`<rpid:place-is><rpid:video><rpid:dark/></rpid:video><rpid:audio><rpid:ok/></rpid:audio></rpid:place-is>`), "audio is not allowed here"},
		{"PDF-043 dark sound", person(`<rpid:place-is><rpid:audio><rpid:dark/></rpid:audio></rpid:place-is>`), "dark is not allowed here"},
		{"PDF-044 office and other", person(`<rpid:place-type><lt:office/><rpid:other>o</rpid:other></rpid:place-type>`), "other does not stand together"},
		{"PDF-045 text before audio", person(`<rpid:privacy><rpid:text/><rpid:audio/></rpid:privacy>`), "audio is not allowed here"},
		{"PDF-045 unknown and audio", person(`<rpid:privacy><rpid:unknown/><rpid:audio/></rpid:privacy>`), "unknown does not stand together"},
		{"PDF-046 two relationships", tuple(open + `<rpid:relationship><rpid:self/><rpid:friend/></rpid:relationship>`), "relationship has more than one value"},
		{"PDF-047 no service-class", tuple(open + `<rpid:service-class/>`), "a value is missing in service-class"},
		{"PDF-048 text in sphere", person(`<rpid:sphere>bowling league</rpid:sphere>`), "text is not allowed in sphere"},
		{"PDF-048 own sphere", person(`<rpid:sphere><x:bowling/></rpid:sphere>`), ""},
		{"PDF-050 time-offset in hours", person(`<rpid:time-offset>+1.5</rpid:time-offset>`), "time-offset is"},
		{"PDF-051 user-input away", device(`<rpid:user-input>away</rpid:user-input><dm:deviceID>urn:x:y</dm:deviceID>`), "user-input is"},
		{"PDF-051 threshold 0", person(`<rpid:user-input idle-threshold="0">idle</rpid:user-input>`), "idle-threshold is"},
		{"PDF-053 id and further attributes", person(`<rpid:mood id="m" x:y="z"><rpid:sad/></rpid:mood>`), ""},
		{"PDF-006 id of an element of RPID", person(`<rpid:mood id="p"><rpid:sad/></rpid:mood>`), `id "p" stands twice`},
		{"PDF-055 timed-status without from", tuple(open + `<ts:timed-status/>`), "timed-status has no from"},
		{"PDF-057 basic of PIDF in timed-status is an extension", tuple(open + `<ts:timed-status from="2026-11-22T10:00:00Z"><basic>open</basic></ts:timed-status>`), ""},
		{"PDF-057 two notes", tuple(open + `<ts:timed-status from="2026-11-22T10:00:00Z"><ts:note>n</ts:note><ts:note>m</ts:note></ts:timed-status>`), "note is not allowed here"},
		{"PDF-061 two cards", person(`<c:card>a</c:card><c:card>b</c:card>`), "card stands twice"},
		{"PDF-061 names in two languages", person(`<c:display-name xml:lang="en">A</c:display-name><c:display-name xml:lang="ko">B</c:display-name>`), ""},
		{"PDF-061 names in one language", person(`<c:display-name xml:lang="en">A</c:display-name><c:display-name xml:lang="EN">B</c:display-name>`), "display-name stands twice"},
		{"PDF-065 message after methods", tuple(open + `<caps:servcaps><caps:methods/><caps:message>true</caps:message></caps:servcaps>`), "message is not allowed here"},
		{"PDF-066 yes", tuple(open + `<caps:servcaps><caps:audio>yes</caps:audio></caps:servcaps>`), "audio is"},
		{"PDF-068 method that is no element", tuple(open + `<caps:servcaps><caps:methods><caps:supported>MESSAGE</caps:supported></caps:methods></caps:servcaps>`), "text is not allowed in supported"},
		{"PDF-068 scheme as an element", tuple(open + `<caps:servcaps><caps:schemes><caps:supported><caps:sip/></caps:supported></caps:schemes></caps:servcaps>`), "sip is not allowed here"},
		{"PDF-070 higherthan", tuple(open + `<caps:servcaps><caps:priority><caps:supported><caps:higherthan minvalue="1"/></caps:supported></caps:priority></caps:servcaps>`), ""},
		{"PDF-070 higherhan of the schema", tuple(open + `<caps:servcaps><caps:priority><caps:supported><caps:higherhan minvalue="1"/></caps:supported></caps:priority></caps:servcaps>`), ""},
		{"PDF-070 without bound", tuple(open + `<caps:servcaps><caps:priority><caps:supported><caps:equals/></caps:supported></caps:priority></caps:servcaps>`), "equals has no value"},
		{"PDF-074 relative namespace", `<a xmlns="relative"/>`, "a is not allowed here"},
		{"PDF-074 relative namespace inside", `<x:a><b xmlns="relative"/></x:a>`, "is no absolute URI"},
		{"PDF-015 known elements inside of unknown ones", `<x:a><rpid:mood/></x:a>`, "a value is missing in mood"},
		{"PDF-016 mustUnderstand", `<x:a xmlns:p="urn:ietf:params:xml:ns:pidf" p:mustUnderstand="yes"/>`, "mustUnderstand is"},
		{"PDF-076 xml:lang", `<note xml:lang="english language">n</note>`, "lang is"},
		{"PDF-002 unknown attribute", `<tuple id="t" x:y="z">` + open + `</tuple>`, "attribute x:y is not allowed on tuple"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(in(c.content))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			if Accept(in(c.content)) != nil && !strings.Contains(c.name, "namespace") {
				t.Errorf("Accept refuses it: %v", Accept(in(c.content)))
			}
		})
	}
}

// beyond are the messages of Check for what the schemas cannot say or libxml2 does not look at.
var beyond = []string{
	"stands twice", "holds nothing", "no absolute URI", "must not be qualified", "with capital T and Z", "an integer of at most nine digits",
	"a URI", "status is not allowed here in person", "note is not allowed here in person", "timestamp is not allowed here in person",
	"note is not allowed here in device", "timestamp is not allowed here in device", "status is not allowed here in device", "basic is not allowed here in person",
	"basic is not allowed here in device", "contact is not allowed here in person", "contact is not allowed here in device", "priority is", "timed-status",
}

// lax reports whether a verdict of Check is one that libxml2 misses: it takes named elements behind those of other namespaces, and nothing alone.
func lax(err error) bool {
	for _, quirk := range []string{"note is not allowed here", "has more than one value", "does not stand together"} {
		if strings.Contains(err.Error(), quirk) {
			return true
		}
	}
	return false
}

// Check and the schemas agree on documents that are damaged at random, as far as the schemas can tell.
func TestCheckAgreesWithSchemas(t *testing.T) {
	n := campaign(2000)
	var docs [][]byte
	for i := range uint64(n) {
		g := newGenerator(i)
		docs = append(docs, g.mutate(draftOf(g.document())))
	}
	verdicts := schematest.Judge(t, schemas(t), docs...)
	valid := 0
	for i, doc := range docs {
		err := Check(doc)
		if verdicts[i] == "" {
			valid++
		}
		switch {
		case err == nil && verdicts[i] != "" && !strings.Contains(verdicts[i], "rpid}lunch"):
			t.Errorf("%d: Check takes what the schemas refuse: %s%s", i, verdicts[i], doc)
		case err != nil && verdicts[i] == "":
			known := lax(err)
			for _, b := range beyond {
				known = known || strings.Contains(err.Error(), b)
			}
			if !known {
				t.Errorf("%d: Check refuses what the schemas take: %v\n%s", i, err, doc)
			}
		}
	}
	if valid < n/20 || valid > n-n/5 {
		t.Errorf("%d of %d documents are valid: nothing is learned from that", valid, n)
	}
}

func draftOf(d *Document) []byte {
	var w draft
	w.document(d)
	return bytes.Replace(w.buf, []byte("<presence "), []byte(`<presence xmlns:x="urn:example:x" `), 1)
}

// What is written is valid, and read back the same.
func TestBytes(t *testing.T) {
	var docs [][]byte
	for i := range uint64(campaign(800)) {
		d := newGenerator(i).document()
		doc := d.Bytes()
		docs = append(docs, doc)
		back, err := Parse(doc)
		if err != nil {
			t.Fatalf("%d: %v\n%s", i, err, doc)
		}
		if diff := cmp.Diff(d, back, cmpopts.EquateEmpty(), cmp.FilterPath(xmlOfRaw, cmp.Ignore()), cmp.Comparer(sameNote)); diff != "" {
			t.Fatalf("%d: read back differently: %s\n%s", i, diff, doc)
		}
		if again := back.Bytes(); !bytes.Equal(doc, again) {
			t.Fatalf("%d: written differently:\n%s\n%s", i, doc, again)
		}
	}
	mustBeValid(t, docs...)
}

func TestBytesIndents(t *testing.T) {
	const raw = `<x:a xmlns:x="urn:example:x">mixed <rpid:mood xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"><rpid:sad/></rpid:mood></x:a>`
	d := Document{
		Entity: alice, Tuples: []Tuple{{ID: "t", Basic: Open, Notes: []Note{{"", "a\n b"}}}},
		Extensions: []Raw{{XML: []byte(raw)}, {XML: []byte("<not well-formed>")}, {XML: []byte(strings.Repeat("<x>", 250) + strings.Repeat("</x>", 250))}},
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">
  <tuple id="t">
    <status>
      <basic>open</basic>
    </status>
    <note>a
 b</note>
  </tuple>
  ` + strings.Replace(raw, ` xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"`, "", 1) + `
</presence>
`
	if diff := cmp.Diff(want, string(d.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func xmlOfRaw(p cmp.Path) bool {
	f, ok := p.Last().(cmp.StructField)
	return ok && f.Name() == "XML" && p.Index(-2).Type() == reflect.TypeFor[Raw]()
}

// sameNote leaves white space aside: collapsing it is the reader's right.
func sameNote(a, b Note) bool { return a.Lang == b.Lang && trim(a.Text) == trim(b.Text) }
