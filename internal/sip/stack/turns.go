package stack

import (
	"context"
	"net/netip"
	"sync"
)

// turns bounds how many handshakes go on at a time, and how many of them with one address: what one peer begins and does
// not end must not keep others waiting.
type turns struct {
	all chan struct{} // has an element for each that is going on

	mu    sync.Mutex
	sites map[netip.Addr]*siteTurns
}

// siteTurns are those of one IPv4 address or IPv6 /64.
type siteTurns struct {
	slots chan struct{}
	users int // those who have a slot or wait for one; guarded by turns.mu
}

func newTurns(n int) *turns {
	return &turns{all: make(chan struct{}, n), sites: make(map[netip.Addr]*siteTurns)}
}

// each is how many handshakes there may be with one address at a time.
func (t *turns) each() int { return max(1, cap(t.all)/4) }

// take waits for a turn until ctx ends. done is to be called at its end.
func (t *turns) take(ctx context.Context, from netip.Addr) (done func(), err error) {
	from = prefix(from)
	t.mu.Lock()
	s := t.sites[from]
	if s == nil {
		s = &siteTurns{slots: make(chan struct{}, t.each())}
		t.sites[from] = s
	}
	s.users++
	t.mu.Unlock()
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		t.leave(from, s)
		return nil, errTooMany
	}
	select {
	case t.all <- struct{}{}:
	case <-ctx.Done():
		<-s.slots
		t.leave(from, s)
		return nil, errTooMany
	}
	return func() {
		<-t.all
		<-s.slots
		t.leave(from, s)
	}, nil
}

func (t *turns) leave(from netip.Addr, s *siteTurns) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(t.sites, from)
	}
}
