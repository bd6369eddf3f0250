package lab_test

import (
	"strings"
	"testing"

	"imp/internal/doc/winfo"
)

// TestWatchersOfPhones lets a client of others, which sends no Accept, follow its
// watchers, among them another such client.
func TestWatchersOfPhones(t *testing.T) {
	node := nodeModules(t, "sip.js")
	nodeModules(t, "jssip")
	at := phonesLab(t)
	alice := newNodePhone(t, "sipjs", node, "alice", "wonderland", "ws://"+at["ws"])
	bob := newNodePhone(t, "jssip", node, "bob", "builder", "ws://"+at["ws"])
	// told waits for the next document.
	told := func(version uint32, full bool) *winfo.Document {
		t.Helper()
		h := alice.told.await("watcher information", func(h happening) bool { return h.Event == "notify" && strings.Contains(h.Body, "<watcherinfo") })
		d, err := winfo.Parse([]byte(h.Body))
		if err != nil {
			t.Fatalf("%v in\n%s", err, h.Body)
		}
		if d.Version != version || d.Full != full || len(d.Lists) != 1 {
			t.Fatalf("%s", h.Body)
		}
		return d
	}
	t.Run("WIN-004 WIN-010 SIP.js follows its watchers", func(t *testing.T) {
		alice.command("subscribe", map[string]string{"target": alice.self, "event": "presence.winfo"})
		if d := told(0, true); len(d.Lists[0].Watchers) != 0 {
			t.Fatalf("%+v", d)
		}
		bob.watch(alice.self)
		d := told(1, false)
		w := d.Lists[0].Watchers
		if len(w) != 1 || w[0].URI != bob.self || w[0].Status != winfo.Active || w[0].Event != winfo.Subscribe {
			t.Fatalf("%+v", d)
		}
		bob.command("quit", nil)
		gone := told(2, false).Lists[0].Watchers
		if len(gone) != 1 || gone[0].ID != w[0].ID || gone[0].Status != winfo.Terminated || gone[0].Event != winfo.Timeout {
			t.Fatalf("%+v", gone)
		}
	})
}
