package xcap

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
	"imp/internal/xml/patch"
	"imp/internal/xml/selector"
)

// request is one on its way to its answer.
type request struct {
	http  *http.Request
	w     http.ResponseWriter
	uri   *uri.URI // canonical
	usage *usage.Usage
	sel   *selector.Selector // nil for the document itself
	key   string             // of the document in the store
	place usage.Place
	cond  conditions
	large func() // gives up its place among those with large bodies; nil: it has none
	// operator: whoever runs the server asks, by a door of its own.
	operator bool
}

// ServeHTTP answers a request. It goes by the request target as it was sent, so it is not to be put behind something that cleans
// paths, such as http.ServeMux.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.answerOrFail(w, r)
	s.write(w, r, &a)
	if s.cfg.Log.Enabled(r.Context(), slog.LevelDebug) {
		s.cfg.Log.Debug("answered", "method", r.Method, "target", target(r), "status", a.status, "source", s.source(r))
	}
}

// answerOrFail keeps a fault of the server in one request, and tells of it.
func (s *Server) answerOrFail(w http.ResponseWriter, r *http.Request) (a answer) {
	defer func() {
		if fault := recover(); fault != nil {
			s.cfg.Log.Error("a fault of the server", "fault", fault, "method", r.Method, "target", target(r), "stack", string(debug.Stack()))
			a = refuse(http.StatusInternalServerError, "a fault of the server")
		}
	}()
	return s.answer(w, r)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) answer {
	if a, ok := s.checkHost(r); !ok {
		return a
	}
	q, a, ok := s.resolve(w, r)
	if !ok {
		return a
	}
	if a, ok := q.checkMethod(); !ok {
		return a
	}
	proof, a, ok := s.authorize(q)
	if ok {
		a = s.perform(q)
	}
	a.proof = proof
	return a
}

// resolve finds out what a request is about.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request) (*request, answer, bool) {
	if target(r) == "*" && r.Method == http.MethodOptions {
		return nil, options(allMethods), false
	}
	u, err := s.root.Parse(target(r))
	if err != nil {
		return nil, refuseURI(err), false
	}
	q := &request{http: r, w: w}
	a, ok := s.locate(q, u)
	return q, a, ok
}

// locate finds out what the URI of a request stands for.
func (s *Server) locate(q *request, u *uri.URI) (a answer, ok bool) {
	if q.usage, ok = usage.For(u.AUID); !ok {
		return missing("there is no application usage " + u.AUID), false
	}
	q.uri = u.Canonical(s.cfg.Naming)
	if !u.Global && !q.operator && !s.exists(q.uri.XUI) {
		return missing("there is no user " + u.XUI), false
	}
	var err error
	if q.sel, err = u.Selector(q.usage.Namespace); err != nil {
		return refuseURI(err), false
	}
	q.key = key.Document(s.root.Path(), q.uri)
	q.place = q.usage.Place(q.uri)
	return answer{}, true
}

func refuseURI(err error) answer {
	var bad *uri.Error
	if errors.As(err, &bad) {
		return refuse(bad.Reason.Status(), bad.Error())
	}
	return refuse(http.StatusBadRequest, err.Error())
}

const (
	readMethods = "GET, HEAD, OPTIONS"
	nodeMethods = "GET, HEAD, PUT, DELETE, OPTIONS"
	allMethods  = "GET, HEAD, PUT, DELETE, PATCH, OPTIONS"
)

// allow are the methods that the resource takes, whoever asks.
func (q *request) allow() string {
	switch {
	case q.place == usage.Generated, q.sel != nil && q.sel.Kind() == selector.Bindings:
		return readMethods
	case q.sel != nil:
		return nodeMethods
	}
	return allMethods
}

// checkMethod answers methods that nobody may use here, and OPTIONS.
func (q *request) checkMethod() (answer, bool) {
	switch m := q.http.Method; m {
	case http.MethodOptions:
		return options(q.allow()), false
	case http.MethodGet, http.MethodHead:
	case http.MethodPut, http.MethodDelete:
		if q.sel != nil && q.sel.Kind() == selector.Bindings {
			return notAllowed(q.allow(), "namespace bindings can only be read"), false
		}
	case http.MethodPatch:
		if q.sel != nil {
			return notAllowed(q.allow(), "only documents are patched, elements and attributes are put"), false
		}
	default:
		return notAllowed(q.allow(), "XCAP has no method "+strings.ToValidUTF8(m, "")), false
	}
	return answer{}, true
}

// options is the answer to OPTIONS (RFC 5789 section 3.1).
func options(allow string) answer {
	a := answer{status: http.StatusNoContent, allow: allow}
	if strings.Contains(allow, http.MethodPatch) {
		a.fields = append(a.fields, acceptPatch)
	}
	return a
}

var acceptPatch = [2]string{"Accept-Patch", patch.TypeXMLPatch}

// perform does what is asked for, by somebody who may.
func (s *Server) perform(q *request) answer {
	var err error
	if q.cond, err = readConditions(q.http.Header); err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	switch q.http.Method {
	case http.MethodPut:
		return s.put(q)
	case http.MethodDelete:
		return s.delete(q)
	case http.MethodPatch:
		return s.patch(q)
	}
	return s.get(q)
}
