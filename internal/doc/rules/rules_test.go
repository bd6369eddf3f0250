package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"imp/internal/xml/schematest"
)

const head = `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:p="urn:ietf:params:xml:ns:pres-rules" xmlns:x="urn:x">`

func in(s string) string { return head + "\n" + s + "</ruleset>" }

func mustParse(t testing.TB, src string) *Ruleset {
	t.Helper()
	d, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return d
}

func sample() *Ruleset {
	ext := Raw{"urn:x", "e", `<x:e xmlns:x="urn:x">1</x:e>`}
	return &Ruleset{Rules: []Rule{
		{ID: "a", Conditions: []Condition{
			{Identity: []Identity{{One: "sip:bob@example.com"}, {Many: true, Domain: "example.org", Except: []Except{{ID: "sip:eve@example.org"}, {Domain: "example.net"}}}, {Unknown: []Raw{ext}}}},
			{Sphere: "home work"}, {Validity: []Period{{"2026-01-01T00:00:00Z", "2026-02-01T00:00:00+01:00"}}}, {Unknown: &ext},
		}, Permissions: Permissions{
			Handling: Allow, Services: &Selection{URIs: []string{"sip:a@b"}, Schemes: []string{"sip"}, Classes: []string{"c"}, Unknown: []Raw{ext}},
			Persons: &Selection{All: true}, Devices: &Selection{DeviceIDs: []string{"urn:d"}, OccurrenceIDs: []string{"o"}}, Provide: Activities | Note | TimeOffset,
			UserInput: Thresholds, UnknownAttributes: []Attribute{{"homepage", "urn:ietf:params:xml:ns:pidf:cipid"}}, AllAttributes: true,
		}, Actions: []Raw{ext}, Transformations: []Raw{ext}},
		{ID: "b"},
	}}
}

func TestRoundTrip(t *testing.T) {
	t.Run("AUT-031 AUT-072 rules keep all that they have, known or not", func(t *testing.T) {
		want := sample()
		if got := mustParse(t, string(want.Bytes())); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v\n%s", got, want, want.Bytes())
		}
		schematest.MustBeValid(t, "bundle-rules.xsd", want.Bytes())
	})
}

func TestParse(t *testing.T) {
	rule := func(s string) string { return in(`<rule id="a">` + s + `</rule>`) }
	for _, c := range []struct{ name, doc, want string }{
		{"XUSE-039 no id", in(`<rule/>`), "2:1: "},
		{"XUSE-039 AUT-024 an id twice", in(`<rule id="a"/><rule id="a"/>`), "2:"},
		{"XUSE-039 an id that begins with a digit", in(`<rule id="1"/>`), "2:7: "},
		{"XUSE-039 another order", rule(`<actions/><conditions/>`), "2:24: "},
		{"XUSE-045 from alone", rule(`<conditions><validity><from>2026-01-01T00:00:00Z</from></validity></conditions>`), "2:"},
		{"XUSE-045 no time", rule(`<conditions><validity><from>now</from><until>then</until></validity></conditions>`), "2:"},
		{"XUSE-047 another handling", rule(`<actions><p:sub-handling>permit</p:sub-handling></actions>`), "2:"},
		{"XUSE-048 all and others", rule(`<transformations><p:provide-persons><p:all-persons/><p:class>a</p:class></p:provide-persons></transformations>`), "2:"},
		{"XUSE-049 another value", rule(`<transformations><p:provide-mood>yes</p:provide-mood></transformations>`), "2:"},
		{"another root", `<ruleset/>`, "1:1: the root is {}ruleset"},
		{"not well-formed", "<ruleset>\n<", "2:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.doc))
			var at *Error
			if !errors.As(err, &at) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("XUSE-049 permissions that are false grant nothing", func(t *testing.T) {
		d := mustParse(t, rule(`<transformations><p:provide-mood>0</p:provide-mood><p:provide-note> 1 </p:provide-note><p:provide-user-input>false</p:provide-user-input>
			<p:provide-unknown-attribute name="a" ns="b">false</p:provide-unknown-attribute></transformations>`))
		if got := d.Rules[0].Permissions; !reflect.DeepEqual(got, Permissions{Provide: Note}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestUnknownPermissions(t *testing.T) {
	t.Run("XUSE-044 unknown permissions are ignored", func(t *testing.T) {
		d := mustParse(t, in(`<rule id="a"><actions><p:sub-handling>allow</p:sub-handling><x:a/></actions><transformations><p:provide-mood>true</p:provide-mood><x:b/></transformations></rule>`))
		if got := Evaluate([]*Ruleset{d}, Request{}); !reflect.DeepEqual(got, Permissions{Handling: Allow, Provide: Mood}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestNamespaces(t *testing.T) {
	t.Run("XUSE-036 the root is of common policy, and the type is that of policies", func(t *testing.T) {
		doc := string((&Ruleset{}).Bytes())
		if MediaType != "application/auth-policy+xml" || AUID != "pres-rules" || PresenceSpace != "urn:ietf:params:xml:ns:"+AUID {
			t.Error(MediaType, AUID, PresenceSpace)
		}
		mustParse(t, doc)
		if _, err := Parse([]byte(strings.Replace(doc, "urn:ietf:params:xml:ns:common-policy", PresenceSpace, 1))); err == nil {
			t.Error("a ruleset of pres-rules is taken")
		}
	})
}

func TestFreeID(t *testing.T) {
	t.Run("XUSE-040 an id is free in all documents", func(t *testing.T) {
		sets := []*Ruleset{{Rules: []Rule{{ID: "bob"}, {ID: "bob-2"}}}, {Rules: []Rule{{ID: "bob-3"}, {ID: "rule"}}}}
		for wish, want := range map[string]string{"bob": "bob-4", "carol": "carol", "bob-2": "bob-2-2", "": "r", "sip:d@x y": "sip_d_x_y", "1": "r1", "\u00e9!": "\u00e9_"} {
			got := FreeID(sets, wish)
			if got != want {
				t.Errorf("%q became %q, want %q", wish, got, want)
			}
			mustParse(t, string((&Ruleset{Rules: []Rule{{ID: got}}}).Bytes()))
		}
		if got := FreeID(nil, "bob"); got != "bob" {
			t.Error(got)
		}
	})
}

func TestExamples(t *testing.T) {
	var docs [][]byte
	for file, src := range schematest.Valid(t, "common-policy", "pres-rules") {
		d, err := Parse(src)
		if err != nil || len(d.Rules) == 0 {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if again := mustParse(t, string(d.Bytes())); !reflect.DeepEqual(again, d) {
			t.Errorf("%s: got %+v\nwant %+v", file, again, d)
		}
		docs = append(docs, d.Bytes())
	}
	schematest.MustBeValid(t, "bundle-rules.xsd", docs...)
}

func TestBytes(t *testing.T) {
	t.Run("XUSE-038 AUT-076 whatever is written is valid", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		texts := []string{"", "a", "a b", "%", "%4", "a#b#c", "sip:a@b;x=y?z=%20", "1:2", "ü\u0001\xff", "<&>\"'", "]]>", "a[b", "\r\n\t", "2026-01-01T00:00:00Z", "-1"}
		text := func() string { return texts[r.IntN(len(texts))] }
		list := func() (s []string) {
			for range r.IntN(3) {
				s = append(s, text())
			}
			return s
		}
		pick := func() *Selection {
			if r.IntN(2) == 0 {
				return nil
			}
			return &Selection{r.IntN(3) == 0, list(), list(), list(), list(), list(), sample().Rules[0].Actions}
		}
		docs := [][]byte{(&Ruleset{}).Bytes()}
		for range 200 {
			d := sample()
			for range 4 {
				rule := Rule{ID: text(), Permissions: Permissions{Handling(r.IntN(7)), pick(), pick(), pick(), Provide(r.Uint32()), UserInput(r.IntN(6)),
					[]Attribute{{text(), text()}}, r.IntN(2) == 0}}
				for range r.IntN(4) {
					c := Condition{Sphere: text(), Validity: []Period{{text(), text()}}}
					for range r.IntN(3) {
						c.Identity = append(c.Identity, Identity{text(), r.IntN(2) == 0, text(), []Except{{text(), text()}}, d.Rules[0].Actions})
					}
					rule.Conditions = append(rule.Conditions, c)
				}
				d.Rules = append(d.Rules, rule)
			}
			docs = append(docs, d.Bytes())
		}
		schematest.MustBeValid(t, "bundle-rules.xsd", docs...)
	})
}

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// applies evaluates a rule with these conditions.
func applies(t *testing.T, conditions string, req Request) bool {
	t.Helper()
	d := mustParse(t, in(`<rule id="a"><conditions>`+conditions+`</conditions><actions><p:sub-handling>allow</p:sub-handling></actions></rule>`))
	got := Evaluate([]*Ruleset{d}, req).Handling == Allow
	if v := Explain([]*Ruleset{d}, req); len(v) != 1 || v[0].Applies != got || (v[0].Why == "") != got {
		t.Errorf("explained as %+v", v)
	}
	return got
}

func TestConditions(t *testing.T) {
	bob := Request{Identities: []string{"sip:bob@example.com"}, Now: noon}
	as := func(uris ...string) Request { return Request{Identities: uris, Now: noon} }
	identity := func(s string) string { return "<identity>" + s + "</identity>" }
	for _, c := range []struct {
		name, conditions string
		req              Request
		want             bool
	}{
		{"AUT-002 XUSE-042 no conditions hold for all", "", Request{}, true},
		{"AUT-003 XUSE-044 an unknown condition is false", `<x:a/>`, bob, false},
		{"AUT-004 an unknown identity is false", identity(`<x:a/>`), bob, false},
		{"AUT-004 beside others", identity(`<x:a/><one id="sip:bob@example.com"/>`), bob, true},
		{"AUT-004 what is unknown in one is not passed over", identity(`<one id="sip:bob@example.com"><x:a/></one>`), bob, false},
		{"AUT-005 XUSE-042 no identity is anybody", `<sphere value="work"/>`, Request{Sphere: "work"}, true},
		{"AUT-006 XUSE-041 any of them", identity(`<one id="sip:a@b"/><one id="sip:bob@example.com"/>`), bob, true},
		{"AUT-007 canonical forms are compared", identity(`<one id="SIP:%62ob@EXAMPLE.com;user=ip"/>`), bob, true},
		{"AUT-007 the user is case-sensitive", identity(`<one id="sip:Bob@example.com"/>`), bob, false},
		{"AUT-008 NAM-013 schemes differ", identity(`<one id="pres:bob@example.com"/><one id="sips:bob@example.com"/>`), bob, false},
		{"AUT-008 tel is not sip", identity(`<one id="tel:+1"/>`), as("sip:+1@example.com"), false},
		{"AUT-008 tel is tel", identity(`<one id="tel:+1"/>`), as("tel:+1"), true},
		{"AUT-010 XUSE-042 many is anybody authenticated", identity(`<many/>`), bob, true},
		{"AUT-010 XUSE-042 not others", identity(`<many/>`), Request{}, false},
		{"AUT-011 XUSE-043 domains without regard to case", identity(`<many domain="EXAMPLE.com"/>`), bob, true},
		{"AUT-011 not those below", identity(`<many domain="example.com"/>`), as("sip:bob@a.example.com"), false},
		{"AUT-011 not those above", identity(`<many domain="a.example.com"/>`), bob, false},
		{"AUT-011 the port is not part of it", identity(`<many domain="example.com"/>`), as("sip:bob@example.com:5070"), true},
		{"AUT-011 XUSE-043 international names", identity(`<many domain="BÜCHER.example"/>`), as("sip:bob@xn--bcher-kva.example"), true},
		{"AUT-011 XUSE-043 escaped names", identity(`<many domain="b%C3%BCcher.example"/>`), as("sip:bob@xn--bcher-kva.example"), true},
		{"AUT-011 what cannot be converted", identity(`<many domain="%FF"/>`), as("sip:bob@%FF"), false},
		{"AUT-012 XUSE-041 except a user", identity(`<many domain="example.com"><except id="sip:BOB@example.com"/><except id="SIP:bob@Example.com"/></many>`), bob, false},
		{"AUT-012 XUSE-041 except a domain", identity(`<many><except domain="Example.Com"/></many>`), bob, false},
		{"AUT-012 except others", identity(`<many><except domain="example.net"/><except id="sip:a@b"/></many>`), bob, true},
		{"AUT-015 any identity counts", identity(`<one id="tel:+1"/>`), as("sip:bob@example.com", "tel:+1"), true},
		{"AUT-015 for exceptions too", identity(`<many><except id="tel:+1"/></many>`), as("sip:bob@example.com", "tel:+1"), false},
		{"AUT-017 any token", `<sphere value="Home work"/>`, Request{Sphere: "home"}, true},
		{"AUT-017 another token", `<sphere value="Home work"/>`, Request{Sphere: "homework"}, false},
		{"AUT-018 undefined is false", `<sphere value="work"/>`, bob, false},
		{"AUT-018 no value is false", `<sphere value=""/>`, Request{}, false},
		{"AUT-021 from is within", `<validity><from>2026-01-15T13:00:00+01:00</from><until>2026-01-16T00:00:00Z</until></validity>`, bob, true},
		{"AUT-021 until is not", `<validity><from>2026-01-14T00:00:00Z</from><until>2026-01-15T12:00:00Z</until></validity>`, bob, false},
		{"AUT-021 any pair", `<validity><from>2025-01-14T00:00:00Z</from><until>2025-01-15T00:00:00Z</until><from>2026-01-15T11:59:59.5Z</from><until>2026-01-15T12:00:00.1Z</until></validity>`, bob, true},
		{"AUT-002 XUSE-041 all have to be true", identity(`<many/>`) + `<sphere value="work"/>`, bob, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := applies(t, c.conditions, c.req); got != c.want {
				t.Errorf("%s applies: %v", c.conditions, got)
			}
		})
	}
}

func TestCombination(t *testing.T) {
	allow := &Ruleset{Rules: []Rule{{ID: "a", Permissions: Permissions{Handling: Allow, Services: &Selection{Classes: []string{"x"}}, Provide: Mood, UserInput: Bare,
		UnknownAttributes: []Attribute{{"a", "b"}}}}}}
	block := &Ruleset{Rules: []Rule{{ID: "b", Permissions: Permissions{Handling: Block, Services: &Selection{Schemes: []string{"sip"}}, Provide: Note, UserInput: Thresholds,
		Persons: &Selection{All: true}, UnknownAttributes: []Attribute{{"a", "b"}, {"c", "d"}}}}}}
	t.Run("AUT-025 XUSE-046 each permission on its own", func(t *testing.T) {
		want := Permissions{Handling: Allow, Services: &Selection{Classes: []string{"x"}, Schemes: []string{"sip"}}, Persons: &Selection{All: true}, Provide: Mood | Note,
			UserInput: Thresholds, UnknownAttributes: []Attribute{{"a", "b"}, {"c", "d"}}}
		if got := Evaluate([]*Ruleset{allow, block}, Request{}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if len(allow.Rules[0].UnknownAttributes) != 1 || len(allow.Rules[0].Services.Schemes) != 0 {
			t.Error("the rules were changed")
		}
	})
	t.Run("AUT-026 nothing is block", func(t *testing.T) {
		if got := Evaluate(nil, Request{}); got.Handling.String() != "block" || !reflect.DeepEqual(got, Permissions{}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("AUT-001 AUT-027 XUSE-037 XUSE-041 the order has no meaning, and rules of all documents count", func(t *testing.T) {
		if got := Evaluate([]*Ruleset{block, allow}, Request{}); got.Handling != Allow || !got.Provide.Has(Mood|Note) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("AUT-052 all wins", func(t *testing.T) {
		s := (&Selection{Classes: []string{"x"}}).add(&Selection{All: true})
		if !s.All {
			t.Errorf("%+v", s)
		}
	})
	t.Run("AUT-025 the example of three conditions", func(t *testing.T) {
		doc := ""
		for i, r := range strings.Fields("bob,home,24T17,24T21,block alice,work,24T17,24T21,allow bob,work,24T17,24T21,confirm tom,work,24T17,24T21,allow bob,work,24T17,24T23,polite-block bob,work,22T17,23T17,allow") {
			f := strings.Split(r, ",")
			doc += `<rule id="r` + string(rune('1'+i)) + `"><conditions><identity><one id="sip:` + f[0] + `@h"/></identity><sphere value="` + f[1] + `"/><validity><from>2003-12-` + f[2] +
				`:00:00+01:00</from><until>2003-12-` + f[3] + `:00:00+01:00</until></validity></conditions><actions><p:sub-handling>` + f[4] + `</p:sub-handling></actions></rule>`
		}
		at, _ := time.Parse(time.RFC3339, "2003-12-24T17:15:00+01:00")
		sets, req := []*Ruleset{mustParse(t, in(doc))}, Request{Identities: []string{"sip:bob@h"}, Sphere: "work", Now: at}
		if got := Evaluate(sets, req); got.Handling != PoliteBlock {
			t.Error(got.Handling)
		}
		var fired []string
		for _, v := range Explain(sets, req) {
			if v.Applies {
				fired = append(fired, v.Rule)
			}
		}
		if !slices.Equal(fired, []string{"r3", "r5"}) {
			t.Error(fired)
		}
	})
	t.Run("AUT-023 the next bound of a validity is known", func(t *testing.T) {
		d := sample()
		begin, end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)
		if got := d.NextBound(begin.Add(-1)); !got.Equal(begin) {
			t.Error(got)
		}
		if got := d.NextBound(begin); !got.Equal(end) {
			t.Error(got)
		}
		if got := d.NextBound(end); !got.IsZero() {
			t.Error(got)
		}
	})
}

// TestMutants: Parse and the schemas agree about spoilt documents.
func TestMutants(t *testing.T) {
	schematest.MustAgree(t, "bundle-rules.xsd", func(doc []byte) error {
		_, err := Parse(doc)
		return err
	}, schematest.Mutants(3, 400, sample().Bytes())...)
}

func TestShown(t *testing.T) {
	var b bytes.Buffer
	d := sample()
	d.Rules[1].ID = "\x1b[2J"
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"rule a\n  if sip:bob@example.com, or anybody authenticated of example.org but sip:eve@example.org, example.net, or somebody who is not known (never true)\n  if sphere is home or work\n",
		"  subscription: allow\n  services: class c, uri sip:a@b, scheme sip\n  persons: all\n", "  shows: activities, note, time-offset\n  user input: thresholds\n",
		"rule \uFFFD[2J\n  subscription: block\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nis not in\n%s", want, b.String())
		}
	}
	text, err := json.Marshal(sample())
	var back Ruleset
	if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(&back, sample()) {
		t.Errorf("%v: %s", err, text)
	}
}

// FuzzParse: whatever is read can be shown and evaluated, and is written so that it grants what it did.
func FuzzParse(f *testing.F) {
	f.Add(sample().Bytes())
	f.Add([]byte(in(`<rule id="a"><conditions><validity><from>2026-01-01T24:00:00</from><until>12026-01-01T00:00:00</until></validity><sphere value=""/></conditions></rule>`)))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src)
		if err != nil {
			return
		}
		if err := d.WriteText(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		doc := d.Bytes()
		back, err := Parse(doc)
		if err != nil || !bytes.Equal(doc, back.Bytes()) {
			t.Fatalf("%v\n%s", err, doc)
		}
		for _, req := range []Request{{}, {Identities: []string{"sip:bob@example.com"}, Sphere: "work", Now: noon}} {
			if a, b := Evaluate([]*Ruleset{d}, req), Evaluate([]*Ruleset{back}, req); a.Handling != b.Handling || a.Provide != b.Provide {
				t.Fatalf("%+v became %+v", a, b)
			}
		}
		d.NextBound(noon)
	})
}
