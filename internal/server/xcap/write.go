package xcap

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"imp/internal/doc/xcaperror"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/usage"
	"imp/internal/xml/tree"
)

// writeTime bounds a change, the wait for its turn and the store included. It goes on when the client has gone.
const writeTime = 30 * time.Second

// maxRaces is how often a change begins anew because another node was faster.
const maxRaces = 1000

// edited is a document that a change leads to.
type edited struct {
	body    []byte
	created bool
	gone    bool // the document is removed
}

// edit makes of what is stored, which has no tag when there is nothing, what is to be stored; or the answer that refuses it.
type edit func(old document) (edited, *answer)

// put answers PUT (RFC 4825 section 8.2).
func (s *Server) put(q *request) answer {
	defer s.leaveLarge(q)
	body, refusal := s.takeBody(q, q.bodyType())
	if refusal != nil {
		return *refusal
	}
	if !q.isUTF8(body) {
		return conflict(xcaperror.New(xcaperror.NotUTF8, "the Content-Type says that the body is no UTF-8"))
	}
	return s.change(q, func(old document) (edited, *answer) {
		if q.sel == nil {
			return edited{body: body, created: old.rev == 0}, nil
		}
		return s.putNode(q, old, body)
	})
}

// bodyType is the type of what is put (RFC 4825 section 8.2.2).
func (q *request) bodyType() string {
	if q.sel == nil {
		return q.usage.MediaType
	}
	return resource.Type(q.sel)
}

// isType compares a Content-Type without its parameters.
func isType(got, want string) bool {
	got, _, _ = strings.Cut(got, ";")
	return strings.EqualFold(strings.Trim(got, " \t"), want)
}

// isCoded reports whether a Content-Encoding has another coding than identity.
func isCoded(values []string) bool {
	for _, v := range values {
		for coding := range strings.SplitSeq(v, ",") {
			if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

// isUTF8 reports whether the body is UTF-8 by its byte order mark or, without one, by its Content-Type, which says nothing when it has
// no charset (RFC 7303 section 3). What the document itself says is left to the parser.
func (q *request) isUTF8(body []byte) bool {
	contentType := q.http.Header.Get("Content-Type")
	if strings.IndexByte(contentType, ';') < 0 || bytes.HasPrefix(body, []byte("\xEF\xBB\xBF")) {
		return true
	}
	_, params, _ := mime.ParseMediaType(contentType)
	charset, said := params["charset"]
	return !said || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

// takeBody reads the body once the conditions hold for what is stored now, so that who would be refused need not send it.
func (s *Server) takeBody(q *request, mediaType string) ([]byte, *answer) {
	old, err := s.load(q.http.Context(), q.key)
	if err != nil {
		a := s.failed(q, err)
		return nil, &a
	}
	if a := q.unmet(old); a != nil {
		return nil, a
	}
	if !isType(q.http.Header.Get("Content-Type"), mediaType) {
		a := refuse(http.StatusUnsupportedMediaType, "the Content-Type here is "+mediaType)
		if q.http.Method == http.MethodPatch {
			a.fields = append(a.fields, acceptPatch)
		}
		return nil, &a
	}
	if isCoded(q.http.Header.Values("Content-Encoding")) {
		a := refuse(http.StatusUnsupportedMediaType, "bodies are taken without a content coding")
		a.fields = append(a.fields, [2]string{"Accept-Encoding", "identity"})
		return nil, &a
	}
	if q.http.Header.Get("Content-Range") != "" { // RFC 9110 section 14.5
		a := refuse(http.StatusBadRequest, "documents are put as a whole, without Content-Range")
		return nil, &a
	}
	return s.readBody(q)
}

// usualBody is how long most bodies are at most, in bytes. Of longer ones only so many are taken at a time, since each may cost many
// times its length while it is read as a document.
const (
	usualBody   = 64 << 10
	largeBodies = 64
	homeBodies  = 8 // of them for the documents of one user, who may send slowly
)

// readBody reads the body.
func (s *Server) readBody(q *request) (body []byte, refusal *answer) {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, "the body is larger than documents may be")
	most, size := int64(s.cfg.MaxBody), q.http.ContentLength
	if size > most {
		return nil, &tooLarge
	}
	if size < 0 || size > usualBody {
		if !s.enterLarge(q) {
			a := refuse(http.StatusServiceUnavailable, "too many large documents are being sent")
			a.retry = 1
			return nil, &a
		}
	}
	var buf bytes.Buffer
	if size > 0 {
		buf.Grow(int(min(size, usualBody)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(q.w, q.http.Body, most))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return nil, &tooLarge
	case err != nil:
		a := refuse(http.StatusBadRequest, "the body ends too early, or comes too slowly")
		return nil, &a
	}
	return buf.Bytes(), nil
}

// enterLarge waits for a place among the large bodies, which the request holds until it is answered.
func (s *Server) enterLarge(q *request) bool {
	ctx, cancel := context.WithTimeout(q.http.Context(), readTime)
	defer cancel()
	share := strconv.Itoa(int(s.share.Add(1) % homeBodies))
	leave, err := s.shares.take(ctx, share+" "+q.uri.XUI)
	if err != nil {
		return false
	}
	select {
	case s.large <- struct{}{}:
		q.large = func() { <-s.large; leave() }
		return true
	case <-ctx.Done():
		leave()
		return false
	}
}

func (s *Server) leaveLarge(q *request) {
	if q.large != nil {
		q.large()
	}
}

// unmet is the answer to conditions that do not hold, nil when they do.
func (q *request) unmet(old document) *answer {
	if q.cond.check(old.ETag, false) == 0 {
		return nil
	}
	a := stale(old.ETag)
	return &a
}

// putNode puts an element or attribute.
func (s *Server) putNode(q *request, old document, body []byte) (edited, *answer) {
	if old.rev == 0 {
		a := conflict(xcaperror.New(xcaperror.NoParent, "there is no such document"))
		return edited{}, &a
	}
	t := s.tree()
	defer s.keep(t)
	err := t.Parse(old.Body, tree.Options{})
	var created bool
	if err == nil {
		created, err = resource.Put(t, q.sel, body, q.uri.Bindings)
	}
	if err != nil {
		return edited{}, s.refuseEdit(q, err)
	}
	return edited{body: t.Bytes(), created: created}, nil
}

// refuseEdit is the answer to an edit that is not possible.
func (s *Server) refuseEdit(q *request, err error) *answer {
	var r *xcaperror.Report
	var a answer
	switch {
	case errors.As(err, &r):
		a = conflict(r)
	case errors.Is(err, resource.ErrMissing):
		a = missing("the selector selects no node of the document, or several")
	case errors.Is(err, tree.ErrLimit):
		a = refuse(http.StatusRequestEntityTooLarge, err.Error())
	default:
		a = s.failed(q, err)
	}
	return &a
}

// delete answers DELETE (RFC 4825 section 8.4).
func (s *Server) delete(q *request) answer {
	return s.change(q, func(old document) (edited, *answer) {
		if old.rev == 0 {
			a := missing("there is no such document")
			return edited{}, &a
		}
		if q.sel == nil {
			return edited{gone: true}, nil
		}
		t := s.tree()
		defer s.keep(t)
		err := t.Parse(old.Body, tree.Options{})
		if err == nil {
			err = resource.Delete(t, q.sel)
		}
		if err != nil {
			return edited{}, s.refuseEdit(q, err)
		}
		return edited{body: t.Bytes()}, nil
	})
}

// change makes one change of a document. When somebody else was faster it begins anew, conditions included.
func (s *Server) change(q *request, apply edit) answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.http.Context()), writeTime)
	defer cancel()
	done, err := s.turns.take(ctx, q.key)
	if err != nil {
		return s.failed(q, store.ErrUnavailable)
	}
	defer done()
	for range maxRaces {
		old, err := s.load(ctx, q.key)
		if err != nil {
			return s.failed(q, err)
		}
		if a := q.unmet(old); a != nil && (old.rev != 0 || q.http.Method == http.MethodPut) {
			return *a
		}
		next, refusal := apply(old)
		if refusal != nil {
			return *refusal
		}
		a, err := s.store(ctx, q, old, next)
		if !errors.Is(err, store.ErrConflict) {
			if err != nil {
				return s.failed(q, err)
			}
			return a
		}
	}
	return s.failed(q, store.ErrConflict)
}

// store checks what is to be stored and stores it. The error is that of the store; ErrConflict asks to begin anew.
func (s *Server) store(ctx context.Context, q *request, old document, next edited) (answer, error) {
	claims, refusal, err := s.check(ctx, q, old, next)
	if refusal != nil || err != nil {
		return deref(refusal), err
	}
	if old.rev != 0 && !next.gone && !q.cond.match.given && bytes.Equal(old.Body, next.body) {
		return answer{status: http.StatusOK, etag: old.ETag}, nil
	}
	if err = claims.reserve(ctx); err != nil {
		return answer{}, beginAnew(err)
	}
	etag, rev, err := s.swap(ctx, q, old, next)
	if err != nil {
		claims.undo(ctx)
		return answer{}, err
	}
	if old.rev == 0 {
		if refusal, err := s.nested(ctx, q); refusal != nil || err != nil {
			s.cfg.Store.Delete(ctx, q.key, rev)
			claims.undo(ctx)
			return deref(refusal), err
		}
	}
	if err := claims.settle(ctx, old, rev); err != nil {
		return answer{}, beginAnew(err)
	}
	a := answer{status: http.StatusOK, etag: etag}
	if next.created {
		a.status = http.StatusCreated
	}
	return a, nil
}

// beginAnew has the check of the document tell that the URI of a service is taken, if it is so then.
func beginAnew(err error) error {
	var taken *takenError
	if errors.As(err, &taken) {
		return store.ErrConflict
	}
	return err
}

func deref(a *answer) answer {
	if a == nil {
		return answer{}
	}
	return *a
}

// swap is the compare-and-swap of a change.
func (s *Server) swap(ctx context.Context, q *request, old document, next edited) (etag string, rev store.Rev, err error) {
	if next.gone {
		err = s.cfg.Store.Delete(ctx, q.key, old.rev)
		if errors.Is(err, store.ErrNotFound) {
			err = store.ErrConflict
		}
		return "", 0, err
	}
	etag = s.newTag()
	v := key.Value{ETag: etag, Path: q.uri.Path(), Previous: old.ETag, Body: next.body, Modified: s.cfg.Now()}
	if s.cfg.Storing != nil {
		s.cfg.Storing(q.key, v)
	}
	rev, err = s.cfg.Store.Put(ctx, q.key, v.Bytes(), old.rev, 0)
	if errors.Is(err, store.ErrUnknown) {
		d, err := s.load(ctx, q.key)
		switch {
		case err != nil:
			return "", 0, err
		case d.ETag == etag:
			return etag, d.rev, nil
		}
		return "", 0, store.ErrConflict
	}
	return etag, rev, err
}

// newTag makes an entity tag that no other document has, whatever node makes it.
func (s *Server) newTag() string {
	var b [12]byte
	s.cfg.Random(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// check refuses what cannot be stored (RFC 4825 section 8.2.5), and returns the claims that it needs.
func (s *Server) check(ctx context.Context, q *request, old document, next edited) (*claims, *answer, error) {
	c := s.claims(q, old)
	if next.gone {
		return c, nil, nil
	}
	if old.rev == 0 {
		if refusal, err := s.room(ctx, q); refusal != nil || err != nil {
			return nil, refusal, err
		}
	}
	t := s.tree()
	defer s.keep(t)
	if err := t.Parse(next.body, tree.Options{Limits: s.limits}); err != nil {
		_, r, err := usage.Parse(next.body, s.limits)
		if r != nil {
			a := conflict(r)
			return nil, &a, nil
		}
		return nil, s.refuseEdit(q, err), nil
	}
	if refusal := c.wants(t); refusal != nil {
		return nil, refusal, nil
	}
	u := usage.Context{URI: q.uri, Roots: s.roots(q), Naming: s.cfg.Naming, Taken: c.taken(ctx)}
	if r := q.usage.Check(t, u); r != nil {
		a := conflict(r)
		return nil, &a, nil
	}
	return c, nil, nil
}
