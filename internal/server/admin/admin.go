// Package admin is the door for those who run a server, over HTTP (RFC 9110): health, figures in the text format of
// Prometheus, and JSON that "imp ctl" reads.
//
// It knows no server. What there is to tell comes from sources that whoever starts servers connects, see Config; what
// has no source answers 404.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"imp/internal/sip/stack"
)

// Bounds of the interface: connections at a time, bytes of a request's header and body.
const (
	maxConns  = 64
	maxHeader = 16 << 10
	maxBody   = 4 << 10
)

// writeTime is the longest an answer may take, draining included.
const writeTime = 5 * time.Minute

// Config holds what the interface is told. All sources may be nil.
type Config struct {
	Server  string // the command that serves
	Version string
	Started time.Time // zero: now
	// Token, when not empty, must come with every request but those to /healthz, as a bearer token (RFC 6750).
	Token string
	// Listen gives the addresses that the servers listen at.
	Listen func() []string
	// Level is the log's level, which can be changed.
	Level *slog.LevelVar
	// Stack gives the counters of the SIP stack.
	Stack func() stack.Stats

	Publications  Lister[Publication]
	Subscriptions Lister[Subscription]
	Registrations Lister[Registration]
	Sessions      Lister[Session]
	// SubscriptionCount, PublicationCount and RegistrationCount are asked at each look at /metrics and /healthz.
	SubscriptionCount, PublicationCount, RegistrationCount func() int
	// Relay gives the figures of an MSRP relay.
	Relay func() Relay
	// Documents are those of an XCAP server.
	Documents *Documents
	// Drain has the servers send their clients elsewhere and refuse new ones, until ctx is done.
	Drain func(ctx context.Context) error

	Log *slog.Logger // nil discards
}

// Server is a running interface.
type Server struct {
	cfg      Config
	token    [sha256.Size]byte
	http     *http.Server
	listener net.Listener
	draining atomic.Bool
	ran      sync.WaitGroup
}

// ErrPublic is returned by Listen for an address that other machines can reach when there is no token.
var ErrPublic = errors.New("other machines could reach it, and there is no token")

// Listen serves at host:port; it serves when Listen returns. Without a token host must be a loopback address.
func Listen(addr string, cfg Config) (*Server, error) {
	if cfg.Started.IsZero() {
		cfg.Started = time.Now()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Token == "" && !Loopback(addr) {
		return nil, fmt.Errorf("listening at %s: %w", addr, ErrPublic)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, token: sha256.Sum256([]byte(cfg.Token)), listener: l}
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: writeTime, IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug)}
	s.ran.Go(func() { s.http.Serve(netutil.LimitListener(l, maxConns)) })
	return s, nil
}

// Loopback tells whether only this machine can reach a listener at host:port.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	return loopbackHost(host)
}

func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// Addr is host:port with the real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends the interface at once.
func (s *Server) Close() {
	s.http.Close()
	s.ran.Wait()
}

// handler is the tree of addresses. Browsers are kept out: a page of somebody else's must not reach a server on this
// machine, neither by a form nor by a name that it has lead to the loopback address.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("GET /publications", list(s.cfg.Publications))
	mux.HandleFunc("GET /subscriptions", list(s.cfg.Subscriptions))
	mux.HandleFunc("GET /registrations", list(s.cfg.Registrations))
	mux.HandleFunc("GET /sessions", list(s.cfg.Sessions))
	mux.HandleFunc("GET /log-level", s.logLevel)
	mux.HandleFunc("PUT /log-level", s.setLogLevel)
	mux.HandleFunc("GET /memory", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, ReadMemory()) })
	mux.HandleFunc("POST /memory", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, CollectedMemory()) })
	mux.HandleFunc("POST /drain", s.drain)
	mux.HandleFunc("GET /documents", s.export)
	mux.HandleFunc("/document", s.document)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "there is nothing at this address")
	})
	return http.NewCrossOriginProtection().Handler(s.guard(mux))
}

func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := int64(maxBody)
		if r.URL.Path == "/document" {
			most = MaxDocument
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		switch {
		case s.cfg.Token == "":
			host := r.Host
			if h, _, err := net.SplitHostPort(host); err == nil {
				host = h
			}
			if !loopbackHost(host) {
				refuse(w, http.StatusForbidden, "the host asked for is not this machine's loopback address")
				return
			}
		case r.URL.Path != "/healthz" && !s.hasToken(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="imp"`)
			refuse(w, http.StatusUnauthorized, "the token is missing or wrong")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hasToken compares hashes, so that the time tells nothing of the token's length either.
func (s *Server) hasToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(token))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], s.token[:]) == 1
}
