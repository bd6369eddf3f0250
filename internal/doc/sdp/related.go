package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
)

// Icon is a part of a body that a description points to with file-icon.
type Icon struct {
	ID   string // Content-ID without its brackets
	Type string
	Data []byte
}

const maxParts = 64

// Unwrap finds the session description in the body of a SIP message: the body itself, the root of a multipart/related,
// or the first of its kind in another multipart (RFC 5547 section 8.8, RFC 2387). icons are the other parts that have an
// id. ErrNoSDP says that there is none.
func Unwrap(contentType string, body []byte) (description []byte, icons []Icon, err error) {
	t, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("reading Content-Type: %w", err)
	case t == MediaType:
		return body, nil, nil
	case !strings.HasPrefix(t, "multipart/"):
		return nil, nil, fmt.Errorf("%w: %s", ErrNoSDP, t)
	}
	start := strings.Trim(params["start"], "<>")
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n == maxParts {
			return nil, nil, fmt.Errorf("reading a %s body: %w", t, cmpErr(err))
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return nil, nil, fmt.Errorf("reading a %s body: %w", t, err)
		}
		id := strings.Trim(p.Header.Get("Content-Id"), "<>")
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		root := start == "" && n == 0 || start != "" && id == start || t != "multipart/related" && description == nil
		if root && kind == MediaType {
			description = data
		} else if id != "" {
			icons = append(icons, Icon{id, kind, data})
		}
	}
	if description == nil {
		return nil, nil, fmt.Errorf("%w in a %s body", ErrNoSDP, t)
	}
	return description, icons, nil
}

func cmpErr(err error) error {
	if err == nil {
		return fmt.Errorf("more than %d parts", maxParts)
	}
	return err
}

// ErrNoSDP says that a body is or has no session description; the answer is 415.
var ErrNoSDP = errors.New("there is no session description")

// Related makes the multipart/related body of a description and its icons (RFC 5547 section 8.8).
func Related(description []byte, icons []Icon, boundary string) (contentType string, body []byte, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary(boundary); err != nil {
		return "", nil, err
	}
	parts := append([]Icon{{Type: MediaType, Data: description}}, icons...)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Type": {p.Type}}
		if p.ID != "" {
			h["Content-ID"] = []string{"<" + p.ID + ">"}
			h["Content-Disposition"] = []string{"icon"}
			h["Content-Transfer-Encoding"] = []string{"binary"}
		}
		part, err := w.CreatePart(h)
		if err != nil {
			return "", nil, err
		}
		if _, err := part.Write(p.Data); err != nil {
			return "", nil, err
		}
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	return `multipart/related;type="` + MediaType + `";boundary=` + boundary, b.Bytes(), nil
}

// IconOf finds the part that a cid URL names.
func IconOf(url string, icons []Icon) (Icon, bool) {
	id, ok := strings.CutPrefix(url, "cid:")
	if !ok {
		return Icon{}, false
	}
	for _, i := range icons {
		if i.ID == id {
			return i, true
		}
	}
	return Icon{}, false
}
