package header

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// ParseExpires parses the delta-seconds of an Expires header field (RFC 3261 section 20.19). Numbers above 2^32-1 count
// as that.
func ParseExpires(s string) (seconds uint32, err error) { return parseSeconds("Expires", s) }

// ParseMinExpires parses the delta-seconds of a Min-Expires header field (RFC 3261 section 20.23). Numbers above 2^32-1
// count as that.
func ParseMinExpires(s string) (seconds uint32, err error) { return parseSeconds("Min-Expires", s) }

func parseSeconds(field, s string) (uint32, error) {
	p := scanner{field: field, s: s}
	n, err := p.seconds()
	if err != nil {
		return 0, err
	}
	return n, p.end()
}

// seconds takes delta-seconds with white space before them.
func (p *scanner) seconds() (uint32, error) {
	p.space()
	n, ok := deltaSeconds(p.run(isDigit))
	if !ok {
		return 0, p.want("a number of seconds")
	}
	return n, nil
}

// deltaSeconds reads 1*DIGIT, at most 2^32-1.
func deltaSeconds(s string) (uint32, bool) {
	var n uint64
	for i := 0; i < len(s); i++ {
		if !is(s[i], isDigit) {
			return 0, false
		}
		if n = n*10 + uint64(s[i]-'0'); n > math.MaxUint32 {
			n = math.MaxUint32
		}
	}
	return uint32(n), s != ""
}

// RetryAfter is a Retry-After header field value (RFC 3261 section 20.33).
type RetryAfter struct {
	Seconds uint32
	Comment string // without its outer parentheses, white space and quoted pairs as received
	Params  Params // duration and extensions
}

// ParseRetryAfter parses a Retry-After header field value. Numbers above 2^32-1 count as that.
func ParseRetryAfter(s string) (RetryAfter, error) {
	p := scanner{field: "Retry-After", s: s}
	var r RetryAfter
	var err error
	if r.Seconds, err = p.seconds(); err != nil {
		return RetryAfter{}, err
	}
	if p.space(); p.peek() == '(' {
		if r.Comment, err = p.comment(); err != nil {
			return RetryAfter{}, err
		}
	}
	if r.Params, err = p.params(); err != nil {
		return RetryAfter{}, err
	}
	if d, ok := r.Params.Get("duration"); ok {
		if _, ok := deltaSeconds(d); !ok {
			return RetryAfter{}, p.fail("the value of duration must be a number of seconds")
		}
	}
	return r, p.end()
}

// comment takes a comment, which may nest, and returns what is inside.
func (p *scanner) comment() (string, error) {
	open, depth := p.pos, 0
	for ; !p.done(); p.pos++ {
		switch c := p.peek(); {
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				p.pos++
				text := p.s[open+1 : p.pos-1]
				if !utf8.ValidString(text) {
					return "", p.failAt(open, "the comment is not UTF-8")
				}
				return text, nil
			}
		case c == '\\':
			p.pos++
			if c = p.peek(); p.done() || c >= 0x80 || c == '\r' || c == '\n' {
				return "", p.want("a character that may follow a backslash")
			}
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", p.want("text inside the comment")
		}
	}
	return "", p.failAt(open, "the comment is not closed")
}

// AppendTo appends the value.
func (r RetryAfter) AppendTo(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(r.Seconds), 10)
	if r.Comment != "" {
		dst = append(append(append(dst, " ("...), r.Comment...), ')')
	}
	return r.Params.AppendTo(dst)
}

// String renders the value as AppendTo does.
func (r RetryAfter) String() string { return string(r.AppendTo(nil)) }
