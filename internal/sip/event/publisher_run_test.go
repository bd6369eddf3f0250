package event_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

// running is a Run that is under way.
type running struct {
	t       *testing.T
	stop    context.CancelFunc
	done    chan error
	reports []string
}

func (r *publisherRig) run() *running {
	ctx, cancel := context.WithCancel(r.t.Context())
	run := &running{t: r.t, stop: cancel, done: make(chan error, 1)}
	go func() {
		run.done <- r.Run(ctx, func(p event.Published, err error) {
			if err != nil {
				run.reports = append(run.reports, "failed")
				return
			}
			run.reports = append(run.reports, fmt.Sprint(p.Operation, " ", p.Tag))
		})
	}()
	return run
}

// over is what Run must have returned.
func (run *running) over() error {
	run.t.Helper()
	pass(0)
	select {
	case err := <-run.done:
		return err
	default:
		run.t.Fatal("Run still runs")
		return nil
	}
}

func (run *running) reported(want ...string) {
	run.t.Helper()
	pass(0)
	if got, want := fmt.Sprint(run.reports), fmt.Sprint(want); got != want {
		run.t.Fatalf("reported %s, want %s", got, want)
	}
}

func TestPublisherRun(t *testing.T) {
	t.Run("PUB-010 a publication is refreshed before the lifetime granted is over", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			run := r.run()
			p := r.publish("<one/>")
			r.wire.next().answer(200, "", "SIP-ETag: a", "Expires: 60")
			p.ok()
			c, after := r.wire.due(time.Hour)
			if after >= time.Minute {
				t.Fatalf("refreshed after %v", after)
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 20")
			if c, after = r.wire.due(time.Hour); after >= 20*time.Second {
				t.Fatalf("refreshed again after %v", after)
			}
			c.wants("SIP-If-Match", "b")
			c.answer(200, "", "SIP-ETag: c", "Expires: 3600")
			if c, after = r.wire.due(time.Hour); after < 50*time.Minute {
				t.Fatalf("refreshed early, after %v", after)
			}
			run.reported("refresh b", "refresh c")
			run.stop()
			c.answer(200, "", "SIP-ETag: d", "Expires: 3600")
			if err := run.over(); err != nil {
				t.Fatal(err)
			}
			if r.Tag() != "d" {
				t.Fatalf("tag %q", r.Tag())
			}
			pass(2 * time.Hour)
			r.wire.silent()
		})
	})
	t.Run("a modify moves the refresh", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			r.run()
			pass(50 * time.Minute)
			p := r.publish("<two/>")
			r.wire.next().answer(200, "", "SIP-ETag: b", "Expires: 3600")
			p.ok()
			if _, after := r.wire.due(time.Hour); after < 50*time.Minute {
				t.Fatalf("refreshed after %v", after)
			}
		})
	})
	t.Run("a saved tag is refreshed at once", func(t *testing.T) {
		cfg := publishing()
		cfg.Tag = "saved"
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			run := r.run()
			c := r.wire.next()
			c.wants("SIP-If-Match", "saved")
			c.answer(412, "")
			expectStatus(t, run.over(), 412)
		})
	})
	t.Run("PUB-013 a compositor that forgot the publication gets it anew", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			run := r.run()
			c, _ := r.wire.due(time.Hour)
			c.answer(412, "")
			c = r.wire.next()
			if string(c.Body()) != "<one/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(500, "")
			if c, _ = r.wire.due(time.Minute); string(c.Body()) != "<one/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 3600")
			run.reported("failed", "initial b")
		})
	})
}

func TestPublisherRunWaits(t *testing.T) {
	t.Run("PUB-016 it waits for Retry-After", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			run := r.run()
			c, _ := r.wire.due(time.Hour)
			c.answer(503, "", "Retry-After: 100")
			c, after := r.wire.due(time.Hour)
			if after != 100*time.Second {
				t.Fatalf("tried again after %v", after)
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 3600")
			run.reported("failed", "refresh b")
		})
	})
	t.Run("failures that may pass are followed by tries ever more rarely", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			r.run()
			c, _ := r.wire.due(time.Hour)
			last := time.Duration(0)
			for _, err := range []error{stack.ErrTransport, stack.ErrTimeout, stack.ErrTransport, stack.ErrTransport} {
				c.fail(err)
				var after time.Duration
				if c, after = r.wire.due(time.Hour); after < time.Second || after <= last {
					t.Fatalf("tried after %v, before that after %v", after, last)
				}
				last = after
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 3600")
			if _, after := r.wire.due(time.Hour); after < 50*time.Minute {
				t.Fatalf("refreshed after %v", after)
			}
		})
	})
}

func TestPublisherRunEnds(t *testing.T) {
	t.Run("PUB-015 a refusal ends it", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			run := r.run()
			c, _ := r.wire.due(time.Hour)
			c.answer(489, "")
			expectStatus(t, run.over(), 489)
			pass(2 * time.Hour)
			r.wire.silent()
		})
	})
	t.Run("a removal while it waits to try again ends the tries", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			run := r.run()
			c, _ := r.wire.due(time.Hour)
			c.answer(500, "")
			p := r.remove()
			r.wire.next().answer(200, "", "SIP-ETag: x", "Expires: 0")
			p.ok()
			pass(2 * time.Hour)
			r.wire.silent()
			run.stop()
			if err := run.over(); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("it goes on after a removal, for the next publication", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			run := r.run()
			p := r.remove()
			r.wire.next().answer(200, "", "SIP-ETag: x", "Expires: 0")
			p.ok()
			pass(2 * time.Hour)
			r.wire.silent()
			r.published()
			c, _ := r.wire.due(time.Hour)
			c.wants("SIP-If-Match", "a")
			run.stop()
			if err := run.over(); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func TestPublisherAwake(t *testing.T) {
	t.Run("PUB-013 after a sleep that was too long it is published anew at once", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			run := r.run()
			r.Awake() // nothing is published
			pass(0)
			r.wire.silent()
			r.published()
			pass(0)
			at := time.Now()
			r.Awake()
			c := r.wire.next()
			c.wants("SIP-If-Match", "a")
			c.answer(412, "")
			c = r.wire.next()
			none(t, c.Request, "SIP-If-Match")
			if !time.Now().Equal(at) {
				t.Fatalf("after %v", time.Since(at))
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 3600")
			run.reported("initial b")
			run.stop()
		})
	})
}
