package rules

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"imp/internal/xml/schematest"
)

// apply does to a document what an edit says.
func apply(t testing.TB, src string, e *Edit) string {
	t.Helper()
	out, err := e.Splice([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// settle makes all changes of a plan, and says how many they were.
func settle(t testing.TB, src string, plan func(src []byte) (*Edit, error)) (string, int) {
	t.Helper()
	for n := 0; n < 10; n++ {
		e, err := plan([]byte(src))
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		if e == nil {
			if n > 0 {
				schematest.MustBeValid(t, "bundle-rules.xsd", []byte(src))
			}
			return src, n
		}
		src = apply(t, src, e)
	}
	t.Fatal("it does not come to an end: " + src)
	return "", 0
}

func give(t testing.TB, src string, g Grant) string {
	t.Helper()
	src, _ = settle(t, src, func(src []byte) (*Edit, error) { return g.Give(src, nil) })
	return src
}

func handling(t testing.TB, src, who string) Handling {
	t.Helper()
	p := Evaluate([]*Ruleset{mustParse(t, src)}, Request{Identities: []string{who}, Now: time.Unix(0, 0)})
	return max(p.Handling, Block)
}

func grant(h Handling, who ...Identity) Grant {
	g := Grant{Who: who, Permissions: Permissions{Handling: h}}
	if h == Allow {
		g.Permissions = Everything()
	}
	return g
}

func TestGive(t *testing.T) {
	bob, eve, org := User("sip:bob@example.com"), User("sip:eve@example.org"), Users("EXAMPLE.org")
	t.Run("a user is in one of imp's rules", func(t *testing.T) {
		src := in(``)
		for _, h := range []Handling{Allow, Block, PoliteBlock, Confirm, Allow} {
			src = give(t, src, grant(h, bob))
			if got := handling(t, src, bob.One); got != h || strings.Count(src, bob.One) != 1 {
				t.Errorf("got %v, want %v once\n%s", got, h, src)
			}
		}
	})
	t.Run("what is not concerned stays byte for byte", func(t *testing.T) {
		foreign := `<rule  id='f' ><conditions ><identity><one id="sip:bob@example.com"/></identity></conditions ><x:e xmlns:x="urn:x"/></rule>`
		foreign = strings.Replace(foreign, `<x:e xmlns:x="urn:x"/>`, `<actions><p:sub-handling>allow</p:sub-handling><x:e/></actions>`, 1)
		src := in("<!-- mine -->\n" + foreign + "\n<rule id=\"imp-allow\">\n <conditions>\n  <identity>\n   <one id='sip:a@b'  />\n  </identity>\n </conditions>" +
			`<actions><p:sub-handling>allow</p:sub-handling></actions><transformations><p:provide-all-attributes/><p:provide-services><p:all-services/></p:provide-services></transformations></rule>`)
		g := Grant{Who: []Identity{bob}, Permissions: Permissions{Handling: Allow, AllAttributes: true, Services: &Selection{All: true}}}
		got := give(t, src, g)
		want := strings.Replace(src, "<one id='sip:a@b'  />", "<one id='sip:a@b'  />\n   <one id=\"sip:bob@example.com\"/>", 1)
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		back, _ := settle(t, got, func(src []byte) (*Edit, error) { return Take(src, []Identity{bob}, "") })
		if back != src {
			t.Errorf("got %s\nwant %s", back, src)
		}
	})
	t.Run("AUT-027 a block that has to hold is an exception of imp's own rule", func(t *testing.T) {
		src := give(t, in(``), grant(Allow, org))
		src = give(t, src, grant(Block, eve))
		if handling(t, src, eve.One) != Block || handling(t, src, "sip:bob@example.org") != Allow {
			t.Errorf("%s", src)
		}
		again := give(t, src, grant(Allow, org)) // to allow the domain again does not let her in
		if again != src {
			t.Errorf("got %s\nwant %s", again, src)
		}
		src = give(t, src, grant(Confirm, org))
		src = give(t, src, grant(Allow, Users("")))
		for who, want := range map[string]Handling{eve.One: Block, "sip:bob@example.org": Confirm, "sip:bob@example.net": Allow} {
			if got := handling(t, src, who); got != want {
				t.Errorf("%s: got %v, want %v\n%s", who, got, want, src)
			}
		}
		src, _ = settle(t, src, func(src []byte) (*Edit, error) { return Take(src, []Identity{eve}, "") })
		if handling(t, src, eve.One) == Block || strings.Contains(src, "eve") {
			t.Errorf("%s", src)
		}
	})
	t.Run("nobody has less meanwhile", func(t *testing.T) {
		all := []Handling{Block, Confirm, PoliteBlock, Allow}
		for _, from := range all {
			for _, to := range all {
				src := give(t, in(``), grant(from, bob))
				settle(t, src, func(src []byte) (*Edit, error) {
					if h := handling(t, string(src), bob.One); h < min(from, to) {
						t.Errorf("from %v to %v: %v\n%s", from, to, h, src)
					}
					g := grant(to, bob)
					return g.Give(src, nil)
				})
			}
		}
	})
	t.Run("AUT-024 ids are free in all documents", func(t *testing.T) {
		other := mustParse(t, in(`<rule id="imp-allow"/>`))
		g := grant(Allow, bob)
		e, err := g.Give([]byte(in(``)), []*Ruleset{other})
		if err != nil || e.ID == "imp-allow" {
			t.Errorf("got %+v, %v", e, err)
		}
	})
	t.Run("AUT-076 names of domains are written in small letters", func(t *testing.T) {
		if src := give(t, in(``), grant(Allow, org)); !strings.Contains(src, `domain="example.org"`) {
			t.Error(src)
		}
	})
	t.Run("a rule of another name is left when it grants something else", func(t *testing.T) {
		g := grant(Allow, bob)
		g.ID = "f"
		if _, err := g.Give([]byte(in(`<rule id="f"/>`)), nil); !errors.Is(err, ErrOther) {
			t.Errorf("got %v", err)
		}
		src := give(t, give(t, in(``), grant(Block, bob)), g)
		if !strings.Contains(src, `id="f"`) || !strings.Contains(src, `id="imp-block"`) {
			t.Error(src)
		}
	})
	t.Run("everybody has a rule without identities", func(t *testing.T) {
		src := give(t, in(``), grant(Confirm))
		p := Evaluate([]*Ruleset{mustParse(t, src)}, Request{})
		if p.Handling != Confirm {
			t.Error(src)
		}
		if src = give(t, src, grant(Block)); Evaluate([]*Ruleset{mustParse(t, src)}, Request{}).Handling > Block {
			t.Error(src)
		}
		src, _ = settle(t, src, func(src []byte) (*Edit, error) { return Take(src, nil, "") })
		if strings.Contains(src, "<rule ") {
			t.Error(src)
		}
	})
}

func TestItems(t *testing.T) {
	t.Run("AUT-074 every transformation has a word", func(t *testing.T) {
		p := sample().Rules[0].Permissions
		p.Services.Unknown, p.AllAttributes, p.Provide = nil, false, 1<<len(provideNames)-1
		items := p.Items()
		got := Permissions{Handling: Allow}
		for _, item := range items {
			if err := got.AddItem(item); err != nil {
				t.Error(err)
			}
		}
		if !reflect.DeepEqual(got, p) || len(items) != 4+2+1+12+1 {
			t.Errorf("got %+v\nwant %+v\n%q", got, p, items)
		}
		if e := Everything(); strings.Join(e.Items(), " ") != "services persons devices attributes" {
			t.Errorf("got %q", e.Items())
		}
	})
	for _, bad := range []string{"", "moods", "services:device=urn:x", "persons:class=", "user-input:all", "{urn:x}", "{urn:x"} {
		if err := new(Permissions).AddItem(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestCompare(t *testing.T) {
	rule := func(id, conditions, what string) string {
		return fmt.Sprintf(`<rule id="%s"><conditions>%s</conditions><actions><p:sub-handling>%s</p:sub-handling></actions></rule>`, id, conditions, what)
	}
	one := func(who string) string { return `<identity><one id="` + who + `"/></identity>` }
	sets := func(rules ...string) []*Ruleset { return []*Ruleset{mustParse(t, in(strings.Join(rules, "")))} }
	compare := func(a, b []*Ruleset) (lines []string) {
		all, err := Compare(a, b, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			lines = append(lines, strings.TrimSpace(fmt.Sprint(d.Watcher, " ", d.Before.Handling, " ", d.After.Handling, " ", d.Sphere)))
		}
		return lines
	}
	march := `<validity><from>2026-03-01T00:00:00Z</from><until>2026-04-01T00:00:00Z</until></validity>`
	for _, c := range []struct {
		name string
		a, b []*Ruleset
		want []string
	}{
		{"AUT-001 the order of rules is none", sets(rule("a", one("sip:a@x"), "allow"), rule("b", one("sip:b@x"), "confirm")), sets(rule("c", one("sip:b@x"), "confirm"), rule("d", one("sip:a@x"), "allow")), nil},
		{"a rule for two is as two rules", sets(rule("a", `<identity><one id="sip:a@x"/><one id="sip:b@x"/></identity>`, "allow")), sets(rule("c", one("sip:b@X"), "allow"), rule("d", one("sip:a@x"), "allow")), nil},
		{"a block says nothing", sets(), sets(rule("c", one("sip:b@x"), "block")), nil},
		{"one user more", sets(), sets(rule("c", one("sip:b@x"), "allow")), []string{"sip:b@x block allow"}},
		{"a domain but one", sets(), sets(rule("c", `<identity><many domain="x"><except id="sip:b@x"/></many></identity>`, "allow")), []string{"@x block allow"}},
		{"everybody", sets(), sets(rule("c", "", "confirm")), []string{"authenticated block confirm", "anonymous block confirm"}},
		{"in a sphere", sets(rule("c", one("sip:b@x"), "confirm")), sets(rule("c", one("sip:b@x"), "confirm"), rule("d", one("sip:b@x")+`<sphere value="Work"/>`, "allow")), []string{"sip:b@x confirm allow work"}},
		{"in a time that is over", sets(), sets(rule("c", one("sip:b@x")+strings.ReplaceAll(march, "2026", "2025"), "allow")), nil},
		{"in two rules for two halves of a time", sets(rule("c", one("sip:b@x")+march, "allow")),
			sets(rule("c", one("sip:b@x")+strings.Replace(march, "2026-04-01", "2026-03-10", 1), "allow"), rule("d", one("sip:b@x")+strings.Replace(march, "2026-03-01", "2026-03-10", 1), "allow")), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := compare(c.a, c.b); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("in a time", func(t *testing.T) {
		all, err := Compare(sets(), sets(rule("c", one("sip:b@x")+march, "allow"), rule("d", one("sip:b@x")+strings.Replace(march, "2026-03-01", "2026-03-10", 1), "allow")), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil || len(all) != 1 || all[0].From.Month() != time.March || all[0].Until.Month() != time.April {
			t.Errorf("got %+v, %v", all, err)
		}
	})
	t.Run("what is hidden anyway is no difference", func(t *testing.T) {
		with := func(handling, what string) []*Ruleset {
			return sets(`<rule id="a"><actions><p:sub-handling>` + handling + `</p:sub-handling></actions><transformations>` + what + `</transformations></rule>`)
		}
		if got := compare(with("confirm", `<p:provide-services><p:all-services/></p:provide-services>`), with("confirm", "")); got != nil {
			t.Errorf("got %q", got)
		}
		if got := compare(with("allow", `<p:provide-mood>true</p:provide-mood>`), with("allow", "")); got != nil {
			t.Errorf("got %q", got)
		}
		if got := compare(with("allow", `<p:provide-services><p:all-services/></p:provide-services>`), with("allow", "")); len(got) != 2 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("there is a bound", func(t *testing.T) {
		var many []Identity
		for i := range 5000 {
			many = append(many, User(fmt.Sprintf("sip:%d@x", i)))
		}
		if _, err := Compare(nil, []*Ruleset{{Rules: []Rule{{Conditions: []Condition{{Identity: many}}}}}}, time.Time{}); !errors.Is(err, ErrTooMany) {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzGive sees that changes come to an end, that those concerned get at least what is granted, and that others' rules stay as they are.
func FuzzGive(f *testing.F) {
	f.Add(in(`<rule id="imp-a"><conditions><identity><many domain="example.com"><except id="sip:bob@example.com"/></many><one id="sip:bob@example.com"/></identity></conditions></rule><rule id="f"/>`), uint8(4))
	f.Add(in(`<rule id="imp-allow"><conditions><identity><x:y/></identity><sphere value="a"/></conditions><actions><p:sub-handling>allow</p:sub-handling></actions></rule>`), uint8(1))
	f.Fuzz(func(t *testing.T, src string, how uint8) {
		before, err := open([]byte(src))
		if err != nil {
			t.Skip()
		}
		g := grant(Handling(how%4)+1, User("sip:bob@example.com"), Users("example.org"))
		steps := 0
		for ; ; steps++ {
			e, err := g.Give([]byte(src), nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, src)
			}
			if e == nil {
				break
			}
			if src = apply(t, src, e); steps > len(before.nodes)+3 {
				t.Fatal("it does not come to an end: " + src)
			}
		}
		if h := handling(t, src, "sip:bob@example.com"); h < g.Handling {
			t.Errorf("%v is not granted: %s", g.Handling, src)
		}
		for i, r := range before.set.Rules {
			if !strings.HasPrefix(r.ID, Own) && !strings.Contains(src, string(before.nodes[i].Bytes())) {
				t.Errorf("rule %s is changed: %s", r.ID, src)
			}
		}
	})
}
