package rls

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"imp/internal/doc/lists"
	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// bringsList tells whether a SUBSCRIBE brings its list along (RFC 5367 section
// 3.1).
func bringsList(r *stack.Request) bool {
	if supports(r, "Require", recipientList) {
		return true
	}
	v, _, _ := header.Single(r.Request, "Content-Disposition")
	return disposed(v)
}

// disposed tells whether a Content-Disposition is that of a recipient list.
func disposed(value string) bool {
	d, err := header.ParseContentDisposition(value)
	return err == nil && d.Type == lists.RecipientList
}

// maxLists bounds the lists that one request brings, maxNested the multipart
// bodies in each other, of which each is read and kept as long as the inner ones.
const (
	maxLists  = 100
	maxNested = 4
)

// read takes the list that a SUBSCRIBE brings (RFC 5367 section 4): several of
// them are united, and equal URIs count once (RFC 5363 section 4.1).
func (s *Server) read(v *view, r event.Request) error {
	body := bytes.Clone(r.Body) // what is kept of it are parts of its text
	docs, err := recipientLists(r.ContentType, body, maxNested)
	if err != nil {
		return err
	}
	titles := map[string][]rlmi.Name{}
	for _, d := range docs {
		for i := range d.Lists {
			d.Lists[i].Walk(func(it *lists.Item) bool {
				if it.Kind == lists.Entry && titles[it.URI] == nil {
					titles[it.URI] = names(it.Display)
				}
				return true
			})
		}
	}
	all := lists.Recipients(docs...)
	if len(all) > s.cfg.MaxMembers {
		return s.tooMany(413)
	}
	entries := make([]entry, len(all))
	for i, to := range all {
		entries[i] = entry{to.URI, titles[to.URI]}
	}
	v.update(context.Background(), v.service, nil, entries)
	return nil
}

// recipientLists reads the lists of a body. The error is a Refusal: 415 for
// another type, 400 for what cannot be read. nested is how many multipart bodies
// may be in each other.
func recipientLists(contentType string, body []byte, nested int) ([]*lists.Document, error) {
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case len(body) == 0:
		return nil, &event.Refusal{Status: 400, Phrase: "A List Of Recipients Is Needed"}
	case err == nil && media == lists.MediaType:
		d, err := lists.Parse(body)
		if err != nil {
			return nil, &event.Refusal{Status: 400, Phrase: phrase(err)}
		}
		return []*lists.Document{d}, nil
	case err == nil && strings.HasPrefix(media, "multipart/") && params["boundary"] != "":
		if nested == 0 {
			return nil, &event.Refusal{Status: 400, Phrase: "Too Many Multipart Bodies In Each Other"}
		}
		return partLists(multipart.NewReader(bytes.NewReader(body), params["boundary"]), nested-1)
	}
	return nil, unsupported(true)
}

// partLists reads those among the parts of a body.
func partLists(r *multipart.Reader, nested int) (docs []*lists.Document, err error) {
	for len(docs) < maxLists {
		part, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, &event.Refusal{Status: 400, Phrase: "Malformed Multipart Body"}
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, &event.Refusal{Status: 400, Phrase: "Malformed Multipart Body"}
		}
		if !disposed(part.Header.Get("Content-Disposition")) {
			continue
		}
		more, err := recipientLists(part.Header.Get("Content-Type"), content, nested)
		if err != nil {
			return nil, err
		}
		docs = append(docs, more...)
	}
	if docs == nil {
		return nil, &event.Refusal{Status: 400, Phrase: errNoList.Error()}
	}
	return docs, nil
}

var errNoList = errors.New("no part of the body is a list of recipients")
