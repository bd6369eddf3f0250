package call

import (
	"strings"
	"testing"

	"imp/internal/doc/sdp"
)

// TestBadFingerprint has an offer whose certificate can be nobody's.
func TestBadFingerprint(t *testing.T) {
	e, _ := stage(t, nil)
	offer := func(fingerprint string) *sdp.Media {
		return &sdp.Media{Kind: "message", Port: 9, Protocol: "TCP/TLS/MSRP", Formats: "*", Host: "127.0.0.1", Path: "msrps://127.0.0.1:9/x;tcp",
			AcceptTypes: []string{"*"}, Setup: "active", Fingerprints: []string{fingerprint}}
	}
	t.Run("MSRP-091 what cannot be read as one is refused, and not answered first", func(t *testing.T) {
		for _, bad := range []string{"SHA-1 AA:BB", "sha-256", "sha-256 zz"} {
			if _, err := e.Answer(t.Context(), offer(bad)); err == nil || !strings.Contains(err.Error(), "fingerprint") {
				t.Errorf("%q: %v", bad, err)
			}
		}
		l, err := e.Answer(t.Context(), offer(e.Fingerprint))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
}
