// Package identity is digest authentication in SIP (RFC 3261 section 22 as RFC
// 8760 changes it): a Guard tells servers who sent a request, a Client answers
// challenges to what it sends.
package identity

import (
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/auth/digest"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// GuardConfig says how a Guard works. Realm, Users and AOR are needed.
type GuardConfig struct {
	Realm string
	Users digest.Users
	// Algorithms are offered, the preferred one first; nil: SHA-256, MD5, and to
	// clients that give up on that what they can do.
	Algorithms []digest.Algorithm
	// NoLegacy refuses credentials in the form of RFC 2069.
	NoLegacy bool
	// AOR gives the address of record that a URI stands for, canonical and with
	// the scheme sip; it is not ok for one that is not of this server. It must
	// not tell whether there is such a user, since it is asked before anybody is
	// known to be right.
	AOR func(header.URI) (aor string, ok bool)
	Log *slog.Logger     // nil discards
	Now func() time.Time // nil: time.Now
}

// Guard authenticates requests to a server that acts as user agent (RFC 3261
// section 22.2) or as proxy (section 22.3). It keeps no state for requests without right credentials but
// bounded counts of failures. Its methods may be called concurrently.
type Guard struct {
	cfg      GuardConfig
	verifier *digest.Verifier
	throttle *digest.Throttle
}

// NewGuard makes a Guard; the error is that of digest.NewVerifier.
func NewGuard(cfg GuardConfig) (*Guard, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &Guard{cfg: cfg, throttle: digest.NewThrottle(digest.ThrottleConfig{Now: cfg.Now})}
	var err error
	g.verifier, err = digest.NewVerifier(digest.Config{Realm: cfg.Realm, Users: cfg.Users, Algorithms: cfg.Algorithms,
		NoLegacy: cfg.NoLegacy, SameTarget: g.serves, Now: cfg.Now})
	return g, err
}

// serves tells whether the uri of credentials is one of this server. A proxy
// may have rewritten the Request-URI since (RFC 8760 section 2.6), and there are
// clients that write the address of the server alone.
func (g *Guard) serves(uri, target string) bool {
	if uri == target {
		return true
	}
	u, err := header.ParseURI(uri)
	if err != nil {
		return false
	}
	if u.User == "" {
		u.User = "anybody"
	}
	_, ok := g.cfg.AOR(u)
	return ok
}

// Identify gives the address of record of who sent r, or the response that
// refuses it. The user and the realm of the credentials are mapped to the
// addresses of record of that user; From must be one of them, and says which.
func (g *Guard) Identify(r *stack.Request) (aor string, refusal *stack.Response) {
	return g.identify(r, &server)
}

// IdentifyForProxy is Identify for a request that is forwarded: credentials are
// in Proxy-Authorization, and the challenge is 407.
func (g *Guard) IdentifyForProxy(r *stack.Request) (aor string, refusal *stack.Response) {
	return g.identify(r, &proxy)
}

// role is what user agent servers and proxies differ in (RFC 3261 section 22.1).
type role struct {
	credentials, challenge string
	status                 int
}

var (
	server = role{"Authorization", "WWW-Authenticate", sip.StatusUnauthorized}
	proxy  = role{"Proxy-Authorization", "Proxy-Authenticate", sip.StatusProxyAuthRequired}
)

func (g *Guard) identify(r *stack.Request, as *role) (aor string, refusal *stack.Response) {
	res, err := g.verifier.Verify(header.Values(r.Request, as.credentials), string(r.Method), r.Recipient.String(), r.Body())
	if err != nil {
		return "", g.refuse(r, as, res, err.(*digest.Refusal))
	}
	aor, refusal = g.from(r)
	if refusal == nil && !Owns(res.User, aor) {
		g.cfg.Log.Info("From is not the user who authenticated", "user", res.User, "from", aor, "source", r.Flow.Remote())
		aor, refusal = "", notYou()
	}
	return aor, refusal
}

func notYou() *stack.Response {
	return &stack.Response{Status: sip.StatusForbidden, Reason: "From Is Not The Authenticated User"}
}

// from is the address of record of From.
func (g *Guard) from(r *stack.Request) (string, *stack.Response) {
	v, _, err := header.Single(r.Request, "From")
	if err != nil {
		return "", stack.Answer(sip.StatusBadRequest)
	}
	a, err := header.ParseAddress(v)
	if err != nil {
		return "", stack.Answer(sip.StatusBadRequest)
	}
	u, err := header.ParseURI(a.URI)
	if err != nil {
		return "", stack.Answer(sip.StatusBadRequest)
	}
	if aor, ok := g.cfg.AOR(u); ok {
		return aor, nil
	}
	return "", notYou()
}

// refuse answers a request without right credentials. A wrong password and an
// unknown user get the same.
func (g *Guard) refuse(r *stack.Request, as *role, res digest.Result, why *digest.Refusal) *stack.Response {
	switch why.Verdict {
	case digest.Missing:
		return g.challenge(r, as, false)
	case digest.Malformed, digest.Misdirected:
		g.cfg.Log.Debug("refusing a request", "reason", why, "source", r.Flow.Remote())
		warning := header.Warning{Code: 399, Agent: "imp", Text: why.Error()}
		return &stack.Response{Status: sip.StatusBadRequest, Reason: "Malformed Credentials",
			Fields: []stack.Field{{Name: "Warning", Value: warning.String()}}}
	}
	g.cfg.Log.Info("refusing a request", "reason", why, "user", res.User, "source", r.Flow.Remote())
	if why.Verdict == digest.Wrong {
		if wait := g.throttle.Failed(r.Flow.Remote().Addr(), res.User); wait > 0 {
			return &stack.Response{Status: sip.StatusForbidden, Reason: "Too Many Failures",
				Fields: []stack.Field{{Name: "Retry-After", Value: strconv.Itoa(int((wait + time.Second - 1) / time.Second))}}}
		}
	}
	return g.challenge(r, as, why.Verdict.Stale())
}

func (g *Guard) challenge(r *stack.Request, as *role, stale bool) *stack.Response {
	res := stack.Answer(as.status)
	var only []digest.Algorithm
	if g.cfg.Algorithms == nil {
		only = offerTo(r)
	}
	for _, v := range g.verifier.Challenge(stale, only...) {
		res.Fields = append(res.Fields, stack.Field{Name: as.challenge, Value: v})
	}
	return res
}

// Realm is the protection domain that the guard asks credentials for.
func (g *Guard) Realm() string { return g.cfg.Realm }

// Owns tells whether an address of record is one of the user with this name in
// credentials: NAME is the user of that name in every domain served, NAME@DOMAIN
// in that one.
func Owns(name, aor string) bool {
	u, err := header.ParseURI(aor)
	return err == nil && name != "" && AOR(name, u.Host) == aor
}

// AOR is the address of record in a domain of the user with this name in
// credentials, in the domain of the name where it has one.
func AOR(name, domain string) string {
	if at := strings.LastIndexByte(name, '@'); at > 0 {
		name, domain = name[:at], name[at+1:]
	}
	// A name is text and no part of a URI: it has no escapes.
	name = strings.ReplaceAll(name, "%", "%25")
	return header.URI{Scheme: "sip", User: name, Host: domain}.AOR()
}

// Known turns a set of names in credentials into one of users of domains, as
// user parts of URIs.
func Known(has func(name string) bool) func(user, domain string) bool {
	return func(user, domain string) bool {
		name, err := url.PathUnescape(user)
		return err == nil && (has(name) || has(name+"@"+strings.ToLower(domain)))
	}
}
