package load

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// measure drives the load and takes the figures.
func (g *generator) measure(ctx context.Context, report *Report) error {
	if g.cfg.Warmup > 0 {
		g.tell(fmt.Sprintf("warming up for %v", g.cfg.Warmup))
		g.drive(ctx, g.cfg.Warmup, 0)
		g.settle(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g.tell(fmt.Sprintf("measuring for %v", g.cfg.Duration))
	g.missed = 0
	start, cpu, repeated := g.now(), g.cpu(), g.repeated()
	g.since.Store(int64(start))
	g.drive(ctx, g.cfg.Duration, g.cfg.Count)
	driven := g.now()
	g.drain(ctx)
	report.Took, report.CPU = max(driven, time.Duration(g.lastAccepted.Load()))-start, g.cpu()-cpu
	g.settle(ctx)
	report.Repeated = g.repeated() - repeated
	g.fill(report)
	return ctx.Err()
}

// drive sends PUBLISHes at the rate for a time, at most count unless that is 0.
func (g *generator) drive(ctx context.Context, d time.Duration, count int) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	start := time.Now()
	for tick, sent := 0, 0; ; tick++ {
		if g.cfg.Rate > 0 {
			due := time.Duration(float64(tick) / g.cfg.Rate * float64(time.Second))
			if !sleep(ctx, time.Until(start.Add(min(due, d)))) || due >= d {
				return
			}
		}
		if count > 0 && sent == count {
			return
		}
		p := g.take(ctx)
		if ctx.Err() != nil {
			if p != nil {
				g.giveBack(p)
			}
			return
		}
		if p == nil {
			g.missed++
			continue
		}
		p.change(g.next())
		sent++
	}
}

// next is what the next PUBLISH does. The kinds alternate: each in its share of
// any hundred.
func (g *generator) next() kind {
	g.turn++
	switch n := g.turn * 61 % 100; {
	case n < g.cfg.Refresh:
		return refresh
	case n < g.cfg.Refresh+g.cfg.Renew:
		return renew
	}
	return modify
}

// sleep waits, and is false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take gives a presentity that may publish. Where the rate is given, and none
// may, it is nil; where it is not, one is waited for.
func (g *generator) take(ctx context.Context) *presentity {
	wait := ctx.Done()
	if g.cfg.Rate > 0 {
		wait = closed
	}
	// The channels are looked at first alone, since a select takes any.
	select {
	case g.slots <- struct{}{}:
	default:
		select {
		case g.slots <- struct{}{}:
		case <-wait:
			return nil
		}
	}
	select {
	case p := <-g.idle:
		return p
	default:
	}
	select {
	case p := <-g.idle:
		return p
	case <-wait:
		<-g.slots
		return nil
	}
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// giveBack takes a presentity back that take gave.
func (g *generator) giveBack(p *presentity) {
	g.idle <- p
	<-g.slots
}

// drain waits until every PUBLISH has its answer, and is false when ctx ended
// before.
func (g *generator) drain(ctx context.Context) bool {
	held := 0
	defer func() {
		for range held {
			<-g.slots
		}
	}()
	for range cap(g.slots) {
		select {
		case g.slots <- struct{}{}:
			held++
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// settle waits for the answers, and then, within the time for it, until all
// watchers know the last state.
func (g *generator) settle(ctx context.Context) {
	if !g.drain(ctx) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Settle)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; {
		for ; i < len(g.watchers) && g.watchers[i].knows(g.watched(i).accepted()); i++ {
		}
		if i == len(g.watchers) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watched is the presentity of a watcher.
func (g *generator) watched(i int) *presentity { return &g.presentities[i/g.cfg.Watchers] }

// fill sums up.
func (g *generator) fill(report *Report) {
	report.Missed, report.Ended = g.missed, int(g.ended.Load())
	g.mu.Lock()
	report.Failed = maps.Clone(g.failed)
	g.mu.Unlock()
	report.Response, report.Notify = g.response.latency(), g.notified.latency()
	report.Published = int(report.Response.Count)
	for i := range g.watchers {
		if !g.watchers[i].watches() {
			continue
		}
		p := g.watched(i)
		due, last := p.counted(), p.accepted()
		report.Due += int(due)
		seen := g.watchers[i].last()
		if first := last - due; seen < last {
			report.Lost += int(last - max(seen, first))
		}
	}
	report.Skipped = max(report.Due-report.Lost-report.Notified(), 0)
}
