package identity

import "testing"

func TestOwns(t *testing.T) {
	for _, c := range []struct {
		name, aor string
		want      bool
	}{
		{"alice", "sip:alice@example.com", true},
		{"alice", "sip:alice@example.org", true},
		{"alice", "sip:Alice@example.com", false},
		{"alice", "sip:bob@example.com", false},
		{"alice", "sip:example.com", false},
		{"alice", "alice", false},
		{"", "sip:example.com", false},
		{"alice@example.com", "sip:alice@example.com", true},
		{"alice@EXAMPLE.com", "sip:alice@example.com", true},
		{"alice@example.com", "sip:alice@example.org", false},
		{"two words", "sip:two%20words@example.com", true},
		{"a%62", "sip:ab@example.com", false},
		{"a%62", "sip:a%2562@example.com", true},
		{"Zoë", "sip:Zo%C3%AB@example.com", true},
	} {
		if got := Owns(c.name, c.aor); got != c.want {
			t.Errorf("%q owns %s: %v", c.name, c.aor, got)
		}
	}
}

func TestKnown(t *testing.T) {
	names := map[string]bool{"alice": true, "bob@example.com": true, "two words": true, "a%62": true}
	known := Known(func(name string) bool { return names[name] })
	for _, c := range []struct {
		user, domain string
		want         bool
	}{
		{"alice", "example.org", true},
		{"%61lice", "example.org", true},
		{"bob", "EXAMPLE.com", true},
		{"bob", "example.org", false},
		{"two%20words", "example.org", true},
		{"ab", "example.org", false},
		{"a%2562", "example.org", true},
		{"%", "example.org", false},
		{"nobody", "example.com", false},
	} {
		if got := known(c.user, c.domain); got != c.want {
			t.Errorf("%s at %s is known: %v", c.user, c.domain, got)
		}
	}
}
