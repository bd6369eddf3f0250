package lists

import (
	"slices"
	"strings"

	"imp/internal/xml/lexical"
)

// What may stand in the parts of a SIP URI without an escape, beside letters and digits (RFC 3261 section 25.1).
const (
	marks         = "-_.!~*'()"
	userChars     = marks + "&=+$,;?/"
	passwordChars = marks + "&=+$,"
	paramChars    = marks + "[]/:&+$"
)

// Canonical returns the canonical form of a SIP URI (RFC 4826 section 5): host and tokens in small letters, no escape that need not be, parameters in the
// order of their names, no header fields. URIs of other schemes stay as they are.
func Canonical(uri string) string {
	base, params, ok := canonical(uri)
	if !ok {
		return lexical.Trim(uri)
	}
	return base + strings.Join(params, "")
}

// canonical returns the canonical form before the parameters, and these with their semicolons; not ok without a SIP URI.
func canonical(uri string) (base string, params []string, ok bool) {
	scheme, rest, found := strings.Cut(lexical.Trim(uri), ":")
	if scheme = strings.ToLower(scheme); !found || scheme != "sip" && scheme != "sips" {
		return "", nil, false
	}
	base = scheme + ":"
	if user, host, found := strings.Cut(rest, "@"); found {
		name, password, found := strings.Cut(user, ":")
		base += lexical.Unescape(name, userChars)
		if found {
			base += ":" + lexical.Unescape(password, passwordChars)
		}
		base += "@"
		rest = host
	}
	rest, _, _ = strings.Cut(rest, "?")
	host, list, _ := strings.Cut(rest, ";")
	base += strings.ToLower(lexical.Trim(host))
	for p := range strings.SplitSeq(list, ";") {
		if p = lexical.Trim(p); p != "" {
			params = append(params, ";"+strings.ToLower(lexical.Unescape(p, paramChars)))
		}
	}
	slices.SortStableFunc(params, func(a, b string) int { return strings.Compare(nameOf(a), nameOf(b)) })
	return base, params, true
}

// nameOf is the name of a parameter, with its semicolon.
func nameOf(param string) string {
	name, _, _ := strings.Cut(param, "=")
	return name
}

// mustAgree are the parameters that two URIs have both or none (RFC 3261 section 19.1.4).
var mustAgree = []string{";maddr", ";method", ";transport", ";ttl", ";user"}

// agree compares the parameters of two SIP URIs (RFC 3261 section 19.1.4): those that both have are equal, and others are not of mustAgree.
func agree(a, b []string) bool {
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(nameOf(a[0]), nameOf(b[0])); {
		case c == 0 && a[0] != b[0], c < 0 && slices.Contains(mustAgree, nameOf(a[0])), c > 0 && slices.Contains(mustAgree, nameOf(b[0])):
			return false
		case c == 0:
			a, b = a[1:], b[1:]
		case c < 0:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return !slices.ContainsFunc(slices.Concat(a, b), func(p string) bool { return slices.Contains(mustAgree, nameOf(p)) })
}

// index finds equal URIs: of SIP by RFC 3261 section 19.1.4 without header fields, others as strings.
type index struct {
	exact map[string]int
	alike map[string][]alike
}

type alike struct {
	params []string
	at     int
}

// maxAlike bounds how many URIs that differ in their parameters only are compared with each other.
const maxAlike = 100

// add returns the number of an equal URI that was added before, or adds this one under its number.
func (x *index) add(uri string, at int) (int, bool) {
	if x.exact == nil {
		x.exact, x.alike = map[string]int{}, map[string][]alike{}
	}
	key := Canonical(uri)
	if old, ok := x.exact[key]; ok {
		return old, true
	}
	base, params, ok := canonical(uri)
	if ok {
		for _, other := range x.alike[base] {
			if agree(params, other.params) {
				return other.at, true
			}
		}
		if len(x.alike[base]) < maxAlike {
			x.alike[base] = append(x.alike[base], alike{params, at})
		}
	}
	x.exact[key] = at
	return at, false
}
