package session

import (
	"fmt"
	"strings"
	"testing"
)

// TestReorderOfManyMessages has a peer that begins many messages with gaps.
func TestReorderOfManyMessages(t *testing.T) {
	begin := func(p *raw, id string, at int, body string) int {
		p.write("tid1 SEND", "TO", "FROM", "Message-ID: "+id, fmt.Sprintf("Byte-Range: %d-*/*", at), "Content-Type: a/b", "", body, "-------tid1+")
		return p.next().code
	}
	t.Run("all messages of a session share the memory for it", func(t *testing.T) {
		s, p := passive(t, Config{Limits: Limits{Reorder: 4000}}, Own{}, Peer{})
		p.bind()
		for i := range 6 {
			if code := begin(p, fmt.Sprintf("m%03d", i), 2, strings.Repeat("x", 1000)); (code == 413) != (i >= 3) {
				t.Errorf("message %d: %d", i, code)
			}
		}
		for i := range 3 {
			begin(p, fmt.Sprintf("m%03d", i), 1, "x")
			if s.open[fmt.Sprintf("m%03d", i)].arrived() != 1001 {
				t.Errorf("message %d has not arrived", i)
			}
		}
	})
	t.Run("memory is free again after a message is aborted", func(t *testing.T) {
		s, p := passive(t, Config{Limits: Limits{Reorder: 2000}}, Own{}, Peer{})
		p.bind()
		for i := range 5 {
			id := fmt.Sprintf("m%03d", i)
			if code := begin(p, id, 2, strings.Repeat("x", 1000)); code != 200 {
				t.Errorf("message %d: %d", i, code)
			}
			p.write("tid1 SEND", "TO", "FROM", "Message-ID: "+id, "Byte-Range: 1-*/*", "Content-Type: a/b", "", "", "-------tid1#")
			p.next()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ahead != 0 || s.runs != 0 {
			t.Errorf("%d bytes in %d pieces are still counted", s.ahead, s.runs)
		}
	})
	t.Run("pieces with gaps are bounded, in a spool too", func(t *testing.T) {
		closed := false
		cfg := Config{Limits: Limits{Reorder: 1000}, Spool: func() (Spool, error) { return &memorySpool{closed: &closed}, nil }}
		s, p := passive(t, cfg, Own{}, Peer{})
		p.bind()
		refused := 0
		for i := range 2*maxRuns + 100 {
			if begin(p, fmt.Sprintf("m%03d", i%4), 2*(i/4+1), "x") == 413 {
				refused++
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if refused == 0 || s.runs > 2*maxRuns {
			t.Errorf("%d pieces are kept, %d refused", s.runs, refused)
		}
	})
}
