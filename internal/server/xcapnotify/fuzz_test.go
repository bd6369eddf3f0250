package xcapnotify

import (
	"errors"
	"testing"

	"imp/internal/sip/event"
	"imp/internal/store/memory"
	"imp/internal/xcap/usage"
)

func FuzzList(f *testing.F) {
	for _, uri := range []string{"resource-lists/users/sip:a@b/index", "http://h/r/resource-lists/users/", "/r/a/global/c/~~/d%5b@e=%22f%22%5d?xmlns(g=h)", "resource-lists/global/", "http://h/r/"} {
		f.Add([]byte(`<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list><entry uri="` + uri + `"/></list></resource-lists>`))
	}
	kv := memory.New()
	defer kv.Close()
	p, err := New(Config{Store: kv, Root: "/r", RootURI: "http://h/r"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		entries, err := p.readList(body)
		if err != nil {
			if refusal := (*event.Refusal)(nil); !errors.As(err, &refusal) || refusal.Status != 400 && refusal.Status != 413 {
				t.Fatal(err)
			}
			return
		}
		v := newView(p, event.Request{Watcher: "sip:a@b"}, listName(entries))
		v.who = usage.Requester{XUI: "sip:a@b"}
		p.mu.Lock()
		v.choose(entries)
		p.mu.Unlock()
		v.Close("")
		if len(p.exact) != 0 || len(p.collections) != 0 {
			t.Fatalf("%q leaves something", body)
		}
	})
}
