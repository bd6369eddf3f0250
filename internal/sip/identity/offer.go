package identity

import (
	"strings"

	"imp/internal/auth/digest"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// onlyMD5 are the begins of User-Agent of clients that give up when any of the
// challenges has an algorithm that they do not know.
var onlyMD5 = []string{"baresip v0.", "baresip v1."}

// offerTo gives the algorithms for a client that an offer of several would shut
// out, nil for others.
func offerTo(r *stack.Request) []digest.Algorithm {
	agent, _, _ := header.Single(r.Request, "User-Agent")
	for _, prefix := range onlyMD5 {
		if strings.HasPrefix(agent, prefix) {
			return []digest.Algorithm{digest.MD5}
		}
	}
	return nil
}
