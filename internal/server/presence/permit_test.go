package presence

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"imp/internal/doc/pidf"
	"imp/internal/doc/rules"
	"imp/internal/xml/tree"
)

// full has every element that there is a permission for, and some that there is
// none for, each with its name in it.
const full = `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" xmlns:c="urn:ietf:params:xml:ns:pidf:cipid" xmlns:ts="urn:ietf:params:xml:ns:pidf:timed-status" xmlns:x="urn:example:x" entity="sip:alice@example.com">` +
	`<tuple id="t1"><status><basic>open</basic><x:extent>wide</x:extent></status>` +
	`<rpid:class>work</rpid:class><dm:deviceID>urn:uuid:00000000-0000-4000-8000-000000000001</dm:deviceID>` +
	`<rpid:privacy><rpid:audio/></rpid:privacy><rpid:relationship><rpid:note>rel-note</rpid:note><rpid:self/></rpid:relationship>` +
	`<rpid:service-class><rpid:electronic/></rpid:service-class><rpid:status-icon>https://example.com/t.png</rpid:status-icon>` +
	`<rpid:user-input idle-threshold="600" last-input="2026-11-22T10:00:00Z" id="ui1">idle</rpid:user-input>` +
	`<c:homepage>https://example.com/t</c:homepage><ts:timed-status from="2026-11-23T10:00:00Z"><ts:basic>closed</ts:basic></ts:timed-status><x:odd>tuple-odd</x:odd>` +
	`<contact priority="0.8">sip:alice@phone.example.com</contact><note>tuple-note</note><timestamp>2026-11-22T10:00:01Z</timestamp></tuple>` +
	`<tuple id="t2"><status><basic>closed</basic></status><contact>im:alice@example.com</contact></tuple>` +
	`<note>presence-note</note>` +
	`<dm:person id="p1"><rpid:activities><rpid:note>act-note</rpid:note><rpid:meeting/></rpid:activities><rpid:class>calendar</rpid:class>` +
	`<rpid:mood><rpid:happy/></rpid:mood><rpid:place-is><rpid:audio><rpid:noisy/></rpid:audio></rpid:place-is>` +
	`<rpid:place-type><rpid:other>boat</rpid:other></rpid:place-type><rpid:privacy><rpid:text/></rpid:privacy><rpid:sphere><rpid:work/></rpid:sphere>` +
	`<rpid:status-icon>https://example.com/p.png</rpid:status-icon><rpid:time-offset>60</rpid:time-offset>` +
	`<rpid:user-input idle-threshold="600" last-input="2026-11-22T10:00:00Z">active</rpid:user-input>` +
	`<c:card>https://example.com/p.vcf</c:card><x:odd>person-odd</x:odd><dm:timestamp>2026-11-22T10:00:02Z</dm:timestamp></dm:person>` +
	`<dm:device id="d1"><rpid:class>mobile</rpid:class><rpid:user-input last-input="2026-11-22T10:00:00Z">idle</rpid:user-input><x:odd>device-odd</x:odd>` +
	`<dm:deviceID>urn:uuid:00000000-0000-4000-8000-000000000001</dm:deviceID><dm:note>device-note</dm:note><dm:timestamp>2026-11-22T10:00:03Z</dm:timestamp></dm:device>` +
	`<x:root>root-odd</x:root></presence>`

var all = &rules.Selection{All: true}

// everything selects all components, and grants p in them.
func everything(p rules.Permissions) *rules.Permissions {
	p.Services, p.Persons, p.Devices = all, all, all
	return &p
}

// shorn is what is left of doc, which must be valid and stay so.
func shorn(t *testing.T, doc string, p *rules.Permissions) string {
	t.Helper()
	if err := pidf.Check([]byte(doc)); err != nil {
		t.Fatalf("the test has an invalid document: %v", err)
	}
	out, err := Permit([]byte(doc), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := pidf.Check(out); err != nil {
		t.Fatalf("AUT-064 %v in\n%s", err, out)
	}
	return string(out)
}

// has fails unless text has all the words and none that begin with a !.
func has(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		bad, not := strings.CutPrefix(w, "!")
		if not == strings.Contains(text, bad) {
			t.Errorf("%s in\n%s", w, text)
		}
	}
}

func TestPermitComponents(t *testing.T) {
	select1 := func(part string, s *rules.Selection) *rules.Permissions {
		p := &rules.Permissions{}
		switch part {
		case "tuple":
			p.Services = s
		case "person":
			p.Persons = s
		case "device":
			p.Devices = s
		}
		return p
	}
	of := map[string][]string{"tuple": {`id="t1"`, `id="t2"`}, "person": {`id="p1"`}, "device": {`id="d1"`}}
	for _, c := range []struct {
		name, part string
		s          *rules.Selection
		want       string // ids that are shown
	}{
		{"AUT-046 AUT-047 AUT-048 nothing granted", "", nil, ""},
		{"AUT-046 all devices", "device", all, "d1"},
		{"AUT-046 devices by class", "device", &rules.Selection{Classes: []string{"mobile"}}, "d1"},
		{"AUT-046 devices of another class", "device", &rules.Selection{Classes: []string{"desk"}}, ""},
		{"AUT-046 devices by deviceID", "device", &rules.Selection{DeviceIDs: []string{"urn:uuid:00000000-0000-4000-8000-000000000001"}}, "d1"},
		{"AUT-049 device ids are compared as URIs", "device", &rules.Selection{DeviceIDs: []string{"URN:UUID:00000000-0000-4000-8000-000000000001"}}, "d1"},
		{"AUT-046 another deviceID", "device", &rules.Selection{DeviceIDs: []string{"urn:uuid:00000000-0000-4000-8000-000000000002"}}, ""},
		{"AUT-046 devices by occurrence-id", "device", &rules.Selection{OccurrenceIDs: []string{"d1"}}, "d1"},
		{"AUT-047 all persons", "person", all, "p1"},
		{"AUT-047 AUT-050 persons by a class that is not shown", "person", &rules.Selection{Classes: []string{"calendar"}}, "p1"},
		{"AUT-049 classes have their case", "person", &rules.Selection{Classes: []string{"Calendar"}}, ""},
		{"AUT-047 persons by occurrence-id", "person", &rules.Selection{OccurrenceIDs: []string{"x", "p1"}}, "p1"},
		{"AUT-049 occurrence ids have their case", "person", &rules.Selection{OccurrenceIDs: []string{"P1"}}, ""},
		{"AUT-048 all services", "tuple", all, "t1 t2"},
		{"AUT-048 services by class", "tuple", &rules.Selection{Classes: []string{"work"}}, "t1"},
		{"AUT-048 services by occurrence-id", "tuple", &rules.Selection{OccurrenceIDs: []string{"t2"}}, "t2"},
		{"AUT-048 services by URI", "tuple", &rules.Selection{URIs: []string{"sip:alice@phone.example.com"}}, "t1"},
		{"AUT-049 service URIs are compared as URIs", "tuple", &rules.Selection{URIs: []string{"SIP:%61lice@PHONE.example.com", "IM:alice@EXAMPLE.com"}}, "t1 t2"},
		{"AUT-049 users in service URIs have their case", "tuple", &rules.Selection{URIs: []string{"sip:Alice@phone.example.com"}}, ""},
		{"AUT-049 parameters make another service URI", "tuple", &rules.Selection{URIs: []string{"sip:alice@phone.example.com;user=phone"}}, ""},
		{"AUT-048 services by scheme", "tuple", &rules.Selection{Schemes: []string{"im"}}, "t2"},
		{"AUT-049 schemes have their case", "tuple", &rules.Selection{Schemes: []string{"IM"}}, ""},
		{"AUT-052 a set is a union", "tuple", &rules.Selection{Schemes: []string{"im"}, Classes: []string{"work"}}, "t1 t2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := shorn(t, full, select1(c.part, c.s))
			for _, ids := range of {
				for _, id := range ids {
					want := slices.Contains(strings.Fields(c.want), strings.Trim(id[3:], `"`))
					if strings.Contains(got, id) != want {
						t.Errorf("%s is there: %v\n%s", id, !want, got)
					}
				}
			}
			has(t, got, "!calendar", "!rpid:class", "!root-odd", "!presence-note")
		})
	}
	t.Run("AUT-051 ids that composition has changed are those that were published", func(t *testing.T) {
		one, two := openTuple("a", "sip:one@example.com"), openTuple("a", "sip:two@example.com")
		inputs := []pidf.Input{{Key: "first", Doc: []byte(one)}, {Key: "second", Doc: []byte(two)}}
		doc, _ := pidf.Compose("sip:alice@example.com", inputs, time.Unix(0, 0), pidf.Policy{})
		p := &rules.Permissions{Services: &rules.Selection{OccurrenceIDs: []string{"a"}}}
		out, err := permit(doc, p, []string{inputs[1].Suffix()})
		if err != nil {
			t.Fatal(err)
		}
		has(t, string(out), "sip:one@example.com", "sip:two@example.com")
		if out, _ = permit(doc, &rules.Permissions{Services: &rules.Selection{OccurrenceIDs: []string{"b"}}}, []string{inputs[1].Suffix()}); bytes.Contains(out, []byte("tuple")) {
			t.Errorf("%s", out)
		}
	})
}

func openTuple(id, contact string) string {
	return `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="` + id + `"><status><basic>open</basic></status><contact>` + contact + `</contact></tuple></presence>`
}

func TestPermitAttributes(t *testing.T) {
	// hidden are all words of full but those that are always shown.
	hidden := map[string][]string{
		"activities": {"act-note", "meeting"}, "class": {"work</rpid:class>", "calendar", "mobile"}, "deviceID": {"<dm:deviceID>urn:uuid:00000000-0000-4000-8000-000000000001</dm:deviceID><rpid:"},
		"mood": {"happy"}, "note": {"tuple-note", "device-note", "presence-note"}, "place-is": {"noisy"}, "place-type": {"boat"},
		"privacy": {"<rpid:privacy><rpid:audio", "<rpid:privacy><rpid:text"}, "relationship": {"rel-note"}, "sphere": {"rpid:sphere"}, "status-icon": {"t.png", "p.png"}, "time-offset": {"time-offset"},
		"user-input": {"user-input"}, "unknown": {"-odd", "example.com/t<", "vcf", "timed-status", "wide"},
	}
	check := func(t *testing.T, got string, shown ...string) {
		t.Helper()
		for name, words := range hidden {
			for _, w := range words {
				if want := slices.Contains(shown, name); strings.Contains(got, w) != want && !(name == "deviceID" && slices.Contains(shown, "all")) {
					t.Errorf("%s %q is there: %v\n%s", name, w, !want, got)
				}
			}
		}
	}
	t.Run("AUT-053 AUT-054 what is always shown, and nothing else", func(t *testing.T) {
		got := shorn(t, full, everything(rules.Permissions{}))
		want := `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">` +
			`<tuple id="t1"><status><basic>open</basic></status><rpid:service-class><rpid:electronic/></rpid:service-class>` +
			`<contact priority="0.8">sip:alice@phone.example.com</contact><timestamp>2026-11-22T10:00:01Z</timestamp></tuple>` +
			`<tuple id="t2"><status><basic>closed</basic></status><contact>im:alice@example.com</contact></tuple>` +
			`<dm:person id="p1"><dm:timestamp>2026-11-22T10:00:02Z</dm:timestamp></dm:person>` +
			`<dm:device id="d1"><dm:deviceID>urn:uuid:00000000-0000-4000-8000-000000000001</dm:deviceID><dm:timestamp>2026-11-22T10:00:03Z</dm:timestamp></dm:device></presence>`
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	})
	for name, bit := range map[string]rules.Provide{"activities": rules.Activities, "class": rules.Class, "deviceID": rules.DeviceID, "mood": rules.Mood,
		"place-is": rules.PlaceIs, "place-type": rules.PlaceType, "privacy": rules.Privacy, "relationship": rules.Relationship, "sphere": rules.Sphere,
		"status-icon": rules.StatusIcon, "time-offset": rules.TimeOffset, "note": rules.Note} {
		t.Run("AUT-055 provide-"+name, func(t *testing.T) {
			check(t, shorn(t, full, everything(rules.Permissions{Provide: bit})), name)
		})
	}
	for _, c := range []struct {
		value      rules.UserInput
		has, hasnt []string
	}{
		{rules.NoInput, nil, []string{"user-input"}},
		{rules.Bare, []string{`<rpid:user-input id="ui1">idle<`, `<rpid:user-input>active<`}, []string{"idle-threshold", "last-input"}},
		{rules.Thresholds, []string{`<rpid:user-input idle-threshold="600">idle<`, `<rpid:user-input idle-threshold="600">active<`, "<rpid:user-input>idle<"}, []string{"last-input"}},
		{rules.Full, []string{`<rpid:user-input idle-threshold="600" last-input="2026-11-22T10:00:00Z" id="ui1">idle<`}, nil},
	} {
		t.Run("AUT-056 provide-user-input "+c.value.String(), func(t *testing.T) {
			got := shorn(t, full, everything(rules.Permissions{UserInput: c.value}))
			has(t, got, c.has...)
			for _, w := range c.hasnt {
				has(t, got, "!"+w)
			}
		})
	}
	t.Run("AUT-057 notes in elements follow these", func(t *testing.T) {
		has(t, shorn(t, full, everything(rules.Permissions{Provide: rules.Activities | rules.Relationship})), "act-note", "rel-note", "!tuple-note", "!device-note")
		has(t, shorn(t, full, everything(rules.Permissions{Provide: rules.Note})), "!act-note", "!rel-note", "tuple-note", "device-note")
	})
	t.Run("AUT-058 notes of the presentity need a person who has none", func(t *testing.T) {
		p := rules.Permissions{Provide: rules.Note, Services: all}
		has(t, shorn(t, full, &p), "!presence-note")
		p.Persons = &rules.Selection{OccurrenceIDs: []string{"p1"}}
		has(t, shorn(t, full, &p), "presence-note")
		own := strings.Replace(full, "<dm:timestamp>2026-11-22T10:00:02Z", "<dm:note>own</dm:note><dm:timestamp>2026-11-22T10:00:02Z", 1)
		has(t, shorn(t, own, &p), "own", "!presence-note")
		p.Persons = all
		has(t, shorn(t, own, &p), "own", "presence-note")
		p.Provide = 0
		has(t, shorn(t, own, &p), "!own", "!presence-note")
	})
	t.Run("AUT-059 unknown attributes by name and namespace", func(t *testing.T) {
		got := shorn(t, full, everything(rules.Permissions{UnknownAttributes: []rules.Attribute{
			{Name: "odd", NS: "urn:example:x"}, {Name: "homepage", NS: pidf.CIPIDSpace}, {Name: "mood", NS: pidf.RPIDSpace}, {Name: "card", NS: "urn:example:x"}}}))
		has(t, got, "tuple-odd", "person-odd", "device-odd", "example.com/t<", "!happy", "!vcf", "!root-odd", "!wide")
	})
	t.Run("AUT-060 all attributes, of components that are granted", func(t *testing.T) {
		check(t, shorn(t, full, everything(rules.Permissions{AllAttributes: true})), "activities", "class", "deviceID", "mood", "note", "place-is", "place-type",
			"privacy", "relationship", "sphere", "status-icon", "time-offset", "user-input", "unknown")
		got := shorn(t, full, &rules.Permissions{AllAttributes: true, Persons: all})
		has(t, got, "happy", "presence-note", "!<tuple", "!<dm:device")
	})
	t.Run("AUT-061 what is unknown beside components is nobody's", func(t *testing.T) {
		has(t, shorn(t, full, everything(rules.Permissions{AllAttributes: true, UnknownAttributes: []rules.Attribute{{Name: "root", NS: "urn:example:x"}}})), "!root-odd")
	})
	t.Run("AUT-062 what is unknown in a status", func(t *testing.T) {
		has(t, shorn(t, full, everything(rules.Permissions{Provide: 1<<12 - 1, UserInput: rules.Full})), "!wide")
		has(t, shorn(t, full, everything(rules.Permissions{UnknownAttributes: []rules.Attribute{{Name: "extent", NS: "urn:example:x"}}})), "wide", "<basic>open")
		has(t, shorn(t, full, everything(rules.Permissions{AllAttributes: true})), "wide")
	})
	t.Run("AUT-066 no declaration tells of what is hidden", func(t *testing.T) {
		has(t, shorn(t, full, everything(rules.Permissions{})), "!cipid", "!timed-status", "!urn:example:x")
		has(t, shorn(t, full, everything(rules.Permissions{UnknownAttributes: []rules.Attribute{{Name: "homepage", NS: pidf.CIPIDSpace}}})), "xmlns:c=", "!xmlns:x=", "!timed-status")
	})
	t.Run("a document that is none is refused", func(t *testing.T) {
		for _, doc := range []string{"", "<a/>", `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="a">`} {
			if out, err := Permit([]byte(doc), everything(rules.Permissions{})); err == nil {
				t.Errorf("%q became %q", doc, out)
			}
		}
	})
}

// some are permissions made of bits.
func some(bits uint64) *rules.Permissions {
	selection := func(n uint64) *rules.Selection {
		switch n % 5 {
		case 0:
			return nil
		case 1:
			return all
		case 2:
			return &rules.Selection{OccurrenceIDs: []string{"t1", "p1", "d1", "t"}}
		case 3:
			return &rules.Selection{URIs: []string{"sip:alice@phone.example.com"}, DeviceIDs: []string{"urn:uuid:00000000-0000-4000-8000-000000000001"}}
		}
		return &rules.Selection{Schemes: []string{"im", "sip", "tel"}}
	}
	p := &rules.Permissions{Provide: rules.Provide(bits & (1<<12 - 1)), UserInput: rules.UserInput(bits >> 12 & 3), AllAttributes: bits>>14&15 == 1,
		Services: selection(bits >> 18), Persons: selection(bits >> 21), Devices: selection(bits >> 24)}
	if bits>>27&1 == 1 {
		p.UnknownAttributes = []rules.Attribute{{Name: "odd", NS: "urn:example:x"}, {Name: "a", NS: "urn:example:x"}, {Name: "homepage", NS: pidf.CIPIDSpace}}
	}
	return p
}

// FuzzPermit: of whatever is accepted something is left that is accepted, and
// valid if it was, and of that the same.
func FuzzPermit(f *testing.F) {
	for _, doc := range []string{full, openTuple("t", "sip:alice@phone.example.com"), string(pidf.Neutral("sip:alice@example.com")),
		`<p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" xmlns:x="urn:example:x" x:a="x:b" entity="sip:a@b"><!-- c --><p:tuple id="t" x:b="1"> <p:status x:c=""/><x:a q="x:y"/>text</p:tuple><?pi x?></p:presence>`} {
		f.Add([]byte(doc), uint64(0))
		f.Add([]byte(doc), uint64(1<<18|1<<21|1<<24|1<<27))
		f.Add([]byte(doc), uint64(0x1FFFFFFF))
	}
	f.Fuzz(func(t *testing.T, doc []byte, bits uint64) {
		if pidf.Accept(doc) != nil {
			if out, err := Permit(doc, some(bits)); err == nil {
				if _, err := tree.Parse(out, permitLimits); err != nil {
					t.Fatalf("%v in\n%s", err, out)
				}
			}
			return
		}
		p := some(bits)
		out, err := Permit(doc, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := pidf.Accept(out); err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if pidf.Check(doc) == nil {
			if err := pidf.Check(out); err != nil {
				t.Fatalf("AUT-064 %v in\n%s", err, out)
			}
		}
		again, err := Permit(out, p)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("AUT-063 the second time %v\n%s\nafter\n%s", err, again, out)
		}
	})
}

func TestPermitAgain(t *testing.T) {
	t.Run("AUT-063 AUT-064 what is left stays, and is valid", func(t *testing.T) {
		for i := range uint64(500) {
			bits := i * 0x9E3779B97F4A7C15 >> 20
			p := some(bits)
			once := shorn(t, full, p)
			if again := shorn(t, once, p); again != once {
				t.Fatalf("%x: the second time\n%s\nafter\n%s", bits, again, once)
			}
		}
	})
	t.Run("AUT-063 by class, with the ids that the class had chosen", func(t *testing.T) {
		once := shorn(t, full, &rules.Permissions{Services: &rules.Selection{Classes: []string{"work"}}})
		if again := shorn(t, once, &rules.Permissions{Services: &rules.Selection{OccurrenceIDs: []string{"t1"}}}); again != once {
			t.Fatalf("%s\nafter\n%s", again, once)
		}
	})
}

func TestPermitManyURIs(t *testing.T) {
	const n = 300
	var doc strings.Builder
	list := make([]string, n)
	doc.WriteString(`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:a@example.com">`)
	for i := range n {
		list[i] = fmt.Sprintf("sip:R%d@EXAMPLE.com", i)
		fmt.Fprintf(&doc, `<tuple id="t%d"><status><basic>open</basic></status><contact>sip:S%d@EXAMPLE.com</contact></tuple>`, i, i)
	}
	doc.WriteString(`</presence>`)
	src, p := []byte(doc.String()), &rules.Permissions{Services: &rules.Selection{URIs: list}}
	allocations := testing.AllocsPerRun(1, func() {
		if out, err := Permit(src, p); err != nil || bytes.Contains(out, []byte("tuple")) {
			t.Errorf("%s, %v", out, err)
		}
	})
	if allocations > 50*n {
		t.Errorf("%.0f allocations for %d tuples and %d URIs", allocations, n, n)
	}
}

func BenchmarkPermit(b *testing.B) {
	for _, p := range []*rules.Permissions{everything(rules.Permissions{}), everything(rules.Permissions{AllAttributes: true})} {
		b.Run(fmt.Sprint(p.AllAttributes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Permit([]byte(full), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
