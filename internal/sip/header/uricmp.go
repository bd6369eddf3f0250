package header

import "net/netip"

// AOR returns the address of record in canonical form: scheme, user, host in lower case and the port if there is one. In
// the user every escape of a character that can stand there without is resolved (RFC 3261 section 10.3), the others have
// capital digits; the case of the user counts. Password, parameters and headers are left out. A URI of another
// scheme is returned as it is.
func (u URI) AOR() string {
	var buf [128]byte
	return string(u.AppendAOR(buf[:0]))
}

// AppendAOR appends what AOR returns.
func (u URI) AppendAOR(dst []byte) []byte {
	if u.Raw != "" {
		return u.AppendTo(dst)
	}
	dst = append(append(dst, u.Scheme...), ':')
	if u.User != "" {
		class := u.userClass()
		for i, n := 0, 0; i < len(u.User); i += n {
			var c byte
			if c, n = unescapeByte(u.User, i); is(c, class) {
				dst = append(dst, c)
			} else {
				dst = appendEscape(dst, c)
			}
		}
		dst = append(dst, '@')
	}
	dst = appendHost(dst, u.Host)
	return appendPort(dst, u.Port)
}

// appendHost appends a host in the one form that all equal hosts share.
func appendHost(dst []byte, host string) []byte {
	if len(host) > 2 && host[0] == '[' {
		if a, err := netip.ParseAddr(host[1 : len(host)-1]); err == nil {
			return append(a.AppendTo(append(dst, '[')), ']')
		}
	}
	for i := 0; i < len(host); i++ {
		dst = append(dst, lower(host[i]))
	}
	return dst
}

// Equal compares two URIs by RFC 3261 section 19.1.4. It is not transitive, because most parameters count only when both
// have them. Of URIs of other schemes all but the case of the scheme counts.
func (u URI) Equal(o URI) bool {
	if u.Scheme != o.Scheme || u.Raw != o.Raw || u.Port != o.Port || !equalHost(u.Host, o.Host) {
		return false
	}
	if u.isMailbox() {
		if string(u.AppendAOR(nil)) != string(o.AppendAOR(nil)) {
			return false
		}
	} else if !equalEscaped(u.User, o.User, false) || !equalEscaped(u.Password, o.Password, false) {
		return false
	}
	return coversParams(u.Params, o.Params) && coversParams(o.Params, u.Params) && equalHeaders(u.Headers, o.Headers)
}

func equalHost(a, b string) bool {
	if fold(a, b) {
		return true
	}
	return len(a) > 0 && len(b) > 0 && a[0] == '[' && b[0] == '[' && string(appendHost(nil, a)) == string(appendHost(nil, b))
}

// coversParams tells whether nothing in a speaks against b.
func coversParams(a, b Params) bool {
	for i := range a {
		param := &a[i]
		other, ok := b.Get(param.Name)
		switch {
		case ok && !equalEscaped(param.Value, other, !fold(param.Name, "method")):
			return false
		case !ok && mustBeInBoth(param.Name):
			return false
		}
	}
	return true
}

// mustBeInBoth names the parameters that a URI without them differs in, even where the value is the default.
func mustBeInBoth(name string) bool {
	return fold(name, "transport") || fold(name, "user") || fold(name, "ttl") || fold(name, "method") || fold(name, "maddr")
}

// equalHeaders tells whether both have the same header fields in any order.
func equalHeaders(a, b Params) bool {
	if len(a) != len(b) {
		return false
	}
	var used [maxParams]bool
next:
	for i := range a {
		for j := range b {
			if j < maxParams && !used[j] && fold(a[i].Name, b[j].Name) && equalEscaped(a[i].Value, b[j].Value, false) {
				used[j] = true
				continue next
			}
		}
		return false
	}
	return true
}

// equalEscaped compares text in which an escape equals its character unless that is a reserved one.
func equalEscaped(a, b string, foldCase bool) bool {
	if a == b {
		return true
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		c, n := unescapeByte(a, i)
		d, m := unescapeByte(b, j)
		if c != d && !(foldCase && lower(c) == lower(d)) || n != m && is(c, isReserved) {
			return false
		}
		i, j = i+n, j+m
	}
	return i == len(a) && j == len(b)
}
