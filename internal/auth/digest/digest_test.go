package digest

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// people is a source of users that also counts how often it is asked.
type people struct {
	passwords map[string]string
	asked     int
}

func (p *people) HA1(algorithm, realm, name string) (string, bool) {
	p.asked++
	password, ok := p.passwords[name]
	if !ok {
		return "", false
	}
	alg, _ := ParseAlgorithm(algorithm)
	return hash3(alg, name, realm, password), true
}

func (p *people) NameOf(algorithm, realm, hash string) (string, bool) {
	alg, _ := ParseAlgorithm(algorithm)
	for name := range p.passwords {
		if hash2(alg, name, realm) == hash {
			return name, true
		}
	}
	return "", false
}

// clock is a clock that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time       { return c.t }
func (c *clock) step(d time.Duration) { c.t = c.t.Add(d) }

const (
	realm  = "example.com"
	target = "sip:alice@example.com"
)

type rig struct {
	*Verifier
	clock *clock
	users *people
}

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{clock: &clock{time.Unix(1e9, 0)}, users: &people{passwords: map[string]string{"alice": "secret", "bob": "hidden", "Jäsøn Doe": "Secret, or not?"}}}
	cfg := Config{Realm: realm, Users: r.users, Now: r.clock.now}
	if change != nil {
		change(&cfg)
	}
	v, err := NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Verifier = v
	return r
}

func newClient(user, password string) *Client {
	return NewClient(ClientConfig{Credentials: func(string) (string, string, error) { return user, password, nil }})
}

// answered gives a client's credentials for a request that was challenged.
func answered(t testing.TB, c *Client, challenges []string, method, uri string, body []byte) string {
	t.Helper()
	r := c.Request(method, uri, body)
	if err := r.Challenged(challenges); err != nil {
		t.Fatal(err)
	}
	return r.Authorization()[0]
}

// param is a parameter of a value, with its quotes.
func param(value, name string) string {
	for part := range strings.SplitSeq(strings.TrimPrefix(value, "Digest "), ", ") {
		if rest, ok := strings.CutPrefix(part, name+"="); ok {
			return rest
		}
	}
	return ""
}

func verdictOf(err error) Verdict {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Verdict
	}
	return Granted
}

// sign makes credentials by hand out of a list of name=value, where the value
// is as on the wire; response is computed unless it is given.
func sign(password, method string, params ...string) string {
	value := scheme + " " + strings.Join(params, ", ")
	var f fields
	if _, err := readCredentials(value, &f); err != nil {
		panic(err)
	}
	if f.has(fResponse) {
		return value
	}
	alg := MD5
	if f.has(fAlgorithm) {
		alg, _ = ParseAlgorithm(f.v[fAlgorithm])
	}
	var s scratch
	t := terms{alg: alg, ha1: hash3(alg, f.v[fUsername], f.v[fRealm], password), nonce: f.v[fNonce], nc: f.v[fNc],
		cnonce: f.v[fCnonce], qop: f.v[fQop], method: method, uri: f.v[fURI]}
	return value + `, response="` + string(s.response(&t)) + `"`
}

// nonceOf takes the nonce out of a new challenge.
func (r *rig) nonceOf() string { return strings.Trim(param(r.Challenge(false)[0], "nonce"), `"`) }

func TestVectors(t *testing.T) {
	mufasa := terms{nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc: "00000001",
		cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop: "auth", method: "GET", uri: "/dir/index.html"}
	doe := terms{nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", nc: "00000001",
		cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", qop: "auth", method: "GET", uri: "/doe.json"}
	for _, c := range []struct {
		id                    string
		alg                   Algorithm
		t                     terms
		user, realm, password string
		want                  string
	}{
		{"NAM-032 MD5 of RFC 7616 section 3.9.1", MD5, mufasa, "Mufasa", "http-auth@example.org", "Circle of Life",
			"8ca523f5e9506fed4657c9700eebdbec"},
		{"NAM-032 SHA-256 of RFC 7616 section 3.9.1", SHA256, mufasa, "Mufasa", "http-auth@example.org", "Circle of Life",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{"NAM-032 SHA-512-256 corrected", SHA512_256, doe, "Jäsøn Doe", "api@example.org", "Secret, or not?",
			"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"},
	} {
		t.Run(c.id, func(t *testing.T) {
			c.t.alg, c.t.ha1 = c.alg, hash3(c.alg, c.user, c.realm, c.password)
			var s scratch
			if got := string(s.response(&c.t)); got != c.want {
				t.Errorf("response %s, want %s", got, c.want)
			}
		})
	}
	t.Run("NAM-040 lower case digits, 64 or 32", func(t *testing.T) {
		for alg := MD5; alg <= SHA512_256Sess; alg++ {
			sum := string(alg.appendSum(nil, []byte("x")))
			if len(sum) != alg.hexLen() || sum != strings.ToLower(sum) || alg.hexLen() != map[bool]int{true: 32, false: 64}[alg.Base() == MD5] {
				t.Errorf("%s: %s", alg, sum)
			}
		}
	})
	t.Run("NAM-047 hashed user name corrected", func(t *testing.T) {
		want := "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
		if got := hash2(SHA512_256, "Jäsøn Doe", "api@example.org"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("session key of RFC 7616 section 3.4.2", func(t *testing.T) {
		x := mufasa
		x.alg, x.ha1 = SHA256Sess, hash3(SHA256, "Mufasa", "http-auth@example.org", "Circle of Life")
		var s scratch
		got := string(s.response(&x))
		plain := x
		plain.alg, plain.ha1 = SHA256, hash3(SHA256, x.ha1, x.nonce, x.cnonce)
		if want := string(s.response(&plain)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("NAM-041 auth-int without a body", func(t *testing.T) {
		var s scratch
		x := mufasa
		x.alg, x.ha1, x.qop = SHA256, hash3(SHA256, "Mufasa", "http-auth@example.org", "Circle of Life"), "auth-int"
		got := string(s.response(&x))
		ha2 := hash2(SHA256, "GET:/dir/index.html", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
		want := hash2(SHA256, x.ha1, strings.Join([]string{x.nonce, x.nc, x.cnonce, x.qop, ha2}, ":"))
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// TestClientMeetsVerifier tries every algorithm, qop and form of user name.
func TestClientMeetsVerifier(t *testing.T) {
	body := []byte("<presence/>")
	for alg := MD5; alg <= SHA512_256Sess; alg++ {
		for _, integrity := range []bool{false, true} {
			for _, hashed := range []bool{false, true} {
				for _, user := range []string{"alice", "Jäsøn Doe"} {
					r := newRig(t, func(c *Config) { c.Algorithms, c.Integrity, c.UserHash = []Algorithm{alg}, integrity, hashed })
					challenges := r.Challenge(false)
					if integrity {
						challenges[0] = strings.Replace(challenges[0], "auth,auth-int", "auth-int", 1)
					}
					c := newClient(user, r.users.passwords[user])
					req := c.Request("PUBLISH", target, body)
					if err := req.Challenged(challenges); err != nil {
						t.Fatal(err)
					}
					value := req.Authorization()
					res, err := r.Verify(value, "PUBLISH", target, body)
					if err != nil || res.User != user || res.Algorithm != alg {
						t.Fatalf("%s: %v, %v\n%s", alg, res, err, value)
					}
					if integrity {
						if _, err := r.Verify(value, "PUBLISH", target, []byte("<other/>")); verdictOf(err) != Wrong {
							t.Errorf("%s: auth-int with another body: %v", alg, err)
						}
					}
					if err := req.Accepted(r.Info(res, []byte("answer"), false), []byte("answer")); err != nil {
						t.Errorf("%s: %v", alg, err)
					}
					if _, err := r.Verify(newClientAnswer(t, user, challenges, body), "PUBLISH", target, body); verdictOf(err) != Wrong {
						t.Errorf("%s: wrong password: %v", alg, err)
					}
				}
			}
		}
	}
}

// newClientAnswer answers with a wrong password.
func newClientAnswer(t *testing.T, user string, challenges []string, body []byte) []string {
	return []string{answered(t, newClient(user, "a guess"), challenges, "PUBLISH", target, body)}
}

func TestParseAlgorithm(t *testing.T) {
	for name, want := range map[string]Algorithm{"md5": MD5, "SHA-256": SHA256, "sha-512-256-SESS": SHA512_256Sess, "": 0, "SHA-1": 0} {
		if got, ok := ParseAlgorithm(name); got != want || ok != (want != 0) {
			t.Errorf("%q: %v %v", name, got, ok)
		}
	}
}
