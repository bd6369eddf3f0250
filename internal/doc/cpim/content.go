package cpim

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"unicode/utf8"
)

// Content is a MIME part (RFC 3862 section 2.4).
type Content struct {
	Header []MIMEField
	Body   []byte
}

// MIMEField is a header field of a part, with its lines joined.
type MIMEField struct{ Name, Value string }

// Get returns the value of the first header field of a name, in whatever letters, "" when there is none.
func (c *Content) Get(name string) string {
	for _, f := range c.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Type is the media type in small letters, without its parameters.
func (c *Content) Type() string {
	typ, _, _ := strings.Cut(c.Get("Content-Type"), ";")
	return strings.ToLower(strings.Trim(typ, " \t"))
}

// Disposition is the disposition type in small letters, without its parameters.
func (c *Content) Disposition() string {
	d, _, _ := strings.Cut(c.Get("Content-Disposition"), ";")
	return strings.ToLower(strings.Trim(d, " \t"))
}

// Parts returns the parts of multipart content. One that is cut off, and all behind it, are left out without an error; that no part can be read is one.
func (c *Content) Parts() ([]Content, error) {
	_, params, err := mime.ParseMediaType(c.Get("Content-Type"))
	switch {
	case !strings.HasPrefix(c.Type(), "multipart/"):
		return nil, errors.New("the content is no multipart but " + c.Type())
	case err != nil || params["boundary"] == "":
		return nil, errors.New("the multipart content has no boundary")
	}
	var list []Content
	r := multipart.NewReader(bytes.NewReader(c.Body), params["boundary"])
	for len(list) < maxParts {
		part, err := r.NextRawPart()
		if err != nil {
			if len(list) == 0 {
				return nil, errors.New("the multipart content has no part between its boundaries")
			}
			break
		}
		body, err := io.ReadAll(part)
		if err != nil {
			break
		}
		p := Content{Body: body}
		for name, values := range part.Header {
			for _, v := range values {
				p.Header = append(p.Header, MIMEField{name, v})
			}
		}
		slices.SortFunc(p.Header, func(a, b MIMEField) int { return strings.Compare(a.Name+":"+a.Value, b.Name+":"+b.Value) })
		list = append(list, p)
	}
	return list, nil
}

// isMIME reports whether a name is that of a header field of MIME, which no header field of a message without prefix has.
func isMIME(name string) bool {
	if len(name) > len("Content-Transfer-Encoding") {
		return false
	}
	switch strings.ToLower(name) {
	case "content-type", "content-id", "content-disposition", "content-length", "content-transfer-encoding", "content-description",
		"content-language", "content-encoding", "content-location", "mime-version":
		return true
	}
	return false
}

// content reads the header fields of the content, and what is behind them.
func (p *parser) content(m *Message) *Error {
	first := p.line + 1
	if err := p.mime(&m.Content); err != nil {
		return err
	}
	if typ := m.Content.Type(); !strings.Contains(typ, "/") {
		return &Error{Line: first, Col: 1, Offset: p.head, Msg: "the content has no Content-Type"}
	}
	m.Content.Body = p.src[p.pos:]
	return nil
}

// mime reads header fields of MIME up to the empty line behind them, which may be missing where there is no body.
func (p *parser) mime(c *Content) *Error {
	p.section()
	for {
		line, ok, err := p.next()
		if err != nil {
			return err
		}
		if !ok && p.strict {
			return p.fail(0, "the message ends in the header of its content, behind which an empty line is wanted")
		}
		if line == "" {
			return nil
		}
		if err := p.count(); err != nil {
			return err
		}
		if !utf8.ValidString(line) {
			return p.fail(0, "the line is not in UTF-8")
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }); i >= 0 {
			return p.fail(i, "control character in a header field of the content")
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(c.Header) == 0 {
				return p.fail(0, "the header of the content begins with white space")
			}
			last := &c.Header[len(c.Header)-1]
			last.Value = strings.Trim(last.Value+" "+strings.Trim(line, " \t"), " ")
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		if !ok || !isMIMEName(name) {
			return p.fail(0, "a header field of the content, or an empty line, is wanted")
		}
		c.Header = append(c.Header, MIMEField{name, strings.Trim(value, " \t")})
	}
}

// isMIMEName reports whether s is a field name of RFC 5322 section 3.6.8.
func isMIMEName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F || s[i] == ':' {
			return false
		}
	}
	return s != ""
}
