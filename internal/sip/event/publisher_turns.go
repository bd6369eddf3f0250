package event

import (
	"context"
	"sync"
	"time"

	"imp/internal/sip/header"
)

// Turns lets the publishers of one user agent take turns: there is one PUBLISH
// at a time for a Request-URI (RFC 3903 section 4), and none before the
// Retry-After of a 503 is over. The zero value is ready for use.
type Turns struct {
	mu    sync.Mutex
	turns map[string]*turn
}

// turn is the right to send PUBLISH to one Request-URI.
type turn struct {
	taken chan struct{} // full while somebody has it

	// Guarded by taken.
	until   time.Time // no PUBLISH before
	refused *ResponseError
}

// of is the turn for a URI; those that name one address-of-record share it.
func (t *Turns) of(uri string) *turn {
	if u, err := header.ParseURI(uri); err == nil {
		uri = u.AOR()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turns == nil {
		t.turns = map[string]*turn{}
	}
	if t.turns[uri] == nil {
		t.turns[uri] = &turn{taken: make(chan struct{}, 1)}
	}
	return t.turns[uri]
}

func (t *turn) take(ctx context.Context) error {
	select {
	case t.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) give() { <-t.taken }

// hold forbids further PUBLISHs for d.
func (t *turn) hold(d time.Duration, refused *ResponseError) error {
	t.until, t.refused = time.Now().Add(d), refused
	return t.free()
}

// free is the error while PUBLISH is forbidden.
func (t *turn) free() error {
	if time.Now().Before(t.until) {
		return &RetryLaterError{Until: t.until, Response: t.refused}
	}
	return nil
}
