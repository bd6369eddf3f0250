package session

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	_ "crypto/sha1" // a peer may send it beside a good one
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Fingerprint is the value of an SDP fingerprint attribute (RFC 8122 section 5):
// the hash of a certificate in DER form.
type Fingerprint struct {
	Hash string // "sha-256", in lower case
	Sum  []byte
}

// hashes are those that a fingerprint may have (RFC 8122 section 5). MD5 and MD2
// are never used, and SHA-1 only tells nothing (section 5.1).
var hashes = map[string]crypto.Hash{
	"sha-1":   crypto.SHA1,
	"sha-224": crypto.SHA224,
	"sha-256": crypto.SHA256,
	"sha-384": crypto.SHA384,
	"sha-512": crypto.SHA512,
}

// ParseFingerprint reads "sha-256 4A:AD:…". The error says what is wrong; a hash
// that is not known here is no error, and such a fingerprint matches nothing.
func ParseFingerprint(s string) (Fingerprint, error) {
	name, digits, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return Fingerprint{}, fmt.Errorf("fingerprint %q: no hash in it, expected such as sha-256 4A:AD:…", s)
	}
	f := Fingerprint{Hash: strings.ToLower(name)}
	pairs := strings.Split(strings.TrimSpace(digits), ":")
	for _, p := range pairs {
		b, err := hex.DecodeString(p)
		if err != nil || len(b) != 1 {
			return Fingerprint{}, fmt.Errorf("fingerprint %q: %q is not two hexadecimal digits", s, p)
		}
		f.Sum = append(f.Sum, b[0])
	}
	if h, known := hashes[f.Hash]; known && h.Size() != len(f.Sum) {
		return Fingerprint{}, fmt.Errorf("fingerprint %q: %d bytes, and %s has %d", s, len(f.Sum), f.Hash, h.Size())
	}
	return f, nil
}

// String is the value of the attribute.
func (f Fingerprint) String() string {
	const digits = "0123456789ABCDEF"
	b := append(make([]byte, 0, len(f.Hash)+3*len(f.Sum)+1), f.Hash...)
	for i, x := range f.Sum {
		sep := byte(':')
		if i == 0 {
			sep = ' '
		}
		b = append(b, sep, digits[x>>4], digits[x&15])
	}
	return string(b)
}

// FingerprintOf hashes a certificate in DER form with SHA-256, which every
// description has (RFC 8122 section 5.1).
func FingerprintOf(der []byte) Fingerprint {
	h := crypto.SHA256.New()
	h.Write(der)
	return Fingerprint{"sha-256", h.Sum(nil)}
}

// ErrFingerprint is the error of a peer whose certificate is not one of those
// that its description names, or that shows none (RFC 8122 section 6.2).
var ErrFingerprint = errors.New("the certificate of the peer is not the one that its description names")

// matches checks a certificate against the fingerprints of a description: those
// with the best hash count, and SHA-1 never alone.
func matches(want []Fingerprint, der []byte) bool {
	for _, hash := range []string{"sha-512", "sha-384", "sha-256", "sha-224"} {
		seen := false
		for _, f := range want {
			if f.Hash != hash {
				continue
			}
			seen = true
			h := hashes[hash].New()
			h.Write(der)
			if string(h.Sum(nil)) == string(f.Sum) {
				return true
			}
		}
		if seen {
			return false
		}
	}
	return false
}

// checkPeer is the check of a TLS connection with the fingerprints of a description.
func checkPeer(want []Fingerprint, state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 || !matches(want, state.PeerCertificates[0].Raw) {
		return ErrFingerprint
	}
	return nil
}

// NewCertificate makes a self-signed certificate for peers that learn its
// fingerprint (RFC 4975 section 14.4). It names nobody, so that each anonymous
// session can have one of its own; it is good from an hour before now.
func NewCertificate(now time.Time, valid time.Duration) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "msrp"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(valid),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
