package cli

import (
	"strings"
	"testing"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/doc/rlmi"
)

func TestBoard(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := &board{style: &kit.Style{Zone: time.UTC}, now: func() time.Time { return now }, width: 100}
	presence := func(uri, basic, activity, note string) *notifyEvent {
		d, err := pidf.Read([]byte(`<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="` + uri + `"><tuple id="t"><status><basic>` + basic + `</basic></status><note>` + note + `</note><timestamp>2026-03-01T10:00:00Z</timestamp></tuple><dm:person id="p"><rpid:activities><rpid:` + activity + `/></rpid:activities></dm:person></presence>`))
		if err != nil {
			t.Fatal(err)
		}
		return &notifyEvent{Resource: uri, List: "sip:list@x", State: "active", presence: d}
	}
	list := func(full bool, uris ...string) *notifyEvent {
		l := &rlmi.List{URI: "sip:list@x", FullState: full}
		for _, u := range uris {
			l.Resources = append(l.Resources, rlmi.Resource{URI: u})
		}
		return &notifyEvent{Resource: "sip:list@x", State: "active", list: l}
	}
	draw := func(events ...*notifyEvent) string {
		for _, e := range events {
			b.Update(e)
		}
		return b.View().Content
	}
	lines := func(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

	if got := draw(); !strings.Contains(got, "nothing has come yet") {
		t.Error(got)
	}
	bob := presence("sip:bob@x", "open", "busy", strings.Repeat("n", 200))
	bob.Name = "Bob\x1b[31m"
	carol := &notifyEvent{Resource: "sip:carol@x", List: "sip:list@x", State: "terminated", Reason: "rejected"}
	got := lines(draw(list(true, "sip:bob@x", "sip:carol@x"), bob, carol))
	if len(got) != 3 || !strings.HasPrefix(got[0], "WHO") || strings.Contains(got[1], "\x1b") {
		t.Fatalf("%q", got)
	}
	for _, want := range []string{"Bob", "open", "busy", "10:00", "nnn…"} {
		if !strings.Contains(got[1], want) {
			t.Errorf("%q has no %s", got[1], want)
		}
	}
	if len([]rune(got[1])) > 100 {
		t.Errorf("the line has %d characters", len([]rune(got[1])))
	}
	if !strings.HasPrefix(got[2], "carol@x") || !strings.Contains(got[2], "terminated (rejected)") {
		t.Errorf("%q", got[2])
	}
	got = lines(draw(presence("sip:bob@x", "closed", "away", "gone"), list(false, "sip:bob@x")))
	if len(got) != 3 || !strings.Contains(got[1], "closed") || !strings.Contains(got[1], "Bob") || strings.Contains(got[1], "busy") {
		t.Errorf("%q", got)
	}
	other := presence("sip:dan@y", "open", "busy", "not of the list")
	other.List = ""
	if got = lines(draw(other, list(true, "sip:carol@x"))); len(got) != 3 || strings.Contains(got[1], "Bob") || !strings.Contains(got[2], "dan@y") {
		t.Errorf("who left the list, or was never in it: %q", got)
	}
	if got := lines(draw(&notifyEvent{Resource: "sip:dan@y", State: "pending"})); strings.Contains(got[2], "open") || !strings.Contains(got[2], "pending") {
		t.Errorf("%q", got)
	}
}
