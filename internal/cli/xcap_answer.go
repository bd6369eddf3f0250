package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"imp/internal/auth/digest"
	"imp/internal/cli/kit"
	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/client"
	xmltree "imp/internal/xml/tree"
)

// xcapEvent is an answer of an XCAP server.
type xcapEvent struct {
	kit.Head
	Method  string `json:"method" doc:"GET, PUT, DELETE or PATCH"`
	URL     string `json:"url" doc:"URL of the document or node"`
	Status  int    `json:"status" doc:"HTTP status"`
	Reason  string `json:"reason" doc:"reason phrase"`
	ETag    string `json:"etag,omitempty" doc:"entity-tag of the document after the request, for --if-match"`
	Type    string `json:"body_type,omitempty" doc:"media type of the body"`
	Body    string `json:"body,omitempty" doc:"the document or node, as it stands on the server"`
	content []byte
}

// Text implements kit.Texter. Only a terminal is kept from what is hostile to it.
func (e xcapEvent) Text(w io.Writer, s *kit.Style) error {
	body := e.content
	if s.TTY {
		body = []byte(kit.Clean(string(body)))
		if len(body) > 0 && body[len(body)-1] != '\n' {
			body = append(body, '\n')
		}
	}
	_, err := w.Write(body)
	return err
}

// Raw implements kit.Rawer.
func (e xcapEvent) Raw() []byte { return e.content }

// answered prints an answer: status and entity-tag for people, the body of a GET as data.
func (s *xcapSession) answered(method string, a *client.Answer) error {
	e := xcapEvent{Head: s.kit.Head("xcap"), Method: method, URL: a.URL, Status: a.Status, Reason: a.Phrase, ETag: a.ETag}
	note := fmt.Sprintf("%d %s", a.Status, a.Phrase)
	if a.ETag != "" {
		note += fmt.Sprintf(", etag %q", a.ETag)
	}
	if method == "GET" && !a.NotModified() {
		e.Type, e.Body, e.content = a.Type, string(a.Body), a.Body
		note += fmt.Sprintf(", %s, %d bytes", a.Type, len(a.Body))
	}
	if s.kit.Output == kit.OutputText {
		s.kit.Note("%s", kit.CleanLine(note))
	}
	return s.kit.Emit(e)
}

// failure maps what ended a request to an exit status with a hint. With -o raw the report of a conflict is printed.
func (s *xcapSession) failure(doing string, err error) error {
	var (
		own     *kit.Error
		refused *client.Error
		syntax  *xmltree.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		if s.kit.Output == kit.OutputRaw && refused.Report != nil {
			if err := s.kit.Print(refused.Answer.Body); err != nil {
				return err
			}
		}
		return s.refused(doing, refused)
	case errors.As(err, &own):
		return err
	case errors.Is(err, client.ErrBindings), errors.Is(err, client.ErrNode):
		return kit.Fail(kit.ExitUsage, doing, err, "")
	case errors.Is(err, client.ErrNoETag):
		return kit.Fail(kit.ExitRefused, doing, err, "the server does not keep to RFC 4825; --trace=http shows what it says")
	case errors.Is(err, client.ErrContent), errors.As(err, &syntax):
		return kit.Fail(kit.ExitDocument, doing, err, "is that an XCAP server? --trace=http shows what it says")
	case errors.Is(err, context.Canceled):
		return kit.Fail(0, doing, err, "")
	case errors.Is(err, context.DeadlineExceeded):
		return kit.Fail(kit.ExitTimeout, doing, "no answer", "is the server "+s.root.String()+" running? It is that of --xcap-root, else of the account")
	}
	return kit.Fail(kit.ExitNetwork, doing, err, s.networkHint(err))
}

func (s *xcapSession) networkHint(err error) string {
	switch hint := transportHint(err); {
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server is without TLS there; its root begins with http:"
	case strings.Contains(hint, "proxy"):
		return "is the server running, and is its root right? It is " + s.root.String() + ", of --xcap-root, else of the account, else by the domain"
	default:
		return hint
	}
}

// refused is the failure for an answer that refuses.
func (s *xcapSession) refused(doing string, e *client.Error) error {
	status := kit.ExitRefused
	var own *kit.Error
	switch {
	case errors.As(e.Cause, &own): // there is no password
		return kit.Fail(own.Exit, doing, own, own.Hint)
	case e.Answer.Status == 404 || e.Answer.Status == 410:
		status = kit.ExitNo
	}
	a := kit.Answer{Code: e.Answer.Status, Reason: e.Answer.Phrase}
	switch {
	case errors.Is(e.Cause, digest.ErrRejected):
	case e.Cause != nil:
		a.Reason += " (" + e.Cause.Error() + ")"
	case e.Report != nil:
		a.Reason += " (" + kit.CleanLine(e.Report.Error()) + ")"
	case e.Patch != "":
		a.Reason += " (" + kit.CleanLine(string(e.Patch)) + ")"
	}
	return kit.Fail(status, doing, a, s.refusalHint(e))
}

// refusalHint says what to do about a refusal, as far as the answer tells.
func (s *xcapSession) refusalHint(e *client.Error) string {
	switch code := e.Answer.Status; {
	case errors.Is(e.Cause, digest.ErrRejected):
		return "user name or password is wrong; imp account show tells the user, and --auth-user, IMP_PASSWORD and --password-file give others"
	case code == 401 && s.acct.User == "":
		return "the server wants to know who asks: -a ACCOUNT, or --from URI with --password-file FILE"
	case code == 401:
		return "the server asks for credentials in a way that this client has no answer to; look with --trace=http"
	case code >= 300 && code < 400:
		return "if that is the right server, make it the root: --xcap-root, or xcap_root of the account"
	case code == 403:
		return "the server knows who asks and does not allow it; --from and -a act as somebody else"
	case code == 404:
		return "imp xcap ls lists the documents there are; a node selector begins with the root element"
	case code == 409 && e.Report != nil:
		return conflictHint(e.Report)
	case code == 412:
		return "the document has changed; get it again with its entity-tag"
	case code == 413 || code == 414:
		return "send less: it is more than the server takes"
	case code == 405 || code == 501:
		if allow := e.Answer.Header.Get("Allow"); allow != "" {
			return "there the server has only: " + kit.CleanLine(allow)
		}
	case code == 503 || code == 429:
		if after := e.Answer.Header.Get("Retry-After"); after != "" {
			return "try again in " + kit.CleanLine(after) + " seconds"
		}
	}
	return ""
}

// conflictHint says what a report allows to do (RFC 4825 section 11.1).
func conflictHint(r *xcaperror.Report) string {
	switch r.Condition {
	case xcaperror.NoParent:
		if r.Ancestor != "" {
			return "put something into " + kit.CleanLine(r.Ancestor) + " first, which is there"
		}
		return "the document or element around it has to be put first"
	case xcaperror.Uniqueness:
		var fields, free []string
		for _, e := range r.Exists {
			fields = append(fields, unescaped(e.Field))
			free = append(free, e.Alternatives...)
		}
		if len(free) > 0 {
			return kit.CleanLine(strings.Join(fields, ", ") + " is there already; free are " + strings.Join(free, ", "))
		}
		return kit.CleanLine("there already: " + strings.Join(fields, ", "))
	case xcaperror.CannotInsert:
		return "the last step of the target has to select what is put, by its name and attributes; a position is one behind the last at most"
	case xcaperror.CannotDelete:
		return "the same selector would select another node afterwards; name the node by an attribute, as in [1][@uri=\"…\"]"
	case xcaperror.NotFragment:
		return "an element is put from its start tag to its end tag, with declarations of the prefixes in it: those of the target are not known there"
	case xcaperror.SchemaValidation, xcaperror.Constraint, xcaperror.NotWellFormed, xcaperror.NotAttributeText:
		return "the document as it would be is refused, it stays as it is; imp xml check tells more about one"
	}
	return ""
}

// unescaped is a node selector without percent-encoding, as far as that can be taken away.
func unescaped(selector string) string {
	if plain, err := url.PathUnescape(selector); err == nil {
		return plain
	}
	return selector
}
