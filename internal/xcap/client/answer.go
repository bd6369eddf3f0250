package client

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/uri"
	"imp/internal/xml/patch"
	"imp/internal/xml/tree"
)

// Answer is what a server said.
type Answer struct {
	URL    string // that was asked last, after redirects
	Status int
	Phrase string // reason phrase
	ETag   string // without quotes; "" when there is none, or a weak one, which guards no change
	Weak   string // the weak entity-tag as it came
	Type   string // of the body: media type in small letters, without parameters
	Body   []byte
	Header http.Header
}

// Created reports whether a PUT made something new (RFC 4825 section 8.2.7).
func (a *Answer) Created() bool { return a.Status == http.StatusCreated }

// NotModified reports whether what was asked for is what the condition has.
func (a *Answer) NotModified() bool { return a.Status == http.StatusNotModified }

// Error is an answer that refuses the request.
type Error struct {
	Method string
	Answer *Answer
	Report *xcaperror.Report // of a 409; nil when the server tells nothing more
	Patch  patch.Condition   // of a PATCH: the condition of RFC 5261 that the server tells, "" when none
	Cause  error             // of a 401: why it could not be answered; of a redirect: why it is not followed
}

// Error returns the status with what the server told beside it.
func (e *Error) Error() string {
	s := fmt.Sprintf("%d %s", e.Answer.Status, e.Answer.Phrase)
	switch {
	case e.Cause != nil:
		s += ": " + e.Cause.Error()
	case e.Report != nil:
		s += ": " + e.Report.Error()
	case e.Patch != "":
		s += ": " + string(e.Patch)
	}
	return s
}

// Unwrap returns the cause, or the report.
func (e *Error) Unwrap() error {
	if e.Cause == nil && e.Report != nil {
		return e.Report
	}
	return e.Cause
}

// Status returns the status of the answer that an error is, 0 when it is none.
func Status(err error) int {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Answer.Status
	}
	return 0
}

// Type returns the type of the node that a URI selects, as a PUT of it has to say (RFC 4825 section 15.2); "" when the
// URI is that of a document.
func Type(u *uri.URI) string {
	if len(u.Steps) == 0 {
		return ""
	}
	switch last := u.Steps[len(u.Steps)-1]; {
	case last == "namespace::*":
		return resource.BindingsType
	case strings.HasPrefix(last, "@"):
		return resource.AttributeType
	}
	return resource.ElementType
}

// newAnswer reads the header of a response.
func newAnswer(r *http.Response, body []byte) *Answer {
	a := &Answer{URL: r.Request.URL.String(), Status: r.StatusCode, Body: body, Header: r.Header,
		Phrase: strings.TrimSpace(strings.TrimPrefix(r.Status, fmt.Sprint(r.StatusCode)))}
	if a.Phrase == "" {
		a.Phrase = http.StatusText(r.StatusCode)
	}
	switch tag := r.Header.Get("ETag"); {
	case len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"':
		a.ETag = tag[1 : len(tag)-1]
	default:
		a.Weak = tag
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil || errors.Is(err, mime.ErrInvalidMediaParameter) {
		a.Type = t
	}
	return a
}

// refusal makes an error of an answer, with the reports in its body. A report that cannot be read, or that has an
// extension, is one that says nothing more (RFC 4825 section 11.1).
func refusal(method string, a *Answer) *Error {
	e := &Error{Method: method, Answer: a}
	if len(a.Body) == 0 || !strings.HasSuffix(a.Type, "xml") {
		return e
	}
	if a.Status == http.StatusConflict {
		if r, err := xcaperror.Parse(a.Body); err == nil && r.Condition != xcaperror.Extension {
			e.Report = r
		}
	}
	if method == http.MethodPatch && e.Report == nil {
		e.Patch = patchCondition(a.Body)
	}
	return e
}

// patchCondition reads which condition an error document of RFC 5261 section 5.1 tells.
func patchCondition(body []byte) patch.Condition {
	t, err := tree.Parse(body, tree.Options{})
	if err != nil || !t.Root().Is(patch.SpaceError, "patch-ops-error") {
		return ""
	}
	for n := range t.Root().Elements() {
		if n.Space() == patch.SpaceError {
			return patch.Condition(n.Local())
		}
	}
	return ""
}
