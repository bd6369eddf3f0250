package digest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func newThrottle(change func(*ThrottleConfig)) (*Throttle, *clock) {
	c := &clock{time.Unix(1e9, 0)}
	cfg := ThrottleConfig{Free: 3, Now: c.now}
	if change != nil {
		change(&cfg)
	}
	return NewThrottle(cfg), c
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestThrottleGrows(t *testing.T) {
	th, c := newThrottle(nil)
	a := addr("192.0.2.1")
	for i := range 3 {
		if w := th.Failed(a, fmt.Sprint("user", i)); w != 0 {
			t.Fatalf("failure %d: %v", i+1, w)
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		want *= time.Second
		if w := th.Failed(a, fmt.Sprint("user", want)); w != want {
			t.Fatalf("%v, want %v", w, want)
		}
		c.step(want / 2)
		if w := th.Failed(a, fmt.Sprint("half", want)); w != want/2 {
			t.Fatalf("within the time: %v, want %v", w, want/2)
		}
		c.step(want / 2)
	}
}

func TestThrottleByUser(t *testing.T) {
	th, _ := newThrottle(nil)
	var w time.Duration
	for i := range 4 {
		w = th.Failed(addr(fmt.Sprintf("192.0.2.%d", i)), "alice")
	}
	if w != time.Second {
		t.Errorf("the fourth guess from the fourth source: %v", w)
	}
	if w := th.Failed(addr("192.0.2.77"), "bob"); w != 0 {
		t.Errorf("another user from another source: %v", w)
	}
}

func TestThrottleNetworks(t *testing.T) {
	for _, x := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff:2", true}, {"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", false}, {"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if got := network(addr(x.a)) == network(addr(x.b)); got != x.same {
			t.Errorf("%s and %s: %v", x.a, x.b, got)
		}
	}
	th, _ := newThrottle(nil)
	for i := range 4 {
		a := addr(fmt.Sprintf("2001:db8::%d", i))
		if w := th.Failed(a, fmt.Sprint(i)); (w > 0) != (i == 3) {
			t.Errorf("failure %d of one network: %v", i+1, w)
		}
	}
	if th.Failed(netip.Addr{}, "") != 0 {
		t.Error("no address")
	}
}

func TestThrottleForgets(t *testing.T) {
	th, c := newThrottle(nil)
	for range 4 {
		th.Failed(addr("192.0.2.1"), "alice")
	}
	for range 2 {
		c.step(15 * time.Minute)
		th.Failed(addr("192.0.2.9"), "carol")
	}
	if w := th.Failed(addr("192.0.2.1"), "alice"); w != 0 {
		t.Errorf("after half an hour: %v", w)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th, c := newThrottle(func(cfg *ThrottleConfig) { cfg.Max = 100 })
	for i := range 10000 {
		c.step(time.Millisecond)
		th.Failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), fmt.Sprint("user", i))
	}
	if n, m := len(th.sources.young)+len(th.sources.old), len(th.users.young)+len(th.users.old); n > 200 || m > 200 {
		t.Errorf("%d sources and %d users in tables of twice 100", n, m)
	}
}

// TestGuessingNeverSlowsTheRight guesses at alice from her own address, far
// beyond the limit, and lets her in at once.
func TestGuessingNeverSlowsTheRight(t *testing.T) {
	r := newRig(t, nil)
	th, _ := newThrottle(nil)
	a := addr("192.0.2.1")
	for i := range 1000 {
		value := answered(t, newClient("alice", fmt.Sprint("guess", i)), r.Challenge(false), "PUBLISH", target, nil)
		res, err := r.Verify([]string{value}, "PUBLISH", target, nil)
		if verdictOf(err) != Wrong {
			t.Fatal(err)
		}
		if wait := th.Failed(a, res.User); (wait > 0) != (i >= 3) {
			t.Fatalf("guess %d: %v", i, wait)
		}
	}
	if n, err := exchange(r, newClient("alice", "secret"), "PUBLISH"); n != 2 || err != nil {
		t.Errorf("%d sendings: %v", n, err)
	}
}
