package cli

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"imp/internal/server/admin"
)

// While little is alive, collecting garbage each time that it has doubled costs a busy server some per cent of its processor
// time, and a few megabytes more of garbage cost little.
const (
	garbageRoom = 32 << 20 // bytes that garbage may take in any case
	mostPercent = 300      // of what is alive, or a heap that grows between two looks grows too far
	memoryLook  = 2 * time.Second
)

// garbagePercent is how much garbage there may be, in per cent of what is alive.
func garbagePercent(live uint64) int {
	return int(min(max(100*garbageRoom/max(live, 1), 100), mostPercent))
}

// collectSeldom sets the pace of the garbage collector by what is alive, until ctx is done. Who has set GOGC has
// decided.
func collectSeldom(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := mostPercent
	before := debug.SetGCPercent(percent)
	go func() {
		look := time.NewTicker(memoryLook)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				debug.SetGCPercent(before)
				return
			case <-look.C:
			}
			if now := garbagePercent(admin.ReadMemory().LiveHeap); now != percent {
				percent = now
				debug.SetGCPercent(percent)
			}
		}
	}()
}
