package stun

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"reflect"
	"testing"
)

var id = ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestBytes(t *testing.T) {
	const tail = "2112a4420102030405060708090a0b0c"
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"request": {AppendRequest(nil, id), "00010000" + tail},
		"IPv4":    {AppendSuccess(nil, id, netip.MustParseAddrPort("192.0.2.1:5060")), "0101000c" + tail + "00200008" + "000132d6" + "e112a643"},
		"IPv6": {AppendSuccess(nil, id, netip.MustParseAddrPort("[2001:db8::1]:5060")),
			"01010018" + tail + "00200014" + "000232d6" + "0113a9fa0102030405060708090a0b0d"},
		"420": {AppendUnknown(nil, id, []uint16{6, 0x13, 7}), "01110014" + tail + "0009000400000414" + "000a0006000600130007" + "0000"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:1", "[2001:db8::1]:65535"} {
		a := netip.MustParseAddrPort(addr)
		m, err := Parse(AppendSuccess(nil, id, a))
		if err != nil || !reflect.DeepEqual(m, Message{Type: BindingSuccess, ID: id, Mapped: a}) {
			t.Errorf("%s: %+v, %v", addr, m, err)
		}
	}
	m, err := Parse(AppendUnknown(nil, id, []uint16{6, 0x8022}))
	if err != nil || m.Type != BindingError || m.Code != 420 {
		t.Errorf("420: %+v, %v", m, err)
	}
	request := AppendRequest(nil, id)
	request[3] = 16
	m, err = Parse(append(request, unhex("0006000161000000"+"8022000462626262")...))
	if err != nil || !reflect.DeepEqual(m.Unknown, []uint16{6}) {
		t.Errorf("an attribute that must be understood, and one that need not: %+v, %v", m, err)
	}
	mapped := append(AppendRequest(nil, id), unhex("0001000800011234c0000201")...)
	mapped[3] = 12
	if m, err = Parse(mapped); err != nil || m.Mapped.String() != "192.0.2.1:4660" {
		t.Errorf("a plain address: %+v, %v", m, err)
	}
	for name, b := range map[string][]byte{
		"short":             request[:19],
		"longer than said":  append(bytes.Clone(AppendRequest(nil, id)), 0, 0, 0, 0),
		"attribute too far": append(bytes.Clone(request[:3]), append([]byte{4}, append(bytes.Clone(request[4:20]), 0, 6, 0, 1)...)...),
		"family":            append(bytes.Clone(request[:3]), append([]byte{12}, append(bytes.Clone(request[4:20]), unhex("0020000800031234c0000201")...)...)...),
		"code":              append(bytes.Clone(request[:3]), append([]byte{8}, append(bytes.Clone(request[4:20]), unhex("0009000400000201")...)...)...),
	} {
		if m, err := Parse(b); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestIs(t *testing.T) {
	if !Is(AppendRequest(nil, id)) || Is([]byte("OPTIONS sip:alice@example.com SIP/2.0\r\n")) || Is(nil) {
		t.Error("STUN and SIP are confused")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(AppendRequest(nil, id))
	f.Add(AppendSuccess(nil, id, netip.MustParseAddrPort("192.0.2.1:5060")))
	f.Add(AppendUnknown(nil, id, []uint16{6}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err == nil && m.Mapped.IsValid() {
			if again, err := Parse(AppendSuccess(nil, m.ID, m.Mapped)); err != nil || again.Mapped != m.Mapped {
				t.Errorf("%v became %v, %v", m.Mapped, again.Mapped, err)
			}
		}
	})
}
