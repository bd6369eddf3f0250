package uri

import (
	"strings"

	"imp/internal/doc/lists"
)

// Naming tells which XUIs stand for one user.
type Naming struct {
	Exact  bool   // only equal strings do
	Domain string // of users written without one; "" leaves them as they are
}

// Canonical returns the one form of an XUI: as the address of record of a SIP user (RFC 4825 section 6.2) sip:joe@example.com, in the
// canonical form of RFC 4826 section 5. It stands for joe@example.com, sip:joe@EXAMPLE.com and sip:%6aoe@example.com, and for joe when
// Domain is set. Other URIs stay as they are.
func (n Naming) Canonical(xui string) string {
	if n.Exact {
		return xui
	}
	scheme, _, found := strings.Cut(xui, ":")
	if found && (!strings.Contains(scheme, "@") && isScheme(scheme)) {
		return lists.Canonical(xui)
	}
	if strings.ContainsAny(xui, ":/ ") && !strings.Contains(xui, "@") || xui == "" {
		return xui
	}
	if !strings.Contains(xui, "@") {
		if n.Domain == "" {
			return xui
		}
		xui += "@" + n.Domain
	}
	return lists.Canonical("sip:" + xui)
}

func isScheme(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '+' && r != '-' && r != '.' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}

// Canonical returns the URI with the canonical form of its XUI. What is not changed is shared.
func (u *URI) Canonical(n Naming) *URI {
	c := *u
	if !u.Global {
		c.XUI = n.Canonical(u.XUI)
	}
	return &c
}
