package event_test

import (
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/event"
)

func TestSubscriberErrorText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &event.ResponseError{Status: 503, Phrase: "Service Unavailable", Warning: "too many"}
		for err, want := range map[error]string{
			refused:                           "503 Service Unavailable (too many)",
			&event.ResponseError{Status: 499}: "499",
			&event.RetryLaterError{Until: time.Now().Add(1500 * time.Millisecond), Response: refused}: "503 Service Unavailable (too many), to be tried again in 2 s",
			event.ErrNoNotify: "no NOTIFY followed the SUBSCRIBE",
		} {
			if got := err.Error(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}
