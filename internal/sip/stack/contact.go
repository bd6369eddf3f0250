package stack

import (
	"strings"

	"imp/internal/sip/header"
)

// NotifierContact is the local target of a notifier towards the peer of r: a self-made GRUU (RFC 5627 section 4.3), whose user part is
// that of the resource, so that a new SUBSCRIBE to it reaches the same resource.
func (s *Stack) NotifierContact(r *Request, user string) string {
	transport := r.Flow.Transport()
	host := s.ContactHost(transport, r.Flow.Remote().String())
	var b strings.Builder
	b.WriteString("sip:")
	if user != "" {
		b.WriteString(user + "@")
	}
	b.WriteString(host)
	if transport != "udp" {
		b.WriteString(";transport=" + URITransport(transport))
	}
	b.WriteString(";gr")
	if strings.EqualFold(r.Recipient.Scheme, "sips") { // RFC 3261 section 12.1.1
		return header.Secured(b.String())
	}
	return b.String()
}
