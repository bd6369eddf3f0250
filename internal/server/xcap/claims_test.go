package xcap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/store"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xcap/usage"
	"imp/internal/xml/tree"
)

// rlsServices is a document with services, of one entry each.
func rlsServices(uris ...string) []byte {
	var b strings.Builder
	b.WriteString(`<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">`)
	for _, uri := range uris {
		fmt.Fprintf(&b, `<service uri="%s"><list><rl:entry uri="sip:x@example.com"/></list></service>`, uri)
	}
	return []byte(b.String() + "</rls-services>")
}

// home is the key of a user's index of rls-services, and its path.
func home(t testing.TB, user string) (string, string) {
	t.Helper()
	path := "rls-services/users/sip:" + user + "@example.com/index"
	u, err := key.Value{Path: path}.URI()
	if err != nil {
		t.Fatal(err)
	}
	return key.Document("/", u), path
}

// node is a writer of documents with services, as a server is one.
type node struct {
	*services
	t *testing.T
}

func newNode(t *testing.T, kv store.KV) *node {
	return &node{&services{store: kv, log: slog.New(slog.DiscardHandler)}, t}
}

var stamp atomic.Int64

// read gives the document of a user with the URIs in it.
func (n *node) read(user string) (store.Entry, []string) {
	document, _ := home(n.t, user)
	e, err := n.store.Get(context.Background(), document)
	if err != nil {
		return store.Entry{}, nil
	}
	v, err := key.Parse(e.Value)
	if err != nil {
		n.t.Fatal(err)
	}
	doc, err := tree.Parse(v.Body, tree.Options{})
	if err != nil {
		n.t.Fatal(err)
	}
	return e, usage.Services(doc)
}

// change gives the document of a user other services, none: deletes it. It does what a change of a server does.
func (n *node) change(user string, after ...string) error {
	old, before := n.read(user)
	document, path := home(n.t, user)
	var value []byte
	if len(after) > 0 {
		value = key.Value{ETag: fmt.Sprint(stamp.Add(1)), Path: path, Body: rlsServices(after...)}.Bytes()
	} else if old.Rev == 0 {
		return nil
	}
	return n.write(document, old, value, before, after)
}

func (n *node) write(document string, old store.Entry, value []byte, before, after []string) error {
	s := &Server{services: n.services, index: &index{prefix: "none"}}
	s.cfg.Store = n.store
	c := &claims{server: s, doc: document, before: before, after: after, applies: true}
	ctx := context.Background()
	if err := c.reserve(ctx); err != nil {
		return err
	}
	rev, err := store.Rev(0), error(nil)
	if value == nil {
		err = n.store.Delete(ctx, document, old.Rev)
	} else {
		rev, err = n.store.Put(ctx, document, value, old.Rev, 0)
	}
	if err != nil {
		c.undo(ctx)
		return err
	}
	was := serverDocument(n.t, old)
	return c.settle(ctx, was, rev)
}

func serverDocument(t *testing.T, e store.Entry) document {
	d := document{rev: e.Rev}
	if e.Rev != 0 {
		var err error
		if d.Value, err = key.Parse(e.Value); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func claimed(t *testing.T, kv store.KV, uri string) (c claim, found bool) {
	t.Helper()
	e, err := kv.Get(context.Background(), key.Claim(uri))
	if errors.Is(err, store.ErrNotFound) {
		return c, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return parseClaim(e.Value), true
}

func isTaken(err error, uri string) bool {
	var taken *takenError
	return errors.As(err, &taken) && taken.uri == uri
}

func TestClaims(t *testing.T) {
	kv := memory.New()
	defer kv.Close()
	n := newNode(t, kv)
	n.exists = func(uri string) bool { return uri == "sip:registered@example.com" }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("XUSE-019 the URI of a service is of one document", func(t *testing.T) {
		must(n.change("a", "sip:s@example.com", "sip:t@example.com"))
		old, _ := n.read("b")
		if err := n.change("b", "sip:u@example.com", "sip:s@example.com"); !isTaken(err, "sip:s@example.com") {
			t.Errorf("got %v", err)
		}
		if now, _ := n.read("b"); now.Rev != old.Rev {
			t.Error("the document was written")
		}
		if _, found := claimed(t, kv, "sip:u@example.com"); found {
			t.Error("the claim of a document that was refused is left")
		}
		if err := n.change("b", "sip:registered@example.com"); !isTaken(err, "sip:registered@example.com") {
			t.Errorf("the URI of a user: got %v", err)
		}
	})
	t.Run("XUSE-019 alternatives are free", func(t *testing.T) {
		must(n.change("d", "sip:s-2@example.com"))
		document, _ := home(t, "b")
		doc, err := tree.Parse(rlsServices("sip:s@example.com", "sip:v@example.com"), tree.Options{})
		must(err)
		r := usage.Conflict(doc, n.taken(context.Background(), document, nil))
		if r == nil || len(r.Exists) != 1 || len(r.Exists[0].Alternatives) == 0 {
			t.Fatalf("got %+v", r)
		}
		if slices.Contains(r.Exists[0].Alternatives, "sip:s-2@example.com") {
			t.Errorf("one is taken: %v", r.Exists[0].Alternatives)
		}
		must(n.change("b", r.Exists[0].Alternatives[0]))
		own, _ := home(t, "a")
		if n.taken(context.Background(), own, nil)("sip:s@example.com") {
			t.Error("taken from the document that has it")
		}
		if !n.taken(context.Background(), own, nil)("sip:registered@example.com") {
			t.Error("the URI of a user is free")
		}
	})
	t.Run("XUSE-020 a document keeps its own", func(t *testing.T) {
		before, _ := kv.Get(context.Background(), key.Claim("sip:s@example.com"))
		must(n.change("a", "sip:s@example.com", "sip:t@example.com"))
		if after, _ := kv.Get(context.Background(), key.Claim("sip:s@example.com")); after.Rev != before.Rev {
			t.Error("the claim was written again")
		}
	})
	t.Run("what a document gives up is free", func(t *testing.T) {
		must(n.change("a", "sip:s@example.com"))
		must(n.change("c", "sip:t@example.com"))
		must(n.change("a"))
		if _, found := claimed(t, kv, "sip:s@example.com"); found {
			t.Error("the claim of a deleted document is left")
		}
		must(n.change("c", "sip:s@example.com"))
		if c, found := claimed(t, kv, "sip:s@example.com"); !found || !c.pending.IsZero() {
			t.Errorf("got %+v, %v", c, found)
		}
	})
	t.Run("a document at another revision stays, and nothing is claimed", func(t *testing.T) {
		document, path := home(t, "c")
		err := n.write(document, store.Entry{}, key.Value{Path: path, Body: rlsServices("sip:w@example.com")}.Bytes(), nil, []string{"sip:w@example.com", "sip:s@example.com"})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("got %v", err)
		}
		if _, found := claimed(t, kv, "sip:w@example.com"); found {
			t.Error("a claim is left")
		}
		if c, found := claimed(t, kv, "sip:s@example.com"); !found || !c.pending.IsZero() {
			t.Errorf("the claim of the document as it is: %+v, %v", c, found)
		}
	})
	t.Run("one document may have many", func(t *testing.T) {
		var many []string
		for i := range 300 {
			many = append(many, fmt.Sprintf("sip:many%d@example.com", i))
		}
		must(n.change("many", many...))
		if err := n.change("b", many[299]); !isTaken(err, many[299]) {
			t.Errorf("got %v", err)
		}
		must(n.change("many"))
		must(n.change("b", many[299]))
	})
}

// dying is a store that ends for its user after some writes, as if the process were killed.
type dying struct {
	store.KV
	left atomic.Int64
}

func (d *dying) alive() error {
	if d.left.Add(-1) < 0 {
		return store.ErrUnavailable
	}
	return nil
}

func (d *dying) Put(ctx context.Context, k string, v []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	if err := d.alive(); err != nil {
		return 0, err
	}
	return d.KV.Put(ctx, k, v, want, ttl)
}

func (d *dying) Delete(ctx context.Context, k string, want store.Rev) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.KV.Delete(ctx, k, want)
}

// TestOrphans kills a writer before each of its writes. Another user then gets the URI, or the document of the dead writer has it.
func TestOrphans(t *testing.T) {
	for _, begin := range [][]string{nil, {"sip:old@example.com"}} {
		for _, end := range [][]string{{"sip:s@example.com"}, {"sip:s@example.com", "sip:old@example.com"}, nil} {
			for writes := range 6 {
				t.Run(fmt.Sprintf("from %v to %v in %d writes", begin, end, writes), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { killedAfter(t, begin, end, writes) })
				})
			}
		}
	}
}

func killedAfter(t *testing.T, begin, end []string, writes int) {
	kv := memory.New()
	defer kv.Close()
	live := newNode(t, kv)
	if err := live.change("a", begin...); err != nil {
		t.Fatal(err)
	}
	mortal := &dying{KV: kv}
	mortal.left.Store(int64(writes))
	told := newNode(t, mortal).change("a", end...) == nil
	_, has := live.read("a")
	if told && !slices.Equal(has, end) {
		t.Fatalf("acknowledged %v, the document has %v", end, has)
	}
	sweep := func() {
		if err := live.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	if _, now := live.read("a"); !slices.Equal(now, has) {
		t.Fatalf("swept too much: %v, before %v", now, has)
	}
	time.Sleep(inFlight)
	if writes%2 == 0 {
		sweep()
	}
	for _, uri := range []string{"sip:s@example.com", "sip:old@example.com"} {
		err := live.change("b", uri)
		if want := slices.Contains(has, uri); isTaken(err, uri) != want || !want && err != nil {
			t.Errorf("%s in the document: %v, for another document: %v", uri, want, err)
		}
	}
	sweep()
	consistent(t, kv)
}

// consistent fails the test unless each URI of a document has a settled claim of it, and there are no other claims.
func consistent(t *testing.T, kv store.KV) {
	t.Helper()
	consistentAt(t, kv, "/")
}

func consistentAt(t *testing.T, kv store.KV, root string) {
	t.Helper()
	owners := map[string]string{}
	for e, err := range kv.Scan(context.Background(), key.Root(root)) {
		if err != nil {
			t.Fatal(err)
		}
		v, err := key.Parse(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := tree.Parse(v.Body, tree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, uri := range usage.Services(doc) {
			if owners[key.Claim(uri)] != "" {
				t.Errorf("%s is in %s and %s", uri, e.Key, owners[key.Claim(uri)])
			}
			owners[key.Claim(uri)] = e.Key
		}
	}
	count := 0
	for e, err := range kv.Scan(context.Background(), key.Claims()) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		if c := parseClaim(e.Value); c.document != owners[e.Key] || !c.pending.IsZero() {
			t.Errorf("%s is %+v, expected to be of %q", e.Key, c, owners[e.Key])
		}
	}
	if count != len(owners) {
		t.Errorf("%d claims, %d URIs", count, len(owners))
	}
}

// jittery is a store as one node of many sees it: others come in between.
type jittery struct{ store.KV }

func (j jittery) pause() {
	for range rand.IntN(4) {
		runtime.Gosched()
	}
}

func (j jittery) Get(ctx context.Context, k string) (store.Entry, error) {
	j.pause()
	return j.KV.Get(ctx, k)
}

func (j jittery) Put(ctx context.Context, k string, v []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	j.pause()
	if want != store.AnyRev && rand.IntN(20) == 0 {
		return 0, store.ErrConflict // as the contract allows
	}
	return j.KV.Put(ctx, k, v, want, ttl)
}

func (j jittery) Delete(ctx context.Context, k string, want store.Rev) error {
	j.pause()
	return j.KV.Delete(ctx, k, want)
}

// TestClaimsOfManyNodes has writers fight for few URIs with few documents. No two documents ever have one URI when nobody is writing.
func TestClaimsOfManyNodes(t *testing.T) {
	kv := memory.New()
	defer kv.Close()
	uris := []string{"sip:1@example.com", "sip:2@example.com", "sip:3@example.com", "sip:4@example.com"}
	for range 40 {
		var wrote, refused atomic.Int64
		var running sync.WaitGroup
		for i := range 8 {
			n := newNode(t, jittery{kv})
			user := fmt.Sprintf("user%d", i%5)
			running.Go(func() {
				for range 10 {
					var after []string
					for _, uri := range uris {
						if rand.IntN(4) == 0 {
							after = append(after, uri)
						}
					}
					var taken *takenError
					switch err := n.change(user, after...); {
					case err == nil:
						wrote.Add(1)
					case errors.As(err, &taken):
						refused.Add(1)
					case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound):
						t.Errorf("writing: %v", err)
					}
				}
			})
		}
		running.Wait()
		if wrote.Load() == 0 || refused.Load() == 0 {
			t.Fatalf("%d written, %d refused", wrote.Load(), refused.Load())
		}
		unique(t, kv)
		if t.Failed() {
			return
		}
	}
}

// unique fails the test when two documents have one URI, or one has none of its claims.
func unique(t *testing.T, kv store.KV) {
	t.Helper()
	n := newNode(t, kv)
	owners := map[string]string{}
	for i := range 5 {
		user := fmt.Sprintf("user%d", i)
		document, _ := home(t, user)
		_, has := n.read(user)
		for _, uri := range has {
			if owners[uri] != "" {
				t.Errorf("%s is in %s and %s", uri, document, owners[uri])
			}
			owners[uri] = document
			if c, _ := claimed(t, kv, uri); c.document != document {
				t.Errorf("%s is in %s, and claimed by %q", uri, document, c.document)
			}
		}
	}
}

func TestClaimValues(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []claim{{document: "xcap.a.b"}, {"xcap.a.b", now}} {
		if got := parseClaim(c.bytes()); got.document != c.document || !got.pending.Equal(c.pending) {
			t.Errorf("got %+v, want %+v", got, c)
		}
	}
}

// interrupted is a store whose user is held up before it writes one key.
type interrupted struct {
	store.KV
	before string
	do     func()
}

func (i *interrupted) Put(ctx context.Context, k string, v []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	if do := i.do; k == i.before && do != nil {
		i.do = nil
		do()
	}
	return i.KV.Put(ctx, k, v, want, ttl)
}

func TestSlowWriters(t *testing.T) {
	for _, begin := range [][]string{nil, {"sip:old@example.com"}} {
		t.Run("a claim is left to its writer for a while", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kv := memory.New()
				defer kv.Close()
				fast := newNode(t, kv)
				if err := fast.change("a", begin...); err != nil {
					t.Fatal(err)
				}
				document, _ := home(t, "a")
				slow := newNode(t, &interrupted{kv, document, func() {
					if err := fast.change("b", "sip:s@example.com"); !isTaken(err, "sip:s@example.com") {
						t.Errorf("another got it meanwhile: %v", err)
					}
				}})
				if err := slow.change("a", "sip:s@example.com"); err != nil {
					t.Errorf("the first got %v", err)
				}
				consistent(t, kv)
			})
		})
		t.Run("who is slower than that loses, and nothing has changed", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kv := memory.New()
				defer kv.Close()
				fast := newNode(t, kv)
				if err := fast.change("a", begin...); err != nil {
					t.Fatal(err)
				}
				document, _ := home(t, "a")
				slow := newNode(t, &interrupted{kv, document, func() {
					time.Sleep(inFlight)
					if err := fast.change("b", "sip:s@example.com"); err != nil {
						t.Errorf("another got %v", err)
					}
				}})
				if err := slow.change("a", "sip:s@example.com"); !isTaken(err, "sip:s@example.com") {
					t.Errorf("the slow one got %v", err)
				}
				if _, has := slow.read("a"); !slices.Equal(has, begin) {
					t.Errorf("its document has %v", has)
				}
				consistent(t, kv)
			})
		})
	}
}
