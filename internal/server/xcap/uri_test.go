package xcap

import (
	"strings"
	"testing"

	"imp/internal/store/memory"
	"imp/internal/xcap/uri"
)

func TestURIs(t *testing.T) {
	r := newRig(t)
	r.putList(friends)
	t.Run("XCAP-002 the root is no resource and has no query", func(t *testing.T) {
		for _, target := range []string{base, base + "/", base + "?a", "/", "/xcap", base + "x/resource-lists/global/index"} {
			r.want(404, "GET", target, "")
			r.want(404, "PUT", target, friends, ctype(listsType))
		}
		if _, err := New(Config{Store: memory.New(), Root: "/a?b"}); err == nil {
			t.Error("a root with a query is taken")
		}
		if _, err := New(Config{Store: memory.New(), Root: "http://example.com/"}); err == nil {
			t.Error("a root with a host is taken")
		}
	})
	t.Run("XCAP-004 roots share nothing", func(t *testing.T) {
		other := newRig(t, func(c *Config) { c.Root, c.Store = "/other", r.cfg.Store })
		there := "/other" + strings.TrimPrefix(lists, base)
		other.want(404, "GET", there, "")
		other.want(201, "PUT", there, `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>`, ctype(listsType))
		if r.get(lists) != friends {
			t.Error("the document below another root is changed")
		}
	})
	t.Run("XCAP-005 below an AUID there is users and global", func(t *testing.T) {
		for _, tree := range []string{"foo", "Users", "", "users", "global", "users/sip:alice@example.com"} {
			r.want(404, "GET", base+"/resource-lists/"+tree, "")
			r.want(404, "PUT", base+"/resource-lists/"+tree, friends, ctype(listsType))
		}
	})
	t.Run("XCAP-006 the segment below users is the user", func(t *testing.T) {
		r.want(404, "GET", base+"/resource-lists/users/sip:bob@example.com/index", "")
		r.want(201, "PUT", base+"/resource-lists/users/sip:bob@example.com/index", friends, ctype(listsType))
	})
	t.Run("XCAP-007 a slash in the XUI is percent-encoded", func(t *testing.T) {
		r.want(201, "PUT", base+"/resource-lists/users/sip:a%2Fb@example.com/index", friends, ctype(listsType))
		r.want(200, "GET", base+"/resource-lists/users/sip:a%2fb@example.com/index", "")
		r.want(404, "GET", base+"/resource-lists/users/sip:a/b@example.com/index", "")
	})
	t.Run("XCAP-009 no document has the name of a directory", func(t *testing.T) {
		d := base + "/resource-lists/users/sip:alice@example.com/d"
		r.want(201, "PUT", d+"/x", friends, ctype(listsType))
		r.conflict("constraint-failure", "PUT", d, friends, ctype(listsType))
		r.conflict("no-parent", "PUT", d+"/x/y", friends, ctype(listsType))
		r.want(404, "GET", d, "")
		r.want(404, "GET", d+"/x/y", "")
		r.want(200, "DELETE", d+"/x", "")
		r.want(201, "PUT", d, friends, ctype(listsType))
		r.want(200, "DELETE", d, "")
	})
	t.Run("XCAP-010 the separator may be percent-encoded", func(t *testing.T) {
		want := r.get(lists + "/~~/resource-lists/list%5B2%5D")
		for _, sep := range []string{"%7E%7E", "%7e%7e", "~%7e"} {
			if got := r.get(lists + "/" + sep + "/resource-lists/list%5B2%5D"); got != want {
				t.Errorf("%s: %s", sep, got)
			}
		}
	})
	t.Run("XCAP-011 the path is split before it is decoded", func(t *testing.T) {
		el := lists + "/~~/resource-lists/list%5B@name=%22work%22%5D/entry%5b@uri=%22sip:a%2Fb%22%5d"
		r.want(201, "PUT", el, `<rl:entry uri="sip:a/b"/>`, ctype(elType))
		if got := r.get(el); got != `<rl:entry uri="sip:a/b"/>` {
			t.Error(got)
		}
		r.want(200, "DELETE", el, "")
		r.want(404, "GET", strings.Replace(lists, "/users/", "%2Fusers/", 1), "")
	})
	t.Run("XCAP-012 broken escapes are 400", func(t *testing.T) {
		for _, bad := range []string{"%", "%G0", "%c3", "%C0%AF"} {
			r.want(400, "GET", lists+"/~~/resource-lists"+bad, "")
		}
		r.want(400, "PUT", base+"/resource-lists/users/sip:alice@example.com/%zz", friends, ctype(listsType))
	})
	t.Run("XCAP-016 an unknown extension selector is 404", func(t *testing.T) {
		for _, m := range []string{"GET", "PUT", "DELETE"} {
			r.want(404, m, lists+"/~~/resource-lists/bar()", "<x/>", ctype(elType))
		}
	})
	t.Run("XCAP-018 several matches are none", func(t *testing.T) {
		r.want(404, "GET", lists+"/~~/resource-lists/list", "")
		r.want(404, "DELETE", lists+"/~~/resource-lists/list", "")
	})
	t.Run("XCAP-024 prefixes are bound in the query", func(t *testing.T) {
		if got := r.get(lists + "/~~/resource-lists/p:list%5B2%5D?xmlns(p=urn:ietf:params:xml:ns:resource-lists)"); got != `<rl:list name="work"></rl:list>` {
			t.Error(got)
		}
	})
	t.Run("XCAP-026 a prefix without a binding is 400", func(t *testing.T) {
		r.want(400, "GET", lists+"/~~/q:foo", "")
		r.want(400, "GET", lists+"-missing/~~/q:foo", "")
		r.want(400, "PUT", lists+"/~~/q:foo", "<foo/>", ctype(elType))
	})
	t.Run("too long is 414", func(t *testing.T) {
		r.want(414, "GET", lists+"/~~/"+strings.Repeat("a/", uri.MaxLength/2)+"a", "")
	})
}

func TestAliases(t *testing.T) {
	r := newRig(t)
	r.putList(friends)
	for _, xui := range []string{"alice@example.com", "sip:alice@EXAMPLE.com", "sip%3Aalice%40example.com", "alice", "sip:%61lice@example.com"} {
		if got := r.get(base + "/resource-lists/users/" + xui + "/index"); got != friends {
			t.Errorf("%s: %s", xui, got)
		}
	}
	for _, xui := range []string{"sip:alice@example.org", "alice@example.org", "sip:alice@example.com;user=phone", "sip:alice@example.com:5060", "tel:alice", "sip:ALICE@example.com"} {
		r.want(404, "GET", base+"/resource-lists/users/"+xui+"/index", "")
	}
	every := newRig(t, func(c *Config) { c.Domains = nil })
	every.want(201, "PUT", base+"/resource-lists/users/sip:alice@example.net/index", friends, ctype(listsType))
	for _, xui := range []string{"sip:alice@example.net;user=phone", "sip:alice@example.net:5060", "sip:alice@", "alice;a@example.net"} {
		every.want(404, "GET", base+"/resource-lists/users/"+xui+"/index", "")
		every.want(404, "PUT", base+"/resource-lists/users/"+xui+"/index", friends, ctype(listsType))
	}
	exact := newRig(t, func(c *Config) { c.Naming.Exact, c.Store = true, r.cfg.Store })
	exact.want(200, "GET", lists, "")
	exact.want(404, "GET", base+"/resource-lists/users/alice@example.com/index", "")
}
