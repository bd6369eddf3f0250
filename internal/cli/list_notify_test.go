package cli

import (
	"strings"
	"testing"

	"imp/internal/cli/kit"
	"imp/internal/doc/lists"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

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

func TestUnderstandLists(t *testing.T) {
	form := func(pkg string, accept ...string) *event.SubscribeOptions {
		o := &event.SubscribeOptions{Event: header.Event{Package: pkg}, Accept: accept, MultipleDialogs: true}
		understandLists(o)
		return o
	}
	t.Run("RLS-004 a list has one dialog, however a SUBSCRIBE forks", func(t *testing.T) {
		for _, o := range []*event.SubscribeOptions{form("presence"), form("presence.winfo", "application/watcherinfo+xml", "multipart/related", "application/rlmi+xml")} {
			if o.MultipleDialogs || len(o.Fields) != 1 {
				t.Errorf("%+v", o)
			}
		}
		if o := form("presence.winfo"); !o.MultipleDialogs || len(o.Fields) != 0 || o.Accept != nil {
			t.Errorf("%+v", o)
		}
	})
	t.Run("RLS-002 who names types says by them whether he takes lists", func(t *testing.T) {
		for accept, lists := range map[string]bool{"application/pidf+xml": false, "multipart/related": false, "*/*": true, "multipart/related, application/rlmi+xml": true} {
			if o := form("presence", accept); (len(o.Fields) > 0) != lists {
				t.Errorf("%s: %+v", accept, o)
			}
		}
	})
	t.Run("RLS-058 RLS-059 RLS-060 a list that goes along is flat", func(t *testing.T) {
		o := form("presence")
		bringList(o, []string{"sip:bob@x", "sip:carol@x"})
		d, err := lists.Parse(o.Body)
		if err != nil || d.CheckRecipients() != nil || len(lists.Recipients(d)) != 2 || o.BodyType != lists.MediaType {
			t.Fatalf("%v\n%s", err, o.Body)
		}
		if got := strings.Join(o.Accept, " "); got != "application/pidf+xml multipart/related application/rlmi+xml" {
			t.Error(got)
		}
		for i, want := range []string{"Require: recipient-list-subscribe", "Content-Disposition: recipient-list"} {
			if got := o.BodyFields[i].Name + ": " + o.BodyFields[i].Value; got != want {
				t.Error(got)
			}
		}
		other := form("dialog")
		bringList(other, []string{"sip:bob@x"})
		if len(other.Fields) != 1 || len(other.Accept) != 2 {
			t.Errorf("%+v", other)
		}
	})
}
