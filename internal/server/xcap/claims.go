package xcap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/usage"
	"imp/internal/xml/tree"
)

// auidServices is the usage whose service URIs are unique over all documents (RFC 4826 section 4.4.5).
const auidServices = "rls-services"

// services keeps the URIs of services unique over all documents, roots and nodes of a store (RFC 4826 section 4.4.5). A URI belongs to
// the document that its claim names, see key.Claim.
//
// No decision of the store covers two keys, so that a document with a new URI takes three: a pending claim, the document, the claim
// settled. Before the last nobody is told of a success. A claim is removed only after a look at the document that came after the look
// at the claim, and only if the claim has not been written since; whoever writes a URI into a document has written its claim before
// with the document's state in hand, and does so again afterwards. So whatever is told to clients has a settled claim, also when
// writers are slow, many or killed in between. What these leave behind is an orphan: it is taken over by the next who wants the URI,
// and swept.
type services struct {
	store store.KV
	// exists reports whether a URI is one of another resource, such as a user of the domain; nil when nobody can tell.
	exists func(uri string) bool
	log    *slog.Logger
}

func newServices(s *Server) *services {
	return &services{store: s.cfg.Store, exists: s.registered, log: s.cfg.Log}
}

// registered reports whether a URI is that of a user, as far as the server can tell.
func (s *Server) registered(service string) bool {
	_, rest, _ := strings.Cut(service, ":")
	user, domain, ok := split("sip:" + rest)
	return ok && s.cfg.Known != nil && s.cfg.Known(user, domain)
}

// inFlight is how long a pending claim is left to its writer.
const inFlight = time.Minute

// attempts bounds how often a step is tried anew because somebody else came first.
const attempts = 16

// takenError tells of a service URI that belongs to another document or resource.
type takenError struct{ uri string }

func (e *takenError) Error() string { return "the URI " + e.uri + " exists already" }

// claim is what the store holds under the URI of a service.
type claim struct {
	document string    // key
	pending  time.Time // when it was made, for a document that is not written yet; zero when settled
}

func (c claim) bytes() []byte {
	if c.pending.IsZero() {
		return []byte(c.document)
	}
	return []byte(c.document + " " + strconv.FormatInt(c.pending.Unix(), 10))
}

func parseClaim(src []byte) claim {
	document, since, pending := strings.Cut(string(src), " ")
	c := claim{document: document}
	if pending {
		seconds, _ := strconv.ParseInt(since, 10, 64)
		c.pending = time.Unix(seconds, 0)
	}
	return c
}

// recent reports whether the writer of a pending claim may still be at it.
func (c claim) recent() bool { return !c.pending.IsZero() && time.Since(c.pending) < inFlight }

// held is a claim that a writer has made for its document.
type held struct {
	key, uri string
	rev      store.Rev
}

// dropped are the claims on URIs that a document has no longer.
func dropped(before, after []string) (list []held) {
	kept := setOf(after)
	for _, uri := range before {
		if !kept[uri] {
			list = append(list, held{key: key.Claim(uri), uri: uri})
		}
	}
	return list
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}

// reserve makes pending claims on URIs that are new to a document, and on others that have none. It returns those that it has made,
// also with an error.
func (s *services) reserve(ctx context.Context, document string, before, after []string) (made []held, err error) {
	had := setOf(before)
	all := make([]held, len(after))
	err = each(len(after), func(i int) (err error) {
		all[i], err = s.take(ctx, document, after[i], had[after[i]])
		return err
	})
	return slices.DeleteFunc(all, func(h held) bool { return h.rev == 0 }), err
}

// each calls do for 0 to n-1, several at a time as the store is fastest with, and returns the first error by number. After one no
// more begin.
func each(n int, do func(i int) error) error {
	if n == 1 {
		return do(0)
	}
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var running sync.WaitGroup
	for range min(n, 32) {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !failed.Load(); i = int(next.Add(1)) - 1 {
				if errs[i] = do(i); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	running.Wait()
	return cmp.Or(errs...)
}

// take makes a pending claim. One that the document has settled stays as it is when the document has the URI now; else it is written
// anew, so that who is about to remove it cannot.
func (s *services) take(ctx context.Context, document, uri string, has bool) (held, error) {
	h := held{key: key.Claim(uri), uri: uri}
	if !has && s.exists != nil && s.exists(uri) {
		return h, &takenError{uri}
	}
	mine := claim{document, time.Now()}.bytes()
	for range attempts {
		e, err := s.store.Get(ctx, h.key)
		switch c := parseClaim(e.Value); {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return h, err
		case c.document == document:
			if has && c.pending.IsZero() {
				return h, nil
			}
		default:
			theirs, err := s.claimsOf(ctx, c.document)
			if err != nil {
				return h, err
			}
			if theirs[h.key] || c.recent() {
				return h, &takenError{uri}
			}
		}
		h.rev, err = s.store.Put(ctx, h.key, mine, e.Rev, 0)
		if err == nil || !again(err) {
			return h, err
		}
		h.rev = 0
	}
	return h, fmt.Errorf("claiming %s: %w", uri, store.ErrConflict)
}

// again reports whether a write is to be tried again after a look at what is there now.
func again(err error) bool {
	return errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnknown)
}

// settle confirms claims after their document was written. The error is a *takenError when one was lost to another document.
func (s *services) settle(ctx context.Context, document string, made []held) error {
	settled := claim{document: document}.bytes()
	return each(len(made), func(i int) error {
		h := made[i]
		for range attempts {
			_, err := s.store.Put(ctx, h.key, settled, h.rev, 0)
			if err == nil || !again(err) {
				return err
			}
			e, err := s.store.Get(ctx, h.key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err == nil && parseClaim(e.Value).document != document {
				return &takenError{h.uri}
			}
			h.rev = e.Rev
		}
		return fmt.Errorf("claiming %s: %w", h.uri, store.ErrConflict)
	})
}

// undo brings back a document whose claims could not be settled, if nobody has changed it since. Without a value there was none.
func (s *services) undo(ctx context.Context, document string, value []byte, rev store.Rev) {
	ctx = context.WithoutCancel(ctx)
	var err error
	if value == nil {
		err = s.store.Delete(ctx, document, rev)
	} else {
		_, err = s.store.Put(ctx, document, value, rev, 0)
	}
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		s.log.Error("taking back a document whose services are claimed by another", "document", document, "error", err)
	}
}

// resolveAll brings claims in line with their document. What fails is left to sweep.
func (s *services) resolveAll(ctx context.Context, document string, claims []held) {
	if len(claims) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	entries := make([]store.Entry, len(claims))
	err := each(len(claims), func(i int) error {
		e, err := s.store.Get(ctx, claims[i].key)
		if c := parseClaim(e.Value); err == nil && c.document == document && (e.Rev == claims[i].rev || !c.recent()) {
			entries[i] = e
		}
		return ignoreLost(err)
	})
	var has map[string]bool
	if err == nil {
		has, err = s.claimsOf(ctx, document)
	}
	if err == nil {
		err = each(len(entries), func(i int) error {
			if entries[i].Rev == 0 {
				return nil
			}
			return ignoreLost(s.resolve(ctx, entries[i], has[entries[i].Key]))
		})
	}
	if err != nil {
		s.log.Warn("releasing URIs of services, which are left to be swept", "document", document, "error", err)
	}
}

// ignoreLost drops errors that tell that somebody else came first.
func ignoreLost(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// resolve settles a claim when its document has the URI, and removes it when not, unless it has been written since.
func (s *services) resolve(ctx context.Context, e store.Entry, stands bool) error {
	c := parseClaim(e.Value)
	switch {
	case !stands:
		return s.store.Delete(ctx, e.Key, e.Rev)
	case !c.pending.IsZero():
		_, err := s.store.Put(ctx, e.Key, claim{document: c.document}.bytes(), e.Rev, 0)
		return err
	}
	return nil
}

// claimsOf returns the keys of the claims that a document is to have by what stands in it.
func (s *services) claimsOf(ctx context.Context, document string) (map[string]bool, error) {
	e, err := s.store.Get(ctx, document)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := key.Parse(e.Value)
	if err != nil {
		return nil, err
	}
	t, err := tree.Parse(v.Body, tree.Options{})
	if err != nil {
		return nil, fmt.Errorf("reading %s in the store: %w", v.Path, err)
	}
	list := usage.Services(t)
	for i := range list {
		list[i] = key.Claim(list[i])
	}
	return setOf(list), nil
}

// taken returns a function that reports whether a URI would be refused to a document that has some now, for conflict reports. What
// it says may have changed when the URI is claimed. It is for one request.
func (s *services) taken(ctx context.Context, document string, before []string) func(uri string) bool {
	had := setOf(before)
	documents := map[string]map[string]bool{}
	return func(uri string) bool {
		if !had[uri] && s.exists != nil && s.exists(uri) {
			return true
		}
		e, err := s.store.Get(ctx, key.Claim(uri))
		if err != nil {
			return false
		}
		c := parseClaim(e.Value)
		if c.document == document {
			return false
		}
		has, known := documents[c.document]
		if !known {
			if has, err = s.claimsOf(ctx, c.document); err != nil {
				return true
			}
			documents[c.document] = has
		}
		return has[e.Key] || c.recent()
	}
}

// sweeping is how often claims are swept. Who wants a URI does not wait for that.
const sweeping = time.Hour

// keep sweeps claims until ctx ends: first those that writers have left behind who were killed before this one began.
func (s *services) keep(ctx context.Context) {
	for wait := inFlight; ; wait = sweeping {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sweeping the claims of services", "error", err)
		}
	}
}

// sweep brings all claims in line with their documents, but those that a writer may still be at.
func (s *services) sweep(ctx context.Context) error {
	var document string // the one that was read last
	var has map[string]bool
	for e, err := range s.store.Scan(ctx, key.Claims()) {
		if err != nil {
			return err
		}
		c := parseClaim(e.Value)
		if c.recent() || c.document == document && has[e.Key] && c.pending.IsZero() {
			continue
		}
		document = c.document
		if has, err = s.claimsOf(ctx, document); err == nil {
			err = ignoreLost(s.resolve(ctx, e, has[e.Key]))
		}
		if err != nil {
			s.log.Warn("sweeping the claim of a service", "claim", e.Key, "error", err)
		}
	}
	return ctx.Err()
}
