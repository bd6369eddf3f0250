package winfo

import (
	"fmt"
	"testing"
	"time"

	"imp/internal/sip/event"
)

// BenchmarkUnwatched is what each subscription costs while nobody looks at the
// watchers of a resource.
func BenchmarkUnwatched(b *testing.B) {
	p := New(Config{Parent: "presence"})
	l := event.Lifecycle{Info: event.Info{ID: "x", Package: "presence", Resource: "sip:alice@example.com", Watcher: "sip:bob@example.com"}, Cause: "subscribe"}
	b.ReportAllocs()
	for b.Loop() {
		p.observe(l)
	}
}

// BenchmarkDocument is a full document of a thousand watchers.
func BenchmarkDocument(b *testing.B) {
	n := event.NewNotifier(event.NotifierConfig{Resources: everyone{}}, &notes{verdict: map[string]event.Decision{}})
	defer n.Close()
	p := New(Config{Parent: "notes"})
	p.notifier = n
	v, _, err := p.Open(b.Context(), event.Request{Resource: "sip:alice@example.com", Watcher: "sip:alice@example.com"})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for i := range 1000 {
		p.observe(event.Lifecycle{Info: event.Info{ID: fmt.Sprint(i), Package: "notes", Resource: "sip:alice@example.com",
			Watcher: fmt.Sprintf("sip:user%d@example.com", i), Since: now, Expires: now.Add(time.Hour)}, Cause: "subscribe", Number: uint64(i + 1)})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.Render(0); err != nil {
			b.Fatal(err)
		}
	}
}
