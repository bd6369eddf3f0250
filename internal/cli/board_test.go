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

func TestListEvents(t *testing.T) {
	k := &kit.Kit{}
	body := func(version string, full bool, resources, parts string) *notifyEvent {
		state := "false"
		if full {
			state = "true"
		}
		src := "--b\r\nContent-ID: <root>\r\nContent-Type: application/rlmi+xml\r\n\r\n" +
			`<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:list@x" version="` + version + `" fullState="` + state + `">` + resources + "</list>\r\n" + parts + "--b--\r\n"
		return &notifyEvent{Resource: "sip:list@x", State: "active", BodyType: `multipart/related;type="application/rlmi+xml";boundary=b`, body: []byte(src)}
	}
	active := `<resource uri="sip:bob@x"><name>Bob</name><instance id="1" state="active" cid="c"/></resource>`
	part := "--b\r\nContent-Id: <c>\r\nContent-Type: application/pidf+xml;charset=\"UTF-8\"\r\n\r\n" + `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@x"/>` + "\r\n"
	tables := &listTables{}
	take := func(e *notifyEvent, dialog string) *notifyEvent {
		t.Helper()
		if err := tables.expand(k, e, dialog); err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := take(body("0", true, active+`<resource uri="sip:carol@x"/><resource uri="sip:dan@x"><instance id="1" state="pending"/><instance id="2" state="terminated" reason="rejected"/></resource>`, part), "one")
	if len(e.members) != 4 || e.missed || e.known != 3 || len(e.all()) != 5 {
		t.Fatalf("%+v", e)
	}
	if m := e.members[0]; m.presence == nil || m.Name != "Bob" || m.List != "sip:list@x" || m.BodyType != "application/pidf+xml" || m.Raw() != nil {
		t.Errorf("%+v", m)
	}
	if m := e.members[1]; m.State != "unknown" {
		t.Errorf("%+v", m)
	}
	if a, b := e.members[2], e.members[3]; a.Instance != "1" || b.Instance != "2" || b.Reason != "rejected" || a.State != "pending" {
		t.Errorf("%+v %+v", a, b)
	}
	t.Run("RLS-008 a gap is missed, what is old is not told, another dialog begins anew", func(t *testing.T) {
		if e := take(body("1", false, active, part), "one"); e.missed || len(e.members) != 1 {
			t.Errorf("%+v", e)
		}
		if e := take(body("3", false, active, part), "one"); !e.missed || len(e.members) != 1 {
			t.Errorf("%+v", e)
		}
		if e := take(body("3", true, active, part), "one"); e.missed || len(e.members) != 0 {
			t.Errorf("%+v", e)
		}
		if e := take(body("0", true, active, part), "two"); e.missed || len(e.members) != 1 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("RLS-011 a list in a list has its own versions", func(t *testing.T) {
		nested := func(version, inner string) string {
			return "--b\r\nContent-ID: <n>\r\nContent-Type: multipart/related;type=\"application/rlmi+xml\";boundary=c\r\n\r\n--c\r\nContent-Type: application/rlmi+xml\r\n\r\n" +
				`<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:inner@x" version="` + version + `" fullState="` + inner + `"><resource uri="sip:eve@x"/></list>` + "\r\n--c--\r\n"
		}
		row := `<resource uri="sip:inner@x"><instance id="1" state="active" cid="n"/></resource>`
		e := take(body("1", false, row, nested("7", "true")), "two")
		if len(e.members) != 1 || len(e.members[0].members) != 1 || e.missed {
			t.Fatalf("%+v", e)
		}
		if m := e.members[0].members[0]; m.Resource != "sip:eve@x" || m.List != "sip:inner@x" {
			t.Errorf("%+v", m)
		}
		if e := take(body("2", false, row, nested("9", "false")), "two"); !e.missed {
			t.Error("the gap of the inner list is not seen")
		}
	})
	if err := tables.expand(k, &notifyEvent{BodyType: "multipart/related;boundary=b", body: []byte("x")}, "two"); err == nil {
		t.Error("no list is one")
	}
}
