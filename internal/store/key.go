package store

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// maxPart is the longest part, in bytes before escaping, that stands in a key
// as it is. A longer one is replaced by its hash.
const maxPart = 128

const upperHex = "0123456789ABCDEF"

// hashMark begins a part that was replaced by its hash. No escape begins so,
// because H is no hexadecimal digit.
const hashMark = "=H"

// hashLen is the length of a SHA-256 in unpadded base64url.
const hashLen = 43

// plain tells the bytes that stand for themselves in a key.
var plain = func() (t [256]bool) {
	for _, r := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") {
		t[r] = true
	}
	return t
}()

// Key joins parts with dots to a key that every back end takes. A byte outside
// A-Z a-z 0-9 _ - is written =XX in upper-case hexadecimal, an empty part is
// "=", and a part of more than 128 bytes is replaced by "=H" and the base64url
// form of its SHA-256. Distinct parts give distinct keys, unless SHA-256 fails.
//
// Key makes no part canonical: that is for the caller, before the call. No
// parts at all give "", which is no key but the prefix of all keys.
func Key(parts ...string) string {
	size := len(parts)
	for _, p := range parts {
		size += escapedLen(p)
	}
	if size == 0 {
		return ""
	}
	var b strings.Builder
	b.Grow(size)
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		writePart(&b, p)
	}
	return b.String()
}

// escapedLen is the length of p as a part of a key.
func escapedLen(p string) int {
	switch {
	case p == "":
		return 1
	case len(p) > maxPart:
		return len(hashMark) + hashLen
	}
	n := len(p)
	for i := range len(p) {
		if !plain[p[i]] {
			n += 2
		}
	}
	return n
}

func writePart(b *strings.Builder, p string) {
	switch {
	case p == "":
		b.WriteByte('=')
		return
	case len(p) > maxPart:
		sum := sha256.Sum256([]byte(p))
		var text [hashLen]byte
		base64.RawURLEncoding.Encode(text[:], sum[:])
		b.WriteString(hashMark)
		b.Write(text[:])
		return
	}
	from := 0
	for i := range len(p) {
		if c := p[i]; !plain[c] {
			b.WriteString(p[from:i])
			b.WriteByte('=')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
			from = i + 1
		}
	}
	b.WriteString(p[from:])
}

// SplitKey returns the parts that [Key] made key of. A part that was replaced
// by its hash cannot be brought back: it is returned as it stands in the key,
// beginning with "=H". The error wraps ErrInvalid when Key does not make such
// a key; the parts are nil then.
func SplitKey(key string) ([]string, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	parts := make([]string, 0, strings.Count(key, ".")+1)
	for raw := range strings.SplitSeq(key, ".") {
		parts = append(parts, unescape(raw))
	}
	return parts, nil
}

// unescape undoes writePart on a part that CheckKey has accepted.
func unescape(raw string) string {
	switch {
	case raw == "=":
		return ""
	case strings.HasPrefix(raw, hashMark), strings.IndexByte(raw, '=') < 0:
		return raw
	}
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '=' {
			c = hexDigit(raw[i+1])<<4 | hexDigit(raw[i+2])
			i += 2
		}
		b = append(b, c)
	}
	return string(b)
}

// CheckKey returns nil when key is one that [Key] can make of at least one
// part, else an error that wraps ErrInvalid and says where. Each state has one
// key only: what Key would have written otherwise is refused. Back ends call
// it for every write and for every prefix but the empty one.
func CheckKey(key string) error {
	start := 0  // of the part
	folded := 0 // bytes that escapes in the part take beyond what they stand for
	for i := 0; i <= len(key); {
		if i < len(key) && plain[key[i]] {
			i++
			continue
		}
		if i < len(key) && key[i] != '.' {
			n := markLen(key[i:], i == start)
			if n == 0 {
				return fmt.Errorf("%w: key %.200q: byte %d is not escaped as it must be", ErrInvalid, key, i)
			}
			folded += n - 1
			i += n
			continue
		}
		if size := i - start - folded; i == start || size > maxPart {
			return fmt.Errorf("%w: key %.200q: the part at byte %d is empty or too long", ErrInvalid, key, start)
		}
		i++
		start, folded = i, 0
	}
	return nil
}

// markLen returns the length of the mark that rest begins with: an escape, or
// at the start of a part also the sign of an empty part or a hash. It returns
// 0 when there is none.
func markLen(rest string, first bool) int {
	if first && rest[0] == '=' {
		part, _, _ := strings.Cut(rest, ".")
		if part == "=" {
			return 1
		}
		if len(part) == len(hashMark)+hashLen && strings.HasPrefix(part, hashMark) {
			if _, err := base64.RawURLEncoding.Strict().DecodeString(part[len(hashMark):]); err != nil {
				return 0
			}
			return len(part)
		}
	}
	if len(rest) < 3 || rest[0] != '=' || !isUpperHex(rest[1]) || !isUpperHex(rest[2]) {
		return 0
	}
	if plain[hexDigit(rest[1])<<4|hexDigit(rest[2])] {
		return 0
	}
	return 3
}

func isUpperHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

func hexDigit(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}
