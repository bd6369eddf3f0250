package xcap

import (
	"context"

	"imp/internal/store"
	"imp/internal/xcap/usage"
	"imp/internal/xml/tree"
)

// claims are what a change of an rls-services document has to do with the URIs of its services; of other usages nothing.
type claims struct {
	server        *Server
	doc           string // key of the document
	before, after []string
	applies       bool
	report        func(conflict string) answer
}

// claims begins with the services of the document before the change.
func (s *Server) claims(q *request, old document) *claims {
	c := &claims{server: s, doc: q.key, applies: q.usage.AUID == auidServices}
	if !c.applies || old.rev == 0 {
		return c
	}
	if t, err := tree.Parse(old.Body, tree.Options{}); err == nil {
		c.before = usage.Services(t)
	}
	return c
}

// taken tells of URIs that belong to others.
func (c *claims) taken(ctx context.Context) func(service string) bool {
	if !c.applies {
		return nil
	}
	return c.server.services.taken(ctx, c.doc)
}

// wants takes the services of the document after the change.
func (c *claims) wants(t *tree.Tree) {
	if c.applies {
		c.after = usage.Services(t)
	}
}

// reserve claims what is new. When one belongs to somebody else by now, ErrConflict asks to check the document anew, which then tells
// so.
func (c *claims) reserve(ctx context.Context) (*answer, error) {
	if !c.applies {
		return nil, nil
	}
	conflict, err := c.server.services.reserve(ctx, c.doc, c.before, c.after)
	if err == nil && conflict != "" {
		err = store.ErrConflict
	}
	return nil, err
}

// undo gives up what was claimed for a change that was not made.
func (c *claims) undo(ctx context.Context) {
	if c.applies {
		c.server.services.release(ctx, c.doc, c.after, c.before)
	}
}

// settle gives up what the document has no longer, and waits until the index of services has the change.
func (c *claims) settle(ctx context.Context, rev store.Rev) {
	if c.applies {
		c.server.services.release(ctx, c.doc, c.before, c.after)
		c.server.index.wait(ctx, c.doc, rev)
	}
}
