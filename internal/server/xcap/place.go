package xcap

import (
	"context"
	"strings"

	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// room refuses a new document where there is no place for it.
func (s *Server) room(ctx context.Context, q *request) (*answer, error) {
	if refusal, err := s.nested(ctx, q); refusal != nil || err != nil {
		return refusal, err
	}
	prefix := key.Global(s.root.Path(), q.uri.AUID)
	if !q.uri.Global {
		prefix = key.Home(s.root.Path(), q.uri.AUID, q.uri.XUI)
	}
	count := 0
	for _, err := range s.cfg.Store.Scan(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if count++; count >= s.cfg.MaxDocuments {
			a := conflict(xcaperror.New(xcaperror.Constraint, "there are %d documents already, which is as many as a user may have", count))
			return &a, nil
		}
	}
	return nil, nil
}

// nested refuses a document with the name of a directory, and a directory with that of a document (RFC 4825 section 6.2). It looks at
// other keys than the one that is written: two nodes may pass it at once, and so each looks again when it has written.
func (s *Server) nested(ctx context.Context, q *request) (*answer, error) {
	for i := 1; i < len(q.uri.Document); i++ {
		up := *q.uri
		up.Document = q.uri.Document[:i]
		d, err := s.load(ctx, key.Document(s.root.Path(), &up))
		if err != nil {
			return nil, err
		}
		if d.rev != 0 {
			a := conflict(xcaperror.New(xcaperror.NoParent, "%s is a document and no directory", up.Path()))
			return &a, nil
		}
	}
	for e, err := range s.cfg.Store.Scan(ctx, q.key) {
		if err != nil {
			return nil, err
		}
		if e.Key != q.key {
			a := conflict(xcaperror.New(xcaperror.Constraint, "%s is a directory, no document can have its name", q.uri.Path()))
			return &a, nil
		}
	}
	return nil, nil
}

// roots are the XCAP roots that references in a document may lead to. A server that serves every domain does not know what it is
// called, and takes every host.
func (s *Server) roots(q *request) []uri.Root {
	if q.usage.AUID != auidServices {
		return nil
	}
	if len(s.cfg.Domains) == 0 || q.operator {
		return []uri.Root{s.root}
	}
	var list []uri.Root
	for _, host := range append([]string{q.http.Host}, s.cfg.Domains...) {
		for _, prefix := range []string{"http://", "https://", "http://xcap.", "https://xcap."} {
			if root, err := uri.ParseRoot(prefix + strings.ToLower(host) + s.root.Path()); err == nil && host != "" {
				list = append(list, root)
			}
		}
	}
	return list
}
