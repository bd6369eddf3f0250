// Package digest implements RFC 7616 and RFC 8760: digest access
// authentication, server and client side, for any protocol that carries its
// header fields as strings.
//
// It knows no message: a Verifier takes the values of Authorization (or
// Proxy-Authorization) and gives the values of WWW-Authenticate (or
// Proxy-Authenticate), and a Client does the reverse. The auth-params have a
// parser here because the client-side libraries at hand accept duplicate
// fields, take parameter names by case and read one challenge only.
package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// Algorithm is a hash function of the registry of RFC 7616 section 6.1, in its
// plain or its session variant. The zero value is none.
type Algorithm uint8

// The algorithms. MD5 is for old peers only (RFC 8760 section 3).
const (
	MD5 Algorithm = iota + 1
	SHA256
	SHA512_256
	MD5Sess
	SHA256Sess
	SHA512_256Sess
)

var algorithmNames = [...]string{"", "MD5", "SHA-256", "SHA-512-256", "MD5-sess", "SHA-256-sess", "SHA-512-256-sess"}

// maxHex is the length of the longest digest in hexadecimal digits.
const maxHex = 2 * sha256.Size

// ParseAlgorithm finds an algorithm by its registered name in any case; ok is
// false for a name that is not known here.
func ParseAlgorithm(name string) (a Algorithm, ok bool) {
	for i := MD5; int(i) < len(algorithmNames); i++ {
		if strings.EqualFold(name, algorithmNames[i]) {
			return i, true
		}
	}
	return 0, false
}

// String is the registered name, such as SHA-256.
func (a Algorithm) String() string {
	if int(a) < len(algorithmNames) {
		return algorithmNames[a]
	}
	return ""
}

// Base is the algorithm without its session variant: the one that user names
// and passwords are hashed with.
func (a Algorithm) Base() Algorithm {
	if a >= MD5Sess {
		return a - (MD5Sess - MD5)
	}
	return a
}

// hexLen is the length of a digest in hexadecimal digits (RFC 8760 section 2.2).
func (a Algorithm) hexLen() int {
	if a.Base() == MD5 {
		return 2 * md5.Size
	}
	return maxHex
}

// appendSum appends the hash of in to dst in lower-case hexadecimal digits.
func (a Algorithm) appendSum(dst, in []byte) []byte {
	switch a.Base() {
	case MD5:
		sum := md5.Sum(in)
		return hex.AppendEncode(dst, sum[:])
	case SHA512_256:
		sum := sha512.Sum512_256(in)
		return hex.AppendEncode(dst, sum[:])
	default:
		sum := sha256.Sum256(in)
		return hex.AppendEncode(dst, sum[:])
	}
}

// terms are what a response is computed from (RFC 7616 section 3.4.1). An empty
// qop is the form of RFC 2069.
type terms struct {
	alg                    Algorithm
	ha1                    string
	nonce, nc, cnonce, qop string
	method, uri            string
	body                   []byte
}

// scratch holds the buffers of one computation, to be used again.
type scratch struct {
	in, out []byte
	// ha1 and ha2 hold one hash each while the next one is made.
	ha1, ha2 []byte
	hashes   int
}

func (s *scratch) sum(a Algorithm, dst []byte) []byte {
	s.hashes++
	return a.appendSum(dst, s.in)
}

// response computes response or, with an empty method, rspauth (RFC 7616
// sections 3.4.1 and 3.5). The result is valid until the next use of s.
func (s *scratch) response(t *terms) []byte {
	integrity := t.qop != "" && strings.EqualFold(t.qop, qopInt)
	if integrity {
		s.hashes++
		s.ha2 = t.alg.appendSum(s.ha2[:0], t.body)
	}
	s.in = append(append(append(s.in[:0], t.method...), ':'), t.uri...)
	if integrity {
		s.in = append(append(s.in, ':'), s.ha2...)
	}
	s.ha2 = s.sum(t.alg, s.ha2[:0])
	s.ha1 = append(s.ha1[:0], t.ha1...)
	if t.alg != t.alg.Base() {
		s.join(t.nonce, t.cnonce)
		s.ha1 = s.sum(t.alg, s.ha1[:0])
	}
	if t.qop == "" {
		s.join(t.nonce)
	} else {
		s.join(t.nonce, t.nc, t.cnonce, t.qop)
	}
	s.in = append(append(s.in, ':'), s.ha2...)
	s.out = s.sum(t.alg, s.out[:0])
	return s.out
}

// join sets s.in to H(A1) and parts, with colons between.
func (s *scratch) join(parts ...string) {
	s.in = append(s.in[:0], s.ha1...)
	for _, p := range parts {
		s.in = append(append(s.in, ':'), p...)
	}
}

// hash2 is H(first ":" second) and hash3 the same of three: the hashed user
// name (RFC 7616 section 3.4.4) and H(A1) (section 3.4.2).
func hash2(a Algorithm, first, second string) string {
	return string(a.appendSum(nil, []byte(first+":"+second)))
}

func hash3(a Algorithm, first, second, third string) string {
	return string(a.appendSum(nil, []byte(first+":"+second+":"+third)))
}
