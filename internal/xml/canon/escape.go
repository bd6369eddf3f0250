package canon

// escapes are what canonical text and values write for a byte (Canonical XML 1.0, section 2.3).
type escapes [256]string

var (
	textEscapes  = escapes{'&': "&amp;", '<': "&lt;", '>': "&gt;", '\r': "&#xD;"}
	valueEscapes = escapes{'&': "&amp;", '<': "&lt;", '"': "&quot;", '\t': "&#x9;", '\n': "&#xA;", '\r': "&#xD;"}
)

func appendText(dst []byte, s string) []byte  { return textEscapes.append(dst, s) }
func appendValue(dst []byte, s string) []byte { return valueEscapes.append(dst, s) }

func (e *escapes) append(dst []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		if e[s[i]] != "" {
			dst = append(dst, s[from:i]...)
			dst = append(dst, e[s[i]]...)
			from = i + 1
		}
	}
	return append(dst, s[from:]...)
}
