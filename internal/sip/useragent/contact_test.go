package useragent

import (
	"strings"
	"testing"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestContact(t *testing.T) {
	for _, c := range []struct{ aor, transport, begins, ends string }{
		{"sip:alice@example.com", "udp", "sip:alice@", ""},
		{"sip:alice@example.com", "tcp", "sip:alice@", ";transport=tcp"},
		{"sip:alice@example.com", "wss", "sip:alice@", ";transport=ws"},
		{"sips:alice@example.com", "tls", "sips:alice@", ""},
		{"sips:alice@example.com", "wss", "sips:alice@", ";transport=ws"},
		{"sip:example.com", "tcp", "sip:", ";transport=tcp"},
	} {
		u, err := New(Config{AOR: header.Address{URI: c.aor}})
		if err != nil {
			t.Fatal(err)
		}
		got := u.Contact(stack.Target{Transport: c.transport, Addr: "127.0.0.1:5060"})
		uri, err := header.ParseURI(got)
		if err != nil || !strings.HasPrefix(got, c.begins) || !strings.HasSuffix(got, c.ends) || c.ends == "" && len(uri.Params) != 0 || uri.Host == "" {
			t.Errorf("%s over %s: %s, %v", c.aor, c.transport, got, err)
		}
		u.Close()
	}
	if _, err := New(Config{AOR: header.Address{URI: "alice"}}); err == nil {
		t.Error("alice is a URI")
	}
}
