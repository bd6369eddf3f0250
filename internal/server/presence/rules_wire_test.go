package presence_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/pidf"
	"imp/internal/server/presence"
	"imp/internal/sip/header"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// ruledBy is a site where alice has rules that handle bob so, or others.
func ruledBy(t *testing.T, handling string) (*site, func(handling string)) {
	t.Helper()
	u := &uri.URI{AUID: "pres-rules", XUI: "sip:alice@example.com", Document: []string{"index"}}
	var kv store.KV
	put := func(handling string) {
		doc := `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules"><rule id="r"><conditions><identity><one id="sip:bob@example.com"/></identity></conditions>` +
			`<actions><pr:sub-handling>` + handling + `</pr:sub-handling></actions><transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations></rule></ruleset>`
		v := key.Value{ETag: "1", Path: u.Path(), Body: []byte(doc)}
		if _, err := kv.Put(t.Context(), key.Document("/root", u), v.Bytes(), store.AnyRev, 0); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite(t, func(c *presence.ServerConfig) {
		kv, c.XCAPRoot = c.Store, "/root"
		put(handling)
	})
	return s, put
}

// told is what a NOTIFY says.
func told(t *testing.T, r *sip.Request) (state string, etag string, body []byte) {
	t.Helper()
	etag, _, _ = header.Single(r, "SIP-ETag")
	return strings.TrimSuffix(stateOf(t, r).State+":"+stateOf(t, r).Reason, ":"), etag, r.Body()
}

func TestRulesOnTheWire(t *testing.T) {
	const contact = "Contact: <sip:bob@ADDRESS>"
	ask := func(p *phone, lines ...string) int {
		res := p.ask(append(lines, strings.Replace(contact, "ADDRESS", p.conn.LocalAddr().String(), 1))...)
		if tag, ok := res.To().Params.Get("tag"); ok && p.toTag == "" {
			p.toTag = tag
		}
		return res.StatusCode
	}
	for _, c := range []struct{ name, handling, state, has string }{
		{"AUT-033 confirm", "confirm", "pending", ""},
		{"AUT-034 polite-block", "polite-block", "active", "closed"},
		{"AUT-035 allow", "allow", "active", "open"},
	} {
		t.Run(c.name+" is 200 and a NOTIFY", func(t *testing.T) {
			s, _ := ruledBy(t, c.handling)
			s.publish(s.publisher(s.user("alice"), "alice"), open("a"))
			p := s.phone()
			if status := ask(p); status != 200 {
				t.Fatalf("answered %d", status)
			}
			state, _, body := told(t, p.notified())
			if state != c.state || (body == nil) != (c.has == "") || !bytes.Contains(body, []byte(c.has)) {
				t.Fatalf("%s\n%s", state, body)
			}
		})
	}
	t.Run("AUT-032 block is 403, for a fetch too", func(t *testing.T) {
		s, _ := ruledBy(t, "block")
		for _, lines := range [][]string{nil, {"Expires: 0"}} {
			if status := ask(s.phone(), lines...); status != 403 {
				t.Errorf("answered %d", status)
			}
		}
	})
	t.Run("AUT-043 a fetch shows what a subscription shows", func(t *testing.T) {
		for handling, has := range map[string]string{"confirm": "", "polite-block": "closed", "allow": "open"} {
			s, _ := ruledBy(t, handling)
			s.publish(s.publisher(s.user("alice"), "alice"), open("a"))
			p := s.phone()
			if status := ask(p, "Expires: 0"); status != 200 {
				t.Fatalf("answered %d", status)
			}
			if state, _, body := told(t, p.notified()); state != "terminated:timeout" || (len(body) == 0) != (has == "") || !bytes.Contains(body, []byte(has)) {
				t.Errorf("%s: %s\n%s", handling, state, body)
			}
		}
	})
	t.Run("AUT-036 polite-block has one entity-tag, whatever is published and whenever he asks", func(t *testing.T) {
		s, _ := ruledBy(t, "polite-block")
		publisher := s.publisher(s.user("alice"), "alice")
		tags := map[string]bool{}
		for i := range 3 {
			p := s.phone()
			if status := ask(p, "Expires: 0"); status != 200 {
				t.Fatalf("answered %d", status)
			}
			_, tag, body := told(t, p.notified())
			tags[tag] = true
			if !bytes.Equal(body, pidf.Neutral("sip:alice@example.com")) {
				t.Errorf("%s", body)
			}
			if i == 0 {
				s.publish(publisher, open("a"))
			} else {
				s.publish(publisher, strings.Replace(open("a"), "open", "closed", 1))
			}
		}
		if len(tags) != 1 {
			t.Errorf("%v", tags)
		}
	})
	for _, c := range []struct{ name, handling, hidden string }{
		{"AUT-066 a change of what rules hide", "allow", strings.Replace(open("a"), "</tuple>", "<note>hidden</note></tuple>", 1)},
		{"AUT-036 a change behind polite-block", "polite-block", open("b")},
	} {
		t.Run(c.name+" makes no NOTIFY", func(t *testing.T) {
			s, put := ruledBy(t, c.handling)
			publisher := s.publisher(s.user("alice"), "alice")
			s.publish(publisher, open("a"))
			p := s.phone()
			if status := ask(p); status != 200 {
				t.Fatalf("answered %d", status)
			}
			first := p.notified()
			s.publish(publisher, c.hidden)
			fetch := s.phone() // what was due is on its way when this is answered
			ask(fetch, "Expires: 0")
			fetch.notified()
			put("confirm")
			next := p.notified()
			if state, _, _ := told(t, next); state != "pending" || next.CSeq().SeqNo != first.CSeq().SeqNo+1 {
				t.Fatalf("%s, %d after %d", state, next.CSeq().SeqNo, first.CSeq().SeqNo)
			}
		})
	}
	t.Run("EVT-101 AUT-036 polite-block looks like a user who is offline", func(t *testing.T) {
		trace := func(handling, doc string) (string, string) {
			s, _ := ruledBy(t, handling)
			if doc != "" {
				s.publish(s.publisher(s.user("alice"), "alice"), doc)
			}
			p := s.phone()
			if status := ask(p); status != 200 {
				t.Fatalf("answered %d", status)
			}
			r := p.notified()
			var names []string
			for _, h := range r.Headers() {
				names = append(names, h.Name())
			}
			state, tag, body := told(t, r)
			return strings.Join(names, " ") + "\n" + state + " " + tag, string(body)
		}
		blocked, made := trace("polite-block", open("a"))
		offline, real := trace("allow", "")
		if blocked != offline || made != real {
			t.Errorf("%s\n%s\nand\n%s\n%s", blocked, made, offline, real)
		}
	})
	t.Run("AUT-038 AUT-073 XUSE-051 rules that are stored end a subscription, and its refresh is 481", func(t *testing.T) {
		s, put := ruledBy(t, "allow")
		p := s.phone()
		if status := ask(p); status != 200 {
			t.Fatalf("answered %d", status)
		}
		p.notified()
		put("block")
		if state, _, _ := told(t, p.notified()); state != "terminated:rejected" {
			t.Fatal(state)
		}
		if status := ask(p); status != 481 {
			t.Fatalf("answered %d", status)
		}
	})
}
