package stack

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// numbered is a packet that is known by its port.
func numbered(i int) packet {
	return packet{remote: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(i))}
}

func TestCrew(t *testing.T) {
	t.Run("packets of a lane do not overtake one another", func(t *testing.T) {
		const lanes, each = 5, 2000
		var done [lanes][]int
		var busy [lanes]sync.Mutex
		c := newCrew(lanes, each, func(_ *envelope, p packet) {
			i := int(p.remote.Port())
			lane := i % lanes
			if !busy[lane].TryLock() {
				t.Errorf("two hands at lane %d", lane)
				return
			}
			defer busy[lane].Unlock()
			done[lane] = append(done[lane], i)
		})
		var hands sync.WaitGroup
		for range 3 {
			hands.Go(c.work)
		}
		for i := range lanes * each {
			if !c.put(numbered(i), i%lanes) {
				t.Fatal("no room")
			}
		}
		c.close()
		hands.Wait()
		for lane, got := range done {
			if len(got) != each || !slices.IsSorted(got) {
				t.Errorf("lane %d: %d of %d, in order: %v", lane, len(got), each, slices.IsSorted(got))
			}
		}
	})
	t.Run("one that waits holds up its lane alone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var done []int
			free := make(chan struct{})
			c := newCrew(3, 2, func(_ *envelope, p packet) {
				if p.remote.Port() == 0 {
					<-free
				}
				mu.Lock()
				defer mu.Unlock()
				done = append(done, int(p.remote.Port()))
			})
			var hands sync.WaitGroup
			for range 2 {
				hands.Go(c.work)
			}
			for i := range 9 {
				if !c.put(numbered(i), i%3) {
					t.Errorf("packet %d was not taken", i)
				}
				synctest.Wait()
			}
			if want := []int{1, 2, 4, 5, 7, 8}; !slices.Equal(done, want) {
				t.Errorf("%v done meanwhile, not %v", done, want)
			}
			close(free)
			c.close()
			hands.Wait()
			if want := []int{0, 3, 6}; !slices.Equal(done[6:], want) {
				t.Errorf("%v done then, not %v", done[6:], want)
			}
		})
	})
	t.Run("a full lane takes no more", func(t *testing.T) {
		c := newCrew(2, 2, func(*envelope, packet) {})
		for i, want := range []bool{true, true, false} {
			if c.put(numbered(i), 0) != want {
				t.Errorf("packet %d was taken: %v", i, !want)
			}
		}
		if !c.put(numbered(3), 1) {
			t.Error("the other lane takes none")
		}
	})
}

func TestFIFO(t *testing.T) {
	var q fifo[int]
	in, out := 0, 0
	for step := range 1000 {
		for range step % 7 {
			q.push(in)
			in++
		}
		for range min(step%5+1, q.len()) {
			if got := q.pop(); got != out {
				t.Fatalf("%d, not %d", got, out)
			}
			out++
		}
	}
	if in-out != q.len() {
		t.Errorf("%d are left of %d", q.len(), in-out)
	}
	if cap(q.items) > 4*max(q.len(), 64) {
		t.Errorf("room for %d is kept for %d", cap(q.items), q.len())
	}
}
