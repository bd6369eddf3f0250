package xcap

import (
	"context"

	"imp/internal/store"
	"imp/internal/xcap/usage"
)

// index is the global document of rls-services (RFC 4826 section 4.4.8).
type index struct{ server *Server }

func newIndex(s *Server) *index { return &index{s} }

// document returns the index as it is now.
func (x *index) document() (body []byte, etag string) {
	g := newGenerated(usage.Index(nil))
	return g.body, g.etag
}

// wait returns when the index has the document under key at rev or a later revision, 0 meaning that it is gone, or ctx ends.
func (x *index) wait(ctx context.Context, key string, rev store.Rev) {}

// run keeps the index up to date.
func (x *index) run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return ctx.Err()
}
