package digest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"
	"time"
)

// A nonce is the time of issue in milliseconds since the start, random bits and
// a signature over both, so that a challenge leaves nothing behind. The same
// nonce serves every algorithm on offer: libpurple takes the nonce of the first
// challenge and answers with MD5 whatever that challenge asked for.
const (
	issuedLen = 6
	randomLen = 10
	idLen     = issuedLen + randomLen
	macLen    = 14
	rawLen    = idLen + macLen
	nonceLen  = rawLen / 3 * 4
)

type nonceID [idLen]byte

func (id *nonceID) issued() int64 {
	var ms int64
	for _, b := range id[:issuedLen] {
		ms = ms<<8 | int64(b)
	}
	return ms
}

// signer makes nonces and knows its own again. Its key is drawn at the start
// and never leaves: the counts that guard against replay do not outlive the
// process either.
type signer struct {
	pool   sync.Pool
	random func([]byte)
}

type mac struct {
	h   hash.Hash
	raw [idLen + sha256.Size]byte
}

func newSigner(random func([]byte)) *signer {
	key := make([]byte, sha256.Size)
	random(key)
	s := &signer{random: random}
	s.pool.New = func() any { return &mac{h: hmac.New(sha256.New, key)} }
	return s
}

// sign puts the signature behind the first idLen bytes of m.raw.
func (m *mac) sign() {
	m.h.Reset()
	m.h.Write(m.raw[:idLen])
	m.h.Sum(m.raw[:idLen])
}

// append appends a new nonce, issued at now (ms since the start).
func (s *signer) append(dst []byte, now int64) []byte {
	m := s.pool.Get().(*mac)
	defer s.pool.Put(m)
	for i := range issuedLen {
		m.raw[i] = byte(now >> (8 * (issuedLen - 1 - i)))
	}
	s.random(m.raw[issuedLen:idLen])
	m.sign()
	return base64.RawURLEncoding.AppendEncode(dst, m.raw[:rawLen])
}

// check reports whether this signer made the nonce, and gives its identity.
func (s *signer) check(nonce string) (id nonceID, ok bool) {
	var raw [rawLen]byte
	if len(nonce) != nonceLen {
		return id, false
	}
	var text [nonceLen]byte
	copy(text[:], nonce)
	if n, err := base64.RawURLEncoding.Decode(raw[:], text[:]); err != nil || n != rawLen {
		return id, false
	}
	m := s.pool.Get().(*mac)
	defer s.pool.Put(m)
	copy(m.raw[:], raw[:idLen])
	m.sign()
	copy(id[:], raw[:idLen])
	return id, hmac.Equal(m.raw[idLen:rawLen], raw[idLen:])
}

// generations is a bounded table in two halves: when the young one is full or
// has lived for a period, the old one is dropped. Entries in use move to the
// young half.
type generations[K comparable, V any] struct {
	young, old map[K]V
	max        int
	period     int64
	turned     int64
	// floor is the time up to which entries may have been dropped.
	floor int64
}

func newGenerations[K comparable, V any](max int, period time.Duration) generations[K, V] {
	return generations[K, V]{young: map[K]V{}, max: max, period: period.Milliseconds(), floor: -1}
}

func (g *generations[K, V]) get(key K) (V, bool) {
	v, ok := g.young[key]
	if !ok {
		v, ok = g.old[key]
	}
	return v, ok
}

// put writes an entry at now (ms since the start).
func (g *generations[K, V]) put(key K, v V, now int64) {
	_, there := g.young[key]
	if now-g.turned >= g.period || !there && len(g.young) >= g.max {
		if g.old != nil {
			g.floor = g.turned
		}
		g.old, g.young, g.turned = g.young, map[K]V{}, now
	}
	g.young[key] = v
}

// window remembers which counts of a nonce have been used: the highest one, and
// the 64 up to it as bits, for requests overtake each other.
type window struct {
	top  uint32
	seen uint64
}

// use marks nc and reports whether it was unused. Counts below the window
// count as used.
func (w *window) use(nc uint32) bool {
	switch {
	case w.seen == 0:
		w.top, w.seen = nc, 1
	case nc > w.top:
		// A shift by 64 or more clears the word.
		w.seen = w.seen<<(nc-w.top) | 1
		w.top = nc
	case w.top-nc >= 64 || w.seen&(1<<(w.top-nc)) != 0:
		return false
	default:
		w.seen |= 1 << (w.top - nc)
	}
	return true
}

// nonces is the table of nonces that have been used with right credentials.
type nonces struct {
	mu    sync.Mutex
	table generations[nonceID, window]
}

// use counts nc against a nonce whose response was right. A nonce that may have
// been dropped from the full table is stale: its counts are not known any more.
func (n *nonces) use(id nonceID, nc uint32, now int64) Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	w, ok := n.table.get(id)
	if !ok && id.issued() <= n.table.floor {
		return Stale
	}
	if !w.use(nc) {
		return Replayed
	}
	n.table.put(id, w, now)
	return Granted
}
