package rls

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
)

func TestService(t *testing.T) {
	t.Run("RLS-023 RLS-017 RLS-033 the service of the Request-URI is served as a list", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol", "nobody")
			r.notes.set("bob", "here")
			for _, target := range []string{"sip:list@example.com", "sip:list@EXAMPLE.com", "sip:l%69st@example.com", "sip:list@example.com;x=y"} {
				w := r.watcher("alice", target)
				n := r.same(w.active(), "0+, bob here, carol, nobody terminated noresource")
				if fieldOf(w.answered, "Require") != "eventlist" {
					t.Error("the 200 does not require eventlist")
				}
				if n.List.URI != "sip:list@example.com" {
					t.Error(n.List.URI)
				}
				typ := n.One("Content-Type")
				if !strings.HasPrefix(typ, `multipart/related;type="application/rlmi+xml";`) || !strings.Contains(typ, ";boundary="+boundary) {
					t.Errorf("Content-Type %s", typ) // Linphone 5.1 does not survive quotes round the boundary
				}
				if !strings.HasPrefix(string(n.Request.Body()), "--"+boundary+"\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <"+boundary+"@list.invalid>\r\nContent-Type: application/rlmi+xml") {
					t.Errorf("the first part is not the document:\n%s", n.Request.Body())
				}
			}
			for _, target := range []string{"sip:LIST@example.com", "sips:list@example.com", "sip:list@example.com;transport=tcp", "sip:other@example.com"} {
				if _, ok := r.List(t.Context(), r.message(target), r.parse(target)); ok {
					t.Errorf("%s is the list", target)
				}
			}
		})
	})
	t.Run("RLS-016 without eventlist 421", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			w := r.watcher("alice", "list")
			w.lines = []string{accept}
			w.refused(421, "Require", "eventlist")
		})
	})
	t.Run("RLS-018 a single resource is one for who understands lists too", func(t *testing.T) {
		run(t, func(r *rig) {
			w := r.watcher("alice", "bob")
			if res := w.subscribe(); res.Status != 200 || fieldOf(res, "Require") != "" {
				t.Fatalf("%+v", res)
			}
			c := r.wire.Next()
			if c.None("Require"); string(c.Body()) != "note: " {
				t.Errorf("%s", c.Body())
			}
		})
	})
	t.Run("RLS-019 Accept names the types of lists and one of the package, or it is 406", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			for _, line := range []string{"Accept: multipart/related, text/plain", "Accept: application/rlmi+xml, text/plain", "Accept: text/plain",
				"Accept: multipart/related, application/rlmi+xml, image/png"} {
				w := r.watcher("alice", "list")
				w.lines = []string{"Supported: eventlist", line}
				if w.refused(406); !strings.Contains(fieldOf(w.answered, "Accept"), "multipart/related") {
					t.Error(w.answered)
				}
			}
			for _, lines := range [][]string{{"Supported: eventlist"}, {"Supported: eventlist", "Accept: */*"}, {"Supported: eventlist", "Accept: multipart/related, application/rlmi+xml"}} {
				w := r.watcher("alice", "list")
				w.lines = lines
				r.same(w.active(), "0+, bob")
			}
			w := r.watcher("alice", "list")
			w.lines = []string{"Supported: eventlist", "Accept: multipart/related, application/rlmi+xml, text/html"}
			if n := w.active(); n.Parts[0].Type != "text/html" {
				t.Errorf("a member comes as %s", n.Parts[0].Type)
			}
		})
	})
	t.Run("RLS-020 the duration is that of the package", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			w := r.watcher("alice", "list")
			if w.active(); fieldOf(w.answered, "Expires") != "1200" {
				t.Error(w.answered)
			}
		})
	})
	t.Run("RLS-021 others than the owner are refused", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			r.watcher("bob", "list").refused(403)
			if len(r.notes.opened) > 0 {
				t.Error("members were watched for him")
			}
		})
	})
	t.Run("RLS-022 a list can be watched in several packages, each for itself", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			one, two := r.watcher("alice", "list"), r.watcher("alice", "list")
			two.pkg = "marks"
			r.same(one.active(), "0+, bob")
			r.same(two.active(), "0+, bob")
			r.marks.set("bob", "marked")
			two.expect("1, bob marked")
			r.wire.Silent()
			r.notes.set("bob", "noted")
			one.expect("1, bob noted")
			r.wire.Silent()
		})
	})
	t.Run("RLS-024 a package that the service does not have is 489, without any named all are had", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(indexOfAlice, services(`<service uri="sip:list@example.com"><list>`+entries("bob")+`</list><packages><package>marks</package></packages></service>`,
				`<service uri="sip:list-none@example.com"><list>`+entries("bob")+`</list><packages/></service>`))
			r.watcher("alice", "list").refused(489, "Allow-Events", "marks")
			r.watcher("alice", "list-none").refused(489)
			w := r.watcher("alice", "list")
			w.pkg = "marks"
			r.same(w.active(), "0+, bob")
			w.pkg = "dialog"
			r.watcher("alice", "list").refused(489)
		})
	})
	t.Run("RLS-074 only the document index serves", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put("rls-services/users/sip:alice@example.com/other", services(inline("list", entries("bob"))))
			r.watcher("alice", "list").refused(404)
			r.put("rls-services/global/index", services(inline("list", entries("bob"))))
			r.watcher("alice", "list").refused(404)
		})
	})
	t.Run("RLS-082 who is not let in starts nothing", func(t *testing.T) {
		runWith(t, func(_ *Config, n *event.NotifierConfig) { n.Identify = nobody }, func(r *rig) {
			r.friends("bob", "sip:x@elsewhere.invalid")
			r.watcher("alice", "list").refused(401)
			r.others.Silent()
			if len(r.notes.opened) > 0 {
				t.Error("members were watched for him")
			}
		})
	})
}

func TestFollow(t *testing.T) {
	t.Run("RLS-031 who is added or removed is told, all anew", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol")
			r.notes.set("bob", "here")
			w := r.watcher("alice", "list")
			r.same(w.active(), "0+, bob here, carol")
			r.friends("dan", "bob")
			w.expect("1+, dan, bob here")
			r.notes.set("carol", "unseen")
			r.wire.Silent()
			r.notes.set("dan", "seen")
			w.expect("2, dan seen")
			if n := r.n.Count(); n != 3 {
				t.Errorf("%d subscriptions, want the list and two members", n)
			}
			w.lines = w.with("Expires: 0")
			w.subscribe()
			w.next()
			if synctest.Wait(); r.n.Count() != 0 || len(r.deps) != 0 {
				t.Errorf("%d subscriptions are left, %d documents are followed", r.n.Count(), len(r.deps))
			}
		})
	})
	t.Run("a list in another document is followed there", func(t *testing.T) {
		run(t, func(r *rig) {
			list := func(users ...string) {
				r.put(listsOfAlice, `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:rl="urn:ietf:params:xml:ns:resource-lists"><list name="f"><display-name>Friends</display-name>`+entries(users...)+`</list></resource-lists>`)
			}
			list("bob")
			r.put(indexOfAlice, services(referring("http://xcap.example.com/xcap-root/"+listsOfAlice+"/~~/resource-lists/list%5b@name=%22f%22%5d")))
			w := r.watcher("alice", "list")
			n := r.same(w.active(), "0+, bob")
			if len(n.List.Names) != 1 || n.List.Names[0].Text != "Friends" {
				t.Errorf("%+v", n.List.Names)
			}
			list("bob", "carol")
			w.expect("1+, bob, carol")
			r.put(listsOfAlice, `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>`)
			r.wire.Silent() // what leads nowhere changes nothing
			list("dan")
			w.expect("2+, dan")
		})
	})
	t.Run("without its service a subscription ends", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			w := r.watcher("alice", "list")
			w.active()
			r.put(indexOfAlice, services())
			n := w.next()
			n.Wants("Subscription-State", "terminated;reason=noresource")
			if synctest.Wait(); r.n.Count() != 0 {
				t.Errorf("%d subscriptions are left", r.n.Count())
			}
		})
	})
	t.Run("the names of members are told", func(t *testing.T) {
		run(t, func(r *rig) {
			named := func(name string) {
				r.put(indexOfAlice, services(inline("list", `<rl:entry uri="sip:bob@example.com"><rl:display-name xml:lang="en">`+name+`</rl:display-name></rl:entry>`)))
			}
			named("Bob")
			w := r.watcher("alice", "list")
			if got := w.active().List.Resources[0].Names; len(got) != 1 || got[0].Text != "Bob" || got[0].Lang != "en" {
				t.Errorf("%+v", got)
			}
			named("Robert")
			if got := w.next().List.Resources[0].Names; len(got) != 1 || got[0].Text != "Robert" {
				t.Errorf("%+v", got)
			}
		})
	})
}

// referring is a service with a resource-list.
func referring(to string) string {
	return `<service uri="sip:list@example.com"><resource-list>` + to + `</resource-list></service>`
}

func TestFlattening(t *testing.T) {
	const root = "http://xcap.example.com/xcap-root/"
	at := func(document, list string) string {
		return root + document + `/~~/resource-lists/list%5b@name=%22` + list + `%22%5d`
	}
	other := strings.Replace(listsOfAlice, "alice", "bob", 1)
	for _, c := range []struct{ name, list, want string }{
		{"RLS-026 entries that can be subscribed to, once as strings", `<list>` + entries("bob", "bob", "sip:BOB@example.com", "mailto:bob@example.com", "pres:carol@example.com") + `</list>`,
			"0+, bob, BOB, pres:carol"},
		{"RLS-029 nested lists join", `<list>` + entries("bob") + `<rl:list name="a">` + entries("carol") + `<rl:list>` + entries("dan", "bob") + `</rl:list></rl:list></list>`, "0+, bob, carol, dan"},
		{"RLS-027 an entry-ref is followed", `<list><rl:entry-ref ref="` + listsOfAlice + `/~~/resource-lists/list%5b1%5d/entry%5b1%5d"/></list>`, "0+, eve"},
		{"RLS-027 one that leads nowhere is 502", `<list><rl:entry-ref ref="` + listsOfAlice + `/~~/resource-lists/list%5b1%5d/entry%5b9%5d"/></list>`, "502"},
		{"RLS-027 one that leads to a list is 502", `<list><rl:entry-ref ref="` + listsOfAlice + `/~~/resource-lists/list%5b1%5d"/></list>`, "502"},
		{"RLS-028 an external list joins", `<list>` + entries("bob") + `<rl:external anchor="` + at(listsOfAlice, "a") + `"/></list>`, "0+, bob, eve"},
		{"RLS-028 one that leads to itself is 502", `<list><rl:external anchor="` + at(listsOfAlice, "loop") + `"/></list>`, "502"},
		{"RLS-028 two that lead to each other are 502", `<list><rl:external anchor="` + at(listsOfAlice, "b") + `"/></list>`, "502"},
		{"RLS-028 what is not there is 502", `<list><rl:external anchor="` + at(listsOfAlice, "none") + `"/></list>`, "502"},
		{"RLS-025 a resource-list leads to a list", `<resource-list>` + at(listsOfAlice, "a") + `</resource-list>`, "0+, eve"},
		{"RLS-025 one to an entry is 502", `<resource-list>` + root + listsOfAlice + `/~~/resource-lists/list%5b1%5d/entry%5b1%5d</resource-list>`, "502"},
		{"RLS-025 one to a document is 502", `<resource-list>` + root + listsOfAlice + `</resource-list>`, "502"},
		{"RLS-025 one to another server is 502", `<resource-list>` + strings.Replace(at(listsOfAlice, "a"), "xcap.example.com", "other.example.com", 1) + `</resource-list>`, "502"},
		{"RLS-073 lists of others are not shown to the owner", `<list><rl:external anchor="` + at(other, "a") + `"/></list>`, "502"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(r *rig) {
				document := `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:rl="urn:ietf:params:xml:ns:resource-lists"><list name="a">` + entries("eve") + `</list>` +
					`<list name="loop"><external anchor="` + at(listsOfAlice, "loop") + `"/></list>` +
					`<list name="b"><external anchor="` + at(listsOfAlice, "c") + `"/></list><list name="c"><external anchor="` + at(listsOfAlice, "b") + `"/></list></resource-lists>`
				r.put(listsOfAlice, document)
				r.put(other, document)
				r.put(indexOfAlice, services(`<service uri="sip:list@example.com">`+c.list+`</service>`))
				w := r.watcher("alice", "list")
				if c.want == "502" {
					w.refused(502)
					if synctest.Wait(); len(r.deps) != 0 {
						t.Errorf("%d documents are followed", len(r.deps))
					}
					return
				}
				r.same(w.active(), c.want)
			})
		})
	}
	t.Run("a list that is too long is refused", func(t *testing.T) {
		runWith(t, func(c *Config, _ *event.NotifierConfig) { c.MaxMembers = 2 }, func(r *rig) {
			r.friends("bob", "carol", "dan")
			r.watcher("alice", "list").refused(403)
		})
	})
}

func TestRefresh(t *testing.T) {
	t.Run("RLS-038 RLS-039 RLS-040 versions count on from 0, and a refresh brings full state", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol")
			w := r.watcher("alice", "list")
			r.same(w.active(), "0+, bob, carol")
			r.notes.set("bob", "one")
			w.expect("1, bob one")
			w.subscribe()
			w.expect("2+, bob one, carol")
			r.notes.set("carol", "two")
			w.expect("3, carol two")
			if w.table.Complete(); w.table.List().Version != 3 {
				t.Error(w.table.List())
			}
		})
	})
	t.Run("the members live as long as the list", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			w := r.watcher("alice", "list")
			w.lines = w.with("Expires: 600")
			w.active()
			for range 5 {
				time.Sleep(9 * time.Minute)
				w.subscribe()
				w.next()
			}
			r.notes.set("bob", "alive")
			w.expect("6, bob alive")
			time.Sleep(10 * time.Minute)
			w.next().Wants("Subscription-State", "terminated;reason=timeout")
			if time.Sleep(time.Minute); r.n.Count() != 0 {
				t.Errorf("%d subscriptions are left", r.n.Count())
			}
		})
	})
	t.Run("a refresh asks again for who had refused", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob")
			r.notes.verdicts[aor("alice")+" "+aor("bob")] = event.Decision{State: event.Terminated}
			w := r.watcher("alice", "list")
			r.same(w.active(), "0+, bob terminated rejected")
			delete(r.notes.verdicts, aor("alice")+" "+aor("bob"))
			w.subscribe()
			switch said := w.next().says(); said {
			case "1+, bob":
			case "1, bob": // that he is there was told before the refresh was answered
				w.expect("2+, bob")
			default:
				t.Error(said)
			}
		})
	})
	t.Run("RLS-049 the entity-tag is that of the whole list", func(t *testing.T) {
		run(t, func(r *rig) {
			r.friends("bob", "carol")
			w := r.watcher("alice", "list")
			first := w.active().One("SIP-ETag")
			r.notes.set("bob", "one")
			second := w.expect("1, bob one").One("SIP-ETag")
			if first == second {
				t.Fatal("another state, the same tag")
			}
			if res := w.subscribe(w.with("Suppress-If-Match: " + second)...); res.Status != 204 {
				t.Fatalf("%d", res.Status)
			}
			r.wire.Silent()
			other := r.watcher("alice", "list")
			other.lines = other.with("Suppress-If-Match: " + second)
			if other.subscribe(); other.next().says() != "nothing" {
				t.Error("the state was known")
			}
			r.notes.set("bob", "") // as it was in the beginning
			if w.expect("2, bob").One("SIP-ETag") != first {
				t.Error("the same state, another tag")
			}
			if got := other.next().says(); got != "0+, bob, carol" && got != "0, bob" {
				t.Error(got)
			}
			r.friends("bob")
			if tag := w.next().One("SIP-ETag"); tag == first || tag == second {
				t.Error("who is in the list does not count")
			}
		})
	})
}
