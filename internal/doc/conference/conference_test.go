package conference

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func u32(n uint32) *uint32 { return &n }
func yes() *bool           { b := true; return &b }

// everything has a value in every field.
func everything() *Document {
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	return &Document{Entity: "sips:room@lab.test", State: Full, Version: 7,
		Description: &Description{Display: "Room", Subject: "Build & test", FreeText: "the <long> story", Keywords: []string{"a", "b"},
			URIs: []Entry{{"tel:+4912", "by phone", "participation"}}, ServiceURIs: []Entry{{"https://lab.test/", "", "web-page"}},
			MaximumUsers: u32(50), Media: []Medium{{Label: "1", Display: "chat", Type: "message", Status: "sendrecv"}}},
		Host:   &Host{"Lab", "https://lab.test/host", []Entry{{URI: "sip:host@lab.test"}}},
		Status: &Status{u32(3), yes(), new(bool)},
		Users: &Users{State: Full, Users: []User{{Entity: "sip:bob@lab.test", State: Full, Display: "Bob", AORs: []Entry{{URI: "mailto:bob@lab.test"}},
			Roles: []string{"participant"}, Languages: []string{"en", "de-AT"}, Focus: "sip:other@lab.test",
			Endpoints: []Endpoint{{Entity: "sip:bob@pc.lab.test", State: Full, Display: "pc", Referred: &Execution{at, "because", "sip:alice@lab.test"}, Status: "connected",
				Joining: "dialed-in", JoiningInfo: &Execution{When: at}, Disconnection: "booted", LeavingInfo: &Execution{Reason: "SIP;cause=200"},
				Media: []Medium{{ID: "1", Label: "1", Display: "chat", Type: "message", Source: "583398", Status: "sendonly"}},
				Call:  &Identifier{"full", "abc@pc", "1", "2"}}}}}},
	}
}

func TestDocuments(t *testing.T) {
	t.Run("CNF-021 what is written is valid and read back", func(t *testing.T) {
		d := everything()
		got, err := Parse(d.Bytes())
		if err != nil {
			t.Fatalf("%v in\n%s", err, d.Bytes())
		}
		if !reflect.DeepEqual(got, d) {
			t.Errorf("got %+v\nwant %+v\nin %s", got, d, d.Bytes())
		}
	})
	t.Run("CNF-021 hostile values stay valid", func(t *testing.T) {
		d := everything()
		d.Entity, d.Description.Subject, d.Users.Users[0].Languages = "sip:a b%zz\x00", "\x01\xff]]>", []string{"x y", "!"}
		d.Users.Users[0].Endpoints[0].Status, d.Users.Users[0].Endpoints[0].Call.CallID, d.State = "asleep", "", "odd"
		if _, err := Parse(d.Bytes()); err != nil {
			t.Errorf("%v in\n%s", err, d.Bytes())
		}
	})
	refuse := func(name, doc string) {
		t.Run(name, func(t *testing.T) {
			if d, err := Parse([]byte(doc)); err == nil {
				t.Errorf("taken as %+v", d)
			}
		})
	}
	const ns = ` xmlns="` + Space + `"`
	refuse("CNF-021 another root", `<conference-info entity="sip:r@lab.test"/>`)
	refuse("CNF-022 a version beyond 32 bits", `<conference-info`+ns+` entity="sip:r@lab.test" version="4294967296"/>`)
	refuse("CNF-024 a state where there is none", `<conference-info`+ns+` entity="sip:r@lab.test"><host-info state="full"/></conference-info>`)
	refuse("CNF-028 users before the state", `<conference-info`+ns+` entity="sip:r@lab.test"><users/><conference-state/></conference-info>`)
	refuse("CNF-032 a status that is none", `<conference-info`+ns+` entity="sip:r@lab.test"><users><user entity="sip:a@lab.test"><endpoint entity="sip:b"><status>asleep</status></endpoint></user></users></conference-info>`)
	refuse("CNF-033 a joining method that is none", `<conference-info`+ns+` entity="sip:r@lab.test"><users><user entity="sip:a@lab.test"><endpoint entity="sip:b"><joining-method>flew</joining-method></endpoint></user></users></conference-info>`)
	refuse("CNF-035 a medium without an id", `<conference-info`+ns+` entity="sip:r@lab.test"><users><user entity="sip:a@lab.test"><endpoint entity="sip:b"><media/></endpoint></user></users></conference-info>`)
	refuse("CNF-045 a medium without a label", `<conference-info`+ns+` entity="sip:r@lab.test"><conference-description><available-media><entry><type>message</type></entry></available-media></conference-description></conference-info>`)
	t.Run("CNF-038 no dialog unless it is told", func(t *testing.T) {
		d := everything()
		d.Users.Users[0].Endpoints[0].Call = nil
		if strings.Contains(string(d.Bytes()), "call-info") {
			t.Error("call-info is there")
		}
	})
	t.Run("CNF-015 other namespaces are ignored", func(t *testing.T) {
		d, err := Parse([]byte(`<conference-info` + ns + ` entity="sip:r@lab.test" xmlns:x="urn:x" x:a="1"><users><user entity="sip:a@lab.test"><x:e/></user></users><x:e/></conference-info>`))
		if err != nil || len(d.Users.Users) != 1 || d.State != Full {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// partial makes a document of this version and content.
func partial(version, content string) []byte {
	return []byte(`<c:conference-info xmlns:c="` + Space + `" xmlns:x="urn:x" entity="sip:room@lab.test" state="partial" version="` + version + `">` + content + `</c:conference-info>`)
}

const start = `<?xml version="1.0"?>
<conference-info xmlns="` + Space + `" xmlns:y="urn:y" entity="sip:room@lab.test" state="full" version="1">
  <conference-description><subject>one</subject><free-text>text</free-text></conference-description>
  <conference-state><user-count>2</user-count><active>true</active></conference-state>
  <users>
    <user entity="sip:alice@lab.test"><display-text>Alice</display-text><endpoint entity="sip:a1"><status>connected</status><media id="1"><type>message</type></media></endpoint><y:kept/></user>
    <user entity="sip:bob@lab.test"><endpoint entity="sip:b1"><status>on-hold</status></endpoint></user>
  </users>
</conference-info>`

func TestRoster(t *testing.T) {
	// apply gives what a roster that began with start is after the updates.
	apply := func(t *testing.T, want Outcome, updates ...[]byte) (*Document, string) {
		t.Helper()
		r := &Roster{}
		if got, err := r.Apply([]byte(start)); got != Applied || err != nil {
			t.Fatal(got, err)
		}
		got := Applied
		for _, u := range updates {
			var err error
			if got, err = r.Apply(u); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Errorf("outcome %d, want %d", got, want)
		}
		d, err := r.Document()
		if err != nil {
			t.Fatalf("%v in\n%s", err, r.Bytes())
		}
		return d, string(r.Bytes())
	}
	t.Run("CNF-005 the first full document is the roster", func(t *testing.T) {
		if d, s := apply(t, Applied); s != start || d.Version != 1 || len(d.Users.Users) != 2 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("CNF-005 a partial one cannot be the first", func(t *testing.T) {
		r := &Roster{}
		if got, err := r.Apply(partial("1", "")); got != Missed || err != nil || r.Bytes() != nil {
			t.Error(got, err)
		}
	})
	t.Run("CNF-006 not newer", func(t *testing.T) {
		if d, s := apply(t, Discarded, partial("1", `<c:users state="deleted"/>`)); s != start {
			t.Errorf("%+v", d)
		}
	})
	t.Run("CNF-007 full replaces all", func(t *testing.T) {
		d, _ := apply(t, Applied, []byte(`<conference-info xmlns="`+Space+`" entity="sip:room@lab.test" version="9"><users><user entity="sip:new@lab.test"/></users></conference-info>`))
		if d.Version != 9 || d.Description != nil || len(d.Users.Users) != 1 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("CNF-008 a gap changes nothing", func(t *testing.T) {
		if _, s := apply(t, Missed, partial("3", `<c:users state="deleted"/>`)); s != start {
			t.Error(s)
		}
	})
	t.Run("CNF-009 deleted is over", func(t *testing.T) {
		apply(t, Over, []byte(`<conference-info xmlns="`+Space+`" entity="sip:room@lab.test" state="deleted" version="2"/>`))
	})
	t.Run("CNF-004 CNF-010 CNF-026 one joins, one changes, one leaves", func(t *testing.T) {
		d, s := apply(t, Applied, partial("2", `<c:users state="partial"><c:user entity="sip:carol@lab.test" state="full"><c:endpoint entity="sip:c1"/></c:user>`+
			`<c:user entity="sip:alice@lab.test" state="partial"><c:endpoint entity="sip:a1" state="partial"><c:status>disconnected</c:status></c:endpoint></c:user>`+
			`<c:user entity="sip:bob@lab.test" state="deleted"><c:endpoint entity="sip:b2"/></c:user></c:users>`))
		if len(d.Users.Users) != 2 || d.Version != 2 || d.State != Full {
			t.Fatalf("%+v", d)
		}
		alice, carol := d.Users.Users[0], d.Users.Users[1]
		if alice.Endpoints[0].Status != "disconnected" || alice.Display != "Alice" || alice.Endpoints[0].Media[0].Type != "message" || carol.Entity != "sip:carol@lab.test" {
			t.Errorf("%+v", d.Users)
		}
		if !strings.Contains(s, "<y:kept/>") {
			t.Errorf("CNF-015 foreign content is lost in\n%s", s)
		}
	})
	t.Run("CNF-011 keys are compared byte for byte", func(t *testing.T) {
		if d, _ := apply(t, Applied, partial("2", `<c:users state="partial"><c:user entity="sip:Bob@lab.test" state="deleted"/></c:users>`)); len(d.Users.Users) != 2 {
			t.Errorf("%+v", d.Users)
		}
	})
	t.Run("CNF-012 an unknown key is a new row", func(t *testing.T) {
		d, s := apply(t, Applied, partial("2", `<c:users state="partial"><c:user entity="sip:dan@lab.test" state="partial"><c:endpoint entity="sip:d1" state="deleted"/><c:endpoint entity="sip:d2"><c:status>pending</c:status></c:endpoint></c:user></c:users>`))
		if u := d.Users.Users[2]; u.Entity != "sip:dan@lab.test" || u.State != Full || len(u.Endpoints) != 1 || u.Endpoints[0].Status != "pending" {
			t.Errorf("%+v in\n%s", u, s)
		}
	})
	t.Run("CNF-013 children of what is deleted are ignored", func(t *testing.T) {
		if d, _ := apply(t, Applied, partial("2", `<c:users state="partial"><c:user entity="sip:bob@lab.test" state="deleted"><c:endpoint entity="sip:b9"/></c:user></c:users>`)); len(d.Users.Users) != 1 {
			t.Errorf("%+v", d.Users)
		}
	})
	t.Run("CNF-014 elements without a state are atomic", func(t *testing.T) {
		d, _ := apply(t, Applied, partial("2", `<c:conference-description><c:subject>two</c:subject></c:conference-description><c:conference-state><c:locked>1</c:locked></c:conference-state><x:new/>`))
		if d.Description.Subject != "two" || d.Description.FreeText != "" || d.Status.UserCount != nil || !*d.Status.Locked || len(d.Users.Users) != 2 {
			t.Errorf("%+v %+v", d.Description, d.Status)
		}
	})
	t.Run("CNF-028 what is new stands where the schema wants it", func(t *testing.T) {
		d, s := apply(t, Applied, partial("2", `<c:host-info><c:display-text>Lab</c:display-text></c:host-info>`+
			`<c:users state="partial"><c:user entity="sip:bob@lab.test" state="partial"><c:roles><c:entry>guest</c:entry></c:roles></c:user></c:users>`))
		if d.Host == nil || d.Host.Display != "Lab" || len(d.Users.Users[1].Roles) != 1 {
			t.Errorf("%+v in\n%s", d, s)
		}
	})
	t.Run("CNF-021 a bad document changes nothing", func(t *testing.T) {
		r := &Roster{}
		r.Apply([]byte(start))
		if _, err := r.Apply(partial("2", `<c:users state="sometimes"/>`)); err == nil || string(r.Bytes()) != start {
			t.Error(err)
		}
	})
}

func TestVectors(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "..", "shared", "vectors", "examples", "rfc4575*.xml"))
	if len(files) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		if again, err := Parse(d.Bytes()); err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%s: written and read again it is %+v, %v, before %+v", filepath.Base(f), again, err, d)
		}
	}
}

// FuzzRoster demands that a roster stays a document of its kind.
func FuzzRoster(f *testing.F) {
	f.Add(string(partial("2", `<c:users state="partial"><c:user entity="sip:bob@lab.test" state="partial"><c:endpoint entity="sip:b1" state="deleted"/></c:user></c:users>`)))
	f.Add(string(partial("2", `<c:sidebars-by-ref state="partial"><c:entry><c:uri>sip:s</c:uri></c:entry></c:sidebars-by-ref><x:a/>`)))
	f.Fuzz(func(t *testing.T, update string) {
		r := &Roster{}
		if _, err := r.Apply([]byte(start)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Apply([]byte(update)); err != nil {
			if string(r.Bytes()) != start {
				t.Fatal("changed by what was refused")
			}
			return
		}
		if _, err := Parse(r.Bytes()); err != nil {
			t.Fatalf("%v in\n%s\nafter %s", err, r.Bytes(), update)
		}
	})
}
