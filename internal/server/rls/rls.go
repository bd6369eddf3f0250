// Package rls is the resource list server of RFC 4662: subscriptions to lists
// of resources, those of rls-services documents (RFC 4826 section 4) and those
// that a SUBSCRIBE brings along (RFC 5367), in every event package of a
// notifier. Members of its own domains are watched through that notifier in the
// name of the watcher, so that each of their rules holds (the consent that RFC
// 5363 section 5.2 wants is theirs); others by SIP, in the server's own name.
package rls

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"imp/internal/doc/lists"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/xcap/uri"
)

// The option tags of lists.
const (
	eventList     = "eventlist"                // RFC 4662 section 4.1
	recipientList = "recipient-list-subscribe" // RFC 5367 section 3
)

// Config holds what a server is told. Store is needed for lists that are kept.
type Config struct {
	// Store has the documents, nil: there are none.
	Store store.KV
	// Root names the XCAP root in the keys of the store, as the XCAP server does:
	// its path, such as /xcap-root.
	Root string
	// RootURIs are the XCAP root as documents know it, which their references
	// are below; nil: it is not known, and only the path counts.
	RootURIs []string
	Naming   uri.Naming
	// Known tells whether a user of a domain exists, so that his URI is that of
	// no list; nil: nobody can tell.
	Known func(user, domain string) bool
	// Identity is the URI that members of other domains are subscribed to as; ""
	// leaves them alone.
	Identity string
	// MaxMembers bounds a list, 0: 1000. MaxForeign bounds the members of other
	// domains, of all lists and, a quarter of it, of one watcher, a tenth of one
	// list; 0: 1000.
	MaxMembers, MaxForeign int
	// MaxBody is how many bytes of member state one NOTIFY carries about; more
	// follows with the next ones. 0: 256 KiB.
	MaxBody int
	Log     *slog.Logger // nil discards
}

// Directory is what the server asks event.Resources beside their own method, if
// they know: the address of record that a URI stands for, whether there is such
// a user or not; it is not ok for URIs of other domains.
type Directory interface {
	AOR(uri header.URI) (string, bool)
}

// Server serves lists; it is an event.Lists for one notifier. Run follows
// changes of documents.
type Server struct {
	cfg       Config
	root      uri.Root // path only
	roots     []uri.Root
	notifier  *event.Notifier
	resources event.Resources
	others    *foreigners
	services  atomic.Pointer[servicesDocument] // the one that was read last

	mu   sync.Mutex
	deps map[string]map[*view]bool // views by the keys of the documents that they follow from
}

// New makes a server. The error is that of a root which is none.
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxMembers == 0 {
		cfg.MaxMembers = 1000
	}
	if cfg.MaxForeign == 0 {
		cfg.MaxForeign = 1000
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 256 << 10
	}
	cfg.MaxMembers = min(cfg.MaxMembers, lists.MaxEntries)
	s := &Server{cfg: cfg, deps: map[string]map[*view]bool{}}
	s.others = newForeigners(&s.cfg)
	var err error
	if s.root, err = uri.ParseRoot(cfg.Root); err != nil {
		return nil, err
	}
	for _, r := range cfg.RootURIs {
		root, err := uri.ParseRoot(r)
		if err != nil {
			return nil, err
		}
		s.roots = append(s.roots, root)
	}
	if s.roots == nil {
		s.roots = []uri.Root{s.root}
	}
	return s, nil
}

// Mount has the stack of the notifier know of lists, before it listens.
func (s *Server) Mount(st *stack.Stack) {
	st.Extensions(eventList, recipientList)
	s.others.mount(st)
}

// Serve implements event.Lists.
func (s *Server) Serve(n *event.Notifier, resources event.Resources) {
	s.notifier, s.resources = n, resources
}

// Package implements event.Lists.
func (s *Server) Package(p event.Package) event.Package { return &listPackage{s, p} }

// List implements event.Lists: a SUBSCRIBE is for a list when it brings one, or
// when its Request-URI is that of a service.
func (s *Server) List(ctx context.Context, r *stack.Request, u header.URI) (string, bool) {
	if len(r.Body()) > 0 || len(header.Values(r.Request, "Require")) > 0 {
		if bringsList(r) && s.home(u) {
			return lists.Canonical(r.URI()), true
		}
	}
	if s.isUser(u) {
		return "", false
	}
	found, err := s.lookup(ctx, r.URI())
	if err != nil {
		s.cfg.Log.Error("looking for a list service", "uri", r.URI(), "error", err)
	}
	if found == nil {
		return "", false
	}
	return found.uri, true
}

// isUser tells whether a URI is known to be that of no list.
func (s *Server) isUser(u header.URI) bool {
	return s.cfg.Store == nil || s.cfg.Known != nil && s.known(u)
}

func (s *Server) known(u header.URI) bool {
	_, ok := s.resources.Resource(u)
	return ok
}

// home tells whether a URI is one of this server's, with a user or without.
func (s *Server) home(u header.URI) bool {
	if u.User == "" {
		u.User = "anybody"
	}
	if d, ok := s.resources.(Directory); ok {
		_, ok = d.AOR(u)
		return ok
	}
	return s.known(u)
}

// supports tells whether a header field of option tags has one.
func supports(r *stack.Request, field, tag string) bool {
	for _, t := range header.List(r.Request, field) {
		if strings.EqualFold(t, tag) {
			return true
		}
	}
	return false
}
