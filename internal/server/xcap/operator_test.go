package xcap

import (
	"bytes"
	"maps"
	"net/http/httptest"
	"slices"
	"testing"

	"imp/internal/store/memory"
)

func TestOperator(t *testing.T) {
	kv := memory.New()
	defer kv.Close()
	s := newSite(t, kv)
	ask := func(method, path, body string, fields ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://127.0.0.1:1/document", bytes.NewReader([]byte(body)))
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		w := httptest.NewRecorder()
		s.ServeOperator(w, r, path)
		return w
	}
	const lists, elsewhere = `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>`, "resource-lists/users/sip:unknown@example.com/index"
	refers := `<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip:work@example.com"><resource-list>https://lists.example.net/xcap-root/resource-lists/users/sip:a@example.com/index/~~/resource-lists/list</resource-list></service></rls-services>`
	for path, body := range map[string]string{elsewhere: lists, indexOf("a"): refers, "resource-lists/global/index": lists} {
		s.want(ask("PUT", path, body, "If-None-Match", "*"), 201)
		s.want(ask("PUT", path, body, "If-None-Match", "*"), 412)
		if got := s.want(ask("GET", path, ""), 200).Body.String(); got != body {
			t.Errorf("%s: got %s", path, got)
		}
	}
	s.want(s.do("a", "PUT", indexOf("a"), []byte(refers)), 409) // to users a foreign host is foreign
	s.want(ask("PUT", indexOf("b"), refers), 409)               // the URI belongs to another
	s.want(ask("PUT", elsewhere, "<x/>"), 409)
	for path, status := range map[string]int{"nothing/users/a/b": 404, "xcap-caps/global/index": 405, "rls-services/global/index": 405, "resource-lists/users/../x": 404, "": 404, "%": 400} {
		if w := ask("PUT", path, lists); w.Code != status {
			t.Errorf("%q: got %d, want %d", path, w.Code, status)
		}
	}
	got := map[string]string{}
	for d, err := range s.Documents(t.Context()) {
		if err != nil || d.ETag == "" {
			t.Fatal(d, err)
		}
		got[d.Path] = string(d.Body)
	}
	if want := []string{"resource-lists/global/index", elsewhere, indexOf("a")}; !slices.Equal(slices.Sorted(maps.Keys(got)), want) || got[elsewhere] != lists {
		t.Errorf("got %v", got)
	}
}
