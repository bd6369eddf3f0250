package useragent

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var step atomic.Int64 // of the wall clock
		var woken atomic.Int32
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			Slept(ctx, func() time.Time { return time.Now().Add(time.Duration(step.Load())) }, func() { woken.Add(1) })
			close(done)
		}()
		look := func(what string, want int32) {
			t.Helper()
			time.Sleep(2 * lookEvery)
			synctest.Wait()
			if got := woken.Swap(0); got != want {
				t.Fatalf("%s: told %d times, want %d", what, got, want)
			}
		}
		look("nothing", 0)
		step.Add(int64(time.Hour))
		look("an hour's sleep", 1)
		look("after it", 0)
		step.Add(-int64(2 * time.Hour))
		look("a clock that is set back", 0)
		step.Add(int64(leap / 2))
		look("a clock that is put right", 0)
		step.Add(int64(time.Minute))
		look("a minute's sleep", 1)
		stop()
		<-done
	})
}
