package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"imp/internal/auth/digest"
	"imp/internal/xml/lexical"
)

// request is one request from its first sending to its last retry.
type request struct {
	method      string
	target      string // absolute
	contentType string
	body        []byte
	cond        Condition
}

// send sends a request, answers challenges and follows redirects.
func (c *Client) send(ctx context.Context, r *request) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	u, err := url.Parse(r.target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s %q: it is no http or https URI", r.method, r.target)
	}
	for hops := 0; ; hops++ {
		a, err := c.authenticated(ctx, r, u)
		if err != nil {
			return nil, err
		}
		next, refused := c.redirect(r.method, u, a)
		switch {
		case refused != nil:
			return nil, &Error{Method: r.method, Answer: a, Cause: refused}
		case next != nil && hops == maxRedirects:
			return nil, &Error{Method: r.method, Answer: a, Cause: fmt.Errorf("there is no end to the redirects")}
		case next != nil:
			u = next
			continue
		case a.Status/100 == 2:
			return a, foreign(r.method, a)
		case a.NotModified():
			return a, nil
		}
		return nil, refusal(r.method, a)
	}
}

// foreign tells of an answer that is none of an XCAP server though it has a good status: a page, as a gateway shows that wants
// somebody to log in; or a document in a content coding that was not asked for, whose bytes are not those of the document.
func foreign(method string, a *Answer) error {
	reads := method == http.MethodGet || method == http.MethodHead
	if a.Type == "text/html" && (reads || len(a.Body) > 0) {
		return fmt.Errorf("%w: a page, %s", ErrContent, a.Type)
	}
	if coding := a.Header.Get("Content-Encoding"); reads && coding != "" && !strings.EqualFold(coding, "identity") {
		return fmt.Errorf("%w: a body in the coding %s", ErrContent, lexical.Clip(coding))
	}
	return nil
}

// redirect returns where an answer redirects to; nil when it does not, or not to a resource that takes the request (303).
// A change goes to the server of the root only, and nothing goes from https to http.
func (c *Client) redirect(method string, from *url.URL, a *Answer) (*url.URL, error) {
	switch a.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	case http.StatusSeeOther:
		if method != http.MethodGet && method != http.MethodHead {
			return nil, nil
		}
	default:
		return nil, nil
	}
	location := a.Header.Get("Location")
	if location == "" {
		return nil, nil
	}
	to, err := from.Parse(location)
	switch {
	case err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https":
		return nil, fmt.Errorf("it redirects to %q, which is no http or https URI", location)
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, fmt.Errorf("it redirects to %s, without TLS", to)
	case method != http.MethodGet && method != http.MethodHead && originOf(to) != originOf(from):
		return nil, fmt.Errorf("it redirects to %s, another server", to)
	}
	to.Fragment = ""
	return to, nil
}

// originOf is scheme, host and port.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// authenticated sends a request and answers challenges. Credentials are for the server of the root alone.
func (c *Client) authenticated(ctx context.Context, r *request, u *url.URL) (*Answer, error) {
	own := originOf(u) == c.origin
	if c.cfg.Digest == nil || !own {
		a, err := c.exchange(ctx, r, u, "")
		if err == nil && a.Status == http.StatusUnauthorized {
			why := "there are no credentials"
			if !own {
				why = "this is another server than that of the XCAP root, which the credentials are for"
			}
			return nil, &Error{Method: r.method, Answer: a, Cause: fmt.Errorf("%s", why)}
		}
		return a, err
	}
	auth := c.cfg.Digest.Request(r.method, u.RequestURI(), r.body)
	for {
		credentials := ""
		if values := auth.Authorization(); len(values) > 0 {
			credentials = values[0]
		}
		a, err := c.exchange(ctx, r, u, credentials)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusUnauthorized {
			c.accepted(auth, a, credentials != "")
			return a, nil
		}
		if err := auth.Challenged(a.Header.Values("WWW-Authenticate")); err != nil {
			return nil, &Error{Method: r.method, Answer: a, Cause: err}
		}
	}
}

// accepted takes the next nonce, and what proves that the server knows the password.
func (c *Client) accepted(auth *digest.Request, a *Answer, sent bool) {
	info := a.Header.Get("Authentication-Info")
	if !sent || info == "" {
		return
	}
	if err := auth.Accepted(info, a.Body); err != nil && c.cfg.Unproven != nil {
		c.cfg.Unproven(err)
	}
}

// exchange sends one message and reads the answer.
func (c *Client) exchange(ctx context.Context, r *request, u *url.URL, credentials string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if err := c.fields(req, r, credentials); err != nil {
		return nil, err
	}
	if r.method == http.MethodPut || r.method == http.MethodDelete {
		// Sent again on a new connection when the server closes the old one at that moment (RFC 9110 section 9.2.2).
		req.Header["Idempotency-Key"] = []string{}
	}
	req, rec := c.recorded(req, r.body)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, plain(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxBody+1))
	switch {
	case err != nil:
		return nil, plain(ctx, fmt.Errorf("reading the answer: %w", err))
	case int64(len(body)) > c.cfg.MaxBody:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.cfg.MaxBody)
	}
	rec.in(resp, body)
	return newAnswer(resp, body), nil
}

// fields are the header fields of a request.
func (c *Client) fields(req *http.Request, r *request, credentials string) error {
	h := req.Header
	h.Set("Accept-Encoding", "identity") // a content coding would make the entity-tag one of other bytes
	for _, f := range []struct{ name, value string }{
		{"User-Agent", c.cfg.Product}, {"Authorization", credentials}, {"Content-Type", r.contentType},
	} {
		if f.value != "" {
			h.Set(f.name, f.value)
		}
	}
	for _, f := range []struct{ name, tag string }{{"If-Match", r.cond.Match}, {"If-None-Match", r.cond.NoneMatch}} {
		if f.tag == "" {
			continue
		}
		value, err := quoted(f.tag)
		if err != nil {
			return err
		}
		h.Set(f.name, value)
	}
	return nil
}

// plain takes method and URI out of an error of net/http, which the caller knows, and tells that time is up by the error
// of the context.
func plain(ctx context.Context, err error) error {
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	if done := ctx.Err(); done != nil && !errors.Is(err, done) {
		return fmt.Errorf("%w: %w", done, err)
	}
	return err
}
