package digest

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzVerify gives the verifier whatever comes: only a right response may pass,
// and refusals carry a verdict.
func FuzzVerify(f *testing.F) {
	f.Add(`Digest username="alice", realm="example.com", nonce="n", uri="u", response="00"`)
	f.Add(`Digest username*=UTF-8''a%20b, realm="example.com", nonce="n", uri="u\"", qop=auth, nc=00000001, cnonce="c", response="8ca523f5e9506fed4657c9700eebdbec"`)
	f.Add(`Basic x==, Digest a`)
	r := newRig(f, nil)
	f.Fuzz(func(t *testing.T, value string) {
		res, err := r.Verify([]string{value}, "PUBLISH", "u", nil)
		if err == nil || res.Verdict == Granted || verdictOf(err) != res.Verdict {
			t.Fatalf("%v %v", res, err)
		}
		if !utf8.ValidString(res.User) {
			t.Fatalf("user %q", res.User)
		}
	})
}

// FuzzChallenge gives the client whatever comes; what it answers can be read
// again and says the same.
func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth, auth-int", opaque="\\\"", charset=UTF-8, userhash=true, stale=true`)
	f.Add(`Negotiate a=, Digest realm="a\"", nonce=n, Basic realm="x"`)
	f.Fuzz(func(t *testing.T, value string) {
		req := newClient("Zoë", "secret").Request("PUBLISH", "u", nil)
		if req.Challenged([]string{value}) != nil {
			return
		}
		for i, v := range req.Authorization() {
			var got fields
			if ok, err := readCredentials(v, &got); !ok || err != nil && len(v) <= maxValue {
				t.Fatalf("%q: %v", v, err)
			}
			s := req.answered[i]
			if len(v) <= maxValue && (got.v[fRealm] != s.realm || got.v[fNonce] != s.nonce || got.v[fOpaque] != s.opaque || got.v[fUsername]+got.v[fUsernameExt] == "") {
				t.Fatalf("%q does not answer %q", v, value)
			}
		}
	})
}

// FuzzInfo gives the client whatever comes as Authentication-Info.
func FuzzInfo(f *testing.F) {
	f.Add(`rspauth="x", qop=auth, cnonce="c", nc=00000001, nextnonce="n"`)
	c := newClient("alice", "secret")
	f.Fuzz(func(t *testing.T, value string) {
		req := c.Request("PUBLISH", "u", nil)
		if err := req.Challenged([]string{`Digest realm="r", nonce="n", qop="auth"`}); err != nil {
			t.Fatal(err)
		}
		req.Authorization()
		if req.Accepted(value, nil) == nil && strings.Contains(value, "rspauth") && strings.Count(value, `"`) == 0 {
			var got fields
			l := list{s: value}
			if l.read(&got) == nil && got.has(fRspauth) {
				t.Fatalf("%q was believed", value)
			}
		}
	})
}
