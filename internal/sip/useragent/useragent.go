// Package useragent is the part of a user agent (RFC 3261 section 6) that all
// of its uses share: one SIP stack towards the proxy of a user, reachable
// there, with the user's credentials. What it says is up to those who use it.
package useragent

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// Config holds who the user agent acts as and where it sends.
type Config struct {
	AOR     header.Address // From
	Proxy   stack.Target   // first hop; zero: found from each target
	Product string         // User-Agent
	// Listen are the endpoints to be reached at; none: UDP and TCP at one free
	// port of the interface towards the proxy, and none towards one that is
	// reached over TLS or WebSocket, which uses the connection to it.
	Listen []stack.Endpoint
	// ClientTLS, WSPath and Locate are as in stack.Config.
	ClientTLS func(domain string) *tls.Config
	WSPath    string
	Locate    func(ctx context.Context, uri string) ([]stack.Target, error)
	// Credentials gives user name and password for a realm, when a challenge asks
	// for them; nil takes challenges as refusals.
	Credentials func(realm string) (user, password string, err error)
	Unproven    func(error) // told when a server does not prove that it knows the password; may be nil
	Trace       func(stack.Record)
	Log         *slog.Logger
}

// UserAgent is a user agent. Close it.
type UserAgent struct {
	Stack        *stack.Stack
	Wire         uac.Wire // the stack, with credentials if there are any
	Authenticate uac.Authenticator
	AOR          header.Address
	Proxy        stack.Target

	cfg  Config
	user string // of the Contact
}

// patience is how long a server may be silent while there is another one: four retransmissions over UDP. Who waits for an answer
// waits for no more than 32 seconds in all.
const patience = 8 * time.Second

// New makes a user agent that cannot be reached yet: handlers are to be set on
// its Stack first.
func New(cfg Config) (*UserAgent, error) {
	uri, err := header.ParseURI(cfg.AOR.URI)
	if err != nil {
		return nil, fmt.Errorf("identity %q: %w", cfg.AOR.URI, err)
	}
	u := &UserAgent{AOR: cfg.AOR, Proxy: cfg.Proxy, cfg: cfg, user: uri.User}
	u.Stack = stack.New(stack.Config{Patience: patience, Log: cfg.Log, Product: cfg.Product, Trace: cfg.Trace, ClientTLS: cfg.ClientTLS, WSPath: cfg.WSPath, Locate: cfg.Locate})
	u.Wire = u.Stack
	if cfg.Credentials != nil {
		c := identity.NewClient(identity.ClientConfig{Wire: u.Stack, Credentials: cfg.Credentials, Unproven: cfg.Unproven})
		u.Wire, u.Authenticate = c, c.Answer
	}
	return u, nil
}

// Listen makes the user agent reachable. After an error it is closed.
func (u *UserAgent) Listen(ctx context.Context) error {
	endpoints := u.cfg.Listen
	switch u.Proxy.Transport {
	case "tls", "ws", "wss":
		if len(endpoints) == 0 {
			return nil
		}
	}
	if len(endpoints) == 0 {
		host := localHost(ctx, u.Proxy.Addr)
		endpoints = []stack.Endpoint{{Transport: "udp", Addr: host}, {Transport: "tcp", Addr: host}}
	}
	if err := u.Stack.Listen(ctx, endpoints...); err != nil {
		u.Stack.Close()
		return err
	}
	return nil
}

// localHost is the address with port 0 to listen at for answers from peer:
// that of the interface towards it, all interfaces when peer is not known.
func localHost(ctx context.Context, peer string) string {
	if peer == "" {
		return ":0"
	}
	if _, _, err := net.SplitHostPort(peer); err != nil {
		peer = net.JoinHostPort(peer, "5060")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", peer) // sends nothing
	if err != nil {
		return ":0"
	}
	defer c.Close()
	local, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return ":0"
	}
	return net.JoinHostPort(local, "0")
}

// Close ends the user agent at once. What is to end for the other side too,
// such as subscriptions, is to be ended before.
func (u *UserAgent) Close() error { return u.Stack.Close() }

// Contact is the URI under which the peer that to names reaches this user
// agent.
func (u *UserAgent) Contact(to stack.Target) string {
	transport := to.Transport
	if to.Flow != nil {
		transport = to.Flow.Transport()
	}
	if transport == "" {
		transport = "udp"
	}
	secure := strings.HasPrefix(u.AOR.URI, "sips:") && (transport == "tls" || transport == "wss")
	uri := "sip:"
	if secure { // RFC 5630 section 5.1.1
		uri = "sips:"
	}
	if u.user != "" {
		uri += u.user + "@"
	}
	uri += u.Stack.ContactHost(transport, to.Addr)
	if transport != "udp" && !(secure && transport == "tls") {
		uri += ";transport=" + stack.URITransport(transport)
	}
	return uri
}
