package xcap

import (
	"context"

	"imp/internal/doc/xcaperror"
	"imp/internal/store"
	"imp/internal/xcap/usage"
	"imp/internal/xml/tree"
)

// claims are what a change of an rls-services document has to do with the URIs of its services; of other usages nothing.
type claims struct {
	server        *Server
	doc           string // key of the document
	before, after []string
	made          []held // pending, for what is new
	applies       bool
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
	return c.server.services.taken(ctx, c.doc, c.before)
}

// maxServices bounds the services of a document: each is a key of the store.
const maxServices = 1000

// wants takes the services of the document after the change, and refuses too many.
func (c *claims) wants(t *tree.Tree) *answer {
	if !c.applies {
		return nil
	}
	if c.after = usage.Services(t); len(c.after) > maxServices {
		a := conflict(xcaperror.New(xcaperror.Constraint, "the document has %d services, which is more than %d", len(c.after), maxServices))
		return &a
	}
	return nil
}

// reserve claims what is new. The error is a *takenError when one belongs to somebody else, and nothing is claimed after any.
func (c *claims) reserve(ctx context.Context) (err error) {
	if !c.applies {
		return nil
	}
	if c.made, err = c.server.services.reserve(ctx, c.doc, c.before, c.after); err != nil {
		c.undo(ctx)
	}
	return err
}

// undo gives up what was claimed for a change that was not made.
func (c *claims) undo(ctx context.Context) {
	if c.applies {
		c.server.services.resolveAll(ctx, c.doc, c.made)
	}
}

// settle makes the claims last after a change to revision rev, 0 when the document is gone, gives up those on what it has no longer,
// and waits until the index of services has the change. After an error, a *takenError when a claim was lost meanwhile, the change is
// taken back.
func (c *claims) settle(ctx context.Context, old document, rev store.Rev) error {
	if !c.applies {
		return nil
	}
	if err := c.server.services.settle(ctx, c.doc, c.made); err != nil {
		var was []byte
		if old.rev != 0 {
			was = old.Bytes()
		}
		c.server.services.undo(ctx, c.doc, was, rev)
		c.undo(ctx)
		return err
	}
	c.server.services.resolveAll(ctx, c.doc, dropped(c.before, c.after))
	c.server.index.wait(ctx, c.doc, old.rev, rev)
	return nil
}
