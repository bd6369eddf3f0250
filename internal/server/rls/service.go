package rls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"imp/internal/doc/lists"
	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// service is a service of an rls-services document (RFC 4826 section 4.1).
type service struct {
	*lists.Service
	uri   string // canonical
	key   string // of the document
	owner string // canonical XUI
}

// lookup finds the service of a URI (RFC 4826 section 4.5), nil when there is
// none. Its claim names the document, which must have it and be called index
// (section 4.4.7). Parameters that do not tell two URIs apart do not count (RFC
// 3261 section 19.1.4).
func (s *Server) lookup(ctx context.Context, asked string) (*service, error) {
	if s.cfg.Store == nil {
		return nil, nil
	}
	name := lists.Canonical(asked)
	found, err := s.claimed(ctx, name)
	if found != nil || err != nil {
		return found, err
	}
	if u, err := header.ParseURI(name); err == nil && len(u.Params) > 0 {
		kept := u.Params[:0:0]
		for _, p := range u.Params {
			switch strings.ToLower(p.Name) {
			case "maddr", "method", "transport", "ttl", "user":
				kept = append(kept, p)
			}
		}
		if len(kept) < len(u.Params) {
			u.Params = kept
			return s.claimed(ctx, lists.Canonical(u.String()))
		}
	}
	return nil, nil
}

// claimed reads the service with a canonical URI.
func (s *Server) claimed(ctx context.Context, name string) (*service, error) {
	claim, err := s.cfg.Store.Get(ctx, key.Claim(name))
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	document, _, _ := strings.Cut(string(claim.Value), " ")
	v, u, err := s.document(ctx, document)
	if err != nil || u == nil || u.Global || u.AUID != lists.ServicesAUID || len(u.Document) != 1 || u.Document[0] != "index" {
		return nil, err
	}
	all, err := s.servicesOf(v.Body)
	if err != nil || all[name] == nil {
		return nil, err
	}
	return &service{all[name], name, document, s.cfg.Naming.Canonical(u.XUI)}, nil
}

// servicesDocument has the services of a document, by their canonical URIs.
type servicesDocument struct {
	source []byte
	by     map[string]*lists.Service
}

// servicesOf reads a document. The last one is kept, since a list in which there
// are lists of the same document, or a change of it, reads it for each of them.
func (s *Server) servicesOf(source []byte) (map[string]*lists.Service, error) {
	if last := s.services.Load(); last != nil && bytes.Equal(last.source, source) {
		return last.by, nil
	}
	d, err := lists.ParseServices(source)
	if err != nil {
		return nil, err
	}
	next := &servicesDocument{source, make(map[string]*lists.Service, len(d.Services))}
	for i := range d.Services {
		if name := lists.Canonical(d.Services[i].URI); next.by[name] == nil {
			next.by[name] = &d.Services[i]
		}
	}
	s.services.Store(next)
	return next.by, nil
}

// document reads a document of this root from the store; the URI is nil when
// there is none.
func (s *Server) document(ctx context.Context, at string) (v key.Value, u *uri.URI, err error) {
	if !store.Under(at, key.Root(s.root.Path())) {
		return v, nil, nil
	}
	e, err := s.cfg.Store.Get(ctx, at)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) {
		return v, nil, nil
	}
	if err != nil {
		return v, nil, err
	}
	if v, err = key.Parse(e.Value); err != nil {
		return v, nil, err
	}
	u, err = v.URI()
	return v, u, err
}

// entries makes the flat list of a service (RFC 4826 section 4.5), and has the
// view follow all documents that it comes from.
func (s *Server) entries(ctx context.Context, v *view, of *service) (title []rlmi.Name, all []entry, err error) {
	used := map[string]bool{of.key: true}
	s.follow(v, of.key)
	fetch := func(at string) ([]byte, error) { return s.element(ctx, at, of.owner, v, used) }
	list := of.List
	if list == nil {
		src, err := fetch(of.ResourceList)
		if err != nil {
			return nil, nil, fmt.Errorf("resource-list %s: %w", lexical.Clip(of.ResourceList), err)
		}
		it, err := lists.ParseElement(src)
		if err != nil || it.Kind != lists.Nested {
			return nil, nil, fmt.Errorf("resource-list %s leads to no list", lexical.Clip(of.ResourceList))
		}
		list = it.List
	}
	items, err := lists.Expand(list, s.base(), fetch)
	if err != nil {
		return nil, nil, err
	}
	s.followOnly(v, used)
	for _, it := range items {
		all = append(all, entry{it.URI, names(it.Display)})
	}
	return names(list.Display), all, nil
}

// base is an absolute URI of the root, for references that are relative to it.
func (s *Server) base() string {
	if len(s.cfg.RootURIs) > 0 {
		return s.cfg.RootURIs[0]
	}
	return "http://localhost" + s.root.Path()
}

var errUnreachable = errors.New("it leads to no document of this server that the owner of the list may read")

// element reads an element that a reference leads to. The owner of the list must
// be allowed to read it: his own documents, and global ones.
func (s *Server) element(ctx context.Context, at, owner string, v *view, used map[string]bool) ([]byte, error) {
	u := s.parse(at)
	if u == nil || u.AUID != lists.AUID || len(u.Steps) == 0 {
		return nil, errUnreachable
	}
	if u = u.Canonical(s.cfg.Naming); !u.Global && u.XUI != owner {
		return nil, errUnreachable
	}
	sel, err := u.Selector(lists.Space)
	if err != nil {
		return nil, err
	}
	document := key.Document(s.root.Path(), u)
	used[document] = true
	s.follow(v, document)
	value, found, err := s.document(ctx, document)
	switch {
	case err != nil:
		return nil, &event.Refusal{Status: 500}
	case found == nil:
		return nil, errUnreachable
	}
	t, err := tree.Parse(value.Body, tree.Options{})
	if err != nil {
		return nil, err
	}
	n, err := sel.Locate(t)
	if err != nil {
		return nil, err
	}
	if !n.Node.Valid() || n.Attr.Valid() {
		return nil, errUnreachable
	}
	src, wrong := lexical.Standalone(n.Node)
	if wrong != nil {
		return nil, wrong
	}
	return []byte(src), nil
}

// parse reads an absolute URI below the root, nil for others.
func (s *Server) parse(at string) *uri.URI {
	for _, r := range s.roots {
		if u, err := r.Parse(strings.Join(strings.Fields(at), "")); err == nil {
			return u
		}
	}
	return nil
}
