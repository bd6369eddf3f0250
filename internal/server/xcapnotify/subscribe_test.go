package xcapnotify_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/server/xcapnotify"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestRequests(t *testing.T) {
	t.Run("XDE-004 XDE-006 duration and type go without saying", func(t *testing.T) {
		run(t, func(r *rig) {
			p := r.subscriber("alice")
			res := p.ask(list(index), "Event: xcap-diff")
			if got := fieldOf(res, "Expires"); res.Status != 200 || got != "3600" {
				t.Errorf("%d, Expires %q", res.Status, got)
			}
			s := r.take()
			if got := s.GetHeader("Content-Type").Value(); got != "application/xcap-diff+xml" {
				t.Errorf("type %q", got)
			}
			s.answer(200)
			for accept, status := range map[string]int{"application/xcap-diff+xml, text/plain": 200, "text/plain": 406} {
				if res := r.subscriber("alice").ask(list(index), "Event: xcap-diff", "Accept: "+accept); res.Status != status {
					t.Errorf("Accept: %s: %d", accept, res.Status)
				}
			}
		})
	})
	t.Run("XDE-043 what is not known in the list is ignored", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			body := `<r:resource-lists xmlns:r="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:x" later="1"><x:y><r:entry uri="a"/></x:y><r:list name="a" x:b="c"><r:display-name>z</r:display-name>` +
				`<r:tomorrow uri="b"/><x:entry uri="c"/><r:entry uri=" ` + index + ` " x:d="e" f="g"><r:display-name>h</r:display-name><x:i/></r:entry></r:list></r:resource-lists>`
			p := r.subscriber("alice")
			if res := p.ask(body, "Event: xcap-diff"); res.Status != 200 {
				t.Fatalf("%d %s", res.Status, res.Reason)
			}
			r.says(r.next(), "exist "+index+" >e1")
		})
	})
	many := make([]string, 201)
	for i := range many {
		many[i] = fmt.Sprint(lists, i)
	}
	for _, c := range []struct {
		name, body string
		status     int
		reason     string
	}{
		{"XDE-001 no list", "", 400, "List"},
		{"XDE-001 a list in a list", strings.Replace(list(index), "<list>", "<list><list/>", 1), 400, "flat"},
		{"XDE-001 an entry-ref", strings.Replace(list(index), "<list>", `<list><entry-ref ref="a"/>`, 1), 400, "flat"},
		{"XDE-001 an external", strings.Replace(list(index), "<list>", `<list><external anchor="a"/>`, 1), 400, "flat"},
		{"XDE-002 a namespace", list(index + "/~~/resource-lists/namespace::*"), 400, "namespaces"},
		{"XDE-002 another scheme", list("sip:alice@example.com"), 400, ""},
		{"XDE-002 another scheme with slashes", list("ftp://xcap.example.com/xcap-root/" + index), 400, "http"},
		{"XDE-024 XDE-035 another root", list("http://xcap.example.com/other/" + index), 400, "below"},
		{"XDE-024 another host", list("http://xcap2.example.com/xcap-root/" + index), 400, "below"},
		{"XDE-003 a prefix that is not bound", list(index + "/~~/x:resource-lists"), 400, "x"},
		{"a broken selector", list(index + "/~~/resource-lists%5b"), 400, ""},
		{"a broken escape", list("resource-lists/users/%zz/index"), 400, ""},
		{"dots", list(lists + "../index"), 400, ""},
		{"an entry without uri", strings.Replace(list(index), "uri=", "url=", 1), 400, "uri"},
		{"not well-formed", "<resource-lists", 400, "1:"},
		{"another document", "<a/>", 400, "resource-lists"},
		{"too many", list(many...), 413, "200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(r *rig) {
				res := r.subscriber("alice").ask(c.body, "Event: xcap-diff")
				if res.Status != c.status || !strings.Contains(strings.ToLower(res.Reason), strings.ToLower(c.reason)) {
					t.Errorf("%d %s", res.Status, res.Reason)
				}
				r.quiet()
			})
		})
	}
	t.Run("another type is 415", func(t *testing.T) {
		run(t, func(r *rig) {
			res := r.subscriber("alice").ask("a", "Event: xcap-diff", "Content-Type: text/plain")
			if res.Status != 415 || fieldOf(res, "Accept") != "application/resource-lists+xml" {
				t.Errorf("%d %v", res.Status, res.Fields)
			}
		})
	})
	t.Run("more documents than one subscription may have", func(t *testing.T) {
		runWith(t, func(c *xcapnotify.Config) { c.MaxDocuments = 2 }, nil, func(r *rig) {
			r.put(lists+"a", friends())
			r.put(lists+"b", friends())
			r.subscribe("alice", "", lists)
			r.put(lists+"c", friends())
			if s := r.take(); !strings.Contains(s.GetHeader("Subscription-State").Value(), "terminated;reason=giveup") {
				t.Errorf("%s", s.Request)
			} else {
				s.answer(200)
			}
			if res := r.subscriber("alice").ask(list(lists), "Event: xcap-diff"); res.Status != 403 {
				t.Errorf("%d", res.Status)
			}
		})
	})
}

func fieldOf(res *stack.Response, name string) string {
	for _, f := range res.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func tagOf(s *sent) string { return s.GetHeader("SIP-ETag").Value() }

func TestRefresh(t *testing.T) {
	const patching = "Event: xcap-diff;diff-processing=xcap-patching"
	t.Run("XDE-036 XDE-037 a refresh gets the full state, unless it is what the condition has", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			r.put(lists+"work", friends())
			p := r.subscriber("alice")
			p.ask(list(index, lists+"work", index+"/~~/*/list/@name"), patching)
			s := r.take()
			s.answer(200)
			tag := tagOf(s)
			if res := p.ask(list(index+"/~~/*/list/@name", lists+"work", index), patching, "Suppress-If-Match: "+tag); res.Status != 204 {
				t.Fatalf("another order: %d", res.Status)
			}
			if res := p.ask("", patching, "Suppress-If-Match: "+tag); res.Status != 204 {
				t.Fatalf("no list: %d", res.Status)
			}
			r.quiet()
			if res := p.ask(list(index, index+"/~~/*/list/@name"), patching, "Suppress-If-Match: "+tag); res.Status != 200 {
				t.Fatalf("another list: %d", res.Status)
			}
			r.says(r.next(), "exist "+index+" >e1", "attribute "+index+"/~~/*/list/@name true friends")
			p.ask("", patching)
			s = r.take()
			s.answer(200)
			r.says(r.read(s), "exist "+index+" >e1", "attribute "+index+"/~~/*/list/@name true friends")
			r.settle(index, friends("bob"))
			r.says(r.next(), "patch "+index+" e1>e3")
			if res := p.ask("", patching, "Suppress-If-Match: "+tagOf(s)); res.Status != 200 {
				t.Fatalf("old state: %d", res.Status)
			}
			r.says(r.next(), "exist "+index+" >e3", "attribute "+index+"/~~/*/list/@name true friends")
		})
	})
	t.Run("XDE-036 another list is another state, though nothing else is there", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			p := r.subscriber("alice")
			p.ask(list(index), patching)
			s := r.take()
			s.answer(200)
			if res := p.ask(list(index, lists+"missing"), patching, "Suppress-If-Match: "+tagOf(s)); res.Status != 200 {
				t.Fatalf("%d", res.Status)
			}
			r.says(r.next(), "exist "+index+" >e1")
		})
	})
	t.Run("XDE-036 the tag of a change names the full state after it", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			p, _ := r.subscribe("alice", "aggregate", lists)
			r.settle(index, friends("bob"))
			s := r.take()
			s.answer(200)
			if res := p.ask("", "Event: xcap-diff;diff-processing=aggregate", "Suppress-If-Match: "+tagOf(s)); res.Status != 204 {
				t.Fatalf("%d", res.Status)
			}
			r.settle(index, friends())
			r.says(r.next(), "patch "+index+" e2>e3")
		})
	})
	t.Run("XDE-044 XDE-047 a new list replaces the old one, and rights are looked at again", func(t *testing.T) {
		run(t, func(r *rig) {
			bob := strings.ReplaceAll(index, "alice", "bob")
			r.put(index, friends())
			r.put(lists+"work", friends())
			r.put(bob, friends())
			p, d := r.subscribe("alice", "", index)
			r.says(d, "exist "+index+" >e1")
			p.ask(list(lists+"work", bob), "Event: xcap-diff")
			r.says(r.next(), "exist "+lists+"work >e2")
			r.settle(index, friends("bob"))
			r.settle(bob, friends("bob"))
			r.quiet()
			r.settle(lists+"work", friends("bob"))
			r.says(r.next(), "fetch "+lists+"work e2>e6")
		})
	})
	t.Run("XDE-007 XDE-038 another mode counts after the NOTIFY that answers", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			p, _ := r.subscribe("alice", "no-patching", index)
			r.settle(index, friends("bob"))
			r.says(r.next(), "fetch "+index+" e1>e2")
			p.ask("", patching)
			r.says(r.next(), "exist "+index+" >e2")
			r.settle(index, friends("bob", "carol"))
			r.settle(index, friends("bob"))
			r.says(r.next(), "patch "+index+" e2>e3", "patch "+index+" e3>e4")
			p.ask("", "Event: xcap-diff;diff-processing=aggregate")
			r.says(r.next(), "exist "+index+" >e4")
			r.settle(index, friends("bob", "carol"))
			r.settle(index, friends("carol"))
			r.says(r.next(), "patch "+index+" e4>e6")
			p.ask("", "Event: xcap-diff")
			r.says(r.next(), "exist "+index+" >e6")
			r.settle(index, friends())
			r.says(r.next(), "fetch "+index+" e6>e7")
		})
	})
}

func TestLater(t *testing.T) {
	t.Run("XDE-030 the first change is a patch for who comes after a subscriber without patches", func(t *testing.T) {
		for _, processing := range []string{"xcap-patching", "aggregate"} {
			run(t, func(r *rig) {
				r.put(index, friends())
				r.subscribe("rls", "no-patching", index)
				r.subscribe("alice", processing, index)
				r.settle(index, friends("bob"))
				got := show(r.next()) + show(r.next())
				if want := "patch " + index + " e1>e2\n"; !strings.Contains(got, want) {
					t.Errorf("%s: got\n%swant among them\n%s", processing, got, want)
				}
			})
		}
	})
}

func TestSlow(t *testing.T) {
	t.Run("XDE-039 the next NOTIFY comes after the 200, with all that came meanwhile", func(t *testing.T) {
		for processing, want := range map[string][]string{
			"xcap-patching": {"patch " + index + " e2>e3", "patch " + index + " e3>e4"},
			"aggregate":     {"patch " + index + " e2>e4"},
			"no-patching":   {"fetch " + index + " e2>e4"},
		} {
			run(t, func(r *rig) {
				r.put(index, friends())
				r.subscribe("alice", processing, index)
				r.settle(index, friends("bob"))
				s := r.take()
				r.settle(index, friends("bob", "carol"))
				<-time.After(10 * time.Second)
				r.settle(index, friends("carol"))
				synctest.Wait()
				if len(r.sent) > 0 {
					t.Fatal("another NOTIFY before the answer")
				}
				s.answer(200)
				r.says(r.next(), want...)
			})
		}
	})
	t.Run("XDE-039 a timeout removes the subscription and what is kept for it", func(t *testing.T) {
		run(t, func(r *rig) {
			r.put(index, friends())
			r.subscribe("alice", "aggregate", lists)
			r.settle(index, friends("bob"))
			r.take().done(nil, stack.ErrTimeout)
			synctest.Wait()
			if r.n.Count() != 0 || r.pkg.Documents() != 0 {
				t.Errorf("%d subscriptions, %d documents", r.n.Count(), r.pkg.Documents())
			}
			r.put(index, friends())
			r.quiet()
		})
	})
	t.Run("what a failed NOTIFY told is told again", func(t *testing.T) {
		for processing, want := range map[string][]string{
			"xcap-patching": {"patch " + index + " e1>e2", "patch " + index + " e2>e3"},
			"aggregate":     {"patch " + index + " e1>e3"},
			"no-patching":   {"fetch " + index + " e1>e3"},
		} {
			run(t, func(r *rig) {
				r.put(index, friends())
				r.subscribe("alice", processing, index)
				r.settle(index, friends("bob"))
				r.take().answer(500)
				r.settle(index, friends("carol"))
				r.says(r.next(), want...)
			})
		}
	})
	t.Run("XDE-038 a subscriber who is slower than the changes gets references, and patches again later", func(t *testing.T) {
		runWith(t, func(c *xcapnotify.Config) { c.MaxSteps = 8 }, nil, func(r *rig) {
			r.put(index, friends())
			r.subscribe("alice", "xcap-patching", lists)
			for i := range 9 {
				r.settle(index, friends(fmt.Sprint(i)))
			}
			r.says(r.next(), "fetch "+index+" e1>e10")
			r.settle(index, friends("bob"))
			r.says(r.next(), "patch "+index+" e10>e11")
		})
	})
	t.Run("bodies beyond what is kept are told as references", func(t *testing.T) {
		for name, change := range map[string]func(*xcapnotify.Config){
			"history": func(c *xcapnotify.Config) { c.MaxHistory = 100 }, "held": func(c *xcapnotify.Config) { c.MaxHeld = 100 }, "body": func(c *xcapnotify.Config) { c.MaxBody = 100 },
		} {
			t.Run(name, func(t *testing.T) {
				runWith(t, change, nil, func(r *rig) {
					r.put(index, friends())
					r.subscribe("alice", "aggregate", index)
					r.settle(index, friends("bob"))
					r.says(r.next(), "fetch "+index+" e1>e2")
				})
			})
		}
	})
}

func TestLeaves(t *testing.T) {
	run(t, func(r *rig) {
		r.put(index, friends())
		p, _ := r.subscribe("alice", "aggregate", lists, index+"/~~/*/list")
		q, _ := r.subscribe("alice", "aggregate", "resource-lists/")
		p.ask("", "Event: xcap-diff", "Expires: 0")
		r.take().answer(200)
		r.settle(index, friends("bob"))
		r.says(r.next(), "patch "+index+" e1>e2")
		q.ask("", "Event: xcap-diff", "Expires: 0")
		r.take().answer(200)
		if r.pkg.Documents() != 0 || r.n.Count() != 0 {
			t.Errorf("%d documents, %d subscriptions", r.pkg.Documents(), r.n.Count())
		}
	})
}

func TestFetch(t *testing.T) {
	run(t, func(r *rig) {
		r.put(index, friends())
		p := r.subscriber("alice")
		p.ask(list(lists), "Event: xcap-diff", "Expires: 0")
		s := r.take()
		s.answer(200)
		st, err := header.ParseSubscriptionState(s.GetHeader("Subscription-State").Value())
		if err != nil || st.State != "terminated" {
			t.Errorf("%v %v", st, err)
		}
		r.says(r.read(s), "exist "+index+" >e1")
	})
}
