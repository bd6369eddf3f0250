package header

import "strings"

// Accept is what all Accept header fields of a message say together (RFC 3261 section 20.1). nil means that there is no
// such field, which leaves the choice to the default of the method or event package; empty but not nil means that
// no body is acceptable.
type Accept []MediaRange

// MediaRange is one element of an Accept header field.
type MediaRange struct {
	Type   string // lower case, "type/subtype", "type/*" or "*/*"
	Params Params // of the media type, those before q
	Q      int    // quality in thousandths, 0 to 1000
	Ext    Params // those behind q
}

// ParseAccept parses the values or the list elements of Accept header fields, as [Values] and [List] return them.
func ParseAccept(values []string) (Accept, error) {
	if values == nil {
		return nil, nil
	}
	a := make(Accept, 0, len(values))
	for _, v := range values {
		if trim(v) == "" {
			continue
		}
		p := scanner{field: "Accept", s: v}
		for more := true; more; more = p.eat(',') {
			r, err := p.mediaRange()
			if err != nil {
				return nil, err
			}
			a = append(a, r)
		}
		if err := p.end(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (p *scanner) mediaRange() (MediaRange, error) {
	p.space()
	at := p.pos
	r := MediaRange{Q: 1000}
	var err error
	if r.Type, err = p.mediaType(); err != nil {
		return r, err
	}
	if strings.HasPrefix(r.Type, "*/") && r.Type != "*/*" {
		return r, p.failAt(at, "a wildcard type needs a wildcard subtype")
	}
	if r.Params, err = p.params(); err != nil {
		return r, err
	}
	for i, param := range r.Params {
		if !fold(param.Name, "q") {
			continue
		}
		q, ok := parseQ(param.Value)
		if !ok || param.Quoted {
			return r, p.failAt(at, "q must be a number from 0 to 1 with at most three decimals")
		}
		r.Q = q
		if i+1 < len(r.Params) {
			r.Ext = r.Params[i+1:]
		}
		if r.Params = r.Params[:i:i]; i == 0 {
			r.Params = nil
		}
		break
	}
	return r, nil
}

// parseQ reads a qvalue into thousandths.
func parseQ(s string) (int, bool) {
	if len(s) == 0 || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q, unit := 1000*int(s[0]-'0'), 100
	for i := 2; i < len(s); i++ {
		if !is(s[i], isDigit) {
			return 0, false
		}
		q += unit * int(s[i]-'0')
		unit /= 10
	}
	return q, q <= 1000
}

// Quality returns how much the media type, which may have parameters, is wanted, in thousandths; 0 is not acceptable. The
// most specific range that covers it decides: type, subtype and parameters before type and subtype, before
// "type/*", before "*/*". A range with parameters covers only a type that has all of them.
func (a Accept) Quality(mediaType string) int {
	c, err := ParseContentType(mediaType)
	if err != nil {
		return 0
	}
	q, best := 0, 0
	for i := range a {
		if s := a[i].specificity(c); s > best {
			q, best = a[i].Q, s
		}
	}
	return q
}

// specificity is 0 when r does not cover c.
func (r *MediaRange) specificity(c ContentType) int {
	level := 3 * (maxParams + 1)
	if r.Type != c.MediaType {
		typ, all := strings.CutSuffix(r.Type, "/*")
		switch {
		case !all:
			return 0
		case typ == "*":
			level = 1
		case strings.HasPrefix(c.MediaType, typ) && c.MediaType[len(typ)] == '/':
			level = maxParams + 2
		default:
			return 0
		}
	}
	for _, param := range r.Params {
		if v, ok := c.Params.Get(param.Name); !ok || !fold(v, param.Value) {
			return 0
		}
	}
	return level + len(r.Params)
}

// Choose returns the offered media type with the highest quality, the earlier of two that are equal; ok is false when
// none is acceptable. For a nil Accept it is the first one offered.
func (a Accept) Choose(offered []string) (mediaType string, ok bool) {
	if a == nil && len(offered) > 0 {
		return offered[0], true
	}
	best := 0
	for _, o := range offered {
		if q := a.Quality(o); q > best {
			mediaType, best = o, q
		}
	}
	return mediaType, best > 0
}

// AppendTo appends the ranges as one list.
func (a Accept) AppendTo(dst []byte) []byte {
	for i := range a {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = a[i].AppendTo(dst)
	}
	return dst
}

// String renders the ranges as AppendTo does.
func (a Accept) String() string { return string(a.AppendTo(nil)) }

// AppendTo appends the range; a quality of 1 is left out where it can be.
func (r *MediaRange) AppendTo(dst []byte) []byte {
	dst = r.Params.AppendTo(append(dst, r.Type...))
	if r.Q < 1000 || len(r.Ext) > 0 {
		dst = append(dst, ";q="...)
		dst = append(dst, byte('0'+r.Q/1000), '.', byte('0'+r.Q/100%10), byte('0'+r.Q/10%10), byte('0'+r.Q%10))
	}
	return r.Ext.AppendTo(dst)
}
