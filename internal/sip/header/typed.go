package header

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// valueOf returns the value of h. sipgo keeps From, To and Contact parsed. Its parameters are what stood between semicolons
// and round the last equals sign, quotes included, so written one after the other they are the text received; its own
// rendering puts quotes round the quotes.
func valueOf(h sip.Header) string {
	switch h := h.(type) {
	case *sip.FromHeader:
		return typedAddress(h.DisplayName, &h.Address, h.Params)
	case *sip.ToHeader:
		return typedAddress(h.DisplayName, &h.Address, h.Params)
	case *sip.ContactHeader:
		if !h.Address.Wildcard {
			return typedAddress(h.DisplayName, &h.Address, h.Params)
		}
	}
	return trim(h.Value())
}

func typedAddress(display string, uri *sip.Uri, params sip.HeaderParams) string {
	var b strings.Builder
	if display != "" {
		b.WriteString(`"` + display + `" `) // with the backslashes that were received
	}
	b.WriteByte('<')
	uri.StringWrite(&b)
	b.WriteByte('>')
	for _, param := range params {
		if trim(param.K) == "" {
			continue // white space before a semicolon
		}
		b.WriteByte(';')
		b.WriteString(param.K)
		if param.V != "" {
			b.WriteByte('=')
			b.WriteString(param.V)
		}
	}
	return b.String()
}
