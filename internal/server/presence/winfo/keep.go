package winfo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"imp/internal/doc/winfo"
	"imp/internal/store"
)

// asked is of a row that waits what a store keeps.
type asked struct {
	Resource string    `json:"resource"`
	Tag      string    `json:"tag"`
	Watcher  string    `json:"watcher"`
	Name     string    `json:"name,omitempty"`
	Since    time.Time `json:"since"`
	Asked    time.Time `json:"asked"`
}

// keeper carries rows that wait into a store, behind what happens: a table never
// waits for it. What a killed server had not written yet is lost, no more.
type keeper struct {
	p    *Package
	kv   store.KV
	mu   sync.Mutex
	todo map[string]*asked // by key; nil: to be deleted
	wake chan struct{}
	stop chan struct{}
	done chan struct{}
}

// Restore takes over who waited when the server ended, from a store that
// outlives it, and keeps them there from now on. It is to be called before the
// first SUBSCRIBE. Errors are those of the store.
func (p *Package) Restore(ctx context.Context, kv store.KV) error {
	if !kv.Limits().SurvivesKill {
		return nil
	}
	var rows []asked
	for e, err := range kv.Scan(ctx, store.Key("watchers", p.cfg.Parent)) {
		if err != nil {
			return fmt.Errorf("reading who waits for an answer: %w", err)
		}
		var a asked
		if err := json.Unmarshal(e.Value, &a); err != nil {
			p.cfg.Log.Error("reading who waits for an answer", "key", e.Key, "error", err)
			continue
		}
		rows = append(rows, a)
	}
	slices.SortFunc(rows, func(a, b asked) int { return a.Asked.Compare(b.Asked) })
	k := &keeper{p: p, kv: kv, todo: map[string]*asked{}, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.keep = k
	for _, a := range rows {
		t := p.table(a.Resource)
		r := &row{table: t, tag: a.Tag, watcher: a.Watcher, name: a.Name, since: a.Since, born: p.next(), status: winfo.Waiting, cause: winfo.Timeout, waited: true}
		t.rows[r.tag] = r
		p.touch(r)
		p.ask(r, a.Asked)
	}
	p.unlock()
	go k.run()
	return nil
}

// put has a row kept that waits.
func (k *keeper) put(r *row) {
	if k != nil {
		k.change(r, &asked{Resource: r.table.resource, Tag: r.tag, Watcher: r.watcher, Name: r.name, Since: r.since, Asked: r.asked})
	}
}

// remove has a row forgotten.
func (k *keeper) remove(r *row) {
	if k != nil {
		k.change(r, nil)
	}
}

func (k *keeper) change(r *row, a *asked) {
	k.mu.Lock()
	k.todo[store.Key("watchers", k.p.cfg.Parent, r.table.resource, r.tag)] = a
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run writes what is to be written until close, and then what is left.
func (k *keeper) run() {
	defer close(k.done)
	for {
		select {
		case <-k.wake:
			k.write()
		case <-k.stop:
			k.write()
			return
		}
	}
}

// writing bounds a write.
const writing = 5 * time.Second

func (k *keeper) write() {
	k.mu.Lock()
	todo := k.todo
	k.todo = map[string]*asked{}
	k.mu.Unlock()
	for key, a := range todo {
		if err := k.one(key, a); err != nil {
			k.p.cfg.Log.Error("keeping who waits for an answer", "key", key, "error", err)
		}
	}
}

func (k *keeper) one(key string, a *asked) error {
	ctx, cancel := context.WithTimeout(context.Background(), writing)
	defer cancel()
	if a == nil {
		if err := k.kv.Delete(ctx, key, store.AnyRev); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	}
	left := time.Until(a.Asked.Add(k.p.cfg.Limits.Wait))
	if left <= 0 {
		return nil
	}
	value, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = k.kv.Put(ctx, key, value, store.AnyRev, left)
	return err
}

// close writes what is left.
func (k *keeper) close() {
	if k != nil {
		close(k.stop)
		<-k.done
	}
}
