package registration

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// Binding is one contact of an address of record, as a registrar lists it.
type Binding struct {
	URI       string
	Expires   time.Duration // that is left; negative when it is not told
	Q         string        // preference from 0 to 1, "" when it is not told
	Instance  string        // URN, "" without
	RegID     int           // 0 without
	Public    string        // GRUU
	Temporary string        // GRUU
}

// bindingsOf reads the Contacts of a 2xx. Those that cannot be read are left
// out, because they are of others.
func bindingsOf(res *sip.Response) []Binding {
	var all []Binding
	for _, v := range header.List(res, "Contact") {
		c, err := header.ParseAddress(v)
		if err != nil {
			continue
		}
		b := Binding{URI: c.URI, Expires: -1, Q: param(c, "q"), Public: param(c, "pub-gruu"), Temporary: param(c, "temp-gruu"),
			Instance: strings.TrimSuffix(strings.TrimPrefix(param(c, "+sip.instance"), "<"), ">")}
		b.RegID, _ = strconv.Atoi(param(c, "reg-id"))
		if s, err := header.ParseExpires(param(c, "expires")); err == nil {
			b.Expires = time.Duration(s) * time.Second
		}
		all = append(all, b)
	}
	return all
}

func param(c header.Address, name string) string {
	v, _ := c.Params.Get(name)
	return v
}

// find is the binding of a contact: that of the same URI, or, when the
// registrar changed that, the one of the same instance and flow.
func find(all []Binding, contact, instance string, regID int) *Binding {
	own, err := header.ParseURI(contact)
	if err != nil {
		return nil
	}
	for i := range all {
		if u, err := header.ParseURI(all[i].URI); err == nil && u.Equal(own) {
			return &all[i]
		}
	}
	for i := range all {
		if instance != "" && strings.EqualFold(all[i].Instance, instance) && all[i].RegID == regID {
			return &all[i]
		}
	}
	return nil
}
