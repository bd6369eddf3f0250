package stack

import (
	"testing"

	"imp/internal/sip/header"
)

var contacts = map[string]bool{
	"*":                   true,
	"sip:joe@example.com": true,
	`"Joe, \"x\" <y" <sip:joe@example.com;a=b>;q=0.7;+sip.instance="<urn:uuid:1,2>" , <sips:[::1]:5061>;expires=0`: true,
	"Joe <sip:joe@example.com>,sip:a@b;x": true,
	"<sip:a@b?Route=%3Csip:c%3E>":         true,
	"mailto:joe@example.com":              true,
	"":                                    false,
	"sip:user@example.com?Route=%3Csip:sip.example.com%3E": false,
	"<sip:a@b>,":                 false,
	",<sip:a@b>":                 false,
	`"Joe <sip:joe@example.com>`: false,
	"<sip:joe@example.com":       false,
	"<sip:a@b>;;":                false,
	"<sip:a@b>;expires=":         false,
	"<sip:a@b:0>":                false,
	"sips:b:00;x":                false,
	"sip:a@b, \"0\" <sip:b:0;x>": false,
	"<sip:0>, <sip:a:0@b>, <sip:[::0]>, <sip:a@b:05060>, <sip:a@b;x=c:0>, <tel:0>": true,
	"* ;x": false,
	"joe":  false,
}

func TestContactList(t *testing.T) {
	for value, want := range contacts {
		if got := contactList([]byte(value)); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// FuzzContactList refuses nothing that the handlers would take.
func FuzzContactList(f *testing.F) {
	for value := range contacts {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, _, err := header.ParseContacts([]string{value}); err == nil && !contactList(trimSpace([]byte(value))) {
			t.Errorf("%q is refused", value)
		}
	})
}
