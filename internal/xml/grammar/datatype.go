package grammar

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"imp/internal/xml/selector"
)

// datatype is one of the built-in types: of XML Schema part 2 those that documents of this suite use, and the selectors of
// RFC 5261.
type datatype struct {
	name     string
	what     string // for messages
	collapse bool   // white space around and between
	free     bool   // every string is valid
	id       bool
	valid    func(string) bool
}

func anything(string) bool { return true }

var xsdDatatypes = []*datatype{
	{name: "string", what: "text", free: true, valid: anything},
	{name: "anySimpleType", what: "text", free: true, valid: anything},
	{name: "token", what: "text", collapse: true, free: true, valid: anything},
	{name: "anyURI", what: "a URI", collapse: true, valid: validURI},
	{name: "boolean", what: "true, false, 1 or 0", collapse: true, valid: validBoolean},
	{name: "decimal", what: "a decimal number", collapse: true, valid: validDecimal},
	{name: "integer", what: "a whole number", collapse: true, valid: validInteger},
	{name: "nonNegativeInteger", what: "a whole number, 0 or more", collapse: true, valid: func(s string) bool { return validInteger(s) && (s[0] != '-' || isZero(s[1:])) }},
	{name: "positiveInteger", what: "a whole number above 0", collapse: true, valid: func(s string) bool { return validInteger(s) && s[0] != '-' && !isZero(s) }},
	{name: "unsignedInt", what: "a whole number up to 4294967295", collapse: true, valid: func(s string) bool { return validUnsigned(s, math.MaxUint32) }},
	{name: "unsignedLong", what: "a whole number of at most 64 bits", collapse: true, valid: func(s string) bool { return validUnsigned(s, math.MaxUint64) }},
	{name: "dateTime", what: "a date and time such as 2026-01-31T12:00:00Z", collapse: true, valid: validTime},
	{name: "language", what: "a language tag such as en", collapse: true, valid: validLanguage},
	{name: "NCName", what: "a name without a colon", collapse: true, valid: validNCName},
	{name: "ID", what: "an id: a letter or _ first, then letters, digits, - . or _", collapse: true, id: true, valid: validNCName},
}

var impDatatypes = []*datatype{
	{name: "qvalue", what: "a number from 0 to 1 with at most three decimals", collapse: true, valid: validQvalue},
	{name: "selector", what: "a selector of RFC 5261, section 8", valid: func(s string) bool { return patchSelector(s) != selector.None }},
	{name: "add-selector", what: "a selector of RFC 5261, section 8, of an element, text, comment or processing instruction", valid: func(s string) bool {
		k := patchSelector(s)
		return k != selector.None && k != selector.Attribute && k != selector.Namespace
	}},
}

// builtin returns the type of this name in a library, nil when there is none. The library "" is the one of RELAX NG itself.
func builtin(library, name string) *datatype {
	types := xsdDatatypes
	switch library {
	case "":
		if name != "string" && name != "token" {
			return nil
		}
	case impTypes:
		types = impDatatypes
	case xsdTypes:
	default:
		return nil
	}
	for _, d := range types {
		if d.name == name {
			return d
		}
	}
	return nil
}

// anyPrefix binds every prefix: whether those of a selector are declared is no question of its syntax.
type anyPrefix struct{}

// Lookup implements selector.Namespaces.
func (anyPrefix) Lookup(prefix string) (string, bool) { return prefix, true }

func patchSelector(s string) selector.Kind {
	sel, err := selector.ParsePatch(s, anyPrefix{})
	if err != nil {
		return selector.None
	}
	return sel.Kind()
}

func validBoolean(s string) bool { return s == "true" || s == "false" || s == "1" || s == "0" }

// validQvalue is the type of a contact's priority (RFC 3863, section 4.1.5).
func validQvalue(s string) bool {
	whole, decimals, dot := strings.Cut(s, ".")
	switch {
	case whole != "0" && whole != "1" || len(decimals) > 3 || !dot && decimals != "":
		return false
	case whole == "1":
		return strings.Trim(decimals, "0") == ""
	}
	return decimals == "" || digits(decimals)
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func unsigned(s string) string {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return s[1:]
	}
	return s
}

func isZero(s string) bool { return strings.Trim(unsigned(s), "0") == "" }

func validInteger(s string) bool { return digits(unsigned(s)) }

func validDecimal(s string) bool {
	whole, part, _ := strings.Cut(unsigned(s), ".")
	return digits(whole + part)
}

func validUnsigned(s string, most uint64) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && n <= most && digits(s)
}

// validLanguage is the pattern of xsd:language: parts of one to eight letters, behind the first one also digits.
func validLanguage(s string) bool {
	first := true
	for part := range strings.SplitSeq(s, "-") {
		if len(part) < 1 || len(part) > 8 {
			return false
		}
		for i := 0; i < len(part); i++ {
			c := part[i] | 0x20
			if (c < 'a' || c > 'z') && (first || part[i] < '0' || part[i] > '9') {
				return false
			}
		}
		first = false
	}
	return true
}

// validNCName is Name of XML 1.0, fifth edition, without a colon.
func validNCName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf {
			return validWideNCName(s)
		} else if low := c | 0x20; (low < 'a' || low > 'z') && c != '_' && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

var nameStart = &unicode.RangeTable{
	R16: []unicode.Range16{
		{'A', 'Z', 1}, {'_', '_', 1}, {'a', 'z', 1}, {0xC0, 0xD6, 1}, {0xD8, 0xF6, 1}, {0xF8, 0x2FF, 1}, {0x370, 0x37D, 1}, {0x37F, 0x1FFF, 1},
		{0x200C, 0x200D, 1}, {0x2070, 0x218F, 1}, {0x2C00, 0x2FEF, 1}, {0x3001, 0xD7FF, 1}, {0xF900, 0xFDCF, 1}, {0xFDF0, 0xFFFD, 1},
	},
	R32: []unicode.Range32{{0x10000, 0xEFFFF, 1}},
}

var nameFurther = &unicode.RangeTable{
	R16: []unicode.Range16{{'-', '.', 1}, {'0', '9', 1}, {0xB7, 0xB7, 1}, {0x300, 0x36F, 1}, {0x203F, 0x2040, 1}},
}

func validWideNCName(s string) bool {
	for i, r := range s {
		if !unicode.Is(nameStart, r) && (i == 0 || !unicode.Is(nameFurther, r)) {
			return false
		}
	}
	return s != ""
}
