package registrar

import (
	"fmt"
	"testing"
	"time"

	"imp/internal/store/memory"
)

// BenchmarkUpdate is what the registrar itself does for a REGISTER that refreshes one of three contacts.
func BenchmarkUpdate(b *testing.B) {
	s := New(Config{Store: memory.New(), Domains: []string{"example.com"}})
	defer s.Close()
	contacts := make([]contact, 3)
	for i := range contacts {
		contacts[i] = contactFor(fmt.Sprintf("sip:alice-0x%d@192.0.2.1:5060", i), time.Hour)
	}
	seq := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		q := &request{aor: "sip:alice@example.com", callID: "c", cseq: seq, contacts: contacts[:1+seq%3]}
		rec, refusal := s.update(b.Context(), q)
		if refusal != nil {
			b.Fatal(refusal.Status)
		}
		if s.listing(q, rec).Status != 200 {
			b.Fatal("no listing")
		}
	}
}
