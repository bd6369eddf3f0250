package useragent

import (
	"context"
	"time"
)

// lookEvery is how often Slept looks at the clocks, and leap by how much the
// wall clock must have got ahead of the timers for it to say so.
const (
	lookEvery = 5 * time.Second
	leap      = 5 * time.Second
)

// Slept calls woken each time that the machine seems to have slept, until ctx
// is done: the timers stand still then, the wall clock does not. Somebody who
// sets the clock ahead looks the same, and what is done then, to refresh what
// may have run out, does no harm. A clock that is set back is nothing. wall
// gives the time of day; nil: the system's.
func Slept(ctx context.Context, wall func() time.Time, woken func()) {
	if wall == nil {
		wall = func() time.Time { return time.Now().Round(0) } // without the monotonic reading
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	began, day := time.Now(), wall()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		passed, of := time.Since(began), wall().Sub(day)
		if of-passed > leap {
			woken()
		}
		began, day = began.Add(passed), day.Add(of)
	}
}
