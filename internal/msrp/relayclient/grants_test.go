package relayclient

import (
	"context"
	"errors"
	"testing"
	"time"

	"imp/internal/msrp/session"
)

// closed waits until a connection is closed.
func closed(t *testing.T, c *session.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case <-c.Done():
	case <-ctx.Done():
		t.Fatal("the connection stays")
	}
}

// TestManyGrants gets more URIs than a relay gives to one connection.
func TestManyGrants(t *testing.T) {
	t.Run("one after the other", func(t *testing.T) {
		node := newNode(t)
		c := newClient(t, "alice", node, startRelay(t, "tcp"))
		on := map[*session.Conn][]*Grant{}
		for i := range 130 {
			g, err := c.Auth(t.Context())
			if err != nil {
				t.Fatalf("URI %d: %v", i+1, err)
			}
			on[g.Conn] = append(on[g.Conn], g)
		}
		if len(on) != 3 {
			t.Errorf("%d connections", len(on))
		}
		for conn, grants := range on {
			if conn.Err() != nil {
				t.Fatal("a connection is closed that has sessions")
			}
			for _, g := range grants {
				g.Release()
			}
			closed(t, conn)
		}
		g, err := c.Auth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		g.Release()
	})
	t.Run("a connection stays while it has a session", func(t *testing.T) {
		node := newNode(t)
		u := startRelay(t, "tcp")
		s := behind(t, node, newClient(t, "alice", node, u))
		other := newNode(t)
		c := newClient(t, "bob", other, u)
		g, err := c.Auth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := other.Open(session.Own{URI: g.URI, UsePath: g.UsePath, Relay: g.Conn, Stream: 1})
		if err != nil {
			t.Fatal(err)
		}
		start(t, s, b)
		g.Release()
		exchange(t, s, b)
		b.Close()
		closed(t, g.Conn)
	})
	t.Run("a relay that gives no more on a connection is asked on another", func(t *testing.T) {
		s := startScript(t, nil, func(n int, authorization string) (int, []string) {
			if n == 3 {
				return 403, nil
			}
			return usual(n, authorization)
		})
		c := newClient(t, "alice", newNode(t), s.uri())
		first, err := c.Auth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer first.Release()
		second, err := c.Auth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer second.Release()
		if first.Conn == second.Conn || first.Conn.Err() != nil {
			t.Error("it is the same connection")
		}
	})
	t.Run("a relay that gives nothing at all is asked once", func(t *testing.T) {
		s := startScript(t, nil, func(int, string) (int, []string) { return 403, nil })
		var status *session.StatusError
		if _, err := authWith(t, s); !errors.As(err, &status) || len(s.asked) != 1 {
			t.Errorf("%d times: %v", len(s.asked), err)
		}
	})
}
