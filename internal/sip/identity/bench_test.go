package identity

import (
	"testing"

	"github.com/emiago/sipgo/sip"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// BenchmarkIdentify is what authentication adds to a request whose client goes
// on with its nonce.
func BenchmarkIdentify(b *testing.B) {
	const target = "sip:alice@example.com"
	source, err := users.New(users.Config{Realms: []string{"example.com"}, Entries: []string{"alice:wonderland"}})
	if err != nil {
		b.Fatal(err)
	}
	g, err := NewGuard(GuardConfig{Realm: "example.com", Users: source,
		AOR: func(u header.URI) (string, bool) {
			return header.URI{Scheme: "sip", User: u.User, Host: u.Host}.AOR(), true
		}})
	if err != nil {
		b.Fatal(err)
	}
	client := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return "alice", "wonderland", nil }})
	first := client.Request("PUBLISH", target, nil)
	if err := first.Challenged(g.verifier.Challenge(false)); err != nil {
		b.Fatal(err)
	}
	requests := make([]*stack.Request, b.N)
	for i := range requests {
		m := sip.NewRequest("PUBLISH", sip.Uri{Scheme: "sip", User: "alice", Host: "example.com"})
		m.AppendHeader(sip.NewHeader("From", "<sip:alice@example.com>;tag=a"))
		m.AppendHeader(sip.NewHeader("Authorization", client.Request("PUBLISH", target, nil).Authorization()[0]))
		requests[i] = &stack.Request{Request: m}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range requests {
		if _, refusal := g.Identify(r); refusal != nil {
			b.Fatal(refusal.Status)
		}
	}
}
