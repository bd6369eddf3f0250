package presence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"imp/internal/sip/event"
)

// TestDocumentKept: the last document is kept where the next one depends on it, because it has timestamps, and only
// there.
func TestDocumentKept(t *testing.T) {
	const stamp, entity = "2026-01-02T03:04:05Z", "sip:a@example.com"
	begin := time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	p := &presentity{name: entity, owner: &presentities{}}
	publish := func(basic, more string, at time.Time) {
		p.set(event.Publication{ID: "x", Published: at, Body: fmt.Appendf(nil,
			`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="%s"><tuple id="t"><status><basic>%s</basic></status>%s</tuple></presence>`, entity, basic, more)})
	}
	publish("open", "<timestamp>"+stamp+"</timestamp>", begin)
	first, one := p.document(entity, begin)
	if !strings.Contains(string(first), stamp) {
		t.Fatalf("the timestamp published is not told: %s", first)
	}
	if again, two := p.document(entity, begin.Add(time.Second)); two != one || string(again) != string(first) {
		t.Errorf("another document for the same state: %s", again)
	}
	publish("closed", "<timestamp>"+stamp+"</timestamp>", begin.Add(time.Minute))
	if next, two := p.document(entity, begin.Add(time.Minute)); two == one || strings.Contains(string(next), stamp) {
		t.Errorf("two states with one timestamp: %s", next)
	}
	if len(p.documents) != 1 {
		t.Errorf("%d documents are kept", len(p.documents))
	}
	publish("closed", "", begin.Add(time.Hour))
	if p.document(entity, begin.Add(time.Hour)); len(p.documents) != 0 {
		t.Error("a document without timestamps is kept")
	}
}
