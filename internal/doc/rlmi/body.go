package rlmi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
)

// BodyType is the type of the bodies that documents come in (RFC 4662 section 5.1).
const BodyType = "multipart/related"

// Bounds on what a body may ask of the reader.
const (
	maxParts = 10001 // of one multipart: a document and its resources
	maxDepth = 8     // lists in lists
)

// Body is a document with the parts that it names (RFC 4662 section 5.1).
type Body struct {
	List  *List
	Parts []Part // without that of the document
}

// Part is the state of a resource, of the list itself, or what else a notifier sends along.
type Part struct {
	ID      string // Content-ID, without angle brackets
	Type    string // Content-Type, with its parameters
	Content []byte // as it came, signed and encrypted parts too
	Nested  *Body  // of a part that is a list itself; it has versions of its own (RFC 4662 section 4.6)
}

// ParseBody reads a body of this Content-Type, and the lists that are parts of it. The document is the part that the parameter start names, the first part
// without one (RFC 2387 section 3.2). It refuses what is no multipart/related, has no part with a document, or nests too deep; what Parse refuses is an
// *Error with a position in the document. The parts do not share memory with src.
func ParseBody(contentType string, src []byte) (*Body, error) { return parseBody(contentType, src, 0) }

func parseBody(contentType string, src []byte, depth int) (*Body, error) {
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case depth == maxDepth:
		return nil, errors.New("reading a list: more than " + strconv.Itoa(maxDepth) + " lists in each other")
	case err != nil || media != BodyType || params["boundary"] == "":
		return nil, errors.New("reading a list: Content-Type " + strconv.Quote(lexical.Clip(contentType)) + " is no " + BodyType + " with a boundary")
	}
	parts, err := split(src, params["boundary"])
	if err != nil {
		return nil, err
	}
	root := 0
	if start := contentID(params["start"]); start != "" {
		if root = find(parts, start); root < 0 {
			return nil, errors.New("reading a list: start names " + lexical.Clip(start) + ", and no part has this Content-ID")
		}
	}
	if media, _, _ := mime.ParseMediaType(parts[root].Type); media != MediaType {
		return nil, errors.New("reading a list: the root part is " + strconv.Quote(lexical.Clip(parts[root].Type)) + ", expected " + MediaType)
	}
	b := &Body{}
	if b.List, err = Parse(parts[root].Content); err != nil {
		return nil, err
	}
	b.Parts = append(parts[:root], parts[root+1:]...)
	for i := range b.Parts {
		p := &b.Parts[i]
		if media, _, _ := mime.ParseMediaType(p.Type); media == BodyType {
			if p.Nested, err = parseBody(p.Type, p.Content, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// split takes the parts out of a multipart. One that is cut off is an error, because its state would be taken as whole.
func split(src []byte, boundary string) ([]Part, error) {
	var parts []Part
	for r := multipart.NewReader(bytes.NewReader(src), boundary); ; {
		part, err := r.NextRawPart()
		switch {
		case err == io.EOF && len(parts) > 0 && bytes.Contains(src, []byte("--"+boundary+"--")):
			return parts, nil
		case err != nil:
			return nil, errors.New("reading a list: part " + strconv.Itoa(len(parts)+1) + " of the body is cut off or has no header")
		case len(parts) == maxParts:
			return nil, errors.New("reading a list: the body has more than " + strconv.Itoa(maxParts) + " parts")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, errors.New("reading a list: part " + strconv.Itoa(len(parts)+1) + " of the body is cut off")
		}
		parts = append(parts, Part{ID: contentID(part.Header.Get("Content-ID")), Type: part.Header.Get("Content-Type"), Content: content})
	}
}

// contentID takes the angle brackets off.
func contentID(s string) string {
	s = lexical.Trim(s)
	if inner, ok := strings.CutPrefix(s, "<"); ok {
		s = strings.TrimSuffix(inner, ">")
	}
	return s
}

func find(parts []Part, id string) int {
	for i := range parts {
		if parts[i].ID == id {
			return i
		}
	}
	return -1
}

// Part returns the part with a Content-ID, nil when there is none. Parts of nested lists are not among them (RFC 4662 section 5.2).
func (b *Body) Part(id string) *Part {
	if i := find(b.Parts, id); i >= 0 && id != "" {
		return &b.Parts[i]
	}
	return nil
}

// Check reports what List.Check does, and names without a part beside the document (RFC 4662 section 5.2), in nested lists too. It returns the first of
// these, or nil.
func (b *Body) Check() error {
	if err := b.List.Check(); err != nil {
		return err
	}
	ids := make(map[string]bool, len(b.Parts))
	for i := range b.Parts {
		ids[b.Parts[i].ID] = true
	}
	for _, id := range b.List.CIDs() {
		if !ids[id] {
			return errors.New("checking a list: cid " + lexical.Clip(id) + " names no part beside the document")
		}
	}
	for i := range b.Parts {
		if n := b.Parts[i].Nested; n != nil {
			if err := n.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// rootID is the Content-ID of the document, made of the boundary so that it is that of no other part.
func rootID(boundary string) string { return boundary + "@list.invalid" }

// ContentType is that of what Append writes with this boundary (RFC 4662 section 5.1), which has no quotes round it: there are clients that do not survive them.
func (b *Body) ContentType(boundary string) string {
	return BodyType + `;type="` + MediaType + `";start="<` + rootID(boundary) + `>";boundary=` + boundary
}

// Append writes the body: the document, then the parts, with nested lists under boundaries made of this one (RFC 4662 section 5.1). A part without nested
// list is written as it is; XML without charset is given UTF-8. It fails when the boundary is no token, occurs in a part, or a header would break.
func (b *Body) Append(dst []byte, boundary string) ([]byte, error) {
	if boundary == "" || len(boundary) > 60 || strings.Trim(boundary, boundaryChars) != "" {
		return dst, errors.New("writing a list: " + strconv.Quote(lexical.Clip(boundary)) + " is no boundary of letters, digits, - and _")
	}
	dst, err := appendPart(dst, boundary, rootID(boundary), MediaType, b.List.Bytes())
	for i := 0; i < len(b.Parts) && err == nil; i++ {
		p := &b.Parts[i]
		typ, content := p.Type, p.Content
		if p.Nested != nil {
			inner := "n-" + boundary
			typ = p.Nested.ContentType(inner)
			if content, err = p.Nested.Append(nil, inner); err != nil {
				break
			}
		}
		dst, err = appendPart(dst, boundary, p.ID, typ, content)
	}
	return append(dst, "--"+boundary+"--\r\n"...), err
}

const boundaryChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func appendPart(dst []byte, boundary, id, typ string, content []byte) ([]byte, error) {
	switch {
	case bytes.Contains(content, []byte("--"+boundary)):
		return dst, errors.New("writing a list: the boundary occurs in part " + lexical.Clip(id) + "; take another")
	case strings.ContainsAny(id+typ, "\r\n") || strings.ContainsAny(id, "<> "):
		return dst, errors.New("writing a list: part " + strconv.Quote(lexical.Clip(id)) + " has a Content-ID or type that no header can hold")
	}
	if media, params, err := mime.ParseMediaType(typ); err == nil && strings.HasSuffix(media, "+xml") && params["charset"] == "" {
		typ += `;charset="UTF-8"`
	}
	dst = append(append(append(dst, "--"...), boundary...), "\r\nContent-Transfer-Encoding: binary\r\n"...)
	if id != "" {
		dst = append(append(append(dst, "Content-ID: <"...), id...), ">\r\n"...)
	}
	dst = append(append(append(dst, "Content-Type: "...), typ...), "\r\n\r\n"...)
	return append(append(dst, content...), "\r\n"...), nil
}

// AppendNumbered is Append with the version left out; at is the offset of where it is to be written, counted from the beginning of dst.
func (b *Body) AppendNumbered(dst []byte, boundary string) (src []byte, at int, err error) {
	list := *b.List
	list.Version = 0
	numbered := Body{List: &list, Parts: b.Parts}
	start := len(dst)
	if dst, err = numbered.Append(dst, boundary); err != nil {
		return dst, 0, err
	}
	const version = `" version="`
	at = start + bytes.Index(dst[start:], []byte(version)) + len(version)
	return append(dst[:at], dst[at+1:]...), at, nil
}
