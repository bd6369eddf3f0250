package session

import (
	"errors"
	"fmt"

	"imp/internal/msrp/wire"
)

// Errors of sessions and messages.
var (
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the session is closed")
	// ErrDisconnected: the connection is lost, and its sessions with it (RFC 4975 section 5.4).
	ErrDisconnected = errors.New("the connection of the session is lost")
	// ErrTimeout: no response came in time, so that the message probably did not arrive (RFC 4975 section 7.1.1).
	ErrTimeout = errors.New("no response to a request in time: the message has probably failed")
	// ErrUnreported: the session ended before the success report that was asked for.
	ErrUnreported = errors.New("the session ended without a report of success")
	// ErrAborted: the sender gave the message up (end flag #), or the session ended in the middle of it.
	ErrAborted = errors.New("the sender aborted the message")
	// ErrType: the peer does not accept the media type (RFC 4975 section 8.6), or has refused it with 415.
	ErrType = errors.New("the peer does not accept this media type")
	// ErrSize: the message is larger than the max-size of the peer.
	ErrSize = errors.New("the message is larger than the peer accepts")
	// ErrNobody: a peer has connected to a session, and none was started for it in time.
	ErrNobody = errors.New("the peer did not connect in time")
)

// StatusError is a response, or a REPORT, other than 200.
type StatusError struct {
	Code     int
	Comment  string
	Reported bool // it came in a REPORT, of a relay or the endpoint
}

func (e *StatusError) Error() string {
	what := "response"
	if e.Reported {
		what = "report"
	}
	if e.Comment == "" {
		return fmt.Sprintf("%s %d", what, e.Code)
	}
	return fmt.Sprintf("%s %d %s", what, e.Code, e.Comment)
}

// Is lets 408 be ErrTimeout (RFC 4975 section 10.4).
func (e *StatusError) Is(target error) bool { return target == ErrTimeout && e.Code == wire.Timeout }
