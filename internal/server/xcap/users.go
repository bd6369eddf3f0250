package xcap

import (
	"net/url"
	"slices"
	"strings"

	"imp/internal/xcap/uri"
)

// canonical is the XUI of a user with a name in credentials, or of one with an address of record.
func (s *Server) canonical(name string) string {
	return uri.Naming{Domain: s.cfg.Naming.Domain}.Canonical(name)
}

// owns reports whether a home is that of the user with a name in credentials or an address of record: NAME is the user of that name
// in every domain served, NAME@DOMAIN in that one.
func (s *Server) owns(name, xui string) bool {
	if name == xui {
		return true
	}
	xui = s.canonical(xui)
	if s.canonical(name) == xui {
		return true
	}
	user, domain, ok := split(xui)
	if !ok || !s.serves(domain) {
		return false
	}
	user, err := url.PathUnescape(user)
	return err == nil && (user == name || user+"@"+domain == name)
}

// exists reports whether there is a user with an XUI.
func (s *Server) exists(xui string) bool {
	user, domain, ok := split(s.canonical(xui))
	switch {
	case ok && !s.serves(domain):
		return false
	case s.cfg.Known == nil:
		return true
	case !ok:
		return !strings.Contains(xui, ":") && s.cfg.Known(url.PathEscape(xui), "")
	}
	return s.cfg.Known(user, domain)
}

func (s *Server) serves(domain string) bool {
	return len(s.cfg.Domains) == 0 || slices.ContainsFunc(s.cfg.Domains, func(d string) bool { return strings.EqualFold(d, domain) })
}

// split splits an address of record; it is not ok for other URIs, those with a port or parameters too.
func split(aor string) (user, domain string, ok bool) {
	rest, ok := strings.CutPrefix(aor, "sip:")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at <= 0 || strings.ContainsAny(rest[at+1:], ";?:/") || at == len(rest)-1 {
		return "", "", false
	}
	return rest[:at], rest[at+1:], true
}
