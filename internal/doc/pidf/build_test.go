package pidf

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func minutes(n int) *int { return &n }

// full is a state with everything.
func full() State {
	return State{
		Entity: alice, Timestamp: noon, Notes: []Note{{"en", "At lunch"}},
		TupleID: "imp-1", Basic: Open, Contact: "sip:alice@192.0.2.1", Priority: "0.8", ServiceClass: "electronic",
		Capabilities: &Capabilities{Flags: map[string]bool{"message": true}, Support: map[string]Support{"methods": {Yes: []string{"MESSAGE"}}}},
		Timed:        []TimedStatus{{From: noon.Add(time.Hour), Basic: Closed}},
		PersonID:     "alice", Activities: []string{"lunch", "other:gardening"}, Mood: []string{"in_love"}, PlaceType: []string{"restaurant"},
		PlaceAudio: "noisy", PlaceVideo: "ok", PlaceText: "ok", Privacy: []string{"text"}, Sphere: "home", StatusIcon: "https://example.com/i.png",
		TimeOffset: minutes(-300), TimeZone: "America/New_York", From: noon, Until: noon.Add(2 * time.Hour),
		Info: ContactInfo{
			Card: "https://example.com/c", Homepage: "https://example.com/", Icon: "https://example.com/i", Map: "https://example.com/m",
			Sound: "https://example.com/s", Names: []Note{{"", "Alice"}},
		},
		DeviceID: "urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a", DeviceElementID: "phone", Mobility: "mobile", Class: "private",
		UserInput: "idle", IdleThreshold: 10 * time.Minute, LastInput: noon.Add(-time.Hour),
	}
}

func build(t *testing.T, s State) string {
	t.Helper()
	d, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(d.Bytes())
}

func TestNew(t *testing.T) {
	doc := build(t, full())
	mustBeValid(t, []byte(doc))
	flat := strings.Join(strings.FieldsFunc(doc, func(r rune) bool { return r == '\n' }), "")
	for strings.Contains(flat, "> ") {
		flat = strings.ReplaceAll(flat, "> ", ">")
	}
	between := func(from, to string) string {
		_, rest, _ := strings.Cut(flat, from)
		content, _, _ := strings.Cut(rest, to)
		return content
	}
	tuple, person, device := between("<tuple ", "</tuple>"), between("<dm:person ", "</dm:person>"), between("<dm:device ", "</dm:device>")

	t.Run("PDF-001 begins with the XML declaration", func(t *testing.T) {
		if !strings.HasPrefix(doc, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<presence ") {
			t.Errorf("got %s", doc)
		}
	})
	t.Run("PDF-036 PDF-025 PDF-029 PDF-064 elements stand where table 1 puts them", func(t *testing.T) {
		for element, where := range map[string][3]bool{
			"rpid:activities": {false, true, false}, "rpid:mood": {false, true, false}, "rpid:place-is": {false, true, false}, "rpid:place-type": {false, true, false},
			"rpid:sphere": {false, true, false}, "rpid:time-offset": {false, true, false}, "dm:deviceID": {true, false, true}, "rpid:service-class": {true, false, false},
			"rpid:privacy": {false, true, false}, "rpid:status-icon": {false, true, false}, "rpid:class": {true, true, true}, "rpid:user-input": {true, false, false},
			"ts:timed-status": {true, false, false}, "c:card": {false, true, false}, "caps:servcaps": {true, false, false}, "caps:devcaps": {false, false, true},
		} {
			got := [3]bool{strings.Contains(tuple, "<"+element), strings.Contains(person, "<"+element), strings.Contains(device, "<"+element)}
			if got != where {
				t.Errorf("%s: in tuple, person, device %v, want %v", element, got, where)
			}
		}
	})
	t.Run("PDF-037 from and until qualify what takes them", func(t *testing.T) {
		if n := strings.Count(person, ` from="2026-11-22T12:00:00Z" until="2026-11-22T14:00:00Z"`); n != 8 {
			t.Errorf("%d elements have them: %s", n, person)
		}
	})
	t.Run("PDF-040 lunch is written as meal", func(t *testing.T) {
		if !strings.Contains(person, "<rpid:meal/><rpid:other>gardening</rpid:other>") || strings.Contains(doc, "lunch/") {
			t.Errorf("got %s", person)
		}
	})
	t.Run("PDF-010 PDF-013 PDF-071 contact, timestamp and capabilities", func(t *testing.T) {
		for _, want := range []string{
			`<contact priority="0.8">sip:alice@192.0.2.1</contact>`, `<timestamp>2026-11-22T12:00:00Z</timestamp>`, `<note xml:lang="en">At lunch</note>`,
			`<caps:message>true</caps:message><caps:methods><caps:supported><caps:MESSAGE/></caps:supported></caps:methods>`,
		} {
			if !strings.Contains(tuple, want) {
				t.Errorf("no %s in %s", want, tuple)
			}
		}
	})
	t.Run("PDF-050 PDF-051 time-offset and user-input", func(t *testing.T) {
		if !strings.Contains(person, `description="America/New_York"`) || !strings.Contains(person, ">-300<") {
			t.Errorf("got %s", person)
		}
		if want := `<rpid:user-input idle-threshold="600" last-input="2026-11-22T11:00:00Z">idle<`; !strings.Contains(tuple, want) {
			t.Errorf("got %s", tuple)
		}
	})
	t.Run("PDF-051 last-input can be left out", func(t *testing.T) {
		if doc := build(t, State{Entity: alice, Basic: Open, UserInput: "idle"}); !strings.Contains(doc, "<rpid:user-input>idle<") {
			t.Errorf("got %s", doc)
		}
	})
	t.Run("PDF-007 PDF-014 the same state has the same bytes, another time another timestamp", func(t *testing.T) {
		s := full()
		if again := build(t, s); again != doc {
			t.Errorf("got %s", again)
		}
		s.Timestamp = noon.Add(time.Millisecond)
		if again := build(t, s); !strings.Contains(again, "<timestamp>2026-11-22T12:00:00.001Z<") {
			t.Errorf("got %s", again)
		}
	})
	t.Run("PDF-060 contact information of somebody else is in the tuple", func(t *testing.T) {
		s := full()
		s.Relationship = "other:my barber"
		doc := build(t, s)
		tuple, rest, _ := strings.Cut(doc, "</tuple>")
		if !strings.Contains(tuple, "<rpid:other>my barber</rpid:other>") || !strings.Contains(tuple, "<c:card>") || strings.Contains(rest, "<c:card>") {
			t.Errorf("got %s", doc)
		}
	})
	t.Run("PDF-046 self is not written", func(t *testing.T) {
		s := full()
		s.Relationship = "self"
		if got := build(t, s); got != doc {
			t.Errorf("got %s", got)
		}
	})
	t.Run("only the namespaces used are declared", func(t *testing.T) {
		doc := build(t, State{Entity: alice, Basic: Closed})
		if strings.Count(doc, "xmlns") != 1 {
			t.Errorf("got %s", doc)
		}
	})
}

func TestNewParts(t *testing.T) {
	for _, c := range []struct {
		name  string
		state State
		want  [4]int // notes of the presentity, tuples, persons, devices
	}{
		{"PDF-004 nothing", State{}, [4]int{0, 0, 0, 0}},
		{"PDF-012 a note alone is the presentity's", State{Notes: []Note{{"en", "n"}}}, [4]int{1, 0, 0, 0}},
		{"PDF-029 an activity needs no service", State{Activities: []string{"busy"}, Notes: []Note{{"", "n"}}}, [4]int{0, 0, 1, 0}},
		{"PDF-029 a class alone is the person's", State{Class: "a"}, [4]int{0, 0, 1, 0}},
		{"PDF-027 a device is referred to", State{Basic: Open, DeviceID: "urn:uuid:1"}, [4]int{0, 1, 0, 0}},
		{"PDF-027 a device alone", State{DeviceID: "urn:uuid:1", UserInput: "idle"}, [4]int{0, 0, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.state.Entity = alice
			doc := build(t, c.state)
			if err := Check([]byte(doc)); err != nil {
				t.Error(err)
			}
			d, err := Parse([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			if got := [4]int{len(d.Notes), len(d.Tuples), len(d.Persons), len(d.Devices)}; got != c.want {
				t.Errorf("got %v, want %v: %s", got, c.want, doc)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*State)
		want   string
	}{
		{"PDF-002 entity", func(s *State) { s.Entity = "alice" }, `entity "alice" is no URI`},
		{"PDF-009 basic in capitals", func(s *State) { s.Basic = "OPEN" }, `basic "OPEN" is not one of open, closed`},
		{"PDF-009 contact without basic", func(s *State) { *s = State{Entity: alice, Contact: "sip:a@b"} }, "needs its basic status: open or closed"},
		{"PDF-011 priority", func(s *State) { s.Priority = "1.5" }, `priority "1.5" is no number from 0 to 1`},
		{"PDF-008 id", func(s *State) { s.TupleID = "1" }, `id "1" is no NCName`},
		{"PDF-006 ids", func(s *State) { s.TupleID = "alice" }, `id "alice" is given twice`},
		{"PDF-040 activity", func(s *State) { s.Activities = []string{"gaming"} }, `activities "gaming" is not one of appointment, away, `},
		{"PDF-040 unknown with others", func(s *State) { s.Activities = []string{"unknown", "busy"} }, "activities unknown does not go with other values"},
		{"PDF-042 mood", func(s *State) { s.Mood = []string{"in-love"} }, "in_love"},
		{"PDF-041 other without text", func(s *State) { s.Mood = []string{"other:"} }, "other:TEXT"},
		{"PDF-043 place", func(s *State) { s.PlaceAudio = "dark" }, `place-audio "dark" is not one of noisy, ok, quiet, unknown`},
		{"PDF-044 place-type", func(s *State) { s.PlaceType = []string{"cave"} }, "aircraft, airport"},
		{"PDF-045 privacy", func(s *State) { s.Privacy = []string{"unknown", "audio"} }, "privacy unknown"},
		{"PDF-046 relationship", func(s *State) { s.Relationship = "boss" }, "supervisor"},
		{"PDF-047 postal with contact", func(s *State) { s.ServiceClass = "postal" }, "the service-class postal must not have a contact"},
		{"PDF-048 sphere", func(s *State) { s.Sphere = "bowling" }, `sphere "bowling" is not one of home, work, unknown`},
		{"PDF-050 time-offset", func(s *State) { s.TimeOffset = minutes(900) }, "between -840 and 840"},
		{"PDF-051 user-input", func(s *State) { s.UserInput = "away" }, "active, idle"},
		{"PDF-051 last-input without user-input", func(s *State) { s.UserInput = "" }, "need user-input"},
		{"PDF-051 threshold", func(s *State) { s.IdleThreshold = time.Millisecond }, "whole seconds"},
		{"PDF-037 span of nothing", func(s *State) { *s = State{Entity: alice, Basic: Open, From: noon} }, "from and until qualify"},
		{"PDF-037 span backwards", func(s *State) { s.Until = s.From }, "is not before until"},
		{"PDF-027 device id", func(s *State) { s.DeviceID = "mac:1" }, `device id "mac:1" is no URN`},
		{"PDF-055 timed-status without from", func(s *State) { s.Timed = []TimedStatus{{Basic: Open}} }, "timed status: from is missing"},
		{"PDF-056 timed-status that covers now", func(s *State) { s.Timed[0].From = noon }, "the time now is in it"},
		{"PDF-056 timed-status past without end", func(s *State) { s.Timed[0].From = noon.Add(-time.Hour) }, "the time now is in it"},
		{"PDF-060 card", func(s *State) { s.Info.Card = "card.vcf" }, `card "card.vcf" is no absolute URI`},
		{"PDF-066 flag", func(s *State) { s.Capabilities.Flags["im"] = true }, `capability "im" is not one of application`},
		{"PDF-068 method", func(s *State) { s.Capabilities.Support["methods"] = Support{No: []string{"FOO"}} }, `methods "FOO" is not one of ACK`},
		{"PDF-069 type", func(s *State) { s.Capabilities.Types = []string{"Text/Plain"} }, "lower case"},
		{"PDF-035 language", func(s *State) { s.Notes[0].Lang = "en_US" }, `"en_US" is no language tag`},
		{"PDF-013 year", func(s *State) { s.Timestamp = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "cannot be written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := full()
			c.change(&s)
			if d, err := New(s); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it: %v", err, c.want, d)
			}
		})
	}
}

// Every value that is offered can be published and is read back.
func TestValues(t *testing.T) {
	fields := map[string]func(*State, string){
		"basic":         func(s *State, v string) { s.Basic = v },
		"activities":    func(s *State, v string) { s.Activities = []string{v} },
		"mood":          func(s *State, v string) { s.Mood = []string{v} },
		"place-type":    func(s *State, v string) { s.PlaceType = []string{v} },
		"place-audio":   func(s *State, v string) { s.PlaceAudio = v },
		"place-video":   func(s *State, v string) { s.PlaceVideo = v },
		"place-text":    func(s *State, v string) { s.PlaceText = v },
		"privacy":       func(s *State, v string) { s.Privacy = []string{v} },
		"sphere":        func(s *State, v string) { s.Sphere = v },
		"relationship":  func(s *State, v string) { s.Relationship = v },
		"service-class": func(s *State, v string) { s.ServiceClass = v },
		"user-input":    func(s *State, v string) { s.UserInput = v },
		"mobility":      func(s *State, v string) { s.Mobility, s.DeviceID = v, "urn:uuid:1" },
	}
	for _, name := range []string{"actor", "class", "duplex", "event-packages", "extensions", "methods"} {
		fields[name] = func(s *State, v string) {
			s.Capabilities = &Capabilities{Support: map[string]Support{name: {No: []string{v}}}}
		}
	}
	var docs [][]byte
	for element, set := range fields {
		values := Values(element)
		if len(values) < 2 {
			t.Errorf("%s has the values %v", element, values)
		}
		for _, value := range values {
			t.Run(fmt.Sprintf("PDF-040 PDF-042 %s %s", element, value), func(t *testing.T) {
				s := State{Entity: alice, Basic: Open}
				set(&s, strings.Replace(value, "TEXT", "gar&dening", 1))
				doc := build(t, s)
				docs = append(docs, []byte(doc))
				want := strings.TrimPrefix(value, "other:")
				want = strings.NewReplacer("lunch", "meal", "TEXT", "gar&amp;dening").Replace(want)
				if value != "self" && !strings.Contains(doc, want) {
					t.Errorf("no %s in %s", want, doc)
				}
			})
		}
	}
	if got := len(Values("mood")); got != 61 { // 59 moods, unknown, other:TEXT
		t.Errorf("%d moods", got)
	}
	if got := len(Values("activities")); got != 27 {
		t.Errorf("%d activities", got)
	}
	mustBeValid(t, docs...)
}
