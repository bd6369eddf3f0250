package store

import "context"

// Deliver is how back ends feed one watch: it sends what fetch appends to an empty slice with room for a page of events, in order,
// until ctx ends or fetch fails. When fetch has nothing it waits for a token of more.
func Deliver(ctx context.Context, out chan<- Event, more <-chan struct{}, page int, fetch func([]Event) ([]Event, error)) {
	events := make([]Event, 0, page)
	for {
		var err error
		events, err = fetch(events[:0])
		for _, e := range events {
			select {
			case out <- e:
				continue
			default:
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
		idle := len(events) == 0
		clear(events) // hold no value while waiting
		if err != nil || ctx.Err() != nil {
			return
		}
		if !idle {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}
