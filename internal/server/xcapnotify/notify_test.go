package xcapnotify_test

import (
	"strings"
	"testing"
	"time"

	"imp/internal/doc/xcapdiff"
)

func TestFirst(t *testing.T) {
	t.Run("XDE-016 XDE-018 XDE-024 the first NOTIFY lists what exists, with entity-tags only", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob"))
			r.put(lists+"work/team", friends())
			r.put("rls-services/users/sip:alice@example.com/index", "<rls-services xmlns='urn:ietf:params:xml:ns:rls-services'/>")
			_, d := r.subscribe("alice", "aggregate", lists, index+"/~~/*/list%5b@name=%22friends%22%5d/entry%5b1%5d/@uri",
				rootURI+"/rls-services/users/sip:alice@example.com/index")
			r.says(d, "exist resource-lists/users/sip:alice@example.com/index >e1", "exist resource-lists/users/sip:alice@example.com/work/team >e2",
				"exist rls-services/users/sip:alice@example.com/index >e3",
				"attribute "+index+"/~~/*/list%5b@name=%22friends%22%5d/entry%5b1%5d/@uri true sip:bob@example.com")
			if d.Root != rootURI+"/" {
				t.Errorf("xcap-root is %q", d.Root)
			}
		})
	})
	t.Run("XDE-019 what may not be read is left out silently, and stays so", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob"))
			bob := strings.ReplaceAll(index, "alice", "bob")
			_, d := r.subscribe("bob", "", index, lists, "resource-lists/users/", bob, index+"/~~/*/list", "resource-lists/global/index")
			r.says(d)
			r.settle(index, friends())
			r.put("resource-lists/global/index", friends())
			r.says(r.next(), "exist resource-lists/global/index >e3")
			r.settle(bob, friends())
			r.says(r.next(), "exist "+bob+" >e4")
			_, d = r.subscribe("rls", "", "resource-lists/")
			r.says(d, "exist resource-lists/global/index >e3", "exist "+index+" >e2", "exist "+bob+" >e4")
		})
	})
	t.Run("XDE-019 what a usage lets everybody read is told to everybody", func(t *testing.T) {
		run(t, func(r *rig) {
			const content = "org.openmobilealliance.pres-content/"
			icon := content + "users/sip:alice@example.com/oma_status-icon/index"
			r.put(icon, "<content/>")
			r.put(content+"users/sip:alice@example.com/other/index", "<content/>")
			for _, collection := range []string{content, content + "users/", content + "users/sip:alice@example.com/"} {
				_, d := r.subscribe("bob", "", collection)
				r.says(d, "exist "+icon+" >e1")
			}
		})
	})
	t.Run("XDE-020 XDE-021 what is missing is waited for, and what is new in a collection announced", func(t *testing.T) {
		run(t, func(r *rig) {
			_, d := r.subscribe("alice", "xcap-patching", lists+"work/", index, index+"/~~/*/list")
			r.says(d)
			r.settle(index, friends())
			r.says(r.next(), "exist "+index+" >e1", "element "+index+"/~~/*/list true "+`<list xmlns="urn:ietf:params:xml:ns:resource-lists" name="friends">`+"\n  </list>")
			r.settle(lists+"work/team", friends())
			r.says(r.next(), "exist "+lists+"work/team >e2")
			r.put(lists+"other", friends())
			r.quiet()
		})
	})
	t.Run("XDE-022 overlapping selections give one report", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			_, d := r.subscribe("alice", "", lists, index, "resource-lists/", index, rootURI+"/"+index)
			r.says(d, "exist "+index+" >e1")
			r.settle(index, friends("bob"))
			r.says(r.next(), "fetch "+index+" e1>e2")
		})
	})
	t.Run("XDE-023 sel is the uri of the entry octet for octet", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob"))
			for _, sel := range []string{"resource-lists/users/sip%3aalice%40example.com/index", "resource-lists/users/alice@EXAMPLE.com/inde%78"} {
				element := sel + "/~~/resource-lists/list%5B@name='friends'%5d/entry%5b@uri=%22sip:bob@example.com%22%5d/@uri"
				_, d := r.subscribe("alice", "", sel, element)
				r.says(d, "exist "+sel+" >e1", "attribute "+element+" true sip:bob@example.com")
				_, d = r.subscribe("alice", "", rootURI+"/"+sel)
				r.says(d, "exist "+sel+" >e1")
			}
		})
	})
	t.Run("XDE-003 prefixes are bound by the query", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob"))
			sel := index + "/~~/r:resource-lists/r:list/@name?xmlns(r=urn:ietf:params:xml:ns:resource-lists)"
			other := index + "/~~/r:resource-lists/r:list/@name?xmlns(r=urn:other)"
			_, d := r.subscribe("alice", "", sel, other)
			r.says(d, "attribute "+sel+" true friends")
		})
	})
}

func TestChanges(t *testing.T) {
	t.Run("XDE-025 XDE-026 XDE-017 no-patching tells by entity-tags alone", func(t *testing.T) {
		for _, processing := range []string{"", "no-patching", "telepathy"} {
			run(t, func(r *rig) {
				r.subscribe("alice", processing, lists)
				r.settle(index, friends())
				r.says(r.next(), "exist "+index+" >e1")
				r.settle(index, friends("bob"))
				r.says(r.next(), "fetch "+index+" e1>e2")
				r.settle(index, friends("bob"))
				r.says(r.next(), "fetch "+index+" e2>e3")
				r.delete(index)
				r.says(r.next(), "remove "+index+" e3>")
				r.settle(index, friends("bob"))
				r.says(r.next(), "exist "+index+" >e4")
			})
		}
	})
	t.Run("XDE-025 XDE-030 patches, and body-not-changed", func(t *testing.T) {
		for _, processing := range []string{"xcap-patching", "aggregate"} {
			run(t, func(r *rig) {
				c := xcapdiff.Cached{ETag: r.put(index, friends("bob")), Doc: []byte(friends("bob"))}
				r.subscribe("alice", processing, lists)
				take := func(action, etag, doc string) {
					t.Helper()
					d := r.next()
					if len(d.Changes) != 1 || d.Changes[0].Action().String() != action {
						t.Fatalf("got %s", show(d))
					}
					if _, err := c.Take(&d.Changes[0]); err != nil || c.ETag != etag || string(c.Doc) != doc {
						t.Fatalf("%v, %s\n%s", err, c.ETag, c.Doc)
					}
				}
				r.settle(index, friends("bob", "carol"))
				take("patch", "e2", friends("bob", "carol"))
				r.settle(index, friends("bob", "carol"))
				take("retag", "e3", friends("bob", "carol"))
				r.delete(index)
				take("remove", "", "")
				r.settle(index, friends())
				take("exist", "", "")
			})
		}
	})
	t.Run("XDE-030 what cannot be told byte for byte is a reference", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob"))
			r.subscribe("alice", "aggregate", lists)
			r.settle(index, strings.ReplaceAll(friends("bob"), `<entry uri=`, `<entry  uri=`))
			r.says(r.next(), "fetch "+index+" e1>e2")
			r.settle(index, strings.ReplaceAll(friends("bob"), `<entry uri=`, `<entry  uri=`)+"<!-- -->")
			d := r.next()
			if got := d.Changes[0].Action().String(); got != "patch" && got != "fetch" {
				t.Errorf("%s", show(d))
			}
		})
	})
	t.Run("XDE-027 XDE-029 xcap-patching tells every step in its order", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			r.subscribe("alice", "xcap-patching", lists)
			r.settle(index, friends("bob"))
			r.settle(index, friends("bob", "carol"))
			r.settle(lists+"work", friends())
			r.settle(index, friends("carol"))
			r.delete(lists + "work")
			r.says(r.next(), "patch "+index+" e1>e2", "patch "+index+" e2>e3", "exist "+lists+"work >e4", "patch "+index+" e3>e5", "remove "+lists+"work e4>")
		})
	})
	t.Run("XDE-028 aggregate tells several changes as one", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			r.subscribe("alice", "aggregate", lists)
			r.settle(index, friends("bob"))
			r.settle(index, friends("bob", "carol"))
			r.settle(lists+"work", friends())
			r.settle(index, friends("carol"))
			r.delete(lists + "work")
			d := r.next()
			r.says(d, "patch "+index+" e1>e5")
			if n := len(d.Changes[0].Operations()); n != 1 {
				t.Errorf("%d operations", n)
			}
		})
	})
	t.Run("XDE-040 at most one NOTIFY in five seconds", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			p := r.subscriber("alice")
			p.ask(list(index), "Event: xcap-diff")
			last := r.take()
			last.answer(200)
			for range 10 {
				r.settle(index, friends("bob"))
				r.settle(index, friends())
				s := r.take()
				if since := s.at.Sub(last.at); since < 5*time.Second {
					t.Fatalf("%v after the one before", since)
				}
				last = s
				last.answer(200)
			}
		})
	})
}

func TestComponents(t *testing.T) {
	entry := index + "/~~/*/list%5b@name=%22friends%22%5d/entry%5b@uri=%22sip:bob@example.com%22%5d"
	t.Run("XDE-031 what was there and is removed has exists false", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob"))
			_, d := r.subscribe("alice", "", entry, entry+"/@uri")
			xmlns := ` xmlns="urn:ietf:params:xml:ns:resource-lists"`
			there := []string{"element " + entry + " true <entry" + xmlns + ` uri="sip:bob@example.com"/>`, "attribute " + entry + "/@uri true sip:bob@example.com"}
			gone := []string{"element " + entry + " false ", "attribute " + entry + "/@uri false "}
			r.says(d, there...)
			r.settle(index, friends("carol"))
			r.says(r.next(), gone...)
			r.settle(index, friends("carol", "bob"))
			r.says(r.next(), there...)
			r.settle(index, "<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'/>")
			r.says(r.next(), gone...)
			r.settle(index, friends("bob"))
			r.says(r.next(), there...)
			r.delete(index)
			r.says(r.next(), gone...)
			r.settle(index, friends("bob"))
			r.says(r.next(), there...)
			r.settle(index, friends("bob", "dave"))
			r.quiet()
		})
	})
	t.Run("XDE-033 only the latest state of an element is shown", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob"))
			r.subscribe("alice", "xcap-patching", index+"/~~/*/list/@name")
			for _, name := range []string{"a", "b", "c"} {
				r.settle(index, strings.ReplaceAll(friends("bob"), "friends", name))
			}
			r.says(r.next(), "attribute "+index+"/~~/*/list/@name true c")
			r.quiet()
		})
	})
	t.Run("XDE-032 an element that is too large is shown empty", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends(strings.Repeat("x", 70<<10)))
			_, d := r.subscribe("alice", "", index+"/~~/*/list")
			r.says(d, "element "+index+"/~~/*/list true ")
		})
	})
	t.Run("XDE-034 content keeps its prefixes, and all declarations are in scope", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, `<l:resource-lists xmlns:l="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:x"><l:list name="a"><x:y z="1"/></l:list></l:resource-lists>`)
			sel := index + "/~~/resource-lists/list"
			p := r.subscriber("alice")
			p.ask(list(sel), "Event: xcap-diff")
			s := r.take()
			s.answer(200)
			if d := r.read(s); !strings.Contains(string(d.Elements[0].Content), `name="a"><x:y z="1"/></l:list>`) || !strings.Contains(string(s.Body()), `xmlns:x="urn:x"`) {
				t.Errorf("%s", s.Body())
			}
		})
	})
	t.Run("two nodes are none", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends("bob", "carol"))
			_, d := r.subscribe("alice", "", index+"/~~/*/list/entry")
			r.says(d)
			r.settle(index, friends("bob"))
			if d := r.next(); len(d.Elements) != 1 || d.Elements[0].Missing {
				t.Errorf("%s", show(d))
			}
		})
	})
}
