package xcap

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"log/slog"
	"slices"
	"sync"
	"time"

	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/usage"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// index is the global document of rls-services, the union of the services of all documents of users that are called index (RFC 4826
// section 4.4.8). It is a view of the store, fed by its watch: each document is read when it changes, and the index is written when
// somebody asks for it.
type index struct {
	store  store.KV
	prefix string // of the documents of users
	log    *slog.Logger
	synced chan struct{} // closed when the view is complete for the first time
	tell   func()        // that the index is another one

	mu        sync.Mutex
	documents map[string]*indexed      // by key
	order     []string                 // the keys, sorted
	waiting   map[string]chan struct{} // closed at the next event of a key
	round     int                      // snapshots of the store so far
	holders   map[string]int           // how many documents have a service, by its URI
	doubles   int                      // URIs that several have
	sum       [4]uint64                // of the hashes of all services: the same for the same services in any order
	written   generated                // etag is "" when something has changed since

	reading sync.Mutex // guards tree, which is of the version etag
	tree    *tree.Tree
	etag    string
}

// indexed is a document of the store as the index has it.
type indexed struct {
	rev      store.Rev
	round    int
	services []usage.Service
}

func newIndex(s *Server) *index {
	at := key.Document(s.root.Path(), &generatedIndex)
	tell := func() {
		if s.cfg.Regenerated != nil {
			s.cfg.Regenerated(at)
		}
	}
	return &index{store: s.cfg.Store, tell: tell, prefix: key.Users(s.root.Path(), auidServices), log: s.cfg.Log, synced: make(chan struct{}),
		documents: map[string]*indexed{}, waiting: map[string]chan struct{}{}, holders: map[string]int{}}
}

// await returns when the view has been complete once. The error is that of ctx.
func (x *index) await(ctx context.Context) error {
	select {
	case <-x.synced:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// document returns the index as it is now. The error is that of ctx, when the view is not complete yet.
func (x *index) document(ctx context.Context) (generated, error) {
	if err := x.await(ctx); err != nil {
		return generated{}, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.written.etag != "" {
		return x.written, nil
	}
	x.written = generated{body: usage.Index(x.services), etag: x.tag()}
	return x.written, nil
}

// services yields the services in the order of their documents. A URI that two documents have, which happens only between two steps
// of claims, is told once.
func (x *index) services(yield func(usage.Service) bool) {
	var told map[string]bool
	if x.doubles > 0 {
		told = map[string]bool{}
	}
	for _, k := range x.order {
		for _, s := range x.documents[k].services {
			if told[s.URI] {
				continue
			}
			if told != nil {
				told[s.URI] = true
			}
			if !yield(s) {
				return
			}
		}
	}
}

// tag makes an entity tag of the sum, so that all nodes have the same for the same services.
func (x *index) tag() string {
	var b []byte
	for _, n := range x.sum {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	hash := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(hash[:12])
}

// node reads a node of the index as document returned it, which is parsed once. The error is resource.ErrMissing.
func (x *index) node(d generated, sel *selector.Selector) ([]byte, error) {
	x.reading.Lock()
	defer x.reading.Unlock()
	if x.tree == nil || x.etag != d.etag {
		t, err := tree.Parse(d.body, tree.Options{Limits: tree.Limits{Size: len(d.body)}})
		if err != nil {
			return nil, err
		}
		x.tree, x.etag = t, d.etag
	}
	node, err := resource.Get(x.tree, sel)
	return slices.Clone(node), err
}

// patience bounds how long the answer to a change waits for the view.
const patience = 2 * time.Second

// wait returns when the view has the document under key at rev or later; or with rev 0, that it was deleted at revision old. It gives
// up after some time: a watch need not tell of every write.
func (x *index) wait(ctx context.Context, key string, old, rev store.Rev) {
	if !store.Under(key, x.prefix) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		x.mu.Lock()
		d := x.documents[key]
		if d == nil && rev == 0 || d != nil && (rev != 0 && d.rev >= rev || rev == 0 && d.rev > old) {
			x.mu.Unlock()
			return
		}
		event := x.waiting[key]
		if event == nil {
			event = make(chan struct{})
			x.waiting[key] = event
		}
		x.mu.Unlock()
		select {
		case <-event:
		case <-ctx.Done():
			return
		}
		if x.overtaken(ctx, key, rev) {
			return
		}
	}
}

// overtaken reports whether a document that was written is gone again, from the view and from the store.
func (x *index) overtaken(ctx context.Context, key string, rev store.Rev) bool {
	x.mu.Lock()
	_, has := x.documents[key]
	x.mu.Unlock()
	if has || rev == 0 {
		return false
	}
	_, err := x.store.Get(ctx, key)
	return err != nil
}

// rewatch is how long it takes until a watch that has ended is begun anew.
const rewatch = time.Second

// run keeps the view up to date until ctx ends; ready is called once it is complete. The error is that of the first watch, or of ctx.
func (x *index) run(ctx context.Context, ready func()) error {
	for first := true; ; first = false {
		events, err := x.store.Watch(ctx, x.prefix)
		if err != nil && first {
			return err
		}
		if err == nil {
			x.follow(events, ready)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rewatch):
			x.log.Warn("watching rls-services anew", "error", err)
		}
	}
}

// follow takes the events of one watch.
func (x *index) follow(events <-chan store.Event, ready func()) {
	x.mu.Lock()
	x.round++
	x.mu.Unlock()
	for e := range events {
		switch e.Kind {
		case store.Put:
			x.put(e.Entry)
		case store.Delete, store.Expire:
			x.remove(e.Entry.Key)
		case store.Reset:
			x.mu.Lock()
			x.round++
			x.mu.Unlock()
		case store.Synced:
			x.forget()
			select {
			case <-x.synced:
			default:
				close(x.synced)
				ready()
			}
		}
	}
}

// put takes a document as it is now.
func (x *index) put(e store.Entry) {
	list, err := readServices(e.Value)
	if err != nil {
		x.log.Error("reading an rls-services document of the store", "key", e.Key, "error", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.documents[e.Key]; old == nil || !slices.EqualFunc(old.services, list, usage.Service.Equal) {
		x.replace(old, list)
	}
	if at, found := slices.BinarySearch(x.order, e.Key); !found {
		x.order = slices.Insert(x.order, at, e.Key)
	}
	x.documents[e.Key] = &indexed{e.Rev, x.round, list}
	x.happened(e.Key)
}

// readServices returns the services of a document that is called index, of another none.
func readServices(value []byte) ([]usage.Service, error) {
	v, err := key.Parse(value)
	if err != nil {
		return nil, err
	}
	u, err := v.URI()
	if err != nil || u.Global || len(u.Document) != 1 || u.Document[0] != "index" {
		return nil, err
	}
	t, err := tree.Parse(v.Body, tree.Options{})
	if err != nil {
		return nil, err
	}
	return usage.Definitions(t), nil
}

func (x *index) remove(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(key)
}

func (x *index) drop(key string) {
	if old := x.documents[key]; old != nil {
		x.replace(old, nil)
		delete(x.documents, key)
		at, _ := slices.BinarySearch(x.order, key)
		x.order = slices.Delete(x.order, at, at+1)
	}
	x.happened(key)
}

// forget removes what the snapshot that has ended did not have.
func (x *index) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, d := range x.documents {
		if d.round != x.round {
			x.drop(key)
		}
	}
}

func (x *index) happened(key string) {
	if event := x.waiting[key]; event != nil {
		close(event)
		delete(x.waiting, key)
	}
}

// replace puts services in the place of those of a document.
func (x *index) replace(old *indexed, list []usage.Service) {
	if old != nil {
		for _, s := range old.services {
			if x.holders[s.URI]--; x.holders[s.URI] == 1 {
				x.doubles--
			}
			if x.holders[s.URI] == 0 {
				delete(x.holders, s.URI)
			}
			x.count(s, false)
		}
	}
	for _, s := range list {
		if x.holders[s.URI]++; x.holders[s.URI] == 2 {
			x.doubles++
		}
		x.count(s, true)
	}
	if old != nil && len(old.services) > 0 || len(list) > 0 {
		x.written = generated{}
		x.tell()
	}
}

// count adds the hash of a service to the sum, or takes it off.
func (x *index) count(s usage.Service, add bool) {
	hash := sha256.Sum256(s.Text)
	for i := range x.sum {
		n := binary.LittleEndian.Uint64(hash[8*i:])
		if !add {
			n = -n
		}
		x.sum[i] += n
	}
}
