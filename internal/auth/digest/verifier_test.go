package digest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestChallenge(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Algorithms, c.Integrity = []Algorithm{SHA256, SHA512_256, MD5}, true })
	values := r.Challenge(false)
	t.Run("NAM-050 each another algorithm, preferred first", func(t *testing.T) {
		for i, want := range []string{"SHA-256", "SHA-512-256", "MD5"} {
			if got := param(values[i], "algorithm"); got != want {
				t.Errorf("challenge %d is for %s, want %s", i, got, want)
			}
		}
		if _, err := NewVerifier(Config{Realm: realm, Users: r.users, Algorithms: []Algorithm{MD5, MD5}}); err == nil {
			t.Error("one algorithm twice was taken")
		}
	})
	t.Run("NAM-051 qop always", func(t *testing.T) {
		for _, v := range append(values, newRig(t, nil).Challenge(true)...) {
			if !strings.Contains(v, `, qop="auth`) {
				t.Error(v)
			}
		}
	})
	t.Run("NAM-037 quotes of a challenge", func(t *testing.T) {
		nonce := param(values[0], "nonce")
		want := `Digest realm="example.com", nonce=` + nonce + `, algorithm=SHA-256, qop="auth,auth-int", charset=UTF-8`
		if values[0] != want || len(nonce) != nonceLen+2 {
			t.Errorf("%s\nwant %s", values[0], want)
		}
		if v := r.Challenge(true)[0]; !strings.HasSuffix(v, ", stale=true") {
			t.Error(v)
		}
	})
	t.Run("NAM-053 a realm is needed", func(t *testing.T) {
		for _, bad := range []string{"", "a\r\nb", "a\xff"} {
			if _, err := NewVerifier(Config{Realm: bad, Users: r.users}); err == nil {
				t.Errorf("realm %q was taken", bad)
			}
		}
		if r.Realm() != realm || param(values[0], "realm") != `"example.com"` {
			t.Error(values[0])
		}
	})
	t.Run("NAM-031 Basic is not offered", func(t *testing.T) {
		for _, v := range values {
			if !strings.HasPrefix(v, "Digest ") {
				t.Error(v)
			}
		}
	})
}

func TestNonces(t *testing.T) {
	r := newRig(t, nil)
	t.Run("NAM-054 every challenge has a nonce of its own", func(t *testing.T) {
		seen := map[string]bool{}
		for range 100 {
			for _, v := range r.Challenge(false) {
				n := param(v, "nonce")
				if seen[n] {
					t.Fatal("a nonce came twice")
				}
				seen[n] = true
			}
		}
	})
	t.Run("NAM-054 bound to the secret", func(t *testing.T) {
		other := newRig(t, nil)
		value := answered(t, newClient("alice", "secret"), other.Challenge(false), "PUBLISH", target, nil)
		if _, err := r.Verify([]string{value}, "PUBLISH", target, nil); verdictOf(err) != Stale {
			t.Errorf("right response to a nonce of another server: %v", err)
		}
		nonce := r.nonceOf()
		for i := range len(nonce) {
			forged := []byte(nonce)
			forged[i] ^= 1
			if _, ok := r.sign.check(string(forged)); ok {
				t.Errorf("nonce with byte %d changed was taken", i)
			}
		}
		for _, forged := range []string{nonce + "A", nonce[:nonceLen-1], ""} {
			if _, ok := r.sign.check(forged); ok {
				t.Errorf("nonce %q was taken", forged)
			}
		}
		if _, ok := r.sign.check(nonce); !ok {
			t.Error("own nonce was not known")
		}
	})
	t.Run("NAM-054 replay is refused", func(t *testing.T) {
		value := []string{answered(t, newClient("alice", "secret"), r.Challenge(false), "PUBLISH", target, nil)}
		if _, err := r.Verify(value, "PUBLISH", target, nil); err != nil {
			t.Fatal(err)
		}
		res, err := r.Verify(value, "PUBLISH", target, nil)
		if verdictOf(err) != Replayed || !verdictOf(err).Stale() || res.Verdict != Replayed {
			t.Errorf("the same again: %v %v", res, err)
		}
	})
	t.Run("NAM-055 expired nonce with the right response", func(t *testing.T) {
		challenges := r.Challenge(false)
		right := []string{answered(t, newClient("alice", "secret"), challenges, "PUBLISH", target, nil)}
		again := []string{answered(t, newClient("alice", "secret"), challenges, "PUBLISH", target, nil)}
		wrong := []string{answered(t, newClient("alice", "guess"), challenges, "PUBLISH", target, nil)}
		r.clock.step(5*time.Minute - time.Millisecond)
		if _, err := r.Verify(right, "PUBLISH", target, nil); err != nil {
			t.Errorf("just before the end: %v", err)
		}
		r.clock.step(time.Millisecond)
		if _, err := r.Verify(again, "PUBLISH", target, nil); verdictOf(err) != Stale || !verdictOf(err).Stale() {
			t.Errorf("at the end: %v", err)
		}
		if _, err := r.Verify(wrong, "PUBLISH", target, nil); verdictOf(err) != Wrong || verdictOf(err).Stale() {
			t.Errorf("wrong password and expired: %v", err)
		}
	})
}

func TestNonceOfTheFuture(t *testing.T) {
	r := newRig(t, nil)
	value := []string{answered(t, newClient("alice", "secret"), r.Challenge(false), "PUBLISH", target, nil)}
	r.clock.step(-time.Second)
	if _, err := r.Verify(value, "PUBLISH", target, nil); verdictOf(err) != Stale {
		t.Error(err)
	}
}

func TestVerdicts(t *testing.T) {
	r := newRig(t, nil)
	nonce := r.nonceOf()
	quoted := func(name, value string) string { return name + `="` + value + `"` }
	base := []string{quoted("username", "alice"), quoted("realm", realm), quoted("nonce", nonce), quoted("uri", target)}
	with := func(more ...string) []string { return append(base[:len(base):len(base)], more...) }
	without := func(i int) []string {
		list := append([]string{}, base[:i]...)
		return append(list, base[i+1:]...)
	}
	hex32 := strings.Repeat("0", 32)
	qop := []string{"qop=auth", "nc=00000001", `cnonce="c"`}
	for _, c := range []struct {
		name   string
		params []string
		want   Verdict
	}{
		{"NAM-052 qop, nc and cnonce", with(qop...), Granted},
		{"NAM-052 RFC 2069 form", with(), Granted},
		{"NAM-052 nc without qop means nothing", with(`nc="00000001"`), Granted},
		{"NAM-052 nc in quotes", with("qop=auth", `nc="00000002"`, `cnonce="c"`), Granted},
		{"NAM-052 qop in quotes", with(`qop="auth"`, `nc=00000003`, `cnonce="c"`), Granted},
		{"NAM-052 no qop with SHA-256", with("algorithm=SHA-256", quoted("response", hex32+hex32)), Malformed},
		{"NAM-058 qop without cnonce", with("qop=auth", "nc=00000001"), Malformed},
		{"NAM-058 qop without nc", with("qop=auth", `cnonce="c"`), Malformed},
		{"NAM-058 nc of seven digits", with("qop=auth", "nc=0000001", `cnonce="c"`), Malformed},
		{"NAM-058 nc not hexadecimal", with("qop=auth", "nc=0000000g", `cnonce="c"`), Malformed},
		{"NAM-058 qop that was not offered", with("qop=auth-int", "nc=00000001", `cnonce="c"`), Malformed},
		{"NAM-058 username and username*", with("username*=UTF-8''alice"), Malformed},
		{"NAM-058 no user name", without(0), Malformed},
		{"NAM-058 no realm", without(1), Malformed},
		{"NAM-058 no nonce", without(2), Malformed},
		{"NAM-058 no uri", without(3), Malformed},
		{"NAM-058 a parameter twice", with(`response="`+hex32+`"`, `NC=1`, `nc=1`), Malformed},
		{"NAM-058 response too short", with(`response="00"`), Malformed},
		{"NAM-058 response not hexadecimal", with(quoted("response", "g"+hex32[1:])), Malformed},
		{"wrong response", with(quoted("response", hex32)), Wrong},
		{"empty values before the first challenge", []string{`username="alice"`, `realm="example.com"`, `nonce=""`, `uri="x"`, `response=""`}, Missing},
		{"realm of somebody else", []string{`username="alice"`, `realm="other"`, `nonce="x"`, `uri="x"`, quoted("response", hex32)}, Missing},
		{"NAM-032 algorithm that was not offered", with("algorithm=SHA-512-256", quoted("response", hex32)), Missing},
		{"unknown algorithm", with("algorithm=SHA3", quoted("response", hex32)), Missing},
	} {
		t.Run(c.name, func(t *testing.T) {
			value := "Digest " + strings.Join(c.params, ", ")
			if c.want != Malformed {
				value = sign("secret", "PUBLISH", c.params...)
			} else if !strings.Contains(value, "response=") {
				value += `, response="` + hex32 + `"`
			}
			res, err := r.Verify([]string{value}, "PUBLISH", target, nil)
			if verdictOf(err) != c.want || res.Verdict != c.want {
				t.Errorf("%v %v, want %v\n%s", res, err, c.want, value)
			}
		})
	}
}

// TestPolicies has what the table of TestVerdicts has no place for.
func TestPolicies(t *testing.T) {
	r := newRig(t, nil)
	base := []string{`username="alice"`, `realm="example.com"`, `nonce="` + r.nonceOf() + `"`, `uri="` + target + `"`}
	qop := []string{"qop=auth", "nc=00000001", `cnonce="c"`}
	quoted := func(name, value string) string { return name + `="` + value + `"` }
	with := func(more ...string) []string { return append(base[:len(base):len(base)], more...) }
	t.Run("NAM-058 no response", func(t *testing.T) {
		if _, err := r.Verify([]string{"Digest " + strings.Join(base, ", ")}, "PUBLISH", target, nil); verdictOf(err) != Malformed {
			t.Error(err)
		}
	})
	t.Run("NAM-031 Basic is not accepted", func(t *testing.T) {
		if _, err := r.Verify([]string{"Basic YWxpY2U6c2VjcmV0"}, "PUBLISH", target, nil); verdictOf(err) != Missing {
			t.Error(err)
		}
	})
	t.Run("NAM-052 legacy can be switched off", func(t *testing.T) {
		strict := newRig(t, func(c *Config) { c.NoLegacy = true })
		value := sign("secret", "PUBLISH", `username="alice"`, `realm="example.com"`, quoted("nonce", strict.nonceOf()), quoted("uri", target))
		if _, err := strict.Verify([]string{value}, "PUBLISH", target, nil); verdictOf(err) != Malformed {
			t.Error(err)
		}
	})
	t.Run("NAM-032 MD5 can be switched off", func(t *testing.T) {
		strict := newRig(t, func(c *Config) { c.Algorithms = []Algorithm{SHA256} })
		for _, v := range strict.Challenge(false) {
			if strings.Contains(v, "MD5") {
				t.Error(v)
			}
		}
		value := sign("secret", "PUBLISH", append(with(qop...)[:2], quoted("nonce", strict.nonceOf()), quoted("uri", target), qop[0], qop[1], qop[2])...)
		if _, err := strict.Verify([]string{value}, "PUBLISH", target, nil); verdictOf(err) != Missing {
			t.Error(err)
		}
	})
	t.Run("other schemes and realms are passed over", func(t *testing.T) {
		values := []string{"Basic eDp5", `Digest username="x", realm="other", nonce="n", uri="u", response="00"`,
			`Digest realm="other", "broken`, sign("secret", "PUBLISH", with("qop=auth", "nc=00000009", `cnonce="c"`)...)}
		if res, err := r.Verify(values, "PUBLISH", target, nil); err != nil || res.User != "alice" {
			t.Errorf("%v %v", res, err)
		}
	})
	t.Run("one of several is enough, and there is a limit", func(t *testing.T) {
		bad := sign("guess", "PUBLISH", with()...)
		good := sign("secret", "PUBLISH", with()...)
		if _, err := r.Verify([]string{bad, bad, bad, good}, "PUBLISH", target, nil); err != nil {
			t.Error(err)
		}
		if _, err := r.Verify([]string{bad, bad, bad, bad, good}, "PUBLISH", target, nil); verdictOf(err) != Wrong {
			t.Error(err)
		}
	})
}

func TestTargets(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.SameTarget = func(uri, target string) bool { return uri == target || strings.HasSuffix(uri, "@example.com") }
	})
	c := newClient("alice", "secret")
	t.Run("NAM-056 a request that a proxy rewrote", func(t *testing.T) {
		value := answered(t, c, r.Challenge(false), "MESSAGE", "sip:bob@example.com", nil)
		if _, err := r.Verify([]string{value}, "MESSAGE", "sip:bob-7f@192.0.2.1:5062", nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("NAM-056 foreign uri", func(t *testing.T) {
		value := answered(t, c, r.Challenge(false), "MESSAGE", "sip:bob@elsewhere.example", nil)
		if _, err := r.Verify([]string{value}, "MESSAGE", "sip:bob@example.com", nil); verdictOf(err) != Misdirected {
			t.Error(err)
		}
	})
	t.Run("NAM-056 equal strings by default", func(t *testing.T) {
		plain := newRig(t, nil)
		value := answered(t, c, plain.Challenge(false), "MESSAGE", "sip:bob@example.com", nil)
		if _, err := plain.Verify([]string{value}, "MESSAGE", "sip:carol@example.com", nil); verdictOf(err) != Misdirected {
			t.Error(err)
		}
	})
}

// TestUnknownUsers shows that an unknown user costs what a wrong password
// costs: the same look-ups, the same hashes, the same words.
func TestUnknownUsers(t *testing.T) {
	r := newRig(t, func(c *Config) { c.UserHash, c.Algorithms = true, []Algorithm{SHA256, MD5} })
	for _, i := range []int{0, 1} {
		challenge := r.Challenge(false)[i : i+1]
		type cost struct {
			hashes, asked int
			text          string
		}
		measure := func(user string) cost {
			value := answered(t, newClient(user, "a guess"), challenge, "PUBLISH", target, nil)
			var s scratch
			before := r.users.asked
			_, err := r.verify(&s, []string{value}, "PUBLISH", target, nil)
			return cost{s.hashes, r.users.asked - before, err.Error()}
		}
		known, unknown := measure("alice"), measure("mallory")
		if known != unknown || known.hashes != 2 || known.asked != 1 {
			t.Errorf("a known user costs %+v, an unknown one %+v", known, unknown)
		}
	}
}

func TestUserNames(t *testing.T) {
	r := newRig(t, nil)
	t.Run("username* is decoded", func(t *testing.T) {
		value := answered(t, newClient("Jäsøn Doe", "Secret, or not?"), r.Challenge(false), "GET", "/doe.json", nil)
		if got := param(value, "username*"); got != "UTF-8''J%C3%A4s%C3%B8n%20Doe" {
			t.Fatal(value)
		}
		if res, err := r.Verify([]string{value}, "GET", "/doe.json", nil); err != nil || res.User != "Jäsøn Doe" {
			t.Error(res, err)
		}
		for _, bad := range []string{"ISO-8859-1''x", "UTF-8'x", "x", "UTF-8''%FF", "UTF-8''%0a", "UTF-8''%4"} {
			broken := strings.Replace(value, "UTF-8''J%C3%A4s%C3%B8n%20Doe", bad, 1)
			if _, err := r.Verify([]string{broken}, "GET", "/doe.json", nil); verdictOf(err) != Malformed {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
	t.Run("username* with userhash", func(t *testing.T) {
		value := answered(t, newClient("Jäsøn Doe", "x"), r.Challenge(false), "GET", "/", nil) + ", userhash=true"
		if _, err := r.Verify([]string{value}, "GET", "/", nil); verdictOf(err) != Malformed {
			t.Error(err)
		}
	})
	t.Run("quoting slashes", func(t *testing.T) {
		r.users.passwords[`a"b\c`] = "secret"
		value := answered(t, newClient(`a"b\c`, "secret"), r.Challenge(false), "GET", `/"`, nil)
		if res, err := r.Verify([]string{value}, "GET", `/"`, nil); err != nil || res.User != `a"b\c` {
			t.Errorf("%v %v\n%s", res, err, value)
		}
	})
	t.Run("sipsak without a user", func(t *testing.T) {
		value := sign("secret", "REGISTER", `username="alice@"`, `realm="example.com"`, `nonce="x"`, `uri="`+target+`"`)
		if _, err := r.Verify([]string{value}, "REGISTER", target, nil); verdictOf(err) != Wrong {
			t.Error(err)
		}
	})
	t.Run("Linphone's blanks", func(t *testing.T) {
		value := sign("secret", "REGISTER", ` username="alice"`, `  realm="example.com"`, `nonce="`+r.nonceOf()+`"`, ` uri="`+target+`"`,
			"qop=auth", ` cnonce="c"`, "nc=00000001")
		if _, err := r.Verify([]string{" " + value}, "REGISTER", target, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestLibpurple takes the nonce of the first challenge, whatever that asks for,
// and answers with MD5 and a growing nc but no qop.
func TestLibpurple(t *testing.T) {
	r := newRig(t, nil)
	nonce := r.nonceOf()
	for i := 1; i <= 3; i++ {
		value := sign("secret", "PUBLISH", `username="alice"`, `realm="example.com"`, `nonce="`+nonce+`"`, `uri="`+target+`"`, fmt.Sprintf(`nc="%08x"`, i))
		if _, err := r.Verify([]string{value}, "PUBLISH", target, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.used.table.young); n != 0 {
		t.Errorf("%d nonces kept for the form that has no counts", n)
	}
}

func TestWindow(t *testing.T) {
	type step struct {
		nc   uint32
		want bool
	}
	for name, steps := range map[string][]step{
		"in order":          {{1, true}, {2, true}, {3, true}, {2, false}, {3, false}},
		"out of order":      {{5, true}, {3, true}, {4, true}, {3, false}, {6, true}, {1, true}},
		"edge of 64":        {{1, true}, {65, true}, {1, false}, {2, true}, {2, false}},
		"beyond the window": {{100, true}, {36, false}, {37, true}},
		"a jump":            {{1, true}, {1000, true}, {1, false}, {999, true}, {1000, false}},
		"the last count":    {{math.MaxUint32, true}, {math.MaxUint32, false}, {math.MaxUint32 - 63, true}, {0, false}},
		"from zero":         {{0, true}, {0, false}, {1, true}},
	} {
		var w window
		for i, s := range steps {
			if got := w.use(s.nc); got != s.want {
				t.Errorf("%s: step %d, nc %d: %v", name, i, s.nc, got)
			}
		}
	}
}

// TestOutOfOrder sends what one client made in another order.
func TestOutOfOrder(t *testing.T) {
	r := newRig(t, nil)
	c := newClient("alice", "secret")
	values := []string{answered(t, c, r.Challenge(false), "PUBLISH", target, nil)}
	for range 9 {
		values = append(values, c.Request("PUBLISH", target, nil).Authorization()...)
	}
	for _, i := range []int{3, 0, 9, 1, 2, 8, 4, 7, 5, 6} {
		if _, err := r.Verify(values[i:i+1], "PUBLISH", target, nil); err != nil {
			t.Fatalf("value %d: %v", i, err)
		}
	}
	for i := range values {
		if _, err := r.Verify(values[i:i+1], "PUBLISH", target, nil); verdictOf(err) != Replayed {
			t.Fatalf("value %d again: %v", i, err)
		}
	}
}

// TestBoundedNonces fills the table: it stays small, and what it forgot is
// stale and never granted again.
func TestBoundedNonces(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxNonces = 8 })
	use := func(value string) Verdict {
		_, err := r.Verify([]string{value}, "PUBLISH", target, nil)
		return verdictOf(err)
	}
	first := answered(t, newClient("alice", "secret"), r.Challenge(false), "PUBLISH", target, nil)
	busy := newClient("bob", "hidden")
	if v := use(answered(t, busy, r.Challenge(false), "PUBLISH", target, nil)); v != Granted {
		t.Fatal(v)
	}
	if v := use(first); v != Granted {
		t.Fatal(v)
	}
	for i := range 100 {
		r.clock.step(time.Millisecond)
		if v := use(answered(t, newClient("alice", "secret"), r.Challenge(false), "PUBLISH", target, nil)); v != Granted {
			t.Fatalf("client %d: %v", i, v)
		}
		if v := use(busy.Request("PUBLISH", target, nil).Authorization()[0]); v != Granted {
			t.Fatalf("a nonce in use was forgotten in round %d: %v", i, v)
		}
		if n := len(r.used.table.young) + len(r.used.table.old); n > 16 {
			t.Fatalf("%d nonces in a table of twice 8", n)
		}
	}
	if v := use(first); v != Stale {
		t.Errorf("a forgotten nonce: %v", v)
	}
}

// TestNoStateBeforeUse shows that neither challenges nor failures leave a trace.
func TestNoStateBeforeUse(t *testing.T) {
	r := newRig(t, nil)
	for range 50 {
		value := answered(t, newClient("alice", "guess"), r.Challenge(false), "PUBLISH", target, nil)
		r.Verify([]string{value}, "PUBLISH", target, nil)
	}
	if n := len(r.used.table.young) + len(r.used.table.old); n != 0 {
		t.Errorf("%d nonces kept", n)
	}
}

func TestSecretsStayInside(t *testing.T) {
	t.Run("NAM-059 results and errors show no secret", func(t *testing.T) {
		r := newRig(t, nil)
		for _, password := range []string{"secret", "guess"} {
			value := answered(t, newClient("alice", password), r.Challenge(false), "PUBLISH", target, nil)
			res, err := r.Verify([]string{value}, "PUBLISH", target, nil)
			for _, text := range []string{fmt.Sprintf("%v %+v %s", res, res, res), fmt.Sprint(err)} {
				for _, secret := range []string{"secret\"", "guess", hash3(SHA256, "alice", realm, "secret"), param(value, "response")} {
					if strings.Contains(text, strings.Trim(secret, `"`)) {
						t.Errorf("%q shows %q", text, secret)
					}
				}
			}
		}
	})
}

func TestInfo(t *testing.T) {
	r := newRig(t, nil)
	value := answered(t, newClient("alice", "secret"), r.Challenge(false), "GET", target, nil)
	res, err := r.Verify([]string{value}, "GET", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	info := r.Info(res, nil, true)
	next := strings.Trim(param(info, "nextnonce"), `"`)
	if _, ok := r.sign.check(next); !ok {
		t.Errorf("nextnonce is not good: %s", info)
	}
	var s scratch
	terms := res.terms("", nil)
	want := `rspauth="` + string(s.response(&terms)) + `", qop=auth, cnonce=` + param(value, "cnonce") + `, nc=00000001, nextnonce="` + next + `"`
	if info != want {
		t.Errorf("%s\nwant %s", info, want)
	}
	bad, _ := r.Verify([]string{value}, "GET", target, nil)
	if got := r.Info(bad, nil, true); got != "" {
		t.Errorf("replayed credentials got %q", got)
	}
}
