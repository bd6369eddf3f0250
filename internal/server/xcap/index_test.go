package xcap

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/doc/xcaperror"
	"imp/internal/store"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xcap/usage"
	"imp/internal/xml/grammar"
	"imp/internal/xml/tree"
)

// site is a server behind a proxy that says who asks.
type site struct {
	*Server
	t *testing.T
}

// newSite makes a server on a store, which runs until the test is over.
func newSite(t *testing.T, kv store.KV) *site {
	t.Helper()
	s, err := New(Config{Store: kv, Domains: []string{"example.com"}, Trusted: []string{"rls@example.com"},
		Known:   func(user, domain string) bool { return domain == "example.com" && len(user) < 4 },
		Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, Auth: &Auth{Realm: "r", Users: nobody{}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		s.Run(ctx, func() { close(ready) })
	}()
	<-ready
	t.Cleanup(func() { cancel(); <-over })
	return &site{s, t}
}

type nobody struct{}

func (nobody) HA1(string, string, string) (string, bool) { return "", false }

func (nobody) NameOf(string, string, string) (string, bool) { return "", false }

// do sends a request of a user, "" for one who says nothing of that. Fields are of the header.
func (s *site) do(user, method, path string, body []byte, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://example.com/xcap-root/"+path, bytes.NewReader(body))
	r.RemoteAddr = "192.0.2.1:1"
	if user != "" {
		r.Header.Set(assertedIdentity, `"sip:`+user+`@example.com"`)
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/rls-services+xml")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s *site) want(w *httptest.ResponseRecorder, status int) *httptest.ResponseRecorder {
	s.t.Helper()
	if w.Code != status {
		s.t.Fatalf("got %d %s, want %d", w.Code, w.Body, status)
	}
	return w
}

const globalIndex = "rls-services/global/index"

// index reads the index of services.
func (s *site) read() (uris []string, etag string) {
	s.t.Helper()
	w := s.want(s.do("rls", "GET", globalIndex, nil), 200)
	doc, err := tree.Parse(w.Body.Bytes(), tree.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	g, _ := grammar.ByName("rls-services")
	if p := g.Check(doc); len(p) > 0 {
		s.t.Fatalf("%v\n%s", p, w.Body)
	}
	return usage.Services(doc), w.Header().Get("Etag")
}

func indexOf(user string) string { return "rls-services/users/sip:" + user + "@example.com/index" }

func TestServices(t *testing.T) {
	kv := memory.New()
	defer kv.Close()
	s := newSite(t, kv)
	stored := func(user string) string { return s.do(user, "GET", indexOf(user), nil).Body.String() }
	refused := func(w *httptest.ResponseRecorder) *xcaperror.Report {
		t.Helper()
		r, err := xcaperror.Parse(s.want(w, 409).Body.Bytes())
		if err != nil || r.Condition != xcaperror.Uniqueness {
			t.Fatalf("got %+v, %v", r, err)
		}
		return r
	}
	t.Run("XUSE-019 RLS-072 the URI of another's service is refused, with alternatives that are free", func(t *testing.T) {
		s.want(s.do("a", "PUT", indexOf("a"), rlsServices("sip:friends@example.com")), 201)
		r := refused(s.do("b", "PUT", indexOf("b"), rlsServices("sip:%66riends@EXAMPLE.com")))
		if len(r.Exists) != 1 || r.Exists[0].Field != "rls-services/service/@uri" || len(r.Exists[0].Alternatives) == 0 {
			t.Fatalf("got %+v", r)
		}
		s.want(s.do("b", "GET", indexOf("b"), nil), 404)
		s.want(s.do("b", "PUT", indexOf("b"), rlsServices(r.Exists[0].Alternatives[0])), 201)
		before := stored("b")
		refused(s.do("b", "PUT", indexOf("b")+"/~~/rls-services/service/@uri", []byte(`"sip:friends@example.com"`), "Content-Type", "application/xcap-att+xml"))
		if stored("b") != before {
			t.Error("the document has changed")
		}
	})
	t.Run("XUSE-019 RLS-072 the URI of a user is refused", func(t *testing.T) {
		for _, uri := range []string{"sip:c@example.com", "sips:c@example.com", "pres:c@example.com"} {
			refused(s.do("c", "PUT", indexOf("c"), rlsServices(uri)))
		}
	})
	t.Run("XUSE-019 over all roots", func(t *testing.T) {
		other, err := New(Config{Store: kv, Root: "/other", Domains: []string{"example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("PUT", "http://example.com/other/"+indexOf("d"), bytes.NewReader(rlsServices("sip:friends@example.com")))
		r.Header.Set("Content-Type", "application/rls-services+xml")
		w := httptest.NewRecorder()
		other.ServeHTTP(w, r)
		refused(w)
	})
	t.Run("XUSE-020 the same document again", func(t *testing.T) {
		s.want(s.do("a", "PUT", indexOf("a"), rlsServices("sip:friends@example.com")), 200)
		s.want(s.do("a", "PUT", indexOf("a"), rlsServices("sip:friends@example.com", "sip:family@example.com")), 200)
	})
	t.Run("a document has not too many", func(t *testing.T) {
		var many []string
		for i := range maxServices + 1 {
			many = append(many, fmt.Sprintf("sip:many-%d@example.com", i))
		}
		if w := s.do("m", "PUT", indexOf("m"), rlsServices(many...)); w.Code != 409 || !strings.Contains(w.Body.String(), "constraint-failure") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		s.want(s.do("m", "PUT", indexOf("m"), rlsServices(many[1:]...)), 201)
		s.want(s.do("m", "DELETE", indexOf("m"), nil), 200)
	})
	t.Run("what was given up is free", func(t *testing.T) {
		s.want(s.do("a", "DELETE", indexOf("a"), nil), 200)
		s.want(s.do("e", "PUT", indexOf("e"), rlsServices("sip:friends@example.com", "sip:family@example.com")), 201)
		s.want(s.do("e", "DELETE", indexOf("e")+"/~~/rls-services/service%5B1%5D", nil), 409) // another one would be selected
		s.want(s.do("e", "DELETE", indexOf("e")+"/~~/rls-services/service%5B@uri=%22sip:friends@example.com%22%5D", nil), 200)
		s.want(s.do("a", "PUT", indexOf("a"), rlsServices("sip:friends@example.com")), 201)
		consistentAt(t, kv, s.Root())
	})
}

func TestUniqueAmongManyNodes(t *testing.T) {
	kv := memory.New()
	defer kv.Close()
	sites := []*site{newSite(t, kv), newSite(t, kv), newSite(t, kv)}
	statuses := make([]int, 24)
	var running sync.WaitGroup
	for i := range statuses {
		running.Go(func() {
			user := fmt.Sprintf("u%d", i)
			statuses[i] = sites[i%3].do(user, "PUT", indexOf(user), rlsServices("sip:wanted@example.com")).Code
		})
	}
	running.Wait()
	slices.Sort(statuses)
	if statuses[0] != 201 || statuses[1] != 409 || statuses[23] != 409 {
		t.Errorf("got %v", statuses)
	}
	consistentAt(t, kv, sites[0].Root())
}

func TestIndex(t *testing.T) {
	kv := memory.New()
	defer kv.Close()
	s, other := newSite(t, kv), newSite(t, kv)
	empty, none := s.read()
	if len(empty) > 0 {
		t.Fatalf("got %v", empty)
	}
	t.Run("XUSE-024 it has what users have, at once", func(t *testing.T) {
		for i := range 20 {
			user, uri := fmt.Sprintf("u%d", i), fmt.Sprintf("sip:list%d@example.com", i)
			_, before := s.read()
			s.want(s.do(user, "PUT", indexOf(user), rlsServices(uri)), 201)
			now, etag := s.read()
			if len(now) != i+1 || !slices.Contains(now, uri) || etag == before {
				t.Fatalf("got %v, ETag %s, before %s", now, etag, before)
			}
		}
		_, before := s.read()
		s.want(s.do("u3", "PUT", indexOf("u3"), append(rlsServices("sip:list3@example.com"), '\n')), 200)
		if _, etag := s.read(); etag != before {
			t.Error("another ETag of the same services")
		}
		s.want(s.do("u3", "DELETE", indexOf("u3"), nil), 200)
		if now, etag := s.read(); slices.Contains(now, "sip:list3@example.com") || len(now) != 19 || etag == before {
			t.Errorf("got %v, ETag %s", now, etag)
		}
		w := s.want(s.do("rls", "GET", globalIndex+"/~~/rls-services/service%5B@uri=%22sip:list4@example.com%22%5D", nil), 200)
		if got := w.Body.String(); !strings.HasPrefix(got, "<service ") || !strings.Contains(got, `uri="sip:list4@example.com"`) {
			t.Error(got)
		}
		s.want(s.do("rls", "GET", globalIndex+"/~~/rls-services/service%5B@uri=%22sip:list3@example.com%22%5D", nil), 404)
	})
	t.Run("XUSE-024 nobody writes it", func(t *testing.T) {
		for _, user := range []string{"u1", "rls"} {
			if w := s.do(user, "PUT", globalIndex, rlsServices("sip:x@example.com")); w.Code != 403 && w.Code != 405 {
				t.Errorf("%s got %d", user, w.Code)
			}
			if w := s.do(user, "DELETE", globalIndex, nil); w.Code != 403 && w.Code != 405 {
				t.Errorf("%s got %d", user, w.Code)
			}
		}
	})
	t.Run("XUSE-026 trusted elements read it", func(t *testing.T) {
		s.want(s.do("u1", "GET", globalIndex, nil), 403)
		s.want(s.do("u1", "GET", globalIndex+"/~~/rls-services/service%5B1%5D", nil), 403)
		s.want(s.do("", "GET", globalIndex, nil), 401)
		s.want(s.do("rls", "GET", globalIndex, nil), 200)
	})
	t.Run("XUSE-023 RLS-074 documents of other names are not in it", func(t *testing.T) {
		for _, path := range []string{"other", "d/index"} {
			s.want(s.do("u1", "PUT", "rls-services/users/sip:u1@example.com/"+path, rlsServices("sip:hidden@example.com")), 201)
			if now, _ := s.read(); slices.Contains(now, "sip:hidden@example.com") {
				t.Errorf("%s: got %v", path, now)
			}
			s.want(s.do("u1", "DELETE", "rls-services/users/sip:u1@example.com/"+path, nil), 200)
		}
	})
	t.Run("XUSE-025 prefixes are bound", func(t *testing.T) {
		const rls, lists = "urn:ietf:params:xml:ns:rls-services", "urn:ietf:params:xml:ns:resource-lists"
		s.want(s.do("x", "PUT", indexOf("x"), []byte(`<p:rls-services xmlns:p="`+rls+`" xmlns="`+lists+`"><p:service uri="sip:px-list@example.com"><p:list><entry uri="sip:1@b"/></p:list></p:service></p:rls-services>`)), 201)
		s.want(s.do("y", "PUT", indexOf("y"), []byte(`<rls-services xmlns:p="`+lists+`" xmlns="`+rls+`"><service uri="sip:py-list@example.com"><list><p:entry uri="sip:2@b"/></list></service></rls-services>`)), 201)
		if now, _ := s.read(); !slices.Contains(now, "sip:px-list@example.com") || !slices.Contains(now, "sip:py-list@example.com") {
			t.Errorf("got %v", now)
		}
		s.want(s.do("x", "DELETE", indexOf("x"), nil), 200)
		s.want(s.do("y", "DELETE", indexOf("y"), nil), 200)
	})
	t.Run("other nodes have it too, with the same ETag", func(t *testing.T) {
		_, want := s.read()
		got, etag := other.read()
		for ends := time.Now().Add(10 * time.Second); etag != want && time.Now().Before(ends); runtime.Gosched() {
			got, etag = other.read() // it follows the store, and nobody waits for it
		}
		if etag != want {
			t.Errorf("ETag %s of %v, want %s", etag, got, want)
		}
	})
	for i := range 20 {
		s.want(s.do(fmt.Sprintf("u%d", i), "DELETE", indexOf(fmt.Sprintf("u%d", i)), nil), map[bool]int{true: 404, false: 200}[i == 3])
	}
	if now, etag := s.read(); len(now) > 0 || etag != none {
		t.Errorf("got %v with ETag %s, want none with %s", now, etag, none)
	}
}

// feed is a store whose watches are what the test writes.
type feed struct {
	store.KV
	watches chan chan store.Event
}

func (f *feed) Watch(context.Context, string) (<-chan store.Event, error) { return <-f.watches, nil }

func putEvent(t *testing.T, user string, rev store.Rev, uris ...string) store.Event {
	k, path := home(t, user)
	return store.Event{Kind: store.Put, Entry: store.Entry{Key: k, Rev: rev, Value: key.Value{ETag: "e", Path: path, Body: rlsServices(uris...)}.Bytes()}}
}

func TestIndexView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, events := &feed{memory.New(), make(chan chan store.Event, 1)}, make(chan store.Event)
		f.watches <- events
		defer f.KV.(*memory.Store).Close()
		x := newIndex(&Server{cfg: Config{Store: f, Log: slog.New(slog.DiscardHandler)}})
		x.prefix = key.Users("/", auidServices)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ready := false
		go x.run(ctx, func() { ready = true })
		tell := func(list ...store.Event) {
			for _, e := range list {
				events <- e
			}
			synctest.Wait()
		}
		expect := func(uris ...string) {
			t.Helper()
			g, err := x.document(ctx)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := tree.Parse(g.body, tree.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := usage.Services(doc); !slices.Equal(got, uris) {
				t.Errorf("got %v, want %v", got, uris)
			}
		}
		tell(putEvent(t, "a", 1, "sip:1@x"))
		short, end := context.WithTimeout(ctx, time.Second)
		defer end()
		if _, err := x.document(short); err == nil || ready {
			t.Error("there before it is complete")
		}
		tell(store.Event{Kind: store.Synced})
		if !ready {
			t.Error("not ready")
		}
		tell(putEvent(t, "b", 1, "sip:2@x", "sip:3@x"))
		expect("sip:1@x", "sip:2@x", "sip:3@x")
		tell(putEvent(t, "b", 2, "sip:3@x", "sip:1@x"))
		expect("sip:1@x", "sip:3@x")
		tell(putEvent(t, "a", 2, "sip:4@x"))
		expect("sip:4@x", "sip:3@x", "sip:1@x")
		tell(store.Event{Kind: store.Reset}, putEvent(t, "b", 2, "sip:3@x", "sip:1@x"))
		expect("sip:4@x", "sip:3@x", "sip:1@x") // until it is known that a is gone
		tell(store.Event{Kind: store.Synced})
		expect("sip:3@x", "sip:1@x")

		k, _ := home(t, "c")
		began := time.Now()
		waited := func(old, rev store.Rev) (took func() time.Duration) {
			var over time.Time
			go func() { x.wait(ctx, k, old, rev); over = time.Now() }()
			synctest.Wait()
			return func() time.Duration {
				synctest.Wait()
				if over.IsZero() {
					return -1
				}
				return over.Sub(began)
			}
		}
		three := waited(0, 3)
		tell(putEvent(t, "c", 2, "sip:5@x"))
		if three() >= 0 {
			t.Error("it did not wait for the revision")
		}
		tell(putEvent(t, "c", 3, "sip:5@x"))
		if three() != 0 {
			t.Errorf("it waited for %v", three())
		}
		gone := waited(3, 0)
		if gone() >= 0 {
			t.Error("it did not wait for the deletion")
		}
		tell(store.Event{Kind: store.Delete, Entry: store.Entry{Key: k}})
		if gone() != 0 {
			t.Errorf("it waited for %v", gone())
		}
		overtaken := waited(0, 9)
		tell(store.Event{Kind: store.Delete, Entry: store.Entry{Key: k}})
		if overtaken() != 0 {
			t.Errorf("it waited for what is gone for %v", overtaken())
		}
		never := waited(0, 10)
		time.Sleep(patience)
		if never() != patience {
			t.Errorf("it waited for %v", never())
		}
		close(events)
		events = make(chan store.Event)
		f.watches <- events
		time.Sleep(rewatch)
		tell(putEvent(t, "d", 1, "sip:6@x"), store.Event{Kind: store.Synced})
		expect("sip:6@x")
		cancel()
		close(events)
	})
}

func TestDirectory(t *testing.T) {
	kv := memory.New()
	defer kv.Close()
	s := newSite(t, kv)
	const path = "org.openmobilealliance.xcap-directory/users/sip:a@example.com/directory.xml"
	before := s.want(s.do("a", "GET", path, nil), 200)
	if strings.Contains(before.Body.String(), "entry") {
		t.Errorf("got %s", before.Body)
	}
	one := s.want(s.do("a", "PUT", indexOf("a"), rlsServices("sip:family@example.com")), 201)
	s.want(s.do("a", "PUT", "resource-lists/users/a@example.com/d/l%20ist", []byte(`<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>`), "Content-Type", "application/resource-lists+xml"), 201)
	s.want(s.do("b", "PUT", indexOf("b"), rlsServices()), 201)
	after := s.want(s.do("a", "GET", path, nil), 200)
	if after.Header().Get("Etag") == before.Header().Get("Etag") {
		t.Error("another directory has the same ETag")
	}
	doc, err := tree.Parse(after.Body.Bytes(), tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for folder := range doc.Root().Elements() {
		auid, _ := folder.Attr("", "auid")
		for e := range folder.Elements() {
			uri, _ := e.Attr("", "uri")
			got = append(got, auid+" "+uri)
			changed, _ := e.Attr("", "last-modified")
			if at, err := time.Parse(time.RFC3339, changed); err != nil || time.Since(at) > time.Hour || at.After(time.Now()) {
				t.Errorf("changed %q: %v", changed, err)
			}
			if tag, _ := e.Attr("", "etag"); auid == auidServices && `"`+tag+`"` != one.Header().Get("Etag") {
				t.Errorf("ETag %s, want %s", tag, one.Header().Get("Etag"))
			}
		}
	}
	want := []string{"resource-lists /xcap-root/resource-lists/users/sip:a@example.com/d/l%20ist", "rls-services /xcap-root/" + indexOf("a")}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s.want(s.do("b", "GET", path, nil), 403)
	s.want(s.do("a", "PUT", path, []byte("<x/>")), 405)
	if w := s.do("a", "GET", path, nil, "If-None-Match", after.Header().Get("Etag")); w.Code != http.StatusNotModified {
		t.Errorf("got %d", w.Code)
	}
}

// BenchmarkIndex changes one of 10,000 documents and reads the index.
func BenchmarkIndex(b *testing.B) {
	x := newIndex(&Server{cfg: Config{Log: slog.New(slog.DiscardHandler)}})
	close(x.synced)
	value := func(i, n int) store.Entry {
		path := fmt.Sprintf("rls-services/users/sip:u%d@example.com/index", i)
		return store.Entry{Key: store.Key(path), Rev: store.Rev(n), Value: key.Value{Path: path, Body: rlsServices(fmt.Sprintf("sip:l%d@example.com", i), fmt.Sprintf("sip:l%d-%d@example.com", i, n))}.Bytes()}
	}
	for i := range 10_000 {
		x.put(value(i, 0))
	}
	b.Run("put", func(b *testing.B) {
		for n := range b.N {
			x.put(value(n%10_000, n))
		}
	})
	b.Run("put and read", func(b *testing.B) {
		for n := range b.N {
			x.put(value(n%10_000, n))
			if g, err := x.document(b.Context()); err != nil || len(g.body) < 10_000 {
				b.Fatal(err)
			}
		}
	})
}
