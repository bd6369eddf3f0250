package xcap

import (
	"context"
	"iter"
	"net/http"

	"imp/internal/xcap/key"
	"imp/internal/xcap/usage"
)

// Exported is a document as it is stored.
type Exported struct {
	Path string // below the root, percent-encoded, see uri.URI.Path
	ETag string // without quotes
	Body []byte // read-only
}

// Documents yields all documents of the root, in no order that means anything. Each is as it is when its turn comes. An error ends
// the sequence.
func (s *Server) Documents(ctx context.Context) iter.Seq2[Exported, error] {
	return func(yield func(Exported, error) bool) {
		for e, err := range s.cfg.Store.Scan(ctx, key.Root(s.root.Path())) {
			var v key.Value
			if err == nil {
				v, err = key.Parse(e.Value)
			}
			if !yield(Exported{v.Path, v.ETag, v.Body}, err) || err != nil {
				return
			}
		}
	}
}

// ServeOperator answers a request of whoever runs the server for the document with a path below the root, or for a node of it. It is
// answered as one of the owner is, but that any user may be meant, unknown ones too, that references may lead to any host, and that a
// document need not come with its type.
func (s *Server) ServeOperator(w http.ResponseWriter, r *http.Request, path string) {
	a := s.operate(w, r, path)
	s.write(w, r, &a)
}

func (s *Server) operate(w http.ResponseWriter, r *http.Request, path string) answer {
	u, err := s.root.Parse(s.root.Path() + "/" + path)
	if err != nil {
		return refuseURI(err)
	}
	q := &request{http: r, w: w, operator: true}
	if a, ok := s.locate(q, u); !ok {
		return a
	}
	if a, ok := q.checkMethod(); !ok {
		return a
	}
	if !read(r.Method) && q.place != usage.Stored {
		return notAllowed(readMethods, "the server makes this document, or there is none of this name")
	}
	if r.Method == http.MethodPut && q.sel == nil && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", q.usage.MediaType)
	}
	return s.perform(q)
}
