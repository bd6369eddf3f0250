package digest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestChoice(t *testing.T) {
	md5 := `Digest realm="r", nonce="m", algorithm=MD5, qop="auth"`
	sha := `Digest realm="r", nonce="s", algorithm=SHA-256, qop="auth"`
	odd := `Digest realm="r", nonce="o", algorithm=SHA3-512, qop="auth"`
	c := newClient("alice", "secret")
	nonce := func(values ...string) string { return param(answered(t, c, values, "GET", "/", nil), "nonce") }
	t.Run("NAM-033 the topmost that is supported", func(t *testing.T) {
		for _, x := range []struct {
			values []string
			want   string
		}{
			{[]string{md5, sha}, `"m"`}, {[]string{sha, md5}, `"s"`}, {[]string{odd, md5, sha}, `"m"`},
			{[]string{`Basic realm="r"`, `Negotiate abc==`, sha}, `"s"`},
			{[]string{`Negotiate abc==, Basic realm="Digest, x", ` + sha + ", " + md5}, `"s"`},
			{[]string{md5 + ", " + sha}, `"m"`},
			{[]string{`Digest realm="r", nonce="m", nonce="x"`, sha}, `"s"`},
			{[]string{`Digest realm="r", qop="auth"`, sha}, `"s"`},
			{[]string{`Digest realm="r", nonce="a", qop="other"`, sha}, `"s"`},
			{[]string{`Digest realm="r", nonce="a", algorithm=MD5-sess`, sha}, `"s"`},
		} {
			if got := nonce(x.values...); got != x.want {
				t.Errorf("%q: nonce %s, want %s", x.values, got, x.want)
			}
		}
	})
	t.Run("NAM-032 no algorithm is MD5", func(t *testing.T) {
		r := newRig(t, nil)
		challenge := strings.Replace(r.Challenge(false)[1], ", algorithm=MD5", "", 1)
		value := answered(t, c, []string{challenge}, "GET", "/", nil)
		if param(value, "algorithm") != "" || len(param(value, "response")) != 34 {
			t.Error(value)
		}
		if _, err := r.Verify([]string{value}, "GET", "/", nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("NAM-032 MD5 can be switched off", func(t *testing.T) {
		strict := NewClient(ClientConfig{NoMD5: true, Credentials: c.cfg.Credentials})
		if got := param(answered(t, strict, []string{md5, sha}, "GET", "/", nil), "nonce"); got != `"s"` {
			t.Error(got)
		}
		if err := strict.Request("GET", "/", nil).Challenged([]string{md5}); !errors.Is(err, ErrUnanswerable) {
			t.Error(err)
		}
	})
	t.Run("NAM-035 none can be answered", func(t *testing.T) {
		req := c.Request("GET", "/", nil)
		err := req.Challenged([]string{odd})
		if !errors.Is(err, ErrUnanswerable) || !strings.Contains(err.Error(), "SHA3-512") {
			t.Error(err)
		}
	})
	t.Run("NAM-031 Basic is given up", func(t *testing.T) {
		asked := false
		shy := NewClient(ClientConfig{Credentials: func(string) (string, string, error) { asked = true; return "a", "b", nil }})
		if err := shy.Request("GET", "/", nil).Challenged([]string{`Basic realm="r"`}); !errors.Is(err, ErrUnanswerable) || asked {
			t.Error(err, asked)
		}
	})
}

func TestRealms(t *testing.T) {
	one := `Digest realm="one", nonce="1", qop="auth"`
	two := `Digest realm="two", nonce="2", qop="auth"`
	t.Run("NAM-034 topmost of any realm first, all realms in one retry", func(t *testing.T) {
		req := newClient("alice", "secret").Request("GET", "/", nil)
		if err := req.Challenged([]string{two, one, `Digest realm="two", nonce="3", algorithm=SHA-256, qop="auth"`}); err != nil {
			t.Fatal(err)
		}
		values := req.Authorization()
		if len(values) != 2 || param(values[0], "nonce") != `"2"` || param(values[1], "nonce") != `"1"` {
			t.Errorf("%q", values)
		}
	})
	t.Run("NAM-034 one realm after the other", func(t *testing.T) {
		req := newClient("alice", "secret").Request("GET", "/", nil)
		for _, challenge := range []string{one, two} {
			if err := req.Challenged([]string{challenge}); err != nil {
				t.Fatal(err)
			}
		}
		req.Authorization()
		values := req.Authorization()
		if len(values) != 2 || param(values[0], "realm") != `"two"` || param(values[1], "realm") != `"one"` || param(values[1], "nc") != "00000002" {
			t.Errorf("%q", values)
		}
		if err := req.Challenged([]string{strings.Replace(one, `"1"`, `"11"`, 1)}); !errors.Is(err, ErrRejected) {
			t.Errorf("the first realm again: %v", err)
		}
	})
	t.Run("NAM-034 a realm without a password is passed over", func(t *testing.T) {
		c := NewClient(ClientConfig{Credentials: func(realm string) (string, string, error) {
			if realm == "one" {
				return "", "", ErrNoCredentials
			}
			return "alice", "secret", nil
		}})
		req := c.Request("GET", "/", nil)
		if err := req.Challenged([]string{one, two}); err != nil {
			t.Fatal(err)
		}
		if v := req.Authorization(); len(v) != 1 || param(v[0], "realm") != `"two"` {
			t.Errorf("%q", v)
		}
		if err := c.Request("GET", "/", nil).Challenged([]string{one}); !errors.Is(err, ErrNoCredentials) {
			t.Error(err)
		}
	})
	t.Run("realms kept are bounded", func(t *testing.T) {
		c := newClient("alice", "secret")
		for i := range 50 {
			answered(t, c, []string{fmt.Sprintf(`Digest realm="%d", nonce="n", qop="auth"`, i)}, "GET", "/", nil)
		}
		if len(c.sessions) != maxRealms || len(c.keys) != 2*maxRealms {
			t.Errorf("%d sessions, %d keys", len(c.sessions), len(c.keys))
		}
	})
}

func TestCredentialsOnTheWire(t *testing.T) {
	c := newClient("alice", "secret")
	c.cfg.Random = func(b []byte) { clear(b) }
	cnonce := strings.Repeat("A", 22)
	value := answered(t, c, []string{`Digest realm="a \"b\"", nonce="n", opaque="o+/=", algorithm=sha-256, qop="auth-int , auth", charset=utf-8, stale=false`}, "PUBLISH", target, nil)
	t.Run("NAM-037 quotes of credentials", func(t *testing.T) {
		want := `Digest username="alice", realm="a \"b\"", nonce="n", uri="sip:alice@example.com", response=` + param(value, "response") +
			`, algorithm=sha-256, opaque="o+/=", cnonce="` + cnonce + `", qop=auth, nc=00000001`
		if value != want || len(param(value, "response")) != 66 {
			t.Errorf("%s\nwant %s", value, want)
		}
	})
	t.Run("NAM-039 uri is the target in quotes", func(t *testing.T) {
		if param(value, "uri") != `"`+target+`"` {
			t.Error(value)
		}
	})
	t.Run("NAM-042 opaque and algorithm as received", func(t *testing.T) {
		if param(value, "opaque") != `"o+/="` || param(value, "algorithm") != "sha-256" {
			t.Error(value)
		}
		bare := answered(t, c, []string{`Digest realm="r", nonce="n", qop="auth"`}, "PUBLISH", target, nil)
		if strings.Contains(bare, "opaque") || strings.Contains(bare, "algorithm") {
			t.Error(bare)
		}
	})
	t.Run("NAM-036 without qop the form of RFC 2069", func(t *testing.T) {
		old := answered(t, c, []string{`Digest realm="example.com", nonce="n"`}, "PUBLISH", target, nil)
		for _, name := range []string{"qop", "nc", "cnonce"} {
			if param(old, name) != "" {
				t.Error(old)
			}
		}
		want := hash3(MD5, hash3(MD5, "alice", "example.com", "secret"), "n", hash2(MD5, "PUBLISH", target))
		if param(old, "response") != `"`+want+`"` {
			t.Errorf("%s, want response %s", old, want)
		}
	})
	t.Run("NAM-036 auth-int only", func(t *testing.T) {
		v := answered(t, c, []string{`Digest realm="r", nonce="n", qop="x,auth-int"`}, "PUBLISH", target, []byte("body"))
		if param(v, "qop") != "auth-int" {
			t.Error(v)
		}
	})
}

func TestNamesOnTheWire(t *testing.T) {
	t.Run("NAM-047 hashed user name when offered", func(t *testing.T) {
		v := answered(t, newClient("Jäsøn Doe", "Secret, or not?"), []string{`Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="n", userhash=true`}, "GET", "/doe.json", nil)
		if param(v, "username") != `"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"` || !strings.HasSuffix(v, ", userhash=true") {
			t.Error(v)
		}
	})
	t.Run("NAM-048 composed form and UTF-8", func(t *testing.T) {
		r := newRig(t, nil)
		r.users.passwords["Zoë"] = "pässword"
		decomposed := newClient("Zoe\u0308", "pa\u0308ssword")
		res, err := r.Verify([]string{answered(t, decomposed, r.Challenge(false), "GET", "/", nil)}, "GET", "/", nil)
		if err != nil || res.User != "Zoë" {
			t.Error(res, err)
		}
		if !strings.Contains(r.Challenge(false)[0], ", charset=UTF-8") {
			t.Error("the challenge says nothing of UTF-8")
		}
	})
	t.Run("old servers get the name in quotes", func(t *testing.T) {
		v := answered(t, newClient("Zoë", "x"), []string{`Digest realm="r", nonce="n", qop="auth"`}, "GET", "/", nil)
		if param(v, "username") != `"Zoë"` {
			t.Error(v)
		}
	})
	t.Run("names that cannot be sent", func(t *testing.T) {
		for _, name := range []string{"", "a:b", "a\nb", "\xff"} {
			if err := newClient(name, "x").Request("GET", "/", nil).Challenged([]string{`Digest realm="r", nonce="n"`}); err == nil {
				t.Errorf("%q was taken", name)
			}
		}
	})
}

func TestReuse(t *testing.T) {
	r := newRig(t, nil)
	asked := 0
	c := NewClient(ClientConfig{Credentials: func(string) (string, string, error) { asked++; return "alice", "secret", nil }})
	if v := c.Request("REGISTER", target, nil).Authorization(); v != nil {
		t.Fatalf("credentials before any challenge: %q", v)
	}
	first := answered(t, c, r.Challenge(false), "REGISTER", target, nil)
	t.Run("NAM-046 the next request has credentials", func(t *testing.T) {
		v := c.Request("PUBLISH", target, nil).Authorization()
		if len(v) != 1 || param(v[0], "nonce") != param(first, "nonce") {
			t.Fatalf("%q", v)
		}
		if _, err := r.Verify(v, "PUBLISH", target, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("NAM-038 nc grows and starts anew", func(t *testing.T) {
		if param(first, "nc") != "00000001" {
			t.Error(first)
		}
		for i := 3; i < 20; i++ {
			v := c.Request("MESSAGE", target, nil).Authorization()[0]
			if want := fmt.Sprintf("%08x", i); param(v, "nc") != want {
				t.Errorf("%s, want nc %s", v, want)
			}
		}
		if v := answered(t, c, r.Challenge(true), "PUBLISH", target, nil); param(v, "nc") != "00000001" {
			t.Error(v)
		}
	})
	t.Run("NAM-038 a server that repeats its nonce", func(t *testing.T) {
		challenge := []string{`Digest realm="kamailio", nonce="time", qop="auth"`}
		a, b := answered(t, c, challenge, "PUBLISH", target, nil), answered(t, c, challenge, "MESSAGE", target, nil)
		if param(a, "nc") != "00000001" || param(b, "nc") != "00000002" {
			t.Errorf("%s\n%s", a, b)
		}
	})
	if asked != 2 {
		t.Errorf("asked for the password %d times in two realms", asked)
	}
}

// exchange sends a request to a verifier until it is let in or gives up, and
// counts the sendings.
func exchange(r *rig, c *Client, method string) (sendings int, err error) {
	req := c.Request(method, target, nil)
	for {
		sendings++
		_, err := r.Verify(req.Authorization(), method, target, nil)
		if err == nil {
			return sendings, nil
		}
		if err := req.Challenged(r.Challenge(verdictOf(err).Stale())); err != nil {
			return sendings, err
		}
	}
}

func TestRetries(t *testing.T) {
	r := newRig(t, nil)
	asked := 0
	password := "secret"
	c := NewClient(ClientConfig{Credentials: func(string) (string, string, error) { asked++; return "alice", password, nil }})
	for _, want := range []int{2, 1, 1} {
		if n, err := exchange(r, c, "PUBLISH"); n != want || err != nil {
			t.Errorf("%d sendings, want %d: %v", n, want, err)
		}
	}
	t.Run("NAM-043 stale nonce, no prompt", func(t *testing.T) {
		r.clock.step(time.Hour)
		if n, err := exchange(r, c, "PUBLISH"); n != 2 || err != nil || asked != 1 {
			t.Errorf("%d sendings, asked %d times: %v", n, asked, err)
		}
	})
	t.Run("NAM-043 wrong password, exactly one retry", func(t *testing.T) {
		wrong := newClient("alice", "guess")
		for range 2 {
			if n, err := exchange(r, wrong, "PUBLISH"); n != 2 || !errors.Is(err, ErrRejected) {
				t.Errorf("%d sendings: %v", n, err)
			}
		}
		if wrong.sessions != nil || wrong.keys != nil {
			t.Error("a rejected password was kept")
		}
	})
	t.Run("NAM-043 a password that was changed", func(t *testing.T) {
		r.users.passwords["alice"], password = "changed", "changed"
		if n, err := exchange(r, c, "PUBLISH"); n != 2 || !errors.Is(err, ErrRejected) {
			t.Errorf("%d sendings: %v", n, err)
		}
		if n, err := exchange(r, c, "PUBLISH"); n != 2 || err != nil || asked != 2 {
			t.Errorf("%d sendings, asked %d times: %v", n, asked, err)
		}
	})
	t.Run("a server started anew", func(t *testing.T) {
		again := newRig(t, nil)
		again.users.passwords["alice"] = "changed"
		if n, err := exchange(again, c, "PUBLISH"); n != 2 || err != nil || asked != 2 {
			t.Errorf("%d sendings, asked %d times: %v", n, asked, err)
		}
	})
	t.Run("a server that does not say stale", func(t *testing.T) {
		req := c.Request("PUBLISH", target, nil)
		if len(req.Authorization()) != 1 {
			t.Fatal("no credentials in hand")
		}
		if err := req.Challenged(r.Challenge(false)); err != nil {
			t.Error(err)
		}
		if err := req.Challenged(r.Challenge(false)); !errors.Is(err, ErrRejected) {
			t.Error(err)
		}
	})
	t.Run("no end of stale", func(t *testing.T) {
		req := newClient("alice", "secret").Request("PUBLISH", target, nil)
		n := 0
		for ; n < 100 && req.Challenged(r.Challenge(true)) == nil; n++ {
			req.Authorization()
		}
		if n != maxRounds {
			t.Errorf("%d rounds", n)
		}
	})
}

func TestAuthenticationInfo(t *testing.T) {
	r := newRig(t, nil)
	c := newClient("alice", "secret")
	answer := func() (*Request, Result) {
		req := c.Request("PUBLISH", target, nil)
		if err := req.Challenged(r.Challenge(false)); err != nil {
			t.Fatal(err)
		}
		res, err := r.Verify(req.Authorization(), "PUBLISH", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		return req, res
	}
	t.Run("NAM-045 nextnonce is used next", func(t *testing.T) {
		req, res := answer()
		info := r.Info(res, nil, true)
		if err := req.Accepted(info, nil); err != nil {
			t.Fatal(err)
		}
		v := c.Request("PUBLISH", target, nil).Authorization()
		if param(v[0], "nonce") != param(info, "nextnonce") || param(v[0], "nc") != "00000001" {
			t.Errorf("%s after %s", v, info)
		}
		if _, err := r.Verify(v, "PUBLISH", target, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("NAM-045 wrong rspauth warns", func(t *testing.T) {
		for _, change := range []func(string) string{
			func(s string) string { return strings.Replace(s, `rspauth="`, `rspauth="0`, 1) },
			func(s string) string { return strings.Replace(s, `nc=00000001`, `nc=00000002`, 1) },
			func(s string) string { return strings.Replace(s, `cnonce="`, `cnonce="x`, 1) },
		} {
			req, res := answer()
			info := r.Info(res, nil, true)
			if err := req.Accepted(change(info), nil); !errors.Is(err, ErrUnproven) {
				t.Errorf("%s: %v", change(info), err)
			}
			if v := c.Request("PUBLISH", target, nil).Authorization(); param(v[0], "nonce") == param(info, "nextnonce") {
				t.Error("the next nonce of an unproven server was taken")
			}
			if err := req.Accepted(info, nil); err != nil {
				t.Errorf("%s: %v", info, err)
			}
		}
	})
	t.Run("malformed", func(t *testing.T) {
		req, _ := answer()
		for _, bad := range []string{`nextnonce="x`, `a=b c=d`, strings.Repeat("a", maxValue+1)} {
			if req.Accepted(bad, nil) == nil {
				t.Errorf("%.20q was taken", bad)
			}
		}
	})
}

// TestConcurrentRequests lets many requests share a nonce.
func TestConcurrentRequests(t *testing.T) {
	r := newRig(t, nil)
	c := newClient("alice", "secret")
	answered(t, c, r.Challenge(false), "PUBLISH", target, nil)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				v := c.Request("PUBLISH", target, nil).Authorization()
				mu.Lock()
				if nc := param(v[0], "nc"); seen[nc] {
					t.Errorf("nc %s came twice", nc)
				} else {
					seen[nc] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 1600 {
		t.Errorf("%d counts", len(seen))
	}
}
