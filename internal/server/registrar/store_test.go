package registrar

import (
	"context"
	"testing"
	"time"

	"imp/internal/store"
	"imp/internal/store/memory"
)

// shaky is a store whose next writes end otherwise than they should.
type shaky struct {
	store.KV
	done   bool    // what fails is done all the same
	errors []error // of the next writes
}

func (s *shaky) Put(ctx context.Context, key string, val []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	if len(s.errors) == 0 {
		return s.KV.Put(ctx, key, val, want, ttl)
	}
	err := s.errors[0]
	s.errors = s.errors[1:]
	if s.done {
		if _, err := s.KV.Put(ctx, key, val, want, ttl); err != nil {
			return 0, err
		}
	}
	return 0, err
}

func TestShakyStore(t *testing.T) {
	for _, c := range []struct {
		name   string
		done   bool
		errors []error
		want   int
	}{
		{"unknown and done", true, []error{store.ErrUnknown}, 200},
		{"unknown and not done", false, []error{store.ErrUnknown, store.ErrUnknown}, 200},
		{"a conflict that was none", false, []error{store.ErrConflict}, 200},
		{"unavailable", false, []error{store.ErrUnavailable}, 503},
		{"too large", false, []error{store.ErrTooLarge}, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			kv := &shaky{KV: memory.New(), done: c.done, errors: c.errors}
			s := newSite(t, func(cfg *Config) { cfg.Store = kv })
			p := s.phone("alice", "udp")
			wants(t, p.register(), c.want)
			bindings := 0
			if c.want == 200 {
				bindings = 1
			}
			got := p.registered("Contact")
			if len(all(got, "Contact")) != bindings {
				t.Errorf("got %q", got)
			}
		})
	}
}
