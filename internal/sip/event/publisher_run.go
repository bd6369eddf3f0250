package event

import (
	"context"
	"errors"
	"time"

	"imp/internal/sip/uac"
)

// Run refreshes the publication before it runs out, until ctx is done, and then
// returns nil; the publication is left as it is. It waits while nothing is
// published. Each refresh is told to report, when that is not nil, and so is
// each failure that may pass (no answer, 5xx), after which it tries again; any
// other failure is returned.
func (p *Publisher) Run(ctx context.Context, report func(Published, error)) error {
	var retryAt time.Time // after a failure; zero otherwise
	for failures := 0; ; {
		if !p.waitFor(ctx, retryAt) {
			return nil
		}
		got, err := p.Refresh(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if report != nil && (err == nil || uac.Transient(err)) {
			report(got, err)
		}
		switch {
		case err == nil:
			failures, retryAt = 0, time.Time{}
		case errors.Is(err, ErrNotPublished):
			retryAt = time.Time{} // it was removed meanwhile
		case !uac.Transient(err):
			return err
		default:
			failures++
			retryAt = time.Now().Add(backoff(failures + 1))
			var later *RetryLaterError
			if errors.As(err, &later) {
				retryAt = later.Until
			}
		}
	}
}

// Awake tells that time went by unnoticed, as when the machine slept: Run
// refreshes at once, which shows whether the publication still exists.
func (p *Publisher) Awake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tag != "" {
		p.refreshAt = time.Now()
		p.tell()
	}
}

// waitFor waits until a refresh is due, or until retryAt when that is not
// zero. It is false when ctx is done first.
func (p *Publisher) waitFor(ctx context.Context, retryAt time.Time) bool {
	for {
		p.mu.Lock()
		at := p.refreshAt
		p.mu.Unlock()
		if !retryAt.IsZero() {
			at = retryAt
		}
		var timer <-chan time.Time
		if !at.IsZero() {
			timer = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return false
		case <-timer:
			return true
		case <-p.changed:
			p.mu.Lock()
			if !p.refreshAt.IsZero() {
				retryAt = time.Time{} // another PUBLISH came through meanwhile
			}
			p.mu.Unlock()
		}
	}
}
