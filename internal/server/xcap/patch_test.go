package xcap

import (
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

const patchType = "application/xml-patch+xml"

// operations makes a patch with the prefix rl for the namespace of lists.
func operations(ops string) string {
	return `<p:patch xmlns:p="urn:ietf:rfc:7351" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">` + ops + `</p:patch>`
}

func TestPatch(t *testing.T) {
	good := `<p:replace sel="*/rl:list[2]/@name">play</p:replace>`
	t.Run("XPATCH-064 all operations or none", func(t *testing.T) {
		r := newRig(t)
		tag := r.putList(friends)
		r.want(409, "PATCH", lists, operations(good+`<p:remove sel="*/rl:list[9]"/>`), ctype(patchType))
		if a := r.send("GET", lists, ""); a.body != friends || a.etag() != tag {
			t.Errorf("%s\n%s", a.etag(), a.body)
		}
		a := r.want(200, "PATCH", lists, operations(good+`<p:remove sel="*/rl:list[1]/rl:entry[1]"/>`), ctype(patchType+"; charset=utf-8"))
		want := strings.Replace(strings.Replace(friends, "work", "play", 1), `<rl:entry uri="sip:bob@example.com" />`, "", 1)
		if got := r.send("GET", lists, ""); got.body != want || got.etag() != a.etag() || a.etag() == tag || a.body != "" {
			t.Errorf("%s\n%s", got.etag(), got.body)
		}
	})
	t.Run("XPATCH-065 other patches are 415", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		for _, bad := range []string{"application/json-patch+json", listsType, ""} {
			if a := r.want(415, "PATCH", lists, operations(good), ctype(bad)); a.Header().Get("Accept-Patch") != patchType {
				t.Error(a.Header())
			}
		}
	})
	t.Run("XPATCH-066 what a patch may be refused for", func(t *testing.T) {
		r := newRig(t)
		r.want(404, "PATCH", lists, operations(good), ctype(patchType))
		r.putList(friends)
		for _, c := range []struct {
			status    int
			condition string
			body      string
		}{
			{400, "invalid-diff-format", "<p:patch"},
			{400, "invalid-diff-format", ""},
			{400, "invalid-diff-format", `<patch/>`},
			{400, "invalid-diff-format", `<d:xcap-diff xmlns:d="urn:ietf:params:xml:ns:xcap-diff" xcap-root="http://a/"/>`},
			{400, "invalid-entity-declaration", operations("<p:add sel='*'>&x;</p:add>")},
			{409, "unlocated-node", operations(`<p:remove sel="*/rl:list[9]"/>`)},
			{409, "unlocated-node", operations(`<p:remove sel="*/rl:list"/>`)},
			{409, "invalid-whitespace-directive", operations(`<p:remove sel="*/rl:list[2]/@name" ws="both"/>`)},
			{422, "invalid-root-element-operation", operations(`<p:remove sel="*"/>`)},
			{422, "invalid-node-types", operations(`<p:replace sel="*/rl:list[2]">x</p:replace>`)},
			{422, "invalid-namespace-prefix", operations(`<p:remove sel="*/q:list[2]"/>`)},
		} {
			a := r.want(c.status, "PATCH", lists, c.body, ctype(patchType))
			d, err := tree.Parse([]byte(a.body), tree.Options{})
			if err != nil || !d.Root().FirstChild().Valid() || a.Header().Get("Content-Type") != "application/patch-ops-error+xml" {
				t.Errorf("%s: %v\n%v %s", c.body, err, a.Header(), a.body)
				continue
			}
			for e := range d.Root().Elements() {
				if e.Local() != c.condition {
					t.Errorf("%s: %s, want %s", c.body, e.Local(), c.condition)
				}
			}
		}
		if r.get(lists) != friends {
			t.Error("the document is changed")
		}
	})
	t.Run("XPATCH-067 with another tag nothing is patched", func(t *testing.T) {
		r := newRig(t)
		tag := r.putList(friends)
		r.want(412, "PATCH", lists, operations(good), ctype(patchType), `If-Match: "old"`)
		r.want(412, "PATCH", lists, "<broken", ctype(patchType), `If-Match: "old"`)
		if r.get(lists) != friends {
			t.Error("the document is changed")
		}
		r.want(200, "PATCH", lists, operations(good), ctype(patchType), "If-Match: "+tag)
	})
	t.Run("XPATCH-068 documents say that they are patched", func(t *testing.T) {
		r := newRig(t)
		a := r.want(204, "OPTIONS", lists, "")
		if a.Header().Get("Allow") != "GET, HEAD, PUT, DELETE, PATCH, OPTIONS" || a.Header().Get("Accept-Patch") != patchType {
			t.Error(a.Header())
		}
		for target, allow := range map[string]string{work: "GET, HEAD, PUT, DELETE, OPTIONS", workName: "GET, HEAD, PUT, DELETE, OPTIONS",
			work + "/namespace::*": "GET, HEAD, OPTIONS", base + "/xcap-caps/global/index": "GET, HEAD, OPTIONS"} {
			if a := r.want(204, "OPTIONS", target, ""); a.Header().Get("Allow") != allow || a.Header().Get("Accept-Patch") != "" {
				t.Errorf("%s: %v", target, a.Header())
			}
		}
		r.want(204, "OPTIONS", "*", "")
	})
	t.Run("XPATCH-069 the outcome is checked like a PUT", func(t *testing.T) {
		r := newRig(t)
		tag := r.putList(friends)
		r.conflict("uniqueness-failure", "PATCH", lists, operations(`<p:replace sel="*/rl:list[2]/@name">friends</p:replace>`), ctype(patchType))
		r.conflict("schema-validation-error", "PATCH", lists, operations(`<p:add sel="*"><rl:nothing/></p:add>`), ctype(patchType))
		r.conflict("constraint-failure", "PATCH", lists, operations(`<p:add sel="*/rl:list[2]"><rl:entry-ref ref="http://a/"/></p:add>`), ctype(patchType))
		if a := r.want(200, "PATCH", lists, operations(""), ctype(patchType)); a.etag() != tag {
			t.Error("a patch without operations has changed the tag")
		}
	})
	t.Run("a byte order mark outranks the charset of the type, other encodings are refused", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		a := r.want(400, "PATCH", lists, operations(good), ctype(patchType+"; charset=iso-8859-1"))
		if !strings.Contains(a.body, "invalid-character-set") {
			t.Error(a.body)
		}
		r.want(400, "PATCH", lists, "\xFE\xFF\x00<\x00p\x00/\x00>", ctype(patchType+"; charset=utf-8"))
		r.want(200, "PATCH", lists, "\xEF\xBB\xBF"+operations(good), ctype(patchType+"; charset=iso-8859-1"))
	})
	t.Run("XPATCH-091 fields of the patch are not those of the document", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		r.want(200, "PATCH", lists, operations(good), ctype(patchType), "Content-Language: de")
		a := r.want(200, "GET", lists, "")
		if a.Header().Get("Content-Type") != listsType || a.Header().Get("Content-Language") != "" {
			t.Error(a.Header())
		}
	})
	t.Run("XPATCH-092 nodes are not patched", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		for _, target := range []string{work, workName, work + "/namespace::*"} {
			a := r.want(405, "PATCH", target, operations(good), ctype(patchType))
			if strings.Contains(a.Header().Get("Allow"), "PATCH") {
				t.Errorf("%s: %v", target, a.Header())
			}
		}
	})
}
