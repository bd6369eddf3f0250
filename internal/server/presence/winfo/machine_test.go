package winfo

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
)

// reconsider judges who waits for alice anew.
func (r *rig) reconsider() {
	r.pkg.Reconsider(r.t.Context(), "sip:alice@example.com")
	synctest.Wait()
}

// TestMachine is the state machine of RFC 3857 section 4.7.1.
func TestMachine(t *testing.T) {
	tests{
		{"WIN-020 who is refused is never told of", func(t *testing.T, r *rig) {
			owner := r.owner()
			r.notes.set("bob", refuse)
			for _, expires := range []string{"Expires: 600", gone} {
				p := &peer{r: r, user: "bob", pkg: "notes", callID: expires, tag: "t"}
				p.wants(403, expires)
			}
			owner.expect("")
			owner.wants(200)
			owner.expect("1 full:")
		}},
		{"WIN-021 WIN-022 who is let in is active, who is not judged is pending", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			owner := r.owner()
			r.watch("carol", "notes")
			owner.expect("1 partial: carol active/subscribe")
			r.watch("bob", "notes")
			owner.expect("2 partial: bob pending/subscribe")
			owner.wants(200)
			owner.expect("3 full: bob pending/subscribe carol active/subscribe") // who asks comes first
		}},
		{"WIN-021 WIN-023 a pending watcher is approved", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			owner, bob := r.owner(), r.watch("bob", "notes")
			owner.expect("1 partial: bob pending/subscribe")
			r.Decide(bob.toTag, allow)
			owner.expect("2 partial: bob active/approved")
			r.watch("alice", "notes.winfo").expect("0 full: bob active/approved")
			if r.pkg.asking.Len() != 0 {
				t.Fatal("he is still without an answer")
			}
		}},
		{"WIN-023 a pending watcher is refused", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			owner, bob := r.owner(), r.watch("bob", "notes")
			owner.expect("1 partial: bob pending/subscribe")
			r.Decide(bob.toTag, refuse)
			owner.expect("2 partial: bob terminated/rejected")
			r.watch("alice", "notes.winfo").expect("0 full:")
		}},
		{"an active watcher becomes pending", func(t *testing.T, r *rig) {
			owner, bob := r.owner(), r.watch("bob", "notes")
			r.Decide(bob.toTag, ask)
			owner.expect("1 partial: bob active/subscribe; 2 partial: bob pending/subscribe")
			bob.wants(200, gone)
			owner.expect("3 partial: bob waiting/timeout")
		}},
		{"WIN-024 a pending subscription that runs out waits", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			owner := r.owner()
			r.watch("bob", "notes", "Expires: 60")
			owner.expect("1 partial: bob pending/subscribe")
			time.Sleep(49 * time.Second)
			owner.expect("")
			owner.expect("2 partial: bob waiting/timeout")
			time.Sleep(24 * time.Hour)
			r.watch("alice", "notes.winfo").expect("0 full: bob waiting/timeout")
		}},
		{"WIN-024 so does one that is ended", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			r.watch("bob", "notes").wants(200, gone)
			r.watch("alice", "notes.winfo").expect("0 full: bob waiting/timeout")
		}},
		{"WIN-024 AUT-043 and a fetch", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			owner := r.owner()
			r.watch("bob", "notes", gone)
			owner.expect("1 partial: bob waiting/timeout")
			r.watch("alice", "notes.winfo").expect("0 full: bob waiting/timeout")
		}},
		{"WIN-025 who waits is approved or refused", func(t *testing.T, r *rig) {
			for _, name := range []string{"bob", "carol", "dave", "erin"} {
				r.notes.set(name, ask)
				r.watch(name, "notes", gone)
				time.Sleep(time.Second)
			}
			owner := r.watch("alice", "notes.winfo")
			owner.expect("0 full: bob waiting/timeout carol waiting/timeout dave waiting/timeout erin waiting/timeout")
			r.notes.set("bob", allow)
			r.reconsider()
			owner.expect("1 partial: bob terminated/approved")
			r.notes.set("carol", refuse)
			r.reconsider()
			owner.expect("2 partial: carol terminated/rejected")
			r.notes.set("dave", event.Decision{State: event.Terminated, Reason: "noresource"})
			r.reconsider()
			owner.expect("3 partial: dave terminated/noresource")
			owner.wants(200)
			owner.expect("4 full: erin waiting/timeout")
		}},
		{"WIN-025 who is let in when he comes again waits no more", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			r.watch("bob", "notes", gone)
			owner := r.watch("alice", "notes.winfo")
			owner.expect("0 full: bob waiting/timeout")
			r.notes.set("bob", allow)
			r.watch("bob", "notes", gone)
			owner.expect("1 partial: bob terminated/approved")
		}},
		{"WIN-026 who asks again waits once", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			r.notes.set("carol", ask)
			owner := r.owner()
			r.watch("carol", "notes", gone)
			r.watch("bob", "notes", gone)
			owner.expect("1 partial: carol waiting/timeout; 2 partial: bob waiting/timeout")
			r.watch("bob", "notes", gone)
			owner.hears("bob terminated/giveup bob waiting/timeout")
			r.watch("bob", "notes")
			owner.hears("bob terminated/giveup bob pending/subscribe")
			owner.wants(200)
			owner.hears("carol waiting/timeout bob pending/subscribe")
		}},
		{"WIN-030 who waits is told nothing", func(t *testing.T, r *rig) {
			r.notes.set("bob", ask)
			bob := r.watch("bob", "notes", gone)
			r.mu.Lock()
			before := len(r.sent[bob.callID])
			r.mu.Unlock()
			if n := r.Count(); n != 0 {
				t.Fatalf("%d subscriptions", n)
			}
			r.notes.set("bob", allow)
			r.reconsider()
			r.Changed("notes", "sip:alice@example.com")
			time.Sleep(time.Hour)
			r.mu.Lock()
			defer r.mu.Unlock()
			if after := len(r.sent[bob.callID]); after != before || before != 1 {
				t.Fatalf("%d NOTIFYs, before %d", after, before)
			}
		}},
	}.run(t)
	t.Run("WIN-029 the events are the reasons of RFC 6665", func(t *testing.T) {
		for reason, told := range map[string]string{"deactivated": "deactivated", "probation": "probation", "rejected": "rejected", "noresource": "noresource",
			"giveup": "giveup", "timeout": "timeout", "invariant": "noresource"} {
			for _, verdict := range []event.Decision{allow, ask} {
				if verdict == ask && reason == "timeout" {
					continue // which is to wait
				}
				run(t, func(r *rig) {
					r.notes.set("bob", verdict)
					owner, bob := r.owner(), r.watch("bob", "notes")
					owner.expect(fmt.Sprintf("1 partial: bob %s/subscribe", verdict.State))
					r.Decide(bob.toTag, event.Decision{State: event.Terminated, Reason: reason})
					owner.expect("2 partial: bob terminated/" + told)
				})
			}
		}
	})
}

func TestLimits(t *testing.T) {
	limited := func(t *testing.T, l Limits, f func(*rig)) {
		t.Helper()
		runWith(t, func(c *Config) { c.Limits = l }, func(r *rig) {
			for _, name := range []string{"bob", "carol", "dave"} {
				r.notes.set(name, ask)
			}
			f(r)
		})
	}
	t.Run("WIN-027 who gets no answer is given up", func(t *testing.T) {
		limited(t, Limits{Wait: 24 * time.Hour}, func(r *rig) {
			owner := r.owner()
			r.watch("bob", "notes", gone)
			time.Sleep(12 * time.Hour)
			owner.wants(481) // which had lasted an hour
			owner = r.watch("alice", "notes.winfo")
			owner.expect("0 full: bob waiting/timeout")
			r.watch("carol", "notes", gone)
			for range 12 {
				time.Sleep(time.Hour - 20*time.Second)
				owner.wants(200)
				owner.told()
				time.Sleep(10 * time.Second)
			}
			time.Sleep(2 * time.Minute)
			if got := owner.told(); got != "14 partial: bob terminated/giveup" {
				r.t.Fatalf("told %q", got)
			}
			time.Sleep(13 * time.Hour)
			r.watch("alice", "notes.winfo").expect("0 full:")
		})
	})
	t.Run("WIN-027 a pending subscription is given up too", func(t *testing.T) {
		limited(t, Limits{Wait: 30 * time.Minute}, func(r *rig) {
			owner, bob := r.owner(), r.watch("bob", "notes")
			owner.expect("1 partial: bob pending/subscribe")
			time.Sleep(30*time.Minute - 10*time.Second)
			owner.expect("2 partial: bob terminated/giveup")
			r.mu.Lock()
			sent := r.sent[bob.callID]
			r.mu.Unlock()
			if got := sent[len(sent)-1].GetHeader("Subscription-State").Value(); got != "terminated;reason=giveup;retry-after=3600" {
				r.t.Fatalf("he is told %q", got)
			}
		})
	})
	t.Run("WIN-028 one watcher has so many questions", func(t *testing.T) {
		limited(t, Limits{PerWatcher: 2}, func(r *rig) {
			owner := r.owner()
			for range 2 {
				r.watch("bob", "notes")
			}
			owner.expect("1 partial: bob pending/subscribe; 2 partial: bob pending/subscribe")
			r.watch("carol", "notes", gone)
			r.watch("bob", "notes")
			owner.hears("carol waiting/timeout bob pending/subscribe bob terminated/giveup")
			if n := len(r.pkg.by["sip:bob@example.com"]); n != 2 {
				r.t.Fatalf("%d questions", n)
			}
		})
	})
	t.Run("WIN-028 a resource is asked so often", func(t *testing.T) {
		limited(t, Limits{PerResource: 2}, func(r *rig) {
			r.notes.set("erin", ask)
			for _, name := range []string{"bob", "erin", "carol", "dave"} {
				r.watch(name, "notes", gone)
				time.Sleep(time.Second)
				if name == "erin" { // who has an answer does not count
					r.notes.set(name, allow)
					r.reconsider()
				}
			}
			r.watch("alice", "notes.winfo").expect("0 full: carol waiting/timeout dave waiting/timeout")
		})
	})
	t.Run("WIN-028 there are so many questions", func(t *testing.T) {
		limited(t, Limits{Total: 1}, func(r *rig) {
			r.watch("bob", "notes", gone)
			r.watch("carol", "notes", gone)
			r.watch("alice", "notes.winfo").expect("0 full: carol waiting/timeout")
			if len(r.pkg.by) != 1 || r.pkg.asking.Len() != 1 {
				r.t.Fatalf("%d, %d", len(r.pkg.by), r.pkg.asking.Len())
			}
		})
	})
}
