package cpim

import "slices"

// Readdress changes the recipient, as an intermediary does that sends the message on. The recipient before becomes Original-To, unless one is there already:
// that stays, as it is who the sender wrote to (RFC 5438 section 6.4). With undisclosed none is added.
func (m *Message) Readdress(to Address, undisclosed bool) {
	former := m.To()
	at := max(slices.IndexFunc(m.Header, func(f Field) bool { return f.Name == core("To") }), 0)
	m.Header = slices.DeleteFunc(m.Header, func(f Field) bool { return f.Name == core("To") })
	m.Header = slices.Insert(m.Header, min(at, len(m.Header)), ToField(to))
	if !undisclosed && m.Get(originalTo) == nil && len(former) > 0 {
		m.Header = append(m.Header, OriginalToField(former[0]))
	}
}

// Forward says where a notification goes from the intermediary with a URI, and takes that off the top of IMDN-Route: to the next one there, else to the
// recipient (RFC 5438 section 8). It is the zero Address when the message tells neither.
func (m *Message) Forward(own string) Address {
	valid := func(f Field) bool {
		_, why := parseAddress(f.Value)
		return f.Name == route && why == ""
	}
	if top := slices.IndexFunc(m.Header, valid); top >= 0 && m.Route()[0].URI == own {
		m.Header = slices.Delete(m.Header, top, top+1)
	}
	if next := append(m.Route(), m.To()...); len(next) > 0 {
		return next[0]
	}
	return Address{}
}
