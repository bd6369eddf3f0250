package session

import "sync"

// Seen remembers the last Message-IDs. Its methods may be called concurrently.
type Seen struct {
	mu   sync.Mutex
	ids  map[string]struct{}
	ring []string
	next int
	max  int
}

// NewSeen makes a Seen for the last max messages.
func NewSeen(max int) *Seen { return &Seen{max: max} }

// add remembers an ID and reports whether it was known.
func (s *Seen) add(id string) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.ids[id]; known {
		return true
	}
	if s.ids == nil {
		s.ids = make(map[string]struct{})
	}
	if len(s.ring) < s.max {
		s.ring = append(s.ring, id)
	} else {
		delete(s.ids, s.ring[s.next])
		s.ring[s.next] = id
		s.next = (s.next + 1) % s.max
	}
	s.ids[id] = struct{}{}
	return false
}

func (s *Seen) has(id []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.ids[string(id)]
	return known
}
