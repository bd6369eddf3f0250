package event

import (
	"time"

	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// ResponseError is a final response that refuses a request.
type ResponseError = uac.ResponseError

// ErrNoNotify ends a subscription whose SUBSCRIBE was accepted but not
// followed by a NOTIFY within 64*T1 (timer N, RFC 6665 section 4.1.2.4). It
// counts as a timeout: errors.Is finds stack.ErrTimeout in it.
var ErrNoNotify error = noNotify{}

type noNotify struct{}

func (noNotify) Error() string        { return "no NOTIFY followed the SUBSCRIBE" }
func (noNotify) Is(target error) bool { return target == stack.ErrTimeout }

// EndedError is the error of who follows a subscription that its notifier has
// ended; Reason and Err of the event are why.
type EndedError struct{ SubscriptionEvent }

// Error implements error.
func (e *EndedError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return "the subscription ended: " + e.Reason
}

// Unwrap returns the cause.
func (e *EndedError) Unwrap() error { return e.Err }

// backoff is the pause before the n-th try in a row: none before the first
// two, then one second, doubled up to a minute.
func backoff(n int) time.Duration {
	if n < 2 {
		return 0
	}
	return min(time.Second<<min(n-2, 6), time.Minute)
}
