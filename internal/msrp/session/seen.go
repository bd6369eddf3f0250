package session

import "sync"

// Seen remembers the last Message-IDs. Its methods may be called concurrently.
type Seen struct {
	mu   sync.Mutex
	ids  map[string]int64
	ring []string
	next int
	max  int
}

// NewSeen makes a Seen for the last max messages.
func NewSeen(max int) *Seen { return &Seen{max: max} }

// add remembers an ID with a number, unless it is known, and reports whether it was.
func (s *Seen) add(id string, n int64) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.ids[id]; known {
		return true
	}
	if s.ids == nil {
		s.ids = make(map[string]int64)
	}
	if len(s.ring) < s.max {
		s.ring = append(s.ring, id)
	} else {
		delete(s.ids, s.ring[s.next])
		s.ring[s.next] = id
		s.next = (s.next + 1) % s.max
	}
	s.ids[id] = n
	return false
}

func (s *Seen) has(id []byte) (n int64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, known = s.ids[string(id)]
	return n, known
}
