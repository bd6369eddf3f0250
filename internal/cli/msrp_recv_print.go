package cli

import (
	"context"
	"sync"
	"time"

	"imp/internal/cli/kit"
)

// thing is what was received, as it is printed.
type thing struct {
	event kit.Value
	facts kit.Facts     // nil: it does not count
	done  chan struct{} // closed when it has been printed
}

// print prints what comes until the watch is over.
func (o *msrpRecvOptions) print(watch *kit.Watch, lost <-chan error) error {
	for {
		select {
		case t := <-o.things:
			if err := o.show(t); err != nil {
				return err
			}
			if t.facts != nil {
				watch.Seen(t.facts)
			}
			if watch.Context().Err() != nil {
				return watch.Err()
			}
		case err := <-lost:
			if err != nil && watch.Context().Err() == nil {
				return err
			}
			lost = nil
		case <-watch.Done():
			return watch.Err()
		}
	}
}

// show prints one thing.
func (o *msrpRecvOptions) show(t thing) error {
	err := o.kit.Emit(t.event)
	o.mute = err != nil
	close(t.done)
	return err
}

// rest waits for what is still going on when the watch is over, but not for somebody who does not read stdout, and tells of files that
// do not come to their end for that.
func (o *msrpRecvOptions) rest(all *sync.WaitGroup) {
	gone := make(chan struct{})
	go func() { all.Wait(); close(gone) }()
	limit := time.NewTimer(drainTime)
	defer limit.Stop()
	defer close(o.over)
	for {
		select {
		case t := <-o.things:
			if e, is := t.event.(*fileEvent); is && e.err != nil && !o.mute {
				_ = o.show(t)
			}
		case <-gone:
			return
		case <-limit.C:
			return
		}
	}
}

// tell hands over what came, and waits until it is printed: who sent it is told only then that it has arrived. What comes when enough
// has come is not printed, but that a file was cut off.
func (o *msrpRecvOptions) tell(ctx context.Context, v kit.Value, f kit.Facts) bool {
	t, enough := thing{v, f, make(chan struct{})}, ctx.Done()
	if e, is := v.(*fileEvent); is && e.err != nil {
		enough = o.over
	}
	select {
	case o.things <- t:
	case <-enough:
		return false
	}
	select {
	case <-t.done:
		return true
	case <-enough: // maybe because this was the last one
	}
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}
