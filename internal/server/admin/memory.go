package admin

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
)

// Memory is what the process uses.
type Memory struct {
	LiveHeap   uint64 `json:"live_heap"` // bytes that the last collection found in use; before the first: Heap
	Heap       uint64 `json:"heap"`      // bytes of objects, garbage since then included
	RSS        uint64 `json:"rss"`       // resident, in bytes; 0 where the system does not tell
	Goroutines int    `json:"goroutines"`
	Collected  uint64 `json:"collected"` // collections so far
}

// ReadMemory tells what the process uses without disturbing it.
func ReadMemory() Memory {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return samples[i].Value.Uint64()
	}
	m := Memory{LiveHeap: value(0), Heap: value(1), RSS: resident(), Goroutines: runtime.NumGoroutine(), Collected: value(2)}
	if m.Collected == 0 {
		m.LiveHeap = m.Heap
	}
	return m
}

// CollectedMemory is ReadMemory after a collection, so that LiveHeap is that of this moment. Twice, because pools and
// finalizers let go of what they hold at the second.
func CollectedMemory() Memory {
	runtime.GC()
	runtime.GC()
	return ReadMemory()
}

// resident reads the pages in memory from the second field of statm.
func resident() uint64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
