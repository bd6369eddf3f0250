package digest

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Users is where a Verifier finds who may come in. Algorithms are given by
// their registered name, hashes are in lower-case hexadecimal digits. The
// methods are called concurrently.
type Users interface {
	// HA1 gives H(name:realm:password) of a user.
	HA1(algorithm, realm, name string) (ha1 string, ok bool)
	// NameOf finds the user whose H(name:realm) is hash (RFC 7616 section 3.4.4).
	NameOf(algorithm, realm, hash string) (name string, ok bool)
}

// Config says how a Verifier works. Realm and Users are needed.
type Config struct {
	// Realm is the protection domain, usually a domain name (RFC 3261 section 22.1).
	Realm string
	// Users are those who may come in.
	Users Users
	// Algorithms are offered in this order, the preferred one first; default
	// SHA-256, MD5.
	Algorithms []Algorithm
	// Lifetime is how long a nonce is good; default five minutes.
	Lifetime time.Duration
	// NoLegacy refuses MD5 credentials without qop, the form of RFC 2069, which
	// old clients send and which can be replayed while the nonce lives.
	NoLegacy bool
	// Integrity offers qop auth-int beside auth.
	Integrity bool
	// UserHash offers hashed user names.
	UserHash bool
	// SameTarget reports whether the uri of credentials is served here for a
	// request to target (RFC 8760 section 2.6 item 6); default equal strings.
	SameTarget func(uri, target string) bool
	// MaxNonces bounds each half of the table of used nonces; default 65536.
	// When it is full, the oldest nonces become stale.
	MaxNonces int
	// Now is the clock, default time.Now; Random fills a slice with random
	// bytes, default crypto/rand.
	Now    func() time.Time
	Random func([]byte)
}

// Verdict is what became of credentials.
type Verdict uint8

const (
	// Granted: the response is right, fresh and used for the first time.
	Granted Verdict = iota
	// Missing: there are no credentials for this realm in an algorithm on offer.
	// Answer with a challenge.
	Missing
	// Malformed: answer with 400 (RFC 7616 section 3.4).
	Malformed
	// Misdirected: the uri belongs to no target that is served here. Answer with
	// 400 (RFC 7616 section 3.4.6).
	Misdirected
	// Wrong: unknown user or wrong password. Answer with a challenge.
	Wrong
	// Stale: the response is right, but the nonce is expired or was made by
	// somebody else, such as this server before a restart. Answer with a
	// challenge that says so.
	Stale
	// Replayed: the response is right, but its nonce count was used before.
	// Answer with a challenge that says stale, for the password is right.
	Replayed
)

var verdictNames = [...]string{"granted", "no credentials", "malformed credentials", "credentials for another target",
	"wrong user name or password", "stale nonce", "replayed credentials"}

// String describes the verdict in a few words for a log; it holds no secret and
// says the same for an unknown user and a wrong password.
func (v Verdict) String() string { return verdictNames[v] }

// Stale reports whether the challenge that answers the verdict has stale=true.
func (v Verdict) Stale() bool { return v == Stale || v == Replayed }

// Refusal is the error of Verify.
type Refusal struct {
	// Verdict is any but Granted.
	Verdict Verdict
	// Detail says which rule malformed credentials break.
	Detail string
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "digest: " + r.Verdict.String()
	}
	return "digest: " + r.Verdict.String() + ": " + r.Detail
}

// Refusals without data are made once.
var (
	errMissing     = &Refusal{Verdict: Missing}
	errMisdirected = &Refusal{Verdict: Misdirected}
	errWrong       = &Refusal{Verdict: Wrong}
	errStale       = &Refusal{Verdict: Stale}
	errReplayed    = &Refusal{Verdict: Replayed}
)

// Result tells who sent a request.
type Result struct {
	// User is the name as provisioned when the verdict is Granted; when it is
	// Wrong, Stale or Replayed, the name that was claimed. It may be a part of
	// the header field value: strings.Clone it to keep it for long.
	User string
	// Algorithm is the one that the client chose.
	Algorithm Algorithm
	// Verdict is Granted exactly when Verify gives no error.
	Verdict Verdict

	ha1, nonce, nc, cnonce, qop, uri string
}

// String has the name and the verdict, and not what a password could be guessed
// from.
func (r Result) String() string { return fmt.Sprintf("%q: %s", r.User, r.Verdict) }

// Verifier checks credentials and makes challenges for one realm. Its methods
// may be called concurrently.
type Verifier struct {
	cfg   Config
	start time.Time
	sign  *signer
	used  nonces
	pool  sync.Pool
	// dummy has the H(A1) that stands in for unknown users, by base algorithm.
	dummy [SHA512_256 + 1]string
	// head and tails are what stands around the nonce of each challenge.
	head  string
	tails []string
}

// NewVerifier makes a Verifier. It refuses a realm that is empty or not plain
// text, missing users, and algorithms that are unknown or given twice.
func NewVerifier(cfg Config) (*Verifier, error) {
	if cfg.Realm == "" || !isText(cfg.Realm) {
		return nil, fmt.Errorf("digest: making a verifier: realm %q is empty or has control characters", cfg.Realm)
	}
	if cfg.Users == nil {
		return nil, errors.New("digest: making a verifier: no users given")
	}
	setDefaults(&cfg)
	v := &Verifier{cfg: cfg, start: cfg.Now(), sign: newSigner(cfg.Random)}
	v.pool.New = func() any { return new(scratch) }
	v.head = string(appendQuoted(nil, scheme+" ", fieldNames[fRealm], cfg.Realm)) + `, nonce="`
	v.used.table = newGenerations[nonceID, window](cfg.MaxNonces, cfg.Lifetime)
	for i, a := range cfg.Algorithms {
		if a.String() == "" || indexOf(cfg.Algorithms[:i], a) >= 0 {
			return nil, fmt.Errorf("digest: making a verifier: algorithm %d (%q) is unknown or given twice", i+1, a)
		}
		secret := make([]byte, 32)
		cfg.Random(secret)
		v.dummy[a.Base()] = string(a.appendSum(nil, secret))
		v.tails = append(v.tails, v.tail(a))
	}
	return v, nil
}

func setDefaults(cfg *Config) {
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []Algorithm{SHA256, MD5}
	}
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = 5 * time.Minute
	}
	if cfg.SameTarget == nil {
		cfg.SameTarget = func(uri, target string) bool { return uri == target }
	}
	if cfg.MaxNonces <= 0 {
		cfg.MaxNonces = 1 << 16
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = cryptoRandom
	}
}

// cryptoRandom never fails: crypto/rand ends the program instead.
func cryptoRandom(b []byte) { rand.Read(b) }

func indexOf(list []Algorithm, a Algorithm) int {
	for i, x := range list {
		if x == a {
			return i
		}
	}
	return -1
}

func (v *Verifier) tail(a Algorithm) string {
	b := appendToken([]byte{'"'}, ", ", fieldNames[fAlgorithm], a.String())
	qop := qopAuth
	if v.cfg.Integrity {
		qop += "," + qopInt
	}
	b = appendQuoted(b, ", ", fieldNames[fQop], qop)
	b = appendToken(b, ", ", fieldNames[fCharset], "UTF-8")
	if v.cfg.UserHash {
		b = appendToken(b, ", ", fieldNames[fUserhash], "true")
	}
	return string(b)
}

// Realm is the realm that the verifier was made for.
func (v *Verifier) Realm() string { return v.cfg.Realm }

func (v *Verifier) now() int64 { return v.cfg.Now().Sub(v.start).Milliseconds() }

// Challenge gives the values of WWW-Authenticate or Proxy-Authenticate, one
// for each algorithm with the preferred one first (RFC 8760 section 2.3), each
// with a nonce of its own. It keeps no state. Only offers these algorithms, in
// this order, of those that the verifier has; without it all are offered.
func (v *Verifier) Challenge(stale bool, only ...Algorithm) []string {
	if len(only) == 0 {
		only = v.cfg.Algorithms
	}
	values := make([]string, 0, len(only))
	now := v.now()
	var buf [512]byte
	for _, a := range only {
		i := indexOf(v.cfg.Algorithms, a)
		if i < 0 {
			continue
		}
		b := append(buf[:0], v.head...)
		b = v.sign.append(b, now)
		b = append(b, v.tails[i]...)
		if stale {
			b = appendToken(b, ", ", fieldNames[fStale], "true")
		}
		values = append(values, string(b))
	}
	return values
}

// maxTried is how many credentials for the realm are checked in one request:
// a client may answer several challenges of one realm (RFC 3261 section 22.3).
const maxTried = 4

var errTooMany = &Refusal{Malformed, "too many credentials for one realm"}

// Verify checks the values of Authorization or Proxy-Authorization of a request
// with this method, target and body. Credentials of other schemes and realms
// are passed over; one that is right is enough. The error is a *Refusal.
//
// An unknown user and a wrong password take the same path through the same
// number of hashes.
func (v *Verifier) Verify(values []string, method, target string, body []byte) (Result, error) {
	s := v.pool.Get().(*scratch)
	defer v.pool.Put(s)
	return v.verify(s, values, method, target, body)
}

func (v *Verifier) verify(s *scratch, values []string, method, target string, body []byte) (Result, error) {
	var worst Result
	refusal, tried := errMissing, 0
	for _, value := range values {
		var f fields
		ours, err := readCredentials(value, &f)
		if !ours || f.has(fRealm) && f.v[fRealm] != v.cfg.Realm {
			continue
		}
		var res Result
		var r *Refusal
		if tried++; tried > maxTried {
			r = errTooMany
		} else if err != nil {
			r = &Refusal{Malformed, err.Error()}
		} else {
			res, r = v.check(s, &f, method, target, body)
		}
		if r == nil {
			return res, nil
		}
		if r.Verdict > refusal.Verdict {
			worst, refusal = res, r
		}
	}
	worst.Verdict = refusal.Verdict
	return worst, refusal
}

// check judges one set of credentials for the realm.
func (v *Verifier) check(s *scratch, f *fields, method, target string, body []byte) (Result, *Refusal) {
	// Before its first challenge a client may send empty values (RFC 8760 section 2.7).
	if f.has(fNonce) && f.v[fNonce] == "" || f.has(fResponse) && f.v[fResponse] == "" {
		return Result{}, errMissing
	}
	alg := MD5
	if f.has(fAlgorithm) {
		alg, _ = ParseAlgorithm(f.v[fAlgorithm])
	}
	if indexOf(v.cfg.Algorithms, alg) < 0 {
		return Result{}, errMissing
	}
	name, hashed, r := v.judge(f, alg)
	if r != nil {
		return Result{}, r
	}
	if !v.cfg.SameTarget(f.v[fURI], target) {
		return Result{}, errMisdirected
	}
	res := Result{User: name, Algorithm: alg, nonce: f.v[fNonce], nc: f.v[fNc], cnonce: f.v[fCnonce],
		qop: f.v[fQop], uri: f.v[fURI]}
	var known bool
	res.User, res.ha1, known = v.lookup(alg, name, hashed)
	id, own := v.sign.check(res.nonce)
	t := res.terms(method, body)
	right := subtle.ConstantTimeCompare(s.response(&t), []byte(f.v[fResponse])) == 1
	if !right || !known {
		return res, errWrong
	}
	now := v.now()
	if age := now - id.issued(); !own || age < 0 || age >= v.cfg.Lifetime.Milliseconds() {
		return res, errStale
	}
	if res.qop == "" {
		return res, nil
	}
	nc, _ := parseHex8(res.nc)
	switch v.used.use(id, nc, now) {
	case Stale:
		return res, errStale
	case Replayed:
		return res, errReplayed
	}
	return res, nil
}

func (r *Result) terms(method string, body []byte) terms {
	return terms{alg: r.Algorithm, ha1: r.ha1, nonce: r.nonce, nc: r.nc, cnonce: r.cnonce, qop: r.qop,
		method: method, uri: r.uri, body: body}
}

// lookup finds H(A1) of a user, or something of the same length that no
// password gives.
func (v *Verifier) lookup(alg Algorithm, name string, hashed bool) (user, ha1 string, known bool) {
	base := alg.Base()
	user = name
	if hashed {
		if found, ok := v.cfg.Users.NameOf(base.String(), v.cfg.Realm, name); ok {
			user = found
		}
	}
	ha1, known = v.cfg.Users.HA1(base.String(), v.cfg.Realm, user)
	if !known {
		ha1 = v.dummy[base]
	}
	return user, ha1, known
}

var (
	errNames    = &Refusal{Malformed, "both username and username*"}
	errName     = &Refusal{Malformed, "user name is not UTF-8 text"}
	errQop      = &Refusal{Malformed, "qop was not offered"}
	errNoQop    = &Refusal{Malformed, "qop is missing"}
	errNc       = &Refusal{Malformed, "nc is not eight hexadecimal digits"}
	errCnonce   = &Refusal{Malformed, "cnonce is missing"}
	errResponse = &Refusal{Malformed, "response does not have the digits of its algorithm"}
	errMust     = [...]*Refusal{
		{Malformed, "realm is missing"}, {Malformed, "nonce is missing"},
		{Malformed, "uri is missing"}, {Malformed, "response is missing"}}
)

// judge looks for what makes credentials malformed and gives the user name,
// which is hashed with userhash=true.
func (v *Verifier) judge(f *fields, alg Algorithm) (name string, hashed bool, r *Refusal) {
	for i, want := range [...]field{fRealm, fNonce, fURI, fResponse} {
		if !f.has(want) {
			return "", false, errMust[i]
		}
	}
	if f.has(fUsername) == f.has(fUsernameExt) {
		return "", false, pick(f.has(fUsername), errNames, errName)
	}
	hashed = strings.EqualFold(f.v[fUserhash], "true")
	ok := true
	if name = f.v[fUsername]; f.has(fUsernameExt) {
		name, ok = decodeExt(f.v[fUsernameExt])
		ok = ok && !hashed
	}
	if !ok || name == "" || !isText(name) {
		return "", false, errName
	}
	if len(f.v[fResponse]) != alg.hexLen() || !isHex(f.v[fResponse]) {
		return "", false, errResponse
	}
	return name, hashed, v.judgeQop(f, alg)
}

func (v *Verifier) judgeQop(f *fields, alg Algorithm) *Refusal {
	qop := f.v[fQop]
	if qop == "" {
		// libpurple sends nc without qop, so nc alone means nothing.
		return pick(alg == MD5 && !v.cfg.NoLegacy, nil, errNoQop)
	}
	if qop != qopAuth && !strings.EqualFold(qop, qopAuth) && !(v.cfg.Integrity && strings.EqualFold(qop, qopInt)) {
		return errQop
	}
	if f.v[fCnonce] == "" {
		return errCnonce
	}
	_, ok := parseHex8(f.v[fNc])
	return pick(ok, nil, errNc)
}

func pick(cond bool, yes, no *Refusal) *Refusal {
	if cond {
		return yes
	}
	return no
}

// Info gives the value of Authentication-Info (RFC 7616 section 3.5) for the
// answer, with this body, to a request that was granted: rspauth, and with next
// a new nonce. It is empty for the form of RFC 2069, which has no such answer.
func (v *Verifier) Info(r Result, body []byte, next bool) string {
	if r.Verdict != Granted || r.qop == "" || r.ha1 == "" {
		return ""
	}
	s := v.pool.Get().(*scratch)
	defer v.pool.Put(s)
	t := r.terms("", body)
	b := appendQuoted(nil, "", fieldNames[fRspauth], string(s.response(&t)))
	b = appendToken(b, ", ", fieldNames[fQop], r.qop)
	b = appendQuoted(b, ", ", fieldNames[fCnonce], r.cnonce)
	b = appendToken(b, ", ", fieldNames[fNc], r.nc)
	if next {
		b = append(append(b, ", "...), `nextnonce="`...)
		b = append(v.sign.append(b, v.now()), '"')
	}
	return string(b)
}
