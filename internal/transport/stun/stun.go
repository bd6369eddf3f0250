// Package stun implements the part of STUN (RFC 5389) that keeps UDP flows of SIP alive (RFC 5626 sections 4.4.2
// and 8): Binding requests without credentials, and their answers.
package stun

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// ID is the identifier of a transaction.
type ID [12]byte

// The message types there are (RFC 5389 section 6).
const (
	BindingRequest = 0x0001
	BindingSuccess = 0x0101
	BindingError   = 0x0111
)

const (
	headerLen = 20
	cookie    = 0x2112A442

	attrMapped    = 0x0001
	attrErrorCode = 0x0009
	attrUnknown   = 0x000A
	attrXORMapped = 0x0020
	optional      = 0x8000 // attributes from here on need not be understood

	familyIPv4 = 1
	familyIPv6 = 2
)

// maxUnknown bounds what an error answer lists.
const maxUnknown = 8

var (
	errLength    = errors.New("reading STUN: the length of the message or of an attribute is wrong")
	errAddress   = errors.New("reading STUN: an address is neither IPv4 nor IPv6")
	errErrorCode = errors.New("reading STUN: an error code is not one")
)

// Message is what a keep-alive needs of a message.
type Message struct {
	Type    uint16
	ID      ID
	Mapped  netip.AddrPort // of a success: where the request came from
	Code    int            // of an error, 300 to 699
	Unknown []uint16       // attributes that would have to be understood and are not, the first few
}

// Is tells STUN from SIP, both of which come to one port: the first two bits, and the magic cookie.
func Is(b []byte) bool {
	return len(b) >= headerLen && b[0] < 0x40 && binary.BigEndian.Uint32(b[4:]) == cookie
}

// Parse reads a message that Is knows. Errors say what is wrong with its lengths or values.
func Parse(b []byte) (Message, error) {
	if !Is(b) || int(binary.BigEndian.Uint16(b[2:])) != len(b)-headerLen {
		return Message{}, errLength
	}
	m := Message{Type: binary.BigEndian.Uint16(b), ID: ID(b[8:headerLen])}
	for rest := b[headerLen:]; len(rest) > 0; {
		if len(rest) < 4 {
			return m, errLength
		}
		kind, n := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		padded := 4 + (n+3)&^3
		if padded > len(rest) {
			return m, errLength
		}
		if err := m.attribute(kind, rest[4:4+n]); err != nil {
			return m, err
		}
		rest = rest[padded:]
	}
	return m, nil
}

func (m *Message) attribute(kind uint16, value []byte) (err error) {
	switch {
	case kind == attrXORMapped:
		m.Mapped, err = m.address(value, true)
	case kind == attrMapped && !m.Mapped.IsValid():
		m.Mapped, err = m.address(value, false)
	case kind == attrMapped, kind == attrUnknown:
	case kind == attrErrorCode:
		if len(value) < 4 || value[2]&7 < 3 || value[2]&7 > 6 || value[3] > 99 {
			return errErrorCode
		}
		m.Code = int(value[2]&7)*100 + int(value[3])
	case kind < optional && len(m.Unknown) < maxUnknown:
		m.Unknown = append(m.Unknown, kind)
	}
	return err
}

func (m *Message) address(v []byte, masked bool) (netip.AddrPort, error) {
	size := 4
	if len(v) > 1 && v[1] == familyIPv6 {
		size = 16
	}
	if len(v) != 4+size || v[1] != familyIPv4 && v[1] != familyIPv6 {
		return netip.AddrPort{}, errAddress
	}
	port, ip := binary.BigEndian.Uint16(v[2:]), append([]byte(nil), v[4:]...)
	if masked {
		port ^= cookie >> 16
		m.ID.mask(ip)
	}
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port), nil
}

// mask is its own inverse (RFC 5389 section 15.2).
func (id ID) mask(ip []byte) {
	var key [16]byte
	binary.BigEndian.PutUint32(key[:], cookie)
	copy(key[4:], id[:])
	for i := range ip {
		ip[i] ^= key[i]
	}
}

// AppendRequest writes a Binding request, without attributes as RFC 5626 section 4.4.2 wants it.
func AppendRequest(b []byte, id ID) []byte { return appendHeader(b, BindingRequest, 0, id) }

// AppendSuccess writes the answer to a Binding request that came from an address.
func AppendSuccess(b []byte, id ID, from netip.AddrPort) []byte {
	ip, family := from.Addr().Unmap().AsSlice(), byte(familyIPv4)
	if len(ip) == 16 {
		family = familyIPv6
	}
	id.mask(ip)
	b = appendHeader(b, BindingSuccess, 8+len(ip), id)
	b = appendAttribute(b, attrXORMapped, 4+len(ip))
	b = append(b, 0, family)
	b = binary.BigEndian.AppendUint16(b, from.Port()^cookie>>16)
	return append(b, ip...)
}

// AppendUnknown writes the answer 420 to a request with attributes that are not understood (RFC 5389 section 7.3.1).
func AppendUnknown(b []byte, id ID, unknown []uint16) []byte {
	n := (2*len(unknown) + 3) &^ 3
	b = appendHeader(b, BindingError, 8+4+n, id)
	b = append(appendAttribute(b, attrErrorCode, 4), 0, 0, 4, 20)
	b = appendAttribute(b, attrUnknown, 2*len(unknown))
	for _, u := range unknown {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return append(b, make([]byte, n-2*len(unknown))...)
}

func appendHeader(b []byte, kind uint16, length int, id ID) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = binary.BigEndian.AppendUint32(b, cookie)
	return append(b, id[:]...)
}

func appendAttribute(b []byte, kind uint16, length int) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}
