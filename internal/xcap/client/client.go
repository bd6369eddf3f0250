// Package client implements the client side of XCAP (RFC 4825 sections 7 and 14) over HTTP: reading and changing
// documents and what is in them, PATCH (RFC 5789) of documents, capabilities and directories, with conditions, digest
// authentication (RFC 7616) and redirects.
package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/xcap/uri"
	"imp/internal/xml/patch"
)

// Bounds of a Client that its Config does not set.
const (
	DefaultMaxBody = 16 << 20 // bytes of an answer
	DefaultTimeout = 32 * time.Second
)

// Bounds of an answer and of a request: bytes of a header, and how many redirects are followed.
const (
	maxHeader    = 256 << 10
	maxRedirects = 5
)

// Config says whom a Client talks to, and how. Root is needed.
type Config struct {
	// Root is the XCAP root, an absolute URI.
	Root uri.Root
	// TLS is the configuration of connections; nil verifies by the authorities of the system.
	TLS *tls.Config
	// HTTP sends the requests; nil stands for one that verifies by TLS. Its redirects are not used.
	HTTP *http.Client
	// Digest answers the challenges of the server of the root; nil has no credentials.
	Digest *digest.Client
	// Unproven is told when the server did not prove that it knows the password; may be nil.
	Unproven func(error)
	// MaxBody bounds the body of an answer, in bytes; default DefaultMaxBody.
	MaxBody int64
	// Timeout bounds a request with its retries and redirects; default DefaultTimeout.
	Timeout time.Duration
	// Product is the value of User-Agent.
	Product string
	// Trace is told of every message; may be nil.
	Trace func(Record)
	// Now is the clock of the trace, default time.Now; Random gives a number from 0 to 1, default rand.Float64.
	Now    func() time.Time
	Random func() float64
}

// Client talks to one XCAP server. Its methods may be called concurrently.
type Client struct {
	cfg    Config
	http   http.Client
	origin string // of the root: credentials go nowhere else
}

// New makes a Client. It refuses a root that is only a path.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Root.String())
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("XCAP root %q: it is no http or https URI", cfg.Root.String())
	}
	cfg.MaxBody, cfg.Timeout = cmp.Or(cfg.MaxBody, DefaultMaxBody), cmp.Or(cfg.Timeout, DefaultTimeout)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	c := &Client{cfg: cfg, origin: originOf(u)}
	if cfg.HTTP != nil {
		c.http = *cfg.HTTP
	} else {
		c.http.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg.TLS, DisableCompression: true,
			TLSHandshakeTimeout: cfg.Timeout, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 4,
			MaxResponseHeaderBytes: maxHeader}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Root returns the XCAP root.
func (c *Client) Root() uri.Root { return c.cfg.Root }

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Condition makes a request depend on the entity-tag of its document, which it has in common with all that is in it
// (RFC 4825 section 7.11). Tags are without quotes; "*" is any.
type Condition struct {
	Match     string // If-Match
	NoneMatch string // If-None-Match
}

// Create is the condition that there is no such document yet.
var Create = Condition{NoneMatch: "*"}

// Errors that requests are not sent for, and what answers lack; test with errors.Is.
var (
	ErrBindings = errors.New("namespace bindings can only be read")
	ErrNode     = errors.New("a patch is for a whole document")
	ErrNoETag   = errors.New("the server gives no entity-tag, so a change cannot be made conditional")
	ErrTooLarge = errors.New("the answer is larger than is taken")
	ErrContent  = errors.New("the server sends something else than was asked for")
)

// Get reads a document or a node. An answer with the status 304 is no error.
func (c *Client) Get(ctx context.Context, u *uri.URI, cond Condition) (*Answer, error) {
	return c.send(ctx, &request{method: http.MethodGet, target: c.cfg.Root.Join(u), cond: cond})
}

// Head is Get without the body.
func (c *Client) Head(ctx context.Context, u *uri.URI, cond Condition) (*Answer, error) {
	return c.send(ctx, &request{method: http.MethodHead, target: c.cfg.Root.Join(u), cond: cond})
}

// Fetch reads what an absolute URI of a reference leads to. Credentials are sent to the server of the root only.
func (c *Client) Fetch(ctx context.Context, target string) (*Answer, error) {
	return c.send(ctx, &request{method: http.MethodGet, target: target})
}

// Put writes a document, an element or an attribute. The type is that of the document; it is not needed for a node, see
// Type.
func (c *Client) Put(ctx context.Context, u *uri.URI, contentType string, body []byte, cond Condition) (*Answer, error) {
	contentType = cmp.Or(Type(u), contentType)
	if err := writable(u); err != nil {
		return nil, err
	}
	return c.send(ctx, &request{method: http.MethodPut, target: c.cfg.Root.Join(u), contentType: contentType, body: body, cond: cond})
}

// Delete removes a document, an element or an attribute.
func (c *Client) Delete(ctx context.Context, u *uri.URI, cond Condition) (*Answer, error) {
	if err := writable(u); err != nil {
		return nil, err
	}
	return c.send(ctx, &request{method: http.MethodDelete, target: c.cfg.Root.Join(u), cond: cond})
}

// Patch applies an XML patch (RFC 7351) to a document on the server (RFC 5789). A server without it answers with a status
// for which Unpatchable is true.
func (c *Client) Patch(ctx context.Context, u *uri.URI, body []byte, cond Condition) (*Answer, error) {
	if len(u.Steps) > 0 {
		return nil, ErrNode
	}
	return c.send(ctx, &request{method: http.MethodPatch, target: c.cfg.Root.Join(u), contentType: patch.TypeXMLPatch, body: body, cond: cond})
}

// Unpatchable reports whether an error tells that a server does not take patches.
func Unpatchable(err error) bool {
	switch Status(err) {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusUnsupportedMediaType:
		return true
	}
	return false
}

// writable refuses what no client puts or deletes (RFC 4825 section 7.10).
func writable(u *uri.URI) error {
	if n := len(u.Steps); n > 0 && u.Steps[n-1] == "namespace::*" {
		return ErrBindings
	}
	return nil
}

// quoted is an entity-tag as header fields have it.
func quoted(tag string) (string, error) {
	if tag == "*" {
		return tag, nil
	}
	if strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7F }) || tag == "" {
		return "", fmt.Errorf("entity-tag %q: it is empty, or has blanks, quotes or control characters", tag)
	}
	return `"` + tag + `"`, nil
}
