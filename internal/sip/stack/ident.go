package stack

import "crypto/rand"

// NewCallID returns an unguessable Call-ID.
func NewCallID() string { return rand.Text() }

// NewTag returns an unguessable tag for From or To (RFC 3261 19.3 asks for 32 bits).
func NewTag() string { return rand.Text()[:16] }
