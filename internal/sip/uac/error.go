package uac

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// ResponseError is a final response that refuses a request.
type ResponseError struct {
	Status  int
	Phrase  string
	Warning string        // texts of the Warning fields, "" without
	Fields  []stack.Field // the fields that say what is wrong or what would be right, under their long names
	// Cause is why a 401 or 407 was not answered with credentials; nil when
	// nobody was there to do so.
	Cause error
}

// Error gives status, phrase and warnings.
func (e *ResponseError) Error() string {
	s := strconv.Itoa(e.Status)
	if e.Phrase != "" {
		s += " " + e.Phrase
	}
	if e.Warning != "" {
		s += " (" + e.Warning + ")"
	}
	return s
}

// Unwrap gives the Cause.
func (e *ResponseError) Unwrap() error { return e.Cause }

// Field is the value of the first field called name, "" without.
func (e *ResponseError) Field(name string) string {
	for _, f := range e.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// RetryAfter is the wait that Retry-After asks for; ok is false without a
// legible one.
func (e *ResponseError) RetryAfter() (d time.Duration, ok bool) {
	r, err := header.ParseRetryAfter(e.Field("Retry-After"))
	return time.Duration(r.Seconds) * time.Second, err == nil
}

// Accept is what a 415 or 406 says would be accepted, nil when it does not.
func (e *ResponseError) Accept() []string { return e.list("Accept") }

// AllowEvents are the event packages that a 489 lists, nil when it does not.
func (e *ResponseError) AllowEvents() []string { return e.list("Allow-Events") }

func (e *ResponseError) list(name string) []string {
	var out []string
	for _, f := range e.Fields {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		for v := range strings.SplitSeq(f.Value, ",") {
			if v = strings.TrimSpace(v); v != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

// telling are the fields of a response that say what is wrong or what would
// be right.
var telling = []string{"Accept", "Accept-Encoding", "Allow", "Allow-Events", "Contact", "Error-Info", "Min-Expires",
	"Proxy-Authenticate", "Reason", "Require", "Retry-After", "Server", "Unsupported", "Warning", "WWW-Authenticate"}

// Refusal makes the error of a response other than 2xx; cause is why a
// challenge was not answered.
func Refusal(res *sip.Response, cause error) *ResponseError {
	e := &ResponseError{Status: res.StatusCode, Phrase: res.Reason, Cause: cause}
	for _, name := range telling {
		for _, v := range header.Values(res, name) {
			e.Fields = append(e.Fields, stack.Field{Name: name, Value: v})
		}
	}
	var texts []string
	for _, v := range header.List(res, "Warning") {
		if w, err := header.ParseWarning(v); err == nil && w.Text != "" {
			texts = append(texts, w.Text)
		}
	}
	e.Warning = strings.Join(texts, "; ")
	return e
}

// Transient tells whether a request that failed so may succeed a while later.
func Transient(err error) bool {
	var e *ResponseError
	if errors.As(err, &e) {
		switch e.Status {
		case 408, 480, 500, 502, 503, 504:
			return true
		}
		return false
	}
	return errors.Is(err, stack.ErrTimeout) || errors.Is(err, stack.ErrTransport)
}
