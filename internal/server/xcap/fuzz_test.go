package xcap

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"imp/internal/doc/xcaperror"
	"imp/internal/store"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xml/tree"
)

// FuzzServe holds that no request makes the server panic or say that something is wrong with itself, that a request that is refused
// leaves the store as it was, and that what is stored can be read.
func FuzzServe(f *testing.F) {
	for _, c := range [][5]string{
		{"GET", lists, "", "", ""},
		{"PUT", lists, listsType, "", friends},
		{"PUT", work, elType, `If-Match: "a"`, `<rl:list name="work"/>`},
		{"PUT", workName, attType, "If-None-Match: *", `"play"`},
		{"DELETE", lists + "/~~/resource-lists/list%5B1%5D", "", "", ""},
		{"GET", lists + "/~~/*/*/namespace::*?xmlns(a=urn:b)foo(^))", "", `If-None-Match: W/"a"`, ""},
		{"PATCH", lists, patchType, "", operations(`<p:add sel="*/rl:list[2]" type="@x:a">1</p:add>`)},
		{"PUT", servicesOf, "application/rls-services+xml", "", `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip:l@example.com"><list/></service></rls-services>`},
		{"PUT", rules + "/x", "application/auth-policy+xml", "", `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>`},
		{"OPTIONS", "*", "", "Content-Encoding: gzip", ""},
		{"GET", base + "/rls-services/global/index", "", "", ""},
		{"PUT", base + "/org.openmobilealliance.pres-content/users/alice/oma_status-icon/index", "application/vnd.oma.pres-content+xml", "", `<content xmlns="urn:oma:xml:prs:pres-content"><data>AAAA</data></content>`},
	} {
		f.Add(c[0], c[1], c[2], c[3], []byte(c[4]))
	}
	s := memory.New()
	f.Cleanup(func() { s.Close() })
	x, err := New(Config{Store: s, Domains: []string{"example.com"}, MaxBody: 64 << 10, MaxDocuments: 5})
	if err != nil {
		f.Fatal(err)
	}
	up := make(chan struct{})
	go x.Run(f.Context(), func() { close(up) })
	<-up
	f.Fuzz(func(t *testing.T, method, target, contentType, field string, body []byte) {
		clean(t, s)
		r := &rig{t, x}
		r.putList(friends)
		req, err := http.NewRequest("GET", "http://localhost/", strings.NewReader(string(body)))
		if err != nil {
			t.Skip()
		}
		req.Method, req.RequestURI = method, target
		req.Header.Set("Content-Type", contentType)
		name, value, _ := strings.Cut(field, ": ")
		req.Header[http.CanonicalHeaderKey(name)] = []string{value}
		before := contents(t, s)
		w := httptest.NewRecorder()
		x.ServeHTTP(w, req)
		changes := (method == "PUT" || method == "DELETE" || method == "PATCH") && w.Code < 300
		switch {
		case w.Code >= 500 || w.Code < 200:
			t.Errorf("status %d: %s", w.Code, w.Body)
		case !changes && contents(t, s) != before:
			t.Errorf("%s, answered %d, has changed the store", method, w.Code)
		case w.Code == 409 && w.Header().Get("Content-Type") == xcaperror.MediaType:
			if _, err := xcaperror.Parse(w.Body.Bytes()); err != nil {
				t.Errorf("%v\n%s", err, w.Body)
			}
		case changes && method != "DELETE":
			if got := r.send("GET", target, ""); got.Code != 200 || got.etag() != w.Header().Get("ETag") || method == "PUT" && !strings.Contains(string(body), got.body) {
				t.Errorf("put\n%s\nand got %d\n%s", body, got.Code, got.body)
			}
		}
		for _, e := range entries(t, s) {
			if v, err := key.Parse(e.Value); err == nil && store.Under(e.Key, key.Root(base)) {
				if _, err := tree.Parse(v.Body, tree.Options{}); err != nil {
					t.Errorf("stored: %v", err)
				}
			}
		}
	})
}

// FuzzConditions holds that what is read as a list of tags is one, and that a list of one tag has it.
func FuzzConditions(f *testing.F) {
	for _, s := range []string{`"a", W/"b"`, "*", `"`, ",,", `W/"`, `"a" "b"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := readTags([]string{s})
		if err == nil && (!list.given || list.any == (len(list.strong)+len(list.weak) > 0)) {
			t.Errorf("%q: %+v", s, list)
		}
		again, err := readTags([]string{`"` + s + `"`})
		if plain := !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7F }); plain && (err != nil || !again.has(s, false) || again.any) {
			t.Errorf("%q: %v, %+v", s, err, again)
		}
	})
}

func entries(t *testing.T, s store.KV) (list []store.Entry) {
	for e, err := range s.Scan(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func clean(t *testing.T, s store.KV) {
	for _, e := range entries(t, s) {
		s.Delete(t.Context(), e.Key, store.AnyRev)
	}
}

func contents(t *testing.T, s store.KV) string {
	var b strings.Builder
	for _, e := range entries(t, s) {
		io.WriteString(&b, e.Key+" "+string(e.Value)+"\n")
	}
	return b.String()
}
