package xcap

import (
	"context"
	"errors"
	"net/http"

	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/usage"
	"imp/internal/xml/tree"
)

// document is one as the store has it, or one that the server makes.
type document struct {
	key.Value
	rev store.Rev // 0 when there is none
}

// load reads the document under a key from the store; without one that is no error.
func (s *Server) load(ctx context.Context, at string) (d document, err error) {
	e, err := s.cfg.Store.Get(ctx, at)
	if errors.Is(err, store.ErrNotFound) {
		return document{}, nil
	}
	if err != nil {
		return document{}, err
	}
	d.Value, err = key.Parse(e.Value)
	d.rev = e.Rev
	return d, err
}

// get answers GET and HEAD (RFC 4825 section 8.3).
func (s *Server) get(q *request) answer {
	var d document
	var err error
	if q.place == usage.Generated {
		var g generated
		g, err = s.generate(q.http.Context(), q.uri)
		d.ETag, d.Body = g.etag, g.body
	} else {
		d, err = s.load(q.http.Context(), q.key)
	}
	switch {
	case err != nil:
		return s.failed(q, err)
	case d.ETag == "":
		return missing("there is no such document")
	}
	a := answer{status: http.StatusOK, etag: d.ETag, mediaType: q.usage.MediaType, body: d.Body}
	if q.sel != nil {
		a.mediaType = resource.Type(q.sel)
		if a.body, err = s.node(q, d.Value); errors.Is(err, resource.ErrMissing) {
			return missing("the selector selects no node of the document, or several")
		} else if err != nil {
			return s.failed(q, err)
		}
	}
	switch status := q.cond.check(d.ETag, true); status {
	case http.StatusNotModified:
		return answer{status: status, etag: d.ETag}
	case http.StatusPreconditionFailed:
		return stale(d.ETag)
	}
	return a
}

// node reads the node that is asked for.
func (s *Server) node(q *request, v key.Value) ([]byte, error) {
	if q.place == usage.Generated && q.uri.AUID == auidServices {
		return s.index.node(generated{v.Body, v.ETag}, q.sel)
	}
	t := s.tree()
	defer s.keep(t)
	if err := t.Parse(v.Body, tree.Options{}); err != nil {
		return nil, err
	}
	return resource.Get(t, q.sel)
}

// tree is one whose memory is used again; keep gives it back.
func (s *Server) tree() *tree.Tree { return s.trees.Get().(*tree.Tree) }

func (s *Server) keep(t *tree.Tree) {
	const usual = 64 << 10 // bytes; what larger documents need is not kept
	if len(t.Source()) <= usual {
		s.trees.Put(t)
	}
}

// stale is the answer to a condition that does not hold.
func stale(etag string) answer {
	a := refuse(http.StatusPreconditionFailed, "the document is not the one that the conditions speak of")
	a.etag = etag
	return a
}

// failed is the answer when the store has failed, or somebody has put into it what is no document.
func (s *Server) failed(q *request, err error) answer {
	if q.http.Context().Err() != nil {
		return refuse(http.StatusRequestTimeout, "the client has gone")
	}
	if errors.Is(err, store.ErrTooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "the document is larger than what can be stored")
	}
	s.cfg.Log.Error("answering an XCAP request", "document", q.uri.Path(), "error", err)
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrConflict) {
		a := refuse(http.StatusServiceUnavailable, "documents cannot be stored now")
		a.retry = 1
		return a
	}
	return refuse(http.StatusInternalServerError, "the stored document cannot be read")
}
