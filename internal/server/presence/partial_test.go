package presence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

const wantsDiffs = "Accept: application/pidf-diff+xml, application/pidf+xml;q=0.3"

// follower is a phone with a copy of what it was told.
type follower struct {
	*phone
	copy pidfdiff.Copy
}

func (s *site) follower() *follower { return &follower{phone: s.phone()} }

// takes applies a NOTIFY to the copy, and fails unless it has a full document or
// changes, as full says, with the version.
func (f *follower) takes(r *sip.Request, full bool, version uint32) {
	f.s.t.Helper()
	if ct := r.ContentType(); ct == nil || ct.Value() != "application/pidf-diff+xml" {
		f.s.t.Fatalf("got %s", r)
	}
	d, err := pidfdiff.Parse(slices.Clone(r.Body()))
	if err != nil {
		f.s.t.Fatalf("%v in\n%s", err, r.Body())
	}
	if problems := d.Check(); len(problems) > 0 {
		f.s.t.Fatalf("PAR-005: %v in\n%s", problems, r.Body())
	}
	if d.Full != full || !d.HasVersion || d.Version != version {
		f.s.t.Fatalf("full %v, version %d, want %v %d:\n%s", d.Full, d.Version, full, version, r.Body())
	}
	if out, err := f.copy.Take(d); err != nil || out == pidfdiff.Lost || out == pidfdiff.Outdated {
		f.s.t.Fatalf("outcome %v, %v", out, err)
	}
}

// agrees fails unless the copy is what others see.
func (f *follower) agrees() {
	f.s.t.Helper()
	n := f.s.next(f.s.watch(f.s.user("carol"), "sip:alice@example.com", func(o *event.SubscribeOptions) { o.Fetch = true }))
	f.is(n.Body)
}

func (f *follower) is(doc []byte) {
	f.s.t.Helper()
	mine, err := pidfdiff.Presence(f.copy.State())
	if err != nil {
		f.s.t.Fatal(err)
	}
	if err := pidf.Check(mine); err != nil {
		f.s.t.Fatalf("%v in\n%s", err, mine)
	}
	if !sameXML(f.s.t, mine, doc) {
		f.s.t.Fatalf("the copy is\n%s\nothers see\n%s", mine, doc)
	}
}

func sameXML(t testing.TB, a, b []byte) bool {
	t.Helper()
	x, err := tree.Parse(a, tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := tree.Parse(b, tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return canon.Equal(x.Document(), y.Document())
}

// busy is a document that is long beside its changes.
func busy(basic, note string) string {
	more := ""
	for i := range 6 {
		more += fmt.Sprintf(`<tuple id="m%d"><status><basic>open</basic></status><contact priority="0.%d">sip:alice@place%d.example.com</contact></tuple>`, i, i, i)
	}
	return strings.Replace(desk(basic, note), `<tuple`, more+`<tuple`, 1)
}

func TestPartialNotification(t *testing.T) {
	begin := func(t *testing.T) (*site, *event.Publisher, *follower) {
		s := newSite(t, nil)
		alice := s.publisher(s.user("alice"), "alice")
		s.publish(alice, busy("closed", "one"))
		return s, alice, s.follower()
	}
	ask := func(f *follower, lines ...string) *sip.Request {
		f.s.t.Helper()
		if res := f.send("", lines...); res.StatusCode != 200 {
			f.s.t.Fatalf("answered %s", res)
		}
		return f.notified()
	}
	t.Run("PAR-026 PAR-027 PAR-029 full and version 1, then changes, and full at a refresh without resetting the count", func(t *testing.T) {
		s, alice, f := begin(t)
		f.takes(ask(f, wantsDiffs), true, 1)
		s.publish(alice, busy("open", "one"))
		f.takes(f.notified(), false, 2)
		s.publish(alice, busy("open", "two"))
		f.takes(f.notified(), false, 3)
		f.agrees()
		f.takes(ask(f, wantsDiffs), true, 4)
		s.publish(alice, busy("closed", "three"))
		f.takes(f.notified(), false, 5)
		f.agrees()
	})
	t.Run("PAR-012 the full state when it is shorter than what changed", func(t *testing.T) {
		s, alice, f := begin(t)
		f.takes(ask(f, wantsDiffs), true, 1)
		s.publish(alice, desk("open", "nothing is as it was"))
		f.takes(f.notified(), true, 2)
		f.agrees()
	})
	t.Run("PAR-028 nothing before the answer to the one before", func(t *testing.T) {
		s, alice, f := begin(t)
		f.takes(ask(f, wantsDiffs), true, 1)
		s.publish(alice, busy("open", "one"))
		slow := f.read().(*sip.Request)
		s.publish(alice, busy("open", "two"))
		s.publish(alice, busy("open", "three"))
		f.write(sip.NewResponseFromRequest(slow, 200, "OK", nil).String())
		f.takes(slow, false, 2)
		f.takes(f.after(slow, 200), false, 3)
		f.agrees()
	})
	t.Run("PAR-032 PAR-027 after a NOTIFY that was refused come changes of what was delivered, with its number", func(t *testing.T) {
		s, alice, f := begin(t)
		f.takes(ask(f, wantsDiffs), true, 1)
		s.publish(alice, busy("open", "one"))
		refused := f.read().(*sip.Request)
		f.write(sip.NewResponseFromRequest(refused, 500, "", nil).String())
		s.publish(alice, busy("open", "two"))
		f.takes(f.after(refused, 500), false, 2)
		f.agrees()
	})
	t.Run("PAR-030 PAR-026 from whole documents to changes it begins with a full state, and the count goes on", func(t *testing.T) {
		s, alice, f := begin(t)
		whole := func(n *sip.Request) {
			t.Helper()
			if n.ContentType().Value() != "application/pidf+xml" {
				t.Fatalf("got %s", n)
			}
		}
		whole(ask(f))
		s.publish(alice, busy("open", "one"))
		whole(f.notified())
		f.takes(ask(f, wantsDiffs), true, 1)
		s.publish(alice, busy("open", "two"))
		f.takes(f.notified(), false, 2)
		whole(ask(f, "Accept: application/pidf+xml"))
		s.publish(alice, busy("open", "three"))
		whole(f.notified())
		f.takes(ask(f, wantsDiffs), true, 3)
		s.publish(alice, busy("open", "four"))
		f.takes(f.notified(), false, 4)
		f.agrees()
	})
	t.Run("PAR-031 changes of what a filter leaves", func(t *testing.T) {
		s, alice, f := begin(t)
		const noNotes = `<filter id="1"><what><exclude>//p:note</exclude></what></filter>`
		first := f.filter(noNotes, wantsDiffs)
		f.takes(first, true, 1)
		s.publish(alice, busy("closed", "hidden two")) // nothing of which the filter lets through
		s.publish(alice, busy("open", "hidden three"))
		n := f.notified()
		f.takes(n, false, 2)
		if n.CSeq().SeqNo != first.CSeq().SeqNo+1 || strings.Contains(string(n.Body()), "hidden") {
			t.Fatalf("got %s", n)
		}
		p := s.phone()
		f.is(p.filter(noNotes).Body())
	})
	t.Run("PAR-031 a change of rules is a change of what is shown", func(t *testing.T) {
		s, put := ruledBy(t, "allow") // of services, and not their notes
		alice := s.publisher(s.user("alice"), "alice")
		s.publish(alice, busy("closed", "hidden one"))
		f := s.follower()
		first := ask(f, wantsDiffs)
		f.takes(first, true, 1)
		s.publish(alice, busy("closed", "hidden two"))
		s.publish(alice, busy("open", "hidden three"))
		n := f.notified()
		f.takes(n, false, 2)
		if n.CSeq().SeqNo != first.CSeq().SeqNo+1 || strings.Contains(string(f.copy.State()), "hidden") {
			t.Fatalf("got %s", n)
		}
		put("polite-block")
		f.takes(f.notified(), true, 3) // which is shorter than to take all away
		f.is(pidf.Neutral("sip:alice@example.com"))
		put("allow")
		f.takes(f.notified(), true, 4)
		p := s.phone()
		p.send("")
		f.is(p.notified().Body())
	})
	t.Run("PAR-033 EVT-118 the entity-tag is that of the full state", func(t *testing.T) {
		s, alice, f := begin(t)
		tags := map[string]string{}
		for i, note := range []string{"one", "two", "one"} {
			var n *sip.Request
			if s.publish(alice, busy("open", note)); i == 0 {
				n = ask(f, wantsDiffs)
			} else {
				n = f.notified()
			}
			f.takes(n, i == 0, uint32(i+1))
			tag := header.Values(n, "SIP-ETag")[0]
			if before, ok := tags[note]; ok != (i == 2) || ok && before != tag {
				t.Errorf("state %q has the tag %s and had %q", note, tag, before)
			}
			tags[note] = tag
		}
		if res := f.send("", wantsDiffs, "Suppress-If-Match: "+tags["one"]); res.StatusCode != 204 {
			t.Fatalf("answered %s", res)
		}
		s.publish(alice, busy("closed", "one"))
		f.takes(f.notified(), false, 4)
		f.agrees()
	})
}

// after answers the first NOTIFY behind another one, of which repetitions are answered
// as before.
func (p *phone) after(last *sip.Request, status int) *sip.Request {
	p.s.t.Helper()
	for {
		r := p.read().(*sip.Request)
		again := r.CSeq().SeqNo <= last.CSeq().SeqNo
		code := 200
		if again {
			code = status
		}
		p.write(sip.NewResponseFromRequest(r, code, "", nil).String())
		if !again {
			return r
		}
	}
}

func TestChoiceOfType(t *testing.T) {
	s := newSite(t, nil)
	for accept, want := range map[string]string{
		"": "application/pidf+xml", "application/pidf+xml": "application/pidf+xml",
		"application/pidf-diff+xml":                                 "application/pidf-diff+xml",
		"application/pidf+xml, application/pidf-diff+xml":           "application/pidf-diff+xml",
		"application/pidf+xml;q=0.3, application/pidf-diff+xml;q=1": "application/pidf-diff+xml",
		"application/pidf+xml;q=1, application/pidf-diff+xml;q=0.3": "application/pidf+xml",
		"application/pidf+xml;q=0.1, application/pidf-diff+xml;q=0": "application/pidf+xml",
		"application/*": "application/pidf+xml", "*/*": "application/pidf+xml", "application/pidf-diff+xml, */*;q=0.5": "application/pidf-diff+xml",
	} {
		t.Run("PAR-025 PAR-049 Accept: "+accept, func(t *testing.T) {
			var lines []string
			if accept != "" {
				lines = []string{"Accept: " + accept}
			}
			p := s.phone()
			if res := p.send("", lines...); res.StatusCode != 200 {
				t.Fatalf("answered %s", res)
			}
			if got := p.notified().ContentType().Value(); got != want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestPartialPublication(t *testing.T) {
	const of = "application/pidf-diff+xml"
	full := func(inside string) string {
		return `<p:pidf-full xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:ietf:params:xml:ns:pidf-diff" entity="sip:alice@example.com">` + inside + `</p:pidf-full>`
	}
	diff := func(operations string) string {
		return `<p:pidf-diff xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:ietf:params:xml:ns:pidf-diff" entity="sip:alice@example.com">` + operations + `</p:pidf-diff>`
	}
	tuple := func(id, note string) string {
		return `<tuple id="` + id + `"><status><basic>open</basic></status><note>` + note + `</note></tuple>`
	}
	publish := func(s *site, p *event.Publisher, body string) {
		t.Helper()
		if _, err := p.Modify(s.ctx, event.Doc{Type: of, Body: []byte(body)}); err != nil {
			s.t.Fatal(err)
		}
	}
	begin := func(t *testing.T, doc event.Doc) (*site, *event.Publisher) {
		s := newSite(t, nil)
		p := s.publisher(s.user("alice"), "alice")
		if _, err := p.Publish(s.ctx, doc); err != nil {
			t.Fatal(err)
		}
		return s, p
	}
	sees := func(s *site, want string) {
		s.t.Helper()
		if d := s.document(s.watch(s.user("bob"), "sip:alice@example.com", nil)); notes(d) != want {
			s.t.Errorf("watchers see %q, want %q", notes(d), want)
		}
	}
	initial := event.Doc{Type: of, Body: []byte(full(tuple("a", "one") + tuple("b", "two")))}
	t.Run("PAR-040 a full state replaces what its publisher has published, and nothing else", func(t *testing.T) {
		s, p := begin(t, initial)
		s.publish(s.publisher(s.user("alice"), "alice"), status("x", "open", "other"))
		sees(s, "one two other")
		publish(s, p, full(tuple("c", "three")))
		sees(s, "other three")
	})
	t.Run("PAR-041 changes are applied one after the other", func(t *testing.T) {
		s, p := begin(t, initial)
		publish(s, p, diff(`<p:replace sel="*/tuple[@id='a']/note/text()">1</p:replace><p:add sel="presence">`+tuple("c", "new")+`</p:add><p:remove sel="presence/tuple[@id='b']"/>`))
		sees(s, "1 new")
		publish(s, p, diff(`<p:replace sel="*/tuple[@id='c']/note/text()">newer</p:replace>`))
		sees(s, "1 newer")
	})
	t.Run("PAR-046 PAR-049 changes of a whole document", func(t *testing.T) {
		s, p := begin(t, event.Doc{Type: "application/pidf+xml", Body: []byte(status("a", "open", "one"))})
		publish(s, p, strings.Replace(diff(`<p:replace sel="*/tuple[@id='a']/note/text()">1</p:replace>`), "alice@", "x@", 1))
		sees(s, "1")
	})
	t.Run("PAR-042 nothing begins with changes", func(t *testing.T) {
		s := newSite(t, nil)
		_, err := s.publisher(s.user("alice"), "alice").Publish(s.ctx, event.Doc{Type: of, Body: []byte(diff(""))})
		if refused, ok := err.(*event.ResponseError); !ok || refused.Status != 400 || refused.Phrase != "Invalid Partial Publication" {
			t.Fatalf("err %v", err)
		}
	})
	for name, c := range map[string]struct{ body, says string }{
		"PAR-043 not well-formed":                     {"<p:pidf-diff", ""},
		"PAR-043 another root":                        {status("a", "open", "one"), "not pidf-full"},
		"PAR-003 the entity of another":               {strings.Replace(diff(""), "alice", "bob", 1), "entity"},
		"PAR-043 the second operation finds nothing":  {diff(`<p:replace sel="*/tuple[@id='a']/note/text()">1</p:replace><p:remove sel="*/tuple[@id='x']"/>`), "unlocated-node"},
		"PAR-047 without a status there is no tuple":  {diff(`<p:remove sel="*/tuple[@id='a']/status"/>`), ""},
		"PAR-047 an id twice":                         {diff(`<p:add sel="*">` + tuple("b", "again") + `</p:add>`), "id"},
		"PAR-043 a full state that is not acceptable": {full(tuple("a", "") + tuple("a", "")), "id"},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := begin(t, initial)
			tag := p.Tag()
			_, err := p.Modify(s.ctx, event.Doc{Type: of, Body: []byte(c.body)})
			refused, ok := err.(*event.ResponseError)
			if !ok || refused.Status != 400 || !strings.Contains(refused.Warning, c.says) {
				t.Fatalf("err %v, Warning %+v", err, refused)
			}
			sees(s, "one two")
			if p.Tag() != tag {
				t.Fatal("the publisher has no tag any more")
			}
			publish(s, p, diff(`<p:replace sel="*/tuple[@id='a']/note/text()">1</p:replace>`))
			sees(s, "1 two")
		})
	}
	t.Run("PAR-043 the answer says in its body which operation", func(t *testing.T) {
		s, p := begin(t, initial)
		res := s.phone().publish(p.Tag(), diff(`<p:remove sel="*/tuple[@id='x']"/>`))
		if res.StatusCode != 400 || res.ContentType() == nil || res.ContentType().Value() != "application/patch-ops-error+xml" || !strings.Contains(string(res.Body()), "<err:unlocated-node") {
			t.Fatalf("answered %s", res)
		}
	})
	t.Run("PAR-048 the character set that was taken is taken, another one is refused", func(t *testing.T) {
		s, p := begin(t, event.Doc{Type: of + ";charset=utf-8", Body: initial.Body})
		body := []byte(diff(`<p:replace sel="*/tuple[@id='a']/note/text()">ü</p:replace>`))
		if _, err := p.Modify(s.ctx, event.Doc{Type: of + ";charset=UTF-8", Body: body}); err != nil {
			t.Fatal(err)
		}
		sees(s, "ü two")
		_, err := p.Modify(s.ctx, event.Doc{Type: of + ";charset=utf-16", Body: body})
		if refused, ok := err.(*event.ResponseError); !ok || refused.Status != 415 {
			t.Fatalf("err %v", err)
		}
	})
	t.Run("PAR-039 OPTIONS and 415 name the type", func(t *testing.T) {
		s := newSite(t, nil)
		p := s.phone()
		p.write("OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP " + p.conn.LocalAddr().String() + ";branch=z9hG4bK" + stack.NewTag() +
			"\r\nMax-Forwards: 10\r\nFrom: sip:bob@example.com;tag=b\r\nTo: sip:example.com\r\nCall-ID: " + p.callID + "\r\nCSeq: 1 OPTIONS\r\n\r\n")
		if res := p.read().(*sip.Response); res.StatusCode != 200 || !strings.Contains(strings.Join(header.Values(res, "Accept"), ","), of) {
			t.Fatalf("answered %s", res)
		}
		_, err := s.publisher(s.user("alice"), "alice").Publish(s.ctx, event.Doc{Type: "text/plain", Body: []byte("x")})
		if refused, ok := err.(*event.ResponseError); !ok || refused.Status != 415 || !slices.Contains(refused.Accept(), of) {
			t.Fatalf("err %v", err)
		}
	})
}

// publish modifies a publication of alice.
func (p *phone) publish(tag, body string) *sip.Response {
	p.s.t.Helper()
	p.write("PUBLISH sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP " + p.conn.LocalAddr().String() + ";branch=z9hG4bK" + stack.NewTag() +
		"\r\nMax-Forwards: 10\r\nFrom: sip:alice@example.com;tag=a\r\nTo: sip:alice@example.com\r\nCall-ID: " + p.callID + "\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nSIP-If-Match: " + tag +
		"\r\nContent-Type: application/pidf-diff+xml\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body)
	return p.read().(*sip.Response)
}
