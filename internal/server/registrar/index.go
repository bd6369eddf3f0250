package registrar

import (
	"context"
	"slices"
	"sync"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

// index finds the addresses of record that a contact is registered for. It follows the store.
type index struct {
	mu    sync.RWMutex
	names map[string][]string            // of the contacts of a key
	aors  map[string]string              // of a key
	keys  map[string]map[string]struct{} // keys of a contact
	live  int                            // contacts
}

// follow keeps the index up to date until the registrar is closed.
func (x *index) follow(r *Registrar) {
	r.ran.Go(func() {
		for r.ctx.Err() == nil {
			x.reset()
			ch, err := r.cfg.Store.Watch(r.ctx, keyPrefix)
			if err != nil {
				r.cfg.Log.Error("watching registrations", "error", err)
				select {
				case <-time.After(time.Second):
				case <-r.ctx.Done():
				}
				continue
			}
			for e := range ch {
				x.take(r, e)
			}
		}
	})
}

func (x *index) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.names, x.aors, x.keys = map[string][]string{}, map[string]string{}, map[string]map[string]struct{}{}
	x.live = 0
}

func (x *index) take(r *Registrar, e store.Event) {
	switch e.Kind {
	case store.Put:
		rec, err := parseRecord(e.Entry.Value)
		if err != nil {
			r.cfg.Log.Error("reading a registration", "error", err)
			return
		}
		x.put(e.Entry.Key, rec)
	case store.Delete, store.Expire:
		x.put(e.Entry.Key, &record{})
	case store.Reset:
		x.reset()
	}
}

// put replaces what is known of one key.
func (x *index) put(key string, rec *record) {
	names := make([]string, 0, len(rec.Bindings))
	for _, b := range rec.Bindings {
		if u, err := header.ParseURI(b.URI); err == nil {
			names = append(names, contactName(u))
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, name := range x.names[key] {
		delete(x.keys[name], key)
		if len(x.keys[name]) == 0 {
			delete(x.keys, name)
		}
	}
	x.live += len(names) - len(x.names[key])
	if len(names) == 0 {
		delete(x.names, key)
		delete(x.aors, key)
		return
	}
	x.names[key], x.aors[key] = names, rec.AOR
	for _, name := range names {
		if x.keys[name] == nil {
			x.keys[name] = map[string]struct{}{}
		}
		x.keys[name][key] = struct{}{}
	}
}

// owners are the addresses of record that a contact is registered for.
func (x *index) owners(name string) (aors []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for key := range x.keys[name] {
		aors = append(aors, x.aors[key])
	}
	slices.Sort(aors)
	return aors
}

// flows are the connections that bindings depend on.
type flows struct {
	mu   sync.Mutex
	aors map[*stack.Flow]map[string]struct{}
}

// keep notes that bindings of a record may depend on a connection.
func (f *flows) keep(flow *stack.Flow, rec *record) {
	if flow == nil || !flow.Stream() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.aors == nil {
		f.aors = map[*stack.Flow]map[string]struct{}{}
	}
	if f.aors[flow] == nil {
		f.aors[flow] = map[string]struct{}{}
	}
	f.aors[flow][rec.AOR] = struct{}{}
}

func (f *flows) take(flow *stack.Flow) map[string]struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	aors := f.aors[flow]
	delete(f.aors, flow)
	return aors
}

// flowEnded removes the bindings that were bound to a connection (RFC 5626 section 7).
func (r *Registrar) flowEnded(flow *stack.Flow) {
	aors := r.flows.take(flow)
	if len(aors) == 0 || r.ctx.Err() != nil {
		return
	}
	r.flowsEnded.Add(1)
	r.ran.Go(func() {
		for aor := range aors {
			r.sweep(r.ctx, aor)
		}
	})
}

// sweep writes a record without what is dead.
func (r *Registrar) sweep(ctx context.Context, aor string) {
	for range attempts {
		rec, rev, err := r.load(ctx, aor) // leaves out what is dead
		if err != nil || rev == 0 {
			return
		}
		if r.save(ctx, rec, rev, stack.NewTag()) == nil {
			return
		}
	}
}
