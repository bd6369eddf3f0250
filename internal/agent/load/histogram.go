package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Latency sums up measured durations. All are zero when there were none.
type Latency struct {
	Count               uint64
	Mean, P50, P90, P99 time.Duration
	Max                 time.Duration
}

// precision is the binary logarithm of the buckets to each power of two: a
// percentile is at most 1/128 above the duration that was measured.
const precision = 7

// histogram counts durations in constant memory, from any goroutine.
type histogram struct {
	buckets [(64 - precision) << precision]atomic.Uint64
	count   atomic.Uint64
	sum     atomic.Int64
	max     atomic.Int64
}

// bucket is where a number of nanoseconds counts.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-precision-1, 0)
	return shift<<precision + int(v>>shift)
}

// top is the greatest number of nanoseconds that counts in a bucket.
func top(i int) uint64 {
	shift := max(i>>precision-1, 0)
	return uint64(i-shift<<precision+1)<<shift - 1
}

// add counts a duration; a negative one counts as zero.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucket(uint64(d))].Add(1)
	h.count.Add(1)
	h.sum.Add(int64(d))
	for m := h.max.Load(); int64(d) > m && !h.max.CompareAndSwap(m, int64(d)); m = h.max.Load() {
	}
}

// latency sums up what was counted. Nothing may be added meanwhile.
func (h *histogram) latency() Latency {
	n := h.count.Load()
	if n == 0 {
		return Latency{}
	}
	return Latency{Count: n, Mean: time.Duration(h.sum.Load() / int64(n)), Max: time.Duration(h.max.Load()),
		P50: h.percentile(50), P90: h.percentile(90), P99: h.percentile(99)}
}

// percentile is the duration that p of a hundred did not exceed, by nearest
// rank.
func (h *histogram) percentile(p uint64) time.Duration {
	rank := (h.count.Load()*p + 99) / 100
	var seen uint64
	for i := range h.buckets {
		if seen += h.buckets[i].Load(); seen >= rank {
			return time.Duration(min(top(i), uint64(h.max.Load())))
		}
	}
	return time.Duration(h.max.Load())
}

// reset forgets all. Nothing may be added meanwhile.
func (h *histogram) reset() {
	for i := range h.buckets {
		h.buckets[i].Store(0)
	}
	h.count.Store(0)
	h.sum.Store(0)
	h.max.Store(0)
}
