package presence

import (
	"net"
	"strconv"
	"strings"

	"imp/internal/sip/header"
)

// Directory tells which presentities a server serves: the users of its
// domains. It implements event.Resources.
type Directory struct {
	// Domains are the domains served, in lower case. None means that every
	// domain is served.
	Domains []string
	// Known tells whether a user of a domain exists; nil: every user does.
	Known func(user, domain string) bool
	// Own tells whether host:port is an address of this server itself, for
	// requests to a Contact it gave. nil: none is.
	Own func(hostport string) bool
}

// Resource maps sip, sips and pres URIs of a user to one name, his address of
// record; it is not ok for a user who does not exist.
func (d *Directory) Resource(u header.URI) (string, bool) {
	name, domain, ok := d.address(u)
	if !ok || d.Known != nil && !d.Known(u.User, domain) {
		return "", false
	}
	return name, true
}

// AOR is the SIP address of record that a sip, sips or pres URI stands for (RFC
// 3856 section 5), whether there is such a user or not. A URI with an address of
// this server as host stands for the user of the first domain.
func (d *Directory) AOR(u header.URI) (string, bool) {
	name, _, ok := d.address(u)
	return name, ok
}

func (d *Directory) address(u header.URI) (name, domain string, ok bool) {
	switch u.Scheme {
	case "sip", "sips", "pres":
	default:
		return "", "", false
	}
	if u.User == "" {
		return "", "", false
	}
	domain = strings.ToLower(u.Host)
	if !d.serves(domain) {
		if len(d.Domains) == 0 || d.Own == nil || !d.Own(hostPort(u)) {
			return "", "", false
		}
		domain = d.Domains[0]
	}
	return header.URI{Scheme: "sip", User: u.User, Host: domain}.AOR(), domain, true
}

func (d *Directory) serves(domain string) bool {
	if len(d.Domains) == 0 {
		return true
	}
	for _, own := range d.Domains {
		if own == domain {
			return true
		}
	}
	return false
}

// Entity is the URI of a presentity that the watcher wrote, without port and
// parameters; the address of record when he wrote an address of this server.
// It is in canonical form: all spellings of a URI share one document, or each
// that somebody thinks of would cost another.
func (d *Directory) Entity(asked, resource string) string {
	u, err := header.ParseURI(asked)
	if err != nil || !d.serves(strings.ToLower(u.Host)) {
		return resource
	}
	u.Port = 0
	if aor := u.AOR(); aor != resource {
		return aor
	}
	return resource // one string for both
}

func hostPort(u header.URI) string {
	port := u.Port
	if port == 0 {
		port = 5060
	}
	return net.JoinHostPort(strings.Trim(u.Host, "[]"), strconv.Itoa(port))
}
