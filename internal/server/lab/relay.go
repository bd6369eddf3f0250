package lab

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"imp/internal/server/relay"
	"imp/internal/sip/stack"
)

// relayHost is the host in URIs of the lab's relay.
const relayHost = "localhost"

// relayMessages starts the MSRP relay.
func (l *Lab) relayMessages(cfg Config) (err error) {
	c := relay.Config{Host: relayHost, Names: []string{Domain}, WSPath: cfg.Stack.WSPath, Origins: cfg.Stack.WSOrigins, Log: cfg.Log}
	if a := cfg.Auth; a != nil {
		c.Auth = &relay.Auth{Realm: a.Realm, Users: a.Users, Algorithms: a.Algorithms}
	}
	if cfg.Stack.ClientTLS != nil {
		c.ClientTLS = cfg.Stack.ClientTLS
	}
	if c.AllowNextHop, err = relay.NextHops(nil, true); err != nil {
		return err
	}
	if l.relay, err = relay.New(c); err != nil {
		return err
	}
	for _, e := range cfg.Relay {
		t := relay.Transport{Name: e.Transport}
		if secured(e) {
			t.TLS = cfg.Stack.ServerTLS()
		}
		at, err := l.relay.Listen(t, e.Addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = stack.ErrInUse
		}
		if err != nil {
			return fmt.Errorf("listening at msrp+%s: %w", e, err)
		}
		l.relayAt = append(l.relayAt, stack.Endpoint{Transport: e.Transport, Addr: at.String()})
	}
	return nil
}

// relayURI is what accounts reach the relay by: over TLS if it can be, "" when
// it listens for WebSocket only.
func (l *Lab) relayURI() (uri string) {
	for _, e := range l.relayAt {
		_, port, _ := net.SplitHostPort(e.Addr)
		switch {
		case e.Transport == "tls":
			return "msrps://" + net.JoinHostPort(relayHost, port) + ";tcp"
		case e.Transport == "tcp":
			uri = "msrp://" + net.JoinHostPort(relayHost, port) + ";tcp"
		}
	}
	return uri
}

// Relay is the lab's MSRP relay.
func (l *Lab) Relay() *relay.Relay { return l.relay }
