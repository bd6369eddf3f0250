package pidf

import (
	"strings"
	"testing"
	"time"
)

func TestAdvance(t *testing.T) {
	tuple := func(id, basic, timestamp string) string {
		if timestamp != "" {
			timestamp = "<timestamp>" + timestamp + "</timestamp>"
		}
		return `<tuple id="` + id + `"><status><basic>` + basic + `</basic></status>` + timestamp + `</tuple>`
	}
	const ten, eleven, later = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T12:00:00.001Z"
	for _, c := range []struct {
		name, prev, next, want string
		now                    time.Time
	}{
		{"PDF-014 a new timestamp stays as published", tuple("t", "open", ten), tuple("t", "closed", eleven), tuple("t", "closed", eleven), noon},
		{"PDF-014 an old timestamp of a changed tuple becomes now", tuple("t", "open", ten), tuple("t", "closed", ten), tuple("t", "closed", "2026-11-22T12:00:00Z"), noon},
		{"PDF-014 so does one that went back", tuple("t", "open", eleven), tuple("t", "closed", ten), tuple("t", "closed", "2026-11-22T12:00:00Z"), noon},
		{"PDF-014 a second change within the same moment", tuple("t", "open", "2026-11-22T12:00:00Z"), tuple("t", "closed", ten), tuple("t", "closed", later), noon},
		{"PDF-014 what was made newer stays so as long as the tuple does", tuple("t", "closed", later) + tuple("u", "open", ten), tuple("t", "closed", ten) + tuple("u", "closed", eleven), tuple("t", "closed", later) + tuple("u", "closed", eleven), noon},
		{"PDF-014 an unchanged tuple keeps its own newer timestamp", tuple("t", "open", ten), tuple("t", "open", eleven), tuple("t", "open", eleven), noon},
		{"PDF-014 tuples without timestamp get none", tuple("t", "open", ""), tuple("t", "closed", ""), tuple("t", "closed", ""), noon},
		{"PDF-014 other tuples are not touched", tuple("u", "open", ten), tuple("t", "closed", ten), tuple("t", "closed", ten), noon},
		{"PDF-014 milliseconds of now", tuple("t", "open", ten), tuple("t", "closed", ten), tuple("t", "closed", "2026-11-22T12:00:00.123Z"), noon.Add(123_456_789)},
		{
			"PDF-014 persons have timestamps too",
			`<dm:person id="p"><dm:note>a</dm:note><dm:timestamp>` + ten + `</dm:timestamp></dm:person>`, `<dm:person id="p"><dm:note>b</dm:note><dm:timestamp>` + ten + `</dm:timestamp></dm:person>`,
			`<dm:person id="p"><dm:note>b</dm:note><dm:timestamp>2026-11-22T12:00:00Z</dm:timestamp></dm:person>`, noon,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			prev, _ := Compose(alice, []Input{{Key: "a", Doc: in(c.prev)}}, time.Time{}, Policy{})
			next, _ := Compose(alice, []Input{{Key: "a", Doc: in(c.next)}}, time.Time{}, Policy{})
			got := Advance(prev, next, c.now)
			if body(string(got)) != c.want {
				t.Errorf("got  %s\nwant %s", body(string(got)), c.want)
			}
			if c.want == c.next && &got[0] != &next[0] {
				t.Error("a document without anything to do is copied")
			}
			if again := Advance(got, next, c.now.Add(time.Hour)); body(string(again)) != c.want {
				t.Errorf("the same state later is %s", body(string(again)))
			}
		})
	}
	t.Run("PDF-014 many tuples", func(t *testing.T) {
		var before, after strings.Builder
		for _, id := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			before.WriteString(tuple(id, "open", ten))
			after.WriteString(tuple(id, "closed", ten))
		}
		got := string(Advance(in(before.String()), in(after.String()), noon))
		if strings.Contains(got, ten) || strings.Count(got, "2026-11-22T12:00:00Z") != 26 {
			t.Errorf("got %s", got)
		}
	})
	t.Run("nothing before", func(t *testing.T) {
		next := in(tuple("t", "open", ten))
		if got := Advance(nil, next, noon); &got[0] != &next[0] {
			t.Error("changed")
		}
	})
}
