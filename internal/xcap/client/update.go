package client

import (
	"context"
	"net/http"
	"time"

	"imp/internal/xcap/uri"
)

// maxTries is how often Update begins anew when others change the document meanwhile; before each it waits for a random part
// of a time that grows from firstPause to lastPause, so that many writers do not meet again and again.
const (
	maxTries   = 32
	firstPause = 2 * time.Millisecond
	lastPause  = 128 * time.Millisecond
)

// Change is a request that follows from a document: a PUT of Body, or with Remove a DELETE.
type Change struct {
	URI    *uri.URI // of the document or of a node in it
	Type   string   // of a document
	Body   []byte
	Remove bool
}

// Update reads a document, has plan say what is to be done, and does it on the condition that the document is still the
// same (RFC 4825 section 7.11). When it is not, it begins anew, a bounded number of times. Plan gets nil when there is no
// document, and its change then is on the condition that there is none; a nil change ends the work. The answer is that of
// the change, or without one that of the document, which may be nil.
func (c *Client) Update(ctx context.Context, document *uri.URI, plan func(*Answer) (*Change, error)) (*Answer, error) {
	pause := firstPause
	for try := 1; ; try++ {
		now, err := c.Get(ctx, document, Condition{})
		if err != nil && Status(err) != http.StatusNotFound {
			return nil, err
		}
		change, err := plan(now)
		if err != nil || change == nil {
			return now, err
		}
		cond := Create
		if now != nil {
			if cond = (Condition{Match: now.ETag}); now.ETag == "" {
				return nil, ErrNoETag
			}
		}
		var a *Answer
		if change.Remove {
			a, err = c.Delete(ctx, change.URI, cond)
		} else {
			a, err = c.Put(ctx, change.URI, change.Type, change.Body, cond)
		}
		if Status(err) != http.StatusPreconditionFailed || try == maxTries {
			return a, err
		}
		if err := c.rest(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, lastPause)
	}
}

// rest waits for a random part of a time.
func (c *Client) rest(ctx context.Context, most time.Duration) error {
	timer := time.NewTimer(time.Duration(c.cfg.Random() * float64(most)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
