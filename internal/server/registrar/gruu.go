package registrar

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"imp/internal/sip/header"
)

// publicGRUU is the address of record with the device in gr (RFC 5627 section 5.1).
func publicGRUU(scheme, aor, instance string) string {
	u, err := header.ParseURI(aor)
	if err != nil {
		return aor
	}
	u.Scheme = scheme
	u.Params = header.Params{{Name: "gr", Value: strings.ReplaceAll(instance, "%", "%25")}}
	return u.String()
}

// gruus makes temporary GRUUs: the address of record and the epoch of the device, encrypted, so that nobody can make one,
// or tell whether two are of one device (RFC 5627 sections 5.1 and 5.4), and nothing is kept for each.
type gruus struct{ seal cipher.AEAD }

func newGRUUs(secret [32]byte) gruus {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the block has the right size
	}
	return gruus{seal}
}

const (
	temporaryPrefix = "tgruu."
	epochSize       = 8  // bytes
	gruuBlock       = 32 // the text is padded to multiples of it, so that its length tells little about the user
)

// newEpoch is what the temporary GRUUs of a device have in common until they are invalidated.
func newEpoch() string {
	b := make([]byte, epochSize)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// temporary makes a temporary GRUU, another one at each call.
func (g gruus) temporary(scheme, aor, epoch string) string {
	u, err := header.ParseURI(aor)
	raw, bad := hex.DecodeString(epoch)
	if err != nil || bad != nil {
		return ""
	}
	text := append(append(raw, u.User...), 0)
	for len(text)%gruuBlock != 0 {
		text = append(text, 0)
	}
	nonce := make([]byte, g.seal.NonceSize())
	_, _ = rand.Read(nonce)
	sealed := g.seal.Seal(nonce, nonce, text, []byte(u.Host))
	user := temporaryPrefix + base64.RawURLEncoding.EncodeToString(sealed)
	return header.URI{Scheme: scheme, User: user, Host: u.Host, Params: header.Params{{Name: "gr"}}}.String()
}

// open reads a temporary GRUU. It is not ok for a URI that is none, or that somebody else made.
func (g gruus) open(u header.URI) (aor, epoch string, ok bool) {
	text, ok := strings.CutPrefix(u.User, temporaryPrefix)
	if !ok {
		return "", "", false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < g.seal.NonceSize() {
		return "", "", false
	}
	n := g.seal.NonceSize()
	host := strings.ToLower(u.Host)
	plain, err := g.seal.Open(nil, sealed[:n], sealed[n:], []byte(host))
	if err != nil || len(plain) < epochSize {
		return "", "", false
	}
	user, _, _ := strings.Cut(string(plain[epochSize:]), "\x00")
	return header.URI{Scheme: "sip", User: user, Host: host}.AOR(), hex.EncodeToString(plain[:epochSize]), true
}

// isTemporary tells whether a URI looks like a temporary GRUU of this kind.
func isTemporary(u header.URI) bool {
	return strings.HasPrefix(u.User, temporaryPrefix) && u.Params.Has("gr")
}

// epoch is that of a device, "" when it has no valid temporary GRUU.
func (rec *record) epoch(instance string) string {
	for _, i := range rec.Instances {
		if i.ID == instance {
			return i.Epoch
		}
	}
	return ""
}

// device finds the device that a GRUU names: by the value of gr, which is not to be stripped for that (RFC 5627 section
// 6.1), or by epoch. ok is false when the GRUU is not valid.
func (rec *record) named(u header.URI, epoch string) (id string, ok bool) {
	gr, _ := u.Params.Get("gr")
	if plain, err := url.PathUnescape(gr); err == nil {
		gr = plain
	}
	gr = instanceID(gr)
	i := slices.IndexFunc(rec.Instances, func(i instance) bool {
		return epoch != "" && i.Epoch == epoch || epoch == "" && i.ID == gr
	})
	if i < 0 {
		return "", false
	}
	return rec.Instances[i].ID, true
}
