package xcap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"imp/internal/xcap/uri"
)

// Bounds of connections. A request line may be as long as a URI and is then answered 414, what is longer by the HTTP server with 431.
const (
	DefaultMaxConnections = 10000

	headerTime = 10 * time.Second // for the header of a request, and a TLS handshake
	readTime   = 30 * time.Second // for a request
	answerTime = time.Minute      // for its answer, the reading of the body included
	idleTime   = 2 * time.Minute  // between requests
	maxHeader  = uri.MaxLength + 16<<10
)

// ServeConfig holds what a server with listeners of its own is told.
type ServeConfig struct {
	Config
	Listen []Endpoint
	// TLS gives the config for https.
	TLS func() *tls.Config
	// MaxConnections bounds the connections of all listeners together, default DefaultMaxConnections; one address of another machine
	// may have half of them.
	MaxConnections int
}

// Listening is a server with listeners.
type Listening struct {
	*Server
	addrs  []Endpoint
	http   *http.Server
	cancel context.CancelFunc
	ran    sync.WaitGroup
}

// Serve starts a server; it serves when Serve returns. Errors are those of New, of binding, and of the store.
func Serve(ctx context.Context, cfg ServeConfig) (*Listening, error) {
	s, err := New(cfg.Config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Listening{Server: s, cancel: cancel}
	l.http = &http.Server{Handler: s, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)}
	listeners, err := l.listen(cfg)
	if err == nil {
		err = l.run(ctx)
	}
	if err != nil {
		for _, ln := range listeners {
			ln.Close()
		}
		l.Close()
		return nil, err
	}
	for _, ln := range listeners {
		l.ran.Go(func() {
			if err := l.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				s.cfg.Log.Error("listening for XCAP", "address", ln.Addr().String(), "error", err)
			}
		})
	}
	return l, nil
}

// run starts what keeps views up to date, and returns when they are.
func (l *Listening) run(ctx context.Context) error {
	up, failed := make(chan struct{}), make(chan error, 1)
	l.ran.Go(func() {
		err := l.Run(ctx, func() { close(up) })
		if err != nil && ctx.Err() == nil {
			l.cfg.Log.Error("following the store", "error", err)
		}
		failed <- err
	})
	select {
	case <-up:
		return nil
	case err := <-failed:
		return fmt.Errorf("starting an XCAP server: %w", err)
	}
}

// listen binds all endpoints. After an error those that are bound are returned with it.
func (l *Listening) listen(cfg ServeConfig) (bound []net.Listener, err error) {
	room := newRoom(cfg.MaxConnections)
	for _, e := range cfg.Listen {
		ln, err := net.Listen("tcp", e.Addr)
		if err != nil {
			return bound, err
		}
		bound = append(bound, ln)
		l.addrs = append(l.addrs, Endpoint{e.Scheme, ln.Addr().String()})
		switch {
		case e.Scheme == "http":
			bound[len(bound)-1] = &limited{Listener: ln, room: room}
		case e.Scheme == "https" && cfg.TLS != nil:
			bound[len(bound)-1] = tls.NewListener(&limited{Listener: ln, room: room}, cfg.TLS())
		default:
			return bound, fmt.Errorf("listening at %s: expected http, or https and a certificate", e)
		}
	}
	return bound, nil
}

// Addrs are the endpoints with their real ports.
func (l *Listening) Addrs() []Endpoint { return l.addrs }

// Drain takes no more connections and ends those that wait for a request; it returns when the others have had their answers, or ctx
// is done.
func (l *Listening) Drain(ctx context.Context) error { return l.http.Shutdown(ctx) }

// Close ends the server at once.
func (l *Listening) Close() {
	l.http.Close()
	l.cancel()
	l.ran.Wait()
}
