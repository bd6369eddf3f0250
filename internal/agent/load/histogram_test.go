package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 127, 128, 129, 255, 256, 257, 258, 511, 512, 1023, 1024, 1 << 20, 1<<20 + 1<<13, 1 << 40, 1<<63 - 1} {
		i := bucket(v)
		if i < last || i >= len(histogram{}.buckets) {
			t.Errorf("%d counts in bucket %d behind %d", v, i, last)
		}
		last = i
		if u := top(i); u < v || u-v > v/128 {
			t.Errorf("%d counts in a bucket up to %d", v, u)
		}
		if u := top(i); bucket(u) != i || bucket(u+1) != i+1 {
			t.Errorf("bucket %d does not end at %d", i, u)
		}
	}
}

func TestPercentiles(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 99, 100, 101, 5000} {
		r := rand.New(rand.NewPCG(uint64(n), 1))
		var h histogram
		var all []time.Duration
		var sum time.Duration
		for range n {
			d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
			all, sum = append(all, d), sum+d
			h.add(d)
		}
		slices.Sort(all)
		got := h.latency()
		if got.Count != uint64(n) || got.Max != all[n-1] || got.Mean != sum/time.Duration(n) {
			t.Errorf("of %d: %+v, want max %v and mean %v", n, got, all[n-1], sum/time.Duration(n))
		}
		for _, p := range []struct {
			got     time.Duration
			percent int
		}{{got.P50, 50}, {got.P90, 90}, {got.P99, 99}} {
			want := all[(n*p.percent+99)/100-1] // nearest rank
			if p.got < want || p.got > want+want/128 {
				t.Errorf("p%d of %d is %v, want %v", p.percent, n, p.got, want)
			}
		}
	}
}

func TestNothingMeasured(t *testing.T) {
	var h histogram
	if got := h.latency(); got != (Latency{}) {
		t.Errorf("of nothing: %+v", got)
	}
	h.add(-time.Second)
	if got := h.latency(); got != (Latency{Count: 1}) {
		t.Errorf("of one below zero: %+v", got)
	}
}
