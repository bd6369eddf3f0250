package stack

import (
	"crypto/tls"
	"io"
	"testing"
	"time"

	"imp/internal/transport/websocket"
)

// TestTLSEnd: the end of a secure connection is told, so that nobody can have cut it.
func TestTLSEnd(t *testing.T) {
	a := newAuthority(t)
	for _, transport := range []string{"tls", "wss"} {
		s := serveAt(t, Config{ServerTLS: server(a.domains("example.com"))}, nil, transport+":127.0.0.1:0")
		nc, err := tls.Dial("tcp", s.Addrs()[0].Addr, a.trusting(nil)("example.com"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if transport == "wss" {
			if _, _, err := (&websocket.Client{Protocol: "sip", Host: "x", Path: "/", MaxHeader: 4096}).Connect(nc); err != nil {
				t.Fatal(err)
			}
		}
		waitUntil(t, func() bool { c := only(s); c.mu.Lock(); defer c.mu.Unlock(); return c.state == open })
		go s.Close()
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadAll(nc); err != nil {
			t.Errorf("%s: %v", transport, err)
		}
	}
}
