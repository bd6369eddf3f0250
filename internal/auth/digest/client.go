package digest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/text/unicode/norm"
)

// maxRealms is how many realms a Client keeps nonces for.
const maxRealms = 4

// Errors of a Request. They are wrapped with the realm or with what was offered.
var (
	// ErrRejected: the user name or password was just refused, so the same
	// request is not tried again (RFC 3261 section 22.1).
	ErrRejected = errors.New("user name or password was not accepted")
	// ErrUnanswerable: no challenge asks for what this client can do
	// (RFC 8760 section 2.4).
	ErrUnanswerable = errors.New("no digest challenge that can be answered")
	// ErrNoCredentials is given by ClientConfig.Credentials for a realm that
	// there is no password for.
	ErrNoCredentials = errors.New("no password for this realm")
	// ErrUnproven: the server did not prove that it knows the password (RFC 7616
	// section 3.5). This is a warning.
	ErrUnproven = errors.New("the server did not prove that it knows the password")
)

// ClientConfig says how a Client works. Credentials is needed.
type ClientConfig struct {
	// Credentials gives the user name and the password for a realm. It is called
	// when a challenge asks for them and no hash of them is at hand, without any
	// lock held and maybe from several requests at once. ErrNoCredentials makes
	// the client pass over the realm.
	Credentials func(realm string) (user, password string, err error)
	// NoMD5 refuses challenges that ask for MD5.
	NoMD5 bool
	// Random fills a slice with random bytes, default crypto/rand.
	Random func([]byte)
}

// Client answers the challenges of one server, or of one chain of proxies: the
// header fields Authorization and Proxy-Authorization have a Client each, and
// so have different HTTP and MSRP servers. It keeps a nonce and a hash of the
// password for each realm, and never the password. It never sends Basic. Its
// methods may be called concurrently.
type Client struct {
	cfg  ClientConfig
	pool sync.Pool
	mu   sync.Mutex
	// sessions has at most one for each realm, the newest first; the slice is
	// replaced and never changed.
	sessions []*session
	keys     []key
}

// key is a hash of a user name and password.
type key struct {
	realm     string
	alg       Algorithm // without session variant
	user, ha1 string
}

// session is what belongs to one nonce. All but count stays as it is.
type session struct {
	challenge
	key    key
	cnonce string
	name   []byte // the rendered user name parameter and userhash
	count  atomic.Uint32
}

// NewClient makes a Client.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Random == nil {
		cfg.Random = cryptoRandom
	}
	c := &Client{cfg: cfg}
	c.pool.New = func() any { return new(rendering) }
	return c
}

// rendering holds the buffers of one value.
type rendering struct {
	scratch
	b []byte
}

// answer is what a request carried for one realm.
type answer struct {
	session *session
	nc      string
}

// value makes the credentials for a request, with the next count of the nonce.
func (c *Client) value(s *session, method, uri string, body []byte) (string, answer) {
	r := c.pool.Get().(*rendering)
	defer c.pool.Put(r)
	a := answer{session: s}
	var digits [8]byte
	if s.qop != "" {
		a.nc = string(appendHex8(digits[:0], s.count.Add(1)))
	}
	t := s.terms(a.nc, method, uri, body)
	b := append(append(r.b[:0], scheme+" "...), s.name...)
	b = appendQuoted(b, ", ", fieldNames[fRealm], s.realm)
	b = appendQuoted(b, ", ", fieldNames[fNonce], s.nonce)
	b = appendQuoted(b, ", ", fieldNames[fURI], uri)
	b = append(append(b, `, response="`...), r.response(&t)...)
	b = append(b, '"')
	if s.algorithm != "" {
		b = appendToken(b, ", ", fieldNames[fAlgorithm], s.algorithm)
	}
	if s.hasOpaque {
		b = appendQuoted(b, ", ", fieldNames[fOpaque], s.opaque)
	}
	if s.qop != "" {
		b = appendQuoted(b, ", ", fieldNames[fCnonce], s.cnonce)
		b = appendToken(b, ", ", fieldNames[fQop], s.qop)
		b = appendToken(b, ", ", fieldNames[fNc], a.nc)
	}
	if s.userhash {
		b = appendToken(b, ", ", fieldNames[fUserhash], "true")
	}
	r.b = b
	return string(b), a
}

func (s *session) terms(nc, method, uri string, body []byte) terms {
	return terms{alg: s.alg, ha1: s.key.ha1, nonce: s.nonce, nc: nc, cnonce: s.cnonce, qop: s.qop,
		method: method, uri: uri, body: body}
}

// open starts a session for a challenge. One that repeats the nonce in hand
// goes on with the session of that nonce, for its counts must not repeat.
func (c *Client) open(ch challenge) (*session, error) {
	c.mu.Lock()
	for _, s := range c.sessions {
		if s.realm == ch.realm && s.nonce == ch.nonce && s.alg == ch.alg && s.qop == ch.qop {
			c.mu.Unlock()
			return s, nil
		}
	}
	k := c.findKey(ch.realm, ch.alg.Base())
	c.mu.Unlock()
	if k.ha1 == "" {
		var err error
		if k, err = c.fetchKey(ch.realm, ch.alg.Base()); err != nil {
			return nil, err
		}
	}
	s := &session{challenge: ch, key: k, cnonce: c.newCnonce()}
	s.name = s.renderName()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys = prepend(c.keys, k, func(o key) bool { return o.realm == k.realm && o.alg == k.alg }, 2*maxRealms)
	c.keep(s)
	return s, nil
}

// keep makes s the session of its realm; c.mu is held.
func (c *Client) keep(s *session) {
	c.sessions = prepend(c.sessions, s, func(o *session) bool { return o.realm == s.realm }, maxRealms)
}

// prepend gives a new list with x first, without those that x takes the place
// of, and not longer than most.
func prepend[T any](list []T, x T, replaced func(T) bool, most int) []T {
	out := make([]T, 0, len(list)+1)
	out = append(out, x)
	for _, o := range list {
		if !replaced(o) && len(out) < most {
			out = append(out, o)
		}
	}
	return out
}

func (c *Client) findKey(realm string, alg Algorithm) key {
	for _, k := range c.keys {
		if k.realm == realm && k.alg == alg {
			return k
		}
	}
	return key{}
}

// fetchKey asks for the password and hashes it (RFC 7616 sections 3.4.2 and 4).
func (c *Client) fetchKey(realm string, alg Algorithm) (key, error) {
	user, password, err := c.cfg.Credentials(realm)
	if err != nil {
		return key{}, fmt.Errorf("digest: answering for realm %q: %w", realm, err)
	}
	user, password = norm.NFC.String(user), norm.NFC.String(password)
	if user == "" || !isText(user) || strings.ContainsRune(user, ':') {
		return key{}, fmt.Errorf("digest: answering for realm %q: user name %q is empty or has a colon or a control character", realm, user)
	}
	return key{realm: realm, alg: alg, user: user, ha1: hash3(alg, user, realm, password)}, nil
}

func (c *Client) newCnonce() string {
	var b [16]byte
	c.cfg.Random(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// renderName gives username or username* (RFC 7616 sections 3.4 and 3.4.4). A
// server that says nothing of UTF-8 is an old one, which knows no username*.
func (s *session) renderName() []byte {
	switch {
	case s.userhash:
		return appendQuoted(nil, "", fieldNames[fUsername], hash2(s.alg, s.key.user, s.realm))
	case s.utf8 && !isASCII(s.key.user):
		return appendToken(nil, "", fieldNames[fUsernameExt], encodeExt(s.key.user))
	}
	return appendQuoted(nil, "", fieldNames[fUsername], s.key.user)
}

// encodeExt makes an ext-value (RFC 5987 section 3.2.1).
func encodeExt(s string) string {
	b := []byte("UTF-8''")
	for i := 0; i < len(s); i++ {
		if c := s[i]; tokenChar[c] && c != '%' && c != '\'' && c != '*' {
			b = append(b, c)
		} else {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return string(b)
}

// drop forgets a realm whose password was rejected, unless another one has
// taken its place.
func (c *Client) drop(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sessions []*session
	for _, o := range c.sessions {
		if o.realm != s.realm || o.key != s.key {
			sessions = append(sessions, o)
		}
	}
	var keys []key
	for _, k := range c.keys {
		if k != s.key {
			keys = append(keys, k)
		}
	}
	c.sessions, c.keys = sessions, keys
}

func (c *Client) current() []*session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions
}
