package presence_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	agent "imp/internal/agent/presence"
	"imp/internal/auth/certs"
	"imp/internal/server/presence"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// TestTLS publishes and watches over TLS, with and without a certificate of the
// client.
func TestTLS(t *testing.T) {
	authority, err := certs.NewAuthority("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string) *tls.Certificate {
		certPEM, keyPEM, err := authority.Issue(certs.Names{Domains: []string{name}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	server, client := issue("example.com"), issue("alice.example.com")
	secure := func(mutual bool) *site {
		return newSite(t, func(cfg *presence.ServerConfig) {
			cfg.Listen = []stack.Endpoint{{Transport: "tls", Addr: "127.0.0.1:0"}}
			listener := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*server}}
			if mutual {
				listener.ClientCAs, listener.ClientAuth = authority.Pool(), tls.RequireAndVerifyClientCert
			}
			cfg.Stack.ServerTLS = func() *tls.Config { return listener }
		})
	}
	user := func(s *site, name string, own *tls.Certificate) *agent.Agent {
		t.Helper()
		a, err := agent.Start(s.ctx, agent.Config{AOR: header.Address{URI: "sip:" + name + "@example.com"},
			Proxy:     stack.Target{Addr: s.server.Addrs()[0].Addr, Transport: "tls", Domain: "example.com"},
			ClientTLS: func(domain string) *tls.Config { return certs.Client(domain, authority.Pool(), own) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		return a
	}
	publish := func(s *site, own *tls.Certificate) error {
		p, err := user(s, "alice", own).Publisher(agent.PublishOptions{Presentity: "sips:alice@example.com", Event: presenceEvent})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Publish(s.ctx, event.Doc{Type: "application/pidf+xml", Body: []byte(open("a"))})
		return err
	}
	t.Run("PRS-028 PUB-023 PUB-054 sips publications and subscriptions, NOTIFY over their connection", func(t *testing.T) {
		s := secure(false)
		if err := publish(s, nil); err != nil {
			t.Fatal(err)
		}
		n := s.next(s.watch(user(s, "bob", nil), "sips:alice@example.com", nil))
		contact := header.List(n.Request, "Contact")[0]
		if !strings.Contains(string(n.Body), "<basic>open</basic>") || !strings.HasPrefix(contact, "<sips:") || n.Request.Recipient.Scheme != "sips" {
			t.Fatalf("%s", n.Request)
		}
	})
	t.Run("WIN-017 watcher information over TLS, of sips URIs", func(t *testing.T) {
		s := secure(false)
		s.next(s.watch(user(s, "bob", nil), "sips:alice@example.com", nil))
		n := s.next(s.watch(user(s, "alice", nil), "sips:alice@example.com", func(o *event.SubscribeOptions) { o.Event.Package = "presence.winfo" }))
		contact := header.List(n.Request, "Contact")[0]
		if !strings.Contains(string(n.Body), ">sip:bob@example.com<") || !strings.HasPrefix(contact, "<sips:") || n.Request.Recipient.Scheme != "sips" {
			t.Fatalf("%s", n.Request)
		}
	})
	t.Run("PUB-054 mutual TLS", func(t *testing.T) {
		s := secure(true)
		if err := publish(s, nil); err == nil {
			t.Fatal("a client without certificate was let in")
		}
		if err := publish(s, client); err != nil {
			t.Fatal(err)
		}
	})
}
