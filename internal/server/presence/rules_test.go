package presence

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/doc/rules"
	"imp/internal/sip/event"
	"imp/internal/store"
)

func TestPolicyWithoutRules(t *testing.T) {
	for _, c := range []struct {
		name    string
		policy  Policy
		watcher string
		want    string // "" is 403
	}{
		{"users of the domain", Allow, bob, "active meeting happy"},
		{"others are confirmed", Allow, eve, "pending"},
		{"who is anonymous is confirmed", Allow, "sip:anonymous@anonymous.invalid", "pending"},
		{"AUT-013 the user anonymous of the domain is nobody", Allow, "sip:anonymous@example.com", "pending"},
		{"everybody is confirmed", Confirm, bob, "pending"},
		{"everybody is blocked", Block, bob, ""},
		{"AUT-044 who watches himself sees all", Block, "sip:alice@example.com", "active meeting happy"},
		{"AUT-044 and waits for nobody", Confirm, "sip:alice@example.com", "active meeting happy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ruled1(t, c.policy, func(s *ruledSite) {
				s.publish("one", at("meeting", "happy", ""))
				w := s.watch(c.watcher)
				if (w == nil) != (c.want == "") {
					t.Fatalf("403: %v", w == nil)
				}
				if w != nil {
					w.told(c.want)
				}
			})
		})
	}
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *ruledSite)
	}{
		{"AUT-026 PRS-052 whom no rule names is blocked, whatever the policy", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", services))
			if s.watch(carol) != nil {
				t.Error("carol watches")
			}
			s.watch(bob).told("active <tuple !person")
			s.watch("sip:alice@example.com").told("active meeting")
		}},
		{"AUT-032 PRS-072 PRS-077 block is 403", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "block", persons))
			if s.watch(bob) != nil {
				t.Error("bob watches")
			}
		}},
		{"AUT-009 an alias is another user", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", `<identity><one id="sip:bob@example.com"/></identity>`, "allow", services))
			for _, alias := range []string{"sips:bob@example.com", "sip:bob@phone.example.com", "sip:bob.b@example.com"} {
				if s.watch(alias) != nil {
					t.Errorf("%s watches", alias)
				}
			}
		}},
		{"AUT-013 PRS-070 who is anonymous falls under rules without identity only", func(t *testing.T, s *ruledSite) {
			const nobody = "sip:anonymous@anonymous.invalid"
			s.rules(rule("r", `<identity><many/></identity>`, "allow", services), rule("s", `<identity><one id="sip:anonymous@anonymous.invalid"/></identity>`, "allow", services))
			if s.watch(nobody) != nil {
				t.Error("nobody is one of many")
			}
			s.rules(rule("r", "", "allow", services))
			s.watch(nobody).told("active <tuple !person")
		}},
		{"AUT-033 confirm is pending without a document", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "confirm", persons))
			w := s.watch(bob)
			w.told("pending")
			s.publish("one", at("away", "sad", ""))
			w.told()
		}},
		{"AUT-034 AUT-036 PRS-078 polite-block is a document that nothing changes", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "polite-block", persons))
			w := s.watch(bob)
			if got := w.told("active closed !open"); !bytes.Equal(got, neutral) {
				t.Errorf("%s", got)
			}
			s.publish("one", at("away", "sad", ""))
			s.publish("two", `<tuple id="u"><status><basic>open</basic></status><timestamp>2030-01-01T00:00:00Z</timestamp></tuple>`)
			s.publish("one", "")
			s.publish("two", "")
			time.Sleep(2 * time.Hour)
			w.told()
			if got := s.watch(bob).told("active"); !bytes.Equal(got, neutral) {
				t.Errorf("offline it is\n%s", got)
			}
		}},
		{"AUT-035 PRS-056 PRS-061 allow shows what is granted, with the owner away too", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", persons))
			s.watch(bob).told("active <basic>open meeting !happy")
			s.publish("one", "")
			s.watch(bob).told("active closed")
		}},
		{"AUT-029 AUT-031 what is unknown grants nothing and hinders nothing", func(t *testing.T, s *ruledSite) {
			s.rules(`<rule id="r"><conditions>` + isBob + `</conditions><actions><x:ring xmlns:x="urn:example:x">loud</x:ring><pr:sub-handling>allow</pr:sub-handling></actions>` +
				`<transformations><x:blur xmlns:x="urn:example:x">true</x:blur>` + services + `</transformations></rule>`)
			s.watch(bob).told("active <tuple !person")
		}},
		{"AUT-038 PRS-079 a change to block ends active and pending ones", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", services), rule("s", `<identity><one id="`+carol+`"/></identity>`, "confirm", ""))
			b, c := s.watch(bob), s.watch(carol)
			b.told("active")
			c.told("pending")
			s.rules(rule("r", isBob, "block", ""))
			b.told("terminated:rejected")
			c.told("terminated:rejected")
		}},
		{"AUT-039 a change to confirm hides all, and the way back shows it", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", persons))
			w := s.watch(bob)
			w.told("active meeting")
			s.rules(rule("r", isBob, "confirm", persons))
			w.told("pending")
			s.publish("one", at("away", "sad", ""))
			w.told()
			s.rules(rule("r", isBob, "allow", persons))
			w.told("active away")
		}},
		{"AUT-040 pending ones become active, politely or not", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "confirm", persons))
			w := s.watch(bob)
			w.told("pending")
			s.rules(rule("r", isBob, "polite-block", persons))
			if got := w.told("active"); !bytes.Equal(got, neutral) {
				t.Errorf("%s", got)
			}
			s.rules(rule("r", isBob, "confirm", persons))
			w.told("pending")
			s.rules(rule("r", isBob, "allow", persons))
			w.told("active meeting")
		}},
		{"AUT-041 between allow and polite-block", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", persons))
			w := s.watch(bob)
			w.told("active meeting")
			s.rules(rule("r", isBob, "polite-block", persons))
			if got := w.told("active"); !bytes.Equal(got, neutral) {
				t.Errorf("%s", got)
			}
			s.rules(rule("r", isBob, "allow", persons))
			w.told("active meeting")
		}},
		{"AUT-042 transformations alone, and only for whom they change something", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", persons), rule("s", `<identity><one id="`+carol+`"/></identity>`, "allow", services))
			b, c := s.watch(bob), s.watch(carol)
			b.told("active !happy")
			c.told("active !person")
			s.rules(rule("r", isBob, "allow", persons+`<pr:provide-mood>true</pr:provide-mood>`), rule("s", `<identity><one id="`+carol+`"/></identity>`, "allow", services+`<pr:provide-sphere>true</pr:provide-sphere>`))
			b.told("active happy")
			c.told()
		}},
		{"AUT-066 AUT-067 a change of what is hidden is nothing, also with a timestamp that stands still", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", persons))
			stamped := func(doc string) string {
				return strings.Replace(doc, "</dm:person>", "<dm:timestamp>2026-11-22T10:00:00Z</dm:timestamp></dm:person>", 1)
			}
			s.publish("one", stamped(at("meeting", "happy", "")))
			w := s.watch(bob)
			w.told("active meeting 10:00:00Z")
			s.publish("one", stamped(at("meeting", "sad", "")))
			w.told()
			s.publish("one", stamped(at("away", "sad", "")))
			w.told("active away !10:00:00Z")
		}},
		{"AUT-067 PRS-064 each sees by his own rules", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", persons), rule("s", `<identity><one id="`+carol+`"/></identity>`, "allow", services))
			b, c := s.watch(bob), s.watch(carol)
			b.told("active meeting")
			c.told("active !meeting")
			s.publish("one", at("away", "happy", ""))
			b.told("active away")
			c.told()
		}},
		{"AUT-068 AUT-028 all documents of the user count, in folders too", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", ""))
			w := s.watch(bob)
			w.told("active !<tuple")
			s.put(rules.AUID, "more", ruleset(rule("s", isBob, "block", services)))
			w.told("active <tuple")
			s.put(omaRules, "pres-rules", ruleset(rule("t", "", "confirm", persons)))
			w.told("active meeting")
			s.put(rules.AUID, "more", "")
			s.rules()
			w.told("pending")
			s.put(omaRules, "pres-rules", "")
			w.told("active meeting happy")
		}},
		{"AUT-051 an occurrence-id is what was published, also of two", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", `<pr:provide-services><pr:occurrence-id>t</pr:occurrence-id></pr:provide-services>`))
			s.publish("two", `<tuple id="t"><status><basic>open</basic></status><contact>sip:second@example.com</contact></tuple><tuple id="u"><status><basic>open</basic></status><contact>sip:third@example.com</contact></tuple>`)
			s.watch(bob).told(`active id="t" sip:second@example.com !sip:third@example.com`)
		}},
		{"AUT-030 AUT-022 a document that breaks grants nothing, and is not the policy", func(t *testing.T, s *ruledSite) {
			s.rules(rule("r", isBob, "allow", persons))
			w := s.watch(bob)
			w.told("active meeting")
			s.put(rules.AUID, "other", ruleset(rule("s", isBob, "allow", services)))
			s.put(rules.AUID, "index", "<ruleset")
			w.told("active <tuple !meeting")
			s.put(rules.AUID, "other", "<broken")
			w.told("terminated:rejected")
			if s.watch(bob) != nil || s.watch(carol) != nil {
				t.Error("somebody watches")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ruled1(t, Allow, func(s *ruledSite) {
				s.publish("one", at("meeting", "happy", ""))
				c.do(t, s)
			})
		})
	}
}

func TestEverybodyIsTold(t *testing.T) {
	t.Run("PRS-062 every change reaches each of many watchers, as he may see it", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.rules(rule("r", `<identity><many><except id="`+bob+`"/></many></identity>`, "allow", persons), rule("s", isBob, "confirm", ""))
			b := s.watch(bob)
			var list []*watching
			for i := range 200 {
				list = append(list, s.watch(fmt.Sprintf("sip:watcher%d@example.com", i)))
			}
			for _, w := range list {
				w.told("active closed")
			}
			for _, activity := range []string{"away", "meeting", "travel", "busy"} {
				s.publish("one", at(activity, "happy", ""))
				for _, w := range list {
					w.told("active " + activity + " !happy")
				}
			}
			b.told("pending")
		})
	})
}

func TestRulesInTime(t *testing.T) {
	t.Run("AUT-021 AUT-022 AUT-023 validity begins and ends by itself", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.publish("one", at("meeting", "happy", ""))
			begin := time.Now().Add(10 * time.Minute)
			form := func(d time.Duration) string { return begin.Add(d).UTC().Format(time.RFC3339) }
			s.rules(rule("r", isBob+"<validity><from>"+form(0)+"</from><until>"+form(time.Minute)+"</until><from>"+form(time.Hour/2)+"</from><until>"+form(time.Hour)+"</until></validity>", "allow", services),
				rule("s", isBob, "polite-block", ""))
			w := s.watch(bob)
			w.told("active closed")
			time.Sleep(time.Until(begin) - 1)
			w.told()
			time.Sleep(time.Nanosecond)
			w.told("active open")
			time.Sleep(time.Minute - 1)
			w.told()
			time.Sleep(time.Nanosecond)
			w.told("active closed")
			time.Sleep(29 * time.Minute)
			w.told("active open")
			time.Sleep(time.Hour)
			w.told("active closed")
		})
	})
	t.Run("AUT-018 AUT-023 the sphere is that of all publications", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.rules(rule("r", isBob+`<sphere value="work other"/>`, "allow", persons), rule("s", isBob, "confirm", ""))
			s.publish("one", at("meeting", "happy", "work"))
			w := s.watch(bob)
			w.told("active meeting")
			s.publish("two", at("away", "sad", "home"))
			w.told("pending")
			s.publish("two", at("away", "sad", "work"))
			w.told("active away")
			s.publish("two", at("away", "sad", ""))
			w.told()
			s.publish("one", at("meeting", "happy", "home"))
			w.told("pending")
			s.publish("one", "")
			w.told()
			s.publish("one", at("meeting", "happy", "work"))
			w.told("active meeting")
		})
	})
	t.Run("AUT-019 AUT-020 a sphere in text that ends", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.rules(rule("r", isBob+`<sphere value="BOWLING"/>`, "allow", services), rule("s", isBob, "polite-block", ""))
			form := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
			s.publish("one", `<tuple id="t"><status><basic>open</basic></status></tuple><dm:person id="p"><r:sphere from="`+form(time.Minute)+`" until="`+form(time.Hour/2)+`">bowling</r:sphere></dm:person>`)
			w := s.watch(bob)
			w.told("active closed")
			time.Sleep(time.Minute)
			w.told("active open")
			time.Sleep(time.Hour / 2)
			w.told("active closed")
		})
	})
}

func TestHardState(t *testing.T) {
	const hard = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="mail"><status><basic>open</basic></status><contact>mailto:alice@example.com</contact></tuple></presence>`
	t.Run("XUSE-033 a document of XCAP is composed with what is published, and neither changes the other", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.put(hardState, "index", hard)
			s.put(hardState, "other", strings.Replace(hard, "mailto:alice", "mailto:other", 1))
			s.publish("one", at("meeting", "happy", ""))
			w := s.watch(bob)
			w.told("active mailto:alice@example.com meeting !mailto:other")
			s.agent.changed(event.Change{}) // changes were lost
			w.told()
			s.put(hardState, "index", strings.Replace(hard, "mailto:alice", "mailto:ally", 1))
			w.told("active mailto:ally@example.com meeting")
			time.Sleep(61 * time.Minute) // the publication expires
			w.told("active mailto:ally@example.com !meeting")
			s.publish("two", at("away", "sad", ""))
			w.told("active mailto:ally@example.com away")
			s.put(hardState, "other", strings.Replace(hard, "mailto:alice", "mailto:another", 1))
			w.told()
			s.put(hardState, "index", "")
			w.told("active !mailto away")
		})
	})
}

func TestRulesAreLoaded(t *testing.T) {
	t.Run("rules are in memory as long as somebody watches", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.rules(rule("r", isBob, "allow", services))
			if n := len(s.agent.presentities.watched()); n != 0 {
				t.Fatalf("%d presentities are in memory", n)
			}
			w := s.watch(bob)
			if s.agent.presentities.watched()[0].book() == nil {
				t.Fatal("there are no rules")
			}
			w.sub.Close()
			synctest.Wait()
			if s.watch(carol) != nil {
				t.Fatal("carol watches")
			}
			if n := len(s.agent.presentities.watched()); n != 0 {
				t.Fatalf("%d presentities are in memory", n)
			}
		})
	})
	t.Run("equal permissions are one", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.publish("one", at("meeting", "happy", ""))
			s.rules(rule("r", `<identity><many/></identity>`, "allow", persons))
			for i := range 20 {
				s.watch(fmt.Sprintf("sip:watcher%d@example.com", i)).told("active meeting")
			}
			p := s.agent.presentities.watched()[0]
			if len(p.ruled.book.permitted) != 1 || len(p.ruled.shown) != 1 {
				t.Fatalf("%d permissions, %d documents", len(p.ruled.book.permitted), len(p.ruled.shown))
			}
		})
	})
	t.Run("a change while a presentity is read is read again", func(t *testing.T) {
		p := &presentity{name: "sip:alice@example.com", version: 1}
		ps := &presentities{byKey: map[string]*presentity{store.Key(p.name): p}}
		reads := 0
		got, err := ps.open(t.Context(), p.name, func(context.Context, string) (loaded, error) {
			if reads++; reads == 1 {
				p.change(func(*userDocuments) bool { return true })
			}
			return loaded{}, nil
		})
		if err != nil || got != p || reads != 2 || !p.loaded {
			t.Errorf("%d reads, %v", reads, err)
		}
	})
	t.Run("events that were lost are made good", func(t *testing.T) {
		ruled1(t, Allow, func(s *ruledSite) {
			s.publish("one", at("meeting", "happy", ""))
			s.rules(rule("r", isBob, "allow", services))
			w := s.watch(bob)
			w.told("active <tuple")
			p := s.agent.presentities.watched()[0]
			p.change(func(d *userDocuments) bool { *d = userDocuments{}; return true })
			s.agent.rereadDocuments(t.Context())
			w.told()
			p.change(func(d *userDocuments) bool { *d = userDocuments{}; return true })
			s.agent.tellOf(p, consequence{rules: true})
			w.told("active happy")
			s.agent.rereadDocuments(t.Context())
			w.told("active !happy")
		})
	})
}

// BenchmarkReview: 500 watchers, each named by a rule, when the document changes.
func BenchmarkReview(b *testing.B) {
	var list strings.Builder
	for i := range 500 {
		list.WriteString(rule(fmt.Sprintf("r%d", i), fmt.Sprintf(`<identity><one id="sip:user%d@example.com"/></identity>`, i), "allow", persons))
	}
	set, err := rules.Parse([]byte(ruleset(list.String())))
	if err != nil {
		b.Fatal(err)
	}
	book, _ := newRulebook(map[string]ruleDocument{"a": {1, set}}, nil, time.Now())
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if h, _ := book.judge([]string{"sip:user250@example.com"}, now); h != rules.Allow {
			b.Fatal(h)
		}
	}
}
