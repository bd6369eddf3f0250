package digest

import (
	"errors"
	"fmt"
	"strings"
)

// maxRounds is how many times one request may be challenged: by a proxy and a
// server, each with a stale nonce, and once to spare.
const maxRounds = 5

// Request is one request from its first sending to its last retry. It is used
// by one goroutine at a time.
type Request struct {
	c           *Client
	method, uri string
	body        []byte
	// sent is what the request carried last; answered are the realms whose
	// challenges it has answered.
	sent     []answer
	answered []*session
	rounds   int
}

// Request starts a request with this method, target and body. The uri is the
// Request-URI, for HTTP the request target (RFC 8760 section 2.6).
func (c *Client) Request(method, uri string, body []byte) *Request {
	return &Request{c: c, method: method, uri: uri, body: body}
}

// Authorization gives the values to send now, one for each realm: none before
// the first challenge from the server, then those of the nonces in hand
// (RFC 7616 section 3.6), those last answered first. Each call counts as a
// sending of its own. HTTP has room for the first value only.
func (r *Request) Authorization() []string {
	sessions := r.c.current()
	if len(sessions) == 0 && len(r.answered) == 0 {
		return nil
	}
	values := make([]string, 0, len(sessions))
	r.sent = r.sent[:0]
	add := func(s *session) {
		value, a := r.c.value(s, r.method, r.uri, r.body)
		values, r.sent = append(values, value), append(r.sent, a)
	}
	for _, s := range r.answered {
		add(s)
	}
	for _, s := range sessions {
		if r.answeredRealm(s.realm) < 0 {
			add(s)
		}
	}
	return values
}

func (r *Request) answeredRealm(realm string) int {
	for i, s := range r.answered {
		if s.realm == realm {
			return i
		}
	}
	return -1
}

// Challenged takes the values of WWW-Authenticate or Proxy-Authenticate of a
// 401 or 407. Without an error the request is to be sent again, as a new one,
// with what Authorization then gives. The errors are ErrRejected,
// ErrUnanswerable, what Credentials gave, wrapped, or one that says that there
// is no end to the challenges.
func (r *Request) Challenged(values []string) error {
	if r.rounds++; r.rounds > maxRounds {
		return fmt.Errorf("digest: challenged %d times for one request", r.rounds)
	}
	challenges := readChallenges(values, r.c.cfg.NoMD5)
	if len(challenges) == 0 {
		return fmt.Errorf("digest: %w; the server offers %s", ErrUnanswerable, offered(values))
	}
	for _, ch := range challenges {
		// Credentials with a nonce in hand may fail for the nonce alone, for a
		// server that was started anew need not know what is stale. What
		// answered a challenge of this request is judged.
		if i := r.answeredRealm(ch.realm); i >= 0 && !ch.stale {
			r.c.drop(r.answered[i])
			return fmt.Errorf("digest: realm %q: %w", ch.realm, ErrRejected)
		}
	}
	return r.answer(challenges)
}

// answer opens sessions for all challenges that there is a password for, and
// puts them first.
func (r *Request) answer(challenges []challenge) error {
	var fresh []*session
	var missing error
	for _, ch := range challenges {
		s, err := r.c.open(ch)
		switch {
		case errors.Is(err, ErrNoCredentials):
			missing = err
		case err != nil:
			return err
		default:
			fresh = append(fresh, s)
		}
	}
	if len(fresh) == 0 {
		return missing
	}
	for _, old := range r.answered {
		replaced := false
		for _, s := range fresh {
			replaced = replaced || s.realm == old.realm
		}
		if !replaced {
			fresh = append(fresh, old)
		}
	}
	r.answered = fresh
	return nil
}

// offered names schemes and algorithms for an error message.
func offered(values []string) string {
	if len(values) == 0 {
		return "none"
	}
	var names []string
	for _, value := range values {
		if len(value) > maxValue {
			continue
		}
		scheme, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		var f fields
		if ok, _ := readCredentials(value, &f); ok && f.v[fAlgorithm] != "" {
			scheme += " " + f.v[fAlgorithm]
		}
		names = append(names, fmt.Sprintf("%.40q", scheme))
	}
	return strings.Join(names, ", ")
}

// Accepted takes the Authentication-Info (or Proxy-Authentication-Info) of the
// answer, with this body, to a request that was let in; an empty value is none.
// It takes nextnonce for the requests to come, and checks rspauth: the error
// wraps ErrUnproven and is a warning.
func (r *Request) Accepted(info string, body []byte) error {
	if info == "" || len(r.sent) == 0 {
		return nil
	}
	var f fields
	l := list{s: info}
	if len(info) > maxValue || l.read(&f) != nil || l.pos < len(info) {
		return errors.New("digest: authentication-info is malformed and was passed over")
	}
	a := r.sent[0]
	for _, o := range r.sent {
		if f.has(fCnonce) && o.session.cnonce == f.v[fCnonce] {
			a = o
		}
	}
	if f.has(fRspauth) && !r.proves(&f, a, body) {
		return fmt.Errorf("digest: realm %q: %w", a.session.realm, ErrUnproven)
	}
	if next := f.v[fNextNonce]; next != "" && isText(next) {
		r.c.renew(a.session, next)
	}
	return nil
}

// proves checks rspauth (RFC 7616 section 3.5).
func (r *Request) proves(f *fields, a answer, body []byte) bool {
	s := a.session
	if s.qop != "" && (f.v[fCnonce] != s.cnonce || !strings.EqualFold(f.v[fNc], a.nc)) {
		return false
	}
	t := s.terms(a.nc, "", r.uri, body)
	if f.has(fQop) && s.qop != "" {
		t.qop = f.v[fQop]
	}
	var sc scratch
	return string(sc.response(&t)) == f.v[fRspauth]
}

// renew goes on with a new nonce, unless another one has taken the place.
func (c *Client) renew(s *session, nonce string) {
	next := &session{challenge: s.challenge, key: s.key, cnonce: c.newCnonce(), name: s.name}
	next.nonce = nonce
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.sessions {
		if o == s {
			c.keep(next)
			return
		}
	}
}
