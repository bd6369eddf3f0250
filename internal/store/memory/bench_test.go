package memory

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"imp/internal/store"
)

const valueSize = 700 // of a typical publication

func benchKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		// Scattered, as users are.
		keys[i] = store.Key("pub", fmt.Sprintf("sip:user%d@example.com", i*7919%n), "presence", fmt.Sprintf("%08x", uint32(i)*2654435761))
	}
	return keys
}

func fill(b *testing.B, s *Store, keys []string, val []byte) {
	for _, k := range keys {
		if _, err := s.Put(context.Background(), k, val, 0, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut refreshes publications from all processors, with no watcher and
// with one that reads everything. It reports the changes that the watcher got
// per put.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{10_000, 300_000} {
		keys := benchKeys(n)
		for _, watched := range []bool{false, true} {
			b.Run(fmt.Sprintf("keys=%d/watched=%v", n, watched), func(b *testing.B) {
				s := open(b)
				val := make([]byte, valueSize)
				fill(b, s, keys, val)
				var got atomic.Int64
				if watched {
					ch, err := s.Watch(b.Context(), "pub")
					if err != nil {
						b.Fatal(err)
					}
					for e := range ch {
						if e.Kind == store.Synced {
							break
						}
					}
					go func() {
						for range ch {
							got.Add(1)
						}
					}()
				}
				var worker atomic.Uint64
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					i := worker.Add(1) * 7919
					for pb.Next() {
						i = i*6364136223846793005 + 1442695040888963407
						if _, err := s.Put(context.Background(), keys[i>>33%uint64(n)], val, store.AnyRev, time.Hour); err != nil {
							b.Error(err)
							return
						}
					}
				})
				if watched {
					b.ReportMetric(float64(got.Load())/float64(b.N), "events/op")
				}
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{10_000, 300_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			keys := benchKeys(n)
			s := open(b)
			fill(b, s, keys, nil)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := uint64(1); pb.Next(); {
					i = i*6364136223846793005 + 1442695040888963407
					if _, err := s.Get(context.Background(), keys[i>>33%uint64(n)]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkCreateDelete is the life of a publication.
func BenchmarkCreateDelete(b *testing.B) {
	keys := benchKeys(10_000)
	s := open(b)
	val := make([]byte, valueSize)
	fill(b, s, keys, val)
	k := store.Key("pub", "sip:new@example.com", "presence", "1")
	b.ReportAllocs()
	for b.Loop() {
		rev, err := s.Put(context.Background(), k, val, 0, time.Hour)
		if err == nil {
			err = s.Delete(context.Background(), k, rev)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports what an entry costs beyond its key and value.
func BenchmarkMemory(b *testing.B) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, n := range []int{10_000, 300_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			keys := benchKeys(n)
			var val [valueSize]byte
			for b.Loop() {
				before := heap()
				s := New()
				fill(b, s, keys, val[:])
				b.ReportMetric(float64(heap()-before)/float64(n), "B/entry")
				s.Close()
			}
		})
	}
}
