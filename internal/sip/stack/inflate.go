package stack

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// acceptEncoding is what bodies may come in.
const acceptEncoding = "deflate, gzip, identity"

const (
	maxCodings  = 3        // of one body
	smallEnough = 64 << 10 // what a body may always grow to, however small it came
)

var errInflated = errors.New("a body is too large when its coding is undone")

// inflate undoes the content codings of a body (RFC 3261 20.12), so that handlers see neither: those in the field are
// in the order in which they were applied. What came over the wire is not touched.
func (s *Stack) inflate(m *sip.Request) *Response {
	codings := header.List(m, "Content-Encoding")
	if len(codings) > maxCodings {
		return refuseEncoding()
	}
	body := m.Body()
	limit := min(s.cfg.MaxInflated, max(smallEnough, s.cfg.MaxInflateRatio*len(body)))
	for i := len(codings) - 1; i >= 0; i-- {
		open := decoder(codings[i])
		if open == nil {
			return refuseEncoding()
		}
		plain, err := readWhole(open, body, limit)
		switch {
		case errors.Is(err, errInflated):
			return Answer(413)
		case err != nil:
			return badRequest("Body is not in the coding " + strings.ToLower(codings[i]))
		}
		body = plain
	}
	var names []string
	for _, h := range m.Headers() {
		if fieldOf([]byte(h.Name())) == fieldContentEncoding {
			names = append(names, h.Name())
		}
	}
	for _, name := range names {
		m.RemoveHeader(name)
	}
	m.SetBody(body)
	return nil
}

func refuseEncoding() *Response { return Answer(415, Field{"Accept-Encoding", acceptEncoding}) }

// decoder finds what undoes a coding; nil = nothing does.
func decoder(coding string) func(*bufio.Reader) (io.Reader, error) {
	switch strings.ToLower(coding) {
	case "identity":
		return func(r *bufio.Reader) (io.Reader, error) { return r, nil }
	case "gzip", "x-gzip":
		return func(r *bufio.Reader) (io.Reader, error) { return gzip.NewReader(r) }
	case "deflate":
		return deflate
	}
	return nil
}

// deflate is the format of zlib; there are clients that leave its frame away.
func deflate(r *bufio.Reader) (io.Reader, error) {
	if b, _ := r.Peek(2); len(b) == 2 && b[0]&0xf == 8 && (int(b[0])<<8|int(b[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

func readWhole(open func(*bufio.Reader) (io.Reader, error), body []byte, limit int) ([]byte, error) {
	r, err := open(bufio.NewReaderSize(bytes.NewReader(body), 16))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(plain) > limit {
		err = errInflated
	}
	return plain, err
}
