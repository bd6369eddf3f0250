package digest

import (
	"testing"
)

// BenchmarkVerify verifies requests that reuse one nonce.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []Algorithm{SHA256, MD5} {
		b.Run(alg.String(), func(b *testing.B) {
			users := newFixed()
			v, err := NewVerifier(Config{Realm: realm, Users: users, Algorithms: []Algorithm{alg}})
			if err != nil {
				b.Fatal(err)
			}
			c := newClient("alice", "secret")
			answered(b, c, v.Challenge(false), "PUBLISH", target, nil)
			values := make([][]string, 1<<14)
			for i := range values {
				values[i] = c.Request("PUBLISH", target, nil).Authorization()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%len(values) == 0 {
					v.used.table = newGenerations[nonceID, window](1<<16, v.cfg.Lifetime)
				}
				if _, err := v.Verify(values[i%len(values)], "PUBLISH", target, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkChallenge makes the two challenges of the default offer.
func BenchmarkChallenge(b *testing.B) {
	v := newRig(b, nil)
	b.ReportAllocs()
	for range b.N {
		v.Challenge(false)
	}
}

// BenchmarkAuthorization makes credentials with a nonce in hand.
func BenchmarkAuthorization(b *testing.B) {
	v := newRig(b, nil)
	c := newClient("alice", "secret")
	answered(b, c, v.Challenge(false), "PUBLISH", target, nil)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		c.Request("PUBLISH", target, nil).Authorization()
	}
}

// BenchmarkFailed counts a failure.
func BenchmarkFailed(b *testing.B) {
	th := NewThrottle(ThrottleConfig{})
	a := addr("192.0.2.1")
	b.ReportAllocs()
	for range b.N {
		th.Failed(a, "alice")
	}
}

// fixed knows alice's hashes beforehand, as a real source does.
type fixed map[string]string

func newFixed() fixed {
	return fixed{"MD5": hash3(MD5, "alice", realm, "secret"), "SHA-256": hash3(SHA256, "alice", realm, "secret")}
}

func (f fixed) HA1(algorithm, _, name string) (string, bool) {
	return f[algorithm], name == "alice"
}

func (f fixed) NameOf(_, _, _ string) (string, bool) { return "", false }
