package sdp

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// Bytes writes the description. Setup, and the file attributes, are written for lines that are not refused; of a
// refused one what names the file is left (RFC 5547 section 8.3).
func (d *Description) Bytes() []byte {
	user := d.User
	if user == "" {
		user = "-"
	}
	host := d.Origin
	if host == "" {
		host = d.Host
	}
	if host == "" {
		host = "127.0.0.1"
	}
	p := sdp.SessionDescription{
		Origin: sdp.Origin{Username: user, SessionID: d.ID, SessionVersion: d.Version, NetworkType: "IN",
			AddressType: family(host), UnicastAddress: host},
		SessionName:           "-",
		ConnectionInformation: connection(d.Host),
		TimeDescriptions:      []sdp.TimeDescription{{}},
	}
	for _, m := range d.Media {
		p.MediaDescriptions = append(p.MediaDescriptions, m.pion(d.Host))
	}
	b, err := p.Marshal()
	if err != nil { // it has none
		return nil
	}
	return b
}

// family is the address type of a host; a name counts as IPv4, like most that it may lead to.
func family(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() && !a.Is4In6() {
		return "IP6"
	}
	return "IP4"
}

func connection(host string) *sdp.ConnectionInformation {
	if host == "" {
		return nil
	}
	return &sdp.ConnectionInformation{NetworkType: "IN", AddressType: family(host), Address: &sdp.Address{Address: host}}
}

// pion makes the media description.
func (m *Media) pion(session string) *sdp.MediaDescription {
	p := &sdp.MediaDescription{MediaName: sdp.MediaName{Media: m.Kind, Port: sdp.RangedPort{Value: m.Port},
		Protos: strings.Split(m.Protocol, "/"), Formats: strings.Fields(m.Formats)}}
	if m.Host != session {
		p.ConnectionInformation = connection(m.Host)
	}
	if m.Title != "" {
		title := sdp.Information(line(m.Title))
		p.MediaTitle = &title
	}
	add := func(key, value string) {
		p.Attributes = append(p.Attributes, sdp.Attribute{Key: key, Value: line(value)})
	}
	if m.Direction != "" && m.Direction != SendRecv {
		add(string(m.Direction), "")
	}
	for _, a := range [...]struct{ key, value string }{
		{"accept-types", strings.Join(m.AcceptTypes, " ")},
		{"accept-wrapped-types", strings.Join(m.WrappedTypes, " ")},
		{"max-size", number(m.MaxSize)},
		{"path", m.Path},
		{"setup", string(m.Setup)},
	} {
		if a.value != "" {
			add(a.key, a.value)
		}
	}
	if m.CEMA {
		add("msrp-cema", "")
	}
	for _, f := range m.Fingerprints {
		add("fingerprint", f)
	}
	if m.HasChatRoom {
		add("chatroom", m.ChatRoom)
	}
	if m.File != nil {
		m.File.attributes(add)
	}
	return p
}

func number(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// line makes one line of a value: a line end in it would begin a line of its own.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, s)
}
