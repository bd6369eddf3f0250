package xcap

import (
	"strings"
	"testing"
)

const (
	work      = lists + "/~~/resource-lists/list%5B2%5D"
	workName  = work + "/@name"
	workEntry = work + "/entry"
)

func TestConditions(t *testing.T) {
	t.Run("XCAP-068 a document and its nodes share an entity tag, which every change replaces", func(t *testing.T) {
		r := newRig(t)
		seen := map[string]bool{}
		for _, c := range [][4]string{
			{"PUT", lists, friends, listsType},
			{"PUT", workEntry, `<rl:entry uri="sip:x@y"/>`, elType},
			{"PUT", workEntry + "/@uri", `"sip:x@z"`, attType},
			{"DELETE", workEntry, "", ""},
			{"PUT", lists, friends, listsType},
			{"PATCH", lists, `<p:patch xmlns:p="urn:ietf:rfc:7351"><p:remove sel="*/*[1]"/></p:patch>`, "application/xml-patch+xml"},
		} {
			tag := r.send(c[0], c[1], c[2], ctype(c[3])).etag()
			if tag == "" || seen[tag] || strings.HasPrefix(tag, "W/") || tag[0] != '"' {
				t.Errorf("%s %s: tag %s", c[0], c[1], tag)
			}
			seen[tag] = true
			for _, target := range []string{lists, lists + "/~~/*", lists + "/~~/*/*/@name", lists + "/~~/*/namespace::*"} {
				if got := r.send("GET", target, "").etag(); got != tag && got != "" {
					t.Errorf("GET %s after %s %s: tag %s, want %s", target, c[0], c[1], got, tag)
				}
			}
		}
	})
	t.Run("XCAP-069 every success tells the tag but the removal of a document", func(t *testing.T) {
		r := newRig(t)
		for _, c := range []struct {
			method, target, body, ctype string
		}{{"PUT", lists, friends, listsType}, {"PUT", lists, friends, listsType}, {"GET", lists, "", ""}, {"GET", work, "", ""}, {"GET", workName, "", ""},
			{"GET", work + "/namespace::*", "", ""}, {"PUT", workEntry, `<rl:entry uri="a"/>`, elType}, {"PUT", workEntry, `<rl:entry uri="a"/>`, elType},
			{"PUT", workEntry + "/@uri", `"b"`, attType}, {"DELETE", workEntry, "", ""}, {"DELETE", workName, "", ""}} {
			a := r.send(c.method, c.target, c.body, ctype(c.ctype))
			if a.Code > 201 || len(a.etag()) < 10 {
				t.Errorf("%s %s: %d, tag %q", c.method, c.target, a.Code, a.etag())
			}
		}
		if a := r.want(200, "DELETE", lists, ""); a.etag() != "" {
			t.Error(a.etag())
		}
	})
	t.Run("XCAP-070 with another tag nothing is changed", func(t *testing.T) {
		r := newRig(t)
		r.want(412, "PUT", lists, friends, ctype(listsType), `If-Match: "old"`)
		r.want(412, "PUT", lists, friends, ctype(listsType), `If-Match: *`)
		r.want(404, "GET", lists, "")
		tag := r.putList(friends)
		for _, c := range [][4]string{
			{"PUT", lists, strings.Replace(friends, "work", "play", 1), listsType}, {"DELETE", lists, "", ""},
			{"PUT", work, `<rl:list name="play"/>`, elType}, {"DELETE", work, "", ""}, {"PUT", workName, `"play"`, attType}, {"DELETE", workName, "", ""},
			{"PATCH", lists, `<p:patch xmlns:p="urn:ietf:rfc:7351"><p:remove sel="*/*[1]"/></p:patch>`, "application/xml-patch+xml"},
			{"PUT", lists, "<broken", listsType}, {"PUT", lists, friends, "text/plain"}, {"PUT", lists, friends, listsType}, {"PUT", work, "<broken", elType},
		} {
			for _, cond := range []string{`If-Match: "old"`, "If-Match: W/" + tag, `If-Match: "old", W/` + tag, "If-None-Match: *", "If-None-Match: " + tag, `If-None-Match: "old" , W/` + tag} {
				r.want(412, c[0], c[1], c[2], ctype(c[3]), cond)
			}
		}
		if a := r.send("GET", lists, ""); a.body != friends || a.etag() != tag {
			t.Error(a.body)
		}
		for _, cond := range []string{"TAG", "*", `"old", TAG`, `"o,ld",TAG, `, `W/"old",,TAG`} {
			a := r.want(200, "PUT", work, `<rl:list name="work"/>`, ctype(elType), "If-Match: "+strings.Replace(cond, "TAG", tag, 1))
			if a.etag() == tag {
				t.Error("a change with If-Match kept the tag")
			}
			tag = a.etag()
		}
		r.want(200, "PUT", work, `<rl:list name="work"/>`, ctype(elType), `If-None-Match: "old"`)
	})
	t.Run("XCAP-071 If-None-Match with a star creates documents only", func(t *testing.T) {
		r := newRig(t)
		r.want(201, "PUT", lists, friends, ctype(listsType), "If-None-Match: *")
		r.want(412, "PUT", lists, friends, ctype(listsType), "If-None-Match: *")
		r.want(412, "PUT", work+"/entry", `<rl:entry uri="a"/>`, ctype(elType), "If-None-Match: *")
		r.want(412, "PUT", work+"/@x:y?xmlns(x=urn:x)", `"a"`, ctype(attType), "If-None-Match: *")
	})
	t.Run("XCAP-072 what is inserted has the tag of its document", func(t *testing.T) {
		r := newRig(t)
		r.want(201, "PUT", workEntry, `<rl:entry uri="a"/>`, ctype(elType), "If-Match: "+r.putList(friends))
	})
	t.Run("XCAP-073 what the client has is not sent again", func(t *testing.T) {
		r := newRig(t)
		tag := r.putList(friends)
		for _, target := range []string{lists, work, workName, work + "/namespace::*"} {
			for _, cond := range []string{tag, "W/" + tag, `"a", ` + tag, "*"} {
				a := r.want(304, "GET", target, "", "If-None-Match: "+cond)
				if a.etag() != tag || a.body != "" || a.Header().Get("Cache-Control") != "no-cache" || a.Header().Get("Content-Length") != "" {
					t.Errorf("%v %s", a.Header(), a.body)
				}
				r.want(304, "HEAD", target, "", "If-None-Match: "+cond)
			}
			r.want(200, "GET", target, "", `If-None-Match: "old"`)
			r.want(200, "GET", target, "", `If-Match: `+tag)
			r.want(412, "GET", target, "", `If-Match: "old"`)
		}
		r.want(404, "GET", work+"/entry", "", "If-None-Match: "+tag)
		caps := r.send("GET", base+"/xcap-caps/global/index", "").etag()
		r.want(304, "GET", base+"/xcap-caps/global/index", "", "If-None-Match: "+caps)
	})
	t.Run("what is no list of tags is 400", func(t *testing.T) {
		r := newRig(t)
		r.putList(friends)
		for _, bad := range []string{"abc", `"a`, `a"`, `*, "a"`, `"a" "b"`, ",", `w/"a"`, `W/`, `"a b"`} {
			r.want(400, "PUT", lists, friends, ctype(listsType), "If-Match: "+bad)
			r.want(400, "GET", lists, "", "If-None-Match: "+bad)
		}
	})
}
