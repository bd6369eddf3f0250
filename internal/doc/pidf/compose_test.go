package pidf

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const alice = "sip:alice@example.com"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// compose composes contents of presence elements, published one second after the other until noon.
func compose(t *testing.T, policy Policy, contents ...string) string {
	t.Helper()
	var inputs []Input
	for i, content := range contents {
		published := noon.Add(time.Duration(i-len(contents)) * time.Second)
		inputs = append(inputs, Input{Key: string(rune('a' + i)), Doc: in(content), Published: published})
	}
	doc, _ := Compose(alice, inputs, noon, policy)
	if err := Check(doc); err != nil {
		t.Errorf("Check: %v\n%s", err, doc)
	}
	return string(doc)
}

// body is what is in the presence element.
func body(doc string) string {
	_, rest, _ := strings.Cut(doc, "?>")
	_, rest, _ = strings.Cut(rest, ">")
	rest, _, _ = strings.Cut(rest, "</presence>")
	return strings.TrimSpace(rest)
}

func TestCompose(t *testing.T) {
	tuple := func(id, content string) string { return `<tuple id="` + id + `">` + content + `</tuple>` }
	person := func(content string) string { return `<dm:person id="p">` + content + `</dm:person>` }
	for _, c := range []struct{ name, content, want string }{
		{"PDF-003 order of the root", person(`<dm:note>n</dm:note>`) + `<x:a/><note>m</note>` + tuple("t", open), tuple("t", open) + `<note>m</note>` + person(`<dm:note>n</dm:note>`) + `<x:a xmlns:x="urn:example:x"/>`},
		{"PDF-005 order of a tuple", tuple("t", `<note>n</note><contact>sip:a</contact><timestamp>2026-11-22T10:00:00Z</timestamp><x:a/>`+open), tuple("t", open+`<x:a xmlns:x="urn:example:x"/><contact>sip:a</contact><note>n</note><timestamp>2026-11-22T10:00:00Z</timestamp>`)},
		{"PDF-009 spelling of basic", tuple("t", `<status><x:a/><basic> Open
</basic></status>`), tuple("t", `<status><basic>open</basic><x:a xmlns:x="urn:example:x"/></status>`)},
		{"PDF-009 a tuple without any status goes", tuple("t", `<status><basic>away</basic></status>`) + `<note>n</note>`, `<note>n</note>`},
		{"PDF-011 priority out of range goes", tuple("t", open+`<contact priority="1.5">sip:a</contact>`), tuple("t", open+`<contact>sip:a</contact>`)},
		{"PDF-011 priority of many digits", tuple("t", open+`<contact priority=".50000">sip:a</contact>`), tuple("t", open+`<contact priority="0.5">sip:a</contact>`)},
		{"PDF-013 timestamp", tuple("t", open+`<timestamp>2026-11-22t10:00:00.5z</timestamp>`), tuple("t", open+`<timestamp>2026-11-22T10:00:00.5Z</timestamp>`)},
		{"PDF-013 timestamp that is none goes", tuple("t", open+`<timestamp>yesterday</timestamp>`), tuple("t", open)},
		{"PDF-019 what is unknown stays", tuple("t", open+`<x:a b='"1"'>t &amp; <!--c--><?p i?><x:b/></x:a>`), tuple("t", open+`<x:a xmlns:x="urn:example:x" b='"1"'>t &amp; <!--c--><?p i?><x:b/></x:a>`)},
		{"PDF-022 person before tuple, as baresip sends it", person(`<rpid:activities/>`) + tuple("t", open), tuple("t", open) + person(`<rpid:activities/>`)},
		{"PDF-024 note of PIDF in person", person(`<timestamp>2026-11-22T10:00:00Z</timestamp><note>n</note><c:card>x</c:card>`), person(`<c:card>x</c:card><dm:note>n</dm:note><dm:timestamp>2026-11-22T10:00:00Z</dm:timestamp>`)},
		{"PDF-024 device without deviceID goes", `<dm:device id="d"/>`, ``},
		{"PDF-026 status in person goes", person(open + `<c:card>x</c:card>`), person(`<c:card>x</c:card>`)},
		{"PDF-037 from on user-input goes", person(`<rpid:user-input from="2026-11-22T10:00:00Z" x:y="z">Idle </rpid:user-input>`), person(`<rpid:user-input xmlns:x="urn:example:x" x:y="z">idle</rpid:user-input>`)},
		{"PDF-038 the first of two stays", person(`<rpid:class>a</rpid:class><rpid:class>b</rpid:class>`), person(`<rpid:class>a</rpid:class>`)},
		{"PDF-039 notes first", person(`<rpid:mood><rpid:sad/><rpid:note>n</rpid:note></rpid:mood>`), person(`<rpid:mood><rpid:note>n</rpid:note><rpid:sad/></rpid:mood>`)},
		{"PDF-040 lunch is a meal", person(`<rpid:activities><rpid:lunch/></rpid:activities>`), person(`<rpid:activities><rpid:meal/></rpid:activities>`)},
		{"PDF-040 unknown gives way", person(`<rpid:activities><rpid:unknown/><rpid:busy/></rpid:activities>`), person(`<rpid:activities><rpid:busy/></rpid:activities>`)},
		{"PDF-041 a value that is none becomes other", person(`<rpid:activities><rpid:gaming/></rpid:activities>`), person(`<rpid:activities><rpid:other>gaming</rpid:other></rpid:activities>`)},
		{"PDF-041 text becomes a value", person(`<rpid:activities> busy </rpid:activities>`), person(`<rpid:activities><rpid:busy/></rpid:activities>`)},
		{"PDF-042 mood without value goes", person(`<rpid:mood><rpid:note>n</rpid:note></rpid:mood><c:card>x</c:card>`), person(`<c:card>x</c:card>`)},
		{"PDF-043 place-is", person(`<rpid:place-is><rpid:text><rpid:ok/></rpid:text><rpid:audio>noisy</rpid:audio><rpid:video><rpid:loud/></rpid:video></rpid:place-is>`), person(`<rpid:place-is><rpid:audio><rpid:noisy/></rpid:audio><rpid:text><rpid:ok/></rpid:text></rpid:place-is>`)},
		{"PDF-044 place-type", person(`<rpid:place-type><rpid:office/></rpid:place-type>`), person(`<rpid:place-type><lt:office/></rpid:place-type>`)},
		{"PDF-044 place-type in text", person(`<rpid:place-type>my cave</rpid:place-type>`), person(`<rpid:place-type><rpid:other>my cave</rpid:other></rpid:place-type>`)},
		{"PDF-045 order of privacy", person(`<rpid:privacy><rpid:text/><rpid:audio/></rpid:privacy>`), person(`<rpid:privacy><rpid:audio/><rpid:text/></rpid:privacy>`)},
		{"PDF-046 relationship in text", tuple("t", open+`<rpid:relationship>assistant</rpid:relationship>`), tuple("t", open+`<rpid:relationship><rpid:assistant/></rpid:relationship>`)},
		{"PDF-048 sphere in text", person(`<rpid:sphere>home</rpid:sphere><c:card>x</c:card>`), person(`<rpid:sphere><rpid:home/></rpid:sphere><c:card>x</c:card>`)},
		{"PDF-055 timed-status in status goes", tuple("t", `<status><basic>open</basic><ts:timed-status from="2027-01-01T00:00:00Z"/></status>`), tuple("t", open)},
		{"PDF-060 URIs with blanks", person(`<c:icon> http://example.com/a b%zz#c#d </c:icon>`), person(`<c:icon>http://example.com/a%20b%25zz#c%23d</c:icon>`)},
		{"PDF-065 order of capabilities", tuple("t", open+`<caps:servcaps><caps:video>1</caps:video><caps:audio>TRUE</caps:audio><x:a/><caps:methods><caps:supported><caps:MESSAGE/><caps:ACK/><caps:FOO/></caps:supported></caps:methods></caps:servcaps>`), tuple("t", open+`<caps:servcaps><caps:audio>true</caps:audio><caps:methods><caps:supported><caps:ACK/><caps:MESSAGE/></caps:supported></caps:methods><caps:video>1</caps:video><x:a xmlns:x="urn:example:x"/></caps:servcaps>`)},
		{"PDF-070 higherthan is spelled right", tuple("t", open+`<caps:servcaps><caps:priority><caps:supported><caps:higherhan minvalue="1"/></caps:supported></caps:priority></caps:servcaps>`), tuple("t", open+`<caps:servcaps><caps:priority><caps:supported><caps:higherthan minvalue="1"/></caps:supported></caps:priority></caps:servcaps>`)},
		{"PDF-074 a relative namespace goes", tuple("t", open+`<a xmlns="relative"/><x:b><c xmlns="r"/></x:b>`), tuple("t", open+`<x:b xmlns:x="urn:example:x"/>`)},
		{"PDF-012 blank notes and repeated ones go", tuple("t", open+`<note></note><note>n</note><note xml:lang="en">n</note><note>n</note>`) + `<note> </note><note>m</note><note>m</note>`, tuple("t", open+`<note>n</note><note xml:lang="en">n</note>`) + `<note>m</note>`},
		{"PDF-035 the language around a note goes with it", `<x:a xml:lang="de"><dm:person id="p"><dm:note>n</dm:note></dm:person></x:a>`, `<x:a xmlns:x="urn:example:x" xml:lang="de"><dm:person id="p"><dm:note xml:lang="de">n</dm:note></dm:person></x:a>`},
		{"PRS-046 what is past goes", person(`<rpid:mood until="2026-11-22T12:00:00Z"><rpid:sad/></rpid:mood><rpid:mood until="2026-11-22T12:00:01Z"><rpid:happy/></rpid:mood>`), person(`<rpid:mood until="2026-11-22T12:00:01Z"><rpid:happy/></rpid:mood>`)},
		{"PRS-043 known elements inside of unknown ones", `<x:a><rpid:mood><rpid:note/><rpid:happy/></rpid:mood></x:a>`, `<x:a xmlns:x="urn:example:x"><rpid:mood><rpid:happy/></rpid:mood></x:a>`},
		{"PRS-043 prefixes taken for something else", `<dm:a xmlns:dm="urn:example:y" dm:b="1"><p:person xmlns:p="` + DataModelSpace + `" id="p"/></dm:a>`, `<dm:a xmlns:dm="urn:example:y" dm:b="1"><dm:person xmlns:dm="` + DataModelSpace + `" id="p"/></dm:a>`},
		{"PRS-043 prefix of an attribute that the element takes", `<y:mood2 xmlns:y="` + RPIDSpace + `" xmlns:rpid="urn:example:y" rpid:b="1"/>`, `<rpid:mood2 xmlns:y="` + RPIDSpace + `" xmlns:ns1="urn:example:y" ns1:b="1"/>`},
		{"PRS-043 an invented prefix that is taken too", `<y:mood2 xmlns:y="` + RPIDSpace + `" xmlns:rpid="urn:a:b" xmlns:ns1="urn:b:c" rpid:x="1" ns1:y="2"/>`, `<rpid:mood2 xmlns:y="` + RPIDSpace + `" xmlns:ns1="urn:b:c" xmlns:ns2="urn:a:b" ns2:x="1" ns1:y="2"/>`},
		{"PRS-043 names in values keep their prefixes", `<a xmlns="urn:example:y" type="x:b"/>`, `<a xmlns="urn:example:y" xmlns:x="urn:example:x" type="x:b"/>`},
		{"PRS-043 no namespace inside of unknown ones", `<x:a xmlns=""><b/></x:a>`, `<x:a xmlns:x="urn:example:x" xmlns=""><b/></x:a>`},
		{"PRS-043 elements without namespace have no place", `<a xmlns=""/>`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := compose(t, Policy{}, c.content)
			if body(got) != c.want {
				t.Errorf("got  %s\nwant %s", body(got), c.want)
			}
		})
	}
}

func TestComposeDeclares(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"PRS-043 nothing but PIDF for what needs no more", `<note>dm:note</note>`, ""},
		{"PRS-043 not what an unknown element declares for itself", `<x:a><x:b xmlns:dm="urn:example:y" dm:c="1"/></x:a>`, ""},
		{"PRS-043 not what is left out", `<dm:device id="d"><rpid:class>a</rpid:class></dm:device>`, ""},
		{"PRS-043 what values mention", `<x:a x:type="rpid:b">lt:c xc:d c</x:a>`, "rpid lt"},
		{"PRS-043 what elements of unknown ones are in", `<x:a><c:card>a</c:card></x:a>`, "c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, _, _ := strings.Cut(compose(t, Policy{}, c.content), " entity=")
			var got []string
			for _, part := range strings.Split(root, " xmlns:")[1:] {
				prefix, _, _ := strings.Cut(part, "=")
				got = append(got, prefix)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("declared are %v, want %s", got, c.want)
			}
		})
	}
}

func TestComposeNothing(t *testing.T) {
	t.Run("PRS-044 no publication", func(t *testing.T) {
		doc, next := Compose(alice, nil, noon, Policy{})
		want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>` + "\n"
		if string(doc) != want || !next.IsZero() {
			t.Errorf("got %s, next %v", doc, next)
		}
	})
	t.Run("PRS-019 a presentity of which nothing is to be seen", func(t *testing.T) {
		doc := Neutral("sip:a&b@example.com")
		if err := Check(doc); err != nil {
			t.Error(err)
		}
		d, err := Parse(doc)
		if err != nil || d.Basic() != Closed || len(d.Tuples) != 1 || d.Entity != "sip:a&b@example.com" || len(d.Persons)+len(d.Devices) > 0 || !d.Newest().IsZero() {
			t.Errorf("got %+v, %v", d, err)
		}
	})
	t.Run("a document that is not well-formed is left out", func(t *testing.T) {
		doc, _ := Compose(alice, []Input{{Key: "a", Doc: []byte("<presence")}, {Key: "b", Doc: in("<note>n</note>")}, {Key: "c", Doc: []byte("<a/>")}}, noon, Policy{})
		if body(string(doc)) != "<note>n</note>" {
			t.Errorf("got %s", doc)
		}
	})
}

func TestComposeIDs(t *testing.T) {
	doc := func(id string) []byte {
		return in(`<tuple id="` + id + `">` + open + `</tuple><dm:person id="p1"><rpid:mood id="m"><rpid:sad/></rpid:mood></dm:person>`)
	}
	ids := func(inputs []Input) []string {
		doc, _ := Compose(alice, inputs, noon, Policy{AllPersons: true})
		if err := Check(doc); err != nil {
			t.Errorf("Check: %v\n%s", err, doc)
		}
		d, err := Parse(doc)
		if err != nil {
			t.Fatal(err)
		}
		return d.Facts("id")
	}
	inputs := []Input{{Key: "phone", Doc: doc("t1")}, {Key: "desk", Doc: doc("t1")}}
	both := ids(inputs)
	t.Run("PRS-040 equal ids of two clients stay apart", func(t *testing.T) {
		if len(both) != 4 || both[0] != "t1" || both[2] != "p1" || !strings.HasPrefix(both[1], "t1.") || !strings.HasPrefix(both[3], "p1.") {
			t.Errorf("got %v", both)
		}
		if inputs[0].Qualified || !inputs[1].Qualified {
			t.Error("the younger input is to be qualified, and only that")
		}
	})
	t.Run("PRS-040 PDF-007 ids are stable when the other client leaves, changes or comes back", func(t *testing.T) {
		if alone := ids(inputs[1:]); alone[0] != both[1] {
			t.Errorf("alone %v, before %v", alone, both)
		}
		inputs[1].Doc = doc("t2")
		if changed := ids(inputs); changed[1] != "t2."+strings.TrimPrefix(both[1], "t1.") {
			t.Errorf("changed: %v", changed)
		}
		inputs[1].Doc = doc("t1")
		if again := ids([]Input{inputs[1], {Key: "phone", Doc: doc("t1")}}); again[0] != both[1] || again[1] != "t1" {
			t.Errorf("again: %v", again)
		}
	})
	t.Run("PRS-040 an id made to collide with a qualified one", func(t *testing.T) {
		got := ids([]Input{{Key: "c", Doc: doc(both[1])}, {Key: "d", Doc: doc("t1")}, {Key: "desk", Doc: doc("t1"), Qualified: true}})
		seen := map[string]bool{}
		for _, id := range got {
			if seen[id] {
				t.Errorf("%s stands twice in %v", id, got)
			}
			seen[id] = true
		}
	})
	t.Run("PDF-008 ids that are no names are made some", func(t *testing.T) {
		got := ids([]Input{{Key: "a", Doc: in(`<tuple id="1:a@b">` + open + `</tuple><tuple>` + open + `</tuple><tuple id="1:a@b">` + open + `</tuple>`)}})
		if len(got) != 3 || got[0] != "i1-a-b" || got[1] != "i" {
			t.Errorf("got %v", got)
		}
	})
}

func TestComposePersons(t *testing.T) {
	person := func(id, activity, timestamp string) string {
		if timestamp != "" {
			timestamp = "<dm:timestamp>" + timestamp + "</dm:timestamp>"
		}
		if activity != "" {
			activity = "<rpid:" + activity + "/>"
		}
		return `<dm:person id="` + id + `"><rpid:activities>` + activity + `</rpid:activities>` + timestamp + `</dm:person>`
	}
	for _, c := range []struct {
		name     string
		policy   Policy
		contents []string
		want     string
	}{
		{"PRS-042 the newest publication counts", Policy{}, []string{person("p1", "busy", ""), person("p2", "away", "")}, "away"},
		{"PRS-042 PDF-031 the newest timestamp counts", Policy{}, []string{person("p1", "busy", "2026-11-22T11:59:57Z"), person("p2", "away", "2026-11-22T11:00:00Z")}, "busy"},
		{"PRS-042 a clock that is ahead does not win for ever", Policy{}, []string{person("p1", "busy", "2030-01-01T00:00:00Z"), person("p2", "away", "")}, "away"},
		{"PRS-042 a person that says nothing does not count", Policy{}, []string{person("p1", "busy", ""), person("p2", "", "")}, "busy"},
		{"PRS-042 a newer person that says nothing does not count", Policy{}, []string{person("p1", "", ""), person("p2", "busy", "2026-11-22T11:00:00Z")}, "busy"},
		{"PRS-042 one that says nothing is better than none", Policy{}, []string{person("p1", "", "")}, ""},
		{"PRS-042 occurrences of one publication stay together", Policy{}, []string{person("p1", "tv", ""), person("p2", "busy", "") + person("p3", "away", "")}, "busy away"},
		{"PRS-042 all are kept on demand", Policy{AllPersons: true}, []string{person("p1", "busy", ""), person("p2", "away", "")}, "busy away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := compose(t, c.policy, c.contents...)
			d, err := Parse([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(d.Facts("activity"), " "); got != c.want || len(d.Persons) == 0 {
				t.Errorf("got %q, want %q\n%s", got, c.want, doc)
			}
		})
	}
	t.Run("PRS-042 devices with one deviceID are one device", func(t *testing.T) {
		device := func(id, urn, note string) string {
			return `<dm:device id="` + id + `"><dm:deviceID>` + urn + `</dm:deviceID><dm:note>` + note + `</dm:note></dm:device>`
		}
		doc := compose(t, Policy{}, device("d1", "urn:x:1", "old"), device("d2", " urn:x:1", "new")+device("d3", "urn:x:2", "other"))
		if want := device("d2", "urn:x:1", "new") + device("d3", "urn:x:2", "other"); body(doc) != want {
			t.Errorf("got %s", body(doc))
		}
	})
	t.Run("PRS-041 PDF-021 tuples with one contact", func(t *testing.T) {
		tuple := func(id string) string { return `<tuple id="` + id + `">` + open + `<contact>sip:a@b</contact></tuple>` }
		if got := body(compose(t, Policy{}, tuple("t1"), tuple("t2"))); got != tuple("t1")+tuple("t2") {
			t.Errorf("as occurrences: %s", got)
		}
		if got := body(compose(t, Policy{OnePerService: true}, tuple("t1"), tuple("t2"))); got != tuple("t2") {
			t.Errorf("resolved: %s", got)
		}
	})
	t.Run("PRS-039 notes and elements of the presentity come from all", func(t *testing.T) {
		got := body(compose(t, Policy{}, `<note>n</note><x:a/>`, `<note>n</note><note>m</note><x:b/>`))
		if want := `<note>n</note><note>m</note><x:a xmlns:x="urn:example:x"/><x:b xmlns:x="urn:example:x"/>`; got != want {
			t.Errorf("got %s", got)
		}
	})
}

func TestComposeTimes(t *testing.T) {
	timed := func(from, until string) string {
		if until != "" {
			until = ` until="` + until + `"`
		}
		return `<tuple id="t">` + open + `<ts:timed-status from="` + from + `"` + until + `><ts:basic>closed</ts:basic></ts:timed-status></tuple>`
	}
	const before, past, future, later = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T13:00:00Z", "2026-11-22T14:00:00Z"
	clock := func(s string) time.Time { return readTime(s) }
	for _, c := range []struct {
		name, content string
		published     time.Time
		kept          bool
		next          string
	}{
		{"PRS-045 PDF-059 one that covers the present goes", timed(past, future), noon, false, ""},
		{"PRS-045 PDF-059 one without end that has begun goes", timed(past, ""), noon, false, ""},
		{"PRS-045 one that begins now goes", timed("2026-11-22T12:00:00Z", later), noon, false, ""},
		{"PDF-056 one to come stays until it comes", timed(future, later), noon, true, future},
		{"PDF-056 one that was past when it was published stays", timed(before, past), noon, true, ""},
		{"PRS-046 one that has come and gone since goes", timed(before, past), clock("2026-11-22T10:30:00Z"), false, ""},
		{"PDF-058 overlapping ones stay", strings.Replace(timed(future, later), "</tuple>", `<ts:timed-status from="2026-11-22T13:30:00Z"/></tuple>`, 1), noon, true, future},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, next := Compose(alice, []Input{{Key: "a", Doc: in(c.content), Published: c.published}}, noon, Policy{})
			if bytes.Contains(doc, []byte("timed-status ")) != c.kept {
				t.Errorf("got %s", doc)
			}
			if want := readTime(c.next); !next.Equal(want) {
				t.Errorf("next is %v, want %v", next, want)
			}
			if err := Check(doc); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("PRS-046 the next time is the earliest end", func(t *testing.T) {
		_, next := Compose(alice, []Input{{Key: "a", Doc: in(`<dm:person id="p"><rpid:mood until="` + later + `"><rpid:sad/></rpid:mood><rpid:activities until="` + future + `"/></dm:person>`)}}, noon, Policy{})
		if !next.Equal(clock(future)) {
			t.Errorf("got %v", next)
		}
	})
}

// What clients send, as notes on traffic describe it.
func TestClientDialects(t *testing.T) {
	var docs [][]byte
	for _, c := range []struct{ name, doc, want string }{
		{
			"PDF-022 baresip: person first, without activity", `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">` +
				`<dm:person id="p4159"><rpid:activities/></dm:person><tuple id="t4109"><status><basic>open</basic></status><contact>sip:alice@example.com</contact></tuple></presence>`,
			`<tuple id="t4109"><status><basic>open</basic></status><contact>sip:alice@example.com</contact></tuple><dm:person id="p4159"><rpid:activities/></dm:person>`,
		},
		{
			"PDF-015 Linphone: its own element in status", `<?xml version="1.0" encoding="UTF-8"?><presence entity="sip:alice@example.com" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:pidfonline="http://www.linphone.org/xsds/pidfonline.xsd"` +
				` xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"><tuple id="xk3f"><status><basic>open</basic><pidfonline:online/></status>` +
				`<contact priority="0.8">sip:alice@example.com</contact><timestamp>2026-11-22T10:00:00Z</timestamp></tuple><dm:person id="b9c"><rpid:activities><rpid:away/></rpid:activities></dm:person></presence>`,
			`<tuple id="xk3f"><status><basic>open</basic><pidfonline:online xmlns:pidfonline="http://www.linphone.org/xsds/pidfonline.xsd"/></status><contact priority="0.8">sip:alice@example.com</contact>` +
				`<timestamp>2026-11-22T10:00:00Z</timestamp></tuple><dm:person id="b9c"><rpid:activities><rpid:away/></rpid:activities></dm:person>`,
		},
		{
			"PDF-012 libpurple: empty note and a namespace for nothing", `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:im="urn:ietf:params:xml:ns:pidf:im" entity="sip:alice@example.com"><tuple id="bs35r9"><status><basic>closed</basic></status><note></note></tuple></presence>`,
			`<tuple id="bs35r9"><status><basic>closed</basic></status></tuple>`,
		},
		{
			"PDF-024 pjsua: default namespace after the attributes", `<presence entity="sip:alice@example.com" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid">` +
				`<tuple id="pj1"><status><basic>open</basic></status><contact>sip:alice@example.com</contact><note>Away</note></tuple><dm:person id="pj2"><r:activities><r:away/></r:activities><dm:note>Away</dm:note></dm:person></presence>`,
			`<tuple id="pj1"><status><basic>open</basic></status><contact>sip:alice@example.com</contact><note>Away</note></tuple><dm:person id="pj2"><rpid:activities><rpid:away/></rpid:activities><dm:note>Away</dm:note></dm:person>`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Accept([]byte(c.doc)); err != nil {
				t.Fatal(err)
			}
			doc, _ := Compose(alice, []Input{{Key: "a", Doc: []byte(c.doc), Published: noon}}, noon, Policy{})
			if body(string(doc)) != c.want {
				t.Errorf("got  %s\nwant %s", body(string(doc)), c.want)
			}
			docs = append(docs, doc)
		})
	}
	mustBeValid(t, docs...)
}

// Whatever is published, what is composed is valid.
func TestComposeIsValid(t *testing.T) {
	n := campaign(1200)
	var docs [][]byte
	foreign := 0
	for i := range uint64(n) {
		g := newGenerator(i)
		var inputs []Input
		for k := range 1 + g.IntN(3) {
			g.ids = g.IntN(3)
			inputs = append(inputs, Input{Key: string(rune('a' + k)), Doc: g.mutate(draftOf(g.document())), Published: g.time()})
		}
		doc, next := Compose(alice, inputs, g.time(), Policy{AllPersons: g.often(), OnePerService: g.seldom()})
		again, _ := Compose(alice, []Input{{Key: "x", Doc: doc}}, time.Time{}, Policy{AllPersons: true})
		if !bytes.Equal(doc, again) && !bytes.Contains(doc, []byte("deviceID")) {
			t.Fatalf("%d: composed again it is\n%s\nwas\n%s", i, again, doc)
		}
		if !next.IsZero() {
			foreign++
		}
		docs = append(docs, doc)
	}
	if foreign < n/10 {
		t.Errorf("only %d of %d documents will change by the clock", foreign, n)
	}
	mustBeValid(t, docs...)
}
