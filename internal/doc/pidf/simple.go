package pidf

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"imp/internal/xml/lexical"
)

const blanks = " \t\r\n"

func trim(s string) string { return strings.Trim(s, blanks) }

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// collapse makes every run of white space one space and drops it at both ends, as xs:token does.
func collapse(s string) string {
	s = trim(s)
	if !strings.ContainsAny(s, "\t\r\n") && !strings.Contains(s, "  ") {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < utf8.RuneSelf && isBlank(byte(r)) }), " ")
}

// isNCName reports whether s is a name without colon (Namespaces in XML 1.0 section 3), which every id of a presence document is.
func isNCName(s string) bool {
	for i, r := range s {
		if !isNameChar(r, i == 0) {
			return false
		}
	}
	return s != ""
}

func isNameChar(r rune, first bool) bool {
	switch {
	case r < utf8.RuneSelf:
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || !first && ('0' <= r && r <= '9' || r == '-' || r == '.')
	case r == 0xB7, 0x300 <= r && r <= 0x36F, 0x203F <= r && r <= 0x2040:
		return !first
	}
	for _, in := range nameStarts {
		if in[0] <= r && r <= in[1] {
			return r != utf8.RuneError
		}
	}
	return false
}

// nameStarts are the characters beyond ASCII that a name may begin with (XML 1.0 fifth edition, production 4).
var nameStarts = [...][2]rune{
	{0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x2FF}, {0x370, 0x37D}, {0x37F, 0x1FFF}, {0x200C, 0x200D}, {0x2070, 0x218F},
	{0x2C00, 0x2FEF}, {0x3001, 0xD7FF}, {0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF},
}

// ncName makes a name without colon of s, the same one each time, and keeps s when it is one.
func ncName(s string) string {
	if isNCName(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case b.Len() == 0 && !isNameChar(r, true):
			b.WriteByte('i')
			if isNameChar(r, false) {
				b.WriteRune(r)
			}
		case isNameChar(r, false):
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
	}
	if b.Len() == 0 {
		return "i"
	}
	return b.String()
}

// parseTime reads an xs:dateTime, leniently: t, z, a blank in place of T, a missing zone (taken as UTC), hour 24 and second 60 are understood.
// It is exact when s can be written as it is: RFC 3339 with capital T and Z, and valid by the schema.
func parseTime(s string) (t time.Time, exact, ok bool) {
	const form = "0000-00-00T00:00:00"
	if len(s) < len(form) || len(s) > 64 {
		return t, false, false
	}
	for i := range len(form) {
		c := s[i]
		switch form[i] {
		case '0':
			ok = '0' <= c && c <= '9'
		case 'T':
			ok = c == 'T' || c == 't' || c == ' '
		default:
			ok = c == form[i]
		}
		if !ok {
			return t, false, false
		}
	}
	two := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	year, month, day, hour, minute, second := two(0)*100+two(2), two(5), two(8), two(11), two(14), two(17)
	nanos, rest := fraction(s[len(form):])
	zone, zoned, ok := zoneOf(rest)
	lastDay := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if !ok || year == 0 || month < 1 || month > 12 || day < 1 || day > lastDay || hour > 24 || minute > 59 || second > 60 ||
		hour == 24 && minute+second+nanos > 0 {
		return t, false, false
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, zone)
	exact = zoned && s[10] == 'T' && hour < 24 && second < 60
	return t, exact, true
}

// fraction reads the digits behind the point, beyond the ninth without effect.
func fraction(s string) (nanos int, rest string) {
	if len(s) < 2 || s[0] != '.' || s[1] < '0' || s[1] > '9' {
		return 0, s
	}
	unit := 100_000_000
	i := 1
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		nanos += int(s[i]-'0') * unit
		unit /= 10
	}
	return nanos, s[i:]
}

// zoneOf reads a time zone; zoned tells whether it is one that may be written as it is.
func zoneOf(s string) (zone *time.Location, zoned, ok bool) {
	switch s {
	case "":
		return time.UTC, false, true
	case "Z", "z":
		return time.UTC, s == "Z", true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return nil, false, false
	}
	for _, i := range [...]int{1, 2, 4, 5} {
		if s[i] < '0' || s[i] > '9' {
			return nil, false, false
		}
	}
	hours, minutes := int(s[1]-'0')*10+int(s[2]-'0'), int(s[4]-'0')*10+int(s[5]-'0')
	if hours > 14 || minutes > 59 || hours == 14 && minutes > 0 {
		return nil, false, false
	}
	seconds := (hours*60 + minutes) * 60
	if s[0] == '-' {
		seconds = -seconds
	}
	if seconds == 0 {
		return time.UTC, true, true
	}
	return time.FixedZone("", seconds), true, true
}

// readTime reads an xs:dateTime leniently; the zero time stands for what is none.
func readTime(s string) time.Time {
	t, _, _ := parseTime(trim(s))
	return t
}

// timeForm writes milliseconds where there are some: the data model has no use for more, and some clients read no more digits.
const timeForm = "2006-01-02T15:04:05.999Z07:00"

func formatTime(t time.Time) string { return t.Format(timeForm) }

// writable reports whether a time has a form in RFC 3339.
func writable(t time.Time) bool {
	_, offset := t.Zone()
	return 1 <= t.Year() && t.Year() <= 9999 && offset%60 == 0 && -14*3600 <= offset && offset <= 14*3600
}

// priority reads a qvalue of RFC 3863 section 4.1.5 and returns it in at most three decimals. The order of contacts is that of the thousandths.
func priority(s string) (form string, thousandths int, ok bool) {
	s = trim(s)
	whole, decimals, point := strings.Cut(s, ".")
	if point && (decimals == "" || len(decimals) > 32) || len(whole) > 1 || whole == "" && decimals == "" {
		return "", 0, false
	}
	for _, c := range []byte(decimals) {
		if c < '0' || c > '9' {
			return "", 0, false
		}
	}
	if len(decimals) > 3 {
		decimals = strings.TrimRight(decimals, "0")
	}
	padded := (decimals + "000")[:3]
	thousandths, _ = strconv.Atoi(padded)
	switch {
	case len(decimals) > 3, whole == "1" && thousandths > 0:
		return "", 0, false
	case whole == "1":
		thousandths = 1000
	case whole != "0" && whole != "":
		return "", 0, false
	}
	if whole == "" {
		whole = "0"
	}
	if decimals == "" {
		return whole, thousandths, true
	}
	if len(whole)+1+len(decimals) == len(s) {
		return s, thousandths, true
	}
	return whole + "." + decimals, thousandths, true
}

// isInteger reports whether s is an xs:integer of a size that everybody can read.
func isInteger(s string) bool {
	digits := strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+"), "0")
	if strings.HasPrefix(s, "-+") || len(digits) > 9 || s == "" || s == "-" || s == "+" || len(s) > 20 {
		return false
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isPositive(s string) bool {
	n, err := strconv.Atoi(s)
	return isInteger(s) && err == nil && n > 0
}

func isBoolean(s string) bool { return s == "true" || s == "false" || s == "1" || s == "0" }

// isURI reports whether s can stand where an xs:anyURI is wanted: no white space, each percent sign followed by two hexadecimal digits, one fragment,
// and no colon in the first segment but behind a scheme (RFC 3986 section 4.2).
func isURI(s string) bool {
	fragment, colons := false, schemeEnd(s)
	for i := range len(s) {
		if mustEscape(s, i, fragment, colons) {
			return false
		}
		fragment = fragment || s[i] == '#'
	}
	return true
}

// schemeEnd returns up to where in s a colon would make what is before it a scheme that it cannot be; 0 when it is one.
func schemeEnd(s string) int {
	end := strings.IndexAny(s, "/?#")
	if end < 0 {
		end = len(s)
	}
	if scheme, _, ok := strings.Cut(s[:end], ":"); ok && isScheme(scheme) {
		return 0
	}
	return end
}

func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// mustEscape reports whether the byte at i cannot stand for itself in a URI: behind the start of a fragment or not, as a colon before colons.
func mustEscape(s string, i int, fragment bool, colons int) bool {
	switch c := s[i]; c {
	case '%':
		return !lexical.Escape(s[i:])
	case '#':
		return fragment
	case ':':
		return i < colons
	default:
		return c <= ' ' || c == 0x7F
	}
}

// fixURI escapes what isURI refuses.
func fixURI(s string) string {
	if isURI(s) {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	fragment, colons := false, schemeEnd(s)
	for i := range len(s) {
		if mustEscape(s, i, fragment, colons) {
			b.Write([]byte{'%', hex[s[i]>>4], hex[s[i]&15]})
			continue
		}
		fragment = fragment || s[i] == '#'
		b.WriteByte(s[i])
	}
	return b.String()
}

// isAbsolute reports whether a namespace name is an absolute URI without fragment, as RFC 3863 section 4.2.2 demands, of
// reasonable length.
func isAbsolute(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")
	return ok && len(uri) <= maxName && isScheme(scheme) && strings.IndexByte(uri, '#') < 0 && isURI(uri)
}

func sorted[V any](set map[string]V) []string { return slices.Sorted(maps.Keys(set)) }
