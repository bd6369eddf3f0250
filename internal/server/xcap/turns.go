package xcap

import (
	"context"
	"sync"
)

// turns lets the writers of one document in one after the other. The compare-and-swap of the store decides what is written; without
// turns, of many writers at once all but one would do their work in vain, again and again.
type turns struct {
	mu      sync.Mutex
	waiting map[string]*turn
}

// turn is that of one document.
type turn struct {
	held  chan struct{}
	users int // who hold it or wait for it
}

// take waits for the turn of a key; done is to be called then. The error is that of ctx.
func (t *turns) take(ctx context.Context, key string) (done func(), err error) {
	t.mu.Lock()
	if t.waiting == nil {
		t.waiting = map[string]*turn{}
	}
	w := t.waiting[key]
	if w == nil {
		w = &turn{held: make(chan struct{}, 1)}
		t.waiting[key] = w
	}
	w.users++
	t.mu.Unlock()
	select {
	case w.held <- struct{}{}:
		return func() { <-w.held; t.leave(key, w) }, nil
	case <-ctx.Done():
		t.leave(key, w)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(key string, w *turn) {
	t.mu.Lock()
	if w.users--; w.users == 0 {
		delete(t.waiting, key)
	}
	t.mu.Unlock()
}
