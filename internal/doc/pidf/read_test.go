package pidf

import (
	"encoding/json"
	"github.com/google/go-cmp/cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"imp/internal/xml/schematest"
)

func mustRead(t *testing.T, content string) *Document {
	t.Helper()
	d, err := Read(in(content))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRead(t *testing.T) {
	t.Run("PDF-033 what must be refused elsewhere is read", func(t *testing.T) {
		d, err := Read([]byte(`<presence xmlns="` + Space + `"><tuple id="1"><status><basic>Open</basic></status></tuple><tuple id="1"/><tuple/></presence>`))
		if err != nil || len(d.Tuples) != 3 || d.Tuples[0].ID != "1" || d.Basic() != Open || d.Entity != "" {
			t.Errorf("got %+v, %v", d, err)
		}
	})
	t.Run("PDF-015 what is unknown is kept, and its content not mistaken", func(t *testing.T) {
		d := mustRead(t, `<x:a><tuple id="t">`+open+`</tuple></x:a><dm:person id="p"><x:b><rpid:mood><rpid:sad/></rpid:mood></x:b><rpid:new/></dm:person>`)
		if len(d.Tuples) != 0 || len(d.Extensions) != 1 || len(d.Persons[0].Moods) != 0 || len(d.Persons[0].Extensions) != 2 {
			t.Errorf("got %+v", d)
		}
		want := `<x:a xmlns:x="urn:example:x"><tuple xmlns="urn:ietf:params:xml:ns:pidf" id="t"><status><basic>open</basic></status></tuple></x:a>`
		if got := string(d.Extensions[0].XML); got != want {
			t.Errorf("got %s", got)
		}
	})
	t.Run("PDF-017 extensions do not change basic", func(t *testing.T) {
		for _, basic := range []string{"open", "closed"} {
			for _, extension := range []string{
				`<x:basic>other</x:basic>`, `<x:status><basic xmlns="` + Space + `">other</basic></x:status>`,
				`<x:a xmlns:p="` + Space + `" p:mustUnderstand="1"><x:b p:mustUnderstand="true"/></x:a>`, `<ts:timed-status xmlns:ts="` + TimedSpace + `" from="2020-01-01T00:00:00Z"><ts:basic>other</ts:basic></ts:timed-status>`,
			} {
				extension = strings.ReplaceAll(extension, "other", map[string]string{"open": "closed", "closed": "open"}[basic])
				inside := `<tuple id="t"><status>` + extension + `<basic>` + basic + `</basic>` + extension + `</status>` + extension + `</tuple>` + extension
				if d := mustRead(t, strings.Replace(inside, extension, "", 2)); d.Tuples[0].Basic != basic || d.Basic() != basic {
					t.Errorf("read %s: %+v", inside, d)
				}
				doc, _ := Compose(alice, []Input{{Key: "a", Doc: []byte(in(inside)), Published: noon}}, noon, Policy{})
				if d, err := Read(doc); err != nil || d.Tuples[0].Basic != basic || d.Basic() != basic {
					t.Errorf("composed %s: %s, %v", inside, doc, err)
				}
			}
		}
	})
	t.Run("PDF-016 an element with an unknown one that must be understood is unknown", func(t *testing.T) {
		must := func(value string) *Document {
			return mustRead(t, `<dm:person id="p"><rpid:activities><rpid:busy/><x:gaming xmlns:p="`+Space+`" p:mustUnderstand="`+value+`"/></rpid:activities></dm:person>`)
		}
		for _, value := range []string{"1", "true"} {
			if d := must(value); len(d.Persons[0].Activities) != 0 || len(d.Persons[0].Extensions) != 1 {
				t.Errorf("%s: got %+v", value, d.Persons)
			}
		}
		if d := must("0"); !slices.Equal(d.Facts("activity"), []string{"busy", "gaming"}) {
			t.Errorf("got %+v", d.Persons)
		}
	})
	t.Run("PDF-016 the sample of RFC 3863 section 4.3.3", func(t *testing.T) {
		for _, e := range schematest.Examples(t, "pidf") {
			if e.File != "rfc3863-4.3.3-1.xml" {
				continue
			}
			d, err := Parse(e.Source)
			if err != nil || d.Basic() != Open || d.Tuples[0].Extensions[0].Local != "complexExtension" || d.Tuples[0].Contact.Priority != "0.725" {
				t.Errorf("got %+v, %v", d, err)
			}
		}
	})
	t.Run("PDF-028 notes of the presentity are those of persons without own ones", func(t *testing.T) {
		d := mustRead(t, `<note>common</note><dm:person id="p"/><dm:person id="q"><dm:note>own</dm:note></dm:person>`)
		if got := d.NotesOf(&d.Persons[0])[0].Text + d.NotesOf(&d.Persons[1])[0].Text; got != "commonown" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("PDF-018 the newest timestamp", func(t *testing.T) {
		d := mustRead(t, `<tuple id="t">`+open+`<timestamp>2026-11-22T10:00:00Z</timestamp></tuple><dm:person id="p"><dm:timestamp>2026-11-22T12:00:00+01:00</dm:timestamp></dm:person>`)
		if want := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC); !d.Newest().Equal(want) {
			t.Errorf("got %v", d.Newest())
		}
	})
	t.Run("PDF-030 absence says nothing", func(t *testing.T) {
		d := mustRead(t, `<tuple id="t"><status><x:a/></status></tuple>`)
		if d.Basic() != "" || d.Facts("basic") != nil {
			t.Errorf("got %q", d.Basic())
		}
	})
	t.Run("PDF-040 PDF-041 values in whatever way they are written", func(t *testing.T) {
		d := mustRead(t, `<dm:person id="p"><rpid:activities><rpid:note>n</rpid:note><rpid:lunch/><rpid:other> reading </rpid:other><rpid:gaming/></rpid:activities></dm:person>`)
		if got := d.Facts("activity"); !slices.Equal(got, []string{"lunch", "reading", "gaming"}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("PDF-045 the order of the sample", func(t *testing.T) {
		d := mustRead(t, `<tuple id="t">`+open+`<rpid:privacy><rpid:text/><rpid:audio/></rpid:privacy></tuple>`)
		if got := d.Facts("privacy"); !slices.Equal(got, []string{"text", "audio"}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("PDF-048 PDF-054 sphere in text", func(t *testing.T) {
		d := mustRead(t, `<dm:person id="p"><rpid:sphere>bowling league</rpid:sphere><rpid:sphere><x:scouting/></rpid:sphere></dm:person>`)
		if got := d.Facts("sphere"); !slices.Equal(got, []string{"bowling league", "scouting"}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("PDF-032 location objects anywhere", func(t *testing.T) {
		const geo = `<g:geopriv xmlns:g="urn:ietf:params:xml:ns:pidf:geopriv10"><g:location-info/></g:geopriv>`
		d := mustRead(t, `<tuple id="t"><status><basic>open</basic>`+geo+`</status>`+geo+`</tuple><dm:person id="p">`+geo+`</dm:person>`)
		if len(d.Tuples[0].Status)+len(d.Tuples[0].Extensions)+len(d.Persons[0].Extensions) != 3 || string(d.Persons[0].Extensions[0].XML) != geo {
			t.Errorf("got %+v", d)
		}
	})
	t.Run("PDF-058 overlapping timed-status", func(t *testing.T) {
		d := mustRead(t, `<tuple id="t">`+open+`<ts:timed-status from="2026-11-22T10:00:00Z"><ts:basic>closed</ts:basic></ts:timed-status><ts:timed-status from="2026-11-22T09:00:00Z"/></tuple>`)
		if len(d.Tuples[0].Timed) != 2 || d.Tuples[0].Timed[0].Basic != Closed || d.Tuples[0].Basic != Open {
			t.Errorf("got %+v", d.Tuples)
		}
	})
	t.Run("PDF-067 what is supported and not is supported", func(t *testing.T) {
		d := mustRead(t, `<tuple id="t">`+open+`<caps:servcaps><caps:methods><caps:supported><caps:MESSAGE/></caps:supported><caps:notsupported><caps:MESSAGE/><caps:INVITE/></caps:notsupported></caps:methods></caps:servcaps></tuple>`)
		if got := d.Tuples[0].Caps.Support["methods"]; !slices.Equal(got.Yes, []string{"MESSAGE"}) || !slices.Equal(got.No, []string{"INVITE"}) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("PDF-070 both spellings", func(t *testing.T) {
		d := mustRead(t, `<tuple id="t">`+open+`<caps:servcaps><caps:priority><caps:supported><caps:higherhan minvalue="1"/><caps:higherthan minvalue="2"/></caps:supported></caps:priority></caps:servcaps></tuple>`)
		if diff := cmp.Diff([]PriorityRange{{true, "higherthan", 1, 0}, {true, "higherthan", 2, 0}}, d.Tuples[0].Caps.Priorities); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("PDF-035 the language of an element around", func(t *testing.T) {
		d, err := Read([]byte(`<presence xmlns="` + Space + `" entity="sip:a@b" xml:lang="de"><note>Hallo</note><note xml:lang="en">Hello</note></presence>`))
		if err != nil || d.Notes[0].Lang != "de" || d.Notes[1].Lang != "en" {
			t.Errorf("got %+v, %v", d, err)
		}
	})
	t.Run("RFC 4480 section 3.1: elements of other times", func(t *testing.T) {
		d := mustRead(t, `<dm:person id="p"><rpid:mood until="2026-11-22T12:00:00Z"><rpid:sad/></rpid:mood><rpid:mood from="2026-11-22T12:00:00Z"><rpid:happy/></rpid:mood></dm:person>`)
		if got := d.At(noon).Facts("mood"); !slices.Equal(got, []string{"happy"}) {
			t.Errorf("got %v", got)
		}
		if got := d.Facts("mood"); len(got) != 2 {
			t.Errorf("the document itself has %v", got)
		}
	})
}

func TestView(t *testing.T) {
	d, err := New(full())
	if err != nil {
		t.Fatal(err)
	}
	d.Extensions = []Raw{{"urn:example:x", "a", []byte(`<x:a xmlns:x="urn:example:x">&lt;</x:a>`)}}
	got, err := d.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"entity":"sip:alice@example.com","basic":"open","tuples":[{"id":"imp-1","basic":"open","contact":"sip:alice@192.0.2.1","priority":0.8,` +
		`"notes":[{"text":"At lunch","lang":"en"}],"timestamp":"2026-11-22T12:00:00.000Z","device_ids":["urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a"],` +
		`"class":"private","service_class":"electronic","user_input":{"state":"idle","idle_threshold":600,"last_input":"2026-11-22T11:00:00.000Z"},` +
		`"capabilities":{"flags":{"message":true},"supported":{"methods":["MESSAGE"]}},"timed_status":[{"from":"2026-11-22T13:00:00.000Z","basic":"closed"}]}],` +
		`"persons":[{"id":"alice","timestamp":"2026-11-22T12:00:00.000Z","activities":["lunch","gardening"],"mood":["in_love"],` +
		`"place_is":{"audio":"noisy","video":"ok","text":"ok"},"place_type":["restaurant"],"privacy":["text"],"sphere":"home","status_icon":"https://example.com/i.png",` +
		`"time_offset":-300,"time_zone":"America/New_York","class":"private","info":{"display_names":[{"text":"Alice"}],"card":"https://example.com/c",` +
		`"homepage":"https://example.com/","icon":"https://example.com/i","map":"https://example.com/m","sound":"https://example.com/s"},"qualified":[`
	for i, q := range []string{
		`"activities","values":["lunch","gardening"]`, `"mood","values":["in_love"]`, `"place_is","values":["audio=noisy","video=ok","text=ok"]`, `"place_type","values":["restaurant"]`,
		`"privacy","values":["text"]`, `"sphere","values":["home"]`, `"status_icon","values":["https://example.com/i.png"]`, `"time_offset","values":["-300"]`,
	} {
		if i > 0 {
			want += ","
		}
		want += `{"element":` + q + `,"from":"2026-11-22T12:00:00.000Z","until":"2026-11-22T14:00:00.000Z"}`
	}
	want += `]}],"devices":[{"id":"phone","device_id":"urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a","timestamp":"2026-11-22T12:00:00.000Z","class":"private",` +
		`"capabilities":{"supported":{"mobility":["mobile"]}}}],"extensions":[{"namespace":"urn:example:x","name":"a","xml":"<x:a xmlns:x=\"urn:example:x\">&lt;</x:a>"}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	t.Run("a document in a value is shown the same", func(t *testing.T) {
		outer, err := json.Marshal(struct {
			Document Document `json:"document"`
		}{*d})
		var back struct{ Document View }
		if err != nil || json.Unmarshal(outer, &back) != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d.View(), back.Document); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what is not told is absent", func(t *testing.T) {
		got, err := json.Marshal(&Document{Entity: alice})
		if want := `{"entity":"sip:alice@example.com"}`; err != nil || string(got) != want {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

func TestFacts(t *testing.T) {
	s := full()
	s.Relationship = "friend"
	d, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	d.Tuples = append(d.Tuples, Tuple{ID: "t2", Basic: Closed})
	for key, want := range map[string]string{
		"entity": alice, "basic": "open closed", "contact": "sip:alice@192.0.2.1", "priority": "0.8", "id": "imp-1 t2 alice phone", "note": "At lunch",
		"activity": "lunch gardening", "mood": "in_love", "place_type": "restaurant", "place_is": "audio=noisy video=ok text=ok", "sphere": "home", "privacy": "text",
		"class": "private private private", "user_input": "idle", "status_icon": "https://example.com/i.png", "time_offset": "-300", "relationship": "friend",
		"service_class": "electronic", "device_id": "urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a",
		"display_name": "Alice", "card": "https://example.com/c", "homepage": "https://example.com/", "icon": "https://example.com/i", "map": "https://example.com/m",
		"sound": "https://example.com/s", "method": "MESSAGE",
	} {
		if got := strings.Join(d.Facts(key), " "); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
		if !slices.Contains(FactKeys(), key) {
			t.Errorf("%s is no key", key)
		}
	}
	if n := len(FactKeys()); n != 26 {
		t.Errorf("%d keys, some are not tested", n)
	}
	if d.Facts("unheard-of") != nil {
		t.Error("a key that is none has values")
	}
}
