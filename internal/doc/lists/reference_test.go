package lists

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

const root = "http://xcap.example.com/services"

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		name, media, auid, space string
		doc                      []byte
		parse                    func([]byte) error
	}{
		{"XUSE-001 resource-lists", MediaType, AUID, Space, (&Document{}).Bytes(), func(b []byte) error { _, err := Parse(b); return err }},
		{"XUSE-015 RLS-071 rls-services", ServicesMediaType, ServicesAUID, ServicesSpace, (&Services{}).Bytes(), func(b []byte) error { _, err := ParseServices(b); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.media != "application/"+c.auid+"+xml" || c.space != "urn:ietf:params:xml:ns:"+c.auid || !strings.Contains(string(c.doc), "<"+c.auid+` xmlns="`+c.space+`"`) {
				t.Errorf("%+v", c)
			}
			if err := c.parse(c.doc); err != nil {
				t.Error(err)
			}
			if err := c.parse([]byte(strings.Replace(string(c.doc), c.space, "urn:x", 1))); err == nil {
				t.Error("another namespace is taken")
			}
		})
	}
	t.Run("RLS-071 packages behind the list", func(t *testing.T) {
		const head = `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="a:b">`
		for doc, want := range map[string]bool{`<list/><packages><package>presence</package></packages>`: true, `<packages/><list/>`: false} {
			if _, err := ParseServices([]byte(head + doc + `</service></rls-services>`)); (err == nil) != want {
				t.Errorf("%s: %v", doc, err)
			}
		}
	})
}

func TestResolve(t *testing.T) {
	t.Run("XUSE-010 a ref is relative to the XCAP root", func(t *testing.T) {
		const ref = "resource-lists/users/sip:a@b/index/~~/resource-lists/list%5b@name=%22f%22%5d/entry%5b1%5d"
		for _, root := range []string{root, root + "/"} {
			if got, err := Resolve(root, ref); err != nil || got != "http://xcap.example.com/services/"+ref {
				t.Errorf("%s, %v", got, err)
			}
		}
		for _, bad := range []string{"/" + ref, "http://eve.example/" + ref, "//eve.example/" + ref, "../" + ref, "a/../../" + ref, "", "a/%zz"} {
			if got, err := Resolve(root, bad); err == nil {
				t.Errorf("%s became %s", bad, got)
			}
		}
		if got, err := Resolve("services", ref); err == nil {
			t.Error(got)
		}
	})
}

func TestCheckReference(t *testing.T) {
	const entry = "resource-lists/users/sip:a@b/index/~~/resource-lists/list%5b@name=%22f%22%5d/entry%5b@uri=%22sip:a@b%22%5d"
	const list = root + "/resource-lists/users/sip:a@b/index/~~/resource-lists/list%5b1%5d"
	t.Run("XUSE-056 references lead to elements of their kind", func(t *testing.T) {
		for _, c := range []struct {
			kind Kind
			uri  string
			want string
		}{
			{EntryRef, entry, ""},
			{External, list, ""},
			{EntryRef, strings.Replace(entry, "/entry", "/x:entry", 1) + "?xmlns(x=urn:ietf:params:xml:ns:resource-lists)", ""},
			{External, list + "/*%5b1%5d", ""},
			{External, list + "/entry", "leads to no list"},
			{EntryRef, strings.TrimPrefix(list, root+"/"), "leads to no entry"},
			{EntryRef, entry + "/@uri", "leads to no entry"},
			{EntryRef, strings.Replace(entry, "resource-lists", "rls-services", 1), "is no document of resource-lists"},
			{External, "http://xcap.example.com/resource-lists/users/sip:a@b/index", "leads to no element"},
			{External, list + "%5b", "checking a reference: "},
			{External, list + "%", "has an escape that is none"},
		} {
			err := CheckReference(c.kind, c.uri)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: got %v, want %s", c.uri, err, c.want)
			}
		}
	})
	t.Run("XUSE-009 what a reference leads to is no matter of the document", func(t *testing.T) {
		d, err := tree.Parse([]byte(in(`<list><entry-ref ref="resource-lists/users/nobody/none/~~/nothing"/><external anchor="http://nowhere.invalid/"/></list>`)), tree.Options{})
		if err != nil || len(Check(d)) != 0 {
			t.Error(err, Check(d))
		}
	})
}

func TestExpand(t *testing.T) {
	element := func(s string) string {
		return strings.Replace(s, ">", ` xmlns="urn:ietf:params:xml:ns:resource-lists">`, 1)
	}
	server := map[string]string{
		root + "/e":     element(`<entry uri="sip:e@x"></entry>`),
		root + "/tel":   element(`<entry uri="tel:+1"></entry>`),
		"http://x/list": element(`<list><entry uri="sip:l@x"/><list><entry uri="sip:b@x"/><entry-ref ref="e"/></list></list>`),
		"http://x/loop": element(`<list><external anchor="http://x/back"/></list>`),
		"http://x/back": element(`<list><external anchor="http://x/loop"/></list>`),
		"http://x/doc":  in(""),
		"http://x/bad":  element(`<list><entry/></list>`),
		"http://x/none": "",
	}
	var asked []string
	fetch := func(uri string) ([]byte, error) {
		asked = append(asked, uri)
		src, ok := server[uri]
		if !ok {
			return nil, errors.New("404 Not Found")
		}
		if src == "" {
			return nil, nil
		}
		return []byte(src), nil
	}
	expand := func(list string) (string, error) {
		asked = nil
		entries, err := Expand(&mustParse(t, in("<list>"+list+"</list>")).Lists[0], root, fetch)
		var uris []string
		for _, it := range entries {
			uris = append(uris, it.URI)
		}
		return strings.Join(uris, " "), err
	}
	t.Run("XUSE-028 each entry once, behind references too", func(t *testing.T) {
		got, err := expand(`<entry uri="sip:b@x"/><entry uri="tel:+2"/><external anchor="http://x/list"/><entry-ref ref="e"/><entry-ref ref="tel"/><entry uri="pres:p@x"/><entry uri="sip:B@x"/>`)
		if err != nil || got != "sip:b@x sip:l@x sip:e@x pres:p@x sip:B@x" {
			t.Errorf("%s, %v", got, err)
		}
	})
	t.Run("XUSE-010 both kinds of references are expanded", func(t *testing.T) {
		if _, err := expand(`<entry-ref ref="e"/><external anchor="http://x/list"/>`); err != nil || strings.Join(asked, " ") != root+"/e http://x/list "+root+"/e" {
			t.Errorf("%s, %v", asked, err)
		}
	})
	t.Run("RLS-028 XUSE-029 an anchor that was visited ends it", func(t *testing.T) {
		for _, list := range []string{`<external anchor="http://x/loop"/>`, `<external anchor="http://x/list"/><list><external anchor="http://x/list"/></list>`} {
			if got, err := expand(list); !errors.Is(err, ErrLoop) || got != "" {
				t.Errorf("%s, %v", got, err)
			}
			if len(asked) > 2 {
				t.Error(asked)
			}
		}
	})
	t.Run("RLS-027 RLS-028 another element and none are errors", func(t *testing.T) {
		for list, want := range map[string]string{
			`<entry-ref ref="gone"/>`:             root + "/gone: 404",
			`<entry-ref ref="../up"/>`:            "leads out of",
			`<external anchor="http://x/gone"/>`:  "http://x/gone: 404",
			`<external anchor="` + root + `/e"/>`: "leads to <entry>, expected <list>",
			`<external anchor="http://x/doc"/>`:   "the root is",
			`<external anchor="http://x/bad"/>`:   "http://x/bad: 1:",
		} {
			if got, err := expand(list); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %s, %v, want %s", list, got, err, want)
			}
		}
	})
	t.Run("RLS-030 a reference can be left out", func(t *testing.T) {
		if got, err := expand(`<external anchor="http://x/none"/><entry uri="sip:b@x"/>`); err != nil || got != "sip:b@x" {
			t.Errorf("%s, %v", got, err)
		}
	})
	t.Run("the work is bounded", func(t *testing.T) {
		n := 0
		endless := func(string) ([]byte, error) {
			n++
			return []byte(element(fmt.Sprintf(`<list><external anchor="http://x/%d"/></list>`, n))), nil
		}
		if _, err := Expand(&List{Items: []Item{{Kind: External, URI: "http://x/"}}}, root, endless); err == nil || n > MaxReferences {
			t.Errorf("%d, %v", n, err)
		}
		many := &List{Items: make([]Item, MaxEntries+1)}
		for i := range many.Items {
			many.Items[i].URI = fmt.Sprintf("sip:%d@x", i)
		}
		if _, err := Expand(many, root, endless); err == nil {
			t.Error("all entries are taken")
		}
	})
}
