package header

// fieldName is a header field name under both its forms.
type fieldName struct {
	long    string
	compact byte // lower case, 0 for none
}

// compactForms are the one-letter forms registered with IANA (RFC 3261 section 20, RFC 3515, RFC 3841,
// RFC 3892, RFC 4028, RFC 6665, RFC 8224).
var compactForms = [32]string{ // indexed by the letter's low five bits
	'a' & 31: "Accept-Contact",
	'b' & 31: "Referred-By",
	'c' & 31: "Content-Type",
	'd' & 31: "Request-Disposition",
	'e' & 31: "Content-Encoding",
	'f' & 31: "From",
	'i' & 31: "Call-ID",
	'j' & 31: "Reject-Contact",
	'k' & 31: "Supported",
	'l' & 31: "Content-Length",
	'm' & 31: "Contact",
	'n' & 31: "Identity-Info",
	'o' & 31: "Event",
	'r' & 31: "Refer-To",
	's' & 31: "Subject",
	't' & 31: "To",
	'u' & 31: "Allow-Events",
	'v' & 31: "Via",
	'x' & 31: "Session-Expires",
	'y' & 31: "Identity",
}

// textWithCommas are the single-value fields in which a comma is part of the value.
var textWithCommas = [...]string{
	"Authentication-Info", "Authorization", "Date", "Organization", "Proxy-Authenticate",
	"Proxy-Authorization", "Retry-After", "Server", "Subject", "User-Agent", "WWW-Authenticate",
}

func lookup(name string) fieldName {
	if len(name) == 1 {
		c := lower(name[0])
		if c >= 'a' && c <= 'z' && compactForms[c&31] != "" {
			return fieldName{compactForms[c&31], c}
		}
		return fieldName{long: name}
	}
	for i, long := range compactForms {
		if len(long) == len(name) && fold(long, name) {
			return fieldName{long, byte('`' + i)}
		}
	}
	return fieldName{long: name}
}

// is is small enough to be inlined, because it runs for every field of a message.
func (n *fieldName) is(name string) bool {
	return (len(name) == len(n.long) || len(name) == 1) && n.matches(name)
}

func (n *fieldName) matches(name string) bool {
	return fold(n.long, name) || len(name) == 1 && n.compact != 0 && lower(name[0]) == n.compact
}

func (n *fieldName) commaIsText() bool {
	for _, t := range textWithCommas {
		if fold(t, n.long) {
			return true
		}
	}
	return false
}

// String is the long form, which is what error messages should show.
func (n *fieldName) String() string { return n.long }

// LongName is the long form of a field's name: of its compact form where it is
// one, else the name as it is.
func LongName(name string) string {
	if len(name) == 1 {
		return lookup(name).long
	}
	return name
}
