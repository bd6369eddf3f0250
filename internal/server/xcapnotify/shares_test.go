package xcapnotify_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"imp/internal/server/xcapnotify"
)

// leave ends a subscription.
func (p *peer) leave() {
	p.r.t.Helper()
	if res := p.ask("", "Event: xcap-diff", "Expires: 0"); res.Status != 200 {
		p.r.t.Fatalf("answered %d %s", res.Status, res.Reason)
	}
	p.r.take().answer(200)
}

// refused fails unless a subscription is refused for want of memory.
func (r *rig) refused(user string, uris ...string) {
	r.t.Helper()
	res := r.subscriber(user).ask(list(uris...), "Event: xcap-diff")
	if res.Status != 503 || len(res.Fields) == 0 || res.Fields[0].Name != "Retry-After" {
		r.t.Errorf("answered %d %s %v", res.Status, res.Reason, res.Fields)
	}
}

func TestShares(t *testing.T) {
	t.Run("EVT-080 one subscriber has a quarter of the subscriptions, all have all", func(t *testing.T) {
		runWith(t, func(c *xcapnotify.Config) { c.MaxSubscriptions, c.MaxSelected = 8, 999 }, nil, func(r *rig) {
			first, _ := r.subscribe("alice", "", index)
			for _, user := range []string{"alice", "bob", "bob", "carol", "carol", "dan"} {
				r.subscribe(user, "", index)
			}
			r.refused("alice", index)
			last, _ := r.subscribe("dan", "", index)
			r.refused("erin", index)
			first.leave()
			r.refused("dan", index)
			r.subscribe("erin", "", index)
			last.leave()
			r.subscribe("alice", "", index)
		})
	})
	t.Run("what is selected counts, long URIs for several", func(t *testing.T) {
		runWith(t, func(c *xcapnotify.Config) { c.MaxSelected = 32 }, nil, func(r *rig) {
			r.refused("alice", index, index+"1", index+"2", index+"3", index+"4") // URIs and documents
			r.refused("alice", index+strings.Repeat("x", 8*512))
			p, _ := r.subscribe("alice", "", index, index+"1")
			if res := p.ask(list(index, index+"1", index+"2"), "Event: xcap-diff"); res.Status != 503 {
				t.Errorf("another list beside the old one: %d", res.Status)
			}
			p.leave()
			r.subscribe("alice", "", index, index+"1", index+"2", index+"3")
		})
	})
	t.Run("documents of collections count", func(t *testing.T) {
		runWith(t, func(c *xcapnotify.Config) { c.MaxSelected = 16 }, nil, func(r *rig) {
			for i := range 3 {
				r.put(fmt.Sprint(lists, i), friends())
			}
			p, _ := r.subscribe("alice", "", lists)
			r.refused("alice", lists)
			p.leave()
			r.put(lists+"3", friends())
			r.refused("alice", lists)
			r.delete(lists + "3")
			r.subscribe("alice", "", lists)
			r.put(lists+"4", friends())
			if s := r.take(); !strings.HasPrefix(s.GetHeader("Subscription-State").Value(), "terminated;reason=giveup") {
				t.Errorf("it goes on with less:\n%s", s.Request)
			}
		})
	})
}

func TestUnderWay(t *testing.T) {
	runWith(t, func(c *xcapnotify.Config) { c.MaxUnderWay = 1 << 10 }, nil, func(r *rig) {
		r.put(index, friends())
		r.subscribe("alice", "aggregate", index)
		silent := r.subscriber("bob")
		silent.ask(list("resource-lists/global/"+strings.Repeat("x", 1<<10)), "Event: xcap-diff")
		waiting := r.take()
		r.put("resource-lists/global/"+strings.Repeat("x", 1<<10), friends())
		r.settle(index, friends("bob"))
		r.says(r.next(), "patch "+index+" e1>e3") // what waits is small
		waiting.answer(200)
		waiting = r.take()
		r.settle(index, friends("carol"))
		r.says(r.next(), "fetch "+index+" e3>e4")
		waiting.answer(200)
		r.settle(index, friends("dan"))
		r.says(r.next(), "patch "+index+" e4>e5")
	})
}

func TestHeldForAll(t *testing.T) {
	t.Run("what waits for all subscribers is bounded", func(t *testing.T) {
		large := strings.Repeat("x", 1000)
		runWith(t, func(c *xcapnotify.Config) { c.MaxHeld = 6000 }, nil, func(r *rig) {
			r.put(index, friends(large))
			r.subscribe("alice", "xcap-patching", index)
			for i := range 8 { // the pacing holds them back
				r.settle(index, friends(large, fmt.Sprint(i)))
			}
			if got := show(r.next()); !strings.Contains(got, "patch") || !strings.HasSuffix(got, "fetch "+index+" e8>e9\n") {
				t.Errorf("%s", got)
			}
		})
	})
	t.Run("a version counts once however many wait for it", func(t *testing.T) {
		large := strings.Repeat("x", 1000)
		runWith(t, func(c *xcapnotify.Config) { c.MaxHeld = 6000 }, nil, func(r *rig) {
			r.put(index, friends(large))
			for range 9 {
				r.subscribe("alice", "aggregate", index)
			}
			r.settle(index, friends(large, "bob"))
			for range 9 {
				r.says(r.next(), "patch "+index+" e1>e2")
			}
		})
	})
}

func TestKeepsNoBody(t *testing.T) {
	const each, padding = 400, 32 << 10
	run(t, func(r *rig) {
		before := liveHeap()
		for range each {
			p := r.subscriber("alice")
			p.ask(list(index)+strings.Repeat(" ", padding), "Event: xcap-diff")
			r.take().answer(200)
		}
		synctest.Wait()
		if grown := liveHeap() - before; grown > each*padding/4 {
			t.Errorf("%d bytes of memory are kept of %d subscriptions", grown, each)
		}
	})
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
