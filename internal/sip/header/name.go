package header

// fieldName is a header field name under both its forms.
type fieldName struct {
	long    string
	compact byte // lower case, 0 for none
}

// compactForms are the one-letter forms registered with IANA (RFC 3261 section 20, RFC 3515, RFC 3841,
// RFC 3892, RFC 4028, RFC 6665, RFC 8224).
var compactForms = [26]string{
	'a' - 'a': "Accept-Contact",
	'b' - 'a': "Referred-By",
	'c' - 'a': "Content-Type",
	'd' - 'a': "Request-Disposition",
	'e' - 'a': "Content-Encoding",
	'f' - 'a': "From",
	'i' - 'a': "Call-ID",
	'j' - 'a': "Reject-Contact",
	'k' - 'a': "Supported",
	'l' - 'a': "Content-Length",
	'm' - 'a': "Contact",
	'n' - 'a': "Identity-Info",
	'o' - 'a': "Event",
	'r' - 'a': "Refer-To",
	's' - 'a': "Subject",
	't' - 'a': "To",
	'u' - 'a': "Allow-Events",
	'v' - 'a': "Via",
	'x' - 'a': "Session-Expires",
	'y' - 'a': "Identity",
}

// textWithCommas are the single-value fields in which a comma is part of the value.
var textWithCommas = [...]string{
	"Authentication-Info", "Authorization", "Date", "Organization", "Proxy-Authenticate",
	"Proxy-Authorization", "Retry-After", "Server", "Subject", "User-Agent", "WWW-Authenticate",
}

func lookup(name string) fieldName {
	if len(name) == 1 {
		c := lower(name[0])
		if c >= 'a' && c <= 'z' && compactForms[c-'a'] != "" {
			return fieldName{compactForms[c-'a'], c}
		}
		return fieldName{long: name}
	}
	for i, long := range compactForms {
		if len(long) == len(name) && fold(long, name) {
			return fieldName{name, byte('a' + i)}
		}
	}
	return fieldName{long: name}
}

func (n fieldName) is(name string) bool {
	if len(name) == 1 {
		c := lower(name[0])
		return c == n.compact || len(n.long) == 1 && c == lower(n.long[0])
	}
	return fold(n.long, name)
}

func (n fieldName) commaIsText() bool {
	for _, t := range textWithCommas {
		if fold(t, n.long) {
			return true
		}
	}
	return false
}

// String is the long form, which is what error messages should show.
func (n fieldName) String() string { return n.long }
