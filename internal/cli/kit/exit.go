package kit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
)

// The exit statuses of every command.
const (
	ExitOK        = 0   // done
	ExitNo        = 1   // a negative answer
	ExitUsage     = 2   // usage, configuration, local files
	ExitRefused   = 3   // refused by the peer
	ExitTimeout   = 4   // timed out
	ExitNetwork   = 5   // network or TLS
	ExitDocument  = 6   // invalid document
	ExitBug       = 70  // a bug of ours
	ExitHangup    = 129 // SIGHUP while a wait was unmet
	ExitInterrupt = 130 // SIGINT while a wait was unmet
	ExitTerminate = 143 // SIGTERM while a wait was unmet
)

// Exits says what each status means, for the man pages.
var Exits = []struct {
	Status  string
	Meaning string
}{
	{"0", "Done."},
	{"1", "A negative answer: the node or document asked for does not exist, two things differ, a rule denies, a fetched state does not satisfy --until, a message was declined."},
	{"2", "Usage, bad configuration, or a local file that cannot be read or written."},
	{"3", "Refused by the peer: any other 4xx to 6xx answer, or a subscription terminated as rejected or noresource."},
	{"4", "Timed out."},
	{"5", "Network or TLS failure, or a port in use."},
	{"6", "Invalid document."},
	{"70", "A bug in imp."},
	{"129, 130, 143", "Interrupted by SIGHUP, SIGINT or SIGTERM while --count or --until was unmet, or before the answer came."},
}

// Error is how a command ends other than well: one line for people, one object for programs, one status for the shell.
type Error struct {
	Exit  int    // the exit status
	Doing string // what was being done: "publishing sip:alice@example.com"
	Cause error  // what happened
	Hint  string // what to do about it; may be empty
	quiet bool
}

// Error returns the line without the program's name and without the hint.
func (e *Error) Error() string {
	switch {
	case e.Cause == nil:
		return e.Doing
	case e.Doing == "":
		return e.Cause.Error()
	}
	return e.Doing + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Answer is a final answer of a peer as an error, "404 Not Found".
type Answer struct {
	Code   int
	Reason string
}

func (a Answer) Error() string { return strings.TrimSpace(fmt.Sprintf("%d %s", a.Code, a.Reason)) }

// Fail returns the error that ends a command with the exit status: what was being done, what happened (an error, an Answer, a text or nil) and what to do about it ("" = no hint).
// Status 0 takes the status from the cause: that of an Error in it, or one by its kind (timeout, network, file).
func Fail(status int, doing string, cause any, hint string) error {
	e := &Error{Exit: status, Doing: doing, Hint: hint}
	switch c := cause.(type) {
	case nil:
	case error:
		e.Cause = c
	default:
		e.Cause = errors.New(fmt.Sprint(c))
	}
	if e.Exit == 0 {
		e.Exit = statusOf(e.Cause)
	}
	if inner := (*Error)(nil); hint == "" && errors.As(e.Cause, &inner) {
		e.Hint = inner.Hint
	}
	return e
}

// Quiet returns an error that sets the exit status and prints nothing: for answers that stdout has told already.
func Quiet(status int) error { return &Error{Exit: status, quiet: true} }

// statusOf infers an exit status from the kind of error.
func statusOf(err error) int {
	var (
		known   *Error
		answer  Answer
		path    *fs.PathError
		netErr  net.Error
		op      *net.OpError
		dns     *net.DNSError
		alert   tls.AlertError
		record  tls.RecordHeaderError
		cert    *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &known):
		return known.Exit
	case errors.As(err, &answer):
		return ExitRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return ExitTimeout
	case errors.As(err, &netErr) && netErr.Timeout():
		return ExitTimeout
	case errors.As(err, &op), errors.As(err, &dns), errors.As(err, &alert), errors.As(err, &record), errors.As(err, &cert), errors.As(err, &unknown):
		return ExitNetwork
	case errors.As(err, &path):
		return ExitUsage
	}
	return ExitBug
}
