package xcap

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/store"
	"imp/internal/store/bolt"
	"imp/internal/store/memory"
	"imp/internal/xcap/uri"
)

const writers = 64

// together runs a function many times at once.
func together(do func(i int)) {
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// races runs a test on a store in memory, on one in a file, and on two servers that share a store and know nothing of each other.
func races(t *testing.T, test func(t *testing.T, at func(i int) *rig)) {
	t.Run("memory", func(t *testing.T) {
		r := newRig(t)
		test(t, func(int) *rig { return r })
	})
	t.Run("file", func(t *testing.T) {
		s, err := bolt.Open(filepath.Join(t.TempDir(), "xcap.db"), bolt.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		r := newRig(t, func(c *Config) { c.Store = s })
		test(t, func(int) *rig { return r })
	})
	t.Run("nodes", func(t *testing.T) {
		one := newRig(t)
		two := newRig(t, func(c *Config) { c.Store = one.cfg.Store })
		test(t, func(i int) *rig { return []*rig{one, two}[i%2] })
	})
}

func TestRaces(t *testing.T) {
	t.Run("XCAP-075 of many writers with one tag one wins", func(t *testing.T) {
		races(t, func(t *testing.T, at func(int) *rig) {
			for _, c := range [][3]string{{lists, friends, listsType}, {work, `<rl:list name="work"/>`, elType}, {workName, `"work"`, attType}} {
				tag := at(0).putList(strings.Replace(friends, "work", "play", 1))
				if c[0] != lists { // what is put is what there is, and each writer still takes the tag away
					tag = at(0).putList(friends)
				}
				var mu sync.Mutex
				got := map[int]int{}
				together(func(i int) {
					a := at(i).send("PUT", c[0], c[1], ctype(c[2]), "If-Match: "+tag)
					mu.Lock()
					got[a.Code]++
					mu.Unlock()
				})
				if got[200] != 1 || got[412] != writers-1 {
					t.Errorf("PUT %s: %v", c[0], got)
				}
			}
		})
	})
	t.Run("XCAP-075 of many creators one creates", func(t *testing.T) {
		races(t, func(t *testing.T, at func(int) *rig) {
			var mu sync.Mutex
			got := map[int]int{}
			together(func(i int) {
				a := at(i).send("PUT", lists, friends, ctype(listsType), "If-None-Match: *")
				mu.Lock()
				got[a.Code]++
				mu.Unlock()
			})
			if got[201] != 1 || got[412] != writers-1 {
				t.Error(got)
			}
		})
	})
	t.Run("XCAP-075 what many insert at once is all there", func(t *testing.T) {
		races(t, func(t *testing.T, at func(int) *rig) {
			at(0).putList(friends)
			together(func(i int) {
				entry := fmt.Sprintf("sip:%d@example.com", i)
				at(i).want(201, "PUT", work+"/entry%5B@uri=%22"+entry+"%22%5D", `<rl:entry uri="`+entry+`"/>`, ctype(elType))
			})
			if n := strings.Count(at(0).get(work), "<rl:entry"); n != writers {
				t.Errorf("%d entries", n)
			}
		})
	})
	t.Run("XCAP-009 a document and a directory of one name", func(t *testing.T) {
		races(t, func(t *testing.T, at func(int) *rig) {
			d := base + "/resource-lists/users/alice/d"
			together(func(i int) { at(i).send("PUT", d+strings.Repeat("/x", i%3), friends, ctype(listsType)) })
			there := 0
			for i := range 3 {
				if at(0).send("GET", d+strings.Repeat("/x", i), "").Code == 200 {
					there++
				}
			}
			if there > 1 {
				t.Errorf("%d documents", there)
			}
		})
	})
}

// hasty is a store whose first writes fail, or tell that they may have happened.
type hasty struct {
	store.KV
	mu   sync.Mutex
	errs []error
	do   bool // the write happens nevertheless
}

func (h *hasty) next() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.errs) == 0 {
		return nil
	}
	err := h.errs[0]
	h.errs = h.errs[1:]
	return err
}

func (h *hasty) Put(ctx context.Context, key string, val []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	if err := h.next(); err != nil {
		if h.do {
			h.KV.Put(ctx, key, val, want, ttl)
		}
		return 0, err
	}
	return h.KV.Put(ctx, key, val, want, ttl)
}

func TestStoreErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		errs   []error
		do     bool
		status int
	}{
		{"a race is run again", []error{store.ErrConflict, store.ErrConflict}, false, 201},
		{"an unknown outcome that did not happen", []error{store.ErrUnknown}, false, 201},
		{"an unknown outcome that happened", []error{store.ErrUnknown}, true, 201},
		{"no store", []error{store.ErrUnavailable}, false, 503},
		{"no room", []error{store.ErrTooLarge}, false, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h *hasty
			r := newRig(t, func(cfg *Config) { h = &hasty{KV: cfg.Store, errs: c.errs, do: c.do}; cfg.Store = h })
			a := r.want(c.status, "PUT", lists, friends, ctype(listsType))
			if c.status == 201 {
				if got := r.send("GET", lists, ""); got.body != friends || got.etag() != a.etag() {
					t.Errorf("%v", got)
				}
			}
		})
	}
}

// slow is a store in which something else happens before each deletion.
type slow struct {
	store.KV
	meanwhile func()
}

func (s *slow) Delete(ctx context.Context, key string, want store.Rev) error {
	if do := s.meanwhile; do != nil {
		s.meanwhile = nil
		do()
	}
	return s.KV.Delete(ctx, key, want)
}

func TestLostRaces(t *testing.T) {
	var s *slow
	r := newRig(t, func(c *Config) { s = &slow{KV: c.Store}; c.Store = s })
	other := newRig(t, func(c *Config) { c.Store = s })
	tag := r.putList(friends)
	s.meanwhile = func() { other.putList(strings.Replace(friends, "work", "play", 1)) }
	r.want(412, "DELETE", lists, "", "If-Match: "+tag)
	r.want(200, "GET", lists, "")
	s.meanwhile = func() { other.putList(friends) }
	r.want(200, "DELETE", lists, "")
	r.want(404, "GET", lists, "")
	r.putList(friends)
	s.meanwhile = func() { other.want(200, "DELETE", lists, "") }
	r.want(404, "DELETE", lists, "")
}

// TestFault breaks the server from within.
func TestFault(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Random = func([]byte) { panic("no randomness") } })
	r.want(500, "PUT", lists, friends, ctype(listsType))
	r.want(500, "PUT", lists, friends, ctype(listsType)) // the turn was given back
	r.want(404, "GET", lists, "")
}

func TestLimits(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxBody, c.MaxDocuments = 1000, 3 })
	t.Run("bodies and documents are bounded", func(t *testing.T) {
		r.want(413, "PUT", lists, friends+strings.Repeat(" ", 1000), ctype(listsType))
		r.putList(friends)
		big := `<rl:list name="` + strings.Repeat("x", 700) + `"/>`
		r.want(413, "PUT", work, big, ctype(elType))
		r.want(413, "PATCH", lists, operations(`<p:add sel="*">`+big+`</p:add>`), ctype(patchType))
		if r.get(lists) != friends {
			t.Error("the document is changed")
		}
	})
	t.Run("elements are so deep and no deeper", func(t *testing.T) {
		deep := newRig(t)
		nested := strings.Repeat("<x:y>", maxDepth+1) + strings.Repeat("</x:y>", maxDepth+1)
		deep.want(413, "PUT", lists, strings.Replace(friends, `<rl:list name="work"/>`, nested, 1), ctype(listsType))
	})
	t.Run("a user has so many documents", func(t *testing.T) {
		for i := range 2 {
			r.want(201, "PUT", lists+fmt.Sprint(i), friends, ctype(listsType))
		}
		r.conflict("constraint-failure", "PUT", lists+"9", friends, ctype(listsType))
		r.want(200, "PUT", lists+"1", friends, ctype(listsType))
		r.want(201, "PUT", listOf("bob"), friends, ctype(listsType))
	})
	t.Run("no content coding", func(t *testing.T) {
		a := r.want(415, "PUT", lists, friends, ctype(listsType), "Content-Encoding: gzip")
		if a.Header().Get("Accept-Encoding") != "identity" {
			t.Error(a.Header())
		}
		r.want(415, "PUT", lists, friends, ctype(listsType), "Content-Encoding: identity", "Content-Encoding: gzip")
		r.want(415, "PUT", lists, friends, ctype(listsType), "Content-Encoding: identity,gzip")
		r.want(200, "PUT", lists, friends, ctype(listsType), "Content-Encoding: identity")
		if a := r.want(200, "GET", lists, "", "Accept-Encoding: gzip, deflate"); a.Header().Get("Content-Encoding") != "" || a.body != friends {
			t.Error(a.Header())
		}
	})
	t.Run("who sends many large bodies slowly leaves room for others", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			kv := memory.New()
			defer kv.Close()
			s, err := New(Config{Store: kv})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			enter := func(xui string) *request {
				q := &request{http: httptest.NewRequestWithContext(ctx, "PUT", lists, nil), uri: &uri.URI{XUI: xui}}
				s.enterLarge(q)
				return q
			}
			for range 3 * largeBodies {
				go enter("sip:slow@example.com")
			}
			synctest.Wait()
			if len(s.large) != homeBodies {
				t.Errorf("one user has %d places", len(s.large))
			}
			q := enter("sip:bob@example.com")
			if q.large == nil {
				t.Fatal("there is no place for another user")
			}
			s.leaveLarge(q)
			cancel()
		})
	})
	t.Run("large bodies one after the other", func(t *testing.T) {
		r := newRig(t)
		large := friends + strings.Repeat(" ", usualBody)
		for range largeBodies + 1 { // none keeps its place
			r.putList(large)
			r.want(415, "PUT", lists, large, ctype("text/plain"))
			r.conflict("not-well-formed", "PUT", lists, large+"<", ctype(listsType))
		}
		for range largeBodies {
			r.large <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req := httptest.NewRequestWithContext(ctx, "PUT", lists, strings.NewReader(large))
		req.Host = "localhost"
		req.Header.Set("Content-Type", listsType)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != 408 && w.Code != 503 {
			t.Error(w.Code)
		}
		r.putList(friends)
	})
	t.Run("no parts of documents", func(t *testing.T) {
		r.want(400, "PUT", lists, friends, ctype(listsType), "Content-Range: bytes 0-9/10")
	})
	t.Run("no document type declaration", func(t *testing.T) {
		r.conflict("constraint-failure", "PUT", lists, `<!DOCTYPE a [<!ENTITY b "c">]>`+strings.TrimPrefix(friends, `<?xml version="1.0" encoding="UTF-8"?>`), ctype(listsType))
	})
}
