package stack

import (
	"strings"
	"testing"
)

// TestSigComp: compression (RFC 3320, RFC 3486) is neither asked for nor taken.
func TestSigComp(t *testing.T) {
	s := serve(t, Config{}, nil)
	compressed := "\xf8\x00\x01" + repeated('x', 200)
	t.Run("a compressed datagram is dropped", func(t *testing.T) {
		w := dial(t, s, "udp")
		w.send(compressed)
		w.send("\xff" + compressed)
		alive(t, w)
	})
	t.Run("a compressed stream is closed", func(t *testing.T) {
		w := dial(t, s, "tcp")
		alive(t, w)
		w.send(compressed)
		if got := w.receive(); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("comp=sigcomp changes nothing", func(t *testing.T) {
		for _, transport := range []string{"udp", "tcp"} {
			answer := dial(t, s, transport).ask(msg("OPTIONS", "URI: sip:bob@example.com;comp=sigcomp",
				"Via: SIP/2.0/UDP 127.0.0.1:9;comp=sigcomp;rport;branch=z9hG4bK"+NewTag()))
			wants(t, answer, 200)
			if strings.Count(answer, "sigcomp") != 1 || !strings.Contains(field(answer, "Via"), ";comp=sigcomp") {
				t.Errorf("got %q", answer)
			}
		}
	})
	if st := s.Stats(); st.Malformed != 0 {
		t.Errorf("stats %+v", st)
	}
}
