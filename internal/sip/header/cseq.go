package header

import (
	"math"
	"strconv"
)

// CSeq is a CSeq header field value (RFC 3261 section 20.16).
type CSeq struct {
	Number uint32 // less than 2^31
	Method string // as received: methods have case
}

// ParseCSeq parses a CSeq header field value.
func ParseCSeq(s string) (CSeq, error) {
	p := scanner{field: "CSeq", s: s}
	p.space()
	at := p.pos
	n, err := p.seconds()
	if err != nil {
		return CSeq{}, p.failAt(at, "a sequence number expected")
	}
	if n > math.MaxInt32 {
		return CSeq{}, p.failAt(at, "the sequence number must be less than 2^31")
	}
	if !p.space() {
		return CSeq{}, p.want("white space and a method")
	}
	method, err := p.token("a method")
	if err != nil {
		return CSeq{}, err
	}
	return CSeq{n, method}, p.end()
}

// AppendTo appends the value.
func (c CSeq) AppendTo(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(c.Number), 10)
	return append(append(dst, ' '), c.Method...)
}

// String renders the value as AppendTo does.
func (c CSeq) String() string { return string(c.AppendTo(nil)) }

// ParseCallID parses a Call-ID header field value: word ["@" word], which compares byte for byte (RFC 3261 section 20.8).
func ParseCallID(s string) (string, error) {
	p := scanner{field: "Call-ID", s: s}
	p.space()
	start := p.pos
	if p.run(isWordChar) == "" {
		return "", p.want("a word")
	}
	if p.peek() == '@' {
		p.pos++
		if p.run(isWordChar) == "" {
			return "", p.want("a word behind the @")
		}
	}
	return p.s[start:p.pos], p.end()
}

// ParseMaxForwards parses a Max-Forwards header field value, 0 to 255 (RFC 3261 section 20.22).
func ParseMaxForwards(s string) (uint8, error) {
	n, err := parseSeconds("Max-Forwards", s)
	if err != nil {
		return 0, err
	}
	if n > math.MaxUint8 {
		return 0, &SyntaxError{Field: "Max-Forwards", Reason: "the number must be 0 to 255"}
	}
	return uint8(n), nil
}
