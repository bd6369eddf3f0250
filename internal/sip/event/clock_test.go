package event

import (
	"strings"
	"testing"
	"time"

	"imp/internal/store/memory"
)

// TestClock: what is alive ends by the monotonic clock. That is not to be seen
// from outside without a clock to set, but a time that carries it says so.
func TestClock(t *testing.T) {
	monotonic := func(name string, when time.Time) {
		t.Helper()
		if !strings.Contains(when.String(), " m=") {
			t.Errorf("%s is measured by the wall clock: %v", name, when)
		}
	}
	n := NewNotifier(NotifierConfig{Resources: everyone{}})
	defer n.Close()
	monotonic("a subscription", n.time(n.now()))
	kv := memory.New()
	defer kv.Close()
	if _, err := kv.Put(t.Context(), publicationKey(alice, "notes", "x"), nil, 0, time.Minute); err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), publicationKey(alice, "notes", "x"))
	if err != nil {
		t.Fatal(err)
	}
	monotonic("a publication", e.Expires)
}
