package digest

import (
	"strings"
)

// challenge is one challenge that this client can answer.
type challenge struct {
	realm, nonce, opaque string
	// algorithm and qop are as received: the algorithm is echoed, empty if it
	// was not there, and qop is the choice out of those offered.
	algorithm, qop string
	alg            Algorithm
	hasOpaque      bool
	stale          bool
	utf8, userhash bool
}

// readChallenges finds, for each realm, the topmost challenge that is supported
// (RFC 8760 section 2.4), in the order of the realms. Challenges that are of
// another scheme, ask for what is unknown, or are malformed are passed over.
func readChallenges(values []string, noMD5 bool) []challenge {
	var found []challenge
	for _, value := range values {
		if len(value) > maxValue {
			continue
		}
		for l := (list{s: value}); l.scheme(); {
			var f fields
			if l.read(&f) != nil {
				break
			}
			c, ok := readChallenge(&f)
			if ok && !(noMD5 && c.alg.Base() == MD5) && !hasRealm(found, c.realm) && len(found) < maxRealms {
				found = append(found, c)
			}
		}
	}
	return found
}

func hasRealm(list []challenge, realm string) bool {
	for i := range list {
		if list[i].realm == realm {
			return true
		}
	}
	return false
}

func readChallenge(f *fields) (challenge, bool) {
	c := challenge{realm: f.v[fRealm], nonce: f.v[fNonce], opaque: f.v[fOpaque], hasOpaque: f.has(fOpaque),
		algorithm: f.v[fAlgorithm], alg: MD5,
		stale:    strings.EqualFold(f.v[fStale], "true"),
		utf8:     strings.EqualFold(f.v[fCharset], "UTF-8"),
		userhash: strings.EqualFold(f.v[fUserhash], "true")}
	if !f.has(fRealm) || c.nonce == "" {
		return c, false
	}
	ok := true
	if f.has(fAlgorithm) {
		c.alg, ok = ParseAlgorithm(c.algorithm)
	}
	if offer := f.v[fQop]; strings.TrimSpace(offer) != "" {
		c.qop = chooseQop(offer)
		ok = ok && c.qop != ""
	}
	// A session key needs the cnonce, which needs qop (RFC 3261 section 22.4 item 8).
	return c, ok && (c.qop != "" || c.alg == c.alg.Base())
}

// chooseQop takes auth if it is offered, for proxies may change bodies, else
// auth-int, else nothing.
func chooseQop(offer string) string {
	choice := ""
	for token := range strings.SplitSeq(offer, ",") {
		switch token = strings.Trim(token, " \t"); {
		case strings.EqualFold(token, qopAuth):
			return token
		case strings.EqualFold(token, qopInt):
			choice = token
		}
	}
	return choice
}
