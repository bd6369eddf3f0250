package presence

import (
	"testing"

	"imp/internal/sip/header"
)

func TestDirectory(t *testing.T) {
	d := &Directory{Domains: []string{"example.com", "example.org"},
		Known: func(user, domain string) bool { return user != "nobody" && domain == "example.com" },
		Own:   func(hostport string) bool { return hostport == "192.0.2.1:5070" || hostport == "[2001:db8::1]:5060" }}
	for _, c := range []struct {
		name, uri, want string
	}{
		{"a SIP URI", "sip:alice@example.com", "sip:alice@example.com"},
		{"NAM-012 a pres URI", "pres:alice@example.com", "sip:alice@example.com"},
		{"a sips URI", "sips:alice@example.com", "sip:alice@example.com"},
		{"a host in other case", "sip:alice@EXAMPLE.COM;transport=tcp", "sip:alice@example.com"},
		{"users are case-sensitive", "sip:Alice@example.com", "sip:Alice@example.com"},
		{"an address of the server", "sip:alice@192.0.2.1:5070;gr", "sip:alice@example.com"},
		{"an IPv6 address of the server", "sip:alice@[2001:db8::1]", "sip:alice@example.com"},
		{"another port", "sip:alice@192.0.2.1:5071", ""},
		{"PUB-028 EVT-076 an unknown user", "sip:nobody@example.com", ""},
		{"a user of the other domain", "sip:alice@example.org", ""},
		{"another domain", "sip:alice@example.net", ""},
		{"no user", "sip:example.com", ""},
		{"another scheme", "im:alice@example.com", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := header.ParseURI(c.uri)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := d.Resource(u); got != c.want || ok != (c.want != "") {
				t.Errorf("%q, %v", got, ok)
			}
		})
	}
	if _, ok := (&Directory{}).Resource(header.URI{Scheme: "sip", User: "a", Host: "anywhere.test"}); !ok {
		t.Error("without domains every domain is served")
	}
}

func TestEntity(t *testing.T) {
	d := &Directory{Domains: []string{"example.com"}}
	for _, c := range []struct{ name, asked, want string }{
		{"PRS-034 the URI that was asked for", "pres:alice@example.com", "pres:alice@example.com"},
		{"spellings of a host are one entity", "sip:alice@eXAMPLE.com", "sip:alice@example.com"},
		{"spellings of a user are one entity", "sip:%61l%69ce@example.com", "sip:alice@example.com"},
		{"spellings of a scheme are one entity", "SIPS:alice@example.com", "sips:alice@example.com"},
		{"ports, passwords and parameters are left out", "sip:alice:pw@example.com:5061;transport=tcp", "sip:alice@example.com"},
		{"the case of the user stays", "sip:Alice@example.com", "sip:Alice@example.com"},
		{"an address of the server", "sip:alice@192.0.2.1:5070;gr", "sip:resource@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := d.Entity(c.asked, "sip:resource@example.com"); got != c.want {
				t.Errorf("%q", got)
			}
		})
	}
}
