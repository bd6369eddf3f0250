package grammar

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

// presence wraps content as a PIDF document whose prefixes are bound; its first line ends behind the root tag.
func presence(content string) string {
	return `<presence xmlns="` + spacePIDF + `" xmlns:dm="` + spaceDataModel + `" xmlns:r="` + spaceRPID + `" xmlns:ts="` + spaceTimed +
		`" xmlns:ci="` + spaceCIPID + `" xmlns:c="` + spaceCaps + `" entity="sip:a@example.com">` + "\n" + content + "</presence>"
}

func tuple(content string) string { return presence(`<tuple id="t">` + content + "</tuple>") }

func person(content string) string { return presence(`<dm:person id="p">` + content + "</dm:person>") }

func service(content string) string { return tuple("<status/>" + content) }

// problems returns "line:col rule: text" of all problems of a document.
func problems(t *testing.T, doc string, lint bool) (list []string) {
	t.Helper()
	d, err := tree.Parse([]byte(doc), tree.Options{AllowDTD: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	g, ok := For(d.Root().Space(), d.Root().Local())
	if !ok {
		t.Fatalf("nothing known about %s", d.Root().Name())
	}
	found := g.Check(d)
	if lint {
		found = g.Lint(d)
	}
	for _, p := range found {
		list = append(list, fmt.Sprintf("%d:%d %s: %s", p.Line, p.Col, p.Rule, p.Text))
	}
	return list
}

func TestPresenceDocuments(t *testing.T) {
	for _, test := range []struct{ name, doc, want string }{
		{"PDF-002 entity is required", `<presence xmlns="` + spacePIDF + `"/>`, "1:1 missing-attribute: <presence> has no attribute entity, which is a URI"},
		{"an entity is no name-addr", `<presence xmlns="` + spacePIDF + `" entity="&lt;sip:a@b>"/>`, `1:47 invalid-value: attribute entity of <presence> is "<sip:a@b>", expected a URI`},
		{"PDF-003 tuples come before notes", presence(`<note/><tuple id="a"><status/></tuple>`), "2:8 unexpected-element: found <tuple> in <presence> behind <note>, expected <note>, an element of another namespace or the end of <presence>"},
		{"PDF-003 notes come before extensions", presence(`<dm:person id="p"/><note/>`), "2:20 unexpected-element: found <note> in <presence> behind <dm:person>, expected an element of another namespace or the end of <presence>"},
		{"PDF-004 no tuple is valid", presence(""), ""},
		{"PDF-005 a tuple has a status first", tuple(`<contact>sip:a</contact>`), "2:15 unexpected-element: found <contact> in <tuple>, expected <status>"},
		{"PDF-005 extensions come before the contact", service(`<contact/><r:class>x</r:class>`), "2:34 unexpected-element: found <r:class> in <tuple> behind <contact>, expected <note>, <timestamp> or the end of <tuple>"},
		{"PDF-005 a tuple has one timestamp, last", service(`<timestamp>2026-01-31T12:00:00Z</timestamp><note/>`), "2:67 unexpected-element: found <note> in <tuple> behind <timestamp>, expected the end of <tuple>"},
		{"PDF-006 ids are required", presence(`<tuple><status/></tuple>`), "2:1 missing-attribute: <tuple> has no attribute id, which is an id: a letter or _ first, then letters, digits, - . or _"},
		{"PDF-006 ids of tuples differ", presence(`<tuple id="a"><status/></tuple><tuple id="a"><status/></tuple>`), `2:39 duplicate-id: attribute id of <tuple> is "a", as that of <tuple> in 2:8; ids of a document differ`},
		{"PDF-023 ids of tuples, persons and devices differ", presence(`<tuple id="a"><status/></tuple><dm:person id=" a "/>`), `2:43 duplicate-id: attribute id of <dm:person> is "a", as that of <tuple> in 2:8; ids of a document differ`},
		{"PDF-008 an id is an NCName", presence(`<tuple id="0a"><status/></tuple>`), `2:8 id-ncname: attribute id of <tuple> is "0a", expected an id: a letter or _ first, then letters, digits, - . or _`},
		{"PDF-009 basic is lower case", tuple(`<status><basic>OPEN</basic></status>`), `2:30 invalid-value: <basic> is "OPEN", expected open or closed`},
		{"PDF-009 basic has no white space", tuple(`<status><basic> open</basic></status>`), `2:30 invalid-value: <basic> is " open", expected open or closed`},
		{"PDF-011 priority is 1 at most", service(`<contact priority="1.5">sip:a</contact>`), `2:33 invalid-value: attribute priority of <contact> is "1.5", expected a number from 0 to 1 with at most three decimals`},
		{"PDF-011 priority has three decimals at most", service(`<contact priority="0.1234">sip:a</contact>`), `2:33 invalid-value: attribute priority of <contact> is "0.1234", expected a number from 0 to 1 with at most three decimals`},
		{"PDF-012 notes in several languages", service(`<note xml:lang="en">a</note><note xml:lang="">b</note>`), ""},
		{"PDF-013 a timestamp has capital letters", service(`<timestamp>2026-01-31t12:00:00z</timestamp>`), `2:35 invalid-value: <timestamp> is "2026-01-31t12:00:00z", expected a date and time such as 2026-01-31T12:00:00Z`},
		{"PDF-015 unknown elements are let in", service(`<x xmlns="urn:x" k="v">text<y/></x>`), ""},
		{"PDF-016 mustUnderstand is a boolean", tuple(`<status><x xmlns="urn:x" xmlns:p="` + spacePIDF + `" p:mustUnderstand="yes"/></status>`), `2:78 invalid-value: attribute p:mustUnderstand of <x> is "yes", expected true, false, 1 or 0`},
		{"PDF-022 persons and devices in any order", presence(`<dm:device id="d"><dm:deviceID>urn:x:y</dm:deviceID></dm:device><dm:person id="p"/>`), ""},
		{"PDF-024 a device has a deviceID", presence(`<dm:device id="d"/>`), "2:1 missing-element: <dm:device> ends too early, expected <dm:deviceID> or an element of another namespace"},
		{"PDF-024 notes of a person are of the data model", person(`<dm:note/><note/>`), "2:29 unexpected-element: found <note> in <dm:person>, which is in namespace " + spacePIDF + "; expected <dm:note> of namespace " + spaceDataModel},
		{"PDF-037 class has no from", person(`<r:class from="2026-01-31T12:00:00Z">x</r:class>`), "2:28 unexpected-attribute: found attribute from on <r:class>, expected none"},
		{"PDF-039 notes come first", person(`<r:activities><r:away/><r:note/></r:activities>`), "2:42 unexpected-element: found <r:note> in <r:activities> behind <r:away>, expected <r:appointment>, <r:away>, <r:breakfast>, <r:busy>, <r:dinner>, <r:holiday>, <r:in-transit>, <r:looking-for-work> or one of 20 more"},
		{"PDF-040 several activities", person(`<r:activities><r:away/><r:lunch/><r:other>x</r:other><x xmlns="urn:x"/></r:activities>`), ""},
		{"PDF-040 unknown activity is alone", person(`<r:activities><r:unknown/><r:away/></r:activities>`), "2:45 unexpected-element: found <r:away> in <r:activities> behind <r:unknown>, expected the end of <r:activities>"},
		{"PDF-042 a mood is needed", person(`<r:mood/>`), "2:19 missing-element: <r:mood> ends too early, expected <r:note>, <r:unknown>, <r:afraid>, <r:amazed>, <r:angry>, <r:annoyed>, <r:anxious>, <r:ashamed> or one of 55 more"},
		{"PDF-042 moods with underscores", person(`<r:mood><r:in_awe/><r:in_love/></r:mood>`), ""},
		{"PDF-042 a typing error", person(`<r:mood><r:in-love/></r:mood>`), "2:27 unexpected-element: found <r:in-love> in <r:mood>, expected <r:note>, <r:unknown>, <r:afraid>, <r:amazed>, <r:angry>, <r:annoyed>, <r:anxious>, <r:ashamed> or one of 55 more; did you mean <r:in_love>?"},
		{"PDF-043 place-is in order", person(`<r:place-is><r:video><r:ok/></r:video><r:audio><r:quiet/></r:audio></r:place-is>`), "2:57 unexpected-element: found <r:audio> in <r:place-is> behind <r:video>, expected <r:text> or the end of <r:place-is>"},
		{"PDF-045 privacy in order", person(`<r:privacy><r:audio/><r:text/><r:video/></r:privacy>`), ""},
		{"PDF-046 relationship", service(`<r:relationship><r:boss/></r:relationship>`), "2:40 unexpected-element: found <r:boss> in <r:relationship>, expected <r:note>, <r:assistant>, <r:associate>, <r:family>, <r:friend>, <r:self>, <r:supervisor>, <r:unknown> or one of 3 more"},
		{"PDF-047 service-class", service(`<r:service-class><r:electronic/></r:service-class>`), ""},
		{"PDF-048 sphere has one value", person(`<r:sphere><r:home/><r:work/></r:sphere>`), "2:38 unexpected-element: found <r:work> in <r:sphere> behind <r:home>, expected the end of <r:sphere>"},
		{"PDF-050 time-offset is whole", person(`<r:time-offset description="x">-300.5</r:time-offset>`), `2:50 invalid-value: <r:time-offset> is "-300.5", expected a whole number`},
		{"PDF-051 user-input", person(`<r:user-input idle-threshold="0">idle</r:user-input>`), `2:33 invalid-value: attribute idle-threshold of <r:user-input> is "0", expected a whole number above 0`},
		{"PDF-053 id and other attributes", person(`<r:activities id="x" k="v"/>`), ""},
		{"PDF-055 timed-status has a from", service(`<ts:timed-status/>`), "2:24 missing-attribute: <ts:timed-status> has no attribute from, which is a date and time such as 2026-01-31T12:00:00Z"},
		{"PDF-057 basic of timed-status is of its namespace", service(`<ts:timed-status from="2026-01-31T12:00:00Z"><basic>open</basic></ts:timed-status>`), ""},
		{"PDF-065 capabilities in order", service(`<c:servcaps><c:video>true</c:video><c:audio>true</c:audio></c:servcaps>`), "2:59 unexpected-element: found <c:audio> in <c:servcaps> behind <c:video>, expected an element of another namespace or the end of <c:servcaps>"},
		{"PDF-066 capabilities are booleans", service(`<c:servcaps><c:audio>yes</c:audio></c:servcaps>`), `2:45 invalid-value: <c:audio> is "yes", expected true, false, 1 or 0`},
		{"PDF-068 methods are elements", service(`<c:servcaps><c:methods><c:supported><c:MESSAGE/></c:supported></c:methods><c:schemes><c:supported><c:s>sip</c:s></c:supported></c:schemes></c:servcaps>`), ""},
		{"PDF-070 higherthan", service(`<c:servcaps><c:priority><c:supported><c:equals value="1"/><c:higherthan minvalue="3"/></c:supported></c:priority></c:servcaps>`), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(problems(t, test.doc, false), "\n"); got != test.want {
				t.Errorf("%s\n got: %s\nwant: %s", test.doc, got, test.want)
			}
		})
	}
}

func TestLints(t *testing.T) {
	list := func(content string) string {
		return `<resource-lists xmlns="` + spaceLists + `">` + content + `</resource-lists>`
	}
	for _, test := range []struct{ name, doc, want string }{
		{"PDF-013 a time has a zone", service(`<timestamp>2026-01-31T12:00:00</timestamp>`), LintZone},
		{"PDF-009 a status has a child", service(``), LintStatus},
		{"status with an extension only", tuple(`<status><r:class>x</r:class></status>`), LintBasic},
		{"a contact has a scheme", service(`<contact>alice</contact>`), LintScheme},
		{"characters of no URI", service(`<contact>sip:alice&lt;x></contact>`), LintURI},
		{"an empty entity", strings.Replace(presence(""), "sip:a@example.com", "", 1), LintEntity},
		{"an entity without scheme", strings.Replace(presence(""), "sip:a@example.com", "alice", 1), LintScheme},
		{"PDF-074 namespaces are absolute", presence(`<x:a xmlns:x="rel"/>`), LintNamespace},
		{"PDF-074 namespaces have no fragment", presence(`<x:a xmlns:x="urn:x#y"/>`), LintNamespace},
		{"unknown element of a known namespace", person(`<r:hapy/>`), LintUnknown},
		{"part of another element", person(`<r:home/>`), LintUnknown},
		{"PDF-026 a person has no status", person(`<status><basic>open</basic></status>`), LintPlace},
		{"PDF-036 moods are of persons", service(`<r:mood><r:sad/></r:mood>`), LintPlace},
		{"PDF-036 relationships are of tuples", person(`<r:relationship><r:self/></r:relationship>`), LintPlace},
		{"PDF-025 an attribute in status", tuple(`<status><basic>open</basic><r:privacy/></status><contact>sip:a</contact>`), LintPlace},
		{"PDF-055 timed-status is of tuples", tuple(`<status><basic>open</basic><ts:timed-status from="2026-01-31T12:00:00Z"/></status><contact>sip:a</contact>`), LintPlace},
		{"PDF-064 devcaps are of devices", service(`<c:devcaps/>`), LintPlace},
		{"PDF-038 once without a range", person(`<r:mood><r:sad/></r:mood><r:mood><r:shy/></r:mood>`), LintRepeated},
		{"PDF-052 one class", person(`<r:class>a</r:class><r:class>b</r:class>`), LintRepeated},
		{"PDF-061 one card", person(`<ci:card>http://a/</ci:card><ci:card>http://b/</ci:card>`), LintRepeated},
		{"a range ends behind its start", person(`<r:sphere from="2026-01-31T12:00:00Z" until="2026-01-30T12:00:00Z"/>`), LintRange},
		{"PDF-047 physical services have an empty contact", service(`<r:service-class><r:courier/></r:service-class><contact>sip:a</contact>`), LintClassContact},
		{"PDF-069 media types have two parts", service(`<c:servcaps><c:type>text</c:type></c:servcaps>`), LintMediaType},
		{"PDF-040 lunch is not in the schema", person(`<r:activities><r:lunch/></r:activities>`), LintSchema},
		{"entries differ", list(`<list><entry uri="sip:a"/><entry uri="sip:a"/></list>`), LintEntry},
		{"lists differ", list(`<list name="a"/><list name="a"/>`), LintList},
		{"an entry has a scheme", list(`<list><entry uri="bob"/></list>`), LintScheme},
		{"a reference is relative", list(`<list><entry-ref ref="http://a/b"/></list>`), LintReference},
		{"an anchor is absolute", list(`<list><external anchor="a/b"/></list>`), LintReference},
		{"services differ", `<rls-services xmlns="` + spaceServices + `"><service uri="sip:a"><list/></service><service uri="sip:a"><list/></service></rls-services>`, LintService},
		{"FLT-003 filters differ", `<filter-set xmlns="` + spaceFilter + `"><filter id="a"/><filter id="a"/></filter-set>`, LintFilter},
		{"FLT-003 uri or domain", `<filter-set xmlns="` + spaceFilter + `"><filter id="a" uri="sip:a" domain="b"/></filter-set>`, LintTarget},
		{"time of an IMDN", `<imdn xmlns="` + spaceIMDN + `"><message-id>a</message-id><datetime>now</datetime></imdn>`, LintTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Fields(rules(t, test.doc)); !slices.Contains(got, test.want) {
				t.Errorf("%s: got %q, want %s", test.doc, got, test.want)
			}
		})
	}
	for _, good := range []string{
		presence(""), richPIDF, person(`<ci:display-name xml:lang="en">a</ci:display-name>`), list(`<list><entry uri="sip:a"/><entry uri="sip:b"/></list>`),
		person(`<r:sphere from="2026-01-31T12:00:00Z"/><r:sphere until="2026-01-30T12:00:00Z"/>`),
	} {
		if got := problems(t, good, true); got != nil {
			t.Errorf("%s: %q", good, got)
		}
	}
}

func TestRoots(t *testing.T) {
	for _, test := range []struct{ name, doc, want string }{
		{"a part of a document", `<tuple xmlns="` + spacePIDF + `" id="a"><status/></tuple>`, ""},
		{"a part that is wrong", `<tuple xmlns="` + spacePIDF + `" id="a"/>`, "1:1 missing-element: <tuple> ends too early, expected <status>"},
		{"a part that stands in several places with another content", `<entry xmlns="` + spaceConference + `"><uri>sip:a</uri></entry>`, ""},
		{"such a part that is wrong", `<entry xmlns="` + spaceConference + `"><uri/><x/></entry>`, "1:61 unexpected-element: found <x> in <entry> behind <uri>, expected <display-text>, <purpose>, <modified>, an element of another namespace or the end of <entry>"},
		{"an element that is not there", `<foo xmlns="` + spacePIDF + `"/>`, "1:1 unexpected-element: found <foo>, namespace " + spacePIDF + " has no such element"},
		{"another namespace", `<presence xmlns="` + spaceRPID + `"/>`, "1:1 wrong-namespace: found <presence> in namespace " + spaceRPID + ", expected namespace " + spacePIDF},
		{"an extension", `<mood xmlns="` + spaceRPID + `"><sad/></mood>`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(problems(t, test.doc, false), "\n"); got != test.want {
				t.Errorf("got: %s\nwant: %s", got, test.want)
			}
		})
	}
	d, _ := tree.Parse([]byte(`<a/>`), tree.Options{})
	g, _ := ByName("pidf")
	if got := g.Check(d); len(got) != 1 || got[0].Rule != RuleRoot {
		t.Errorf("a as pidf: %v", got)
	}
	if _, ok := Misplaced(d.Root()); ok {
		t.Error("a is the root of no type")
	}
	if _, ok := For("urn:x", "a"); ok {
		t.Error("nothing is known about urn:x")
	}
	if _, ok := ByName("x"); ok {
		t.Error("there is no type x")
	}
}

func TestEntitiesAreNotRead(t *testing.T) {
	got := problems(t, `<!DOCTYPE presence [<!ENTITY e "x">]><presence xmlns="`+spacePIDF+`" entity="&e;"/>`, false)
	if len(got) != 1 || !strings.Contains(got[0], RuleEntity) {
		t.Errorf("got %q", got)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	got := problems(t, presence(strings.Repeat(`<tuple/>`, 200000)), false)
	if len(got) != MaxProblems {
		t.Errorf("%d problems", len(got))
	}
}

func TestManyIDs(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `<tuple id="a%d"><status/></tuple>`, i)
	}
	if got := problems(t, presence(b.String()), false); got != nil {
		t.Errorf("%q", got)
	}
	got := problems(t, presence(b.String()+`<tuple id="a999"><status/></tuple>`), false)
	if len(got) != 1 || !strings.Contains(got[0], RuleDuplicateID) {
		t.Errorf("%q", got)
	}
}

func TestCheckKnown(t *testing.T) {
	g, _ := ByName("pidf")
	warned := strings.Repeat(`<r:class>a</r:class>`, MaxProblems+1) // warnings, which are not of interest here
	for doc, want := range map[string]string{
		person(`<r:hapy/>`):                   LintUnknown,
		person(warned + `<r:hapy/>`):          LintUnknown,
		person(`<r:home/>`):                   LintUnknown,
		person(warned + `<x xmlns="urn:x"/>`): "",
		person(`<r:mood/>`):                   RuleMissingElement,
	} {
		d, err := tree.Parse([]byte(doc), tree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if problems := g.CheckKnown(d); len(problems) > 0 {
			got = problems[0].Rule
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", doc, got, want)
		}
		if problems := g.Check(d); (len(problems) > 0) != (want == RuleMissingElement) {
			t.Errorf("%s: Check gives %v", doc, problems)
		}
	}
}
