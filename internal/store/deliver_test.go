package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

func TestDeliver(t *testing.T) {
	for _, end := range []string{"fetch fails", "ctx ends while it waits", "ctx ends while nobody reads"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				out, more, done := make(chan Event), make(chan struct{}, 1), make(chan bool)
				pages := [][]Event{{{Kind: Put}, {Kind: Delete}}, {}, {{Kind: Synced}}, {}}
				calls := 0
				fetch := func(events []Event) ([]Event, error) {
					if len(events) != 0 || cap(events) < 2 {
						t.Errorf("fetch gets %d events of %d", len(events), cap(events))
					}
					if calls == len(pages) {
						return append(events, Event{Kind: Reset}), errors.New("damaged")
					}
					calls++
					return append(events, pages[calls-1]...), nil
				}
				go func() { Deliver(ctx, out, more, 2, fetch); close(done) }()
				if got := fmt.Sprint((<-out).Kind, (<-out).Kind); got != fmt.Sprint(Put, Delete) {
					t.Error(got)
				}
				if synctest.Wait(); calls != 2 {
					t.Errorf("fetch was called %d times before there is more", calls)
				}
				more <- struct{}{}
				if end == "ctx ends while nobody reads" {
					synctest.Wait()
					cancel()
					<-done
					return
				}
				if k := (<-out).Kind; k != Synced {
					t.Error(k)
				}
				if end == "fetch fails" { // what it has got to is still told
					more <- struct{}{}
					if k := (<-out).Kind; k != Reset {
						t.Error(k)
					}
				} else {
					cancel()
				}
				<-done
			})
		})
	}
}
