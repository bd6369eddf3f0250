package xcap

import (
	"strconv"
	"strings"
	"testing"

	"imp/internal/xcap/usage"
)

func TestDocuments(t *testing.T) {
	t.Run("XCAP-077 a document has the type of its usage", func(t *testing.T) {
		r := newRig(t)
		r.want(404, "GET", lists, "")
		r.putList(friends)
		a := r.want(200, "GET", lists, "")
		if a.body != friends || a.Header().Get("Content-Type") != listsType {
			t.Errorf("%v\n%s", a.Header(), a.body)
		}
	})
	t.Run("XCAP-067 creation is 201, replacement 200 and empty", func(t *testing.T) {
		r := newRig(t)
		for _, c := range []struct{ target, body, ctype string }{
			{lists, friends, listsType},
			{lists + "/~~/resource-lists/list%5B2%5D/entry", `<rl:entry uri="sip:dan@example.com"/>`, elType},
			{lists + "/~~/resource-lists/list%5B2%5D/entry/@uri", `"sip:eve@example.com"`, attType},
			{lists + "/~~/resource-lists/list%5B2%5D/entry/@x:y?xmlns(x=urn:x)", `"1"`, attType},
		} {
			want := 201
			if strings.HasSuffix(c.target, "@uri") {
				want = 200
			}
			if a := r.want(want, "PUT", c.target, c.body, ctype(c.ctype)); a.body != "" {
				t.Error(a.body)
			}
			if a := r.want(200, "PUT", c.target, c.body, ctype(c.ctype)); a.body != "" || a.Header().Get("Content-Length") != "0" {
				t.Error(a.body, a.Header())
			}
		}
		if want := strings.Replace(friends, `<rl:list name="work"/>`, `<rl:list name="work"><rl:entry uri="sip:eve@example.com" x:y="1"/></rl:list>`, 1); r.get(lists) != want {
			t.Errorf("got\n%s", r.get(lists))
		}
	})
	t.Run("XCAP-037 the status tells creation from replacement", func(t *testing.T) {
		r := newRig(t)
		r.want(201, "PUT", lists, friends, ctype(listsType))
		r.want(200, "PUT", lists, strings.Replace(friends, "Carol", "Karla", 1), ctype(listsType))
	})
	t.Run("XCAP-038 a document that is not well-formed", func(t *testing.T) {
		newRig(t).conflict("not-well-formed", "PUT", lists, "<a><b></a>", ctype(listsType))
	})
	t.Run("XCAP-039 a document that is not UTF-8", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		r.conflict("not-utf-8", "PUT", lists, strings.Replace(friends, "ü", "\xfc", 1), ctype(listsType))
		r.conflict("not-utf-8", "PUT", lists, `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, ctype(listsType))
		r.conflict("not-utf-8", "PUT", lists, "\xff\xfe<\x00a\x00/\x00>\x00", ctype(listsType))
		r.conflict("not-utf-8", "PUT", lists, friends, ctype(listsType+"; charset=iso-8859-1"))
		r.conflict("not-utf-8", "PUT", work, `<rl:list name="work"/>`, ctype(elType+`;charset="utf-16"`))
		r.conflict("not-utf-8", "PUT", workName, `"work"`, ctype(attType+`;charset=windows-1252`))
		for _, good := range []string{";charset=UTF-8", ";q=1", ";", "; charset=us-ascii"} {
			r.want(200, "PUT", lists, friends, ctype(listsType+good))
		}
	})
	t.Run("XCAP-040 another type is 415", func(t *testing.T) {
		r := newRig(t)
		for _, bad := range []string{"application/xml", "text/xml", elType, "", "application/resource-lists+xml2", "a"} {
			r.want(415, "PUT", lists, friends, ctype(bad))
		}
		r.want(415, "PUT", lists, friends)
		r.want(201, "PUT", lists, friends, ctype("Application/Resource-Lists+XML ; charset=utf-8"))
		for _, bad := range []string{listsType, "application/xml", attType, ""} {
			r.want(415, "PUT", lists+"/~~/resource-lists/list%5B2%5D", `<list name="work"/>`, ctype(bad))
		}
		r.want(415, "PUT", lists+"/~~/resource-lists/list%5B2%5D/@name", `"work"`, ctype(elType))
	})
	t.Run("XCAP-032 other namespaces need not be known", func(t *testing.T) {
		doc := strings.Replace(friends, `<rl:list name="work"/>`, `<rl:list name="work"><x:y/></rl:list>`, 1)
		newRig(t).want(201, "PUT", lists, doc, ctype(listsType))
	})
	t.Run("XCAP-059 what breaks the schema is not stored", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		r.conflict("schema-validation-error", "PUT", lists, strings.Replace(friends, "uri=", "url=", 1), ctype(listsType))
		r.conflict("schema-validation-error", "PUT", lists+"/~~/resource-lists/list%5B1%5D/display-name%5B2%5D", "<rl:display-name/>", ctype(elType))
	})
	t.Run("XCAP-061 what is not unique is named, with what is free", func(t *testing.T) {
		r := newRig(t)
		doc := `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">` + strings.Repeat(`<service uri="sip:l@example.com"><list/></service>`, 2) + `</rls-services>`
		report := r.conflict("uniqueness-failure", "PUT", servicesOf, doc, ctype("application/rls-services+xml"))
		if len(report.Exists) != 1 || report.Exists[0].Field != "rls-services/service%5B2%5D/@uri" || len(report.Exists[0].Alternatives) == 0 {
			t.Fatalf("%+v", report)
		}
		doc = strings.Replace(doc, "sip:l@example.com", report.Exists[0].Alternatives[0], 1)
		r.want(201, "PUT", servicesOf, doc, ctype("application/rls-services+xml"))
	})
	t.Run("XCAP-062 another rule of the usage", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		r.conflict("constraint-failure", "PUT", lists+"/~~/resource-lists/list%5B2%5D/entry-ref", `<rl:entry-ref ref="/a"/>`, ctype(elType))
	})
	t.Run("XUSE-021 RLS-073 a service refers to a list of its owner on this server", func(t *testing.T) {
		doc := func(ref string) string {
			return `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip:l@example.com"><resource-list>` + ref + `</resource-list></service></rls-services>`
		}
		r := newRig(t)
		for _, good := range []string{"http://127.0.0.1:8080", "https://xcap.example.com", "http://Example.com"} {
			if a := r.send("PUT", servicesOf, doc(good+lists+"/~~/resource-lists/list"), ctype("application/rls-services+xml"), "Host: 127.0.0.1:8080"); a.Code > 201 {
				t.Errorf("%s: %s", good, a.body)
			}
		}
		for _, bad := range []string{"http://other.example" + lists, "http://example.com" + strings.Replace(lists, base, "/other", 1), "http://example.com" + listOf("bob"),
			"http://example.com" + rules, lists, "http://127.0.0.1:8081" + lists} {
			r.conflict("constraint-failure", "PUT", servicesOf, doc(bad), ctype("application/rls-services+xml"), "Host: 127.0.0.1:8080")
		}
		every := newRig(t, func(c *Config) { c.Domains = nil })
		every.want(201, "PUT", servicesOf, doc("http://any.example"+lists), ctype("application/rls-services+xml"))
	})
	t.Run("XCAP-082 what is removed is gone", func(t *testing.T) {
		r := newRig(t)
		r.want(404, "DELETE", lists, "")
		r.want(404, "DELETE", lists+"/~~/resource-lists/list", "")
		r.putList(friends)
		r.want(200, "DELETE", lists+"/~~/resource-lists/list%5B1%5D/display-name", "")
		r.want(404, "DELETE", lists+"/~~/resource-lists/list%5B1%5D/display-name", "")
		r.want(200, "DELETE", lists+"/~~/resource-lists/list%5B2%5D/@name", "")
		if a := r.want(200, "DELETE", lists, ""); a.etag() != "" || a.body != "" {
			t.Errorf("%v %s", a.Header(), a.body)
		}
		r.want(404, "GET", lists, "")
	})
	t.Run("XCAP-083 white space around stays", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		el := `<rl:entry uri="sip:bob@example.com" />`
		r.want(200, "DELETE", lists+"/~~/resource-lists/list%5B1%5D/entry%5B@uri=%22sip:bob@example.com%22%5D", "")
		if got := r.get(lists); got != strings.Replace(friends, el, "", 1) {
			t.Error(got)
		}
	})
	t.Run("XCAP-084 a deletion that would select another node", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		r.conflict("cannot-delete", "DELETE", lists+"/~~/resource-lists/list%5B1%5D", "")
		r.want(200, "DELETE", lists+"/~~/resource-lists/list%5B2%5D", "")
	})
	t.Run("XCAP-085 a deletion that breaks the schema", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		r.conflict("schema-validation-error", "DELETE", lists+"/~~/resource-lists/list%5B1%5D/entry%5B1%5D/@uri", "")
	})
	t.Run("XCAP-086 the root element cannot be removed", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		r.conflict("schema-validation-error", "DELETE", lists+"/~~/resource-lists", "")
	})
	t.Run("XCAP-074 the same PUT again changes nothing, the same DELETE is 404", func(t *testing.T) {
		r := newRig(t)
		el := lists + "/~~/resource-lists/list%5B2%5D"
		r.putList(friends)
		r.want(200, "PUT", el, "<rl:list name='w'/>", ctype(elType))
		first := r.want(200, "GET", lists, "")
		r.want(200, "PUT", el, "<rl:list name='w'/>", ctype(elType))
		r.want(200, "PUT", lists, first.body, ctype(listsType))
		if again := r.want(200, "GET", lists, ""); again.body != first.body || again.etag() != first.etag() {
			t.Errorf("%s\n%s, before %s", again.body, again.etag(), first.etag())
		}
		r.want(200, "DELETE", el, "")
		r.want(404, "DELETE", el, "")
		r.want(200, "DELETE", lists, "")
		r.want(404, "DELETE", lists, "")
	})
	t.Run("XCAP-087 a change is seen through every URI", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		att := lists + "/~~/resource-lists/list%5B2%5D/@name"
		if got := r.get(att); got != `"work"` {
			t.Error(got)
		}
		r.putList(strings.Replace(friends, "work", "play", 1))
		if got := r.get(att); got != `"play"` {
			t.Error(got)
		}
		r.want(200, "PUT", att, `"rest"`, ctype(attType))
		if got := r.get(lists + "/~~/*"); !strings.Contains(got, `<rl:list name="rest"/>`) {
			t.Error(got)
		}
	})
	t.Run("documents of the usages", func(t *testing.T) {
		r := newRig(t)
		for target, c := range map[string][2]string{
			lists:      {listsType, friends},
			servicesOf: {"application/rls-services+xml", `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"/>`},
			presence:   {"application/pidf+xml", `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>`},
			rules:      {"application/auth-policy+xml", `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>`},
			base + "/org.openmobilealliance.pres-content/users/alice@example.com/oma_status-icon/index": {"application/vnd.oma.pres-content+xml", `<content xmlns="urn:oma:xml:prs:pres-content"><data>AAAA</data></content>`},
		} {
			r.want(201, "PUT", target, c[1], ctype(c[0]))
			if a := r.want(200, "GET", target, ""); a.Header().Get("Content-Type") != c[0] || a.body != c[1] {
				t.Errorf("%s: %v", target, a)
			}
		}
	})
	t.Run("XUSE-036 a selector of rules needs a namespace", func(t *testing.T) {
		r := newRig(t)
		r.want(201, "PUT", rules, `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>`, ctype("application/auth-policy+xml"))
		r.want(404, "GET", rules+"/~~/ruleset", "")
		r.want(200, "GET", rules+"/~~/cr:ruleset?xmlns(cr=urn:ietf:params:xml:ns:common-policy)", "")
	})
}

func TestNodes(t *testing.T) {
	r := newRig(t)
	etag := r.putList(friends)
	for _, c := range []struct{ id, node, ctype, want string }{
		{"XCAP-078 an element as it is written", "resource-lists/list%5B1%5D/entry%5B2%5D", elType, `<rl:entry uri='sip:carol@example.com'><rl:display-name><![CDATA[Carol]]></rl:display-name></rl:entry>`},
		{"XCAP-078 an element with other letters", "resource-lists/list%5B@name=%22friends%22%5D/display-name", elType, "<rl:display-name>Bekannte ü</rl:display-name>"},
		{"XCAP-079 a value in its quotes", "resource-lists/list%5B1%5D/@name", attType, "'friends'"},
		{"XCAP-080 namespaces in scope", "resource-lists/list%5B1%5D/namespace::*", "application/xcap-ns+xml", `<rl:list xmlns:rl="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:x"/>`},
	} {
		t.Run(c.id, func(t *testing.T) {
			a := r.want(200, "GET", lists+"/~~/"+c.node, "")
			if a.body != c.want || a.Header().Get("Content-Type") != c.ctype || a.etag() != etag {
				t.Errorf("%v\n%s", a.Header(), a.body)
			}
		})
	}
	t.Run("XCAP-081 HEAD is GET without the body", func(t *testing.T) {
		for _, target := range []string{lists, lists + "/~~/*", lists + "/~~/*/list%5B1%5D/@name", lists + "/~~/*/namespace::*", lists + "/~~/nothing", base + "/xcap-caps/global/index"} {
			get, head := r.send("GET", target, ""), r.send("HEAD", target, "")
			if head.Code != get.Code || head.body != "" {
				t.Errorf("%s: %d and %d, %q", target, head.Code, get.Code, head.body)
			}
			for _, name := range []string{"ETag", "Content-Type", "Content-Length", "Cache-Control"} {
				if head.Header().Get(name) != get.Header().Get(name) {
					t.Errorf("%s: %s is %q and %q", target, name, head.Header().Get(name), get.Header().Get(name))
				}
			}
		}
	})
	t.Run("XCAP-034 bindings are only read", func(t *testing.T) {
		for _, m := range []string{"PUT", "DELETE", "PATCH"} {
			a := r.want(405, m, lists+"/~~/resource-lists/namespace::*", "<a/>", ctype("application/xcap-ns+xml"))
			if a.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
				t.Error(a.Header())
			}
		}
	})
	t.Run("XCAP-033 no other methods", func(t *testing.T) {
		for _, m := range []string{"POST", "TRACE", "MKCOL", "get"} {
			if a := r.want(405, m, lists, ""); a.Header().Get("Allow") != "GET, HEAD, PUT, DELETE, PATCH, OPTIONS" {
				t.Error(a.Header())
			}
		}
		if a := r.want(405, "POST", lists+"/~~/*", ""); a.Header().Get("Allow") != "GET, HEAD, PUT, DELETE, OPTIONS" {
			t.Error(a.Header())
		}
	})
	t.Run("XCAP-076 caches ask again", func(t *testing.T) {
		for _, target := range []string{lists, lists + "/~~/*"} {
			if got := r.want(200, "GET", target, "").Header().Get("Cache-Control"); got != "no-cache" {
				t.Error(got)
			}
		}
	})
	t.Run("without a parent nothing is put", func(t *testing.T) {
		r.conflict("no-parent", "PUT", lists+"2/~~/resource-lists", "<resource-lists/>", ctype(elType))
		report := r.conflict("no-parent", "PUT", lists+"/~~/resource-lists/list%5B2%5D/entry/display-name", "<rl:display-name/>", ctype(elType))
		if report.Ancestor != "resource-lists/list%5B2%5D" {
			t.Errorf("%+v", report)
		}
	})
	t.Run("bodies of nodes", func(t *testing.T) {
		el := lists + "/~~/resource-lists/list%5B2%5D/entry"
		for body, want := range map[string]string{"": "not-xml-frag", "x": "not-xml-frag", "<rl:entry uri='a'/><rl:entry uri='b'/>": "not-xml-frag",
			"<entry>\xfc</entry>": "not-utf-8", `<rl:list name="a"/>`: "cannot-insert", "<entry uri='sip:a@b'/>": "cannot-insert", "<nobody:entry/>": "not-xml-frag"} {
			r.conflict(conditionOf(want), "PUT", el, body, ctype(elType))
		}
		r.conflict("cannot-insert", "PUT", lists+"/~~/resource-lists/list%5B1%5D/entry", `<rl:entry uri="a"/>`, ctype(elType))
		r.conflict("not-xml-att-value", "PUT", lists+"/~~/*/list%5B1%5D/@name", `friends`, ctype(attType))
		r.conflict("cannot-insert", "PUT", lists+"/~~/*/list%5B@name=%22friends%22%5D/@name", `"enemies"`, ctype(attType))
		r.conflict("uniqueness-failure", "PUT", lists+"/~~/*/list%5B1%5D/@name", `"work"`, ctype(attType))
	})
}

func TestUsages(t *testing.T) {
	r := newRig(t)
	capsOf := func(list, item string) string {
		return base + "/xcap-caps/global/index/~~/xcap-caps/" + list + "/" + item
	}
	t.Run("XCAP-089 capabilities have their type and namespace", func(t *testing.T) {
		a := r.want(200, "GET", base+"/xcap-caps/global/index", "")
		if a.Header().Get("Content-Type") != "application/xcap-caps+xml" {
			t.Error(a.Header())
		}
		r.want(200, "GET", capsOf("auids", "auid%5B1%5D"), "")
	})
	t.Run("XUSE-052 what is offered is told, checked, and guarded", func(t *testing.T) {
		guarded := newRig(t, withUsers("alice", "bob"))
		all := usage.All()
		for _, u := range all {
			if !strings.Contains(r.get(base+"/xcap-caps/global/index"), "<auid>"+u.AUID+"</auid>") {
				t.Errorf("%s is not told", u.AUID)
			}
			home := base + "/" + u.AUID + "/users/alice/index"
			guarded.want(401, "GET", home, "")
			guarded.wantAs(403, "bob", "GET", home, "")
			guarded.wantAs(403, "bob", "PUT", home, "<a/>", ctype(u.MediaType))
			guarded.wantAs(403, "alice", "PUT", base+"/"+u.AUID+"/global/index", "<a/>", ctype(u.MediaType))
			guarded.wantAs(415, "alice", "PUT", home, "<a/>", ctype("application/x"))
			for _, body := range []string{"<a/>", `<a xmlns="` + u.Namespace + `"/>`, "<a"} {
				guarded.wantAs(409, "alice", "PUT", home, body, ctype(u.MediaType))
			}
		}
		for i := range len(all) + 1 {
			want := 200
			if i == len(all) {
				want = 404
			}
			r.want(want, "GET", capsOf("auids", "auid%5B"+strconv.Itoa(i+1)+"%5D"), "")
		}
	})
	t.Run("XCAP-088 the index of services is so when the answer comes", func(t *testing.T) {
		index := base + "/rls-services/global/index"
		doc := `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip:l@example.com"><list/></service></rls-services>`
		has := func(want bool) {
			t.Helper()
			if got := strings.Contains(r.get(index), "sip:l@example.com"); got != want {
				t.Errorf("the index has the service: %v", got)
			}
		}
		r.want(201, "PUT", servicesOf, doc, ctype("application/rls-services+xml"))
		has(true)
		r.want(200, "DELETE", servicesOf+"/~~/rls-services/service", "")
		has(false)
		r.want(200, "PUT", servicesOf, doc, ctype("application/rls-services+xml"))
		has(true)
		r.want(200, "DELETE", servicesOf, "")
		has(false)
	})
}
