package presence_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/pidf"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// filters is a document of filters, with p for PIDF and r for RPID.
func filters(inside string) string {
	return `<filter-set xmlns="urn:ietf:params:xml:ns:simple-filter"><ns-bindings><ns-binding prefix="p" urn="urn:ietf:params:xml:ns:pidf"/>` +
		`<ns-binding prefix="r" urn="urn:ietf:params:xml:ns:pidf:rpid"/></ns-bindings>` + inside + `</filter-set>`
}

const (
	onlyNotes  = `<what><include>//p:note</include></what>`
	whenOpened = `<trigger><changed from="closed" to="open">//p:basic</changed></trigger>`
	ofFilters  = "Content-Type: application/simple-filter+xml"
)

// desk is a document with a note and a contact.
func desk(basic, note string) string {
	return `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="t"><status><basic>` + basic +
		`</basic></status><contact>sip:desk@example.com</contact><note>` + note + `</note></tuple></presence>`
}

// send is ask with a body.
func (p *phone) send(body string, lines ...string) *sip.Response {
	p.s.t.Helper()
	p.seq++
	to := "To: sip:alice@example.com"
	if p.toTag != "" {
		to += ";tag=" + p.toTag
	}
	head := []string{"SUBSCRIBE sip:alice@example.com SIP/2.0", "Via: SIP/2.0/UDP " + p.conn.LocalAddr().String() + ";branch=z9hG4bK" + stack.NewTag(),
		"Max-Forwards: 10", "From: sip:bob@example.com;tag=b", to, "Call-ID: " + p.callID, fmt.Sprintf("CSeq: %d SUBSCRIBE", p.seq), "Event: presence",
		"Contact: <sip:bob@" + p.conn.LocalAddr().String() + ">", fmt.Sprintf("Content-Length: %d", len(body))}
	p.write(strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n" + body)
	res := p.read().(*sip.Response)
	if p.toTag == "" && res.IsSuccess() {
		p.toTag, _ = res.To().Params.Get("tag")
	}
	return res
}

// filter sends filters and takes the NOTIFY that tells what they leave.
func (p *phone) filter(inside string, lines ...string) *sip.Request {
	p.s.t.Helper()
	body := ""
	if inside != "" {
		body, lines = filters(inside), append(lines, ofFilters)
	}
	if res := p.send(body, lines...); res.StatusCode != 200 {
		p.s.t.Fatalf("FLT-029: answered %s", res)
	}
	return p.notified()
}

// shows fails unless a NOTIFY has a valid document with some words and, marked
// with "-", without others.
func (p *phone) shows(r *sip.Request, words ...string) {
	p.s.t.Helper()
	body := string(r.Body())
	if err := pidf.Check(r.Body()); err != nil {
		p.s.t.Fatalf("FLT-037: %v in\n%s", err, body)
	}
	for _, w := range words {
		if rest, absent := strings.CutPrefix(w, "-"); absent == strings.Contains(body, rest) {
			p.s.t.Fatalf("%s is there: %v, in\n%s", rest, absent, body)
		}
	}
}

func TestFilters(t *testing.T) {
	begin := func(t *testing.T) (*site, *event.Publisher, *phone) {
		s := newSite(t, nil)
		alice := s.publisher(s.user("alice"), "alice")
		s.publish(alice, desk("closed", "one"))
		return s, alice, s.phone()
	}
	t.Run("FLT-026 FLT-029 FLT-021 a filter without URI is for the Request-URI", func(t *testing.T) {
		s, alice, p := begin(t)
		p.shows(p.filter(`<filter id="1">`+onlyNotes+`</filter>`), "one", "-contact")
		s.publish(alice, desk("open", "two"))
		p.shows(p.notified(), "two", "-contact")
	})
	t.Run("FLT-018 a subscriber sends it in the body", func(t *testing.T) {
		s, _, _ := begin(t)
		sub := s.watch(s.user("bob"), "sip:alice@example.com", func(o *event.SubscribeOptions) {
			o.Body, o.BodyType = []byte(filters(`<filter id="1">`+onlyNotes+`</filter>`)), "application/simple-filter+xml"
		})
		if n := s.next(sub); strings.Contains(string(n.Body), "contact") || !strings.Contains(string(n.Body), "one") {
			t.Fatalf("%s", n.Body)
		}
	})
	t.Run("FLT-034 FLT-035 a trigger is for changes, not for the first NOTIFY", func(t *testing.T) {
		s, alice, p := begin(t)
		first := p.filter(`<filter id="1">` + onlyNotes + whenOpened + `</filter>`)
		p.shows(first, "one", "-contact")
		s.publish(alice, desk("closed", "two"))
		s.publish(alice, desk("open", "three"))
		n := p.notified()
		p.shows(n, "three", "-contact")
		if n.CSeq().SeqNo != first.CSeq().SeqNo+1 {
			t.Errorf("a change that does not fire was told")
		}
		s.publish(alice, desk("closed", "four"))
		p.shows(p.filter(""), "four", "-contact") // a refresh
	})
	t.Run("FLT-009 what counts is what was told last", func(t *testing.T) {
		s, alice, p := begin(t)
		first := p.filter(`<filter id="1"><trigger><changed>//p:basic</changed></trigger></filter>`)
		s.publish(alice, desk("open", "two"))
		p.shows(p.notified(), "two", "open")
		for i := range 6 { // of more, told together, what was told last may be forgotten, and the state is told again
			s.publish(alice, desk("open", fmt.Sprint("note ", i)))
		}
		s.publish(alice, desk("closed", "four"))
		n := p.notified()
		p.shows(n, "four", "closed")
		if n.CSeq().SeqNo != first.CSeq().SeqNo+2 {
			t.Error("a change that does not fire was told")
		}
	})
	t.Run("FLT-036 nothing selected is a NOTIFY without body", func(t *testing.T) {
		s, alice, p := begin(t)
		if n := p.filter(`<filter id="1"><what><include>//r:mood</include></what></filter>`); n.Body() != nil && len(n.Body()) > 0 || n.ContentType() != nil {
			t.Fatalf("%s", n)
		}
		s.publish(alice, `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:x@example.com"><dm:person id="p"><r:mood><r:happy/></r:mood></dm:person></presence>`)
		p.shows(p.notified(), "happy")
	})
	t.Run("FLT-042 a filter that is not enabled is none", func(t *testing.T) {
		_, _, p := begin(t)
		p.shows(p.filter(`<filter id="1" enabled="false">`+onlyNotes+`</filter>`), "one", "contact")
	})
	t.Run("FLT-032 the domain that is served counts, another does not", func(t *testing.T) {
		_, _, p := begin(t)
		p.shows(p.filter(`<filter id="1" domain="example.net">`+onlyNotes+`</filter>`), "one", "contact")
		p.shows(p.filter(`<filter id="2" domain="EXAMPLE.com">`+onlyNotes+`</filter>`), "one", "-contact")
	})
	t.Run("FLT-031 FLT-049 the filter for the presentity overrides that of its domain, one for another is ignored", func(t *testing.T) {
		_, _, p := begin(t)
		p.shows(p.filter(`<filter id="1" uri="sip:carol@example.com">`+onlyNotes+`</filter>`), "contact")
		p.shows(p.filter(`<filter id="2" domain="example.com">`+onlyNotes+`</filter>`), "-contact")
		p.shows(p.filter(`<filter id="3" uri="pres:alice@example.com"><what><exclude>//p:note</exclude></what></filter>`), "contact", "-one")
	})
}

func TestFiltersOfASubscriptionChange(t *testing.T) {
	t.Run("FLT-022 FLT-033 kept, replaced, disabled, enabled, removed", func(t *testing.T) {
		s := newSite(t, nil)
		s.publish(s.publisher(s.user("alice"), "alice"), desk("closed", "one"))
		p := s.phone()
		p.shows(p.filter(`<filter id="1">`+onlyNotes+`</filter>`), "one", "-contact")
		p.shows(p.filter(""), "one", "-contact")
		p.shows(p.filter(`<filter id="1"><what><include>//p:basic</include></what></filter>`), "-one", "basic")
		p.shows(p.filter(`<filter id="1" enabled="false"/>`), "one", "contact")
		p.shows(p.filter(""), "one", "contact")
		p.shows(p.filter(`<filter id="1" enabled="true"/>`), "-one", "basic")
		p.shows(p.filter(`<filter id="1" remove="true"/>`), "one", "contact")
		p.shows(p.filter(`<filter id="2">`+onlyNotes+`</filter>`), "one", "-contact")
	})
	t.Run("FLT-023 FLT-030 two for one resource are 488, and all stays as it was", func(t *testing.T) {
		s := newSite(t, nil)
		alice := s.publisher(s.user("alice"), "alice")
		s.publish(alice, desk("closed", "one"))
		p := s.phone()
		p.shows(p.filter(`<filter id="1">`+onlyNotes+`</filter>`), "one", "-contact")
		for _, more := range []string{`<filter id="2">` + onlyNotes + `</filter>`, `<filter id="2" uri="sip:alice@example.com">` + onlyNotes + `</filter>`,
			`<filter id="2" uri="sip:a@b"><what><include>//p:note</include></what></filter><filter id="3" uri="sip:a@B">` + onlyNotes + `</filter>`} {
			if res := p.send(filters(more), ofFilters); res.StatusCode != 488 || !strings.Contains(header.Values(res, "Warning")[0], "second filter") {
				t.Fatalf("answered %s", res)
			}
		}
		s.publish(alice, desk("open", "two"))
		p.shows(p.notified(), "two", "-contact")
	})
}

func TestFiltersThatAreRefused(t *testing.T) {
	s := newSite(t, nil)
	for _, c := range []struct {
		name, body, fields string
		status             int
		field, says        string
	}{
		{"FLT-026 another type", "hello", "Content-Type: text/plain", 415, "Accept", "application/simple-filter+xml"},
		{"FLT-026 another type, and what it is for", "hello", "Content-Type: text/plain\r\nContent-Disposition: render;handling=required", 415, "Accept", "application/simple-filter+xml"},
		{"a type that may be left out", "hello", "Content-Type: text/plain\r\nContent-Disposition: render;handling=optional", 200, "", ""},
		{"a disposition that is none", filters(`<filter id="1">` + onlyNotes + `</filter>`), ofFilters + "\r\nContent-Disposition: ;", 400, "", ""},
		{"FLT-027 not well-formed", "<filter-set", ofFilters, 488, "Warning", "1:"},
		{"FLT-027 not valid", filters(`<filter>` + onlyNotes + `</filter>`), ofFilters, 488, "Warning", "id"},
		{"FLT-003 uri and domain", filters(`<filter id="1" uri="sip:a@b" domain="b">` + onlyNotes + `</filter>`), ofFilters, 488, "Warning", "a uri and a domain"},
		{"FLT-004 nothing to enable", filters(`<filter id="1" enabled="true"/>`), ofFilters, 488, "Warning", "not known"},
		{"FLT-012 a wrong expression", filters(`<filter id="1"><what><include>count(//p:note)</include></what></filter>`), ofFilters, 488, "Warning", "count"},
		{"FLT-054 a condition in a trigger", filters(`<filter id="1"><trigger><changed>//p:tuple[@id='t']</changed></trigger></filter>`), ofFilters, 488, "Warning", "condition"},
		{"FLT-043 too much", filters(`<filter id="1"><what>` + strings.Repeat("<include>//p:note</include>", 41) + `</what></filter>`), ofFilters, 488, "Warning", "more than 40"},
		{"another event package", `<filter-set xmlns="urn:ietf:params:xml:ns:simple-filter" package="presence.winfo"><filter id="1">` + onlyNotes + `</filter></filter-set>`, ofFilters, 488, "Warning", "presence.winfo"},
		{"a document without end", filters(`<filter id="1">` + onlyNotes + `</filter>` + strings.Repeat(" ", 20_000)), ofFilters, 413, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := s.phone().send(c.body, strings.Split(c.fields, "\r\n")...)
			if res.StatusCode != c.status {
				t.Fatalf("answered %s", res)
			}
			if c.field == "" {
				return
			}
			if v := header.Values(res, c.field); len(v) != 1 || !strings.Contains(v[0], c.says) {
				t.Errorf("%s: %q", c.field, v)
			}
			if c.status >= 300 && s.server.SubscriptionCount() > 1 {
				t.Error("a subscription was made")
			}
		})
	}
}
