package header

// ParseETag parses the entity-tag of a SIP-ETag or SIP-If-Match header field (RFC 3903 section 11.3): exactly one token,
// which is opaque and compares byte for byte.
func ParseETag(s string) (string, error) {
	p := scanner{field: "entity-tag", s: s}
	p.space()
	tag, err := p.token("one entity-tag")
	if err != nil {
		return "", err
	}
	return tag, p.end()
}
