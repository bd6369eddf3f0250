package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
)

// TestWatchersShown checks what a person sees: on a terminal a table of who there
// is, then lines.
func TestWatchersShown(t *testing.T) {
	five, hostile := uint64(5), "Bob \x1b[31m\"B\""
	who := []winfo.Change{
		{Watcher: winfo.Watcher{URI: "sip:bob@example.com", DisplayName: hostile, Status: winfo.Pending, Event: winfo.Subscribe, Subscribed: &five}},
		{Watcher: winfo.Watcher{URI: "sip:carol@example.com", Status: winfo.Active, Event: winfo.Approved}},
	}
	gone := []winfo.Change{{Watcher: winfo.Watcher{URI: "sip:bob@example.com", Status: winfo.Terminated, Event: winfo.Subscribe}, Missed: true}}
	shown := func(t *testing.T, tty bool) string {
		t.Helper()
		var out, errs bytes.Buffer
		now := time.Now()
		k := kit.New(kit.Streams{Out: &out, Err: &errs, OutTTY: tty, Env: func(string) string { return "dumb" }})
		k.Now = func() time.Time { return now }
		o := &watchersOptions{kit: k}
		for _, changes := range [][]winfo.Change{who, gone} {
			if err := o.learned(&event.Notification{Body: []byte("<x/>")}, changes, func(*watcherEvent) bool { return false }); err != nil {
				t.Fatal(err)
			}
		}
		clock := strings.NewReplacer(k.Style().Time(now, now), "NOW", k.Style().Time(now.Add(-5*time.Second), now), "THEN")
		return clock.Replace(out.String())
	}
	last := "NOW terminated  sip:bob@example.com  missed\n"
	if got, want := shown(t, false), `NOW pending  sip:bob@example.com  "Bob \x1b[31m"B""  subscribe  THEN`+"\nNOW active  sip:carol@example.com  approved\n"+last; got != want {
		t.Errorf("lines:\n%s\nwant\n%s", got, want)
	}
	got := strings.Fields(shown(t, true))
	want := strings.Fields(`STATUS WATCHER NAME CAUSE SINCE pending sip:bob@example.com "Bob \x1b[31m"B"" subscribe THEN active sip:carol@example.com approved ` + last)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("table:\n%s\nwant\n%s", got, want)
	}
}
