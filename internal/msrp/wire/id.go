package wire

import (
	"bytes"
	"crypto/rand"
)

// MaxID is the longest transaction ID or Message-ID, in characters.
const MaxID = 32

// idLength makes IDs of 95 random bits: 16 of 62 characters each.
const idLength = 16

// IDs makes transaction IDs, Message-IDs and session-ids from random bytes. Its methods may not be called
// concurrently.
type IDs struct {
	random func([]byte)
	pool   [128]byte
	left   int
}

// NewIDs makes a source of IDs. Random fills a slice with random bytes that nobody can guess; nil: crypto/rand.
func NewIDs(random func([]byte)) *IDs {
	if random == nil {
		random = func(b []byte) { rand.Read(b) }
	}
	return &IDs{random: random}
}

const idChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Append adds a new ID: 16 letters and digits with 95 random bits, more than any of RFC 4975 sections 7.1 and 14.1
// and RFC 4976 section 6.3 asks for.
func (s *IDs) Append(b []byte) []byte {
	for n := 0; n < idLength; {
		if s.left == 0 {
			s.random(s.pool[:])
			s.left = len(s.pool)
		}
		s.left--
		c := s.pool[s.left] & 63
		if int(c) >= len(idChars) {
			continue // or some characters would be more frequent
		}
		b = append(b, idChars[c])
		n++
	}
	return b
}

// New gives a new ID.
func (s *IDs) New() string { return string(s.Append(nil)) }

// For gives a new ID whose end-line does not occur in the chunk with this body (RFC 4975 section 7.1).
func (s *IDs) For(body []byte) string {
	var line [len(dashes) + idLength]byte
	for {
		end := s.Append(append(line[:0], dashes...))
		if !bytes.Contains(body, end) {
			return string(end[len(dashes):])
		}
	}
}
