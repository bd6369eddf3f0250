package header

// ContentType is a media type with its parameters (RFC 3261 section 20.15).
type ContentType struct {
	MediaType string // lower case, "type/subtype"
	Params    Params
}

// ParseContentType parses a Content-Type header field value.
func ParseContentType(s string) (ContentType, error) {
	p := scanner{field: "Content-Type", s: s}
	var c ContentType
	var err error
	p.space()
	if c.MediaType, err = p.mediaType(); err != nil {
		return ContentType{}, err
	}
	if c.Params, err = p.params(); err != nil {
		return ContentType{}, err
	}
	for _, param := range c.Params {
		if param.Value == "" && !param.Quoted {
			return ContentType{}, p.fail("parameter " + param.Name + " needs a value")
		}
	}
	return c, p.end()
}

// mediaType takes m-type SLASH m-subtype and returns it in lower case without white space.
func (p *scanner) mediaType() (string, error) {
	start := p.pos
	typ, err := p.token("a media type")
	if err != nil {
		return "", err
	}
	if !p.eat('/') {
		return "", p.want("a slash")
	}
	subtype, err := p.token("a media subtype")
	if err != nil {
		return "", err
	}
	if p.pos-start == len(typ)+1+len(subtype) {
		return lowered(p.s[start:p.pos]), nil
	}
	return lowered(typ + "/" + subtype), nil
}

// AppendTo appends the value.
func (c ContentType) AppendTo(dst []byte) []byte {
	return c.Params.AppendTo(append(dst, c.MediaType...))
}

// String renders the value as AppendTo does.
func (c ContentType) String() string { return string(c.AppendTo(nil)) }

// ParseContentEncoding parses the values of Content-Encoding header fields (RFC 3261 section 20.12) and returns the codings
// in lower case, in the order in which they were applied.
func ParseContentEncoding(values []string) ([]string, error) {
	return parseList("Content-Encoding", values, func(p *scanner) (string, error) {
		coding, err := p.token("a content coding")
		return lowered(coding), err
	})
}

// ContentDisposition is what a body is for (RFC 3261 section 20.11).
type ContentDisposition struct {
	Type   string // lower case
	Params Params
}

// ParseContentDisposition parses a Content-Disposition header field value.
func ParseContentDisposition(s string) (ContentDisposition, error) {
	p := scanner{field: "Content-Disposition", s: s}
	var d ContentDisposition
	p.space()
	kind, err := p.token("a disposition type")
	if err != nil {
		return d, err
	}
	d.Type = lowered(kind)
	if d.Params, err = p.params(); err != nil {
		return ContentDisposition{}, err
	}
	return d, p.end()
}

// Optional reports whether a body that is not understood may be left out; else it must be refused with 415.
func (d ContentDisposition) Optional() bool {
	v, _ := d.Params.Get("handling")
	return fold(v, "optional")
}
