package filter

import (
	"fmt"
	"strings"
	"testing"
)

const self = "sip:kim@lab.test"

// after is what remains of filters when a subscription has got one document after another.
func after(t *testing.T, documents ...string) (*Set, error) {
	t.Helper()
	var s *Set
	for _, d := range documents {
		change, err := Parse(set(d))
		if err != nil {
			t.Fatal(err)
		}
		next, err := s.Update(change, self, strings.EqualFold)
		if err != nil {
			return s, err
		}
		s = next
	}
	return s, nil
}

// told are the ids of a set, those that are not enabled with a minus.
func told(s *Set) string {
	var ids []string
	for _, f := range s.Filters {
		id := f.ID
		if !f.Enabled {
			id = "-" + id
		}
		ids = append(ids, id+strings.Repeat("!", len(f.Triggers)))
	}
	return strings.Join(ids, " ")
}

func TestUpdate(t *testing.T) {
	const notes, changed = `<what><include>//p:note</include></what>`, `<trigger><changed>//p:basic</changed></trigger>`
	becomes := func(name, want string, documents ...string) {
		t.Run(name, func(t *testing.T) {
			if s, err := after(t, documents...); err != nil || told(s) != want {
				t.Errorf("%v, %v; want %s", s, err, want)
			}
		})
	}
	refused := func(name, want string, documents ...string) {
		t.Run(name, func(t *testing.T) {
			before, _ := after(t, documents[:len(documents)-1]...)
			s, err := after(t, documents...)
			if err == nil || !strings.Contains(err.Error(), want) || before != nil && told(s) != told(before) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	one, two := `<filter id="1">`+notes+`</filter>`, `<filter id="2" uri="sip:lee@lab.test">`+notes+`</filter>`
	becomes("FLT-022 filters are added", "1 2", one, two)
	becomes("FLT-022 the same id replaces", "1! 2", one, two, `<filter id="1">`+changed+`</filter>`)
	becomes("FLT-022 remove", "2", one, two, `<filter id="1" remove="true"/>`)
	becomes("FLT-022 remove of what is not there", "1", one, `<filter id="9" remove="true"/>`)
	becomes("FLT-022 disabled and enabled it is what it was", "1!", `<filter id="1">`+changed+`</filter>`, `<filter id="1" enabled="false"/>`, `<filter id="1" enabled="true"/>`)
	becomes("FLT-022 disabled it stays", "-1!", `<filter id="1">`+changed+`</filter>`, `<filter id="1" enabled="false"/>`)
	becomes("FLT-023 removed and set up under another id", "3", one, `<filter id="1" remove="true"/><filter id="3">`+notes+`</filter>`)
	becomes("FLT-019 a domain beside a URI", "1 d", one, `<filter id="d" domain="lab.test">`+notes+`</filter>`)
	refused("FLT-023 another id for the same resource", "second filter for the same resource", one, `<filter id="3">`+notes+`</filter>`)
	refused("FLT-030 another id for the same URI", "second filter", one, two, `<filter id="3" uri="SIP:LEE@lab.test">`+changed+`</filter>`)
	refused("FLT-030 the URI of the subscription beside none", "second filter", one, `<filter id="3" uri="`+self+`">`+notes+`</filter>`)
	refused("FLT-030 a domain twice", "second filter", `<filter id="a" domain="lab.test">`+notes+`</filter>`, `<filter id="b" domain="LAB.test">`+notes+`</filter>`)
	refused("FLT-004 nothing is known to be enabled", "not known", one, `<filter id="9" enabled="true"/>`)

	many := func(from, n int, what string) (all string) {
		for i := range n {
			all += fmt.Sprintf(`<filter id="%d" uri="sip:u%d@lab.test">%s</filter>`, from+i, from+i, what)
		}
		return all
	}
	twenty := `<what>` + strings.Repeat(`<include>//p:note</include>`, 20) + `</what>`
	becomes("FLT-043 as much as may be", "1 2", many(1, 1, twenty), many(2, 1, twenty))
	refused("FLT-043 too much by and by", "more than 40", many(1, 1, twenty), many(2, 1, twenty), many(3, 1, notes))
	t.Run("FLT-043 too many filters", func(t *testing.T) {
		if _, err := Parse(set(strings.Repeat(`<filter id="x" remove="1"/>`, 2))); err == nil {
			t.Error("an id twice is taken")
		}
		all := ""
		for i := range 41 {
			all += fmt.Sprintf(`<filter id="%d" remove="1"/>`, i)
		}
		if _, err := Parse(set(all)); err == nil || !strings.Contains(err.Error(), "more than 40 filters") {
			t.Error(err)
		}
	})
}

func TestKey(t *testing.T) {
	key := func(attributes, content string) string {
		s, err := Parse(set(`<filter ` + attributes + `>` + content + `</filter>`))
		if err != nil {
			t.Fatal(err)
		}
		return s.Filters[0].Key()
	}
	all := map[string]string{}
	for _, content := range []string{`<what><include>//p:note</include></what>`, `<what><exclude>//p:note</exclude></what>`, `<what><include type="namespace">//p:note</include></what>`,
		`<trigger><changed>//p:note</changed></trigger>`, `<trigger><changed from="a">//p:note</changed></trigger>`, `<trigger><changed to="a">//p:note</changed></trigger>`,
		`<trigger><changed from="">//p:note</changed></trigger>`, `<trigger><added>//p:note</added></trigger>`, `<trigger><removed>//p:note</removed></trigger>`,
		`<trigger><added>//p:note</added><added>//p:tuple</added></trigger>`, `<trigger><added>//p:note</added></trigger><trigger><added>//p:tuple</added></trigger>`} {
		k := key(`id="1"`, content)
		if all[k] != "" || k == "" {
			t.Errorf("%s has the key of %s", content, all[k])
		}
		all[k] = content
		if key(`id="2" uri="sip:a@lab.test"`, content) != k {
			t.Errorf("id and uri count in %s", content)
		}
		if key(`id="2" enabled="0"`, content) != "" {
			t.Errorf("%s has a key though it is not enabled", content)
		}
	}
}

func TestParseSent(t *testing.T) {
	for name, c := range map[string]struct{ filter, want string }{
		"FLT-025 what is not valid":              {`<filter><what><include>//p:note</include></what></filter>`, "id"},
		"FLT-025 a wrong expression":             {`<filter id="1"><what><include>//q:note</include></what></filter>`, "no ns-binding has the prefix q"},
		"FLT-050 an element of an extension":     {`<filter id="1"><what><include>//p:note</include></what><x:e xmlns:x="urn:x"/></filter>`, "<x:e> is an extension"},
		"FLT-050 an attribute of an extension":   {`<filter id="1" x:e="" xmlns:x="urn:x"><what><include>//p:note</include></what></filter>`, "attribute e of <filter> is an extension"},
		"FLT-051 a trigger of nothing":           {`<filter id="1"><what><include>//p:note</include></what><trigger/></filter>`, "<trigger> has no changed"},
		"FLT-051 one of extensions, with a mark": {`<filter id="1"><trigger><x:e xmlns:x="urn:x"/></trigger></filter>`, ":"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseSent(set(c.filter)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("FLT-025 what is valid is sent", func(t *testing.T) {
		if s, err := ParseSent(set(`<filter id="1"><what><include>//p:note</include></what><trigger><added>//p:note</added></trigger></filter>`)); err != nil || len(s.Filters) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
