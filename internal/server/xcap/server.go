// Package xcap implements the server of RFC 4825: documents of the application usages of xcap/usage, their elements, attributes and
// namespace bindings over HTTP (RFC 9110), with digest authentication (RFC 7616), conditions on entity tags, conflict reports, and
// patches of documents (RFC 5789, RFC 7351).
//
// Documents are in a store, under keys of xcap/key: whoever evaluates them watches those. A change splices the bytes that are stored
// and is one compare-and-swap of one key. What has to hold over several documents is kept by claims, see services; what is made of
// several documents is a view fed by the store's watch, see index.
package xcap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
	"imp/internal/xml/tree"
)

// Defaults of a Config.
const (
	DefaultRoot         = "/xcap-root"
	DefaultMaxBody      = 1 << 20 // bytes
	DefaultMaxDocuments = 100
)

// Auth says who is let in, by digest authentication.
type Auth struct {
	Realm string
	Users digest.Users
	// Algorithms are offered, the preferred one first; nil: SHA-256, then MD5.
	Algorithms []digest.Algorithm
	// NoLegacy refuses credentials in the form of RFC 2069.
	NoLegacy bool
}

// Config holds what a server is told. Store is needed.
type Config struct {
	Store store.KV
	// Root is the path of the XCAP root (RFC 4825 section 6.1), default DefaultRoot. Servers with different roots share nothing but
	// the URIs of services.
	Root string
	// Naming tells which XUIs stand for one user. Its Domain is the first of Domains unless it is set.
	Naming uri.Naming
	// Domains are those of the users; none: of every domain.
	Domains []string
	// Known tells whether there is a user, as it stands in a SIP URI; nil: everybody.
	Known func(user, domain string) bool
	// Auth is nil for a server that believes everybody: who asks is then the user whose document it is, and a trusted element.
	Auth *Auth
	// Trusted are the users, as NAME or as a SIP URI, that are trusted elements such as resource list servers: they read all
	// documents and write global ones.
	Trusted []string
	// Proxies are the addresses of proxies that are believed in what they say about who asks.
	Proxies []netip.Prefix
	// Storing, unless nil, is told of each version before it is put under a key: who tells the history of documents (RFC 5875) needs
	// those too that a watch of the store leaves out. One may never get there. It must not wait.
	Storing func(key string, v key.Value)
	// Regenerated, unless nil, is told of the key that the global index of services would have in the store when it is another
	// document. It must not wait, nor call the server.
	Regenerated func(key string)
	// MaxBody bounds the body of a request and a document, in bytes; MaxDocuments how many documents a user has in an application
	// usage.
	MaxBody, MaxDocuments int
	Product               string       // what Server says, "" for nothing
	Log                   *slog.Logger // nil discards
	Now                   func() time.Time
	Random                func([]byte)
}

// Server answers the requests for one XCAP root. Its methods may be called concurrently.
type Server struct {
	cfg      Config
	root     uri.Root
	verifier *digest.Verifier
	throttle *digest.Throttle
	caps     generated
	services *services
	index    *index
	turns    turns
	large    chan struct{} // a place each for requests with large bodies
	shares   turns         // of homes in those places
	share    atomic.Uint32 // the one that was asked for last
	trees    sync.Pool
	limits   tree.Limits
}

// New makes a Server. It refuses a root that is no path, and what digest.NewVerifier refuses. Where the global index of services is
// asked for, Run is to be running.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil {
		return nil, errors.New("making an XCAP server: no store given")
	}
	setDefaults(&cfg)
	root, err := uri.ParseRoot(cfg.Root)
	if err == nil && root.String() != root.Path() {
		err = errors.New("it is no path that begins with a slash")
	}
	if err != nil {
		return nil, fmt.Errorf("making an XCAP server: root %q: %w", cfg.Root, err)
	}
	s := &Server{cfg: cfg, root: root, limits: tree.Limits{Depth: maxDepth, Size: cfg.MaxBody}, large: make(chan struct{}, largeBodies)}
	s.trees.New = func() any { return new(tree.Tree) }
	s.caps = newGenerated(usage.Caps(usage.All()))
	s.services, s.index = newServices(s), newIndex(s)
	s.throttle = digest.NewThrottle(digest.ThrottleConfig{Now: cfg.Now})
	if cfg.Auth != nil {
		s.verifier, err = digest.NewVerifier(digest.Config{Realm: cfg.Auth.Realm, Users: cfg.Auth.Users, Algorithms: cfg.Auth.Algorithms,
			NoLegacy: cfg.Auth.NoLegacy, SameTarget: s.sameTarget, Now: cfg.Now})
	}
	return s, err
}

// maxDepth is how deep elements of a document may stand in each other.
const maxDepth = 200

func setDefaults(cfg *Config) {
	if cfg.Root == "" {
		cfg.Root = DefaultRoot
	}
	if cfg.Naming.Domain == "" && len(cfg.Domains) > 0 {
		cfg.Naming.Domain = cfg.Domains[0]
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.MaxDocuments <= 0 {
		cfg.MaxDocuments = DefaultMaxDocuments
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = func(b []byte) { rand.Read(b) }
	}
}

// Root is the path of the XCAP root, as keys of the store have it.
func (s *Server) Root() string { return s.root.Path() }

// Run keeps what the server makes of several documents up to date until ctx ends; ready is called once it is so for the first time.
// The error is that of the store, or of ctx.
func (s *Server) Run(ctx context.Context, ready func()) error {
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sweeping.Go(func() { s.services.keep(ctx) })
	return s.index.run(ctx, ready)
}
