package session

import "strings"

// Accepts reports whether a media type is one of a list of accept-types: type/subtype, type/* or *, without regard to
// case and to parameters (RFC 4975 section 8.6).
func Accepts(list []string, mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.TrimSpace(mediaType)
	major, _, _ := strings.Cut(mediaType, "/")
	for _, entry := range list {
		entry, _, _ = strings.Cut(entry, ";")
		if entry == "*" || strings.EqualFold(entry, mediaType) {
			return true
		}
		if m, ok := strings.CutSuffix(entry, "/*"); ok && strings.EqualFold(m, major) {
			return true
		}
	}
	return false
}

// accepts reports whether the peer takes a message of this type with these types inside.
func (p *Peer) accepts(mediaType string, wrapped []string) bool {
	if p.Types == nil {
		return true
	}
	if !Accepts(p.Types, mediaType) {
		return false
	}
	for _, w := range wrapped {
		if !Accepts(p.Types, w) && !Accepts(p.Wrapped, w) {
			return false
		}
	}
	return true
}
