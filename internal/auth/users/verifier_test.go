package users

import (
	"testing"

	"imp/internal/auth/digest"
)

// TestServesAVerifier logs in by the names and hashes of a file.
func TestServesAVerifier(t *testing.T) {
	s := source(t, Config{Algorithms: []string{"SHA-256", "SHA-512-256", "MD5"}, File: write(t, "alice:secret\nZoë:geheim\ncarol:example.com:"+sum(algMD5, "carol:example.com:pw")+"\n")})
	for alg := digest.MD5; alg <= digest.SHA512_256Sess; alg++ {
		v, err := digest.NewVerifier(digest.Config{Realm: home, Users: s, Algorithms: []digest.Algorithm{alg}, UserHash: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range []struct {
			name, password string
			ok             bool
		}{{"alice", "secret", true}, {"Zoë", "geheim", true}, {"carol", "pw", alg.Base() == digest.MD5}, {"alice", "guess", false}} {
			c := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return u.name, u.password, nil }})
			req := c.Request("PUBLISH", "sip:x", nil)
			if err := req.Challenged(v.Challenge(false)); err != nil {
				t.Fatal(err)
			}
			res, err := v.Verify(req.Authorization(), "PUBLISH", "sip:x", nil)
			if (err == nil) != u.ok || u.ok && res.User != u.name {
				t.Errorf("%s as %s: %v %v", alg, u.name, res, err)
			}
		}
	}
}
