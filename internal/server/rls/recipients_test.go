package rls

import (
	"strconv"
	"strings"
	"testing"

	"imp/internal/doc/lists"
	"imp/internal/sip/event"
)

// brought is a list for a SUBSCRIBE.
func brought(inner string) string {
	return `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:rl="urn:ietf:params:xml:ns:resource-lists"><list>` + inner + `</list></resource-lists>`
}

// bringing is a watcher of a list of his own.
func (r *rig) bringing(user, body string) *watcher {
	w := r.watcher(user, "sip:rls@example.com")
	w.body = body
	w.lines = w.with("Require: recipient-list-subscribe", "Content-Type: application/resource-lists+xml", "Content-Disposition: recipient-list")
	return w
}

func TestRecipients(t *testing.T) {
	t.Run("RLS-061 RLS-064 RLS-067 a list that is brought along is a list as others", func(t *testing.T) {
		run(t, func(r *rig) {
			r.notes.set("bob", "here")
			w := r.bringing("alice", brought(entries("bob")+`<rl:entry uri="sip:carol@example.com"><rl:display-name>Carol</rl:display-name></rl:entry><rl:list>`+entries("nobody", "mailto:x@example.com")+`</rl:list>`))
			n := r.same(w.active(), "0+, bob here, carol, nobody terminated noresource, mailto:x terminated noresource")
			if fieldOf(w.answered, "Require") != "eventlist" || n.List.URI != "sip:rls@example.com" || n.List.Resources[1].Names[0].Text != "Carol" {
				t.Errorf("%+v %+v", w.answered, n.List)
			}
			r.notes.set("carol", "too")
			w.expect("1, carol too")
			w.body = ""
			w.subscribe("Supported: eventlist", accept)
			w.expect("2+, bob here, carol too, nobody terminated noresource, mailto:x terminated noresource")
		})
	})
	t.Run("any URI of the server will do, one of another will not", func(t *testing.T) {
		run(t, func(r *rig) {
			for _, target := range []string{"sip:example.com", "sip:bob@example.com", "sip:list-any@example.com"} {
				w := r.bringing("alice", brought(entries("bob")))
				w.target = target
				r.same(w.active(), "0+, bob")
			}
			w := r.bringing("alice", brought(entries("bob")))
			w.target = "sip:rls@elsewhere.invalid"
			w.refused(404)
		})
	})
	t.Run("RLS-070 RLS-080 equal URIs count once, by the rules of their scheme, and lists are united", func(t *testing.T) {
		run(t, func(r *rig) {
			w := r.bringing("alice", brought(entries("sip:bob@example.com", "sip:bob@EXAMPLE.com", "sip:%62ob@example.com", "sip:BOB@example.com")))
			r.same(w.active(), "0+, bob, BOB")
			part := func(inner string) string {
				return "--b\r\nContent-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\r\n" + brought(inner) + "\r\n"
			}
			w = r.bringing("alice", part(entries("bob", "carol"))+"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"+part(entries("sip:carol@EXAMPLE.com", "dan"))+"--b--\r\n")
			w.lines = append(w.lines[:2:2], "Require: recipient-list-subscribe", "Content-Type: multipart/mixed;boundary=b")
			r.same(w.active(), "0+, bob, carol, dan")
		})
	})
	t.Run("RLS-063 another type is 415, what cannot be read is 400", func(t *testing.T) {
		run(t, func(r *rig) {
			w := r.bringing("alice", "sip:bob@example.com")
			w.lines = append(w.lines[:2:2], "Require: recipient-list-subscribe", "Content-Type: text/uri-list", "Content-Disposition: recipient-list")
			w.refused(415, "Accept", "application/resource-lists+xml")
			for _, body := range []string{brought("<x"), "", `<resource-lists xmlns="urn:x"/>`, brought(`<rl:entry/>`)} {
				r.bringing("alice", body).refused(400)
			}
			w = r.bringing("alice", "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n")
			w.lines = append(w.lines[:2:2], "Require: recipient-list-subscribe", "Content-Type: multipart/mixed;boundary=b")
			w.refused(400)
		})
	})
	t.Run("multipart bodies in each other are read so many deep", func(t *testing.T) {
		nested := func(depth int) error {
			contentType, body := lists.MediaType, brought(entries("bob"))
			for i := range depth {
				boundary := "b" + strconv.Itoa(i)
				body = "--" + boundary + "\r\nContent-Type: " + contentType + "\r\nContent-Disposition: recipient-list\r\n\r\n" + body + "\r\n--" + boundary + "--"
				contentType = "multipart/mixed;boundary=" + boundary
			}
			_, err := recipientLists(contentType, []byte(body), maxNested)
			return err
		}
		if err := nested(maxNested); err != nil {
			t.Error(err)
		}
		if err := nested(maxNested + 1); event.Status(err) != 400 {
			t.Errorf("%d deep: %v", maxNested+1, err)
		}
	})
	t.Run("RLS-065 within the dialog a list is 415, and the subscription stays", func(t *testing.T) {
		run(t, func(r *rig) {
			w := r.bringing("alice", brought(entries("bob")))
			w.active()
			w.body = brought(entries("carol"))
			if res := w.subscribe(); res.Status != 415 {
				t.Fatalf("%d", res.Status)
			}
			r.notes.set("bob", "still")
			w.expect("1, bob still")
		})
	})
	t.Run("RLS-069 nobody without a name, and no list without end", func(t *testing.T) {
		runWith(t, func(_ *Config, n *event.NotifierConfig) { n.Identify = nobody }, func(r *rig) {
			r.bringing("alice", brought(entries("bob"))).refused(401)
			if len(r.notes.opened) > 0 {
				t.Error("members were watched for him")
			}
		})
		runWith(t, func(c *Config, _ *event.NotifierConfig) { c.MaxMembers = 3 }, func(r *rig) {
			r.bringing("alice", brought(entries("a", "b", "c", "d"))).refused(413)
			r.same(r.bringing("alice", brought(entries("a", "b", "c", "c"))).active(), "0+, a, b, c")
		})
	})
	t.Run("RLS-016 without eventlist 421", func(t *testing.T) {
		run(t, func(r *rig) {
			w := r.bringing("alice", brought(entries("bob")))
			w.lines = w.lines[1:]
			w.refused(421, "Require", "eventlist")
		})
	})
	t.Run("a service that gets a body refuses it", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			w := r.watcher("alice", "list")
			w.body, w.lines = "<filter/>", w.with("Content-Type: application/simple-filter+xml")
			w.refused(415)
		})
	})
}

func FuzzRecipients(f *testing.F) {
	f.Add("application/resource-lists+xml", []byte(brought(entries("bob"))))
	f.Add("multipart/mixed;boundary=b", []byte("--b\r\nContent-Disposition: recipient-list\r\nContent-Type: application/resource-lists+xml\r\n\r\n"+brought("")+"\r\n--b--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		docs, err := recipientLists(contentType, body, maxNested)
		if err == nil && len(docs) == 0 {
			t.Fatal("neither lists nor an error")
		}
		if status := event.Status(err); err != nil && status != 400 && status != 415 {
			t.Fatal(err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Fatalf("%q", err)
		}
	})
}
