package uac

import (
	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/stack"
)

// Authenticator answers a challenge: res is a 401 or 407 to o. It returns o
// with credentials added, or why it has none to try, which becomes the Cause of
// the ResponseError. o itself must not be changed, and the CSeq of what is
// returned is raised by the caller. It may take its time, as somebody who types
// a password does. nil takes challenges as refusals.
type Authenticator func(res *sip.Response, o *stack.Outgoing) (retry *stack.Outgoing, err error)

// MaxChallenges bounds the tries with credentials for one request: a proxy and
// the server may challenge, each with a stale nonce once.
const MaxChallenges = 4

// Reaction is what comes of a response: the request to send again with
// credentials, or why a challenge is not answered. Both are nil for a response
// that is no challenge.
type Reaction struct {
	Retry *stack.Outgoing
	Cause error
}

// Asked tells whether res is a challenge that a has to look at.
func (a Authenticator) Asked(res *sip.Response) bool {
	return a != nil && res != nil && (res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired)
}

// React looks at the final response to o.
func (a Authenticator) React(res *sip.Response, o *stack.Outgoing) Reaction {
	if !a.Asked(res) {
		return Reaction{}
	}
	retry, err := a(res, o)
	if err != nil {
		return Reaction{Cause: err}
	}
	return Reaction{Retry: retry}
}
