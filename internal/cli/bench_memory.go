package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
)

// memoryEvent is what a server uses while it is under load.
type memoryEvent struct {
	kit.Head
	Seconds    float64 `json:"seconds" doc:"since the command began"`
	LiveHeap   uint64  `json:"live_heap" doc:"bytes that the server's last garbage collection found in use"`
	RSS        uint64  `json:"rss" doc:"resident bytes of the server"`
	Goroutines int     `json:"goroutines" doc:"of the server"`
}

// Text implements kit.Texter.
func (e memoryEvent) Text(w io.Writer, _ *kit.Style) error {
	_, err := fmt.Fprintf(w, "after %.0f s: live heap %s, resident %s, %d goroutines\n", e.Seconds, megabytes(e.LiveHeap), megabytes(e.RSS), e.Goroutines)
	return err
}

// watchMemory prints the server's memory every --sample until stop is called,
// which waits for the last line. An error is that of the first look; a later one
// is a warning, and ends it.
func (o *benchPresenceOptions) watchMemory(ctx context.Context) (stop func(), err error) {
	if o.sample == 0 {
		return func() {}, nil
	}
	begun := time.Now()
	look := func(ctx context.Context) error {
		var m admin.Memory
		if err := o.door.ask(ctx, "asking the server for its memory", http.MethodGet, "/memory", nil, &m); err != nil {
			return err
		}
		return o.kit.Emit(memoryEvent{Head: o.kit.Head("memory"), Seconds: round(time.Since(begun).Seconds()), LiveHeap: m.LiveHeap, RSS: m.RSS, Goroutines: m.Goroutines})
	}
	if err := look(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(o.sample.Std())
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := look(ctx); err != nil {
				if ctx.Err() == nil {
					o.kit.Warn("no more samples: %v", err)
				}
				return
			}
		}
	}()
	return func() { cancel(); <-over }, nil
}
