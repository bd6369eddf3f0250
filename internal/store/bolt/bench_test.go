package bolt

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imp/internal/store"
)

const valueSize = 700 // of a typical publication

func benchKey(i int) string {
	return store.Key("pub", fmt.Sprintf("sip:user%d@example.com", i*7919%100_003), "presence", fmt.Sprintf("%08x", uint32(i)*2654435761))
}

// BenchmarkPut refreshes publications, each put on the disk before it returns.
func BenchmarkPut(b *testing.B) {
	const keys = 10_000
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := newStore(b, filepath.Join(b.TempDir(), "store.db"), Config{})
			fill(b, s, keys)
			took := make([][]time.Duration, writers)
			var next atomic.Int64
			var group sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for w := range writers {
				group.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						val := make([]byte, valueSize)
						crand.Read(val)
						start := time.Now()
						if _, err := s.Put(context.Background(), benchKey(int(i*7907)%keys), val, store.AnyRev, time.Hour); err != nil {
							b.Error(err)
							return
						}
						took[w] = append(took[w], time.Since(start))
					}
				})
			}
			group.Wait()
			b.StopTimer()
			all := slices.Concat(took...)
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

// fill puts n publications with a time to live, many at a time.
func fill(b *testing.B, s *Store, n int) {
	var group sync.WaitGroup
	const writers = 256
	for w := range writers {
		group.Go(func() {
			for i := w; i < n; i += writers {
				val := make([]byte, valueSize)
				crand.Read(val)
				if _, err := s.Put(context.Background(), benchKey(i), val, 0, time.Hour); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkGet(b *testing.B) {
	const keys = 10_000
	s := newStore(b, filepath.Join(b.TempDir(), "store.db"), Config{noSync: true})
	fill(b, s, keys)
	names := make([]string, keys)
	for i := range names {
		names[i] = benchKey(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Get(context.Background(), names[i*7907%keys]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen reports how long a store takes to open, and what an entry costs
// in memory and on the disk.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "store.db")
			s := newStore(b, path, Config{noSync: true})
			fill(b, s, n)
			closeStore(b, s)
			before := heap()
			for b.Loop() {
				s, err := Open(path, Config{})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(float64(heap()-before)/float64(n), "heap-B/entry")
				closeStore(b, s)
				b.StartTimer()
			}
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size())/float64(n), "disk-B/entry")
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
