//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strconv"
	"time"

	"imp/internal/agent/load"
	"imp/internal/sip/stack"
)

// What is done to each server. Operations of a row are the same in number and rate for both.
const (
	users     = 10_000 // presentities, each with a publication and a watcher
	bodySize  = 600    // bytes of a document
	publishes = 2000   // a second; also for modifying
	subscribe = 1000   // a second
	fan       = 100    // watchers of one presentity
	changes   = 100    // of that presentity
	warm      = 20     // before
	perSecond = 10     // of these
	filling   = 2500   // operations a second where only memory counts
)

// atRest is how long a server is left alone before its memory is looked at: until it has forgotten what it keeps for
// retransmissions (RFC 3261 timer J).
const atRest = 66 * time.Second

// bench is what one run is made with.
type bench struct {
	kamailio *kamailio
	imp      string
	dir      string
	scale    float64
	pace     float64       // 0: 1; multiplies the rates
	rest     time.Duration // 0: atRest
	tell     func(string)
}

// pair is a figure of both servers.
type pair struct{ kamailio, imp float64 }

// measure does one run. The servers are measured in turns, row by row, so that what else goes on on the machine meets
// both. Those whose memory counts are filled first and rest meanwhile.
func measure(ctx context.Context, b *bench) (report, error) {
	var started []*server
	defer func() {
		for _, s := range started {
			s.stop()
		}
	}()
	start := func(imp bool) (*server, error) {
		dir, err := os.MkdirTemp(b.dir, "server-")
		if err != nil {
			return nil, err
		}
		var s *server
		if imp {
			s, err = startImp(ctx, b.imp, dir)
		} else {
			s, err = b.kamailio.start(ctx, dir)
		}
		if s != nil {
			started = append(started, s)
		}
		return s, err
	}
	r := report{Time: time.Now().UTC().Truncate(time.Second)}
	var stores [2][2]*holding // publications alone, subscriptions too; of Kamailio and of imp
	for i := range stores {
		for j := range stores[i] {
			s, err := start(j == 1)
			if err != nil {
				return r, err
			}
			b.tell(fmt.Sprintf("filling %s", s.name))
			if stores[i][j], err = b.fill(ctx, s, i == 1); err != nil {
				return r, err
			}
		}
	}
	filled := time.Now()
	var sides [2]*side
	for i := range sides {
		s, err := start(i == 1)
		if err != nil {
			return r, err
		}
		sides[i] = &side{bench: b, server: s}
		defer sides[i].close()
	}
	if err := b.processor(ctx, &r, sides); err != nil {
		return r, err
	}
	b.tell("waiting until the servers are at rest")
	rest := b.rest
	if rest == 0 {
		rest = atRest
	}
	select {
	case <-time.After(time.Until(filled.Add(rest))):
	case <-ctx.Done():
		return r, ctx.Err()
	}
	return r, b.memory(ctx, &r, stores)
}

func (b *bench) count(n int) int { return max(int(float64(n)*b.scale), 1) }

func (b *bench) rate(perSecond float64) float64 {
	if b.pace == 0 {
		return perSecond
	}
	return perSecond * b.pace
}

// patience is how long a request waits for its answer before it is sent again. Kamailio has no transactions here: a
// PUBLISH that it gets twice is judged twice, and refused the second time. The machine may stall, but loses nothing.
const patience = 4 * time.Second

// session is load on a server from presentities with names of their own.
func (b *bench) session(ctx context.Context, s *server, name string, presentities, watchers int) (*load.Session, error) {
	cfg := load.Config{From: "sip:load@example.com", Hop: stack.Target{Addr: s.addr, Transport: "udp"}, Watchers: watchers,
		Expires: time.Hour, Settle: 10 * time.Second, BodySize: bodySize, Stack: stack.Config{T1: patience}}
	for i := range presentities {
		cfg.Presentities = append(cfg.Presentities, "sip:"+name+strconv.Itoa(i)+"@example.com")
	}
	return load.Open(ctx, cfg)
}

// side is a server whose processor time counts, with the load on it.
type side struct {
	*bench
	server    *server
	few, many *load.Session
}

func (s *side) close() {
	for _, l := range []*load.Session{s.few, s.many} {
		if l != nil {
			l.Close()
		}
	}
}

// processor measures the rows that count processor time.
func (b *bench) processor(ctx context.Context, r *report, sides [2]*side) error {
	n := b.count(users)
	for _, s := range sides { // these make publications and watchers, and warm the servers up
		var err error
		if s.few, err = b.session(ctx, s.server, "seen", 1, fan); err != nil {
			return err
		}
		if s.many, err = b.session(ctx, s.server, "u", n, 1); err != nil {
			return err
		}
		if _, err = s.prove(s.few.Publish(ctx, b.rate(filling))); err != nil {
			return err
		}
		if _, err = s.prove(s.few.Subscribe(ctx, b.rate(filling))); err != nil {
			return err
		}
		if _, err = s.prove(s.few.Change(ctx, b.count(warm), b.rate(perSecond))); err != nil {
			return err
		}
	}
	rows := []struct {
		name string
		each int // operations that one of the step stands for
		do   func(*side) (load.Step, error)
	}{
		{"PUBLISH at 2000/s", 1, func(s *side) (load.Step, error) { return s.many.Publish(ctx, b.rate(publishes)) }},
		{"modify at 2000/s", 1, func(s *side) (load.Step, error) { return s.many.Change(ctx, n, b.rate(publishes)) }},
		{"SUBSCRIBE + NOTIFY at 1000/s", 1, func(s *side) (load.Step, error) { return s.many.Subscribe(ctx, b.rate(subscribe)) }},
		{"NOTIFY to 100 watchers", fan, func(s *side) (load.Step, error) { return s.few.Change(ctx, b.count(changes), b.rate(perSecond)) }},
	}
	var last pair
	for _, row := range rows {
		b.tell(row.name)
		var spent pair
		for i, to := range []*float64{&spent.kamailio, &spent.imp} {
			cpu, step, err := sides[i].spend(row.do)
			if err != nil {
				return fmt.Errorf("%s: %w", row.name, err)
			}
			*to = cpu.Seconds() / float64(step.Done*row.each) * 10_000
			last = pair{last.imp, milliseconds(step.Last.P50)}
		}
		r.add(row.name, "CPU s per 10k", spent)
	}
	r.add("last of 100 watchers, p50", "ms", last)
	return nil
}

// linger is how long a server may be busy after the last answer.
const linger = 100 * time.Millisecond

// spend tells what processor time a step costs the server.
func (s *side) spend(do func(*side) (load.Step, error)) (time.Duration, load.Step, error) {
	before, err := s.server.cpu()
	if err != nil {
		return 0, load.Step{}, err
	}
	step, err := s.prove(do(s))
	if err != nil {
		return 0, step, err
	}
	time.Sleep(linger)
	after, err := s.server.cpu()
	return after - before, step, err
}

// mostMissed is the part of the changes that may be left out because the machine stalled.
const mostMissed = 10

// prove makes sure that a step came off: each request answered 200, each NOTIFY there.
func (s *side) prove(step load.Step, err error) (load.Step, error) {
	return step, prove(s.server, step, err)
}

func prove(s *server, step load.Step, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", s.name, err)
	case len(step.Failed) > 0 || step.Missed > step.Done/mostMissed:
		return fmt.Errorf("%s: %d done, %d not sent in time, failed: %v", s.name, step.Done, step.Missed, maps.Collect(maps.All(step.Failed)))
	case step.Lost > 0:
		return fmt.Errorf("%s: %d of %d NOTIFYs did not come", s.name, step.Lost, step.Lost+step.Notified)
	}
	return nil
}

// holding is a server that holds state, and what it took before.
type holding struct {
	server    *server
	count     int
	live, rss int64
}

// fill gives a server publications, and subscriptions to them.
func (b *bench) fill(ctx context.Context, s *server, subscriptions bool) (h *holding, err error) {
	h = &holding{server: s, count: b.count(users)}
	l, err := b.session(ctx, s, "u", h.count, 1)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if h.live, err = s.memory(ctx); err != nil {
		return nil, err
	}
	if h.rss, err = s.resident(); err != nil {
		return nil, err
	}
	step, err := l.Publish(ctx, b.rate(filling))
	if err = prove(s, step, err); err == nil && subscriptions {
		step, err = l.Subscribe(ctx, b.rate(filling))
		err = prove(s, step, err)
	}
	return h, err
}

// taken is what a server has taken for 10,000 of what it holds, in MB.
func (h *holding) taken(ctx context.Context) (live, rss float64, err error) {
	nowLive, err := h.server.memory(ctx)
	if err != nil {
		return 0, 0, err
	}
	nowRSS, err := h.server.resident()
	if err != nil {
		return 0, 0, err
	}
	per := 1e-6 / float64(h.count) * 10_000
	return float64(nowLive-h.live) * per, float64(nowRSS-h.rss) * per, nil
}

// memory measures the rows that count memory. What subscriptions take is the difference to a server with publications
// alone.
func (b *bench) memory(ctx context.Context, r *report, stores [2][2]*holding) error {
	var live, rss [2]pair
	for i := range stores {
		for j, h := range stores[i] {
			l, m, err := h.taken(ctx)
			if err != nil {
				return err
			}
			to := []*float64{&live[i].kamailio, &rss[i].kamailio}
			if j == 1 {
				to = []*float64{&live[i].imp, &rss[i].imp}
			}
			*to[0], *to[1] = l, m
		}
	}
	less := func(a, b pair) pair { return pair{a.kamailio - b.kamailio, a.imp - b.imp} }
	r.add("live memory of 10k publications", "MB", live[0])
	r.add("live memory of 10k subscriptions", "MB", less(live[1], live[0]))
	r.add("resident memory of 10k publications", "MB", rss[0])
	r.add("resident memory of 10k subscriptions", "MB", less(rss[1], rss[0]))
	return nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
