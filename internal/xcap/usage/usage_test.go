package usage

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/uri"
	"imp/internal/xml/grammar"
	"imp/internal/xml/tree"
)

func document(t testing.TB, s string) *uri.URI {
	t.Helper()
	u, err := uri.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u.Canonical(uri.Naming{})
}

func context(t testing.TB, path string, taken ...string) Context {
	t.Helper()
	root, err := uri.ParseRoot("http://xcap.example.com/root")
	if err != nil {
		t.Fatal(err)
	}
	return Context{URI: document(t, path), Roots: []uri.Root{root}, Taken: func(s string) bool {
		for _, x := range taken {
			if x == s {
				return true
			}
		}
		return false
	}}
}

func check(t testing.TB, path, src string, taken ...string) *xcaperror.Report {
	t.Helper()
	c := context(t, path, taken...)
	u, ok := For(c.URI.AUID)
	if !ok {
		t.Fatal(c.URI.AUID)
	}
	d, r, err := Parse([]byte(src), tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if r != nil {
		return r
	}
	return u.Check(d, c)
}

// expect checks documents, each with the condition that it is refused with, "" when it is not.
func expect(t *testing.T, path string, cases map[string]xcaperror.Condition) {
	t.Helper()
	for src, want := range cases {
		got := xcaperror.Condition("")
		r := check(t, path, src)
		if r != nil {
			got = r.Condition
		}
		if got != want {
			t.Errorf("%s: got %v, want %q", src, r, want)
		}
	}
}

const (
	joe      = "/users/sip:joe@example.com/index"
	lists1   = `<resource-lists xmlns="` + spaceLists + `" xmlns:q="urn:q">`
	lists2   = `</resource-lists>`
	rls1     = `<rls-services xmlns="` + spaceRLS + `" xmlns:rl="` + spaceLists + `">`
	rls2     = `</rls-services>`
	pidf1    = `<presence xmlns="` + spacePIDF + `" xmlns:r="` + spacePIDF + `:rpid" xmlns:dm="` + spacePIDF + `:data-model" entity="sip:joe@example.com">`
	pidf2    = `</presence>`
	rules1   = `<ruleset xmlns="` + spaceCP + `" xmlns:pr="` + spaceRules + `" xmlns:q="urn:q">`
	rules2   = `</ruleset>`
	schema   = xcaperror.SchemaValidation
	rule     = xcaperror.Constraint
	unique   = xcaperror.Uniqueness
	noReason = xcaperror.Condition("")
)

func TestLists(t *testing.T) {
	t.Run("XUSE-001 its names and types", func(t *testing.T) {
		u, _ := For("resource-lists")
		if u.Namespace != spaceLists || !u.Takes("application/resource-lists+xml") || !u.Takes("Application/Resource-Lists+XML;charset=utf-8") || u.Takes("application/xml") || u.Takes("") {
			t.Errorf("%+v", u)
		}
	})
	expect(t, "resource-lists"+joe, map[string]xcaperror.Condition{
		lists1 + lists2:                                                           noReason,
		lists1 + `<x xmlns=""/>` + lists2:                                         schema,
		lists1 + `<list><entry/></list>` + lists2:                                 schema,
		lists1 + `<list name="a"/><list name="A"/><list/><list/>` + lists2:        noReason,
		lists1 + `<list name="a"/><list name="a"/>` + lists2:                      unique,
		lists1 + `<list><entry-ref ref="/a"/></list>` + lists2:                    rule,
		lists1 + `<list><external anchor="a"/></list>` + lists2:                   rule,
		lists1 + `<list><entry uri="a"/><q:x><q:y/></q:x></list>` + lists2:        noReason,
		lists1 + `<list><entry-ref ref="a"/><entry-ref ref="a"/></list>` + lists2: unique,
		`<r`: xcaperror.NotWellFormed,
		"<?xml version='1.0' encoding='ISO-8859-1'?>" + lists1 + lists2: xcaperror.NotUTF8,
		lists1 + "\xe9" + lists2:         xcaperror.NotUTF8,
		"<!DOCTYPE x>" + lists1 + lists2: rule,
		rules1 + rules2:                  schema,
	})
	t.Run("XCAP-038 what is not well-formed", func(t *testing.T) {
		expect(t, "resource-lists"+joe, map[string]xcaperror.Condition{"<a><b></a>": xcaperror.NotWellFormed, "": xcaperror.NotWellFormed})
	})
	t.Run("XCAP-039 what is not UTF-8", func(t *testing.T) {
		expect(t, "resource-lists"+joe, map[string]xcaperror.Condition{"\xff\xfe<\x00a\x00/\x00>\x00": xcaperror.NotUTF8, "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>": xcaperror.NotUTF8})
	})
	t.Run("XCAP-040 the type is that of the usage", func(t *testing.T) {
		for _, u := range All() {
			if u.Takes("application/xml") || u.Takes("text/plain") || !u.Takes(u.MediaType+"; charset=utf-8") {
				t.Error(u.AUID)
			}
		}
	})
	t.Run("XCAP-059 what breaks the schema", func(t *testing.T) {
		expect(t, "resource-lists"+joe, map[string]xcaperror.Condition{lists1 + `<list><entry uri="a"/><display-name/></list>` + lists2: schema})
	})
	t.Run("XCAP-060 unknown namespaces pass, unknown elements of known ones do not", func(t *testing.T) {
		expect(t, "resource-lists"+joe, map[string]xcaperror.Condition{
			lists1 + `<list><q:x/></list>` + lists2:                                   noReason,
			lists1 + `<list><x:nonsense xmlns:x="` + spaceRLS + `"/></list>` + lists2: schema,
		})
	})
	t.Run("XCAP-063 schema comes before uniqueness before constraints", func(t *testing.T) {
		two := `<list name="a"/><list name="a"><external anchor="a"/></list>`
		expect(t, "resource-lists"+joe, map[string]xcaperror.Condition{lists1 + two + `<x/>` + lists2: schema, lists1 + `<list><external anchor="a"/></list>` + two + lists2: unique})
	})
	t.Run("a duplicate name has free alternatives", func(t *testing.T) {
		r := check(t, "resource-lists"+joe, lists1+`<list><list name="a"/><list name="a-2"/><list name="a"/></list>`+lists2)
		want := []xcaperror.Exists{{Field: "resource-lists/list/list%5B3%5D/@name", Alternatives: []string{"a-3", "a-4", "a-5"}}}
		if r == nil || !reflect.DeepEqual(r.Exists, want) {
			t.Errorf("got %+v", r)
		}
	})
	if _, _, err := Parse([]byte(strings.Repeat(" ", 100)+"<a/>"), tree.Limits{Size: 50}); !errors.Is(err, tree.ErrLimit) {
		t.Error(err)
	}
}

func service(uri, inner string) string { return `<service uri="` + uri + `">` + inner + `</service>` }

func TestServices(t *testing.T) {
	ref := func(s string) string {
		return rls1 + service("sip:a@example.com", "<resource-list>"+s+"</resource-list>") + rls2
	}
	t.Run("XUSE-015 its names and types", func(t *testing.T) {
		u, _ := For("rls-services")
		if u.Namespace != spaceRLS || !u.Takes("application/rls-services+xml") || u.Takes("application/resource-lists+xml") {
			t.Errorf("%+v", u)
		}
	})
	t.Run("XUSE-016 a service has one list", func(t *testing.T) {
		expect(t, "rls-services"+joe, map[string]xcaperror.Condition{
			rls1 + service("sip:a@b", "") + rls2: schema, rls1 + service("sip:a@b", "<list/><list/>") + rls2: schema, rls1 + service("sip:a@b", "<list/>") + rls2: noReason})
	})
	t.Run("XUSE-022 the rules of lists hold in a service", func(t *testing.T) {
		expect(t, "rls-services"+joe, map[string]xcaperror.Condition{
			rls1 + service("sip:a@b", `<list><rl:entry uri="x"/><rl:entry uri="x"/></list>`) + rls2: unique, rls1 + service("sip:a@b", `<list><rl:external anchor="x"/></list>`) + rls2: rule})
	})
	t.Run("XUSE-021 a resource-list is of the same root and user", func(t *testing.T) {
		const good = "http://xcap.example.com/root/resource-lists/users/sip:joe@example.com/index/~~/resource-lists/list%5b@name=%22l1%22%5d"
		expect(t, "rls-services"+joe, map[string]xcaperror.Condition{
			ref(good): noReason, ref("\n " + strings.Replace(good, "sip:joe@example.com", "joe@EXAMPLE.com", 1) + "\n"): noReason,
			ref(strings.Replace(good, "joe", "bob", 1)): rule, ref(strings.Replace(good, "/resource-lists/", "/pres-rules/", 1)): rule, ref(strings.Replace(good, "/root/", "/other/", 1)): rule,
			ref(strings.Replace(good, "xcap.", "other.", 1)): rule, ref(strings.TrimPrefix(good, "http://xcap.example.com")): rule, ref("http://xcap.example.com/root/resource-lists/global/index"): rule})
	})
	t.Run("XCAP-061 each URI that exists is told, with alternatives", func(t *testing.T) {
		r := check(t, "rls-services"+joe, rls1+service("sip:a@example.com", "<list/>")+service("sip:%61@EXAMPLE.com", "<list/>")+service("sip:b@example.com", "<list/>")+rls2, "sip:b@example.com", "sip:b-2@example.com")
		want := []xcaperror.Exists{
			{Field: "rls-services/service%5B2%5D/@uri", Alternatives: []string{"sip:a-2@example.com", "sip:a-3@example.com", "sip:a-4@example.com"}},
			{Field: "rls-services/service%5B3%5D/@uri", Alternatives: []string{"sip:b-3@example.com", "sip:b-4@example.com", "sip:b-5@example.com"}}}
		if r == nil || r.Condition != unique || !reflect.DeepEqual(r.Exists, want) {
			t.Errorf("got %+v", r)
		}
		r = check(t, "rls-services"+joe, rls1+service("sip:a@b", `<list><rl:list><rl:entry uri="x"/><rl:entry uri="x"/></rl:list></list>`)+rls2)
		if r == nil || r.Exists[0].Field != "rls-services/service/list/n1:list/n1:entry%5B2%5D/@uri?xmlns(n1=urn:ietf:params:xml:ns:resource-lists)" {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("XCAP-062 another constraint", func(t *testing.T) {
		expect(t, "rls-services"+joe, map[string]xcaperror.Condition{ref("index"): rule})
	})
	d, _, _ := Parse([]byte(rls1+service("sip:%61@EXAMPLE.com", "<list/>")+service("sip:b@x;p", "<list/>")+service("sip:a@example.com", "<list/>")+rls2), tree.Limits{})
	if got := Services(d); !reflect.DeepEqual(got, []string{"sip:a@example.com", "sip:b@x;p"}) {
		t.Errorf("got %v", got)
	}
}

func TestIndex(t *testing.T) {
	var docs []*tree.Tree
	for _, s := range []string{
		rls1 + service("sip:a@b", `<list><rl:entry uri="x"/></list>`) + rls2,
		`<s:rls-services xmlns:s="` + spaceRLS + `" xmlns:rl="urn:rl"><s:service uri="sip:c@d" xmlns:z="urn:z"><s:list><l:entry xmlns:l="` + spaceLists + `" uri="y" rl:k="&lt;"/><rl:x><none/></rl:x></s:list></s:service></s:rls-services>`,
	} {
		d, r, err := Parse([]byte(s), tree.Limits{})
		if err != nil || r != nil {
			t.Fatal(r, err)
		}
		docs = append(docs, d)
	}
	index := Index(definitions(docs...))
	out, err := tree.Parse(index, tree.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, index)
	}
	g, _ := grammar.ByName("rls-services")
	if p := g.Check(out); len(p) > 0 {
		t.Errorf("%v\n%s", p, index)
	}
	if got := Services(out); !reflect.DeepEqual(got, []string{"sip:a@b", "sip:c@d"}) {
		t.Errorf("got %v", got)
	}
	n := out.Root().LastChild().PrevSibling().Element(spaceRLS, "list").Element("urn:rl", "x").FirstChild()
	if !n.Is("", "none") {
		t.Errorf("%s is in %q", n.Name(), n.Space())
	}
}

func definitions(docs ...*tree.Tree) iter.Seq[Service] {
	return func(yield func(Service) bool) {
		for _, d := range docs {
			for _, s := range Definitions(d) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func TestPresence(t *testing.T) {
	t.Run("XUSE-030 its names and types", func(t *testing.T) {
		u, _ := For("pidf-manipulation")
		if u.Namespace != spacePIDF || !u.Takes("application/pidf+xml") {
			t.Errorf("%+v", u)
		}
	})
	t.Run("XUSE-031 one document, index", func(t *testing.T) {
		for _, path := range []string{"pidf-manipulation/users/sip:joe@example.com/other", "pidf-manipulation/global/index", "pidf-manipulation/users/sip:joe@example.com/d/index"} {
			expect(t, path, map[string]xcaperror.Condition{pidf1 + pidf2: rule})
		}
	})
	t.Run("XUSE-032 PIDF and its extensions, no more", func(t *testing.T) {
		expect(t, "pidf-manipulation"+joe, map[string]xcaperror.Condition{
			pidf1 + pidf2: noReason, pidf1 + `<tuple><status/></tuple>` + pidf2: schema, pidf1 + `<tuple id="a"><status><basic>open</basic></status></tuple><dm:person id="p"><r:activities><r:away/></r:activities></dm:person>` + pidf2: noReason,
			pidf1 + `<dm:person id="p"><r:activities><r:nonsense/></r:activities></dm:person>` + pidf2: schema})
	})
}

func TestRules(t *testing.T) {
	t.Run("XUSE-036 its names and types", func(t *testing.T) {
		u, _ := For("pres-rules")
		if u.Namespace != spaceRules || !u.Takes("application/auth-policy+xml") {
			t.Errorf("%+v", u)
		}
		d, _ := tree.Parse([]byte(rules1+rules2), tree.Options{})
		for s, want := range map[string]bool{"ruleset": false, "cr:ruleset?xmlns(cr=" + spaceCP + ")": true} {
			sel, err := document(t, "pres-rules"+joe+"/~~/"+s).Selector(u.Namespace)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sel.Locate(d); (err == nil) != want {
				t.Errorf("%s: %v", s, err)
			}
		}
	})
	for _, auid := range []string{"pres-rules", "org.openmobilealliance.pres-rules"} {
		t.Run("XUSE-038 the schema decides for "+auid, func(t *testing.T) {
			expect(t, auid+"/users/sip:joe@example.com/any", map[string]xcaperror.Condition{
				rules1 + rules2: noReason, rules1 + `<rule id="a"><conditions><q:x/></conditions><actions><pr:sub-handling>allow</pr:sub-handling></actions></rule>` + rules2: noReason,
				rules1 + `<rule id="a"/><rule id="a"/>` + rules2: schema, rules1 + `<rule id="1"/>` + rules2: schema, rules1 + `<rule id="a"><actions/><conditions/></rule>` + rules2: schema,
				rules1 + `<rule id="a"><actions><pr:sub-handling>perhaps</pr:sub-handling></actions></rule>` + rules2: schema})
		})
	}
}

func TestIcons(t *testing.T) {
	content := func(inner string) string { return `<content xmlns="` + spaceIcon + `">` + inner + `</content>` }
	expect(t, "org.openmobilealliance.pres-content/users/sip:joe@example.com/oma_status-icon/index", map[string]xcaperror.Condition{
		content("<mime-type>image/png</mime-type><encoding>base64</encoding><description>x</description><description>y</description><data>aGFs\nbG8=</data>"): noReason,
		content("<encoding>base64</encoding><data>?</data>"): rule, content("<mime-type>a/b</mime-type>"): schema, content("<data/><data/>"): schema, content("<data><x/></data>"): schema,
		content("<oops/><data/>"): schema, content("<data/><q:x xmlns:q='urn:q'/>"): noReason, content(`<x xmlns=""/><data/>`): schema, "<content/>": schema,
	})
	expect(t, "org.openmobilealliance.pres-content/global/index", map[string]xcaperror.Condition{content("<data/>"): rule})
}

func TestGenerated(t *testing.T) {
	d, err := tree.Parse(Caps(All()), tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("XCAP-091 the capabilities are valid", func(t *testing.T) {
		g, _ := grammar.ByName("xcap-caps")
		if p := g.Check(d); len(p) > 0 {
			t.Errorf("%v\n%s", p, d.Bytes())
		}
	})
	t.Run("XCAP-092 they list every usage, xcap-caps too, and its namespaces", func(t *testing.T) {
		for _, usages := range [][]*Usage{nil, All()} {
			out := string(Caps(usages))
			for _, want := range []string{"<auid>xcap-caps</auid>", "<namespace>" + spaceCaps + "</namespace>"} {
				if strings.Count(out, want) != 1 {
					t.Errorf("%s in %s", want, out)
				}
			}
			for _, u := range usages {
				if !strings.Contains(out, "<auid>"+u.AUID+"</auid>") {
					t.Errorf("no %s", u.AUID)
				}
			}
		}
	})
	t.Run("XCAP-089 its names and types", func(t *testing.T) {
		if u, _ := For("xcap-caps"); u.Namespace != spaceCaps || u.MediaType != "application/xcap-caps+xml" {
			t.Errorf("%+v", u)
		}
	})
	t.Run("XCAP-093 a namespace that is listed is checked", func(t *testing.T) {
		n := 0
		for ns := range d.Root().Element(spaceCaps, "namespaces").Elements() {
			path, src := "resource-lists"+joe, lists1+`<list><x:nonsense xmlns:x="`+ns.Text()+`"/></list>`+lists2
			if ns.Text() == spaceIcon {
				path, src = "org.openmobilealliance.pres-content"+joe, `<content xmlns="`+spaceIcon+`"><nonsense/><data/></content>`
			}
			expect(t, path, map[string]xcaperror.Condition{src: schema})
			n++
		}
		if n < 15 {
			t.Errorf("%d namespaces", n)
		}
	})
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	dir, err := tree.Parse(Directory([]Entry{{"b", "http://x/b?\"", "e1", at, 3}, {"a", "u", "e2", time.Time{}, 0}, {"b", "v", "e3", at, 1}}), tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	count := ""
	for f := range dir.Root().Elements() {
		auid, _ := f.Attr("", "auid")
		count += auid
		for e := range f.Elements() {
			tag, _ := e.Attr("", "etag")
			count += " " + tag + " "
		}
	}
	if count != "a e2 b e1  e3 " {
		t.Error(count)
	}
	if _, err := tree.Parse(Directory(nil), tree.Options{}); err != nil {
		t.Error(err)
	}
}

func TestAuthorize(t *testing.T) {
	owner, other, anonymous, rls := Requester{XUI: "sip:joe@example.com"}, Requester{XUI: "sip:bob@example.com"}, Requester{}, Requester{XUI: "sip:rls@example.com", Trusted: true}
	// Read by the owner, another user, nobody and a trusted element, then written by them.
	for path, want := range map[string][8]Answer{
		"XCAP-031 resource-lists" + joe:       {Allow, Forbid, Challenge, Allow, Allow, Forbid, Challenge, Forbid},
		"XCAP-031 resource-lists/global/x":    {Allow, Allow, Challenge, Allow, Forbid, Forbid, Challenge, Allow},
		"XUSE-026 rls-services/global/index":  {Forbid, Forbid, Challenge, Allow, Forbid, Forbid, Challenge, Forbid},
		"XCAP-094 xcap-caps/global/index":     {Allow, Allow, Challenge, Allow, Forbid, Forbid, Challenge, Forbid},
		"XCAP-090 xcap-caps" + joe:            {Missing, Forbid, Challenge, Missing, Allow, Forbid, Challenge, Forbid},
		"XUSE-035 pidf-manipulation" + joe:    {Allow, Forbid, Challenge, Allow, Allow, Forbid, Challenge, Forbid},
		"XUSE-014 resource-lists" + joe + "2": {Allow, Forbid, Challenge, Allow, Allow, Forbid, Challenge, Forbid},
		"icons org.openmobilealliance.pres-content/users/sip:joe@example.com/oma_status-icon/index":   {Allow, Allow, Allow, Allow, Allow, Forbid, Challenge, Forbid},
		"icons org.openmobilealliance.pres-content/users/sip:joe@example.com/other/index":             {Allow, Forbid, Challenge, Allow, Allow, Forbid, Challenge, Forbid},
		"directory org.openmobilealliance.xcap-directory/users/sip:joe@example.com/directory.xml":     {Allow, Forbid, Challenge, Allow, ReadOnly, Forbid, Challenge, Forbid},
		"directory org.openmobilealliance.xcap-directory/users/sip:joe@example.com/another-directory": {Missing, Forbid, Challenge, Missing, Allow, Forbid, Challenge, Forbid},
	} {
		t.Run(path, func(t *testing.T) {
			_, path, _ := strings.Cut(path, " ")
			d := document(t, path)
			u, _ := For(d.AUID)
			var got [8]Answer
			for i, who := range []Requester{owner, other, anonymous, rls} {
				got[i], got[i+4] = u.Authorize(d, who, false), u.Authorize(d, who, true)
			}
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	if r := check(t, "xcap-caps"+joe, "<a/>"); r == nil || r.Condition != rule {
		t.Errorf("got %v", r)
	}
}

func TestUsages(t *testing.T) {
	for i, u := range All() {
		if !uri.ValidAUID(u.AUID) || i > 0 && All()[i-1].AUID >= u.AUID {
			t.Errorf("%s", u.AUID)
		}
		if _, ok := grammar.ByName(u.grammar); u.grammar != "" && !ok {
			t.Errorf("%s: no grammar %s", u.AUID, u.grammar)
		}
		for _, s := range u.Namespaces {
			if _, ok := grammar.For(s, ""); !ok && s != spaceIcon {
				t.Errorf("%s: nothing is known of %s", u.AUID, s)
			}
		}
	}
	if _, ok := For("nonsense"); ok {
		t.Error("nonsense")
	}
	dir := filepath.Join("..", "..", "..", "..", "shared", "vectors", "examples")
	src, err := os.ReadFile(filepath.Join(dir, "rfc4826-3.3-1.xml"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	if r := check(t, "resource-lists"+joe, string(src)); r != nil {
		t.Error(r)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{lists1 + `<list name="a"/><list name="a"/>` + lists2, rls1 + service("sip:a@b", "<list/>") + service("sip:a@b", "<list/>") + rls2, rules1 + rules2, pidf1 + pidf2} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		d, r, err := Parse([]byte(src), tree.Limits{Size: 1 << 16})
		if err != nil || r != nil {
			return
		}
		for _, u := range All() {
			if r := u.Check(d, context(t, u.AUID+"/users/a@b/index")); r != nil {
				if _, err := xcaperror.Parse(r.Bytes()); err != nil {
					t.Errorf("%s: %v: %s", src, err, r.Bytes())
				}
			}
		}
		if _, err := tree.Parse(Index(definitions(d)), tree.Options{}); err != nil {
			t.Errorf("%q: %v", src, err)
		}
	})
}
